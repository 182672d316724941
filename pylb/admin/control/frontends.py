"""Orders to frontends and limits of the process: enable, disable, shutdown, maxconn, rates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pylb.admin.control.names import frontend_called
from pylb.admin.control.registry import Kind, command
from pylb.admin.control.session import Level, Session
from pylb.admin.world import FrontendView, Running
from pylb.backend import operate
from pylb.backend.operate import Refused

if TYPE_CHECKING:
    from pylb.net.door import Door


def the_frontend(world: Running, words: Sequence[str]) -> tuple[FrontendView, Door]:
    """The frontend that is named, and its connections; raises Refused."""
    if not words:
        raise Refused("A frontend name is expected.")
    frontend = frontend_called(world, words[0])
    door = world.doors.get(frontend.name) if frontend is not None else None
    if frontend is None or door is None:
        raise Refused("No such frontend.")
    return frontend, door


@command(
    "disable frontend",
    "<frontend>",
    help="temporarily disable specific frontend",
    kind=Kind.CHANGE,
    level=Level.ADMIN,
)
def disable_frontend(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Its ports refuse connections until it is enabled again; running sessions go on."""
    frontend, door = the_frontend(world, words)
    if door.state == "STOP":
        raise Refused("Frontend was previously shut down, cannot disable.")
    if door.state == "PAUSED":
        raise Refused("All sockets are already disabled.")
    door.disable()
    world.tell(frontend.name, f"Paused frontend {frontend.name}.")
    return b""


@command("enable frontend", "<frontend>", help="re-enable specific frontend", kind=Kind.CHANGE, level=Level.ADMIN)
def enable_frontend(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Listen again."""
    frontend, door = the_frontend(world, words)
    if door.state == "STOP":
        raise Refused("Frontend was previously shut down, cannot enable.")
    if door.state != "PAUSED":
        raise Refused("All sockets are already enabled.")
    door.enable()
    world.tell(frontend.name, f"Resumed frontend {frontend.name}.")
    return b""


@command("shutdown frontend", "<frontend>", help="stop a specific frontend", kind=Kind.CHANGE, level=Level.ADMIN)
def shutdown_frontend(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Close its ports for good; running sessions go on."""
    frontend, door = the_frontend(world, words)
    if door.state == "STOP":
        raise Refused("Frontend was already shut down.")
    door.shut()
    world.tell_stopped(frontend.name)
    return b""


def _whole(words: Sequence[str]) -> int:
    if not words or re.fullmatch("-?[0-9]+", words[0]) is None:
        raise Refused("Integer value expected.")
    if words[0].startswith("-"):
        raise Refused("Value out of range.")
    return operate.whole(words[0])


@command(
    "set maxconn frontend",
    "<frontend> <value>",
    help="change a frontend's maxconn setting",
    kind=Kind.CHANGE,
    level=Level.ADMIN,
)
def set_maxconn_frontend(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Those who wait come in as far as there is room now."""
    frontend, door = the_frontend(world, words)
    limit = _whole(words[1:])
    door.set_maxconn(limit or world.maxconn)
    frontend.counters.slim = door.maxconn
    return b""


@command(
    "set maxconn global",
    "<value>",
    help="change the per-process maxconn setting",
    kind=Kind.CHANGE,
    level=Level.ADMIN,
)
def set_maxconn_global(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """At most what the process was started with, since that many descriptors there are; 0: that value again."""
    if not words:
        raise Refused("Expects an integer value.")
    limit = _whole(words) or world.hard_maxconn
    if limit > world.hard_maxconn:
        raise Refused("Value out of range.")
    world.set_maxconn(limit)
    return b""


RATES = {"connections": "connections", "sessions": "sessions", "ssl-sessions": "ssl"}


@command(
    "set rate-limit",
    "<setting> <value>",
    help="change a rate limiting value",
    kind=Kind.CHANGE,
    level=Level.ADMIN,
)
def set_rate_limit(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """How many of a kind may begin in a second; 0: any number."""
    known = {*RATES, "http-compression"}
    if not words or words[0] not in known or list(words[1:2]) != ["global"]:
        raise Refused(
            "'set rate-limit' only supports :\n"
            "   - 'connections global' to set the per-process maximum connection rate\n"
            "   - 'sessions global' to set the per-process maximum session rate\n"
            "   - 'ssl-sessions global' to set the per-process maximum SSL session rate\n"
            "   - 'http-compression global' to set the per-process maximum compression speed in kB/s"
        )
    if len(words) < 3:
        raise Refused("Expects an integer value.")
    limit = _whole(words[2:])
    if words[0] in RATES:  # nothing is compressed, so that limit is kept whatever it is
        setattr(world.rate_limits, RATES[words[0]], limit)
        world.house.rates_changed()
    return b""
