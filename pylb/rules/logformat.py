"""Log-format strings: `%ci:%cp [%tr] %{+Q}r %[req.hdr(host)]`, for logs and for the texts of rules (manual 8.2).

A string is cut into literals, fields (`%ci`) and samples (`%[…]`). For a log they become one generated function: a
bytes template and a tuple of expressions, so that a line costs one formatting operation instead of a call per field.
For a rule they become a constant where nothing varies, else a function that joins the parts.

    flags     Q quotes strings, E escapes `"`, `\\` and `]`, X writes numbers and addresses in hexadecimal;
              `%{+Q}o` turns a flag on for everything behind it
    in logs   blanks are merged, what is empty is `-`, control characters are written #XX
    in rules  blanks stay, what is empty is empty, control characters in samples are written %XX, Q leaves samples alone
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pylb.config.expression import parse_sample_prefix
from pylb.config.model import NOWHERE, Origin, Sample
from pylb.rules import logfields
from pylb.rules.compile import compile_sample
from pylb.rules.context import Context
from pylb.rules.kinds import Kind
from pylb.rules.logfields import FIELDS, Field
from pylb.rules.registry import Getter
from pylb.rules.reply import Text
from pylb.rules.scope import Place, Scope

HTTPLOG = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"
FORMATS = {
    "httplog": HTTPLOG,
    "httpslog": HTTPLOG + " %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed]"
    " %[ssl_fc_sni]/%sslv/%sslc",
    "tcplog": "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq",
    "clf": '%{+Q}o %{-Q}ci - - [%trg] %r %ST %B "" "" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc'
    " %sq %bq %CC %CS %hrl %hsl",
}
"""`option httplog`, `option httpslog`, `option tcplog`, `option httplog clf` as log-format strings."""


# ----------------------------------------------------------------------------------------------------------- parsing


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a format: a literal, a field's name or a sample, with the flags in force."""

    literal: str = ""
    field: str = ""
    sample: Sample | None = None
    flags: frozenset[str] = frozenset()
    at: Origin = NOWHERE


_TOKEN = re.compile(r"%%|%(?:\{(?P<flags>[^}]*)\})?(?:(?P<name>[A-Za-z]+)|(?P<open>\[))|(?P<text>[^%]+)|%")


def parse_format(text: str, at: Origin, scope: Scope) -> list[Part] | None:
    """The parts of a format; None after reporting what is wrong."""
    parts: list[Part] = []
    standing: frozenset[str] = frozenset()
    position = 0
    complete = True
    while position < len(text):
        token = _TOKEN.match(text, position)
        assert token is not None
        where = Origin(at.file, at.line, at.column + position) if at.line else at
        flags = _flags(token["flags"], standing, where, scope) if token["flags"] is not None else standing
        start, position = position, token.end()
        if token["text"] or token[0] == "%%":
            parts.append(Part(literal=token["text"] or "%"))
        elif token["open"]:
            sample, position = _bracket(text, position, where, scope)
            if sample is None:
                complete = False
            else:
                parts.append(Part(sample=sample, flags=flags, at=where))
        elif token["name"] == "o":
            standing = flags
        elif token["name"]:
            parts.append(Part(field=token["name"], flags=flags, at=where))
        else:
            scope.report(
                where, f'"{text[start : start + 8]}" is no log variable', 'a percent sign itself is written "%%"'
            )
            complete = False
    return parts if complete else None


def _flags(text: str, standing: frozenset[str], at: Origin, scope: Scope) -> frozenset[str]:
    flags = set(standing)
    for word in text.split(","):
        sign, flag = word[:1], word[1:]
        if sign not in "+-" or flag not in ("Q", "X", "E"):
            scope.report(
                at, f'unknown flag "{word}" of a log variable', "flags are +Q, +X and +E, or - to turn one off"
            )
        elif sign == "+":
            flags.add(flag)
        else:
            flags.discard(flag)
    return frozenset(flags)


def _bracket(text: str, start: int, at: Origin, scope: Scope) -> tuple[Sample | None, int]:
    """The sample behind `%[` and where the text goes on."""
    sample, end = parse_sample_prefix(text, start, at, scope.report)
    if sample is None:
        closing = text.find("]", start)
        return None, len(text) if closing < 0 else closing + 1
    if text[end : end + 1] != "]":
        scope.report(at, f'expected "]" after "{text[start:end]}", found "{text[end : end + 10]}"')
        closing = text.find("]", end)
        return None, len(text) if closing < 0 else closing + 1
    return sample, end + 1


# -------------------------------------------------------------------------------------------------------------- logs


def compile_log(text: str, scope: Scope, at: Origin = NOWHERE) -> Callable[[Context], bytes] | None:
    """The function that makes a log line; `text` is a format or one of the names of FORMATS. None after reporting."""
    scope = scope.at(Place.LOG)
    parts = parse_format(FORMATS.get(text, text), at, scope)
    if parts is None:
        return None
    builder = _LineBuilder(scope)
    for part in parts:
        builder.add(part)
    return builder.function() if builder.valid else None


def compile_structured(text: str, scope: Scope, at: Origin = NOWHERE) -> Callable[[Context], bytes] | None:
    """The function for a `log-format-sd`. HAProxy sends what the format gives, so it must be whole RFC 5424
    elements, `[id@32473 key="%{+E}HU"]`; when it gives nothing there is none."""
    line = compile_log(text, scope, at)
    return None if line is None else lambda x: line(x).strip(b" ") or b"-"


class _LineBuilder:
    """Collects a template and expressions; the generated code holds names of ours only, never the user's text."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._template: list[bytes] = []
        self._expressions: list[str] = []
        self._names: dict[str, Any] = dict(logfields.NAMESPACE)
        self._uses_timers = False
        self._blank = True  # the line so far ends with a blank or is empty
        self._owes_blank = False  # an optional field comes last, behind a blank
        self.valid = True

    def add(self, part: Part) -> None:
        """Append a part."""
        if part.literal:
            self._literal(part.literal)
        elif part.sample is not None:
            self._sample(part, part.sample)
        else:
            self._field(part)

    def _literal(self, text: str) -> None:
        merged = re.sub(" +", " ", text)
        if self._owes_blank and merged.startswith(" "):
            # Between two blanks and with nothing to say, a field leaves one: the second belongs to it.
            self._expressions[-1] = f"spaced({self._expressions[-1]})"
            self._blank = True
        self._owes_blank = False
        if self._blank and merged.startswith(" "):
            merged = merged[1:]
        if merged:
            self._template.append(merged.encode().replace(b"%", b"%%"))
            self._blank = merged.endswith(" ")

    def _expression(self, form: bytes, expression: str) -> None:
        self._template.append(form)
        self._expressions.append(expression)
        self._blank = self._owes_blank = False

    def _bind(self, value: Any) -> str:
        name = f"v{len(self._names)}"
        self._names[name] = value
        return name

    def _sample(self, part: Part, sample: Sample) -> None:
        get = compile_sample(sample, self._scope, Kind.STR)
        if get is None:
            self.valid = False
        else:
            text = f"plain({self._bind(get)}(x) or b'')"
            self._expression(b"%b", logfields.dressed(text, part.flags, dash=True))

    def _field(self, part: Part) -> None:
        field = find_field(part, self._scope)
        if field is None:
            self.valid = False
            return
        self._uses_timers |= field.timers
        expression = field.expression(part.flags, dash=True)
        for name in field.bound:
            expression = expression.replace(f"${name}", self._bind(field.bound[name](self._scope)))
        if not field.optional:
            self._expression(field.form(part.flags), expression)
        elif field.present(self._scope):
            after_blank = self._blank
            self._expression(b"%b", expression)
            self._owes_blank = after_blank

    def function(self) -> Callable[[Context], bytes]:
        """The generated function."""
        template = self._bind(b"".join(self._template))
        timers = "    TR, Tw, Tc, Tr, Ta = timers(x)\n" if self._uses_timers else ""
        if self._uses_timers and not self._scope.http:
            timers = timers.replace("timers(x)", "tcp_timers(x)")
        values = "".join(f"{expression}, " for expression in self._expressions)
        source = f"def line(x):\n    s = x.session\n{timers}    return {template} % ({values})\n"
        exec(compile(source, "<log-format>", "exec"), self._names)
        line: Callable[[Context], bytes] = self._names["line"]
        return line


def find_field(part: Part, scope: Scope) -> Field | None:
    """The field of a part; None after reporting that there is none, or none in this mode."""
    field = FIELDS.get(part.field)
    if field is None:
        scope.report.unknown(part.at, "log variable", f"%{part.field}", [f"%{name}" for name in FIELDS])
    elif field.http and not scope.http:
        scope.report(part.at, f'"%{part.field}" is for "mode http"')
        return None
    return field


# ------------------------------------------------------------------------------------------------------------- texts

_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")


def compile_text(text: str, scope: Scope, at: Origin = NOWHERE) -> Text | None:
    """A header value, a location, a backend's name: bytes when constant, else a function. None after reporting."""
    parts = parse_format(text, at, scope)
    if parts is None:
        return None
    pieces = [_piece(part, scope) for part in parts]
    if any(piece is None for piece in pieces):
        return None
    if all(isinstance(piece, bytes) for piece in pieces):
        return b"".join(piece for piece in pieces if isinstance(piece, bytes))
    return _joined([piece for piece in pieces if piece is not None])


def _piece(part: Part, scope: Scope) -> Text | None:
    if part.literal:
        return part.literal.encode("utf-8", "surrogateescape")
    if part.sample is not None:
        get = compile_sample(part.sample, scope, Kind.STR)
        return None if get is None else _sample_piece(get, "E" in part.flags)
    field = find_field(part, scope)
    return None if field is None else _field_piece(field, part.flags, scope)


def _sample_piece(get: Getter, escape: bool) -> Callable[[Context], bytes]:
    def piece(x: Context) -> bytes:
        value = get(x)
        if not value:
            return b""
        assert isinstance(value, bytes)
        if _CONTROLS.search(value):
            value = _CONTROLS.sub(lambda m: b"%%%02X" % m[0][0], value)
        return logfields.escaped(value) if escape else value

    return piece


def _field_piece(field: Field, flags: frozenset[str], scope: Scope) -> Callable[[Context], bytes]:
    names = dict(logfields.NAMESPACE)
    expression = field.expression(flags, dash=False)
    for number, name in enumerate(field.bound):
        names[f"v{number}"] = field.bound[name](scope)
        expression = expression.replace(f"${name}", f"v{number}")
    timers = "    TR, Tw, Tc, Tr, Ta = timers(x)\n" if field.timers else ""
    source = f"def piece(x):\n    s = x.session\n{timers}    return {field.form(flags)!r} % ({expression},)\n"
    exec(compile(source, "<log-format>", "exec"), names)
    piece: Callable[[Context], bytes] = names["piece"]
    return piece


def _joined(pieces: list[Text]) -> Callable[[Context], bytes]:
    if len(pieces) == 1 and not isinstance(pieces[0], bytes):
        return pieces[0]
    if len(pieces) == 2 and isinstance(pieces[0], bytes) and not isinstance(pieces[1], bytes):
        prefix, tail = pieces
        return lambda x: prefix + tail(x)  # type: ignore[operator]
    return lambda x: b"".join([piece if isinstance(piece, bytes) else piece(x) for piece in pieces])
