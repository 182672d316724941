"""Fetches about live proxies and servers (manual 7.3.2): sessions, queues, rates, states."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pylb.config import model
from pylb.rules.kinds import Kind, Value
from pylb.rules.registry import BadArgument, Getter, converter_with, fetch_with
from pylb.rules.scope import Scope

# Rates are counted against the event loop's clock, which is the monotonic clock.
_now = time.monotonic


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


def _register_backend(name: str, read: Callable[[Any], Value]) -> None:
    @fetch_with(name, Kind.INT, "backend?")
    def _build(args: tuple[Any, ...], scope: Scope) -> Getter:
        find = _backend_getter(args, scope)

        def get(_x: Any) -> Value:
            backend = find()
            return None if backend is None else read(backend)

        return get


def _register_server(name: str, kind: Kind, read: Callable[[Any], Value]) -> None:
    @fetch_with(name, kind, "server")
    def _build(args: tuple[Any, ...], scope: Scope) -> Getter:
        find = _server_getter(args, scope)

        def get(_x: Any) -> Value:
            server = find()
            return None if server is None else read(server)

        return get


def _register_frontend(name: str, read: Callable[[Any], Value]) -> None:
    @fetch_with(name, Kind.INT, "frontend?")
    def _build(args: tuple[Any, ...], scope: Scope) -> Getter:
        wanted = args[0] or _own_name(scope, "frontend")
        frontends = scope.world.frontends
        if scope.world.config.frontends and scope.world.config.frontend(wanted) is None:
            raise BadArgument(f'there is no frontend "{wanted}"')

        def get(_x: Any) -> Value:
            frontend = frontends.get(wanted)
            return None if frontend is None else read(frontend)

        return get


# -------------------------------------------------------------------------------------------------------- backends


def usable_servers(backend: Any) -> int:
    """Servers that balanced traffic may use now (nbsrv)."""
    return len(backend.candidates)


def queued(backend: Any) -> int:
    """Requests waiting, in the backend's queue and in its servers' (queue)."""
    waiting: int = backend.queue.length + sum(server.queue.length for server in backend.servers)
    return waiting


def _average_queue(backend: Any) -> int:
    servers = usable_servers(backend)
    return -(-queued(backend) // servers) if servers else queued(backend) * 100


def _free_slots(backend: Any) -> int:
    """be_conn_free: what is left below maxconn; -1 when a usable server has none."""
    free = 0
    for server in backend.candidates:
        if not server.maxconn:
            return -1
        free += max(0, server.maxconn - server.cur_sess)
    return free


def _slots(backend: Any) -> int:
    """connslots: free slots and queue places; -1 when a server has no limit."""
    free = 0
    for server in backend.servers:
        if server.usable or not server.admin:
            if not server.maxconn or not server.maxqueue:
                return -1
            free += server.maxconn - server.cur_sess + server.maxqueue - server.queue.length
    return max(0, free) if free else -1


_register_backend("nbsrv", usable_servers)
_register_backend("be_conn", lambda backend: backend.counters.scur)
_register_backend("be_conn_free", _free_slots)
_register_backend("be_sess_rate", lambda backend: backend.counters.rate.value(_now()))
_register_backend("queue", queued)
_register_backend("avg_queue", _average_queue)
_register_backend("connslots", _slots)
_register_frontend("fe_conn", lambda frontend: frontend.counters.scur)
_register_frontend("fe_sess_rate", lambda frontend: frontend.counters.rate.value(_now()))
_register_frontend("fe_req_rate", lambda frontend: frontend.counters.req_rate.value(_now()))


# --------------------------------------------------------------------------------------------------------- servers


def _server_free(server: Any) -> int:
    return max(0, server.maxconn - server.cur_sess) if server.maxconn else -1


def _is_up(server: Any) -> bool:
    return bool(server.reachable and not server.admin & 7)  # MAINT in any of its three forms


_register_server("srv_is_up", Kind.BOOL, _is_up)
_register_server("srv_conn", Kind.INT, lambda server: server.cur_sess)
_register_server("srv_conn_free", Kind.INT, _server_free)
_register_server("srv_queue", Kind.INT, lambda server: server.queue.length)
_register_server("srv_sess_rate", Kind.INT, lambda server: server.counters.rate.value(_now()))
_register_server("srv_weight", Kind.INT, lambda server: server.effective_weight)
_register_server("srv_uweight", Kind.INT, lambda server: server.weight)
_register_server("srv_iweight", Kind.INT, lambda server: server.model.weight)


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
    backends = scope.world.backends
    own = scope.proxy.name if isinstance(scope.proxy, model.Backend) else ""

    def count(text: bytes) -> Value:
        backend_name, _, server_name = text.decode("latin-1").rpartition("/")
        backend = backends.get(backend_name or own)
        server = None if backend is None else backend.by_name.get(server_name)
        return None if server is None else server.queue.length

    return count
