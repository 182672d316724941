"""One connection to the admin socket as bytes: lines become commands, answers become what the client reads.

    line  = command *( ";" command ) [ " <<" ] LF          a backslash takes the meaning from ";", " " and itself
    after "<<" the lines up to an empty one are the payload of the line's last command

A line, or a payload, that the client's end cuts off is not carried out: it may be the half of what was meant.

Without `prompt` the connection ends once everything that has arrived is answered; with it, each answer is followed by
"> ", and each line of a payload by "+ ". An answer ends with an empty line, so answers never contain one.
"""

from __future__ import annotations

import re
from collections import deque
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
    _commands: deque[Command] = field(default_factory=deque)
    _opening: str | None = None
    """The line that ended with "<<", while its payload arrives."""
    _payload: list[str] = field(default_factory=list)

    def receive(self, data: bytes) -> bytes:
        """Bytes have arrived; what to send at once (prompts for a payload, or why the connection ends)."""
        if self.ended:
            return b""
        self._began = True
        self._buffer += data
        sent = bytearray()
        while (end := self._buffer.find(b"\n")) >= 0:
            line = self._buffer[:end].decode("utf-8", "surrogateescape").removesuffix("\r")
            del self._buffer[: end + 1]
            sent += self._line(line)
        if len(self._buffer) + sum(map(len, self._payload)) + len(self._payload) > self.limit:
            self.ended = True
            self._buffer.clear()
            sent += b"The command is too big for the buffer size. Please change tune.bufsize in the configuration.\n\n"
        return bytes(sent)

    def _line(self, line: str) -> bytes:
        if self._opening is None:
            if line.split()[-1:] == ["<<"]:
                self._opening = line.rstrip()[:-2]
                return b"+ " if self.interactive else b""
            self._split(line, "")
            return b""
        if line:
            self._payload.append(line)
            return b"+ " if self.interactive else b""
        opening, payload = self._opening, "\n".join(self._payload)
        self._opening = None
        self._payload.clear()
        self._split(opening, payload)
        return b""

    def _split(self, line: str, payload: str) -> None:
        *first, last = split_commands(line)
        self._commands.extend(Command(words) for words in first)
        self._commands.append(Command(last, payload))

    def next(self) -> Command | None:
        """The next command to be answered by `finish`; None: there is none yet."""
        return self._commands.popleft() if self._commands and not self.ended else None

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
        return not (self.interactive or self._commands or self._opening is not None or self._buffer)

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


_TOKEN = re.compile(r"\\(.)|(;)|([ \t]+)|([^\\; \t]+)|(.)", re.DOTALL)


def split_commands(line: str) -> list[tuple[str, ...]]:
    """The words of each command of a line. Quotes have no meaning, as in HAProxy 2.6."""
    commands: list[tuple[str, ...]] = []
    words: list[str] = []
    word: list[str] = []

    def end_word() -> None:
        if word:
            words.append("".join(word))
            word.clear()

    for escaped, semicolon, space, text, other in _TOKEN.findall(line):
        if semicolon:
            end_word()
            commands.append(tuple(words))
            words.clear()
        elif space:
            end_word()
        else:
            word.append(escaped or text or other)
    end_word()
    commands.append(tuple(words))
    return commands
