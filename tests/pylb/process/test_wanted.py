"""What is slow to import is there when it is asked for, also in an empty root directory, and not there before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from live import DEFAULTS, Server, echo, ports, serving
from load import tell
from support import wait_for

from pylb.net.certificates import self_signed

BACKEND = "backend b\n mode http\n timeout server 1s\n timeout connect 1s\n"
SERVER = " server s 127.0.0.1:9 check"
SLOW = {"h11", "cryptography", "uuid"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"global\n stats socket /nowhere/s\n{BACKEND}{SERVER}\n", set()),
        (f"{BACKEND}{SERVER} ssl verify none\n", set()),
        (f"{BACKEND} option httpchk\n", {"h11"}),
        (f"{BACKEND}{SERVER} ssl verify none crt FILE\n", {"cryptography"}),
        ("frontend f\n mode http\n timeout client 1s\n bind 127.0.0.1:1 ssl crt FILE\n", {"cryptography"}),
        (f"global\n chroot /var\n{BACKEND}{SERVER}\n", {"cryptography"}),
    ],
)
def test_a_configuration_imports_what_it_needs(tmp_path: Path, text: str, expected: set[str]) -> None:
    config, bundle = tmp_path / "haproxy.cfg", tmp_path / "lab.pem"
    bundle.write_bytes(self_signed(["lab"]))
    config.write_text(text.replace("FILE", str(bundle)))
    code = (
        "import sys; from pylb.process import start, wanted; from pylb.config.load import load;"
        "wanted.import_wanted(load(sys.argv[1:], {})[0]); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(config)], capture_output=True, text=True, check=True)
    assert SLOW & set(done.stdout.split()) == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_in_an_empty_root_checks_and_first_certificates_are_understood(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    jail = tmp_path / "jail"
    jail.mkdir()
    server, port = Server(echo), ports(1)[0]
    text = f"global\n chroot {jail}\n user nobody\n group nogroup\n stats socket {tmp_path}/admin.sock level admin\n"
    text += f"{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n option httpchk GET /\n server s 127.0.0.1:{server.port}\n"
    with serving(tmp_path, text, ready=port):
        admin = f"{tmp_path}/admin.sock"
        tell(admin, f"add server l/new 127.0.0.1:{server.port} check inter 100ms")
        tell(admin, "enable health l/new; enable server l/new")
        wait_for(lambda: "L7OK" in tell(admin, "show stat"), 10, "an answer that was read")
        tell(admin, "new ssl cert lab.pem")
        assert "created" in tell(admin, f"set ssl cert lab.pem <<\n{self_signed(['lab']).decode()}")
        assert "Success" in tell(admin, "commit ssl cert lab.pem")
        assert "DNS:lab" in tell(admin, "show ssl cert lab.pem")
    server.close()
