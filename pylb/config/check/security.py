"""Doctor: doors that stand open, and locks that do not hold."""

from __future__ import annotations

from collections.abc import Iterator

from pylb.config.check.registry import rule, warning
from pylb.config.check.walk import is_loopback, is_plain, mentions_tls, named, proxies
from pylb.config.model import Bind, Config, Finding, Proxy, Rule, StatsPage
from pylb.config.values import str_address

# Passwords that guessing programs try first.
COMMON_PASSWORDS = frozenset({
    "password", "passw0rd", "password1", "admin", "admin123", "administrator", "root", "toor", "secret", "changeme",
    "letmein", "welcome", "test", "guest", "default", "haproxy", "pylb", "stats", "public", "private", "qwerty",
    "abc123", "master", "monitor", "monitoring", "operator",
})  # fmt: skip
SHORTEST_PASSWORD = 8


@rule("admin-socket-open")
def admin_socket_open(config: Config) -> Iterator[Finding]:
    """The admin socket knows no password: whoever connects may change servers and read sessions."""
    master = config.globals.master_socket
    for socket in (*config.globals.stats_sockets, *((master,) if master is not None else ())):
        address = str_address(socket.bind.address)
        if socket.level != "admin":
            continue
        if not is_loopback(socket.bind):
            yield warning(
                socket.at,
                f'stats socket "{address}" gives everybody on the network admin rights, without a password',
                f"write stats socket 127.0.0.1:{socket.bind.address.port} level admin, or a path with mode 600",
            )
        elif socket.bind.address.kind == "unix" and (socket.bind.mode or 0) & 0o002:
            yield warning(
                socket.at,
                f'stats socket "{address}" gives every user of this machine admin rights',
                "write mode 600, or mode 660 with a group",
            )


def why_guessable(user: str, password: str) -> str | None:
    """Why a password is no obstacle, or None."""
    if not password:
        return "is empty"
    lower = password.lower()
    if lower in COMMON_PASSWORDS or (lower.isdigit() and lower in "01234567890"):
        return "is one of the first that are tried"
    if lower == user.lower():
        return "is the user's name"
    if len(set(lower)) < 3:
        return "is one character over and over"
    if len(password) < SHORTEST_PASSWORD:
        return f"has less than {SHORTEST_PASSWORD} characters"
    return None


@rule("stats-password-guessable")
def stats_password_guessable(config: Config) -> Iterator[Finding]:
    """`stats auth` guards the page that tells, and maybe changes, everything."""
    for proxy in proxies(config):
        if proxy.stats is None:
            continue
        for number, (user, password) in enumerate(proxy.stats.auth):
            why = why_guessable(user, password)
            if why is not None:
                at = proxy.stats.auth_at[number] if proxy.stats.auth_at else proxy.stats.at
                yield warning(
                    at,
                    f'the stats password of "{user}" in {named(proxy)} {why}',
                    f'write a long random one, or "${{STATS_PASSWORD}}" and set it in the environment: {user}:…',
                )


@rule("userlist-password-guessable")
def userlist_password_guessable(config: Config) -> Iterator[Finding]:
    """Plain passwords of userlists; of hashed ones nothing is known."""
    for users in config.userlists:
        for name, password, insecure in users.users:
            why = why_guessable(name, password) if insecure else None
            if why is not None:
                yield warning(
                    users.at,
                    f'the password of "{name}" in userlist "{users.name}" {why}',
                    "write password and a hash, as openssl passwd -6 makes it",
                )


@rule("stats-admin-unguarded")
def stats_admin_unguarded(config: Config) -> Iterator[Finding]:
    """`stats admin` on a page that asks for nothing."""
    for proxy in proxies(config):
        stats = proxy.stats
        if stats is not None and stats.admin and not _is_guarded(stats):
            yield warning(
                stats.at,
                f"everybody who reaches the stats page of {named(proxy)} may change servers",
                "add stats auth, or remove stats admin",
            )


def _is_guarded(stats: StatsPage) -> bool:
    guarded_by_rules = any(rule.action in ("deny", "auth") for rule in stats.http_request)
    trivial = all(
        group == () or all(term.acl == "TRUE" and not term.negated for term in group)
        for condition in stats.admin
        for group in condition.any_of
    )
    return bool(stats.auth) or guarded_by_rules or not trivial


# ---------------------------------------------------------------------------------------------------------- headers

_SETS_HEADER = ("set-header", "add-header")


@rule("forwarded-proto-on-plain-port")
def forwarded_proto_on_plain_port(config: Config) -> Iterator[Finding]:
    """X-Forwarded-Proto https on connections that came without TLS tells servers a lie they rely on."""
    for frontend in config.frontends:
        plain = [bind for bind in frontend.binds if is_plain(bind)]
        for step in frontend.http_request:
            if plain and _claims_https(step, frontend):
                yield warning(
                    step.at,
                    f'X-Forwarded-Proto https is set on the plain port "{_shown(plain[0])}" of {named(frontend)} too',
                    "write http-request set-header X-Forwarded-Proto https if { ssl_fc }",
                )


def _claims_https(step: Rule, proxy: Proxy) -> bool:
    if step.action not in _SETS_HEADER or len(step.args) < 2:
        return False
    if step.args[0].lower() != "x-forwarded-proto" or step.args[1].lower() != "https":
        return False
    return step.condition is None or not mentions_tls(step.condition, proxy)


def _shown(bind: Bind) -> str:
    return str_address(bind.address)


# -------------------------------------------------------------------------------------------------------------- TLS

_OLD = ("SSLv3", "TLSv1.0", "TLSv1.1")


@rule("tls-version-old")
def tls_version_old(config: Config) -> Iterator[Finding]:
    """RFC 8996 put TLS 1.0 and 1.1 aside."""
    for frontend in config.frontends:
        for bind in frontend.binds:
            if bind.tls is not None and bind.tls.min_version in _OLD:
                yield warning(
                    bind.at,
                    f'"{_shown(bind)}" takes {bind.tls.min_version}, which is broken',
                    "write ssl-min-ver TLSv1.2",
                )


@rule("server-not-verified")
def server_not_verified(config: Config) -> Iterator[Finding]:
    """TLS to a server whose certificate is not looked at keeps nobody out."""
    for backend in config.backends:
        for server in backend.servers:
            if server.tls is not None and server.tls.verify == "none":
                yield warning(
                    server.at,
                    f'the certificate of server "{server.name}" is not verified: anybody in between can be it',
                    "write verify required ca-file /path/to/ca.pem",
                )


@rule("chroot-as-root")
def chroot_as_root(config: Config) -> Iterator[Finding]:
    """A chroot does not hold a process that stays root."""
    globals_ = config.globals
    if globals_.chroot is not None and globals_.user is None and globals_.uid is None:
        yield warning(globals_.at, f'chroot "{globals_.chroot}" does not hold root', "add user and group")
