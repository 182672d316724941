"""CPU time and memory of a process and its descendants, out of /proc (proc(5)).

Children that have ended and been waited for are in their parent's cutime and cstime, so nothing is lost when a worker
process comes or goes between two readings.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
"""Seconds per unit in /proc/PID/stat."""


@dataclass(frozen=True)
class Times:
    """Seconds of CPU."""

    user: float = 0.0
    system: float = 0.0

    def __add__(self, other: Times) -> Times:
        return Times(self.user + other.user, self.system + other.system)

    def __sub__(self, other: Times) -> Times:
        return Times(self.user - other.user, self.system - other.system)


def parse_stat(text: str) -> tuple[int, Times]:
    """The parent's pid and the times of one /proc/PID/stat. The name, field 2, may hold blanks and brackets."""
    fields = text[text.rindex(")") + 2 :].split()
    user, system, children_user, children_system = map(int, fields[11:15])
    return int(fields[1]), Times((user + children_user) * TICK, (system + children_system) * TICK)


def cpu_times(pid: int) -> Times:
    """What `pid` and its descendants have used so far. ProcessLookupError when there is no such process."""
    processes = read_all()
    if pid not in processes:
        raise ProcessLookupError(pid)
    return sum((processes[member][1] for member in family(pid, processes)), Times())


def read_all() -> dict[int, tuple[int, Times]]:
    """All processes of the machine: pid to (parent's pid, times)."""
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = parse_stat(Path(entry.path, "stat").read_text())
            except (FileNotFoundError, ProcessLookupError):  # gone in the meantime
                continue
    return found


def family(pid: int, processes: dict[int, tuple[int, Times]]) -> list[int]:
    """`pid` and all its descendants."""
    members = [pid]
    for member in members:
        members.extend(child for child, (parent, _) in processes.items() if parent == member)
    return members


@dataclass(frozen=True)
class Memory:
    """Bytes."""

    resident: int = 0
    proportional: int = 0
    """PSS: pages that processes share are divided among them."""

    def __add__(self, other: Memory) -> Memory:
        return Memory(self.resident + other.resident, self.proportional + other.proportional)

    def __sub__(self, other: Memory) -> Memory:
        return Memory(self.resident - other.resident, self.proportional - other.proportional)


def memory(pid: int) -> Memory:
    """What `pid` and its descendants hold now."""
    return sum((one_memory(member) for member in family(pid, read_all())), Memory())


def one_memory(pid: int) -> Memory:
    """Of one process; nothing when it is gone."""
    try:
        return parse_rollup(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return Memory()


def parse_rollup(text: str) -> Memory:
    """/proc/PID/smaps_rollup, which counts in kB."""
    rows = dict(line.split(":", 1) for line in text.splitlines()[1:])
    return Memory(*(int(rows[name].split()[0]) * 1024 for name in ("Rss", "Pss")))
