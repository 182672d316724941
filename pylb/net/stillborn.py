"""A connection that ended before it was one, as `error-log-format` sees it: an exchange of which nothing came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylb.net.session import Session
    from pylb.rules.frontend import Frontend


class Stillborn:
    """What log fields and fetches read (rules/context.py), at its values before anything happened."""

    backend = server = response = upstream = worn = server_source = None
    head_received = dequeued = connected = responded = None
    captured_request = captured_response = captured_request_cookie = captured_response_cookie = None
    log_level = tracked = None
    request: Any = None
    request_line = applet = b""
    termination, cookie_state = b"PR", b"--"
    status = bytes_read = bytes_uploaded = retries = server_queue = backend_queue = priority_class = actconn = 0
    priority_offset = 0
    redispatched = False

    def __init__(self, frontend: Frontend, session: Session, error: Any, now: float) -> None:
        """`error.code` is one of CONNECTION_ERRORS (rules/samples/session.py); `now` the loop's clock."""
        self.frontend, self.session = frontend, session
        self.connection_error: int = error.code
        self.started, self.started_wall, self.ended = session.accepted, session.accepted_wall, now
        self.idle, self.handshake = 0.0, now - session.accepted
        self.variables: dict[str, Any] | None = None
