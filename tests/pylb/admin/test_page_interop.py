"""The statistics page in a real browser, and its form beside the real HAProxy's."""

from __future__ import annotations

import urllib.parse
import urllib.request
from dataclasses import replace

import pytest
from browser import browser
from demo_world import demo_world
from page_request import header, request, serve
from real_haproxy import haproxy
from support import free_port, wait_for

from pylb.admin.page import StatsPageHandler
from pylb.backend import operate
from pylb.config.model import StatsPage

pytestmark = pytest.mark.interop

PAGE = StatsPage(uri="/stats", auth=(("admin", "secret"),), refresh=30.0, show_legends=True, show_node="", show_desc="")


@pytest.fixture(scope="module")
def chromium():
    with browser() as page:
        page.authenticate("admin", "secret")
        yield page


@pytest.fixture
def world():
    return demo_world()


@pytest.fixture
def url(world):
    with serve(StatsPageHandler(PAGE, world, admin=[lambda x: True])) as base:
        yield f"{base}/stats"


def visible(page, name: str) -> bool:
    return bool(page.run(f"document.querySelector({name!r}).checkVisibility()"))


def test_the_page_shows_every_row_and_complains_of_nothing(chromium, url, tmp_path):
    chromium.complaints.clear()
    chromium.requested.clear()
    chromium.look(1500, 900)
    chromium.goto(url)
    names = chromium.run("[...document.querySelectorAll('#p2 summary')].map(s => s.textContent)")
    assert names == ["web1", "web2", "web3", "web4", "web5", "web6", "sorry", "Backend"]
    assert chromium.run("document.querySelectorAll('section.proxy').length") == 6
    assert "UP 1/3" in chromium.run("document.querySelector('#p2').innerText")
    assert chromium.complaints == []
    assert [address for address in chromium.requested if not address.startswith(("http://127.0.0.1", "data:,"))] == []
    chromium.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 20_000, "a picture with something on it"


@pytest.mark.parametrize("dark", [False, True])
def test_states_have_colours_that_can_be_read_in_either_scheme(chromium, url, dark):
    chromium.look(1500, 900, dark=dark)
    chromium.goto(url)
    contrast = """
        (() => {
          const light = (c) => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(Number).map(x => x / 255)
              .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
              return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
          const card = light(getComputedStyle(document.querySelector('.proxy')).backgroundColor);
          return [...document.querySelectorAll('.status .state')].map(e => light(getComputedStyle(e).color))
              .map(l => (Math.max(l, card) + 0.05) / (Math.min(l, card) + 0.05));
        })()"""
    ratios = chromium.run(contrast)
    assert len(ratios) > 10
    assert min(ratios) > 4.5, "WCAG 2.1, 1.4.3: contrast of text"
    colours = chromium.run(
        "new Set([...document.querySelectorAll('.status .state')].map(e => getComputedStyle(e).color)).size"
    )
    assert colours >= 6


def test_on_a_telephone_rows_become_cards_without_sideways_scrolling(chromium, url):
    chromium.look(390, 844)
    chromium.goto(url)
    assert chromium.run("document.documentElement.scrollWidth") == 390
    assert not visible(chromium, "thead")
    assert visible(chromium, "#p2 td.status")
    heading = chromium.run(
        "getComputedStyle(document.querySelector('#p2 td[data-h=\"Sessions: Cur\"]'), '::before').content"
    )
    assert heading == '"Sessions: Cur"'


def test_on_a_telephone_fingers_find_what_they_touch(chromium, url):
    """WCAG 2.2, 2.5.8: nothing to touch is smaller than 24 by 24 pixels, unless it stands in a line of text."""
    chromium.look(390, 844)
    chromium.goto(url)
    small = chromium.run("""
        [...document.querySelectorAll("a, button, input, select, summary")].filter((e) => e.checkVisibility())
          .map((e) => [e.textContent || e.name, e.getBoundingClientRect()])
          .filter(([, box]) => box.width < 24 || box.height < 24)
          .map(([name, box]) => `${name} ${box.width}x${box.height}`)
    """)
    assert small == []
    tiles = (
        "[...document.querySelectorAll('.process dd')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.innerText)"
    )
    assert chromium.run(tiles) == []
    assert visible(chromium, "#p2 .all")
    chromium.click("#p2 .all")
    assert chromium.run("document.querySelectorAll('#p2 input[name=s]:checked').length") == 7
    assert chromium.run("parseFloat(getComputedStyle(document.querySelector('#filter')).fontSize)") >= 16


def press(page, key: str, code: int = 0, text: str = "") -> None:
    """A key, as from a keyboard."""
    name = key if len(key) > 1 else ""
    for kind in ("keyDown", "keyUp"):
        also = {"text": text} if text and kind == "keyDown" else {}
        page.call("Input.dispatchKeyEvent", type=kind, key=key, code=name, windowsVirtualKeyCode=code, **also)


def tab_to(page, selector: str, most: int = 80) -> None:
    """Press Tab until that element has the focus, and can be seen to have it."""
    for _ in range(most):
        press(page, "Tab", 9)
        if page.run(f"document.activeElement.matches({selector!r})"):
            assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            return
    raise AssertionError(f"{selector} is not reached by Tab")


def test_a_server_is_set_to_maint_by_the_keyboard_alone(chromium, url, world):
    web1 = world.backends[0].by_name["web1"]
    chromium.complaints.clear()
    chromium.look(1500, 900)
    chromium.goto(url)
    tab_to(chromium, '#p2 input[value="web1"]')
    press(chromium, " ", 32, " ")
    assert chromium.run("document.activeElement.checked")
    tab_to(chromium, "#p2 select")
    for letter in "Set state to M":
        press(chromium, letter, ord(letter.upper()), letter)
    assert chromium.run("document.activeElement.value") == "maint"
    tab_to(chromium, "#p2 button")
    press(chromium, "Enter", 13, "\r")
    wait_for(lambda: visible(chromium, "dialog"))
    assert chromium.run("document.activeElement.textContent") == "Do it"
    press(chromium, "Enter", 13, "\r")
    wait_for(lambda: web1.status == "MAINT")
    assert chromium.complaints == []


def test_escape_closes_details_and_gives_the_focus_back(chromium, url):
    chromium.look(1500, 900)
    chromium.goto(url)
    tab_to(chromium, "#p2 summary")
    press(chromium, "Enter", 13, "\r")
    wait_for(lambda: visible(chromium, "#p2 details dl"))
    press(chromium, "Escape", 27)
    assert not visible(chromium, "#p2 details dl")
    assert chromium.run("document.activeElement.matches('#p2 summary')")
    press(chromium, "/", 191, "/")
    for letter in "web2":
        press(chromium, letter, ord(letter.upper()), letter)
    shown = "[...document.querySelectorAll('tr[data-row]')].filter(r => r.checkVisibility()).length"
    assert chromium.run(shown) == 1
    press(chromium, "Escape", 27)
    assert chromium.run("document.querySelector('#filter').value") == "" and chromium.run(shown) > 10


def test_wide_tables_scroll_by_the_keyboard(chromium, url):
    chromium.look(900, 900)
    chromium.goto(url)
    tab_to(chromium, "#p2 .scroll")
    assert chromium.run("document.activeElement.getAttribute('aria-label')") == "Figures of web"
    for _ in range(3):
        press(chromium, "ArrowRight", 39)
    wait_for(lambda: chromium.run("document.activeElement.scrollLeft") > 0)


def test_a_name_opens_to_details(chromium, url):
    chromium.look(1500, 900)
    chromium.goto(url)
    assert not visible(chromium, "#p2 details dl")
    chromium.click("#p2 summary")
    assert visible(chromium, "#p2 details dl")
    assert "172.16.10.102:30080" in chromium.run("document.querySelector('#p2 details dl').innerText")


def test_a_server_is_set_to_maint_and_ready_by_the_form(chromium, url, world):
    web1 = world.backends[0].by_name["web1"]
    chromium.complaints.clear()
    chromium.look(1500, 900)
    chromium.goto(url)
    for action, status in (("maint", "MAINT"), ("ready", "UP 1/3")):  # up again, but its next failed check counts
        chromium.click('#p2 input[value="web1"]')
        chromium.run(f"document.querySelector('#p2 select').value = '{action}'")
        chromium.click("#p2 button")
        assert visible(chromium, "dialog")
        assert "web1 of web?" in chromium.run("document.querySelector('dialog p').textContent")
        assert web1.status != status, "asked before it is done"
        chromium.click("dialog [value=yes]", loads=True)
        assert web1.status == status
        assert chromium.run("location.href").endswith("/stats;st=DONE")
        assert chromium.run("document.querySelector('.message').innerText").startswith("Done.")
        assert status in chromium.run("document.querySelector('#p2 tbody tr').innerText")
    assert chromium.complaints == []


def test_one_box_chooses_all_servers_of_its_backend(chromium, url):
    chromium.look(1500, 900)
    chromium.goto(url)
    chromium.click("#p2 .all")
    assert chromium.run("document.querySelectorAll('#p2 input[name=s]:checked').length") == 7
    assert chromium.run("document.querySelectorAll('#p3 input[name=s]:checked').length") == 0


def test_the_scope_form_filters(chromium, url):
    chromium.look(1500, 900)
    chromium.goto(f"{url};norefresh")
    chromium.run("document.querySelector('input[name=scope]').value = 'db'")
    before = chromium.run("document.querySelectorAll('section').length")
    chromium.click_submit("nav form")
    assert (before, chromium.run("document.querySelectorAll('section').length")) == (6, 2)
    assert chromium.run("location.href").endswith("/stats;norefresh?scope=db")


@pytest.fixture
def quick(chromium, world):
    """A page that looks at itself every second."""
    with serve(StatsPageHandler(replace(PAGE, refresh=1.0, auth=()), world, admin=[lambda x: True])) as base:
        chromium.complaints.clear()
        chromium.look(1500, 900)
        chromium.goto(f"{base}/stats")
        yield f"{base}/stats"
        chromium.goto("about:blank")
    assert chromium.complaints == []


def test_the_page_updates_itself_and_leaves_alone_what_the_reader_does(chromium, quick, world):
    chromium.run("window.mark = 1")
    chromium.click('#p2 input[value="web1"]')
    chromium.click("#p2 summary")
    web1 = world.backends[0].by_name["web1"]
    operate.set_state(web1, "maint", world.now())
    wait_for(lambda: "MAINT" in chromium.run("document.querySelector('#p2 tbody tr .status').innerText"))
    assert chromium.run("window.mark") == 1, "not loaded again"
    assert chromium.run("document.querySelector('#p2 input[value=web1]').checked")
    assert visible(chromium, "#p2 details dl")
    assert "live" in chromium.run("document.querySelector('#live').innerText")


def test_looks_are_not_read_out_one_by_one(chromium, quick):
    """What changes with every look is hidden from the live region, which speaks when the page stops being live."""
    live = "document.querySelector('#live')"
    chromium.run(
        f"changes = 0; new MutationObserver(() => changes++).observe({live}.firstChild, {{characterData: true}})"
    )
    first = chromium.run(f"{live}.textContent")
    wait_for(lambda: chromium.run(f"{live}.textContent") != first)
    assert chromium.run(f"{live}.firstChild.data") == "live" and chromium.run("changes") == 0
    assert chromium.run(f"{live}.querySelector('span').getAttribute('aria-hidden')") == "true"


def test_plots_grow_with_the_looks_and_survive_a_reload(chromium, quick, world):
    server = world.backends[0].by_name["web1"]
    server.counters.responses.add([0.012] * 100)
    points = (
        "document.querySelector('#p2 tbody tr .spark.rate polyline')?.getAttribute('points').split(' ').length ?? 0"
    )
    wait_for(lambda: chromium.run(points) >= 3)
    wait_for(lambda: chromium.run("document.querySelector('#p2 tbody tr .spark.p95') !== null"))
    seen = chromium.run(points)
    chromium.goto(quick)
    assert chromium.run(points) >= seen
    assert "at most" in chromium.run("document.querySelector('#p2 tbody tr .spark title').textContent")


def test_frontends_have_latencies_and_a_time_without_any_breaks_the_line(chromium, quick, world):
    world.frontends[0].counters.responses.add([0.012] * 100)
    latencies = "document.querySelector('tr.frontend .spark.p95')"
    wait_for(lambda: chromium.run(f"{latencies} !== null"))
    assert "Response p50" in chromium.run("document.querySelector('tr.frontend dl').textContent")
    row = chromium.run("document.querySelector('tr.frontend').dataset.row")
    chromium.run(f"history['{row}'].p95 = [3, 3, 4, null, null, 5, 6, null]")
    chromium.run(f"draw(document.querySelector('tr.frontend'), history['{row}'])")
    assert chromium.run(f"{latencies}.querySelectorAll('polyline').length") == 2
    assert chromium.run(f"{latencies}.querySelectorAll('polygon')[1].getAttribute('points')").endswith(",1.0 58,20")
    assert "now none, at most 6 ms" in chromium.run(f"{latencies}.querySelector('title').textContent")


def test_the_filter_hides_what_does_not_match_and_is_reached_by_a_key(chromium, quick):
    chromium.call("Input.dispatchKeyEvent", type="keyDown", key="/", text="/")
    assert chromium.run("document.activeElement.id") == "filter"
    for letter in "web2":
        chromium.call("Input.dispatchKeyEvent", type="keyDown", key=letter, text=letter)
    shown = "[...document.querySelectorAll('tr[data-row]')].filter(r => r.checkVisibility()).map(r => r.dataset.row)"
    assert chromium.run("document.querySelector('#filter').value") == "web2"
    assert chromium.run(shown) == ["2/S/web2"]


def test_an_action_can_be_taken_back_and_says_what_is_missing(chromium, quick, world):
    web1 = world.backends[0].by_name["web1"]
    before = web1.status
    chromium.click("#p2 button")
    assert "Tick the servers first" in chromium.run("document.querySelector('dialog p').textContent")
    chromium.call("Input.dispatchKeyEvent", type="keyDown", key="Escape", windowsVirtualKeyCode=27)
    wait_for(lambda: not visible(chromium, "dialog"))
    chromium.click('#p2 input[value="web1"]')
    chromium.run("document.querySelector('#p2 select').value = 'maint'")
    chromium.click("#p2 button")
    chromium.click("dialog [value='']")
    wait_for(lambda: not visible(chromium, "dialog"))
    assert web1.status == before


def test_a_page_that_is_gone_says_so_and_keeps_what_it_knew(chromium, world):
    with serve(StatsPageHandler(replace(PAGE, refresh=1.0, auth=()), world)) as base:
        chromium.look(1500, 900)
        chromium.goto(f"{base}/stats")
    wait_for(lambda: "not updated since" in chromium.run("document.querySelector('#live').innerText"))
    assert chromium.run("document.querySelectorAll('tr[data-row]').length") > 10
    chromium.goto("about:blank")
    chromium.complaints.clear()


# ---------------------------------------------------------------------------------------------- beside the real HAProxy

BODIES = [
    "s=s1&action=maint&b=app", "s=s1&action=ready&b=app", "s=s1&action=ready&b=%23{id}", "s=nobody&action=ready&b=app",
    "s=s1&s=nobody&action=drain&b=app", "s=s1&s=s1&action=ready&b=app", "s=s1&action=explode&b=app",
    "s=s1&action=ready&b=nobody", "s=s1&action=ready&b=fe", "action=ready&b=app", "", "s=s1&action=stop&b=app",
    "b=app&s=s1&action=start", "s=s1&action=disable&b=app", "s=s1&action=enable&b=app", "s=s1&action=dhlth&b=app",
    "s=s1&action=ehlth&b=app", "s=s1&action=hrunn&b=app", "s=s1&action=hnolb&b=app", "s=s1&action=hdown&b=app",
    "s=s1&action=hrunn&b=app", "s=s1&action=shutdown&b=app",
]  # fmt: skip


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object) -> None:
        return None


def test_forms_are_answered_as_haproxy_answers_them(tmp_path):
    port = free_port()
    config = f"""
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
frontend fe
    bind 127.0.0.1:{free_port()}
backend app
    server s1 127.0.0.1:{free_port()} check inter 60s
listen stats
    bind 127.0.0.1:{port}
    stats enable
    stats uri /stats
    stats admin if TRUE
"""
    opener = urllib.request.build_opener(NoRedirect)
    world = demo_world()
    app = type(world.backends[0])(_twin())
    world.backends = [app]
    world.frontends = []
    ours = StatsPageHandler(StatsPage(uri="/stats"), world, admin=[lambda x: True])
    answers = {}
    with haproxy(tmp_path, config, port):
        for options in ("", ";up;norefresh?scope=app"):
            for body in BODIES:
                target = f"/stats{options}"
                sent = urllib.request.Request(f"http://127.0.0.1:{port}{target}", body.format(id=2).encode())
                with pytest.raises(urllib.error.HTTPError) as caught:
                    opener.open(sent, timeout=5)
                theirs = caught.value.code, caught.value.headers["location"]
                caught.value.close()
                reply = ours.handle(request("POST", target), body.format(id=1).encode())
                if theirs != (reply.status, header(reply, "location")):
                    answers[target, body] = theirs, header(reply, "location")
    assert answers == {}


def _twin():
    from pylb.config import model

    return model.Backend(name="app", mode="http", servers=(
        model.Server("s1", model.Address(host="127.0.0.1", port=1), check=model.ServerCheck()),
    ))  # fmt: skip
