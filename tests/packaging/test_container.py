"""The image and the manifest: linted, held against Kubernetes' schemas, and the files inside against both programs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "configs/container/Dockerfile"
MANIFEST = ROOT / "configs/kubernetes/daemonset.yaml"
BIN = Path(sys.executable).parent


def run(*command: str | Path, **environment: str) -> tuple[int, str]:
    """(exit status, everything it said)."""
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment}
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def documents() -> dict[str, Any]:
    """The manifest's documents by kind."""
    return {document["kind"]: document for document in yaml.safe_load_all(MANIFEST.read_text())}


def test_the_dockerfile_passes_hadolint() -> None:
    assert run(BIN / "hadolint", DOCKERFILE) == (0, "")


def test_what_the_dockerfile_copies_is_there_and_not_ignored() -> None:
    ignore = (ROOT / ".dockerignore").read_text().split()
    copied = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text())
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignore, name


def test_the_image_has_the_versions_that_the_tests_have() -> None:
    """Every requirement of pyproject.toml, with the hashes of requirements.lock."""
    pins = {
        file: dict(re.findall(r"(?m)^([a-z0-9.-]+==\S+).*\n((?:    --hash=\S+.*\n)+)", (ROOT / file).read_text()))
        for file in ("requirements.lock", "configs/container/requirements.lock")
    }
    ours, all_pins = pins["configs/container/requirements.lock"], pins["requirements.lock"]
    assert ours.items() <= all_pins.items()
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[<>=!~\[; ]", line)[0].lower() for line in wanted}
    assert names <= {pin.split("==")[0] for pin in ours}


def test_the_manifest_is_what_kubernetes_understands() -> None:
    status, said = run(BIN / "kubernetes-validate", "--strict", MANIFEST)
    assert status == 0, said
    assert said.count("passed for resource") == 2


def test_the_files_inside_are_right(tmp_path: Path, documents: dict[str, Any]) -> None:
    for name, text in documents["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text)
    python = sys.executable
    status, said = run(python, "-m", "pylb", "check", "--strict", tmp_path / "lb.toml", LB_STATS_PASSWORD="s3cret-word")
    assert status == 0, said
    for node, priority in (("master1", 100), ("master2", 99), ("master3", 98)):
        file = tmp_path / "keepalived.conf"
        status, said = run(python, "-m", "vrrpd", "check", "-i", node, file)
        assert (status, "0 findings" in said) == (0, True), said
        status, said = run(python, "-m", "vrrpd", "convert", "-i", node, file)
        assert f"priority = {priority}" in said


def test_containers_find_their_files_and_one_another(documents: dict[str, Any]) -> None:
    spec = documents["DaemonSet"]["spec"]["template"]["spec"]
    data = documents["ConfigMap"]["data"]
    volumes = {volume["name"] for volume in spec["volumes"]}
    for container in spec["containers"]:
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert set(mounts.values()) <= volumes
        directory, name = container["command"][2].rsplit("/", 1)
        assert mounts[directory] == "configuration" and name in data
        assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
    probes = [spec["containers"][0][probe]["httpGet"] for probe in ("readinessProbe", "livenessProbe")]
    for probe in probes:
        assert f'bind = "{probe["host"]}:{probe["port"]}"' in data["lb.toml"]
        assert f'monitor-uri = "{probe["path"]}"' in data["lb.toml"]
        assert f"http://{probe['host']}:{probe['port']}{probe['path']}" in data["keepalived.conf"]
