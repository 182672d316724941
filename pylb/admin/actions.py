"""What an operator may do to servers: the actions of the statistics page's form, under HAProxy's names.

Each action is one entry over backend/operate.py. A form names a backend, servers and an action; its result is one of
HAProxy's four-letter codes, which the page shows as a sentence after the redirect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pylb.admin.rows import sections
from pylb.admin.world import World
from pylb.backend import operate
from pylb.backend.backend import Backend
from pylb.backend.server import Server

WEB = "changed from Web interface"
"""How a log line tells who changed a server's health, in HAProxy's words."""


@dataclass(frozen=True, slots=True)
class Action:
    """One choice of the form; without a label it is understood but not offered."""

    name: str
    label: str
    do: Callable[[Server, float], None]
    """Server and loop clock. Raises operate.Refused where the server lacks what it takes."""


def _shut(server: Server, now: float) -> None:
    server.shut_sessions(b"K")


ACTIONS: tuple[Action, ...] = (
    Action("ready", "Set state to READY", lambda s, now: operate.set_state(s, "ready", now)),
    Action("drain", "Set state to DRAIN", lambda s, now: operate.set_state(s, "drain", now)),
    Action("maint", "Set state to MAINT", lambda s, now: operate.set_state(s, "maint", now)),
    Action("dhlth", "Health: disable checks", lambda s, now: operate.disable_check(s)),
    Action("ehlth", "Health: enable checks", lambda s, now: operate.enable_check(s)),
    Action("hrunn", "Health: force UP", lambda s, now: operate.set_health(s, "up", now, WEB)),
    Action("hnolb", "Health: force NOLB", lambda s, now: operate.set_health(s, "stopping", now, WEB)),
    Action("hdown", "Health: force DOWN", lambda s, now: operate.set_health(s, "down", now, WEB)),
    Action("shutdown", "Kill sessions", _shut),
    # The names of old scripts.
    Action("enable", "", lambda s, now: operate.set_state(s, "ready", now)),
    Action("disable", "", lambda s, now: operate.set_state(s, "maint", now, "'disable' on stats page")),
    Action("start", "", lambda s, now: operate.set_state(s, "ready", now)),
    Action("stop", "", lambda s, now: operate.set_state(s, "drain", now, "'stop' on stats page")),
)
"""HAProxy's without the agent checks' four, which pylb lacks."""

BY_NAME = {action.name: action for action in ACTIONS}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result code, how it looks and what it says."""

    code: str
    tone: str
    text: str


OUTCOMES = {
    outcome.code: outcome
    for outcome in (
        Outcome("DONE", "good", "Done."),
        Outcome("NONE", "warn", "Nothing has changed."),
        Outcome("PART", "warn", "Done in part: some of the servers are unknown, or the action does not fit them."),
        Outcome("ERRP", "bad", "Not done: the action, the backend or the servers are unknown."),
        Outcome("EXCD", "bad", "Not done: the form was too large. Try again with fewer servers."),
        Outcome("DENY", "bad", "Not done: you may not do this from here."),
        Outcome("UNKN", "bad", "Something unexpected happened; see the servers' states below."),
    )
}


def perform(world: World, backend: str, names: Sequence[str], action: str) -> str:
    """Do `action` to the named servers of a backend (its name, or `#` and its id); the result's code."""
    found = _backend(world, backend)
    wanted = dict.fromkeys(names)
    if not wanted:
        return "NONE"
    if found is None or action not in BY_NAME or wanted.keys().isdisjoint(found.by_name):
        return "ERRP"
    done = sum(_done(world, action, found.by_name[name]) for name in wanted if name in found.by_name)
    if not done:
        return "NONE"
    return "DONE" if done == len(wanted) else "PART"


def _done(world: World, action: str, server: Server) -> bool:
    try:
        act(server, action, world.now())
    except operate.Refused:
        return False
    if world.order is not None:
        world.order(server.backend.name, server.name, action)
    return True


def act(server: Server, action: str, now: float) -> None:
    """Do one of the ACTIONS. Raises operate.Refused."""
    BY_NAME[action].do(server, now)


def _backend(world: World, word: str) -> Backend | None:
    for section in sections(world):
        if section.backend is not None and word in (section.backend.name, f"#{section.iid}"):
            return section.backend
    return None


def keep_sessions(world: World) -> None:
    """Have every server remember its exchanges, so that "Kill sessions" finds them. Before the first exchange."""
    for backend in world.backends:
        for server in backend.servers:
            if server.sessions is None:
                server.sessions = set()
