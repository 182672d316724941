"""The global section, users, and everything together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pylb.config.model.binds import BindTls, StatsSocket
from pylb.config.model.logs import LogTarget
from pylb.config.model.origin import NOWHERE, Finding, Origin
from pylb.config.model.proxies import Backend, Frontend
from pylb.config.model.servers import ServerTls


@dataclass(frozen=True, slots=True)
class Tune:
    """Performance limits of the global section (manual: 3.2)."""

    bufsize: int = 16384
    """tune.bufsize: the most bytes of one head, request or response."""
    maxrewrite: int = 1024
    """tune.maxrewrite: of these, kept free for headers that rules add."""
    max_headers: int = 101
    """tune.http.maxhdr"""
    idle_pool_shared: bool = True


@dataclass(frozen=True, slots=True)
class Global:
    """The `global` section."""

    maxconn: int | None = None
    log: tuple[LogTarget, ...] = ()
    log_tag: str = "haproxy"
    log_send_hostname: str | None = None
    """log-send-hostname [NAME]; "" for the machine's name"""
    chroot: str | None = None
    pidfile: str | None = None
    user: str | None = None
    group: str | None = None
    uid: int | None = None
    gid: int | None = None
    daemon: bool = False
    workers: int | None = None
    """nbthread: worker processes; None: 1, 0 (in TOML "auto"): one per CPU."""
    stats_sockets: tuple[StatsSocket, ...] = ()
    master_socket: StatsSocket | None = None
    """HAProxy's -S: the master's own socket, for all generations. Read at the start, not by a reload."""
    stats_timeout: float = 10.0
    stats_maxconn: int = 10
    node: str | None = None
    description: str | None = None
    hard_stop_after: float | None = None
    spread_checks: int = 0
    """Per cent by which check intervals vary."""
    max_rate: int | None = None
    """maxconnrate"""
    ca_base: str | None = None
    crt_base: str | None = None
    ssl_default_bind: BindTls = BindTls()
    """ssl-default-bind-options|ciphers|ciphersuites"""
    ssl_default_server: ServerTls = ServerTls()
    ssl_server_verify: Literal["none", "required"] = "required"
    server_state_file: str | None = None
    server_state_base: str | None = None
    tune: Tune = Tune()
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class UserList:
    """`userlist NAME` with its users, for http_auth() and stats."""

    name: str
    users: tuple[tuple[str, str, bool], ...] = ()
    """(name, password, insecure): insecure passwords are plain text, others crypt(3) strings."""
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration."""

    globals: Global = Global()
    frontends: tuple[Frontend, ...] = ()
    backends: tuple[Backend, ...] = ()
    userlists: tuple[UserList, ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, compare=False, repr=False)
    """The variables there are after the last line (setenv and its like), and those that name the process."""

    def backend(self, name: str) -> Backend | None:
        """The backend of that name, or None."""
        return next((b for b in self.backends if b.name == name), None)

    def frontend(self, name: str) -> Frontend | None:
        """The frontend of that name, or None."""
        return next((f for f in self.frontends if f.name == name), None)


class ConfigError(Exception):
    """A configuration that cannot be used; `findings` holds all that is wrong with it, not only the first."""

    def __init__(self, findings: tuple[Finding, ...], config: Config | None = None) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings
        self.config = config
        """What could be read of it, without the lines in error."""
