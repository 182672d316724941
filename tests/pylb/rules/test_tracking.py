"""Rules that track, the counters they keep, and the samples and converters that read them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from rules_world import condition_holds, exchange, messages, run_rule, sample, scope

from pylb.backend.stick import StickTable
from pylb.backend.stick_records import key_text
from pylb.config import model
from pylb.config.expression import parse_rule_text
from pylb.config.model import NOWHERE, Backend, Frontend, Rule
from pylb.rules.reply import ALLOW
from pylb.rules.scope import Place
from pylb.rules.steps import compile_rule
from pylb.rules.tracking import count_request, count_response, count_session, frontend_steps, inherit

STORE = ("gpc0", "gpc0_rate(10s)", "gpt0", "http_req_cnt", "http_req_rate(10s)", "conn_cnt", "conn_cur", "bytes_in_cnt")
ARRAYS = ("gpc(2)", "gpc_rate(2,10s)", "gpt(2)")


def tables(**others: StickTable) -> dict[str, StickTable]:
    own = StickTable("fe", model.StickTable("ip", size=10, expire=60.0, store=STORE))
    arrays = StickTable("a", model.StickTable("ip", size=10, expire=60.0, store=ARRAYS))
    text = StickTable("s", model.StickTable("string", size=10, store=("gpc0", "http_req_cnt")))
    return {"fe": own, "a": arrays, "s": text, **others}


def where(place: Place = Place.REQUEST, **world: Any) -> Any:
    world.setdefault("tables", tables())
    return scope(place, **world)


def client(src: str = "10.0.0.1", at: float = 100.0) -> Any:
    x = exchange()
    x.session.src = src
    x.session.now = at
    x.session.loop = SimpleNamespace(time=lambda: x.session.now)
    return x


def test_the_usual_rate_limit() -> None:
    here = where()
    denied = []
    for number in range(8):
        x = client(at=100.0 + number / 10)
        run_rule("track-sc0 src", x, here)
        reply = run_rule("deny deny_status 429 if { sc_http_req_rate(0) gt 5 }", x, here)
        denied.append(reply is not None and reply.status)
    assert denied == [False] * 5 + [429] * 3
    other = client("10.0.0.2")
    run_rule("track-sc0 src", other, here)
    assert run_rule("deny deny_status 429 if { sc_http_req_rate(0) gt 5 }", other, here) is None


def test_the_first_rule_of_a_number_has_the_word() -> None:
    here = where()
    x = client()
    run_rule("track-sc0 src", x, here)
    run_rule("track-sc0 hdr(host) table s", x, here)
    run_rule("track-sc1 hdr(host) table s", x, here)
    assert [None if e is None else (e.table.name, str(e.key)) for e in x.tracked] == [
        ("fe", "10.0.0.1"), ("s", "b'Www.Example.com:8080'"), None,
    ]  # fmt: skip
    assert sample("sc0_http_req_cnt", x, here) == 1 and sample("sc_http_req_cnt(1)", x, here) == 1


def test_a_key_that_is_not_there_is_not_tracked() -> None:
    here = where()
    x = client()
    run_rule("track-sc0 hdr(x-nothing) table s", x, here)
    assert x.tracked is None and sample("sc_tracked(0)", x, here) is False
    assert not condition_holds("if { sc_conn_cnt(0) ge 0 }", x, here), "not found fails every test"


def test_an_ipv6_client_is_no_key_of_an_ipv4_table() -> None:
    here = where(tables=tables(six=StickTable("six", model.StickTable("ipv6", size=9, store=("conn_cnt",)))))
    x = client("2001:db8::1")
    run_rule("track-sc0 src", x, here)
    assert x.tracked is None and sample("src_http_req_cnt", x, here) is None
    run_rule("track-sc0 src table six", x, here)
    run_rule("track-sc1 src table six", mapped := client("10.1.2.3"), here)
    assert key_text(mapped.tracked[1].key) == "::ffff:10.1.2.3" and sample("src_conn_cnt(six)", mapped, here) == 1


def test_counters_and_tags_of_rules() -> None:
    here = where()
    x = client()
    run_rule("sc-inc-gpc0(0)", x, here)  # nothing is tracked yet: nothing happens
    run_rule("track-sc0 src", x, here)
    for rule in ("sc-inc-gpc0(0)", "sc-inc-gpc0(0)", "sc-inc-gpc1(0)", "sc-set-gpt0(0) 7", "sc-inc-gpc(1,0)"):
        run_rule(rule, x, here)
    seen = {name: sample(name, x, here) for name in ("sc0_get_gpc0", "sc0_gpc0_rate", "sc0_get_gpt0", "src_get_gpc0")}
    assert seen == {"sc0_get_gpc0": 2, "sc0_gpc0_rate": 2, "sc0_get_gpt0": 7, "src_get_gpc0": 2}
    assert sample("sc0_get_gpc1", x, here) is None, "the table does not store it"
    run_rule("sc-set-gpt0(0) hdr(x-level)", x, here)  # not found: the tag stays
    assert sample("sc0_get_gpt0", x, here) == 7
    assert [sample(n, x, here) for n in ("sc0_inc_gpc0", "sc0_clr_gpc0", "sc0_get_gpc0")] == [3, 3, 0]


def test_arrays() -> None:
    here = where()
    x = client()
    run_rule("track-sc2 src table a", x, here)
    for rule in ("sc-inc-gpc(1,2)", "sc-inc-gpc0(2)", "sc-set-gpt(1,2) 9", "sc-add-gpc(1,2) 4", "sc-inc-gpc(7,2)"):
        run_rule(rule, x, here)
    expected = {
        "sc_get_gpc(0,2)": 1, "sc_get_gpc(1,2)": 5, "sc_gpc_rate(1,2)": 5, "sc_get_gpt(1,2)": 9, "sc_get_gpc0(2)": 1,
        "sc2_gpc1_rate": 5, "sc_get_gpc(7,2)": None, "src_get_gpc(1,a)": 5, "src_get_gpt(0,a)": 0,
        "sc_inc_gpc(0,2)": 2, "sc_clr_gpc(0,2)": 2, "src_inc_gpc(0,a)": 1, "src,table_gpc(1,a)": 5,
        "src,table_gpt(1,a)": 9, "src,table_gpc_rate(1,a)": 5,
    }  # fmt: skip
    assert {name: sample(name, x, here) for name in expected} == expected
    y = client()
    run_rule("track-sc0 src", y, here)
    assert sample("sc_get_gpc(0,0)", y, here) is None, "of arrays only"


def test_samples_of_the_client_need_no_rule() -> None:
    here = where()
    x = client()
    names = ("src_http_req_cnt", "src_get_gpc0", "src_inc_gpc0", "src_get_gpc0", "src_clr_gpc0", "src_conn_cnt(s)")
    assert [sample(name, x, here) for name in names] == [0, 0, 1, 1, 1, 0]
    assert [sample(f"src_updt_conn_cnt({t})", x, here) for t in ("fe", "fe", "s")] == [1, 2, None]
    assert (sample("table_cnt", x, here), sample("table_avl(fe)", x, here), sample("table_cnt(a)", x, here)) == (
        1,
        9,
        0,
    )


def test_converters_look_up_and_touch_nothing() -> None:
    here = where()
    x = client(at=100.0)
    run_rule("track-sc0 src", x, here)
    x.session.now = 110.0
    expected = {
        "src,table_http_req_cnt(fe)": 1, "src,table_conn_cur(fe)": 1, "src,table_trackers(fe)": 1,
        "src,in_table(fe)": True, "str(10.0.0.9),in_table(fe)": False, "str(10.0.0.9),table_conn_cnt(fe)": 0,
        "str(10.0.0.1),table_conn_cnt(fe)": 1, "str(no address),table_conn_cnt(fe)": None,
        "src,table_sess_cnt(fe)": None, "src,table_expire(fe)": 50_000, "src,table_idle(fe)": 10_000,
        "str(10.0.0.9),table_expire(fe)": None, "str(10.0.0.9),table_expire(fe,7)": 7, "src,table_kbytes_in(fe)": 0,
        "int(167772161),table_conn_cnt(fe)": 1, "src,table_server_id(fe)": None,
        "src,table_http_req_cnt": 1, "src,in_table": True,
    }  # fmt: skip
    assert {text: sample(text, x, here) for text in expected} == expected


def test_another_table_by_the_same_key() -> None:
    here = where()
    x = client()
    run_rule("track-sc0 src", x, here)
    assert sample("sc_get_gpc(0,0,a)", x, here) == 0 and sample("sc0_tracked(a)", x, here) is False
    run_rule("track-sc1 src table a", x, here)
    run_rule("sc-inc-gpc0(1)", x, here)
    assert sample("sc_get_gpc0(0,a)", x, here) == 1 and sample("sc0_tracked(a)", x, here) is True
    assert sample("sc_get_gpc0(2,a)", x, here) is None


def test_bytes_are_read_in_kilobytes() -> None:
    here = where()
    x = client()
    run_rule("track-sc0 src", x, here)
    x.tracked[0].add(("bytes_in_cnt",), 100.0, 5000)
    assert sample("sc_kbytes_in(0)", x, here) == 4


@pytest.mark.parametrize("place", [Place.CONNECTION, Place.SESSION])
def test_connections_are_tracked_for_as_long_as_they_last(place: Place) -> None:
    early, http = where(place), None
    http = where(tables=early.world.tables)
    x = client()
    arrival = SimpleNamespace(session=x.session, frontend=x.frontend, variables=None)
    run_rule("track-sc0 src", arrival, early)
    run_rule("sc-inc-gpc0(0)", arrival, early)
    assert x.tracked is None and x.session.tracked is not None
    assert sample("sc0_conn_cur", arrival, early) == 1 and sample("sc0_http_req_cnt", arrival, early) == 0
    count_session(arrival)
    inherit(x)
    count_request(x)
    run_rule("track-sc0 hdr(host) table s", x, http)
    assert x.tracked[0] is x.session.tracked[0], "the session's number is taken"
    assert sample("sc0_http_req_cnt", x, http) == 1 and sample("sc0_get_gpc0", x, http) == 1


def test_a_tracking_response_rule_counts_the_response_too() -> None:
    store = ("http_err_cnt", "http_req_cnt")
    here = where(Place.RESPONSE, tables={"fe": StickTable("fe", model.StickTable("ip", size=9, store=store))})
    x = exchange(response=b"HTTP/1.1 404 Not Found\r\n\r\n", responded=10.0)
    count_response(x)
    run_rule("track-sc0 src", x, here)
    assert (sample("sc0_http_err_cnt", x, here), sample("sc0_http_req_cnt", x, here)) == (1, 1)


def rules(*texts: str) -> tuple[Rule, ...]:
    return tuple(Rule(text) for text in texts)


def test_only_sections_that_track_get_steps() -> None:
    nothing = Frontend("fe", mode="http", http_request=rules("track-sc0"))
    assert frontend_steps(nothing, (), (), ()) == ((), (), ())
    session = Frontend("fe", mode="http", tcp_request=rules("connection track-sc1"))
    assert frontend_steps(session, (), (), ()) == ((count_session,), (inherit,), (count_request,))
    content = Frontend("fe", mode="http", tcp_request=rules("content track-sc1"))
    assert frontend_steps(content, (), (), ()) == ((), (), (count_request,))
    tcp = Frontend("fe", mode="tcp", tcp_request=rules("session track-sc2"))
    assert frontend_steps(tcp, (), (), ()) == ((count_session,), (inherit,), ())


@pytest.mark.parametrize(("proxy", "counted"), [(Frontend("fe", mode="http"), 0), (Backend("fe", mode="http"), 1)])
def test_content_rules_of_backends_count_the_request_themselves(proxy: Any, counted: int) -> None:
    here = where(Place.CONTENT, proxy=proxy)
    x = client()
    run_rule("track-sc0 src", x, here)
    assert sample("sc0_http_req_cnt", x, where(tables=here.world.tables)) == counted


WRONG = [
    ("track-sc0", '"track-sc0" is written track-sc0 SAMPLE [table NAME]'),
    ("track-sc0 src tabel fe", '"track-sc0" is written track-sc0 SAMPLE [table NAME]'),
    ("track-sc0 src table nope", '"nope" has no stick table; add a stick-table to that section'),
    ("track-sc3 src", 'unknown action "track-sc3"'),
    ("sc-inc-gpc0", '"sc-inc-gpc0" is written sc-inc-gpc0(ID)'),
    ("sc-inc-gpc0(3)", '"sc-inc-gpc0": 3 is tracked by nothing; there are track-sc0 to track-sc2'),
    ("sc-inc-gpc(0)", '"sc-inc-gpc" is written sc-inc-gpc(INDEX,ID)'),
    ("sc-inc-gpc(100,0)", '"sc-inc-gpc": an index is a number from 0 to 99, not 100'),
    ("sc-set-gpt0(0)", '"sc-set-gpt0" is written sc-set-gpt0(0) NUMBER, or a sample; converters follow after commas'),
    ("deny if { sc_http_req_rate(5) gt 1 }", "5 is tracked by nothing; there are track-sc0 to track-sc2"),
    ("deny if { sc_http_req_rate gt 1 }", '"sc_http_req_rate" needs 1 argument (int)'),
    ("deny if { src_http_req_rate(x) gt 1 }", '"x" has no stick table'),
    ("deny if { src,in_table(x) }", '"x" has no stick table'),
    ("deny if { src,table_gpc(100,a) gt 1 }", "an index is a number from 0 to 99, not 100"),
]


@pytest.mark.parametrize(("line", "told"), WRONG)
def test_what_is_wrong_is_told(line: str, told: str) -> None:
    here = where()
    rule = parse_rule_text(line, NOWHERE, here.report)
    assert (rule is not None and compile_rule(rule, here) is None) or here.report.errors
    assert any(told in message for message in messages(here)), messages(here)


def test_the_tables_of_a_rule_s_condition_and_outcome() -> None:
    here = where()
    x = client()
    assert run_rule("allow if { src_inc_gpc0 gt 1 }", x, here) is None
    assert run_rule("allow if { src_inc_gpc0 gt 1 }", x, here) is ALLOW
