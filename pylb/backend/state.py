"""Servers go up and down: what follows from a check's result, from observed traffic, from a tracked server.

    result ─► health counts ─► stopped / stopping / running(slow start) ─► usable, candidates, queues, log, followers

Operators' orders (maintenance, drain, weights) are in operate.py and use the same steps. After every function here the
backend's candidates and counts are right, queues are served or requeued, and the change is logged in HAProxy's words.
"""

from __future__ import annotations

from pylb.backend.backend import Backend
from pylb.backend.health import CheckResult, Event, Health, Outcome, Status
from pylb.backend.server import SCALE, Admin, Server, State

EMERG, ALERT, WARNING, NOTICE = 0, 1, 4, 5

# ------------------------------------------------------------------------------------------------------------- checks


def check_done(server: Server, result: CheckResult, now: float) -> None:
    """A check of `server` has ended."""
    health = server.check
    if health is None or not health.enabled or health.paused:
        return
    previous = health.status
    health.note(result, now)
    if result.status.outcome is not Outcome.FAILED:
        server.consecutive_errors = 0
    counted = health.count(result.status.outcome)
    if counted and result.status.outcome is Outcome.FAILED:
        server.counters.chkfail += 1
    if server.backend.model.log_health_checks and (counted or previous is not result.status):
        _log_check(server, health, result)
    _conclude(server, health, result.status.outcome, now)
    server.changed(server)


def agent_done(server: Server, result: CheckResult, now: float) -> None:
    """The agent of `server` has said how it is. Only what it says counts: that it could not be asked is no failure."""
    health = server.agent
    if health is None or not health.enabled:
        return
    previous = health.status
    health.note(result, now)
    outcome = result.status.outcome
    if outcome is Outcome.FAILED and result.status is not Status.L7STS:
        counted = False
    else:
        counted = outcome is not Outcome.NEUTRAL and health.count(outcome)
    changed = counted or previous is not result.status
    if server.backend.model.log_health_checks and changed and outcome is not Outcome.NEUTRAL:
        _log_check(server, health, result, "Agent")
    if result.status in (Status.L7STS, Status.L7OK):
        _conclude(server, health, outcome, now)
    server.changed(server)


def _conclude(server: Server, health: Health, outcome: Outcome, now: float) -> None:
    reason = "" if server.backend.model.log_health_checks else check_reason(health)
    if outcome is Outcome.FAILED:
        if health.health == 0:
            stopped(server, now, reason)
    elif not server.vouched:
        return
    elif outcome is Outcome.CONDITIONAL:
        stopping(server, now, reason)
    else:
        running(server, now, reason)


def _log_check(server: Server, health: Health, result: CheckResult, by: str = "Health") -> None:
    """`option log-health-checks`: every result that changed something."""
    outcome = result.status.outcome
    word = {Outcome.FAILED: "failed", Outcome.PASSED: "succeeded", Outcome.CONDITIONAL: "conditionally succeeded"}[
        outcome
    ]
    state = ("UP" if server.weight else "DRAIN") if health.up else "DOWN"
    kind = "backup server" if server.backup else "server"
    text = f"{by} check for {kind} {server.backend.name}/{server.name} {word}"
    server.backend.log(NOTICE, f"{text}{check_reason(health)}, status: {health.progress} {state}.")


def check_reason(health: Health) -> str:
    """ ", reason: …" of a log line: what the last check found."""
    text = f", reason: {health.status.description}"
    if health.code is not None:
        text += f", code: {health.code}"
    if health.info:
        text += f', info: "{health.info}"'
    return f"{text}, check duration: {health.duration}ms"


def observe(server: Server, event: Event, now: float) -> None:
    """Traffic met `event` at `server` (manual: `observe`). Callers skip this where `server.observes` is None.

    A worker reports errors, and the first good event after one, to who counts them for all workers.
    """
    good = event.layer4 if server.observes == "layer4" else event.layer7
    health = server.check
    if good is None or health is None or server.observes is None:
        return
    if server.backend.report is not None:
        if not good or server.consecutive_errors:
            server.consecutive_errors = int(not good)
            server.backend.report(server, event)
        return
    if good:
        server.consecutive_errors = 0
        return
    server.consecutive_errors = errors = server.consecutive_errors + 1
    if errors < server.model.error_limit:
        return
    server.consecutive_errors = 0
    server.hana += 1
    health.hasten()
    if server.model.on_error == "fastinter" or health.paused or not health.enabled:
        return
    info = f"Detected {errors} consecutive errors, last one was: {event.description}"
    if server.model.on_error == "sudden-death" and health.health > health.rise:
        health.health = health.rise + 1
    elif server.model.on_error == "mark-down":
        health.health = min(health.health, health.rise)
    check_done(server, CheckResult(Status.HANA, health.duration or 0, None, info), now)


# -------------------------------------------------------------------------------------------------------- transitions


def running(server: Server, now: float, reason: str = "") -> None:
    """Take traffic (again). Nothing during maintenance, or when it does already."""
    if server.admin & Admin.MAINT or server.state in (State.RUNNING, State.STARTING):
        return
    was_out = out_of_service(server.backend)
    come_up(server, now)
    note_return(server.backend, was_out, now)
    moved = welcome(server, now)
    server.backend.log(NOTICE, _line(server, "is UP", reason) + online(server, moved) + ".")
    for follower in server.followers:
        running(follower, now)


def stopping(server: Server, now: float, reason: str = "") -> None:
    """Keep persistent traffic only (NOLB). Only a running server can."""
    if server.admin & Admin.MAINT or server.state not in (State.RUNNING, State.STARTING):
        return
    was_out = out_of_service(server.backend)
    _change(server, State.STOPPING, now)
    _full_speed(server)
    moved = server.backend.requeue(server, now)
    server.backend.log(NOTICE, _line(server, "is stopping", reason) + online(server, moved) + ".")
    note_outage(server.backend, was_out, now)
    for follower in server.followers:
        stopping(follower, now)


def stopped(server: Server, now: float, reason: str = "") -> None:
    """Down: no traffic at all."""
    if server.admin & Admin.MAINT or server.state is State.STOPPED:
        return
    gently = server.state is State.STOPPING or bool(server.admin & Admin.DRAIN)
    was_out = out_of_service(server.backend)
    moved = go_down(server, now)
    server.backend.log(NOTICE if gently else ALERT, _line(server, "is DOWN", reason) + left(server, moved) + ".")
    note_outage(server.backend, was_out, now)
    for follower in server.followers:
        stopped(follower, now)


def go_down(server: Server, now: float) -> int:
    """Stop `server` and see to its waiters and sessions; how many waiters were requeued."""
    _change(server, State.STOPPED, now)
    server.counters.chkdown += 1
    _full_speed(server)
    if server.model.on_marked_down:
        server.shut_sessions(b"D")
    server.backend.drop_idle(server)
    return server.backend.requeue(server, now)


def _full_speed(server: Server) -> None:
    """End a slow start, and let the backend know of the new state."""
    server.backend.warming.discard(server)
    server.set_ramp(SCALE, 100)
    server.refresh()
    server.backend.refresh()


def come_up(server: Server, now: float) -> None:
    """Start `server`, slowly if it has `slowstart`."""
    _change(server, State.STARTING if server.model.slowstart else State.RUNNING, now)
    if server.model.slowstart:
        server.set_ramp(1, 1)
        server.backend.warming.add(server)
    server.refresh()
    server.backend.refresh()


def warm_up(backend: Backend, now: float) -> None:
    """Give servers in slow start more of their weight and maxconn; about once a second while `backend.warming`."""
    for server in tuple(backend.warming):
        elapsed = now - server.last_change
        total = server.model.slowstart or 0.0
        if elapsed >= total:
            server.state = State.RUNNING
            _full_speed(server)
            backend.log(NOTICE, f"{title(server)} is UP{online(server, backend.serve(server, now))}.")
            continue
        server.set_ramp(min(SCALE, int(SCALE * elapsed / total) + 1), max(1, int(100 * elapsed / total)))
        server.refresh()
        backend.refresh()
        backend.serve(server, now)


def _change(server: Server, state: State, now: float) -> None:
    if server.state is State.STOPPED and now > server.last_change:
        server.downtime += now - server.last_change
    server.state = state
    server.last_change = now


# ---------------------------------------------------------------------------------------------- what else must happen


def out_of_service(backend: Backend) -> bool:
    """No server takes balanced traffic."""
    return not backend.candidates


def note_return(backend: Backend, was_out: bool, now: float) -> None:
    """After a change: if the backend was out of service and is no more, its outage ends."""
    if was_out and backend.candidates:
        backend.counters.downtime += now - backend.last_change
        backend.last_change = now


def note_outage(backend: Backend, was_out: bool, now: float) -> None:
    """After a change: if the backend is out of service and was not before, say so.

    Those who wait are served by whoever takes over, a backup say.
    """
    backend.serve_waiting(now)
    if was_out or backend.candidates:
        return
    backend.last_change = now
    backend.counters.chkdown += 1
    kind = "proxy" if backend.model.listen else "backend"
    backend.log(EMERG, f"{kind} {backend.name} has no server available!")


def welcome(server: Server, now: float) -> int:
    """A server is back: end the backups' sessions if it wants that, and serve those who wait; how many got a slot."""
    if server.model.on_marked_up and not server.backup and server.eweight:
        for backup in server.backend.servers:
            if backup.backup:
                backup.shut_sessions(b"U")
    return server.backend.serve(server, now)


def title(server: Server) -> str:
    """ "Server b/s", "Backup Server b/s": how log lines begin."""
    return f"{'Backup ' if server.backup else ''}Server {server.backend.name}/{server.name}"


def _line(server: Server, what: str, reason: str) -> str:
    via = f" via {server.tracked.backend.name}/{server.tracked.name}" if server.tracked is not None else ""
    return f"{title(server)} {what}{via}{reason}"


def _backups_run(backend: Backend) -> str:
    return " Running on backup." if backend.backups and not backend.active else ""


def left(server: Server, requeued: int) -> str:
    """The end of a line about a server that went away."""
    backend = server.backend
    return (
        f". {backend.active} active and {backend.backups} backup servers left.{_backups_run(backend)}"
        f" {server.counters.scur} sessions active, {requeued} requeued, {server.queue.length} remaining in queue"
    )


def online(server: Server, requeued: int) -> str:
    """The end of a line about a server that is there."""
    backend = server.backend
    return (
        f". {backend.active} active and {backend.backups} backup servers online.{_backups_run(backend)}"
        f" {requeued} sessions requeued, {server.queue.length} total in queue"
    )


def link_tracking(backends: dict[str, Backend]) -> None:
    """Tie servers with `track [BACKEND/]SERVER` to those they track; once, when all backends exist.

    Raises KeyError where there is no such server (the configuration's check has said so before).
    """
    for backend in backends.values():
        for server in backend.servers:
            if server.model.track is None:
                continue
            place, _, name = server.model.track.rpartition("/")
            server.tracked = (backends[place] if place else backend).by_name[name]
            server.tracked.followers.append(server)
    for backend in backends.values():
        for server in backend.servers:
            if server.tracked is None and server.admin & Admin.MAINT:
                _inherit_maintenance(server)


def _inherit_maintenance(server: Server) -> None:
    for follower in server.followers:
        follower.admin |= Admin.INHERITED_MAINT
        follower.state = State.STOPPED
        follower.refresh()
        follower.backend.refresh()
        _inherit_maintenance(follower)
