"""Every key of lb.toml as Markdown tables, made from the schema: `python -m pylb.config.toml.reference`.

docs/lb-toml.md ends with this text, and a test keeps it so.
"""

from __future__ import annotations

import re
from dataclasses import MISSING
from typing import Any

from pylb.config import model as m
from pylb.config.toml import schema
from pylb.config.toml.forms import (
    STEP_OPTIONS,
    Choice,
    Field,
    Form,
    Groups,
    Logs,
    Many,
    Named,
    Redispatch,
    Scalar,
    Step,
    Table,
    Text,
    Users,
)
from pylb.config.toml.layout import show_value
from pylb.config.toml.phrases import LOG_TARGET

_SECTIONS: tuple[tuple[str, type], ...] = (
    ("[global]", m.Global),
    ("[frontend.NAME]", m.Frontend),
    ("[backend.NAME]", m.Backend),
    ("[userlist.NAME]", m.UserList),
)


def reference() -> str:
    """The tables, each section's and then each kind of table inside them."""
    inner: dict[str, Table] = {}
    parts = [_section(title, schema.table(cls).fields, inner) for title, cls in _SECTIONS]
    seen: set[str] = set()
    while len(seen) < len(inner):
        name = next(name for name in inner if name not in seen)
        seen.add(name)
        table = inner[name]
        fields = {**(table.inlined[1].fields if table.inlined else {}), **table.fields}
        parts.append(_section(f"Table: {name}", fields, inner))
    return "\n".join(parts)


def _section(title: str, fields: dict[str, Field], inner: dict[str, Table]) -> str:
    rows = [f"| `{key}` | {_kind(f.form, inner)}{_switch(f)} | {_default(f)} |" for key, f in fields.items()]
    return "\n".join([f"### {title}", "", "| key | value | default |", "| --- | --- | --- |", *rows, ""])


def _kind(form: Form, inner: dict[str, Table]) -> str:
    """A form in words; tables are noted in `inner` and named."""
    match form:
        case Scalar(kind=kind, low=low, high=high):
            number = f"number from {low} to {high}" if high is not None else f"number, {low} or more"
            return {bool: "`true` or `false`", str: "string"}.get(kind, number)
        case Choice(words=words):
            return ", ".join(f"`{show_value(word)}`" for word in words)
        case Text(phrase=phrase):
            return phrase.what
        case Redispatch():
            return "`true`, `false`, or a number of retries"
        case Many(item=item):
            return f"array of: {_kind(item, inner)}"
        case Logs():
            return f'array of: "global", or {LOG_TARGET.what}'
        case Named(table=table):
            return f"table of `name =` {_named(table, inner)}"
        case Table():
            return _named(form, inner)
        case _:
            return _special(form)


def _named(table: Table, inner: dict[str, Table]) -> str:
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", table.cls.__name__).lower()
    inner.setdefault(name, table)
    address = "an address, or " if table.main else ""
    return f"{address}table *{name}*"


def _switch(f: Field) -> str:
    if not f.optional or not isinstance(f.form, Table):
        return ""
    return ", or `true`, or `false`" if f.form.switch else ", or `false`"


def _special(form: Form) -> str:
    match form:
        case Step():
            return "; ".join(f"`{{ {kind} = {{…}} }}` with {', '.join(words)}" for kind, words in STEP_OPTIONS.items())
        case Users():
            return " or ".join(f'`name = {{ {word} = "…" }}`' for word in form.words)
        case Groups():
            return '`name = ["user", …]`'
        case _:
            raise TypeError(f"no words for {form!r}")


def _default(f: Field) -> str:
    if f.default is MISSING:
        return "required"
    if f.default is None or f.default == ():
        return ""
    shown: Any = f.form.encode(f.default)
    return "" if isinstance(shown, dict) or (shown is True and isinstance(f.form, Table)) else f"`{show_value(shown)}`"


if __name__ == "__main__":
    print(reference())
