"""Requests to the Linux kernel that Python has no function for: prctl(2), capset(2)."""

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import suppress

_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4

_CAPABILITY_VERSION = 0x20080522
"""Sets of 64 bits, as two halves."""
_SETS = struct.Struct("=6I")

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, *arguments: int) -> int:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    return _checked(_libc.prctl(option, *padded))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def become_subreaper() -> None:
    """Descendants whose parent has died become this process's children."""
    with suppress(OSError):
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def forbid_new_privileges() -> None:
    """No program that this process or a descendant runs gets rights by its file (setuid, file capabilities)."""
    with suppress(OSError):
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def capabilities() -> tuple[int, int, int]:
    """The effective, permitted and inheritable set of this thread, as bit masks. Raises OSError."""
    sets = ctypes.create_string_buffer(_SETS.size)
    _checked(_libc.capget(_header(), sets))
    low = _SETS.unpack(sets.raw)
    effective, permitted, inheritable = (low[place] | low[place + 3] << 32 for place in range(3))
    return effective, permitted, inheritable


def set_capabilities(effective: int, permitted: int, inheritable: int) -> None:
    """Have these sets from now on. Raises OSError for what is not permitted already."""
    wanted = (effective, permitted, inheritable)
    halves = [value & 0xFFFFFFFF for value in wanted] + [value >> 32 for value in wanted]
    _checked(_libc.capset(_header(), ctypes.create_string_buffer(_SETS.pack(*halves), _SETS.size)))


def _header() -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION, 0), 8)


def clear_ambient_capabilities() -> None:
    """Programs that are run inherit none. Kernels before 4.3 have no such set."""
    with suppress(OSError):
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)


def limit_bounding_set(kept: int) -> bool:
    """Have no program gain other capabilities than these; False where this process may not decide that."""
    for number in range(64):
        try:
            there = _prctl(_PR_CAPBSET_READ, number)
        except OSError:
            break  # the kernel knows no more
        if there and not kept >> number & 1:
            try:
                _prctl(_PR_CAPBSET_DROP, number)
            except OSError:
                return False
    return True
