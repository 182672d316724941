"""Doctor: what is asked of TLS and cannot be given."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from pylb.config.check.registry import rule, warning
from pylb.config.check.walk import binds, named, servers
from pylb.config.model import Config, Finding

CHOOSES_SUITES = hasattr(ssl.SSLContext, "set_ciphersuites")
"""Python from 3.15 on can choose the cipher suites of TLS 1.3."""


@rule("http-two-offered")
def http_two_offered(config: Config) -> Iterator[Finding]:
    """A peer that chose HTTP/2 could not be served. In TCP mode bytes pass, whatever they mean."""
    for frontend, bind in binds(config):
        if bind.tls is not None and "h2" in bind.tls.alpn and frontend.mode == "http":
            yield warning(
                bind.at, f'"h2" is left out of alpn of {named(frontend)}: HTTP/2 is not supported by pylb yet',
                "alpn http/1.1",
            )  # fmt: skip
    for backend, server in servers(config):
        if server.tls is not None and "h2" in server.tls.alpn and backend.mode == "http":
            yield warning(
                server.at, f'"h2" is left out of alpn of server "{server.name}": HTTP/2 is not supported by pylb yet',
                "alpn http/1.1",
            )  # fmt: skip


@rule("ciphersuites-not-chosen")
def ciphersuites_not_chosen(config: Config) -> Iterator[Finding]:
    """Below Python 3.15 nothing but OpenSSL's own list can be had."""
    if CHOOSES_SUITES:
        return
    asking = [bind.at for _, bind in binds(config) if bind.tls is not None and bind.tls.ciphersuites]
    asking += [server.at for _, server in servers(config) if server.tls is not None and server.tls.ciphersuites]
    defaults = (config.globals.ssl_default_bind, config.globals.ssl_default_server)
    asking += [config.globals.at for settings in defaults if settings.ciphersuites]
    for at in asking:
        yield warning(
            at,
            '"ciphersuites" has no effect: Python before 3.15 cannot choose the suites of TLS 1.3',
            "ssl-max-ver TLSv1.2 with ciphers, if it must be these",
        )
