"""Keys of stick tables, compiled, and the steps that tracking adds to rule sets.

A rule set pays for tracking where a section tracks: `frontend_steps` and Plan put in what follows from that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pylb.backend import tracking
from pylb.backend.stick import StickTable, suited
from pylb.config import model
from pylb.config.model import Rule, Sample
from pylb.rules.action import Step
from pylb.rules.compile import compile_sample
from pylb.rules.context import Context, Session
from pylb.rules.reply import Reply
from pylb.rules.scope import Scope
from pylb.rules.tables import KEY_KINDS


def compile_key(sample: Sample, table: StickTable, scope: Scope) -> Callable[[Context], Any] | None:
    """The key of an exchange as the table stores it, None without one; None after reporting."""
    get = compile_sample(sample, scope, KEY_KINDS[table.model.type])
    if get is None:
        return None
    return lambda x: table.key(suited(table, get(x)))


# -------------------------------------------------------------------------------------------- steps between the rules


def tracks(rules: Iterable[Rule], *phases: str) -> bool:
    """Whether one of these rules tracks; of tcp-request rules, one of these phases."""
    for rule in rules:
        phase, _, action = rule.action.rpartition(" ")
        if action.startswith("track-sc") and (not phases or phase in phases):
            return True
    return False


def section_tracks(declared: model.Proxy) -> bool:
    """Whether any rule of a section does."""
    return tracks(declared.tcp_request) or tracks(declared.http_request) or tracks(declared.http_response)


def count_session(x: Any) -> Reply | None:
    """Behind the tcp-request session rules: the connection has become a session."""
    session: Session = x.session
    if session.tracked is not None:
        tracking.count(session.tracked, "session", session.loop.time())
    return None


def inherit(x: Any) -> Reply | None:
    """Before the first rule of an exchange: it tracks what its session does."""
    if x.tracked is None and x.session.tracked is not None:
        x.tracked = x.session.tracked.copy()
    return None


def count_request(x: Any) -> Reply | None:
    """Before the http-request rules: what has been tracked so far counts the request."""
    if x.tracked is not None:
        tracking.count(x.tracked, "request", x.session.loop.time())
    return None


def count_response(x: Any) -> Reply | None:
    """Before the http-response rules."""
    if x.tracked is not None:
        tracking.responded(x.tracked, x.response.status, x.responded)
    return None


Steps = tuple[Step, ...]


def frontend_steps(declared: model.Frontend, session: Steps, content: Steps, request: Steps) -> tuple[Steps, ...]:
    """The rule sets of a frontend with what its tracking needs between them: session, content, http-request."""
    by_session = tracks(declared.tcp_request, "connection", "session")
    if by_session:
        session, content = (*session, count_session), (inherit, *content)
    if declared.mode == "http" and (by_session or tracks(declared.tcp_request, "content")):
        request = (count_request, *request)
    return session, content, request
