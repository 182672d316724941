"""Doctor: what is said and has no effect, what is never reached, what nobody uses."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from pylb.config.check.references import used_tables
from pylb.config.check.registry import listed, rule, warning
from pylb.config.check.walk import is_pattern, named, proxies, reached, targets, terms
from pylb.config.model import Backend, Config, Finding, Frontend, Proxy, Rule


@rule("removed-directive")
def removed_directive(config: Config) -> Iterator[Finding]:
    """HAProxy 2.1 took reqadd and its like away; the reader keeps their meaning."""
    for proxy in proxies(config):
        for step in (*proxy.http_request, *proxy.http_response):
            if step.written_as:
                family = "http-request" if step.written_as.startswith("req") else "http-response"
                yield warning(
                    step.at,
                    f'"{step.written_as}" was removed in HAProxy 2.1',
                    f"write {family} {step.action} {' '.join(step.args)}",
                )


@rule("stick-table-untracked")
def stick_table_untracked(config: Config) -> Iterator[Finding]:
    """A table that no rule tracks or stores in, and nothing looks into, stays empty."""
    used = {name for proxy in proxies(config) for name, _ in used_tables(proxy)}
    for proxy in proxies(config):
        if proxy.stick_table is not None and proxy.name not in used:
            yield warning(
                proxy.stick_table.at,
                f"nothing tracks the stick table of {named(proxy)}: it stays empty",
                f"have a frontend track with it: http-request track-sc0 src table {proxy.name}",
            )


@rule("unreachable-backend")
def unreachable_backend(config: Config) -> Iterator[Finding]:
    """No frontend leads to it. Sections that only hold a table or a stats page are left alone."""
    led_to = {backend.name for frontend in config.frontends for backend in reached(config, frontend)}
    for backend in config.backends:
        if backend.servers and backend.name not in led_to and not backend.listen and not backend.disabled:
            yield warning(
                backend.at,
                f'no frontend leads to backend "{backend.name}"',
                f"add use_backend {backend.name} or default_backend {backend.name} to a frontend, or remove it",
            )


@rule("frontend-leads-nowhere")
def frontend_leads_nowhere(config: Config) -> Iterator[Finding]:
    """Without a backend that has servers, every request that no rule answers is a 503."""
    for frontend in config.frontends:
        answers = _answers_itself(frontend)
        if frontend.disabled or answers:
            continue
        if not any(True for _ in targets(frontend)):
            yield warning(
                frontend.at, f"{named(frontend)} leads to no backend: requests get 503", "add default_backend NAME"
            )
        for backend in reached(config, frontend):
            if not backend.servers and not _answers_itself(backend) and not _made_at_run_time(frontend):
                yield warning(
                    backend.at, f"{named(backend)} has no servers: its requests get 503", "add server NAME ADDRESS"
                )


_ANSWERS = ("redirect", "return", "deny", "tarpit", "auth", "use-service", "reject", "silent-drop")


def _answers_itself(proxy: Proxy) -> bool:
    steps = (*proxy.http_request, *proxy.tcp_request)
    return proxy.stats is not None or any(step.action.rpartition(" ")[2] in _ANSWERS for step in steps)


def _made_at_run_time(frontend: Frontend) -> bool:
    return any(is_pattern(route.backend) for route in targets(frontend))


@rule("frontend-without-bind")
def frontend_without_bind(config: Config) -> Iterator[Finding]:
    """A frontend that nobody can connect to."""
    for frontend in config.frontends:
        if not frontend.binds and not frontend.disabled and not (frontend.listen and _is_used(config, frontend.name)):
            yield warning(frontend.at, f"{named(frontend)} listens on nothing", "add bind :PORT")


def _is_used(config: Config, name: str) -> bool:
    return any(route.backend == name for f in config.frontends if f.name != name for route in targets(f))


_FINAL = ("deny", "redirect", "return", "tarpit", "reject", "allow", "silent-drop", "use-service", "accept")


@rule("rule-never-reached")
def rule_never_reached(config: Config) -> Iterator[Finding]:
    """What stands behind a step that always ends the set."""
    for proxy in proxies(config):
        for steps in (proxy.http_request, proxy.http_response, proxy.http_after_response):
            yield from _behind_final(steps)
        if isinstance(proxy, Frontend):
            yield from _behind_route(proxy)


def _behind_final(steps: tuple[Rule, ...]) -> Iterator[Finding]:
    for final, behind in pairwise(steps):
        if final.action in _FINAL and final.condition is None:
            yield warning(
                behind.at,
                f'"{behind.action}" is never reached: "{final.action}" before it has no condition',
                "give it a condition, or move it to the end",
            )
            return


def _behind_route(frontend: Frontend) -> Iterator[Finding]:
    routes = list(targets(frontend))
    for final, behind in pairwise(routes):
        if final.condition is None:
            yield warning(
                behind.at if behind.condition else final.at,
                f'backend "{behind.backend}" is never chosen: use_backend {final.backend} before it has no condition',
                "give it a condition",
            )
            return


@rule("acl-unused")
def acl_unused(config: Config) -> Iterator[Finding]:
    """An ACL that no condition of its section names."""
    used: set[tuple[str, object]] = set()
    for proxy in proxies(config):
        used |= {(proxy.name if proxy.listen else named(proxy), term.acl) for term in terms(proxy)}
    for proxy in proxies(config):
        section = proxy.name if proxy.listen else named(proxy)
        idle = {acl.name: acl for acl in reversed(proxy.acls) if (section, acl.name) not in used}
        for acl in idle.values():
            yield warning(acl.at, f'ACL "{acl.name}" of {named(proxy)} is never used', "use it, or remove it")


# ------------------------------------------------------------------------------------------------------ modes

_NEEDS_HTTP = {
    "forwardfor": "option forwardfor",
    "http_request": "http-request",
    "http_response": "http-response",
    "http_after_response": "http-after-response",
    "cookie": "cookie",
    "captures": "capture",
    "monitor_uri": "monitor-uri",
    "stats": "stats",
    "traceparent": "traceparent",
}


@rule("http-in-tcp-mode")
def http_in_tcp_mode(config: Config) -> Iterator[Finding]:
    """In mode tcp there are no requests to look at."""
    for proxy in proxies(config):
        if proxy.mode == "tcp":
            found = [word for name, word in _NEEDS_HTTP.items() if _is_set(proxy, name)]
            found += _tcp_misfits(proxy)
            if found:
                verb = "have" if len(found) > 1 else "has"
                yield warning(
                    proxy.at, f"{listed(found)} {verb} no effect in {named(proxy)}: its mode is tcp", "write mode http"
                )


def _is_set(proxy: Proxy, name: str) -> bool:
    value = getattr(proxy, name, None)
    if name == "captures":  # slots without a header are for tcp-request content capture, too
        return any(capture.name for capture in value or ())
    return bool(value)


def _tcp_misfits(proxy: Proxy) -> Iterator[str]:
    if isinstance(proxy, Frontend) and proxy.log_format in ("httplog", "httpslog", "clf"):
        yield "option httplog"
    if isinstance(proxy, Backend) and proxy.balance.algorithm.partition("(")[0] in ("uri", "url_param", "hdr"):
        yield f"balance {proxy.balance.algorithm}"


@rule("log-format-without-log")
def log_format_without_log(config: Config) -> Iterator[Finding]:
    """A format and nowhere to send the lines, in a frontend that has one of its own choice."""
    for frontend in config.frontends:
        if frontend.log_format and not frontend.log and not config.globals.log:
            yield warning(
                frontend.at,
                f"{named(frontend)} has a log format and no log target: nothing is logged",
                "add log stdout format raw local0, or log 127.0.0.1:514 local0",
            )


@rule("daemon-logs-to-terminal")
def daemon_logs_to_terminal(config: Config) -> Iterator[Finding]:
    """A daemon has no terminal."""
    if config.globals.daemon:
        for target in config.globals.log:
            if target.address in ("stdout", "stderr"):
                yield warning(
                    target.at, f'log "{target.address}" goes nowhere in a daemon', "log to /dev/log, or remove daemon"
                )
