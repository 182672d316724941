"""What is wrong with a file, and what to write instead: all of it at once, each with file, line and column."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

from vrrpd.config.model import Config, Origin


@dataclass(frozen=True, slots=True, order=True)
class ConfigError:
    """One mistake."""

    at: Origin
    text: str
    hint: str = ""
    """What to write instead; empty where that is plain."""

    def __str__(self) -> str:
        return f"{self.at}: error: {self.text}" + (f"; {self.hint}" if self.hint else "")


class ConfigErrors(Exception):
    """A file that cannot be used; `errors` are sorted by place."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(sorted(set(errors)))
        super().__init__("\n".join(map(str, self.errors)))

    def __reduce__(self) -> tuple[type[ConfigErrors], tuple[tuple[ConfigError, ...]]]:
        return ConfigErrors, (self.errors,)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something that can be used but deserves a word."""

    at: Origin
    code: str
    """Stable short name, such as "missing-program"."""
    text: str
    severity: Literal["warning", "info"] = "warning"

    def __str__(self) -> str:
        return f"{self.at}: {self.severity}: {self.text} [{self.code}]"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A usable file: its meaning, and what deserves a word."""

    config: Config
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class Report:
    """Collects while a file is read."""

    errors: list[ConfigError] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def error(self, at: Origin, text: str, hint: str = "") -> None:
        """The file cannot be used."""
        self.errors.append(ConfigError(at, text, hint))

    def warn(self, at: Origin, code: str, text: str) -> None:
        """The file can be used, but not without a word."""
        self.findings.append(Finding(at, code, text))

    def info(self, at: Origin, code: str, text: str) -> None:
        """Worth knowing, and harmless."""
        self.findings.append(Finding(at, code, text, "info"))

    def raise_if_any(self) -> None:
        """ConfigErrors if there was an error."""
        if self.errors:
            raise ConfigErrors(self.errors)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The hint with the nearest valid word, or with all of them if they are few."""
    words = sorted(set(known))
    near = get_close_matches(word, words, n=1, cutoff=0.6)
    if near:
        return f'did you mean "{near[0]}"?'
    return f"known here: {', '.join(words)}" if 0 < len(words) <= 8 else ""
