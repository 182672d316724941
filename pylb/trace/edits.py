"""What a rule has changed: heads, variables and settings of an exchange before and after it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pylb.backend.stick_entry import Entry
from pylb.backend.stick_records import key_text
from pylb.trace.story import show

_SETTINGS = {"log_level": "log level", "priority_class": "priority class", "priority_offset": "priority offset"}


class Snapshot:
    """An exchange, or a connection before there is one, at a moment."""

    def __init__(self, x: Any) -> None:
        request, response = getattr(x, "request", None), getattr(x, "response", None)
        self.lines: dict[str, str] = {}
        self.fields: Counter[bytes] = Counter()
        if request is not None:
            self.lines["method"] = show(request.method)
            self.lines["uri"] = show(request.uri)
            self.fields.update(_fields(request))
        if response is not None:
            self.lines["status"] = str(response.status)
            self.fields.update(_fields(response))
        for name, word in _SETTINGS.items():
            if getattr(x, name, None) is not None:
                self.lines[word] = str(getattr(x, name))
        for number, entry in enumerate(getattr(x, "tracked", None) or x.session.tracked or ()):
            if entry is not None:
                self._add_tracked(number, entry)
        for owner in (x, x.session):
            for name, value in (getattr(owner, "variables", None) or {}).items():
                self.lines[name] = show(value) if isinstance(value, bytes) else str(value)

    def _add_tracked(self, number: int, entry: Entry) -> None:
        """What is tracked, and what rules count and note there."""
        name = f"{entry.table.name}[{key_text(entry.key, entry.table.model.type)}]"
        self.lines[f"sc{number}"] = name
        for cell, value in entry.data.items():
            if cell.startswith(("gpc", "gpt")) and isinstance(value, int) and value:
                self.lines[f"{cell} of {name}"] = str(value)

    def since(self, before: Snapshot) -> list[str]:
        """The changes from `before` to here, one text each."""
        changes = [f"- {show(field)}" for field in (before.fields - self.fields).elements()]
        changes += [f"+ {show(field)}" for field in (self.fields - before.fields).elements()]
        for name, value in self.lines.items():
            if before.lines.get(name) != value:
                changes.append(f"{name} = {value}")
        changes += [f"{name} is gone" for name in before.lines if name not in self.lines]
        return changes


def _fields(head: Any) -> list[bytes]:
    return list(head.block.split(b"\r\n")[1:])
