"""PEM bundles: any order is understood, and what is wrong with one is named."""

from __future__ import annotations

import itertools
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pylb.net.certificates import load_bundle, parse_bundle, self_signed

NOW = datetime(2030, 5, 1, tzinfo=UTC)
PEM = serialization.Encoding.PEM


class Issued:
    """A certificate with its key, issued by another or by itself."""

    def __init__(self, name: str, issuer: Issued | None = None, days: tuple[int, int] = (-10, 300), names=()) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name(issuer.subject if issuer else self.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + timedelta(days=days[0]))
            .not_valid_after(NOW + timedelta(days=days[1]))
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        self.certificate = builder.sign(issuer.key if issuer else self.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(PEM)

    def key_pem(self, password: bytes | None = None) -> bytes:
        lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        return self.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, lock)


@pytest.fixture(scope="module")
def root() -> Issued:
    return Issued("Root")


@pytest.fixture(scope="module")
def middle(root) -> Issued:
    return Issued("Middle", root)


@pytest.fixture(scope="module")
def leaf(middle) -> Issued:
    return Issued("Leaf", middle, names=["www.example", "*.apps.example"])


def problems(*parts: bytes) -> list[tuple[bool, str]]:
    return [(found.fatal, found.message) for found in parse_bundle(b"".join(parts), "b.pem", NOW).problems]


def test_any_order_gives_the_leaf_its_key_and_the_chain(root, middle, leaf):
    for parts in itertools.permutations([root.pem, b"some text\n" + middle.pem, leaf.pem, leaf.key_pem()]):
        bundle = parse_bundle(b"".join(parts), "b.pem", NOW)
        assert bundle.certificate == leaf.certificate
        assert bundle.chain == (middle.certificate, root.certificate)
        assert bundle.others == () and bundle.problems == ()
        assert bundle.names == ("www.example", "*.apps.example")
        assert bundle.pem().startswith(leaf.pem + middle.pem + root.pem)


def test_a_certificate_that_ends_or_has_not_begun_is_named(middle):
    past, future = Issued("P", middle, (-9, -1)), Issued("F", middle, (1, 9))
    soon = Issued("S", middle, (-300, 5), names=["s.example"])
    assert problems(past.pem, past.key_pem(), middle.pem) == [
        (False, 'the certificate for P in "b.pem" expired on 2030-04-30 00:00 UTC')
    ]
    assert problems(future.pem, future.key_pem(), middle.pem) == [
        (False, 'the certificate for F in "b.pem" is not valid before 2030-05-02 00:00 UTC')
    ]
    assert problems(soon.pem, soon.key_pem(), middle.pem) == [
        (False, 'the certificate for s.example in "b.pem" expires on 2030-05-06 00:00 UTC')
    ]


def test_a_key_that_does_not_fit_is_fatal(leaf, middle, root):
    assert problems(leaf.pem, middle.pem, root.key_pem()) == [
        (True, 'the private key in "b.pem" does not fit the certificate for www.example, *.apps.example')
    ]


def test_a_bundle_without_a_key_is_fatal(leaf, middle):
    assert problems(middle.pem, leaf.pem) == [(True, '"b.pem" holds no private key')]


def test_a_missing_chain_is_named(leaf, root):
    expected = [(False, '"b.pem" lacks the chain: "CN=Middle", which issued the certificate, is not in it')]
    assert problems(leaf.pem, leaf.key_pem()) == expected
    assert problems(leaf.pem, leaf.key_pem(), root.pem) == expected


def test_an_expired_issuer_is_named(root):
    old = Issued("Old", root, (-100, -1))
    leaf = Issued("Leaf", old)
    assert problems(leaf.pem, leaf.key_pem(), old.pem) == [
        (False, '"b.pem": "CN=Old" in the chain expired on 2030-04-30 00:00 UTC')
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", 'b.pem" holds no certificate'),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "a certificate in it cannot be read"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "a private key in it cannot be read"),
    ],
)
def test_what_cannot_be_read_is_a_value_error_with_the_file(data, message):
    with pytest.raises(ValueError, match=message):
        parse_bundle(data, "b.pem", NOW)


def test_an_encrypted_key_is_refused(leaf):
    with pytest.raises(ValueError, match="the private key is encrypted"):
        parse_bundle(leaf.pem + leaf.key_pem(b"secret"), "b.pem", NOW)


def test_the_key_may_stand_beside_the_file(leaf, middle, tmp_path):
    path = tmp_path / "www.pem"
    path.write_bytes(leaf.pem + middle.pem)
    (tmp_path / "www.pem.key").write_bytes(leaf.key_pem())
    assert load_bundle(str(path), NOW).problems == ()


def test_a_bundle_for_a_lab_is_in_order_and_serves_what_it_names(tmp_path):
    path = tmp_path / "lab.pem"
    path.write_bytes(self_signed(["www.lab", "*.apps.lab", "127.0.0.1", "::1"], days=30))
    bundle = load_bundle(str(path))
    assert bundle.problems == ()
    assert bundle.names == ("www.lab", "*.apps.lab", "127.0.0.1", "::1")
    for name, trusted in (("www.lab", True), ("a.apps.lab", True), ("127.0.0.1", True), ("other.lab", False)):
        assert handshake(str(path), name) is trusted, name


def handshake(path: str, name: str) -> bool:
    """Whether a client that trusts only this file accepts a server that serves it, under a name. No sockets."""
    server_side, client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=path)
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT
    server_side.load_cert_chain(path)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError:
            return False
    return True


@pytest.mark.parametrize("name", ["a b", "", "-x", "exa_mple*", "ü.example"])
def test_names_that_cannot_stand_in_a_certificate_are_refused(name):
    with pytest.raises(ValueError, match="neither a host name nor an IP address"):
        self_signed([name])
