"""Other programs that do pylb's work, and how they are told to do what haproxy.cfg says.

nginx-proxy.conf     nginx as a proxy                     aiohttp_proxy.py   what one writes in an evening
python_pyproxy       PyPI python-pyproxy, asyncio streams: a file and a process per port
pyhaproxy_lb         PyPI pyhaproxy-lb, uvicorn, starlette and httpx: one file, a port per frontend
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.http.world import World

HERE = Path(__file__).parent
RANCHER_HOST = "rancher.monitor.viettq.com"
WORKERS = ("WORKER1", "WORKER2", "WORKER3")


def python_pyproxy(world: World, ports: dict[str, int], _log: int) -> dict[str, list[str]]:
    """Its own log says nothing of requests; it picks servers in turn and keeps 64 idle connections to each."""
    commands = {}
    for frontend in ("keepalive", "bare"):
        settings: dict[str, Any] = {
            "server": {"bind_host": "127.0.0.1", "bind_port": ports[frontend], "backlog": 4096, "read_timeout": 300},
            "logging": {"level": "error"},
            "routes": [
                {"path": "/", "host": RANCHER_HOST, "upstream": _pyproxy_targets(world, "RANCHER")},
                {"path": "/", "upstream": _pyproxy_targets(world, *WORKERS)},
            ],
        }
        if frontend == "bare":
            del settings["routes"][0]
        file = world.directory / f"pyproxy-{ports[frontend]}.json"
        file.write_text(json.dumps(settings))
        commands[frontend] = [_script("pyproxy"), "start", str(file)]
    for frontend in ("client_close", "idle"):
        ports[frontend] = ports["keepalive"]
        commands[frontend] = commands["keepalive"]
    return commands


def _pyproxy_targets(world: World, *names: str) -> dict[str, Any]:
    return {"targets": [{"host": "127.0.0.1", "port": world.servers[name]} for name in names]}


def pyhaproxy_lb(world: World, ports: dict[str, int], _log: int) -> dict[str, list[str]]:
    """Its log is uvicorn's access log, on its output; JSON is YAML enough for its file."""
    names = ("keepalive", "client_close", "idle")
    settings = {
        "frontends": [
            {
                "name": name,
                "bind": f"127.0.0.1:{ports[name]}",
                "default_backend": "ingress",
                "rules": [{"if": f"host == {RANCHER_HOST}", "backend": "rancher"}],
            }
            for name in names
        ],
        "backends": {
            "ingress": {"balance": "roundrobin", "servers": [_url(world, name) for name in WORKERS]},
            "rancher": {"balance": "roundrobin", "servers": [_url(world, "RANCHER")]},
        },
    }
    file = world.directory / f"pyhaproxy-{ports['keepalive']}.json"
    file.write_text(json.dumps(settings))
    return {name: [_script("pyhaproxy"), "-c", str(file)] for name in names}


def _url(world: World, name: str) -> dict[str, str]:
    return {"url": f"http://127.0.0.1:{world.servers[name]}"}


def _script(name: str) -> str:
    """A command of this environment."""
    return str(Path(sys.executable).with_name(name))
