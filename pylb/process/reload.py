"""`pylb reload`: ask a running pylb to reload, and wait for how that ends."""

from __future__ import annotations

import os
import signal
import socket
import time

PENDING, ENDED = "Reload_under_way", "Reloads_ended"

PATIENCE = 60.0
"""Seconds that reading a configuration may take."""


def reload(path: str) -> str | None:
    """Reload the process behind an admin socket; None when it has, else why not. Raises OSError, ValueError."""
    before = _info(path)
    if ENDED not in before:
        raise ValueError(f'"{path}" is no admin socket of pylb')
    pid, earlier = int(before["Pid"]), PENDING in before
    os.kill(pid, signal.SIGUSR2)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        time.sleep(0.1)
        try:
            os.kill(pid, 0)
            now = _info(path)
        except ProcessLookupError:
            raise ConnectionError(f"the process (pid {pid}) has ended") from None
        except (FileNotFoundError, ConnectionRefusedError):
            return None  # the master closes no socket that the serving generation has: another one serves, without it
        except OSError:  # between two generations
            continue
        ended = int(now[ENDED]) - int(before[ENDED])
        if ended <= 0:  # a generation that retires knows less
            continue
        if PENDING in now or (earlier and ended == 1):  # that was another one, which has begun before ours
            before, earlier = now, False
            continue
        return None if now["Last_reload_ok"] == "1" else now.get("Last_reload_error", "for an unknown reason")
    raise TimeoutError(f"no news after {PATIENCE:.0f} s")


def _info(path: str) -> dict[str, str]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(path)
        sock.sendall(b"show info float\n")
        answer = b""
        while piece := sock.recv(1 << 16):
            answer += piece
    return dict(line.split(": ", 1) for line in answer.decode("utf-8", "replace").splitlines() if ": " in line)
