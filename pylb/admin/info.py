"""The process in figures: what the page's head, `show info` and the haproxy_process_ metrics show, one line each.

Order and names are HAProxy's (management manual, 9.3 `show info`), as far as pylb has the thing; memory pools, pipes,
peers and the like are HAProxy's own inside and are left out.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass

from pylb.admin.world import World

Value = int | str


@dataclass(frozen=True, slots=True)
class Field:
    """One line of `show info`; `type` as in columns.Column."""

    name: str
    type: str
    get: Callable[[World], Value]
    metric: str = ""
    """HAProxy's metric name without `haproxy_process_`."""
    help: str = ""


def uptime(world: World) -> float:
    """Seconds since the start."""
    return world.now() - world.started


def uptime_text(seconds: float) -> str:
    """As `show info` writes it: "0d 0h00m27s"."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return f"{day}d {hour}h{minute:02d}m{second:02d}s"


def _max_fds(world: World) -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _bytes_out(world: World) -> int:
    return sum(frontend.counters.bout for frontend in world.frontends)


F = Field
# fmt: off
FIELDS: tuple[Field, ...] = (
    F("Name", "POS str", lambda w: "pylb"),
    F("Version", "POS str", lambda w: w.version),
    F("Nbthread", "CGS u32", lambda w: w.workers, "nbthread", "Worker processes"),
    F("Nbproc", "CGS u32", lambda w: 1, "nbproc", "Always 1, as in HAProxy since it has threads"),
    F("Process_num", "KGP u32", lambda w: 1, "relative_process_id", "Always 1, as in HAProxy since it has threads"),
    F("Pid", "SGP u32", lambda w: w.pid),
    F("Uptime", "MDP str", lambda w: uptime_text(uptime(w))),
    F("Uptime_sec", "MDP u32", lambda w: int(uptime(w)), "uptime_seconds", "Seconds since the start"),
    F("Ulimit-n", "CLP u32", _max_fds, "max_fds", "Limit of file descriptors"),
    F("Maxconn", "CLP u32", lambda w: w.maxconn, "max_connections", "Limit of client connections; 0: none"),
    F("CurrConns", "MGP u32", lambda w: w.actconn, "current_connections", "Client connections now"),
    F("CumConns", "MCP u32", lambda w: w.cum_conn, "connections_total", "Client connections since the start"),
    F("CumReq", "MCP u32", lambda w: w.cum_req, "requests_total", "HTTP requests since the start"),
    F("CurrSslConns", "MGP u32", lambda w: w.ssl_conns, "current_ssl_connections", "TLS connections now, both sides"),
    F("CumSslConns", "MCP u32", lambda w: w.cum_ssl_conns, "ssl_connections_total", "TLS connections, both sides"),
    F("ConnRate", "MRP u32", lambda w: w.conn_rate.value(w.now()), "current_connection_rate", "Connections a second"),
    F("ConnRateLimit", "CLP u32", lambda w: w.config.globals.max_rate or 0, "limit_connection_rate", "Limit of that"),
    F("MaxConnRate", "MMP u32", lambda w: w.conn_rate.max, "max_connection_rate", "Most connections in a second"),
    F("SessRate", "MRP u32", lambda w: w.sess_rate.value(w.now()), "current_session_rate", "Sessions a second"),
    F("MaxSessRate", "MMP u32", lambda w: w.sess_rate.max, "max_session_rate", "Most sessions in a second"),
    F("SslRate", "MRP u32", lambda w: w.ssl_rate.value(w.now()), "current_ssl_rate", "TLS handshakes a second"),
    F("MaxSslRate", "MMP u32", lambda w: w.ssl_rate.max, "max_ssl_rate", "Most TLS handshakes in a second"),
    F("node", "COS str", lambda w: w.node),
    F("description", "COS str", lambda w: w.config.globals.description or ""),
    F("Stopping", "MGP u32", lambda w: int(w.stopping), "stopping", "1 while the process is stopping"),
    F("Listeners", "MGP u32", lambda w: w.listeners, "listeners", "Addresses listened on"),
    F("DroppedLogs", "MGP u32", lambda w: w.dropped_logs, "dropped_logs_total", "Log lines that could not be sent"),
    F("TotalBytesOut", "MGP u64", _bytes_out, "bytes_out_total", "Bytes sent to clients"),
    F("Start_time_sec", "MDP u32", lambda w: int(w.started_wall), "start_time_seconds", "Start, seconds since 1970"),
)
# fmt: on

VERSION_METRIC = Field("", "", lambda w: 1, "build_info", "Always 1; the version is the label")


def text(world: World) -> bytes:
    """`show info`: a line each."""
    return "".join(f"{field.name}: {field.get(world)}\n" for field in FIELDS).encode()
