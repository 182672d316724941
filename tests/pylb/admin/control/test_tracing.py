"""The trace of requests stopped and started from the admin socket."""

from __future__ import annotations

import subprocess
import sys
import urllib.request

import pytest
from admin_pair import DEFAULTS, ask, both
from support import free_port, wait_for

CONFIG = """
global
    stats socket {dir}/admin.sock mode 600 level admin
{defaults}frontend web
    bind 127.0.0.1:{port}
    http-request return status 200
"""


def test_a_trace_is_stopped_and_started(tmp_path):
    port, socket, log = free_port(), tmp_path / "admin.sock", tmp_path / "out"
    (tmp_path / "cfg").write_text(CONFIG.format(dir=tmp_path, defaults=DEFAULTS, port=port))
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "pylb", "-f", str(tmp_path / "cfg"), "--trace"], stdout=out)
    try:
        wait_for(socket.exists, 20, "the admin socket")

        def get(path: str) -> None:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()

        get("/first")
        wait_for(lambda: "request GET /first" in log.read_text(), 10, "the trace")
        assert "[R] stream" in ask(socket, "show trace")
        assert ask(socket, "trace stream stop").strip() == ""
        assert "[.] stream" in ask(socket, "trace")
        get("/second")
        assert ask(socket, "trace stream start now").strip() == ""
        get("/third")
        wait_for(lambda: "request GET /third" in log.read_text(), 10, "the trace")
        assert "/second" not in log.read_text()
        assert ask(socket, "trace 0").strip() == "All traces now stopped"
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.interop
def test_without_a_trace_it_is_said_how_to_have_one(tmp_path):
    with both(tmp_path, CONFIG) as (ours, real):
        for command in ("trace 0", "trace foo", "show trace foo"):
            assert ours.ask(command).strip() == real.ask(command).strip()
        for command in ("trace", "show trace"):
            assert ours.ask(command).splitlines()[0] == real.ask(command).splitlines()[0]
        assert " [.] stream     -> none [drp 0]  [Applicative stream]" in real.ask("show trace")
        assert " [.] stream     -> none [drp 0]  [Applicative stream]" in ours.ask("show trace")
        assert "--trace" in ours.ask("trace stream start now")
