"""What a command line decides before and beside the files (management manual, 3): -n, -N, -L, -W, -dV, -dr.

A reload reads the files again under the same presets.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, replace

from pylb.config.model import Backend, Config, Frontend, Server

LOCAL_PEER = "HAPROXY_LOCALPEER"
"""The variable that names this machine among peers; configurations use it to tell nodes apart."""


@dataclass(frozen=True, slots=True)
class Presets:
    """Nothing is preset by default."""

    maxconn: int | None = None
    """-n: connections of the process, in the place of the file's."""
    proxy_maxconn: int | None = None
    """-N: connections of a frontend for which neither it nor its defaults have `maxconn`."""
    local_peer: str | None = None
    """-L: in the place of the host's name and of `localpeer`."""
    verify_servers: bool = True
    """False (-dV): what `ssl-server-verify none` says, as long as the file says nothing else."""
    need_listener: bool = True
    """False (-W): a configuration in which nothing is listened on is served, until a reload brings something."""
    master: bool = False
    """-W was said: HAPROXY_MWORKER is defined. There always is a master."""
    need_addresses: bool = True
    """False (-dr): a server whose name does not resolve starts without an address."""

    def variables(self) -> dict[str, str]:
        """The environment variables that are defined before the first line is read."""
        name = self.local_peer if self.local_peer is not None else socket.gethostname()
        return {LOCAL_PEER: name, "HAPROXY_MWORKER": "1"} if self.master else {LOCAL_PEER: name}

    def apply(self, config: Config) -> Config:
        """The configuration as it is under these presets."""
        sockets = [declared.bind.address.place for declared in config.globals.stats_sockets]
        if sockets:
            config = replace(config, environment={**config.environment, "HAPROXY_CLI": ";".join(sockets)})
        if self.maxconn is not None:
            config = replace(config, globals=replace(config.globals, maxconn=self.maxconn))
        if self.proxy_maxconn is not None:
            limit = self.proxy_maxconn
            config = replace(config, frontends=tuple(_limited(frontend, limit) for frontend in config.frontends))
        if not self.need_addresses:
            config = replace(config, backends=tuple(map(_without_need, config.backends)))
        return config


NONE = Presets()

_NUMERIC = re.compile(r"[0-9.]*|.*:.*")
"""Addresses that are no names."""


def _limited(frontend: Frontend, limit: int) -> Frontend:
    return replace(frontend, maxconn=limit) if frontend.maxconn is None else frontend


def _without_need(backend: Backend) -> Backend:
    """`none` is the last way to an address, so that there always is one (manual: init-addr)."""
    return replace(backend, servers=tuple(map(_addressed_by_none, backend.servers)))


def _addressed_by_none(server: Server) -> Server:
    if server.address.kind != "inet" or _NUMERIC.fullmatch(server.address.host):
        return server
    methods = (server.init_addr or "last,libc").split(",")
    return server if "none" in methods else replace(server, init_addr=",".join([*methods, "none"]))
