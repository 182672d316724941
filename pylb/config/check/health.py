"""Doctor: time limits that are missing, servers that nobody checks or that get no traffic."""

from __future__ import annotations

from collections.abc import Iterator

from pylb.config.check.registry import listed, rule, warning
from pylb.config.check.walk import named, served, servers
from pylb.config.model import Config, Finding


@rule("timeouts-missing")
def timeouts_missing(config: Config) -> Iterator[Finding]:
    """Without them one silent peer holds a connection for ever."""
    for frontend in config.frontends:
        if frontend.binds and not frontend.timeouts.client and not frontend.disabled:
            yield warning(
                frontend.at,
                f"{named(frontend)} has no timeout client: silent clients stay for ever",
                "add timeout client 1m",
            )
    for backend in config.backends:
        missing = [word for word in ("connect", "server") if not getattr(backend.timeouts, word)]
        if missing and backend.servers and not backend.disabled:
            yield warning(
                backend.at,
                f"{named(backend)} has no timeout {' and no timeout '.join(missing)}: dead servers hold clients",
                "add " + ", ".join(f"timeout {word} {'10s' if word == 'connect' else '1m'}" for word in missing),
            )


@rule("no-health-checks")
def no_health_checks(config: Config) -> Iterator[Finding]:
    """Several servers and nobody finds out when one of them is gone."""
    for backend in config.backends:
        if len(backend.servers) > 1 and not any(s.check or s.agent or s.track or s.observe for s in backend.servers):
            yield warning(
                backend.servers[0].at,
                f"no server of {named(backend)} is checked: a dead one keeps getting its share",
                "add check to each server, or to default-server",
            )


@rule("check-steps-unused")
def check_steps_unused(config: Config) -> Iterator[Finding]:
    """How to check is said, that one should is not."""
    for backend in served(config):
        says_how = backend.check.kind == "http" or backend.check.steps
        if says_how and not any(server.check for server in backend.servers):
            yield warning(
                backend.servers[0].at,
                f"{named(backend)} says how its servers are checked, none of them is",
                "add check to each server, or to default-server",
            )


@rule("all-weights-zero")
def all_weights_zero(config: Config) -> Iterator[Finding]:
    """A server of weight 0 gets no new clients."""
    for backend in served(config):
        if all(server.weight == 0 for server in backend.servers):
            yield warning(
                backend.servers[0].at,
                f"every server of {named(backend)} has weight 0: no request gets one",
                "give one of them a weight from 1 to 256",
            )


@rule("only-backup-servers")
def only_backup_servers(config: Config) -> Iterator[Finding]:
    """Servers that stand in for nobody; only one of them is used."""
    for backend in config.backends:
        if len(backend.servers) > 1 and all(server.backup for server in backend.servers) and not backend.allbackups:
            names = [server.name for server in backend.servers]
            yield warning(
                backend.servers[0].at,
                f"servers {listed(names)} of {named(backend)} are all backup: only the first that is up is used",
                "remove backup from some, or add option allbackups",
            )


@rule("minconn-above-maxconn")
def minconn_above_maxconn(config: Config) -> Iterator[Finding]:
    """The dynamic limit moves between the two."""
    for _, server in servers(config):
        if server.minconn and server.maxconn and server.minconn > server.maxconn:
            yield warning(
                server.at,
                f'minconn {server.minconn} of server "{server.name}" is above its maxconn {server.maxconn}',
                "write the smaller number as minconn",
            )


@rule("minconn-without-maxconn")
def minconn_without_maxconn(config: Config) -> Iterator[Finding]:
    """minconn alone limits nothing."""
    for _, server in servers(config):
        if server.minconn and not server.maxconn:
            yield warning(server.at, f'minconn of server "{server.name}" has no effect without maxconn', "add maxconn")
