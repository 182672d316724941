"""HAProxy's command line, for scripts and unit files that were written for it.

    pylb haproxy -f haproxy.cfg -D -p /run/haproxy.pid -sf $(cat /run/haproxy.pid)

is what `haproxy …` does with the same words (haproxy_words.py); a link called `haproxy` to pylb does so too.
"""

from __future__ import annotations

import gc
import os
import re
import resource
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pylb import __version__
from pylb.config.haproxy.conditional import holds
from pylb.config.haproxy.keywords import Refusal
from pylb.config.haproxy.lexer import LexicalError, split_line
from pylb.config.presets import LOCAL_PEER
from pylb.haproxy_words import USAGE, Line, parse
from pylb.process.courtesy import without_collections
from pylb.process.examine import examine, worst
from pylb.process.privileges import StartError

NO_LISTENER = "Configuration file has no error but will not start (no listener) => exit(2)."

LEAST_ROOM = 16
"""Megabytes beyond what the program itself takes that -m must leave."""


def main(words: Sequence[str]) -> int:
    """Do what HAProxy does with these words; the exit status."""
    try:
        line = parse(words)
    except ValueError as error:
        sys.stderr.write(f"pylb haproxy: {error}\n{USAGE}")
        return 1
    if line.version:
        return _version(line.verbose)
    if line.condition is not None:
        return _evaluate(line)
    if not line.files:
        sys.stderr.write(USAGE)
        return 1
    try:
        if line.directory is not None:
            os.chdir(line.directory)
        return _check(line) if line.check else _serve(line)
    except (StartError, OSError, ValueError) as error:
        sys.stderr.write(f"pylb: error: {error}\n")
        return 1


def _version(more: bool) -> int:
    print(f"HAProxy version 2.6-pylb-{__version__}: pylb, which reads HAProxy 2.6's configuration")
    if more:
        import ssl

        print(f"Running on: {' '.join(os.uname()[:3])}\nPython {sys.version.split()[0]}, {ssl.OPENSSL_VERSION}")
    return 0


def _evaluate(line: Line) -> int:
    """-cc"""
    assert line.condition is not None
    variables = {**os.environ, **line.presets.variables()}
    try:
        return 0 if holds(split_line(line.condition, "-cc", 1, variables.get), variables) else 1
    except (LexicalError, Refusal) as error:
        sys.stderr.write(f"pylb: error: -cc: {error.message}{f' ({error.advice})' if error.advice else ''}\n")
        return 2


def _objects() -> None:
    """-dL: a line for each."""
    found = re.findall(r"(?m)^[0-9a-f]+-[0-9a-f]+ r-xp .*? (/.*)$", Path("/proc/self/maps").read_text())
    print("\n".join(dict.fromkeys(found)), flush=True)


def _limit_memory(megabytes: int) -> None:
    """-m, for this process and all that come from it. Raises ValueError where it could not even start."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() >> 20
    if megabytes < taken + LEAST_ROOM:
        raise ValueError(f"-m {megabytes} is too little: a process takes {taken} MB before its first connection")
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))


def _check(line: Line) -> int:
    from pylb.cli import show

    config, findings = examine(line.files, presets=replace(line.presets, need_listener=False))
    idle = config is not None and not line.master and not any(frontend.binds for frontend in config.frontends)
    valid = config is not None and not (line.strict and findings)
    show(worst(findings) if line.silent and not line.strict else findings)
    if valid and not line.silent:
        print("Warnings were found." if findings else "", end="\n" if findings else "")
        print(NO_LISTENER if idle else "Configuration file is valid")
    if config is not None and line.objects:
        _objects()
    return (2 if idle else 0) if valid else 1


def _serve(line: Line) -> int:
    from pylb.cli import show

    files = [str(Path(file).absolute()) for file in line.files]
    os.environ[LOCAL_PEER] = line.presets.variables()[LOCAL_PEER]
    with without_collections():
        config, findings = examine(files, compiled=False, presets=line.presets)
        show(worst(findings) if line.silent else findings)
        if config is None or (line.strict and findings):
            return 1
        from pylb.process import start
        from pylb.process.wanted import import_wanted

        import_wanted(config)
        gc.freeze()  # as in cli.serve
    if line.objects:
        _objects()
    if line.debug:
        os.environ["PYTHONASYNCIODEBUG"] = "1"
    if line.megabytes:
        _limit_memory(line.megabytes)
    return start.run(
        config,
        start.Options(
            files=files, foreground=line.foreground, quiet=line.silent, daemon=line.daemon, pidfile=line.pidfile,
            show=show, presets=line.presets, old=tuple(line.old), old_signal=line.old_signal,
            sockets_from=line.sockets_from, sockets_needed=not line.master, master_socket=line.master_socket,
        ),
    )  # fmt: skip
