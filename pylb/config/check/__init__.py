"""`pylb check`: what is wrong with a configuration that can be read.

Errors keep it from running: names that lead nowhere, names taken twice (`references`), files that cannot be read
(`files`). Warnings do not: the doctor's rules (`stickiness`, `security`, `encryption`, `traffic`, `health`, `lists`)
each know one mistake that is easily made and hard to see. The model is all they look at, so they work on both languages
alike.
"""

from __future__ import annotations

from collections.abc import Iterable

from pylb.config.check import encryption, health, lists, security, stickiness, traffic
from pylb.config.check.files import CertificateProblem, Look, check_files
from pylb.config.check.references import CHECKS, NOTHING_TO_DO
from pylb.config.check.registry import RULES
from pylb.config.model import Config, Finding

__all__ = [
    "NOTHING_TO_DO",
    "RULES",
    "CertificateProblem",
    "Look",
    "check",
    "encryption",
    "health",
    "in_order",
    "lists",
    "security",
    "stickiness",
    "traffic",
]


def check(config: Config, look: Look | None = None) -> list[Finding]:
    """Everything there is to say, in the order of the files; `look` opens what the configuration names."""
    findings: list[Finding] = []
    for references in CHECKS:
        findings += references(config)
    for rule in RULES.values():
        findings += rule(config)
    if look is not None:
        findings += check_files(config, look)
    return in_order(findings)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """By file and line, each once: the two sides of a `listen` have much in common."""
    return sorted(dict.fromkeys(findings), key=lambda f: (f.at.file, f.at.line, f.at.column, f.severity))
