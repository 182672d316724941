"""Log lines out: HAProxy's `log` targets over UDP, unix datagram sockets and standard output.

A line is a header and a message. All of the header but the time is known when the configuration loads, so a Frame
keeps one ready header per severity and renews them when the second changes; a line then costs a clock read, a list
index and one concatenation. A Sink takes the bytes at once or drops and counts them: nothing here waits or raises, so a
lost or stuck syslog server costs traffic nothing.

Formats, lengths and level rules are HAProxy 2.6's, byte for byte (manual: `log`, `log-tag`, `log-send-hostname`).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable

from pylb.admin.logsinks import DatagramSink, Sink, open_sink
from pylb.config.model import Global, LogTarget
from pylb.config.values import parse_sampling

LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""Severities by number (RFC 5424 6.2.1, table 2)."""

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp", "ntp", "audit",
    "alert", "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
"""Facilities by number, under HAProxy's names (manual: `log`)."""

FORMATS = {
    "rfc3164": "<{pri}>{date} {host} {tag}[{pid}]: ",
    "rfc5424": "<{pri}>1 {iso} {host} {tag} {pid} - ",
    "local": "<{pri}>{date} {tag}[{pid}]: ",
    "priority": "<{pri}>",
    "short": "<{level}>",
    "timed": "<{level}>{iso} ",
    "iso": "{iso} ",
    "raw": "",
}
"""The header of each `format` (manual: `log`, "format"). {date} has seconds, {iso} microseconds. The structured data
follows on that of RFC 5424."""

UNNAMED_HOST = {"rfc5424": "-"}
"""What stands for the host name without log-send-hostname; "localhost" in the other formats."""

GATHER = 0.005
"""Seconds for which lines may be held back to be sent together."""
MOST_GATHERED = 128
"""Lines after which they are sent at once: less than a UDP receive buffer of default size holds."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


Entry = tuple[int, bytes, float, bytes]
"""Severity, message, the time of day when it was made, and its structured data."""

NO_DATA = b"-"
"""RFC 5424 6.3: no structured data."""


class Frame:
    """Puts one target's header before messages. `line` is the hot call."""

    __slots__ = ("_format", "_heads", "_micros", "_room", "_second", "_structured", "_values")

    def __init__(self, target: LogTarget, host: str | None, tag: str, pid: int, room: int) -> None:
        """`host`: None for none; `room`: the most bytes of header and message together."""
        form = target.format or ("local" if host is None else "rfc3164")
        self._format = FORMATS[form]
        self._structured = form == "rfc5424"
        self._micros = "{iso}" in self._format
        """Headers with microseconds are %-templates: the fraction is put in line by line."""
        self._room = room
        self._second = -1
        self._heads: list[bytes] = []
        facility, floor = FACILITIES.index(target.facility), LEVELS.index(target.min_level)
        name = UNNAMED_HOST.get(form, "localhost") if host is None else host
        constant = {"host": name, "tag": tag, "pid": str(pid)}
        self._values = [
            constant | {"level": str(max(level, floor)), "pri": str(facility * 8 + max(level, floor))}
            for level in range(len(LEVELS))
        ]

    def set_pid(self, pid: int) -> None:
        """The process has become another: a daemon."""
        for values in self._values:
            values["pid"] = str(pid)
        self._second = -1

    def line(self, level: int, message: bytes, now: float, data: bytes = NO_DATA) -> bytes:
        """The bytes to send for `message` with its structured `data` at `now` (wall clock), newline included."""
        second = int(now)
        if second != self._second:
            self._renew(second)
        head = self._heads[level]
        if self._micros:
            head %= int((now - second) * 1000000)
        if self._structured:
            if len(head) + len(data) >= self._room:  # half an element is no structured data
                data = NO_DATA
            head = b"%b%b " % (head, data)
        line = head + message
        if len(line) > self._room:
            line = line[: self._room]
        return line + b"\n"

    def _renew(self, second: int) -> None:
        local = time.localtime(second)
        date = (
            f"{_MONTHS[local.tm_mon - 1]} {local.tm_mday:2d} {local.tm_hour:02d}:{local.tm_min:02d}:{local.tm_sec:02d}"
        )
        offset = local.tm_gmtoff // 60
        zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"
        iso = time.strftime("%Y-%m-%dT%H:%M:%S", local) + "\0" + zone
        heads = [self._format.format(date=date, iso=iso, **values) for values in self._values]
        if self._micros:
            heads = [head.replace("%", "%%").replace("\0", ".%06d") for head in heads]
        self._heads = [head.encode("utf-8", "surrogateescape") for head in heads]
        self._second = second


class Sampler:
    """Which lines of a target are sent: `sample 1,3-4:10` (manual: `log`). Only lines that the level lets through are
    counted, so that a sample of a rare level is one of its own lines."""

    __slots__ = ("_number", "_ranges", "_size")

    def __init__(self, text: str) -> None:
        """Raises ValueError, see values.parse_sampling."""
        self._ranges, self._size = parse_sampling(text)
        self._number = 0

    def takes(self) -> bool:
        """Whether the next line is one of them."""
        self._number = number = self._number % self._size + 1
        return any(first <= number <= last for first, last in self._ranges)


class Target:
    """One `log` line, live: level filter, frame and sink."""

    __slots__ = ("_frame", "_max_level", "_sampler", "_sink", "dropped")

    def __init__(self, target: LogTarget, sink: Sink, host: str | None, tag: str, pid: int) -> None:
        # HAProxy's `len` leaves the newline out for datagrams that have a header, and counts it elsewhere.
        with_newline = target.format == "raw" or not isinstance(sink, DatagramSink)
        self._frame = Frame(target, host, tag, pid, target.length - with_newline)
        self._max_level = LEVELS.index(target.level)
        self._sampler = Sampler(target.sample) if target.sample else None
        self._sink = sink
        self.dropped = 0
        """Lines that could not be handed over."""

    def write(self, entries: Iterable[Entry]) -> None:
        """Send those that the level lets through. Never blocks, never raises OSError."""
        most, line, send, sampler = self._max_level, self._frame.line, self._sink.send, self._sampler
        for level, message, now, data in entries:
            if level > most or (sampler is not None and not sampler.takes()):
                continue
            if not send(line(level, message, now, data)):
                self.dropped += 1

    def set_pid(self, pid: int) -> None:
        """See Frame."""
        self._frame.set_pid(pid)

    def close(self) -> None:
        """Close the sink; later lines are dropped."""
        self._sink.close()


class Logger:
    """All `log` targets of one proxy, or of the process. Call it with a severity (0 to 7) and a message.

    The message needs no newline at its end; trailing ones are removed. The header holds the pid of the process in which
    it was made, or `set_pid`'s.
    """

    __slots__ = ("_clock", "_later", "_targets", "_waiting")

    def __init__(self, targets: Iterable[Target], clock: Callable[[], float] = time.time) -> None:
        self._targets = tuple(targets)
        self._clock = clock
        self._later: Callable[[float, Callable[[], None]], object] | None = None
        self._waiting: list[Entry] = []

    def gather(self, call_later: Callable[[float, Callable[[], None]], object]) -> None:
        """From now on send lines together, at most GATHER seconds late (`call_later` is the loop's).

        A send that wakes the syslog server costs about 7 µs, one to a server that is awake 3.
        """
        self._later = call_later

    def __call__(self, level: int, message: bytes, data: bytes = NO_DATA) -> None:
        if message.endswith(b"\n"):
            message = message.rstrip(b"\n")
        waiting = self._waiting
        waiting.append((level, message, self._clock(), data))
        if self._later is None or len(waiting) >= MOST_GATHERED:
            self.flush()
        elif len(waiting) == 1:
            self._later(GATHER, self.flush)

    def flush(self) -> None:
        """Send what has been gathered."""
        waiting, self._waiting = self._waiting, []
        for target in self._targets:
            target.write(waiting)

    def set_pid(self, pid: int) -> None:
        """Name another process in the headers from now on."""
        for target in self._targets:
            target.set_pid(pid)

    def text(self, level: int, message: str) -> None:
        """A message of the program itself, for example a server's change of state."""
        self(level, message.encode("utf-8", "surrogateescape"))

    @property
    def dropped(self) -> int:
        """Lines lost so far: server gone, queue full, standard output stuck."""
        return sum(target.dropped for target in self._targets)

    def __bool__(self) -> bool:
        """Whether there is anywhere to log to."""
        return bool(self._targets)

    def close(self) -> None:
        """Send what waits, then close all sinks, shared ones too."""
        self.flush()
        for target in self._targets:
            target.close()


def make_logger(
    targets: Iterable[LogTarget],
    globals_: Global,
    log_tag: str | None = None,
    *,
    sinks: dict[str, Sink] | None = None,
    pid: int | None = None,
    clock: Callable[[], float] = time.time,
) -> Logger:
    """The logger of a proxy with these `log` targets and its own `log-tag` (None: the global one).

    `sinks`, by address, are shared with the loggers made with the same dict before; new ones are added to it. Raises
    logsinks.TargetError for an address that cannot be understood or resolved; a syslog server that does not listen
    (yet) is no error.
    """
    host = globals_.log_send_hostname
    if host == "":
        host = socket.gethostname()
    tag = globals_.log_tag if log_tag is None else log_tag
    pid = os.getpid() if pid is None else pid
    shared = {} if sinks is None else sinks
    made = []
    for target in targets:
        if target.address not in shared:
            shared[target.address] = open_sink(target.address)
        made.append(Target(target, shared[target.address], host, tag, pid))
    return Logger(made, clock)
