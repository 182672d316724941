"""Sample fetches, converters and actions as a manual page: what the rule engine has, what of HAProxy's it has not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pylb.rules import actions, converters, known, samples
from pylb.rules.action import ACTIONS
from pylb.rules.kinds import Kind
from pylb.rules.matches import METHODS
from pylb.rules.registry import CONVERTERS, FETCHES, Needs
from pylb.rules.scope import Place

REGISTERED = (samples, converters, actions)
"""Importing these fills the registries."""

_NEEDS = {
    Needs.STREAM: "a request or stream",
    Needs.REQUEST: "a request",
    Needs.RESPONSE: "a response",
    Needs.EITHER: "a message",
    Needs.STATUS: "a status",
    Needs.PAYLOAD: "a client's first bytes in TCP mode",
}


def markdown() -> str:
    """docs/samples.md."""
    lines = [
        "# Samples, converters, matches and actions",
        "",
        "What rules, ACLs and log formats of pylb are written with, by HAProxy's names and with its manual's meaning.",
        "Made from the rule engine's registries: `python -m pylb.rules.listing > docs/samples.md`. What is not there",
        "is an error that says so.",
        "",
        *_table("Sample fetches", ("fetch", "gives", "needs"), _fetches()),
        *_missing(known.FETCHES.split(), FETCHES, known.FETCH_FAMILIES),
        *_table("Converters", ("converter", "from → to"), _converters()),
        *_missing(known.CONVERTERS.split(), CONVERTERS, known.CONVERTER_FAMILIES),
        *_table("Match methods", ("method",), ((f"`-m {name}`",) for name in sorted(METHODS))),
        *_table("Actions", ("action", "in"), _actions()),
        *_missing(known.ACTIONS.split(), ACTIONS, {r"lua\..*": "Lua"}),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(heading: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield from (f"## {heading}", "", f"| {' | '.join(columns)} |", f"| {' | '.join('---' for _ in columns)} |")
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _form(name: str, args: tuple[str, ...]) -> str:
    return f"`{name}({','.join(args)})`" if args else f"`{name}`"


def _kind(kind: Kind) -> str:
    return kind.name.lower()


def _fetches() -> Iterator[tuple[str, ...]]:
    for name, fetch in sorted(FETCHES.items()):
        needs = ", ".join(text for flag, text in _NEEDS.items() if fetch.needs & flag)
        yield _form(name, fetch.args), _kind(fetch.kind), needs


def _converters() -> Iterator[tuple[str, ...]]:
    for name, converter in sorted(CONVERTERS.items()):
        yield _form(name, converter.args), f"{_kind(converter.source)} → {_kind(converter.result)}"


def _actions() -> Iterator[tuple[str, ...]]:
    for name, action in sorted(ACTIONS.items()):
        places = [place for place in Place if place in action.places]
        yield f"`{name}`", ", ".join(f"`{place.value.removesuffix(' rule')}`" for place in places)


def _missing(names: Iterable[str], there: Mapping[str, object], families: Mapping[str, str]) -> Iterator[str]:
    """What HAProxy 2.6 has beside them."""
    yield "Not supported:"
    yield ""
    yield "- " + ", ".join(f"`{name}`" for name in sorted(names) if name not in there)
    yield from (f"- what else matches `{pattern}`: {what}" for pattern, what in families.items())
    yield ""


if __name__ == "__main__":
    print(markdown(), end="")
