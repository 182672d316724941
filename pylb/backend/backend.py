"""A live backend: one exchange's way to a server and back.

    assign ──► Server                    a slot is taken
           ├─► QUEUED                    waits in the server's queue (persistent traffic) or the backend's
           │      ├─► x.granted(server)  a slot came free; called exactly once
           │      ├─► x.granted(None)    nothing is left to wait for: answer 503
           │      └─► withdraw(x)        the caller gave up: timeout queue, client gone
           ├─► FULL                      the wanted server's queue is full and redispatch is off: 503, "SQ"
           └─► None                      no server is usable: 503, "SC"
    reassign ► the same, for another attempt after a failure
    release ─► the slot goes to the next waiter

Invariants: `server.counters.scur` is the number of exchanges whose `slot_server` it is; it never exceeds the limit that
held when the slot was given; while a usable server has a free slot, nobody waits for it.

Of an exchange the backend reads `persist_server`, `force_persist`, `ignore_persist`, `priority_class`,
`priority_offset`, `started_wall` and keeps on it `server` (chosen), `slot_server` (holds a slot there), `server_queue`
and `backend_queue` (added to), `redispatched`, `cookie_state`, `cookie_dates`; it calls `granted(server)` and
`shutdown(letter)`. The backend's own
sessions (counters.scur, stot, rate) are counted by the caller; the ramp between minconn and maxconn follows scur.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import Any, Final, Literal

from pylb.backend.balance import ALGORITHMS, Algorithm, Settings
from pylb.backend.health import Event
from pylb.backend.persist import Persistence
from pylb.backend.queue import Queue, Ticket, moments
from pylb.backend.server import Log, Server, Shared, State
from pylb.config import model
from pylb.counters import ProxyCounters


class Verdict(Enum):
    """What assign answers where there is no server (yet)."""

    QUEUED = "waits for a slot"
    FULL = "the server's queue is full"


QUEUED: Final = Verdict.QUEUED
FULL: Final = Verdict.FULL
Assigned = Server | Literal[Verdict.QUEUED, Verdict.FULL] | None


MOST_SKIPPED = 256
"""Turns that a process skips at its start, at most: with so many servers it does not matter where it begins."""


def _silent(level: int, text: str) -> None:
    """No log."""


def _nothing(server: Server) -> None:
    """No idle connections to close."""


class Backend:
    """See the module. `log` gets the state changes of its servers; `fetch` is the sample of `balance hash`."""

    def __init__(
        self,
        declared: model.Backend,
        *,
        log: Log = _silent,
        fullconn: int | None = None,
        fetch: Callable[[Any], Any] | None = None,
        now: float = 0.0,
    ) -> None:
        self.model = declared
        self.name = declared.name
        self.log = log
        self.counters = ProxyCounters()
        self.queue = Queue()
        self.fullconn = max(1, declared.fullconn or fullconn or 1)
        """Load at which servers get their full maxconn; see `default_fullconns`."""
        self.redispatch = declared.redispatch
        self.last_change = now
        # Set by the loader: what the network side does with this backend.
        self.http_request: tuple[Any, ...] = ()
        """Behind the `tcp-request content` rules, which are all there is in TCP mode."""
        self.inspect_delay = 0.0
        self.http_response: tuple[Any, ...] = ()
        self.http_after_response: tuple[Any, ...] = ()
        self.stats: Any = None
        self.error_reply: Any = None
        settings = Settings(declared.balance.algorithm, declared.balance.args, declared.hash_type, fetch)
        algorithm = ALGORITHMS[declared.balance.algorithm.partition("(")[0]]
        self.dynamic_weights = algorithm.is_dynamic(settings)
        """Whether slow start and weights other than 0 and the configured one have an effect."""
        ids = assign_ids(declared.servers)
        self.servers = [Server(server, self, sid, now) for server, sid in zip(declared.servers, ids, strict=True)]
        self.by_name = {server.name: server for server in self.servers}
        self.balance: Algorithm = algorithm(settings, self.servers)
        self._pick = self.balance.pick
        self._moved: Callable[[Server], None] | None = self.balance.moved if self.balance.follows_load else None
        self._overflows = self.balance.overflows
        self._waiting: dict[Any, Server | None] = {}
        self._serving: set[Server] = set()
        self._tickets: Iterator[int] = moments()
        self._queued: Callable[[Server | Backend], None] | None = None
        self.shared: Shared | None = None
        """Its queue and load, where other processes have a part in them."""
        self.elsewhere = 0
        """Its sessions in other processes, as of a moment ago, where limits depend on them."""
        self.active = self.backups = 0
        """Usable servers (stats: act, bck)."""
        self.first_backup: Server | None = None
        self.candidates: tuple[Server, ...] = ()
        """Those that balanced traffic may use now."""
        self.warming: set[Server] = set()
        """Servers in slow start: while there are any, call `state.warm_up(backend, now)` about once a second."""
        self.drop_idle: Callable[[Server], None] = _nothing
        """Closes a server's idle connections when it goes down; set by the network side."""
        self.report: Callable[[Server, Event], None] | None = None
        """Tells another process of events that count for a server's health; None: they are counted here."""
        self._keep_sessions()
        self.refresh()
        self.persist: Persistence | None = Persistence.of(self)
        """Cookie and persistence rules; None when there are none."""

    # -------------------------------------------------------------------------------------------------- other processes

    def share(
        self, moved: Callable[[Server], None], queued: Callable[[Server | Backend], None], tickets: Iterator[int]
    ) -> None:
        """Other processes have exchanges here, too: `moved` hears of every change of a server's slots, `queued` of each
        change of a queue, a server's or the backend's; `tickets` numbers waiters so that they compare between all."""
        follow = self._moved
        self._tickets, self._queued = tickets, queued

        def both(server: Server) -> None:
            moved(server)
            if follow is not None:
                follow(server)

        self._moved = moved if follow is None else both

    def skip(self, turns: int) -> None:
        """Begin with another turn, so that processes that take turns do not all begin with the same server."""
        for _ in range(min(turns, MOST_SKIPPED) if self.candidates else 0):
            self._pick(None, None)

    def compare(self, elsewhere: Iterable[int]) -> None:
        """What other processes have in service and waiting at each of `servers`."""
        for server, load in zip(self.servers, elsewhere, strict=True):
            if load != server.elsewhere:
                server.elsewhere = load
                if self.balance.follows_load:
                    self.balance.moved(server)

    # ----------------------------------------------------------------------------------------------- choosing a server

    def assign(self, x: Any, now: float) -> Assigned:
        """A server for `x`, its slot taken; or why not (see the module)."""
        server = x.persist_server
        if server is None:
            if not self.candidates:
                return None
            if self.queue.length and self._overflows and not self.serve_waiting(now):
                return self._wait(x, None)
            server = self._pick(x, None)
            if server is None:
                return self._wait(x, None)
            server.counters.lbtot += 1
            self.counters.lbtot += 1
            if self._overflows:  # else it would have found none
                self._take(server, x, now)
                return server  # type: ignore[no-any-return]
        if server.maxconn and server.full():
            return self._wait_for(server, x, now)
        self._take(server, x, now)
        return server  # type: ignore[no-any-return]

    def reassign(self, x: Any, now: float, redispatch: bool) -> Assigned:
        """Another attempt for `x`, whose attempt on `x.server` failed: on any server if `redispatch`, else there again.

        Counts the retry or the redispatch on server and backend; `x.retries` is the caller's. See `redispatches`.
        """
        previous: Server = x.server
        if redispatch:
            self.release(x, now)
            return self._redispatch(x, previous, now)
        previous.counters.wretr += 1
        self.counters.wretr += 1
        previous.counters.stot += 1  # each attempt is a session of the server
        return previous

    def redispatches(self, x: Any) -> bool:
        """Whether the attempt numbered `x.retries` (the first retry is 1) may go to another server.

        Manual: `option redispatch`. Beside its interval: at once when the server is down by now, and where nothing
        binds the exchange to this server (a rotating algorithm with several servers, no persistence).
        """
        if not self.redispatch or x.force_persist:
            return False
        if x.server.state in (State.STOPPED, State.STARTING):
            return True
        interval = self.redispatch if self.redispatch > 0 else self.model.retries + 1 + self.redispatch
        if interval > 0 and x.retries % interval == 0:
            return True
        return x.persist_server is None and self.active > 1 and self.balance.rotates

    def turns_around(self, same_server: bool) -> bool:
        """Whether a retry after an asynchronous connection failure waits min(timeout connect, 1 s) first, so that a
        restarting server gets time (manual: `retries`)."""
        return same_server or not self.balance.rotates or self.active <= 1

    def release(self, x: Any, now: float) -> None:
        """Give the slot of `x` back, if it has one, and hand it to the next waiter."""
        server = x.slot_server
        if server is None:
            return
        x.slot_server = None
        server.counters.scur -= 1
        if server.sessions is not None:
            server.sessions.discard(x)
        if self._moved is not None:
            self._moved(server)
        if server.queue.length or self.queue.length:
            self.serve(server, now)

    def _take(self, server: Server, x: Any, now: float) -> None:
        """Give `x` a slot of `server`."""
        counters = server.counters
        counters.scur = current = counters.scur + 1
        if current > counters.smax:
            counters.smax = current
        counters.stot += 1
        counters.lastsess = x.started_wall
        x.server = x.slot_server = server
        if server.sessions is not None:
            server.sessions.add(x)
        if self._moved is not None:
            self._moved(server)

    def _redispatch(self, x: Any, previous: Server, now: float) -> Assigned:
        """Choose anew for `x`, which held or awaited `previous`, and count what became of it."""
        x.persist_server = x.server = None
        server: Server | None = None
        if self.candidates and not (self.queue.length and self._overflows and not self.serve_waiting(now)):
            server = self._pick(x, previous)
        if server is previous:
            previous.counters.wretr += 1
            self.counters.wretr += 1
        else:
            previous.counters.wredis += 1
            self.counters.wredis += 1
            x.redispatched = True
            if x.cookie_state[:1] == b"V":
                x.cookie_state = b"D" + x.cookie_state[1:]
        if server is None:
            return self._wait(x, None) if self.candidates else None
        if server is not previous:
            server.counters.lbtot += 1
            self.counters.lbtot += 1
        if server.full():
            return self._wait_for(server, x, now)
        self._take(server, x, now)
        return server

    # ------------------------------------------------------------------------------------------------------- waiting

    def _wait_for(self, server: Server, x: Any, now: float) -> Assigned:
        """`server` was chosen and is full: queue there, unless maxqueue says no."""
        if not server.maxqueue or server.queue_room():
            return self._wait(x, server)
        if x.persist_server is server and self.redispatch and not x.force_persist:
            return self._redispatch(x, server, now)
        x.server = server
        return FULL

    def _wait(self, x: Any, server: Server | None) -> Verdict:
        queue = self.queue if server is None else server.queue
        counters = self.counters if server is None else server.counters
        queue.join(x, Ticket(x.priority_class, next(self._tickets) + x.priority_offset * 1000))
        counters.qmax = max(counters.qmax, queue.length)
        self._waiting[x] = server
        x.server = server
        if self._queued is not None:
            self._queued(self if server is None else server)
        if server is not None and self._moved is not None:
            self._moved(server)
        return QUEUED

    def _leave(self, x: Any) -> None:
        server = self._waiting.pop(x)
        if server is None:
            x.backend_queue += self.queue.leave(x)
        else:
            x.server_queue += server.queue.leave(x)
            if self._moved is not None:
                self._moved(server)
        if self._queued is not None:
            self._queued(self if server is None else server)

    def withdraw(self, x: Any) -> bool:
        """Take `x` out of the queue it waits in: it will not be granted any more. False when it waits nowhere."""
        if x not in self._waiting:
            return False
        self._leave(x)
        return True

    def serve(self, server: Server, now: float) -> int:
        """Give the free slots of `server` to those who wait, its own queue's and the backend's; how many got one.

        Waiters of one priority class are served in the order they came, offsets added, whichever queue they are in.
        """
        if server in self._serving:
            return 0  # a waiter just granted gave its slot back: the loop below, further up the stack, goes on
        self._serving.add(server)
        served = 0
        try:
            while not server.maxconn or server.counters.scur < server.limit():
                x = self._next_for(server)
                if x is None:
                    break
                served += 1
                queue = self.queue if self._waiting[x] is None else server.queue
                self._leave(x)
                queue.granted += 1
                self._take(server, x, now)
                x.granted(server)
        finally:
            self._serving.discard(server)
        return served

    def _next_for(self, server: Server) -> Any:
        own = server.queue.first()
        if self.queue.length and server in self.candidates:
            shared = self.queue.first()
            if own is None or (shared is not None and shared[0] < own[0]):
                own = shared
        return None if own is None else own[1]

    def serve_waiting(self, now: float) -> bool:
        """Serve whoever waits in the backend's queue with whatever slots there are; whether nobody waits any more.

        Called before a newcomer chooses while others wait, as limits grow with the load, and when candidates change.
        """
        if self.queue.length:
            for server in self.candidates:
                self.serve(server, now)
        return not self.queue.length

    def requeue(self, server: Server, now: float) -> int:
        """`server` stops taking traffic: with `option redispatch` its waiters choose again; how many did."""
        if not self.redispatch or self.model.persist:
            return 0
        leaving = [x for x in server.queue.all() if not x.force_persist]
        for x in leaving:
            self._leave(x)
        for x in leaving:
            chosen = self._redispatch(x, server, now)
            if chosen is not QUEUED:
                x.granted(chosen if isinstance(chosen, Server) else None)
        return len(leaving)

    # ----------------------------------------------------------------------------------------------------- candidates

    def refresh(self) -> None:
        """A server's state or weight has changed: decide anew who gets balanced traffic."""
        usable = [server for server in self.servers if server.usable]
        active = tuple(server for server in usable if not server.backup)
        backups = tuple(server for server in usable if server.backup)
        self.active, self.backups = len(active), len(backups)
        self.first_backup = backups[0] if backups else None
        self.candidates = active or (backups if self.model.allbackups else backups[:1])
        self.balance.update(self.candidates)

    def _keep_sessions(self) -> None:
        """Remember the exchanges of those servers whose sessions may have to be shut down."""
        backups_too = any(server.model.on_marked_up for server in self.servers)
        for server in self.servers:
            if server.model.on_marked_down or (server.backup and backups_too):
                server.sessions = set()


def assign_ids(servers: Sequence[model.Server]) -> list[int]:
    """Numeric ids: `id` where given, else the first free number from the server's place on (manual: server `id`)."""
    taken = {server.id for server in servers if server.id}
    ids = []
    candidate = 0
    for server in servers:
        candidate += 1
        if not server.id:
            while candidate in taken:
                candidate += 1
        ids.append(server.id or candidate)
    return ids


def default_fullconns(config: model.Config) -> dict[str, int]:
    """By backend's name a tenth, rounded up, of the maxconn of all frontends that may lead there by name (manual:
    `fullconn`); backends that no frontend names are not among them."""
    totals: dict[str, int] = {}
    default = config.globals.maxconn or 2000
    for frontend in config.frontends:
        targets = {rule.backend for rule in frontend.use_backend} | {frontend.default_backend}
        if frontend.listen:
            targets.add(frontend.name)
        for name in targets - {None}:
            totals[name] = totals.get(name, 0) + (frontend.maxconn or default)  # type: ignore[index,arg-type]
    return {name: max(1, -(-total // 10)) for name, total in totals.items()}
