"""show errors: the last request of each frontend, and the last response of each backend, that was no HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from pylb.admin.control.registry import Kind, command
from pylb.admin.control.session import Level, Session
from pylb.admin.rows import Section, sections
from pylb.admin.world import Running
from pylb.backend.operate import Refused
from pylb.net.listener import BadMessage

PER_LINE = 60
"""Bytes of the message on one line of the dump."""


@command(
    "show errors",
    "[<px>] [request|response]",
    help="report last request and/or response errors for each proxy",
    kind=Kind.GATHER,
    level=Level.OPERATOR,
)
def show_errors(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """All proxies', or those of one, by name or number; of both directions, or one."""
    lines = []
    for section in _chosen(world, words):
        if "response" not in words[1:] and section.frontend is not None:
            bad = section.frontend.last_error
            if bad is not None:
                lines += ["", *_report(section, bad)]
    total = sum(section.frontend is not None and section.frontend.last_error is not None for section in sections(world))
    head = f"Total events captured on [{_stamp(time.time())}] : {total}"
    return "\n".join(line or " " for line in (head, *lines, "")).rstrip(" ").encode("latin-1", "replace")


def _chosen(world: Running, words: Sequence[str]) -> list[Section]:
    if not words or words[0] in ("-1", "request", "response"):
        return sections(world)
    found = [section for section in sections(world) if words[0] in (section.name, str(section.iid))]
    if not found:
        raise Refused("No such proxy.")
    return found


def _report(section: Section, bad: BadMessage) -> Iterator[str]:
    yield f"[{_stamp(bad.wall)}] frontend {section.name} (#{section.iid}): invalid request"
    yield f"  backend <NONE> (#-1), server <NONE> (#-1), event #{bad.number}, src {bad.source}"
    yield f"  len {bad.size}, {bad.reason} :"
    yield "  "
    for offset, text in dump(bad.data):
        yield f"  {offset:05d}  {text}"


def _stamp(wall: float) -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S", time.localtime(wall)) + f".{int(wall * 1000) % 1000:03d}"


def dump(data: bytes) -> Iterator[tuple[int, str]]:
    """The bytes as text, a line each, what cannot be printed escaped; with the offset of each line's first."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        end = min(end, start + PER_LINE)
        yield start, "".join(_escaped(byte) for byte in data[start:end])
        start = end


_NAMES = {9: "\\t", 10: "\\n", 13: "\\r", 27: "\\e", 92: "\\\\"}


def _escaped(byte: int) -> str:
    return _NAMES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02X}")
