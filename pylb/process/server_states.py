"""`load-server-state-from-file`: servers go on from where a file says they were (manual: there, and server-state-file).

The file is what `show servers state` answers, of pylb or of HAProxy: a line with the version, then one line a server.
Servers are found by the names of backend and server. As in HAProxy, what the configuration has changed since wins:
a weight is taken over if the configured one is still the same, maintenance unless `disabled` has come or gone. It is
read at a start; at a reload the generation before knows better.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pylb.admin.control.show_servers import CONFIGURED, ENABLED, STATUS_NUMBERS, VERSION
from pylb.backend.server import Admin, Server, State
from pylb.process.replicate import HealthRecord, Record, apply

if TYPE_CHECKING:
    from pylb.backend.backend import Backend
    from pylb.config.model import Global

LEAST, MOST = 20, 25
"""Fields of a line; older versions of HAProxy end it earlier."""
LARGEST = 64 << 20
"""Bytes of a file."""

_STATE, _ADMIN, _WEIGHT, _CONFIGURED_WEIGHT, _AGE, _STATUS, _HEALTH, _CHECK, _AGENT = 5, 6, 7, 8, 9, 10, 12, 13, 14
_STATUSES = {number: status.name for status, number in STATUS_NUMBERS.items()}
_TAKEN = Admin.FORCED_MAINT | Admin.FORCED_DRAIN
_FOLLOWED = Admin.INHERITED_MAINT | Admin.INHERITED_DRAIN


def load(backends: Iterable[Backend], general: Global, now: float) -> list[str]:
    """Apply the files to all backends that want them; what is wrong with them."""
    wrong: list[str] = []
    for path, group in _files(backends, general).items():
        try:
            servers = _read(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            wrong.append(f"server states are not loaded from {path}: {reason}")
            continue
        for backend in group:
            for server in backend.servers:
                fields = servers.get((backend.name, server.name))
                if fields is None:
                    continue
                try:
                    _apply(server, fields, now)
                except ValueError as error:
                    wrong.append(f"{path}: the state of {backend.name}/{server.name} is not loaded: {error}")
    return wrong


def _files(backends: Iterable[Backend], general: Global) -> dict[Path, list[Backend]]:
    """Which backends read which file. A path that begins with "/" leaves server-state-base."""
    files: dict[Path, list[Backend]] = {}
    for backend in backends:
        wanted = backend.model.load_server_state
        own = backend.model.server_state_file_name or backend.name
        name = general.server_state_file if wanted == "global" else own if wanted == "local" else None
        if name:
            files.setdefault(Path(general.server_state_base or "") / name, []).append(backend)
    return files


def _read(path: Path) -> dict[tuple[str, str], list[str]]:
    """The fields of each server. Raises OSError; ValueError for another version or a file that is too long."""
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it is longer than {LARGEST >> 20} MiB")
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    if lines[0].strip() != str(VERSION):
        raise ValueError(f'its first line is not the version "{VERSION}"')
    return {(fields[1], fields[3]): fields for fields in _lines(lines[1:])}


def _lines(lines: Iterable[str]) -> Iterator[list[str]]:
    for line in lines:
        fields = line.split()
        if len(fields) >= 4 and not line.startswith("#"):
            yield fields


def _apply(server: Server, fields: list[str], now: float) -> None:
    """Raises ValueError for a line that is none."""
    if not LEAST <= len(fields) <= MOST:
        raise ValueError(f"{len(fields)} fields, there must be {LEAST} to {MOST}")
    state = State(_number(fields, _STATE, "srv_op_state", 3))
    admin = Admin(_number(fields, _ADMIN, "srv_admin_state", 0x7F) & 0x1F)
    weight = _number(fields, _WEIGHT, "srv_uweight", 256)
    configured_weight = _number(fields, _CONFIGURED_WEIGHT, "srv_iweight", 256)
    age = _number(fields, _AGE, "srv_time_since_last_change", 1 << 31)
    status = _number(fields, _STATUS, "srv_check_status", 255)
    health = _number(fields, _HEALTH, "srv_check_health", 1 << 31)
    flags = _number(fields, _CHECK, "srv_check_state", 255), _number(fields, _AGENT, "srv_agent_state", 255)
    record = Record.of(server)
    own = server.admin
    if bool(admin & Admin.CONFIGURED_MAINT) == bool(server.model.disabled):
        own = own & ~(_TAKEN | Admin.CONFIGURED_MAINT) | admin & _TAKEN
    elif not own & Admin.MAINT:
        own |= admin & Admin.FORCED_DRAIN
    if server.tracked is not None:
        own |= admin & _FOLLOWED
    state = _state(server, state, own, admin)
    record = record._replace(state=int(state), admin=int(own), last_change=now - age)
    if configured_weight == server.model.weight:
        record = record._replace(weight=weight)
    if record.check is not None:
        check = _switched(record.check, flags[0])._replace(
            paused=bool(own & Admin.MAINT),
            health=_health(server, state, health),
            status=_STATUSES.get(status, record.check.status),
        )
        record = record._replace(check=check)
    if record.agent is not None:
        record = record._replace(agent=_switched(record.agent, flags[1]))
    apply({server.backend.name: server.backend}, record, now)


def _switched(found: HealthRecord, flags: int) -> HealthRecord:
    """Off, if an operator had switched it off."""
    return found._replace(enabled=found.enabled and not (flags & CONFIGURED and not flags & ENABLED))


def _state(server: Server, state: State, own: Admin, before: Admin) -> State:
    """The state of the file was that of the maintenance, if the configuration has ended it: checks find out then."""
    if own & Admin.MAINT:
        return State.STOPPED
    if before & Admin.MAINT:
        return State.RUNNING if server.check is None else State.STOPPED
    if state is State.STARTING and not server.model.slowstart:
        return State.RUNNING
    return state


def _health(server: Server, state: State, health: int) -> int:
    """The count of checks that goes with the state."""
    check = server.check
    assert check is not None
    if state is State.STOPPED:
        return 0
    return min(max(health, check.rise), check.top) if state is State.STARTING else check.top


def _number(fields: list[str], place: int, name: str, most: int) -> int:
    text = fields[place]
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= most):
        raise ValueError(f'"{text}" is no {name}')
    return int(text)
