"""pylb whose workers each listen on sockets of their own: `python -m bench.listeners.reuseport ARGUMENTS OF PYLB`.

The sockets that the steward binds reserve the port and do not listen, so the kernel gives them no connections.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

from pylb.cli import main
from pylb.config.model import Address, Bind
from pylb.net.listener import Listener
from pylb.process import binding


def reserve(_sockets: binding.Sockets, bind: Bind, address: Address, port: int, backlog: int) -> socket.socket:
    """In the place of Sockets._socket: nothing is taken over from the generation before, as nothing can be."""
    if address.kind != "inet":
        return usual(_sockets, bind, address, port, backlog)
    sock = bound((address.host or "0.0.0.0", port))
    name = binding.key(bind, address, port)
    _sockets.used[name] = _sockets.opened[name] = sock
    return sock


def bound(address: Any) -> socket.socket:
    """A socket at this address, as binding._open_inet makes them."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.bind(address)
    return sock


async def open_own(listener: Listener) -> None:
    """In the place of Listener.open: this worker's own sockets, then as ever."""
    for number, sock in enumerate(listener.sockets):
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            own = bound(sock.getsockname())
            own.listen(binding.BACKLOG)
            listener.sockets[number] = own
            sock.close()
    await open_as_ever(listener)


if __name__ == "__main__":
    usual, open_as_ever = binding.Sockets._socket, Listener.open
    binding.Sockets._socket = reserve  # type: ignore[method-assign]
    Listener.open = open_own  # type: ignore[method-assign]
    sys.exit(main())
