"""A client's connection and its requests, one after the other (manual: session; RFC 9112 9.3).

The protocol cuts the client's bytes into requests, hands each to an HttpExchange with its body, and takes the next
one when that is over, so pipelined requests are answered in order. Which deadline runs depends on the phase:

    IDLE   nothing of the next request is here yet     timeout http-keep-alive (first request: http-request)
    HEAD   a part of its head                          timeout http-request, never extended by dripping bytes
    BODY   its body is coming                          timeout client, restarted by every piece
    BUSY   it is whole, the response is on its way     none here while the client takes what it gets, else client
    TUNNEL no more HTTP (tunnel.py)                    timeout tunnel
    DRAIN  answered, reads what it must not reset      LINGER
"""

from __future__ import annotations

import time
from math import inf
from typing import TYPE_CHECKING, cast

from pylb.http1 import framing
from pylb.http1.chunked import ChunkedReader
from pylb.http1.errors import ProtocolError
from pylb.http1.head import NO_REQUEST, RequestHead, parse_request, reject_early, skip_empty_line, whole_request
from pylb.net.answers import Answering
from pylb.net.exchange import Exchange
from pylb.net.failure import Failure, Side
from pylb.net.flow import CLIENT_FULL, NO_PEER, PEER_FULL, PIPELINED
from pylb.net.request import OWN_DEADLINE, RequestSide
from pylb.net.response import HttpExchange
from pylb.net.session import BODY, BUSY, CLOSED, DRAIN, HEAD, IDLE, TUNNEL, WAITING, Session

if TYPE_CHECKING:
    from pylb.net.listener import Listener
    from pylb.net.plan import Page
    from pylb.rules.reply import Pause, Reply

END = b"\r\n\r\n"

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

LINGER = 2.0
"""Seconds that a connection is read on after a final answer, so that unread input does not turn into a reset that
takes the answer with it (RFC 9112 9.6)."""


class HttpSession(Session):
    """See the module."""

    __slots__ = (
        "_awaiting",
        "_chunks",
        "_eof",
        "_first_byte",
        "_first_byte_wall",
        "_held_reply",
        "_page",
        "_pending",
        "_posted",
        "_pumping",
        "_remaining",
        "_searched",
        "_since",
        "_until",
        "owns",
    )

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        self._since = 0.0
        """Since when the next request is being waited for."""
        self._first_byte = 0.0
        self._first_byte_wall = 0.0
        self._pending = b""
        """Received, not yet used: a part of a head, or pipelined requests."""
        self._searched = 0
        """Up to here `_pending` holds no end of a head."""
        self._remaining = 0
        self._chunks: ChunkedReader | None = None
        self._eof = False
        self._pumping = False
        self._page: Page | None = None
        """The statistics page that a form is being posted to: it takes the body in place of a server."""
        self._posted: list[bytes] = []
        self._awaiting: Pause | None = None
        """What waits for the body."""
        self._until = inf
        """… and until when."""
        self.owns = False
        """A server's connection serves this client only (Upstream.owner)."""
        self._held_reply: Reply | None = None
        """What a tarpit will answer."""

    # ------------------------------------------------------------------------------------------------- the connection

    def started(self) -> None:
        self._since = self.loop.time()
        self.arm(self._since + self.listener.first_timeout)

    def data_received(self, data: bytes) -> None:
        phase = self.phase
        if phase <= HEAD:
            if self._pending:
                data = self._pending + data
                self._pending = b""
            self._read_head(data)
            if self._pending and self.phase == IDLE:
                self._pump()
        elif phase == BODY:
            self._read_body(data)
        elif phase == TUNNEL:
            cast(HttpExchange, self.exchange).tunnel_upload(data)
        elif phase == BUSY:
            self._keep_for_later(data)
        elif phase == WAITING:
            self.park_data(data)

    def eof_received(self) -> bool:
        """A client may close its sending side and still want the answer, so the exchange goes on."""
        self._eof = True
        phase = self.phase
        if phase == TUNNEL:
            return cast(HttpExchange, self.exchange).client_half_closed(self.tls is None)
        if phase <= HEAD:
            self._gone_before_request(phase)
            return False
        if phase == BODY:
            self._fail(Failure("C", cast(Exchange, self.exchange).stage, "client closed in the middle of its request"))
            return False
        if phase == DRAIN:
            self.close()
            return False
        if self.listener.abort_on_close(self.exchange):
            stage = cast(Exchange, self.exchange).stage
            self._fail(Failure("C", stage, "client closed", 400 if stage == "H" else None))  # HAProxy's status
            return False
        return self.tls is None

    def connection_lost(self, exc: Exception | None) -> None:
        phase, self.phase = self.phase, CLOSED
        self.disarm()
        exchange = self.exchange
        self.keep_alive = False
        if exchange is not None:
            if phase == TUNNEL and exc is None:
                cast(HttpExchange, exchange).tunnel_over()
            else:
                exchange.fail(Failure("C", exchange.stage, "client closed"))
            self.exchange = None
        elif phase <= HEAD and not self._eof:
            self._gone_before_request(phase)
        if self.owns:
            self._close_owned()
        self.listener.closed(self)

    def _close_owned(self) -> None:
        """Idle connections to servers that were this client's: nobody else may use them."""
        for backend in self.listener.frontend.plans:
            for server in backend.servers:
                for connection in [c for c in server.idle if c.owner is self]:
                    connection.close()

    # ------------------------------------------------------------------------------------------------------- the head

    def _read_head(self, data: bytes) -> None:
        """One request head out of `data`; what stands behind it is its body or waits in `_pending`."""
        now = self.loop.time()
        if self.phase == IDLE:
            self._first_byte = now
            self._first_byte_wall = time.time()
        start = 0
        try:
            head = None if self._searched else whole_request(data, 0, self.limits)
            if head is None:
                start = skip_empty_line(data, 0) if self.phase == IDLE else 0
                end = data.find(END, self._searched or start)
                if end < 0:
                    self._wait_for_head(data[start:])
                    return
                self._searched = 0
                head = parse_request(data, start, end, self.limits)
            bodiless = head.length_field is None and head.coding_field is None
            body = framing.NO_BODY if bodiless else framing.request_framing(head)
        except ProtocolError as error:
            self._refuse(error, data[start:])
            return
        exchange = self._begin(head.size, now)
        exchange.request_line = head.line
        self.keep_alive = self.listener.keeps_alive and (head.end_to_end or head.wants_keep_alive())
        end = start + head.size
        rest = data[end:] if end < len(data) else b""
        if bodiless:
            self.phase = BUSY
            self.deadline = inf
            self._pending = rest
            exchange.receive(head)
        else:
            self._receive_with_body(exchange, head, body, rest)

    def _receive_with_body(self, exchange: HttpExchange, head: RequestHead, body: framing.Framing, rest: bytes) -> None:
        """A request that says how its body ends, and what of it came along."""
        if body.kind == framing.LENGTH and body.length <= len(rest):  # all here, or nothing to come
            self.phase = BUSY
            self.deadline = inf
            self._pending = rest[body.length :]
            if body.length:
                exchange.take_body(rest[: body.length])
            exchange.receive(head)
            return
        self._expect_body(exchange, body)
        exchange.receive(head)
        if rest and self.phase == BODY:
            self._read_body(rest)

    def _begin(self, size: int, now: float) -> HttpExchange:
        """The objects and times of a new exchange."""
        exchange = self.exchange = HttpExchange(self, self.listener.frontend)
        first = self._first_byte
        self.requests += 1
        exchange.started = first
        exchange.started_wall = self._first_byte_wall
        exchange.idle = first - self._since
        if self.handshake:
            exchange.handshake, self.handshake = self.handshake, 0.0
        exchange.head_received = now
        exchange.bytes_uploaded = exchange.head_size = size
        counters = self.listener.frontend.counters
        counters.req_tot += 1
        return exchange

    def _expect_body(self, exchange: HttpExchange, body: framing.Framing) -> None:
        self.phase = BODY
        exchange.upload_done = False
        if body.kind == framing.CHUNKED:
            self._chunks = ChunkedReader(400)
        else:
            self._chunks = None
            self._remaining = body.length
        self.arm(self.loop.time() + self.listener.client_timeout)

    def _wait_for_head(self, data: bytes) -> None:
        """Not all here yet: refuse what can become nothing valid, keep the rest under one deadline for all of it."""
        if not data:  # an empty line before a request, and nothing behind it
            return
        if data == b"\r":  # perhaps the empty line before a request
            self._pending = data
            return
        if self.phase == IDLE:
            self.phase = HEAD
            if self.requests:
                self.arm(self.loop.time() + self.listener.request_timeout)
        try:
            reject_early(data, 0, self.limits)
        except ProtocolError as error:
            self._refuse(error, data)
            return
        self._pending = data
        self._searched = max(0, len(data) - 3)

    def _refuse(self, error: ProtocolError, data: bytes) -> None:
        """A request that is none: its status, and no more requests on this connection."""
        exchange = self._begin(len(data), self.loop.time())
        exchange.request = NO_REQUEST
        exchange.request_line = b"<BADREQ>"
        exchange.head_received = None
        exchange.upload_done = False
        self.phase = BUSY
        self.keep_alive = False
        self.listener.frontend.counters.ereq += 1
        self.listener.remember_error(self, error, data)
        exchange.fail(Failure("P", "R", error.reason, error.status))

    # ------------------------------------------------------------------------------------------------------- the body

    def _read_body(self, data: bytes) -> None:
        exchange = cast(HttpExchange, self.exchange)
        if exchange.stage not in OWN_DEADLINE:
            self.deadline = self.loop.time() + self.listener.client_timeout
        if self._chunks is not None:
            try:
                end = self._chunks.feed(data, 0)
            except ProtocolError as error:
                self.listener.frontend.counters.ereq += 1
                stage = "R" if exchange.stage in ("Q", "C") else exchange.stage
                self._fail(Failure("P", stage, error.reason, error.status))
                return
            done = self._chunks.done
        else:
            end = min(self._remaining, len(data))
            self._remaining -= end
            done = not self._remaining
        if end < len(data):
            self._pending = data[end:]
            data = data[:end]
        if self._page is not None:
            self._collect_form(exchange, data, done)
            return
        if self._awaiting is not None:
            self._collect_body(exchange, data, done, self._awaiting)
            return
        if done:
            self.phase = BUSY
            if exchange.stage not in OWN_DEADLINE:
                self.deadline = inf
            exchange.upload(data)
            exchange.upload_complete()
        else:
            exchange.upload(data)

    def _keep_for_later(self, data: bytes) -> None:
        """Pipelined input: kept up to one head's worth, then the socket's buffer holds the rest."""
        self._pending += data
        if len(self._pending) > self.limits.bufsize:
            self.hold(PIPELINED)

    # -------------------------------------------------------------------------------------------- ends of exchanges

    def exchange_over(self, exchange: Exchange) -> None:
        """Called once by each exchange: on to the next request, or to the end of the connection."""
        self.exchange = None
        self._page = self._awaiting = None
        if self.phase == CLOSED:
            return
        if self.phase == TUNNEL:
            self.close()
        elif self.keep_alive and self.phase == BUSY and (self._pending or not self._eof):
            self.phase = IDLE
            self._since = now = exchange.ended or self.loop.time()
            if self.held:  # for a server that nobody waits for any more: it refused, or answered before it had read all
                self.release(NO_PEER | PEER_FULL)
            if self.backlog:
                self.wait_for_client()
                return
            self.arm(now + self.listener.keep_alive_timeout)
            if self._pending:
                self._pump()
        elif self._still_sends(exchange):
            self._drain()
        else:
            self.close()

    def _still_sends(self, exchange: Exchange) -> bool:
        """Whether the client may be in the middle of something that nobody will read."""
        if self.phase == BODY:
            return True
        unread = bool(self._pending) or not cast(HttpExchange, exchange).upload_done
        return unread and not self._eof

    def _pump(self) -> None:
        """Pipelined requests, without recursion: an answer of our own may end an exchange before it returns here."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self.phase == IDLE and self._pending and not self.backlog and not self.transport.is_closing():
                data, self._pending = self._pending, b""
                before = self.requests
                self._read_head(data)
                if self.requests == before:
                    break
        finally:
            self._pumping = False
        if len(self._pending) <= self.limits.bufsize:
            self.release(PIPELINED)
        if self._eof and self.phase <= HEAD and not self.backlog:
            self._gone_before_request(self.phase)
            if self.phase != CLOSED:
                self.close()

    def wind_down(self) -> None:
        """An answer that has not begun will say that it is the last one. Where it has, or between requests, the client
        may just be asking again: so it may, once, until it has been idle for a moment (listener.PARTING)."""
        exchange = self.exchange
        if exchange is not None:
            self.keep_alive = self.keep_alive and exchange.stage == "D"
        elif self.phase == IDLE and self.requests and not self.backlog:
            self.arm(min(self.deadline, self.loop.time() + self.listener.keep_alive_timeout))

    def client_ready(self) -> None:
        times = self.listener
        self.arm(self.loop.time() + (times.keep_alive_timeout if self.phase == IDLE else times.request_timeout))
        if self._pending and self.phase == IDLE:
            self._pump()

    def _drain(self) -> None:
        """Answered, but the client is still sending: stop sending, read on for a moment, then close."""
        self.phase = DRAIN
        self._pending = b""
        self.held = 0
        if not self.transport.is_closing():
            self.flush()
            if self.tls is None and self.transport.can_write_eof():
                self.transport.write_eof()
            self.transport.resume_reading()
        self.arm(self.loop.time() + LINGER)

    def _fail(self, failure: Failure) -> None:
        exchange = self.exchange
        self.keep_alive = False
        if exchange is not None:
            exchange.fail(failure)

    def _gone_before_request(self, phase: int) -> None:
        """The connection ended in `phase`, without a whole request: worth a line unless `option dontlognull`."""
        empty = phase == IDLE
        if empty and self.requests:
            return
        exchange = self._placeholder(phase)
        if not (empty and self.listener.frontend.model.dontlognull):
            self.listener.frontend.counters.ereq += 1
            exchange.fail(Failure("C", "R", "closed before the request was complete"))
        else:
            self.exchange = None

    def _placeholder(self, phase: int) -> HttpExchange:
        """Stands for a request that never came to be, in log and counters."""
        if phase == IDLE:
            self._first_byte, self._first_byte_wall = self._since, self.accepted_wall
        exchange = self._begin(len(self._pending), self.loop.time())
        exchange.request = NO_REQUEST
        exchange.request_line = b"<BADREQ>"
        exchange.head_received = None
        self.keep_alive = False
        self._pending = b""
        return exchange

    # ---------------------------------------------------------------------------------------------------- deadlines

    def timed_out(self, now: float) -> None:
        phase, exchange = self.phase, self.exchange
        if phase == DRAIN or self.held & CLIENT_FULL:
            self.close()
        elif phase <= HEAD:
            self._request_timed_out(phase)
        elif exchange is not None:
            if exchange.stage == "Q":
                exchange.queue_timeout()
            elif phase == TUNNEL or exchange.stage != "T":
                side: Side = cast("HttpExchange", exchange).awaited if phase == TUNNEL else "c"
                if exchange.stage == "R":  # a body that rules wait for
                    self.listener.frontend.counters.ereq += 1
                self._fail(Failure(side, exchange.stage, "timeout"))
            else:
                self._tarpit_over(exchange)

    def _request_timed_out(self, phase: int) -> None:
        """HAProxy's 408; a kept-alive connection that stays silent just ends."""
        if phase == IDLE and self.requests:
            self.close()
            return
        if phase == IDLE and self.listener.frontend.model.dontlognull:
            self.listener.frontend.counters.ereq += 1
            self.transport.write(self.listener.frontend.error_reply(408).serialise(None, keep_alive=False))
            self.close()
            return
        exchange = self._placeholder(phase)
        self.phase = BUSY
        self.listener.frontend.counters.ereq += 1
        exchange.fail(Failure("c", "R", "timeout http-request"))

    def tarpit(self, exchange: Answering, reply: Reply, delay: float) -> None:
        """Hold the client for `delay` seconds before `reply` (`http-request tarpit`)."""
        exchange.stage = "T"
        self._held_reply = reply
        self.arm(self.loop.time() + delay)

    def _tarpit_over(self, exchange: Exchange) -> None:
        reply, self._held_reply = self._held_reply, None
        exchange.dequeued = self.loop.time()  # the log tells the delay as Tw
        cast(HttpExchange, exchange).answer(cast("Reply", reply).now())

    # -------------------------------------------------------------------------------------------------- statistics

    def serve_stats(self, exchange: Answering, page: Page, form: bytes) -> None:
        """Answer from a statistics page; a POST's form is collected first, up to one buffer."""
        exchange.termination = b"LR"
        exchange.applet = b"<STATS>"
        exchange.dequeued = exchange.connected = exchange.responded = self.loop.time()
        if exchange.upload_done:
            exchange.answer(page.handle(exchange, form))
        else:
            self._page = page
            self._posted = [form]  # what rules have waited for; no server is needed for the rest
            self.release(NO_PEER)
            self.arm(self.loop.time() + self.listener.client_timeout)

    def _collect_form(self, exchange: HttpExchange, data: bytes, done: bool) -> None:
        exchange.bytes_uploaded += len(data)
        self._posted.append(data)
        if sum(map(len, self._posted)) > self.limits.bufsize:
            self.keep_alive = False
            exchange.answer(cast("Page", self._page).too_large(exchange))
        elif done:
            self.phase = BUSY
            self.deadline = inf
            exchange.upload_done = True
            page, self._page = cast("Page", self._page), None
            form = b"".join(self._posted)
            exchange.answer(page.handle(exchange, ChunkedReader().decode(form, 0)[0] if self._chunks else form))

    # ----------------------------------------------------------------------------------- rules that wait for the body

    def wait_for_body(self, exchange: RequestSide, pause: Pause) -> None:
        """Collect the body until it is enough for `pause`, then have the exchange go on."""
        self._awaiting = pause
        now = self.loop.time()
        self._until = now + pause.seconds
        self.arm(min(now + self.listener.client_timeout, self._until))
        head = exchange.request
        if head.expects_continue:
            head.remove(b"expect")
            self.flush()
            self.transport.write(CONTINUE)
        self.release(NO_PEER)

    def _collect_body(self, exchange: HttpExchange, data: bytes, done: bool, pause: Pause) -> None:
        size = exchange.keep_body(data)
        if done:
            self.phase = BUSY
            self.deadline = inf
            exchange.upload_done = True
        elif not exchange.body_fills_buffer and not 0 < pause.at_least <= size:
            self.deadline = min(self.deadline, self._until)
            return
        self._awaiting = None
        exchange.go_on(pause)

    # --------------------------------------------------------------------------------------------------------- tunnels

    def tunnel(self) -> None:
        super().tunnel()
        if self._pending:
            data, self._pending = self._pending, b""
            cast(HttpExchange, self.exchange).tunnel_upload(data)
        self.release(PIPELINED)
