"""TLS: contexts made once at load, and what rules may ask about a connection.

Each certificate of a bind gets its own context; who is shown which is certificate_map.py.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylb.config import model
from pylb.config.haproxy.crt_list import Listed, read_crt_list
from pylb.config.model.origin import NOWHERE
from pylb.config.words import Report
from pylb.net.certificate_map import Appearance, CertificateMap, Place, Source
from pylb.net.tls_alerts import AlertingContext
from pylb.net.tls_sessions import ResumingContext

if TYPE_CHECKING:
    from cryptography import x509

    from pylb.net.certificates import Bundle

VERSIONS = {
    "SSLv3": ssl.TLSVersion.SSLv3,
    "TLSv1.0": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
SPOKEN = ("http/1.1", "http/1.0")
"""ALPN protocols that we can answer for; others that a configuration lists are not offered."""


class TlsDetails:
    """A client's TLS connection, as rules and logs see it (rules/context.TlsInfo)."""

    __slots__ = ("_object", "cipher", "sni", "version")

    def __init__(self, ssl_object: Any) -> None:
        self._object = ssl_object
        self.sni: str | None = getattr(ssl_object, "sni", None)
        self.version: str = ssl_object.version() or ""
        cipher = ssl_object.cipher()
        self.cipher: str = cipher[0] if cipher else ""

    @property
    def alpn(self) -> str | None:
        """The protocol agreed on by ALPN."""
        selected: str | None = self._object.selected_alpn_protocol()
        return selected

    @property
    def resumed(self) -> bool:
        """The session continues an earlier one."""
        return bool(self._object.session_reused)

    @property
    def client_cert(self) -> x509.Certificate | None:
        """What the client presented; only asked for with `verify`."""
        from cryptography import x509  # there since the bind's own certificate was read

        der = self._object.getpeercert(True)
        return x509.load_der_x509_certificate(der) if der else None


def silence_bad_names() -> None:
    """A client may send any bytes as the name in its hello. Those that are no ASCII end its handshake, and that is an
    event of the listener; but `ssl` cannot raise the error there and would print a traceback for each."""
    usual = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not (unraisable.exc_type is UnicodeDecodeError and isinstance(unraisable.object, bytes)):
            usual(unraisable)

    sys.unraisablehook = hook


def certificate_files(paths: Iterable[str], base: str | None) -> list[str]:
    """The files behind `crt` words: directories give their files in order of names, but not `.key`, `.ocsp`, `.issuer`
    and `.sctl` companions; relative ones are below crt-base."""
    found: list[str] = []
    for word in paths:
        path = Path(base or "") / word
        if path.is_dir():
            skip = (".key", ".ocsp", ".issuer", ".sctl", ".dh")
            found += [str(p) for p in sorted(path.iterdir()) if p.is_file() and p.suffix not in skip]
        else:
            found.append(str(path))
    return found


def _offered(protocols: tuple[str, ...], mode: str) -> list[str]:
    """What of an `alpn` list can be offered: in TCP mode others speak, whatever it is."""
    return [name for name in protocols if mode == "tcp" or name in SPOKEN]


def with_defaults(settings: Any, defaults: Any) -> Any:
    """TLS settings of a line, what it does not say taken from the global section's (manual: ssl-default-bind-options,
    ssl-default-server-options)."""
    changes = {
        name: getattr(defaults, name)
        for name in ("min_version", "max_version", "ciphers", "ciphersuites")
        if getattr(settings, name) is None and getattr(defaults, name) is not None
    }
    return replace(settings, tickets=settings.tickets and defaults.tickets, **changes)


def server_side(
    settings: model.BindTls, general: model.Global, mode: str = "http", report: Report | None = None
) -> CertificateMap:
    """The contexts for one `bind … ssl`. What is wrong in a crt-list is reported.

    Raises OSError or ValueError, naming the file, for certificates that cannot be used.
    """
    from pylb.net.certificates import load_bundle  # process/wanted.py

    settings = with_defaults(settings, general.ssl_default_bind)
    certificates = CertificateMap(settings.strict_sni)

    def show(listed: Listed) -> Appearance:
        return Appearance(partial(_server_context, listed.settings, general, mode), listed.names, listed.excluded)

    def add(source: Source, listed: Listed) -> None:
        file = str(Path(general.crt_base or "") / listed.certificate)
        place = Place(source.path, 0 if source.directory else listed.at.line, file)
        source.entries[place] = listed.text
        certificates.prepare(file, load_bundle(file), show(listed), place)()

    def add_lists() -> None:
        for path in settings.crt_list:
            content = Path(path).read_bytes()
            source = Source(path, False, show, settings, len(content.removesuffix(b"\n").split(b"\n")))
            certificates.sources.append(source)
            for listed in read_crt_list(content, path, settings, report or Report()):
                add(source, listed)

    if settings.crt_list_first:
        add_lists()
    plain = Appearance(partial(_server_context, settings, general, mode), None, frozenset())
    for word in settings.certificates:
        path = Path(general.crt_base or "") / word
        if path.is_dir():
            source = Source(str(path), True, show, settings, 0)
            certificates.sources.append(source)
            for file in certificate_files([word], general.crt_base):
                add(source, Listed(file, settings, None, frozenset(), NOWHERE))
        else:
            certificates.prepare(str(path), load_bundle(str(path)), plain)()
    if not settings.crt_list_first:
        add_lists()
    if certificates.default is None:
        raise ValueError("bind … ssl without a certificate: add crt FILE")
    return certificates


def _server_context(
    settings: model.BindTls, general: model.Global, mode: str, bundle: Bundle, path: str
) -> ssl.SSLContext:
    """The context that shows one certificate."""
    context = AlertingContext(ssl.PROTOCOL_TLS_SERVER)
    _limit_versions(context, settings.min_version, settings.max_version)
    _set_ciphers(context, settings)
    _load(context, bundle, path)
    _verify_clients(context, settings, general.ca_base)
    offered = _offered(settings.alpn, mode)
    if offered:
        context.set_alpn_protocols(offered)
    if not settings.tickets:
        context.options |= ssl.OP_NO_TICKET
        with suppress(ValueError):  # TLS 1.3 tickets have their own switch
            context.num_tickets = 0
    return context


def client_side(settings: model.ServerTls, general: model.Global, mode: str = "http") -> ssl.SSLContext:
    """The context to connect to a `server … ssl` with. Raises OSError or ValueError naming the file."""
    settings = with_defaults(settings, general.ssl_default_server)
    context = (ResumingContext if settings.reuse else ssl.SSLContext)(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if settings.verify == "none":
        context.verify_mode = ssl.CERT_NONE
    else:
        context.verify_mode = ssl.CERT_REQUIRED
        if settings.ca_file is None or settings.ca_file == "@system-ca":
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            context.load_verify_locations(str(Path(general.ca_base or "") / settings.ca_file))
        context.check_hostname = settings.verify_host is not None or settings.sni is not None
    if settings.crl_file is not None:
        context.load_verify_locations(str(Path(general.ca_base or "") / settings.crl_file))
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    if settings.certificate is not None:
        from pylb.net.certificates import load_bundle  # process/wanted.py

        path = str(Path(general.crt_base or "") / settings.certificate)
        _load(context, load_bundle(path), path)
    _limit_versions(context, settings.min_version, settings.max_version)
    _set_ciphers(context, settings)
    if not settings.tickets:
        context.options |= ssl.OP_NO_TICKET
    if settings.alpn:
        context.set_alpn_protocols(_offered(settings.alpn, mode))
    return context


def _limit_versions(context: ssl.SSLContext, lowest: str | None, highest: str | None) -> None:
    context.minimum_version = VERSIONS[lowest or "TLSv1.2"]
    if highest is not None:
        context.maximum_version = VERSIONS[highest]


def _set_ciphers(context: ssl.SSLContext, settings: model.BindTls | model.ServerTls) -> None:
    suites = getattr(context, "set_ciphersuites", None)  # of TLS 1.3: Python 3.15 and above
    for words, choose in ((settings.ciphers, context.set_ciphers), (settings.ciphersuites, suites)):
        if words is None or choose is None:
            continue
        try:
            choose(words)
        except ssl.SSLError as error:
            raise ValueError(f'no cipher of "{words}" is usable: {error}') from error


def _verify_clients(context: ssl.SSLContext, settings: model.BindTls, ca_base: str | None) -> None:
    if settings.verify == "none":
        return
    context.verify_mode = ssl.CERT_REQUIRED if settings.verify == "required" else ssl.CERT_OPTIONAL
    if settings.ca_file is not None:
        context.load_verify_locations(str(Path(ca_base or "") / settings.ca_file))
    if settings.crl_file is not None:
        context.load_verify_locations(str(Path(ca_base or "") / settings.crl_file))
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF


def _load(context: ssl.SSLContext, bundle: Bundle, path: str) -> None:
    """OpenSSL wants the leaf first and takes files only; the bundle's order is free and its key should not be written
    anywhere, so it goes through a file that exists in memory."""
    fd = os.memfd_create("bundle", os.MFD_CLOEXEC)
    try:
        os.write(fd, bundle.pem())
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    except ssl.SSLError as error:
        raise ValueError(f"{path}: {error.reason or error}") from error
    finally:
        os.close(fd)
