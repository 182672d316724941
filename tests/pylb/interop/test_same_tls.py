"""TLS towards clients and servers beside the real program: sessions that go on, revoked certificates, checks by TLS of
plain servers, dynamic cookies."""

from __future__ import annotations

import datetime
import re
import socket
import ssl
import threading
from collections import Counter
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from haproxy_pair import Cut, Reader, Talk, connected, running_pair
from same_cases import get, judge
from support import TlsSocket, wait_for

from pylb.backend.persist import dynamic_value
from pylb.config.model import Address

pytestmark = pytest.mark.interop

START = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
LATER = START.replace(year=2044)


class Authority:
    """Signs and revokes."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key.public_key(), ca=True)

    def _sign(self, subject: x509.Name, key, names=(), ca: bool = False) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(START).not_valid_after(LATER)
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        if names:
            san = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(san, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, path: Path, name: str) -> x509.Certificate:
        """A bundle of key and certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key.public_key(), [name])
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        return certificate

    def write(self, path: Path, *revoked: x509.Certificate) -> None:
        """Certificate and revocation list of the authority, in files of their own."""
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(START).next_update(LATER)
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(START)
            builder = builder.add_revoked_certificate(entry.build())
        crl = builder.sign(self.key, hashes.SHA256())
        path.with_suffix(".crl").write_bytes(crl.public_bytes(serialization.Encoding.PEM))


class Resuming:
    """An HTTPS server that closes after each answer and notes by path whether the session went on from another."""

    def __init__(self, bundle: Path, version: ssl.TLSVersion) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.sslsocket_class = TlsSocket
        self.context.load_cert_chain(bundle)
        self.context.minimum_version = self.context.maximum_version = version
        self.resumed: dict[str, list[bool]] = {}
        self.ended = Counter[str]()
        """Connections that are over, by path: without a farewell the server forgets their session only then."""
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        raw.settimeout(5)
        try:
            with self.context.wrap_socket(raw, server_side=True) as sock:
                head = Reader(sock).until(b"\r\n\r\n").decode()
                path = head.split()[1]
                self.resumed.setdefault(path, []).append(bool(sock.session_reused))
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            self.ended[path] += 1
        except (OSError, Cut):  # a check that only shakes hands
            raw.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


VERSIONS = {"new": ssl.TLSVersion.TLSv1_3, "old": ssl.TLSVersion.TLSv1_2}


def config(servers: dict[str, Resuming]) -> str:
    text = """
global
    log "127.0.0.1:${LOG}" local0
    nbthread 1
    ca-base "${DIR}/.."
    crt-base "${DIR}/.."

defaults
    mode http
    log global
    option httplog
    timeout connect 1s
    timeout client 3s
    timeout server 3s
    timeout check 2s

frontend door
    bind "127.0.0.1:${FE_door}" ssl crt server.pem ca-file clients.pem verify required crl-file clients.crl
    default_backend plain

frontend gate
    bind "127.0.0.1:${FE_gate}" ssl crt server.pem ca-file clients.pem verify optional
    http-response set-header X-Used %[ssl_c_used]
    default_backend plain

frontend passes
    mode tcp
    bind "127.0.0.1:${FE_passes}" ssl crt server.pem alpn h2,xmpp-client
    default_backend tcp

frontend strict
    bind "127.0.0.1:${FE_strict}" ssl crt server.pem strict-sni
    default_backend plain

frontend modern
    bind "127.0.0.1:${FE_modern}" ssl crt server.pem ssl-min-ver TLSv1.3
    default_backend plain

frontend speaks
    bind "127.0.0.1:${FE_speaks}" ssl crt server.pem alpn http/1.1
    default_backend plain

backend plain
    server a "127.0.0.1:${SRV_a}"

backend tcp
    mode tcp
    server a "127.0.0.1:${SRV_a}"

listen dynamic
    bind "127.0.0.1:${FE_dynamic}"
    dynamic-cookie-key "open sesame"
    cookie SRV insert dynamic
    server a "127.0.0.1:${SRV_a}"
    server b "127.0.0.1:${SRV_b}" cookie own

backend checked
    default-server inter 1s rise 1 fall 1
"""
    for name, server in servers.items():
        options = "ssl verify required ca-file servers.pem sni str(server.test)"
        for kind, more in (("kept", ""), ("fresh", "no-ssl-reuse"), ("ticketless", "no-tls-tickets")):
            text = text.replace(
                "backend checked",
                f"""
listen {kind}_{name}
    bind "127.0.0.1:${{FE_{kind}_{name}}}"
    server s 127.0.0.1:{server.port} {options} {more}

backend checked""",
            )
    secure = f'"127.0.0.1:${{SRV_a}}" check port {servers["new"].port}'
    return (
        text
        + f"""
    server good {secure} check-ssl verify required ca-file servers.pem
    server named {secure} check-ssl verify required ca-file servers.pem check-sni server.test
    server misnamed {secure} check-ssl verify required ca-file servers.pem verifyhost other.test
    server stranger {secure} check-ssl verify required ca-file clients.pem
    server trusting {secure} check-ssl verify none
    server plain "127.0.0.1:${{SRV_a}}" check check-ssl verify none
"""
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    servers, clients = Authority("servers"), Authority("clients")
    servers.issue(directory / "server.pem", "server.test")
    servers.write(directory / "servers.pem")
    clients.issue(directory / "good.pem", "good")
    revoked = clients.issue(directory / "revoked.pem", "revoked")
    servers.issue(directory / "stranger.pem", "stranger")
    clients.write(directory / "clients.pem", revoked)
    origins = {name: Resuming(directory / "server.pem", version) for name, version in VERSIONS.items()}
    with running_pair(directory, config(origins)) as pair:
        for side in pair.sides:
            wait_for(lambda side=side: sum("is DOWN" in line for line in side.logs.lines) >= 3, 10, "checks")
        pair.first = [list(side.logs.lines) for side in pair.sides]
        yield pair, origins, directory
    for origin in origins.values():
        origin.close()


def fetch(side, frontend: str, path: str) -> int | str:
    """The status of an answer."""
    with side.talk(frontend) as talk:
        talk.send(get(path))
        answer = talk.response()
        return answer if isinstance(answer, str) else answer.status


@pytest.mark.parametrize("name", VERSIONS)
@pytest.mark.parametrize("kind", ["kept", "fresh", "ticketless"])
def test_sessions_towards_servers_go_on(world, kind, name):
    pair, origins, _ = world

    def scenario(side):
        path = f"/{side.name}/{kind}"
        statuses = []
        for number in range(1, 5):
            statuses.append(fetch(side, f"{kind}_{name}", path))
            wait_for(lambda number=number: origins[name].ended[path] == number, what="the end of the connection")
        return {"status": statuses, "resumed": origins[name].resumed[path]}

    theirs, ours = pair.both(scenario)
    judge(theirs, ours)
    if kind == "kept":
        assert ours["resumed"] == [False, True, True, True]
    if kind == "fresh":
        assert ours["resumed"] == [False] * 4


CLIENTS = {"good": "good.pem", "revoked": "revoked.pem", "stranger": "stranger.pem", "nobody": None}


@pytest.mark.parametrize("frontend", ["door", "gate"])
@pytest.mark.parametrize("who", CLIENTS)
def test_client_certificates_are_judged_alike(world, frontend, who):
    pair, _, directory = world
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(directory / "servers.pem")
    if CLIENTS[who] is not None:
        context.load_cert_chain(directory / CLIENTS[who])

    def scenario(side):
        sock = connected(side.ports[frontend])
        address = "{}:{} ".format(*sock.getsockname())
        try:
            with context.wrap_socket(sock, server_hostname="server.test") as tls:
                talk = Talk(0, sock=tls)
                talk.send(get("/"))
                answer = talk.response()
                status = "refused" if isinstance(answer, str) else (answer.status, answer.get("x-used"))
        except (ssl.SSLError, ConnectionResetError):
            status = "refused"
        lines = side.logged(1, client=address)
        return {"status": status, "log": [re.sub(r" \([^)]*\)$| \d.*", "", line.partition("]")[2]) for line in lines]}

    judge(*pair.both(scenario))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("frontend", "name", "who"),
    [
        ("strict", "other.test", "nobody"),
        ("strict", None, "nobody"),
        ("modern", "server.test", "nobody"),
        ("door", "server.test", "nobody"),
        ("door", "server.test", "stranger"),
    ],
)
def test_clients_hear_alike_why_a_handshake_failed(world, frontend, name, who, version):
    """With TLS 1.3 a client has finished before the server judges its certificate: it hears when it reads."""
    pair, _, directory = world
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = VERSIONS[version]
    if CLIENTS[who] is not None:
        context.load_cert_chain(directory / CLIENTS[who])

    def scenario(side):
        try:
            with context.wrap_socket(connected(side.ports[frontend]), server_hostname=name) as tls:
                return {"alert": tls.recv(1)}
        except ssl.SSLError as error:
            return {"alert": error.reason}

    theirs, ours = pair.both(scenario)
    judge(theirs, ours)
    if frontend == "strict":
        assert ours["alert"] == "TLSV1_UNRECOGNIZED_NAME"


@pytest.mark.parametrize(("frontend", "offer"), [("passes", ["h2"]), ("passes", ["xmpp-client", "h2"]),
    ("passes", ["other"]), ("speaks", ["h2", "http/1.1"])])  # fmt: skip
def test_protocols_are_agreed_on_alike(world, frontend, offer):
    pair, _, directory = world
    context = ssl.create_default_context(cafile=directory / "servers.pem")
    context.check_hostname = False
    context.set_alpn_protocols(offer)

    def scenario(side):
        sock = connected(side.ports[frontend])
        with context.wrap_socket(sock, server_hostname="server.test") as tls:
            return {"agreed": tls.selected_alpn_protocol()}

    judge(*pair.both(scenario))


def test_plain_servers_are_checked_by_tls_alike(world):
    theirs, ours = [
        sorted(re.sub(r"check duration: .*", "", line) for line in lines if "checked/" in line)
        for lines in world[0].first
    ]
    judge({"log": theirs}, {"log": ours})
    assert [line.split()[1] for line in ours] == ["checked/misnamed", "checked/plain", "checked/stranger"]


def test_dynamic_cookies_are_those_that_the_real_program_makes(world):
    pair = world[0]

    def scenario(side):
        expected = {dynamic_value("open sesame", Address(host="127.0.0.1", port=side.origins["a"].port)), b"own"}
        found = set()
        for _ in range(2):
            with side.talk("dynamic") as talk:
                talk.send(get("/"))
                cookie = talk.response().get("set-cookie")
                found.add(re.match("SRV=([^;]*)", cookie)[1].encode())
        kept = []
        for value in expected:
            for _ in range(3):
                with side.talk("dynamic") as talk:
                    talk.send(get("/", f"Cookie: SRV={value.decode()}"))
                    kept.append((value == b"own", talk.response().get("x-origin")))
        return {"made": found == expected, "kept": sorted(kept)}

    theirs, ours = pair.both(scenario)
    judge(theirs, ours)
    assert theirs["made"] and ours["kept"] == [(False, "a")] * 3 + [(True, "b")] * 3
