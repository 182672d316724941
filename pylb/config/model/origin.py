"""Where a part of the configuration stands, and what is said about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in a configuration file; line and column count from 1, column is that of the offending word."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file or "<built-in>"


NOWHERE = Origin()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the readers or the check have to say about a configuration."""

    severity: Literal["error", "warning"]
    at: Origin
    message: str
    """One sentence, the offending word quoted."""
    advice: str = ""
    """What to write instead."""

    def __str__(self) -> str:
        advice = f" ({self.advice})" if self.advice else ""
        return f"{self.at}: {self.severity}: {self.message}{advice}"
