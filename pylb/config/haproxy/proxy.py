"""A proxy section being read, what it takes over from defaults, and the Frontend and Backend that come of it.

`values` holds single settings by their field in the model and is what defaults hand on, together with default-server,
checks, rules and log targets; binds, servers, ACLs and routes are a section's own. Everything handed on is immutable
or copied, so that a section never writes into its defaults.

Rules of a named defaults section run before those of the proxies that use it. They see the ACLs of their own section
only, so each ACL is written out as anonymous tests when the rules are handed on.
"""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product
from math import prod
from typing import Any, Literal

from pylb.config.haproxy.checking import CheckDraft
from pylb.config.haproxy.keywords import Refusal
from pylb.config.haproxy.logs import GLOBAL
from pylb.config.haproxy.scalars import Draft
from pylb.config.haproxy.server import ServerDraft, with_verification
from pylb.config.model import (
    Acl,
    Backend,
    Bind,
    Capture,
    Condition,
    ErrorFile,
    Frontend,
    Global,
    LogTarget,
    Origin,
    Rule,
    Server,
    StatsPage,
    StickRule,
    StickTable,
    Term,
    Timeouts,
    UseBackend,
)
from pylb.config.words import Report

Kind = Literal["defaults", "frontend", "listen", "backend"]

RULE_SETS = ("http_request", "http_response", "http_after_response", "tcp_request")

_SHARED = frozenset({
    "mode", "disabled", "description", "id", "forwardfor", "log_tag", "via", "http_request", "http_response",
    "http_after_response", "tcp_request",
})  # fmt: skip
_FRONTEND = _SHARED | {f.name for f in fields(Frontend)}
_BACKEND = _SHARED | {f.name for f in fields(Backend)}


class ProxyDraft(Draft):
    """One defaults, frontend, listen or backend section so far."""

    def __init__(self, kind: Kind, name: str, at: Origin, defaults: ProxyDraft | None, report: Report) -> None:
        super().__init__()
        self.kind: Kind = kind
        self.name = name
        self.at = at
        self.report = report
        self.unix_prefix = ""
        self.unix_bind: dict[str, Any] = {}
        self.timeouts: dict[str, float] = {}
        self.connection: tuple[str, str, Origin] | None = None
        """The connection mode, the option that set it and where."""
        self.error_files: dict[int, ErrorFile] = {}
        self.error_sections: list[tuple[str, tuple[int, ...], Origin]] = []
        """`errorfiles NAME [CODE…]`, resolved when all http-errors sections have been read."""
        self.default_server = ServerDraft()
        self.check = CheckDraft()
        self.stats: dict[str, Any] | None = None
        self.stats_inherited = False
        self.rules: dict[str, tuple[Rule, ...]] = {}
        self.acls: list[Acl] = []
        self.binds: list[Bind] = []
        self.servers: list[Server] = []
        self.server_lines: dict[str, Origin] = {}
        self.verified_by_default: set[str] = set()
        """Servers whose line says nothing of `verify`."""
        self.server_ids: dict[int, str] = {}
        self.captures: list[Capture] = []
        self.use_backend: list[UseBackend] = []
        self.use_server: list[UseBackend] = []
        self.stick: list[StickRule] = []
        self.monitor_fail: list[Condition] = []
        self.force_persist: list[Condition] = []
        self.ignore_persist: list[Condition] = []
        self.stick_table: StickTable | None = None
        if defaults is not None:
            self._inherit(defaults)

    def _inherit(self, defaults: ProxyDraft) -> None:
        self.values = dict(defaults.values)
        self.timeouts = dict(defaults.timeouts)
        self.connection = defaults.connection
        self.error_files = dict(defaults.error_files)
        self.error_sections = list(defaults.error_sections)
        self.default_server = defaults.default_server.copy()
        self.check = defaults.check.inherited()
        self.stats, self.stats_inherited = defaults.stats, defaults.stats is not None
        self.rules = {name: tuple(inline_rules(rules, defaults.acls)) for name, rules in defaults.rules.items()}

    @property
    def has_frontend(self) -> bool:
        """Whether clients connect to it; so does HAProxy read defaults."""
        return self.kind != "backend"

    @property
    def has_backend(self) -> bool:
        """Whether it has servers."""
        return self.kind != "frontend"

    def own_stats(self) -> dict[str, Any]:
        """The stats settings to write to: the first one in a section starts afresh, as in HAProxy."""
        if self.stats is None or self.stats_inherited:
            self.stats = {"at": self.at}
            self.stats_inherited = False
        return self.stats

    def add_rule(self, rule_set: str, rule: Rule) -> None:
        """Append to http_request, http_response, http_after_response or tcp_request."""
        self.rules[rule_set] = (*self.rules.get(rule_set, ()), rule)

    # ------------------------------------------------------------------------------------------------- the model

    def build(self, globals_: Global) -> tuple[Frontend | None, Backend | None]:
        """The frontend and the backend that this section is, either or both."""
        shared = self._shared(globals_.log)
        backend = self._backend(shared, globals_.ssl_server_verify) if self.has_backend else None
        return (self._frontend(shared) if self.has_frontend else None), backend

    def _shared(self, global_log: tuple[LogTarget, ...]) -> dict[str, Any]:
        log: list[LogTarget] = []
        for target in self.values.get("log", ()):
            log.extend(global_log if target == GLOBAL else [target])
        shared: dict[str, Any] = {
            "name": self.name,
            "at": self.at,
            "log": tuple(log),
            "acls": tuple(self.acls),
            "error_files": tuple(self.error_files[status] for status in sorted(self.error_files)),
            "listen": self.kind == "listen",
            "stats": StatsPage(**self.stats) if self.stats is not None else None,
            "stick_table": self.stick_table,
        }
        if self.connection is not None:
            shared["connection_mode"] = self.connection[0]
        return shared

    def _frontend(self, shared: dict[str, Any]) -> Frontend:
        picked = {name: value for name, value in self.values.items() if name in _FRONTEND and name != "log"}
        if self.kind == "listen":
            picked.setdefault("default_backend", self.name)
            picked.pop("cookie", None)
        elif not self.values.get("cookie_here"):
            picked.pop("cookie", None)
        return Frontend(
            **{**picked, **shared, **self.rules},
            timeouts=Timeouts(**self.timeouts),
            binds=tuple(self.binds),
            use_backend=tuple(self.use_backend),
            captures=tuple(self.captures),
            monitor_fail=tuple(self.monitor_fail),
        )

    def _backend(self, shared: dict[str, Any], verify: str) -> Backend:
        picked = {name: value for name, value in self.values.items() if name in _BACKEND and name != "log"}
        # a request passes the rules of a `listen` once, on the client's side
        rules = {} if self.kind == "listen" else self.rules
        return Backend(
            **{**picked, **shared, **rules},
            timeouts=Timeouts(**self.timeouts),
            servers=tuple(
                with_verification(server, server.name not in self.verified_by_default, verify, self.report)
                for server in self.servers
            ),
            check=self.check.build(self.report),
            use_server=tuple(self.use_server),
            stick=tuple(self.stick),
            force_persist=tuple(self.force_persist),
            ignore_persist=tuple(self.ignore_persist),
        )


# ------------------------------------------------------------------------------------------------- rules of defaults


def inline_rules(rules: tuple[Rule, ...], acls: list[Acl]) -> list[Rule]:
    """The rules with every named ACL replaced by its tests; names that no ACL has (TRUE, HTTP …) stay."""
    if not acls:
        return list(rules)
    tests: dict[str, list[Acl]] = {}
    for acl in acls:
        tests.setdefault(acl.name, []).append(acl)
    return [
        rule if rule.condition is None else replace(rule, condition=_inline(rule.condition, tests)) for rule in rules
    ]


_MOST_ALTERNATIVES = 1000


def _inline(condition: Condition, tests: dict[str, list[Acl]]) -> Condition:
    """In normal form: several tests of a name are alternatives, negated they must fail together."""
    alternatives: list[tuple[Term, ...]] = []
    for group in condition.any_of:
        choices = [_choices(term, tests) for term in group]
        if prod(map(len, choices)) + len(alternatives) > _MOST_ALTERNATIVES:
            raise Refusal(condition.at, "the condition has too many alternatives to be handed on from defaults")
        for combination in product(*choices):
            alternatives.append(tuple(term for terms in combination for term in terms))
    return replace(condition, any_of=tuple(alternatives))


def _choices(term: Term, tests: dict[str, list[Acl]]) -> list[tuple[Term, ...]]:
    acls = tests.get(term.acl) if isinstance(term.acl, str) else None
    if acls is None:
        return [(term,)]
    terms = [replace(term, acl=acl.test) for acl in acls]
    return [tuple(terms)] if term.negated else [(one,) for one in terms]
