"""Proxies and servers as commands call them: by name, or by number behind a sharp ("#5/#9", management manual, 9.3)."""

from __future__ import annotations

from collections.abc import Sequence

from pylb.admin.rows import Section, sections
from pylb.admin.world import FrontendView, World
from pylb.backend.backend import Backend
from pylb.backend.operate import Refused
from pylb.backend.server import Server


def _numbered(word: str) -> int | None:
    digits = word[1:]
    return int(digits) if word[:1] == "#" and digits.isascii() and digits.isdigit() and len(digits) < 10 else None


def is_called(section: Section, word: str) -> bool:
    """Whether a proxy is the one that `word` names."""
    number = _numbered(word)
    return section.name == word if number is None else section.iid == number


def backend_called(world: World, word: str) -> Backend | None:
    """The backend, or the backend part of a `listen`; None: there is none."""
    if _numbered(word) is None:
        return next((backend for backend in world.backends if backend.name == word), None)
    return next((found.backend for found in sections(world) if is_called(found, word)), None)


def frontend_called(world: World, word: str) -> FrontendView | None:
    """The same for frontends."""
    if _numbered(word) is None:
        return next((frontend for frontend in world.frontends if frontend.name == word), None)
    return next((found.frontend for found in sections(world) if is_called(found, word)), None)


def place_of(world: World, words: Sequence[str]) -> tuple[Backend, str]:
    """The backend and the name that `backend/server` is made of, whether there is such a server or not; raises
    Refused."""
    place, _, name = (words[0] if words else "").partition("/")
    if not name:
        raise Refused("Require 'backend/server'.")
    backend = backend_called(world, place)
    if backend is None:
        raise Refused("No such backend.")
    return backend, name


def the_server(world: World, words: Sequence[str]) -> Server:
    """The server that `backend/server` names; raises Refused."""
    backend, name = place_of(world, words)
    number = _numbered(name)
    if number is None:
        server = backend.by_name.get(name)
    else:
        server = next((server for server in backend.servers if server.sid == number), None)
    if server is None:
        raise Refused("No such server.")
    return server
