"""`vrrpd watch`: a live view of the adverts on an interface, who is master, and what is wrong."""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from vrrpd.dissect import dissect, key_bytes
from vrrpd.observer import Observer
from vrrpd.system import filters
from vrrpd.system.host import Host
from vrrpd.view import table

ETH_P_ALL = 3
REDRAW = 0.25


def run(interface: str | None, password: str | None, seconds: float, as_json: bool) -> int:
    """Watch until interrupted or the time is over; 1 when there is no such interface, 4 without permission."""
    name = interface or _default_interface()
    if name is None:
        print("vrrpd watch: there is no default route: name an interface", file=sys.stderr)
        return 1
    try:
        sock = _open(name)
    except PermissionError:
        print("vrrpd watch: permission missing: CAP_NET_RAW (to see adverts)", file=sys.stderr)
        return 4
    except OSError as error:
        print(f"vrrpd watch: {name}: {error.strerror}", file=sys.stderr)
        return 1
    observer = Observer()
    end = time.time() + seconds if seconds else float("inf")
    with sock:
        if as_json:
            _listen(sock, observer, key_bytes(password), end)
            print(json.dumps(document(observer, time.time()), indent=2))
        else:
            _show(sock, name, observer, key_bytes(password), end)
    return 0


def _default_interface() -> str | None:
    host = Host()
    try:
        return host.default_interface()
    finally:
        host.close()


def _open(interface: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    filters.attach(sock, filters.ethernet_vrrp_program())
    sock.bind((interface, ETH_P_ALL))
    request = socket.if_nametoindex(interface).to_bytes(4, sys.byteorder) + b"\2\0\0\0" + bytes(8)
    sock.setsockopt(263, 1, request)  # SOL_PACKET, PACKET_ADD_MEMBERSHIP: all multicast
    return sock


def _listen(sock: socket.socket, observer: Observer, key: bytes | None, end: float) -> None:
    while (left := min(end - time.time(), REDRAW)) > 0:
        ready, _, _ = select.select([sock], [], [], left)
        if ready:
            heard = dissect(sock.recv(2048), time.time(), key)
            if heard is not None:
                observer.take(heard)


def _show(sock: socket.socket, name: str, observer: Observer, key: bytes | None, end: float) -> None:
    with Live(console=Console(), auto_refresh=False, screen=sys.stdout.isatty()) as live:
        while time.time() < end:
            _listen(sock, observer, key, min(end, time.time() + REDRAW))
            live.update(render(name, observer, time.time()), refresh=True)


def render(name: str, observer: Observer, now: float) -> Group:
    """The view at one moment."""
    shown = table("vrid", "node", "", "prio", "every (is)", "auth", "last", "addresses")
    for (_, vrid), router in sorted(observer.routers.items()):
        masters, contenders = router.masters(now), router.contenders(now)
        for speaker in sorted(router.speakers.values(), key=lambda one: -one.last.priority):
            last = speaker.last
            first = bool(masters) and masters[0] is speaker
            role = "MASTER" if first else "second master" if speaker in contenders else "silent"
            style = {"MASTER": "bold green", "second master": "bold red"}.get(role, "dim")
            gap = sum(speaker.gaps) / len(speaker.gaps) if speaker.gaps else None
            shown.add_row(
                f"{vrid} v{last.version}",
                str(last.source),
                Text(role, style=style),
                str(last.priority),
                f"{last.interval:g} s" + ("" if gap is None else f" ({gap:.3f})"),
                last.authentication,
                f"{now - last.time:.1f} s",
                " ".join(map(str, last.addresses)),
            )
    parts: list[Any] = [Text(f"VRRP on {name}", style="bold"), shown]
    parts += [Text(f"!! {text}", style="bold yellow") for text in observer.anomalies(now)]
    parts += [
        Text(f"{time.strftime('%H:%M:%S', time.localtime(at))} {text}", style="dim")
        for at, text in observer.events[-8:]
    ]
    return Group(*parts)


def document(observer: Observer, now: float) -> dict[str, Any]:
    """The same for programs."""
    return {
        "routers": [
            {
                "vrid": router.vrid,
                "family": router.family,
                "masters": [str(one.last.source) for one in router.masters(now)],
                "nodes": {
                    str(source): speaker.last.document()
                    | {"adverts": speaker.adverts, "faulty": speaker.faulty, "irregular": speaker.irregular}
                    for source, speaker in router.speakers.items()
                },
                "changes": router.changes,
                "announcements": router.claims,
            }
            for router in observer.routers.values()
        ],
        "anomalies": observer.anomalies(now),
        "events": [{"time": at, "text": text} for at, text in observer.events],
    }
