"""The vectors are true: HAProxy, where it is installed, is asked the same again.

One process answers for all samples, one for all tests: a header tells which.
"""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from rules_vectors import ACL_REQUEST, ODD_REQUEST, ODD_SAMPLES, PATTERN_FILE, TESTS, USUAL_REQUEST, USUAL_SAMPLES
from support import free_port, require_program, wait_for_port

pytestmark = pytest.mark.interop

CONFIG = """
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
userlist u
    group g users joe
    group h users joe
    user joe insecure-password secret
backend b
    server s 127.0.0.1:1
frontend fe
    bind 127.0.0.1:{port}
    http-request set-var(txn.x) str(vv)
    http-request set-var(txn.n) int(40)
{rules}
"""


def quoted(text: str) -> str:
    """A word of haproxy.cfg."""
    return "'" + text.replace("'", "'\"'\"'") + "'"


class HAProxy:
    """The real program with some rules, for as long as the `with` lasts."""

    def __init__(self, directory: Path, rules: list[str]) -> None:
        self.port = free_port()
        self._config = directory / "haproxy.cfg"
        self._config.write_text(CONFIG.format(port=self.port, rules="\n".join(f"    {rule}" for rule in rules)))

    def __enter__(self) -> HAProxy:
        program = require_program("haproxy")
        self._process = subprocess.Popen([program, "-f", str(self._config)], stderr=subprocess.PIPE)
        wait_for_port(self.port)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10)

    def ask(self, request: bytes) -> bytes:
        """The body of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as client:
            client.sendall(request + b"Connection: close\r\n\r\n")
            received = b"".join(iter(lambda: client.recv(65536), b""))
        return received.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("request_head", "samples"), [(ODD_REQUEST, ODD_SAMPLES), (USUAL_REQUEST, USUAL_SAMPLES)], ids=["odd", "usual"]
)
def test_haproxy_gives_the_same_values(tmp_path, request_head, samples):
    rules = [
        f"http-request return content-type text/plain lf-string {quoted(f'<%[{expression}]>')}"
        f" if {{ req.hdr(x-id) {number} }}"
        for number, (expression, _) in enumerate(samples)
    ]
    with HAProxy(tmp_path, rules) as haproxy:
        answers = {e: haproxy.ask(request_head + b"X-Id: %d\r\n" % number) for number, (e, _) in enumerate(samples)}
    assert answers == {expression: b"<" + value + b">" for expression, value in samples}


def test_haproxy_matches_the_same_tests(tmp_path):
    patterns = tmp_path / "patterns.lst"
    patterns.write_text(PATTERN_FILE)

    def condition(test: str) -> str:
        plain = test.replace("_", "").replace(".", "").isupper() or test.startswith("HTTP_1")
        return test if plain else f"{{ {test.replace('FILE', str(patterns))} }}"

    rules = [f"http-request set-header R{n} 1 if {condition(test)}" for n, (test, _) in enumerate(TESTS)]
    verdicts = ",".join(f"%[req.hdr(R{number})]" for number in range(len(TESTS)))
    rules.append(f"http-request return content-type text/plain lf-string {quoted(verdicts)}")
    with HAProxy(tmp_path, rules) as haproxy:
        body = haproxy.ask(ACL_REQUEST)
    assert [(test, verdict == b"1") for (test, _), verdict in zip(TESTS, body.split(b","), strict=True)] == TESTS
