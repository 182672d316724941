"""What may be asked of log lines besides their format, beside the real program: samples, structured data, slots that
rules fill, lines written early, lines of connections that came to nothing, identifiers."""

from __future__ import annotations

import contextlib
import re
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
from haproxy_pair import Answer, connected, normal_line, running_pair
from same_cases import get, judge

pytestmark = pytest.mark.interop

CONFIG = r"""
global
    log "127.0.0.1:${LOG}" local3 debug
    log-tag lb

defaults
    mode http
    log global
    retries 0
    timeout connect 300ms
    timeout client 2s
    timeout server 2s
    timeout http-request 1s

frontend slots
    bind "127.0.0.1:${FE_slots}"
    declare capture request len 5
    declare capture response len 6
    capture request header User-Agent len 9
    http-request capture path len 12
    http-request capture str(abcdefgh) id 0 unless { path /none }
    http-request capture str(second) len 4 if { path /x }
    http-request set-var(txn.kept) path,capture-req(4),length
    http-request capture req.hdr(x-a) len 20
    http-request set-header X-Seen %[capture.req.hdr(2)]-%[capture.req.hdr(7)]
    http-response capture str(response) id 0
    log-format "%ci:%cp %{+Q}r %hr %hs %hrl %[capture.req.hdr(0)] %[var(txn.kept)]"
    default_backend slots

backend slots
    http-request capture req.hdr(x-b) id 2
    http-request capture str(nowhere) id 9
    server a "127.0.0.1:${SRV_a}"

frontend structured
    bind "127.0.0.1:${FE_structured}"
    no log
    log "127.0.0.1:${LOG}" format rfc5424 local1
    log "127.0.0.1:${LOG}" len 90 format rfc5424 local2
    log "127.0.0.1:${LOG}" local4
    capture request header X-A len 60
    option httplog
    log-format-sd "%{+Q,+E}o[request@32473 status=%ST target=%HU agent=%[capture.req.hdr(0)] cookie=%CC all=%hr] "
    default_backend app

frontend empty
    bind "127.0.0.1:${FE_empty}"
    no log
    log "127.0.0.1:${LOG}" format rfc5424 local1
    log-format "%ci:%cp %ST"
    log-format-sd "%[var(txn.none)]"
    default_backend app

frontend sampled
    bind "127.0.0.1:${FE_sampled}"
    no log
    log "127.0.0.1:${LOG}" sample 1,3-4:5 local1
    log "127.0.0.1:${LOG}" sample 2:3 local2 err
    option log-separate-errors
    log-format "%ci:%cp %ST %HU"
    http-request return status 500 if { path_beg /500 }
    default_backend app

frontend failing
    bind "127.0.0.1:${FE_failing}"
    option log-separate-errors
    error-log-format "failed %ci:%cp %ft %ST %{+Q}r %rc %ts %[fc_err] %[fc_err_str]"
    log-format "%ci:%cp %ST"
    use_backend dead if { path /dead }
    default_backend app

frontend early
    bind "127.0.0.1:${FE_early}"
    option logasap
    option httplog
    default_backend app

frontend early_tcp
    bind "127.0.0.1:${FE_early_tcp}"
    mode tcp
    option logasap
    option tcplog
    default_backend tcp

frontend plain
    bind "127.0.0.1:${FE_plain}"
    option httpslog
    default_backend app

frontend tls
    bind "127.0.0.1:${FE_tls}" ssl crt "CERTIFICATE"
    option httpslog
    default_backend app

frontend tls_failing
    bind "127.0.0.1:${FE_tls_failing}" ssl crt "CERTIFICATE"
    error-log-format "failed %ci:%cp %f %ac/%fc %[fc_err] %[fc_err_str] %{+Q}r %ts"
    default_backend app

frontend tls_client
    bind "127.0.0.1:${FE_tls_client}" ssl crt "CERTIFICATE" ca-file "CERTIFICATE" verify required
    error-log-format "failed %ci:%cp %f %[fc_err] %[fc_err_str]"
    default_backend app

frontend proxied
    bind "127.0.0.1:${FE_proxied}" accept-proxy
    error-log-format "failed %ci:%cp %f %ac/%fc %[fc_err] %[fc_err_str]"
    default_backend app

frontend tcp
    bind "127.0.0.1:${FE_tcp}"
    mode tcp
    tcp-request inspect-delay 1s
    tcp-request content reject unless { req.len gt 0 }
    tcp-request content capture req.len len 4
    tcp-request content capture str(longer) len 4
    log-format "%ci:%cp %hr %[capture.req.hdr(1)]"
    default_backend tcp

frontend kinds
    bind "127.0.0.1:${FE_kinds}"
    http-request capture src len 7
    http-request capture bool(true) len 4
    http-request capture int(-5) len 4
    http-request capture bin(00414280) len 3
    http-request capture path,length len 4
    http-request capture req.hdr(x-list),field(2,:) len 10
    http-request return status 200 hdr X-Seen %[capture.req.hdr(0)],%[capture.req.hdr(2),add(1)] if { path /own }
    declare capture response len 5
    http-response capture res.hdr(x-origin),upper id 0
    http-response set-header X-Slots %[capture.req.hdr(1)]%[capture.res.hdr(0)]
    log-format "%ci:%cp %hr %hs %[capture.res.hdr(0)] %[capture.req.hdr(3),hex]"
    default_backend app

frontend tagged
    bind "127.0.0.1:${FE_tagged}"
    log-tag "my tag"
    log "127.0.0.1:${LOG}" len 80 local6 info notice
    log-format "%ci:%cp %HU"
    default_backend app

frontend ids
    bind "127.0.0.1:${FE_ids}"
    unique-id-format "%{+X}o %ci:%cp_%fi:%fp_%[path,length]_%HM"
    unique-id-header X-Unique-ID
    log-format "%ci:%cp %ID %[unique-id,length]"
    http-request set-header X-From-Rule %[unique-id]
    http-request set-header X-Uuid %[uuid()]
    http-request set-header X-Uuid4 %[uuid(4)]
    default_backend app

frontend json
    bind "127.0.0.1:${FE_json}"
    capture request header User-Agent len 60
    log-format JSON
    default_backend app

frontend traced
    bind "127.0.0.1:${FE_traced}"
    acl traced req.hdr_cnt(traceparent) eq 1
    acl traced_well req.hdr(traceparent) -m reg ^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$
    acl traced_zero req.hdr(traceparent) -m reg ^00-(0{32}-|[0-9a-f]{32}-0{16}-)
    acl whole var(txn.traced) -m bool
    http-request set-var(txn.traced) bool(true) if traced traced_well !traced_zero
    http-request set-var(txn.trace_id) req.hdr(traceparent),field(2,-) if whole
    http-request set-var(txn.trace_id) uuid(),regsub(-,,g) unless whole
    http-request set-var(txn.span_id) uuid(),regsub(-,,g),bytes(16,16) unless whole
    http-request del-header tracestate unless whole
    http-request set-header traceparent 00-%[var(txn.trace_id)]-%[var(txn.span_id)]-01 unless whole
    log-format "%ci:%cp %[var(txn.trace_id)]"
    default_backend app

backend app
    server a "127.0.0.1:${SRV_a}"

backend dead
    server d "127.0.0.1:${DEAD}"

backend tcp
    mode tcp
    server a "127.0.0.1:${SRV_a}"
"""

JSON = (
    '\'{"client":"%ci:%cp","agent":"%[capture.req.hdr(0),json(utf8s)]","ascii":"%[capture.req.hdr(0),json(ascii)]",'
    '"fixed":"%[capture.req.hdr(0),json(utf8ps)]","method":%{+Q}HM,"path":"%[capture.req.uri,json(utf8s)]",'
    '"escaped":%{+Q,+E}[capture.req.hdr(0)],"target":%{+Q,+E}HU,"status":%ST,"none":%{+Q}[var(txn.none)]}\''
)

SLOW = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", b"cd"
ANSWERS = {"slow": Answer(list(SLOW), pause=0.4)}


def make_certificate(path: Path, name: str) -> None:
    command = [sys.executable, "-m", "pylb", "cert", name, "-o", str(path)]
    subprocess.run(command, capture_output=True, check=True, timeout=20)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    directory = tmp_path_factory.mktemp("options")
    certificate = directory / "cert.pem"
    make_certificate(certificate, "localhost")
    with running_pair(
        directory, CONFIG.replace("CERTIFICATE", str(certificate)).replace("JSON", JSON), ANSWERS
    ) as pair:
        yield pair


def asked(side, frontend: str, data: bytes) -> tuple[str, list[str]]:
    """The client's address and what is logged of it."""
    with side.talk(frontend) as talk:
        talk.send(data)
        talk.response()
    return talk.address, side.logged(1, client=talk.address)


def without_ports(line: str) -> str:
    return re.sub(r"(127\.0\.0\.1):\d+", r"\1:port", line)


@pytest.mark.parametrize("path", ["/", "/x", "/none", "/a-path-that-is-long"])
@pytest.mark.parametrize("fields", [(), ("X-A: a", "X-B: b|}"), ("User-Agent: a longer name", "X-B: " + "b" * 30)])
def test_slots_that_rules_fill(pair, path, fields):
    def scenario(side):
        _, lines = asked(side, "slots", get(path, *fields))
        return {"log": [without_ports(line) for line in lines], "seen": side.records()[0].get("x-seen")}

    judge(*pair.both(scenario))


@pytest.mark.parametrize("path", ["/", "/own"])
@pytest.mark.parametrize("fields", [(), ("X-List: a:b:c",), ("X-List: a",)])
def test_slots_take_samples_of_every_kind(pair, path, fields):
    def scenario(side):
        with side.talk("kinds") as talk:
            talk.send(get(path, *fields))
            answer = talk.response()
        lines = side.logged(1, client=talk.address.strip())
        return {
            "log": [without_ports(line) for line in lines],
            "seen": (answer.get("x-seen"), answer.get("x-slots")),
        }

    judge(*pair.both(scenario))


def test_a_frontends_own_tag_and_targets_beside_the_global_ones(pair):
    def scenario(side):
        with side.talk("tagged") as talk:
            talk.send(get("/" + "long" * 30))
            talk.response()
        found = datagrams(side, 2, b"my tag")
        texts = [re.sub(r">\w{3} [ \d]\d \d\d:\d\d:\d\d", ">stamp", raw.decode()) for raw in found]
        return {"log": sorted(re.sub(r"\[\d+\]: 127\.0\.0\.1:\d+ /[a-z]*", "", text) for text in texts),
                "cut": sorted(len(raw) for raw in found)[0]}  # fmt: skip

    judge(*pair.both(scenario))


def test_slots_in_tcp_mode(pair):
    def scenario(side):
        with side.talk("tcp") as talk:
            talk.send(get("/"))
            talk.response()
            talk.finish()
            talk.rest()
        return {"log": [without_ports(line) for line in side.logged(1, client=talk.address.strip())]}

    judge(*pair.both(scenario))


def datagrams(side, count: int, marker: bytes) -> list[bytes]:
    """What came to the log's port and holds the marker, without what no two runs have in common."""
    deadline = time.monotonic() + 8
    while True:
        found = [raw for raw in list(side.logs.raw) if marker in raw]
        if len(found) >= count or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    return found


def normal_datagram(raw: bytes) -> str:
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", "stamp", raw.decode("latin-1"))
    text = re.sub(r">\w{3} [ \d]\d \d\d:\d\d:\d\d", ">stamp", text)
    return normal_line(re.sub(r"lb(\[| )\d+", r"lb\1pid", text))


@pytest.mark.parametrize(
    "fields",
    [(), ("X-A: plain",), (r'X-A: a "quoted" ] and \ backslash',), ("X-A: caf\xe9",)],
    ids=["none", "plain", "escapes", "beyond ASCII"],
)
def test_structured_data(pair, fields):
    def scenario(side):
        with side.talk("structured") as talk:
            talk.send(get('/a"b]c', *fields))
            talk.response()
        lines = sorted(normal_datagram(raw) for raw in datagrams(side, 3, b"lb"))
        # the short one is cut at another byte, since ports and times differ in length
        return {"log": [line for line in lines if not line.startswith("<150>")], "lines": len(lines)}

    judge(*pair.both(scenario))


def test_structured_data_that_does_not_fit(pair):
    """docs/differences.md: structured_data_that_does_not_fit."""

    def scenario(side):
        with side.talk("structured") as talk:
            talk.send(get("/"))
            talk.response()
        (raw,) = [raw for raw in datagrams(side, 3, b"lb") if raw.startswith(b"<150>")]
        return normal_datagram(raw)

    theirs, ours = pair.both(scenario)
    assert theirs == "<150>1 stamp - lb pid - \n"
    assert ours.startswith("<150>1 stamp - lb pid - - 127.0.0.1:")


def test_structured_data_that_is_empty(pair):
    def scenario(side):
        with side.talk("empty") as talk:
            talk.send(get("/"))
            talk.response()
        return {"log": [without_ports(normal_datagram(raw)) for raw in datagrams(side, 1, b"lb")]}

    judge(*pair.both(scenario))


def test_samples(pair):
    def scenario(side):
        for number in range(12):
            with side.talk("sampled") as talk:
                talk.send(get(f"/{'500-' if number in (1, 2, 5, 6, 7) else ''}{number}"))
                talk.response()
        datagrams(side, 9, b"/")
        side.logged_before("plain", "")
        return {
            facility: [raw.split()[-1].decode() for raw in side.logs.raw if raw.startswith(facility)]
            for facility in (b"<142>", b"<139>", b"<150>", b"<147>")
        }

    theirs, ours = pair.both(scenario)
    assert theirs == ours
    assert sum(map(len, ours.values())) == 7 + 2


@pytest.mark.parametrize("data", [get("/"), get("/dead"), b"nonsense\r\n\r\n", b"G", b""])
def test_error_log_format(pair, data):
    def scenario(side):
        with side.talk("failing") as talk:
            if data:
                talk.send(data)
            if len(data) < 2:
                talk.finish()
            if data.startswith(b"GET"):
                talk.response()
            else:
                talk.rest()
        lines = side.logged(1, client=talk.address.strip())
        raw = [data for data in side.logs.raw if lines and lines[0].encode() in data]
        return {"log": [without_ports(line) for line in lines], "priority": [data[:5] for data in raw]}

    judge(*pair.both(scenario))


@pytest.mark.parametrize("frontend", ["tls_failing", "proxied"])
def test_error_log_format_before_there_is_a_session(pair, frontend):
    def scenario(side):
        with side.talk(frontend) as talk:
            talk.send(get("/"))
            talk.rest()
        return {"log": [without_ports(line) for line in side.logged(1, client=talk.address.strip())]}

    judge(*pair.both(scenario))


def test_error_log_format_for_a_certificate_of_nobody(pair, tmp_path):
    stranger = tmp_path / "stranger.pem"
    make_certificate(stranger, "stranger")

    def scenario(side):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(stranger)
        with connected(side.ports["tls_client"]) as plain:
            address = "{}:{}".format(*plain.getsockname())
            with contextlib.suppress(OSError), context.wrap_socket(plain) as sock:
                sock.recv(1000)
        return {"log": [without_ports(line) for line in side.logged(1, client=address)]}

    judge(*pair.both(scenario))


def test_lines_written_early(pair):
    """When the body is still on its way; only once."""

    def scenario(side):
        with side.talk("early") as talk:
            talk.send(get("/early", "Do: slow"))
            early = side.logged(1, client=talk.address.strip())
            came = len(talk.reader.data) if hasattr(talk.reader, "data") else 0
            answer = talk.response()
        lines = side.logged_before("plain", talk.address)
        return {"early": [normal_line(line) for line in early], "lines": len(lines), "body": answer.body, "came": came}

    judge(*pair.both(scenario))


def test_lines_of_failures_and_own_answers_with_logasap(pair):
    def scenario(side):
        with side.talk("early") as talk:
            talk.send(b"nonsense\r\n\r\n")
            talk.rest()
        return {"log": [normal_line(line) for line in side.logged(1, client=talk.address.strip())]}

    judge(*pair.both(scenario))


def test_early_lines_of_tcp(pair):
    def scenario(side):
        with side.talk("early_tcp") as talk:
            early = side.logged(1, client=talk.address.strip())
            talk.send(get("/"))
            talk.response()
        lines = side.logged_before("plain", talk.address)
        return {"early": [normal_line(line) for line in early], "lines": len(lines)}

    judge(*pair.both(scenario))


def test_httpslog_without_tls(pair):
    judge(*pair.both(lambda side: {"log": [normal_line(line) for line in asked(side, "plain", get("/"))[1]]}))


@pytest.mark.parametrize("name", [None, "localhost"])
def test_httpslog(pair, name):
    def scenario(side):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            connected(side.ports["tls"]) as plain,
            context.wrap_socket(plain, server_hostname=name) as sock,
        ):
            address = (
                "{}:{}".format(*plain.getsockname()) if plain.fileno() >= 0 else "{}:{}".format(*sock.getsockname())
            )
            sock.sendall(get("/"))
            sock.recv(1000)
        return {"log": [normal_line(line) for line in side.logged(1, client=address)]}

    judge(*pair.both(scenario))


def test_identifiers(pair):
    def scenario(side):
        _, lines = asked(side, "ids", get("/path"))
        (record,) = side.records()
        assert record.get("x-uuid") != record.get("x-uuid4")
        for name in ("x-uuid", "x-uuid4"):
            assert re.fullmatch(
                r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", record.get(name)
            )
        assert record.get("x-unique-id") == record.get("x-from-rule")
        same = [re.sub(r":[0-9A-F]{1,5}_", ":port_", line) for line in lines]
        return {"log": [without_ports(line) for line in same], "in the log": record.get("x-unique-id") in lines[0]}

    judge(*pair.both(scenario))


AGENTS = {
    "plain": "curl/7.88",
    "JSON's own": r'a "quoted" \ and / with	tab',
    "beyond ASCII": "caf\xc3\xa9 \xf0\x9f\x92\xa9",
    "no UTF-8": "caf\xe9 \xff \xc3",
    "too long": "\xc0\xaf \xe0\x80\xaf",
    "surrogate": "\xed\xa0\x80",
}


@pytest.mark.parametrize("agent", AGENTS.values(), ids=AGENTS)
def test_json_as_users_of_haproxy_write_it(pair, agent):
    def scenario(side):
        _, lines = asked(side, "json", get('/a"b\\c?d=1', f"User-Agent: {agent}"))
        return {"log": [without_ports(line) for line in lines]}

    judge(*pair.both(scenario))


GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACES = {
    "none": ((), False),
    "good": ((GOOD,), True),
    "upper case": ((GOOD.upper(),), False),
    "too long": ((GOOD + "-00",), False),
    "no trace": (("00-" + "0" * 32 + GOOD[35:],), False),
    "no parent": ((GOOD[:36] + "0" * 16 + "-01",), False),
    "twice": ((GOOD, GOOD), False),
    "nonsense": (("x",), False),
}


@pytest.mark.parametrize("fields,kept", TRACES.values(), ids=TRACES)
def test_a_trace_context_by_rules(pair, fields, kept):
    """docs/logs.md: the rules with which HAProxy's users do what `traceparent = "start"` does."""

    def scenario(side):
        lines = [f"traceparent: {field}" for field in fields]
        _, logged = asked(side, "traced", get("/", *lines, "tracestate: a=1"))
        (record,) = side.records()
        sent = [value for name, value in record.headers if name == "traceparent"]
        assert len(sent) == 1 and re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", sent[0]), sent
        assert sent[0].split("-")[1] == logged[0].split()[1]
        return {"kept": sent == [GOOD], "state": record.get("tracestate")}

    theirs, ours = pair.both(scenario)
    assert theirs == ours == {"kept": kept, "state": "a=1" if kept else None}
