"""`ring NAME` sections (manual: 3.9 "Rings"): the way to a syslog server over TCP that `log ring@NAME` takes.

A ring here is what it sends: each of its servers becomes a log target with the ring's format and length, and its lines
wait in that target's buffer (admin/logstream.py). So a ring that only keeps lines, for `show events`, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from pylb.config import values
from pylb.config.haproxy.keywords import Keyword, Line, Refusal, Table
from pylb.config.haproxy.logs import FORMATS
from pylb.config.haproxy.scalars import choice, duration, integer, size
from pylb.config.model import LogTarget, Origin
from pylb.config.words import Report, Word

PREFIX = "ring@"


class RingDraft:
    """One section."""

    def __init__(self, name: str, at: Origin) -> None:
        self.name = name
        self.at = at
        self.format = ""
        self.length = 1024
        self.servers: list[str] = []
        """As addresses of log targets."""

    def targets(self, target: LogTarget) -> tuple[LogTarget, ...]:
        """What a `log ring@NAME` line comes to."""
        return tuple(
            replace(target, address=address, format=self.format, length=self.length) for address in self.servers
        )


def resolve_rings(
    targets: tuple[LogTarget, ...], rings: Mapping[str, RingDraft], report: Report
) -> tuple[LogTarget, ...]:
    """The targets, those of rings replaced; a ring that there is not, or that leads nowhere, is reported."""
    found: list[LogTarget] = []
    for target in targets:
        if not target.address.startswith(PREFIX):
            found.append(target)
            continue
        name = target.address.removeprefix(PREFIX)
        ring = rings.get(name)
        if ring is None:
            report.unknown(target.at, "ring", name, rings)
        elif not ring.servers:
            report(
                target.at, f'ring "{name}" has no server: its lines would go nowhere', "add server NAME ADDRESS:PORT"
            )
        else:
            found += [each for each in ring.targets(target) if each not in found]
    return tuple(found)


def _read_format(ring: RingDraft, line: Line) -> None:
    ring.format = line.value(choice(*FORMATS, kind="log format"))


def _read_maxlen(ring: RingDraft, line: Line) -> None:
    ring.length = line.value(integer(80, 65535))


def _read_server(ring: RingDraft, line: Line) -> None:
    line.next("a name")
    place = line.next("an address, as in 127.0.0.1:514").as_address
    framing = "legacy"
    while line.more:
        option = line.value(choice("log-proto", "check", kind="option of a ring's server:"))
        if option == "log-proto":
            framing = line.value(choice("legacy", "octet-count", kind="log-proto"))
    ring.servers.append(f"{'tcp' if framing == 'legacy' else 'tcp-octets'}@{_server_address(place)}")


def _server_address(word: Word) -> str:
    try:
        parsed = values.parse_address(word.text)
    except ValueError as error:
        raise Refusal(word.at, str(error)) from error
    if parsed.kind != "inet" or not parsed.port:
        raise Refusal(word.at, f'"{word.text}" is no address and port', "as in 127.0.0.1:514")
    return word.text


def _skip(parse: Callable[[Word], object]) -> Callable[[RingDraft, Line], None]:
    def read(_ring: RingDraft, line: Line) -> None:
        line.value(parse)

    return read


def _skip_rest(_ring: RingDraft, line: Line) -> None:
    line.rest()


RING_KEYWORDS: Table[RingDraft] = Table(
    [
        Keyword("backing-file", None, status="unsupported", note="lines wait in memory"),
        Keyword("description", _skip_rest),
        Keyword("format", _read_format),
        Keyword("maxlen", _read_maxlen),
        Keyword("server", _read_server, note="an address and log-proto; no TLS"),
        Keyword("size", _skip(size), note="1 MiB are buffered for each server"),
        Keyword("timeout connect", _skip(duration()), note="a connection is tried once a second"),
        Keyword("timeout server", _skip(duration()), note="the server has nothing to say"),
    ]
)
