"""What a generation hands to the next by name: servers' states, counters, since when they count, stick tables.

An operator's change outlives a reload unless the new configuration changes the same thing: weight, address, limits and
maintenance are taken over where the declaration is what it was. What checks have found is taken over where the server
is the same (its address, and that it is checked), so that a reload neither revives a dead server nor doubts a sound
one. Counters go by proxy and server name; the totals of the old workers until their end follow as `counted`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pylb.backend import stick_records
from pylb.backend.server import Admin, Server
from pylb.counters import RATES, SUMMED
from pylb.process.books import StewardsBook
from pylb.process.counters import FIELDS, put
from pylb.process.replicate import Record, apply

if TYPE_CHECKING:
    from pylb.backend.backend import Backend
    from pylb.backend.health import Health
    from pylb.process.balancer import Balancer
    from pylb.process.piecemeal import Pace


def _declared(server: Server) -> list[Any]:
    """What the configuration says about what may be changed while running."""
    model = server.model
    address, check = model.address, model.check
    where = [address.kind, address.host, address.port, address.path]
    counts = [check.rise, check.fall] if check is not None else None
    return [where, model.weight, model.maxconn, model.minconn, model.disabled, counts, model.track]


Part = tuple[str, str, Any]
"""What it is about, a name, a value: "process", "row", "backend", "server", "table" (stick_records.Part)."""


def live_objects(balancer: Balancer) -> Iterator[tuple[str, Any]]:
    """Everything that counts, by a name that means the same in the next generation."""
    for frontend in tuple(balancer.frontends):
        yield f"F {frontend.name}", frontend
    for backend in tuple(balancer.backends):
        yield f"B {backend.name}", backend
        for server in tuple(backend.servers):
            yield f"S {backend.name} {server.name}", server


def _live_object(balancer: Balancer, name: str) -> Any:
    """The one of that name; None where this generation has none."""
    what, _, rest = name.partition(" ")
    if what == "F":
        return balancer.world.frontends.get(rest)
    proxy, _, server = rest.partition(" ")
    backend = balancer.world.backends.get(proxy)
    return backend if what == "B" or backend is None else backend.by_name.get(server)


class Inheritance:
    """The old generation's side: what it gives at the reload, and what its workers count afterwards."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        self._told: dict[str, list[int]] = {}

    def state(self) -> Iterator[Part]:
        """Everything, as JSON can carry it. What changes while this is gone through is in the one or the other: a row
        is written and, from then on, counted for the next generation at once."""
        balancer, figures = self._balancer, self._balancer.figures
        self._told[""] = [figures.cum_conn]
        process = {
            "total": figures.cum_conn,
            "most": figures.most_conn,
            "rates": [rate.max for rate in (figures.conn_rate, figures.sess_rate, figures.ssl_rate)],
            "started": balancer.started,
            "started_wall": balancer.started_wall,
        }
        yield from (("process", name, value) for name, value in process.items())
        for name, live in live_objects(balancer):
            counters = live.counters
            self._told[name] = [getattr(counters, field) for field in SUMMED]
            rates = [getattr(counters, rate).max for rate in RATES]
            yield "row", name, [[getattr(counters, field) for field in FIELDS], rates]
        for backend in tuple(balancer.backends):
            yield "backend", backend.name, backend.last_change
            for server in tuple(backend.servers):
                yield "server", server.name, [Record.of(server), _declared(server)]
        yield from (("table", *part) for part in stick_records.records_of(balancer.tables.values(), balancer.now()))

    async def counted(self, pace: Pace) -> dict[str, list[int]]:
        """What has been counted since the last time, by name; "" is for connections of the process."""
        if not self._told:
            return {}
        news = {}
        for name, live in live_objects(self._balancer):
            current = [getattr(live.counters, field) for field in SUMMED]
            before = self._told.get(name)
            if before is not None and current != before:
                news[name] = [now - then if now >= then else now for now, then in zip(current, before, strict=True)]
            self._told[name] = current
            await pace.step()
        total = self._balancer.figures.cum_conn
        if total != self._told[""][0]:
            news[""] = [total - self._told[""][0]]
            self._told[""] = [total]
        return news


def take_over(balancer: Balancer, book: StewardsBook, parts: Iterable[Part], now: float) -> None:
    """The new generation's side, before its workers are."""
    given: dict[str, list[tuple[str, Any]]] = {}
    for what, name, value in parts:
        given.setdefault(what, []).append((name, value))
    rows = dict(given.get("row", ()))
    for name, live in live_objects(balancer):
        if name in rows:
            _take_row(live, rows[name], book, now)
    _take_process(balancer, book, dict(given["process"]), now)
    changes = dict(given.get("backend", ()))
    for backend in balancer.backends:
        backend.last_change = changes.get(backend.name, backend.last_change)
    stick_records.restore(balancer.tables.values(), given.get("table", ()), now)
    for _, (record, declared) in given.get("server", ()):
        _take_server(balancer.world.backends, Record.read(record), declared, now)


def _take_process(balancer: Balancer, book: StewardsBook, process: dict[str, Any], now: float) -> None:
    figures = balancer.figures
    balancer.started, balancer.started_wall = process["started"], process["started_wall"]
    book.begin_process(process["total"], process["most"])
    for rate, most in zip((figures.conn_rate, figures.sess_rate, figures.ssl_rate), process["rates"], strict=True):
        rate.begin(now, most)


def _take_row(live: Any, row: list[list[Any]], book: StewardsBook, now: float) -> None:
    values, rates = row
    counters = live.counters
    counters.reset()
    put(counters, values)
    counters.scur = counters.qcur = counters.idle = 0
    for which, most in zip(RATES, rates, strict=True):
        getattr(counters, which).begin(now, most)
    book.start_from(live, now)


def add_counted(balancer: Balancer, book: StewardsBook, counted: dict[str, list[int]]) -> None:
    """Also the new generation's side: the one before has gone on counting."""
    for name, counts in counted.items():
        if (live := _live_object(balancer, name)) is not None:
            book.add_counts(live, counts)
    if "" in counted:
        book.begin_process(*counted[""])


def _take_server(backends: dict[str, Backend], record: Record, before: list[Any], now: float) -> None:
    backend = backends.get(record.backend)
    server = backend.by_name.get(record.server) if backend is not None else None
    if server is None:
        return
    here = _declared(server)
    where, weight, maxconn, minconn, disabled, counts, track = (a == b for a, b in zip(here, before, strict=True))
    fresh = Record.of(server)
    if not where:
        unresolved = fresh.admin & Admin.RESOLUTION_MAINT
        admin = record.admin & ~Admin.RESOLUTION_MAINT | unresolved
        record = record._replace(address=fresh.address, admin=admin)
    if not weight:
        record = record._replace(weight=fresh.weight)
    if not (maxconn and minconn):
        record = record._replace(maxconn=fresh.maxconn, minconn=fresh.minconn)
    if not disabled:  # the configuration has changed its mind about maintenance
        declared_maint = Admin.CONFIGURED_MAINT | Admin.FORCED_MAINT
        record = record._replace(admin=(record.admin & ~declared_maint) | (fresh.admin & declared_maint))
    if not (where and disabled and track and (before[5] is None) == (here[5] is None)):
        record = record._replace(state=fresh.state, check=fresh.check, agent=fresh.agent)
    elif not counts and record.check is not None and server.check is not None:
        check = record.check._replace(health=_scaled(record.check.health, before[5], server.check))
        record = record._replace(check=check)
    apply(backends, record, now)


def _scaled(health: int, before: list[int], check: Health) -> int:
    """A count of checks under another rise and fall; `before` are the old ones."""
    rise, fall = before
    if health >= rise:
        return check.top if health == rise + fall - 1 else check.rise
    return min(health, check.rise - 1)
