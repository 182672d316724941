"""A request on its way to a server and back, told: methods of net/exchange.py, request.py and response.py, in order.

An exchange becomes a traced one after its session has made it: the classes add nothing to its layout.
"""

from __future__ import annotations

import os
from math import inf
from typing import TYPE_CHECKING, Any

from pylb.config.values import str_address
from pylb.http1 import framing
from pylb.net.exchange import Exchange
from pylb.net.failure import Failure
from pylb.net.response import HttpExchange
from pylb.net.tcp import TcpExchange
from pylb.net.upstream import IDLE, Upstream
from pylb.trace.story import of, show
from pylb.trace.upstream import TracedUpstream

if TYPE_CHECKING:
    from pylb.backend.backend import Backend
    from pylb.backend.server import Server
    from pylb.http1.head import RequestHead, ResponseHead
    from pylb.rules.reply import Reply

_BODIES = {
    framing.NONE: "no body",
    framing.LENGTH: "a body of known length",
    framing.CHUNKED: "a chunked body",
    framing.UNTIL_CLOSE: "a body until the server closes",
    framing.TUNNEL: "a tunnel from here on",
}


class Told(Exchange):
    """The trip to a server, whatever it carries."""

    __slots__ = ()

    def enter_backend(self, backend: Backend) -> None:
        """As inherited, told."""
        story, frontend = of(self), self.frontend
        if story.route is not None:
            story.say(f"backend {backend.name}", story.route, "rule")
        elif backend is frontend.twin:
            story.say(f"backend {backend.name}: of the same listen section", backend.model.at, "rule")
        else:
            story.say(f"default_backend {backend.name}", frontend.model.default_backend_at, "rule")
        super().enter_backend(backend)
        self.plan.sharing_from = inf  # no short cut past the methods below

    def granted(self, server: Server | None) -> None:
        """As inherited, told."""
        name = "no server is left" if server is None else f"a slot of server {server.name} came free"
        of(self).say(f"queue: {name}", kind="choice")
        super().granted(server)

    def connect(self, server: Server, now: float) -> None:
        """As inherited, told."""
        story = of(self)
        idle = len(server.idle)
        story.server_timer = ""
        super().connect(server, now)
        upstream = self.upstream
        if upstream is not None and upstream.__class__ is Upstream:
            why = f"{idle} idle, not for this request (http-reuse {self.plan.reuse})" if idle else "none is idle"
            story.say(
                f"new connection to server {server.name} at {str_address(server.address)}: {why}",
                server.model.at,
                "server",
            )
            upstream.__class__ = TracedUpstream
            assert isinstance(upstream, TracedUpstream)
            if upstream.deadline != inf:
                upstream.tell_deadline(upstream.deadline)

    def connection_ready(self, upstream: Upstream) -> None:
        """As inherited, told."""
        since = self.dequeued or self.started
        took = (self.session.loop.time() - since) * 1000
        of(self).say(f"connected to server {upstream.server.name} after {took:.1f} ms", kind="server")
        super().connection_ready(upstream)

    def connection_failed(self, side: str, error: OSError | None) -> None:
        """As inherited, told."""
        name = self.server.name if self.server is not None else "?"
        reason = _reason(error) if error is not None else "timeout connect has passed"
        of(self).say(f"no connection to server {name}: {reason}", kind="bad")
        super().connection_failed(side, error)

    def fail(self, failure: Failure) -> None:
        """As inherited, told."""
        letters = failure.termination.decode()
        of(self).say(f"failure {letters}: {failure.reason}", kind="bad")
        super().fail(failure)

    def detach(self, reusable: bool = False) -> None:
        """As inherited, told."""
        upstream = self.upstream
        super().detach(reusable)
        if upstream is None:
            return
        server = upstream.server
        if upstream.phase == IDLE:
            text = f"connection to server {server.name} kept: {len(server.idle)} idle there"
        else:
            text = f"connection to server {server.name} closed"
        of(self).say(text, kind="server")

    def end(self, failure: Failure | None = None) -> None:
        """As inherited, told."""
        if not self._ended:
            took = (self.session.loop.time() - self.started) * 1000
            letters = (failure.termination if failure and self.termination == b"--" else self.termination).decode()
            state = f"{letters}{self.cookie_state.decode()}"
            status = self.status or "no status"
            what = f"done: {status}, {self.bytes_uploaded} bytes in, {self.bytes_read} out"
            of(self).say(f"{what}, termination {state}, {took:.1f} ms", kind="end" if letters == "--" else "bad")
        super().end(failure)


class TracedHttpExchange(Told, HttpExchange):
    """An HTTP exchange, told."""

    __slots__ = ()

    def receive(self, head: RequestHead) -> None:
        body = "a body follows" if not self.upload_done else "its body came along" if self._waiting else "no body"
        fields = head.block.count(b"\r\n")
        line = f"{show(head.method)} {show(head.target)} HTTP/1.{head.version}"
        of(self).say(f"request {line}: {fields} fields, {self.head_size} bytes, {body}", kind="client")
        super().receive(head)

    def reusable(self, server: Server) -> Upstream | None:
        idle = super().reusable(server)
        if idle is not None:
            text = f"idle connection to server {server.name} taken: its request number {idle.uses + 1}"
            of(self).say(f"{text}, {len(server.idle)} more idle", server.model.at, "server")
        return idle

    def send(self) -> None:
        story, plan = of(self), self.plan
        forward = plan.forward_for
        if forward is not None and not (forward.if_none and self.request.has(forward.name)):
            line = self.session.forwarded_for(forward)
            if line:
                story.say(f"option forwardfor: + {show(line[2:])}", kind="yes")
        if plan.close_server:
            story.say("the server's connection ends with this request: + Connection: close", kind="yes")
        super().send()

    def upload_complete(self) -> None:
        of(self).say("the request has arrived whole", kind="client")
        super().upload_complete()

    def interim(self, head: ResponseHead) -> None:
        of(self).say(f"interim response {head.status}", kind="server")
        super().interim(head)

    def respond(self, head: ResponseHead, kind: int, body: bytes, complete: bool, reusable: bool) -> None:
        server = self.upstream.server.name if self.upstream is not None else "?"
        since = self.connected if self.connected is not None else self.started
        took = (self.session.loop.time() - since) * 1000
        text = f"response {head.status} from server {server} after {took:.1f} ms"
        fields = head.block.count(b"\r\n")
        of(self).say(f"{text}: {fields} fields, {_BODIES.get(kind, 'a body')}", kind="server")
        super().respond(head, kind, body, complete, reusable)

    def _connection_field(self) -> bytes:
        field = super()._connection_field()
        if field:
            of(self).say(f"+ {show(field[2:])}", kind="yes")
        return field

    def switch_protocols(self, head: ResponseHead, rest: bytes) -> None:
        of(self).say(f"response {head.status}: both connections become one pipe", kind="server")
        super().switch_protocols(head, rest)

    def answer(self, reply: Reply) -> None:
        delay = f" after {reply.delay:g} s" if reply.delay else ""
        what = "no answer" if reply.silent else f"answer of our own: {reply.status} {show(reply.reason)}{delay}"
        of(self).say(what, kind="end" if reply.status < 400 else "bad")
        super().answer(reply)

    def retry(self, now: float, at_once: bool = False) -> bool:
        again = super().retry(now, at_once)
        if not again:
            of(self).say(f"no retry: {self.retries} of {self.plan.retries} used", kind="bad")
        return again


class TracedTcpExchange(Told, TcpExchange):
    """A plain TCP exchange, told."""

    __slots__ = ()

    def send(self) -> None:
        of(self).say("the connections are one pipe from here on", kind="server")
        super().send()


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.strerror == "connect" and error.errno else error.strerror or str(error)


def traced(exchange: Any) -> None:
    """Make an HttpExchange tell what it does."""
    exchange.__class__ = TracedHttpExchange
