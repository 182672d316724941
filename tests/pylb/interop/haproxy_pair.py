"""One haproxy.cfg, run by the real HAProxy and by pylb at the same time, and told the same things.

`Pair` starts both programs with one configuration text. Only environment variables differ between the two sides:

    "${FE_name}"    a free port, for a bind
    "${SRV_name}"   the port of an `Origin` of that side, which records the raw requests that reach it
    "${DEAD}"       a port where connections are refused         "${HOLE}"  one where they get no answer
    "${LOG}"        the port of that side's UDP log receiver     "${DIR}"   that side's directory

`pair.both(scenario)` runs a scenario on both sides side by side and returns both results. `Talk` is the client: raw
bytes out, responses in, with what ended them, since a cut response and a whole one have to be told apart.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from support import free_port, require_program, wait_for

T = TypeVar("T")
LINE = b"\r\n"
BLANK = b"\r\n\r\n"
PATIENCE = 8.0
"""Seconds that a test waits for anything before it gives up."""
RESET = struct.pack("ii", 1, 0)


# ------------------------------------------------------------------------------------------------------------- messages


class Cut(Exception):
    """The stream ended in the middle of something; the argument says how: eof, reset or silence."""


class Reader:
    """Bytes of a socket, with what was read ahead."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.data = b""

    def more(self) -> None:
        try:
            piece = self.sock.recv(65536)
        except ConnectionResetError:
            raise Cut("reset") from None
        except TimeoutError:
            raise Cut("silence") from None
        if not piece:
            raise Cut("eof")
        self.data += piece

    def until(self, mark: bytes) -> bytes:
        while mark not in self.data:
            self.more()
        before, _, self.data = self.data.partition(mark)
        return before + mark

    def exactly(self, size: int) -> bytes:
        while len(self.data) < size:
            self.more()
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def chunked(self) -> tuple[bytes, bytes]:
        """Payload and trailers, their names in lower case."""
        body = b""
        while size := int(self.until(LINE).split(b";")[0], 16):
            body += self.exactly(size + 2)[:-2]
        trailers = b""
        while (line := self.until(LINE)) != LINE:
            name, _, value = line.partition(b":")
            trailers += name.lower() + b":" + value
        return body, trailers


def fields_of(head: bytes) -> list[tuple[str, str]]:
    """Header fields with lower-case names, in order."""
    pairs = (line.split(b":", 1) for line in head.split(LINE)[1:] if line)
    return [(name.decode("latin-1").lower(), value.strip().decode("latin-1")) for name, value in pairs]


@dataclass
class Response:
    """What a client read; `end` is "" for a whole message, else how it was cut."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    trailers: bytes = b""
    framing: str = "none"
    end: str = ""
    interim: list[int] = field(default_factory=list)
    raw: bytes = b""

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


_callers: set[tuple[str, int]] = set()


def connected(port: int, source: str = "127.0.0.1") -> socket.socket:
    """A connection from a port of `source` that no client has had before: a log line names one client only."""
    while True:
        sock = socket.socket()
        sock.bind((source, 0))
        if (caller := sock.getsockname()) not in _callers:
            break
        sock.close()
    _callers.add(caller)
    sock.settimeout(PATIENCE)
    try:
        sock.connect(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return sock


class Talk:
    """A client connection to one side's frontend."""

    def __init__(self, port: int, source: str = "127.0.0.1", sock: socket.socket | None = None) -> None:
        self.sock = sock or connected(port, source)
        self.sock.settimeout(PATIENCE)
        host, port = self.sock.getsockname()[:2]
        self.address = f"{host}:{port} "
        """As a log line begins."""
        self.reader = Reader(self.sock)

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(data)

    def finish(self) -> None:
        """No more to send."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Abort the connection."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()

    def response(self, method: str = "GET") -> Response | str:
        """The next final response, or how the stream ended in its place."""
        interim: list[int] = []
        while True:
            try:
                raw = self.reader.until(BLANK)
            except Cut as cut:
                return str(cut)
            _, _, rest = raw.split(LINE)[0].decode("latin-1").partition(" ")
            code, _, reason = rest.partition(" ")
            if 100 <= int(code) < 200 and int(code) != 101:
                interim.append(int(code))
                continue
            answer = Response(int(code), reason, fields_of(raw), interim=interim, raw=raw)
            self._body(answer, method)
            return answer

    def _body(self, answer: Response, method: str) -> None:
        if method == "HEAD" or answer.status in (101, 204, 304):
            return
        reader = self.reader
        try:
            if "chunked" in (answer.get("transfer-encoding") or ""):
                answer.framing = "chunked"
                answer.body, answer.trailers = reader.chunked()
            elif (length := answer.get("content-length")) is not None:
                answer.framing = "length"
                answer.body = reader.exactly(int(length))
            else:
                answer.framing = "close"
                while True:
                    reader.more()
        except Cut as cut:
            answer.end = "" if answer.framing == "close" and str(cut) == "eof" else str(cut)
            if answer.framing != "chunked":
                answer.body, reader.data = reader.data, b""

    def rest(self) -> tuple[bytes, str]:
        """Everything up to the end, and which end."""
        try:
            while True:
                self.reader.more()
        except Cut as cut:
            data, self.reader.data = self.reader.data, b""
            return data, str(cut)

    def kept(self) -> bool:
        """Whether another request is answered here."""
        self.send(b"GET /kept HTTP/1.1\r\nHost: kept\r\n\r\n")
        return isinstance(self.response(), Response)


# ------------------------------------------------------------------------------------------------------------- origins


@dataclass
class Recorded:
    """A request as it reached an origin."""

    origin: str
    connection: int
    head: bytes
    body: bytes = b""
    trailers: bytes = b""
    framing: str = "none"

    @property
    def line(self) -> str:
        return self.head.split(LINE)[0].decode("latin-1")

    @property
    def headers(self) -> list[tuple[str, str]]:
        return fields_of(self.head)

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def seen(self) -> tuple[Any, ...]:
        """What two sides must have in common; fields in a fixed order, as their order between names means nothing."""
        fields = [(name, value.lower() if name == "connection" else value) for name, value in self.headers]
        return self.line, sorted(fields), self.body, self.trailers, self.framing


@dataclass
class Answer:
    """Raw bytes of an origin and what it does behind them: keep, close or reset."""

    data: bytes | list[bytes]
    then: str = "keep"
    pause: float = 0.0
    """Seconds before the first piece and between pieces."""
    early: bool = False
    """Answer before the body has been read."""


Conversation = Callable[[socket.socket, Recorded], str]
"""An answer made by hand; returns keep, close or reset."""


class Origin:
    """A server that answers what a request's `Do` field names, and keeps every request as it came."""

    def __init__(self, name: str, answers: dict[str, Answer | Conversation]) -> None:
        self.name = name
        self.answers = answers
        self.records: list[Recorded] = []
        self.checks = 0
        self.greeting = b""
        """What every connection begins with: a client that has read it knows that it is connected all through."""
        self._connections = 0
        self._open: set[socket.socket] = set()
        self._listen(0)

    def _listen(self, port: int) -> None:
        self._socket = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            self._connections += 1
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock, self._connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        reader = Reader(sock)
        try:
            sock.settimeout(60)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(self.greeting)
            while True:
                request = Recorded(self.name, number, reader.until(BLANK))
                if request.get("user-agent") == "check":
                    self.checks += 1
                else:
                    self.records.append(request)
                then = self._answer(sock, reader, request)
                if then == "reset":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                if then != "keep":
                    return
        except (Cut, OSError, ValueError):
            return
        finally:
            self._open.discard(sock)
            sock.close()

    def _answer(self, sock: socket.socket, reader: Reader, request: Recorded) -> str:
        answer = self.answers.get(request.get("do") or "", None)
        if not (isinstance(answer, Answer) and answer.early):
            if (request.get("expect") or "").lower() == "100-continue":
                sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            if "chunked" in (request.get("transfer-encoding") or ""):
                request.framing = "chunked"
                request.body, request.trailers = reader.chunked()
            elif (length := request.get("content-length")) is not None:
                request.framing = "length"
                request.body = reader.exactly(int(length))
        if answer is None:
            text = f"{self.name} {request.line.rpartition(' ')[0]}".encode()
            body = b"" if request.line.startswith("HEAD ") else text
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Origin: %b\r\n\r\n%b"
                         % (len(text), self.name.encode(), body))  # fmt: skip
            return "keep"
        if not isinstance(answer, Answer):
            return answer(sock, request)
        for piece in answer.data if isinstance(answer.data, list) else [answer.data]:
            if answer.pause:
                time.sleep(answer.pause)
            sock.sendall(piece)
        return answer.then

    def pause(self) -> None:
        """Refuse connections from now on."""
        self.close()

    def resume(self) -> None:
        """Accept again, on the same port."""
        self._listen(self.port)

    def close(self) -> None:
        """Stop listening, end every connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for sock in tuple(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)


# --------------------------------------------------------------------------------------------------------------- sides


class LogReceiver:
    """A syslog server on UDP: `lines` are the messages without what syslog puts in front."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.raw: list[bytes] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            data = self._socket.recv(65536)
            if data == b"stop":
                return
            self.raw.append(data)
            self.lines.append(data.decode("latin-1").partition("]: ")[2].rstrip("\n"))

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"stop", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._socket.close()


VARIABLE = re.compile(r"\$\{(\w+)\}")


class Side:
    """One program with its ports, origins and log."""

    def __init__(self, name: str, command: list[str], directory: Path, text: str, answers: dict[str, Any]) -> None:
        self.name = name
        self.directory = directory / name
        self.directory.mkdir(exist_ok=True)
        self.logs = LogReceiver()
        self.origins: dict[str, Origin] = {}
        self.ports: dict[str, int] = {}
        self._sockets: list[socket.socket] = []
        self._answers = answers
        self.environment = {"LOG": str(self.logs.port), "DIR": str(self.directory)}
        for variable in dict.fromkeys(VARIABLE.findall(text)):
            if variable not in self.environment:
                self.environment[variable] = str(self._port(variable))
        names = re.findall(r'stats socket "\$\{DIR\}/([^"]+)"', text)
        self._admin = [self.directory / name for name in names]
        self.path = directory / "haproxy.cfg"
        self.output = self.directory / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "-db", "-f", str(self.path)],
                env=os.environ | self.environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def _port(self, variable: str) -> int:
        kind, _, name = variable.partition("_")
        if kind == "FE":
            self.ports[name] = free_port()
            return self.ports[name]
        if kind == "SRV":
            self.origins[name] = Origin(name, self._answers)
            return self.origins[name].port
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        self._sockets.append(sock)
        if kind == "HOLE":
            self._fill(sock)
        return int(sock.getsockname()[1])

    def _fill(self, listener: socket.socket) -> None:
        """A backlog that is full: the kernel drops further connection attempts."""
        listener.listen(0)
        for _ in range(2):
            caller = socket.socket()
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect(listener.getsockname())
            self._sockets.append(caller)

    def ready(self) -> bool:
        """Every frontend listens, and so do the admin sockets, which pylb puts in their places later."""
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended:\n{self.output.read_text()}")
        listening = {
            int(row.split()[1].rpartition(":")[2], 16)
            for row in Path("/proc/net/tcp").read_text().splitlines()[1:]
            if row.split()[3] == "0A"
        }
        return listening.issuperset(self.ports.values()) and all(path.exists() for path in self._admin)

    def talk(self, frontend: str, source: str = "127.0.0.1") -> Talk:
        """A new client connection."""
        return Talk(self.ports[frontend], source)

    def records(self) -> list[Recorded]:
        """Everything that reached the origins, by origin."""
        return [record for origin in self.origins.values() for record in origin.records if "/kept" not in record.line]

    def forget(self) -> None:
        """Start afresh with records and log."""
        for origin in self.origins.values():
            origin.records.clear()
        self.logs.lines.clear()
        self.logs.raw.clear()

    def logged(self, count: int, timeout: float = PATIENCE, client: str = "") -> list[str]:
        """The log lines since `forget` (of `client`, an address with port), when there are at least `count`; probing
        requests and starting proxies are left out."""
        deadline = time.monotonic() + timeout
        named = re.compile(rf"(?<!\d){re.escape(client.strip())}(?!\d)")
        while True:
            lines = [
                line
                for line in self.logs.lines
                if named.search(line) and "/kept" not in line and not line.startswith("Proxy ")
            ]
            if len(lines) >= count or time.monotonic() > deadline:
                return lines
            time.sleep(0.01)

    def logged_before(self, frontend: str, client: str) -> list[str]:
        """The lines of a client of whom none is expected, when a later client's line, of `frontend`, has come."""
        with self.talk(frontend) as later:
            later.send(b"GET /later HTTP/1.1\r\nHost: later\r\n\r\n")
            later.response()
        assert self.logged(1, client=later.address)
        return self.logged(0, client=client)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        for origin in self.origins.values():
            origin.close()
        for sock in self._sockets:
            sock.close()
        self.logs.close()


class Pair:
    """Both programs."""

    def __init__(self, directory: Path, text: str, answers: dict[str, Answer | Conversation] | None = None) -> None:
        haproxy = require_program("haproxy")
        (directory / "haproxy.cfg").write_text(text)
        self.haproxy = Side("haproxy", [haproxy], directory, text, answers or {})
        self.pylb = Side("pylb", [sys.executable, "-m", "pylb"], directory, text, answers or {})
        self.sides = (self.haproxy, self.pylb)
        self._pool = ThreadPoolExecutor(2)

    def both(self, scenario: Callable[[Side], T]) -> tuple[T, T]:
        """The scenario's results: HAProxy's, pylb's."""
        for side in self.sides:
            side.forget()
        first, second = [self._pool.submit(scenario, side) for side in self.sides]
        return first.result(60), second.result(60)

    def stop(self) -> None:
        self._pool.shutdown(wait=False)
        for side in self.sides:
            side.stop()


@contextlib.contextmanager
def running_pair(directory: Path, text: str, answers: dict[str, Answer | Conversation] | None = None) -> Iterator[Pair]:
    """Both programs until the block ends."""
    pair = Pair(directory, text, answers)
    try:
        for side in pair.sides:
            wait_for(side.ready, 20, f"{side.name}'s listeners")
        yield pair
        assert all(side.process.poll() is None for side in pair.sides), "a program ended by itself"
        trouble = pair.pylb.output.read_text()
        assert "Traceback" not in trouble, trouble
    finally:
        pair.stop()


# ------------------------------------------------------------------------------------------------------------ log lines


def normal_line(line: str) -> str:
    """A log line without what no two runs have in common: ports, dates, running times. -1 stays, + stays.

    The number of bytes goes, too: HAProxy counts its internal form of a message, pylb what is sent. So do the
    connections of process and frontend, since a former client's may just be ending.
    """
    line = re.sub(r" \d+/\d+(/\d+/\d+/\+?\d+ \d+/\d+)", r" c/c\1", line)
    line = re.sub(r"\[\d\d/\w{3}/\d{4}[^\]]*\]", "[date]", line)
    line = re.sub(r"(127\.0\.\d\.\d+):\d+", r"\1:port", line)
    timers = re.search(r"(?<= )-?\d+(?:/-?\d+){1,3}/\+?-?\d+ (?:-?\d+ )?\+?\d+(?= )", line)
    if timers is None:
        return line
    times, *status, _ = timers[0].split(" ")
    times = re.sub(r"(?<![-\d])\d+", "t", times)
    return line[: timers.start()] + " ".join((times, *status, "bytes")) + line[timers.end() :]


def is_readable(sock: socket.socket, timeout: float) -> bool:
    """Something came, or the end."""
    return bool(select.select([sock], [], [], timeout)[0])
