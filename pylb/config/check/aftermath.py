"""What else is wrong with a configuration that could not be read as a whole, so that all errors come at once.

The lines that were refused are missing in it, and what they would have declared is missed elsewhere: an ACL, a server,
a stick table. Such an error would send people to the wrong line. It is told apart by its words: it names something that
a refused line names, or speaks of what that line's keyword is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pylb.config.model import Finding

_QUOTED = re.compile(r'"([^"]*)"')
_WORD = re.compile(r"[^\s\"'{}(),=\[\]]+")


def independent(more: Iterable[Finding], refused: Sequence[Finding], sources: Mapping[str, str]) -> list[Finding]:
    """The errors of `more` that do not follow from `refused`. `sources` has the text of each file by name."""
    lines = [line for line in (_line(finding, sources) for finding in refused) if line]
    if len(lines) < len(refused):
        return []  # of something that has no line nobody can say what it would have declared
    keywords = {line[0].lower().replace("-", " ") for line in lines}
    keywords |= {word.replace("-", " ") for finding in refused for word in _QUOTED.findall(finding.advice)}
    named = {word for line in lines for word in line}
    places = {(finding.at.file, finding.at.line) for finding in refused}
    return [
        finding
        for finding in more
        if finding.severity == "error"
        and finding.at.line
        and (finding.at.file, finding.at.line) not in places
        and not named & _names(finding)
        and not any(keyword in _text(finding) for keyword in keywords)
    ]


def texts(findings: Iterable[Finding]) -> dict[str, str]:
    """The files that findings speak of, as far as they can be read."""
    found: dict[str, str] = {}
    for name in {finding.at.file for finding in findings if finding.at.file}:
        try:
            found[name] = Path(name).read_text("utf-8", "surrogateescape")
        except OSError:
            continue
    return found


def _line(finding: Finding, sources: Mapping[str, str]) -> list[str]:
    lines = sources.get(finding.at.file, "").split("\n")
    return _WORD.findall(lines[finding.at.line - 1]) if 0 < finding.at.line <= len(lines) else []


def _names(finding: Finding) -> set[str]:
    """What the message quotes, and the parts of names such as "backend/server"."""
    quoted = _QUOTED.findall(finding.message)
    return {part for name in quoted for part in (name, *name.split("/"))}


def _text(finding: Finding) -> str:
    return f"{finding.message} {finding.advice}".lower().replace("-", " ")
