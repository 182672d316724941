"""`stats socket`: the sockets that operators talk to (management manual, 9.3).

The language is admin/control; here are its connections, in the steward. They are few (`stats maxconn`; more wait in the
backlog) and each is one task over a plain socket, because `expose-fd listeners` sends descriptors along, which
transports do not.

`relay` reaches the workers: what only they can do or know is sent on and carried out by each of them through
`perform`, in the order in which this process sends it.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import json
import socket
import struct
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from pylb.admin.control import load
from pylb.admin.control.registry import Answer, Kind, begin, execute, find
from pylb.admin.control.servers import host_to_look_up, with_address
from pylb.admin.control.session import Command, Level, Session
from pylb.config.model import StatsSocket
from pylb.process.piecemeal import PIECE

if TYPE_CHECKING:
    from pylb.admin.world import Running
    from pylb.process.balancer import Balancer
    from pylb.process.relay import Relay

BLOCK = 65536
"""Bytes read at once."""
MAX_FDS = 252
"""Descriptors in one message, as HAProxy sends them; the kernel takes 253."""
GETSOCKS = "_getsocks"
"""What a process that is started with `-x` says to get the listening sockets."""

load()


class AdminSockets:
    """The `stats socket`s of one generation."""

    def __init__(
        self,
        sockets: Sequence[tuple[StatsSocket, list[socket.socket]]],
        balancer: Balancer,
        relay: Relay,
    ) -> None:
        self._world = balancer
        self._relay = relay
        self._sockets = [(declared, sock) for declared, opened in sockets for sock in opened]
        self._loop = asyncio.get_running_loop()
        self._connections: set[asyncio.Task[None]] = set()
        self._accepting = self._closing = False
        self._turn = asyncio.Lock()
        """Commands that change something are carried out one after another, in the same order everywhere."""
        self._resume()

    def close(self, grace: float = 0.0) -> None:
        """No new connections; those that there are end with the command under way, and after `grace` seconds anyway."""
        self._pause()
        self._closing = True
        for _, sock in self._sockets:
            sock.close()
        if grace and self._connections:
            self._loop.call_later(grace, self.close)
            return
        for task in self._connections:
            task.cancel()

    async def closed(self) -> None:
        """Wait for the end of the connections, after `close`."""
        if self._connections:
            await asyncio.wait(self._connections)

    def _pause(self) -> None:
        if self._accepting:
            self._accepting = False
            for _, sock in self._sockets:
                self._loop.remove_reader(sock.fileno())

    def _resume(self) -> None:
        self._accepting = True
        for declared, sock in self._sockets:
            self._loop.add_reader(sock.fileno(), self._accept, declared, sock)

    def _accept(self, declared: StatsSocket, listening: socket.socket) -> None:
        try:
            sock, _ = listening.accept()
        except OSError:  # gone again, or no descriptors are left
            return
        exposes = declared.expose_fd_listeners and sock.family == socket.AF_UNIX
        self.admit(sock, Level[declared.level.upper()], exposes)
        if len(self._connections) >= self._world.config.globals.stats_maxconn:
            self._pause()

    def admit(self, sock: socket.socket, level: Level, exposes: bool = False) -> None:
        """Answer on this connection; `exposes`: it may have the listening sockets."""
        sock.setblocking(False)
        task = self._loop.create_task(self._serve(sock, level, exposes))
        self._connections.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        if not self._accepting and self._sockets and self._sockets[0][1].fileno() >= 0:
            self._resume()

    # --------------------------------------------------------------------------------------------------- a connection

    async def _serve(self, sock: socket.socket, level: Level, exposes: bool) -> None:
        general = self._world.config.globals
        session = Session(level, general.tune.bufsize, general.stats_timeout)
        with sock, suppress(OSError, TimeoutError):
            while not session.over or session.fresh:
                async with asyncio.timeout(session.timeout):
                    data = await self._loop.sock_recv(sock, BLOCK)
                session.receive(data)
                while (command := session.next()) is not None:
                    await asyncio.sleep(0)  # thousands may have come at once
                    await self._send(session, sock, session.unsaid())
                    if command.words == (GETSOCKS,):
                        if exposes:
                            await self._hand_over(sock)
                        return
                    answer = await self._answer(session, command)
                    if not isinstance(answer, bytes):
                        await self._send_parts(session, sock, answer)
                        answer = b""
                    await self._send(session, sock, session.finish(answer))
                await self._send(session, sock, session.unsaid())
                if not data or self._closing:
                    return

    async def _send(self, session: Session, sock: socket.socket, data: bytes) -> None:
        """`stats timeout` is how long a reader may take nothing: a slow one gets everything."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[sock.send(rest) :]
            except BlockingIOError:
                await self._writable(sock, session.timeout)

    async def _writable(self, sock: socket.socket, patience: float) -> None:
        """Wait until there is room: of a Unix socket three quarters have to be read before the kernel says so, so that
        what is still unread is looked at, too. Raises TimeoutError."""
        ready: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_writer(sock.fileno(), _tell, ready)
        try:
            unread = _unread(sock)
            while not (await asyncio.wait((ready,), timeout=patience))[0]:
                before, unread = unread, _unread(sock)
                if unread >= before:
                    raise TimeoutError
        finally:
            self._loop.remove_writer(sock.fileno())

    async def _send_parts(self, session: Session, sock: socket.socket, parts: Iterator[bytes]) -> None:
        """A long answer is made as fast as it is read, and health checks have their turns meanwhile."""
        held = bytearray()
        until = perf_counter() + PIECE
        for part in parts:
            held += part
            if len(held) >= BLOCK:
                await self._send(session, sock, bytes(held))
                held.clear()
            if perf_counter() > until:
                await asyncio.sleep(0)
                until = perf_counter() + PIECE
        await self._send(session, sock, bytes(held))

    async def _answer(self, session: Session, command: Command) -> Answer:
        row = find(command.words)
        if row is None or row.kind is Kind.OWN or session.level < row.level:
            return execute(session, self._world, command)
        if row.kind is Kind.ORDER:
            command = await self._looked_up(command)
            own = execute(session, self._world, command)
            await asyncio.sleep(0)  # the change is on its way to the workers
            await self._relay.arrived()  # it holds for the operator's next request
            return own
        if row.kind is Kind.READ:
            await self._relay.settle()
            return begin(session, self._world, command)
        async with self._turn:
            if self._world.patterns.named:
                await self._relay.settle()  # what rules have done to maps and ACLs before comes before
            # This process first: a worker that dies is forked from it, and has what was changed since.
            own = execute(session, self._world, command) if row.kind is Kind.CHANGE else b""
            answers = await self._relay.ask_all(_order(session, command))
            self._world.listeners.carried_out()
            for table in self._world.tables.values():
                table.cleared.clear()  # what is counted in those entries from now on is counted in new ones
        if row.kind is Kind.CHANGE:
            return own
        return row.join(answers) if row.join is not None else b"".join(answers)

    async def _looked_up(self, command: Command) -> Command:
        """With an address in the place of a host's name, if there is one; health checks go on meanwhile."""
        host = host_to_look_up(command.words)
        if host is None:
            return command
        try:
            found = await self._loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return command
        address = min(found, key=lambda each: each[0] != socket.AF_INET)[4][0]
        return replace(command, words=with_address(command.words, str(address)))

    # --------------------------------------------------------------------------------------------- expose-fd listeners

    async def _hand_over(self, sock: socket.socket) -> None:
        """HAProxy's form: how many there are, then messages of up to MAX_FDS descriptors, each with three fields that
        say where it listens (network namespace, interface, options), acknowledged one by one."""
        fds = [each.fileno() for each in self._world.listeners.sockets()]
        await self._loop.sock_sendall(sock, struct.pack("i", len(fds)))
        for start in range(0, len(fds), MAX_FDS):
            part = fds[start : start + MAX_FDS]
            about = b"\0\0\0\0\0\0" * len(part)  # no namespace, no interface, no options
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", part))
            sock.sendmsg([about], [rights])
            async with asyncio.timeout(1.0):
                await self._loop.sock_recv(sock, 4)


def _tell(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _unread(sock: socket.socket) -> int:
    """Bytes that have been sent and not yet taken (unix(7), tcp(7): SIOCOUTQ)."""
    return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def _order(session: Session, command: Command) -> str:
    """A command as a worker is to carry it out: exactly these words and this payload, whatever bytes are in them."""
    return json.dumps((session.severity, command.words, command.payload))


def perform(order: str, world: Running) -> bytes:
    """Carry out in a worker what `_order` has written; the answer. Rights have been looked at already."""
    severity, words, payload = json.loads(order)
    return execute(Session(Level.ADMIN, severity=severity), world, Command(tuple(words), payload))
