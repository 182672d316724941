"""Routing: rules in order, then use_backend, then default_backend; what a frontend does not have costs nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rules_world import exchange, response_head

from pylb.config.expression import parse_acl_text, parse_condition_text, parse_rule_text
from pylb.config.model import NOWHERE, Acl, Backend, Capture, Condition, Config, Frontend, Rule, UseBackend
from pylb.config.words import Report
from pylb.rules.captures import Captures, forget_cookie
from pylb.rules.frontend import compile_frontend, dress_backend
from pylb.rules.reply import ALLOW, Reply, silent
from pylb.rules.scope import World

BACKENDS = tuple(f"b{number}" for number in range(6))


def condition(text: str) -> Condition:
    parsed = parse_condition_text(text, NOWHERE, Report())
    assert parsed is not None
    return parsed


def rules(*lines: str) -> tuple[Rule, ...]:
    parsed = [parse_rule_text(line, NOWHERE, Report()) for line in lines]
    return tuple(rule for rule in parsed if rule is not None)


def acls(**tests: str) -> tuple[Acl, ...]:
    parsed = {name: parse_acl_text(text, NOWHERE, Report()) for name, text in tests.items()}
    return tuple(Acl(name, test) for name, test in parsed.items() if test is not None)


def live(*, expect: int = 0, **declared: Any) -> Any:
    """A compiled frontend over backends that are their names."""
    world = World(Config(backends=tuple(Backend(name) for name in BACKENDS)))
    world.backends = {name: name for name in BACKENDS}  # type: ignore[misc]
    report = Report()
    frontend = compile_frontend(Frontend("fe", mode="http", **declared), world, report)
    assert len(report.findings) == expect, report.findings
    frontend.link()
    return frontend


def request(path: str = "/", host: str = "h") -> Any:
    return exchange(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())


def test_a_frontend_with_nothing_but_a_default_needs_no_routing():
    assert live(default_backend="b1").only_backend == "b1"
    assert live(default_backend="b1", http_request=rules("set-header a b")).only_backend is None
    assert live(default_backend="b1", use_backend=(UseBackend("b2"),)).only_backend is None
    assert live(default_backend="b1", monitor_uri="/up").only_backend is None
    assert live().only_backend is None


def test_the_first_rule_that_applies_chooses_the_backend():
    frontend = live(
        acls=acls(static="path_beg /static", www="hdr(host) -i www.example.com"),
        use_backend=(
            UseBackend("b1", condition("if static !www")),
            UseBackend("b2", condition("if www")),
            UseBackend("b3", condition("unless { path_beg /x }")),
        ),
        default_backend="b0",
    )
    chosen = {
        ("/static/a", "h"): "b1", ("/static/a", "WWW.example.com"): "b2", ("/a", "www.example.com"): "b2",
        ("/", "h"): "b3", ("/x", "h"): "b0",
    }  # fmt: skip
    assert {key: frontend.route(request(*key)) for key in chosen} == chosen


def test_without_a_backend_there_is_none():
    assert live(use_backend=(UseBackend("b1", condition("if FALSE")),)).route(request()) is None


def test_a_backends_name_may_be_computed():
    frontend = live(
        use_backend=(UseBackend("%[req.hdr(host),field(1,.)]", condition("if { path_beg /by-name }")),),
        default_backend="b0",
    )  # fmt: skip
    assert frontend.route(request("/by-name", "b4.example.com")) == "b4"
    assert frontend.route(request("/by-name", "nope.example.com")) == "b0"  # no such backend: the next rule
    assert frontend.route(request("/", "b4.example.com")) == "b0"


HOSTS = ("a.example", "b.example", "A.example", "c.example:80")
CHOICES = st.tuples(
    st.sampled_from(["hdr(host)", "hdr(host) -i", "hdr(host),lower", "hdr(x) -i", "path", "hdr_beg(host)"]),
    st.lists(st.sampled_from([*HOSTS, "/", "/a", "1"]), min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from(BACKENDS),
)


@given(st.lists(CHOICES, max_size=7), st.sampled_from(HOSTS), st.sampled_from(["/", "/a"]))
def test_joined_rules_choose_as_if_each_were_tried_in_order(choices, host, path):
    tests = [f"{'!' if negated else ''}{{ {what} {' '.join(values)} }}" for what, values, negated, _ in choices]
    frontend = live(
        use_backend=tuple(UseBackend(c[3], condition(f"if {t}")) for c, t in zip(choices, tests, strict=True))
    )
    apart = [live(use_backend=(UseBackend(c[3], condition(f"if {t}")),)) for c, t in zip(choices, tests, strict=True)]
    x = exchange(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nX: 1, A.example\r\nX: b.example\r\n\r\n".encode())
    expected = next((chosen for chosen in (one.route(x) for one in apart) if chosen is not None), None)
    assert frontend.route(x) == expected


def test_rules_run_before_the_backend_is_chosen():
    frontend = live(
        http_request=rules(
            "set-header X-B b5 if { path /go }", "deny if { path /no }", "allow if { path /ok }", "set-path /x"
        ),
        use_backend=(UseBackend("b5", condition("if { req.hdr(x-b) b5 }")),),
        default_backend="b0",
    )  # fmt: skip
    x = request("/go")
    assert frontend.route(x) == "b5" and x.request.uri == b"/x"
    assert frontend.route(request("/no")).status == 403
    x = request("/ok")
    assert frontend.route(x) == "b0" and x.request.uri == b"/ok"


def test_monitoring_answers_by_itself_and_is_not_logged():
    frontend = live(
        monitor_uri="/up", monitor_fail=(condition("if { req.hdr(x-fail) 1 }"),), http_request=rules("deny"),
        default_backend="b0",
    )  # fmt: skip
    x = request("/up")
    assert (frontend.route(x).status, x.log_level) == (200, -1)
    x = exchange(b"GET /up HTTP/1.1\r\nHost: h\r\nX-Fail: 1\r\n\r\n")
    assert frontend.route(x).status == 503
    assert frontend.route(request("/other")).status == 403


def test_connections_are_judged_before_there_is_a_request():
    frontend = live(
        tcp_request=rules(
            "'connection accept' if { src 127.0.0.1 }", "'connection reject' if { src 127.0.0.0/8 }",
            "'session reject' if { src_port 7 }", "'content reject' if { path /secret }", "inspect-delay 5s",
        ),
        default_backend="b0",
    )  # fmt: skip
    session = exchange().session
    assert frontend.connection_rules(session) is None
    session.src = "127.0.0.2"
    assert frontend.connection_rules(session).silent
    assert frontend.session_rules(session) is None
    session.src_port = 7
    assert frontend.session_rules(session).silent
    assert frontend.route(request("/secret")).silent and frontend.route(request("/")) == "b0"
    assert live(default_backend="b0").connection_rules is None


def test_a_unique_id_is_made_once_and_sent_on():
    frontend = live(unique_id_format="%ci-%[rand(1000000)]", unique_id_header="X-Id", default_backend="b0")
    x = request()
    x.frontend = frontend
    assert frontend.route(x) == "b0"
    value = x.request.get(b"x-id")
    assert value.startswith(b"127.0.0.1-")
    assert frontend.log_line is not None and frontend._unique_id(x) == value


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"use_backend": (UseBackend("b9", condition("if TRUE")),)}, 'unknown backend "b9"'),
        ({"log_format": "%zz"}, 'unknown log variable "%zz"'),
        ({"http_request": rules("deny if nope")}, 'unknown ACL "nope"'),
        ({"tcp_request": rules("'conection reject'")}, 'unknown phase of tcp-request "conection"'),
    ],
)
def test_mistakes_anywhere_in_a_frontend_are_reported(declared, message):
    report = Report()
    world = World(Config(backends=tuple(Backend(name) for name in BACKENDS)))
    compile_frontend(Frontend("fe", mode="http", **declared), world, report)
    assert [message in str(finding) for finding in report.findings] == [True]


def test_http_rules_of_a_tcp_frontend_are_left_out_with_a_warning():
    report = Report()
    frontend = compile_frontend(Frontend("fe", mode="tcp", http_request=rules("deny")), World(), report)
    assert frontend.http_request == () and [finding.severity for finding in report.findings] == ["warning"]


def test_a_backend_gets_its_steps_and_conditions():
    declared = Backend(
        "b", mode="http", http_request=rules("set-header a b"), http_response=rules("allow", "deny"),
        use_server=(UseBackend("s%[int(1)]", condition("if TRUE")),), force_persist=(condition("if LOCALHOST"),),
        ignore_persist=(condition("if FALSE || { path_beg /x }"),),
    )  # fmt: skip
    persist = SimpleNamespace(force=(), ignore=(), use_server=())
    backend = SimpleNamespace(model=declared, persist=persist)
    report = Report()
    dress_backend(backend, World(), report)
    assert not report.findings
    x = exchange(response=b"HTTP/1.1 200 OK\r\n\r\n")
    assert len(backend.http_request) == 1 and backend.http_after_response == ()
    assert [step(x) for step in backend.http_response] == [None]  # allow ends this set only
    assert persist.force[0](x) and not persist.ignore[0](x)
    check, name = persist.use_server[0]
    assert check(x) and name(x) == b"s1"
    assert backend.error_reply(503) is None


def test_allow_ends_request_rules_for_who_runs_them():
    backend = SimpleNamespace(model=Backend("b", mode="http", http_request=rules("allow", "deny")), persist=None)
    dress_backend(backend, World(), Report())
    assert backend.http_request[0](exchange()) is ALLOW


def test_captures_take_the_last_field_cut_to_length():
    captures = Captures.of(
        (Capture("request", 3, "X-A"), Capture("request", 9, "X-B"), Capture("response", 2, "Server"))
    )
    assert captures is not None and Captures.of(()) is None
    x = exchange(b"GET / HTTP/1.1\r\nHost: h\r\nX-A: first\r\nX-A: second\r\n\r\n")
    captures.request(x)
    x.response = response_head(b"HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n")
    captures.response(x)
    assert (x.captured_request, x.captured_response) == ([b"sec", None], [b"ng"])


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        (Reply(403, termination=b"PR", denied=True), (b"a=1", b"b=2")),
        (Reply(200, termination=b"LR"), (None, b"b=2")),
        (silent(), (None, b"b=2")),
        (Reply(404, termination=b"LH"), (b"a=1", None)),
        (Reply(502, termination=b"PH"), (b"a=1", None)),
    ],
)
def test_cookies_are_logged_when_the_rules_let_them_through(reply, kept):
    x = exchange(captured_request_cookie=b"a=1", captured_response_cookie=b"b=2")
    forget_cookie(x, reply)
    assert (x.captured_request_cookie, x.captured_response_cookie) == kept


def test_a_captured_cookie_is_found_by_the_beginning_of_its_name():
    captures = Captures((Capture("cookie", 16, "ASPSESSION"),))
    x = exchange(
        b"GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; ASPSESSIONXYZ=12345678\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: b=2; ASPSESSION=9\r\nSet-Cookie: ASPSESSIONQ=9; path=/\r\n\r\n",
    )
    captures.request(x)
    captures.response(x)
    assert (x.captured_request_cookie, x.captured_response_cookie) == (b"ASPSESSIONXYZ=12", b"ASPSESSIONQ=9")
