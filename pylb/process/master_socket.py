"""The master socket's connections (`haproxy -S`, `master-socket`): they outlive every reload, as the master does.

The language is admin/control/master. What is for a generation goes to its steward: it gets one end of a pair of
sockets, with the operator's level, and answers there as on an admin socket of its own; the master passes the answer on
unread.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pylb.admin.control.master import ROWS, Unknown, lower, number_of
from pylb.admin.control.registry import execute, text_of
from pylb.admin.control.session import Command, Level, Session
from pylb.config.model import StatsSocket
from pylb.config.words import Report
from pylb.process.binding import Sockets
from pylb.process.kept_sockets import place
from pylb.process.privileges import StartError

if TYPE_CHECKING:
    from pylb.process.generation import Generation
    from pylb.process.master import Master

MOST = 10
"""Connections at once, as in HAProxy; more wait in the backlog."""

TIMEOUT = 600.0
"""Seconds for a client's next command, or until it has taken what it was sent."""

PATIENCE = 30.0
"""Seconds for a generation's next piece of an answer."""

BLOCK = 65536

_MODES = {"expert-mode": "expert", "experimental-mode": "experimental", "mcli-debug-mode": "debug"}
"""Switches without an answer; pylb has no command that needs them, the prompt shows them."""


class MasterSocket:
    """Bound when it is made, before the process goes to the background; answers from `attend` on."""

    def __init__(self, declared: StatsSocket, adopted: list[socket.socket]) -> None:
        """`adopted`: listening sockets of a process that this one replaces. One that is on the same port is used and
        taken out; a path gets a socket of its own, since the other process answers on the old one to its end.
        Raises StartError."""
        bind = declared.bind
        if bind.tls is not None or bind.accept_proxy:
            raise StartError("the master socket takes neither ssl nor accept-proxy")
        report = Report()
        theirs = [] if bind.address.kind == "unix" else adopted
        sockets = Sockets(None, theirs)
        self._sockets = sockets.listen(bind, report)
        for key in sockets.opened:
            place(key, os.getpid())
        if report.errors:
            raise StartError(f"master socket: {report.errors[0].message}")
        adopted[:] = [sock for sock in adopted if sock not in self._sockets]
        self.level = Level[declared.level.upper()]
        self._path = Path(bind.address.path).absolute() if bind.address.kind == "unix" else None
        self._inode = self._path.stat().st_ino if self._path is not None else 0
        self._connections: set[asyncio.Task[None]] = set()
        self._accepting = False

    def attend(self, loop: asyncio.AbstractEventLoop, master: Master) -> None:
        """Answer, whenever this loop runs."""
        self._loop, self._master = loop, master
        self._resume()

    def part(self) -> None:
        """The process stops softly: on a port, whoever takes its place answers; a path is asked how far it has come."""
        if self._path is None:
            self._pause()
            for sock in self._sockets:
                sock.close()

    def close(self) -> None:
        """End it all. The loop must not run."""
        self._pause()
        for sock in self._sockets:
            sock.close()
        if self._path is not None:
            with suppress(OSError):
                if self._path.stat().st_ino == self._inode:  # else another process has taken our place
                    self._path.unlink()
        for task in self._connections:
            task.cancel()
        if self._connections:
            self._loop.run_until_complete(asyncio.wait(self._connections))

    def _resume(self) -> None:
        self._accepting = True
        for sock in self._sockets:
            self._loop.add_reader(sock.fileno(), self._accept, sock)

    def _pause(self) -> None:
        if self._accepting:
            self._accepting = False
            for sock in self._sockets:
                self._loop.remove_reader(sock.fileno())

    def _accept(self, listening: socket.socket) -> None:
        try:
            sock, _ = listening.accept()
        except OSError:  # gone again, or no descriptors are left
            return
        task = self._loop.create_task(Connection(sock, self.level, self._master).serve())
        self._connections.add(task)
        task.add_done_callback(self._over)
        if len(self._connections) >= MOST:
            self._pause()

    def _over(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        if not self._accepting and self._sockets[0].fileno() >= 0:
            self._resume()


class Connection:
    """One operator. Unlike an admin socket's, the connection stays after an answer, with a prompt and without."""

    def __init__(self, sock: socket.socket, level: Level, master: Master) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._master = master
        self._session = Session(level)
        self._target = "@"
        """Whom commands without a prefix are for."""
        self.debug = False
        self._refusal = b""

    async def serve(self) -> None:
        """To the end."""
        session = self._session
        with self._sock, suppress(OSError, TimeoutError):
            while not session.ended:
                async with asyncio.timeout(TIMEOUT):
                    data = await asyncio.get_running_loop().sock_recv(self._sock, BLOCK)
                session.receive(data)
                while (command := session.next()) is not None:
                    await asyncio.sleep(0)  # thousands may have come at once
                    await self._send(session.unsaid())
                    await self._obey(command)
                await self._send(session.unsaid())
                if not data:
                    return

    async def _send(self, data: bytes) -> None:
        if data:
            async with asyncio.timeout(TIMEOUT):
                await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def _obey(self, command: Command) -> None:
        session = self._session
        words, prefix = command.words, self._target
        if words and words[0].startswith("@"):
            prefix, words = words[0], words[1:]
        elif words and self._switched(words):
            await self._send(self._refusal or self._prompt())
            return
        try:
            generation = self._find(prefix)
        except Unknown as unknown:
            session.ended = True
            await self._send(str(unknown).encode())
            return
        if not words and command.words:
            self._target = prefix
            await self._send(self._prompt())
            return
        command = Command(words, command.payload)
        if generation is not None:
            await self._ask(generation, command)
            await self._send(self._prompt())
            return
        session.prompt = self._prompt().decode()
        await self._send(session.finish(execute(session, self._master, command, ROWS)))
        if session.ended:  # by `reload`
            await self._master.settled()

    def _switched(self, words: Sequence[str]) -> bool:
        """Words about the connection, which are for nobody else and have no answer; whether they were such."""
        session, word = self._session, words[0]
        self._refusal = b""
        if word == "prompt":
            session.interactive = not session.interactive
        elif word == "quit":
            session.ended = True
        elif word in ("operator", "user"):
            self._refusal = lower(session, word)
        elif word in _MODES:
            if session.level == Level.ADMIN and words[1:2] in (("on",), ("off",)):
                setattr(self if word == "mcli-debug-mode" else session, _MODES[word], words[1] == "on")
        else:
            return False
        return True

    def _find(self, prefix: str) -> Generation | None:
        """Whom a prefix names; None: the master. Raises Unknown."""
        kind, number = number_of(prefix)
        if kind == "master":
            return None
        generation = self._master.serving(number) if kind == "relative" else self._master.with_process(number)
        if generation is None:
            raise Unknown(prefix)
        return generation

    def _prompt(self) -> bytes:
        """In interactive mode: whom commands are for, "[ReloadFailed]" until a reload succeeds, and modes."""
        session = self._session
        if not session.interactive:
            return b""
        try:
            generation = self._find(self._target)
            name = str(generation.pid) if generation is not None else "master"
        except Unknown:
            name = self._target.lstrip("@!")
        if name == "master" and self._master.failed:
            name += "[ReloadFailed]"
        modes = "x" * session.experimental + "e" * session.expert + "d" * self.debug
        return f"{name}({modes})> ".encode() if modes else f"{name}> ".encode()

    async def _ask(self, generation: Generation, command: Command) -> None:
        """Have a generation answer."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            with theirs:
                generation.packets.send("operator", [theirs.fileno()], level=self._session.level.name)
            async with asyncio.timeout(PATIENCE):
                await loop.sock_sendall(ours, text_of(self._session, command).encode("utf-8", "surrogateescape"))
            ours.shutdown(socket.SHUT_WR)
            while True:
                async with asyncio.timeout(PATIENCE):
                    data = await loop.sock_recv(ours, BLOCK)
                if not data:
                    return
                await self._send(data)
