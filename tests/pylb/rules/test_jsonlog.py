"""JSON log lines: valid whatever clients send, whole or saying that they are not."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rules_world import REQUEST, exchange, messages, scope

from pylb.config.model import Address, Bind, BindTls, Capture, Frontend, LogTarget
from pylb.counters import ProxyCounters
from pylb.rules.captures import Captures
from pylb.rules.jsonlog import LEAST, compile_json
from pylb.rules.scope import Place

CAPTURES = (
    Capture("request", 5000, "User-Agent"), Capture("request", 9), Capture("response", 90, 'X-"odd" %d'),
    Capture("request", 40, "User-Agent"), Capture("cookie", 30, "SID"),
)  # fmt: skip
WIDE = (LogTarget("127.0.0.1:514", "local0", length=65535),)
DECLARED = Frontend("fe", mode="http", log=WIDE, captures=CAPTURES)


def logged(declared: Frontend = DECLARED, **attributes):
    x = exchange(REQUEST)
    x.frontend.name, x.frontend.model = declared.name, declared
    x.frontend.make_unique_id = lambda _x: b"id-1"
    x.backend = SimpleNamespace(name="bk", counters=ProxyCounters())
    x.server = SimpleNamespace(name="s1", counters=ProxyCounters(), address=Address(host="127.0.0.1", port=80))
    x.status, x.bytes_read, x.bytes_uploaded = 200, 101, 77
    x.dequeued, x.connected, x.responded, x.ended = 10.0025, 10.0055, 10.1, 10.2
    if declared.captures:
        Captures(declared.captures).request(x)
    for name, value in attributes.items():
        setattr(x, name, value)
    return x


def raw(declared: Frontend, x) -> bytes:
    where = scope(Place.LOG, proxy=declared)
    write = compile_json(declared, where)
    assert write is not None, messages(where)
    return write(x)


def line(declared: Frontend = DECLARED, x=None) -> dict:
    return json.loads(raw(declared, x or logged(declared)))


def test_the_members_of_an_http_line():
    assert line(replace(DECLARED, captures=())) == {
        "time": "2026-11-23T16:39:39.947Z", "client": "127.0.0.1", "client_port": 60180, "frontend": "fe",
        "backend": "bk", "server": "s1", "method": "GET", "path": "/a/b.html", "query": "q=1&b=%20x",
        "version": "HTTP/1.1", "status": 200, "bytes_read": 101, "bytes_uploaded": 77, "time_handshake": 0,
        "time_idle": 0, "time_request": 0, "time_queue": 2, "time_connect": 3, "time_response": 94, "time_active": 199,
        "termination": "----", "retries": 0, "redispatched": False, "process_connections": 1,
        "frontend_connections": 0, "backend_connections": 0, "server_connections": 0, "server_queue": 0,
        "backend_queue": 0,
    }  # fmt: skip


def test_the_members_of_a_tcp_line():
    declared = Frontend("fe", log=WIDE)
    members = line(declared, logged(declared))
    assert "path" not in members and "status" not in members
    assert (members["termination"], members["time_active"]) == ("--", 199)


def test_members_come_with_what_is_configured():
    declared = replace(
        DECLARED, logasap=True, unique_id_format="%ci", traceparent="span",
        binds=(Bind(Address(port=443), tls=BindTls(("x.pem",))),),
    )  # fmt: skip
    variables = {"txn.trace_id": b"ab" * 16, "txn.span_id": b"cd" * 8}
    tls = SimpleNamespace(version="TLSv1.3", cipher="AES", sni='ho"st')
    x = logged(declared, variables=variables, captured_request_cookie=b"SID=1")
    x.session.tls = tls
    members = line(declared, x)
    assert members["complete"] is False
    assert members["unique_id"] == "id-1"
    assert (members["trace_id"], members["span_id"], members["parent_id"]) == ("ab" * 16, "cd" * 8, None)
    assert (members["tls_version"], members["tls_cipher"], members["tls_name"]) == ("TLSv1.3", "AES", 'ho"st')
    assert (members["request_cookie"], members["response_cookie"]) == ("SID=1", None)
    assert members["request_headers"] == {"user-agent": "curl/7", "slot1": None, "user-agent#2": "curl/7"}
    assert members["response_headers"] == {'x-"odd" %d': None}


def test_what_was_not_reached_is_null():
    x = logged(
        head_received=None, request_line=b"\x16\x03\x01 binary", status=400, backend=None, server=None, dequeued=None,
        connected=None, responded=None, captured_request=None,
    )  # fmt: skip
    members = line(x=x)
    for name in ("method", "path", "query", "version", "backend", "server", "time_request", "time_queue",
                 "time_connect", "time_response"):  # fmt: skip
        assert members[name] is None, name
    assert (members["status"], members["request_headers"]["user-agent"]) == (400, None)
    assert line(x=logged(status=0))["status"] is None


HOSTILE = st.binary(max_size=60) | st.sampled_from(
    [b'"', b"\\", b"\\u0000", b"\xf0\x9f\x92\xa9", b"\xed\xa0\x80", b"</", b"\n{"]
)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_any_bytes_give_a_line_that_can_be_read(method, target, agent):
    x = logged(request_line=b" ".join((method, target, b"HTTP/1.1")), captured_request=[agent, target, None])
    written = raw(DECLARED, x)
    members = json.loads(written)
    assert written.isascii() and written.isprintable() if isinstance(written, str) else min(written) >= 0x20
    assert members["request_headers"]["user-agent"] == readable(agent)
    if b" " not in method + target:
        assert members["path"] + ("" if members["query"] is None else "?" + members["query"]) == readable_parts(target)


def readable(value: bytes) -> str:
    """The value as it was sent, or as ISO-8859-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def readable_parts(target: bytes) -> str:
    path, mark, query = target.partition(b"?")
    return readable(path) + mark.decode() + readable(query)


@given(st.integers(600, 3000), st.binary(max_size=4000), st.binary(max_size=4000))
def test_lines_fit_their_target_and_are_still_json(length, target, agent):
    declared = replace(DECLARED, log=(*WIDE, LogTarget("stdout", "local0", length=length)))
    x = logged(declared, request_line=b"GET /" + target + b" HTTP/1.1", captured_request=[agent, None, agent])
    written = raw(declared, x)
    assert len(written) <= length - 64
    members = json.loads(written)
    if len(target) > length or len(agent) > length:
        assert members["cut"] is True
    if "cut" in members and "path" in members:
        assert readable_parts(b"/" + target).startswith(members["path"] or "") or b" " in target or b"?" in target


def test_lines_that_never_fit_are_refused():
    narrow = replace(DECLARED, log=(LogTarget("stdout", "local0", length=LEAST),))
    where = scope(Place.LOG, proxy=narrow)
    assert compile_json(narrow, where) is None
    assert "too few for a JSON line (write len 8192" in messages(where)[0]


def test_structured_data_is_not_said_twice():
    twice = replace(DECLARED, log_format_sd="[x@1]")
    where = scope(Place.LOG, proxy=twice)
    assert compile_json(twice, where) is None
    assert "log-format-sd" in messages(where)[0]


@pytest.mark.parametrize("name", ['be"nd', "bäck\n", "%d"])
def test_names_of_the_configuration_are_strings_too(name):
    x = logged(backend=SimpleNamespace(name=name, counters=ProxyCounters()))
    assert line(x=x)["backend"] == name
