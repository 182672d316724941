"""Where clients come in, and operators: addresses, `bind`, `stats socket`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Literal

from pylb.config.model.origin import NOWHERE, Origin


def abstract(name: str) -> str:
    """An abstract socket as HAProxy calls it for the kernel: all 108 bytes of sun_path (unix(7)), NUL at both ends. The
    tools that call it by its letters alone are others (socat: ABSTRACT-CONNECT:name,unix-tightsocklen=0)."""
    return "\0" + name + "\0" * (107 - len(os.fsencode(name)))


@dataclass(frozen=True, slots=True)
class Address:
    """Where to bind or connect. Manual: `bind`, `server`, "address formats".

    kind    fields        text
    inet    host, port    `1.2.3.4:80`, `*:80`, `:80`, `ipv4@…`, `ipv6@…`, `[::]:80`, `name:80`; host "" is any address
    unix    path          `/path`, `unix@path`
    abns    path          `abns@name` (Linux abstract socket)
    fd      fd            `fd@3`: an inherited listening socket
    """

    kind: Literal["inet", "unix", "abns", "fd"] = "inet"
    host: str = ""
    port: int | None = None
    """None on a server without a port: the port the client connected to."""
    port_end: int | None = None
    """The last port of a range `:80-89` on a bind."""
    path: str = ""
    fd: int = -1
    family: Literal["any", "ipv4", "ipv6"] = "any"
    """Forced by `ipv4@` and `ipv6@`."""
    port_offset: bool = False
    """A server's `+N` or `-N`: `port` is added to the port the client connected to."""

    @property
    def socket_path(self) -> str:
        """What a unix or abstract socket is called for the kernel."""
        return abstract(self.path) if self.kind == "abns" else self.path

    @property
    def place(self) -> str:
        """A listening address with its kind before it: "unix@/run/a.sock", "ipv4@0.0.0.0:80"."""
        if self.kind == "fd":
            return f"fd@{self.fd}"
        if self.kind != "inet":
            return f"{self.kind}@{self.path}"
        if ":" in self.host or self.family == "ipv6":
            return f"ipv6@{self.host or '::'}:{self.port}"
        return f"ipv4@{self.host or '0.0.0.0'}:{self.port}"


@dataclass(frozen=True, slots=True)
class BindTls:
    """`bind … ssl crt …`. Manual: 5.1 "Bind options"."""

    certificates: tuple[str, ...] = ()
    """crt: PEM files, or directories of them; the first is the default certificate."""
    crt_list: tuple[str, ...] = ()
    """crt-list: files of certificates with settings and names of their own."""
    crt_list_first: bool = False
    """The first crt-list stands before any crt: the default certificate is its first."""
    strict_sni: bool = False
    """strict-sni: no certificate for the name, no handshake."""
    alpn: tuple[str, ...] = ()
    min_version: str | None = None
    """ssl-min-ver: "TLSv1.0" … "TLSv1.3"; default TLSv1.2."""
    max_version: str | None = None
    """ssl-max-ver"""
    ciphers: str | None = None
    """ciphers: OpenSSL list, TLS 1.2 and below."""
    ciphersuites: str | None = None
    """ciphersuites: TLS 1.3."""
    ca_file: str | None = None
    verify: Literal["none", "optional", "required"] = "none"
    crl_file: str | None = None
    tickets: bool = True
    """no-tls-tickets turns session tickets off."""


@dataclass(frozen=True, slots=True)
class Bind:
    """One `bind` line and address (a line with several addresses gives several)."""

    address: Address
    tls: BindTls | None = None
    name: str | None = None
    maxconn: int | None = None
    backlog: int | None = None
    mode: int | None = None
    """Unix socket's permissions, for example 0o600."""
    user: str | None = None
    group: str | None = None
    uid: int | None = None
    gid: int | None = None
    v6only: bool = False
    v4v6: bool = False
    interface: str | None = None
    tfo: bool = False
    transparent: bool = False
    accept_proxy: bool = False
    """accept-proxy: a PROXY protocol header precedes every connection."""
    defer_accept: bool = False
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class StatsSocket:
    """`stats socket ADDRESS [level …]`, the admin socket (manual: 3.1 `stats socket`)."""

    bind: Bind
    level: Literal["user", "operator", "admin"] = "operator"
    expose_fd_listeners: bool = False
    """expose-fd listeners; of no meaning for the master socket"""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)
