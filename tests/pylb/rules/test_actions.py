"""Actions edit heads, answer, or set what belongs to the exchange; wrong words are explained."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rules_world import REQUEST, exchange, findings, request_head, response_head, run_rule, scope

from pylb.config.model import Backend, Capture, Config, ErrorFile, Frontend, Timeouts, UserList
from pylb.rules.captures import Captures
from pylb.rules.errors import compile_errors
from pylb.rules.reply import ALLOW
from pylb.rules.scope import Place


def edited(rule: str, head: bytes = REQUEST, **attributes) -> bytes:
    """The request as a server gets it after the rule."""
    x = exchange(head, **attributes)
    assert run_rule(rule, x) is None
    return x.request.serialise()


HEAD = b"GET /a/b?x=1 HTTP/1.1\r\nHost: h\r\nX-A: 1, 2\r\nX-A: 3\r\nX-B: four\r\n\r\n"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("set-header X-A new", b"GET /a/b?x=1 HTTP/1.1\r\nHost: h\r\nX-A: new\r\nX-B: four\r\n\r\n"),
        ("add-header X-C %[path]", HEAD[:-2] + b"X-C: /a/b\r\n\r\n"),
        ("add-header X-C 'a b'", HEAD[:-2] + b"X-C: a b\r\n\r\n"),
        ("del-header x-a", b"GET /a/b?x=1 HTTP/1.1\r\nHost: h\r\nX-B: four\r\n\r\n"),
        ("del-header x- -m beg", b"GET /a/b?x=1 HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("del-header -b -m end", b"GET /a/b?x=1 HTTP/1.1\r\nHost: h\r\nX-A: 1, 2\r\nX-A: 3\r\n\r\n"),
        ("del-header ^x-[a]$ -m reg", b"GET /a/b?x=1 HTTP/1.1\r\nHost: h\r\nX-B: four\r\n\r\n"),
        (
            r"replace-header X-A '^(\d), (\d)$' 'was \2 and \1 of %[method]'",
            HEAD.replace(b"1, 2", b"was 2 and 1 of GET"),
        ),
        (r"replace-value X-A '^[23]$' '<\0>'", HEAD.replace(b"1, 2", b"1, <2>").replace(b"A: 3", b"A: <3>")),
        ("replace-header X-B nomatch x", HEAD),
        ("set-path /new", HEAD.replace(b"/a/b?", b"/new?")),
        ("set-path '%[path,regsub(^/a,/z)]'", HEAD.replace(b"/a/b", b"/z/b")),
        ("set-query y=%[src]", HEAD.replace(b"x=1", b"y=127.0.0.1")),
        ("set-pathq /n?m=2", HEAD.replace(b"/a/b?x=1", b"/n?m=2")),
        ("set-uri http://other.example/n", HEAD.replace(b"/a/b?x=1", b"/n")),
        ("set-method POST", HEAD.replace(b"GET", b"POST")),
        (r"replace-path '/a/(.*)' '/c/\1'", HEAD.replace(b"/a/b", b"/c/b")),
        (r"replace-pathq '([^?]*)\?(.*)' '\2\1'", HEAD.replace(b"/a/b?x=1", b"/x=1/a/b")),
        (r"replace-uri '^/(.*)' '/s/\1'", HEAD.replace(b"/a/b", b"/s/a/b")),
        ("set-header X-A x if { path /other }", HEAD),
        ("set-path '/%[str(a b)]'", HEAD.replace(b"/a/b", b"/a%20b")),
    ],
)  # fmt: skip
def test_requests_are_edited(rule, expected):
    assert edited(rule, HEAD) == expected


def test_responses_are_edited():
    x = exchange(response=b"HTTP/1.1 200 OK\r\nServer: x\r\nSet-Cookie: a=1\r\n\r\n")
    where = scope(Place.RESPONSE)
    for rule in (
        "set-header Server y",
        "del-header set-cookie",
        "set-header X-S %[status]",
        "set-status 201 reason Made",
    ):
        assert run_rule(rule, x, where) is None
    assert x.response.serialise() == b"HTTP/1.1 201 Made\r\nServer: y\r\nX-S: 200\r\n\r\n"


@given(st.text(max_size=20))
def test_no_value_can_split_a_head(value):
    x = exchange(variables={"txn.v": value.encode()})
    for rule in ("set-header X-V '%[var(txn.v)]'", "add-header X-W '%[var(txn.v)]'", "set-path '/%[var(txn.v)]'"):
        run_rule(rule, x)
    again = request_head(x.request.serialise())
    assert [name for name, _ in again.fields()][-2:] == [b"X-V", b"X-W"]
    reply = run_rule("return status 200 content-type a string b hdr X-V '%[var(txn.v)]'", x)
    raw = reply.serialise(x, keep_alive=True)
    assert raw.count(b"\r\n\r\n") == 1 and len(response_head(raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n").fields()) == 3


# ------------------------------------------------------------------------------------------------------------ replies


def answer(rule: str, where=None, x=None, keep_alive: bool = True) -> bytes:
    """The bytes that a rule sends."""
    x = x or exchange(b"GET /a/b?x=1 HTTP/1.1\r\nHost: h.example:8080\r\n\r\n")
    return run_rule(rule, x, where).serialise(x, keep_alive=keep_alive)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("return", b"200 OK\r\ncontent-length: 0\r\n\r\n"),
        ("return status 204", b"204 No Content\r\n\r\n"),
        (
            "return status 201 content-type text/plain string 'hi you' hdr X-A %[method]",
            b"201 Created\r\ncontent-length: 6\r\nx-a: GET\r\ncontent-type: text/plain\r\n\r\nhi you",
        ),
        (
            "return content-type text/plain lf-string '%[path] %%'",
            b"200 OK\r\ncontent-length: 6\r\ncontent-type: text/plain\r\n\r\n/a/b %",
        ),
        (
            "deny status 418 content-type text/plain string bye",
            b"418 I'm a teapot\r\ncontent-length: 3\r\ncontent-type: text/plain\r\n\r\nbye",
        ),
        ("redirect location /x", b"302 Found\r\ncontent-length: 0\r\nlocation: /x\r\ncache-control: no-cache\r\n\r\n"),
        (
            "redirect code 301 location http://a%[path]",
            b"301 Moved Permanently\r\ncontent-length: 0\r\nlocation: http://a/a/b\r\n\r\n",
        ),
        (
            "redirect prefix http://p drop-query append-slash set-cookie A=1 code 303",
            b"303 See Other\r\ncontent-length: 0\r\nlocation: http://p/a/b/\r\ncache-control: no-cache\r\n"
            b"set-cookie: A=1; path=/;\r\n\r\n",
        ),
        (
            "redirect prefix /",
            b"302 Found\r\ncontent-length: 0\r\nlocation: /a/b?x=1\r\ncache-control: no-cache\r\n\r\n",
        ),
        (
            "redirect scheme https code 307",
            b"307 Temporary Redirect\r\ncontent-length: 0\r\nlocation: https://h.example:8080/a/b?x=1\r\n"
            b"cache-control: no-cache\r\n\r\n",
        ),
        (
            "redirect location /y clear-cookie B= code 308",
            b"308 Permanent Redirect\r\ncontent-length: 0\r\nlocation: /y\r\n"
            b"set-cookie: B=; path=/; Max-Age=0;\r\n\r\n",
        ),
    ],
)
def test_answers_are_haproxys(rule, expected):
    assert answer(rule) == b"HTTP/1.1 " + expected


def test_an_answer_that_ends_the_connection_says_so():
    assert b"\r\nconnection: close\r\n" in answer("return", keep_alive=False)
    assert b"connection" not in answer("return")


def test_head_gets_the_length_without_the_body():
    x = exchange(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert answer("return content-type t string abc", x=x).endswith(b"content-length: 3\r\ncontent-type: t\r\n\r\n")


@pytest.mark.parametrize(
    ("rule", "place", "status", "termination", "denied"),
    [
        ("deny", Place.REQUEST, 403, b"PR", True),
        ("deny deny_status 429", Place.REQUEST, 429, b"PR", True),
        ("deny", Place.RESPONSE, 502, b"PH", True),
        ("return", Place.RESPONSE, 200, b"LH", False),
        ("redirect location /", Place.RESPONSE, 302, b"LH", False),
        ("redirect location /", Place.REQUEST, 302, b"LR", False),
        ("auth", Place.REQUEST, 401, b"LR", False),
        ("tarpit", Place.REQUEST, 500, b"PT", True),
        ("reject", Place.REQUEST, 0, b"PR", True),
        ("silent-drop", Place.CONTENT, 0, b"PR", True),
    ],
)
def test_answers_know_how_the_log_calls_them(rule, place, status, termination, denied):
    reply = run_rule(rule, exchange(), scope(place))
    assert (reply.status, reply.termination, reply.denied) == (status, termination, denied)


def test_a_constant_answer_is_one_object():
    where = scope()
    first = run_rule("deny", exchange(), where)
    assert first.constant and first.serialise(exchange(), True) is first.serialise(exchange(), True)


def test_a_tarpit_waits_for_its_timeout():
    where = scope(proxy=Frontend("fe", mode="http", timeouts=Timeouts(tarpit=2.5, connect=9.0)))
    reply = run_rule("tarpit deny_status 429", exchange(), where)
    assert (reply.delay, reply.now().delay, reply.now().status) == (2.5, 0.0, 429)
    where = scope(proxy=Frontend("fe", mode="http", timeouts=Timeouts(connect=9.0)))
    assert run_rule("tarpit", exchange(), where).delay == 9.0


def test_auth_challenges_with_the_realm_or_the_sections_name():
    assert b'\r\nwww-authenticate: Basic realm="my realm"\r\n' in answer("auth realm 'my realm'")
    assert b'\r\nwww-authenticate: Basic realm="fe"\r\n' in answer("auth")


def test_a_redirect_to_nothing_may_be_left_out():
    x = exchange()
    assert run_rule("redirect location %[req.hdr(x-no)] ignore-empty", x) is None
    assert run_rule("redirect location %[path] ignore-empty", x).status == 302


def test_reject_sends_nothing():
    assert answer("reject") == b""
    assert run_rule("reject", exchange()).close


def test_a_service_answers_from_the_world():
    where = scope()
    where.world.services["prometheus-exporter"] = lambda x: ("metrics", x)
    x = exchange()
    assert run_rule("use-service prometheus-exporter", x, where) == ("metrics", x)
    assert x.applet == b"<PROMEX>"


def test_after_response_rules_see_our_own_answers():
    x = exchange()
    where = scope(Place.AFTER_RESPONSE)
    x.frontend.http_after_response = (lambda x: run_rule("set-header X-After %[status]", x, where),)
    assert answer("return content-type t string abc", x=x) == (
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-type: t\r\nX-After: 200\r\n\r\nabc"
    )
    assert x.response is None


# -------------------------------------------------------------------------------------------------------- error pages


def test_error_pages_have_haproxys_form():
    page = compile_errors(Frontend("fe", mode="http"), scope())(503).serialise(None, keep_alive=False)
    head, _, body = page.partition(b"\r\n\r\n")
    assert head == (
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: %d\r\ncache-control: no-cache\r\n"
        b"content-type: text/html\r\nconnection: close" % len(body)
    )
    assert body.startswith(b"<html><body><h1>503 Service Unavailable</h1>\n") and body.endswith(b"</body></html>\n")


def test_an_errorfile_replaces_a_page():
    raw = b"HTTP/1.0 410 Gone away\r\nCache-Control: no-cache\r\nConnection: close\r\nX-F: 1\r\n\r\n<b>gone</b>\n"
    where = scope(read_file=lambda _path: raw)
    pages = compile_errors(Frontend("fe", mode="http", error_files=(ErrorFile(410, "/f"),)), where)
    where.error_page = pages
    assert answer("deny deny_status 410", where) == (
        b"HTTP/1.1 410 Gone away\r\ncontent-length: 12\r\nCache-Control: no-cache\r\nX-F: 1\r\n"
        b"connection: close\r\n\r\n<b>gone</b>\n"
    )
    assert pages.own(410) is not None and pages.own(404) is None


def test_an_empty_errorfile_is_silence():
    where = scope(read_file=lambda _path: b"")
    pages = compile_errors(Frontend("fe", mode="http", error_files=(ErrorFile(400, "/dev/null"),)), where)
    assert pages(400).serialise(None, keep_alive=True) == b""


@pytest.mark.parametrize("raw", [b"no response", b"HTTP/1.1 200 OK\r\nA: b\r\n", b"HTTP/1.1 200 OK\r\nA b\r\n\r\n"])
def test_an_errorfile_that_is_no_response_is_reported(raw):
    where = scope(read_file=lambda _path: raw)
    compile_errors(Frontend("fe", mode="http", error_files=(ErrorFile(400, "/f"),)), where)
    assert "is no HTTP response" in where.report.findings[0].message


def test_http_error_may_be_filled_in_per_request():
    from pylb.config.expression import parse_rule_text
    from pylb.config.model import NOWHERE

    where = scope()
    rule = parse_rule_text("return status 404 content-type text/plain lf-string 'no %[path]'", NOWHERE, where.report)
    where.error_page = compile_errors(Frontend("fe", mode="http", error_files=(ErrorFile(404, reply=rule),)), where)
    assert answer("return status 404 default-errorfiles", where).endswith(b"\r\n\r\nno /a/b")
    assert where.error_page(404).serialise(None, keep_alive=True).startswith(b"HTTP/1.1 404 Not Found\r\n")


def test_errorloc_is_a_redirect():
    from pylb.config.model import Rule

    entry = ErrorFile(503, reply=Rule("redirect", ("location", "http://sorry/", "code", "303")))
    reply = compile_errors(Frontend("fe", mode="http", error_files=(entry,)), scope())(503)
    assert (reply.status, reply.headers[0]) == (303, (b"location", b"http://sorry/"))


# -------------------------------------------------------------------------------------------------------------- state


def test_variables_live_in_their_scope():
    x, where = exchange(), scope()
    for name in ("proc.a", "sess.b", "txn.c", "req.d"):
        run_rule(f"set-var({name}) int(7),add(1)", x, where)
    assert (where.world.variables, x.session.variables) == ({"proc.a": 8}, {"sess.b": 8})
    assert x.variables == {"txn.c": 8, "req.d": 8}
    run_rule("unset-var(txn.c)", x, where)
    run_rule("set-var(txn.e) req.hdr(x-no)", x, where)
    run_rule("set-var-fmt(txn.f) %[src]:%[src_port]", x, where)
    assert x.variables == {"req.d": 8, "txn.f": b"127.0.0.1:60180"}


def test_request_variables_end_with_the_request():
    from rules_world import sample

    x = exchange(variables={"req.a": b"1", "txn.a": b"2"})
    assert sample("var(req.a)", x) == b"1"
    assert sample("var(req.a)", x, scope(Place.RESPONSE)) is None
    assert sample("var(txn.a)", x, scope(Place.RESPONSE)) == b"2"


def test_log_level_and_priority_are_set():
    x = exchange()
    run_rule("set-log-level silent", x)
    assert x.log_level == -1
    run_rule("set-log-level err", x)
    run_rule("set-priority-class int(-9999)", x)
    assert (x.log_level, x.priority_class) == (3, -2047)
    run_rule("set-priority-offset int(524288)", x)
    assert x.priority_offset == 524287
    run_rule("set-priority-offset int(-600000)", x)
    assert x.priority_offset == -524287


def test_allow_ends_a_set():
    assert run_rule("allow", exchange()) is ALLOW
    assert run_rule("accept", exchange(), scope(Place.CONTENT)) is ALLOW


def test_passwords_are_checked_plain_and_crypted():
    crypted = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"
    userlist = UserList("u", (("joe", "secret", True), ("ann", crypted, False)), (("staff", ("ann",)),))
    where = scope(config=Config(userlists=(userlist,)))
    import base64

    from rules_world import condition_holds

    def with_credentials(text: str):
        return exchange(REQUEST[:-2] + b"Authorization: Basic " + base64.b64encode(text.encode()) + b"\r\n\r\n")

    for text, accepted in (
        ("joe:secret", True),
        ("joe:x", False),
        ("ann:password", True),
        ("ann:x", False),
        (":", False),
    ):
        for _ in range(2):  # the second time from memory
            assert condition_holds("if { http_auth(u) }", with_credentials(text), where) is accepted, text
    assert condition_holds("if { http_auth_group(u) staff }", with_credentials("ann:password"), where)
    assert not condition_holds("if { http_auth_group(u) staff }", with_credentials("joe:secret"), where)
    assert not condition_holds("if { http_auth(u) }", exchange(), where)


def test_live_proxies_are_looked_up_while_requests_run():
    from rules_world import sample

    from pylb.config.model import Address, Backend, Server

    config = Config(backends=(Backend("b", servers=(Server("s", Address()),)),), frontends=(Frontend("fe"),))
    where = scope(config=config)
    assert sample("nbsrv(b)", where=where) is None
    server = SimpleNamespace(
        name="s", maxconn=5, maxqueue=2, queue=SimpleNamespace(length=1), usable=True, reachable=True,
        counters=SimpleNamespace(scur=3),
        admin=0, effective_weight=4, weight=8, model=SimpleNamespace(weight=9),
    )  # fmt: skip
    where.world.backends["b"] = SimpleNamespace(
        name="b", candidates=[server], servers=[server], by_name={"s": server}, queue=SimpleNamespace(length=2),
        counters=SimpleNamespace(scur=11),
    )  # fmt: skip
    values = {
        "nbsrv(b)": 1, "be_conn(b)": 11, "be_conn_free(b)": 2, "queue(b)": 3, "avg_queue(b)": 3, "connslots(b)": 3,
        "srv_is_up(b/s)": True, "srv_conn(b/s)": 3, "srv_conn_free(b/s)": 2, "srv_queue(b/s)": 1, "srv_weight(b/s)": 4,
        "srv_uweight(b/s)": 8, "srv_iweight(b/s)": 9, "str(b),nbsrv": 1, "str(b/s),srv_queue": 1, "str(x),nbsrv": None,
    }  # fmt: skip
    assert {text: sample(text, where=where) for text in values} == values


# ----------------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("rule", "place", "message"),
    [
        ("set-heder X y", Place.REQUEST, 'unknown action "set-heder" (did you mean "set-header"?)'),
        ("set-path /x", Place.RESPONSE, '"set-path" is no action of an http-response rule'),
        ("set-nice 5", Place.REQUEST, 'the action "set-nice" is not supported by pylb yet'),
        ("cache-use c", Place.REQUEST, "not supported by pylb yet"),
        ("lua.f", Place.REQUEST, "not supported by pylb yet"),
        ("set-header X", Place.REQUEST, '"set-header" is written set-header NAME FORMAT'),
        ("set-header 'X Y' z", Place.REQUEST, '"X Y" is no header name'),
        ("set-header X %[pth]", Place.REQUEST, 'unknown sample fetch "pth" (did you mean "path"?)'),
        ("set-header X %[res.hdr(a)]", Place.REQUEST, '"res.hdr" has no value in an http-request rule'),
        ("del-header X -m foo", Place.REQUEST, "not by"),
        ("replace-header X ( y", Place.REQUEST, 'the regular expression "(" is wrong'),
        ("deny deny_status 99", Place.REQUEST, '"99" is no status'),
        ("return status 200 strng x", Place.REQUEST, 'did you mean "string"?'),
        ("return string a string b", Place.REQUEST, "exclude each other"),
        ("return status", Place.REQUEST, 'a word is missing behind "status"'),
        ("return file /nonexistent/file", Place.REQUEST, "cannot be read"),
        ("return errorfiles site", Place.REQUEST, "not supported by pylb yet"),
        ("redirect location", Place.REQUEST, 'a word is missing behind "location"'),
        ("redirect code 302", Place.REQUEST, "redirect location|prefix|scheme"),
        ("redirect location / code 200", Place.REQUEST, '"200" is no redirection'),
        ("redirect location / prefix /", Place.REQUEST, "exclude each other"),
        ("redirect location / foo bar", Place.REQUEST, 'knows no word "foo"'),
        ("auth foo", Place.REQUEST, '"auth" is written auth [realm TEXT]'),
        ("set-var(foo.a) src", Place.REQUEST, '"foo.a" is no variable'),
        ("set-var src", Place.REQUEST, '"set-var" is written set-var(SCOPE.NAME)'),
        ("set-var(txn.a) src lower", Place.REQUEST, "converters follow after commas"),
        ("set-log-level loud", Place.REQUEST, 'unknown log level "loud"'),
        ("set-status foo", Place.RESPONSE, '"foo" is no status'),
        ("use-service lua.x", Place.REQUEST, 'unknown service "lua.x"'),
        ("set-var(txn.a) path", Place.CONNECTION, '"path" has no value in a tcp-request connection rule'),
        ("deny", Place.CONNECTION, '"deny" is no action of a tcp-request connection rule'),
    ],
)
def test_wrong_words_are_explained(rule, place, message):
    reported = findings(rule, scope(place))
    assert len(reported) == 1 and message in reported[0], reported


# ------------------------------------------------------------------------------------------------------------ captures


def _with_slots(*lengths):
    declared = Frontend("fe", mode="http", captures=tuple(Capture("request", length) for length in lengths))
    x = exchange()
    x.frontend.captures = Captures(declared.captures)
    x.frontend.captures.request(x)
    return x, scope(proxy=declared)


def test_capture_fills_a_slot_and_cuts_to_its_length():
    x, where = _with_slots(3, 20)
    run_rule("capture path id 0", x, where)
    run_rule("capture req.hdr(nothing) id 1", x, where)
    assert x.captured_request == [b"/a/", None]
    run_rule("set-header X-A %[path,capture-req(1),length]", x, where)
    assert x.captured_request == [b"/a/", b"/a/b.html"]
    run_rule("set-header X-A %[path,capture-req(7)]", x, where)  # no such slot: as it is
    assert x.request.get(b"x-a") == b"/a/b.html"


def test_capture_into_a_slot_that_is_not_there():
    _, where = _with_slots(3)
    assert "no request capture slot 1" in findings("capture path id 1", where)[0]
    assert "declare capture request len N" in findings("capture path len 9", scope())[0]
    backends = scope(proxy=Backend("b", mode="http"))
    assert findings("capture path id 1", backends) == [], "whichever frontend leads here may have it"
