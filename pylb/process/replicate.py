"""A server's live state as one flat record: from the steward to its workers, and from a generation to the next.

The steward alone decides (checks, operators, observed traffic); it notes which servers have changed and sends their
records once a turn of the loop is over. A worker that gets a record draws the local consequences: candidates, queues,
sessions to shut, idle connections to drop. It logs nothing, since the steward has.

A record holds everything, not the change, so it may be applied twice, and a later one makes an earlier one needless.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pylb.backend.backend import Backend
from pylb.backend.health import Health, Status
from pylb.backend.server import SCALE, Admin, Server, State
from pylb.backend.state import out_of_service, welcome


class HealthRecord(NamedTuple):
    """What checks, or an agent, have found (backend/health.Health)."""

    health: int
    enabled: bool
    paused: bool
    status: str
    """Name of a Status."""
    code: int | None
    duration: int | None
    """Milliseconds."""
    info: str
    last: float | None
    """CLOCK_MONOTONIC of the last result, seconds."""

    @classmethod
    def of(cls, found: Health | None) -> HealthRecord | None:
        """As it is now."""
        if found is None:
            return None
        return cls(
            found.health, found.enabled, found.paused, found.status.name, found.code, found.duration, found.info,
            found.last,
        )  # fmt: skip


class Record(NamedTuple):
    """Everything about a server that may change while it runs; JSON carries it as a list."""

    backend: str
    server: str
    state: int
    admin: int
    weight: int
    address: Sequence[Any]
    """Kind, host, port, path."""
    maxconn: int
    minconn: int
    last_change: float
    """CLOCK_MONOTONIC, seconds."""
    downtime: float
    hana: int
    check: HealthRecord | None
    agent: HealthRecord | None

    @classmethod
    def of(cls, server: Server) -> Record:
        """As it is now."""
        address = server.address
        return cls(
            backend=server.backend.name,
            server=server.name,
            state=int(server.state),
            admin=int(server.admin),
            weight=server.weight,
            address=[address.kind, address.host, address.port, address.path],
            maxconn=server.maxconn,
            minconn=server.minconn,
            last_change=server.last_change,
            downtime=server.downtime,
            hana=server.hana,
            check=HealthRecord.of(server.check),
            agent=HealthRecord.of(server.agent),
        )

    @classmethod
    def read(cls, values: Sequence[Any]) -> Record:
        """Of the list that JSON has made of it."""
        *rest, check, agent = values
        return cls(*rest, *(None if found is None else HealthRecord(*found) for found in (check, agent)))


def apply(backends: dict[str, Backend], record: Record, now: float) -> Server | None:
    """Make a server what the record says, with what follows from that here; None where there is no such server."""
    backend = backends.get(record.backend)
    server = backend.by_name.get(record.server) if backend is not None else None
    if backend is None or server is None:
        return None
    server.hana, server.downtime = record.hana, record.downtime
    _apply_health(server.check, record.check)
    _apply_health(server.agent, record.agent)
    _apply_address(server, record.address)
    if (server.maxconn, server.minconn) != (record.maxconn, record.minconn):
        server.set_limits(record.maxconn, record.minconn if record.minconn != record.maxconn else 0)
        backend.serve(server, now)
    if (server.state, server.admin, server.weight) != (record.state, record.admin, record.weight):
        _apply_state(server, State(record.state), Admin(record.admin), record.weight, record.last_change, now)
    server.last_change = record.last_change
    return server


def _apply_health(live: Health | None, found: HealthRecord | None) -> None:
    if live is None or found is None:
        return
    live.health = min(found.health, live.top)
    live.enabled, live.paused, live.status = found.enabled, found.paused, Status[found.status]
    live.code, live.duration, live.info, live.last = found.code, found.duration, found.info, found.last


def _apply_address(server: Server, values: Sequence[Any]) -> None:
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

    def __init__(self, tell: Callable[[list[Record]], None]) -> None:
        self._tell = tell
        self._changed: dict[Server, None] = {}

    def watching(self, backends: Iterable[Backend]) -> Iterator[None]:
        """Hear of all changes, from a backend's turn on."""
        for backend in backends:
            for server in backend.servers:
                self.watch(server)
            yield

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
            self._tell([Record.of(server) for server in changed])
