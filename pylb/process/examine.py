"""Reading and checking a configuration in every way short of starting it: for the command line and for reloads.

Everything heavy is imported when it is needed: a daemon started from haproxy.cfg holds no pydantic.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pylb.config.model import Config, ConfigError, Finding
from pylb.config.presets import NONE, Presets
from pylb.process.courtesy import without_collections

if TYPE_CHECKING:
    from pylb.config.check import CertificateProblem, Look
    from pylb.net.certificates import Bundle


def examine(
    files: Sequence[str],
    compiled: bool = True,
    certificates: Certificates | None = None,
    presets: Presets = NONE,
) -> tuple[Config | None, list[Finding]]:
    """Read and check a configuration in every way short of starting it; None in place of one that cannot be used.

    With `compiled` False a configuration that looks right is not compiled: whoever starts it does that. `certificates`
    knows afterwards what has been found in their files.
    """
    with without_collections():
        return _examine(files, compiled, certificates or Certificates(), presets)


def _examine(
    files: Sequence[str], compiled: bool, certificates: Certificates, presets: Presets
) -> tuple[Config | None, list[Finding]]:
    from pylb.config.check import NOTHING_TO_DO, check, in_order
    from pylb.config.load import load

    try:
        config, findings = load(files, os.environ, presets)
    except ConfigError as error:
        return None, in_order([*error.findings, *_aftermath(error)])
    findings = [*findings, *check(config, _look(certificates))]
    if not presets.need_listener:
        findings = [finding for finding in findings if finding.message != NOTHING_TO_DO]
    if compiled or worst(findings):
        findings += new(_compile(config), findings)
    findings = in_order(findings)
    return (None if worst(findings) else config), findings


def _aftermath(error: ConfigError) -> list[Finding]:
    """What else is wrong with what could be read."""
    from pylb.config.check.aftermath import independent, texts
    from pylb.config.check.files import check_files
    from pylb.config.check.references import CHECKS

    config = error.config
    if config is None:
        return []
    found: list[Finding] = []
    # Values that could not be read are missing, and nothing is sure of what is left: what trips over it says nothing.
    for references in CHECKS:
        with suppress(Exception):
            found += references(config)
    with suppress(Exception):
        found += check_files(config, _look(Certificates()))
    with suppress(Exception):
        found += new(_compile(config), found)
    return independent(found, worst(error.findings), texts(error.findings))


def _compile(config: Config) -> Sequence[Finding]:
    from pylb.config.words import Report
    from pylb.process.balancer import Balancer

    report = Report()
    try:
        Balancer(config, report).close()
    except ConfigError as error:
        return error.findings
    return report.findings


class Certificates:
    """Those of a configuration, each file read once: for what is wrong with it, and for what it says."""

    def __init__(self) -> None:
        self._bundles: dict[str, list[Bundle]] = {}
        """By the path in the configuration, which may be a directory's."""
        self._problems: dict[str, list[CertificateProblem]] = {}

    def problems(self, path: str) -> list[CertificateProblem]:
        """Those of a PEM file or of a directory of such (config.check.Look). Raises OSError."""
        if path not in self._problems:
            self._read(path)
        return self._problems[path]

    def _read(self, path: str) -> None:
        from pylb.config.check import CertificateProblem
        from pylb.net.certificates import load_bundle
        from pylb.net.tls import certificate_files

        bundles: list[Bundle] = []
        problems: list[CertificateProblem] = []
        for file in certificate_files([path], None):
            try:
                bundles.append(load_bundle(file))
            except ValueError as error:
                problems.append(CertificateProblem(True, str(error), "write a PEM file with certificate and key"))
            else:
                problems += bundles[-1].problems
        self._bundles[path], self._problems[path] = bundles, problems

    def notes(self, config: Config) -> Iterator[str]:
        """A line for each certificate of a configuration that has been examined: where it stands, what it covers, until
        when."""
        from pylb.config.check.files import bundles

        for path, at in bundles(config):
            yield from (f"{at}: note: {bundle}" for bundle in self._bundles[path])


def _look(certificates: Certificates) -> Look:
    from pylb.config.check import Look

    return Look(lambda path: Path(path).read_bytes(), certificates.problems)


def new(more: Sequence[Finding], known: Sequence[Finding]) -> list[Finding]:
    """Without the errors at places where one is known: the check and the rules' compiler see the same mistake."""
    places = {finding.at for finding in known if finding.severity == "error" and finding.at.line}
    return [finding for finding in more if finding.at not in places]


def worst(findings: Sequence[Finding]) -> list[Finding]:
    """The errors."""
    return [finding for finding in findings if finding.severity == "error"]
