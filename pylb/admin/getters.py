"""How the columns of the statistics table read a row (see columns.py, which names each of these once)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pylb.config import model

if TYPE_CHECKING:
    from pylb.admin.rows import Row
    from pylb.backend.backend import Backend
    from pylb.backend.health import Health
    from pylb.backend.server import Server

    IntGetter = Callable[[Row], int | None]

# ------------------------------------------------------------------------------------------------- families of columns


def count(name: str) -> IntGetter:
    """A plain counter."""
    return lambda row: int(getattr(row.counters, name))


def rate(name: str) -> IntGetter:
    """A rate over the last second."""
    return lambda row: int(getattr(row.counters, name).value(row.now))


def rate_max(name: str) -> IntGetter:
    """The highest value that rate has had."""
    return lambda row: int(getattr(row.counters, name).max)


def http_count(name: str) -> IntGetter:
    """A counter that only HTTP proxies have."""
    return lambda row: int(getattr(row.counters, name)) if row.http else None


def millis(name: str) -> IntGetter:
    """A time in milliseconds."""
    return lambda row: round(getattr(row.counters, name))


def if_checked(name: str) -> IntGetter:
    """A counter that servers without a check do not have."""
    return lambda row: int(getattr(row.counters, name)) if row.server is None or row.server.model.check else None


def req_tot(row: Row) -> int | None:
    return row.counters.req_tot if row.http or row.kind == "F" else None


# ------------------------------------------------------------------------------------------------------ identification


def pxname(row: Row) -> str:
    return row.section.name


def svname(row: Row) -> str:
    return row.name


def iid(row: Row) -> int:
    return row.section.iid


def sid(row: Row) -> int:
    return row.sid


def process_number(row: Row) -> int:
    return 1  # HAProxy's relative process number, 1 since it has threads; the sum over our workers is one process too


def row_type(row: Row) -> int:
    return {"F": 0, "B": 1, "S": 2}[row.kind]


def mode(row: Row) -> str:
    return row.section.model.mode


def tracked(row: Row) -> str | None:
    if row.server is None or row.server.model.track is None:
        return None
    name = row.server.model.track
    return name if "/" in name else f"{row.section.name}/{name}"


def algo(row: Row) -> str | None:
    return row.backend.model.balance.algorithm if row.backend else None


def cookie(row: Row) -> str | None:
    if row.server is not None:
        return row.server.model.cookie
    return row.backend.model.cookie.name if row.backend and row.backend.model.cookie else None


def addr(row: Row) -> str | None:
    return address_text(row.server.address) if row.server else None


def address_text(address: model.Address) -> str:
    """`host:port`, brackets around IPv6, "unix" for unix sockets."""
    if address.kind != "inet":
        return "unix"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port or 0}"


# --------------------------------------------------------------------------------------------------- limits and queues


def qcur(row: Row) -> int | None:
    return row.counters.qcur if row.backend is not None else None


def qlimit(row: Row) -> int | None:
    return (row.server.maxqueue or None) if row.server else None


def slim(row: Row) -> int | None:
    if row.server is not None:
        return row.server.maxconn or None
    if row.backend is not None:
        return row.backend.fullconn
    if not isinstance(row.section.model, model.Frontend):
        return None
    return row.counters.slim or row.section.model.maxconn or row.world.maxconn


def rate_limit(row: Row) -> int:
    return 0  # `rate-limit sessions` is not in the language; 0 is HAProxy's "no limit"


# ------------------------------------------------------------------------------------------------------ state, weights


def up(backend: Backend) -> bool:
    """Some server takes traffic, or there is none that could be missed."""
    return bool(backend.candidates or not backend.servers)


def status(row: Row) -> str:
    if row.server is not None:
        return row.server.status
    if row.backend is not None:
        return "UP" if up(row.backend) else "DOWN"
    if row.world.stopping:
        return "STOP"
    if row.frontend is not None and row.frontend.state:
        return row.frontend.state
    limit = slim(row)
    return "FULL" if limit and row.counters.scur >= limit else "OPEN"


def act(row: Row) -> int:
    if row.server is not None:
        return int(not row.server.backup)
    return row.backend.active if row.backend is not None else 0


def bck(row: Row) -> int:
    if row.server is not None:
        return int(row.server.backup)
    return row.backend.backups if row.backend is not None else 0


def _in_use(row: Row) -> Iterable[Server]:
    """The servers that traffic goes to: active ones; without them the first backup, or all with allbackups."""
    return row.backend.candidates if row.backend is not None else ()


def weight(row: Row) -> int:
    if row.server is not None:
        return row.server.effective_weight
    return sum(s.effective_weight for s in _in_use(row))


def uweight(row: Row) -> int:
    return row.server.weight if row.server is not None else sum(s.weight for s in _in_use(row))


def throttle(row: Row) -> int | None:
    return row.server.throttle(row.now) if row.server is not None else None


def lastchg(row: Row) -> int:
    holder = row.server or row.backend
    return int(row.now - holder.last_change) if holder is not None else 0


def downtime(row: Row) -> int | None:
    """All time spent down, the running outage included."""
    if row.server is not None:
        if row.server.model.check is None:
            return None
        return int(row.server.down_seconds(row.now))
    backend = row.backend
    if backend is None or not backend.servers:
        return None
    return int(row.counters.downtime + (0 if backend.candidates else row.now - backend.last_change))


def lastsess(row: Row) -> int:
    last = row.counters.lastsess
    if not last:
        return -1
    return max(0, int(row.world.started_wall + (row.now - row.world.started) - last))


def idle_connections(row: Row) -> int | None:
    return row.counters.idle if row.server else None


def idle_limit(row: Row) -> int | None:
    return row.server.max_idle if row.server else None


# ------------------------------------------------------------------------------------------------------- health checks


def of_check(name: str) -> Callable[[Row], int | str | None]:
    """An attribute of the server (`check_…`, `last_chk`), while its checks run."""
    return lambda row: None if _running_check(row) is None else getattr(row.server, name)


def of_health(name: str) -> IntGetter:
    """An attribute of the count of checks, while they run."""
    return lambda row: None if (check := _running_check(row)) is None else int(getattr(check, name))


def last_chk(row: Row) -> str | None:
    return row.server.last_chk if row.server is not None and _running_check(row) is not None else None


def of_agent(name: str) -> Callable[[Row], int | str | None]:
    """What the server's agent said last, while it is asked."""

    def get(row: Row) -> int | str | None:
        agent = row.server.agent if row.server is not None else None
        if agent is None or not agent.enabled:
            return None
        if name in ("status", "desc"):
            return agent.status.name if name == "status" else agent.status.description
        value: int | str | None = getattr(agent, name)
        return value

    return get


def last_agt(row: Row) -> str | None:
    agent = row.server.agent if row.server is not None else None
    return agent.info or None if agent is not None and agent.enabled else None


def hanafail(row: Row) -> int | None:
    return row.server.hana if row.server is not None and row.server.observes else None


def _running_check(row: Row) -> Health | None:
    """The server's own check, unless maintenance or an operator has suspended it."""
    check = row.server.check if row.server is not None else None
    return check if check is not None and check.enabled and not check.paused else None
