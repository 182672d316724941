"""The client's side of a trace: the connection, its bytes, the phases of net/client.py and the deadlines in them."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Any, cast

from pylb.net.client import HttpSession
from pylb.net.response import HttpExchange
from pylb.net.session import CLOSED, DRAIN, HEAD, IDLE, TUNNEL, WAITING, Session
from pylb.net.tcp import TcpSession
from pylb.trace.exchange import TracedTcpExchange, traced
from pylb.trace.story import Story, seconds
from pylb.trace.upstream import TracedTransport, _deadline

if TYPE_CHECKING:
    from pylb.net.answers import Answering
    from pylb.net.listener import Listener
    from pylb.net.plan import Page
    from pylb.net.request import RequestSide
    from pylb.rules.reply import Pause, Reply

_phase = cast(Any, Session.__dict__["phase"])


class ToldSession(Session):
    """A client connection, whatever it carries."""

    story: Story
    timer: str
    """The deadline that was told last."""

    # ------------------------------------------------------------------------------------------ phases and deadlines

    @property
    def phase(self) -> int:
        """IDLE … WAITING, as in net/session.py."""
        return int(_phase.__get__(self))

    @phase.setter
    def phase(self, value: int) -> None:
        try:
            before = int(_phase.__get__(self))
        except AttributeError:  # the constructor's
            before = value
        _phase.__set__(self, value)
        if before == value:
            return
        if value != HEAD:  # a part of a head changes nothing about its deadline
            self.timer = ""
        if value == CLOSED:
            if not self.story.over:
                self.story.say("client connection closed", kind="client")
        elif value == IDLE and before not in (WAITING, HEAD):
            self.story.say("client connection kept: waits for the next request", kind="client")
        elif value == DRAIN:
            self.story.say("the client still sends: read on for a moment, so that it gets its answer", kind="client")

    @property
    def deadline(self) -> float:
        """Seconds of the loop's clock, as in Timed."""
        return float(_deadline.__get__(self))

    @deadline.setter
    def deadline(self, value: float) -> None:
        _deadline.__set__(self, value)
        if value == inf:
            return
        name = self._timeout()
        if name != self.timer:
            self.timer = name
            self.story.say(f"timer, client: {name} {seconds(round(value - self.loop.time(), 2))}", kind="timer")

    def _timeout(self) -> str:
        """The keyword behind the deadline of this phase."""
        times = self.listener.frontend.model.timeouts
        phase, exchange = self.phase, self.exchange
        request = "timeout http-request" if times.http_request is not None else "timeout client"
        if phase == IDLE and self.requests:
            return "timeout http-keep-alive" if times.http_keep_alive is not None else request
        if phase in (IDLE, HEAD):
            return request
        if phase == DRAIN:
            return "linger"
        if phase == TUNNEL:
            return "timeout tunnel" if times.tunnel is not None else "timeout client or server, the shorter"
        if exchange is not None and exchange.stage == "Q":
            return "timeout queue"
        return "timeout tarpit" if exchange is not None and exchange.stage == "T" else "timeout client"

    def expired(self, now: float) -> None:
        """As inherited, told."""
        self.story.say(f"timer, client: {self.timer or self._timeout()} has passed", kind="bad")
        super().expired(now)

    # ------------------------------------------------------------------------------------------------- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As inherited, with a transport that tells."""
        super().connection_made(cast(Any, TracedTransport(transport, self.story, "the client")))

    def arrived(self, transport: Any, peer: Any, local: Any) -> None:
        """As inherited, told."""
        self.set_addresses(peer, local)
        frontend = self.listener.frontend
        text = f"client {self.src}:{self.src_port} connected to {self.dst}:{self.dst_port}, frontend {frontend.name}"
        self.story.say(text, self.listener.bind.at, "client")
        super().arrived(transport, peer, local)

    def hand_over(self, worker: int) -> None:
        """As inherited, told."""
        self.story.say(f"handed to worker {worker}, which has clearly fewer connections", kind="choice")
        self.story.over = True
        super().hand_over(worker)

    def take_over(self, worker: int) -> None:
        """As inherited, told."""
        self.story.say(f"taken over from worker {worker}, which has accepted it", kind="choice")
        super().take_over(worker)

    def park(self) -> None:
        """As inherited, told."""
        self.story.say("maxconn is reached: the client waits unread", kind="bad")
        super().park()

    def started(self) -> None:
        """As inherited, told."""
        tls = self.tls
        if tls is not None:
            text = f"TLS handshake done after {self.handshake * 1000:.1f} ms: {tls.version}, {tls.cipher}"
            self.story.say(f"{text}, server name {tls.sni or 'not given'}", kind="client")
        super().started()

    def data_received(self, data: bytes) -> None:
        """As inherited, told."""
        if self.phase in (IDLE, HEAD, WAITING):
            self.story.begin(self.requests + 1)
        self.story.say(f"← {len(data)} bytes from the client", kind="client")
        super().data_received(data)

    def eof_received(self) -> bool:
        """As inherited, told."""
        if self.exchange is None:
            self.story.between()
        self.story.say("← the client has no more to send", kind="client")
        return bool(super().eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        """As inherited, told."""
        if self.phase != CLOSED:
            self.story.over = True
            if self.exchange is None:
                self.story.between()
            self.story.say(f"the client's connection is gone{f': {exc}' if exc else ''}", kind="client")
        super().connection_lost(exc)


class TracedHttpSession(ToldSession, HttpSession):
    """An HTTP client's connection, told."""

    __slots__ = ("story", "timer")

    def __init__(self, listener: Listener, story: Story) -> None:
        self.story = story
        self.timer = ""
        super().__init__(listener)

    def _begin(self, size: int, now: float) -> HttpExchange:
        exchange = super()._begin(size, now)
        self.story.begin(self.requests)
        traced(exchange)
        return exchange

    def serve_stats(self, exchange: Answering, page: Page, form: bytes) -> None:
        self.story.say("the statistics page answers", kind="choice")
        super().serve_stats(exchange, page, form)

    def wait_for_body(self, exchange: RequestSide, pause: Pause) -> None:
        enough = f"{pause.at_least} bytes of it" if pause.at_least else "all of it, or a buffer full"
        self.story.say(f"the rules wait for the body: {enough}", kind="client")
        super().wait_for_body(exchange, pause)

    def tarpit(self, exchange: Answering, reply: Reply, delay: float) -> None:
        self.story.say(f"tarpit: the client is held for {seconds(delay)}", kind="bad")
        super().tarpit(exchange, reply, delay)


class TracedTcpSession(ToldSession, TcpSession):
    """A plain TCP client's connection, told."""

    __slots__ = ("story", "timer")

    carrier = TracedTcpExchange

    def __init__(self, listener: Listener, story: Story) -> None:
        self.story = story
        self.timer = ""
        super().__init__(listener)
