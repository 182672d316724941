"""Orders to servers: set server, enable, disable, weights and limits; backend/operate.py carries them out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from pylb.admin.control.names import the_server
from pylb.admin.control.registry import Kind, command
from pylb.admin.control.session import Level, Session, Severity
from pylb.admin.world import Running, World
from pylb.backend import operate
from pylb.backend.operate import Refused
from pylb.backend.server import Server

Order = Callable[[Session, Running, Server, Sequence[str]], bytes]


@command(
    "set server",
    "<bk>/<srv> [opts]",
    help="change a server's state, weight, address or ssl",
    kind=Kind.ORDER,
    level=Level.ADMIN,
)
def set_server(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """`set server BACKEND/SERVER WHAT …`"""
    server = the_server(world, words)
    order = ORDERS.get(words[1]) if len(words) > 1 else None
    if order is None:
        return session.feedback(
            Severity.ERROR,
            "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | check-addr |"
            " check-port | fqdn | health | ssl | state | weight",
        )
    return order(session, world, server, words[2:])


def _first(words: Sequence[str]) -> str:
    return words[0] if words else ""


def _set_state(session: Session, world: Running, server: Server, words: Sequence[str]) -> bytes:
    operate.set_state(server, _first(words), world.now())
    return b""


def _set_weight(session: Session, world: Running, server: Server, words: Sequence[str]) -> bytes:
    operate.set_weight(server, _first(words), world.now())
    return b""


def _set_health(session: Session, world: Running, server: Server, words: Sequence[str]) -> bytes:
    operate.set_health(server, _first(words), world.now())
    return b""


def _set_addr(session: Session, world: Running, server: Server, words: Sequence[str]) -> bytes:
    if not words:
        raise Refused("set server <b>/<s> addr requires an address and optionally a port.")
    try:
        address = ip_address(words[0])
    except ValueError:
        return session.feedback(Severity.WARNING, f"Invalid addr '{words[0]}' by 'stats socket command'")
    port: int | None = None
    if len(words) > 1 and words[1] == "port":
        text = words[2] if len(words) > 2 else ""
        port = _port(text)
        if port is None:
            raise Refused(f"problem converting port '{text}' to an int by 'stats socket command'")
    text = operate.set_address(server, str(address), port, f"ipv{address.version}", world.now())
    return session.feedback(Severity.WARNING, text)


def _port(text: str) -> int | None:
    port = operate.whole(text) if text.isascii() and text.isdigit() else 65536
    return port if port <= 65535 else None


def _bad_port(words: Sequence[str]) -> str:
    number = re.fullmatch("[+-]?[0-9]+", _first(words))
    return "provided port is invalid" if number else "provided port is not an integer"


def _set_check_addr(session: Session, world: Running, server: Server, words: Sequence[str]) -> bytes:
    if not words:
        raise Refused("set server <b>/<s> check-addr requires an address and optionally a port.")
    try:
        host = str(ip_address(words[0]))
    except ValueError:
        raise Refused(f"invalid addr '{words[0]}'") from None
    port = server.check.port if server.check is not None else None
    if len(words) > 1 and words[1] == "port":
        port = _port(_first(words[2:]))
        if port is None:
            raise Refused(_bad_port(words[2:]))
    operate.set_check_address(server, host, port)
    return b""


def _set_check_port(session: Session, world: Running, server: Server, words: Sequence[str]) -> bytes:
    if not words:
        raise Refused("set server <b>/<s> check-port requires a port.")
    port = _port(words[0])
    if port is None:
        raise Refused(_bad_port(words))
    operate.set_check_address(server, None, port)
    return b""


def _set_agent(session: Session, world: Running, server: Server, words: Sequence[str]) -> bytes:
    operate.set_agent(server, _first(words), world.now())
    return b""


def host_to_look_up(words: Sequence[str]) -> str | None:
    """The name in the place of an address in a `set server`, if that may be one; for the command to be given an address
    (`with_address`), because looking up takes its time."""
    if len(words) < 5 or words[3] != "agent-addr":
        return None
    try:
        ip_address(words[4])
    except ValueError:
        return words[4]
    return None


def with_address(words: Sequence[str], address: str) -> tuple[str, ...]:
    """The same command with the address that was found."""
    return (*words[:4], address, *words[5:])


def _set_agent_addr(session: Session, world: Running, server: Server, words: Sequence[str]) -> bytes:
    if not words:
        raise Refused("set server <b>/<s> agent-addr requires an address and optionally a port.")
    try:
        host = str(ip_address(words[0]))
    except ValueError:
        raise Refused(f"invalid addr '{words[0]}'") from None
    port: int | None = None
    if len(words) > 1 and words[1] == "port":
        port = _port(_first(words[2:]))
        if port is None:
            raise Refused(_bad_port(words[2:]))
    operate.set_agent_address(server, host, port)
    return b""


def _set_agent_port(session: Session, world: Running, server: Server, words: Sequence[str]) -> bytes:
    if not words:
        raise Refused("set server <b>/<s> agent-port requires a port.")
    port = _port(words[0])
    if port is None:
        raise Refused(_bad_port(words))
    operate.set_agent_address(server, None, port)
    return b""


def _set_agent_send(session: Session, world: Running, server: Server, words: Sequence[str]) -> bytes:
    operate.set_agent_send(server, _first(words))
    return b""


def _no_resolution(session: Session, world: Running, server: Server, words: Sequence[str]) -> bytes:
    if not words:
        raise Refused("set server <b>/<s> fqdn requires a FQDN.")
    raise Refused("set server <b>/<s> fqdn failed because no resolution is configured.")


def _set_ssl(session: Session, world: Running, server: Server, words: Sequence[str]) -> bytes:
    if server.model.tls is None:
        raise Refused("'set server <srv> ssl' cannot be set.  default-server should define ssl settings")
    if _first(words) not in ("on", "off"):
        raise Refused("'set server <srv> ssl' expects 'on' or 'off'.")
    operate.set_tls(server, _first(words) == "on")
    return b""


ORDERS: dict[str, Order] = {
    "addr": _set_addr,
    "agent": _set_agent,
    "agent-addr": _set_agent_addr,
    "agent-port": _set_agent_port,
    "agent-send": _set_agent_send,
    "check-addr": _set_check_addr,
    "check-port": _set_check_port,
    "fqdn": _no_resolution,
    "health": _set_health,
    "ssl": _set_ssl,
    "state": _set_state,
    "weight": _set_weight,
}


# ------------------------------------------------------------------------------------------------------------- weights


@command("get weight", "<bk>/<srv>", help="report a server's current weight")
def get_weight(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """The weight in force and the configured one."""
    server = the_server(world, words)
    return f"{server.weight} (initial {server.model.weight})\n".encode()


@command(
    "set weight",
    "<bk>/<srv>  (DEPRECATED)",
    help="change a server's weight (use 'set server' instead)",
    kind=Kind.ORDER,
    level=Level.ADMIN,
)
def set_weight(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """`set weight B/S W` or `W%`"""
    return _set_weight(session, world, the_server(world, words), words[1:])


@command(
    "set maxconn server",
    "<bk>/<srv>",
    help="change a server's maxconn setting",
    kind=Kind.ORDER,
    level=Level.ADMIN,
)
def set_maxconn_server(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """`set maxconn server B/S N`"""
    server = the_server(world, words)
    if len(words) < 2:
        raise Refused("Require <maxconn>.")
    number = re.match("[+-]?[0-9]+", words[1])
    if number is None:
        raise Refused("maxconn string empty or preceded by garbage")
    if number[0] != words[1]:
        raise Refused("Trailing garbage in maxconn string")
    operate.set_maxconn(server, operate.whole(number[0]), world.now())
    return b""


# ----------------------------------------------------------------------------------------------------- enable, disable


@command(
    "disable server",
    "(DEPRECATED)",
    help="disable a server for maintenance (use 'set server' instead)",
    kind=Kind.ORDER,
    level=Level.ADMIN,
)
def disable_server(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Maintenance."""
    operate.disable(the_server(world, words), world.now())
    return b""


@command(
    "enable server",
    " (DEPRECATED)",
    help="enable a disabled server (use 'set server' instead)",
    kind=Kind.ORDER,
    level=Level.ADMIN,
)
def enable_server(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """The end of maintenance and drain."""
    operate.enable(the_server(world, words), world.now())
    return b""


@command("disable health", help="disable health checks", kind=Kind.ORDER, level=Level.ADMIN)
def disable_health(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """The server's state stays as it is."""
    operate.disable_check(the_server(world, words))
    return b""


@command("enable health", help="enable health checks", kind=Kind.ORDER, level=Level.ADMIN)
def enable_health(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Check again."""
    operate.enable_check(the_server(world, words))
    return b""


@command("disable agent", help="disable agent checks", kind=Kind.ORDER, level=Level.ADMIN)
def disable_agent(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """It is asked no more."""
    operate.disable_agent(the_server(world, words))
    return b""


@command("enable agent", help="enable agent checks", kind=Kind.ORDER, level=Level.ADMIN)
def enable_agent(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Ask it again."""
    operate.enable_agent(the_server(world, words))
    return b""
