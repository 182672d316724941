"""Sample fetch methods, by subject. Importing the package registers all of them."""

from pylb.rules.samples import exchange, headers, literals, payload, proxies, request, session, tls, transport

__all__ = ["exchange", "headers", "literals", "payload", "proxies", "request", "session", "tls", "transport"]
