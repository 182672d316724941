"""Hashes and message digests (manual 7.3.1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import xxhash

from pylb.backend.balance.hashes import FUNCTIONS, avalanche
from pylb.rules.context import Context
from pylb.rules.kinds import Kind, Value, to_bin
from pylb.rules.registry import BadArgument, Step, converter, converter_with
from pylb.rules.scope import Scope
from pylb.rules.variables import SCOPES, variable_getter


def _register_hash(name: str) -> None:
    function = FUNCTIONS[name]

    @converter_with(name, Kind.BIN, Kind.INT, "int?")
    def _build(args: tuple[Any, ...], _scope: Scope) -> Step:
        return (lambda data: avalanche(function(data))) if args[0] else function


for _name in ("sdbm", "djb2", "wt6", "crc32"):
    _register_hash(_name)


@converter_with("xxh32", Kind.BIN, Kind.INT, "int?")
def _xxh32(args: tuple[Any, ...], _scope: Scope) -> Step:
    seed = (args[0] or 0) % 2**32
    return lambda data: xxhash.xxh32_intdigest(data, seed)


def _register_xxh(name: str, function: Callable[[bytes, int], int]) -> None:
    @converter_with(name, Kind.BIN, Kind.INT, "int?")
    def _build(args: tuple[Any, ...], _scope: Scope) -> Step:
        seed = (args[0] or 0) % 2**64

        def signed(data: bytes) -> Value:
            value = function(data, seed)
            return value - 2**64 if value >= 2**63 else value

        return signed


_register_xxh("xxh64", xxhash.xxh64_intdigest)
_register_xxh("xxh3", xxhash.xxh3_64_intdigest)


@converter("sha1", Kind.BIN, Kind.BIN)
def _sha1(data: bytes) -> Value:
    return hashlib.sha1(data, usedforsecurity=False).digest()


@converter_with("sha2", Kind.BIN, Kind.BIN, "int?")
def _sha2(args: tuple[Any, ...], _scope: Scope) -> Step:
    bits = args[0] or 256
    if bits not in (224, 256, 384, 512):
        raise BadArgument(f'"sha2" knows 224, 256, 384 and 512 bits, not {bits}')
    make = getattr(hashlib, f"sha{bits}")
    return lambda data: make(data).digest()


@converter_with("digest", Kind.BIN, Kind.BIN, "str")
def _digest(args: tuple[Any, ...], _scope: Scope) -> Step:
    name = _algorithm("digest", args[0])
    return lambda data: hashlib.new(name, data, usedforsecurity=False).digest()


@converter_with("hmac", Kind.BIN, Kind.BIN, "str", "str", contextual=True)
def _hmac(args: tuple[Any, ...], scope: Scope) -> Step:
    name = _algorithm("hmac", args[0])
    if args[1].partition(".")[0] in SCOPES:
        variable = variable_getter(args[1], scope)

        def with_variable(data: bytes, x: Context) -> Value:
            encoded = to_bin(variable(x))
            key = None if encoded is None else _decode_key(encoded)
            return None if key is None else hmac.digest(key, data, name)

        return with_variable
    constant = _decode_key(args[1].encode())
    if constant is None:
        raise BadArgument('"hmac" wants its key in base64')
    return lambda data, _x: hmac.digest(constant, data, name)


def _decode_key(encoded: bytes) -> bytes | None:
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None


def _algorithm(converter_name: str, name: str) -> str:
    if name.lower() not in hashlib.algorithms_available or name.lower().startswith("shake"):
        raise BadArgument(f'"{converter_name}" does not know the algorithm "{name}"')
    return name.lower()
