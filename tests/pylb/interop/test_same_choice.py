"""Which server is chosen, beside the real program: every algorithm, weights, backups, servers that go down and come
back, connections that are reused, and WebSocket and TLS through it all."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import websockets
from haproxy_pair import Talk, connected, normal_line, running_pair
from same_cases import describe, get, judge
from support import wait_for

pytestmark = pytest.mark.interop

EXACT = {
    "static_rr": "static-rr", "first": "first", "source": "source", "uri": "uri", "uri_len": "uri len 4 depth 2",
    "uri_whole": "uri whole", "url_param": "url_param id", "hdr": "hdr(X-Key)",
    "uri_consistent": "uri\n hash-type consistent",
    "source_consistent": "source\n hash-type consistent djb2 avalanche", "uri_djb2": "uri\n hash-type map-based djb2",
    "uri_wt6": "uri\n hash-type map-based wt6 avalanche", "uri_crc32": "uri\n hash-type map-based crc32",
    "roundrobin": "roundrobin", "leastconn": "leastconn",
}  # fmt: skip
SERVERS = """
    server a "127.0.0.1:${SRV_a}" weight 1
    server b "127.0.0.1:${SRV_b}" weight 2
    server c "127.0.0.1:${SRV_c}" weight 4
"""

CONFIG = (
    r"""
global
    nbthread 1
    log "127.0.0.1:${LOG}" local0
    ca-base "${DIR}/.."
    crt-base "${DIR}/.."

defaults
    mode http
    log global
    option httplog
    retries 1
    option redispatch 1
    timeout connect 500ms
    timeout client 3s
    timeout server 3s
    timeout tunnel 5s
    timeout check 5s
    default-server inter 500ms fastinter 50ms downinter 50ms fall 1 rise 1
"""
    + "".join(
        f'\nlisten {name}\n    bind "127.0.0.1:${{FE_{name}}}"\n    balance {words}\n{SERVERS}'
        for name, words in EXACT.items()
    )
    + r"""
listen random
    bind "127.0.0.1:${FE_random}"
    balance random
"""
    + SERVERS
    + r"""
listen backups
    bind "127.0.0.1:${FE_backups}"
    option httpchk GET /health
    http-check send hdr User-Agent check
    server main "127.0.0.1:${SRV_main}" check
    server spare1 "127.0.0.1:${SRV_spare1}" backup
    server spare2 "127.0.0.1:${SRV_spare2}" backup

listen allbackups
    bind "127.0.0.1:${FE_allbackups}"
    option allbackups
    server dead "127.0.0.1:${DEAD}" check
    server spare1 "127.0.0.1:${SRV_spare1}" backup
    server spare2 "127.0.0.1:${SRV_spare2}" backup

frontend numbers
    bind "127.0.0.1:${FE_numbers}"
    acl main_gone nbsrv(backups) lt 3
    acl dead_down srv_is_up(allbackups/dead)
    http-request set-var(txn.n) nbsrv(allbackups)
    acl wanted path /numbers
    http-request return status 200 content-type text/plain lf-string "%[var(txn.n)] %[be_conn(allbackups)]" if wanted
    use_backend backups if !main_gone
    use_backend allbackups if !dead_down

listen reuse_never
    bind "127.0.0.1:${FE_reuse_never}"
    http-reuse never
    server a "127.0.0.1:${SRV_a}"

listen reuse_safe
    bind "127.0.0.1:${FE_reuse_safe}"
    server a "127.0.0.1:${SRV_a}"

listen reuse_always
    bind "127.0.0.1:${FE_reuse_always}"
    http-reuse always
    server a "127.0.0.1:${SRV_a}"

listen server_close
    bind "127.0.0.1:${FE_server_close}"
    option http-server-close
    server a "127.0.0.1:${SRV_a}"

listen socket
    bind "127.0.0.1:${FE_socket}"
    server w "127.0.0.1:${SRV_socket}"

listen tls
    bind "127.0.0.1:${FE_tls}" ssl crt one.pem crt two.pem alpn http/1.1
    http-request set-header X-Details "%[ssl_fc] %[ssl_fc_sni] %[ssl_fc_protocol] %[ssl_fc_alpn] %[ssl_fc_cipher]"
    http-request set-header X-Forwarded-Proto https if { ssl_fc }
    log-format "%ci:%cp %sslv %ST %ft %tsc"
    server a "127.0.0.1:${SRV_a}"

listen tls_strict
    bind "127.0.0.1:${FE_tls_strict}" ssl crt one.pem strict-sni ssl-min-ver TLSv1.3
    server a "127.0.0.1:${SRV_a}"

listen tls_client
    bind "127.0.0.1:${FE_tls_client}" ssl crt one.pem ca-file ca.pem verify optional
    http-request set-header X-Client "%[ssl_c_used] %[ssl_c_verify] %[ssl_c_s_dn(cn)]"
    server a "127.0.0.1:${SRV_a}"

listen through_tls
    bind "127.0.0.1:${FE_through_tls}"
    server tls "127.0.0.1:${FE_tls}" ssl verify required ca-file one.pem sni str(one.test) verifyhost one.test

listen through_tls_unverified
    bind "127.0.0.1:${FE_through_tls_unverified}"
    server tls "127.0.0.1:${FE_tls}" ssl verify none

listen through_tls_distrusted
    bind "127.0.0.1:${FE_through_tls_distrusted}"
    server tls "127.0.0.1:${FE_tls}" ssl verify required ca-file two.pem

listen plain_to_tls
    bind "127.0.0.1:${FE_plain_to_tls}"
    server tls "127.0.0.1:${FE_tls}"
"""
)


def certificate(directory: Path, name: str, *names: str) -> None:
    """With our own command, as a lab would."""
    command = [sys.executable, "-m", "pylb", "cert", *names, "-o", str(directory / name)]
    subprocess.run(command, check=True, capture_output=True, timeout=20)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    directory = tmp_path_factory.mktemp("choice")
    certificate(directory, "one.pem", "one.test", "*.wild.test")
    certificate(directory, "two.pem", "two.test")
    certificate(directory, "client.pem", "client.test")
    (directory / "ca.pem").write_bytes((directory / "client.pem").read_bytes())
    with running_pair(directory, CONFIG, {}) as pair:
        pair.directory = directory
        for side in pair.sides:
            wait_for(lambda side=side: any("allbackups/dead is DOWN" in line for line in side.logs.lines), 10)
        yield pair


def chosen(side, frontend: str, requests: list[bytes]) -> list[str]:
    """The servers that answer, one connection each."""
    names = []
    for request in requests:
        with side.talk(frontend) as talk:
            talk.send(request)
            answer = talk.response()
            names.append(answer if isinstance(answer, str) else answer.get("x-origin") or str(answer.status))
    return names


VARIED = [
    get(f"/{n % 7}/{n}/page?id={n * 37 % 11}&x={n}", f"X-Key: key{n % 13}") for n in range(28)
] + [get("/", "X-Key: "), get("/?id="), get("*", method="OPTIONS")]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in EXACT if name not in ("roundrobin", "leastconn")])
def test_the_same_servers_for_the_same_requests(pair, name):
    judge(*pair.both(lambda side: {"servers": chosen(side, name, VARIED)}))


@pytest.mark.parametrize("name", ["roundrobin", "leastconn"])
def test_shares_follow_weights(pair, name):
    judge(*pair.both(lambda side: {"servers": Counter(chosen(side, name, VARIED[:28]))}))


def test_random_follows_weights_roughly(pair):
    def scenario(side):
        shares = Counter(chosen(side, "random", VARIED * 4))
        return {"in order": shares["a"] < shares["b"] < shares["c"], "all": sum(shares.values())}

    judge(*pair.both(scenario))


def test_a_backup_serves_while_the_main_server_is_down(pair):
    def scenario(side):
        origin = side.origins["main"]
        outcome = [chosen(side, "backups", [get("/")] * 3)]
        origin.pause()
        wait_for(lambda: any("backups/main is DOWN" in line for line in side.logs.lines), 10)
        outcome.append(chosen(side, "backups", [get("/")] * 3))
        outcome.append(chosen(side, "numbers", [get("/")] * 2))
        origin.resume()
        wait_for(lambda: any("backups/main is UP" in line for line in side.logs.lines), 10)
        outcome.append(chosen(side, "backups", [get("/")] * 2))
        lines = [line for line in side.logs.lines if "Server backups/main" in line]
        # A check that is under way ends otherwise than one that begins after the end.
        return {"servers": outcome, "log": [re.sub(r"DOWN, .*|duration: .*", "DOWN", line) for line in lines]}

    judge(*pair.both(scenario))


def test_all_backups_share(pair):
    judge(*pair.both(lambda side: {"servers": Counter(chosen(side, "allbackups", [get("/")] * 6))}))


def test_numbers_about_servers(pair):
    def scenario(side):
        with side.talk("numbers") as talk:
            talk.send(get("/numbers"))
            return describe([talk.response()])

    judge(*pair.both(scenario))


@pytest.mark.parametrize("name", ["reuse_never", "reuse_safe", "reuse_always", "server_close"])
def test_connections_to_servers_are_reused_alike(pair, name):
    """Three clients with three requests each, one after the other: how many connections their server sees."""

    def scenario(side):
        for _ in range(3):
            with side.talk(name) as talk:
                for _ in range(3):
                    talk.send(get("/"))
                    talk.response()
        numbers = [record.connection for record in side.records()]
        firsts = [number not in numbers[: 3 * client] for client, number in enumerate(numbers[::3])]
        return {"connections": len(set(numbers)), "a client's first request gets a new one": firsts}

    judge(*pair.both(scenario))


# ------------------------------------------------------------------------------------------------------------ WebSocket


async def converse(port: int, server: int) -> tuple[str, list[object]]:
    """A WebSocket server behind the frontend, a client in front of it: text, binary, large, ping, close. The client's
    address, and what it saw."""

    async def echo(connection) -> None:
        async for message in connection:
            await connection.send(message)

    async with (
        websockets.serve(echo, "127.0.0.1", server, max_size=None, subprotocols=["chat"], reuse_port=True),
        websockets.connect(f"ws://127.0.0.1:{port}/ws", max_size=None, subprotocols=["chat"]) as client,
    ):
        seen: list[object] = [client.subprotocol]
        for message in ("hello", b"\0\1\2", "x" * 1_000_000):
            await client.send(message)
            seen.append(await asyncio.wait_for(client.recv(), 10) == message)
        await asyncio.wait_for(await client.ping(), 5)
        await client.close(4000, "enough")
        host, port = client.local_address
        return f"{host}:{port} ", [*seen, client.close_code]


def test_web_sockets_pass(pair):
    def scenario(side):
        side.origins["socket"].close()
        client, seen = asyncio.run(converse(side.ports["socket"], side.origins["socket"].port))
        return {"seen": seen, "log": [normal_line(line) for line in side.logged(1, client=client)]}

    theirs, ours = pair.both(scenario)
    assert ours["seen"] == ["chat", True, True, True, 4000]
    judge(theirs, ours)


# ------------------------------------------------------------------------------------------------------------------ TLS


def secure(side, frontend: str, name: str | None, pair, **settings) -> Talk:
    """A TLS connection that takes any certificate; `client`: shows one of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    if "maximum" in settings:
        context.maximum_version = settings["maximum"]
    if settings.get("client"):
        context.load_cert_chain(pair.directory / settings["client"])
    raw = connected(side.ports[frontend])
    return Talk(0, sock=context.wrap_socket(raw, server_hostname=name))


def names_of(talk: Talk) -> str:
    """The certificate that the server showed, as one of ours."""
    return ssl.DER_cert_to_PEM_cert(talk.sock.getpeercert(binary_form=True))


@pytest.mark.parametrize("name", [None, "one.test", "two.test", "a.wild.test", "a.b.wild.test", "other.test"])
def test_certificates_are_chosen_by_name(pair, name):
    def scenario(side):
        with secure(side, "tls", name, pair) as talk:
            talk.send(get("/"))
            answer = talk.response()
            shown = names_of(talk)
            record = side.records()[0]
            files = {file: (pair.directory / file).read_text() for file in ("one.pem", "two.pem")}
            (line,) = side.logged(1, client=talk.address)
        return describe([answer]) | {
            "certificate": [file for file, text in files.items() if shown in text],
            "details": record.get("x-details"), "proto": record.get("x-forwarded-proto"), "alpn": talk.sock.version(),
            "log": line.split(" ", 1)[1],
        }  # fmt: skip

    judge(*pair.both(scenario))


@pytest.mark.parametrize(
    "name,settings",
    [("one.test", {}), ("other.test", {}), (None, {}), ("one.test", {"maximum": ssl.TLSVersion.TLSv1_2})],
    ids=["its name", "another name", "no name", "an old version"],
)
def test_strict_names_and_versions(pair, name, settings):
    def scenario(side):
        try:
            with secure(side, "tls_strict", name, pair, **settings) as talk:
                talk.send(get("/"))
                return {"status": talk.response().status}
        except (ssl.SSLError, ConnectionError):
            return {"status": "refused"}

    judge(*pair.both(scenario))


@pytest.mark.parametrize("client", [None, "client.pem", "two.pem"])
def test_client_certificates(pair, client):
    def scenario(side):
        try:
            with secure(side, "tls_client", "one.test", pair, client=client) as talk:
                talk.send(get("/"))
                answer = talk.response()
        except (ssl.SSLError, ConnectionError):
            answer = "refused"
        status = answer.status if not isinstance(answer, str) else "refused"
        return {"status": status, "details": [record.get("x-client") for record in side.records()]}

    judge(*pair.both(scenario))


@pytest.mark.parametrize("name", ["through_tls", "through_tls_unverified", "through_tls_distrusted", "plain_to_tls"])
def test_servers_behind_tls(pair, name):
    def scenario(side):
        with side.talk(name) as talk:
            talk.send(get("/"))
            outcome = describe([talk.response()])
            outcome["log"] = [normal_line(line) for line in side.logged(1, client=talk.address)]
        outcome["details"] = [record.get("x-details") for record in side.records()]
        return outcome

    judge(*pair.both(scenario))


def test_plain_http_on_a_tls_port_is_one_line(pair):
    def scenario(side):
        with side.talk("tls") as talk:
            talk.send(get("/"))
            rest = talk.rest()[0]
            lines = side.logged(1, client=talk.address.strip())
        return {"answered": b"HTTP" in rest, "lines": len(lines)}

    judge(*pair.both(scenario))
