"""Commands about the connection itself: help, prompt, levels, timeouts."""

from __future__ import annotations

from collections.abc import Sequence

from pylb.admin.control.registry import Kind, command, help_text
from pylb.admin.control.session import Level, Session, Severity
from pylb.admin.world import World
from pylb.backend.operate import Refused
from pylb.config.values import parse_time


@command("help", "[<command>]", help="list matching or all commands", kind=Kind.OWN)
def show_help(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """The commands of this level, or those that the words begin."""
    return help_text(session, words)


@command("prompt", help="toggle interactive mode with prompt", kind=Kind.OWN)
def prompt(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """Wait for more commands after each answer, or no more."""
    session.interactive = not session.interactive
    return b""


@command("quit", help="disconnect", kind=Kind.OWN)
def quit_(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """End the connection."""
    session.ended = True
    return b""


def _lower(session: Session, level: Level) -> bytes:
    if session.level < level:
        raise Refused("Permission denied")
    session.level = level
    return b""


@command("operator", help="lower the level of the current CLI session to operator", kind=Kind.OWN, level=Level.OPERATOR)
def operator(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """Give admin rights up."""
    return _lower(session, Level.OPERATOR)


@command("user", help="lower the level of the current CLI session to user", kind=Kind.OWN)
def user(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """Give all rights but reading up."""
    return _lower(session, Level.USER)


@command("show cli level", help="display the level of the current CLI session", kind=Kind.OWN)
def show_cli_level(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """user, operator or admin."""
    return session.feedback(Severity.INFO, session.level.word)


@command("show cli sockets", help="dump list of cli sockets", kind=Kind.OWN)
def show_cli_sockets(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """Where admin sockets listen."""
    lines = ["# socket lvl processes"]
    for declared in world.config.globals.stats_sockets:
        lines.append(f"{declared.bind.address.place} {declared.level} all")
    return ("\n".join(lines) + "\n").encode()


@command(
    "set severity-output",
    "[none|number|string]",
    help="set presence of severity level in feedback information",
    kind=Kind.OWN,
)
def set_severity_output(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """Whether short answers begin with how serious they are."""
    if list(words[:1]) not in (["none"], ["number"], ["string"]):
        raise Refused("one of 'none', 'number', 'string' is a required argument")
    session.severity = words[0]
    return b""


@command("set timeout", "[cli] <delay>", help="change a timeout setting", kind=Kind.OWN)
def set_timeout(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """How long this connection may be silent; seconds unless a unit is written."""
    if list(words[:1]) != ["cli"]:
        raise Refused("'set timeout' only supports 'cli'.")
    if len(words) < 2:
        raise Refused("Expects an integer value.")
    try:
        seconds = parse_time(words[1] + "s" if words[1].isdigit() else words[1])
    except ValueError:
        seconds = None
    if not seconds:
        raise Refused("Invalid timeout value.")
    session.timeout = seconds
    return b""


def _switch(words: Sequence[str], now: bool, name: str) -> bool | None:
    """on, off, or None to tell."""
    if not words:
        return None
    if words[0] not in ("on", "off"):
        raise Refused(f"'{name}' expects 'on' or 'off'.")
    return words[0] == "on"


@command("expert-mode", "[on|off]", help="show commands of developers too", kind=Kind.OWN, level=Level.ADMIN)
def expert_mode(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """Understood for the scripts that say it; pylb has no command that needs it."""
    wanted = _switch(words, session.expert, "expert-mode")
    if wanted is None:
        return f"expert-mode is {'ON' if session.expert else 'OFF'}\n".encode()
    session.expert = wanted
    return b""


@command("experimental-mode", "[on|off]", help="allow commands that may change", kind=Kind.OWN, level=Level.ADMIN)
def experimental_mode(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """Understood for the scripts that say it; nothing needs it since HAProxy 2.6."""
    wanted = _switch(words, session.experimental, "experimental-mode")
    if wanted is None:
        return f"experimental-mode is {'ON' if session.experimental else 'OFF'}\n".encode()
    session.experimental = wanted
    return b""
