"""crt-lists and directories of certificates as they stand now: lines come and go while clients are served (manual 9.3
`add ssl crt-list`). The files on disk are never written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from pylb.config.haproxy.crt_list import Listed, read_crt_list
from pylb.config.words import Report
from pylb.net.certificate_map import CertificateMap, Place, Source

if TYPE_CHECKING:
    from pylb.config.model import Finding, Origin
    from pylb.net.certificate_store import Stored

MOST = 10_000
"""Lines that may be added to one list."""


class Use(NamedTuple):
    """A bind that takes certificates from a list."""

    certificates: CertificateMap
    source: Source
    at: Origin


class CrtList:
    """One file or directory."""

    def __init__(self, first: Source) -> None:
        self.path = first.path
        self.directory = first.directory
        self.entries: dict[Place, str] = dict(first.entries)
        """The lines in their order, with settings and names as they are shown."""
        self.uses: list[Use] = []
        self._lines = first.lines
        self._most = len(first.entries) + MOST

    @property
    def full(self) -> bool:
        """No line more can be added."""
        return len(self.entries) >= self._most

    def read(self, line: str) -> list[Listed]:
        """A line as each bind understands it. Raises ValueError for one that cannot be understood."""
        return [_read(line, use.source) for use in self.uses]

    def add(self, listed: list[Listed], file: str, stored: Stored) -> None:
        """Show the stored certificate of that file as the line says, in all binds or in none.

        Raises Unusable when a bind cannot show it."""
        assert stored.bundle is not None
        place = Place(self.path, self._lines + 1, file)
        puts: list[Callable[[], None]] = []
        for use, line in zip(self.uses, listed, strict=True):
            try:
                puts.append(use.certificates.prepare(file, stored.bundle, use.source.show(line), place))
            except (ValueError, OSError) as error:
                raise Unusable(use.at, str(error)) from error
        for put in puts:
            put()
        self.entries[place] = listed[0].text
        self._lines += 1
        stored.maps += [use.certificates for use in self.uses if use.certificates not in stored.maps]

    def places(self, file: str) -> list[Place]:
        """The lines of a certificate."""
        return [place for place in self.entries if place.certificate == file]

    def defaults(self, place: Place) -> list[Origin]:
        """The bind lines whose default certificate is listed there."""
        return list(dict.fromkeys(use.at for use in self.uses if use.certificates.is_default(place)))

    @property
    def binds(self) -> int:
        """How many bind lines use it; each address of a line is a use."""
        return len({use.at for use in self.uses})

    def remove(self, place: Place, stored: Stored) -> None:
        """Take a line out; connections that there are stay."""
        del self.entries[place]
        for use in self.uses:
            use.certificates.remove(place)
        stored.maps = [each for each in stored.maps if each.shows(place.certificate)]


class Unusable(Exception):
    """A bind cannot show a certificate in the way a line wants it."""

    def __init__(self, at: Origin, reason: str) -> None:
        super().__init__(reason)
        self.at = at


def _read(line: str, source: Source) -> Listed:
    report = Report()
    found = list(read_crt_list(line.encode("utf-8", "surrogateescape"), "CLI", source.settings, report))
    if report.errors:
        raise ValueError(f"parsing [CLI:1]: {_sentence(report.errors[0])}")
    if not found:
        raise ValueError("parsing [CLI:1]: file must start with a cert")
    return found[0]


def _sentence(finding: Finding) -> str:
    return f"{finding.message} ({finding.advice})" if finding.advice else finding.message
