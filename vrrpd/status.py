"""What the daemon knows of itself, and the unix socket that tells it to whoever asks.

A connection gets one JSON document and is closed; nothing is read from it. Tables and metrics are made of the
document by `vrrpd status` (view.py, metrics.py), so that the daemon imports neither.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vrrpd.core.actions import State
from vrrpd.core.instance import Instance

SOCKET_NAME = "vrrpd.sock"
SOCKET_MODE = 0o660


def describe(instance: Instance, now: float) -> dict[str, Any]:
    """One virtual router for status and metrics; times are seconds."""
    settings, counters, rival = instance.settings, instance.counters, instance.rival
    seconds = {state.value: value for state, value in counters.seconds_in.items()}
    seconds[instance.state.value] += now - instance.state_since
    mismatches = instance.mismatches.current(now, keep=max(10.0, 10 * settings.advert_int))
    return {
        "name": instance.name,
        "vrid": settings.virtual_router_id,
        "version": settings.version,
        "family": settings.family,
        "state": instance.state.value,
        "since": now - instance.state_since,
        "seconds_in": seconds,
        "base_priority": settings.priority,
        "effective_priority": instance.effective_priority,
        "advert_interval": settings.advert_int,
        "master_interval": instance.master_interval,
        "source": _text(instance.source),
        "master": _text(instance.source if instance.state is State.MASTER else instance.master),
        "master_priority": instance.master_priority,
        "abdicating": instance.abdicating,
        "addresses": [str(address) for address in settings.all_addresses],
        "garp_delay": settings.garp.master_delay,
        "authentication": settings.authentication.type if settings.authentication else None,
        "peers": [str(peer.address) for peer in settings.unicast_peers],
        "faults": list(instance.faults),
        "tracks": [
            {"kind": track.kind.value, "name": track.name, "weight": track.weight, "result": result}
            for track, result in instance.track_results.items()
        ],
        "split_brain": None
        if rival is None
        else {"peer": str(rival.address), "priority": rival.priority, "since": now - rival.since, "deaf": rival.deaf},
        "config_mismatch": {
            str(peer): {"reason": mismatch.reason.value, "text": mismatch.text, "ago": now - mismatch.last}
            for peer, mismatch in mismatches.items()
        },
        "counters": {name: getattr(counters, name) for name in COUNTERS},
        "refused": {reason.value: count for reason, count in counters.refused.items()},
    }


COUNTERS = (
    "adverts_sent",
    "adverts_late",
    "adverts_received",
    "priority_zero_sent",
    "priority_zero_received",
    "became_master",
    "released_master",
    "abdications",
    "lower_received_as_master",
    "late_timers",
    "restored_addresses",
    "ah_probes",
    "split_brains",
)


def _text(address: object) -> str | None:
    return None if address is None else str(address)


class _Answer(asyncio.Protocol):
    """Writes the document and closes."""

    def __init__(self, snapshot: Callable[[], dict[str, Any]]) -> None:
        self._snapshot = snapshot

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(json.dumps(self._snapshot()).encode() + b"\n")
        transport.close()


class StatusServer:
    """The status socket of a daemon in its state directory."""

    def __init__(self, directory: Path, snapshot: Callable[[], dict[str, Any]]) -> None:
        self.path = directory / SOCKET_NAME
        self._snapshot = snapshot
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; a socket file of an earlier run is replaced (the state directory's lock is ours)."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Answer(self._snapshot), str(self.path))
        self.path.chmod(SOCKET_MODE)

    def close(self) -> None:
        """Stop listening and remove the socket file."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()


def fetch(directory: Path, timeout: float = 3.0) -> dict[str, Any]:
    """Ask a running daemon; OSError when none answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        sock.connect(str(directory / SOCKET_NAME))
        parts = []
        while part := sock.recv(1 << 16):
            parts.append(part)
    document: dict[str, Any] = json.loads(b"".join(parts))
    return document
