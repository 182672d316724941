"""What an agent beside a server says about it, and what follows (manual: `agent-check`).

An answer is one line of words between blanks, tabs and commas, in any order:

    50%                        weight, of the configured one          ready drain maint   administrative state
    maxconn:30                 the server's maxconn                   up                  as far as the checks agree
    down fail stopped          no traffic; a text may follow, behind # or not

The last word of a kind counts. Administrative state, weight and maxconn are an operator's orders (operate.py); up and
down are counted like the checks' results. What cannot be understood changes nothing and is told in the statistics.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pylb.backend import operate, state
from pylb.backend.health import CheckResult, Status
from pylb.backend.operate import Refused
from pylb.backend.server import Server

_SEPARATORS = re.compile(r"[ \t,]+")
_STATES = ("ready", "drain", "maint")
_DOWN = ("down", "fail", "stopped")


@dataclass(slots=True)
class Answer:
    """The words of an agent."""

    health: str = ""
    """up, down, fail or stopped, as written."""
    state: str = ""
    weight: str = ""
    maxconn: str | None = None
    text: str = ""
    """The description behind the health."""
    strange: str = ""
    """The first word that means nothing."""


def parse(line: str) -> Answer:
    """The answer in a line, its end removed."""
    answer = Answer()
    words, _, text = line.partition("#") if re.search(r"(^|[ \t,])#", line) else (line, "", "")
    answer.text = text.strip(" \t")
    for word in filter(None, _SEPARATORS.split(words)):
        lowered = word.lower()
        if lowered in _STATES:
            answer.state = lowered
        elif lowered == "up" or lowered in _DOWN:
            answer.health = word
        elif re.fullmatch("[0-9]+%.*", word):
            answer.weight = word
        elif lowered.startswith("maxconn:"):
            answer.maxconn = word[len("maxconn:") :]
        elif not answer.strange:
            answer.strange = word
    return answer


def said(server: Server, line: str | None, milliseconds: int, now: float) -> None:
    """The agent of `server` has answered; `line` without its end, None for an answer that was no whole line."""
    if line is None:
        result = CheckResult(Status.CHECKED, milliseconds, None, "Ignoring incomplete line from agent")
        state.agent_done(server, result, now)
        return
    answer = parse("".join(c if c.isprintable() else "?" for c in line.replace("\t", " ")))
    refusal = _obey(server, answer, now)
    state.agent_done(server, _result(answer, refusal, milliseconds), now)


def _obey(server: Server, answer: Answer, now: float) -> str:
    """Carry out the orders; what the last one that could not be says."""
    refusal = ""
    if answer.state:
        operate.set_state(server, answer.state, now)
    try:
        if answer.weight:
            operate.set_weight(server, answer.weight, now)
    except Refused as error:
        refusal = str(error)
    try:
        if answer.maxconn is not None:
            _set_maxconn(server, answer.maxconn, now)
    except Refused as error:
        refusal = refusal or str(error)
    return refusal


def _set_maxconn(server: Server, text: str, now: float) -> None:
    if not (text.isascii() and text.isdigit()):
        raise Refused(
            "Trailing garbage in maxconn string"
            if text[:1].isdigit()
            else "maxconn string empty or preceded by garbage"
        )
    operate.set_maxconn(server, operate.whole(text), now)


def _result(answer: Answer, refusal: str, milliseconds: int) -> CheckResult:
    if answer.health:
        status = Status.L7STS if answer.health.lower() in _DOWN else Status.L7OK
        text = answer.text or answer.strange
        return CheckResult(status, milliseconds, 0, f"via agent : {answer.health}" + (f" ({text})" if text else ""))
    if answer.strange:
        info = f"agent reports an error : {answer.strange}"
    else:
        info = f"agent warns : {refusal}" if refusal else ""
    return CheckResult(Status.CHECKED, milliseconds, None, info)
