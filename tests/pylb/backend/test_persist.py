"""Cookie persistence, case by case: what the server sees, what the client is told, which letters are logged."""

from __future__ import annotations

from typing import Any

import pytest
from backend_tools import Exchange, declared_server, make_backend
from hypothesis import given
from hypothesis import strategies as st

from pylb.backend import operate, state
from pylb.backend.backend import Backend
from pylb.backend.persist import decode_date, encode_date
from pylb.config import model
from pylb.http1.framing import request_framing

WALL = 1_700_000_000.0
"""The time of day of every exchange in backend_tools."""


def cookie(mode: Any, *flags: str, **options: Any) -> model.Cookie:
    return model.Cookie("SRV", mode, **dict.fromkeys(flags, True), **options)


def farm(declared: model.Cookie, **options: Any) -> Backend:
    """s1 (A) serves, s2 (B) is a backup, s3 (C) is in maintenance, s4 has no cookie value and weight 0."""
    return make_backend(
        declared_server("s1", cookie="A"),
        declared_server("s2", cookie="B", backup=True),
        declared_server("s3", cookie="C", disabled=True),
        declared_server("s4", weight=0),
        cookie=declared,
        **options,
    )


def run(
    backend: Backend, sent: str | None, own: str | None = None, method: str = "GET", fields: str = ""
) -> tuple[Exchange, str, list[bytes], list[bytes]]:
    """(exchange, server, Cookie fields the server got, Set-Cookie fields the client got)"""
    line = f"Cookie: {sent}\r\n" if sent is not None else ""
    x = Exchange(f"{method} / HTTP/1.1\r\nHost: h\r\n{line}X-Last: 1\r\n\r\n".encode())
    assert backend.persist is not None
    backend.persist.request(x)
    server = backend.assign(x, 0.0)
    answer = f"Set-Cookie: {own}\r\n" if own is not None else ""
    x.answer(f"HTTP/1.1 200 OK\r\n{answer}{fields}Content-Length: 0\r\n\r\n".encode())
    backend.persist.response(x)
    backend.release(x, 0.0)
    return x, server.name, x.request.get_all(b"cookie"), x.response.get_all(b"set-cookie")


INSERT = cookie("insert", "indirect")
CASES: list[tuple[model.Cookie, str | None, str | None, str, list[bytes], list[bytes], bytes]] = [
    # declared, client's cookie, server's own; then: server, its Cookie, client's Set-Cookie, letters
    (cookie("passive"), "SRV=B", None, "s2", [b"SRV=B"], [], b"--"),
    (cookie("insert"), None, None, "s1", [], [b"SRV=A; path=/"], b"NI"),
    (cookie("insert"), "SRV=B", None, "s2", [b"SRV=B"], [], b"VN"),
    (cookie("insert"), "SRV=C", None, "s1", [b"SRV=C"], [b"SRV=A; path=/"], b"DI"),
    (cookie("insert"), "SRV=X", None, "s1", [b"SRV=X"], [b"SRV=A; path=/"], b"II"),
    (cookie("insert"), "SRV=", None, "s1", [b"SRV="], [b"SRV=A; path=/"], b"II"),
    (cookie("insert"), "SRV=B", "SRV=own", "s2", [b"SRV=B"], [], b"VD"),
    (cookie("insert"), None, "SRV=own", "s1", [], [b"SRV=A; path=/"], b"NI"),
    (INSERT, "SRV=B", None, "s2", [], [], b"VN"),
    (INSERT, "a=1; SRV=B; b=2", None, "s2", [b"a=1; b=2"], [], b"VN"),
    (INSERT, "SRV=B; SRV=A; b=2", None, "s2", [b"b=2"], [], b"VN"),
    (INSERT, "a=SRV=B; SRVX=1; xSRV=2", None, "s1", [b"a=SRV=B; SRVX=1; xSRV=2"], [b"SRV=A; path=/"], b"NI"),
    (INSERT, "SRV=B", "other=1", "s2", [], [b"other=1"], b"VN"),
    (cookie("insert", "preserve"), None, "SRV=bye", "s1", [], [b"SRV=bye"], b"NP"),
    (cookie("rewrite"), "SRV=B", "SRV=own; path=/x", "s2", [b"SRV=B"], [b"SRV=B; path=/x"], b"VR"),
    (cookie("rewrite"), None, None, "s1", [], [], b"NN"),
    (cookie("prefix"), "SRV=B~own", "SRV=new; HttpOnly", "s2", [b"SRV=own"], [b"SRV=B~new; HttpOnly"], b"VR"),
    (cookie("prefix"), "SRV=own", "SRV=new", "s1", [b"SRV=own"], [b"SRV=A~new"], b"IR"),
    (
        cookie("insert", "httponly", "secure", domains=(".a.com", "b.com"), attrs=("SameSite=None",)),
        None,
        None,
        "s1",
        [],
        [b"SRV=A; path=/; domain=.a.com; domain=b.com; HttpOnly; Secure; SameSite=None"],
        b"NI",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].mode} {case[1]} {case[2]} {case[6].decode()}")
def test_cookie_case(case: Any) -> None:
    declared, sent, own, *expected = case
    x, server, got, told = run(farm(declared), sent, own)
    assert [server, got, told, x.cookie_state] == expected


def test_postonly_inserts_on_post_only() -> None:
    backend = farm(cookie("insert", "postonly"))
    assert run(backend, None)[3] == []
    assert run(backend, None, method="POST")[3] == [b"SRV=A; path=/"]


def test_nocache_marks_only_what_a_cache_might_keep() -> None:
    backend = farm(cookie("insert", "nocache"))

    def marked(fields: str, method: str = "GET") -> bool:
        return b"private" in run(backend, None, method=method, fields=fields)[0].response.get_all(b"cache-control")

    assert marked("ETag: x\r\n") and marked("Cache-Control: max-age=5\r\n") and marked("Expires: 0\r\n")
    assert marked("Cache-Control: public, max-age=5\r\n", "POST")
    assert not marked("") and not marked("ETag: x\r\n", "POST") and not marked("Cache-Control: no-store\r\n")
    assert not marked("ETag: x\r\nPragma: no-cache\r\n")


def test_a_client_with_its_cookie_is_not_marked_again() -> None:
    backend = farm(cookie("insert", "indirect", "nocache"))
    assert run(backend, "SRV=B", fields="ETag: x\r\n")[0].response.get(b"cache-control") is None


def test_a_server_without_a_value_takes_the_clients_cookie_away() -> None:
    backend = make_backend("plain", cookie=INSERT)
    x, _, _, told = run(backend, None)
    assert told == [b"SRV=; Expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/"] and x.cookie_state == b"NI"


def dated(last: float | None = None, first: float | None = None) -> str:
    value = "SRV=B"
    for ago in (last, first):
        if ago is not None:
            value += "|" + encode_date(WALL - ago).decode()
    return value


NOW = encode_date(WALL).decode()


@pytest.mark.parametrize(
    ("sent", "server", "letters", "value"),
    [
        (None, "s1", b"NI", f"A|{NOW}|{NOW}"),
        ("SRV=B", "s2", b"VU", f"B|{NOW}|{NOW}"),
        (dated(60, 600), "s2", b"VU", f"B|{NOW}|{encode_date(WALL - 600).decode()}"),
        (dated(1810, 1810), "s1", b"EI", f"A|{NOW}|{NOW}"),
        (dated(60, 30000), "s1", b"OI", f"A|{NOW}|{NOW}"),
        (dated(-86500, 0), "s1", b"EI", f"A|{NOW}|{NOW}"),
        (dated(-3600, 3600), "s2", b"VN", None),
    ],
)
def test_dates_expire_and_are_refreshed(sent: str | None, server: str, letters: bytes, value: str | None) -> None:
    x, got, _, told = run(farm(cookie("insert", "indirect", maxidle=1800.0, maxlife=28800.0)), sent)
    assert (got, x.cookie_state) == (server, letters)
    assert told == ([f"SRV={value}; path=/".encode()] if value else [])


@given(st.integers(1, (1 << 32) - 8))
def test_dates_survive_the_round_trip_to_four_seconds(wall: int) -> None:
    digits = encode_date(wall)
    assert len(digits) == 5
    back = decode_date(digits)
    assert back is not None and 0 <= back - wall <= 3


@given(st.binary(max_size=8))
def test_what_is_no_date_is_none(digits: bytes) -> None:
    wall = decode_date(digits)
    assert wall is None or encode_date(wall) == digits


COOKIE_TEXT = st.text(st.sampled_from('SRV=ABC~|;, ab"'), max_size=40).map(str.strip)


@given(COOKIE_TEXT, st.sampled_from(["insert", "rewrite", "prefix", "passive"]), st.booleans())
def test_any_cookie_text_leaves_a_valid_head_and_hides_the_cookie(text: str, mode: Any, indirect: bool) -> None:
    flags = ("indirect",) if indirect else ()
    x, _, got, _ = run(farm(cookie(mode, *flags)), text)
    request_framing(x.request)
    head = x.request.serialise()
    assert head.count(b"\r\n\r\n") == 1 and b"\r\nX-Last: 1" in head and b"\r\nHost: h" in head
    if mode == "insert" and indirect:  # what is left holds no such cookie, by our own reading
        again = run(farm(cookie("insert", "indirect")), b"; ".join(got).decode() or None)
        assert again[0].cookie_state == b"NI"


def test_a_cookie_of_a_server_that_drains_or_has_weight_0_is_still_followed() -> None:
    backend = make_backend(declared_server("s1", cookie="A"), declared_server("s2", cookie="B"), cookie=INSERT)
    operate.set_state(backend.by_name["s2"], "drain", 0.0)
    assert run(backend, "SRV=B")[1] == "s2"
    operate.set_state(backend.by_name["s2"], "ready", 0.0)
    operate.set_weight(backend.by_name["s2"], "0", 0.0)
    assert run(backend, "SRV=B")[1] == "s2"
    assert run(backend, None)[1] == "s1"


def test_of_servers_sharing_a_value_the_first_that_can_be_reached_is_taken() -> None:
    backend = make_backend(*(declared_server(name, cookie="same") for name in ("s1", "s2")), cookie=INSERT)
    state.stopped(backend.by_name["s1"], 1.0)
    x, server, _, _ = run(backend, "SRV=same")
    assert (server, x.cookie_state) == ("s2", b"VN")


def test_a_failed_persistent_server_is_left_and_the_cookie_replaced() -> None:
    backend = farm(INSERT, redispatch=-1)
    x = Exchange(b"GET / HTTP/1.1\r\nHost: h\r\nCookie: SRV=B\r\n\r\n")
    backend.persist.request(x)
    backend.assign(x, 0.0)
    other = backend.reassign(x, 0.0, redispatch=True)
    x.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    backend.persist.response(x)
    assert other.name == "s1" and x.cookie_state == b"DI"
    assert x.response.get_all(b"set-cookie") == [b"SRV=A; path=/"]


def test_force_persist_and_option_persist_reach_a_server_that_is_down() -> None:
    forced = farm(INSERT, force_persist=(model.Condition(()),))
    forced.persist.force = (lambda x: True,)
    x, server, _, _ = run(forced, "SRV=C")
    assert (server, x.cookie_state) == ("s3", b"DN")
    assert run(farm(INSERT, persist=True), "SRV=C")[1] == "s3"


def test_ignore_persist_forgets_the_cookie_and_tells_nothing() -> None:
    backend = farm(INSERT, ignore_persist=(model.Condition(()),))
    backend.persist.ignore = (lambda x: True,)
    x, server, got, told = run(backend, "SRV=B")
    assert (server, got, told, x.cookie_state) == ("s1", [], [], b"UN")


def test_use_server_wins_over_the_cookie_and_skips_servers_that_are_down() -> None:
    rules = (model.UseBackend("s3"), model.UseBackend("s2"))
    backend = make_backend(
        declared_server("s1", cookie="A"),
        declared_server("s2", cookie="B"),
        declared_server("s3", cookie="C", disabled=True),
        cookie=INSERT,
        use_server=rules,
    )
    backend.persist.use_server = tuple((lambda x: True, lambda x, rule=rule: rule.backend.encode()) for rule in rules)
    x, server, got, _ = run(backend, "SRV=A")
    assert (server, got, x.cookie_state) == ("s2", [], b"UN")


def test_a_backend_without_persistence_pays_nothing() -> None:
    assert make_backend("a").persist is None
    assert make_backend("a", mode="tcp", cookie=INSERT).persist is None
