"""`unique-id-format`: one identifier per exchange, made when first asked for and then kept."""

from __future__ import annotations

from pylb.rules.context import Context
from pylb.rules.kinds import Value
from pylb.rules.registry import Getter
from pylb.rules.scope import Scope

KEY = "unique-id"
"""Among the exchange's variables; no name of a variable looks like it."""


def unique_id_getter(_scope: Scope | None = None) -> Getter:
    """The id of the exchange as its frontend makes it; None where the frontend has no format."""

    def get(x: Context) -> Value:
        if x.variables is not None and KEY in x.variables:
            known: Value = x.variables[KEY]
            return known
        make = x.frontend.make_unique_id
        if make is None:
            return None
        value = make(x)
        if x.variables is None:
            x.variables = {}
        x.variables[KEY] = value
        return value

    return get
