"""The words of HAProxy's command line (management manual, 3).

Every word of HAProxy 2.6 means here what it means there. One that chooses between mechanisms of HAProxy's own has
nothing to choose here and is accepted, for the reason in NOTHING_TO_CHOOSE.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pylb.config.haproxy.bind import read_stats_socket
from pylb.config.haproxy.keywords import Line as ConfigLine
from pylb.config.haproxy.keywords import Refusal
from pylb.config.model import Origin, StatsSocket
from pylb.config.presets import Presets
from pylb.config.words import Report, Word

USAGE = """\
Usage: haproxy [-f FILE|DIR]* [-c] [-vdVDWq] [-n MAXCONN] [-N MAXPCONN] [-p PIDFILE] [-m MEGS] [-C DIR] [-- FILE*]
        -f FILE    read this configuration; of a directory its *.cfg
        -c         check the configuration and exit
        -cc COND   exit with 0 if the condition (as of .if) holds, 1 if not, 2 if it is none
        -v, -vv    the version
        -D         in the background
        -W         a master and workers, as always; serves with nothing to listen on, too, until a reload
        -Ws        the same, in the foreground under systemd
        -d, -db    stay in the foreground; -d with asyncio's debug mode
        -q, -V     quiet; not quiet after all
        -n N       maxconn of the process
        -N N       maxconn of each frontend for which the configuration has none
        -m N       megabytes of memory that each process may have
        -p FILE    write the process id there
        -C DIR     go there first
        -L NAME    the local peer's name, HAPROXY_LOCALPEER in the configuration; by default the host's
        -dr        a server whose name does not resolve starts without an address
        -dV        certificates of servers are not verified where the configuration says nothing of it
        -dW        a warning is an error
        -dL        list the shared objects that the program is made of
        -sf PID*   when this process serves, have these finish what they do; their listening sockets are taken over
        -st PID*   the same, but they end at once
        -S BIND[,OPTION…]  the master socket, as in -S /run/haproxy-master.sock,level,admin,mode,600
        -x SOCKET  take the listening sockets over from this admin socket (expose-fd listeners)
"""

NOTHING_TO_CHOOSE = {
    "-de": "there is one event loop, chosen by the platform",
    "-dp": "there is one event loop, chosen by the platform",
    "-dS": "data is not spliced",
    "-dG": "names are resolved by getaddrinfo",
    "-dR": "all workers accept from one socket",
    "-dM": "memory is Python's: PYTHONMALLOC=debug",
    "-dD": "what is suspicious is always warned of",
}
"""Words that are accepted and change nothing."""


@dataclass(slots=True)
class Line:
    """What the words say."""

    files: list[str] = field(default_factory=list)
    condition: str | None = None
    check: bool = False
    version: bool = False
    daemon: bool = False
    foreground: bool = False
    master: bool = False
    debug: bool = False
    quiet: bool = False
    verbose: bool = False
    strict: bool = False
    objects: bool = False
    maxconn: int | None = None
    proxy_maxconn: int | None = None
    megabytes: int | None = None
    local_peer: str | None = None
    unresolved: bool = False
    unverified: bool = False
    pidfile: str | None = None
    directory: str | None = None
    sockets_from: str | None = None
    old: list[int] = field(default_factory=list)
    old_signal: int = signal.SIGUSR1
    master_socket: StatsSocket | None = None

    @property
    def silent(self) -> bool:
        """-q, unless -V takes it back."""
        return self.quiet and not self.verbose

    @property
    def presets(self) -> Presets:
        """What holds for every reading of the files."""
        return Presets(
            maxconn=self.maxconn,
            proxy_maxconn=self.proxy_maxconn or None,
            local_peer=self.local_peer,
            verify_servers=not self.unverified,
            need_listener=not self.master,
            master=self.master,
            need_addresses=not self.unresolved,
        )


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
            while rest and not rest[0].startswith("-"):
                line.old.append(_pid(word, rest.pop(0)))
        elif word == "-f":
            line.files.append(_value(word, rest))
        elif word in _VALUES:
            setattr(line, _VALUES[word], _value(word, rest))
        elif word in _NUMBERS:
            setattr(line, _NUMBERS[word], _number(word, _value(word, rest)))
        elif word == "-S":
            line.master_socket = _master_socket(_value(word, rest))
        elif word.startswith("-dK"):
            raise ValueError(f'"{word}" is not supported by pylb: its keywords are listed in docs/keywords.md')
        elif word[:3] not in NOTHING_TO_CHOOSE:
            hint = "" if word.startswith("-") else ": -f stands before each file, -- before several"
            raise ValueError(f'unknown word "{word}"{hint}')
    return line


_SWITCHES = {
    "-c": ("check",), "-v": ("version",), "-vv": ("version", "verbose"), "-D": ("daemon",), "-db": ("foreground",),
    "-d": ("foreground", "debug"), "-W": ("master",), "-Ws": ("master", "foreground"), "-q": ("quiet",),
    "-V": ("verbose",), "-dW": ("strict",), "-dr": ("unresolved",), "-dV": ("unverified",), "-dL": ("objects",),
}  # fmt: skip
_VALUES = {"-p": "pidfile", "-C": "directory", "-x": "sockets_from", "-cc": "condition", "-L": "local_peer"}
_NUMBERS = {"-n": "maxconn", "-N": "proxy_maxconn", "-m": "megabytes"}


def _value(word: str, rest: list[str]) -> str:
    if not rest:
        raise ValueError(f"{word} needs a value")
    return rest.pop(0)


def _number(word: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'{word} takes a number, not "{text}"')
    return int(text)


def _pid(word: str, text: str) -> int:
    """Of a process; 0 would be all of a group."""
    if not 0 < (number := _number(word, text)) < 2**31:
        raise ValueError(f'{word} takes process ids, not "{text}"')
    return number


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
