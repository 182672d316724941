"""A server's live state as one flat record: from the steward to its workers, and from a generation to the next.

The steward alone decides (checks, operators, observed traffic); it notes which servers have changed and sends their
records once a turn of the loop is over. A worker that gets a record draws the local consequences: candidates, queues,
sessions to shut, idle connections to drop. It logs nothing, since the steward has.

A record holds everything, not the change, so it may be applied twice, and a later one makes an earlier one needless.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from pylb.backend.backend import Backend
from pylb.backend.health import Health, Status
from pylb.backend.server import SCALE, Admin, Server, State
from pylb.backend.state import out_of_service, welcome

Record = list[Any]


def record_of(server: Server) -> Record:
    """Everything about the server that may change while it runs, as JSON can carry it."""
    address, check = server.address, server.check
    return [
        server.backend.name,
        server.name,
        int(server.state),
        int(server.admin),
        server.weight,
        [address.kind, address.host, address.port, address.path],
        server.maxconn,
        server.minconn,
        server.last_change,
        server.downtime,
        server.hana,
        _health_of(check),
        _health_of(server.agent),
    ]


def _health_of(health: Health | None) -> list[Any] | None:
    """What checks, or an agent, have found."""
    if health is None:
        return None
    return [
        health.health, health.enabled, health.paused, health.status.name, health.code, health.duration, health.info,
        health.last,
    ]  # fmt: skip


def apply(backends: dict[str, Backend], record: Record, now: float) -> Server | None:
    """Make a server what the record says, with what follows from that here; None where there is no such server."""
    backend = backends.get(record[0])
    server = backend.by_name.get(record[1]) if backend is not None else None
    if backend is None or server is None:
        return None
    (_, _, state, admin, weight, address, maxconn, minconn, last_change, downtime, hana, check, agent) = record
    server.hana, server.downtime = hana, downtime
    _apply_health(server.check, check)
    _apply_health(server.agent, agent)
    _apply_address(server, address)
    if (server.maxconn, server.minconn) != (maxconn, minconn):
        server.set_limits(maxconn, minconn if minconn != maxconn else 0)
        backend.serve(server, now)
    if (server.state, server.admin, server.weight) != (state, admin, weight):
        _apply_state(server, State(state), Admin(admin), weight, last_change, now)
    server.last_change = last_change
    return server


def _apply_health(check: Health | None, values: list[Any] | None) -> None:
    if check is None or values is None:
        return
    check.health, check.enabled, check.paused, status, check.code, check.duration, check.info, check.last = values
    check.health = min(check.health, check.top)
    check.status = Status[status]


def _apply_address(server: Server, values: list[Any]) -> None:
    old = server.address
    if [old.kind, old.host, old.port, old.path] == values:
        return
    kind, host, port, path = values
    server.address = replace(old, kind=kind, host=host, port=port, path=path, family="any")
    if server.net is not None:
        server.net.move(server.address)
    server.backend.drop_idle(server)
    if server.backend.persist is not None and server.backend.persist.cookie is not None:
        server.backend.persist.cookie.learn()  # a dynamic cookie follows the address


def _apply_state(server: Server, state: State, admin: Admin, weight: int, since: float, now: float) -> None:
    backend, before, usable_before = server.backend, server.state, server.usable
    was_out = out_of_service(backend)
    server.state, server.admin, server.last_change = state, admin, since
    server.weight = weight
    _ramp(server, now)
    server.refresh()
    backend.refresh()
    if state is State.STOPPED and before is not State.STOPPED:
        if server.model.on_marked_down:
            server.shut_sessions(b"D")
        backend.drop_idle(server)
    if usable_before and not server.usable:
        backend.requeue(server, now)
    if server.usable and not usable_before:
        welcome(server, now)
    backend.serve_waiting(now)
    if was_out != out_of_service(backend):
        backend.last_change = since


def _ramp(server: Server, now: float) -> None:
    """Slow start as far as it has come; `state.warm_up` goes on with it."""
    total = server.model.slowstart
    if server.state is State.STARTING and total:
        part = min(1.0, max(0.0, (now - server.last_change) / total))
        server.backend.warming.add(server)
        server.set_ramp(min(SCALE, int(SCALE * part) + 1), max(1, int(100 * part)))
    else:
        server.backend.warming.discard(server)
        server.set_ramp(SCALE, 100)


class Herald:
    """Notes servers that change and tells of them together, once per turn of the loop."""

    def __init__(self, backends: Iterable[Backend], tell: Callable[[list[Record]], None]) -> None:
        self._tell = tell
        self._changed: dict[Server, None] = {}
        for backend in backends:
            for server in backend.servers:
                self.watch(server)

    def watch(self, server: Server) -> None:
        """Hear of this server's changes (one that was added later)."""
        server.changed = self._note

    def _note(self, server: Server) -> None:
        if not self._changed:
            try:
                asyncio.get_running_loop().call_soon(self.flush)
            except RuntimeError:  # not running yet: nobody is there to be told
                return
        self._changed[server] = None

    def flush(self) -> None:
        """Tell of what has changed."""
        changed, self._changed = self._changed, {}
        if changed:
            self._tell([record_of(server) for server in changed])
