"""The rows of the statistics table: a frontend, a server, a backend; in the order the configuration has them.

A `listen` section is a frontend and a backend of one name, so its rows stand together: FRONTEND, its servers, BACKEND,
under one proxy id. Ids count as HAProxy's do: from 1, one step earlier taken by the admin socket if there is one, `id`
keywords respected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pylb.admin.world import FrontendView, World
from pylb.backend.backend import Backend
from pylb.backend.server import Server
from pylb.config import model
from pylb.counters import ProxyCounters


@dataclass(frozen=True, slots=True)
class Section:
    """One proxy: a frontend, a backend, or both (`listen`)."""

    iid: int
    frontend: FrontendView | None
    backend: Backend | None

    @property
    def name(self) -> str:
        """The proxy's name."""
        return self.model.name

    @property
    def model(self) -> model.Proxy:
        """The frontend's model, or the backend's."""
        live = self.frontend or self.backend
        assert live is not None
        return live.model

    @property
    def cap(self) -> str:
        """HAProxy's word for what it can do."""
        return ("listen" if self.backend else "frontend") if self.frontend else "backend"


@dataclass(frozen=True, slots=True)
class Row:
    """What a column's getter reads. `kind` is "F", "S" or "B"; the fields that do not fit are None."""

    kind: str
    world: World
    section: Section
    frontend: FrontendView | None
    backend: Backend | None
    server: Server | None
    counters: ProxyCounters
    now: float

    @property
    def http(self) -> bool:
        """Whether the proxy speaks HTTP."""
        return self.section.model.mode == "http"

    @property
    def name(self) -> str:
        """svname: the server's name, or FRONTEND or BACKEND."""
        if self.server is not None:
            return self.server.name
        return "FRONTEND" if self.kind == "F" else "BACKEND"

    @property
    def sid(self) -> int:
        """The server's number, 0 for the proxy's own rows."""
        return self.server.sid if self.server is not None else 0


def sections(world: World) -> list[Section]:
    """All proxies in configuration order."""
    backends = {b.name: b for b in world.backends}
    found = [
        Section(0, front, backends.pop(front.name, None) if front.model.listen else None) for front in world.frontends
    ]
    found += [Section(0, None, back) for back in backends.values()]

    files: dict[str, int] = {}
    for section in found:
        files.setdefault(section.model.at.file, len(files))
    found.sort(key=lambda section: (files[section.model.at.file], section.model.at.line))
    return _numbered(found, 2 if world.config.globals.stats_sockets else 1)


def _numbered(found: list[Section], first: int) -> list[Section]:
    """Every proxy moves the count on by one, also those with an `id` of their own."""
    taken = {section.model.id for section in found}
    numbered = []
    number = first
    for section in found:
        iid = section.model.id
        if iid is None:
            while number in taken:
                number += 1
            iid = number
        number += 1
        numbered.append(replace(section, iid=iid))
    return numbered


def rows_of(world: World, section: Section, now: float) -> Iterator[Row]:
    """The rows of one proxy: FRONTEND, servers, BACKEND. Servers may come and go between two."""
    front, back = section.frontend, section.backend
    if front is not None:
        yield Row("F", world, section, front, None, None, world.totals(front), now)
    if back is not None:
        for server in tuple(back.servers):
            yield Row("S", world, section, None, back, server, world.totals(server), now)
        yield Row("B", world, section, None, back, None, world.totals(back), now)
