"""A live frontend: its rules, compiled, and the choice of the backend.

    monitor-uri → tcp-request content → http-request rules, redirects → use_backend in order → default_backend

`route` is all of that. A frontend that has none of it but a default_backend sets `only_backend`, so that the exchange
does not even call. What an exchange pays for is decided in the constructor: what is None or empty is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pylb.backend import sticking
from pylb.config import model
from pylb.config.values import parse_time
from pylb.counters import ProxyCounters
from pylb.rules.acl import Check, compile_condition, never
from pylb.rules.action import Step
from pylb.rules.actions.connection import SERVER_SIDE, restore_addresses
from pylb.rules.actions.waiting import buffering
from pylb.rules.captures import Captures
from pylb.rules.context import Context, Session
from pylb.rules.errors import compile_errors
from pylb.rules.jsonlog import compile_json
from pylb.rules.logfields import exact_date
from pylb.rules.logformat import compile_log, compile_structured, compile_text
from pylb.rules.registry import BadArgument
from pylb.rules.reply import ALLOW, Reply, Text
from pylb.rules.routes import Name, compile_routes
from pylb.rules.scope import Place, Scope, World, scope_of
from pylb.rules.steps import compile_rules
from pylb.rules.tables import table_named
from pylb.rules.traceparent import trace_context
from pylb.rules.tracking import compile_key, count_response, frontend_steps, section_tracks
from pylb.rules.unique import unique_id_getter

DEFAULT_FORMAT = "Connect from %ci:%cp to %fi:%fp (%f/{mode})"
"""What is logged without any log option (manual 8.2.1)."""

HTTP_FORMATS = ("httplog", "httpslog", "clf")

if TYPE_CHECKING:
    from pylb.net.listener import BadMessage


@dataclass(slots=True)
class Arrival:
    """A connection before there is an exchange: what tcp-request connection and session rules look at."""

    session: Session
    frontend: Frontend
    variables: dict[str, Any] | None = None


class Frontend:
    """See the module. Call `link` when the backends exist."""

    def __init__(self, declared: model.Frontend, scope: Scope) -> None:
        self.model = declared
        self.name = declared.name
        self.counters = ProxyCounters()
        self.world = scope.world
        self.plans: dict[Any, Any] = {}
        """What net/ keeps per backend."""
        self.stats: Any = None
        """The statistics page, set by the loader."""
        self.logger: Callable[..., None] | None = None
        """log(level, line[, structured data]), set by the loader."""
        self.state = ""
        """ "PAUSED" or "STOP" after an operator's order."""
        self.last_error: BadMessage | None = None
        """The last request that was no HTTP, for `show errors`; set by net/."""
        self.error_reply = compile_errors(declared, scope)
        scope.error_page = self.error_reply
        self.make_unique_id: Callable[[Context], bytes] | None = None
        self._compile_unique_id(scope)
        self._compile_rules(scope)
        self._routes = compile_routes(declared.use_backend, scope.at(Place.REQUEST))
        self._monitor = _compile_monitor(declared, scope)
        self.captures = Captures.of(declared.captures)
        mode = "HTTP" if declared.mode == "http" else "TCP"
        self.plus = b"+" if declared.logasap else b""
        """What the log writes before sizes and times that were not final (manual: `option logasap`)."""
        wanted = declared.log_format or DEFAULT_FORMAT.format(mode=mode)
        if declared.mode == "tcp" and wanted in HTTP_FORMATS:
            wanted = "tcplog"  # as HAProxy falls back; the check warns of it
        json = declared.log_format == "json"
        self.log_line = (
            compile_json(declared, scope) if json else compile_log(wanted, scope, _place(declared, "log_format"))
        )
        self.log_data = (
            None
            if declared.log_format_sd is None
            else (compile_structured(declared.log_format_sd, scope, _place(declared, "log_format_sd")))
        )
        """The structured data of a log line; None without log-format-sd."""
        error_format = declared.error_log_format
        self.error_line = (
            None if error_format is None else (compile_log(error_format, scope, _place(declared, "error_log_format")))
        )
        """The line of a connection that came to no request; None without error-log-format."""
        self.only_backend: Any = None
        """The backend of every request, when nothing else has to be looked at."""
        self.judges = True
        """Whether `judge` has anything to look at."""
        self._default: Any = None
        self.twin: Any = None
        """The backend of the same `listen` section; None in a plain frontend."""

    def _compile_rules(self, scope: Scope) -> None:
        declared = self.model
        connection, session, content = compile_tcp_rules(declared.tcp_request, scope)
        request, self.http_response, self.http_after_response = compile_http_rules(declared, scope)
        if declared.http_buffer_request and declared.mode == "http":
            request = buffering(declared.timeouts.http_request, request)
        session, content, self.http_request = frontend_steps(declared, session, content, request)
        self.inspect_delay = inspect_delay(declared.tcp_request)
        self._connection, self._session = connection, session
        self.connection_rules = self._judge_connection if connection else None
        """Called with the session when a connection was accepted; a Reply refuses it."""
        self.session_rules = self._judge_session if session else None
        """The same when its handshakes are done."""
        self._content = content
        if declared.traceparent is not None and declared.mode == "http":
            self.http_request = (trace_context(declared.traceparent), *self.http_request)

    def _compile_unique_id(self, scope: Scope) -> None:
        declared = self.model
        self._unique_id_header = declared.unique_id_header.encode() if declared.unique_id_header else None
        self._unique_id = unique_id_getter()
        if declared.unique_id_format:
            at = _place(declared, "unique_id_format")
            # Blanks are merged, and left out in front, as in a log line.
            text = compile_text(re.sub(" +", " ", declared.unique_id_format), scope.at(Place.REQUEST), at)
            if text is not None:
                self.make_unique_id = lambda x: (text if isinstance(text, bytes) else text(x)).lstrip(b" ")

    def counts_responses(self, backend: Any) -> Steps:
        """What comes before the http-response rules of this frontend and a backend, if either tracks."""
        return (count_response,) if section_tracks(self.model) or section_tracks(backend.model) else ()

    def link(self) -> None:
        """Find the default backend among the world's backends."""
        name = self.model.default_backend
        self._default = self.world.backends.get(name) if name else None
        if self.model.listen:
            self.twin = self.world.backends.get(self.name)
            self._default = self._default or self.twin
        if self.world.readdresses and self.model.mode == "http":
            self.http_request = (restore_addresses, *self.http_request)
        self.judges = any((self._monitor, self._content, self.http_request, self._unique_id_header))
        self.only_backend = None if self.judges or self._routes else self._default

    # -------------------------------------------------------------------------------------------------- connections

    def _judge_connection(self, session: Session) -> Reply | None:
        return self._judge(self._connection, session)

    def _judge_session(self, session: Session) -> Reply | None:
        return self._judge(self._session, session)

    def _judge(self, steps: tuple[Step, ...], session: Session) -> Reply | None:
        arrival: Any = Arrival(session, self)
        for step in steps:
            reply = step(arrival)
            if reply is not None:
                return None if reply is ALLOW else reply
        return None

    # ------------------------------------------------------------------------------------------------------ requests

    def route(self, x: Context) -> Any:
        """The Backend for an exchange, or the Reply that answers it; None when there is no backend (503)."""
        return self.judge(x) or self.choose(x)

    def judge(self, x: Context) -> Reply | None:
        """What the rules answer; None: they let the exchange pass. A statistics page is served behind them."""
        if self._monitor is not None:
            reply = self._monitor(x)
            if reply is not None:
                return reply
        for steps in (self._content, self.http_request):
            for step in steps:
                reply = step(x)
                if reply is not None:
                    if reply is ALLOW:
                        break
                    return reply
        self.identify(x)
        return None

    def identify(self, x: Context) -> None:
        """Behind the rules: the request gets its id, where one is asked for."""
        if self._unique_id_header is not None:
            self._add_unique_id(x, self._unique_id_header)

    def choose(self, x: Context) -> Any:
        """The Backend that use_backend and default_backend name; None without one."""
        for choose in self._routes:
            name = choose(x)
            if name is not None:
                backend = self._named(x, name)
                if backend is not None:
                    return backend
        return self._default

    def _named(self, x: Context, name: Name) -> Any:
        """A backend that does not exist sends the exchange on to the next rule."""
        if isinstance(name, str):
            return self.world.backends.get(name)
        return self.world.backends.get(name(x).decode("latin-1"))

    def _add_unique_id(self, x: Context, header: bytes) -> None:
        value = self._unique_id(x)
        if isinstance(value, bytes):
            x.request.set(header, value)

    def timestamp(self, wall: float) -> str:
        """A moment as the log writes it: `23/Nov/2026:16:39:39.947`."""
        return exact_date(wall).decode()


def _place(declared: model.Frontend, field: str) -> model.Origin:
    """Where a format stands; else where its section begins."""
    return dict(declared.format_places).get(field, declared.at)


def _compile_monitor(declared: model.Frontend, scope: Scope) -> Callable[[Context], Reply | None] | None:
    """`monitor-uri`: 200, or 503 while one of `monitor fail` holds; neither is logged."""
    if declared.monitor_uri is None:
        return None
    place = scope.at(Place.REQUEST)
    failures = [check for check in (compile_condition(c, place) for c in declared.monitor_fail) if check is not None]
    uri = declared.monitor_uri.encode()
    ready = (scope.error_page(200) if scope.error_page else Reply(200)).ended(b"PR", False)
    failed = (scope.error_page(503) if scope.error_page else Reply(503)).ended(b"PR", False)

    def monitor(x: Context) -> Reply | None:
        if x.request.uri != uri:
            return None
        x.log_level = -1
        return failed if any(check(x) for check in failures) else ready

    return monitor


# ------------------------------------------------------------------------------------------------- for both sides


def compile_tcp_rules(rules: tuple[model.Rule, ...], scope: Scope) -> tuple[Steps, Steps, Steps]:
    """`tcp-request` rules by phase: connection, session, content. The phase is the first word of the action."""
    phases: dict[str, list[model.Rule]] = {"connection": [], "session": [], "content": []}
    for rule in rules:
        phase, _, action = rule.action.partition(" ")
        if rule.action == "inspect-delay":
            continue  # see `inspect_delay`
        if phase not in phases or not action:
            scope.report.unknown(rule.at, "phase of tcp-request", phase, (*phases, "inspect-delay"))
            continue
        phases[phase].append(model.Rule(action, rule.args, rule.condition, rule.at))
    connection = compile_rules(phases["connection"], scope.at(Place.CONNECTION))
    session = compile_rules(phases["session"], scope.at(Place.SESSION))
    return connection, session, compile_rules(phases["content"], scope.at(Place.CONTENT))


Steps = tuple[Step, ...]


def inspect_delay(rules: tuple[model.Rule, ...]) -> float:
    """Seconds that content rules may wait for what they look at; 0 without `tcp-request inspect-delay`. The last one
    counts. HTTP needs none: its rules run when the request's head is complete."""
    delays = [parse_time(rule.args[0], "ms") for rule in rules if rule.action == "inspect-delay"]
    return delays[-1] if delays else 0.0


def compile_http_rules(declared: model.Proxy, scope: Scope) -> tuple[Steps, Steps, Steps]:
    """The http-request, http-response and http-after-response rules; in TCP mode there is nothing they could see."""
    sets = (declared.http_request, declared.http_response, declared.http_after_response)
    if declared.mode != "http":
        for rule in (rule for rules in sets for rule in rules):
            scope.report.warning(rule.at, f'"{rule.action}" is left out: "{declared.name}" is in TCP mode', "mode http")
        return (), (), ()
    request, response, after = sets
    if declared.listen:
        request = tuple(_of_this_side(declared, scope))
    return (
        compile_rules(request, scope.at(Place.REQUEST)),
        compile_rules(response, scope.at(Place.RESPONSE)),
        compile_rules(after, scope.at(Place.AFTER_RESPONSE)),
    )


def _of_this_side(declared: model.Proxy, scope: Scope) -> Iterator[model.Rule]:
    """The http-request rules of one side of a `listen`. All of them stand in its frontend."""
    twin = scope.world.config.frontend(declared.name) if isinstance(declared, model.Backend) else declared
    for rule in twin.http_request if twin is not None else ():
        if (rule.action in SERVER_SIDE) == isinstance(declared, model.Backend):
            yield rule


def compile_frontend(declared: model.Frontend, world: World, report: Any) -> Frontend:
    """A live frontend, entered into the world; findings go to `report`."""
    frontend = Frontend(declared, scope_of(declared, world, report))
    world.frontends[declared.name] = frontend
    return frontend


def dress_backend(backend: Any, world: World, report: Any) -> None:
    """Give a live backend what its section's rules compile to: steps, error pages, persistence conditions."""
    declared: model.Backend = backend.model
    scope = scope_of(declared, world, report)
    pages = compile_errors(declared, scope)
    scope.error_page = pages
    backend.error_reply = pages.own
    if any(not rule.action.startswith(("content ", "inspect-delay")) for rule in declared.tcp_request):
        report(declared.at, f'backend "{declared.name}": only "tcp-request content" rules may stand in a backend')
    content = compile_tcp_rules(declared.tcp_request, scope)[2]
    backend.inspect_delay = inspect_delay(declared.tcp_request)
    request, backend.http_response, backend.http_after_response = compile_http_rules(declared, scope)
    if declared.http_buffer_request and declared.mode == "http":
        request = buffering(declared.timeouts.http_request, request)
    backend.http_request = content + request
    if backend.persist is not None:
        place = Place.REQUEST if declared.mode == "http" else Place.CONTENT
        _dress_persistence(backend.persist, declared, scope.at(place))


def _dress_persistence(persist: Any, declared: model.Backend, scope: Scope) -> None:
    persist.force = _checks(declared.force_persist, scope)
    persist.ignore = _checks(declared.ignore_persist, scope)
    chosen = []
    for rule in declared.use_server:
        check, name = compile_condition(rule.condition, scope), compile_text(rule.backend, scope, rule.at)
        if check is not None and name is not None:
            chosen.append((check, _as_function(name)))
    persist.use_server = tuple(chosen)
    if declared.stick:
        compiled = [_stick_rule(rule, declared, scope) for rule in declared.stick]
        persist.sticking = sticking.Sticking(persist.backend, tuple(rule for rule in compiled if rule is not None))


def _stick_rule(rule: model.StickRule, declared: model.Backend, scope: Scope) -> sticking.Rule | None:
    try:
        table = table_named(rule.table, scope)
    except BadArgument as error:
        scope.report(rule.at, str(error))
        return None
    if rule.kind == "store-response":
        if not scope.http:
            scope.report(rule.at, '"stick store-response" looks at responses, which mode tcp does not', "mode http")
            return None
        scope = scope.at(Place.RESPONSE)
    key = compile_key(rule.sample, table, scope)
    check = compile_condition(rule.condition, scope) if rule.condition is not None else None
    if key is None or (rule.condition is not None and check is None):
        return None
    kind = rule.kind
    return sticking.Rule(
        table, key, check, kind in ("match", "on"), kind in ("on", "store-request"), kind == "store-response"
    )


def _checks(conditions: tuple[model.Condition, ...], scope: Scope) -> tuple[Check, ...]:
    checks = [compile_condition(condition, scope) for condition in conditions]
    return tuple(check for check in checks if check is not None and check is not never)


def _as_function(text: Text) -> Callable[[Context], bytes]:
    return (lambda _x: text) if isinstance(text, bytes) else text
