"""Servers that come and go while a backend serves (management manual, `add server`, `del server`).

An added server begins in maintenance and unchecked; what it may be is what HAProxy allows such servers. One is deleted
only when nothing is left that knows it: no exchange, nobody who waits, no rule and no other server that names it.
"""

from __future__ import annotations

from collections.abc import Iterable

from pylb.backend.backend import Backend
from pylb.backend.operate import Refused
from pylb.backend.server import Admin, Server, State
from pylb.config import model
from pylb.config.model.origin import NOWHERE


def check_addable(backend: Backend) -> None:
    """Raise Refused where a backend cannot have other servers than its own."""
    if not backend.dynamic_weights:
        raise Refused("Backend must use a dynamic load balancing to support dynamic servers.")


def leader(backends: Iterable[Backend], backend: Backend, declared: model.Server) -> Server | None:
    """Whom a new server of `backend` tracks; None: nobody. Raises Refused for whom it cannot."""
    if declared.track is None:
        return None
    if declared.check is not None:
        raise Refused("unable to enable checks and tracking at the same time!")
    place, _, name = declared.track.rpartition("/")
    home = next((each for each in backends if each.name == place), None) if place else backend
    if home is None:
        raise Refused(f"unable to find required proxy '{place}' for tracking.")
    found = home.by_name.get(name)
    if found is None:
        raise Refused(f"unable to find required server '{name}' for tracking.")
    if found.model.at == NOWHERE:
        raise Refused(f"unable to use {home.name}/{name} for tracking as it is a dynamic server.")
    if found.check is None and found.agent is None and found.tracked is None:
        missing = "as it does not have any check nor agent enabled."
        raise Refused(f"unable to use {home.name}/{name} for tracking {missing}")
    return found


def add(backend: Backend, declared: model.Server, now: float, tracked: Server | None = None) -> Server:
    """The new server, in maintenance, and what the one that it tracks hands down; raises Refused."""
    check_addable(backend)
    if declared.name in backend.by_name:
        raise Refused("Already exists a server with the same name in backend.")
    taken = {server.sid for server in backend.servers}
    if declared.id is not None and declared.id in taken:
        raise Refused(f"custom id {declared.id} is taken by another server.")
    sid = declared.id or next(number for number in range(1, len(taken) + 2) if number not in taken)
    server = Server(declared, backend, sid, now)
    server.admin = Admin.FORCED_MAINT
    server.state = State.STOPPED
    if server.check is not None:
        server.check.health, server.check.enabled, server.check.paused = 0, False, True
    if tracked is not None:
        server.tracked = tracked
        tracked.followers.append(server)
        if tracked.admin & Admin.MAINT:
            server.admin |= Admin.INHERITED_MAINT
        if tracked.admin & Admin.DRAIN:
            server.admin |= Admin.INHERITED_DRAIN
    backend.servers.append(server)
    backend.by_name[server.name] = server
    _learn(backend)
    server.refresh()
    backend.refresh()
    return server


def check_removable(server: Server) -> None:
    """Raise Refused as long as something needs the server."""
    backend = server.backend
    if server.followers or any(rule.backend == server.name for rule in backend.model.use_server):
        raise Refused("This server cannot be removed at runtime due to other configuration elements pointing to it.")
    if not server.admin & Admin.MAINT:
        raise Refused("Only servers in maintenance mode can be deleted.")
    if server.counters.scur or server.queue.length:
        raise Refused("Server still has connections attached to it, cannot remove it.")


def remove(server: Server) -> None:
    """Take the server out of its backend; raises Refused."""
    check_removable(server)
    backend = server.backend
    backend.drop_idle(server)
    if server.tracked is not None:
        server.tracked.followers.remove(server)
    backend.servers.remove(server)
    del backend.by_name[server.name]
    _learn(backend)
    backend.refresh()


def _learn(backend: Backend) -> None:
    """Cookies name other servers now."""
    if backend.persist is not None and backend.persist.cookie is not None:
        backend.persist.cookie.learn()
