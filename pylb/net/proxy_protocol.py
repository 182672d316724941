"""PROXY protocol, versions 1 and 2: the true addresses in front of a connection (`accept-proxy`, `send-proxy`).

The header is looked at with MSG_PEEK and then taken off the socket to the byte, so that whatever follows, a TLS
handshake included, is still there for whoever reads next.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import struct
from typing import Any

from pylb.http1.errors import ProtocolError

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LONGEST = 16384
"""Version 2 with what a sender puts behind the addresses (certificates' names, a cloud's ids): HAProxy reads as much as
a buffer takes. Version 1 takes 107 at the most."""

_LINE = re.compile(rb"PROXY (?:(UNKNOWN)[^\r\n]*|(TCP4|TCP6) (\S{1,45}) (\S{1,45}) (\d{1,5}) (\d{1,5}))\r\n")

Peer = tuple[str, int]
Header = tuple[Peer | None, Peer | None, int]
"""Client, destination (None, None for a connection of the sender's own, a health check) and the header's length."""


def parse(data: bytes) -> Header | None:
    """The header at the start of `data`; None while incomplete. Raises ProtocolError for anything else."""
    if data.startswith(SIGNATURE):
        return _parse_binary(data)
    if SIGNATURE.startswith(data[:12]):
        return None
    if data.startswith(b"PROXY ") or b"PROXY ".startswith(data):
        return _parse_line(data)
    raise ProtocolError(400, "no PROXY protocol header")


def _parse_line(data: bytes) -> Header | None:
    if b"\r\n" not in data:
        if len(data) >= 107:
            raise ProtocolError(400, "PROXY line too long")
        return None
    match = _LINE.match(data)
    if match is None:
        raise ProtocolError(400, "malformed PROXY line")
    if match[1]:
        return None, None, match.end()
    family = socket.AF_INET if match[2] == b"TCP4" else socket.AF_INET6
    try:
        client, target = (_text(socket.inet_pton(family, match[i].decode("ascii"))) for i in (3, 4))
    except (OSError, ValueError):  # of the other family, with a scope, or no address at all
        raise ProtocolError(400, "malformed address in the PROXY line") from None
    ports = int(match[5]), int(match[6])
    if max(ports) > 65535:
        raise ProtocolError(400, "malformed port in the PROXY line")
    return (client, ports[0]), (target, ports[1]), match.end()


def _parse_binary(data: bytes) -> Header | None:
    if len(data) < 16:
        return None
    command, family, length = data[12], data[13], struct.unpack_from("!H", data, 14)[0]
    if command & 0xF0 != 0x20 or command & 0x0F > 1 or length > LONGEST - 16:
        raise ProtocolError(400, "malformed PROXY header")
    if len(data) < 16 + length:
        return None
    if command == 0x20:  # LOCAL: the sender speaks for itself
        return None, None, 16 + length
    width = {0x1: 4, 0x2: 16}.get(family >> 4)
    if width is None:
        return None, None, 16 + length
    if length < 2 * width + 4:
        raise ProtocolError(400, "PROXY header shorter than its addresses")
    client, target = _text(data[16 : 16 + width]), _text(data[16 + width : 16 + 2 * width])
    ports = struct.unpack_from("!HH", data, 16 + 2 * width)
    return (client, ports[0]), (target, ports[1]), 16 + length


def _text(packed: bytes) -> str:
    """An address; an IPv4 address that is mapped into IPv6, as dual-stack senders write it, as itself."""
    address = ipaddress.ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def line(src: str, src_port: int, dst: str, dst_port: int) -> bytes:
    """Version 1 for a connection from `src` to `dst`."""
    try:
        versions = {ipaddress.ip_address(src).version, ipaddress.ip_address(dst).version}
    except ValueError:
        return b"PROXY UNKNOWN\r\n"
    if versions == {4}:
        return f"PROXY TCP4 {src} {dst} {src_port} {dst_port}\r\n".encode()
    return f"PROXY TCP6 {_wide(src)} {_wide(dst)} {src_port} {dst_port}\r\n".encode()


def binary(src: str, src_port: int, dst: str, dst_port: int) -> bytes:
    """Version 2 for a connection from `src` to `dst`."""
    try:
        client, target = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    except ValueError:
        return SIGNATURE + b"\x21\x00\x00\x00"
    if client.version == target.version == 4:
        family = 0x11
    else:
        family, client, target = 0x21, ipaddress.ip_address(_wide(src)), ipaddress.ip_address(_wide(dst))
    body = client.packed + target.packed + struct.pack("!HH", src_port, dst_port)
    return SIGNATURE + bytes((0x21, family)) + struct.pack("!H", len(body)) + body


def _wide(address: str) -> str:
    return address if ":" in address else "::ffff:" + address


async def receive(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> tuple[Peer | None, Peer | None]:
    """Take the header off a connection that nobody else reads.

    Raises ProtocolError when something else comes, EOFError when the connection ends before, OSError when it breaks.
    """
    seen = 0
    try:
        while True:
            await _readable(loop, sock)
            data = sock.recv(LONGEST, socket.MSG_PEEK)
            header = parse(data)
            if header is not None:
                sock.recv(header[2])
                return header[0], header[1]
            if len(data) == seen:  # readable with nothing new: the end
                raise EOFError
            seen = len(data)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, seen + 1)  # what is peeked at stays: wait for more
    finally:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


async def _readable(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(sock.fileno(), _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_reader(sock.fileno())


def _resolve(future: Any) -> None:
    if not future.done():
        future.set_result(None)
