"""The chunked coding (RFC 9112 7.1), watched while it passes.

The bytes of a chunked body are forwarded as they came; all that is needed is to know where they end and that they are
valid, so `feed` counts and copies nothing but the pieces of a line that was cut by the end of the data. A large chunk
costs one comparison per call.

    FIRST   expects  size [ext] CRLF
    DATA    `left` bytes of the chunk are still to come
    NEXT    expects  CRLF size [ext] CRLF, the first CRLF being the end of the chunk's data
    TRAILER expects  *( CRLF field-line ) CRLF CRLF, the CRLF of the last chunk's line counted in, as in a head
    DONE

Strict where parsers are known to differ: CRLF only, no whitespace in a size line, extensions by the grammar (a bare LF
in one has been used to smuggle requests), sizes below 2^63. Bounded: a size line of MAX_LINE bytes, MAX_EXTENSIONS
bytes of extensions in one message, MAX_TRAILER bytes of trailers.

Trailer fields that RFC 9110 6.5.1 forbids (framing, routing, connection, authentication) make the message malformed.
The RFC would also allow dropping them; but the bytes are forwarded as they come, and no honest sender has one.
"""

from __future__ import annotations

from typing import Final

from pylb.http1.errors import ProtocolError
from pylb.http1.framing import MAX_LENGTH
from pylb.http1.grammar import CHUNK_EXTENSIONS, FIELD_LINE, TOKEN
from pylb.http1.patterns import compiled

MAX_LINE: Final = 1024
MAX_EXTENSIONS: Final = 16384
MAX_TRAILER: Final = 8192
MAX_TRAILER_FIELDS: Final = 64

FORBIDDEN_TRAILERS: Final = frozenset(
    (
        b"transfer-encoding", b"content-length", b"host", b"trailer", b"te", b"connection", b"keep-alive",
        b"proxy-connection", b"upgrade", b"expect", b"max-forwards", b"authorization", b"proxy-authorization",
        b"www-authenticate", b"proxy-authenticate", b"cookie", b"set-cookie", b"content-encoding", b"content-type",
        b"content-range",
    )
)  # fmt: skip

_SIZE_LINE: Final = rb"([0-9A-Fa-f]{1,16})(" + CHUNK_EXTENSIONS + rb")\r\n"
_match_first: Final = compiled(_SIZE_LINE).match
_match_next: Final = compiled(rb"\r\n" + _SIZE_LINE).match
_match_trailer: Final = compiled(rb"(?:\r\n" + FIELD_LINE + rb"){0,%d}+" % MAX_TRAILER_FIELDS).fullmatch
_match_trailer_prefix: Final = compiled(
    rb"(?:\r\n" + FIELD_LINE + rb"){0,%d}+(?:\r(?:\n(?:\r|" % MAX_TRAILER_FIELDS + TOKEN + rb")?+)?+)?+"
).fullmatch
# What a size line that is not complete may look like: extensions are judged when the line is.
_line_prefix: Final = rb"[0-9A-Fa-f]{1,16}(?:;[\t -~\x80-\xff]*+)?+\r?+"
_match_first_prefix: Final = compiled(_line_prefix).fullmatch
_match_next_prefix: Final = compiled(rb"\r(?:\n(?:" + _line_prefix + rb")?+)?+").fullmatch
# Chunks of a few bytes, one after the other: taken one by one, a megabyte of them would stop everybody else for 100 ms.
TINY: Final = 16
_match_tiny: Final = compiled(
    rb"(?:\r\n(?:" + b"|".join(b"[%x%X]\r\n[\\x00-\\xff]{%d}" % (n, n, n) for n in range(1, TINY)) + rb"))++"
).match
_find_names: Final = compiled(rb"\n([^:]++):").findall

_FIRST, _DATA, _NEXT, _TRAILER, _DONE = range(5)


class ChunkedReader:
    """Reads one chunked body. `status` is what a malformed one deserves: 400 from a client, 502 from a server."""

    __slots__ = ("_extensions", "_held", "_left", "_state", "_status", "trailer")

    def __init__(self, status: int = 400) -> None:
        self._status = status
        self._state = _FIRST
        self._left = 0
        self._held = b""
        self._extensions = 0
        self.trailer = b""
        """The trailer fields once done, in the form of a head's block."""

    @property
    def done(self) -> bool:
        """The body is complete."""
        return self._state == _DONE

    def feed(self, data: bytes, start: int) -> int:
        """Read on from data[start]; where the body ends in `data`, or len(data) when it goes on.

        Raises ProtocolError; nothing of `data` should then be forwarded.
        """
        left = self._left
        if left > len(data) - start:  # in the middle of a chunk
            n = len(data) - start
            self._left = left - n
            return len(data)
        return self._run(data, start, None)

    def decode(self, data: bytes, start: int) -> tuple[bytes, int]:
        """The same, and the payload within data[start:] (for clients that know no chunks): (payload, end)."""
        parts: list[bytes] = []
        end = self._run(data, start, parts)
        return b"".join(parts), end

    def _run(self, data: bytes, at: int, parts: list[bytes] | None) -> int:
        size = len(data)
        tiny = False
        while at < size:
            state = self._state
            if state == _DATA:
                stop = min(at + self._left, size)
                if parts is not None:
                    parts.append(data[at:stop])
                self._left -= stop - at
                at = stop
                if not self._left:
                    self._state = _NEXT
            elif state == _TRAILER:
                at = self._read_trailer(data, at)
            elif state == _DONE:
                break
            elif tiny and parts is None and (run := _match_tiny(data, at)):
                at = run.end()
            else:
                at = self._read_size(data, at, state)
                tiny = self._left < TINY
        return at

    def _read_size(self, data: bytes, at: int, state: int) -> int:
        held = self._held
        line = held + data[at : at + MAX_LINE] if held else data
        begin = 0 if held else at
        match = (_match_first if state == _FIRST else _match_next)(line, begin)
        if match is None:
            return self._hold_line(data, at, state)
        if match.end() - begin > MAX_LINE:
            raise ProtocolError(self._status, "chunk line too long")
        digits, extensions = match.groups()
        if extensions:
            self._count_extensions(len(extensions))
        self._held = b""
        self._left = left = int(digits, 16)  # the pattern has validated it
        if left > MAX_LENGTH:
            raise ProtocolError(self._status, "chunk too large")
        end = at + match.end() - begin - len(held)
        if left:
            self._state = _DATA
            return end
        self._state = _TRAILER
        self._held = b"\r\n"
        return end

    def _hold_line(self, data: bytes, at: int, state: int) -> int:
        line = self._held + data[at : at + MAX_LINE + 1]
        prefix = _match_first_prefix if state == _FIRST else _match_next_prefix
        if not prefix(line):
            raise ProtocolError(self._status, "malformed chunk size")
        if len(line) > MAX_LINE:
            raise ProtocolError(self._status, "chunk line too long")
        self._held = line
        return len(data)

    def _count_extensions(self, n: int) -> None:
        self._extensions += n
        if self._extensions > MAX_EXTENSIONS:
            raise ProtocolError(self._status, "too many chunk extensions")

    def _read_trailer(self, data: bytes, at: int) -> int:
        held = self._held
        block = held + data[at : at + MAX_TRAILER + 4]
        end = block.find(b"\r\n\r\n", max(0, len(held) - 3))
        if end < 0:
            if not _match_trailer_prefix(block):
                raise ProtocolError(self._status, "malformed trailer")
            if len(block) >= MAX_TRAILER + 4:
                raise ProtocolError(self._status, "trailer too large")
            self._held = block
            return len(data)
        if end > MAX_TRAILER or not _match_trailer(block, 0, end):
            raise ProtocolError(self._status, "malformed trailer")
        if not FORBIDDEN_TRAILERS.isdisjoint(_find_names(block[:end].lower())):
            raise ProtocolError(self._status, "field not allowed in a trailer")
        self.trailer = block[:end]
        self._held = b""
        self._state = _DONE
        return at + end + 4 - len(held)
