"""Ways through a configuration that several rules of the check take: conditions, samples, names, who leads where."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pylb.config.model import (
    Backend,
    Bind,
    Condition,
    Config,
    Frontend,
    Origin,
    Proxy,
    Rule,
    Sample,
    Server,
    Term,
    Test,
    UseBackend,
)


def proxies(config: Config) -> tuple[Proxy, ...]:
    """Every section; a `listen` twice, as its two sides."""
    return (*config.frontends, *config.backends)


def binds(config: Config) -> Iterator[tuple[Frontend, Bind]]:
    """Every bind with its frontend."""
    for frontend in config.frontends:
        for bind in frontend.binds:
            yield frontend, bind


def servers(config: Config) -> Iterator[tuple[Backend, Server]]:
    """Every server with its backend."""
    for backend in config.backends:
        for server in backend.servers:
            yield backend, server


def served(config: Config) -> Iterator[Backend]:
    """Backends that have servers."""
    return (backend for backend in config.backends if backend.servers)


def kind(proxy: Proxy) -> str:
    """What a section is called in the file."""
    return "listen" if proxy.listen else "frontend" if isinstance(proxy, Frontend) else "backend"


def named(proxy: Proxy) -> str:
    """A section in a sentence: `frontend "web"`."""
    return f'{kind(proxy)} "{proxy.name}"'


def rules(proxy: Proxy) -> Iterator[Rule]:
    """Every rule of every rule set."""
    yield from proxy.tcp_request
    yield from proxy.http_request
    yield from proxy.http_response
    yield from proxy.http_after_response
    if proxy.stats is not None:
        yield from proxy.stats.http_request


def conditions(proxy: Proxy) -> Iterator[Condition]:
    """Every condition of a section."""
    yield from (rule.condition for rule in rules(proxy) if rule.condition is not None)
    if proxy.stats is not None:
        yield from proxy.stats.admin
    if isinstance(proxy, Frontend):
        yield from proxy.monitor_fail
        yield from (rule.condition for rule in proxy.use_backend if rule.condition is not None)
    if isinstance(proxy, Backend):
        yield from (*proxy.force_persist, *proxy.ignore_persist)
        yield from (rule.condition for rule in proxy.use_server if rule.condition is not None)
        yield from (rule.condition for rule in proxy.stick if rule.condition is not None)


def terms(proxy: Proxy) -> Iterator[Term]:
    """Every term of every condition."""
    for condition in conditions(proxy):
        for group in condition.any_of:
            yield from group


def tests(proxy: Proxy) -> Iterator[Test]:
    """Every test, of ACLs and anonymous."""
    yield from (acl.test for acl in proxy.acls)
    yield from (term.acl for term in terms(proxy) if isinstance(term.acl, Test))


def mentions(proxy: Proxy, call: re.Pattern[str]) -> Iterator[tuple[str, Origin]]:
    """The first argument of every fetch or converter whose name matches, in tests and in rules' words."""
    return ((args[0], at) for _, args, at in calls(proxy, call) if args)


def calls(proxy: Proxy, call: re.Pattern[str]) -> Iterator[tuple[str, tuple[str, ...], Origin]]:
    """Name and arguments of every fetch or converter whose name matches, in tests and in rules' words."""
    for test in tests(proxy):
        yield from _in_sample(test.sample, call)
    in_text = re.compile(rf"(?<![\w.-])(?P<name>{call.pattern})(?![\w.-])(?:\((?P<args>[^()]*)\))?")
    for rule in rules(proxy):
        for word in rule.args:
            for match in in_text.finditer(word):
                args = tuple(part.strip() for part in match["args"].split(",")) if match["args"] else ()
                yield match["name"], args, rule.at


def _in_sample(sample: Sample, call: re.Pattern[str]) -> Iterator[tuple[str, tuple[str, ...], Origin]]:
    for each in (sample.fetch, *sample.converters):
        if call.fullmatch(each.name):
            yield each.name, each.args, each.at


def is_pattern(name: str) -> bool:
    """Whether a backend's name is a log-format string, known only when a request is there."""
    return "%" in name


def targets(frontend: Frontend) -> Iterator[UseBackend]:
    """The routes of a frontend, its default_backend as the last one, without condition."""
    yield from frontend.use_backend
    if frontend.default_backend is not None:
        at = frontend.default_backend_at
        yield UseBackend(frontend.default_backend, None, at if at.line else frontend.at)


def reached(config: Config, frontend: Frontend) -> list[Backend]:
    """The backends that a frontend can lead to: all of them when one name is made at run time."""
    names = [route.backend for route in targets(frontend)]
    if any(map(is_pattern, names)):
        return list(config.backends)
    return [backend for backend in config.backends if backend.name in names]


def is_plain(bind: Bind) -> bool:
    """Whether clients come in without TLS. What arrives by PROXY protocol may have been TLS before."""
    return bind.tls is None and not bind.accept_proxy


def is_loopback(bind: Bind) -> bool:
    """Whether only this machine reaches it."""
    address = bind.address
    return address.kind != "inet" or address.host in ("localhost", "::1") or address.host.startswith("127.")


# Fetches that differ between the plain and the TLS port.
_TLS_FETCHES = ("ssl_", "dst_port", "so_", "fe_", "req.ssl")


def mentions_tls(condition: Condition, proxy: Proxy) -> bool:
    """Whether a condition looks at something that tells TLS from plain connections."""
    tests_by_name = {acl.name: acl.test for acl in proxy.acls}
    for group in condition.any_of:
        for term in group:
            test = term.acl if isinstance(term.acl, Test) else tests_by_name.get(term.acl)
            if test is not None and test.sample.fetch.name.startswith(_TLS_FETCHES):
                return True
    return False
