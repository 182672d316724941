"""Judging a document's shape with pydantic: unknown and missing keys, wrong types, unknown words, numbers out of range.

The pydantic models are made from the schema, so there is one description of what may be written. All errors are
reported at their places; what is wrong is then cut out, so that the rest can still be decoded and looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, StrictBool, StrictInt, StrictStr, ValidationError
from pydantic import Field as Limits
from pydantic import create_model as create_pydantic
from pydantic_core import ErrorDetails

from pylb.config import model as m
from pylb.config.toml import schema
from pylb.config.toml.document import Node, Path
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
from pylb.config.toml.phrases import LOG_TARGET
from pylb.config.words import Report, nearest

# A document that is wrong in more layers than this (a bad key hides nothing below it, so one is usual) is given up.
MOST_ROUNDS = 20


def judge(root: Node, report: Report) -> Node:
    """Report everything that is wrong with the shape; the tree without it."""
    document = _document()
    for _ in range(MOST_ROUNDS):
        try:
            document.model_validate(root.plain())
        except ValidationError as error:
            root = _cut(root, [_report(detail, root, report) for detail in error.errors()])
        else:
            return root
    return Node({})


def _cut(root: Node, paths: Iterable[Path]) -> Node:
    """The tree without these; from the last to the first, so that indices stay right."""
    for path in sorted(set(paths), key=lambda path: [(isinstance(s, str), s) for s in path], reverse=True):
        root = root.without(path) if root.find(path)[1] else root
    return root


# ------------------------------------------------------------------------------------------------- pydantic's models


@cache
def _document() -> type[BaseModel]:
    return _model(
        "document",
        {
            "global": _table(schema.table(m.Global)),
            "defaults": _keys_model("defaults", schema.defaults_keys(), require=False),
            "frontend": dict[str, _table(schema.table(m.Frontend))],  # type: ignore[misc]
            "backend": dict[str, _table(schema.table(m.Backend))],  # type: ignore[misc]
            "listen": dict[str, _keys_model("listen", schema.listen_keys())],  # type: ignore[misc]
            "userlist": dict[str, _table(schema.table(m.UserList))],  # type: ignore[misc]
        },
    )


def _model(name: str, annotations: dict[str, Any], required: Iterable[str] = ()) -> type[BaseModel]:
    """A strict model of these keys; extra ones are errors."""
    must = set(required)
    definitions: dict[str, Any] = {
        f"key_{key.replace('-', '_')}": (annotation, Limits(... if key in must else None, alias=key))
        for key, annotation in annotations.items()
    }
    return create_pydantic(name, __config__=ConfigDict(extra="forbid", strict=True), **definitions)


def _keys_model(name: str, keys: dict[str, Field], require: bool = True) -> type[BaseModel]:
    annotations = {key: _annotation(f.form, f.optional) for key, f in keys.items()}
    if "server" in keys or name == "defaults":
        annotations["default-server"] = _table(schema.server_defaults())
    return _model(name, annotations, (key for key, f in keys.items() if f.required and require))


_tables: dict[int, Any] = {}


def _table(table: Table) -> Any:
    """The annotation of a table, shorthands included; one pydantic model for each."""
    known = _tables.get(id(table))
    if known is None:
        keys = {**(table.inlined[1].fields if table.inlined else {}), **table.fields}
        model = _keys_model(table.cls.__name__, keys)
        known = _tables[id(table)] = Annotated[model, BeforeValidator(_opener(table))]
    return known


def _opener(table: Table) -> Callable[[Any], Any]:
    def opened(value: Any) -> Any:
        if value is True and table.switch:
            return {}
        return {table.main: value} if table.main and isinstance(value, str) else value

    return opened


def _annotation(form: Form, optional: bool = False) -> Any:
    match form:
        case Scalar(kind=kind, low=low, high=high):
            strict = {str: StrictStr, bool: StrictBool}.get(kind)
            return strict or Annotated[StrictInt, Limits(ge=low, le=high)]
        case Choice(words=words):
            return Literal[words]
        case Text(or_number=or_number):
            return StrictInt | StrictStr if or_number else StrictStr
        case Redispatch():
            return StrictBool | StrictInt
        case Many(item=item):
            return Annotated[list[_annotation(item)], BeforeValidator(_bracketed)]  # type: ignore[misc]
        case Logs():
            return Annotated[list[StrictStr], BeforeValidator(_bracketed)]
        case Table():
            opened = _table(form)
            return Annotated[opened | None, BeforeValidator(_off)] if optional else opened
        case _:
            return _special(form)


def _special(form: Form) -> Any:
    match form:
        case Named(table=table):
            return dict[str, _table(table)]  # type: ignore[misc]
        case Step():
            kinds: Any = Literal[tuple(STEP_OPTIONS)]
            words = dict[str, StrictBool | StrictStr | list[StrictStr]]
            return Annotated[dict[kinds, words], Limits(min_length=1, max_length=1)]
        case Users():
            return dict[str, _model("user", dict.fromkeys(form.words, StrictStr))]  # type: ignore[misc]
        case Groups():
            return dict[str, list[StrictStr]]
        case _:
            raise TypeError(f"no shape for {form!r}")


def _bracketed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _off(value: Any) -> Any:
    return None if value is False else value


# ----------------------------------------------------------------------------------------------------------- errors


def _report(detail: ErrorDetails, root: Node, report: Report) -> Path:
    """Report one of pydantic's errors at its place; the path to cut out."""
    path = _path(detail["loc"], root)
    node, whole = root.find(path)
    match detail["type"]:
        case "extra_forbidden":
            _report_unknown(path, node, report)
        case "missing":
            key = str(detail["loc"][-1])
            report(node.key_at, f'the key "{key}" is missing in [{_shown(path)}]', _example(path, key))
        case "literal_error" if detail["loc"][-1] == "[key]":
            report(node.key_at, f'"{path[-1]}" is not a step', _one_of(str(path[-1]), tuple(STEP_OPTIONS)))
            return path[:-1]
        case "too_short" | "too_long":
            report(node.at, "a step is a table of one key", f"one of {', '.join(STEP_OPTIONS)}")
        case "literal_error":
            form = _form_at(path)
            choice = form.item if isinstance(form, Many) else form
            words = choice.words if isinstance(choice, Choice) else ()
            report(node.at, f'"{_word(node)}" is not a value of "{_key(path)}"', _one_of(_word(node), words))
        case "greater_than_equal" | "less_than_equal":
            limit = detail["msg"].removeprefix("Input should be ")
            report(node.at, f'"{_key(path)}" cannot be {_word(node)}', f"a number {limit}")
        case _:
            report(node.at, f'"{_key(path)}" cannot be {_kind(node)}', f"write {_expected(path, detail)}")
    return path if whole else path[: _depth(path, root)]


def _one_of(word: str, candidates: tuple[str, ...]) -> str:
    near = nearest(word, candidates)
    return f'did you mean "{near}"?' if near else f"one of {', '.join(candidates)}"


def _path(loc: tuple[int | str, ...], root: Node) -> Path:
    """pydantic's location without what stands in no file: union members, brackets left out, a missing key."""
    path: Path = ()
    node = root
    for step in loc:
        child, found = node.find((step,))
        if found:
            path, node = (*path, step), child
    return path


def _depth(path: Path, root: Node) -> int:
    return next(n for n in range(len(path), -1, -1) if root.find(path[:n])[1])


def _report_unknown(path: Path, node: Node, report: Report) -> None:
    *outer, key = path
    where = _shown(tuple(outer))
    advice = _belongs(tuple(outer), str(key)) or _nearest_key(tuple(outer), str(key))
    report(node.key_at, f'unknown key "{key}"' + (f" in [{where}]" if where else ""), advice)


def _nearest_key(outer: Path, key: str) -> str:
    near = nearest(key.replace("_", "-"), _keys_at(outer))
    return f'did you mean "{near}"?' if near else ""


def _belongs(outer: Path, key: str) -> str:
    """Where a key belongs that stands in the wrong kind of section."""
    if len(outer) != 2 or outer[0] not in ("frontend", "backend"):
        return ""
    other = "backend" if outer[0] == "frontend" else "frontend"
    return f"this belongs in a [{other}.NAME]" if key in _keys_at((other, "")) else ""


def _shown(path: Path) -> str:
    return ".".join(str(step) for step in path if isinstance(step, str))


def _key(path: Path) -> str:
    return next((step for step in reversed(path) if isinstance(step, str)), "document")


def _word(node: Node) -> str:
    return str(node.value).lower() if isinstance(node.value, bool) else str(node.value)


_KINDS: dict[type, str] = {dict: "a table", list: "an array", bool: "a truth value", float: "a fraction"}


def _kind(node: Node) -> str:
    if isinstance(node.value, str):
        return f'the string "{node.value}"'
    if isinstance(node.value, int) and not isinstance(node.value, bool):
        return f"the number {node.value}"
    return _KINDS.get(type(node.value), f'"{node.value}"')


def _expected(path: Path, detail: ErrorDetails) -> str:
    form = _form_at(path)
    if isinstance(form, Many):
        form = form.item
    match form:
        case Text(phrase=phrase):
            return phrase.what
        case Scalar(kind=kind):
            return {str: "a string", bool: "true or false"}.get(kind, "a whole number")
        case Table(main=main, switch=switch):
            text = ", or an address alone" if main else ""
            return "a table" + text + (", or true" if switch else "")
        case Logs():
            return LOG_TARGET.what
        case Redispatch():
            return "true, or a number of retries"
        case _:
            return "a table" if detail["type"] in ("dict_type", "model_type") else detail["msg"].split("should be ")[-1]


def _example(path: Path, key: str) -> str:
    form = _form_at((*path, key))
    return f"write {form.phrase.what}" if isinstance(form, Text) else ""


# ------------------------------------------------------------------------------------- the schema at a path's end

_TOP: dict[str, Callable[[], dict[str, Field]]] = {
    "global": lambda: schema.table(m.Global).fields,
    "defaults": schema.defaults_keys,
    "frontend": lambda: schema.table(m.Frontend).fields,
    "backend": lambda: schema.table(m.Backend).fields,
    "listen": schema.listen_keys,
    "userlist": lambda: schema.table(m.UserList).fields,
}


def _fields_of(form: Form | None) -> dict[str, Field]:
    if isinstance(form, Many):
        form = form.item
    if isinstance(form, Named):
        form = form.table
    if not isinstance(form, Table):
        return {}
    return {**(form.inlined[1].fields if form.inlined else {}), **form.fields}


def _form_at(path: Path) -> Form | None:
    """The form of what stands at `path`; None where the schema has none."""
    steps = [step for step in path if isinstance(step, str)]
    if not steps or steps[0] not in _TOP:
        return None
    keys = _TOP[steps[0]]()
    form: Form | None = None
    rest = iter(steps[1:] if steps[0] in ("global", "defaults") else steps[2:])
    for step in rest:
        if step == "default-server":
            form = schema.server_defaults()
        else:
            form = keys[step].form if step in keys else None
        if isinstance(form, Named):
            next(rest, None)
        keys = _fields_of(form)
    return form


def _keys_at(path: Path) -> Iterable[str]:
    """The keys that may stand in the table at `path`."""
    if not path:
        return _TOP
    if len(path) == (1 if path[0] in ("global", "defaults") else 2):
        extra = {"default-server": None} if path[0] in ("defaults", "backend", "listen") else {}
        return {**_TOP[str(path[0])](), **extra}
    form = _form_at(path)
    if isinstance(form, Users):
        return form.words
    return _fields_of(form)
