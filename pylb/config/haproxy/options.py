"""`option …` and `timeout …` of a proxy (manual: 4.2)."""

from __future__ import annotations

from collections.abc import Callable

from pylb.config.haproxy.checking import read_httpchk, read_tcp_check_option
from pylb.config.haproxy.keywords import Keyword, Line, Refusal
from pylb.config.haproxy.proxy import ProxyDraft
from pylb.config.haproxy.scalars import choice, duration, integer, network, switch, text
from pylb.config.model import ForwardFor

P = Callable[[ProxyDraft, Line], None]

_MODES = {"http-keep-alive": "keep-alive", "http-server-close": "server-close", "httpclose": "close"}


def _read_connection_mode(draft: ProxyDraft, line: Line) -> None:
    """The last of the three wins; "no" takes back that one only."""
    name = line.keyword.removeprefix("option ")
    before = draft.connection
    if line.negation:
        if before is not None and before[1] == name:
            draft.connection = None
        return
    if before is not None and before[1] != name:
        line.report.warning(
            line.at,
            f'"option {name}" replaces "option {before[1]}" of {before[2]}: they contradict each other',
            f"keep one; {name} is what works here",
        )
    draft.connection = (_MODES[name], name, line.at)


def _read_forwardfor(draft: ProxyDraft, line: Line) -> None:
    options: dict[str, object] = {}
    while line.more:
        option = line.value(choice("except", "header", "if-none", kind="forwardfor option"))
        if option == "except":
            options["except_network"] = line.value(network)
        elif option == "header":
            options["header"] = line.value(text)
        else:
            options["if_none"] = True
    draft.values["forwardfor"] = ForwardFor(**options)  # type: ignore[arg-type]


def _read_redispatch(draft: ProxyDraft, line: Line) -> None:
    """The interval counts retries; without one only the last retry goes elsewhere."""
    if line.negation == "default":
        draft.values.pop("redispatch", None)
    elif line.negation == "no":
        draft.values["redispatch"] = 0
    else:
        draft.values["redispatch"] = line.value(integer(-1000, 1000)) if line.more else -1


def _read_httplog(draft: ProxyDraft, line: Line) -> None:
    draft.values["log_format"] = "clf" if line.take("clf") else "httplog"


def _read_httpslog(draft: ProxyDraft, line: Line) -> None:
    draft.values["log_format"] = "httpslog"


def _read_tcplog(draft: ProxyDraft, line: Line) -> None:
    draft.values["log_format"] = "tcplog"


def _timeout(field: str) -> P:
    def read(draft: ProxyDraft, line: Line) -> None:
        draft.timeouts[field] = line.value(duration(), "a time, as in 10s")

    return read


# Keyword of the switch: field of the model, sections.
_SWITCHES = {
    "abortonclose": ("abortonclose", "dlb"),
    "allbackups": ("allbackups", "dlb"),
    "dontlog-normal": ("dontlog_normal", "dfl"),
    "dontlognull": ("dontlognull", "dfl"),
    "http-buffer-request": ("http_buffer_request", "dflb"),
    "log-health-checks": ("log_health_checks", "dlb"),
    "log-separate-errors": ("log_separate_errors", "dfl"),
    "logasap": ("logasap", "dfl"),
    "persist": ("persist", "dlb"),
}

_IGNORED = {
    "accept-invalid-http-request": ("dfl", "requests are judged by RFC 9112, strictly"),
    "accept-invalid-http-response": ("dlb", "responses are judged by RFC 9112, strictly"),
    "clitcpka": ("dfl", "TCP keep-alive is the kernel's default"),
    "contstats": ("dfl", "counters go on while data flows"),
    "disable-h2-upgrade": ("dfl", "HTTP/2 is not spoken yet"),
    "h1-case-adjust-bogus-client": ("dfl", "header names are passed on as they came"),
    "h1-case-adjust-bogus-server": ("dlb", "header names are passed on as they came"),
    "http-ignore-probes": ("dfl", "connections without a request are not answered; see dontlognull"),
    "http-no-delay": ("dflb", "data is sent without delay"),
    "http-pretend-keepalive": ("dlb", "servers see Connection: close when theirs is closed"),
    "idle-close-on-response": ("dfl", "idle clients are told at once when a worker stops"),
    "independent-streams": ("dflb", "both directions refresh both timeouts"),
    "nolinger": ("dflb", "the kernel closes connections"),
    "prefer-last-server": ("dlb", "every request is balanced"),
    "socket-stats": ("dfl", "sockets are counted with their frontend"),
    "splice-auto": ("dflb", "data is not spliced"),
    "splice-request": ("dflb", "data is not spliced"),
    "splice-response": ("dflb", "data is not spliced"),
    "srvtcpka": ("dlb", "TCP keep-alive is the kernel's default"),
    "tcp-smart-accept": ("dfl", "the kernel's default is used"),
    "tcp-smart-connect": ("dlb", "the kernel's default is used"),
    "tcpka": ("dflb", "TCP keep-alive is the kernel's default"),
}

_PROBES = "servers are probed by tcp-check and httpchk"
_UNSUPPORTED = {
    "checkcache": ("dlb", "set Cache-Control by http-response"),
    "http-use-proxy-header": ("dfl", "Proxy-Connection is never sent on"),
    "originalto": ("dflb", "http-request set-header X-Original-To %[dst]"),
    "transparent": ("dlb", "clients' destinations are not followed"),
    "external-check": ("dlb", _PROBES),
    "ldap-check": ("dlb", _PROBES),
    "mysql-check": ("dlb", _PROBES),
    "pgsql-check": ("dlb", _PROBES),
    "redis-check": ("dlb", _PROBES),
    "smtpchk": ("dlb", _PROBES),
    "spop-check": ("dlb", _PROBES),
    "ssl-hello-chk": ("dlb", "check-ssl on the server line makes a handshake"),
}
_UNSUPPORTED_SWITCHES = {"checkcache", "http-use-proxy-header", "transparent"}
_REMOVED = {
    "forceclose": "write option httpclose",
    "http-tunnel": "connections are tunnels after an upgrade only",
    "http_proxy": "requests go to servers that are named",
}


def _read_restrict(draft: ProxyDraft, line: Line) -> None:
    word = line.next("preserve, delete or reject")
    choice("preserve", "delete", "reject")(word)
    if word.text != "preserve":
        raise Refusal(
            word.at,
            f'"option http-restrict-req-hdr-names {word.text}" is not supported by pylb',
            "http-request del-header -m reg '[^A-Za-z0-9-]'",
        )


OPTIONS: list[Keyword[ProxyDraft]] = [
    *(Keyword(f"option {name}", _read_connection_mode, "dflb", negatable=True) for name in _MODES),
    *(Keyword(f"option {n}", switch(field), where, negatable=True) for n, (field, where) in _SWITCHES.items()),
    *(
        Keyword(f"option {n}", None, where, "ignored", note, negatable=n != "tcpka")
        for n, (where, note) in _IGNORED.items()
    ),
    *(
        Keyword(f"option {n}", None, where, "unsupported", note, negatable=n in _UNSUPPORTED_SWITCHES)
        for n, (where, note) in _UNSUPPORTED.items()
    ),
    *(Keyword(f"option {n}", None, "dflb", "removed", note) for n, note in _REMOVED.items()),
    Keyword("option forwardfor", _read_forwardfor, "dflb"),
    Keyword("option http-restrict-req-hdr-names", _read_restrict, "dflb", note="preserve alone"),
    Keyword("option httpchk", read_httpchk, "dlb"),
    Keyword("option httplog", _read_httplog, "dfl"),
    Keyword("option httpslog", _read_httpslog, "dfl"),
    Keyword("option redispatch", _read_redispatch, "dlb", negatable=True),
    Keyword("option tcp-check", read_tcp_check_option, "dlb"),
    Keyword("option tcplog", _read_tcplog, "dfl"),
]

TIMEOUTS: list[Keyword[ProxyDraft]] = [
    Keyword("timeout check", _timeout("check"), "dlb"),
    Keyword("timeout client", _timeout("client"), "dfl"),
    Keyword("timeout client-fin", _timeout("client_fin"), "dfl"),
    Keyword("timeout connect", _timeout("connect"), "dlb"),
    Keyword("timeout http-keep-alive", _timeout("http_keep_alive"), "dflb"),
    Keyword("timeout http-request", _timeout("http_request"), "dflb"),
    Keyword("timeout queue", _timeout("queue"), "dlb"),
    Keyword("timeout server", _timeout("server"), "dlb"),
    Keyword("timeout server-fin", _timeout("server_fin"), "dlb"),
    Keyword("timeout tarpit", _timeout("tarpit"), "dflb"),
    Keyword("timeout tunnel", _timeout("tunnel"), "dlb"),
    Keyword("clitimeout", None, "dflb", "removed", "write timeout client"),
    Keyword("contimeout", None, "dflb", "removed", "write timeout connect"),
    Keyword("srvtimeout", None, "dflb", "removed", "write timeout server"),
]
