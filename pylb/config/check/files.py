"""Files that the configuration names: there and readable, certificates in order.

The check itself opens nothing. Whoever wants files looked at passes a `Look`, which the command line makes from the
real file system and `net.certificates`, and a test from a dict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pylb.config.check.registry import warning
from pylb.config.check.walk import binds, named, proxies, servers, tests
from pylb.config.haproxy.crt_list import read_crt_list
from pylb.config.model import Config, Finding, Origin
from pylb.config.words import Report


@dataclass(frozen=True, slots=True)
class CertificateProblem:
    """What is wrong with a bundle: an error keeps TLS from working, else it is a warning."""

    fatal: bool
    message: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """How to look at files."""

    read: Callable[[str], bytes]
    """A file's contents; raises OSError."""
    certificates: Callable[[str], Sequence[CertificateProblem]]
    """The problems of a PEM file, or of the PEM files in a directory; raises OSError."""


def check_files(config: Config, look: Look) -> Iterator[Finding]:
    """Errors for files that cannot be read, and for certificates that cannot serve; warnings for doubtful ones."""
    for path, at, what in _plain_files(config):
        try:
            look.read(path)
        except OSError as problem:
            yield _unreadable(path, at, what, problem)
    for path, at in bundles(config):
        yield from _bundle(path, at, look)
    yield from _crt_lists(config, look)


def _crt_lists(config: Config, look: Look) -> Iterator[Finding]:
    """What is wrong in the files of `crt-list`, and with the certificates that they name."""
    for _, bind in binds(config):
        for path in bind.tls.crt_list if bind.tls is not None else ():
            assert bind.tls is not None
            try:
                content = look.read(path)
            except OSError as problem:
                yield _unreadable(path, bind.at, "crt-list", problem)
                continue
            report = Report()
            for listed in read_crt_list(content, path, bind.tls, report):
                yield from _bundle(in_base(config.globals.crt_base, listed.certificate), listed.at, look)
            yield from report.findings


def _unreadable(path: str, at: Origin, what: str, problem: OSError) -> Finding:
    return Finding("error", at, f'{what} "{path}" cannot be read: {problem.strerror}', "check the path and its owner")


def _bundle(path: str, at: Origin, look: Look) -> Iterator[Finding]:
    try:
        problems = look.certificates(path)
    except OSError as problem:
        yield _unreadable(path, at, "certificate", problem)
        return
    for found in problems:
        if found.fatal:
            yield Finding("error", at, found.message, found.advice)
        else:
            yield warning(at, found.message, found.advice)


def _plain_files(config: Config) -> Iterator[tuple[str, Origin, str]]:
    for proxy in proxies(config):
        for page in proxy.error_files:
            if page.path:
                yield page.path, page.at, f"errorfile {page.status} of {named(proxy)}"
        for test in tests(proxy):
            yield from ((path, test.at, "pattern file") for path in test.files)
    base = config.globals.ca_base
    settings = [(bind.tls, bind.at) for _, bind in binds(config)] + [
        (tls, server.at)
        for _, server in servers(config)
        for tls in (server.tls, server.check.tls_options if server.check is not None else None)
    ]
    for tls, at in settings:
        files = (tls.ca_file, tls.crl_file) if tls is not None else ()
        yield from ((in_base(base, path), at, "file") for path in files if path and path[0] != "@")


def bundles(config: Config) -> Iterator[tuple[str, Origin]]:
    """Every PEM file, or directory of such, that the configuration serves with or shows to servers."""
    base = config.globals.crt_base
    for _, bind in binds(config):
        for path in bind.tls.certificates if bind.tls is not None else ():
            yield in_base(base, path), bind.at
    for _, server in servers(config):
        if server.tls is not None and server.tls.certificate:
            yield in_base(base, server.tls.certificate), server.at


def in_base(base: str | None, path: str) -> str:
    """A path under crt-base or ca-base, unless it is absolute (manual: 3.1)."""
    return str(PurePosixPath(base or "", path))
