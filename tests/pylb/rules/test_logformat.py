"""Log lines byte by byte as HAProxy 2.6 wrote them for the same exchange, and texts of rules."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rules_world import exchange, messages, scope, text

from pylb.config.model import Address, Capture, Frontend
from pylb.counters import ProxyCounters
from pylb.rules.captures import Captures
from pylb.rules.logformat import compile_log, compile_text
from pylb.rules.scope import Place

CAPTURES = (
    Capture("request", 20, "User-Agent"), Capture("request", 20, "X-Foo"), Capture("request", 10, "X-No"),
    Capture("response", 30, "X-Resp"), Capture("response", 2, "Server"), Capture("cookie", 20, "SID"),
)  # fmt: skip
REQUEST = (
    b'GET /a/b?x=1&y="2" HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: cu"r]l\\7\r\nX-Foo: \xe9 b{}|\r\n'
    b"Cookie: SID=zz; k=v\r\n\r\n"
)
RESPONSE = (
    b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Resp: a"b]c\\d\r\nServer: x y\r\nSet-Cookie: SID=abc; path=/\r\n\r\n'
)


def logged(captures: tuple[Capture, ...] = CAPTURES, mode: Any = "http", **attributes: Any) -> Any:
    """The exchange whose lines HAProxy wrote."""
    x = exchange(REQUEST, RESPONSE)
    x.session.dst, x.session.dst_port = "127.0.0.1", 80
    x.frontend.name, x.frontend.model = "fe", Frontend("fe", mode=mode, captures=captures)
    x.frontend.counters.scur = 1
    x.backend = SimpleNamespace(name="bk", counters=ProxyCounters())
    x.server = SimpleNamespace(name="s1", counters=ProxyCounters(), address=Address(host="127.0.0.1", port=4660))
    x.status, x.bytes_read = 200, 101
    x.variables = {"txn.i": 255, "txn.nl": b"AcB\xff~"}
    x.dequeued = x.connected = x.responded = x.ended = 10.0
    if captures:
        Captures(captures).request(x)
        Captures(captures).response(x)
    for name, value in attributes.items():
        setattr(x, name, value)
    return x


def line(format: str, x: Any | None = None) -> str:
    """The line of a format, as text."""
    x = x or logged()
    where = scope(Place.LOG, proxy=x.frontend.model)
    write = compile_log(format, where)
    assert write is not None, messages(where)
    return write(x).decode("latin-1")


HTTP = "127.0.0.1:60180 [23/Nov/2026:16:39:39.947] fe bk/s1 0/0/0/0/0 200 101 SID=zz SID=abc ---- 1/1/0/0/0 0/0 "
HTTP_CAPTURES = '{cu#22r]l\\7|#E9 b#7B#7D#7C|} {a#22b]c\\d|x } "GET /a/b?x=1&y=#222#22 HTTP/1.1"'


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    import time

    from pylb.rules.logfields import local_date, zoned_date

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    local_date.cache_clear()
    zoned_date.cache_clear()
    yield
    monkeypatch.undo()
    time.tzset()
    local_date.cache_clear()
    zoned_date.cache_clear()


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        ("httplog", HTTP + HTTP_CAPTURES),
        ("httpslog", HTTP + HTTP_CAPTURES + " 0/-/-/-/0 -/-/-"),
        ("tcplog", "127.0.0.1:60180 [23/Nov/2026:16:39:39.947] fe bk/s1 0/0/0 101 -- 1/1/0/0/0 0/0"),
        (
            "clf",
            '127.0.0.1 - - [23/Nov/2026:16:39:39 +0000] "GET /a/b?x=1&y=#222#22 HTTP/1.1" 200 101 "" "" 60180 947 "fe" '
            '"bk" "s1" 0 0 0 0 0 ---- 1 1 0 0 0 0 0 "SID=zz" "SID=abc" "cu#22r]l\\7" "#E9 b#7B#7D#7C" "" "a#22b]c\\d" '
            '"x "',
        ),
        (" a  b %ci %% %HM|%HP|%HPO", "a b 127.0.0.1 % GET|/a/b|/a/b"),
        ("%HQ|%HU|%HV|%r|%ST|%B", "?x=1&y=#222#22|/a/b?x=1&y=#222#22|HTTP/1.1|GET /a/b?x=1&y=#222#22 HTTP/1.1|200|101"),
        ("%ts|%tsc|%b|%f|%ft|%s|%CC|%CS", "--|----|bk|fe|fe|s1|SID=zz|SID=abc"),
        ("%hrl|%hsl", "cu#22r]l\\7 #E9 b#7B#7D#7C -|a#22b]c\\d x "),
        ("%rc|%sq|%bq|%bc|%sc|%fc|%ac|%ID|%sslv|%sslc", "0|0|0|0|0|1|1|-|-|-"),
        (
            "%{+Q}r %{+Q}HM %{+Q}hr %{+Q}ID %{+Q}ci %{+Q}cp %{+Q}ST %{+Q}b %{+Q}ts %{+Q}HQ %{+Q}Tr %{+Q}sslv",
            '"GET /a/b?x=1&y=#222#22 HTTP/1.1" "GET" "{cu#22r]l\\7|#E9 b#7B#7D#7C|}" "" "127.0.0.1" 60180 200 "bk" -- '
            '"?x=1&y=#222#22" 0 ""',
        ),
        (
            "%{+E}hr %{+E}hrl %{+E}HM",
            "{cu#22r\\]l\\\\7|#E9 b#7B#7D#7C|} cu#22r\\]l\\\\7 #E9 b#7B#7D#7C - GET",
        ),
        (
            "%{+X}ci:%{+X}cp %{+X}fi %{+X}fp %{+X}si %{+X}sp %{+X}ST %{+X}B %{+X}rc %{+X}Ts %{+X}ms %{+X}HM",
            "7F000001:EB14 7F000001 0050 7F000001 1234 200 101 0 6B046C4B 3B3 GET",
        ),
        (
            "%{+Q}o %ci %{-Q}r %[capture.req.hdr(0)] %{-Q}o %{+E,+Q}hr %[src] %{+X}[var(txn.i)] %{+Q}[var(txn.no)]",
            '"127.0.0.1" GET /a/b?x=1&y=#222#22 HTTP/1.1 "cu"r]l\\7" "{cu#22r\\]l\\\\7|#E9 b#7B#7D#7C|}" 127.0.0.1 255 '
            '""',
        ),
        ("%[var(txn.no)] %{+E}[capture.req.hdr(0)] %[var(txn.nl)]", '- cu\\"r\\]l\\\\7 AcB\xff~'),
        ("%o%HM%o %{+Q,-E}o%HM", 'GET "GET"'),
        ("%T %t %tr %trg", "23/Nov/2026:16:39:39 +0000 23/Nov/2026:16:39:39.947 23/Nov/2026:16:39:39.947 "
         "23/Nov/2026:16:39:39 +0000"),
        ("%Ts %ms %bi %bp %[be_name] %[srv_name] %[method]", "1795451979 947 - - bk s1 GET"),
        ("%[capture.req.uri]", '/a/b?x=1&y="2"'),
    ],
)  # fmt: skip
def test_lines_are_haproxys(format, expected):
    assert line(format) == expected


def bad_request() -> Any:
    """What is left of an exchange whose request was no HTTP."""
    return logged(
        (Capture("request", 20, "User-Agent"),), backend=None, server=None, status=400, bytes_read=0, termination=b"PR",
        head_received=None, dequeued=None, connected=None, responded=None, captured_request=None,
        request_line=b"GARBAGE",
    )  # fmt: skip


def test_a_bad_request_has_no_times_and_no_captures():
    assert line("httplog", bad_request()) == (
        '127.0.0.1:60180 [23/Nov/2026:16:39:39.947] fe fe/<NOSRV> -1/-1/-1/-1/0 400 0 - - PR-- 1/1/0/0/0 0/0 "<BADREQ>"'
    )
    assert line("%HM %HP %HQ %HU %HV %r %TR %Tq %{+Q}CC %HPO %si %sp", bad_request()) == (
        "<BADREQ> <BADREQ> <BADREQ> <BADREQ> <BADREQ> <BADREQ> -1 -1 \"\" <BADREQ> - -"
    )  # fmt: skip
    assert line("%hr|%hrl|%{+Q}hr|%{+Q}hrl", bad_request()) == "|||"


def test_headers_without_captures_leave_one_blank():
    assert line("a  %hr b %hrl c", logged(())) == "a b c"
    assert line("a  %hr b %hrl c", bad_request()) == "a b c"
    assert line("a%hr b", bad_request()) == "a b"


def test_a_request_without_captured_fields_has_empty_braces():
    nothing = logged(captured_request=[None, None, None], captured_response=None)
    assert line("%hr %hs", nothing) == "{||} {|}"


def test_timers_add_up_and_are_cut_to_milliseconds():
    x = logged(
        head_received=10.0019, dequeued=10.0031, connected=10.0105, responded=10.0209, ended=10.0999, idle=1.5,
        handshake=0.25,
    )  # fmt: skip
    assert line("%TR/%Tw/%Tc/%Tr/%Ta %Th %Ti %Tq %Tt %Tu %Td", x) == "1/2/7/10/99 250 1500 1751 1849 349 79"


def test_what_was_not_reached_is_minus_one():
    denied = logged(dequeued=None, connected=None, responded=None, server=None, status=403, termination=b"PR")
    assert line("%TR/%Tw/%Tc/%Tr/%Ta %Td %s", denied) == "0/-1/-1/-1/0 -1 <NOSRV>"
    refused = logged(connected=None, responded=None, dequeued=10.002, ended=10.003, retries=3, redispatched=True)
    assert line("%TR/%Tw/%Tc/%Tr/%Ta %rc", refused) == "0/2/-1/-1/3 +3"


def test_a_statistics_page_is_logged_in_the_servers_place():
    assert line("%b/%s", logged(server=None, applet=b"<STATS>")) == "bk/<STATS>"


def test_tls_and_a_kept_connection_show():
    x = logged(idle=2.0, started_wall=1795451981.947)
    x.session.tls = SimpleNamespace(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384", sni="a", resumed=True)
    x.session.requests = 2
    assert line("%ft %sslv %sslc %t %tr", x) == (
        "fe~ TLSv1.3 TLS_AES_256_GCM_SHA384 23/Nov/2026:16:39:39.947 23/Nov/2026:16:39:41.947"
    )


def test_early_logging_marks_sizes_and_totals():
    x = logged(ended=None, responded=10.0045)
    x.frontend.plus = b"+"  # of a frontend with `option logasap`
    assert line("%B %Ta %Tt %TR", x) == "+101 +4 +4 0"


def test_tcp_mode_counts_from_the_accept():
    x = logged((), "tcp", status=0, head_received=10.001, dequeued=10.002, connected=10.005, ended=10.050)
    assert line("%Tw/%Tc/%Tt %ST", x) == "2/3/50 0"


def test_lines_and_exchanges_are_counted():
    x = logged()
    where = scope(Place.LOG, proxy=x.frontend.model)
    write = compile_log("%lc %rt", where)
    assert write is not None
    first, again = write(x).split(), write(x).split()
    other = write(logged()).split()
    assert (first[0], again[0], other[0]) == (b"0", b"1", b"2")
    assert first[1] == again[1] and int(other[1]) == int(first[1]) + 1


@given(st.binary(max_size=30))
def test_no_value_can_begin_another_line(value):
    written = line(
        "x %[var(txn.v)] %{+E}[var(txn.v)] %hr", logged(variables={"txn.v": value}, captured_request=[value])
    )
    assert not set(written) & {chr(c) for c in (*range(9), *range(10, 32), 127)}


@pytest.mark.parametrize(
    ("format", "message"),
    [
        ("%xx", 'unknown log variable "%xx"'),
        ("%Hm", 'did you mean "%HM"?'),
        ("%", "is no log variable"),
        ("100% a", "is no log variable"),
        ("%{+Z}ci", 'unknown flag "+Z"'),
        ("%[src", 'expected "]"'),
        ("%[sr]", 'unknown sample fetch "sr"'),
        ("%[path]", '"path" has no value in a log format'),
        ("%[]", "expected the name of a fetch"),
    ],
)
def test_mistakes_in_formats_are_explained(format, message):
    where = scope(Place.LOG)
    compile_log(format, where)
    assert any(message in reported for reported in messages(where)), messages(where)


def test_variables_of_http_are_refused_in_tcp_mode():
    where = scope(Place.LOG, proxy=Frontend("fe", mode="tcp"))
    assert compile_log("%ci %HM", where) is None
    assert messages(where) == ['"%HM" is for "mode http"']


# ------------------------------------------------------------------------------------------------------ texts of rules


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        (" a  b %[str(c)]  d ", b" a  b c  d "),
        ("%% %ci %HM %{+Q}HM %f", b'% 127.0.0.1 GET "GET" fe'),
        ("%{+Q}[path] %{+E}[str(a]b)] %{+X}[int(10)]", b"/a/b a\\]b 10"),
        ("<%[var(txn.no)]>", b"<>"),
        ("%[bin(01ff7f22255c3c3e5d)]", b'%01\xff%7F"%\\<>]'),
        ("%[path]%[str(x)]", b"/a/bx"),
    ],
)
def test_texts_are_haproxys(format, expected):
    assert text(format, logged()) == expected


def test_a_text_without_variables_is_constant():
    assert compile_text("100%% sure", scope()) == b"100% sure"
