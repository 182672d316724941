"""How servers are reached: address, the TLS towards them, the name they are asked for (server lines)."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pylb.config.expression import parse_sample
from pylb.net import tls
from pylb.net.endpoint import Endpoint
from pylb.rules.compile import compile_sample
from pylb.rules.kinds import Kind
from pylb.rules.scope import World, scope_of

if TYPE_CHECKING:
    from pylb.backend.server import Server
    from pylb.config import model
    from pylb.config.words import Report


def endpoint_of(server: model.Server, backend: model.Backend, world: World, report: Report) -> Endpoint:
    """Compiled from the server's line; TLS settings that cannot be used go to `report`."""
    context: ssl.SSLContext | None = None
    name: Callable[[Any], str | None] | None = None
    if server.tls is not None:
        try:
            context = tls.client_side(server.tls, world.config.globals, backend.mode)
        except (OSError, ValueError) as error:
            report(server.at, f'TLS of server "{server.name}": {error}')
        name = _name(server, server.tls, backend, world, report)
    return Endpoint(server, context, name, server.source or backend.source)


def _name(
    server: model.Server, settings: model.ServerTls, backend: model.Backend, world: World, report: Report
) -> Callable[[Any], str | None] | None:
    """`sni EXPR`, or what `verifyhost` says."""
    if settings.sni is None:
        fixed = settings.verify_host
        return (lambda x: fixed) if fixed is not None else None
    sample = parse_sample(settings.sni, server.at, report)
    get = compile_sample(sample, scope_of(backend, world, report), Kind.STR) if sample is not None else None
    if get is None:
        return None

    def name(x: Any) -> str | None:
        value = get(x)
        return value.decode("ascii", "ignore") if isinstance(value, bytes) and value else None

    return name


def drop_idle(server: Server) -> None:
    """The server is down or has moved: its idle connections are of no more use."""
    for connection in tuple(server.idle):
        connection.close()
