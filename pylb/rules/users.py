"""Userlists: who may log in with which password, and who belongs to which group (manual 3.4)."""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import hmac
import os
from functools import lru_cache

from pylb.config.model import Config, UserList
from pylb.rules.registry import BadArgument

_SECRET = os.urandom(16)


def find_userlist(config: Config, name: str) -> UserList:
    """The userlist of that name; raises BadArgument."""
    found = next((userlist for userlist in config.userlists if userlist.name == name), None)
    if found is None:
        raise BadArgument(f'there is no userlist "{name}"')
    return found


class Users:
    """One userlist, ready to be asked."""

    def __init__(self, userlist: UserList) -> None:
        self._users = {name.encode(): (password.encode(), plain) for name, password, plain in userlist.users}
        self._groups = {
            name: [group.encode() for group, members in userlist.groups if name.decode() in members]
            for name in self._users
        }

    def accepts(self, user: bytes, password: bytes) -> bool:
        """Whether the password is that user's."""
        stored, plain = self._users.get(user, (b"", True))
        if plain:
            return hmac.compare_digest(stored, password) and user in self._users
        return _matches(stored, password)

    def groups(self, user: bytes) -> list[bytes]:
        """The groups of a user."""
        return self._groups.get(user, [])


def _matches(stored: bytes, password: bytes) -> bool:
    """Compare with a crypt(3) string. Hashing takes milliseconds by design, so the outcome is remembered under a keyed
    digest: no password stays in memory."""
    digest = hashlib.blake2b(password, key=_SECRET).digest()
    known = _outcomes.get((stored, digest))
    if known is None:
        if len(_outcomes) >= 4096:
            _outcomes.clear()
        known = _outcomes[stored, digest] = hmac.compare_digest(_crypt(password, stored), stored)
    return known


_outcomes: dict[tuple[bytes, bytes], bool] = {}


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    """The C library's crypt(3): Python's own module for it is gone from 3.13 on."""
    path = ctypes.util.find_library("crypt")
    if path is None:
        return None
    library = ctypes.CDLL(path)
    library.crypt.restype = ctypes.c_char_p
    library.crypt.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    return library


def _crypt(password: bytes, setting: bytes) -> bytes:
    library = _library()
    return (library.crypt(password, setting) or b"*") if library is not None and b"\0" not in password else b"*"
