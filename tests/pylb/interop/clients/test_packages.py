"""Python packages for HAProxy's socket, unmodified: haproxyadmin, haproxy-cli, haproxystats; and socat."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from admin_pair import Program
from server_state import status
from support import require_program, skip_or_fail, wait_for

pytestmark = pytest.mark.interop


def package(name: str):
    try:
        return __import__(name, fromlist=["*"])
    except ImportError as error:
        skip_or_fail(f"{error}: pip install -e .[clients]")


# ------------------------------------------------------------------------------------------------------- haproxyadmin


@pytest.fixture
def admin(balancer: Program):
    return package("haproxyadmin.haproxy").HAProxy(socket_file=str(balancer.socket))


def test_haproxyadmin_reads_the_process(admin, balancer: Program):
    assert admin.version[0].isdigit()
    assert admin.description == "A balancer"
    assert admin.nodename == "here"
    assert [int(pid) for pid in admin.processids] == [balancer.process.pid]
    assert int(admin.maxconn) == 500
    assert int(admin.uptimesec) < 100
    (process,) = admin._hap_processes  # the public method sums over processes, and not everything can be summed
    known = process.proc_info()
    missing = set(package("haproxyadmin.haproxy").HAPROXY_METRICS) - set(known)
    assert missing <= {"MaxZlibMemUsage", "ZlibMemUsage"}  # Debian's HAProxy is built without zlib


def test_haproxyadmin_reads_frontends_backends_and_servers(admin):
    assert [frontend.name for frontend in admin.frontends()] == ["web"]
    (backend,) = admin.backends()
    assert (backend.name, backend.status, backend.iid) == ("app", "UP", 3)
    servers = {server.name: server for server in backend.servers()}
    assert {name: server.status for name, server in servers.items()} == {"one": "UP", "two": "UP", "dead": "DOWN"}
    assert servers["one"].check_status == "L4OK"
    assert int(servers["two"].weight) == 20
    assert servers["dead"].metric("chkdown") == 1


def test_haproxyadmin_orders(admin, balancer: Program):
    server = admin.server("two")[0]
    for state, shown in (("STATE_DISABLE", "MAINT"), ("STATE_ENABLE", "UP"), ("STATE_DRAIN", "DRAIN")):
        assert server.setstate(getattr(package("haproxyadmin"), state))
        assert status(balancer, "two") == shown
    assert server.setweight(7)
    assert int(server.weight) == 7
    assert server.setweight("50%")
    assert int(server.weight) == 10
    server.address = "127.0.0.9"
    assert server.address == "127.0.0.9"
    server.port = 81
    assert int(server.port) == 81
    frontend = admin.frontend("web")
    assert frontend.setmaxconn(77)
    assert int(frontend.maxconn) == 77
    assert frontend.disable()
    assert admin.frontend("web").status == "PAUSED"
    assert frontend.enable()
    assert admin.frontend("web").status == "OPEN"
    assert admin.setmaxconn(400)
    assert admin.setratelimitsess(30)
    assert int(admin.ratelimitsess) == 30
    assert admin.clearcounters(all=True)


def test_haproxyadmin_understands_refusals(admin):
    refused = package("haproxyadmin.exceptions").CommandFailed
    with pytest.raises(refused, match="Value out of range"):
        admin.setmaxconn(600)
    with pytest.raises(refused, match="sockets are already enabled"):
        admin.frontend("web").enable()


def test_haproxyadmin_changes_acls_and_maps(admin, balancer: Program):
    paths, groups = (str(balancer.directory / name) for name in ("paths", "groups"))
    assert [line.split()[1:] for line in admin.show_acl(paths)] == [["/private"]]
    assert admin.add_acl(paths, "/secret")
    assert "match=yes" in admin.get_acl(paths, "/secret/x")
    assert admin.del_acl(paths, "/private")
    assert [line.split()[1:] for line in admin.show_acl(paths)] == [["/secret"]]
    assert admin.clear_acl(paths)
    assert admin.add_map(groups, "192.168.0.0/16", "home")
    assert 'value="home"' in admin.get_map(groups, "192.168.3.4")
    assert admin.set_map(groups, "192.168.0.0/16", "house")
    assert [line.split()[1:] for line in admin.show_map(groups)] == [
        ["10.0.0.0/8", "inside"],
        ["192.168.0.0/16", "house"],
    ]
    assert admin.del_map(groups, "192.168.0.0/16")
    assert admin.clear_map(groups)


# -------------------------------------------------------------------------------------------------------- haproxy-cli


def haproxy_cli(program: Program, *words: str) -> str:
    path = Path(sys.executable).with_name("haproxy-cli")
    if not path.exists():
        skip_or_fail("haproxy-cli is not installed: pip install -e .[clients]")
    command = [sys.executable, str(path), "-k", str(program.socket), *words]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert run.returncode == 0, run
    return run.stdout


def test_haproxy_cli(balancer: Program):
    assert "Maxconn: 500" in haproxy_cli(balancer)
    assert haproxy_cli(balancer, "-c", "frontends").split() == ["web"]
    assert haproxy_cli(balancer, "-c", "backends").split() == ["app"]
    servers = haproxy_cli(balancer, "-c", "servers", "-b", "app").splitlines()
    assert [line.split(" Weight")[0] for line in servers] == [
        "Name: one Status: UP", "Name: two Status: UP", "Name: dead Status: DOWN",
    ]  # fmt: skip
    haproxy_cli(balancer, "-c", "disable", "-b", "app", "-s", "two")
    assert status(balancer, "two") == "MAINT"
    haproxy_cli(balancer, "-c", "enable", "-b", "app", "-s", "two")
    assert status(balancer, "two") == "UP"
    haproxy_cli(balancer, "-c", "set-weight", "-b", "app", "-s", "two", "-w", "33")
    assert haproxy_cli(balancer, "-c", "get-weight", "-b", "app", "-s", "two").strip() == "33 (initial 20)"
    haproxy_cli(balancer, "-c", "sessions")


# ------------------------------------------------------------------------------------------------------- haproxystats

STATS = """
[process]
workers = 1
src-dir = {dir}/incoming
[graphite]
server = 127.0.0.1
port = {port}
namespace = lb
prefix-hostname = false
"""


@pytest.mark.parametrize("balancer", ["pylb"], indirect=True)  # it wants lines that a HAProxy without zlib lacks
def test_haproxystats_works_the_figures_up(balancer: Program, tmp_path):
    """haproxystats-process, on what its other half, haproxystats-pull, would have stored: the answers to two commands.
    (That half uses a decorator that Python 3.11 took out of asyncio.) The test is the Graphite server that it tells."""
    package("haproxystats")
    program = Path(sys.executable).with_name("haproxystats-process")
    (tmp_path / "incoming").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as graphite, (tmp_path / "log").open("wb") as log:
        graphite.settimeout(20)
        settings = tmp_path / "conf"
        settings.write_text(STATS.format(dir=tmp_path, port=graphite.getsockname()[1]))
        process = subprocess.Popen([sys.executable, str(program), "-f", str(settings)], stdout=log, stderr=log)
        try:
            told, _ = graphite.accept()
            wait_for(lambda: "watching" in (tmp_path / "log").read_text(), 20, "it to watch")
            stored = tmp_path / str(int(time.time()))
            stored.mkdir()
            (stored / "admin.sock_info").write_text(balancer.ask("show info"))
            (stored / "admin.sock_stat").write_text(balancer.ask("show stat"))
            stored.rename(tmp_path / "incoming" / stored.name)
            with told, told.makefile() as lines:
                told.settimeout(20)
                figures = {}
                while not any("TotalWallClockTime" in name for name in figures):
                    line = lines.readline()
                    assert line, (tmp_path / "log").read_text()
                    name, value, _ = line.split()
                    figures[name] = float(value)
        finally:
            process.terminate()
            process.wait(20)
    assert figures["lb.haproxy.daemon.Maxconn"] == 500
    assert figures["lb.haproxy.frontend.web.slim"] == 500
    assert figures["lb.haproxy.backend.app.act"] == 2
    assert figures["lb.haproxy.backend.app.server.two.weight"] == 20
    log_text = (tmp_path / "log").read_text()
    assert not [line for line in log_text.splitlines() if " ERROR " in line or " CRITICAL " in line], log_text


# -------------------------------------------------------------------------------------------------------------- socat


def test_socat_over_unix_and_tcp(balancer: Program):
    def socat(address: str, said: str) -> str:
        command = [require_program("socat"), "-t", "5", "stdio", address]
        return subprocess.run(command, input=said, capture_output=True, text=True, timeout=20, check=True).stdout

    unix, tcp = f"unix:{balancer.socket}", f"tcp:127.0.0.1:{balancer.ports['admin']}"
    assert socat(unix, "show cli level\n") == "admin\n\n"
    assert socat(tcp, "show cli level\n") == "operator\n\n"
    assert socat(tcp, "set server app/one state maint\n").strip() == "Permission denied"
    assert socat(unix, "prompt\nget weight app/one\nquit\n") == "\n> 10 (initial 10)\n\n> "
    assert len(socat(tcp, "show info;show stat\n").split("\n\n")) == 3
