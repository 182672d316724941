"""The statistics page at `stats uri`: who may see it, in which form, and the form that acts on servers.

HAProxy's addresses work unchanged: options follow the URI (`;csv`, `;json`, `;norefresh`, `;up`, `;no-maint`,
`;st=CODE`), `?scope=` filters proxies by name; `;prometheus` is ours. A POST acts (if `stats admin` allows it) and is
answered by a redirect to the page with the result's code, so that a reload repeats nothing.

A browser sends Basic credentials with requests that other sites cause, so a POST from another origin is denied, and the
page itself runs no script but its own (by hash) and loads nothing.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, quote, unquote_plus

from pylb.admin import html, prometheus, stats
from pylb.admin.actions import keep_sessions, perform
from pylb.admin.stats import EVERYTHING, View
from pylb.admin.world import World
from pylb.config.model import StatsPage
from pylb.rules.context import Context
from pylb.rules.reply import ALLOW, Reply

Headers = tuple[tuple[bytes, bytes], ...]
Step = Callable[[Context], Reply | None]

MAX_SCOPE = 100
_AUTHORITY = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request's target asks for."""

    format: str = "html"
    view: View = EVERYTHING
    refresh: bool = True
    outcome: str = ""

    @property
    def options(self) -> str:
        """The options as HAProxy appends them to the URI, the format left out."""
        words = {"up": self.view.only_up, "no-maint": self.view.no_maint, "norefresh": not self.refresh}
        return "".join(f";{word}" for word, on in words.items() if on)


class StatsPageHandler:
    """One proxy's `stats` lines, ready to answer."""

    def __init__(
        self,
        model: StatsPage,
        world: World,
        *,
        admin: Sequence[Callable[[Context], bool]] = (),
        rules: Sequence[Step] = (),
    ) -> None:
        """`admin`: the compiled `stats admin` conditions, any of which allows; `rules`: compiled `stats http-request`.

        Made when the world's backends are there, before traffic.
        """
        self._model = model
        self._world = world
        self._admin = tuple(admin)
        self._rules = tuple(rules)
        if self._admin:
            keep_sessions(world)
        self._prefix = model.uri.encode()
        self._users = [f"{user}:{password}".encode() for user, password in model.auth]
        self._view = View(scopes=model.scope, legends=model.show_legends)

    def matches(self, target: bytes) -> bool:
        """Whether a request target, as received, is for this page: `stats uri` is a prefix, as in HAProxy."""
        return target.startswith(self._prefix) or _origin_form(target).startswith(self._prefix)

    def handle(self, x: Context, body: bytes) -> Reply:
        """The answer to a request that `matches`; `body` is that of a POST."""
        verdict = next((reply for rule in self._rules if (reply := rule(x)) is not None), None)
        if verdict is not None and verdict is not ALLOW:
            return verdict
        if verdict is None and not self._authorised(x):
            return self._challenge()
        asked = self._asked(x)
        method = x.request.method
        if method == b"POST":
            return self._post(x, asked, body)
        if method not in (b"GET", b"HEAD"):
            return self._answer(405, b"text/plain", b"GET, HEAD or POST\n", ((b"allow", b"GET, HEAD, POST"),))
        return self._show(x, asked)

    # ---------------------------------------------------------------------------------------------------------- asking

    def _asked(self, x: Context) -> Asked:
        rest = _origin_form(x.request.target)[len(self._prefix) :].decode("latin-1")
        path, mark, query = rest.partition("?")
        if not mark:
            path, mark, query = rest.partition("&")  # `stats uri /x?stats` has its own question mark
        words = path.split(";")[1:]
        scope = next((part[6:] for part in query.split("&") if part.startswith("scope=")), "")
        view = replace(
            self._view, only_up="up" in words, no_maint="no-maint" in words, scope=unquote_plus(scope)[:MAX_SCOPE]
        )
        refreshes = "norefresh" not in words
        formats = [word for word in words if word in _FORMATS]
        outcome = next((word[3:] for word in words if word.startswith("st=")), "")
        return Asked(formats[0] if formats else "html", view, refreshes, outcome)

    def _show(self, x: Context, asked: Asked) -> Reply:
        refresh: Headers = ()
        if self._model.refresh and asked.refresh:
            refresh = ((b"refresh", str(max(1, int(self._model.refresh))).encode()),)
        if asked.format in _FORMATS:
            content_type, render = _FORMATS[asked.format]
            return self._answer(200, content_type, render(self._world, asked.view), refresh)
        # The page has no Refresh header: its script brings it up to date and leaves alone what the reader does.
        may_act = self._may_act(x)
        body = html.page(self._world, self._model, asked.view, asked.options, asked.outcome, may_act, asked.refresh)
        return self._answer(200, b"text/html; charset=utf-8", body, _PAGE_HEADERS)

    # ---------------------------------------------------------------------------------------------------------- acting

    def _may_act(self, x: Context) -> bool:
        return any(condition(x) for condition in self._admin)

    def _post(self, x: Context, asked: Asked, body: bytes) -> Reply:
        if not self._may_act(x) or not _same_origin(x):
            return self._redirect(asked, "DENY")
        fields = parse_qs(body.decode("latin-1"), keep_blank_values=True, encoding="utf-8", max_num_fields=10_000)
        last = {name: values[-1] for name, values in fields.items()}
        code = perform(self._world, last.get("b", ""), fields.get("s", []), last.get("action", ""))
        return self._redirect(asked, code)

    def too_large(self, x: Context) -> Reply:
        """The answer to a POST whose form exceeds the buffer."""
        return self._redirect(self._asked(x), "EXCD")

    def _redirect(self, asked: Asked, code: str) -> Reply:
        scope = f"?scope={quote(asked.view.scope)}" if asked.view.scope else ""
        # HAProxy forgets norefresh where there is nothing to stop.
        options = asked.options if self._model.refresh else replace(asked, refresh=True).options
        location = f"{self._model.uri};st={code}{options}{scope}"
        return self._answer(303, b"text/plain", b"", ((b"location", location.encode()),))

    # -------------------------------------------------------------------------------------------------- authentication

    def _authorised(self, x: Context) -> bool:
        if not self._users:
            return True
        scheme, _, credentials = (x.request.get(b"authorization") or b"").partition(b" ")
        if scheme.lower() != b"basic":
            return False
        try:
            given = base64.b64decode(credentials.strip(), validate=True)
        except binascii.Error:
            return False
        return sum(hmac.compare_digest(given, user) for user in self._users) > 0  # all of them: no early end to time

    def _challenge(self) -> Reply:
        realm = self._model.realm.replace("\\", "\\\\").replace('"', '\\"')
        header = (b"www-authenticate", f'Basic realm="{realm}"'.encode())
        return self._answer(401, b"text/html", _UNAUTHORISED, (header,))

    def _answer(self, status: int, content_type: bytes, body: bytes, headers: Headers) -> Reply:
        return _reply(status, content_type, body, headers)


def exporter(world: World) -> Callable[[Context], Reply]:
    """`http-request use-service prometheus-exporter`: all metrics, or, as HAProxy's exporter takes it, those of each
    `scope=` (global, frontend, backend, server, sticktable); `no-maint` leaves out servers in maintenance."""

    def serve(x: Context) -> Reply:
        if x.request.method not in (b"GET", b"HEAD"):
            return _reply(405, b"text/plain", b"GET or HEAD\n", ((b"allow", b"GET, HEAD"),))
        words = _words(x.request.target.decode("latin-1").partition("?")[2])
        try:
            scopes = prometheus.asked_scopes(words)
        except ValueError as error:
            return _reply(400, b"text/plain", f"{error}\n".encode(), ())
        view = replace(EVERYTHING, no_maint=any(word == "no-maint" for word, _ in words))
        return _reply(200, prometheus.CONTENT_TYPE.encode(), prometheus.metrics(world, view, scopes), ())

    return serve


def _words(query: str) -> list[tuple[str, str | None]]:
    """The words of a query in their order; None for those without a value."""
    parts = (part.partition("=") for part in query.split("&") if part)
    return [(unquote_plus(key), unquote_plus(value) if mark else None) for key, mark, value in parts]


def _reply(status: int, content_type: bytes, body: bytes, headers: Headers) -> Reply:
    fixed = ((b"cache-control", b"no-cache"), (b"content-type", content_type))
    return Reply(status, fixed + headers, body, termination=b"LR")


def _origin_form(target: bytes) -> bytes:
    """A target without scheme and authority (RFC 9112 3.2.2 allows both)."""
    found = _AUTHORITY.match(target)
    return target[found.end() :] or b"/" if found else target


def _same_origin(x: Context) -> bool:
    """Whether a POST comes from our own page, as far as its sender says. Programs that are not browsers say nothing."""
    site = x.request.get(b"sec-fetch-site")
    if site is not None and site not in (b"same-origin", b"none"):
        return False
    origin = x.request.get(b"origin")
    if origin is None:
        return True
    scheme, mark, authority = origin.lower().partition(b"://")
    host = (x.request.get(b"host") or b"").lower()
    default = b":443" if scheme == b"https" else b":80"
    return bool(mark) and authority.removesuffix(default) == host.removesuffix(default)


_FORMATS: dict[str, tuple[bytes, Callable[[World, View], bytes]]] = {
    "csv": (b"text/plain", stats.csv),
    "json": (b"application/json", stats.as_json),
    "prometheus": (prometheus.CONTENT_TYPE.encode(), prometheus.metrics),
}
_PAGE_HEADERS: Headers = (
    (b"content-security-policy", html.CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
_UNAUTHORISED = (
    b"<html><body><h1>401 Unauthorized</h1>\n"
    b"These statistics are for people with a name and a password.\n</body></html>\n"
)
