"""What is measured, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scenario:
    """One way to use the proxy. `frontend` is a section of haproxy.cfg and the variable with its port."""

    name: str
    about: str
    frontend: str = "keepalive"
    path: str = "/item/"
    """Prefix of the paths, a location of nginx.conf."""
    method: str = "GET"
    body: int = 0
    """Bytes of a request's body."""
    close: bool = False
    """The client asks for the end of the connection with each request."""
    connections: int = 64
    goal: float | None = None
    """The most that pylb's CPU per request may be, times HAProxy's."""

    @property
    def tls(self) -> bool:
        return self.frontend == "tls"

    @property
    def site(self) -> bool:
        """With log, cookie and X-Forwarded-For."""
        return self.frontend != "bare"

    @property
    def client_ends(self) -> bool:
        """A client connection carries one request."""
        return self.close or self.frontend == "both_close"

    def server_ends(self, reuse_safe: bool) -> bool:
        """A server connection carries one request: asked for, or the rule for a client's first (http-reuse safe)."""
        asked = self.frontend in ("server_close", "both_close")
        return asked or (reuse_safe and self.close and self.frontend != "client_close")


SCENARIOS = (
    Scenario("keepalive", "64 B answers, log, cookie, X-Forwarded-For, choice by Host", goal=2.0),
    Scenario("bare", "64 B answers; no log, no cookie, no rule", frontend="bare", goal=2.0),
    Scenario(
        "client-close", "a client connection per request, server connections kept", frontend="client_close", close=True
    ),
    Scenario("server-close", "a server connection per request (http-server-close)", frontend="server_close"),
    Scenario("both-close", "a connection per request on both sides (httpclose)", frontend="both_close"),
    Scenario("post-2k", "POST with 2 KB", path="/form/", method="POST", body=2048),
    Scenario("body-10k", "answers of 10 KB", path="/page/"),
    Scenario("body-1m", "answers of 1 MB", path="/image/", connections=16, goal=1.5),
    Scenario("chunked", "chunked answers of 9 KB in 8 pieces", path="/parts/"),
    Scenario("tls-keepalive", "TLS, 64 B answers on kept connections", frontend="tls"),
    Scenario("tls-connect", "TLS, a client and a server connection per request", frontend="tls", close=True),
    Scenario("connections-1000", "64 B answers on 1,000 client connections at once", connections=1000),
)

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
