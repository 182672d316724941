"""Rise, fall and what follows: transitions, intervals, observe, slow start, tracking, sessions, log lines."""

from __future__ import annotations

from typing import Any

import pytest
from backend_tools import Exchange, declared_server, make_backend, names
from hypothesis import given
from hypothesis import strategies as st

from pylb.backend import operate, state
from pylb.backend.health import CheckResult, Event, Health, Outcome, Status, response_event
from pylb.backend.server import State
from pylb.config import model

GOOD = CheckResult(Status.L4OK, 1)
BAD = CheckResult(Status.L4CON, 2, None, "Connection refused")
NOT_FOUND = CheckResult(Status.L7OKC, 0, 404)
CHECK = model.ServerCheck()


def checked(name: str, **options: Any) -> model.Server:
    return declared_server(name, check=options.pop("check", CHECK), **options)


def test_the_count_falls_and_rises_as_configured() -> None:
    log: list[tuple[int, str]] = []
    backend = make_backend(checked("a"), log=log)
    server = backend.servers[0]
    seen = []
    for result in [GOOD, BAD, BAD, GOOD, BAD, BAD, BAD, BAD, GOOD, BAD, GOOD, GOOD]:
        state.check_done(server, result, 0.0)
        seen.append(server.status)
    up = ["UP", "UP 2/3", "UP 1/3", "UP", "UP 2/3", "UP 1/3", "DOWN", "DOWN", "DOWN 1/2", "DOWN", "DOWN 1/2", "UP"]
    assert seen == up
    assert [(level, text.split(".")[0]) for level, text in log] == [
        (1, 'Server b/a is DOWN, reason: Layer4 connection problem, info: "Connection refused", check duration: 2ms'),
        (0, "backend b has no server available!"),
        (5, "Server b/a is UP, reason: Layer4 check passed, check duration: 1ms"),
    ]
    # Of the seven failures one met a server that was firmly down already.
    assert (server.counters.chkfail, server.counters.chkdown, backend.counters.chkdown) == (6, 1, 1)


def test_the_first_failure_of_an_unchecked_server_takes_it_down() -> None:
    backend = make_backend(checked("a"))
    state.check_done(backend.servers[0], BAD, 0.0)
    assert backend.servers[0].status == "DOWN" and not backend.servers[0].usable


@given(st.integers(1, 5), st.integers(1, 5), st.lists(st.booleans(), max_size=60))
def test_health_stays_within_its_bounds_and_changes_side_only_after_rise_or_fall(
    rise: int, fall: int, passed: list[bool]
) -> None:
    health = Health(model.ServerCheck(rise=rise, fall=fall))
    run = 0
    before: bool | None = None
    for good in passed:
        was_up, was_at = health.up, health.health
        health.count(Outcome.PASSED if good else Outcome.FAILED)
        run = run + 1 if good is before else 1
        before = good
        assert 0 <= health.health <= health.top
        if health.up and not was_up:
            assert good and run >= rise
        if was_up and not health.up:
            assert not good and (run >= fall or was_at == rise)
        assert health.settled or 0 < health.health < health.top


def test_the_interval_follows_the_table_of_the_manual() -> None:
    health = Health(model.ServerCheck(inter=2.0, fastinter=0.5, downinter=9.0))
    assert health.interval == 0.5, "not checked yet"
    health.count(Outcome.PASSED)
    assert health.interval == 2.0
    health.count(Outcome.FAILED)
    assert health.interval == 0.5
    for _ in range(2):
        health.count(Outcome.FAILED)
    assert health.interval == 9.0
    health.count(Outcome.PASSED)
    assert health.interval == 0.5
    plain = Health(CHECK)
    assert plain.interval == 2.0


def test_a_404_stops_new_clients_only_and_never_revives_a_dead_server() -> None:
    log: list[tuple[int, str]] = []
    backend = make_backend(checked("a"), "b", log=log)
    server = backend.by_name["a"]
    state.check_done(server, NOT_FOUND, 0.0)
    assert (server.status, server.reachable, set(names(backend, 4))) == ("NOLB", True, {"b"})
    assert log == [
        (
            5,
            "Server b/a is stopping, reason: Layer7 check conditionally passed, code: 404, check duration: 0ms."
            " 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
        )
    ]
    state.check_done(server, GOOD, 0.0)
    assert server.status == "UP" and server.usable
    for _ in range(3):
        state.check_done(server, BAD, 0.0)
    assert server.status == "DOWN" and log[-1][0] == 1
    state.check_done(server, NOT_FOUND, 0.0)
    state.check_done(server, NOT_FOUND, 0.0)
    assert server.state is State.STOPPED


def test_a_server_that_was_stopping_goes_down_without_alarm() -> None:
    log: list[tuple[int, str]] = []
    backend = make_backend(checked("a"), "b", log=log)
    state.check_done(backend.by_name["a"], NOT_FOUND, 0.0)
    for _ in range(3):
        state.check_done(backend.by_name["a"], BAD, 0.0)
    assert log[-1][0] == 5 and log[-1][1].startswith("Server b/a is DOWN")


def test_log_health_checks_reports_each_change_and_not_twice() -> None:
    log: list[tuple[int, str]] = []
    backend = make_backend(checked("a"), log=log, log_health_checks=True)
    for result in (GOOD, GOOD, BAD, CheckResult(Status.L4TOUT, 9), BAD):
        state.check_done(backend.servers[0], result, 0.0)
    texts = [text for _, text in log]
    assert texts[0] == (
        "Health check for server b/a succeeded, reason: Layer4 check passed, check duration: 1ms, status: 3/3 UP."
    )
    assert texts[1].endswith("check duration: 2ms, status: 2/3 UP.")
    assert texts[2].endswith("reason: Layer4 timeout, check duration: 9ms, status: 1/3 UP.")
    assert texts[3].endswith("status: 0/2 DOWN.")
    assert texts[4].startswith("Server b/a is DOWN. 0 active"), "the reason was in the line before"


@pytest.mark.parametrize(
    ("on_error", "after"),
    [("fastinter", "UP"), ("fail-check", "UP 2/3"), ("sudden-death", "UP 1/3"), ("mark-down", "DOWN")],
)
def test_observed_errors_do_what_on_error_says(on_error: Any, after: str) -> None:
    log: list[tuple[int, str]] = []
    options: dict[str, Any] = {"observe": "layer7", "error_limit": 3, "on_error": on_error}
    backend = make_backend(checked("a", **options), log=log)
    server = backend.servers[0]
    state.check_done(server, GOOD, 0.0)
    hurried: list[bool] = []
    server.check.hasten = lambda: hurried.append(True)
    for event in (Event.READ_TIMEOUT, Event.CLOSED, Event.RESPONSE_OK, Event.CLOSED, Event.CLOSED):
        state.observe(server, event, 0.0)
    assert not hurried and server.status == "UP", "a good response starts the count anew"
    state.observe(server, Event.RESPONSE_STATUS, 0.0)
    assert (server.status, hurried, server.hana) == (after, [True], 1)
    if on_error == "mark-down":
        info = 'info: "Detected 3 consecutive errors, last one was: Wrong http response"'
        assert f"is DOWN, reason: Health analyze, {info}" in log[0][1]


def test_layer4_observes_connections_only() -> None:
    backend = make_backend(checked("a", observe="layer4", error_limit=1, on_error="mark-down"))
    server = backend.servers[0]
    state.observe(server, Event.RESPONSE_STATUS, 0.0)
    assert server.usable
    state.observe(server, Event.CONNECTION_FAILED, 0.0)
    assert not server.usable


def test_which_statuses_count_as_errors() -> None:
    assert all(response_event(status) is Event.RESPONSE_OK for status in (100, 200, 404, 499, 501, 505))
    assert all(response_event(status) is Event.RESPONSE_STATUS for status in (500, 502, 503, 504, 599))


def test_slowstart_raises_weight_and_maxconn_step_by_step() -> None:
    backend = make_backend(checked("a", slowstart=16.0, weight=16, maxconn=100), declared_server("b", weight=16))
    server = backend.by_name["a"]
    assert server.limit() == 100, "not at the start of the program"
    state.stopped(server, 0.0)
    state.running(server, 100.0)
    assert backend.warming == {server} and server.state is State.STARTING
    assert (server.effective_weight, server.limit()) == (1, 1)
    state.warm_up(backend, 108.0)
    assert (server.effective_weight, server.limit(), server.throttle(108.0)) == (9, 50, 50)
    assert 15 <= names(backend, 50).count("a") <= 21
    state.warm_up(backend, 116.0)
    assert (server.effective_weight, server.limit(), server.state) == (16, 100, State.RUNNING)
    assert not backend.warming and server.throttle(116.0) is None


def test_downtime_is_counted_by_server_and_backend() -> None:
    backend = make_backend(checked("a"))
    server = backend.servers[0]
    state.stopped(server, 10.0)
    assert server.down_seconds(14.0) == 4.0
    state.running(server, 15.0)
    assert server.down_seconds(99.0) == 5.0 and backend.counters.downtime == 5.0


def test_tracking_servers_follow_through_the_chain_and_across_backends() -> None:
    log: list[tuple[int, str]] = []
    first = make_backend(checked("a"), declared_server("t", track="a"), log=log)
    second = make_backend(declared_server("u", track="b/t"), log=log, name="c")
    state.link_tracking({"b": first, "c": second})
    state.check_done(first.by_name["a"], BAD, 1.0)
    assert [s.status for s in (*first.servers, *second.servers)] == ["DOWN"] * 3
    assert [text.split(".")[0] for _, text in log[1:]] == [
        "Server b/t is DOWN via b/a",
        "backend b has no server available!",
        "Server c/u is DOWN via b/t",
        "backend c has no server available!",
    ]
    for _ in range(2):
        state.check_done(first.by_name["a"], GOOD, 2.0)
    assert second.servers[0].usable and log[-1][1].startswith("Server c/u is UP via b/t.")
    operate.set_state(first.by_name["a"], "maint", 3.0)
    assert second.servers[0].status == "MAINT (via b/t)"


def test_a_server_that_tracks_one_in_maintenance_starts_in_maintenance() -> None:
    backend = make_backend(declared_server("a", disabled=True), declared_server("t", track="a"))
    state.link_tracking({"b": backend})
    assert not backend.by_name["t"].usable and backend.by_name["t"].status == "MAINT (via b/a)"


def test_sessions_end_when_the_server_goes_down_and_backups_when_it_returns() -> None:
    active = checked("a", on_marked_down="shutdown-sessions", on_marked_up="shutdown-backup-sessions")
    backend = make_backend(active, declared_server("z", backup=True))
    on_active = Exchange()
    backend.assign(on_active, 0.0)
    state.stopped(backend.by_name["a"], 1.0)
    assert on_active.shut == b"D"
    on_backup = Exchange()
    backend.assign(on_backup, 1.0)
    state.running(backend.by_name["a"], 2.0)
    assert on_backup.shut == b"U"


def test_checks_during_maintenance_and_while_disabled_count_for_nothing() -> None:
    backend = make_backend(checked("a"))
    server = backend.servers[0]
    operate.disable_check(server)
    state.check_done(server, BAD, 0.0)
    assert server.usable and server.status == "no check"
    operate.enable_check(server)
    operate.set_state(server, "maint", 0.0)
    state.check_done(server, GOOD, 0.0)
    assert server.status == "MAINT"


def test_a_retry_may_go_elsewhere_when_the_interval_says_so() -> None:
    def allowed(redispatch: int, retries: int, attempt: int, sticky: bool, algorithm: str = "roundrobin") -> bool:
        balance = model.Balance(algorithm)
        backend = make_backend("a", "b", redispatch=redispatch, retries=retries, balance=balance)
        x = Exchange()
        if sticky:
            x.persist_server = backend.by_name["a"]
        backend.assign(x, 0.0)
        x.retries = attempt
        return backend.redispatches(x)

    assert [allowed(-1, 3, attempt, sticky=True) for attempt in (1, 2, 3)] == [False, False, True]
    assert [allowed(1, 3, attempt, sticky=True) for attempt in (1, 2, 3)] == [True, True, True]
    assert [allowed(2, 4, attempt, sticky=True) for attempt in (1, 2, 3, 4)] == [False, True, False, True]
    assert not allowed(0, 3, 3, sticky=True)
    assert allowed(-1, 3, 1, sticky=False), "nothing binds it to this server"
    assert not allowed(-1, 3, 1, sticky=False, algorithm="source")
