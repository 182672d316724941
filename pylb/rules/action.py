"""The registry of actions: builders under their names, with the places where they may stand.

A builder gets the rule's words and returns the step without its condition (steps.py puts that around it). It raises
BadArgument with one sentence, or reports by itself and returns None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pylb.config.model import Origin
from pylb.rules.context import Context
from pylb.rules.registry import BadArgument
from pylb.rules.reply import Reply
from pylb.rules.scope import Place, Scope

Step = Callable[[Context], Reply | None]


@dataclass(frozen=True, slots=True)
class Words:
    """What an action's builder gets."""

    name: str
    """The action, without the parenthesis of `set-var(…)`."""
    subject: str | None
    """What stands in that parenthesis."""
    args: tuple[str, ...]
    at: Origin
    scope: Scope

    def expect(self, low: int, high: int, form: str) -> None:
        """Raises BadArgument unless the number of words is right; `form` shows how it is written."""
        if not low <= len(self.args) <= high:
            raise BadArgument(f'"{self.name}" is written {form}')


Builder = Callable[[Words], Step | None]


@dataclass(frozen=True, slots=True)
class Action:
    """An action by name."""

    places: frozenset[Place]
    build: Builder


ACTIONS: dict[str, Action] = {}

REQUEST_ONLY = frozenset({Place.REQUEST})
BOTH = frozenset({Place.REQUEST, Place.RESPONSE})
HEADERS = frozenset({Place.REQUEST, Place.RESPONSE, Place.AFTER_RESPONSE})
TCP = frozenset({Place.CONNECTION, Place.SESSION, Place.CONTENT})
ANYWHERE = frozenset(Place) - {Place.LOG}


def action(names: str, places: frozenset[Place]) -> Callable[[Builder], Builder]:
    """Register a builder under each of the blank-separated names. It raises BadArgument, or reports and
    returns None."""

    def register(build: Builder) -> Builder:
        for name in names.split():
            ACTIONS[name] = Action(places, build)
        return build

    return register
