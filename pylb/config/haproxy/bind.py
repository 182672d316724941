"""`bind` and `stats socket` lines: addresses and the options behind them (manual: 5.1 "Bind options")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pylb.config.haproxy.keywords import Keyword, Line, Refusal, Table, refused
from pylb.config.haproxy.scalars import Draft, address, choice, comma_list, constant, integer, octal, put, text
from pylb.config.model import Bind, BindTls, Origin, StatsSocket
from pylb.config.words import Word

TLS_VERSIONS = ("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_KEYWORD_VERSIONS = {"tlsv10": "TLSv1.0", "tlsv11": "TLSv1.1", "tlsv12": "TLSv1.2", "tlsv13": "TLSv1.3"}


class BindDraft(Draft):
    """The options of one line: `values` for Bind, `tls` for BindTls, `banned` TLS versions."""

    def __init__(self) -> None:
        super().__init__()
        self.tls: dict[str, Any] = {}
        self.ssl = False
        self.banned: set[str] = set()
        self.level = "operator"
        self.expose_fd_listeners = False


def tls_fields(given: dict[str, Any], banned: set[str], at: Origin) -> dict[str, Any]:
    """TLS options with `no-tlsv…` turned into bounds. Raises Refusal when these leave a hole or nothing."""
    if not banned:
        return given
    allowed = [number for number, version in enumerate(TLS_VERSIONS) if version not in banned]
    if not allowed or allowed[-1] - allowed[0] + 1 != len(allowed):
        raise Refusal(at, "the TLS versions that are left are no contiguous range", "use ssl-min-ver and ssl-max-ver")
    bounds = {}
    if allowed[0] > 0:
        bounds["min_version"] = TLS_VERSIONS[allowed[0]]
    if allowed[-1] < len(TLS_VERSIONS) - 1:
        bounds["max_version"] = TLS_VERSIONS[allowed[-1]]
    return {**bounds, **given}


def put_tls(field: str, parse: Callable[[Word], object]) -> Callable[[Any, Line], None]:
    """A reader of a TLS option with one value; also for `server` lines."""

    def read(draft: Any, line: Line) -> None:
        draft.tls[field] = line.value(parse)

    return read


def tls_constant(field: str, value: object) -> Callable[[Any, Line], None]:
    """A reader of a TLS option without a value."""

    def read(draft: Any, line: Line) -> None:
        draft.tls[field] = value

    return read


def tls_version(word: Word) -> str:
    """A version; SSLv3 is no longer spoken."""
    if word.text == "SSLv3":
        raise Refusal(word.at, "SSLv3 is not supported by pylb", "TLSv1.2 is the lowest that is safe")
    version: str = choice(*TLS_VERSIONS, kind="TLS version")(word)
    return version


def read_alpn(draft: Any, line: Line) -> None:
    """alpn PROTOCOL[,PROTOCOL]…"""
    draft.tls["alpn"] = comma_list(line.next("protocols, as in http/1.1"))


def read_proto(_draft: object, line: Line) -> None:
    """proto: HTTP/1 and raw TCP are what there is."""
    word = line.next("a protocol")
    if word.text not in ("h1", "none"):
        raise Refusal(word.at, f'protocol "{word.text}" is not supported by pylb', "HTTP/1.1 is spoken: leave it out")


def _ban(version: str) -> Callable[[Any, Line], None]:
    def read(draft: Any, line: Line) -> None:
        draft.banned.add(version)

    return read


def _force(version: str) -> Callable[[Any, Line], None]:
    def read(draft: Any, line: Line) -> None:
        draft.tls["min_version"] = draft.tls["max_version"] = version

    return read


def _skip_value(draft: object, line: Line) -> None:
    line.next()


def tls_version_keywords() -> list[Keyword[Any]]:
    """no-tlsv…, force-tlsv…, ssl-min-ver, ssl-max-ver: the same on bind, server and ssl-default-… lines."""
    rows: list[Keyword[Any]] = [
        Keyword("ssl-min-ver", put_tls("min_version", tls_version)),
        Keyword("ssl-max-ver", put_tls("max_version", tls_version)),
        Keyword("no-sslv3", lambda draft, line: None, note="SSLv3 is never spoken"),
        Keyword("force-sslv3", status="unsupported", note="SSLv3 is not safe"),
    ]
    for word, version in _KEYWORD_VERSIONS.items():
        rows.append(Keyword(f"no-{word}", _ban(version)))
        rows.append(Keyword(f"force-{word}", _force(version)))
    return rows


def ignored(name: str, note: str, arguments: int = 0) -> Keyword[Any]:
    """An option that is accepted with a warning; it still takes its arguments."""
    return Keyword(name, _skip_value if arguments else None, status="ignored", note=note)


def unsupported(names: str, note: str = "") -> list[Keyword[Any]]:
    """Options that are refused by name."""
    return [Keyword(name, status="unsupported", note=note) for name in names.split()]


def read_options(table: Table[Any], draft: Any, line: Line, kind: str) -> None:
    """Read all options that are left, reporting the bad ones."""
    while line.more:
        try:
            _read_option(table, draft, line, kind)
        except Refusal as refusal:
            line.refuse(refusal)
            line.skip_to(table.__contains__)


def _read_option(table: Table[Any], draft: Any, line: Line, kind: str) -> None:
    word = line.next()
    row, _ = table.find([word], kind)
    if row.status == "ignored":
        line.report.warning(word.at, f'"{row.name}" has no effect here', row.note)
    elif row.read is None:
        raise refused(row, word.at)
    if row.read is not None:
        row.read(draft, line)


def _read_crt(draft: BindDraft, line: Line) -> None:
    draft.tls["certificates"] = (*draft.tls.get("certificates", ()), line.value(text, "a PEM file or a directory"))


def _read_crt_list(draft: BindDraft, line: Line) -> None:
    lists = (*draft.tls.get("crt_list", ()), line.value(text, "a file of certificates"))
    draft.tls["crt_list"] = lists
    if "certificates" not in draft.tls:
        draft.tls["crt_list_first"] = True


def _read_ssl(draft: BindDraft, line: Line) -> None:
    draft.ssl = True


def _read_level(draft: BindDraft, line: Line) -> None:
    draft.level = line.value(choice("user", "operator", "admin", kind="level"))


def _read_expose_fd(draft: BindDraft, line: Line) -> None:
    line.value(choice("listeners", kind='word behind "expose-fd":'))
    draft.expose_fd_listeners = True


_KERNEL = "the kernel's default is used"

BIND_OPTIONS: Table[BindDraft] = Table(
    [
        Keyword("accept-proxy", constant("accept_proxy", True)),
        Keyword("alpn", read_alpn, note="h2 in TCP mode only"),
        Keyword("backlog", put("backlog", integer(0))),
        Keyword("ca-file", put_tls("ca_file", text)),
        Keyword("ciphers", put_tls("ciphers", text)),
        Keyword("ciphersuites", put_tls("ciphersuites", text)),
        Keyword("crl-file", put_tls("crl_file", text)),
        Keyword("crt", _read_crt),
        Keyword("crt-list", _read_crt_list, note="versions and verify stand on the bind line"),
        Keyword("defer-accept", constant("defer_accept", True)),
        Keyword("expose-fd", _read_expose_fd),
        Keyword("gid", put("gid", integer(0))),
        Keyword("group", put("group", text)),
        Keyword("interface", put("interface", text)),
        Keyword("level", _read_level),
        Keyword("maxconn", put("maxconn", integer(0))),
        Keyword("mode", put("mode", octal)),
        Keyword("name", put("name", text)),
        Keyword("no-tls-tickets", tls_constant("tickets", False)),
        Keyword("proto", read_proto, note="h1 and none alone"),
        Keyword("ssl", _read_ssl),
        Keyword("strict-sni", tls_constant("strict_sni", True)),
        Keyword("tfo", constant("tfo", True)),
        Keyword("transparent", constant("transparent", True)),
        Keyword("uid", put("uid", integer(0))),
        Keyword("user", put("user", text)),
        Keyword("v4v6", constant("v4v6", True)),
        Keyword("v6only", constant("v6only", True)),
        Keyword("verify", put_tls("verify", choice("none", "optional", "required"))),
        *tls_version_keywords(),
        ignored("curves", "OpenSSL's own list of curves is offered", 1),
        ignored("ecdhe", "OpenSSL's own list of curves is offered", 1),
        ignored("id", "listeners have no numbers here", 1),
        ignored("mss", _KERNEL, 1),
        ignored("nice", "every session has the same priority", 1),
        ignored("no-ca-names", "the names of the CAs are sent"),
        ignored("npn", "NPN gave way to ALPN in 2014", 1),
        ignored("prefer-client-ciphers", "the server's order of ciphers holds"),
        ignored("process", "every worker accepts", 1),
        ignored("severity-output", "the admin socket answers without severities", 1),
        ignored("shards", "every worker has a socket of its own", 1),
        ignored("tcp-ut", _KERNEL, 1),
        ignored("thread", "every worker accepts", 1),
        *unsupported("accept-netscaler-cip", "the PROXY protocol is: accept-proxy"),
        *unsupported("allow-0rtt", "early data can be replayed"),
        *unsupported("ca-ignore-err crt-ignore-err", "a certificate is either good or refused"),
        *unsupported("ca-sign-file ca-sign-pass generate-certificates", "certificates are not made on the fly"),
        *unsupported("ca-verify-file", "ca-file holds the whole chain"),
        *unsupported("namespace", "start pylb inside the network namespace"),
        *unsupported("quic-cc-algo quic-force-retry", "QUIC is not spoken"),
        *unsupported("tls-ticket-keys", "workers share no ticket keys"),
    ]
)


def read_bind(line: Line, unix_defaults: dict[str, Any], unix_prefix: str) -> list[Bind]:
    """The Binds of one line, one for each address; bad ones have been reported.

    `unix_defaults` and `unix_prefix` are the global section's unix-bind.
    """
    places = line.next("an address, as in :80").as_address
    draft = BindDraft()
    read_options(BIND_OPTIONS, draft, line, "bind option")
    tls = BindTls(**tls_fields(draft.tls, draft.banned, line.at)) if draft.ssl else None
    if tls is not None and not tls.certificates and not tls.crt_list:
        line.report(line.at, '"ssl" without "crt": there is no certificate to show', "add crt FILE")
    elif tls is None and (draft.tls.get("certificates") or draft.tls.get("crt_list")):
        line.report.warning(line.at, '"crt" without "ssl": the port speaks plain text', "add ssl")
    binds = []
    for text_of_one in places.text.removesuffix(",").split(","):  # HAProxy takes a comma at the end
        try:
            binds.append(_bind(Word(text_of_one, places.at), draft, tls, unix_defaults, unix_prefix, line.at))
        except Refusal as refusal:
            line.refuse(refusal)
    return binds


def _bind(
    place: Word, draft: BindDraft, tls: BindTls | None, unix_defaults: dict[str, Any], unix_prefix: str, at: Origin
) -> Bind:
    where = address(place, bind=True)
    fields = dict(draft.values)
    if where.kind == "unix":
        fields = {**unix_defaults, **fields}
        where = replace(where, path=unix_prefix + where.path)
    return Bind(where, tls, at=at, **fields)


def read_stats_socket(line: Line, unix_defaults: dict[str, Any], unix_prefix: str) -> list[StatsSocket]:
    """`stats socket ADDRESS [bind options] [level …]`"""
    place = line.next("a path or an address, as in /run/pylb.sock").as_address
    draft = BindDraft()
    read_options(BIND_OPTIONS, draft, line, "option")
    tls = BindTls(**tls_fields(draft.tls, draft.banned, line.at)) if draft.ssl else None
    bind = _bind(place, draft, tls, unix_defaults, unix_prefix, line.at)
    return [StatsSocket(bind, draft.level, draft.expose_fd_listeners, line.at)]  # type: ignore[arg-type]
