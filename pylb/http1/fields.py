"""Header fields as one validated block of bytes.

A head keeps its fields as they came: `block` is every field line with its CRLF in front. Nothing is split into pairs
before somebody asks. Because the block was validated as a whole, `CRLF name ":"` can only stand where a field starts,
so `bytes.find` in a lower-cased copy is a correct lookup (0.2-0.3 µs; a dict of ten fields costs 2 µs to build).

Invariant: a block has no control character but HTAB and the CRLF before each field, and each field has a token for a
name. Every edit keeps it: what a rule puts into a value loses its control characters, and a name that is no token is
refused. Content-Length and Transfer-Encoding cannot be edited as fields at all, because the body's end was decided by
them; `set_length`, `set_chunked` and `drop_framing` are for those who change the body.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from pylb.http1.errors import ProtocolError
from pylb.http1.grammar import NEUTRAL, find_elements, is_token

FRAMING_FIELDS = frozenset((b"content-length", b"transfer-encoding"))


@lru_cache(maxsize=4096)
def _needle(name: bytes) -> bytes:
    """What starts a field of this name in the lower-cased block; the cache makes it 40 ns instead of 110."""
    return b"\r\n%b:" % name.lower()


@lru_cache(maxsize=4096)
def _prefix(name: bytes) -> bytes:
    """What starts a field that we write; b"" for the framing fields.

    Raises ProtocolError (500) when the name is no token.
    """
    if not is_token(name):
        raise ProtocolError(500, "a rule made a header name that is no token")
    return b"" if name.lower() in FRAMING_FIELDS else b"\r\n%b: " % name


class Head:
    """What requests and responses have in common: their fields. Names may be given in any case."""

    __slots__ = ("_lower", "block")

    block: bytes
    """Every field as b"\\r\\nName: value", concatenated; no final CRLF. b"" without fields."""
    _lower: bytes | None
    """`block` in lower case, or None after an edit."""

    def _lowered(self) -> bytes:
        lower = self._lower
        if lower is None:
            lower = self._lower = self.block.lower()
        return lower

    # ------------------------------------------------------------------------------------------------- looking up

    def get(self, name: bytes) -> bytes | None:
        """The value of the first field of that name without surrounding whitespace; None without one."""
        lower = self._lower
        if lower is None:
            lower = self._lower = self.block.lower()
        needle = _needle(name)
        at = lower.find(needle)
        if at < 0:
            return None
        at += len(needle)
        end = lower.find(b"\r", at)
        return (self.block[at:] if end < 0 else self.block[at:end]).strip(b" \t")

    def has(self, name: bytes) -> bool:
        """Whether there is a field of that name."""
        return self._lowered().find(_needle(name)) >= 0

    def mentions(self, search: Callable[[bytes], object]) -> bool:
        """Whether a compiled pattern's `search` finds something in the lower-cased block, where each field is
        b"\\r\\nname: value": one look for several names."""
        return search(self._lowered()) is not None

    def count(self, name: bytes) -> int:
        """How many field lines have that name."""
        return self._lowered().count(_needle(name))

    def get_all(self, name: bytes) -> list[bytes]:
        """The values of all fields of that name, in order, without surrounding whitespace."""
        return [self.block[colon + 1 : end].strip(b" \t") for _, colon, end in self._places(name)]

    def last(self, name: bytes) -> bytes | None:
        """The value of the last field of that name; None without one."""
        at = self._lowered().rfind(_needle(name))
        if at < 0:
            return None
        _, colon, end = self._place(at, len(name))
        return self.block[colon + 1 : end].strip(b" \t")

    def values(self, name: bytes) -> list[bytes]:
        """The comma-separated elements of all fields of that name (RFC 9110 5.6.1): quotes respected, empty ones left
        out, whitespace around them removed."""
        if not self.has(name):
            return []
        elements = [e.strip(b" \t") for value in self.get_all(name) for e in find_elements(value)]
        return [e for e in elements if e]

    def fields(self) -> list[tuple[bytes, bytes]]:
        """All fields as (name, value) in order, names as received."""
        pairs = [line.split(b":", 1) for line in self.block.split(b"\r\n")[1:]]
        return [(name, value.strip(b" \t")) for name, value in pairs]

    def names(self) -> list[bytes]:
        """The names of all fields, lower-cased, in order."""
        return [line.split(b":", 1)[0] for line in self._lowered().split(b"\r\n")[1:]]

    def _place(self, at: int, name_length: int) -> tuple[int, int, int]:
        end = self.block.find(b"\r", at + 2)
        return at, at + 2 + name_length, end if end >= 0 else len(self.block)

    def _places(self, name: bytes) -> list[tuple[int, int, int]]:
        """(start of its CRLF, its colon, its end) of each field of that name."""
        lower, needle = self._lowered(), _needle(name)
        places = []
        at = lower.find(needle)
        while at >= 0:
            places.append(self._place(at, len(name)))
            at = lower.find(needle, at + len(needle))
        return places

    # ------------------------------------------------------------------------- for those who know what they look for
    # `needle` is CRLF, a name in lower case, and a colon; a line begins with its CRLF, and its name is a token and its
    # value free of controls, because it was made at load or is a piece of this very block. Each of these is one step of
    # what get, set and add do together, for those who ask on every request (backend/persist.py).

    def place(self, needle: bytes) -> tuple[int, int] | None:
        """Where in `block` the first line of `needle` begins and ends; None without one."""
        lower = self._lower
        if lower is None:
            lower = self._lower = self.block.lower()
        start = lower.find(needle)
        if start < 0:
            return None
        end = lower.find(b"\r", start + 2)
        return start, end if end >= 0 else len(lower)

    def repeats(self, needle: bytes, end: int) -> bool:
        """Whether there is another such line behind `end`; to be asked before any edit."""
        return self._lowered().find(needle, end) >= 0

    def put(self, start: int, end: int, line: bytes) -> None:
        """`line` in place of block[start:end]; b"" takes it out."""
        self.block = self.block[:start] + line + self.block[end:]
        self._lower = None

    def cut_line(self, line: bytes) -> bool:
        """Take out the one line that stands there exactly so, letter by letter; False when there is none. A quarter of
        what `remove` costs, which looks for any spelling and for more of them."""
        before, found, after = self.block.partition(line)
        if not found or (after and after[0] != 13):  # 13 CR: else a longer value begins like this one
            return False
        self.block = before + after
        self._lower = None
        return True

    def append(self, lines: bytes) -> None:
        """Add whole lines at the end."""
        self.block += lines
        self._lower = None

    # ---------------------------------------------------------------------------------------------------- editing

    def add(self, name: bytes, value: bytes) -> None:
        """Append a field. Control characters in the value become spaces. Framing fields: ignored.

        Raises ProtocolError (500) when the name is no token.
        """
        prefix = _prefix(name)
        if prefix:
            self.block += prefix + value.translate(NEUTRAL)
            self._lower = None

    def set(self, name: bytes, value: bytes) -> None:
        """Replace all fields of that name by one, which stands where the first one stood or at the end. Control
        characters and framing fields as in `add`."""
        prefix = _prefix(name)
        if prefix:
            self._put(name, prefix + value.translate(NEUTRAL))

    def remove(self, name: bytes) -> int:
        """Remove all fields of that name; how many there were. Framing fields: ignored, 0."""
        if name.lower() in FRAMING_FIELDS:
            return 0
        return self._cut(name)

    def replace(self, name: bytes, values: list[bytes]) -> None:
        """Give the fields of that name new values, one for each in order; each keeps its place. Control characters and
        framing fields as in `add`. A value more or less than there are fields: ValueError."""
        prefix = _prefix(name)
        if not prefix:
            return
        block = self.block
        for (at, _, end), value in reversed(list(zip(self._places(name), values, strict=True))):
            block = block[:at] + prefix + value.translate(NEUTRAL) + block[end:]
        self.block = block
        self._lower = None

    def _put(self, name: bytes, line: bytes) -> None:
        lower, needle = self._lowered(), _needle(name)
        at = lower.find(needle)
        if at < 0:
            self.block += line
        else:
            end = lower.find(b"\r", at + 2)
            if end >= 0 and lower.find(needle, end) >= 0:
                self._cut(name)
                end = at
            block = self.block
            self.block = block[:at] + line if end < 0 else b"%b%b%b" % (block[:at], line, block[end:])
        self._lower = None

    def _cut(self, name: bytes) -> int:
        return self.remove_lines(_needle(name))

    def remove_lines(self, needle: bytes) -> int:
        """Remove every field that starts with `needle`, CRLF, its name in lower case, and a colon; for names that peers
        choose, which no cache should keep. How many there were."""
        lower, block = self._lowered(), self.block
        removed = 0
        at = lower.find(needle)
        while at >= 0:
            end = lower.find(b"\r", at + 2)
            if end < 0:
                end = len(lower)
            block = block[:at] + block[end:]
            lower = lower[:at] + lower[end:]
            removed += 1
            at = lower.find(needle, at)
        self.block, self._lower = block, lower
        return removed

    # ---------------------------------------------------------------------------------------------------- framing

    def set_length(self, length: int) -> None:
        """The body is `length` bytes from now on: exactly one Content-Length and no Transfer-Encoding."""
        self._cut(b"transfer-encoding")
        self._put(b"content-length", b"\r\nContent-Length: %d" % length)

    def set_chunked(self) -> None:
        """The body is sent in chunks from now on: exactly one Transfer-Encoding and no Content-Length."""
        self._cut(b"content-length")
        self._put(b"transfer-encoding", b"\r\nTransfer-Encoding: chunked")

    def drop_framing(self) -> None:
        """No body, or one that ends with the connection: neither Content-Length nor Transfer-Encoding."""
        self._cut(b"content-length")
        self._cut(b"transfer-encoding")
