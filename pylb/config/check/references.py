"""Errors: names that lead nowhere, names that are taken twice, and modes that do not go together.

`haproxy -c` refuses the same, save for a bind written twice, which it would serve from both at random. Each check is
a function from the configuration to findings, under the name of what it looks at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from pylb.config.check.walk import calls, is_pattern, mentions, named, proxies, rules, targets, terms
from pylb.config.model import Backend, Config, Finding, Frontend, Origin, Proxy, Server
from pylb.config.values import str_address
from pylb.config.words import nearest

Check = Callable[[Config], Iterator[Finding]]

# Manual: 7.4 "Pre-defined ACLs".
PREDEFINED_ACLS = frozenset({
    "FALSE", "HTTP", "HTTP_1.0", "HTTP_1.1", "HTTP_2.0", "HTTP_CONTENT", "HTTP_URL_ABS", "HTTP_URL_SLASH",
    "HTTP_URL_STAR", "LOCALHOST", "METH_CONNECT", "METH_DELETE", "METH_GET", "METH_HEAD", "METH_OPTIONS", "METH_POST",
    "METH_PUT", "METH_TRACE", "RDP_COOKIE", "REQ_CONTENT", "TRUE", "WAIT_END",
})  # fmt: skip


def error(at: Origin, message: str, advice: str = "") -> Finding:
    """An error of the check."""
    return Finding("error", at, message, advice)


def unknown(at: Origin, what: str, name: str, candidates: Iterable[str], where: str = "") -> Finding:
    """The error for a name that leads nowhere, with the nearest one that exists."""
    known = sorted(candidates)
    near = nearest(name, known)
    advice = f'did you mean "{near}"?' if near else f"there are {', '.join(known)}" if 0 < len(known) <= 8 else ""
    return error(at, f'unknown {what} "{name}"{where}', advice)


# ----------------------------------------------------------------------------------------------- names lead somewhere


def routes(config: Config) -> Iterator[Finding]:
    """use_backend and default_backend name a backend, and one that speaks the frontend's mode."""
    for frontend in config.frontends:
        for route in targets(frontend):
            backend = config.backend(route.backend)
            if is_pattern(route.backend):
                continue
            if backend is not None:
                yield from _mode(frontend, backend, route.at)
            elif config.frontend(route.backend) is not None:
                yield error(route.at, f'"{route.backend}" is a frontend: it has no servers', "name a backend")
            else:
                names = (b.name for b in config.backends)
                yield unknown(route.at, "backend", route.backend, names, f" in {named(frontend)}")


def _mode(frontend: Frontend, backend: Backend, at: Origin) -> Iterator[Finding]:
    """TCP may be upgraded to HTTP on the way, not the other way round."""
    if frontend.mode == "http" and backend.mode == "tcp" and not frontend.disabled:
        yield error(
            at, f'{named(frontend)} speaks HTTP, backend "{backend.name}" TCP', "write the same mode in both sections"
        )


def acls(config: Config) -> Iterator[Finding]:
    """Conditions name ACLs of their own section, or predefined ones."""
    for proxy in proxies(config):
        declared = {acl.name for acl in proxy.acls}
        for term in terms(proxy):
            if isinstance(term.acl, str) and term.acl not in declared | PREDEFINED_ACLS:
                yield unknown(term.at, "ACL", term.acl, declared | PREDEFINED_ACLS, f" in {named(proxy)}")


_AUTH = re.compile("http_auth|http_auth_group")


def userlists(config: Config) -> Iterator[Finding]:
    """http_auth() names a userlist, a group of users exists."""
    known = {users.name for users in config.userlists}
    for proxy in proxies(config):
        for name, at in mentions(proxy, _AUTH):
            if name not in known:
                yield unknown(at, "userlist", name, known)
    for users in config.userlists:
        for group, members in users.groups:
            for member in members:
                if member not in {name for name, _, _ in users.users}:
                    yield error(users.at, f'group "{group}" of userlist "{users.name}" has no user "{member}"')


_COUNTED = (
    "(?:bytes_(?:in|out)_rate|kbytes_(?:in|out)|(?:conn|sess|http_req|http_err|http_fail)_(?:cnt|rate)|conn_cur"
    "|(?:(?:get|inc|clr)_)?gp[ct][01]?(?:_rate)?|tracked|trackers|updt_conn_cnt|server_id|expire|idle|avl)"
)
_COUNTERS = re.compile(f"(?:sc[0-2]?|src|table)_{_COUNTED}|table_cnt|in_table")
_FILLS = re.compile("src_(?:(?:inc|clr)_gpc[01]?|updt_conn_cnt)")


def stick_tables(config: Config) -> Iterator[Finding]:
    """Rules that track, and fetches and converters that look up, name a section with a stick table."""
    tables = {proxy.name for proxy in proxies(config) if proxy.stick_table is not None}
    for proxy in proxies(config):
        for name, at in used_tables(proxy):
            if name not in tables:
                yield unknown(at, "stick table", name, tables, f" in {named(proxy)}")


def used_tables(proxy: Proxy) -> Iterator[tuple[str, Origin]]:
    """The sections whose tables a section's rules and tests use; a rule without a name means its own."""
    if isinstance(proxy, Backend):
        yield from ((rule.table or proxy.name, rule.at) for rule in proxy.stick)
    for name, args, at in calls(proxy, _COUNTERS):
        tables = [arg for arg in args if arg and not arg.isdigit()]
        if tables:
            yield tables[0], at
        elif _FILLS.fullmatch(name):
            yield proxy.name, at
    for rule in rules(proxy):
        action = rule.action.rpartition(" ")[2]
        if action.startswith("track-sc"):
            given = dict(zip(rule.args, rule.args[1:], strict=False)).get("table")
            yield given or proxy.name, rule.at


def chosen_servers(config: Config) -> Iterator[Finding]:
    """use-server names a server of its backend."""
    for backend in config.backends:
        known = {server.name for server in backend.servers}
        for choice in backend.use_server:
            if not is_pattern(choice.backend) and choice.backend not in known:
                yield unknown(choice.at, "server", choice.backend, known, f" in {named(backend)}")


def tracked_servers(config: Config) -> Iterator[Finding]:
    """`track` leads to a server whose health is checked, and does not come back to where it began."""
    servers = {(backend.name, server.name): server for backend in config.backends for server in backend.servers}
    for backend in config.backends:
        for server in backend.servers:
            if server.track is not None:
                yield from _tracked(backend.name, server, servers)


def _tracked(backend: str, server: Server, servers: dict[tuple[str, str], Server]) -> Iterator[Finding]:
    assert server.track is not None
    seen = {(backend, server.name)}
    current, where = server, backend
    while current.track is not None:
        section, _, name = current.track.rpartition("/")
        key = (section or where, name)
        if key not in servers:
            if current is server:
                yield unknown(server.at, "server", server.track, {"/".join(k) for k in servers}, " to track")
            return
        if key in seen:
            yield error(server.at, f'"track {server.track}" of server "{server.name}" leads back to itself')
            return
        seen.add(key)
        current, where = servers[key], key[0]
    if current.check is None:
        yield error(
            server.at,
            f'"track {server.track}": the health of server "{current.name}" is not checked',
            "add check there",
        )


# ------------------------------------------------------------------------------------------------- names taken twice


def section_names(config: Config) -> Iterator[Finding]:
    """Sections of one kind have different names, and a `listen` shares its name with nobody."""
    for sections in (config.frontends, config.backends):
        yield from _twice(((s.name, s.listen), named(s), s.at) for s in sections if isinstance(s, Proxy))
    for frontend in config.frontends:
        backend = config.backend(frontend.name)
        if backend is not None and backend.listen != frontend.listen:
            later = max(frontend, backend, key=lambda proxy: proxy.at.line)
            yield error(later.at, f"{named(later)} has the name of another section", "give it a name of its own")
    yield from _twice((users.name, f'userlist "{users.name}"', users.at) for users in config.userlists)


def server_names(config: Config) -> Iterator[Finding]:
    """Servers of a backend have different names."""
    for backend in config.backends:
        where = f'server "{{}}" of {named(backend)}'
        yield from _twice((s.name, where.format(s.name), s.at) for s in backend.servers)


def ids(config: Config) -> Iterator[Finding]:
    """Given ids are taken once: among sections, among the servers of a backend."""
    sections = [p for p in proxies(config) if p.id is not None and not (p.listen and isinstance(p, Backend))]
    yield from _twice((p.id, f"id {p.id} of {named(p)}", p.at) for p in sections)
    for backend in config.backends:
        given = [s for s in backend.servers if s.id is not None]
        yield from _twice((s.id, f'id {s.id} of server "{backend.name}/{s.name}"', s.at) for s in given)


def binds(config: Config) -> Iterator[Finding]:
    """Every address is bound once."""
    places = [
        (str_address(bind.address), f'"{str_address(bind.address)}" in {named(frontend)}', bind.at)
        for frontend in config.frontends
        if not frontend.disabled
        for bind in frontend.binds
        if bind.address.kind != "fd"
    ]
    sockets = [
        (str_address(s.bind.address), f'stats socket "{str_address(s.bind.address)}"', s.at)
        for s in (*config.globals.stats_sockets, config.globals.master_socket)
        if s is not None
    ]
    yield from _twice((*sockets, *places))


def _twice(items: Iterable[tuple[object, str, Origin]]) -> Iterator[Finding]:
    """An error for each (key, what, at) whose key was there before."""
    seen: dict[object, Origin] = {}
    for key, what, at in items:
        if key in seen:
            yield error(at, f"{what} is there already, at {seen[key]}", "remove one, or change it")
        seen.setdefault(key, at)


# ----------------------------------------------------------------------------------------------- something to do


NOTHING_TO_DO = "nothing is listened on"


def something_to_do(config: Config) -> Iterator[Finding]:
    """At least one address is listened on."""
    if not any(frontend.binds for frontend in config.frontends):
        at = next((proxy.at for proxy in proxies(config)), config.globals.at)
        yield error(Origin(at.file), NOTHING_TO_DO, "add a frontend with a bind")


CHECKS: tuple[Check, ...] = (
    routes,
    acls,
    userlists,
    stick_tables,
    chosen_servers,
    tracked_servers,
    section_names,
    server_names,
    ids,
    binds,
    something_to_do,
)
