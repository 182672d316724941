"""Fetches about live proxies and servers (manual 7.3.2): sessions, queues, rates, states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylb.config import model
from pylb.rules.kinds import Kind, Value
from pylb.rules.registry import BadArgument, Getter, converter_with, fetch_with
from pylb.rules.scope import Scope


def _backend_getter(args: tuple[Any, ...], scope: Scope) -> Callable[[], Any]:
    """Finds the live backend that the argument, or the section itself, names; raises BadArgument."""
    name = args[0] or _own_name(scope, "backend")
    if scope.world.config.backends and scope.world.config.backend(name) is None:
        raise BadArgument(f'there is no backend "{name}"')
    backends = scope.world.backends
    return lambda: backends.get(name)


def _own_name(scope: Scope, kind: str) -> str:
    if scope.proxy is None:
        raise BadArgument(f"it needs the name of a {kind}")
    return scope.proxy.name


def _server_getter(args: tuple[Any, ...], scope: Scope) -> Callable[[], Any]:
    """Finds the live server of `[backend/]server`; raises BadArgument."""
    backend_name, _, server_name = args[0].rpartition("/")
    backend_name = backend_name or _own_name(scope, "backend")
    declared = scope.world.config.backend(backend_name)
    if declared is None or all(server.name != server_name for server in declared.servers):
        raise BadArgument(f'there is no server "{args[0]}"')
    backends = scope.world.backends

    def find() -> Any:
        backend = backends.get(backend_name)
        return None if backend is None else backend.by_name.get(server_name)

    return find


Count = Callable[[Any, str], int]
"""Reads a counter of all processes: World.count."""


def _register_backend(name: str, read: Callable[[Any, Count], Value]) -> None:
    @fetch_with(name, Kind.INT, "backend?")
    def _build(args: tuple[Any, ...], scope: Scope) -> Getter:
        find, world = _backend_getter(args, scope), scope.world

        def get(_x: Any) -> Value:
            backend = find()
            return None if backend is None else read(backend, world.count)

        return get


def _register_server(name: str, kind: Kind, read: Callable[[Any, Count], Value]) -> None:
    @fetch_with(name, kind, "server")
    def _build(args: tuple[Any, ...], scope: Scope) -> Getter:
        find, world = _server_getter(args, scope), scope.world

        def get(_x: Any) -> Value:
            server = find()
            return None if server is None else read(server, world.count)

        return get


def _register_frontend(name: str, counter: str) -> None:
    @fetch_with(name, Kind.INT, "frontend?")
    def _build(args: tuple[Any, ...], scope: Scope) -> Getter:
        wanted = args[0] or _own_name(scope, "frontend")
        world, frontends = scope.world, scope.world.frontends
        if scope.world.config.frontends and scope.world.config.frontend(wanted) is None:
            raise BadArgument(f'there is no frontend "{wanted}"')

        def get(_x: Any) -> Value:
            frontend = frontends.get(wanted)
            return None if frontend is None else world.count(frontend.counters, counter)

        return get


# -------------------------------------------------------------------------------------------------------- backends


def usable_servers(backend: Any) -> int:
    """Servers that balanced traffic may use now (nbsrv)."""
    return len(backend.candidates)


def queued(backend: Any, count: Count) -> int:
    """Requests waiting, in the backend's queue and in its servers' (queue)."""
    return _waiting(backend, count) + sum(_waiting(server, count) for server in backend.servers)


def _waiting(holder: Any, count: Count) -> int:
    """Requests in one queue: here, and as far as is known in other processes."""
    counters = holder.counters
    counters.qcur = holder.queue.length
    return count(counters, "qcur")


def _average_queue(backend: Any, count: Count) -> int:
    servers = usable_servers(backend)
    return -(-queued(backend, count) // servers) if servers else queued(backend, count) * 100


def _free_slots(backend: Any, count: Count) -> int:
    """be_conn_free: what is left below maxconn; -1 when a usable server has none."""
    free = 0
    for server in backend.candidates:
        if not server.maxconn:
            return -1
        free += max(0, server.maxconn - count(server.counters, "scur"))
    return free


def _slots(backend: Any, count: Count) -> int:
    """connslots: free slots and queue places; -1 when a server has no limit."""
    free = 0
    for server in backend.servers:
        if server.usable or not server.admin:
            if not server.maxconn or not server.maxqueue:
                return -1
            free += server.maxconn - count(server.counters, "scur") + server.maxqueue - _waiting(server, count)
    return max(0, free) if free else -1


_register_backend("nbsrv", lambda backend, count: usable_servers(backend))
_register_backend("be_conn", lambda backend, count: count(backend.counters, "scur"))
_register_backend("be_conn_free", _free_slots)
_register_backend("be_sess_rate", lambda backend, count: count(backend.counters, "rate"))
_register_backend("queue", queued)
_register_backend("avg_queue", _average_queue)
_register_backend("connslots", _slots)
_register_frontend("fe_conn", "scur")
_register_frontend("fe_sess_rate", "rate")
_register_frontend("fe_req_rate", "req_rate")


# --------------------------------------------------------------------------------------------------------- servers


def _server_free(server: Any, count: Count) -> int:
    return max(0, server.maxconn - count(server.counters, "scur")) if server.maxconn else -1


def _is_up(server: Any, count: Count) -> bool:
    return bool(server.reachable and not server.admin & 7)  # MAINT in any of its three forms


_register_server("srv_is_up", Kind.BOOL, _is_up)
_register_server("srv_conn", Kind.INT, lambda server, count: count(server.counters, "scur"))
_register_server("srv_conn_free", Kind.INT, _server_free)
_register_server("srv_queue", Kind.INT, _waiting)
_register_server("srv_sess_rate", Kind.INT, lambda server, count: count(server.counters, "rate"))
_register_server("srv_weight", Kind.INT, lambda server, count: server.effective_weight)
_register_server("srv_uweight", Kind.INT, lambda server, count: server.weight)
_register_server("srv_iweight", Kind.INT, lambda server, count: server.model.weight)


# ------------------------------------------------------------------------------------------------------ converters


@converter_with("nbsrv", Kind.STR, Kind.INT)
def _nbsrv_of(_args: tuple[Any, ...], scope: Scope) -> Callable[[bytes], Value]:
    backends = scope.world.backends

    def count(name: bytes) -> Value:
        backend = backends.get(name.decode("latin-1"))
        return None if backend is None else usable_servers(backend)

    return count


@converter_with("srv_queue", Kind.STR, Kind.INT)
def _queue_of(_args: tuple[Any, ...], scope: Scope) -> Callable[[bytes], Value]:
    world, backends = scope.world, scope.world.backends
    own = scope.proxy.name if isinstance(scope.proxy, model.Backend) else ""

    def count(text: bytes) -> Value:
        backend_name, _, server_name = text.decode("latin-1").rpartition("/")
        backend = backends.get(backend_name or own)
        server = None if backend is None else backend.by_name.get(server_name)
        return None if server is None else _waiting(server, world.count)

    return count
