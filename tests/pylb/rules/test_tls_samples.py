"""What rules may ask about a client's TLS connection and certificate; values as HAProxy prints them."""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from rules_world import exchange, text


@pytest.fixture(scope="module")
def certificate() -> Any:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [(NameOID.COUNTRY_NAME, "FR"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "a"),
             (NameOID.ORGANIZATIONAL_UNIT_NAME, "b"), (NameOID.COMMON_NAME, "joe")]  # fmt: skip
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    start = datetime.datetime(2024, 1, 2, 3, 4, 5)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(0x1234).not_valid_before(start).not_valid_after(start.replace(year=2034))
    return builder.sign(key, hashes.SHA256())


def over_tls(certificate: Any = None) -> Any:
    x = exchange()
    x.session.tls = SimpleNamespace(
        sni="www.example.com", alpn="http/1.1", version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384", resumed=True,
        client_cert=certificate,
    )  # fmt: skip
    return x


@pytest.mark.parametrize(
    ("sample", "value"),
    [
        ("ssl_c_used", b"1"),
        ("ssl_c_verify", b"0"),
        ("ssl_c_s_dn", b"/C=FR/OU=a/OU=b/CN=joe"),
        ("ssl_c_s_dn(cn)", b"joe"),
        ("ssl_c_s_dn(CN)", b"joe"),
        ("ssl_c_s_dn(OU)", b"a"),
        ("ssl_c_s_dn(OU,2)", b"b"),
        ("ssl_c_s_dn(OU,-1)", b"b"),
        ("ssl_c_s_dn(OU,3)", b""),
        ("ssl_c_s_dn(,0,rfc2253)", b"CN=joe,OU=b,OU=a,C=FR"),
        ("ssl_c_i_dn(C)", b"FR"),
        ("ssl_c_serial,hex", b"1234"),
        ("ssl_c_notbefore", b"240102030405Z"),
        ("ssl_c_notafter", b"340102030405Z"),
    ],
)
def test_a_client_certificate_is_taken_apart(sample, value, certificate):
    assert text(f"%[{sample}]", over_tls(certificate)) == value


def test_a_fingerprint_is_that_of_the_certificate(certificate):
    fingerprint = certificate.fingerprint(hashes.SHA1())
    assert text("%[ssl_c_sha1,hex,lower]", over_tls(certificate)) == fingerprint.hex().encode()
    assert text("%[ssl_c_der,sha1,hex,lower]", over_tls(certificate)) == fingerprint.hex().encode()


@pytest.mark.parametrize(
    ("sample", "tls", "plain"),
    [
        ("ssl_fc", b"1", b"0"),
        ("ssl_fc_sni", b"www.example.com", b""),
        ("ssl_fc_has_sni", b"1", b"0"),
        ("ssl_fc_alpn", b"http/1.1", b""),
        ("ssl_fc_protocol", b"TLSv1.3", b""),
        ("ssl_fc_cipher", b"TLS_AES_256_GCM_SHA384", b""),
        ("ssl_fc_is_resumed", b"1", b"0"),
        ("ssl_c_used", b"0", b""),
        ("ssl_c_s_dn(cn)", b"", b""),
        ("ssl_c_sha1,hex", b"", b""),
    ],
)
def test_a_connection_without_a_client_certificate(sample, tls, plain):
    assert text(f"%[{sample}]", over_tls()) == tls
    assert text(f"%[{sample}]", exchange()) == plain
