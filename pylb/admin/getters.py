"""How the columns of the statistics table read a row (see columns.py, which names each of these once)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pylb.admin.checks import DESCRIPTIONS
from pylb.config import model

if TYPE_CHECKING:
    from pylb.admin.rows import Row
    from pylb.admin.world import CheckView, ServerView

    IntGetter = Callable[[Row], int | None]

# ------------------------------------------------------------------------------------------------- families of columns


def count(name: str) -> IntGetter:
    """A plain counter."""
    return lambda row: int(getattr(row.counters, name))


def http_count(name: str) -> IntGetter:
    """A counter that only HTTP proxies have."""
    return lambda row: int(getattr(row.counters, name)) if row.http else None


def rate(name: str) -> IntGetter:
    """A rate over the last second."""
    return lambda row: int(getattr(row.counters, name).value(row.now))


def rate_max(name: str) -> IntGetter:
    """The highest value that rate has had."""
    return lambda row: int(getattr(row.counters, name).max)


def http_rate(name: str) -> IntGetter:
    """As `rate`, of HTTP proxies."""
    return lambda row: int(getattr(row.counters, name).value(row.now)) if row.http else None


def http_rate_max(name: str) -> IntGetter:
    """As `rate_max`, of HTTP proxies."""
    return lambda row: int(getattr(row.counters, name).max) if row.http else None


def millis(name: str) -> IntGetter:
    """A time in milliseconds."""
    return lambda row: round(getattr(row.counters, name))


def if_checked(name: str) -> IntGetter:
    """A counter that servers without a check do not have."""
    return lambda row: int(getattr(row.counters, name)) if row.server is None or row.server.model.check else None


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
    holder = row.server or row.backend
    return len(holder.queue) if holder is not None else None


def qlimit(row: Row) -> int | None:
    return (row.server.model.maxqueue or None) if row.server else None


def slim(row: Row) -> int | None:
    if row.server is not None:
        return row.server.maxconn or None
    if row.backend is not None:
        return row.backend.fullconn
    return row.section.model.maxconn or row.world.maxconn if isinstance(row.section.model, model.Frontend) else None


def rate_limit(row: Row) -> int:
    return 0  # `rate-limit sessions` is not in the language; 0 is HAProxy's "no limit"


# ------------------------------------------------------------------------------------------------------ state, weights


def status(row: Row) -> str:
    if row.server is not None:
        return row.server.status
    if row.backend is not None:
        return "UP" if row.backend.up else "DOWN"
    if row.world.stopping:
        return "STOP"
    limit = slim(row)
    return "FULL" if limit and row.counters.scur >= limit else "OPEN"


def _usable(row: Row, backup: bool) -> list[ServerView]:
    return [s for s in row.backend.servers if s.usable and s.model.backup is backup] if row.backend else []


def act(row: Row) -> int:
    return len(_usable(row, False)) if row.server is None else int(not row.server.model.backup)


def bck(row: Row) -> int:
    return len(_usable(row, True)) if row.server is None else int(row.server.model.backup)


def _in_use(row: Row) -> list[ServerView]:
    """The servers that traffic goes to: active ones; without them the first backup, or all with allbackups."""
    backups = _usable(row, True)
    if row.backend is not None and not row.backend.model.allbackups:
        backups = backups[:1]
    return _usable(row, False) or backups


def weight(row: Row) -> int:
    if row.server is not None:
        return row.server.effective_weight
    return sum(s.effective_weight for s in _in_use(row))


def uweight(row: Row) -> int:
    return row.server.weight if row.server is not None else sum(s.weight for s in _in_use(row))


def throttle(row: Row) -> int | None:
    """Per cent of the weight while slow start runs."""
    server = row.server
    if server is None or not server.weight or server.effective_weight == server.weight:
        return None
    return server.throttle


def lastchg(row: Row) -> int:
    holder = row.server or row.backend
    return int(row.now - holder.last_change) if holder is not None else 0


def downtime(row: Row) -> int | None:
    """All time spent down, the running outage included."""
    if row.server is not None:
        if row.server.model.check is None:
            return None
        return int(row.server.downtime + (row.now - row.server.last_change if row.server.state == 0 else 0))
    if row.backend is None or not row.backend.servers:
        return None
    return int(row.backend.downtime + (0 if row.backend.up else row.now - row.backend.last_change))


def lastsess(row: Row) -> int:
    last = row.counters.lastsess
    if last is None:
        return -1
    return max(0, int(row.world.started_wall + (row.now - row.world.started) - last))


def idle_connections(row: Row) -> int | None:
    return len(row.server.idle) if row.server else None


def idle_limit(row: Row) -> int | None:
    return row.server.model.pool_max_conn if row.server else None


# ------------------------------------------------------------------------------------------------------- health checks


def check_status(row: Row) -> str | None:
    check = _shown_check(row)
    return check.status or None if check else None


def check_code(row: Row) -> int | None:
    check = _shown_check(row)
    return check.code if check else None


def check_duration(row: Row) -> int | None:
    check = _shown_check(row)
    return None if check is None or check.duration is None else int(check.duration * 1000)


def last_chk(row: Row) -> str | None:
    check = _shown_check(row)
    return check.info or None if check else None


def check_desc(row: Row) -> str | None:
    check = _shown_check(row)
    return DESCRIPTIONS.get(check.status.removeprefix("* ")) if check else None


def check_rise(row: Row) -> int | None:
    check = _shown_check(row)
    return check.rise if check else None


def check_fall(row: Row) -> int | None:
    check = _shown_check(row)
    return check.fall if check else None


def check_health(row: Row) -> int | None:
    check = _shown_check(row)
    return check.health if check else None


def hanafail(row: Row) -> int | None:
    return row.server.hana if row.server and row.server.model.check and row.server.model.observe else None


def _shown_check(row: Row) -> CheckView | None:
    """The server's own check, unless maintenance has suspended it."""
    if row.server is None or row.server.status.startswith("MAINT"):
        return None
    return row.server.check
