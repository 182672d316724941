"""Actions on the request line (manual: `http-request set-path` and its family)."""

from __future__ import annotations

from collections.abc import Callable

from pylb.rules.action import REQUEST_ONLY, Step, Words, action
from pylb.rules.context import Context
from pylb.rules.logformat import compile_text
from pylb.rules.patterns import compile_regex, expand_dynamic
from pylb.rules.reply import Reply


def _set_pathq(x: Context, value: bytes) -> None:
    x.request.set_uri(value)


def _set_path(x: Context, value: bytes) -> None:
    x.request.set_path(value)


def _set_query(x: Context, value: bytes) -> None:
    x.request.set_query(value)


def _set_method(x: Context, value: bytes) -> None:
    x.request.set_method(value)


_SETTERS: dict[str, Callable[[Context, bytes], None]] = {
    "set-path": _set_path,
    "set-pathq": _set_pathq,
    "set-query": _set_query,
    "set-uri": _set_pathq,
    "set-method": _set_method,
}


@action(" ".join(_SETTERS), REQUEST_ONLY)
def _set(words: Words) -> Step | None:
    words.expect(1, 1, f"{words.name} FORMAT")
    value = compile_text(words.args[0], words.scope, words.at)
    if value is None:
        return None
    setter = _SETTERS[words.name]

    def step(x: Context) -> Reply | None:
        setter(x, value if isinstance(value, bytes) else value(x))
        return None

    return step


_PARTS: dict[str, tuple[Callable[[Context], bytes], Callable[[Context, bytes], None]]] = {
    "replace-path": (lambda x: x.request.path, _set_path),
    "replace-pathq": (lambda x: x.request.uri, _set_pathq),
    "replace-uri": (lambda x: x.request.uri, _set_pathq),
}


@action(" ".join(_PARTS), REQUEST_ONLY)
def _replace(words: Words) -> Step | None:
    """What matches is replaced as a whole by the format."""
    words.expect(2, 2, f"{words.name} REGEX FORMAT")
    pattern = compile_regex(words.args[0])
    template = compile_text(words.args[1], words.scope, words.at)
    if template is None:
        return None
    expand = expand_dynamic(template)
    get, put = _PARTS[words.name]

    def step(x: Context) -> Reply | None:
        match = pattern.search(get(x))
        if match is not None:
            put(x, expand(match, x))
        return None

    return step
