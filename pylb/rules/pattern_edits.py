"""Lists of ACLs and maps as rules change them: `set-map`, `del-map`, `add-acl`, `del-acl` (manual: http-request there).

    rule ─► Edits.order ─► entries ─► PatternUse.update   dictionaries and sets are changed in their place, everything
                    │                                     else is built anew when a request looks again
                    └────► untold                         for the other processes (process/pattern_news.py)

A change costs what it changes and holds for the very next rule. The order of two processes' changes is their steward's:
it carries them out as they arrive and tells what a pattern stands for then, with the numbers that entries have in
commands. Until that has come back an entry is only this process's own, with a number beyond all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylb.rules.pattern_lists import PatternList

MEMORY = 1 << 28
"""Bytes of patterns that a list may grow to."""


@dataclass(slots=True)
class Entry:
    """A pattern; in a map with what it stands for."""

    number: int
    pattern: str
    value: str | None
    version: int

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return len(self.pattern) + len(self.value or "") + 100


Function = Callable[[Any], Any]


class Use:
    """One place that looks at a list: a test, a map. `built` is what it looks at now, made of all patterns."""

    def __init__(self, build: Callable[[], Any], put: Callable[[Any], None]) -> None:
        """`build` makes it of the patterns as they are and raises BadArgument, `put` lets requests look at it."""
        self.build = build
        self._put = put

    def change(self, made: Any) -> None:
        """Let requests look at what `build` has made."""
        self._put(made)


class PatternUse(Use):
    """A place whose list rules may change, a pattern at a time."""

    def __init__(
        self,
        build: Callable[[], Any],
        put: Callable[[Any], None],
        built: Any,
        function: Callable[[Any], Function],
        wrap: Callable[[Function], Any],
        accept: Callable[[str, str | None], None],
        adjust: Callable[[Function, PatternList, str, list[Entry], bool], bool],
    ) -> None:
        """`function` takes out of what is built what is asked, `wrap` does the reverse. `accept` raises BadArgument for
        a pattern, or its value, that cannot be used here. `adjust` lets a function know a pattern of a list by these
        entries, or no more; False when everything has to be built anew."""
        super().__init__(build, put)
        self.accept = accept
        self._built = built
        self._function, self._wrap, self._adjust = function, wrap, adjust

    def change(self, made: Any) -> None:
        """Let requests look at what `build` has made."""
        self._built = made
        self._put(made)

    def update(self, edited: PatternList, pattern: str, live: list[Entry], is_new: bool) -> None:
        """A pattern of a list has these entries now; `is_new`: it had none. What has to be built anew is built when a
        request looks."""
        if self._built is None:
            return
        if self._adjust(self._function(self._built), edited, pattern, live, is_new):
            self._put(self._built)  # whoever remembers verdicts forgets them
            return
        self._built = None

        def anew(value: Any) -> Any:
            if self._built is None:
                self.change(self.build())
            return self._function(self._built)(value)

        self._put(self._wrap(anew))


class Order(StrEnum):
    """What a rule does to a pattern."""

    SET = "set"
    """Let it stand for a value."""
    ADD = "add"
    """Unless it is there."""
    DELETE = "del"


class Edits:
    """The changes of one list; see the module."""

    def __init__(self, patterns: PatternList) -> None:
        self.list = patterns
        self.untold: dict[str, tuple[Order, str | None]] = {}
        """The last order for each pattern, in the order in which they were given."""
        self.asked: dict[str, int] = {}
        """Patterns that the steward has been told of, and how often it has not yet answered."""
        self._index: dict[str, list[Entry]] = {}
        self._revision = -1
        self._own = 1 << 62
        """The last number given to an entry that the steward does not know."""

    def order(self, order: Order, pattern: str, value: str | None = None) -> None:
        """Carry out a rule's order, and if it changes anything have it told to the others. Raises what `carry_out`
        does."""
        self._own += 1
        if self.carry_out(order, pattern, value, self._own):
            self.untold.pop(pattern, None)
            self.untold[pattern] = (order, value)

    def carry_out(self, order: Order, pattern: str, value: str | None, number: int) -> bool:
        """Whether that changes anything; a new entry gets this number. Raises BadArgument for what is no pattern or no
        value here, OverflowError when the list would become too big."""
        held = self.held(pattern)
        if order is Order.DELETE:
            if held:
                self._put(pattern, [])
            return bool(held)
        if held and (order is Order.ADD or all(entry.value == value for entry in held)):
            return False
        self._accept(pattern, value)
        entries = [Entry(entry.number, pattern, value, entry.version) for entry in held]
        entries = entries or [Entry(number, pattern, value, self.list.current)]
        if self.list.size + sum(entry.size for entry in entries) > MEMORY:
            raise OverflowError("the list would become too big")
        self._put(pattern, entries)
        return True

    def append(self, added: list[Entry]) -> None:
        """An operator's new entries, of the version in force. Raises BadArgument and changes nothing."""
        for entry in added:
            self._accept(entry.pattern, entry.value)
        for entry in added:
            self._put(entry.pattern, [*self.held(entry.pattern), entry])

    def delete(self, pattern: str) -> bool:
        """Take a pattern out; whether it was there."""
        return self.carry_out(Order.DELETE, pattern, None, 0)

    def set_value(self, pattern: str, value: str) -> bool:
        """Give a pattern another value; whether it is there. Raises BadArgument and OverflowError."""
        known = bool(self.held(pattern))
        if known:
            self.carry_out(Order.SET, pattern, value, 0)
        return known

    def _accept(self, pattern: str, value: str | None) -> None:
        for use in self.list.uses:
            if isinstance(use, PatternUse):
                use.accept(pattern, value)

    def held(self, pattern: str) -> list[Entry]:
        """The entries of a pattern, of all versions."""
        if self._revision != self.list.revision:
            self._revision = self.list.revision
            self._index = {}
            for entry in self.list.by_number.values():
                self._index.setdefault(entry.pattern, []).append(entry)
        return self._index.get(pattern, [])

    def assign(self, pattern: str, entries: Iterable[Entry]) -> None:
        """Let a pattern have exactly these entries, as the steward tells."""
        entries = list(entries)
        if entries != self.held(pattern):
            self.list.last = max(self.list.last, *(entry.number for entry in entries), 0)
            self._put(pattern, entries)

    def _put(self, pattern: str, entries: list[Entry]) -> None:
        patterns, held = self.list, self.held(pattern)
        kept = {entry.number for entry in entries}
        for entry in held:
            patterns.size -= entry.size
            if entry.number not in kept:
                del patterns.by_number[entry.number]
        for entry in entries:
            patterns.size += entry.size
            patterns.by_number[entry.number] = entry
        patterns.unordered = True
        if entries:
            self._index[pattern] = entries
        else:
            self._index.pop(pattern, None)
        was = any(entry.version == patterns.current for entry in held)
        live = [entry for entry in entries if entry.version == patterns.current]
        if not was and not live:
            return
        for use in patterns.uses:
            if isinstance(use, PatternUse):
                use.update(patterns, pattern, live, not was)
