"""Cases that are told to both sides of a pair, and how their results are compared."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from differences import Difference
from haproxy_pair import Pair, Response, Side, normal_line


@dataclass
class Case:
    """Bytes that a client sends, and how pylb is known to treat them otherwise."""

    name: str
    send: bytes | list[bytes]
    frontend: str = "keep"
    methods: tuple[str, ...] = ("GET",)
    """Of the requests in `send`, one response each."""
    logs: int | None = None
    """Log lines to wait for; usually one per request."""
    finish: bool = False
    """The client ends its direction behind the bytes."""
    wait: bool = False
    """Read to the end of the connection in place of asking whether it is kept."""
    differs: tuple[Difference, ...] = ()
    """What pylb does otherwise (differences.py)."""

    def __str__(self) -> str:
        return self.name


def get(path: str = "/", *fields: str, version: str = "1.1", method: str = "GET", host: str | None = "www") -> bytes:
    """A request head."""
    lines = [f"{method} {path} HTTP/{version}", *([f"Host: {host}"] if host else []), *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def play(side: Side, case: Case) -> dict[str, Any]:
    """Tell one side the case; its outcome by aspect."""
    with side.talk(case.frontend) as talk:
        for piece in case.send if isinstance(case.send, list) else [case.send]:
            talk.send(piece)
        if case.finish:
            talk.finish()
        answers = [talk.response(method) for method in case.methods]
        outcome = describe(answers)
        if case.wait:
            outcome["rest"] = talk.rest()
        else:
            last = answers[-1]
            done = isinstance(last, str) or last.framing == "close" or last.end
            outcome["kept"] = False if done else talk.kept()
    wanted = len(case.methods) if case.logs is None else case.logs
    outcome["log"] = [normal_line(line) for line in side.logged(wanted, client=talk.address)]
    outcome["backend"] = [record.seen for record in side.records()]
    return outcome


def describe(answers: list[Response | str]) -> dict[str, Any]:
    """What two sides must have in common of the responses; a page's wording is each program's own."""
    seen: dict[str, Any] = {"status": [], "headers": [], "body": [], "framing": [], "interim": []}
    for answer in answers:
        if isinstance(answer, str):
            for aspect in seen.values():
                aspect.append(answer)
            continue
        page = answer.body.startswith(b"<html><body><h1>")
        seen["status"].append((answer.status, answer.reason))
        pairs = [(name, value.lower() if name == "connection" else value) for name, value in answer.headers]
        seen["headers"].append(sorted(pair for pair in pairs if not (page and pair[0] == "content-length")))
        seen["body"].append("a page" if page else (answer.body, answer.trailers, answer.end))
        seen["framing"].append(answer.framing)
        seen["interim"].append(answer.interim)
    return seen


def compare(pair: Pair, case: Case) -> None:
    """Play the case on both sides; what differs must be what the case says."""
    theirs, ours = pair.both(lambda side: play(side, case))
    judge(theirs, ours, case.differs)


def judge(theirs: dict[str, Any], ours: dict[str, Any], differs: tuple[Difference, ...] = ()) -> None:
    """Every aspect of pylb's outcome is HAProxy's, after the named differences have been applied to it."""
    expected = deepcopy(theirs)
    for difference in differs:
        before = deepcopy(expected)
        difference(expected)
        assert expected != before, f"{difference.__name__} makes no difference here: {before}"
    wrong = [key for key in theirs if expected[key] != ours[key]]
    assert not wrong, "\n".join(
        f"{key}:\n  haproxy  {theirs[key]}"
        + (f"\n  expected {expected[key]}" if expected[key] != theirs[key] else "")
        + f"\n  pylb     {ours[key]}"
        for key in wrong
    )


__all__ = ["Case", "compare", "describe", "get", "judge", "play"]
