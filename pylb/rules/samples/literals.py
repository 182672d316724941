"""Fetches that look at nothing: constants and the process's own state (manual 7.3.2)."""

from __future__ import annotations

import random
from typing import Any

from pylb.rules.kinds import Kind, Value, address, clamp
from pylb.rules.registry import BadArgument, Getter, fetch, fetch_with
from pylb.rules.scope import Scope


def constant(value: Value) -> Getter:
    """A getter that always gives `value`."""
    return lambda _x: value


fetch("always_true", Kind.BOOL)(constant(True))
fetch("always_false", Kind.BOOL)(constant(False))
fetch("nbproc", Kind.INT)(constant(1))
fetch("proc", Kind.INT)(constant(1))
fetch("thread", Kind.INT)(constant(0))


@fetch_with("str", Kind.STR, "str")
def _str(args: tuple[Any, ...], _scope: Scope) -> Getter:
    return constant(args[0].encode())


@fetch_with("int", Kind.INT, "int")
def _int(args: tuple[Any, ...], _scope: Scope) -> Getter:
    return constant(clamp(args[0]))


@fetch_with("bool", Kind.BOOL, "str")
def _bool(args: tuple[Any, ...], _scope: Scope) -> Getter:
    if args[0].lower() not in ("true", "false", "1", "0"):
        raise BadArgument(f'"bool" wants true or false, not "{args[0]}"')
    return constant(args[0].lower() in ("true", "1"))


@fetch_with("bin", Kind.BIN, "str")
def _bin(args: tuple[Any, ...], _scope: Scope) -> Getter:
    try:
        return constant(bytes.fromhex(args[0]))
    except ValueError:
        raise BadArgument(f'"bin" wants an even number of hexadecimal digits, not "{args[0]}"') from None


@fetch_with("meth", Kind.METH, "str")
def _meth(args: tuple[Any, ...], _scope: Scope) -> Getter:
    return constant(args[0].encode())


@fetch_with("ipv4", Kind.ADDR, "ip")
def _ipv4(args: tuple[Any, ...], _scope: Scope) -> Getter:
    return _address_of_version(args[0], 4)


@fetch_with("ipv6", Kind.ADDR, "ip")
def _ipv6(args: tuple[Any, ...], _scope: Scope) -> Getter:
    return _address_of_version(args[0], 6)


def _address_of_version(value: Any, version: int) -> Getter:
    if value.version != version:
        raise BadArgument(f'"ipv{version}" wants an IPv{version} address, not "{value}"')
    return constant(address(str(value)))


@fetch_with("env", Kind.STR, "str")
def _env(args: tuple[Any, ...], scope: Scope) -> Getter:
    text = scope.world.config.environment.get(args[0])
    return constant(None if text is None else text.encode("utf-8", "surrogateescape"))


@fetch_with("hostname", Kind.STR)
def _hostname(_args: tuple[Any, ...], scope: Scope) -> Getter:
    return constant(scope.world.hostname.encode())


@fetch_with("stopping", Kind.BOOL)
def _stopping(_args: tuple[Any, ...], scope: Scope) -> Getter:
    world = scope.world
    return lambda _x: world.stopping


_UNITS = {None: 1, "s": 1, "ms": 1000, "us": 1000000}


@fetch_with("date", Kind.INT, "int?", "str?")
def _date(args: tuple[Any, ...], scope: Scope) -> Getter:
    offset, unit = args[0] or 0, args[1]
    if unit not in _UNITS:
        raise BadArgument(f'"date" knows the units s, ms and us, not "{unit}"')
    wall, scale = scope.world.wall, _UNITS[unit]
    return lambda _x: int(wall() * scale) + offset


@fetch_with("date_us", Kind.INT)
def _date_us(_args: tuple[Any, ...], scope: Scope) -> Getter:
    wall = scope.world.wall
    return lambda _x: int(wall() * 1000000) % 1000000


@fetch_with("rand random", Kind.INT, "int?")
def _rand(args: tuple[Any, ...], _scope: Scope) -> Getter:
    limit = args[0] if args[0] is not None else 1 << 32
    if limit <= 0:
        raise BadArgument('"rand" wants a positive range')
    randrange = random.randrange
    return lambda _x: randrange(limit)


@fetch_with("uuid", Kind.STR, "int?")
def _uuid(args: tuple[Any, ...], _scope: Scope) -> Getter:
    if args[0] not in (None, 4):
        raise BadArgument('"uuid" makes version 4 only')
    from uuid import uuid4  # and with it `platform`, for who asks

    return lambda _x: str(uuid4()).encode()
