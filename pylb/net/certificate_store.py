"""Certificates of the process by file name, and their replacement while clients are served (manual 9.3 `set ssl cert`).

    set    a bundle waits in the transaction: nobody has seen it yet; there is one transaction at a time
    commit contexts are made of it for every bind that uses the file, then put in place: new handshakes show it,
           sessions that are there go on. What cannot be used makes no context, so the old certificate stays.
    abort  the bundle is forgotten

`new` makes an empty place for a name of no file; files on disk are never written. The lines of crt-lists, which bring
such a certificate before clients, are in crt_lists.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pylb.net.crt_lists import CrtList, Use

if TYPE_CHECKING:
    from pylb.config.model import Origin
    from pylb.net.certificate_map import CertificateMap
    from pylb.net.certificates import Bundle

MOST = 10_000
"""Places that `new` may make."""


@dataclass(slots=True)
class Stored:
    """One file's certificate, None before the first commit, and the binds that show it."""

    bundle: Bundle | None = None
    maps: list[CertificateMap] = field(default_factory=list)


class CertificateStore:
    """See the module."""

    def __init__(self) -> None:
        self.files: dict[str, Stored] = {}
        self.pending: tuple[str, Bundle] | None = None
        """The transaction: a name and what is to stand under it."""
        self.lists: dict[str, CrtList] = {}
        """The crt-lists and directories of all binds."""

    def watch(self, certificates: CertificateMap, at: Origin) -> None:
        """The certificates of the bind that is declared there can be replaced from now on."""
        for source in certificates.sources:
            self.lists.setdefault(source.path, CrtList(source)).uses.append(Use(certificates, source, at))
        for path, bundle in certificates.files():
            stored = self.files.setdefault(path, Stored(bundle))
            stored.maps.append(certificates)

    def names(self) -> Iterator[str]:
        """In alphabetical order."""
        yield from sorted(self.files)

    def set(self, path: str, text: str) -> bool:
        """Put PEM text into the transaction, with the old key if it brings none; whether it began one.

        Raises KeyError for a name that there is not, ValueError for text that is no certificate."""
        stored = self.files[path]
        from cryptography.hazmat.primitives import serialization  # process/wanted.py

        from pylb.net.certificates import parse_bundle

        data = text.encode("utf-8", "surrogateescape")
        bundle = parse_bundle(data, path)
        if bundle.key is None and stored.bundle is not None and stored.bundle.key is not None:
            form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            bundle = parse_bundle(data + b"\n" + stored.bundle.key.private_bytes(*form), path)
        begun = self.pending is None
        self.pending = (path, bundle)
        return begun

    def commit(self) -> int:
        """Put the transaction's certificate in place; by how many binds. Raises ValueError and keeps the old one."""
        assert self.pending is not None
        path, bundle = self.pending
        if bundle.key is None:
            raise ValueError(f'"{path}" has no private key')
        stored = self.files[path]
        made = [each.renew(path, bundle) for each in stored.maps]
        for put in made:
            put()
        stored.bundle = bundle
        self.pending = None
        return len(made)
