"""Every variable of log formats with its flags, in lines about every kind of end, beside the real program."""

from __future__ import annotations

import re
import time

import pytest
from haproxy_pair import Answer, running_pair
from same_cases import get

pytestmark = pytest.mark.interop

VALUES = """
%r %{+Q}r %{+E}r %{+Q,+E}r %CC %{+Q}CC %CS %{+Q}CS %H %HM %HP %{+Q}HP %HQ %{+Q}HQ %HU %HV %HPO %ST %{+X}ST %{+Q}ST
%b %{+Q}b %s %{+Q}s %bi %{+Q}bi %bq %{+Q}bq %sq %bc %sc %{+X}sc %rc %{+Q}rc %ci %{+X}ci %{+Q}ci %fi %{+Q}fi %f
%{+Q}f %ft %{+Q}ft %hr %{+Q}hr %{+E}hr %hs %{+Q}hs %{+E}hs %hrl %{+Q}hrl %{+Q,+E}hrl %hsl %{+E}hsl %si %{+Q}si
%sslc %{+Q}sslc %sslv %{+Q}sslv %ts %tsc %{+Q}tsc %[src] %{+Q}[src] %[capture.req.hdr(1)] %{+E}[capture.req.hdr(1)]
%{+Q}[capture.req.hdr(1)] %{+Q}[capture.req.hdr(9)] %[capture.req.hdr(9)] %{+E}[capture.req.uri]
"""
"""Variables with the same values on both sides."""
SETS = "%B %U %ID %bp %{+Q}bp %{+X}bp %cp %fp %sp %{+Q}sp %lc %pid %rt %ms %T %t %Tl %tr %trg %trl %Ts %{+X}Ts"
MOMENTS = "%TR %Tw %Tc %Tr %Ta %Tt %Th %Ti %Tq %Td %Tu %{+Q}Ta"
"""Variables that have a value on both sides, or on neither."""
ALIKE, KNOWN, TIMES = VALUES.split(), SETS.split(), MOMENTS.split()
ALL = (*ALIKE, *KNOWN, *TIMES)
TCP = [
    name for name in ALL if not re.search(r"(r|CC|CS|H\w*|ST|TR|T[raiqdu]|ID|h[rs]l?|tr[gl]|uri\]|hdr\(.\)\])$", name)
]
TCP += ["%ST", "%tsc", "%ts", "%[src]", "%Th"]
MARK = "^"

CONFIG = rf"""
global
    nbthread 1
    log "127.0.0.1:${{LOG}}" len 8192 local0

defaults
    mode http
    log global
    retries 0
    timeout connect 500ms
    timeout client 900ms
    timeout server 400ms

frontend web
    bind "127.0.0.1:${{FE_web}}"
    unique-id-format %{{+X}}o\ %ci:%cp_%fi:%fp_%Ts_%rt:%pid
    capture request header User-Agent len 8
    capture request header X-Odd len 64
    capture response header X-Odd len 64
    capture response header Server len 3
    capture cookie SID len 32
    timeout tarpit 100ms
    http-request deny if {{ path /deny }}
    http-request return status 204 if {{ path /return }}
    http-request redirect location /else if {{ path /redirect }}
    http-request tarpit if {{ path /tarpit }}
    http-response deny if {{ capture.req.uri /denied }}
    use_backend dead if {{ path /dead }}
    use_backend none if {{ path /none }}
    default_backend app
    log-format "{MARK.join(ALL)}"

frontend tcp
    bind "127.0.0.1:${{FE_tcp}}"
    mode tcp
    default_backend tcp
    log-format "{MARK.join(TCP)}"

backend app
    cookie K insert
    http-after-response set-header X-After yes
    server s "127.0.0.1:${{SRV_s}}" cookie s

backend dead
    server s "127.0.0.1:${{DEAD}}"

backend none

backend tcp
    mode tcp
    server s "127.0.0.1:${{SRV_s}}"
"""

FIELDS = b'Server: orig\r\nX-Odd: a"b]c\\d{e}\r\nSet-Cookie: SID=abc; path=/\r\n'
ANSWERS = {
    "full": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + FIELDS + b"\r\nok"),
    "404": Answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    "cut": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n" + FIELDS + b"\r\nok", "close"),
    "nothing": Answer(b"", "close"),
    "no HTTP": Answer(b"220 ready\r\n\r\n", "close"),
    "late": Answer([b"", b""], pause=0.6),
    "upgrade": Answer(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n" + FIELDS + b"\r\n", "close"),
}  # fmt: skip
ODD = 'X-Odd: a"b]c\\d{e}f\xe9'
SCENARIOS = {
    "full": get('/a?b=c&d=e"f', "Do: full", ODD, "User-Agent: long enough", "Cookie: x=1; SID=qq; K=s"),
    "nothing captured": get("/"),
    "an empty header": get("/", "X-Odd: ", "User-Agent: x"),
    "a query without a value": get("/x?"),
    "absolute": get("http://www/y?z=1"),
    "HEAD": get("/", method="HEAD"),
    "404": get("/", "Do: 404"),
    "denied": get("/deny", ODD),
    "returned": get("/return"),
    "redirected": get("/redirect"),
    "tarpit": get("/tarpit"),
    "response denied": get("/denied", "Do: full"),
    "refused": get("/dead"),
    "no server": get("/none"),
    "cut": get("/", "Do: cut"),
    "no answer": get("/", "Do: nothing"),
    "no HTTP": get("/", "Do: no HTTP"),
    "too late": get("/", "Do: late"),
    "upgraded": get("/", "Do: upgrade", "Connection: Upgrade", "Upgrade: x"),
    "no request": b"GAR BAGE\r\n\r\n",
    "half a request": b"GET / HTTP/1.1\r\nHo",
    "nothing": b"",
}
DIFFERS = {
    # No identifier is made for what is no request; pylb's is as good as any.
    **{name: {"%ID"} for name in ("no request", "half a request", "nothing")},
    # The kernel's choice of a source is not looked at when the server refuses.
    "refused": {"%bi", "%{+Q}bi", "%bp", "%{+Q}bp", "%{+X}bp"},
    # request_time_is_known (differences.py)
    "tarpit": {"%TR", "%Tq"},
}
"""What need not be alike."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with running_pair(tmp_path_factory.mktemp("variables"), CONFIG, ANSWERS) as pair:
        yield pair


def told(side, frontend: str, data: bytes) -> dict[str, str]:
    """The line about a client that sends `data` and waits for the end, by variable; what varies is "…"."""
    names = ALL if frontend == "web" else TCP
    with side.talk(frontend) as talk:
        talk.send(data)
        if data.startswith((b"GET", b"HEAD")):
            time.sleep(0.05)
            talk.finish()
        talk.rest()
        port = talk.address.strip().rpartition(":")[2]
    lines = side.logged(1, client=port)
    assert len(lines) == 1
    values = dict(zip(names, lines[0].split(MARK), strict=True))
    for name in names:
        value = values[name].strip('"')
        if (name in KNOWN and value not in ("", "-")) or (name in TIMES and value != "-1"):
            values[name] = "…"
    return values


@pytest.mark.parametrize("name", SCENARIOS)
def test_variables_have_the_same_values(pair, name):
    theirs, ours = pair.both(lambda side: told(side, "web", SCENARIOS[name]))
    allowed = DIFFERS.get(name, set())
    assert {key: (value, ours[key]) for key, value in theirs.items() if ours[key] != value and key not in allowed} == {}


@pytest.mark.parametrize("name", ["full", "no answer", "too late", "nothing"])
def test_variables_have_the_same_values_in_tcp_mode(pair, name):
    theirs, ours = pair.both(lambda side: told(side, "tcp", SCENARIOS[name]))
    assert {key: (value, ours[key]) for key, value in theirs.items() if ours[key] != value} == {}


def test_an_upgrade_s_response_passes_rules_and_persistence(pair):
    """A WebSocket's client sticks to its server as any other does."""

    def scenario(side):
        with side.talk("web") as talk:
            talk.send(SCENARIOS["upgraded"])
            answer = talk.response()
            return answer.status, sorted((name, value.replace("Upgrade", "upgrade")) for name, value in answer.headers)

    theirs, ours = pair.both(scenario)
    assert ours == theirs and ("set-cookie", "K=s; path=/") in ours[1] and ("x-after", "yes") in ours[1]
