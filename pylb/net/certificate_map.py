"""Which certificate a client is shown, by the name in its hello (SNI).

The handshake begins in the default context (the first `crt`); once the client has named a host, the SNI callback moves
it to the context whose certificate covers the name: exact names before wildcards (RFC 6066 3, RFC 6125 6.4.3).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from pylb.config.haproxy.crt_list import Listed
    from pylb.config.model import BindTls
    from pylb.net.certificates import Bundle

Make: TypeAlias = "Callable[[Bundle, str], ssl.SSLContext]"
"""The context that shows a bundle, which has that file name. Raises ValueError naming the file."""


class Appearance(NamedTuple):
    """How a bind shows a certificate."""

    make: Make
    names: tuple[str, ...] | None
    """What it is shown for; None: what it covers."""
    excluded: frozenset[str]
    """Names that its wildcards leave to others."""


class Place(NamedTuple):
    """A line of a crt-list, or a file of a directory of certificates."""

    listing: str
    """The crt-list's path, or the directory's."""
    line: int
    """Counted from 1; 0: it was in the directory."""
    certificate: str


@dataclass(slots=True, eq=False)
class Source:
    """A crt-list or a directory as one bind uses it."""

    path: str
    directory: bool
    show: Callable[[Listed], Appearance]
    settings: BindTls
    """The bind's, which a line changes."""
    lines: int
    """How many the file has."""
    entries: dict[Place, str] = field(default_factory=dict)
    """What was there at the start, with settings and names as they are shown."""


@dataclass(slots=True, eq=False)
class Shown:
    """A certificate of a bind."""

    path: str
    bundle: Bundle
    context: ssl.SSLContext
    appearance: Appearance
    place: Place | None
    """Where it is listed; None: a `crt` of its own."""


class CertificateMap:
    """The contexts of one bind by the names that their certificates cover, or that a crt-list gives them.

    Handshakes begin in `default`, whose SNI callback moves each to the context in force: so a certificate can be
    replaced (net/certificate_store.py) although the listener has the context from the start.
    """

    def __init__(self, strict: bool) -> None:
        self.default: ssl.SSLContext | None = None
        self.lists: dict[str, Source] = {}
        """The crt-lists and directories that the bind takes certificates from, by path."""
        self.sources: list[Source] = []
        """The crt-lists and directories that the bind takes certificates from."""
        self._strict = strict
        self._entries: list[Shown] = []
        self._exact: dict[str, Shown] = {}
        self._wildcard: dict[str, list[Shown]] = {}

    def prepare(
        self, path: str, bundle: Bundle, appearance: Appearance, place: Place | None = None
    ) -> Callable[[], None]:
        """Make what shows a certificate of that file; the result adds it. The first certificate for a name keeps it;
        the first of all is the default. Raises ValueError."""
        shown = Shown(path, bundle, appearance.make(bundle, path), appearance, place)

        def put() -> None:
            if self.default is None:
                self.default = shown.context
                shown.context.sni_callback = self._choose
            self._entries.append(shown)
            self._enter(shown)

        return put

    def remove(self, place: Place) -> None:
        """Nobody is shown what is listed there any more; handshakes still begin in the context in which they did."""
        self._entries = [shown for shown in self._entries if shown.place != place]
        self._index()

    def is_default(self, place: Place) -> bool:
        """Whoever names no known host is shown this one; with strict-sni there is no such certificate."""
        return not self._strict and self._entries[0].place == place

    def renew(self, path: str, bundle: Bundle) -> Callable[[], None]:
        """Make what shows another certificate in the place of the one of that file; the result puts it there. Raises
        ValueError."""
        made = [(shown, shown.appearance.make(bundle, path)) for shown in self._entries if shown.path == path]

        def put() -> None:
            for shown, context in made:
                shown.bundle, shown.context = bundle, context
            self._index()

        return put

    def _index(self) -> None:
        self._exact, self._wildcard = {}, {}
        for shown in self._entries:
            self._enter(shown)

    def _enter(self, shown: Shown) -> None:
        names = shown.appearance.names
        for name in shown.bundle.names if names is None else names:
            name = name.lower()
            if name.startswith("*"):
                self._wildcard.setdefault(name[1:], []).append(shown)
            else:
                self._exact.setdefault(name, shown)

    def files(self) -> list[tuple[str, Bundle]]:
        """The certificates by file."""
        return list({shown.path: shown.bundle for shown in self._entries}.items())

    def shows(self, path: str) -> bool:
        """A certificate of that file is shown to somebody."""
        return any(shown.path == path for shown in self._entries)

    def find(self, name: str) -> ssl.SSLContext | None:
        """The context for a host name, or None."""
        name = name.lower().rstrip(".")
        found = self._exact.get(name)
        if found is not None:
            return found.context
        dot = name.find(".")
        for shown in self._wildcard.get(name[dot:], ()) if dot > 0 else ():
            if name not in shown.appearance.excluded:
                return shown.context
        return None

    def _choose(self, ssl_object: Any, name: str | None, context: ssl.SSLContext) -> int | None:
        ssl_object.sni = name
        found = self.find(name) if name is not None else None
        if found is None:
            if self._strict:
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            found = self._entries[0].context
        if found is not None and found is not context:
            ssl_object.context = found
        return None
