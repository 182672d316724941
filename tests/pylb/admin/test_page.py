"""The statistics page's handler: addresses, access, forms and what it never lets through."""

from __future__ import annotations

import base64
import html.parser
import re
from dataclasses import replace

import pytest
from demo_world import demo_world
from page_request import header, request

from pylb.admin.actions import ACTIONS, OUTCOMES
from pylb.admin.html import SCRIPT
from pylb.admin.page import StatsPageHandler, exporter
from pylb.admin.tables import STATES, state_class
from pylb.config.model import StatsPage
from pylb.rules.reply import ALLOW, Reply

PAGE = StatsPage(uri="/stats", show_legends=True)
ADMIN = (lambda x: True,)


def handler(page: StatsPage = PAGE, world=None, **more) -> StatsPageHandler:
    return StatsPageHandler(page, world or demo_world(), **more)


def get(target: str, page: StatsPage = PAGE, **more) -> Reply:
    return handler(page, **more).handle(request("GET", target), b"")


def text(reply: Reply) -> str:
    assert isinstance(reply.body, bytes)
    return reply.body.decode()


# ------------------------------------------------------------------------------------------------------------ addresses


@pytest.mark.parametrize(
    ("target", "hit"),
    [(b"/stats", True), (b"/stats;csv", True), (b"/stats?scope=a", True), (b"http://lb:80/stats;csv", True),
     (b"HTTP://lb/stats", True), (b"/stat", False), (b"/x/stats", False), (b"*", False), (b"http://lb", False)],
)  # fmt: skip
def test_the_uri_is_a_prefix_of_the_target_in_either_form(target, hit):
    assert handler().matches(target) is hit


def test_formats_and_their_types():
    assert header(get("/stats"), "content-type") == "text/html; charset=utf-8"
    assert header(get("/stats;csv"), "content-type") == "text/plain"
    assert text(get("/stats;csv")).startswith("# pxname,svname,")
    assert header(get("/stats;json"), "content-type") == "application/json"
    assert text(get("/stats;prometheus;norefresh")).startswith("# HELP haproxy_process")
    assert get("/stats").termination == b"LR"
    assert header(get("/stats"), "cache-control") == "no-cache"


def test_options_and_scope_choose_rows():
    assert "web5" in text(get("/stats;csv"))
    assert "web5" not in text(get("/stats;csv;no-maint"))
    assert "web4" not in text(get("/stats;up;csv"))
    assert text(get("/stats;csv?scope=d%62_in")).count("\n") == 2
    assert text(get("/stats;csv", replace(PAGE, scope=("db",)))).count("\n") == 3


def test_a_uri_with_a_question_mark_works_as_haproxys_default():
    page = replace(PAGE, uri="/haproxy?stats")
    assert text(get("/haproxy?stats;csv", page)).startswith("# pxname")
    assert "web1" not in text(get("/haproxy?stats;csv?scope=db", page))
    filtered = text(get("/haproxy?stats=&scope=db", page))  # what its GET form sends
    assert "web1" not in filtered
    assert 'name="stats" value=""' in filtered


def test_refresh_of_other_formats_is_a_header_unless_it_is_switched_off():
    page = replace(PAGE, refresh=5.0)
    assert header(get("/stats;csv", page), "refresh") == "5"
    assert header(get("/stats;csv;norefresh", page), "refresh") is None
    assert header(get("/stats;csv"), "refresh") is None


@pytest.mark.parametrize("may_act", [False, True])
def test_the_page_leaves_the_refresh_to_its_script_and_to_browsers_without_one(may_act):
    reply = get("/stats", replace(PAGE, refresh=5.0), admin=ADMIN if may_act else ())
    assert header(reply, "refresh") is None, "a browser would lose what is ticked and opened"
    assert 'data-refresh="5"' in text(reply)
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in text(reply)
    still = text(get("/stats;norefresh", replace(PAGE, refresh=5.0)))
    assert 'data-refresh="0"' in still
    assert "http-equiv" not in still


def test_without_stats_refresh_the_page_is_live_at_its_own_pace():
    page = text(get("/stats"))
    assert 'data-refresh="3"' in page
    assert "http-equiv" not in page


def test_legends_version_node_and_description_are_shown_on_demand():
    bare = text(get("/stats", StatsPage(uri="/stats", hide_version=True)))
    assert "172.16.10.102" not in bare
    assert "0.1.0" not in bare
    assert "lb1" not in bare
    full = text(get("/stats", replace(PAGE, show_node="", show_desc="")))
    assert "172.16.10.102:30080" in full
    assert "0.1.0" in full
    assert "<b>lb1</b>: shop, first of two" in full
    assert "<b>other</b>: mine" in text(get("/stats", replace(PAGE, show_node="other", show_desc="mine")))


def test_other_methods_are_not_allowed():
    reply = handler().handle(request("PUT", "/stats"), b"")
    assert (reply.status, header(reply, "allow")) == (405, "GET, HEAD, POST")


def test_head_has_the_length_and_no_body():
    x = request("HEAD", "/stats")
    sent = handler().handle(x, b"").serialise(x, keep_alive=True)
    assert re.search(rb"content-length: [1-9]\d+\r\n", sent)
    assert sent.endswith(b"\r\n\r\n")


# --------------------------------------------------------------------------------------------------------------- access


LOCKED = replace(PAGE, auth=(("admin", "pä:ss"), ("other", "")), realm='My "Realm"')


def basic(credentials: str) -> str:
    return "Basic " + base64.b64encode(credentials.encode()).decode()


WRONG = (None, "", "Basic", "Basic !!", "Bearer x", *map(basic, ("admin", "admin:", "admin:pä:ss ", "x:", "")))


@pytest.mark.parametrize("given", WRONG)
def test_without_the_password_there_is_a_challenge(given):
    fields = {} if given is None else {"authorization": given}
    reply = handler(LOCKED).handle(request("GET", "/stats", **fields), b"")
    assert reply.status == 401
    assert header(reply, "www-authenticate") == 'Basic realm="My \\"Realm\\""'
    assert "web1" not in text(reply)


@pytest.mark.parametrize(
    "given", [basic("admin:pä:ss"), basic("other:"), basic("admin:pä:ss").replace("Basic", "basic ")]
)
def test_with_it_the_page(given):
    assert handler(LOCKED).handle(request("GET", "/stats", authorization=given), b"").status == 200


def test_a_post_without_the_password_does_nothing():
    world = demo_world()
    reply = handler(LOCKED, world, admin=ADMIN).handle(request("POST", "/stats"), b"s=web1&action=maint&b=web")
    assert reply.status == 401
    assert world.backends[0].by_name["web1"].status == "UP"


def test_stats_http_request_rules_decide_first():
    denied = Reply(403)
    assert get("/stats", LOCKED, rules=(lambda x: denied,)) is denied
    assert get("/stats", LOCKED, rules=(lambda x: None, lambda x: ALLOW)).status == 200
    assert get("/stats", LOCKED, rules=(lambda x: None,)).status == 401


# ---------------------------------------------------------------------------------------------------------------- forms


def post(body: str, target: str = "/stats", world=None, admin=ADMIN, **fields: str) -> Reply:
    return handler(PAGE, world, admin=admin).handle(request("POST", target, host="lb:8080", **fields), body.encode())


def test_the_forms_action_is_done_and_answered_by_a_redirect():
    world = demo_world()
    reply = post("s=web1&s=web2&action=maint&b=web", world=world)
    assert reply.status == 303
    assert header(reply, "location") == "/stats;st=DONE"
    assert [world.backends[0].by_name[name].status for name in ("web1", "web2", "web3")] == ["MAINT", "MAINT", "UP"]


def test_backends_are_named_or_numbered():
    world = demo_world()
    assert header(post("s=web1&action=drain&b=%232", world=world), "location") == "/stats;st=DONE"
    assert world.backends[0].by_name["web1"].status == "DRAIN"


@pytest.mark.parametrize(
    ("body", "code"),
    [("s=web1&action=ready&b=web", "DONE"), ("s=web1&s=nobody&action=ready&b=web", "PART"),
     ("action=ready&b=web", "NONE"),
     ("s=nobody&action=ready&b=web", "ERRP"), ("s=web1&action=explode&b=web", "ERRP"),
     ("s=web1&action=ready&b=x", "ERRP"),
     ("s=web1&action=ready&b=public", "ERRP"), ("s=sorry&action=ehlth&b=web", "NONE"), ("", "NONE"),
     ("s=web1&s=web1&action=ready&b=web", "DONE"), ("%zz=%&&=;s", "NONE")],
)  # fmt: skip
def test_result_codes(body, code):
    assert header(post(body), "location") == f"/stats;st={code}"


def test_the_redirect_keeps_options_and_scope():
    page = handler(replace(PAGE, refresh=5.0), admin=ADMIN)
    target = "/stats;up;norefresh;st=PART?scope=w%26b%0d%0aX"
    reply = page.handle(request("POST", target), b"s=web1&action=ready&b=web")
    assert header(reply, "location") == "/stats;st=DONE;up;norefresh?scope=w%26b%0D%0AX"


def test_nobody_may_act_without_stats_admin():
    world = demo_world()
    assert header(post("s=web1&action=maint&b=web", world=world, admin=()), "location") == "/stats;st=DENY"
    assert (
        header(post("s=web1&action=maint&b=web", world=world, admin=(lambda x: False,)), "location") == "/stats;st=DENY"
    )
    assert world.backends[0].by_name["web1"].status == "UP"
    assert "checkbox" not in text(get("/stats", world=world)).split("</style>")[1]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"origin": "http://lb:8080"}, "DONE"),
        ({"origin": "HTTP://LB:8080", "sec_fetch_site": "same-origin"}, "DONE"),
        ({"origin": "http://evil.example"}, "DENY"),
        ({"origin": "http://lb:8081"}, "DENY"),
        ({"origin": "null"}, "DENY"),
        ({"sec_fetch_site": "cross-site"}, "DENY"),
        ({"origin": "http://lb:8080", "sec_fetch_site": "same-site"}, "DENY"),
        ({}, "DONE"),
    ],
)
def test_other_sites_cannot_act_with_a_browsers_credentials(fields, code):
    assert header(post("s=web1&action=ready&b=web", **fields), "location") == f"/stats;st={code}"


def test_default_ports_of_an_origin_need_not_be_written():
    x = request("POST", "/stats", host="lb", origin="http://lb:80")
    assert header(handler(admin=ADMIN).handle(x, b""), "location") == "/stats;st=NONE"


def test_too_large_a_form_is_told():
    assert header(handler(admin=ADMIN).too_large(request("POST", "/stats;up")), "location") == "/stats;st=EXCD;up"


@pytest.mark.parametrize("code", [*OUTCOMES, "%3Cscript%3E", "<script>"])
def test_each_outcome_has_its_sentence(code):
    body = text(get(f"/stats;st={code}"))
    assert OUTCOMES.get(code, OUTCOMES["UNKN"]).text in re.sub("&#x27;", "'", body)


def test_every_action_of_the_form_works_on_a_checked_server():
    for action in ACTIONS:
        world = demo_world()
        reply = post(f"s=web1&action={action.name}&b=web", world=world)
        assert header(reply, "location") == "/stats;st=DONE", action.name
    statuses = {}
    for name in ("ready", "drain", "maint", "hnolb", "hdown", "hrunn", "stop", "disable"):
        world = demo_world()
        post(f"s=web1&action={name}&b=web", world=world)
        statuses[name] = world.backends[0].by_name["web1"].status
    assert statuses == {
        "ready": "UP", "drain": "DRAIN", "maint": "MAINT", "hnolb": "NOLB", "hdown": "DOWN", "hrunn": "UP",
        "stop": "DRAIN",
        "disable": "MAINT",
    }  # fmt: skip


def test_killing_sessions_ends_those_of_the_server():
    world = demo_world()
    page = handler(PAGE, world, admin=ADMIN)
    web1 = world.backends[0].by_name["web1"]
    ended = []

    class Exchange:
        def shutdown(self, letter):
            ended.append(letter)

    web1.sessions.add(Exchange())
    page.handle(request("POST", "/stats"), b"s=web1&action=shutdown&b=web")
    assert ended == [b"K"]


# ----------------------------------------------------------------------------------------------------------------- html


class Checker(html.parser.HTMLParser):
    """Balanced tags, quoted attributes, and what the page would load or run."""

    VOID = frozenset(("meta", "link", "input", "br"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("admin", [(), ADMIN])
def test_the_page_is_well_formed_and_loads_nothing(admin):
    checker = Checker()
    checker.feed(text(get("/stats;st=DONE?scope=%22%3E%3Cb%3E", admin=admin)))
    checker = Checker()
    checker.feed(text(get("/stats;st=DONE", admin=admin)))
    checker.close()
    assert checker.open == []
    assert [attrs for tag, attrs in checker.seen if tag == "script"] == [{}]
    assert not [attrs for _, attrs in checker.seen if "src" in attrs or any(name.startswith("on") for name in attrs)]
    links = [attrs["href"] for tag, attrs in checker.seen if tag in ("a", "link")]
    assert all(link.startswith(("/stats", "#p", "data:,")) for link in links)


def test_text_from_outside_is_escaped():
    body = text(get("/stats?scope=%22%3E%3Cscript%3Ealert(2)", admin=ADMIN)) + text(get("/stats", admin=ADMIN))
    assert body.count("<script>") == 2, "its own, once a page"
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body
    assert "billing&lt;b&gt;&amp;&quot;x&#x27;" in body
    assert "&lt;b&gt;&quot;nonsense&quot;, he said&lt;/b&gt;" in body


def test_the_policy_admits_the_pages_own_script_only():
    reply = get("/stats")
    policy = header(reply, "content-security-policy")
    assert "default-src 'none'" in policy
    found = re.search(r"<script>(.*)</script>", text(reply), re.DOTALL)
    assert found[1] == SCRIPT
    assert "script-src 'sha256-" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]


@pytest.mark.parametrize(
    ("status", "name"),
    [("UP", "up"), ("OPEN", "up"), ("UP 1/3", "failing"), ("UP (4/7)", "up"), ("DOWN", "down"), ("DOWN 1/2", "rising"),
     ("MAINT", "maint"), ("MAINT (via a/b)", "maint"), ("DRAIN", "drain"), ("DRAIN 1/3", "drain"), ("NOLB", "drain"),
     ("no check", "nocheck"),
     ("FULL", "failing"), ("STOP", "down"), ("DOWN (0/3)", "down")],
)  # fmt: skip
def test_each_status_has_its_colour(status, name):
    assert state_class(status) == name
    assert name in STATES


def test_states_are_told_in_words_and_signs_too():
    body = text(get("/stats"))
    for words in ("● UP", "▼ UP 1/3", "✕ DOWN", "▲ DOWN 1/2", "■ MAINT", "◆ DRAIN", "○ no check"):
        assert words in body


# ------------------------------------------------------------------------------------------------------------- exporter


def test_the_exporter_serves_metrics_by_scope():
    serve = exporter(demo_world())
    reply = serve(request("GET", "/metrics?scope=server&no-maint"))
    assert header(reply, "content-type") == "text/plain; version=0.0.4"
    assert 'server="web1"' in text(reply)
    assert "web5" not in text(reply)
    assert "haproxy_frontend" not in text(reply)
    assert serve(request("POST", "/metrics")).status == 405


# ---------------------------------------------------------------------------------------------------------- percentiles


def test_response_times_are_shown_as_percentiles_once_there_are_any():
    world = demo_world()
    page = handler(world=world)
    before = text(page.handle(request("GET", "/stats"), b""))
    for server in world.backends[0].servers[:1]:
        server.counters.responses.add([0.004] * 98 + [0.5] * 2)
    shown = text(page.handle(request("GET", "/stats"), b""))
    assert shown.count("Response p50") == before.count("Response p50") + 1
    (figures,) = re.findall(r"Response p50 / p95 / p99</dt><dd>([\d.]+) / ([\d.]+) / ([\d.]+)\u202fms", shown)
    p50, p95, p99 = map(float, figures)
    assert 4 <= p50 == p95 < 4.9
    assert 500 <= p99 <= 600
