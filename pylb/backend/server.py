"""A live server: weight, state, slots, counters. What is declared stays in `model`; what may change lives here.

Two things decide whether a server is used, and they are kept apart as HAProxy keeps them:

    state    what checks say: STOPPED (down), STARTING (slow start), RUNNING (up), STOPPING (`disable-on-404`, NOLB)
    admin    what people say: MAINT and DRAIN, each forced, configured or inherited from a tracked server

    usable     = running or starting, not MAINT, not DRAIN, weight above 0       → balanced traffic
    reachable  = state is not STOPPED (MAINT stops it too)                       → persistent traffic

Both are plain attributes that `state.py` keeps true at every change, because every request reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Any, Protocol

from pylb.backend.health import Agent, Health
from pylb.backend.queue import Queue
from pylb.config import model
from pylb.counters import ProxyCounters

if TYPE_CHECKING:
    from pylb.backend.backend import Backend

SCALE = 16
"""Effective weights count sixteenths, so that slow start has steps below weight 1 (as in HAProxy)."""


class Shared(Protocol):
    """What several processes use and wait for together, as one of them sees it (process/usage.py)."""

    def use(self, count: int) -> bool:
        """This process holds so many; whether that is less than before."""

    def wait(self, count: int, first: int) -> None:
        """So many wait here, the first of them in this order."""

    def pass_on(self) -> None:
        """One has come free that nobody here waits for."""

    def room(self, limit: int, mine: int) -> int:
        """How many of `limit` this process, which holds `mine`, may hold now."""

    def used_elsewhere(self) -> int:
        """What the others hold."""

    def queued_elsewhere(self) -> int:
        """How many wait with the others."""


def _nobody(server: Server) -> None:
    """Nobody else has to know."""


class State(IntEnum):
    """Operational state; numbers as in HAProxy's state file (management manual, `show servers state`)."""

    STOPPED = 0
    STARTING = 1
    RUNNING = 2
    STOPPING = 3


UNKNOWN = "0.0.0.0"
"""Stands for an address that is not known yet (init-addr none)."""


class Admin(IntFlag):
    """Administrative state; numbers as in HAProxy's state file."""

    NONE = 0
    FORCED_MAINT = 1
    INHERITED_MAINT = 2
    CONFIGURED_MAINT = 4
    FORCED_DRAIN = 8
    INHERITED_DRAIN = 16
    RESOLUTION_MAINT = 32
    """Its name has no address yet (init-addr none)."""
    MAINT = 1 | 2 | 4 | 32
    DRAIN = 8 | 16


class Server:
    """One server of a backend. Only `backend.py` and `state.py` change it."""

    __slots__ = (
        "_dynamic",
        "_share",
        "address",
        "admin",
        "agent",
        "backend",
        "backup",
        "changed",
        "check",
        "consecutive_errors",
        "cookie",
        "counters",
        "downtime",
        "elsewhere",
        "eweight",
        "followers",
        "hana",
        "idle",
        "last_change",
        "max_idle",
        "maxconn",
        "maxqueue",
        "minconn",
        "model",
        "name",
        "net",
        "observes",
        "queue",
        "ramp",
        "reachable",
        "sessions",
        "shared",
        "sid",
        "state",
        "tracked",
        "usable",
        "weight",
    )  # fmt: skip

    def __init__(self, declared: model.Server, backend: Backend, sid: int, now: float = 0.0) -> None:
        self.model = declared
        self.backend = backend
        self.name = declared.name
        self.changed: Callable[[Server], None] = _nobody
        """Called with the server after anything about it has changed that other processes should know."""
        self.sid = sid
        """`id`, or the first free number: seeds consistent hashing and orders `balance first`."""
        self.address = declared.address
        self.backup = declared.backup
        self.weight = declared.weight
        """0 … 256, changeable."""
        self.ramp = SCALE
        """Sixteenths of the weight in force; below SCALE only during slow start."""
        self.eweight = declared.weight * SCALE
        """Effective weight in sixteenths: weight × ramp."""
        self.cookie = declared.cookie.encode() if declared.cookie else None
        self.counters = ProxyCounters()
        self.counters.parent = backend.counters
        """counters.scur is the number of slots in use."""
        self.queue = Queue()
        self.maxconn = self.minconn = 0
        self.shared: Shared | None = None
        """Slots and queue places that other processes have a part in; None: they are this process's alone."""
        self.elsewhere = 0
        """Exchanges served or waiting in other processes, as of a moment ago, where loads are compared."""
        self._share = 100  # per cent of the limit; less only during slow start
        self.maxqueue = declared.maxqueue or 0
        """0: unlimited."""
        self.set_limits(declared.maxconn or 0, declared.minconn or 0)
        self.check: Health | None = Health(declared.check) if declared.check is not None else None
        """Rise and fall of the active checks; None without `check`."""
        self.agent: Agent | None = Agent(declared.agent) if declared.agent is not None else None
        """What the agent says; None without `agent-check`."""
        self.state = State.RUNNING
        self.admin = Admin.CONFIGURED_MAINT | Admin.FORCED_MAINT if declared.disabled else Admin.NONE
        if declared.address.host == UNKNOWN and declared.init_addr is not None:
            self.admin |= Admin.RESOLUTION_MAINT
        if self.admin:
            self.state = State.STOPPED
            if self.check is not None:
                self.check.health = 0
                self.check.paused = True
        self.last_change = now
        """When `state` last went up or down, loop time."""
        self.downtime = 0.0
        """Seconds down, the running outage not counted."""
        self.observes = None if declared.check is None else declared.observe
        self.consecutive_errors = 0
        self.hana = 0
        """Times that `observe` reached error-limit (stats: hanafail)."""
        self.tracked: Server | None = None
        self.followers: list[Server] = []
        """Servers that `track` this one."""
        self.sessions: set[Any] | None = None
        """Exchanges with a slot here, kept only where on-marked-down/-up may have to end them."""
        self.idle: list[Any] = []
        """Idle connections; owned by net/."""
        self.max_idle: int | None = declared.pool_max_conn
        self.net: Any = None
        """What net/ keeps per server (TLS context, source address); has `move(address)`."""
        self.usable = self.reachable = False
        self.refresh()

    # ------------------------------------------------------------------------------------------------------- limits

    def set_limits(self, maxconn: int, minconn: int) -> None:
        """Set `maxconn` and `minconn`; 0 is unlimited. A minconn above maxconn raises maxconn to it, as in HAProxy."""
        self.maxconn = max(maxconn, minconn)
        self.minconn = minconn or self.maxconn
        self._depends()
        self.changed(self)

    def share(self, shared: Shared) -> None:
        """Other processes use this server, too."""
        self.shared = shared
        self._depends()

    def _depends(self) -> None:
        self._dynamic = self.minconn != self.maxconn or self._share != 100 or self.shared is not None

    def set_ramp(self, ramp: int, share: int) -> None:
        """Slow start's part of the weight, in sixteenths, and of maxconn, in per cent."""
        self.ramp = ramp
        self._share = share
        self._depends()
        self.set_weight(self.weight)

    def set_weight(self, weight: int) -> None:
        """Set the weight, 0 … 256; follow it by `refresh` here and in the backend."""
        self.weight = weight
        self.eweight = weight * (self.ramp if self.backend.dynamic_weights else SCALE)

    def limit(self) -> int:
        """Slots at this moment, where maxconn is set: between minconn and maxconn by the backend's load (manual:
        `fullconn`), less during slow start, and without those that other processes use."""
        limit = self.maxconn
        if not self._dynamic:
            return limit
        if self.minconn != limit:
            backend = self.backend
            load = backend.counters.scur + backend.elsewhere
            if load < backend.fullconn:
                limit = max(self.minconn, load * limit // backend.fullconn)
        limit = max(1, limit * self._share // 100)
        return limit if self.shared is None else self.shared.room(limit, self.counters.scur)

    def full(self) -> bool:
        """No slot for another exchange, or others wait already."""
        return self.maxconn != 0 and (self.queue.length > 0 or self.counters.scur >= self.limit())

    def queue_room(self) -> int:
        """Places that are left in a queue bounded by `maxqueue`; 0 where it is not bounded."""
        if not self.maxqueue:
            return 0
        taken = self.queue.length + (0 if self.shared is None else self.shared.queued_elsewhere())
        return max(0, self.maxqueue - taken)

    def has_place(self) -> bool:
        """A free slot, or room in a bounded queue of its own."""
        return not self.maxconn or not self.full() or self.queue_room() > 0

    @property
    def inflight(self) -> int:
        """Exchanges served or waiting, in all processes: what `balance leastconn` compares."""
        return self.counters.scur + self.queue.length + self.elsewhere

    @property
    def cur_sess(self) -> int:
        """Slots in use."""
        return self.counters.scur

    # -------------------------------------------------------------------------------------------------------- state

    def refresh(self) -> None:
        """Derive `usable` and `reachable`. Called by whoever changes state, admin or weight."""
        self.reachable = self.state is not State.STOPPED
        self.usable = (
            self.state in (State.RUNNING, State.STARTING)
            and not self.admin & (Admin.MAINT | Admin.DRAIN)
            and self.eweight > 0
        )
        self.changed(self)

    @property
    def effective_weight(self) -> int:
        """The weight in force, whole numbers, rounded up (stats: weight)."""
        return -(-self.eweight // SCALE)

    @property
    def checked(self) -> Health | None:
        """The check that decides about this server: its own, or that at the end of the `track` chain."""
        server = self
        while server.tracked is not None:
            server = server.tracked
        return server.check if server.check is not None and server.check.enabled else None

    @property
    def vouched(self) -> bool:
        """Checks and agent both say that it is up, as far as they are asked."""
        return all(health is None or not health.enabled or health.up for health in (self.check, self.agent))

    @property
    def _has_agent(self) -> bool:
        return self.agent is not None and self.agent.enabled

    @property
    def status(self) -> str:
        """The stats' status column: "UP", "UP 1/3", "DOWN 1/2", "NOLB", "DRAIN", "MAINT", "no check" …"""
        if self.admin & Admin.MAINT:
            return self._maint_status()
        check = self.checked
        if self.state is State.STOPPED:
            if self._has_agent and self.agent is not None and not self.agent.up:
                return "DOWN (agent)"
            return "DOWN" if check is None or check.health == 0 else f"DOWN {check.progress}"
        wavering = check is not None and not check.settled
        if self.state is State.STOPPING:
            word = "NOLB"
        elif self.admin & Admin.DRAIN:
            word = "DRAIN (agent)" if self._has_agent else "DRAIN"
        elif check is None:
            return "no check"
        else:
            word = "UP"
        return f"{word} {check.progress}" if check is not None and wavering else word

    def _maint_status(self) -> str:
        if self.admin & Admin.INHERITED_MAINT and self.tracked is not None:
            return f"MAINT (via {self.tracked.backend.name}/{self.tracked.name})"
        return "MAINT (resolution)" if self.admin & Admin.RESOLUTION_MAINT else "MAINT"

    def throttle(self, now: float) -> int | None:
        """Per cent of full speed during slow start; None otherwise (stats: throttle)."""
        slowstart = self.model.slowstart
        if self.state is not State.STARTING or not slowstart:
            return None
        return max(1, min(100, int(100 * (now - self.last_change) / slowstart)))

    def down_seconds(self, now: float) -> float:
        """Seconds down so far, the running outage included."""
        return self.downtime + (now - self.last_change if self.state is State.STOPPED else 0.0)

    # -------------------------------------------------------------------------------- what the last check found

    @property
    def check_status(self) -> str:
        """ "L4OK", "L7STS" …; "" without a check."""
        return self.check.status.name if self.check is not None else ""

    @property
    def check_code(self) -> int | None:
        """The HTTP status the last check got, where there was one."""
        return self.check.code if self.check is not None else None

    @property
    def check_duration(self) -> int | None:
        """Milliseconds of the last check; None before the first."""
        return self.check.duration if self.check is not None else None

    @property
    def check_desc(self) -> str:
        """ "Layer4 check passed" …; "" without a check."""
        return self.check.status.description if self.check is not None else ""

    @property
    def last_chk(self) -> str:
        """What the last check has to say: an errno text, an HTTP reason."""
        return self.check.info if self.check is not None else ""

    def shut_sessions(self, letter: bytes) -> None:
        """End every exchange that has a slot here; `letter` is the log's first: b"D" went down, b"U" came up."""
        for x in tuple(self.sessions or ()):
            x.shutdown(letter)


Log = Callable[[int, str], None]
"""log(level, text): a proxy's log; levels are syslog's numbers."""
