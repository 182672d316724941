"""The doctor's rules by name. A rule is a small function from the configuration to what it would warn of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from pylb.config.model import Config, Finding, Origin

Rule: TypeAlias = Callable[[Config], Iterator[Finding]]

RULES: dict[str, Rule] = {}


def rule(name: str) -> Callable[[Rule], Rule]:
    """Enter a rule under its name; rules run in the order in which they were entered."""

    def enter(function: Rule) -> Rule:
        if name in RULES:
            raise ValueError(f"two rules are called {name}")
        RULES[name] = function
        return function

    return enter


def warning(at: Origin, message: str, advice: str) -> Finding:
    """What is wrong, and what to write instead."""
    return Finding("warning", at, message, advice)


def listed(names: list[str]) -> str:
    """`"a"`, `"a" and "b"`, `"a", "b" and "c"`."""
    quoted = [f'"{name}"' for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
