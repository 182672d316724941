"""Requests to the Linux kernel that Python has no function for: prctl(2)."""

from __future__ import annotations

import ctypes

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Descendants whose parent has died become this process's children."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
