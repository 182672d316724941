"""One connection to the admin socket as bytes: lines become commands, answers become what the client reads.

    line  = command *( ";" command ) LF          a backslash takes the meaning from ";", " " and itself
    after a command that ends with " <<" the lines up to an empty one are its payload

A line, or a payload, that the client's end cuts off is not carried out: it may be the half of what was meant.

Without `prompt` the connection ends once everything that has arrived is answered; with it, each answer is followed by
"> ", and each line of a payload by "+ ". An answer ends with an empty line, so answers never contain one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum


class Level(IntEnum):
    """What a connection may do (configuration manual, bind option `level`)."""

    USER = 0
    OPERATOR = 1
    ADMIN = 2

    @property
    def word(self) -> str:
        """As it is written in the configuration."""
        return self.name.lower()


class Severity(IntEnum):
    """How serious feedback is: syslog's numbers."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6

    @property
    def word(self) -> str:
        """The short name that `set severity-output string` shows."""
        return {3: "err", 4: "warning", 5: "notice", 6: "info"}[self]


@dataclass(frozen=True, slots=True)
class Command:
    """One command as it came: the words, and the payload's lines joined by LF ("" for none)."""

    words: tuple[str, ...]
    payload: str = ""


@dataclass
class Session:
    """See the module. The attributes are what commands of the connection itself change."""

    level: Level = Level.ADMIN
    limit: int = 16384
    """Most bytes of a line with its payload: tune.bufsize, as in HAProxy."""
    timeout: float = 10.0
    """Seconds without a command after which the connection is closed."""
    severity: str = "none"
    """`set severity-output`: none, number or string."""
    interactive: bool = False
    prompt: str = "> "
    """What follows an answer in interactive mode."""
    expert: bool = False
    """`expert-mode on`; remembered, but there is no command that needs it."""
    experimental: bool = False
    """`experimental-mode on`; the same."""
    ended: bool = False
    """`quit` was said, or something that cannot be understood: nothing more is read."""
    _began: bool = False
    _buffer: bytearray = field(default_factory=bytearray)
    _whole: bool = False
    """There may be the end of a command or line in the buffer."""
    _unsaid: bytearray = field(default_factory=bytearray)
    _opening: str | None = None
    """The command that ended with "<<", while its payload arrives."""
    _payload: list[str] = field(default_factory=list)

    def receive(self, data: bytes) -> None:
        """Bytes have arrived; take the commands in them by `next`."""
        if not self.ended:
            self._began = True
            self._buffer += data
            self._whole = self._whole or b"\n" in data or b";" in data

    def next(self) -> Command | None:
        """The next command to be answered by `finish`; None: there is none yet. Read as late as this, because the
        command before may have changed what there is to be said to it."""
        while self._whole and not self.ended:
            command = self._line() if self._opening is None else self._payload_line()
            if command is not None:
                return command
        if len(self._buffer) + sum(map(len, self._payload)) + len(self._payload) > self.limit and not self.ended:
            self.ended = True
            self._unsaid += _TOO_BIG
        if self.ended:
            self._buffer.clear()
        return None

    def unsaid(self) -> bytes:
        """What to send before the next answer: prompts for a payload, or why the connection ends."""
        said = bytes(self._unsaid)
        self._unsaid.clear()
        return said

    def _line(self) -> Command | None:
        """A command up to ";" or the line's end, or the opening of one with a payload."""
        found = _COMMAND.match(self._buffer)
        if found is None:
            self._whole = False
            return None
        text = found[1].decode("utf-8", "surrogateescape")
        if found[2] == b"\n":
            text = text.removesuffix("\r")
        del self._buffer[: found.end()]
        if text.split()[-1:] != ["<<"]:
            return Command(split_words(text))
        self._opening = text.rstrip()[:-2]
        self._prompt_for_more()
        return None

    def _payload_line(self) -> Command | None:
        """A line of a payload; the empty one completes the command."""
        end = self._buffer.find(b"\n")
        if end < 0:
            self._whole = False
            return None
        line = self._buffer[:end].decode("utf-8", "surrogateescape").removesuffix("\r")
        del self._buffer[: end + 1]
        if line:
            self._payload.append(line)
            self._prompt_for_more()
            return None
        assert self._opening is not None
        command = Command(split_words(self._opening), "\n".join(self._payload))
        self._opening = None
        self._payload.clear()
        return command

    def _prompt_for_more(self) -> None:
        if self.interactive:
            self._unsaid += b"+ "

    def finish(self, answer: bytes) -> bytes:
        """What the client reads as the answer to the command that `next` gave."""
        if self.ended:
            return answer
        closing = b"" if not answer or answer.endswith(b"\n") else b"\n"
        return answer + closing + (f"\n{self.prompt}".encode() if self.interactive else b"\n")

    @property
    def over(self) -> bool:
        """Nothing is left to answer, and nothing more is to be waited for."""
        if self.ended:
            return True
        return not (self.interactive or self._opening is not None or self._buffer)

    @property
    def fresh(self) -> bool:
        """Nothing has come yet."""
        return not self._began

    def feedback(self, severity: Severity, text: str) -> bytes:
        """A short answer, in the form that `set severity-output` asks for."""
        if self.severity == "number":
            text = f"[{severity.value}]: {text}"
        elif self.severity == "string":
            text = f"[{severity.word}]: {text}"
        return text.encode("utf-8", "surrogateescape") + b"\n"


_TOO_BIG = b"The command is too big for the buffer size. Please change tune.bufsize in the configuration.\n\n"
_COMMAND = re.compile(rb"((?:[^\\;\n]|\\[^\n]|\\(?=\n))*+)([;\n])")
_TOKEN = re.compile(r"\\(.)|([ \t]+)|([^\\ \t]+)|(.)", re.DOTALL)


def split_words(command: str) -> tuple[str, ...]:
    """The words of a command. Quotes have no meaning, as in HAProxy 2.6."""
    words: list[str] = []
    word: list[str] = []
    for escaped, space, text, other in _TOKEN.findall(command):
        if not space:
            word.append(escaped or text or other)
        elif word:
            words.append("".join(word))
            word.clear()
    if word:
        words.append("".join(word))
    return tuple(words)
