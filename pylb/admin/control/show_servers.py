"""The servers as files and scripts read them: show servers state, show servers conn, show backend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from itertools import chain

from pylb.admin.control.names import is_called
from pylb.admin.control.registry import Answer, Kind, command, in_lines
from pylb.admin.control.session import Session
from pylb.admin.rows import Section, sections
from pylb.admin.world import World
from pylb.backend.backend import Backend
from pylb.backend.health import Outcome, Status
from pylb.backend.operate import Refused
from pylb.backend.server import Admin, Server

VERSION = 1
"""Of the state file's format."""
FIELDS = (
    "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight"
    " srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state"
    " bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr"
    " srv_agent_addr srv_agent_port"
)
"""srvrecord is always "-" here: there are no SRV records."""

STATUS_NUMBERS = {
    Status.UNK: 0, Status.INI: 1, Status.HANA: 4, Status.SOCKERR: 5, Status.L4OK: 6, Status.L4TOUT: 7, Status.L4CON: 8,
    Status.L6OK: 9, Status.L6TOUT: 10, Status.L6RSP: 11, Status.L7TOUT: 12, Status.L7RSP: 13, Status.L7OK: 15,
    Status.L7OKC: 16, Status.L7STS: 17,
}  # fmt: skip
"""HAProxy 2.6's numbers of the results of checks, as its state files have them."""
RESULT_NUMBERS = {Outcome.FAILED: 2, Outcome.PASSED: 3, Outcome.CONDITIONAL: 4}
CONFIGURED, ENABLED, PAUSED, AGENT = 2, 4, 8, 16
"""Bits of srv_check_state; 1 is "in progress"."""


def backends(world: World, words: Sequence[str]) -> list[tuple[Section, Backend]]:
    """All backends, or the one that is named; raises Refused."""
    found = [(section, section.backend) for section in sections(world) if section.backend is not None]
    if words:
        found = [pair for pair in found if is_called(pair[0], words[0])]
        if not found:
            raise Refused("Can't find backend.")
    return found


@command("show servers state", "[<backend>]", help="dump volatile server information (all or for a single backend)")
def show_servers_state(session: Session, world: World, words: Sequence[str], payload: str) -> Answer:
    """What a state file holds, so that a new process can go on from there."""
    servers = [(section, server) for section, backend in backends(world, words) for server in backend.servers]
    lines = (" ".join(map(str, state_fields(world, section, server))) for section, server in servers)
    return in_lines(chain((str(VERSION), f"# {FIELDS}"), lines))


def state_fields(world: World, section: Section, server: Server) -> Iterator[str | int]:
    """One server's line, in the order of FIELDS."""
    declared, address = server.model, server.address
    yield from (section.iid, section.name, server.sid, server.name)
    yield address.host if address.kind == "inet" else "-"
    admin = server.admin & ~Admin.CONFIGURED_MAINT | (Admin.CONFIGURED_MAINT if declared.disabled else Admin.NONE)
    yield from (int(server.state), int(admin), server.weight, declared.weight)
    yield int(world.now() - server.last_change)
    yield from _check_fields(server)
    yield _agent_state(server)
    yield from (int(section.model.id is not None), int(declared.id is not None))
    yield _fqdn(world, section, server)
    yield address.port or 0
    yield from ("-", int(declared.tls is not None))
    check = server.check
    yield (check.port if check is not None else None) or 0
    yield (check.address if check is not None else None) or "-"
    agent = server.agent
    yield (agent.address if agent is not None else None) or "-"
    yield (agent.port if agent is not None else check.port if check is not None else None) or 0


def _agent_state(server: Server) -> int:
    agent = server.agent
    return 0 if agent is None else CONFIGURED | AGENT | (ENABLED if agent.enabled else 0)


def _check_fields(server: Server) -> Iterator[int]:
    """status, result, health, state"""
    check = server.check
    configured = server.model.disabled
    if check is None:
        yield from (1, 0, 0 if configured or server.state == 0 else 2, PAUSED if configured else 0)
        return
    done = check.status is not Status.INI and not check.running
    yield STATUS_NUMBERS[check.status]
    yield RESULT_NUMBERS[check.status.outcome] if done else 0
    yield check.health
    paused = check.paused and (check.enabled or configured)
    yield CONFIGURED | (ENABLED if check.enabled else 0) | (PAUSED if paused else 0) | int(check.running)


def _fqdn(world: World, section: Section, server: Server) -> str:
    """The name that the configuration gives where an address could stand."""
    declared = world.config.backend(section.name)
    original = next((s for s in declared.servers if s.name == server.name), None) if declared is not None else None
    if original is None or original.address.kind != "inet":
        return "-"
    try:
        ip_address(original.address.host)
    except ValueError:
        return original.address.host or "-"
    return "-"


@command("show servers conn", "[<backend>]", help="dump server connections status (all or for a single backend)")
def show_servers_conn(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """Connections to servers, in use and idle; what HAProxy has per thread is one number here."""
    lines = [
        "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb safe_nb idle_lim"
        " idle_cur idle_per_thr[1]"
    ]
    for section, backend in backends(world, words):
        for server in backend.servers:
            address, counters = server.address, world.totals(server)
            idle = counters.idle
            host = address.host if address.kind == "inet" else address.path or "-"
            limit = -1 if server.max_idle is None else server.max_idle
            purge = int(server.model.pool_purge_delay * 1000)
            used, most = counters.scur, counters.smax
            lines.append(
                f"{backend.name}/{server.name} {section.iid}/{server.sid} {host} {address.port or 0} - {purge}"
                f" {used} {most} {most} 0 {idle} {limit} {idle} {idle}"
            )
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


@command("show backend", help="list backends in the current running config", kind=Kind.READ)
def show_backend(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """Their names."""
    return ("# name\n" + "".join(f"{backend.name}\n" for _, backend in backends(world, ()))).encode()
