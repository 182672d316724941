"""Variables: `txn.name` and its scopes (manual: `http-request set-var`).

    proc   the process              World.variables
    sess   the client's connection  Session.variables
    txn    request and response     Context.variables
    req    the request's rules      Context.variables, not found once the response is there
    res    the response's rules     Context.variables

The scope of a name is decided at load, so that reading one is a dictionary look-up.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pylb.rules.context import Context
from pylb.rules.kinds import Value
from pylb.rules.registry import BadArgument, Getter
from pylb.rules.scope import Place, Scope

SCOPES = ("proc", "sess", "txn", "req", "res")
_NAME = re.compile(r"(proc|sess|txn|req|res)\.[A-Za-z0-9_.]+")


def check_name(name: str) -> str:
    """The scope of a variable's full name; raises BadArgument."""
    match = _NAME.fullmatch(name)
    if match is None:
        scopes = ", ".join(f"{scope}." for scope in SCOPES)
        raise BadArgument(
            f'"{name}" is no variable: the name begins with one of {scopes} then letters, digits, _ and .'
        )
    return match[1]


def variable_getter(name: str, scope: Scope, default: Value = None) -> Getter:
    """A getter of the variable; raises BadArgument."""
    where = check_name(name)
    if where == "proc":
        variables = scope.world.variables
        return lambda _x: variables.get(name, default)
    if where == "sess":
        return lambda x: default if x.session.variables is None else x.session.variables.get(name, default)
    if where == "req" and (scope.place.has_response or scope.place is Place.LOG):
        return lambda _x: default
    return lambda x: default if x.variables is None else x.variables.get(name, default)


def variable_setter(name: str, scope: Scope) -> Callable[[Context, Value], None]:
    """Stores a value, or forgets the variable for None; raises BadArgument."""
    where = check_name(name)
    if where == "proc":
        variables = scope.world.variables
        return lambda _x, value: _store(variables, name, value)

    def set_session(x: Context, value: Value) -> None:
        if x.session.variables is None:
            x.session.variables = {}
        _store(x.session.variables, name, value)

    def set_exchange(x: Context, value: Value) -> None:
        if x.variables is None:
            x.variables = {}
        _store(x.variables, name, value)

    return set_session if where == "sess" else set_exchange


def _store(variables: dict[str, Any], name: str, value: Value) -> None:
    if value is None:
        variables.pop(name, None)
    else:
        variables[name] = value
