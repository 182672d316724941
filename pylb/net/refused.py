"""Why a connection ended before it was one: HAProxy's codes and words for what went wrong in its handshakes."""

from __future__ import annotations

import socket
import ssl

from pylb.http1.errors import ProtocolError
from pylb.rules.samples.session import (
    CONNECTION_ERRORS,
    NO_CLIENT_CA,
    NO_CLIENT_CERTIFICATE,
    NO_HANDSHAKE,
    NO_PROXY_HEADER,
    PROXY_CLOSED,
    PROXY_CUT,
    PROXY_ERROR,
    PROXY_TIMEOUT,
    TLS_CLOSED,
    TLS_TIMEOUT,
)

NO_ISSUER = frozenset({2, 19, 24})
"""X509_V_ERR_… that are found above the client's own certificate, in its chain (OpenSSL's x509_vfy.h)."""
NULL = frozenset({PROXY_CLOSED, PROXY_ERROR, PROXY_TIMEOUT, TLS_CLOSED, TLS_TIMEOUT})
"""Nothing was said: `option dontlognull` leaves them out, which probes of the port are."""


class Refused(Exception):
    """A connection that ends before it was one; the message is for the log."""

    def __init__(self, code: int, detail: object = "") -> None:
        """`code` is one of CONNECTION_ERRORS; what HAProxy does not tell stands behind its words in parentheses."""
        super().__init__(f"{CONNECTION_ERRORS[code]} ({detail})" if str(detail) else CONNECTION_ERRORS[code])
        self.code = code

    @property
    def null(self) -> bool:
        """It came to nothing without a word of the client's."""
        return self.code in NULL


def without_header(error: Exception, sock: socket.socket) -> Refused:
    """`error` is what came in place of a PROXY protocol header."""
    if isinstance(error, ProtocolError):
        return Refused(NO_PROXY_HEADER, error)
    if isinstance(error, EOFError | TimeoutError):
        if _has_bytes(sock):
            return Refused(PROXY_CUT)
        return Refused(PROXY_CLOSED if isinstance(error, EOFError) else PROXY_TIMEOUT)
    return Refused(PROXY_ERROR, error)


def _has_bytes(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except OSError:
        return False


def without_tls(error: OSError, answered: bool) -> Refused:
    """`error` ended a TLS handshake; `answered`: after a whole hello."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Refused(NO_CLIENT_CA if error.verify_code in NO_ISSUER else NO_CLIENT_CERTIFICATE)
    if isinstance(error, ConnectionAbortedError):  # the loop's own word for its limit
        return Refused(TLS_TIMEOUT)
    if isinstance(error, ConnectionResetError) and error.errno is None and not answered:  # the loop's for an end
        return Refused(TLS_CLOSED)
    reason = getattr(error, "reason", None)
    if reason in ("HTTP_REQUEST", "WRONG_VERSION_NUMBER"):
        reason = "plain HTTP on a TLS port"
    return Refused(NO_HANDSHAKE, reason or error)
