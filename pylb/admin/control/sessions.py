"""Who is connected: show sess, shutdown session, shutdown sessions server.

The connections are those inside the doors; nothing is kept for these commands while nobody asks. What HAProxy tells of
its analysers, buffers and stream connectors is told as far as there is something like it: bytes that wait, timeouts,
descriptors.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from math import inf
from typing import Any

from pylb.admin.control.names import the_server
from pylb.admin.control.registry import Kind, command
from pylb.admin.control.session import Level, Session
from pylb.admin.getters import address_text
from pylb.admin.rows import sections
from pylb.admin.world import Running
from pylb.backend.operate import Refused

Client = Any
"""A net.session.Session."""


def clients(world: Running) -> Iterator[Client]:
    """Those who are let in and ask for something; idle connections are none of them, as in HAProxy."""
    for door in world.doors.values():
        for client in tuple(door.sessions):
            if client.exchange is not None:
                yield client


def _found(answers: list[bytes]) -> bytes:
    """One session is known to one process alone; all of them, or none, if all were asked for."""
    known = [answer for answer in answers if not answer.endswith(UNKNOWN.encode() + b"\n")]
    return b"".join(known or answers[:1])


UNKNOWN = "Session not found."


@command("show sess", "[id|all]", help="report the list of current sessions or dump this exact session",
         kind=Kind.GATHER, level=Level.OPERATOR, join=_found)  # fmt: skip
def show_sess(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """A line each; with `all`, or for one, many lines."""
    if not words:
        return "".join(f"{line(world, client)}\n" for client in clients(world)).encode("utf-8", "surrogateescape")
    chosen = [client for client in clients(world) if words[0] in ("all", pointer(client))]
    if not chosen and words[0] != "all":
        raise Refused(UNKNOWN)
    text = "".join(f"{row}\n" for client in chosen for row in details(world, client))
    return text.encode("utf-8", "surrogateescape")


def pointer(client: Client) -> str:
    """The session's name in these commands: where it is in memory and, since workers are alike, in which process."""
    return f"{os.getpid():#x}{id(client):012x}"


def _seconds(wall: float, now: float) -> str:
    """A time until or since, as HAProxy writes it: "9s", "1h3m"; "" for none."""
    if wall == inf:
        return ""
    left = max(0, int(wall - now))
    if left < 60:
        return f"{left}s"
    minutes, seconds = divmod(left, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{minutes}m{seconds}s" if not hours else f"{hours}h{minutes}m"


def _protocol(client: Client) -> str:
    if client.src == "unix":
        return "unix_stream"
    return "tcpv6" if ":" in client.src else "tcpv4"


def _fd(transport: Any) -> int:
    sock = transport.get_extra_info("socket") if transport is not None else None
    return sock.fileno() if sock is not None else -1


def _waiting(transport: Any) -> int:
    """Bytes written that the peer has not taken."""
    return int(transport.get_write_buffer_size()) if transport is not None else 0


def _server_side(exchange: Any) -> Any:
    upstream = exchange.upstream
    return upstream.transport if upstream is not None else None


def _server_deadline(exchange: Any) -> float:
    return float(exchange.upstream.deadline) if exchange.upstream is not None else inf


def line(world: Running, client: Client) -> str:
    """One session on one line, in HAProxy's fields."""
    exchange, now = client.exchange, world.now()
    server = exchange.server.name if exchange.server is not None else "<none>"
    backend = exchange.backend.name if exchange.backend is not None else "<NONE>"
    until, server_until = client.deadline, _server_deadline(exchange)
    asked = f"rq[f=00h,i={_waiting(_server_side(exchange))},an=00h,rx={_seconds(until, now)},wx=,ax=]"
    answered = f"rp[f=00h,i={_waiting(client.transport)},an=00h,rx={_seconds(server_until, now)},wx=,ax=]"
    return (
        f"{pointer(client)}: proto={_protocol(client)} src={_source(client)} fe={exchange.frontend.name} be={backend}"
        f" srv={server} ts=00 epoch=0 age={_seconds(now, client.accepted)} calls={client.requests} rate=0 cpu=0 lat=0"
        f" {asked} {answered} scf=[8,0h,fd={_fd(client.transport)}] scb=[8,0h,fd={_fd(_server_side(exchange))}]"
        f" exp={_seconds(min(until, server_until), now)} rc={exchange.retries} c_exp="
    )


def _source(client: Client) -> str:
    return "unix:1" if client.src == "unix" else f"{client.src}:{client.src_port}"


def details(world: Running, client: Client) -> Iterator[str]:
    """One session on many lines."""
    exchange, now = client.exchange, world.now()
    begun = client.accepted_wall
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S", time.localtime(begun)) + f".{int(begun * 1e6) % 1_000_000:06d}"
    yield f"{pointer(client)}: [{stamp}] id={client.requests} proto={_protocol(client)} source={_source(client)}"
    yield f"  conn_retries={exchange.retries}, stage={exchange.stage}, termination={exchange.termination.decode()}"
    ids = {(section.name, bool(side)): section.iid for section in sections(world)
           for side in (section.frontend, section.backend) if side is not None}  # fmt: skip
    front = exchange.frontend
    bind = client.listener.bind
    yield (
        f"  frontend={front.name} (id={ids.get((front.name, True), 0)} mode={front.model.mode}),"
        f" listener={bind.name or '?'} (id=1) addr={client.dst}:{client.dst_port}"
    )
    backend, server = exchange.backend, exchange.server
    if backend is None:
        yield "  backend=<NONE> (id=-1 mode=-)"
    else:
        yield f"  backend={backend.name} (id={ids.get((backend.name, True), 0)} mode={backend.model.mode})"
    if server is None:
        yield "  server=<NONE> (id=-1)"
    else:
        yield f"  server={server.name} (id={server.sid}) addr={address_text(server.address)}"
    until = min(client.deadline, _server_deadline(exchange))
    yield f"  age={_seconds(now, client.accepted)} exp={_seconds(until, now) or '<NEVER>'}"
    for name, transport in (("scf", client.transport), ("scb", _server_side(exchange))):
        yield f"  {name}: fd={_fd(transport)} waiting={_waiting(transport)}"
    yield f"  req: total={exchange.bytes_uploaded}  res: total={exchange.bytes_read}"


def _one_has_done_it(answers: list[bytes]) -> bytes:
    """The process that had the session says nothing, the others that they do not know it."""
    return b"" if b"" in answers or not answers else answers[0]


@command("shutdown session", "[id]", help="kill a specific session", kind=Kind.GATHER, level=Level.ADMIN,
         join=_one_has_done_it)  # fmt: skip
def shutdown_session(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """End one connection; the log says "K"."""
    if not words or re.match("0*[1-9]|0x0*[1-9a-f]", words[0].lower()) is None:
        raise Refused("Session pointer expected (use 'show sess').")
    for client in clients(world):
        if pointer(client) == words[0]:
            client.exchange.shutdown(b"K")
            return b""
    raise Refused("No such session (use 'show sess').")


@command("shutdown sessions server", "<bk>/<srv>", help="kill sessions on a server", kind=Kind.CHANGE,
         level=Level.ADMIN)  # fmt: skip
def shutdown_sessions_server(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """End every connection that has a slot there."""
    server = the_server(world, words)
    for client in list(clients(world)):
        if client.exchange is not None and client.exchange.slot_server is server:
            client.exchange.shutdown(b"K")
    return b""


@command("show activity", help="show per-process activity stats", kind=Kind.GATHER)
def show_activity(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """What this process has done; one block per process."""
    house = world.house
    figures = {
        "process_id": os.getpid(),
        "date_now": f"{time.time():.6f}",
        "cpu_ms_tot": int(time.process_time() * 1000),
        "idle_pct": world.figures.idle_percent,
        "tasks": world.figures.tasks,
        "accepted": house.total,
        "conn_cur": house.connections,
        "conn_max": house.most,
        "requests": world.figures.cum_req,
        "waiting": house.waiting,
    }
    return "".join(f"{name}: {value}\n" for name, value in figures.items()).encode()
