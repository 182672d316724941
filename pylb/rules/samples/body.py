"""Fetches of what has come of a request's body (manual 7.3.6): all of it behind `option http-buffer-request` or
`wait-for-body`, if it fits into a buffer; without them what came along with the head."""

from __future__ import annotations

from typing import Any

from pylb.rules.kinds import Kind, Value, leading_integer
from pylb.rules.registry import Getter, ManyGetter, Needs, fetch, fetch_with
from pylb.rules.scope import Scope


@fetch("req.body", Kind.BIN, Needs.REQUEST)
def _body(x: Any) -> Value:
    body: bytes = x.body_so_far
    return body


@fetch("req.body_len", Kind.INT, Needs.REQUEST)
def _body_len(x: Any) -> Value:
    return len(x.body_so_far)


@fetch("req.body_size", Kind.INT, Needs.REQUEST)
def _body_size(x: Any) -> Value:
    """What Content-Length says; of chunks, what is here."""
    length = x.request.length_field
    if length:
        return leading_integer(length)
    return len(x.body_so_far) if x.request.coding_field is not None else 0


def _parameters(args: tuple[Any, ...], _scope: Scope) -> ManyGetter:
    wanted = args[0].encode("utf-8", "surrogateescape") if args[0] else None

    def get(x: Any) -> list[bytes]:
        pairs = (pair.partition(b"=") for pair in x.body_so_far.split(b"&"))
        return [value for name, equals, value in pairs if equals and (wanted is None or name == wanted)]

    return get


@fetch_with("req.body_param", Kind.BIN, "str?", needs=Needs.REQUEST, many=_parameters)
def _body_param(args: tuple[Any, ...], scope: Scope) -> Getter:
    """Of a form (application/x-www-form-urlencoded), not decoded."""
    values = _parameters(args, scope)

    def get(x: Any) -> Value:
        found = values(x)
        return found[0] if found else None

    return get
