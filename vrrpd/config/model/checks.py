"""Programs to run, and the checks that a priority may depend on: scripts, files, processes, interfaces."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from vrrpd.config.model.place import NOWHERE, Origin, Strict


@dataclass(frozen=True, slots=True)
class Command(Strict):
    """A program to run: words for execve, no shell unless the words name one."""

    argv: tuple[str, ...]
    user: str | None = None
    """User (and `group`) to run as; None: the global `script_user`."""
    group: str | None = None
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TrackScript(Strict):
    """A check that runs every `interval` and passes or fails. [script.NAME | vrrp_script NAME]"""

    name: str
    command: Command
    """[command, user, group | script, user]"""
    interval: Annotated[float, Gt(0), Le(86400)] = 1.0
    """Start of one run to the start of the next; a run that is still going is never joined by another."""
    timeout: Annotated[float, Gt(0), Le(86400)] | None = None
    """A run longer than this is killed and has failed; None: `interval`."""
    weight: Annotated[int, Ge(-253), Le(253)] = 0
    """Default weight; 0: a failure is FAULT."""
    reverse: bool = False
    """Success and failure change places. [| weight N reverse]"""
    rise: Annotated[int, Ge(1)] = 1
    """Successes in a row until it passes."""
    fall: Annotated[int, Ge(1)] = 1
    """Failures in a row until it fails."""
    init_fail: bool = False
    """It has failed until `rise` runs passed."""
    first_result: Literal["decides", "counts"] = "counts"
    """Whether the first run decides alone, as in keepalived, or is one of `rise` or `fall`. [| always decides]"""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)

    @property
    def kill_after(self) -> float:
        """Seconds after which a run is killed."""
        return self.interval if self.timeout is None else self.timeout


@dataclass(frozen=True, slots=True)
class TrackFile(Strict):
    """A file that holds a number. [file.NAME | track_file NAME, vrrp_track_file NAME]"""

    name: str
    path: str
    """[| file]"""
    weight: Annotated[int, Ge(-254), Le(254)] = 1
    """The number times this is added to the priority; 0: a number other than 0 is FAULT."""
    reverse: bool = False
    initial: int | None = None
    """Written into the file at start; None: the file is left alone. [| init_file N]"""
    overwrite: bool = False
    """Write `initial` even if the file exists. [| init_file N overwrite]"""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TrackProcess(Strict):
    """A program that must be running. [process.NAME | vrrp_track_process NAME]"""

    name: str
    command: tuple[str, ...]
    """Its name, and the parameters if they matter. [| process]"""
    match_parameters: Literal["no", "exact", "initial", "partial"] = "no"
    """How parameters are compared. [| param_match]"""
    full_command: bool = False
    """Compare with /proc/PID/cmdline, not with the process's name."""
    weight: Annotated[int, Ge(-254), Le(254)] = 1
    reverse: bool = False
    quorum: Annotated[int, Ge(1)] = 1
    """Processes needed at the least."""
    quorum_max: Annotated[int, Ge(0)] | None = None
    """Processes allowed at the most."""
    fork_delay: Annotated[float, Ge(0), Le(3600)] = 0.0
    """How long the quorum has to hold until it counts. [fork_delay | fork_delay, delay]"""
    terminate_delay: Annotated[float, Ge(0), Le(3600)] = 0.0
    """How long it has to be lost until that counts. [terminate_delay | terminate_delay, delay]"""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


class TrackKind(Enum):
    """What kind of thing a `Track` watches; the value is the word in logs and metrics."""

    SCRIPT = "script"
    INTERFACE = "interface"
    FILE = "file"
    PROCESS = "process"
    STATIC = "track_group"
    """A track_group: no file names it in a track, vrrpd adds it to the group's instances."""


@dataclass(frozen=True, slots=True)
class Track(Strict):
    """An instance's (or group's) interest in a check: a name with the weight it has here."""

    kind: TrackKind
    name: str
    weight: int = 0
    """Resolved: the reference's own weight, or the default of the thing it names; 0: failure is FAULT."""
    reverse: bool = False
    at: Origin = field(default=NOWHERE, compare=False, repr=False)
