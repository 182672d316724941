"""What a rule, a sample fetch, a log field or a balance algorithm may see: one exchange and its session.

The live classes in net/ satisfy these protocols; tests use simple objects. Attributes, not methods, because compiled
rules read them on every request. Moments are seconds of the event loop's clock (`loop.time()`), None until reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from pylb.backend.backend import Backend
    from pylb.backend.server import Server
    from pylb.backend.tracking import Tracked
    from pylb.http1.head import RequestHead, ResponseHead
    from pylb.rules.frontend import Frontend


class TlsInfo(Protocol):
    """The client's TLS connection."""

    sni: str | None
    version: str
    """"TLSv1.3" """
    cipher: str
    """"TLS_AES_256_GCM_SHA384" """

    @property
    def alpn(self) -> str | None:
        """The protocol agreed on."""

    @property
    def resumed(self) -> bool:
        """The session continues an earlier one."""

    @property
    def client_cert(self) -> Any | None:
        """The cryptography.x509.Certificate that the client presented, verified, or None."""


class Session(Protocol):
    """A client connection's life."""

    src: str
    """Client's address as text, without port ("127.0.0.1", "::1"; "unix" on unix sockets)."""
    src_port: int
    dst: str
    dst_port: int
    accepted_wall: float
    """time.time() at accept."""
    accepted: float
    """loop.time() at accept."""

    @property
    def tls(self) -> TlsInfo | None:
        """None without TLS."""

    loop: AbstractEventLoop
    """Its `time` is the clock of all moments."""
    requests: int
    """Requests seen on this connection, the current one included."""
    variables: dict[str, Any] | None
    """sess.* variables; None until the first is set."""
    tracked: Tracked | None
    """What tcp-request connection and session rules track; None: nothing."""


class Inspected(Protocol):
    """A connection in TCP mode whose first bytes are being looked at."""

    payload: bytes
    more_may_come: bool
    """The client may still send, and there is time and room to wait for it."""
    changing: bool
    """Set by a fetch that could give something else when more has come."""


class Context(Protocol):
    """One exchange: a request and its response. HAProxy: stream."""

    @property
    def session(self) -> Session: ...

    frontend: Frontend
    backend: Backend | None
    server: Server | None
    request: RequestHead
    """The request as it is now, edits included. An exchange that failed before its head was read has
    `request_line` only."""
    request_line: bytes
    """Method, target and version as received (or the first bytes of a bad request); for %r and friends."""
    response: ResponseHead | None
    status: int
    """What the client got; 0: nothing (logged as -1)."""

    started: float
    """First byte of this request (keep-alive: of this one, not the connection). TCP mode: accept."""
    started_wall: float
    """time.time() of the same moment."""
    idle: float
    """Seconds the connection waited for this request's first byte (%Ti)."""
    handshake: float
    """Seconds of TLS handshake, PROXY header (%Th); 0 after the first request."""
    head_received: float | None
    """Request head complete, or with it what rules waited for of the body."""
    dequeued: float | None
    """A server was assigned, queues are behind."""
    connected: float | None
    """Server connection ready (at once when reused)."""
    responded: float | None
    """Response head complete."""
    ended: float | None

    bytes_read: int
    """Bytes sent to the client, heads included (%B)."""
    bytes_uploaded: int
    """Bytes received from the client, heads included (%U)."""
    termination: bytes
    """First two letters of HAProxy's termination state (manual 8.5), for example b"--", b"SC", b"cD"."""
    cookie_state: bytes
    """Third and fourth letter, for example b"--", b"NI", b"VN"."""
    retries: int
    redispatched: bool
    server_queue: int
    """Requests before this one in the server's queue when it entered (%sq)."""
    backend_queue: int
    """… in the backend's queue (%bq)."""
    captured_request: list[bytes | None] | None
    """One per `capture request header`, in order; None in the list: absent."""
    captured_response: list[bytes | None] | None
    captured_request_cookie: bytes | None
    """`NAME=value` for `capture cookie`"""
    captured_response_cookie: bytes | None
    variables: dict[str, Any] | None
    """txn/req/res variables by full name ("txn.a"); None until the first is set."""
    tracked: Tracked | None
    """What rules track, the session's included; None: nothing."""
    applet: bytes
    """Who answers in a server's place, logged for its name: b"<STATS>"; b"" otherwise."""
    actconn: int
    """Process-wide connections when logged."""
    log_level: int | None
    """`http-request set-log-level`: syslog number, -1 silent, None unchanged."""
    priority_class: int
    """`http-request set-priority-class` for queues; 0."""
    priority_offset: int
    """`http-request set-priority-offset`: milliseconds to be taken to have come later; 0."""
