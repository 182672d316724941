"""Rise and fall of a track script: results in, a changed verdict out. No process and no clock here.

keepalived lets the very first result decide, whatever rise and fall say; `settle_first` asks for the full
count instead. A check that cannot run is a failure like any other, with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run of a script ended."""

    good: bool
    reason: str
    """For the log: "exited with status 1", "due to signal 11", "timed_out", "cannot run: …"."""
    status: int | None = None


class Health:
    """The verdict on one script: True, False, or None before anything is known."""

    def __init__(self, rise: int = 1, fall: int = 1, *, init_fail: bool = False, settle_first: bool = False) -> None:
        self.rise, self.fall = max(1, rise), max(1, fall)
        self.verdict: bool | None = False if init_fail else None
        self.settle_first = settle_first
        self.run_of_equals = 0
        self._last: bool | None = None

    def result(self, good: bool) -> bool:
        """Take one result; True when the verdict changed with it."""
        self.run_of_equals = self.run_of_equals + 1 if good is self._last else 1
        self._last = good
        if good is self.verdict:
            return False
        needed = self.rise if good else self.fall
        if self.verdict is None and not self.settle_first:
            needed = 1
        if self.run_of_equals < needed:
            return False
        self.verdict = good
        return True


def outcome_of(status: int) -> Outcome:
    """The outcome a process's end means; `status` as `subprocess` gives it."""
    if status == 0:
        return Outcome(True, "exited with status 0", 0)
    if status < 0:
        return Outcome(False, f"due to signal {-status}")
    return Outcome(False, f"exited with status {status}", status)
