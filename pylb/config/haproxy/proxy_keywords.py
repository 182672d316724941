"""All keywords of defaults, frontend, listen and backend sections (manual: 4.1 "Proxy keywords matrix")."""

from __future__ import annotations

import re
from collections.abc import Callable

from pylb.config.haproxy.bind import read_bind
from pylb.config.haproxy.captures import CAPTURES
from pylb.config.haproxy.checking import (
    read_comment,
    read_connect,
    read_disable_on_404,
    read_expect,
    read_http_send,
    read_send_state,
    read_tcp_send,
    read_tcp_send_binary,
)
from pylb.config.haproxy.keywords import Keyword, Line, Refusal, Table
from pylb.config.haproxy.logs import LOG_NOTE, read_proxy_log
from pylb.config.haproxy.options import OPTIONS, TIMEOUTS
from pylb.config.haproxy.persistence import PERSISTENCE
from pylb.config.haproxy.proxy import ProxyDraft
from pylb.config.haproxy.replies import REPLIES
from pylb.config.haproxy.routing import ROUTING
from pylb.config.haproxy.scalars import choice, constant, integer, put, text
from pylb.config.haproxy.server import read_default_server, read_server, read_source
from pylb.config.haproxy.statistics import STATISTICS
from pylb.config.model import NAMED_FORMATS
from pylb.config.words import Word

P = Callable[[ProxyDraft, Line], None]


_TEMPLATE_COUNT = re.compile(r"[0-9]{1,4}(?:-[0-9]{1,4})?")


_NO_SOCKS = "no via-socks4, no proto"


def _read_bind(draft: ProxyDraft, line: Line) -> None:
    draft.binds.extend(read_bind(line, draft.unix_bind, draft.unix_prefix))


def _read_server(draft: ProxyDraft, line: Line) -> None:
    server, explicit = read_server(line, draft.default_server)
    if not explicit:
        draft.verified_by_default.add(server.name)
    before = draft.server_lines.setdefault(server.name, server.at)
    if before is not server.at:
        raise Refusal(line.args[0].at, f'another server named "{server.name}" is at {before}', "choose another name")
    if server.id is not None and draft.server_ids.setdefault(server.id, server.name) != server.name:
        raise Refusal(line.at, f'id {server.id} is already that of server "{draft.server_ids[server.id]}"')
    draft.servers.append(server)


def _read_default_server(draft: ProxyDraft, line: Line) -> None:
    read_default_server(line, draft.default_server)


def _read_template(draft: ProxyDraft, line: Line) -> None:
    """`server-template PREFIX NUMBER|FIRST-LAST NAME:PORT …`: as many servers of one name."""
    prefix = line.next("a prefix, a number and an address")
    count = line.next("a number, as in 3 or 1-5")
    first, dash, last = count.text.partition("-")
    if _TEMPLATE_COUNT.fullmatch(count.text) is None:
        raise Refusal(count.at, f'"{count.text}" is not a number of servers', "as in 3 or 1-5")
    low, high = (int(first), int(last)) if dash else (1, int(first))
    if not 1 <= low <= high:
        raise Refusal(count.at, f'"{count.text}" counts no servers', "as in 3 or 1-5")
    rest = line.rest()
    for number in range(low, high + 1):
        name = Word(f"{prefix.text}{number}", prefix.at)
        _read_server(draft, Line(line.keyword, line.at, [name, *rest], line.report))


def _read_mode(draft: ProxyDraft, line: Line) -> None:
    word = line.next("http or tcp")
    if word.text == "health":
        raise Refusal(word.at, 'mode "health" was removed from HAProxy', "http-request return status 200")
    draft.values["mode"] = choice("http", "tcp", kind="mode")(word)


def _read_description(draft: ProxyDraft, line: Line) -> None:
    draft.values["description"] = " ".join([line.next("a text").text, *(word.text for word in line.rest())])


def _read_id(draft: ProxyDraft, line: Line) -> None:
    draft.values["id"] = line.value(integer(1))


def _read_log_format(draft: ProxyDraft, line: Line) -> None:
    _format("log_format")(draft, line)
    form = draft.values["log_format"]
    if form in NAMED_FORMATS:  # here the word is the text of every line: a flag that changes nothing keeps it from
        form += "%{-X}o"  # being a name
    draft.values["log_format"] = form


def _format(field: str) -> P:
    def read(draft: ProxyDraft, line: Line) -> None:
        word = line.next("a format")
        draft.values[field] = word.text
        places = dict(draft.values.get("format_places", ()))
        draft.values["format_places"] = tuple((places | {field: word.at}).items())

    return read


RETRY_CONDITIONS = (
    "none", "conn-failure", "empty-response", "junk-response", "response-timeout", "0rtt-rejected",
    "all-retryable-errors", "401", "403", "404", "408", "425", "500", "501", "502", "503", "504",
)  # fmt: skip


def _read_retry_on(draft: ProxyDraft, line: Line) -> None:
    if not line.more:
        line.next("when to retry, as in conn-failure")
    known = choice(*RETRY_CONDITIONS, kind="retry condition")
    conditions = tuple(known(word) for word in line.rest())
    draft.values["retry_on"] = conditions


def _read_load_state(draft: ProxyDraft, line: Line) -> None:
    where = line.value(choice("global", "local", "none"))
    draft.values["load_server_state"] = None if where == "none" else where


def _read_state_file(draft: ProxyDraft, line: Line) -> None:
    name = line.value(text) if line.more else "use-backend-name"
    draft.values["server_state_file_name"] = None if name == "use-backend-name" else name


def _read_source(draft: ProxyDraft, line: Line) -> None:
    draft.values["source"] = read_source(line)


def _unsupported(names: str, where: str, note: str) -> list[Keyword[ProxyDraft]]:
    return [Keyword(name, None, where, "unsupported", note) for name in names.split(", ")]


def _ignored(names: str, where: str, note: str) -> list[Keyword[ProxyDraft]]:
    return [Keyword(name, None, where, "ignored", note) for name in names.split(", ")]


_NO_VARIABLES = "checks have no variables"
_KEEP_ALIVE = "TCP keep-alive is the kernel's default"

_PLAIN: list[Keyword[ProxyDraft]] = [
    Keyword("backlog", put("backlog", integer(0)), "dfl"),
    Keyword("bind", _read_bind, "fl"),
    Keyword("default-server", _read_default_server, "dlb", strict=True),
    Keyword("description", _read_description, "flb"),
    Keyword("disabled", constant("disabled", True), "dflb"),
    Keyword("enabled", constant("disabled", False), "dflb"),
    Keyword("http-reuse", put("http_reuse", choice("never", "safe", "aggressive", "always")), "dlb"),
    Keyword("id", _read_id, "flb"),
    Keyword("load-server-state-from-file", _read_load_state, "dlb"),
    Keyword("server-state-file-name", _read_state_file, "dlb"),
    Keyword("log", read_proxy_log, "dflb", negatable=True, note=LOG_NOTE),
    Keyword("log-format", _read_log_format, "dfl"),
    Keyword("log-format-sd", _format("log_format_sd"), "dfl"),
    Keyword("error-log-format", _format("error_log_format"), "dfl"),
    Keyword("log-tag", put("log_tag", text), "dflb"),
    Keyword("maxconn", put("maxconn", integer(0)), "dfl"),
    Keyword("mode", _read_mode, "dflb"),
    Keyword("monitor-uri", put("monitor_uri", text), "dfl"),
    Keyword("retries", put("retries", integer(0)), "dlb"),
    Keyword("retry-on", _read_retry_on, "dlb", strict=True),
    Keyword("server", _read_server, "lb", strict=True),
    Keyword("server-template", _read_template, "lb", strict=True),
    Keyword("source", _read_source, "dlb", note="an address; no usesrc, no interface"),
    Keyword("unique-id-format", _format("unique_id_format"), "dfl"),
    Keyword("unique-id-header", put("unique_id_header", text), "dfl"),
    Keyword("http-check comment", read_comment, "dlb"),
    Keyword("http-check connect", read_connect, "dlb", note=_NO_SOCKS),
    Keyword("http-check disable-on-404", read_disable_on_404, "dlb"),
    Keyword("http-check expect", read_expect, "dlb", note="no string-lf, no status-code"),
    Keyword("http-check send", read_http_send, "dlb", note="no uri-lf, no body-lf"),
    Keyword("http-check send-state", read_send_state, "dlb"),
    Keyword("tcp-check comment", read_comment, "dlb"),
    Keyword("tcp-check connect", read_connect, "dlb", note=_NO_SOCKS),
    Keyword("tcp-check expect", read_expect, "dlb", note="no string-lf, binary-lf, status-code"),
    Keyword("tcp-check send", read_tcp_send, "dlb"),
    Keyword("tcp-check send-binary", read_tcp_send_binary, "dlb"),
]

_REST: list[Keyword[ProxyDraft]] = [
    *_ignored("clitcpka-cnt, clitcpka-idle, clitcpka-intvl", "dfl", _KEEP_ALIVE),
    *_ignored("srvtcpka-cnt, srvtcpka-idle, srvtcpka-intvl", "dlb", _KEEP_ALIVE),
    *_ignored("max-keep-alive-queue", "dlb", "every request is balanced"),
    *_ignored("max-session-srv-conns", "dfl", "connections to servers are pooled by server"),
    *_unsupported("compression", "dflb", "bodies are passed on as they are"),
    *_unsupported("dispatch", "lb", "write a server line"),
    *_unsupported(
        "email-alert from, email-alert level, email-alert mailers, email-alert myhostname, email-alert to",
        "dflb",
        "state changes are logged",
    ),
    *_unsupported("external-check command, external-check path", "dlb", "write tcp-check or httpchk"),
    *_unsupported("filter", "flb", "there are no filters"),
    *_unsupported("http-check set-var, http-check unset-var, http-check set-var-fmt", "dlb", _NO_VARIABLES),
    *_unsupported("tcp-check set-var, tcp-check unset-var, tcp-check set-var-fmt", "dlb", _NO_VARIABLES),
    *_unsupported("tcp-check send-lf, tcp-check send-binary-lf", "dlb", "tcp-check send takes a plain text"),
    *_unsupported("http-send-name-header", "dlb", "http-request set-header X-Server %s"),
    *_unsupported("rate-limit sessions", "dfl", "maxconn limits connections"),
    *_unsupported("transparent", "dlb", "clients' destinations are not followed"),
    *_unsupported("use-fcgi-app", "lb", "FastCGI is not spoken"),
    Keyword("bind-process", None, "dflb", "removed", "every worker serves every proxy"),
    Keyword("monitor-net", None, "dfl", "removed", "write http-request return status 200 if { src NET }"),
    Keyword("appsession", None, "dlb", "removed", "write cookie … insert"),
]

PROXY_KEYWORDS: Table[ProxyDraft] = Table(
    [*_PLAIN, *OPTIONS, *TIMEOUTS, *STATISTICS, *ROUTING, *CAPTURES, *PERSISTENCE, *REPLIES, *_REST]
)

_CAPABILITY = {
    "defaults": "d",
    "frontend": "f",
    "listen": "l",
    "backend": "b",
}


def misplaced(row: Keyword[ProxyDraft], draft: ProxyDraft, line: Line) -> bool:
    """Whether a keyword stands where it cannot work. Raises Refusal where HAProxy refuses it, warns where it warns."""
    if _CAPABILITY[draft.kind] in row.where or (draft.kind == "defaults" and draft.name and "n" in row.where):
        return False
    if draft.kind == "defaults":
        if "n" in row.where:
            raise Refusal(
                line.at, f'"{row.name}" is not allowed in an anonymous defaults section', "give the section a name"
            )
        raise Refusal(line.at, f'"{row.name}" is not allowed in a defaults section', "write it in each section")
    side = "servers" if draft.kind == "frontend" else "clients"
    message = f'"{row.name}" in {draft.kind} "{draft.name}"'
    if row.strict:
        raise Refusal(line.at, f"{message} is not allowed: it has no {side} of its own", "move it to the other side")
    line.report.warning(line.at, f"{message} has no effect: it has no {side} of its own", "move it to the other side")
    return True
