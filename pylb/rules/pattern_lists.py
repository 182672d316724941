"""What ACLs and maps compare with, as lists that an operator can change while requests are answered.

    file  ──► PatternList ──► Use: an ACL's test        build() makes one operation of all patterns; change() puts it
    words ──► PatternList ─┘  Use: a map's converter    in the place of the old one, in the test's own closure

A request goes through closures that know nothing of lists, so being changeable costs it nothing. A change is first
built for all uses, then put in place: a pattern that one of them cannot use changes nothing.

Rules change lists, too (pattern_edits.py), one pattern at a time and at once, without building anything anew where the
use is a dictionary or a set.

Each list has versions (management manual, `prepare acl`): entries of later ones wait until their version is committed.
Numbers are those that `show acl` and `show map` give: in the order of the configuration, files before the words of a
line. Entries are named by numbers that are the same in every process that carries out the same commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pylb.config.model import Origin, Test
from pylb.rules.pattern_edits import MEMORY, Edits, Entry, PatternUse, Use

FEW = 100
"""Patterns that are added one at a time; for more everything is built anew."""


@dataclass(frozen=True, slots=True)
class How:
    """How a list's patterns are compared, for `get acl`."""

    method: str
    ignore_case: bool
    result: str = ""
    """Of a map: str, int or ip."""


@dataclass
class PatternList:
    """See the module."""

    file: str = ""
    """Empty for the words of a line."""
    at: Origin = field(default_factory=Origin)
    """Where it is used first."""
    fetch: str = ""
    """Of a line's words: what they are compared with."""
    map: bool = False
    number: int = -1
    by_number: dict[int, Entry] = field(default_factory=dict)
    """Entries by the number that names each in commands; it is their order, too."""
    current: int = 0
    """The version in force."""
    next: int = 0
    """The last one that was prepared."""
    places: list[Origin] = field(default_factory=list)
    hows: list[How] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    last: int = 0
    """The highest number given."""
    size: int = 0
    """Bytes, about."""
    revision: int = 0
    """Grows when the entries are other ones."""

    _editor: Edits | None = None
    unordered: bool = False
    """Whether `by_number` has to be put in order."""

    @property
    def entries(self) -> list[Entry]:
        """Of all versions."""
        if self.unordered:
            self.by_number = dict(sorted(self.by_number.items()))
            self.unordered = False
        return list(self.by_number.values())

    def live(self) -> list[Entry]:
        """What counts now."""
        return [entry for entry in self.entries if entry.version == self.current]

    def add(self, pairs: Iterable[tuple[str, str | None]], version: int | None = None) -> None:
        """Add patterns (with values) to a version. Raises registry.BadArgument or OverflowError and changes nothing."""
        version = self.current if version is None else version
        added = [Entry(self.last + n, pattern, value, version) for n, (pattern, value) in enumerate(pairs, 1)]
        if self.size + sum(entry.size for entry in added) > MEMORY:
            raise OverflowError("the list would become too big")
        if self.uses and version == self.current and len(added) <= FEW and self.can_be_edited:
            self.editor.append(added)
            self.last += len(added)
            return
        self.last += len(added)
        self.replace([*self.entries, *added])

    @property
    def can_be_edited(self) -> bool:
        """Whether patterns come and go one at a time, which costs the same however many others there are."""
        return bool(self.file) and all(isinstance(use, PatternUse) for use in self.uses)

    @property
    def editor(self) -> Edits:
        """What does that."""
        if self._editor is None:
            self._editor = Edits(self)
        return self._editor

    def remove_pattern(self, pattern: str) -> bool:
        """Take a pattern out; whether it was there."""
        if self.can_be_edited:
            return self.editor.delete(pattern)
        return self.remove(lambda entry: entry.pattern == pattern)

    def set_pattern(self, pattern: str, value: str) -> bool:
        """Let a pattern stand for another value; whether it is there. Raises registry.BadArgument."""
        if self.can_be_edited:
            return self.editor.set_value(pattern, value)
        return self.set_value(lambda entry: entry.pattern == pattern, value)

    def remove(self, chosen: Callable[[Entry], bool]) -> bool:
        """Take entries out; whether there were any."""
        kept = [entry for entry in self.entries if not chosen(entry)]
        if len(kept) == len(self.by_number):
            return False
        self.replace(kept)
        return True

    def set_value(self, chosen: Callable[[Entry], bool], value: str) -> bool:
        """Give entries another value; whether there were any. Raises registry.BadArgument."""
        found = [entry for entry in self.entries if chosen(entry)]
        before = [entry.value for entry in found]
        for entry in found:
            entry.value = value
        try:
            self.replace(self.entries)
        except Exception:
            for entry, old in zip(found, before, strict=True):
                entry.value = old
            raise
        return bool(found)

    def commit(self, version: int) -> None:
        """Put a version in force and forget those before. Raises registry.BadArgument."""
        current, self.current = self.current, version
        try:
            self.replace([entry for entry in self.entries if entry.version >= version])
        except Exception:
            self.current = current
            raise

    def replace(self, entries: list[Entry]) -> None:
        """Build for all uses, then change all."""
        before, self.by_number = self.by_number, {entry.number: entry for entry in entries}
        try:
            built = [(use, use.build()) for use in self.uses]
        except Exception:
            self.by_number = before
            raise
        self.size = sum(entry.size for entry in entries)
        self.revision += 1
        for use, made in built:
            use.change(made)


class PatternLists:
    """All lists of a process."""

    def __init__(self) -> None:
        self._files: dict[str, PatternList] = {}
        self._words: dict[Any, PatternList] = {}
        self.named: dict[str, Origin] = {}
        """Files that rules change, and where."""
        self._edits: dict[str, Edits] = {}

    def file(self, path: str, at: Origin, read: Callable[[], Iterable[tuple[str, str | None]]]) -> PatternList:
        """The list of a file, which all that name it share; `read` gives its entries the first time."""
        found = self._files.get(path)
        if found is None:
            found = PatternList(path, at)
            found.add(read())
            self._files[path] = found
        if at not in found.places:
            found.places.append(at)
        return found

    def words(self, test: Test) -> PatternList:
        """The list of the patterns that stand in a test itself: of each place one, and one for all tests from nowhere
        (predefined ACLs) that are alike."""
        key = test.at if test.at.line else test
        found = self._words.get(key)
        if found is None:
            found = PatternList(at=test.at, fetch=test.sample.fetch.name)
            found.add((value, None) for value in test.values)
            self._words[key] = found
        return found

    def edits(self, path: str) -> Edits | None:
        """The list of a file for rules that change it; None when no ACL and no map looks at the file."""
        found = self._edits.get(path)
        if found is None and path in self._files:
            found = self._edits[path] = self._files[path].editor
        return found

    def edited(self) -> Iterable[tuple[str, Edits]]:
        """Those that there were changes of."""
        return self._edits.items()

    def all(self) -> Sequence[PatternList]:
        """In the order of their numbers."""
        lists = sorted(
            (*self._files.values(), *self._words.values()),
            key=lambda each: (each.at.line == 0, each.at.file, each.at.line, each.map, each.at.column, not each.file),
        )
        for number, each in enumerate(lists):
            each.number = number
        return lists

    def find(self, word: str, map: bool) -> PatternList | None:
        """By "#number" or file name, among ACLs or maps."""
        lists = [each for each in self.all() if each.map == map]
        if word.startswith("#"):
            return next((each for each in lists if str(each.number) == word[1:]), None)
        return next((each for each in lists if each.file and each.file == word), None)
