"""Whatever is in a file: the reader returns a configuration or raises ConfigError, quickly."""

from __future__ import annotations

import time
from pathlib import Path

from haproxy_corpus import entries
from haproxy_tools import read
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support import examples

from pylb.config.expression import str_condition, str_rule
from pylb.config.haproxy.listing import keywords
from pylb.config.load import load, read_haproxy
from pylb.config.model import Config, ConfigError

ARTICLE = (Path(__file__).parent / "article.cfg").read_text()
CORPUS = [text for _, _, text in entries()]
NAMES = sorted({entry.name for entry in keywords()})

VALUES = st.sampled_from(
    [
        "",
        "0",
        "-1",
        "10",
        "99999999999999999999",
        "1k",
        "3s",
        "3x",
        ":80",
        "*:80",
        "[::]:80",
        "127.0.0.1:80-90",
        "unix@/x",
    ]
    + [
        "if",
        "unless",
        "TRUE",
        "{",
        "}",
        "{ path / }",
        "!",
        "||",
        "a",
        "b",
        "http",
        "tcp",
        "%[src]",
        "status",
        "200",
        "len",
    ]
    + [
        '"${A[*]}"',
        '"$A"',
        '"',
        "'",
        "\\",
        "\\x",
        "#",
        "no",
        "default",
        "from",
        "type",
        "ip",
        "size",
        "check",
        "ssl",
        "²",
    ]
)
KEYWORDS = st.sampled_from(NAMES)
LINES = st.builds(lambda name, values: f" {name} {' '.join(values)}", KEYWORDS, st.lists(VALUES, max_size=6))


def is_read_or_refused(text: str) -> Config | None:
    try:
        return read_haproxy([("f.cfg", text)], {"A": "x y z"})[0]
    except ConfigError as error:
        assert any(finding.severity == "error" for finding in error.findings)
        assert all(finding.message for finding in error.findings)
        return None


@settings(deadline=None, max_examples=examples(200), suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=400))
@example(b"global\n\x00\xff\n")
@example(b"\xef\xbb\xbfglobal\n")
def test_any_bytes(tmp_path, data):
    file = tmp_path / "any.cfg"
    file.write_bytes(data)
    try:
        load([str(file)], {})
    except ConfigError as error:
        assert error.findings


@settings(deadline=None, max_examples=examples(300))
@given(st.lists(LINES, max_size=12), st.sampled_from(["global", "defaults d", "frontend f", "backend b", "listen l"]))
def test_any_keywords_with_any_values(lines, section):
    is_read_or_refused("\n".join([section, *lines, ""]))


@settings(deadline=None, max_examples=examples(200))
@given(st.data())
def test_mutations_of_good_files(data):
    text = data.draw(st.sampled_from([ARTICLE, *CORPUS]))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + data.draw(VALUES | st.text(max_size=4)) + text[end:]
    is_read_or_refused(text)


@settings(deadline=None, max_examples=examples(100))
@given(st.lists(st.sampled_from(CORPUS), min_size=1, max_size=4))
def test_the_same_files_give_the_same_model(texts):
    text = "".join(texts)
    assert is_read_or_refused(text) == is_read_or_refused(text)


def test_every_rule_and_condition_that_was_read_can_be_written():
    for text in [ARTICLE, *CORPUS]:
        config = is_read_or_refused(text)
        for proxy in (*config.frontends, *config.backends) if config else ():
            for rule in (*proxy.http_request, *proxy.http_response, *proxy.tcp_request):
                assert str_rule(rule)
                assert rule.condition is None or str_condition(rule.condition)


def test_the_list_of_keywords_is_complete_and_explained():
    entries_ = list(keywords())
    assert len({(e.context, e.name) for e in entries_}) == len(entries_) > 450
    assert {e.context for e in entries_} == {
        "section",
        "global",
        "proxies",
        "bind",
        "ring",
        "server",
        "userlist",
        "http-errors",
    }
    assert [e.name for e in entries_ if e.status in ("ignored", "unsupported", "removed") and not e.note] == []


def large_configuration() -> str:
    """1,000 frontends and 10,000 servers."""
    lines = ["defaults", " mode http", " timeout client 1m", " option httplog"]
    for n in range(1000):
        lines += [f"frontend f{n}", f" bind 10.0.0.1:{1024 + n}", f" acl a hdr(host) -i h{n}.example.com"]
        lines += [f" http-request set-header X-A b{n} if a", f" default_backend b{n % 100}"]
    for n in range(100):
        lines += [f"backend b{n}", " balance roundrobin"]
        lines += [f" server s{m} 10.{n}.0.{m}:8080 check inter 2s cookie s{m} maxconn 100" for m in range(100)]
    return "\n".join(lines) + "\n"


def test_a_large_configuration_is_read_in_little_time():
    """About half a second here; the bound leaves room for a busy machine. The work must grow with the file only."""
    text = large_configuration()
    started = time.process_time()
    config = read(text)
    assert time.process_time() - started < 6
    assert (len(config.frontends), sum(len(b.servers) for b in config.backends)) == (1000, 10_000)


def test_reading_time_grows_with_the_file_and_not_faster():
    def seconds(servers: int) -> float:
        text = "backend b\n" + "".join(f" server s{n} 10.0.0.1:80 check\n" for n in range(servers))
        started = time.process_time()
        read(text)
        return time.process_time() - started

    seconds(100)
    assert min(seconds(8000) for _ in range(3)) < 5 * 4 * min(seconds(2000) for _ in range(3))
