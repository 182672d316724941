"""What the loader asks for when requests are traced: rules and tests that tell their outcome, traced classes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from pylb.config.expression import str_condition, str_rule, str_sample, str_test
from pylb.config.model import Backend as DeclaredBackend
from pylb.config.model import Condition, Rule, Sample, Test, UseBackend
from pylb.config.values import str_address
from pylb.rules.acl import CRITERIA
from pylb.rules.reply import ALLOW, Reply
from pylb.trace.choice import TracedBackend
from pylb.trace.client import TracedHttpSession, TracedTcpSession
from pylb.trace.edits import Snapshot
from pylb.trace.story import Story, of, show

if TYPE_CHECKING:
    from pylb.net.listener import Listener
    from pylb.net.session import Session
    from pylb.rules.acl import Check
    from pylb.rules.action import Step
    from pylb.rules.compile import Compiled
    from pylb.rules.context import Context
    from pylb.rules.routes import Name, Route
    from pylb.rules.scope import Scope
    from pylb.trace.printer import Printer


class Tracer:
    """See the module; a rules.watch.Watch."""

    def __init__(self, printer: Printer, clock: Callable[[], float] = time.perf_counter) -> None:
        self.printer = printer
        self._clock = clock
        self._connections = count(1)
        self._logging: set[int] = set()

    # ---------------------------------------------------------------------------------------------------------- rules

    def test(
        self, test: Test, name: str, sample: Compiled, assemble: Callable[[Compiled], Check | None]
    ) -> Check | None:
        """A test that notes its outcome and the values it saw."""
        seen: list[Any] = []
        check = assemble(_noting(sample, seen))
        if check is None:
            return None
        text = f"acl {name} {str_test(test)}" if name else f"{{ {str_test(test)} }}"
        what = _what(test.sample)

        def told(x: Context) -> bool:
            seen.clear()
            holds = check(x)
            of(x).note(f"{text}: {'yes' if holds else 'no'}, {what} is {_values(seen)}", test.at, holds)
            return holds

        return told

    def rule(self, rule: Rule, scope: Scope, run: Step, check: Check) -> Step:
        """A rule that tells whether it applies and what it changes."""
        text = f"{scope.place.value.removesuffix(' rule')} {str_rule(rule)}"

        def told(x: Context) -> Reply | None:
            story = of(x)
            story.tell_notes()
            before = Snapshot(x)
            holds = check(x)
            notes = story.take_notes()
            story.say(text, rule.at, "rule")
            story.give_notes(notes)
            story.tell_notes()
            if not holds:
                story.add("does not apply", kind="no")
                return None
            reply = run(x)
            story.add(f"applies: {_outcome(reply, Snapshot(x).since(before))}", kind="yes")
            return reply

        return told

    def route(self, rule: UseBackend, check: Check, name: Name) -> Route:
        """A use_backend rule that tells whether it applies."""
        text = f"use_backend {rule.backend}{_condition(rule.condition)}"

        def told(x: Context) -> Name | None:
            story = of(x)
            holds = check(x)
            notes = story.take_notes()
            story.say(text, rule.at, "rule")
            story.give_notes(notes)
            story.tell_notes()
            story.add("applies" if holds else "does not apply", kind="yes" if holds else "no")
            if not holds:
                return None
            story.route = rule.at
            return name

        return told

    # -------------------------------------------------------------------------------------------------- live objects

    def backend(self, declared: DeclaredBackend, **settings: Any) -> TracedBackend:
        """A backend that explains its choices."""
        return TracedBackend(self.printer, declared, **settings)

    def listen(self, listener: Listener) -> None:
        """Connections accepted by `listener` are told of from now on."""
        make = TracedHttpSession if listener.frontend.model.mode == "http" else TracedTcpSession

        def session(owner: Listener) -> Session:
            return make(owner, Story(self.printer, next(self._connections), self._clock))

        listener.make = session
        frontend = listener.frontend
        where = str_address(listener.bind.address)
        self.printer.line("", None, f"frontend {frontend.name} listens on {where}", listener.bind.at, "choice")
        if frontend.log_line is not None and id(frontend) not in self._logging:
            self._logging.add(id(frontend))
            frontend.log_line = _logging(frontend.log_line)


def _noting(sample: Compiled, seen: list[Any]) -> Compiled:
    """The same sample, whose values are put into `seen`. It is not `plain`: short cuts would pass it by."""

    def get(x: Context) -> Any:
        value = sample.get(x)
        seen.append(value)
        return value

    many = sample.many

    def get_many(x: Context) -> list[Any]:
        assert many is not None
        values = many(x)
        seen.extend(values)
        return values

    return replace(sample, get=get, many=None if many is None else get_many, plain=None)


def _logging(line: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    def told(x: Any) -> bytes:
        text = line(x)
        of(x).say(f"log: {show(text, 400)}", x.frontend.model.at, "log")
        return text

    return told


def _what(sample: Sample) -> str:
    """The sample behind a test; without the match that its name may carry (`path_beg` looks at `path`)."""
    name = CRITERIA.get(sample.fetch.name, (sample.fetch.name, ""))[0]
    return str_sample(replace(sample, fetch=replace(sample.fetch, name=name)))


def _values(seen: list[Any]) -> str:
    found = [_value(value) for value in seen if value is not None]
    return ", ".join(found) if found else "not there"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{show(value)}"' if isinstance(value, bytes) else str(value)


def _condition(condition: Condition | None) -> str:
    return f" {str_condition(condition)}" if condition is not None else ""


def _outcome(reply: Reply | None, changes: list[str]) -> str:
    if reply is ALLOW:
        return "the rest of these rules is skipped"
    if reply is not None:
        return "the connection ends without an answer" if reply.silent else f"answers {reply.status}"
    return "; ".join(changes) or "changes nothing that goes out"
