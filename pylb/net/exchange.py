"""One trip to a server, whatever it carries: a server is chosen, queued for, connected, given back, and told about.

`Exchange` holds what rules, balance and logs see (rules/context.py) and the phases that HTTP and TCP share, in the
order they happen:

    choose → (queue) → granted → connect → connection_ready → … the subclass … → finish

Failures anywhere become a `Failure`; `connection_failed` decides about another attempt. `finish` runs exactly once and
is the only place where counters, the log and the server's slot are settled. net/request.py adds HTTP, net/tunnel.py
plain TCP.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Any, cast

from pylb.backend import tracking
from pylb.backend.backend import FULL, QUEUED
from pylb.backend.health import Event
from pylb.backend.server import Server
from pylb.backend.state import observe
from pylb.net import upstream as upstreams
from pylb.net.failure import Failure, Side, Stage
from pylb.net.plan import Plan
from pylb.net.upstream import Upstream

if TYPE_CHECKING:
    from pylb.backend.backend import Backend
    from pylb.backend.tracking import Tracked
    from pylb.http1.head import RequestHead, ResponseHead
    from pylb.net.session import Session
    from pylb.net.tunnel import Tunnel
    from pylb.rules.frontend import Frontend

TURNAROUND = 1.0
"""Seconds before the same server is tried again after an immediate failure, HAProxy's turn-around state."""


class Exchange:
    """See rules/context.py for the public attributes."""

    __slots__ = (
        "_ended",
        "_turnaround",
        "actconn",
        "applet",
        "backend",
        "backend_queue",
        "bytes_read",
        "bytes_uploaded",
        "captured_request",
        "captured_request_cookie",
        "captured_response",
        "captured_response_cookie",
        "client_ended",
        "connected",
        "cookie_dates",
        "cookie_state",
        "dequeued",
        "ended",
        "force_persist",
        "frontend",
        "handshake",
        "head_received",
        "idle",
        "ignore_persist",
        "log_level",
        "method",
        "persist_server",
        "plan",
        "priority_class",
        "priority_offset",
        "redispatched",
        "request",
        "request_line",
        "responded",
        "response",
        "retries",
        "server",
        "server_ended",
        "server_queue",
        "session",
        "slot_server",
        "stage",
        "started",
        "started_wall",
        "status",
        "stick_keys",
        "termination",
        "tracked",
        "upstream",
        "variables",
        "worn",
    )

    request: RequestHead
    plan: Plan
    started: float
    started_wall: float

    def __init__(self, session: Session, frontend: Frontend) -> None:
        self.session = session
        self.frontend = frontend
        # One store each, chained by value: 45 separate statements cost twice as much per request.
        self.request_line = self.method = self.applet = b""
        self.termination = self.cookie_state = b"--"
        self.stage: Stage = "R"
        self.idle = self.handshake = 0.0
        self.status = self.bytes_read = self.bytes_uploaded = self.retries = self.actconn = self.priority_class = 0
        self.server_queue = self.backend_queue = self.priority_offset = 0
        self.redispatched = self.force_persist = self.ignore_persist = False
        self.client_ended = self.server_ended = self._ended = False
        self.backend: Backend | None
        self.server: Server | None
        self.upstream: Upstream | None
        self.worn: Upstream | None
        self.response: ResponseHead | None
        self.persist_server: Server | None
        self.slot_server: Server | None
        self.backend = self.server = self.upstream = self.worn = self.response = None
        self.persist_server = self.slot_server = None
        self.head_received: float | None
        self.dequeued: float | None
        self.connected: float | None
        self.responded: float | None
        self.ended: float | None
        self.head_received = self.dequeued = self.connected = self.responded = self.ended = None
        self.captured_request: list[bytes | None] | None
        self.captured_response: list[bytes | None] | None
        self.captured_request_cookie: bytes | None
        self.captured_response_cookie: bytes | None
        self.captured_request = self.captured_response = None
        self.captured_request_cookie = self.captured_response_cookie = None
        self.variables: dict[str, Any] | None
        self.log_level: int | None
        self.cookie_dates: Any
        self._turnaround: asyncio.TimerHandle | None
        self.tracked: Tracked | None
        self.variables = self.log_level = self.cookie_dates = self._turnaround = self.tracked = None

    # ------------------------------------------------------------------------------------------------ choosing a server

    def enter_backend(self, backend: Backend) -> None:
        """`backend` is responsible from now on."""
        self.backend = backend
        plan = self.frontend.plans.get(backend)
        if plan is None:
            plan = self.frontend.plans[backend] = Plan(self.frontend, backend)
        self.plan = plan
        counters = backend.counters
        counters.stot += 1
        counters.req_tot += 1
        counters.lastsess = self.started_wall
        counters.scur = running = counters.scur + 1
        if running > counters.smax:
            counters.smax = running

    def choose(self) -> None:
        """Ask the backend for a server: connect, wait in a queue, or fail with 503."""
        now = self.session.loop.time()
        self.settle(self.plan.backend.assign(self, now), now)

    def granted(self, server: Server | None) -> None:
        """The queue gives this exchange its turn on `server`; None: there is nothing left to wait for."""
        self.settle(server, self.session.loop.time())

    def settle(self, outcome: Any, now: float) -> None:
        """What `assign` or `reassign` said."""
        if outcome.__class__ is Server:
            self.dequeued = now
            if self.stage == "Q":
                self.session.deadline = inf
            self.stage = "C"
            if self.plan.redirects and self.redirected(outcome):
                return
            self.connect(outcome, now)
        elif outcome is QUEUED:
            self.stage = "Q"
            self.session.arm(now + self.plan.queue_timeout)
        elif outcome is None:
            self.plan.backend.counters.econ += 1
            self.fail(Failure("S", "C", "no server is available"))
        else:
            assert outcome is FULL
            self._count_connection_error()
            self.fail(Failure("S", "Q", "the server's queue is full"))

    # ------------------------------------------------------------------------------------------------------- connecting

    def connect(self, server: Server, now: float) -> None:
        """Over an idle connection where the reuse policy allows it, over a new one otherwise."""
        idle = self.reusable(server)
        if idle is not None:
            server.counters.reuse += 1
            self.plan.backend.counters.reuse += 1
            self.connected = now
            self.upstream = idle
            idle.begin(cast("Tunnel", self))
            self.send()
            return
        session = self.session
        upstream = self.upstream = Upstream(session.loop, session.clock, server, session.limits)
        server.counters.connect += 1
        self.plan.backend.counters.connect += 1
        upstreams.connect(upstream, cast("Tunnel", self), now + self.plan.connect_timeout)

    def redirected(self, server: Server) -> bool:
        """Whether `server` has `redir` and the client has been sent there."""
        return False

    def reusable(self, server: Server) -> Upstream | None:
        """An idle connection to `server` that may carry this exchange; taken out of the pool."""
        return None

    def server_name(self, server: Server) -> str | None:
        """The name for SNI, from the server's `sni` expression."""
        name: str | None = server.net.name(self)
        return name

    def connection_ready(self, upstream: Upstream) -> None:
        """A new connection is up."""
        self.connected = self.session.loop.time()
        upstream.begin(cast("Tunnel", self))
        if upstream.server.observes is not None:
            observe(upstream.server, Event.CONNECTED, self.connected)
        self.send()

    def connection_failed(self, side: str, error: OSError | None) -> None:
        """A connection attempt failed: side S refused or unreachable, s timed out, R out of sockets."""
        now = self.session.loop.time()
        self.upstream = None
        server = self.server
        if server is not None and server.observes is not None:
            observe(server, Event.CONNECTION_FAILED, now)
        failure = Failure("s" if side == "s" else "S", "C", error.strerror if error and error.strerror else "timeout")
        if "conn-failure" not in self.plan.retry_on or not self.retry(now, at_once=side == "s"):
            self._count_connection_error()
            self.fail(failure)

    def _count_connection_error(self) -> None:
        self.plan.backend.counters.econ += 1
        if self.server is not None:
            self.server.counters.econ += 1

    def queue_timeout(self) -> None:
        """`timeout queue` is over before the queue gave this exchange its turn."""
        self._count_connection_error()
        self.fail(Failure("s", "Q", "timeout queue"))

    def retry(self, now: float, at_once: bool = False) -> bool:
        """Another attempt, if `retries` allows one; on another server where `option redispatch` says so."""
        plan = self.plan
        backend = plan.backend
        if self.retries >= plan.retries or self.server is None:
            return False
        self.retries += 1
        elsewhere = backend.redispatches(self)
        if not at_once and backend.turns_around(not elsewhere):
            pause = min(TURNAROUND, plan.connect_timeout)
            self._turnaround = self.session.loop.call_later(pause, self._again, elsewhere)
        else:
            self._again(elsewhere)
        return True

    def _again(self, elsewhere: bool) -> None:
        self._turnaround = None
        now = self.session.loop.time()
        outcome = self.plan.backend.reassign(self, now, elsewhere)
        if elsewhere:
            self.settle(outcome, now)
        else:  # the first assignment stands: what the attempts take is connection time (%Tc)
            self.connect(cast(Server, outcome), now)

    # ------------------------------------------------------------------------------------ what the subclass must supply

    def send(self) -> None:
        """The connection is ready: send what there is."""
        raise NotImplementedError

    def fail(self, failure: Failure) -> None:
        """Give up."""
        raise NotImplementedError

    def count_failure(self, failure: Failure) -> None:
        """Whose fault it was, in the counters of backend and server."""
        backend, server = self.backend, self.server
        if backend is None:
            return
        for counters in (backend.counters,) if server is None else (backend.counters, server.counters):
            if failure.side in "Cc":
                counters.cli_abrt += 1
            elif failure.stage == "D" and failure.side in "Ss" and not failure.garbled:
                counters.srv_abrt += 1
            if failure.spoils_response:
                counters.eresp += 1

    def server_gone(self, phase: int, error: Exception | None) -> None:
        """The server's connection broke in `phase` (upstream.py)."""
        raise NotImplementedError

    def server_timeout(self, now: float) -> None:
        """The server's deadline passed: connecting, waiting for a response, or idle in the middle of one."""
        upstream = self.upstream
        if upstream is not None and upstream.phase == upstreams.CONNECTING:
            upstream.abort()
            self.connection_failed("s", None)
        else:
            self.fail(Failure("s", self.stage, "server timeout"))

    # --------------------------------------------------------------------------------------------------------- the end

    def end(self, failure: Failure | None = None) -> None:
        """Note why it ended (the first reason counts) and settle everything. Safe to call again."""
        if failure is not None and self.termination == b"--":
            self.termination = failure.termination
        if self._ended:
            return
        self._ended = True
        session = self.session
        now = self.ended = session.loop.time()
        if self._turnaround is not None:
            self._turnaround.cancel()
        self._account(now)
        if self.tracked is not None or session.tracked is not None:
            tracking.ended(self, now)
        backend = self.backend
        if backend is not None:
            if self.slot_server is not None:
                backend.release(self, now)
            elif self.stage == "Q":
                self.dequeued = now
                backend.withdraw(self)
        if self.frontend.log_line is not None:
            session.listener.log(self)
        if self.tracked is not None:
            tracking.leave(self.tracked, session.tracked, now)
        session.exchange_over(self)

    def detach(self, reusable: bool = False) -> None:
        """Let go of the server's connection: into the pool when it is clean, closed otherwise."""
        upstream, self.upstream = self.upstream, None
        if upstream is None:
            return
        self.worn = upstream
        server = upstream.server
        reusable = reusable and not upstream.backlog  # the next one's bytes would wait behind what is not taken
        if reusable and self.plan.reuse != "none" and len(server.idle) < server.net.max_idle:
            upstream.rest()
        elif upstream.phase == upstreams.TUNNEL or reusable:
            upstream.close()
        else:
            upstream.abort()

    @property
    def server_source(self) -> tuple[str, int] | None:
        """Our end of the connection to the server that the exchange had (%bi, %bp)."""
        upstream = self.upstream or self.worn
        if upstream is None or upstream.transport is None:
            return None
        address = upstream.transport.get_extra_info("sockname")
        return address[:2] if isinstance(address, tuple) else None

    def shutdown(self, letter: bytes) -> None:
        """Ended from outside: D the server went down (`on-marked-down`), U a better one came up, K an operator."""
        self.fail(Failure(cast(Side, letter.decode()), self.stage, "session shut down"))

    def _account(self, now: float) -> None:
        front = self.frontend.counters
        front.bin += self.bytes_uploaded
        front.bout += self.bytes_read
        backend = self.backend
        if backend is None:
            if self.frontend.twin is not None:  # as HAProxy: a `listen` is its own backend, if only for bytes
                twin = self.frontend.twin.counters
                twin.bin += self.bytes_uploaded
                twin.bout += self.bytes_read
            return
        counters = backend.counters
        counters.scur -= 1
        counters.bin += self.bytes_uploaded
        counters.bout += self.bytes_read
        server = self.server
        if server is None:
            return
        own = server.counters
        if self.response is not None:  # as HAProxy: what the server has answered
            own.req_tot += 1
        own.bin += self.bytes_uploaded
        own.bout += self.bytes_read
        responded, connected, dequeued = self.responded, self.connected, self.dequeued
        if responded is not None and connected is not None and dequeued is not None:
            own.timed((self.head_received or dequeued, dequeued, connected, responded, self.started, now, front))
