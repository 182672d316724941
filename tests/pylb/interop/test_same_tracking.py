"""Counters of stick tables in HAProxy and pylb: the same rules, the same requests, what clients get and what
`show table` says."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

import differences as differ
import pytest
from haproxy_pair import Answer, Pair, Response, Side, running_pair
from same_cases import get, judge
from support import wait_for

pytestmark = pytest.mark.interop

CONFIG = """
global
    nbthread 1
    stats socket "${DIR}/admin.sock" mode 600 level admin
defaults
    mode http
    timeout client 10s
    timeout server 3s
    timeout connect 1s
    timeout tarpit 100ms
    log "127.0.0.1:${LOG}" local0
    option httplog
frontend rate
    bind "127.0.0.1:${FE_rate}"
    stick-table type ip size 100 expire 10m store http_req_rate(10s),conn_cnt,http_req_cnt,http_err_cnt,\
sess_cnt,conn_cur
    http-request track-sc0 src
    http-request deny deny_status 429 if { sc_http_req_rate(0) gt 5 }
    default_backend b
frontend header
    bind "127.0.0.1:${FE_header}"
    http-request track-sc1 hdr(x-key) table keys
    http-request deny deny_status 429 if { sc1_http_req_cnt gt 2 }
    http-request set-header X-Seen %[sc_http_req_cnt(1)]/%[sc1_conn_cur]/%[sc_tracked(1)]/%[sc_tracked(0)]/\
%[sc_sess_cnt(1)]/%[sc0_http_req_cnt]
    default_backend b
backend keys
    stick-table type string len 12 size 100 expire 10m store http_req_cnt,conn_cur
frontend ban
    bind "127.0.0.1:${FE_ban}"
    stick-table type ip size 100 expire 10m store gpc0,gpc0_rate(10s),gpt0,conn_cnt,http_req_cnt
    acl bad path_beg /bad
    http-request track-sc0 src
    http-request deny if { sc_get_gpc0(0) gt 2 }
    http-request sc-inc-gpc0(0) if bad
    http-request sc-set-gpt0(0) 7 if bad
    http-request sc-set-gpt0(0) url_param(tag) if { url_param(tag) -m found }
    http-request set-header X-Seen %[sc0_get_gpc0]/%[sc0_gpc0_rate]/%[sc0_get_gpt0]/%[src_get_gpc0]/\
%[src,table_gpc0(ban)]/%[sc0_get_gpc1]/%[src_get_gpc0(arrays)]/%[sc_get_gpc(0,0)]
    default_backend b
frontend cur
    bind "127.0.0.1:${FE_cur}"
    stick-table type ip size 100 expire 10m store conn_cur,conn_cnt,conn_rate(10s),sess_cnt,sess_rate(10s),\
http_req_cnt,http_req_rate(10s),http_err_cnt
    tcp-request connection track-sc0 src
    tcp-request connection reject if { sc0_conn_cur gt 2 }
    http-request set-header X-Seen %[sc_conn_cur(0)]/%[sc0_trackers]/%[sc0_http_req_cnt]/%[src_sess_cnt]/\
%[src,table_conn_cur(cur)]
    default_backend b
frontend session
    bind "127.0.0.1:${FE_session}"
    stick-table type ip size 100 expire 10m store conn_cur,conn_cnt,sess_cnt,http_req_cnt,http_err_cnt
    tcp-request session track-sc0 src
    http-request track-sc0 hdr(x-key) table keys
    http-request track-sc1 src table rate
    http-request set-header X-Seen %[sc0_http_req_cnt]/%[sc1_http_req_cnt]/%[sc0_sess_cnt]
    default_backend b
frontend content
    bind "127.0.0.1:${FE_content}"
    stick-table type ip size 100 expire 10m store conn_cur,conn_cnt,sess_cnt,http_req_cnt,http_err_cnt
    tcp-request inspect-delay 1s
    tcp-request content track-sc0 src if HTTP
    http-request set-header X-Seen %[sc0_http_req_cnt]/%[sc0_conn_cnt]
    use_backend tracking if { path /backend }
    default_backend b
backend tracking
    stick-table type ip size 100 expire 10m store conn_cnt,http_req_cnt,http_err_cnt,sess_cnt
    tcp-request content track-sc1 src
    http-request track-sc2 src table faults
    http-request set-header X-Both %[sc1_http_req_cnt]/%[sc2_http_req_cnt]
    server b "127.0.0.1:${SRV_b}"
frontend faults
    bind "127.0.0.1:${FE_faults}"
    stick-table type string size 100 expire 10m store http_req_cnt,http_err_cnt,http_err_rate(1m),\
http_fail_cnt,http_fail_rate(1m)
    http-request track-sc0 hdr(do) if { hdr(do) -m found }
    http-request track-sc0 path if !{ hdr(do) -m found }
    http-request deny if { path /deny }
    http-request reject if { path /reject }
    http-request silent-drop if { path /drop }
    http-request tarpit if { path /tarpit }
    http-request auth if { path /auth }
    http-request return status 404 if { path /return }
    http-request redirect location /x if { path /redirect }
    http-response deny if { path /response }
    http-response set-header X-Seen %[sc0_http_err_cnt]/%[sc0_http_fail_cnt]
    use_backend refused if { path /refused }
    default_backend b
frontend after
    bind "127.0.0.1:${FE_after}"
    stick-table type string size 100 expire 10m store http_req_cnt,http_err_cnt,http_fail_cnt,conn_cnt,gpc0
    http-response track-sc0 res.hdr(x-origin)
    http-response sc-inc-gpc0(0) if { status 404 }
    default_backend b
frontend arrays
    bind "127.0.0.1:${FE_arrays}"
    stick-table type ip size 100 expire 10m store gpc(3),gpt(2),gpc_rate(2,10s)
    http-request track-sc0 src
    http-request sc-inc-gpc(1,0) if { path /one }
    http-request sc-inc-gpc0(0) if { path /zero }
    http-request sc-inc-gpc(9,0)
    http-request sc-set-gpt(1,0) 5 if { path /tag }
    http-request sc-set-gpt0(0) 6 if { path /tag }
    http-request set-header X-Seen %[sc_get_gpc(1,0)]/%[sc_get_gpc0(0)]/%[sc_gpc_rate(1,0)]/%[sc0_gpc0_rate]/\
%[sc_get_gpt(1,0)]/%[sc0_get_gpt0]/%[sc_get_gpc(9,0)]/%[src,table_gpc(1,arrays)]/%[src,table_gpt(0,arrays)]
    default_backend b
frontend fetches
    bind "127.0.0.1:${FE_fetches}"
    stick-table type ip size 100 expire 10m store gpc0,conn_cnt,gpc1
    http-request set-header X-Seen %[src_inc_gpc0]/%[src_get_gpc0]/%[src_clr_gpc0]/%[src_updt_conn_cnt]/\
%[src_inc_gpc1]/%[src_conn_rate]/%[table_cnt]/%[table_avl]
    http-request set-header X-Trackers %[src,table_trackers(fetches)]
    http-request set-header X-More %[src,in_table(fetches)]/\
%[str(nobody),in_table(fetches)]/%[str(10.9.9.9),table_gpc0(fetches)]/%[src,table_conn_cnt(rate)]/\
%[src,table_gpc0(rate)]/%[str(10.9.9.9),table_idle(fetches,3)]/%[str(10.9.9.9),table_expire(fetches)]/\
%[sc_conn_cnt(0,rate)]
    default_backend b
frontend tcp
    mode tcp
    option tcplog
    bind "127.0.0.1:${FE_tcp}"
    stick-table type ip size 100 expire 10m store conn_cur,conn_cnt,sess_cnt,http_req_cnt,bytes_in_cnt,bytes_out_cnt
    tcp-request content track-sc0 src
    tcp-request content reject if { sc0_conn_cur gt 1 }
    default_backend t
backend b
    server b "127.0.0.1:${SRV_b}"
backend t
    mode tcp
    server b "127.0.0.1:${SRV_b}"
backend refused
    server x "127.0.0.1:${CLOSED_x}"
    retries 0
"""

ANSWERS = {
    "400": Answer(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nX-Origin: b\r\n\r\n"),
    "404": Answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nX-Origin: b\r\n\r\n"),
    "500": Answer(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
    "501": Answer(b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n"),
    "503": Answer(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
    "empty": Answer(b"", then="close"),
    "junk": Answer(b"no http at all\r\n\r\n", then="close"),
    "cut": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", then="close"),
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with running_pair(tmp_path_factory.mktemp("tracking"), CONFIG, ANSWERS) as both:
        yield both


def tell(side: Side, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(side.directory / "admin.sock"))
        sock.sendall(command.encode() + b"\n")
        answer = b""
        while block := sock.recv(65536):
            answer += block
    return answer.decode()


def shown(side: Side, table: str) -> list[str]:
    """`show table` without what no two programs share: addresses in memory, the time left, rates of bytes."""
    lines = tell(side, f"show table {table}").splitlines()
    found = [re.sub(r"^0x[0-9a-f]+: | exp=\d+", "", line) for line in lines if line]
    return [found[0].replace(f":{len(found)}", ":n"), *sorted(found[1:])]


def settled(side: Side, table: str) -> list[str]:
    """The same once nobody is tracked any more."""
    wait_for(lambda: "use=1" not in tell(side, f"show table {table}"), 5, "the end of what is tracked")
    return shown(side, table)


def ask(side: Side, frontend: str, *heads: bytes, source: str = "127.0.0.1", method: str = "GET") -> list[object]:
    """Requests over one connection: the statuses, or how the connection ended."""
    found: list[object] = []
    with side.talk(frontend, source) as talk:
        for head in heads:
            talk.send(head)
            answer = talk.response(method)
            found.append(answer.status if isinstance(answer, Response) else answer)
            if not isinstance(answer, Response) or answer.get("connection") == "close":
                break
    return found


def turned_away(side: Side, frontend: str, source: str) -> bool:
    """Whether a connection ends without an answer."""
    with socket.socket() as sock:
        sock.settimeout(10)
        sock.bind((source, 0))
        try:
            sock.connect(("127.0.0.1", side.ports[frontend]))
            return not sock.recv(1)
        except ConnectionResetError:
            return True


def seen(side: Side, name: str = "x-seen") -> list[str | None]:
    """What the rules wrote into the requests."""
    return [record.get(name) for record in side.records()]


def same(pair: Pair, scenario: Callable[[Side], object]) -> Any:
    """What the scenario comes to on both sides."""
    theirs, ours = pair.both(scenario)
    pairs = zip(lines(theirs), lines(ours), strict=False)
    assert ours == theirs, "\n".join(f"haproxy  {a}\npylb     {b}" for a, b in pairs if a != b)
    return ours


def lines(outcome: object) -> list[object]:
    """An outcome in pieces that can be compared one by one."""
    nested = isinstance(outcome, list | tuple)
    return [line for part in outcome for line in lines(part)] if nested else [outcome]  # type: ignore[attr-defined]


def test_a_rate_limit_by_address(pair: Pair) -> None:
    def scenario(side: Side) -> object:
        first = ask(side, "rate", *[get()] * 8, source="127.0.0.1")
        others = [ask(side, "rate", get(), source="127.0.0.2") for _ in range(3)]
        return first, others, settled(side, "rate"), seen(side)

    first, others, table, _ = same(pair, scenario)
    assert first[:6] == [200] * 5 + [429] and others == [[200]] * 3
    assert any("127.0.0.2" in line and "http_req_cnt=3" in line for line in table)


def test_a_limit_by_header(pair: Pair) -> None:
    def scenario(side: Side) -> object:
        asked = [ask(side, "header", get("/", f"X-Key: {key}")) for key in ("a", "a", "b", "a", "long-long-key-1", "a")]
        asked.append(ask(side, "header", get("/", "X-Key: long-long-key-2"), get("/"), get("/", "X-Key:")))
        return asked, settled(side, "keys"), seen(side)

    asked, *_ = same(pair, scenario)
    assert asked[3] == [429] and asked[2] == [200]


def test_a_ban_by_counter_and_tag(pair: Pair) -> None:
    def scenario(side: Side) -> object:
        asked = ask(side, "ban", get(), get("/bad"), get("/?tag=12"), get("/bad"), get("/bad"), get("/"))
        return asked, settled(side, "ban"), seen(side)

    asked, *_ = same(pair, scenario)
    assert asked == [200] * 5 + [403]


def test_operators_look_set_and_clear(pair: Pair) -> None:
    def scenario(side: Side) -> object:
        ask(side, "ban", get("/", host="www"), source="127.0.0.7")
        ask(side, "ban", get("/bad", host="www"), source="127.0.0.8")
        wait_for(lambda: "use=1" not in tell(side, "show table ban"), 5, "the end of what is tracked")
        told = [
            tell(side, command)
            for command in (
                "show table ban data.gpc0 gt 0 data.http_req_cnt lt 2", "show table ban key 127.0.0.7",
                "set table ban key 127.0.0.7 data.gpc0 9 data.gpt0 3", "show table ban key 127.0.0.7",
                "clear table ban data.gpc0 eq 9", "show table ban key 127.0.0.7", "show table ban data.nope gt 1",
                "clear table ban key 127.0.0.8", "show table ban key 127.0.0.8",
            )
        ]  # fmt: skip
        asked = ask(side, "ban", get("/", host="www"), source="127.0.0.7")
        return [re.sub(r"0x[0-9a-f]+|exp=\d+|used:\d+", "", text) for text in told], asked

    same(pair, scenario)


def test_a_limit_of_connections(pair: Pair) -> None:
    def scenario(side: Side) -> object:
        talks = [side.talk("cur", "127.0.0.3") for _ in range(2)]
        wait_for(lambda: "use=2 " in tell(side, "show table cur"), 5, "both connections")
        statuses = []
        for talk in talks:
            talk.send(get())
            statuses.append(talk.response())
        refused = turned_away(side, "cur", "127.0.0.3")
        table = shown(side, "cur")
        talks[0].__exit__()
        wait_for(lambda: "use=1 " in tell(side, "show table cur"), 5, "the end of two connections")
        with side.talk("cur", "127.0.0.3") as again:
            again.send(get())
            statuses.append(again.response())
            again.send(get())
            statuses.append(again.response())
            again.send(b"no http\r\n\r\n")
            statuses.append(again.response())
        talks[1].__exit__()
        return [r.status for r in statuses if isinstance(r, Response)], refused, table, settled(side, "cur"), seen(side)

    statuses, refused, *_ = same(pair, scenario)
    assert refused and statuses == [200] * 4 + [400]


def test_a_session_s_number_is_taken(pair: Pair) -> None:
    def scenario(side: Side) -> object:
        asked = ask(side, "session", *[get("/", "X-Key: session")] * 3, source="127.0.0.4")
        return asked, settled(side, "session"), "key=session" in tell(side, "show table keys"), seen(side)

    same(pair, scenario)


def test_content_rules_of_both_sides(pair: Pair) -> None:
    def scenario(side: Side) -> object:
        asked = ask(side, "content", get(), get("/backend"), get("/backend"), source="127.0.0.5")
        return asked, settled(side, "content"), settled(side, "tracking"), seen(side), seen(side, "x-both")

    same(pair, scenario)


def test_who_is_to_blame(pair: Pair) -> None:
    def scenario(side: Side) -> object:
        paths = ["deny", "tarpit", "auth", "return", "redirect", "response", "refused", "reject", "fine"]
        asked = [ask(side, "faults", get(f"/{path}")) for path in paths]
        with side.talk("faults") as dropped:
            dropped.send(get("/drop"))
            wait_for(lambda: "/drop" in tell(side, "show table faults"), 5, "the request that is dropped")
        asked += [ask(side, "faults", get("/", f"Do: {do}")) for do in ("400", "404", "500", "501", "503")]
        asked += [ask(side, "faults", get("/", f"Do: {do}")) for do in ("empty", "junk", "cut")]
        return asked, settled(side, "faults"), seen(side)

    same(pair, scenario)


def test_tracking_what_the_response_has(pair: Pair) -> None:
    def scenario(side: Side) -> object:
        asked = ask(side, "after", get(), get("/", "Do: 404"), get("/", "Do: 400"), get("/", "Do: 500"))
        return asked, settled(side, "after")

    same(pair, scenario)


def test_arrays(pair: Pair) -> None:
    def scenario(side: Side) -> object:
        asked = ask(side, "arrays", get("/one"), get("/zero"), get("/one"), get("/tag"), get("/"))
        return asked, settled(side, "arrays"), seen(side)

    same(pair, scenario)


def test_samples_that_need_no_rule(pair: Pair) -> None:
    def scenario(side: Side) -> object:
        asked = ask(side, "fetches", get(), get(), source="127.0.0.6")
        return asked, settled(side, "fetches"), seen(side), seen(side, "x-more")

    same(pair, scenario)


def test_who_looks_does_not_track(pair: Pair) -> None:
    def scenario(side: Side) -> dict[str, list[str | None]]:
        ask(side, "fetches", get())
        return {"trackers": seen(side, "x-trackers")}

    theirs, ours = pair.both(scenario)
    judge(theirs, ours, (differ.who_looks_does_not_track,))


def test_tcp(pair: Pair) -> None:
    def scenario(side: Side) -> object:
        with side.talk("tcp", "127.0.0.9") as talk:
            talk.send(get("/", "Connection: close"))
            assert isinstance(talk.response(), Response)
            refused = turned_away(side, "tcp", "127.0.0.9")
        wait_for(lambda: "use=0" in tell(side, "show table tcp"), 5, "the end of the connection")
        return refused, shown(side, "tcp")

    same(pair, scenario)
