"""Every keyword of HAProxy's language and what pylb makes of it: the tables as data, for the manual and for tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pylb.config.haproxy.bind import BIND_OPTIONS
from pylb.config.haproxy.global_section import GLOBAL_KEYWORDS
from pylb.config.haproxy.keywords import Status, Table
from pylb.config.haproxy.proxy_keywords import PROXY_KEYWORDS
from pylb.config.haproxy.reader import HTTP_ERRORS_KEYWORDS, SECTIONS, UNSUPPORTED_SECTIONS
from pylb.config.haproxy.rings import RING_KEYWORDS
from pylb.config.haproxy.server import SERVER_OPTIONS
from pylb.config.haproxy.userlists import USERLIST_KEYWORDS

_TABLES: dict[str, Table[Any]] = {
    "global": GLOBAL_KEYWORDS,
    "proxies": PROXY_KEYWORDS,
    "bind": BIND_OPTIONS,
    "server": SERVER_OPTIONS,
    "userlist": USERLIST_KEYWORDS,
    "http-errors": HTTP_ERRORS_KEYWORDS,
    "ring": RING_KEYWORDS,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A keyword, where it may stand and what becomes of it."""

    context: str
    """"section", "global", "proxies", "bind" and "server" (their options), "userlist", "http-errors", "ring"."""
    name: str
    status: Status
    """supported, ignored (accepted with a warning), unsupported or removed (errors)."""
    differing: bool
    """Supported or kept for old files, but not as HAProxy has it: see the note."""
    note: str


def keywords() -> Iterator[Entry]:
    """All keywords, by context and in the tables' order."""
    for name in SECTIONS:
        yield Entry("section", name, "supported", False, "")
    for name, note in UNSUPPORTED_SECTIONS.items():
        yield Entry("section", name, "unsupported", False, note)
    for context, table in _TABLES.items():
        for row in table:
            differing = (row.status == "supported" and bool(row.note)) or (
                row.status == "removed" and row.read is not None
            )
            yield Entry(context, row.name, row.status, differing, row.note)


_HEADINGS = {
    "section": "Sections",
    "global": "`global`",
    "proxies": "`defaults`, `frontend`, `listen`, `backend`",
    "bind": "Options of `bind`",
    "server": "Options of `server` and `default-server`",
    "userlist": "`userlist`",
    "http-errors": "`http-errors`",
    "ring": "`ring`",
}


def markdown() -> str:
    """docs/keywords.md: every keyword, what becomes of it, and why."""
    rows = list(keywords())
    lines = [
        "# HAProxy's keywords in pylb",
        "",
        "Made from the tables that the reader works with: `python -m pylb.config.haproxy.listing > docs/keywords.md`.",
        "What rules and conditions are written with (samples, converters, actions) is in [samples.md](samples.md).",
        "",
        "- **supported**: means what HAProxy 2.6's manual says; *differing* where the note tells otherwise",
        "- **ignored**: accepted with a warning, because it changes nothing here",
        "- **unsupported**: an error that names it",
        "- **removed**: gone from HAProxy too; an error, or kept for old files where the note says so",
    ]
    for context, heading in _HEADINGS.items():
        lines += ["", f"## {heading}", "", "| keyword | status | note |", "| --- | --- | --- |"]
        for row in rows:
            if row.context == context:
                status = f"{row.status}, differing" if row.differing else row.status
                lines.append(f"| `{row.name}` | {status} | {row.note.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
