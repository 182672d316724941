"""What is logged of proxies that pause, go on and stop, beside the real program; by several workers once."""

from __future__ import annotations

import signal
import socket
import time

import pytest
from haproxy_pair import Pair, Side
from same_cases import get, judge
from support import wait_for

pytestmark = pytest.mark.interop

CONFIG = r"""
global
    nbthread 2
    stats socket "${DIR}/admin.sock" level admin

defaults
    mode http
    log "127.0.0.1:${LOG}" local0
    timeout connect 1s
    timeout client 2s
    timeout server 2s
    option dontlog-normal

frontend one
    bind "127.0.0.1:${FE_one}"
    default_backend app

frontend two
    bind "127.0.0.1:${FE_two}"
    default_backend app

listen both
    bind "127.0.0.1:${FE_both}"
    server s "127.0.0.1:${SRV_s}"

backend app
    server s "127.0.0.1:${SRV_s}"
"""


@pytest.fixture
def pair(tmp_path):
    pair = Pair(tmp_path, CONFIG)
    try:
        for side in pair.sides:
            wait_for(side.ready, 20, f"{side.name}'s listeners")
        yield pair
    finally:
        pair.stop()


def order(side: Side, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(side.directory / "admin.sock"))
        control.sendall(command.encode() + b"\n")
        return b"".join(iter(lambda: control.recv(65536), b"")).decode().strip()


def told(side: Side, number: int) -> list[str]:
    """Notices about proxies of ours, when there are so many and no more come."""

    def found() -> list[str]:
        lines = [line for line in side.logs.lines if line.startswith(("Proxy ", "Paused ", "Resumed "))]
        return [line for line in lines if "HTTPCLIENT" not in line]

    wait_for(lambda: len(found()) >= number, 10, f"{number} notices")
    time.sleep(0.2)
    return found()


def test_frontends_pause_go_on_and_stop_and_the_rest_stops_in_the_end(pair):
    def scenario(side: Side) -> dict[str, object]:
        for name in ("one", "two", "two", "both"):
            with side.talk(name) as talk:
                talk.send(get("/"))
                assert talk.response().status == 200
        wait_for(lambda: order(side, "show stat one 1 -1").splitlines()[1].split(",")[7] == "1", 5, "the count")
        answers = [order(side, f"{word} frontend one") for word in ("disable", "enable", "shutdown")]
        early = told(side, 3)
        side.process.send_signal(signal.SIGUSR1)
        return {"answers": answers, "early": early, "all": sorted(told(side, 6))}

    judge(*pair.both(scenario))
