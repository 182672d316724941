"""The language of the master socket (management manual, 9.4): its own commands, and the words that say who is meant.

@1 show info       the generation that serves; @!PID: the one that this steward or worker belongs to
@1                 so does everything that follows, until @master or @
show proc          anything else is the master's own
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pylb import __version__
from pylb.admin.control.connection import prompt, quit_, show_cli_level
from pylb.admin.control.registry import Kind, Row, help_text
from pylb.admin.control.session import Level, Session
from pylb.backend.operate import Refused


@dataclass(frozen=True, slots=True)
class Member:
    """A generation as `show proc` lists it."""

    pid: int
    """Of its steward."""
    reloads: int
    """That were asked for since it began."""
    began: float
    """CLOCK_MONOTONIC"""
    retiring: bool


class Supervised(Protocol):
    """What the commands need of the master."""

    pid: int
    began: float
    """CLOCK_MONOTONIC"""

    @property
    def reloads(self) -> int:
        """How many were asked for."""

    @property
    def failed(self) -> int:
        """How many have failed since the last one that did not."""

    def members(self) -> list[Member]:
        """All that run, the one that serves among them."""

    def reload(self) -> None:
        """Begin one."""


class Unknown(LookupError):
    """A prefix that leads nowhere."""

    def __init__(self, prefix: str) -> None:
        super().__init__(f"Can't find the target PID matching the prefix '{prefix}'\n")


def number_of(prefix: str) -> tuple[str, int]:
    """What "@…" names: ("master", 0), ("relative", N) or ("pid", N). Raises Unknown."""
    text = prefix[1:]
    if text in ("", "master"):
        return "master", 0
    kind, digits = ("pid", text[1:]) if text[0] == "!" else ("relative", text)
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise Unknown(prefix)
    if kind == "relative" and int(digits) == 0:
        return "master", 0
    return kind, int(digits)


def lower(session: Session, word: str) -> bytes:
    """`operator`, `user`: answered by nothing, as in HAProxy, and with the end for whoever has less."""
    level = Level[word.upper()]
    if session.level < level:
        session.ended = True
        return b"Permission denied!\n"
    session.level = level
    return b""


# ---------------------------------------------------------------------------------------------------------------- rows

ROWS: dict[tuple[str, ...], Row] = {}


def _named(session: Session, world: Supervised, words: Sequence[str], payload: str) -> bytes:
    """Such words are understood before commands are looked for."""
    return b""


def _help(session: Session, world: Supervised, words: Sequence[str], payload: str) -> bytes:
    return help_text(session, words, ROWS)


def _reload(session: Session, world: Supervised, words: Sequence[str], payload: str) -> bytes:
    """Begin one; the connection ends when it has come to its end."""
    if session.level < Level.OPERATOR:
        raise Refused("Permission denied")
    world.reload()
    session.ended = True
    return b""


def _show_cli_sockets(session: Session, world: Supervised, words: Sequence[str], payload: str) -> bytes:
    """HAProxy's master names none either."""
    return b""


def _show_version(session: Session, world: Supervised, words: Sequence[str], payload: str) -> bytes:
    return f"{__version__}\n".encode()


def _show_proc(session: Session, world: Supervised, words: Sequence[str], payload: str) -> bytes:
    """The master, then a line per generation: the pid is its steward's."""
    members, now = world.members(), time.monotonic()
    lines = [
        _line("#<PID>", "<type>", "<reloads>", "<uptime>", "<version>"),
        _line(world.pid, "master", f"{world.reloads} [failed: {world.failed}]", _age(now - world.began), __version__),
        "# workers",
        *(_member(each, now) for each in members if not each.retiring),
    ]
    old = [_member(each, now) for each in members if each.retiring]
    if old:
        lines += ["# old workers", *old]
    return "\n".join((*lines, "# programs", "")).encode()


def _member(member: Member, now: float) -> str:
    return _line(member.pid, "worker", member.reloads, _age(now - member.began), __version__)


def _line(*columns: object) -> str:
    return " ".join(f"{column:<15}" for column in map(str, columns))


def _age(seconds: float) -> str:
    """Days, hours, minutes and seconds: "0d00h01m07s"."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{days}d{hour:02}h{minute:02}m{second:02}s"


for _words, _arguments, _text, _run in (
    ("@!<pid>", "", "send a command to the <pid> process", _named),
    ("@<relative pid>", "", "send a command to the <relative pid> process", _named),
    ("@master", "", "send a command to the master process", _named),
    ("operator", "", "lower the level of the current CLI session to operator", _named),
    ("user", "", "lower the level of the current CLI session to user", _named),
    ("reload", "", "reload haproxy", _reload),
    ("show cli level", "", "display the level of the current CLI session", show_cli_level),
    ("show cli sockets", "", "dump list of cli sockets", _show_cli_sockets),
    ("show proc", "", "show processes status", _show_proc),
    ("show version", "", "show version of the current process", _show_version),
    ("help", "[<command>]", "list matching or all commands", _help),
    ("prompt", "", "toggle interactive mode with prompt", prompt),
    ("quit", "", "disconnect", quit_),
):
    _key = (_words,) if _words[0] == "@" else tuple(_words.split())
    ROWS[_key] = Row(_key, _arguments, _text, Kind.OWN, Level.USER, _run)
