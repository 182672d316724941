"""HAProxy's command line (management manual, 3), for scripts and unit files that were written for it.

    pylb haproxy -f haproxy.cfg -D -p /run/haproxy.pid -sf $(cat /run/haproxy.pid)

is what `haproxy …` does with the same words; a link called `haproxy` to pylb does so too. What chooses between
HAProxy's own mechanisms (pollers, splicing, memory) is accepted and has nothing to choose here.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pylb import __version__
from pylb.config.haproxy.bind import read_stats_socket
from pylb.config.haproxy.keywords import Line as ConfigLine
from pylb.config.haproxy.keywords import Refusal
from pylb.config.model import Origin, StatsSocket
from pylb.config.words import Report, Word
from pylb.process.examine import examine, worst
from pylb.process.privileges import StartError

USAGE = """\
Usage: haproxy [-f FILE|DIR]* [-c] [-vdVDWq] [-n MAXCONN] [-p PIDFILE] [-C DIR] [-- FILE*]
        -f FILE    read this configuration; of a directory its *.cfg
        -c         check the configuration and exit
        -v, -vv    the version
        -D, -W     in the background; -W is what pylb always does: a master and workers
        -Ws        in the foreground under systemd
        -d, -db    stay in the foreground; -d with asyncio's debug mode
        -q, -V     quiet; say more
        -n N       maxconn of the process
        -p FILE    write the process id there
        -C DIR     go there first
        -L NAME    the local peer's name: accepted
        -dW        a warning is an error
        -sf PID*   when this process serves, have these finish what they do; their listening sockets are taken over
        -st PID*   the same, but they end at once
        -S BIND[,OPTION…]  the master socket, as in -S /run/haproxy-master.sock,level,admin,mode,600
        -x SOCKET  take the listening sockets over from this admin socket (expose-fd listeners)
"""

IGNORED = ("-de", "-dp", "-dS", "-dG", "-dR", "-dL", "-dr", "-dV", "-dD", "-W")
IGNORED_WITH_VALUE = ("-L", "-m", "-N")


@dataclass(slots=True)
class Line:
    """What the words say."""

    files: list[str] = field(default_factory=list)
    check: bool = False
    version: bool = False
    daemon: bool = False
    foreground: bool = False
    debug: bool = False
    quiet: bool = False
    verbose: bool = False
    strict: bool = False
    maxconn: int | None = None
    pidfile: str | None = None
    directory: str | None = None
    sockets_from: str | None = None
    old: list[int] = field(default_factory=list)
    old_signal: int = signal.SIGUSR1
    master_socket: StatsSocket | None = None


def parse(words: Sequence[str]) -> Line:
    """Read the words; raises ValueError with what is wrong with them."""
    line, rest = Line(), list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            line.files += rest
            break
        if word in _SWITCHES:
            for name in _SWITCHES[word]:
                setattr(line, name, True)
        elif word in ("-sf", "-st"):
            line.old_signal = signal.SIGUSR1 if word == "-sf" else signal.SIGTERM
            while rest and rest[0].isdigit():
                line.old.append(int(rest.pop(0)))
        elif word == "-f":
            line.files.append(_value(word, rest))
            while rest and not rest[0].startswith("-"):
                line.files.append(rest.pop(0))
        elif word in _VALUES:
            setattr(line, _VALUES[word], _value(word, rest))
        elif word == "-n":
            line.maxconn = _number(word, _value(word, rest))
        elif word == "-S":
            line.master_socket = _master_socket(_value(word, rest))
        elif word in IGNORED_WITH_VALUE:
            _value(word, rest)
        elif word not in IGNORED and not word.startswith("-dM"):
            raise ValueError(f'unknown word "{word}"')
    return line


_SWITCHES = {
    "-c": ("check",), "-v": ("version",), "-vv": ("version", "verbose"), "-D": ("daemon",), "-db": ("foreground",),
    "-d": ("foreground", "debug"), "-Ws": ("foreground",), "-q": ("quiet",), "-V": ("verbose",), "-dW": ("strict",),
}  # fmt: skip
_VALUES = {"-p": "pidfile", "-C": "directory", "-x": "sockets_from"}


def _value(word: str, rest: list[str]) -> str:
    if not rest:
        raise ValueError(f"{word} needs a value")
    return rest.pop(0)


def _number(word: str, text: str) -> int:
    if not text.isdigit():
        raise ValueError(f'{word} takes a number, not "{text}"')
    return int(text)


def _master_socket(text: str) -> StatsSocket:
    """`-S ADDRESS[,bind options]`: commas in the place of blanks; without `level` it is admin's."""
    at, report = Origin("-S"), Report()
    words = [word for word in text.split(",") if word]
    try:
        (declared,) = read_stats_socket(ConfigLine("-S", at, [Word(word, at) for word in words], report), {}, "")
    except Refusal as refusal:
        raise ValueError(f"-S {text}: {refusal.message}") from None
    if report.errors:
        raise ValueError(f"-S {text}: {report.errors[0].message}")
    return declared if "level" in words[1:] else replace(declared, level="admin")


def main(words: Sequence[str]) -> int:
    """Do what HAProxy does with these words; the exit status."""
    try:
        line = parse(words)
    except ValueError as error:
        sys.stderr.write(f"pylb haproxy: {error}\n{USAGE}")
        return 1
    if line.version:
        return _version(line.verbose)
    if not line.files:
        sys.stderr.write(USAGE)
        return 1
    try:
        if line.directory is not None:
            os.chdir(line.directory)
        return _check(line) if line.check else _serve(line)
    except (StartError, OSError) as error:
        sys.stderr.write(f"pylb: error: {error}\n")
        return 1


def _version(more: bool) -> int:
    print(f"HAProxy version 2.6-pylb-{__version__}: pylb, which reads HAProxy 2.6's configuration")
    if more:
        import ssl

        print(f"Running on: {' '.join(os.uname()[:3])}\nPython {sys.version.split()[0]}, {ssl.OPENSSL_VERSION}")
    return 0


def _check(line: Line) -> int:
    from pylb.cli import show

    config, findings = examine(line.files)
    valid = config is not None and not (line.strict and findings)
    show(worst(findings) if line.quiet and not line.strict else findings)
    if valid and not line.quiet:
        print("Configuration file is valid")
    return 0 if valid else 1


def _serve(line: Line) -> int:
    from pylb.cli import show
    from pylb.process import start

    files = [str(Path(file).absolute()) for file in line.files]
    config, findings = examine(files, compiled=False)
    show(worst(findings) if line.quiet else findings)
    if config is None or (line.strict and findings):
        return 1
    if line.debug:
        os.environ["PYTHONASYNCIODEBUG"] = "1"
    return start.run(
        config,
        start.Options(
            files=files, foreground=line.foreground, quiet=line.quiet, daemon=line.daemon, pidfile=line.pidfile,
            show=show, maxconn=line.maxconn, old=tuple(line.old), old_signal=line.old_signal,
            sockets_from=line.sockets_from, master_socket=line.master_socket,
        ),
    )  # fmt: skip
