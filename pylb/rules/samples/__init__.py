"""Sample fetch methods, by subject. Importing the package registers all of them."""

from pylb.rules.samples import (
    body,
    exchange,
    headers,
    literals,
    payload,
    proxies,
    request,
    session,
    tls,
    tracked,
    transport,
)

__all__ = [
    "body",
    "exchange",
    "headers",
    "literals",
    "payload",
    "proxies",
    "request",
    "session",
    "tls",
    "tracked",
    "transport",
]
