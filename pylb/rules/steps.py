"""Rule sets compiled to steps: `Step(x)` edits the exchange, or returns the Reply that ends the set.

    None     go on with the next step
    ALLOW    the set ends, the exchange goes on
    Reply    the answer, at once

What the rules' words mean is looked up in action.py; the condition is compiled and put around the action here, so
that a rule without one, or with one that always holds, is the bare action.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pylb.config.model import Rule
from pylb.rules import actions
from pylb.rules.acl import always, compile_condition, never
from pylb.rules.action import ACTIONS, Action, Step, Words
from pylb.rules.context import Context
from pylb.rules.known import is_known_action
from pylb.rules.registry import BadArgument
from pylb.rules.reply import ALLOW, Pause, Reply
from pylb.rules.scope import Place, Scope

_registered = actions  # importing them fills the registry


def compile_rules(rules: Iterable[Rule], scope: Scope) -> tuple[Step, ...]:
    """The steps of a rule set; rules that are wrong are reported and left out."""
    rules = tuple(rules)
    steps = _compile_all(rules, scope)
    if scope.place is not Place.REQUEST and any(rule.action in ("allow", "accept") for rule in rules):
        return (_own_set(steps),)
    return steps


def _compile_all(rules: tuple[Rule, ...], scope: Scope) -> tuple[Step, ...]:
    made: list[Step] = []
    pauses: list[tuple[Pause, int]] = []
    for rule in rules:
        known = len(scope.pauses)
        step = compile_rule(rule, scope)
        if step is not None:
            made.append(step)
            pauses += ((pause, len(made)) for pause in scope.pauses[known:])
    for pause, place in pauses:
        pause.rest = tuple(made[place:])
    return tuple(made)


def _own_set(steps: tuple[Step, ...]) -> Step:
    """A set that is run in a row with others, so that what ends it does not end them."""

    def run(x: Context) -> Reply | None:
        for step in steps:
            reply = step(x)
            if reply is not None:
                return None if reply is ALLOW else reply
        return None

    return run


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
    if scope.world.watch is not None:
        return scope.world.watch.rule(rule, scope, run, check)
    return run if check is always else _conditional(run, check)


def _find(rule: Rule, name: str, scope: Scope) -> Action | None:
    entry = ACTIONS.get(name)
    if entry is not None and scope.place in entry.places:
        return entry
    here = [known for known, candidate in ACTIONS.items() if scope.place in candidate.places]
    if entry is not None:
        places = ", ".join(sorted(f"{place.value}s" for place in entry.places))
        scope.report(rule.at, f'"{name}" is no action of {scope.place.named}', f"it may stand in {places}")
    elif is_known_action(rule.action):
        scope.report(rule.at, f'the action "{name}" is not supported by pylb yet')
    else:
        scope.report.unknown(rule.at, "action", name, here)
    return None


def _conditional(run: Step, check: Callable[[Context], bool]) -> Step:
    def step(x: Context) -> Reply | None:
        return run(x) if check(x) else None

    return step
