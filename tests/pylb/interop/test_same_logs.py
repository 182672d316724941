"""Log lines beside the real program: formats, options that leave lines out, levels, and what counts as an event."""

from __future__ import annotations

import re

import pytest
from haproxy_pair import Answer, normal_line, running_pair
from same_cases import get, judge
from support import wait_for

pytestmark = pytest.mark.interop

CUSTOM = (
    "%ci|%b|%s|%si|%ST|%CC|%CS|%tsc|%ts|%sq|%bq|%rc|%hr|%hs|%hrl|%hsl|%HM|%HP|%HPO|%HQ|%HU|%HV|%r|%f|%ft|%fi|%bi|%bc|%sc|"
    "%{+Q}r|%{+Q}hr|%{+Q,+X}ST|%{+E}HU|%[capture.req.hdr(0),upper]|%[capture.req.uri]|"
    "%[var(txn.a)]|%[str(a b)]|%{+Q}[src]|%%"
)

CONFIG = (
    r"""
global
    log "127.0.0.1:${LOG}" local3 debug
    log-tag lb

defaults
    mode http
    log global
    option httplog
    retries 0
    timeout connect 300ms
    timeout client 1s
    timeout server 1s
    timeout http-request 200ms
    timeout http-keep-alive 500ms

frontend web
    bind "127.0.0.1:${FE_web}"
    default_backend app

frontend clf
    bind "127.0.0.1:${FE_clf}"
    option httplog clf
    capture request header User-Agent len 20
    capture request header Referer len 20
    default_backend app

frontend tcp
    bind "127.0.0.1:${FE_tcp}"
    mode tcp
    option tcplog
    default_backend tcp

frontend greeted
    bind "127.0.0.1:${FE_greeted}"
    mode tcp
    option tcplog
    default_backend greeter

frontend tcphttp
    bind "127.0.0.1:${FE_tcphttp}"
    mode tcp
    default_backend tcp

frontend custom
    bind "127.0.0.1:${FE_custom}"
    capture request header X-One len 10
    capture request header X-Gone len 10
    capture response header X-Two len 3
    http-request set-var(txn.a) path,length
    log-format "CUSTOM"
    default_backend app

frontend null
    bind "127.0.0.1:${FE_null}"
    option dontlognull
    default_backend app

frontend abnormal
    bind "127.0.0.1:${FE_abnormal}"
    option dontlog-normal
    use_backend dead if { path /dead }
    default_backend app

frontend levels
    bind "127.0.0.1:${FE_levels}"
    option log-separate-errors
    http-request set-log-level silent if { path /silent }
    http-request set-log-level warning if { path /warning }
    use_backend dead if { path /dead }
    default_backend app

frontend monitored
    bind "127.0.0.1:${FE_monitored}"
    monitor-uri /alive
    monitor fail if { hdr(x-fail) 1 }
    default_backend app

frontend unlogged
    bind "127.0.0.1:${FE_unlogged}"
    no log
    default_backend app

frontend ids
    bind "127.0.0.1:${FE_ids}"
    unique-id-format "%{+X}o id-%HM"
    unique-id-header X-Id
    log-format "%ci:%cp %ID %ST"
    default_backend app

listen stats
    bind "127.0.0.1:${FE_stats}"
    stats enable
    stats uri /stats

backend app
    server a "127.0.0.1:${SRV_a}"

backend dead
    server dead "127.0.0.1:${DEAD}"

backend tcp
    mode tcp
    server a "127.0.0.1:${SRV_a}"

backend greeter
    mode tcp
    server g "127.0.0.1:${SRV_greeter}"

backend checked
    option log-health-checks
    server up "127.0.0.1:${SRV_up}" check inter 1s rise 1 fall 1
    server down "127.0.0.1:${DEAD}" check inter 100ms rise 1 fall 1

defaults
    mode http
    log global
    timeout client 1s

frontend plain
    bind "127.0.0.1:${FE_plain}"
    default_backend app
"""
).replace("CUSTOM", "%ci:%cp " + CUSTOM)

ANSWERS = {"two": Answer(b"HTTP/1.1 200 OK\r\nX-Two: second\r\nX-Two: third\r\nContent-Length: 0\r\n\r\n")}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with running_pair(tmp_path_factory.mktemp("logs"), CONFIG, ANSWERS) as pair:
        for side in pair.sides:
            side.origins["greeter"].greeting = b"hello"
            for words in ("checked/up", "checked/down is DOWN"):
                wait_for(lambda side=side, words=words: any(words in line for line in side.logs.lines), what=words)
        pair.first = [list(side.logs.lines) for side in pair.sides]
        yield pair


def line_of(side, frontend: str, data: bytes, count: int = 1, finish: bool = False, clf: bool = False) -> list[str]:
    """What is logged about a client that sends this and closes."""
    with side.talk(frontend) as talk:
        talk.send(data)
        if finish:
            talk.finish()
            talk.rest()
        elif data:
            talk.response("HEAD" if data.startswith(b"HEAD") else "GET")
        if frontend.startswith("tcp"):
            talk.finish()
            talk.rest()
    client = talk.address.split(":")[1].strip() if clf else talk.address.strip()
    return side.logged(count, client=client) if count else side.logged_before("web", client)


REQUESTS = {
    "a GET": get("/path?query=1"),
    "a HEAD": get("/path", method="HEAD"),
    "HTTP/1.0": get("/path", version="1.0"),
    "absolute": get("http://www/path"),
    "quotes": get('/"quoted"', 'User-Agent: a "quoted" {name}', "X-One: a|b}"),
    "beyond ASCII": get("/", "User-Agent: caf\xe9", "X-One: caf\xe9"),
    "captured": get("/", "Do: two", "User-Agent: curl/1", "X-One: a longer one than ten", "Referer: http://x/"),
    "nonsense": b"nonsense\r\n\r\n",
    "method only": b"GET\r\n\r\n",
}


@pytest.mark.parametrize("request_", REQUESTS)
def test_httplog(pair, request_):
    judge(*pair.both(lambda side: {"log": [normal_line(x) for x in line_of(side, "web", REQUESTS[request_])]}))


@pytest.mark.parametrize("request_", REQUESTS)
def test_clf(pair, request_):
    def scenario(side):
        lines = line_of(side, "clf", REQUESTS[request_], clf=True)
        return {"log": [clf_without_numbers(line) for line in lines]}

    judge(*pair.both(scenario))


def clf_without_numbers(line: str) -> str:
    """Date, bytes, port and timers out; the status and words stay."""
    line = re.sub(r"\[[^]]*\]", "[date]", line)
    head, middle, tail = re.fullmatch(r'(.*?" \d+ )(.*?)( \d+/?.*|)', line).groups() if False else ("", line, "")
    return head + re.sub(r"(?<![-\w.{])\d{1,6}(?![\w.])", "n", middle) + tail


@pytest.mark.parametrize("request_", REQUESTS)
def test_custom_formats(pair, request_):
    judge(*pair.both(lambda side: {"log": [
        re.sub(r":\d+ ", ": ", line) for line in line_of(side, "custom", REQUESTS[request_])]}))  # fmt: skip


def test_no_format_at_all(pair):
    def scenario(side):
        return {"log": [re.sub(r":\d+", ":port", line) for line in line_of(side, "plain", get("/"))]}

    judge(*pair.both(scenario))


def test_tcplog(pair):
    judge(*pair.both(lambda side: {"log": [normal_line(line) for line in line_of(side, "tcp", get("/"))]}))


@pytest.mark.parametrize("frontend", ["web", "null", "monitored"])
@pytest.mark.parametrize("data", [b"", b"G"], ids=["nothing", "one byte"])
def test_probes(pair, frontend, data):
    count = 0 if (frontend, data) == ("null", b"") else 1

    def scenario(side):
        return {"log": [normal_line(line) for line in line_of(side, frontend, data, count, finish=True)]}

    judge(*pair.both(scenario))


@pytest.mark.parametrize("data", [b"", b"G"], ids=["nothing", "one byte"])
def test_probes_of_a_port(pair, data):
    """The client leaves once the server is connected: before, the quicker one would decide how the line ends."""

    def scenario(side):
        with side.talk("greeted") as talk:
            talk.send(data)
            greeting = talk.reader.exactly(5)
            talk.finish()
            end = talk.rest()
        log = [normal_line(line) for line in side.logged(1, client=talk.address)]
        return {"greeting": greeting, "end": end, "log": log}

    theirs, ours = pair.both(scenario)
    judge(theirs, ours)
    assert " -- " in ours["log"][0]


@pytest.mark.parametrize("path,count", [("/", 0), ("/dead", 1)])
def test_only_what_is_abnormal(pair, path, count):
    judge(*pair.both(lambda side: {"log": [normal_line(x) for x in line_of(side, "abnormal", get(path), count)]}))


@pytest.mark.parametrize("path,count", [("/", 1), ("/dead", 1), ("/silent", 0), ("/warning", 1)])
def test_levels(pair, path, count):
    def scenario(side):
        lines = line_of(side, "levels", get(path), count)
        raw = [data.decode() for data in side.logs.raw if lines and lines[0] in data.decode()]
        return {"priorities": [re.match(r"<\d+>", data)[0] for data in raw], "log": [normal_line(x) for x in lines]}

    judge(*pair.both(scenario))


@pytest.mark.parametrize("fields,count", [((), 0), (("X-Fail: 1",), 0)])
def test_monitoring_is_not_logged(pair, fields, count):
    judge(*pair.both(lambda side: {"log": line_of(side, "monitored", get("/alive", *fields), count)}))


def test_a_frontend_without_log(pair):
    judge(*pair.both(lambda side: {"log": line_of(side, "unlogged", get("/"), 0)}))


def test_unique_ids(pair):
    def scenario(side):
        lines = line_of(side, "ids", get("/"))
        return {"log": [re.sub(r":\d+ ", ": ", line) for line in lines], "id": side.records()[0].get("x-id")}

    judge(*pair.both(scenario))


def test_the_statistics_page(pair):
    judge(*pair.both(lambda side: {"log": [normal_line(line) for line in line_of(side, "stats", get("/stats"))]}))


def test_what_stands_before_a_line(pair):
    def scenario(side):
        lines = line_of(side, "web", get("/before"))
        (raw,) = [data.decode() for data in side.logs.raw if lines[0] in data.decode()]
        head = re.sub(r"\[\d+\]", "[pid]", raw[: raw.index("]: ") + 3])
        return {"head": re.sub(r">\w{3} [ \d]\d \d\d:\d\d:\d\d ", ">stamp ", head), "end": raw[-2:]}

    judge(*pair.both(scenario))


def test_bytes_are_those_on_the_wire(pair):
    """docs/differences.md: bytes_on_the_wire."""

    def scenario(side):
        with side.talk("web") as talk:
            talk.send(get("/"))
            answer = talk.response()
            (line,) = side.logged(1, client=talk.address)
        return int(line.split(" 200 ")[1].split()[0]) - len(answer.raw) - len(answer.body)

    theirs, ours = pair.both(scenario)
    assert ours == 0 and theirs > 0


def test_checks_and_states(pair):
    theirs, ours = [
        sorted(re.sub(r"check duration: \d+ms", "check duration: n", line) for line in lines if "checked" in line)
        for lines in pair.first
    ]
    assert theirs
    judge({"log": theirs}, {"log": ours})


def test_nothing_is_logged_when_proxies_start(pair):
    theirs, ours = [[line for line in lines if line.startswith("Proxy ")] for lines in pair.first]
    judge({"log": theirs}, {"log": ours})


def test_an_http_format_in_tcp_mode_falls_back(pair):
    """`option httplog` of defaults reaches frontends in TCP mode, too."""
    judge(*pair.both(lambda side: {"log": [normal_line(line) for line in line_of(side, "tcphttp", get("/"))]}))
