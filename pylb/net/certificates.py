"""PEM bundles: a private key, the certificate it belongs to, and the chain behind it, in any order in one file.

The leaf is the certificate whose public key fits the private key; the chain follows it issuer by issuer, whatever the
file's order. What is doubtful or wrong with a bundle is found here, once, for the check and for whoever serves with it.
A key may stand in FILE.key beside a FILE without one, as HAProxy has it (manual: 3.1 `ssl-load-extra-files`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes, PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pylb.config.check.files import CertificateProblem

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_PEM = serialization.Encoding.PEM

SOON = timedelta(days=14)
"""A certificate that ends within this time is worth a word."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One file's certificate with all that belongs to it."""

    path: str
    certificate: x509.Certificate
    """The leaf."""
    key: PrivateKeyTypes | None
    chain: tuple[x509.Certificate, ...]
    """The leaf's issuer, its issuer, …, as far as the file has them."""
    others: tuple[x509.Certificate, ...]
    """Certificates of the file that are not part of the chain."""
    names: tuple[str, ...]
    """DNS names, wildcards included, and IP addresses that the leaf covers."""
    problems: tuple[CertificateProblem, ...]

    def __str__(self) -> str:
        ends = _day(self.certificate.not_valid_after_utc)
        return f'certificate "{self.path}" covers {covered(self.certificate)}, until {ends}'

    def pem(self) -> bytes:
        """Leaf, chain and key in the order that OpenSSL wants."""
        parts = [certificate.public_bytes(_PEM) for certificate in (self.certificate, *self.chain)]
        if self.key is not None:
            plain = serialization.NoEncryption()
            parts.append(self.key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, plain))
        return b"".join(parts)


def load_bundle(path: str, now: datetime | None = None) -> Bundle:
    """Read a bundle. Raises OSError, or ValueError naming the file when there is no certificate or no reading it.

    `now` is what validity is judged by; the present moment by default.
    """
    data = Path(path).read_bytes()
    companion = Path(path + ".key")
    if b"PRIVATE KEY-----" not in data and companion.is_file():
        data += b"\n" + companion.read_bytes()
    return parse_bundle(data, path, now)


def parse_bundle(data: bytes, path: str = "", now: datetime | None = None) -> Bundle:
    """`load_bundle()` of bytes; `path` is what problems name."""
    certificates, keys = _blocks(data, path)
    if not certificates:
        raise ValueError(f'"{path}" holds no certificate')
    key = keys[0] if keys else None
    leaf = _leaf(certificates, key)
    chain = tuple(_chain(leaf, [c for c in certificates if c != leaf]))
    others = tuple(c for c in certificates if c != leaf and c not in chain)
    problems = tuple(_problems(path, leaf, key, chain, now or datetime.now(UTC)))
    return Bundle(path, leaf, key, chain, others, names_of(leaf), problems)


def _blocks(data: bytes, path: str) -> tuple[list[x509.Certificate], list[PrivateKeyTypes]]:
    certificates: list[x509.Certificate] = []
    keys: list[PrivateKeyTypes] = []
    for block in _BLOCK.finditer(data):
        try:
            if block[1] in (b"CERTIFICATE", b"X509 CERTIFICATE"):
                certificates.append(x509.load_pem_x509_certificate(block[0]))
            elif block[1].endswith(b"PRIVATE KEY"):
                keys.append(serialization.load_pem_private_key(block[0], password=None))
        except TypeError as error:
            raise ValueError(f'"{path}": the private key is encrypted; nobody is there to type its password') from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ValueError(f'"{path}": a {block[1].decode().lower()} in it cannot be read') from error
    return certificates, keys


def _leaf(certificates: list[x509.Certificate], key: PrivateKeyTypes | None) -> x509.Certificate:
    """The certificate that the key fits, else the first that issued none of the others."""
    for certificate in certificates:
        if key is not None and _fits(certificate, key):
            return certificate
    issuers = {certificate.issuer for certificate in certificates if not _is_self_signed(certificate)}
    return next((c for c in certificates if c.subject not in issuers), certificates[0])


def _fits(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return certificate.public_key().public_bytes(*form) == key.public_key().public_bytes(*form)


def _chain(leaf: x509.Certificate, candidates: list[x509.Certificate]) -> Iterator[x509.Certificate]:
    current = leaf
    while not _is_self_signed(current):
        issuer = next((c for c in candidates if _issued(current, c)), None)
        if issuer is None:
            return
        yield issuer
        candidates = [c for c in candidates if c != issuer]
        current = issuer


def _is_self_signed(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """What a certificate covers: its subject alternative names, else its common name (RFC 6125 6.4.4)."""
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(attribute.value) for attribute in common)
    addresses = (str(address) for address in alternative.get_values_for_type(x509.IPAddress))
    return (*alternative.get_values_for_type(x509.DNSName), *addresses)


# ---------------------------------------------------------------------------------------------------------- problems


def _problems(
    path: str,
    leaf: x509.Certificate,
    key: PrivateKeyTypes | None,
    chain: tuple[x509.Certificate, ...],
    now: datetime,
) -> Iterator[CertificateProblem]:
    if key is None:
        yield CertificateProblem(True, f'"{path}" holds no private key', f"append it, or put it into {path}.key")
    elif not _fits(leaf, key):
        yield CertificateProblem(
            True, f'the private key in "{path}" does not fit the certificate for {covered(leaf)}', "check which is old"
        )
    yield from _validity(path, leaf, now)
    for issuer in chain:
        if issuer.not_valid_after_utc < now:
            yield CertificateProblem(
                False,
                f'"{path}": {_who(issuer)} in the chain expired on {_day(issuer.not_valid_after_utc)}',
                "get the issuer's present one",
            )
    if not chain and not _is_self_signed(leaf):
        yield CertificateProblem(
            False,
            f'"{path}" lacks the chain: {_who(leaf, issuer=True)}, which issued the certificate, is not in it',
            "append the issuer's certificate; clients that do not know it will refuse",
        )
    if not names_of(leaf):
        yield CertificateProblem(False, f'the certificate in "{path}" covers no name', "get one with names")


def _validity(path: str, leaf: x509.Certificate, now: datetime) -> Iterator[CertificateProblem]:
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if ends < now:
        message = f'the certificate for {covered(leaf)} in "{path}" expired on {_day(ends)}'
        yield CertificateProblem(False, message, "renew it")
    elif begins > now:
        message = f'the certificate for {covered(leaf)} in "{path}" is not valid before {_day(begins)}'
        yield CertificateProblem(False, message, "check the clock, or wait")
    elif ends - now < SOON and ends - begins > 2 * SOON:
        message = f'the certificate for {covered(leaf)} in "{path}" expires on {_day(ends)}'
        yield CertificateProblem(False, message, "renew it")


def covered(certificate: x509.Certificate) -> str:
    """The names in a sentence."""
    names = names_of(certificate)
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "") if names else "no name"


def _who(certificate: x509.Certificate, issuer: bool = False) -> str:
    return f'"{(certificate.issuer if issuer else certificate.subject).rfc4514_string()}"'


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


# ------------------------------------------------------------------------------------------------------- for labs


def self_signed(names: Iterable[str], days: int = 365, now: datetime | None = None) -> bytes:
    """A bundle for labs: an ECDSA P-256 key and a certificate that it signed itself, for these names and addresses.

    Raises ValueError for a name that cannot stand in a certificate.
    """
    wanted = [_general_name(name) for name in names]
    start = (now or datetime.now(UTC)).replace(microsecond=0)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(wanted[0].value)[:64])])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - timedelta(minutes=5))
        .not_valid_after(start + timedelta(days=days))
    )
    certificate = _with_extensions(builder, key, wanted).sign(key, hashes.SHA256())
    form = (_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(_PEM) + key.private_bytes(*form)


def _with_extensions(
    builder: x509.CertificateBuilder, key: CertificateIssuerPrivateKeyTypes, names: list[x509.GeneralName]
) -> x509.CertificateBuilder:
    """The extensions that clients look for, also in strict mode (RFC 5280 4.2)."""
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name.strip("[]")))
    except ValueError:
        pass
    if not re.fullmatch(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?", name):
        raise ValueError(f'"{name}" is neither a host name nor an IP address')
    return x509.DNSName(name)
