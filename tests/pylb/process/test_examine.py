"""Examining a configuration: what the command line asks for beside the findings."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylb.net import certificates as pem
from pylb.process.examine import Certificates, examine

CONFIG = """
defaults
 mode http
 timeout client 5s
 timeout server 5s
 timeout connect 5s
frontend f
 bind 127.0.0.1:1 ssl crt {0}/a.pem crt {0}/more
 bind 127.0.0.1:2 ssl crt {0}/a.pem
 default_backend b
backend b
 server s 127.0.0.1:3
"""


def test_each_certificate_is_read_once_for_its_problems_and_its_notes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more").mkdir()
    for name, place in (("a.lab", "a.pem"), ("b.lab", "more/b.pem"), ("c.lab", "more/c.pem")):
        (tmp_path / place).write_bytes(pem.self_signed([name], 30))
    (tmp_path / "t.cfg").write_text(CONFIG.format(tmp_path))
    read: list[str] = []
    load_bundle = pem.load_bundle

    def noting(path: str) -> pem.Bundle:
        read.append(Path(path).name)
        return load_bundle(path)

    monkeypatch.setattr(pem, "load_bundle", noting)
    certificates = Certificates()
    config, findings = examine([str(tmp_path / "t.cfg")], compiled=False, certificates=certificates)
    assert config is not None and not findings
    notes = list(certificates.notes(config))
    assert [note.split(" covers ")[1].split(",")[0] for note in notes] == ["a.lab", "b.lab", "c.lab", "a.lab"]
    assert [note.split(": note:")[0].split(":")[1] for note in notes] == ["8", "8", "8", "9"]
    assert read == ["a.pem", "b.pem", "c.pem"]


def test_what_the_compiler_of_rules_warns_of_is_told_by_the_check(tmp_path: Path) -> None:
    file = tmp_path / "haproxy.cfg"
    file.write_text(
        "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n"
        "frontend f\n bind 127.0.0.1:1\n http-request deny if { res.hdr(x) a }\n http-request deny if { path }\n"
    )
    _, findings = examine([str(file)])
    told = {finding.at.line: finding.message for finding in findings if "never matches" in finding.message}
    assert set(told) == {8, 9}
