"""What every part of a configuration has: the place it was written at, and no room for unknown keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where something was written; line and column count from 1, 0 where there is none (a command line)."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)


NOWHERE = Origin()


class Strict:
    """Base of what a TOML table may hold: a key that is no field is an error (read by pydantic, see toml.py)."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}
