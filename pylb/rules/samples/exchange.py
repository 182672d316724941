"""Fetches of the response, of captures and of variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylb.rules.context import Context
from pylb.rules.kinds import Kind, Value
from pylb.rules.registry import Getter, Needs, fetch, fetch_with
from pylb.rules.scope import Scope
from pylb.rules.variables import variable_getter


@fetch("status", Kind.INT, Needs.STATUS)
def _status(x: Context) -> Value:
    return x.status if x.response is None else x.response.status


@fetch("res.ver resp_ver", Kind.STR, Needs.RESPONSE)
def _res_ver(x: Context) -> Value:
    return None if x.response is None else (b"1.1" if x.response.version else b"1.0")


@fetch("capture.res.ver", Kind.STR, Needs.STREAM)
def _capture_res_ver(x: Context) -> Value:
    return None if x.response is None else (b"HTTP/1.1" if x.response.version else b"HTTP/1.0")


def _captured(index: int, captured: Callable[[Context], list[bytes | None] | None]) -> Getter:
    def get(x: Context) -> Value:
        values = captured(x)
        return values[index] if values is not None and 0 <= index < len(values) else None

    return get


@fetch_with("capture.req.hdr", Kind.STR, "int", needs=Needs.STREAM)
def _capture_req_hdr(args: tuple[Any, ...], _scope: Scope) -> Getter:
    return _captured(args[0], lambda x: x.captured_request)


@fetch_with("capture.res.hdr", Kind.STR, "int", needs=Needs.STATUS)
def _capture_res_hdr(args: tuple[Any, ...], _scope: Scope) -> Getter:
    return _captured(args[0], lambda x: x.captured_response)


@fetch_with("unique-id", Kind.STR)
def _unique_id(_args: tuple[Any, ...], scope: Scope) -> Getter:
    from pylb.rules.unique import unique_id_getter  # the id's format may hold any sample: the import is circular

    return unique_id_getter(scope)


@fetch_with("var", Kind.ANY, "str", "str?")
def _var(args: tuple[Any, ...], scope: Scope) -> Getter:
    default = None if args[1] is None else args[1].encode()
    return variable_getter(args[0], scope, default)
