"""show errors: the last request of each frontend, and the last response of each backend, that was no HTTP."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence

from pylb.admin.control.names import is_called
from pylb.admin.control.registry import Kind, command
from pylb.admin.control.session import Level, Session
from pylb.admin.rows import Section, sections
from pylb.admin.world import Running
from pylb.backend.operate import Refused
from pylb.net.listener import BadMessage

PER_LINE = 70
"""Characters of the message on one line of the dump, so that none has more than 79."""


def _newest(answers: list[bytes]) -> bytes:
    """Every process has its own last message of a proxy: the newest of them is the last, and what they have seen is
    added up."""
    reports: dict[bytes, tuple[float, bytes]] = {}
    total = 0
    for head, *blocks in (answer.split(_BETWEEN) for answer in answers):
        count = _TOTAL.search(head)
        if count is None:  # a refusal, which all say alike
            return head
        total += int(count[1])
        for block in blocks:
            wall, _, report = block.removesuffix(b"\n").partition(b" ")
            proxy = _PROXY.search(report)[1]  # type: ignore[index]
            reports[proxy] = max(reports.get(proxy, (0.0, b"")), (float(wall), report))
    ordered = (reports[proxy][1] for proxy in sorted(reports, key=int))
    return _BETWEEN.join((_head(total).encode(), *ordered)) + b"\n"


_BETWEEN = b"\n \n"
_TOTAL = re.compile(rb"^Total events captured on .* : (\d+)$")
_PROXY = re.compile(rb" \(#(\d+)\): ")


@command(
    "show errors",
    "[<px>] [request|response]",
    help="report last request and/or response errors for each proxy",
    kind=Kind.GATHER,
    level=Level.OPERATOR,
    join=lambda answers: _newest([answer for answer in answers if answer]),
)
def show_errors(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """All proxies', or those of one, by name or number; of both directions, or one. Each report begins with its moment,
    for _newest."""
    lines = []
    for section in _chosen(world, words):
        if "response" not in words[1:] and section.frontend is not None:
            bad = section.frontend.last_error
            if bad is not None:
                lines += ["", *_report(section, bad)]
    last = (section.frontend.last_error for section in sections(world) if section.frontend is not None)
    total = sum(bad.number + 1 for bad in last if bad is not None)
    return "\n".join(line or " " for line in (_head(total), *lines, "")).rstrip(" ").encode("latin-1", "replace")


def _head(total: int) -> str:
    return f"Total events captured on [{_stamp(time.time())}] : {total}"


def _chosen(world: Running, words: Sequence[str]) -> list[Section]:
    if not words or words[0] in ("-1", "request", "response"):
        return sections(world)
    found = [each for each in sections(world) if is_called(each, words[0]) or words[0] == str(each.iid)]
    if not found and not re.fullmatch(r"-?\d+", words[0]):
        raise Refused("No such proxy.")
    return found


def _report(section: Section, bad: BadMessage) -> Iterator[str]:
    yield f"{bad.wall} [{_stamp(bad.wall)}] frontend {section.name} (#{section.iid}): invalid request"
    yield f"  backend <NONE> (#-1), server <NONE> (#-1), event #{bad.number}, src {bad.source}"
    yield f"  len {bad.size}, {bad.reason} :"
    yield "  "
    yield from dump(bad.data)


def _stamp(wall: float) -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S", time.localtime(wall)) + f".{int(wall * 1000) % 1000:03d}"


def dump(data: bytes) -> Iterator[str]:
    """The bytes as text, what cannot be printed escaped, each line with the offset of its first; "+" marks the rest of
    a line that was too long."""
    start, text, mark = 0, "", " "
    for at, byte in enumerate(data):
        shown = _escaped(byte)
        if len(text) + len(shown) > PER_LINE:
            yield f"  {start:05d}{mark} {text}"
            start, text, mark = at, "", "+"
        text += shown
        if byte == 10:
            yield f"  {start:05d}{mark} {text}"
            start, text, mark = at + 1, "", " "
    if text:
        yield f"  {start:05d}{mark} {text}"


_NAMES = {9: "\\t", 10: "\\n", 13: "\\r", 27: "\\e", 92: "\\\\"}


def _escaped(byte: int) -> str:
    return _NAMES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02X}")
