"""Doctor: cookies that keep nobody anywhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from pylb.config.check.registry import listed, rule, warning
from pylb.config.check.walk import reached
from pylb.config.model import Backend, Config, Cookie, Finding, Server


@rule("cookie-in-frontend")
def cookie_in_frontend(config: Config) -> Iterator[Finding]:
    """A frontend has no servers to stick to; HAProxy warns and ignores the line."""
    for frontend in config.frontends:
        if frontend.cookie is None:
            continue
        homes = [backend.name for backend in reached(config, frontend) if _waits_for_cookie(backend)]
        yield warning(
            frontend.cookie.at,
            f'"{cookie_line(frontend.cookie)}" has no effect in frontend "{frontend.name}": '
            "no client sticks to a server",
            f"move it into {_homes(homes)}",
        )


def _homes(names: list[str]) -> str:
    if not names:
        return "the backend that has the servers"
    return f"backend{'s' if len(names) > 1 else ''} {listed(names)}"


def _waits_for_cookie(backend: Backend) -> bool:
    return backend.cookie is None and any(server.cookie for server in backend.servers)


def cookie_line(cookie: Cookie) -> str:
    """The line as it stands in haproxy.cfg, as far as it says what the cookie does."""
    words = ["cookie", cookie.name]
    words += [cookie.mode] if cookie.mode != "passive" else []
    words += [word for word in ("indirect", "nocache", "postonly", "preserve") if getattr(cookie, word)]
    return " ".join(words)


@rule("cookie-values-unused")
def cookie_values_unused(config: Config) -> Iterator[Finding]:
    """Servers have cookie values, their backend sets no cookie, and no frontend's stray line explains why."""
    explained = {b.name for f in config.frontends if f.cookie is not None for b in reached(config, f)}
    for backend in config.backends:
        if _waits_for_cookie(backend) and backend.name not in explained:
            first = next(server for server in backend.servers if server.cookie)
            yield warning(
                first.at,
                f'cookie value "{first.cookie}" is not used: backend "{backend.name}" has no cookie',
                "add cookie SERVERID insert indirect nocache to the backend",
            )


@rule("cookie-value-shared")
def cookie_value_shared(config: Config) -> Iterator[Finding]:
    """Two servers of one value: the first of them gets every client of both."""
    for backend in config.backends:
        holders: dict[str, list[Server]] = defaultdict(list)
        for server in backend.servers:
            if server.cookie:
                holders[server.cookie].append(server)
        for value, servers in holders.items():
            if len(servers) > 1:
                names = [server.name for server in servers]
                yield warning(
                    servers[1].at,
                    f'servers {listed(names)} of backend "{backend.name}" share the cookie value "{value}": '
                    f'returning clients would all go to "{names[0]}"',
                    f"give each a value of its own, such as cookie {names[1]}",
                )


@rule("cookie-value-missing")
def cookie_value_missing(config: Config) -> Iterator[Finding]:
    """In a backend with a cookie, clients of a server without a value are not kept."""
    for backend in config.backends:
        if backend.cookie is None or backend.cookie.dynamic or backend.mode != "http":
            continue
        for server in backend.servers:
            if not server.cookie and not server.backup:
                yield warning(
                    server.at,
                    f'server "{server.name}" has no cookie value: its clients move on with every request',
                    f"add cookie {server.name}",
                )


@rule("dynamic-cookie-without-key")
def dynamic_cookie_without_key(config: Config) -> Iterator[Finding]:
    """Each half alone makes no cookie."""
    for backend in config.backends:
        if backend.cookie is not None and backend.cookie.dynamic and backend.dynamic_cookie_key is None:
            yield warning(
                backend.cookie.at,
                f'"dynamic" of the cookie of backend "{backend.name}" makes no values: it has no key',
                "add dynamic-cookie-key SECRET",
            )
