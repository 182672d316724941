"""Rule sets compiled to steps: `Step(x)` edits the exchange, or returns the Reply that ends the set.

    None     go on with the next step
    ALLOW    the set ends, the exchange goes on
    Reply    the answer, at once

An action is a builder registered under its name with the places where it may stand; it gets the rule's words and
returns the step without its condition, which is put around it here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pylb.config.model import Origin, Rule
from pylb.rules.acl import always, compile_condition, never
from pylb.rules.context import Context
from pylb.rules.known import is_known_action
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


def compile_rules(rules: Iterable[Rule], scope: Scope) -> tuple[Step, ...]:
    """The steps of a rule set; rules that are wrong are reported and left out."""
    steps = [compile_rule(rule, scope) for rule in rules]
    return tuple(step for step in steps if step is not None)


def compile_rule(rule: Rule, scope: Scope) -> Step | None:
    """One rule; None when it is wrong, which is reported, or can never apply."""
    check = compile_condition(rule.condition, scope)
    name, parenthesis, rest = rule.action.partition("(")
    entry = _find(rule, name, scope)
    if entry is None:
        return None
    subject = rest[:-1] if parenthesis and rest.endswith(")") else None
    try:
        run = entry.build(Words(name, subject, rule.args, rule.at, scope))
    except BadArgument as error:
        scope.report(rule.at, str(error))
        return None
    if run is None or check is None or check is never:
        return None
    return run if check is always else _conditional(run, check)


def _find(rule: Rule, name: str, scope: Scope) -> Action | None:
    entry = ACTIONS.get(name)
    if entry is not None and scope.place in entry.places:
        return entry
    here = [known for known, candidate in ACTIONS.items() if scope.place in candidate.places]
    if entry is not None:
        places = ", ".join(sorted(f"{place.value}s" for place in entry.places))
        scope.report(rule.at, f'"{name}" is no action of a {scope.place.value}', f"it may stand in {places}")
    elif is_known_action(rule.action):
        scope.report(rule.at, f'the action "{name}" is not supported by pylb yet')
    else:
        scope.report.unknown(rule.at, "action", name, here)
    return None


def _conditional(run: Step, check: Callable[[Context], bool]) -> Step:
    def step(x: Context) -> Reply | None:
        return run(x) if check(x) else None

    return step
