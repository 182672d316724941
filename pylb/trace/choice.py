"""Which server, and why: what persistence found, who was skipped, and what the balance algorithm looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pylb.backend.backend import QUEUED, Assigned, Backend
from pylb.backend.balance.first import First
from pylb.backend.balance.hashed import Hashed
from pylb.backend.balance.leastconn import LeastConn
from pylb.backend.balance.random import RandomChoice
from pylb.backend.balance.roundrobin import RoundRobin
from pylb.backend.balance.static_rr import StaticRoundRobin
from pylb.backend.persist import Persistence
from pylb.backend.server import SCALE, Admin, Server, State
from pylb.config.model import Backend as DeclaredBackend
from pylb.trace.edits import Snapshot
from pylb.trace.story import of

if TYPE_CHECKING:
    from pylb.trace.printer import Printer

_COOKIE_READ = {
    "N": "the client brought none",
    "I": "its value names no server here",
    "D": "its server is down",
    "V": "it names a server that can be reached",
    "E": "unused for too long (maxidle)",
    "O": "too old (maxlife)",
    "U": "present, but not used",
}
"""Third letter of the termination state (manual 8.5), in words."""


class TracedBackend(Backend):
    """A backend that explains `assign`."""

    def __init__(
        self, printer: Printer, declared: DeclaredBackend, *, log: Callable[[int, str], None], **settings: Any
    ) -> None:
        def told(level: int, text: str) -> None:
            printer.line("health", None, text, kind="choice")
            log(level, text)

        super().__init__(declared, log=told, **settings)
        self.persist = TracedPersistence.of(self)

    def assign(self, x: Any, now: float) -> Assigned:
        """As inherited; the reasons first."""
        story = of(x)
        wanted: Server | None = x.persist_server
        if wanted is not None:
            story.say(f"server {wanted.name}: the client belongs there; no balancing", wanted.model.at, "choice")
        else:
            balance = self.model.balance
            text = " ".join((balance.algorithm, *balance.args))
            story.say(f"balance {text}: {_explain(self, x)}", balance.at, "choice")
            for server in self.servers:
                reason = _skipped(server, self)
                if reason:
                    story.add(f"{server.name} is not asked: {reason}", server.model.at, "no")
        outcome = super().assign(x, now)
        if isinstance(outcome, Server):
            story.add(f"server {outcome.name}, {_load(outcome)}", outcome.model.at, "choice")
        elif outcome is None:
            story.add("no server is usable", kind="bad")
        elif outcome is QUEUED:
            waits_for = "any server" if x.server is None else f"server {x.server.name}"
            story.add(f"no free slot: waits in a queue for {waits_for}", kind="choice")
        else:
            story.add("the server's queue is full (maxqueue)", kind="bad")
        return outcome

    def reassign(self, x: Any, now: float, redispatch: bool) -> Assigned:
        """As inherited, told."""
        outcome = super().reassign(x, now, redispatch)
        how = "redispatch: chosen anew" if redispatch else "the same server again"
        name = outcome.name if isinstance(outcome, Server) else "nobody yet"
        of(x).say(f"retry {x.retries} of {self.model.retries}, {how}: {name}", self.model.at, "choice")
        return outcome


class TracedPersistence(Persistence):
    """Cookie and persistence rules, told."""

    __slots__ = ()

    @property
    def needed(self) -> Persistence:
        """Itself: the cookie alone would not tell."""
        return self

    def request(self, x: Any) -> None:
        """As inherited, told."""
        story = of(x)
        before = Snapshot(x)
        super().request(x)
        cookie = self.backend.model.cookie
        if self.cookie is not None and cookie is not None:
            found = _COOKIE_READ.get(x.cookie_state[:1].decode(), "not looked at")
            server = f": {x.persist_server.name}" if x.persist_server is not None else ""
            story.say(f"cookie {cookie.name}: {found}{server}", cookie.at, "choice")
        elif x.persist_server is not None:
            story.say(f"use-server names {x.persist_server.name}", self.backend.model.at, "choice")
        for change in Snapshot(x).since(before):
            story.add(change, kind="yes")

    def response(self, x: Any) -> None:
        """As inherited, told."""
        cookie = self.backend.model.cookie
        before = Snapshot(x)
        super().response(x)
        changes = Snapshot(x).since(before)
        if cookie is not None and self.cookie is not None:
            done = "; ".join(changes) or "nothing to tell the client"
            of(x).say(f"cookie {cookie.name}: {done}", cookie.at, "choice")


# ------------------------------------------------------------------------------------------------------- reasons


def _skipped(server: Server, backend: Backend) -> str:
    """Why balanced traffic does not go there; "" where it may."""
    if server in backend.candidates:
        return ""
    if server.admin & Admin.MAINT:
        return "in maintenance"
    if server.admin & Admin.DRAIN:
        return "drained: only clients that belong there"
    if server.state is State.STOPPED:
        found = server.check.status.description if server.check is not None else ""
        return f"down{f' ({found})' if found else ''}"
    if server.state is State.STOPPING:
        return "stopping (disable-on-404): only clients that belong there"
    if not server.weight:
        return "its weight is 0"
    return "a backup, and an active server is there" if server.backup else "not usable"


def _load(server: Server) -> str:
    limit = f" of {server.limit()}" if server.maxconn else ""
    return f"now {server.counters.scur}{limit} in service"


def _weight(server: Server) -> str:
    return f"{server.eweight / SCALE:g}"


def _explain(backend: Backend, x: Any) -> str:
    """What the algorithm looks at, before it picks."""
    algorithm = backend.balance
    if not backend.candidates:
        return "there is nobody to choose from"
    for kind, explain in _EXPLANATIONS:
        if isinstance(algorithm, kind):
            return explain(algorithm, x)
    return ", ".join(server.name for server in backend.candidates)


def _roundrobin(algorithm: RoundRobin, _x: Any) -> str:
    named = []
    for server, rounds in algorithm.due():
        when = f"in {rounds:.2f} rounds" if rounds else "now"
        named.append(f"{server.name} (weight {_weight(server)}) {when}")
    return f"due {', '.join(named)}"


def _static(algorithm: StaticRoundRobin, _x: Any) -> str:
    place, servers = algorithm.turns
    names = [server.name for server in servers]
    return f"turn {place + 1} of {' '.join(names[:24])}{' …' if len(names) > 24 else ''}"


def _leastconn(algorithm: LeastConn, _x: Any) -> str:
    loads = [f"{server.name} {server.inflight} by weight {_weight(server)}" for server in algorithm.compared]
    return f"in service or queued: {', '.join(loads)}"


def _first(algorithm: First, _x: Any) -> str:
    return f"the first of {', '.join(f'{server.name} ({_load(server)})' for server in algorithm.ordered)} with a slot"


def _random(algorithm: RandomChoice, _x: Any) -> str:
    draws, servers = algorithm.drawn_from
    drawn = ", ".join(f"{server.name} (weight {_weight(server)}, {_load(server)})" for server in servers)
    return f"{draws} drawn from {drawn}; the less loaded is taken"


def _hashed(algorithm: Hashed, x: Any) -> str:
    value = algorithm.hash_of(x)
    if value is None:
        return "the request has no such key: turns"
    return f"hash {value:#010x}, {algorithm.where(value)}"


_EXPLANATIONS: tuple[tuple[type, Callable[[Any, Any], str]], ...] = (
    (RoundRobin, _roundrobin),
    (LeastConn, _leastconn),
    (First, _first),
    (RandomChoice, _random),
    (Hashed, _hashed),
    (StaticRoundRobin, _static),
)
