"""What goes wrong goes wrong alike: malformed messages, cut ones, servers that refuse, are slow or full, clients that
are slow or leave. Statuses, endings, attempts, and the log's words about them."""

from __future__ import annotations

import re
import time

import differences as differ
import pytest
from haproxy_pair import Answer, Talk, normal_line, running_pair
from same_cases import Case, compare, describe, get, judge

pytestmark = pytest.mark.interop

CONFIG = r"""
global
    log "127.0.0.1:${LOG}" local0
    tune.bufsize 16384

defaults
    mode http
    log global
    option httplog
    option http-keep-alive
    retries 2
    timeout connect 200ms
    timeout client 500ms
    timeout server 400ms
    timeout http-request 300ms
    timeout http-keep-alive 200ms
    timeout queue 300ms
    timeout tunnel 400ms

frontend web
    bind "127.0.0.1:${FE_web}"
    default_backend app

frontend quiet
    bind "127.0.0.1:${FE_quiet}"
    option dontlognull
    default_backend app

frontend buffered
    bind "127.0.0.1:${FE_buffered}"
    option http-buffer-request
    timeout http-request 5s
    timeout client 5s
    default_backend app

frontend strict_client
    bind "127.0.0.1:${FE_slow_client}"
    timeout client 300ms
    default_backend slower

backend app
    server a "127.0.0.1:${SRV_a}"

backend slower
    timeout server 1s
    server a "127.0.0.1:${SRV_a}"

backend patient
    timeout server 3s
    server a "127.0.0.1:${SRV_a}"

frontend refused
    bind "127.0.0.1:${FE_refused}"
    default_backend dead

backend dead
    server dead "127.0.0.1:${DEAD}"

frontend refused_once
    bind "127.0.0.1:${FE_refused_once}"
    default_backend dead_once

backend dead_once
    retries 0
    server dead "127.0.0.1:${DEAD}"

frontend hole
    bind "127.0.0.1:${FE_hole}"
    default_backend hole

backend hole
    retries 1
    server hole "127.0.0.1:${HOLE}"

frontend redispatch
    bind "127.0.0.1:${FE_redispatch}"
    default_backend redispatch

backend redispatch
    option redispatch
    cookie S insert indirect
    server dead "127.0.0.1:${DEAD}" cookie dead
    server a "127.0.0.1:${SRV_a}" cookie a

frontend stubborn
    bind "127.0.0.1:${FE_stubborn}"
    default_backend stubborn

backend stubborn
    cookie S insert indirect
    server dead "127.0.0.1:${DEAD}" cookie dead
    server a "127.0.0.1:${SRV_a}" cookie a

frontend retrying
    bind "127.0.0.1:${FE_retrying}"
    default_backend retrying

backend retrying
    retry-on 404 503 empty-response junk-response response-timeout conn-failure
    server a "127.0.0.1:${SRV_a}"

frontend nobackend
    bind "127.0.0.1:${FE_nobackend}"

frontend noserver
    bind "127.0.0.1:${FE_noserver}"
    default_backend noserver

backend noserver
    server off "127.0.0.1:${SRV_off}" disabled

frontend full
    bind "127.0.0.1:${FE_full}"
    default_backend full

backend full
    timeout server 3s
    server one "127.0.0.1:${SRV_one}" maxconn 1

frontend narrow
    bind "127.0.0.1:${FE_narrow}"
    maxconn 1
    default_backend patient

listen abort
    bind "127.0.0.1:${FE_abort}"
    option abortonclose
    timeout server 3s
    timeout queue 3s
    server one "127.0.0.1:${SRV_two}" maxconn 1

frontend tunnels
    bind "127.0.0.1:${FE_tunnels}"
    default_backend app

frontend tcp
    bind "127.0.0.1:${FE_tcp}"
    mode tcp
    option tcplog
    timeout client 300ms
    default_backend tcp

backend tcp
    mode tcp
    timeout server 300ms
    server a "127.0.0.1:${SRV_a}"

frontend tcp_refused
    bind "127.0.0.1:${FE_tcp_refused}"
    mode tcp
    option tcplog
    default_backend tcp_dead

backend tcp_dead
    mode tcp
    retries 1
    server dead "127.0.0.1:${DEAD}"
"""


def again(first: Answer):
    """The answer of the first time; ever after "again"."""
    seen: set[tuple[str | None, int]] = set()

    def answer(sock, request):
        label = request.get("label"), sock.getsockname()[1]
        if label in seen:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain")
            return "keep"
        seen.add(label)
        time.sleep(first.pause)
        sock.sendall(first.data)
        return first.then

    return answer


def text(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"".join(field + b"\r\n" for field in fields)
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), head, body)


def upgraded(sock, request):
    """A tunnel whose far end echoes."""
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    while data := sock.recv(65536):
        sock.sendall(b"echo " + data)
    return "close"


MALFORMED_ANSWERS = {
    "nothing": Answer(b"", "close"),
    "nothing, reset": Answer(b"", "reset"),
    "no HTTP": Answer(b"220 ready\r\n\r\n", "close"),
    "half a head": Answer(b"HTTP/1.1 200 OK\r\nContent-", "close"),
    "HTTP/2.0": Answer(b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "HTTP/1.2": Answer(b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "letters for a status": Answer(b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n"),
    "four digits": Answer(b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
    "status 099": Answer(b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"),
    "a space before the colon": Answer(text(b"", b"X-A : 1")),
    "a folded field": Answer(text(b"", b"X-A: 1\r\n 2")),
    "a field without a name": Answer(text(b"", b": 1")),
    "no colon": Answer(text(b"", b"nothing")),
    "NUL": Answer(text(b"", b"X-A: a\0b")),
    "two lengths": Answer(text(b"", b"Content-Length: 1")),
    "a signed length": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"),
    "a length of letters": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello"),
    "a length of 2^64": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nhello", "close"),
    "a bare LF": Answer(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "close"),
    "a bare CR": Answer(text(b"", b"X-A: a\rb")),
    "an endless head": Answer(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 40_000 + b"\r\n\r\n", "close"),
    "101 unasked": Answer(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "close"),
    "chunked in HTTP/1.0": Answer(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "close"),
    "gzip, chunked": Answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "length and chunked": Answer(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
}  # fmt: skip
CUT_ANSWERS = {
    "length, closed": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "close"),
    "length, reset": Answer([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", b""], "reset", pause=0.05),
    "length, silence": Answer([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", b"world"], pause=0.6),
    "chunked, closed": Answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "close"),
    "chunked, closed in a chunk": Answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello", "close"),
    "chunked, closed in the trailers": Answer(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-A", "close"),
    "chunked, nonsense": Answer(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nhello\r\n0\r\n\r\n", "close"),
    "until close, reset": Answer([b"HTTP/1.1 200 OK\r\n\r\nhello", b""], "reset", pause=0.05),
}  # fmt: skip
ANSWERS = {
    **MALFORMED_ANSWERS,
    **CUT_ANSWERS,
    "late": Answer(text(b"late"), pause=0.15),
    "too late": Answer(text(b"late"), pause=0.7),
    "at work": Answer([b"HTTP/1.1 102 Processing\r\n\r\n"] * 2 + [text(b"done")], pause=0.25),
    "half a head": Answer([b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", b"Content-Length: 0\r\n\r\n"], pause=0.25),
    "big": Answer(text(b"x" * 30_000_000)),
    "upgrade": upgraded,
    "again 404": again(Answer(text(b"", status=b"404 Not Found"))),
    "again 503": again(Answer(text(b"", status=b"503 Busy"))),
    "again 500": again(Answer(text(b"", status=b"500 Oops"))),
    "again empty": again(Answer(b"", "close")),
    "again junk": again(Answer(b"junk\r\n\r\n", "close")),
    "again late": again(Answer(text(b"late"), pause=0.6)),
}

FORM = ("Content-Length: 5",)
BAD_REQUESTS = {
    "no HTTP": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no version": b"GET /\r\n\r\n",
    "HTTP/0.9 with a version": b"GET / HTTP/0.9\r\n\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "lower-case http": b"GET / http/1.1\r\nHost: a\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method with a colon": b"G:T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a control in the target": b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    "beyond ASCII in the target": b"GET /caf\xe9 HTTP/1.1\r\nHost: a\r\n\r\n",
    "no slash": b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment": b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "the same Host twice": b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "an invalid Host": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a Host of nothing": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "another authority": b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space before the colon": get("/", "X-A : 1"),
    "a folded field": get("/", "X-A: 1\r\n 2"),
    "a first field that is folded": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "no colon": get("/", "nothing"),
    "no name": get("/", ": 1"),
    "a name with a space": get("/", "X A: 1"),
    "NUL": get("/", "X-A: a\0b"),
    "a bare CR": get("/", "X-A: a\rb"),
    "bare LFs": b"GET / HTTP/1.1\nHost: a\n\n",
    "one bare LF": b"GET / HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n",
    "a control": get("/", "X-A: a\x01b"),
    "two lengths": get("/", "Content-Length: 5", "Content-Length: 6", method="POST") + b"hello",
    "the same length twice": get("/", *FORM, *FORM, method="POST") + b"hello",
    "a list of lengths": get("/", "Content-Length: 5, 5", method="POST") + b"hello",
    "a list of different lengths": get("/", "Content-Length: 5, 6", method="POST") + b"hello",
    "a signed length": get("/", "Content-Length: +5", method="POST") + b"hello",
    "a negative length": get("/", "Content-Length: -5", method="POST") + b"hello",
    "no length in Content-Length": get("/", "Content-Length:", method="POST") + b"hello",
    "a length with zeros": get("/", "Content-Length: 005", method="POST") + b"hello",
    "a length of 2^64": get("/", "Content-Length: 18446744073709551616", method="POST"),
    "length and chunked": get("/", *FORM, "Transfer-Encoding: chunked", method="POST") + b"0\r\n\r\n",
    "chunked in HTTP/1.0": get("/", "Transfer-Encoding: chunked", method="POST", version="1.0") + b"0\r\n\r\n",
    "gzip, chunked": get("/", "Transfer-Encoding: gzip, chunked", method="POST") + b"0\r\n\r\n",
    "chunked, gzip": get("/", "Transfer-Encoding: chunked, gzip", method="POST") + b"0\r\n\r\n",
    "chunked twice": get("/", "Transfer-Encoding: chunked, chunked", method="POST") + b"0\r\n\r\n",
    "xchunked": get("/", "Transfer-Encoding: xchunked", method="POST") + b"0\r\n\r\n",
    "identity": get("/", "Transfer-Encoding: identity", method="POST") + b"0\r\n\r\n",
    "chunked with a vertical tab": get("/", "Transfer-Encoding: \x0bchunked", method="POST") + b"0\r\n\r\n",
    "a chunk size of letters": get("/", "Transfer-Encoding: chunked", method="POST") + b"xyz\r\n",
    "a chunk size of 2^64": get("/", "Transfer-Encoding: chunked", method="POST") + b"10000000000000000\r\n",
    "a chunk without its end": get("/", "Transfer-Encoding: chunked", method="POST") + b"2\r\nabcd\r\n0\r\n\r\n",
    "a signed chunk size": get("/", "Transfer-Encoding: chunked", method="POST") + b"+2\r\nab\r\n0\r\n\r\n",
    "a chunk line with a bare LF": get("/", "Transfer-Encoding: chunked", method="POST") + b"2\nab\r\n0\r\n\r\n",
    "a long target": get("/" + "a" * 20_000),
    "a long field": get("/", "X-A: " + "a" * 20_000),
    "200 fields": get("/", *["X-A: 1"] * 200),
    "CONNECT": b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
    "CONNECT without a port": b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n",
    "an asterisk for GET": get("*"),
    "a body in an HTTP/1.0 GET": get("/", *FORM, version="1.0") + b"hello",
}


BAD = (differ.malformed_requests,)
IN_BODY = (differ.body_errors_are_the_requests,)
TREATED = {
    **dict.fromkeys(
        ("HTTP/0.9 with a version", "two spaces", "no slash", "no Host", "the same Host twice", "an invalid Host",
         "a folded field", "NUL", "bare LFs", "one bare LF", "a control", "a length of 2^64", "length and chunked",
         "chunked in HTTP/1.0", "an asterisk for GET"), BAD),
    **dict.fromkeys(
        ("a chunk size of letters", "a chunk size of 2^64", "a chunk without its end", "a signed chunk size",
         "a chunk line with a bare LF"), IN_BODY),
    "HTTP/2.0": (differ.unknown_version,),
    "the preface of HTTP/2": (differ.unknown_version,),
    "gzip, chunked": (differ.unknown_coding,),
    "a length with zeros": (differ.canonical_length,),
    "another authority": (differ.authority_wins,),
    "a long target": (differ.long_target,),
    "a long field": (differ.large_fields,),
    "200 fields": (differ.large_fields,),
    "CONNECT": (differ.connect_host,),
}  # fmt: skip
BAD_ANSWER = (differ.malformed_responses,)
ANSWERS_TREATED = {
    **dict.fromkeys(
        ("HTTP/2.0", "four digits", "status 099", "a folded field", "NUL", "a length of 2^64", "chunked in HTTP/1.0"),
        BAD_ANSWER),
    "a bare LF": (differ.bare_line_feeds_in_responses,),
    "too late": (differ.reason_phrases,),
    "half a head": (differ.reason_phrases,),
    "length, silence": (differ.reason_phrases,),
    "chunked, nonsense": (differ.starts_at_once,),
    "until close, reset": (differ.reset_is_no_end,),
}  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with running_pair(tmp_path_factory.mktemp("failures"), CONFIG, ANSWERS) as pair:
        yield pair


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_malformed_requests(pair, name):
    def scenario(side):
        with side.talk("web") as talk:
            talk.send(BAD_REQUESTS[name])
            answer = talk.response()
            status = answer if isinstance(answer, str) else answer.status
            wanted = 0 if side.name == "haproxy" and name == "the preface of HTTP/2" else 1
            lines = [normal_line(line) for line in side.logged(wanted, client=talk.address)]
        return {"status": status, "log": lines, "backend": [record.seen for record in side.records()]}

    judge(*pair.both(scenario), TREATED.get(name, ()))


@pytest.mark.parametrize("do", [*MALFORMED_ANSWERS, "too late", "late", "at work", "half a head"])
def test_malformed_or_late_answers(pair, do):
    compare(pair, Case(do, get("/", f"Do: {do}"), "web", differs=ANSWERS_TREATED.get(do, ())))


def test_to_wait_for_a_body_takes_no_time_of_the_servers(pair):
    """But of the request: it is part of %TR."""

    def scenario(side):
        with side.talk("buffered") as talk:
            talk.send(get("/", "Do: late", "Content-Length: 5", method="POST"))
            time.sleep(0.6)
            talk.send(b"hello")
            answer = talk.response()
            (line,) = side.logged(1, client=talk.address)
        times = next(word for word in line.split() if word.count("/") == 4)
        return {"status": answer.status, "all of it": int(times.partition("/")[0]) >= 590}

    theirs, ours = pair.both(scenario)
    assert theirs == ours == {"status": 200, "all of it": True}


@pytest.mark.parametrize("do", CUT_ANSWERS)
def test_a_cut_response_never_looks_whole(pair, do):
    compare(pair, Case(do, get("/", f"Do: {do}"), "web", differs=ANSWERS_TREATED.get(do, ())))


@pytest.mark.parametrize("frontend", ["refused", "refused_once", "hole", "nobackend", "noserver"])
def test_servers_that_cannot_be_reached(pair, frontend):
    differs = {"hole": (differ.answers_every_request,), "nobackend": (differ.request_time_is_known,)}
    compare(pair, Case(frontend, get("/"), frontend, differs=differs.get(frontend, ())))


@pytest.mark.parametrize("frontend", ["redispatch", "stubborn"])
def test_the_server_of_the_cookie_is_dead(pair, frontend):
    compare(pair, Case(frontend, get("/", "Cookie: S=dead"), frontend))


@pytest.mark.parametrize("what", ["404", "503", "500", "empty", "junk", "late"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_retry_on(pair, what, method):
    request = get("/", f"Do: again {what}", f"Label: {method}", *FORM, method=method) + b"hello"
    compare(pair, Case(what, request, "retrying"))


SILENCE = {
    "nothing": (b"", "web"),
    "nothing, nothing logged": (b"", "quiet"),
    "half a request": (b"GET / HTTP/1.1\r\nHo", "web"),
    "half a request, nothing else logged": (b"GET / HTTP/1.1\r\nHo", "quiet"),
    "half a body": (get("/", *FORM, method="POST") + b"he", "slow_client"),
    "half a chunked body": (get("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhe", "slow_client"),
}


@pytest.mark.parametrize("name", SILENCE)
def test_clients_that_fall_silent(pair, name):
    data, frontend = SILENCE[name]
    logs = 0 if "nothing logged" in name else 1
    differs = (differ.slow_bodies if "body" in name else differ.reason_phrases,)
    compare(pair, Case(name, data, frontend, logs=logs, differs=differs))


@pytest.mark.parametrize("name", [name for name in SILENCE if "body" not in name])
def test_clients_that_leave_before_their_request_is_whole(pair, name):
    data, frontend = SILENCE[name]

    def scenario(side):
        with side.talk(frontend) as talk:
            talk.send(data)
            talk.finish()
            rest = talk.rest()
            lines = side.logged(0 if "nothing logged" in name else 1, client=talk.address)
        return {"rest": rest[0][:12], "end": rest[1], "log": [normal_line(line) for line in lines]}

    judge(*pair.both(scenario), (differ.no_answer_for_who_left,))


@pytest.mark.parametrize("name", [name for name in SILENCE if "body" in name])
def test_clients_that_leave_in_a_body(pair, name):
    """HAProxy's letters depend on what it noticed first (CR, CH, CD, CL) and its status is -1; here: the client's fault
    on both sides, and the server's connection ends."""
    data, frontend = SILENCE[name]

    def scenario(side):
        with side.talk(frontend) as talk:
            talk.send(data)
            talk.finish()
            rest = talk.rest()
            (line,) = side.logged(1, client=talk.address)
        return {"rest": rest, "fault": re.search(r" - - (.)[RHDL]-- ", line)[1]}

    judge(*pair.both(scenario))


def test_dripping_bytes_do_not_extend_the_time_for_a_request(pair):
    def scenario(side):
        with side.talk("web") as talk:
            start = time.monotonic()
            for byte in b"GET / HTTP/1.1\r\nHost: www\r\n":
                talk.send(bytes([byte]))
                time.sleep(0.025)
                if time.monotonic() - start > 0.6:
                    break
            answer = talk.response()
            return describe([answer]) | {"log": [normal_line(line) for line in side.logged(1, client=talk.address)]}

    judge(*pair.both(scenario), (differ.reason_phrases,))


def test_a_kept_connection_that_stays_silent_just_ends(pair):
    compare(pair, Case("silent", get("/"), "web", wait=True))


def test_half_of_a_second_request_gets_408(pair):
    compare(
        pair, Case("half", get("/") + b"GET /half", "web", ("GET", "GET"), wait=True, differs=(differ.reason_phrases,))
    )


def hold_server(side, frontend: str, do: str = "late") -> Talk:
    """A request that takes its time at the server."""
    talk = side.talk(frontend)
    talk.send(get("/first", f"Do: {do}"))
    deadline = time.monotonic() + 5
    while not side.records() and time.monotonic() < deadline:
        time.sleep(0.005)
    return talk


@pytest.mark.parametrize("do", ["late", "too late"])
def test_a_full_server_has_a_queue_with_a_timeout(pair, do):
    """The first one's line is left out: whether the second counts as the server's connection by then is a matter of
    microseconds."""

    def scenario(side):
        with hold_server(side, "full", do) as first, side.talk("full") as second:
            second.send(get("/second"))
            answers = [second.response(), first.response()]
            lines = [normal_line(line) for line in side.logged(1, client=second.address)]
        return describe(answers) | {"log": lines}

    judge(*pair.both(scenario))


def test_a_full_frontend_lets_clients_wait(pair):
    def scenario(side):
        with hold_server(side, "narrow") as first, side.talk("narrow") as second:
            second.send(get("/second"))
            answers = [first.response()]
            first.sock.close()
            answers.append(second.response())
        return describe(answers) | {"backend": [record.seen for record in side.records()]}

    judge(*pair.both(scenario))


def test_a_client_that_leaves_the_queue_is_not_served(pair):
    def scenario(side):
        with hold_server(side, "abort", "too late") as first, side.talk("abort") as second:
            second.send(get("/second"))
            time.sleep(0.1)
            second.finish()
            lines = [normal_line(line) for line in side.logged(1, client=second.address)]
            answers = [first.response()]
        return describe(answers) | {"log": lines, "backend": [record.line for record in side.records()]}

    judge(*pair.both(scenario))


@pytest.mark.parametrize("way", ["finish", "reset"])
def test_a_client_that_leaves_while_the_server_thinks(pair, way):
    def scenario(side):
        with hold_server(side, "web", "late") as talk:
            getattr(talk, way)()
            answers = [talk.response()] if way == "finish" else []
            lines = [normal_line(line) for line in side.logged(1, client=talk.address)]
        return describe(answers) | {"log": lines}

    judge(*pair.both(scenario), (differ.gives_up_for_who_left,) if way == "reset" else ())


def test_a_client_that_does_not_read_is_dropped(pair):
    def scenario(side):
        with side.talk("slow_client") as talk:
            talk.send(get("/", "Do: big"))
            lines = [normal_line(line) for line in side.logged(1, client=talk.address)]
            answer = talk.response()
        return {"end": answer if isinstance(answer, str) else answer.end != "", "log": lines}

    judge(*pair.both(scenario))


def test_a_tunnel_carries_bytes_until_its_timeout(pair):
    def scenario(side):
        with side.talk("tunnels") as talk:
            talk.send(get("/", "Do: upgrade", "Connection: Upgrade", "Upgrade: echo"))
            answer = talk.response()
            talk.send(b"one")
            echoes = [talk.reader.exactly(8)]
            time.sleep(0.25)
            talk.send(b"two")
            echoes.append(talk.reader.exactly(8))
            start = time.monotonic()
            rest = talk.rest()
            took = time.monotonic() - start
            lines = [normal_line(line) for line in side.logged(1, client=talk.address)]
        return describe([answer]) | {
            "echoes": echoes, "rest": rest, "in time": 0.2 < took < 2, "log": lines,
            "backend": [record.seen for record in side.records()],
        }  # fmt: skip

    judge(*pair.both(scenario))


@pytest.mark.parametrize("way", ["finish", "reset", "silence", "answer"])
def test_tcp_connections_end_alike(pair, way):
    def scenario(side):
        with side.talk("tcp") as talk:
            outcome = {}
            if way == "answer":
                talk.send(get("/", "Do: length, closed"))
                outcome["rest"] = talk.rest()
            else:
                talk.send(get("/"))
                outcome["answer"] = describe([talk.response()])
                if way != "silence":
                    getattr(talk, way)()
                if way != "reset":
                    outcome["rest"] = talk.rest()
            outcome["log"] = [normal_line(line) for line in side.logged(1, client=talk.address)]
        return outcome

    judge(*pair.both(scenario))


def test_tcp_to_a_dead_server(pair):
    def scenario(side):
        with side.talk("tcp_refused") as talk:
            talk.send(b"hello")
            end = talk.rest()[0]
            return {"end": end, "log": [normal_line(line) for line in side.logged(1, client=talk.address)]}

    judge(*pair.both(scenario))
