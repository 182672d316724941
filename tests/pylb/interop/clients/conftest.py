"""The helpers of the admin socket's tests, and one pylb per test module for clients that somebody else wrote."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "admin/control")]

from admin_pair import Program, listening, running  # noqa: E402
from server_state import answers, status  # noqa: E402
from support import free_port, require_program, wait_for  # noqa: E402

CONFIG = """
global
    stats socket {dir}/admin.sock mode 600 level admin
    stats socket ipv4@127.0.0.1:{admin} level operator
    stats timeout 2m
    node here
    description A balancer
    maxconn 500
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 1s
    timeout check 5s
frontend web
    bind 127.0.0.1:{port}
    http-request use-service prometheus-exporter if {{ path /metrics }}
    acl blocked path_beg -f {dir}/paths
    http-request deny if blocked
    http-request set-header X-Group %[src,map_ip({dir}/groups)]
    default_backend app
backend app
    balance roundrobin
    server one 127.0.0.1:{live} check inter 1s weight 10
    server two 127.0.0.1:{live} check inter 1s weight 20
    server dead 127.0.0.1:{dead} check inter 200ms fall 1
"""


@pytest.fixture(params=["pylb", pytest.param("haproxy", marks=pytest.mark.soak)])
def balancer(tmp_path, request) -> Iterator[Program]:
    """pylb, and the real HAProxy to show that a test asks for nothing else; of their servers "dead" is down."""
    ports = {"port": free_port(), "admin": free_port(), "dead": free_port()}
    words = [sys.executable, "-m", "pylb"] if request.param == "pylb" else [require_program("haproxy"), "-db"]
    (tmp_path / "lb").mkdir()
    (tmp_path / "lb/paths").write_text("/private\n")
    (tmp_path / "lb/groups").write_text("10.0.0.0/8 inside\n")
    with listening() as live, running(tmp_path / "lb", words, CONFIG, {**ports, "live": live}) as program:
        wait_for(lambda: answers(program), 10, "the admin socket")
        wait_for(lambda: status(program, "dead") == "DOWN", 10, "the server to be down")
        wait_for(lambda: program.ask("show stat").count(",L4OK,") == 2, 10, "the checks of the others")
        yield program
