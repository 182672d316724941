"""Any order of events: whatever clients, servers, checks and the clock do, nothing raises, nothing is written after an
end, limits hold all the time, and in the end everything that was taken has been given back."""

from __future__ import annotations

from math import inf

from conversation import GET, OK, Peer, World, config
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule
from support import examples

from pylb.net.flow import CLIENT_FULL
from pylb.net.session import CLOSED, WAITING, Session

UPGRADE = b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
REQUESTS = [
    GET,
    GET * 3,
    b"GET / HTTP/1.0\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123",
    b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n0123",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 700000\r\n\r\n" + b"u" * 300_000,
    b"POST /deny HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
    b"POST /tarpit HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
    b"GET /return HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"POST /stats HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
    UPGRADE,
    b"GET / HT",
    b"456789",
    b"0\r\n\r\n",
    b"junk\r\n\r\n",
    b"u" * 400_000,
]
RESPONSES = [
    OK,
    OK + OK,
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123",
    b"456789",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nabc",
    b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy",
    b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nConnection: close\r\n\r\nb",
    b"HTTP/1.1 304 Not Modified\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b"d" * 400_000,
    b"d" * 500_000,
    b"HTTP/1.1 20",
    b"junk\r\n\r\n",
]


class Conversations(RuleBasedStateMachine):
    """See the module."""

    clients = Bundle("clients")
    text = config(
        defaults=" timeout http-request 8s\n timeout queue 6s\n timeout tarpit 4s\n timeout http-keep-alive 9s\n",
        frontend="maxconn 4\n http-request deny if { path /deny }\n http-request tarpit if { path /tarpit }\n"
        " http-request return status 200 if { path /return }\n stats enable\n stats uri /stats\n stats admin if TRUE",
        backend="option redispatch 1\n retries 2\n retry-on conn-failure empty-response 503 response-timeout\n"
        " cookie S insert indirect",
        servers="server s1 127.0.0.1:2 maxconn 1 maxqueue 1 check cookie a on-marked-down shutdown-sessions\n"
        " server s2 127.0.0.1:3 maxconn 1 check cookie b\n server s3 127.0.0.1:4 check backup",
    )

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.text)
        self.servers: list[Peer] = []

    def pick(self, number: int) -> Peer | None:
        alive = [server for server in self.servers if not server.transport.closing]
        return alive[number % len(alive)] if alive else None

    @rule(target=clients)
    def a_client_comes(self) -> Peer:
        return self.world.client()

    @rule(client=clients, data=st.sampled_from(REQUESTS), piece=st.sampled_from([None, None, 7, 65536]))
    def it_sends(self, client: Peer, data: bytes, piece: int | None) -> None:
        client.sends(data, piece if len(data) < 10_000 else None)

    @rule(client=clients, size=st.sampled_from([0, 1, 100_000, None]))
    def it_takes(self, client: Peer, size: int | None) -> None:
        client.takes(size)

    @rule(client=clients)
    def it_ends(self, client: Peer) -> None:
        client.ends()

    @rule(client=consumes(clients))
    def it_resets(self, client: Peer) -> None:
        client.resets()

    @precondition(lambda self: self.world.connecting)
    @rule()
    def a_server_accepts(self) -> None:
        self.servers.append(self.world.server())

    @precondition(lambda self: self.world.connecting)
    @rule()
    def a_server_refuses(self) -> None:
        self.world.refuses()

    @precondition(lambda self: self.servers)
    @rule(number=st.integers(0, 9), data=st.sampled_from(RESPONSES), piece=st.sampled_from([None, None, 5]))
    def a_server_sends(self, number: int, data: bytes, piece: int | None) -> None:
        server = self.pick(number)
        if server is not None:
            server.sends(data, piece if len(data) < 10_000 else None)

    @precondition(lambda self: self.servers)
    @rule(number=st.integers(0, 9), how=st.sampled_from(["ends", "resets", "stops", "takes"]))
    def a_server_turns(self, number: int, how: str) -> None:
        server = self.pick(number)
        if server is None:
            return
        if how in ("ends", "resets"):
            getattr(server, how)()
        else:
            server.takes(0 if how == "stops" else None)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.1, 5.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.passes(seconds)

    @rule(server=st.sampled_from(["s1", "s2", "s3"]), up=st.booleans())
    def a_check_decides(self, server: str, up: bool) -> None:
        self.world.mark(server, up)

    @invariant()
    def limits_hold(self) -> None:
        world = self.world
        assert world.frontend().counters.scur <= 4
        backend = world.backend()
        for server in backend.servers:
            assert 0 <= server.counters.scur <= (server.maxconn or 4)
            assert all(connection.exchange is None for connection in server.idle)
        for peer in world.peers:
            assert len(peer.transport.buffer) < 1_500_000

    @invariant()
    def whoever_is_waited_for_is_read_and_has_a_deadline(self) -> None:
        for client in self.world.peers:
            session = client.protocol
            if not isinstance(session, Session) or client.transport.closing or session.phase in (CLOSED, WAITING):
                continue
            exchange = session.exchange
            if exchange is None:
                assert session.deadline < inf, "it may stay for ever"
                assert session.held & CLIENT_FULL or client.transport.reading, "its next request is not read"
                continue
            upstream = exchange.upstream
            deadlines = [session.deadline, upstream.deadline if upstream is not None else inf]
            assert min(deadlines) < inf or exchange._turnaround is not None, f"stage {exchange.stage} may last for ever"

    def teardown(self) -> None:
        world = self.world
        try:
            world.end()
        finally:
            world.close()


Conversations.TestCase.settings = settings(
    max_examples=examples(100),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large],
)
TestConversations = Conversations.TestCase


class WaitingConversations(Conversations):
    """The same where rules wait for bodies."""

    text = Conversations.text.replace(
        "http-request deny", "http-request wait-for-body time 3s at-least 5 if METH_POST\n http-request deny", 1
    ).replace(" option redispatch 1", " option http-buffer-request\n option redispatch 1")


WaitingConversations.TestCase.settings = Conversations.TestCase.settings
TestWaitingConversations = WaitingConversations.TestCase


class TcpConversations(Conversations):
    """Plain bytes: rules that look at what comes first, queues, ends of one direction."""

    text = (
        config(
            defaults=" timeout queue 6s\n",
            frontend="maxconn 4\n tcp-request inspect-delay 3s\n"
            " tcp-request content reject if { req.payload(0,1) -m str j }\n"
            " tcp-request content accept if { req.len gt 5 }",
            backend="option redispatch 1\n retries 2\n tcp-request inspect-delay 2s\n"
            " tcp-request content reject if { req.payload(0,6) -m str 456789 }",
            servers="server s1 127.0.0.1:2 maxconn 1 maxqueue 1 check on-marked-down shutdown-sessions\n"
            " server s2 127.0.0.1:3 maxconn 1 check\n server s3 127.0.0.1:4 check backup",
        )
        .replace("mode http", "mode tcp")
        .replace("option httplog", "option tcplog")
    )


TcpConversations.TestCase.settings = Conversations.TestCase.settings
TestTcpConversations = TcpConversations.TestCase
