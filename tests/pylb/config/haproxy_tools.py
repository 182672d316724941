"""Reading snippets in tests."""

from __future__ import annotations

from textwrap import dedent

from pylb.config.load import read_haproxy
from pylb.config.model import Backend, Config, ConfigError, Finding, Frontend


def read(text: str, **environment: str) -> Config:
    """The model of a snippet; ConfigError when it is wrong."""
    return read_haproxy([("t.cfg", dedent(text).lstrip("\n"))], environment)[0]


def warnings(text: str, **environment: str) -> list[str]:
    """What a valid snippet is warned of."""
    return [str(f) for f in read_haproxy([("t.cfg", dedent(text).lstrip("\n"))], environment)[1]]


def errors(text: str, **environment: str) -> list[str]:
    """All errors of a snippet, as they are printed."""
    try:
        read(text, **environment)
    except ConfigError as error:
        return [str(finding) for finding in error.findings if finding.severity == "error"]
    return []


def findings(text: str) -> list[Finding]:
    """All findings of a wrong snippet."""
    try:
        read(text)
    except ConfigError as error:
        return list(error.findings)
    raise AssertionError("the snippet is valid")


def frontend(text: str) -> Frontend:
    """The frontend whose lines these are."""
    body = dedent(text).strip("\n").replace("\n", "\n ")
    return read(f"frontend f\n mode http\n bind :8080\n {body}\n").frontends[0]


def backend(text: str) -> Backend:
    """The backend whose lines these are."""
    body = dedent(text).strip("\n").replace("\n", "\n ")
    return read(f"backend b\n mode http\n {body}\n").backends[0]
