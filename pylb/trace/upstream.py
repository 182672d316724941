"""The server's side of a trace: bytes, deadlines, the idle pool; and the transport that both sides write through."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Any, cast

from pylb.net.clock import Timed
from pylb.net.upstream import BODY, CLOSED, CONNECTING, HEAD, IDLE, Upstream
from pylb.trace.story import Story, of, seconds

if TYPE_CHECKING:
    from pylb.net.session import Session

_deadline = cast(Any, Timed.__dict__["deadline"])
"""The slot behind the attribute that the traced classes make a property of."""


class TracedTransport:
    """A transport that tells of every write; anything else passes through."""

    def __init__(self, transport: Any, story: Story, peer: str) -> None:
        self._transport = transport
        self.story = story
        self.peer = peer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """asyncio's."""
        self.story.say(f"→ {len(data)} bytes to {self.peer}", kind="client" if self.peer == "the client" else "server")
        self._transport.write(data)

    def write_eof(self) -> None:
        """asyncio's."""
        self.story.say(f"→ end of stream to {self.peer}", kind="timer")
        self._transport.write_eof()


class TracedUpstream(Upstream):
    """A server's connection, told. An Upstream becomes one after it was made: the layouts are the same."""

    __slots__ = ()

    @property
    def deadline(self) -> float:
        """Seconds of the loop's clock, as in Timed."""
        return float(_deadline.__get__(self))

    @deadline.setter
    def deadline(self, value: float) -> None:
        _deadline.__set__(self, value)
        if value != inf:
            self.tell_deadline(value)

    def tell_deadline(self, value: float) -> None:
        """Say which timeout runs, unless it is the one that ran before."""
        story = self.story
        name = self._timeout()
        if story is not None and story.server_timer != name:
            story.server_timer = name
            story.say(f"timer, server {self.server.name}: {name} {_left(value, self.loop.time())}", kind="timer")

    def _timeout(self) -> str:
        if self.phase == CONNECTING:
            return "timeout connect"
        if self.phase == IDLE:
            return "pool-purge-delay"
        return "timeout server"

    @property
    def story(self) -> Story | None:
        """Of the client it works for, or worked for last."""
        if self.exchange is not None:
            session: Session = self.exchange.session
            return of_session(session)
        return getattr(self.transport, "story", None)

    def _tell(self, text: str, kind: str = "server") -> None:
        story = self.story
        if story is not None:
            story.say(text, self.server.model.at, kind)

    def begin(self, exchange: Any) -> None:
        super().begin(exchange)
        story = of(exchange)
        story.server_timer = ""
        if isinstance(self.transport, TracedTransport):
            self.transport.story = story

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.exchange is not None:
            traced = TracedTransport(transport, of(self.exchange), f"server {self.server.name}")
            transport = cast(asyncio.BaseTransport, traced)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self.phase in (HEAD, BODY) or self.exchange is not None:
            self._tell(f"← {len(data)} bytes from server {self.server.name}")
        super().data_received(data)

    def eof_received(self) -> bool:
        if self.exchange is not None:
            self._tell(f"← end of stream from server {self.server.name}")
        return super().eof_received()

    def expired(self, now: float) -> None:
        if self.phase == IDLE:
            story = self.story
            if story is not None:
                text = f"idle connection to server {self.server.name}: pool-purge-delay has passed, closed"
                story.printer.line("pool", None, text, self.server.model.at, "timer")
        elif self.phase != CLOSED:
            self._tell(f"timer, server {self.server.name}: {self._timeout()} has passed", "bad")
        super().expired(now)


def of_session(session: Any) -> Story:
    """The story of a traced session."""
    story: Story = session.story
    return story


def _left(deadline: float, now: float) -> str:
    return seconds(round(deadline - now, 2))
