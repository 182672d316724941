"""TLS on both sides of a running pylb: certificates by name, versions, client certificates, resumption, failures."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from live import DEFAULTS, Pylb, Server, ask, connect, echo, ports
from support import wait_for


class Authority:
    """A certificate authority for one test run."""

    def __init__(self, directory: Path, name: str = "lab authority") -> None:
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(name, self._key, [], self._key, x509.Name(_named(name)), ca=True)
        self.file = directory / f"{name.replace(' ', '_')}.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, name: str, key: Any, names: list[str], by: Any, issuer: x509.Name, ca: bool = False) -> Any:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(_named(name)))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False
            )
        return builder.sign(by, hashes.SHA256())

    def issue(self, *names: str, order: str = "leaf key chain") -> Path:
        """A bundle for these names, its parts in `order`."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self._sign(names[0], key, list(names), self._key, self.certificate.subject)
        pem = serialization.Encoding.PEM
        form = (pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        parts = {
            "leaf": leaf.public_bytes(pem),
            "key": key.private_bytes(*form),
            "chain": self.certificate.public_bytes(pem),
        }
        file = self.directory / f"{names[0].replace('*', 'any')}-{order.replace(' ', '')}.pem"
        file.write_bytes(b"".join(parts[part] for part in order.split()))
        return file


def _named(name: str) -> list[x509.NameAttribute]:
    return [x509.NameAttribute(NameOID.COMMON_NAME, name)]


class Rig:
    """One pylb with a bind for each case, and TLS servers behind it."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory)
        self.strangers = Authority(directory, "strangers")
        issue = self.authority.issue
        self.client_bundle = issue("client.lab")
        self.strange_bundle = self.strangers.issue("stranger.lab")
        self.plain = Server(echo)
        one = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        one.load_cert_chain(issue("backend.lab"))
        self.asked: list[str | None] = []
        one.sni_callback = lambda sslobj, name, context: self.asked.append(name)
        self.secure = Server(echo, tls=one)
        self.silent = Server(lambda connection: connection.recv(100_000) and connection.recv(1) and None)
        many = directory / "many"
        many.mkdir()
        self.authority.directory = many
        self.authority.issue("in.directory.lab", order="chain key leaf")
        self.authority.directory = directory
        first, wild, exact = issue("first.lab"), issue("*.wild.lab", order="key chain leaf"), issue("a.wild.lab")
        (self.sni, self.strict, self.old, self.optional, self.required, self.to_secure, self.by_host, self.wrong_name,
         self.stalled, self.unknown_ca, self.insecure) = ports(11)  # fmt: skip
        ca = self.authority.file
        text = f"""{DEFAULTS}
frontend sni
 bind 127.0.0.1:{self.sni} ssl crt {first} crt {wild} crt {exact} crt {many} alpn h2,http/1.1
 http-request set-header X-Sni %[ssl_fc_sni]
 http-request set-header X-Tls %[ssl_fc_protocol]
 http-request set-header X-Again %[ssl_fc_is_resumed]
 option dontlognull
 default_backend plain
frontend strict
 bind 127.0.0.1:{self.strict} ssl crt {first} strict-sni
 default_backend plain
frontend versions
 bind 127.0.0.1:{self.old} ssl crt {first} ssl-min-ver TLSv1.3
 default_backend plain
frontend optional
 bind 127.0.0.1:{self.optional} ssl crt {first} ca-file {ca} verify optional
 http-request set-header X-Client %[ssl_c_used]
 default_backend plain
frontend required
 bind 127.0.0.1:{self.required} ssl crt {first} ca-file {ca} verify required
 default_backend plain
backend plain
 server s 127.0.0.1:{self.plain.port}
"""
        for name, port, options in (
            ("to_secure", self.to_secure, f"ssl verify required ca-file {ca} sni str(backend.lab)"),
            ("by_host", self.by_host, "ssl verify none sni req.hdr(host)"),
            ("wrong_name", self.wrong_name, f"ssl verify required ca-file {ca} sni str(other.lab)"),
            ("unknown_ca", self.unknown_ca, f"ssl verify required ca-file {self.strangers.file} sni str(backend.lab)"),
            ("insecure", self.insecure, "ssl verify none"),
        ):
            text += (
                f"listen {name}\n bind 127.0.0.1:{port}\n retries 0\n server s 127.0.0.1:{self.secure.port} {options}\n"
            )
        text += f"listen stalled\n bind 127.0.0.1:{self.stalled}\n retries 0\n timeout connect 500ms\n"
        text += f" server s 127.0.0.1:{self.silent.port} ssl verify none\n"
        self.pylb = Pylb(directory, text, ready=self.insecure)
        self.log = self.pylb.collector

    def close(self) -> None:
        try:
            self.pylb.stop()
        finally:
            for server in (self.plain, self.secure, self.silent):
                server.close()

    def context(self, bundle: Path | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.file))
        if bundle is not None:
            context.load_cert_chain(bundle)
        return context

    def hello(
        self, port: int, name: str | None = "first.lab", context: ssl.SSLContext | None = None, **more: Any
    ) -> Any:
        context = context or self.context()
        if name is None:
            context.check_hostname = False
        return context.wrap_socket(connect(port), server_hostname=name, **more)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("tls"))
    yield rig
    rig.close()


@pytest.mark.parametrize("name", ["first.lab", "a.wild.lab", "b.wild.lab", "B.Wild.Lab", "in.directory.lab"])
def test_the_name_that_the_client_asks_for_chooses_the_certificate(rig: Rig, name: str) -> None:
    with rig.hello(rig.sni, name) as tls:
        status, _, body = ask(tls)
        assert status == 200 and name.lower() in body.decode().lower()
        names = [value for kind, value in tls.getpeercert()["subjectAltName"]]
        assert names == ["*.wild.lab"] if name.lower() == "b.wild.lab" else names == [name.lower()]


def test_an_unknown_name_gets_the_first_certificate(rig: Rig) -> None:
    context = rig.context()
    context.check_hostname = False
    with rig.hello(rig.sni, "nobody.lab", context) as tls:
        assert ("DNS", "first.lab") in tls.getpeercert()["subjectAltName"]


def test_strict_sni_refuses_it(rig: Rig) -> None:
    for name in ("nobody.lab", None):
        with pytest.raises(ssl.SSLError):
            rig.hello(rig.strict, name)
    rig.hello(rig.strict, "first.lab").close()


def test_alpn_offers_what_is_spoken(rig: Rig) -> None:
    context = rig.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with rig.hello(rig.sni, context=context) as tls:
        assert tls.selected_alpn_protocol() == "http/1.1"


def test_the_lowest_version_is_kept(rig: Rig) -> None:
    context = rig.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        rig.hello(rig.old, context=context)
    with rig.hello(rig.old) as tls:
        assert tls.version() == "TLSv1.3"
    with rig.hello(rig.sni, context=context) as tls:
        assert b"TLSv1.2" in ask(tls)[2]


def test_a_client_certificate_may_be_optional(rig: Rig) -> None:
    with rig.hello(rig.optional) as tls:
        assert b"x-client: 0" in ask(tls)[2].lower()
    with rig.hello(rig.optional, context=rig.context(rig.client_bundle)) as tls:
        assert b"x-client: 1" in ask(tls)[2].lower()


def test_a_client_certificate_may_be_required(rig: Rig) -> None:
    with rig.hello(rig.required, context=rig.context(rig.client_bundle)) as tls:
        assert ask(tls)[0] == 200
    for bundle in (None, rig.strange_bundle):
        with (
            pytest.raises((ssl.SSLError, ConnectionError)),
            rig.hello(rig.required, context=rig.context(bundle)) as tls,
        ):
            ask(tls)  # with TLS 1.3 the client hears of it when it reads


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(rig: Rig, version: ssl.TLSVersion) -> None:
    context = rig.context()
    context.maximum_version = version
    with rig.hello(rig.sni, context=context) as tls:
        assert b"x-again: 0" in ask(tls)[2].lower()
        session = tls.session
    with rig.hello(rig.sni, context=context, session=session) as tls:
        assert b"x-again: 1" in ask(tls)[2].lower() and tls.session_reused


def test_plain_http_on_a_tls_port_is_one_line(rig: Rig) -> None:
    before = len(rig.log.lines)
    with connect(rig.strict) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.settimeout(5)
        with suppress(ConnectionError):
            assert b"200" not in sock.recv(1000)
    rig.log.having("plain HTTP on a TLS port")
    assert sum(" strict/" in line for line in rig.log.lines[before:]) == 1


def test_garbage_and_silence_instead_of_a_handshake(rig: Rig) -> None:
    before = len(rig.log.having("SSL handshake failure"))
    with connect(rig.strict) as sock:
        sock.sendall(b"\x16\x03\x01garbage" * 50)
        with pytest.raises(ConnectionError):
            while sock.recv(1000):
                pass
            raise ConnectionError
    rig.log.having("SSL handshake failure", before + 1)
    connect(rig.strict).close()
    with rig.hello(rig.strict) as tls:
        assert ask(tls)[0] == 200


def test_a_client_that_goes_in_the_middle_of_its_handshake_is_forgotten(rig: Rig) -> None:
    for cut in (1, 5, 60):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        half = rig.context().wrap_bio(incoming, outgoing, server_hostname="first.lab")
        with pytest.raises(ssl.SSLWantReadError):
            half.do_handshake()
        sock = connect(rig.strict)
        sock.sendall(outgoing.read()[:cut])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
    with rig.hello(rig.strict) as tls:
        assert ask(tls)[0] == 200


def test_a_big_body_passes_through_tls_both_ways(rig: Rig) -> None:
    body = bytes(range(256)) * 8000
    with rig.hello(rig.sni) as tls:
        got = ask(tls, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert got[2].endswith(body)


def test_servers_are_verified(rig: Rig) -> None:
    assert ask(rig.to_secure)[0] == 200 and rig.asked[-1] == "backend.lab"
    assert ask(rig.insecure)[0] == 200
    assert ask(rig.wrong_name)[0] == 503
    assert ask(rig.unknown_ca)[0] == 503
    assert " SC-- " in rig.log.having(" unknown_ca/s ")[-1]


def test_the_servers_name_may_come_from_the_request(rig: Rig) -> None:
    for host, expected in (("one.lab", "one.lab"), ("two.lab", "two.lab")):
        assert ask(rig.by_host, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())[0] == 200
        assert rig.asked[-1] == expected


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".lab", "10.0.0.1", "[::1]", "." * 5, ""])
def test_a_host_that_cannot_be_a_name_harms_nobody(rig: Rig, host: str) -> None:
    assert ask(rig.by_host, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())[0] in (200, 400, 503)
    assert ask(rig.by_host)[0] == 200


def test_a_server_that_never_finishes_its_handshake_is_given_up(rig: Rig) -> None:
    assert ask(rig.stalled)[0] == 503
    assert " sC-- " in rig.log.having(" stalled/s ")[-1]


def test_a_client_that_leaves_during_the_servers_handshake(rig: Rig) -> None:
    for _ in range(3):
        with connect(rig.stalled) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_for(lambda: rig.silent.accepted, 5)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert " CC-- " in rig.log.having(" CC-- ")[-1]
