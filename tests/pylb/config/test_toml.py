"""lb.toml: what it means, what is said about a wrong one, and that writing and reading give the same model."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import haproxy_corpus
import model_strategies as models
import pytest
from hypothesis import HealthCheck, given, settings
from support import examples

from pylb.config import model as m
from pylb.config.load import load, read_haproxy
from pylb.config.toml import read, write
from pylb.config.words import Report


@settings(max_examples=examples(80), deadline=None, suppress_health_check=list(HealthCheck))
@given(models.configs())
def test_every_configuration_reads_back_as_it_was_written(config):
    text = write(config)
    again = read(text, env={})
    assert again.globals == config.globals, text
    assert again.userlists == config.userlists, text
    for side in ("frontends", "backends"):
        for one, other in zip(getattr(again, side), getattr(config, side), strict=True):
            assert differences(one, other) == {}, text
    assert again == config


def differences(one, other):
    """The fields in which two sections differ."""
    return {
        f.name: (getattr(one, f.name), getattr(other, f.name))
        for f in fields(one)
        if f.compare and getattr(one, f.name) != getattr(other, f.name)
    }


# ------------------------------------------------------------------------------------------------------- what it means


def frontend(text: str, **env: str) -> m.Frontend:
    """The frontend of a document that is one `[frontend.web]`, and what stands before it."""
    return read(text, "lb.toml", env).frontends[0]


def test_a_section_takes_over_the_defaults_that_it_does_not_say_itself():
    config = read("""
        [defaults]
        mode = "http"
        retries = 5
        timeout = { client = "1m", server = "30s" }
        [frontend.web]
        timeout = { client = "10s" }
        [backend.app]
        retries = 1
        [backend.other]
        mode = "tcp"
    """)
    web, app, other = config.frontends[0], *config.backends
    assert web.timeouts == m.Timeouts(client=10, server=30)
    assert (app.mode, app.retries, app.timeouts.server) == ("http", 1, 30)
    assert (other.mode, other.retries) == ("tcp", 5)


def test_servers_take_over_default_server_word_by_word():
    (backend,) = read("""
        [backend.app]
        default-server = { check = { inter = "3s" }, maxconn = 50 }
        [backend.app.server]
        a = "10.0.0.1:80"
        b = { address = "10.0.0.2:80", check = { fall = 9 }, maxconn = 5 }
        c = { address = "10.0.0.3:80", check = false }
        d = { address = "10.0.0.4:80", check = true }
    """).backends
    checks = {server.name: server.check for server in backend.servers}
    assert checks == {
        "a": m.ServerCheck(inter=3),
        "b": m.ServerCheck(inter=3, fall=9),
        "c": None,
        "d": m.ServerCheck(inter=3),
    }
    assert [server.maxconn for server in backend.servers] == [50, 5, 50, 50]


def test_a_listen_is_a_frontend_and_a_backend_of_one_name_whose_rules_run_once():
    config = read("""
        [listen.db]
        bind = ":5432"
        http-request = "deny"
        cookie = { name = "C", mode = "insert" }
        server = { one = "10.0.0.1:5432" }
    """)
    front, back = config.frontends[0], config.backends[0]
    assert (front.name, front.default_backend, front.listen, back.listen) == ("db", "db", True, True)
    assert len(front.http_request) == 1 and back.http_request == ()
    assert front.cookie is None and back.cookie is not None
    assert [server.name for server in back.servers] == ["one"]


def test_log_global_stands_for_the_global_targets():
    config = read("""
        [global]
        log = ["127.0.0.1:514 local0", "/dev/log len 2048 format rfc5424 local1 notice err"]
        [frontend.web]
        log = ["global", "stdout format raw daemon"]
    """)
    first, second = config.globals.log
    assert (first.address, first.format, first.level) == ("127.0.0.1:514", "", "debug")
    assert (second.length, second.format, second.level, second.min_level) == (2048, "rfc5424", "notice", "err")
    assert config.frontends[0].log[:2] == config.globals.log
    assert config.frontends[0].log[2].address == "stdout"


def test_rules_read_as_they_do_behind_their_keyword():
    web = frontend("""
        [frontend.web]
        acl = ["api path_beg -i /api", "api hdr(host) api.example"]
        http-request = ["set-header X-A '%[src] and more' if { ssl_fc } || !api", "deny unless api"]
        tcp-request = ["inspect-delay 5s", "content reject if api", "connection accept"]
        use-backend = "pool if api"
    """)
    assert [acl.name for acl in web.acls] == ["api", "api"]
    assert web.acls[0].test.ignore_case and web.acls[0].test.values == ("/api",)
    first, second = web.http_request
    assert first.args == ("X-A", "%[src] and more") and len(first.condition.any_of) == 2
    assert second.condition.unless
    assert [rule.action for rule in web.tcp_request] == ["inspect-delay", "content reject", "connection accept"]
    assert web.use_backend[0].backend == "pool"


def test_health_checks_are_steps():
    (backend,) = read("""
        [backend.app]
        health-check = { type = "http", steps = [
            { connect = { port = "81", ssl = true } },
            { send = { meth = "GET", uri = "/", headers = ["Host: a", "X-B:c"] } },
            { expect = { negate = true, match = "status", pattern = "500" } } ] }
    """).backends
    connect, send, expect = backend.check.steps
    assert connect.options == (("port", "81"), ("ssl", ""))
    assert send.headers == (("Host", "a"), ("X-B", "c"))
    assert expect.options == (("negate", ""), ("match", "status"), ("pattern", "500"))


def test_environment_variables_work_in_double_quotes_only():
    web = frontend(
        '[frontend.web]\nbind = ":${PORT}"\ndescription = "${A} ${B-none} ${C}"\nlog-tag = \'${A}\'\n'
        'monitor-uri = "\\u0024{A}"\n',
        PORT="8080",
        A='a "quoted" \\ \n',
        C="",
    )
    assert web.binds[0].address.port == 8080
    assert web.description == 'a "quoted" \\ \n none '
    assert web.log_tag == "${A}"
    assert web.monitor_uri == "${A}"


def test_an_unset_variable_is_empty_and_said():
    report = Report()
    config = read('[global]\nnode = "x${NOPE}"', "lb.toml", {}, report)
    assert config.globals.node == "x"
    assert [str(finding) for finding in report.findings] == [
        'lb.toml:2:9: warning: environment variable "NOPE" is not set (set it, or write ${NOPE-default})'
    ]


def test_everything_knows_where_it_stands():
    config = read(
        "[global]\n\n"
        '[ frontend . "web" ]\n'
        'bind = [":80", { address = ":443" }]  # ä\n'
        'http-request = ["deny",\n   "allow if ä TRUE || { src 10.0.0.0/8 }"]\n'
        "[backend.app.server]\n"
        'w1 = "10.0.0.1:80"\n',
        "lb.toml",
    )
    web, app = config.frontends[0], config.backends[0]
    place = str
    assert place(web.at) == "lb.toml:3:14"
    assert [place(bind.at) for bind in web.binds] == ["lb.toml:4:10", "lb.toml:4:16"]
    assert [place(rule.at) for rule in web.http_request] == ["lb.toml:5:18", "lb.toml:6:5"]
    assert place(web.http_request[1].condition.any_of[1][0].at) == "lb.toml:6:24"
    assert place(app.at) == "lb.toml:7:10"
    assert place(app.servers[0].at) == "lb.toml:8:1"


# ------------------------------------------------------------------------------------------------- what is said


def findings(text: str) -> list[str]:
    """What is said about a document, without the file's name."""
    with pytest.raises(m.ConfigError) as caught:
        read(text, "t", {})
    return [str(finding).removeprefix("t:").replace(" error:", "") for finding in caught.value.findings]


def test_every_error_is_reported_at_once_with_its_place_and_the_nearest_word():
    assert findings("""\
[global]
maxcon = 1
workers = 0
[defaults]
mode = "htpp"
timeout = { clint = "1m", client = 5, server = "10x", connect = "10" }
[frontend.web]
bind = [":80", "x:y"]
server = "x"
acl = "foo ~bar"
use_backend = "a if b"
log = "127.0.0.1 lcal0"
[backend.b]
retries = "x"
balance = "leastcon"
retry-on = "con-failure"
[backend.b.server]
w1 = { adress = "x" }
w2 = { address = "10.0.0.1:80", weight = 300, check = "yes" }
[backend.c.health-check]
steps = [{ send = { method = "GET" } }, { expct = {} }]
[backend."a b"]
[front.x]
""") == [
        '2:1: unknown key "maxcon" in [global] (did you mean "maxconn"?)',
        "3:11: 0 is out of range (1 to 64)",
        '5:9: "htpp" is not a value of "mode" (did you mean "http"?)',
        '6:13: unknown key "clint" in [defaults.timeout] (did you mean "client"?)',
        '6:36: "client" cannot be the number 5 (write a time such as "10s")',
        '6:49: "10x" is not a time: a whole number and one of us, ms, s, m, h, d',
        '6:66: "10" has no unit: write "10ms" or "10s"',
        '8:17: "x:y": "y" is not a port number',
        '9:1: unknown key "server" in [frontend.web] (this belongs in a [backend.NAME])',
        '10:12: expected the name of a fetch or converter in "~bar", found "~bar"',
        '11:1: unknown key "use_backend" in [frontend.web] (did you mean "use-backend"?)',
        '12:18: unknown log facility "lcal0" (did you mean "local0"?)',
        '14:12: "retries" cannot be the string "x" (write a whole number)',
        '15:12: unknown balance algorithm "leastcon" (did you mean "leastconn"?)',
        '16:13: "con-failure" is not a value of "retry-on" (did you mean "conn-failure"?)',
        '18:1: the key "address" is missing in [backend.b.server.w1] (write an address such as "10.0.0.1:80")',
        '18:8: unknown key "adress" in [backend.b.server.w1] (did you mean "address"?)',
        '19:42: "weight" cannot be 300 (a number less than or equal to 256)',
        '19:56: "check" cannot be the string "yes" (write a table, or true)',
        '21:21: unknown key of "send" "method" (did you mean "meth"?)',
        '21:43: "expct" is not a step (did you mean "expect"?)',
        '22:10: "a b" cannot be a name (names are of letters, digits, and . _ - :)',
        '23:2: unknown key "front" (did you mean "frontend"?)',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = \nb = 2\n[x\nc = 3\n", ["1:5: not TOML: invalid value", '3:1: not TOML: "[x"']),
        ("a = 1\nb = 'x\n", ['2:1: not TOML: "b = \'x"', '3:1: not TOML: expected "\'"']),
        ('bind = ["a" "b"]\n', ["1:13: not TOML: unclosed array"]),
        ("[global]\nnode = 'a'\nnode = 'b'\n", ["3:11: not TOML: cannot overwrite a value"]),
        ("[global]\n[global]\n", ["2:8: not TOML: cannot declare ('global',) twice"]),
        ('a = "\\q"', ["1:8: not TOML: unescaped '\\' in a string"]),
    ],
)
def test_what_is_not_toml_is_said_with_its_place(text, expected):
    assert findings(text) == expected


@settings(max_examples=examples(80), deadline=None)
@given(models.st.text("[]{}=\"'#.,\n\\ abfrontedglist-_1080:${}", max_size=60))
def test_any_text_is_read_or_refused_with_findings(text):
    try:
        read(text, "t", {})
    except m.ConfigError as error:
        assert error.findings and all(finding.at.line for finding in error.findings)


@settings(max_examples=examples(80), deadline=None, suppress_health_check=list(HealthCheck))
@given(models.configs(), models.st.data())
def test_any_cut_or_changed_document_is_read_or_refused_with_findings(config, data):
    text = write(config)
    place = data.draw(models.st.integers(0, len(text)))
    junk = data.draw(models.st.sampled_from(["", "x", '"', "=", "\n", "[", "1", "{}", " = true"]))
    try:
        read(text[:place] + junk + text[place + data.draw(models.st.integers(0, 9)) :], "t", {})
    except m.ConfigError as error:
        assert error.findings and all(finding.at.file == "t" for finding in error.findings)


# ------------------------------------------------------------------------------------------------------ tidy writing


def test_common_values_move_to_defaults_and_the_rest_is_short():
    check = m.ServerCheck(inter=5)
    servers = [m.Server(f"w{n}", m.Address(host=f"10.0.0.{n}", port=80), check=check) for n in (1, 2)]
    timeouts = m.Timeouts(client=60, server=60)
    config = m.Config(
        m.Global(maxconn=100),
        (m.Frontend("web", mode="http", timeouts=timeouts, default_backend="app"),),
        (
            m.Backend("app", mode="http", timeouts=timeouts, servers=tuple(servers)),
            m.Backend("web", mode="http", timeouts=timeouts),
            m.Backend("raw", mode="tcp", timeouts=timeouts, retries=1),
        ),
    )
    assert (
        write(config)
        == """\
[global]
maxconn = 100

[defaults]
mode = "http"

[defaults.timeout]
client = "1m"
server = "1m"

[frontend.web]
default-backend = "app"

[backend.app]
default-server = { check = { inter = "5s" } }

[backend.app.server]
w1 = "10.0.0.1:80"
w2 = "10.0.0.2:80"

[backend.web]

[backend.raw]
mode = "tcp"
retries = 1
"""
    )


EXAMPLES = sorted(Path(__file__).parents[3].glob("configs/**/*.cfg")) + [
    *sorted(Path(__file__).parents[3].glob("configs/*.toml")),
    Path(__file__).parents[3] / "pylb/demo/demo.toml",
]


@pytest.mark.parametrize("path", [p for p in EXAMPLES if "vrrp" not in p.name], ids=lambda path: path.name)
def test_every_example_reads_back_as_it_was_written(path):
    ports = {f"DEMO_{name}": "1" for name in ("PORT", "STATS_PORT", "WORKER1", "WORKER2", "WORKER3", "RANCHER")}
    config, _ = load([str(path)], {**ports, "DEMO_PASSWORD": "p", "LB_STATS_PASSWORD": "p"})
    text = write(config)
    again = read(text, env={})
    assert again == config, text
    assert write(again) == text


def test_both_languages_hold_the_mended_article_alike():
    environment = {"LB_STATS_PASSWORD": "correct horse battery staple"}
    configs = Path(__file__).parents[3] / "configs"
    native, remarks = load([str(configs / "lb.toml")], environment)
    other, _ = load([str(configs / "haproxy.cfg")], environment)
    assert native == other
    assert remarks == []


def test_every_line_of_the_corpus_of_haproxy_files_reads_back_as_it_was_written():
    read_back = 0
    for _, line, text in haproxy_corpus.entries():
        try:
            config, _ = read_haproxy([("t.cfg", text)], {})
        except m.ConfigError:
            continue
        assert read(write(config), env={}) == config, line
        read_back += 1
    assert read_back > 150


def test_capture_rules_with_a_length_make_slots_behind_those_of_the_key():
    config = read("""
        [frontend.web]
        mode = "http"
        capture = [{ kind = "request", name = "Host", len = 9 }, { kind = "response", len = 4 }]
        http-request = ["capture path len 12", "capture src id 0", "capture src len 5 if TRUE"]
    """)
    (web,) = config.frontends
    assert [(c.kind, c.name, c.length) for c in web.captures] == [
        ("request", "Host", 9), ("response", "", 4), ("request", "", 12), ("request", "", 5),
    ]  # fmt: skip
    assert [rule.args for rule in web.http_request] == [("path", "id", "1"), ("src", "id", "0"), ("src", "id", "2")]
