"""What `show ssl cert FILE` says of a certificate, in OpenSSL's words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from pylb.net.certificates import Bundle


def details(bundle: Bundle) -> Iterator[str]:
    """Its lines of `show ssl cert`."""
    leaf = bundle.certificate
    yield f"Serial: {leaf.serial_number:X}".replace(": ", ": 0" if len(f"{leaf.serial_number:X}") % 2 else ": ")
    yield f"notBefore: {_date(leaf.not_valid_before_utc)}"
    yield f"notAfter: {_date(leaf.not_valid_after_utc)}"
    yield f"Subject Alternative Name: {', '.join(_other_names(leaf))}"
    yield f"Algorithm: {_algorithm(leaf)}"
    yield f"SHA1 FingerPrint: {leaf.fingerprint(hashes.SHA1()).hex().upper()}"
    yield f"Subject: {_name(leaf.subject)}"
    yield f"Issuer: {_name(leaf.issuer)}"
    for issuer in bundle.chain:
        yield f"Chain Subject: {_name(issuer.subject)}"
        yield f"Chain Issuer: {_name(issuer.issuer)}"


def _date(moment: datetime) -> str:
    return f"{moment:%b} {moment.day:2} {moment:%H:%M:%S %Y} GMT"


def _other_names(certificate: x509.Certificate) -> Iterator[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in names:  # HAProxy leaves a gap for addresses
        yield f"DNS:{name.value}" if isinstance(name, x509.DNSName) else ""


def _algorithm(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC{key.key_size}"
    return f"DSA{key.key_size}" if isinstance(key, dsa.DSAPublicKey) else type(key).__name__


def _name(name: x509.Name) -> str:
    """One line, in OpenSSL's old form."""
    return "".join(f"/{each.rfc4514_attribute_name}={each.value!s}" for each in name)
