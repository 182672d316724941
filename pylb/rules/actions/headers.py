"""Actions on header fields (manual: `http-request add-header` and its family, the same for responses)."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from pylb.http1.grammar import NEUTRAL, is_token
from pylb.rules.action import HEADERS, REQUEST_ONLY, Step, Words, action
from pylb.rules.context import Context
from pylb.rules.logformat import compile_text
from pylb.rules.matches import METHODS
from pylb.rules.patterns import compile_regex, expand_dynamic
from pylb.rules.registry import BadArgument
from pylb.rules.reply import Reply
from pylb.rules.samples.headers import elements

if TYPE_CHECKING:
    from pylb.http1.fields import Head


def head_of(words: Words) -> Callable[[Context], Head]:
    """The head that the rule is about."""
    return attrgetter("response" if words.scope.place.has_response else "request")


def header_name(text: str) -> bytes:
    """A field's name; raises BadArgument."""
    name = text.encode("latin-1", "replace")
    if not is_token(name):
        raise BadArgument(f'"{text}" is no header name')
    return name


@action("set-header", HEADERS)
def _set_header(words: Words) -> Step | None:
    words.expect(2, 2, "set-header NAME FORMAT")
    name, head = header_name(words.args[0]), head_of(words)
    value = compile_text(words.args[1], words.scope, words.at)
    if value is None:
        return None
    if isinstance(value, bytes):
        return lambda x: head(x).set(name, value)
    return lambda x: head(x).set(name, value(x))


@action("add-header", HEADERS)
def _add_header(words: Words) -> Step | None:
    words.expect(2, 2, "add-header NAME FORMAT")
    name, head = header_name(words.args[0]), head_of(words)
    value = compile_text(words.args[1], words.scope, words.at)
    if value is None:
        return None
    if isinstance(value, bytes):
        return lambda x: head(x).add(name, value)
    return lambda x: head(x).add(name, value(x))


@action("early-hint", REQUEST_ONLY)
def _early_hint(words: Words) -> Step | None:
    """A 103 with one field, at once (RFC 8297). Clients of HTTP/1.0 know no interim responses."""
    words.expect(2, 2, "early-hint NAME FORMAT")
    name = header_name(words.args[0]).lower()
    value = compile_text(words.args[1], words.scope, words.at)
    if value is None:
        return None

    def hint(x: Any) -> Reply | None:
        text = value if isinstance(value, bytes) else value(x)
        if x.request.version:
            x.write(b"HTTP/1.1 103 Early Hints\r\n%b: %b\r\n\r\n" % (name, text.translate(NEUTRAL)))
        return None

    return hint


@action("del-header", HEADERS)
def _del_header(words: Words) -> Step | None:
    if len(words.args) not in (1, 3) or (len(words.args) == 3 and words.args[1] != "-m"):
        raise BadArgument('"del-header" is written del-header NAME [-m str|beg|end|sub|reg]')
    head = head_of(words)
    method = words.args[2] if len(words.args) == 3 else "str"
    if method == "str":
        name = header_name(words.args[0])

        def delete(x: Context) -> Reply | None:
            head(x).remove(name)
            return None

        return delete
    if method not in ("beg", "end", "sub", "reg"):
        raise BadArgument(f'"del-header" matches names by str, beg, end, sub or reg, not by "{method}"')
    matches = METHODS[method].build((words.args[0].lower() if method != "reg" else words.args[0],), True)

    def delete_matching(x: Context) -> Reply | None:
        fields = head(x)
        for name in set(fields.names()):
            if matches(name):
                fields.remove(name)
        return None

    return delete_matching


@action("replace-header replace-value", HEADERS)
def _replace(words: Words) -> Step | None:
    """replace-header looks at whole fields, replace-value at each comma-separated element; what matches is replaced
    as a whole by the format, in which \\1 … \\9 are the groups of the expression."""
    words.expect(3, 3, f"{words.name} NAME REGEX FORMAT")
    name, head = header_name(words.args[0]), head_of(words)
    pattern = compile_regex(words.args[1])
    template = compile_text(words.args[2], words.scope, words.at)
    if template is None:
        return None
    expand = expand_dynamic(template)
    whole = words.name == "replace-header"

    def edited(value: bytes, x: Context) -> bytes:
        match = pattern.search(value)
        return value if match is None else expand(match, x)

    def replace(x: Context) -> Reply | None:
        fields = head(x)
        old = fields.get_all(name)
        if old:
            pieces = [[value] if whole else elements(value) for value in old]
            new = [b", ".join([edited(piece, x) for piece in parts]) for parts in pieces]
            if new != old:
                fields.replace(name, new)
        return None

    return replace
