"""Real clients and servers on both sides: curl and wrk in front, nginx behind; what comes through pylb is what comes
from nginx itself and through HAProxy."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import free_port, require_program, wait_for_port

pytestmark = pytest.mark.interop

NGINX = """
daemon off; user root; pid {dir}/nginx.pid; error_log {dir}/nginx.err; worker_processes 1;
events {{ worker_connections 512; }}
http {{
    access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fcgi;
    uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi; client_max_body_size 50m; default_type text/plain;
    gzip on; gzip_types text/plain; gzip_min_length 10;
    server {{
        listen 127.0.0.1:{origin};
        root {dir}/files; etag off; if_modified_since off; autoindex on;
        location /moved {{ return 302 /small.txt; }}
        location /empty {{ return 204; }}
        location /gone {{ return 410 "no more\\n"; }}
        location /put/ {{ dav_methods PUT; create_full_put_path on; }}
        location /host {{ return 200 "$host $http_x_forwarded_for $server_protocol\\n"; }}
    }}
}}
"""
CONFIG = """
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
frontend plain
    bind 127.0.0.1:{port}
    bind 127.0.0.1:{tls} ssl crt {dir}/site.pem
    option forwardfor
    default_backend nginx
backend nginx
    option httpchk GET /small.txt
    server n 127.0.0.1:{origin} check
"""


@dataclass
class Way:
    """To nginx directly or through one of the two."""

    port: int
    tls: int | None = None


@contextmanager
def started(command: list[str], directory: Path) -> Iterator[None]:
    with (directory / "err").open("ab") as err:
        process = subprocess.Popen(command, stdout=err, stderr=err)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def ways(tmp_path_factory) -> Iterator[dict[str, Way]]:
    directory = tmp_path_factory.mktemp("peers")
    nginx, haproxy, origin = require_program("nginx"), require_program("haproxy"), free_port()
    files = directory / "files"
    files.mkdir()
    directory.chmod(0o755)
    (files / "small.txt").write_text("hello\n" * 20)
    (files / "big.bin").write_bytes(bytes(range(256)) * 12_000)
    (directory / "nginx.conf").write_text(NGINX.format(dir=directory, origin=origin))
    pylb = [sys.executable, "-m", "pylb"]
    subprocess.run([*pylb, "cert", "site.test", "-o", str(directory / "site.pem")], check=True, capture_output=True)
    found = {"nginx": Way(origin)}
    with ExitStack() as stack:
        stack.enter_context(started([nginx, "-p", str(directory), "-c", str(directory / "nginx.conf")], directory))
        wait_for_port(origin)
        for name, command in (("haproxy", [haproxy, "-db"]), ("pylb", pylb)):
            way = found[name] = Way(free_port(), free_port())
            path = directory / f"{name}.cfg"
            path.write_text(CONFIG.format(dir=directory, origin=origin, port=way.port, tls=way.tls))
            stack.enter_context(started([*command, "-f", str(path)], directory))
            wait_for_port(way.port)
        yield found
    assert "Traceback" not in (directory / "err").read_text()


def curl(*words: str) -> tuple[int, bytes, bytes]:
    """Exit status, output, and what -w says of it."""
    command = [
        require_program("curl"),
        "-sS",
        "--max-time",
        "20",
        "-w",
        "%{stderr}%{http_code} %{num_redirects}",
        *words,
    ]
    done = subprocess.run(command, capture_output=True, check=False, timeout=30)
    return done.returncode, done.stdout, done.stderr


REQUESTS: dict[str, list[str]] = {
    "small": ["/small.txt"],
    "head": ["-I", "-o", "-", "/small.txt"],
    "big": ["/big.bin"],
    "a range": ["-r", "1000-1999", "/big.bin"],
    "several": ["/small.txt", "/gone", "/empty", "/small.txt"],
    "compressed, in chunks": ["--compressed", "/small.txt"],
    "compressed, in chunks, HTTP/1.0": ["-0", "--compressed", "/small.txt"],
    "HTTP/1.0": ["-0", "/small.txt"],
    "a redirect": ["-L", "/moved"],
    "nothing": ["/empty"],
    "missing": ["/nowhere"],
    "an upload with Expect": ["-T", "{files}/big.bin", "/put/{name}-1.bin"],
    "an upload in chunks": ["-T", "{files}/big.bin", "-H", "Transfer-Encoding: chunked", "/put/{name}-2.bin"],
    "a form that is refused": ["-d", "a=b", "/small.txt"],
    "another host": ["-H", "Host: other.test", "/nowhere"],
}


def fetch(way: Way, name: str, words: list[str], files: Path, scheme: str = "http") -> tuple[int, bytes, bytes]:
    port = way.tls if scheme == "https" else way.port
    base = f"{scheme}://127.0.0.1:{port}"
    filled = [word.format(files=files, name=name) for word in words]
    return curl(
        "-k", *(base + word if word.startswith("/") and not word.startswith(str(files)) else word for word in filled)
    )


def body_only(outcome: tuple[int, bytes, bytes]) -> tuple[int, str, bytes]:
    """Big bodies by their sum; header lines that name the connection or the moment are left out."""
    status, out, said = outcome
    lines = [line for line in out.splitlines() if not re.match(rb"(?i)(date|server|connection|keep-alive):", line)]
    text = b"\n".join(sorted(line.lower() for line in lines) if out.startswith(b"HTTP/") else lines)
    return status, hashlib.sha256(text).hexdigest(), said


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("what", REQUESTS)
def test_curl_gets_the_same_by_every_way(ways, tmp_path_factory, what, scheme):
    files = next(tmp_path_factory.getbasetemp().glob("peers*/files"))
    found = {
        name: body_only(fetch(way, f"{name}-{scheme}", REQUESTS[what], files, scheme if way.tls else "http"))
        for name, way in ways.items()
    }
    assert found["pylb"] == found["haproxy"] == found["nginx"]
    assert found["pylb"][0] == 0


def test_nginx_is_told_of_the_client(ways):
    for name, version in (("haproxy", "HTTP/1.1"), ("pylb", "HTTP/1.1")):
        _, out, _ = curl("-H", "Host: one.test", f"http://127.0.0.1:{ways[name].port}/host")
        assert out.decode() == f"one.test 127.0.0.1 {version}\n"


@pytest.mark.parametrize("path", ["/small.txt", "/big.bin"])
def test_wrk_meets_no_error(ways, path):
    wrk = [require_program("wrk"), "-t1", "-c20", "-d2s", f"http://127.0.0.1:{ways['pylb'].port}{path}"]
    out = subprocess.run(wrk, capture_output=True, text=True, check=True, timeout=30).stdout
    assert int(re.search(r"(\d+) requests in", out)[1]) > 50
    assert "Socket errors" not in out and "Non-2xx" not in out, out
