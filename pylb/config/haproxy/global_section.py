"""The `global` section (manual: 3 "Global parameters"). It may be repeated; later values win, lists add up."""

from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping
from typing import Any

from pylb.config.haproxy.bind import BindDraft, read_options, read_stats_socket, tls_fields, tls_version_keywords
from pylb.config.haproxy.global_words import IGNORED, UNSUPPORTED
from pylb.config.haproxy.keywords import Keyword, Line, Refusal, Table
from pylb.config.haproxy.logs import LOG_NOTE, read_global_log
from pylb.config.haproxy.scalars import (
    Draft,
    choice,
    constant,
    duration,
    integer,
    octal,
    put,
    size,
    text,
)
from pylb.config.model import BindTls, Global, Origin, ServerTls, StatsSocket, Tune
from pylb.config.presets import LOCAL_PEER, NONE, Presets
from pylb.config.words import Word

_LEAST_BUFFER = 1024


class GlobalDraft(Draft):
    """The global section so far, over all its parts."""

    def __init__(self, environment: MutableMapping[str, str], presets: Presets = NONE) -> None:
        super().__init__()
        self.presets = presets
        if not presets.verify_servers:
            self.values["ssl_server_verify"] = "none"
        self.environment = environment
        """Read by `"${NAME}"`, written by setenv and its like."""
        self.initial_environment = dict(environment)
        self.sockets: list[StatsSocket] = []
        self.tune: dict[str, Any] = {}
        self.bind_tls: dict[str, Any] = {}
        self.server_tls: dict[str, Any] = {}
        self.unix_prefix = ""
        self.unix_bind: dict[str, Any] = {}
        self.at: Origin | None = None

    def build(self) -> Global:
        """The model."""
        return Global(
            stats_sockets=tuple(self.sockets),
            tune=Tune(**self.tune),
            ssl_default_bind=BindTls(**self.bind_tls),
            ssl_default_server=ServerTls(**self.server_tls),
            at=self.at or Origin(),
            **self.values,
        )


G = Callable[[GlobalDraft, Line], None]


def _tune(field: str, parse: Callable[..., object]) -> G:
    def read(draft: GlobalDraft, line: Line) -> None:
        draft.tune[field] = line.value(parse)

    return read


def _bufsize(word: Word) -> int:
    number = size(word)
    if number < _LEAST_BUFFER:
        raise Refusal(word.at, f'"{word.text}" is too small for a head', f"{_LEAST_BUFFER} or more")
    return number


def _read_shared_pool(draft: GlobalDraft, line: Line) -> None:
    draft.tune["idle_pool_shared"] = line.value(choice("on", "off")) == "on"


def _default_tls(target: str, field: str) -> G:
    def read(draft: GlobalDraft, line: Line) -> None:
        getattr(draft, target)[field] = line.value(text)

    return read


_BIND_TLS_OPTIONS: Table[BindDraft] = Table(
    [
        *tls_version_keywords(),
        Keyword("no-tls-tickets", lambda draft, line: draft.tls.update(tickets=False)),
        Keyword("prefer-client-ciphers", status="ignored", note="the server's order of ciphers holds"),
    ]
)
_SERVER_TLS_OPTIONS: Table[BindDraft] = Table(
    [
        *tls_version_keywords(),
        Keyword("no-tls-tickets", status="ignored", note="TLS sessions may be resumed"),
    ]
)


def _tls_options(target: str, table: Table[BindDraft]) -> G:
    def read(draft: GlobalDraft, line: Line) -> None:
        if not line.more:
            line.next("options, as in ssl-min-ver TLSv1.2")
        options = BindDraft()
        read_options(table, options, line, "option")
        getattr(draft, target).update(tls_fields(options.tls, options.banned, line.at))

    return read


def _read_stats_socket(draft: GlobalDraft, line: Line) -> None:
    draft.sockets.extend(read_stats_socket(line, draft.unix_bind, draft.unix_prefix))


def _read_log_send_hostname(draft: GlobalDraft, line: Line) -> None:
    draft.values["log_send_hostname"] = line.next().text if line.more else ""


def _read_unix_bind(draft: GlobalDraft, line: Line) -> None:
    parsers: dict[str, Callable[..., object]] = {
        "mode": octal, "user": text, "group": text, "uid": integer(0), "gid": integer(0),
    }  # fmt: skip
    while line.more:
        option = line.value(choice("prefix", *parsers, kind='word behind "unix-bind":'))
        if option == "prefix":
            draft.unix_prefix = line.value(text)
        else:
            draft.unix_bind[option] = line.value(parsers[option])


def _read_text_of_all(field: str) -> G:
    def read(draft: GlobalDraft, line: Line) -> None:
        first = line.next("a text").text
        draft.values[field] = " ".join([first, *(word.text for word in line.rest())])

    return read


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _read_setenv(draft: GlobalDraft, line: Line) -> None:
    name = line.next("a name and a value")
    if _VARIABLE.fullmatch(name.text) is None:
        raise Refusal(name.at, f'"{name.text}" is not the name of an environment variable', "letters, digits and _")
    value = line.next("a value").text
    if line.keyword == "setenv" or name.text not in draft.environment:
        draft.environment[name.text] = value


def _read_unsetenv(draft: GlobalDraft, line: Line) -> None:
    line_words = [line.next("a name"), *line.rest()]
    for name in line_words:
        draft.environment.pop(name.text, None)


def _read_resetenv(draft: GlobalDraft, line: Line) -> None:
    """Only the named variables stay, with the values they had when the program started."""
    kept = {word.text for word in line.rest()}
    for name in [n for n in draft.environment if n not in kept]:
        del draft.environment[name]
    draft.environment.update({n: v for n, v in draft.initial_environment.items() if n in kept})


def _read_local_peer(draft: GlobalDraft, line: Line) -> None:
    name = line.next("a name")
    if draft.presets.local_peer is not None:
        line.report.warning(name.at, f'"localpeer {name.text}" has no effect: -L has named the local peer already')
    else:
        draft.environment[LOCAL_PEER] = name.text


def _node_name(word: Word) -> str:
    if re.fullmatch(r"[A-Za-z0-9_.-]+", word.text) is None:
        raise Refusal(word.at, f'"{word.text}" cannot name a node', "letters, digits and - _ . can")
    return word.text


def _read_default_path(draft: GlobalDraft, line: Line) -> None:
    word = line.next("current")
    if word.text != "current":
        raise Refusal(
            word.at, f'"default-path {word.text}" is not supported by pylb', "relative paths start where pylb starts"
        )


_SUPPORTED: list[Keyword[GlobalDraft]] = [
    Keyword("ca-base", put("ca_base", text)),
    Keyword("chroot", put("chroot", text)),
    Keyword("crt-base", put("crt_base", text)),
    Keyword("daemon", constant("daemon", True)),
    Keyword("default-path", _read_default_path, note="current alone"),
    Keyword("description", _read_text_of_all("description")),
    Keyword("gid", put("gid", integer(0))),
    Keyword("group", put("group", text)),
    Keyword("hard-stop-after", put("hard_stop_after", duration())),
    Keyword("localpeer", _read_local_peer, note="the variable HAPROXY_LOCALPEER; there are no peers"),
    Keyword("log", read_global_log, negatable=True, note=LOG_NOTE),
    Keyword("log-send-hostname", _read_log_send_hostname),
    Keyword("log-tag", put("log_tag", text)),
    Keyword("maxconn", put("maxconn", integer(0))),
    Keyword("maxconnrate", put("max_rate", integer(0))),
    Keyword("nbthread", put("workers", integer(1, 64)), note="the number of worker processes"),
    Keyword("node", put("node", _node_name)),
    Keyword("pidfile", put("pidfile", text)),
    Keyword("presetenv", _read_setenv),
    Keyword("resetenv", _read_resetenv),
    Keyword("server-state-base", put("server_state_base", text)),
    Keyword("server-state-file", put("server_state_file", text)),
    Keyword("setenv", _read_setenv),
    Keyword("spread-checks", put("spread_checks", integer(0, 50))),
    Keyword("ssl-default-bind-ciphers", _default_tls("bind_tls", "ciphers")),
    Keyword("ssl-default-bind-ciphersuites", _default_tls("bind_tls", "ciphersuites")),
    Keyword("ssl-default-bind-options", _tls_options("bind_tls", _BIND_TLS_OPTIONS)),
    Keyword("ssl-default-server-ciphers", _default_tls("server_tls", "ciphers")),
    Keyword("ssl-default-server-ciphersuites", _default_tls("server_tls", "ciphersuites")),
    Keyword("ssl-default-server-options", _tls_options("server_tls", _SERVER_TLS_OPTIONS)),
    Keyword("ssl-server-verify", put("ssl_server_verify", choice("none", "required"))),
    Keyword("stats maxconn", put("stats_maxconn", integer(1))),
    Keyword("stats socket", _read_stats_socket),
    Keyword("stats timeout", put("stats_timeout", duration(least=0.001))),
    Keyword("tune.bufsize", _tune("bufsize", _bufsize)),
    Keyword("tune.http.maxhdr", _tune("max_headers", integer(1, 32767))),
    Keyword("tune.idle-pool.shared", _read_shared_pool),
    Keyword("tune.maxrewrite", _tune("maxrewrite", integer(1))),
    Keyword("uid", put("uid", integer(0))),
    Keyword("unix-bind", _read_unix_bind),
    Keyword("unsetenv", _read_unsetenv),
    Keyword("user", put("user", text)),
]

GLOBAL_KEYWORDS: Table[GlobalDraft] = Table([*_SUPPORTED, *IGNORED, *UNSUPPORTED])
