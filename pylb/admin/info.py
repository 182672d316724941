"""The process in figures: what the page's head, `show info` and the haproxy_process_ metrics show, one line each.

Order and names are HAProxy's (management manual, 9.3 `show info`). Of memory pools, pipes, peers and the like, which
are HAProxy's own inside, there are 0; their lines stand because programs look for them.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pylb import RELEASE_DATE
from pylb.admin.world import World

Value = int | float | str | None


@dataclass(frozen=True, slots=True)
class Field:
    """One line of `show info`; `type` as in columns.Column."""

    name: str
    type: str
    get: Callable[[World], Value] = lambda world: None
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


def _memory_limit(world: World) -> int:
    """Bytes that each process may have (-m, ulimit -v); 0: as many as there are."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return 0 if limit == resource.RLIM_INFINITY else limit


def _bytes_out(world: World) -> int:
    return sum(world.totals(frontend).bout for frontend in world.frontends)


def _none(world: World) -> Value:
    """A part of HAProxy's inside that pylb does not have: there are none of it."""
    return 0


F = Field
# fmt: off
FIELDS: tuple[Field, ...] = (
    F("Name", "POS str", lambda w: "HAProxy", help="Whose language this socket speaks: programs look for this name"),
    F("Version", "POS str", lambda w: w.version, help="Product version"),
    F("Release_date", "POS str", lambda w: RELEASE_DATE, help="Date of this version"),
    F("Nbthread", "CGS u32", lambda w: w.workers, "nbthread", "Worker processes"),
    F("Nbproc", "CGS u32", lambda w: 1, "nbproc", "Always 1, as in HAProxy since it has threads"),
    F("Process_num", "KGP u32", lambda w: 1, "relative_process_id", "Always 1, as in HAProxy since it has threads"),
    F("Pid", "SGP u32", lambda w: w.pid, help="Process id"),
    F("Uptime", "MDP str", lambda w: uptime_text(uptime(w)), help="Time since the start"),
    F("Uptime_sec", "MDP u32", uptime, "uptime_seconds", "Seconds since the start"),
    F("Memmax_MB", "CLP u32", lambda w: _memory_limit(w) >> 20, help="Limit of memory in MB; 0: none"),
    F("PoolAlloc_MB", "MGP u32", _none, help="There are no memory pools"),
    F("PoolUsed_MB", "MGP u32", _none, help="There are no memory pools"),
    F("PoolFailed", "MCP u32", _none, "pool_failures_total", "There are no memory pools"),
    F("Ulimit-n", "CLP u32", _max_fds, "max_fds", "Limit of file descriptors"),
    F("Maxsock", "CLP u32", _max_fds, "max_sockets", "Most sockets: all descriptors may be"),
    F("Maxconn", "CLP u32", lambda w: w.maxconn, "max_connections", "Limit of client connections; 0: none"),
    F("Hard_maxconn", "CLP u32", lambda w: w.hard_maxconn, "hard_max_connections", "Most that Maxconn can be"),
    F("CurrConns", "MGP u32", lambda w: w.figures.actconn, "current_connections", "Client connections now"),
    F("CumConns", "MCP u32", lambda w: w.figures.cum_conn, "connections_total", "Client connections since the start"),
    F("CumReq", "MCP u32", lambda w: w.figures.cum_req, "requests_total", "HTTP requests since the start"),
    F("MaxSslConns", "MMP u32", _none, "max_ssl_connections", "Limit of TLS connections; 0: none"),
    F("CurrSslConns", "MGP u32", lambda w: w.figures.ssl_conns, "current_ssl_connections",
      "TLS connections now, both sides"),
    F("CumSslConns", "MCP u32", lambda w: w.figures.cum_ssl_conns, "ssl_connections_total",
      "TLS connections, both sides"),
    F("Maxpipes", "CLP u32", _none, "max_pipes", "Nothing is spliced"),
    F("PipesUsed", "MGP u32", _none, "pipes_used_total", "Nothing is spliced"),
    F("PipesFree", "MGP u32", _none, "pipes_free_total", "Nothing is spliced"),
    F("ConnRate", "MRP u32", lambda w: w.figures.conn_rate.value(w.now()), "current_connection_rate",
      "Connections a second"),
    F("ConnRateLimit", "CLP u32", lambda w: w.rate_limits.connections, "limit_connection_rate", "Limit of that"),
    F("MaxConnRate", "MMP u32", lambda w: w.figures.conn_rate.max, "max_connection_rate",
      "Most connections in a second"),
    F("SessRate", "MRP u32", lambda w: w.figures.sess_rate.value(w.now()), "current_session_rate", "Sessions a second"),
    F("SessRateLimit", "CLP u32", lambda w: w.rate_limits.sessions, "limit_session_rate", "Limit of that"),
    F("MaxSessRate", "MRP u32", lambda w: w.figures.sess_rate.max, "max_session_rate", "Most sessions in a second"),
    F("SslRate", "MRP u32", lambda w: w.figures.ssl_rate.value(w.now()), "current_ssl_rate", "TLS handshakes a second"),
    F("SslRateLimit", "CLP u32", lambda w: w.rate_limits.ssl, "limit_ssl_rate", "Limit of that"),
    F("MaxSslRate", "MMP u32", lambda w: w.figures.ssl_rate.max, "max_ssl_rate", "Most TLS handshakes in a second"),
    F("SslFrontendKeyRate", "MGP u32", _none, "current_frontend_ssl_key_rate", "Not counted"),
    F("SslFrontendMaxKeyRate", "MMP u32", _none, "max_frontend_ssl_key_rate", "Not counted"),
    F("SslFrontendSessionReuse_pct", "MGP u32", _none, "frontend_ssl_reuse", "Not counted"),
    F("SslBackendKeyRate", "MRP u32", _none, "current_backend_ssl_key_rate", "Not counted"),
    F("SslBackendMaxKeyRate", "MMP u32", _none, "max_backend_ssl_key_rate", "Not counted"),
    F("SslCacheLookups", "MCP u32", _none, "ssl_cache_lookups_total", "No cache: clients keep tickets"),
    F("SslCacheMisses", "MCP u32", _none, "ssl_cache_misses_total", "No cache: clients keep tickets"),
    F("CompressBpsIn", "MRP u32", _none, "http_comp_bytes_in_total", "Nothing is compressed"),
    F("CompressBpsOut", "MRP u32", _none, "http_comp_bytes_out_total", "Nothing is compressed"),
    F("CompressBpsRateLim", "CLP u32", _none, "limit_http_comp", "Nothing is compressed"),
    F("ZlibMemUsage", "MGP u32", _none, "current_zlib_memory", "Nothing is compressed"),
    F("MaxZlibMemUsage", "CLP u32", _none, "max_zlib_memory", "Nothing is compressed"),
    F("Tasks", "MGP u32", lambda w: w.figures.tasks, "current_tasks", "Tasks of the event loop"),
    F("Run_queue", "MGP u32", _none, "current_run_queue", "Tasks that wait for their turn are not counted"),
    F("Idle_pct", "MaP u32", lambda w: w.figures.idle_percent, "idle_time_percent",
      "Per cent of the last second without work"),
    F("node", "COS str", lambda w: w.node, help="Name of this node"),
    F("description", "COS str", lambda w: w.config.globals.description, help="What `description` says"),
    F("Stopping", "MGP u32", lambda w: int(w.stopping), "stopping", "1 while the process is stopping"),
    F("Jobs", "MGP u32", lambda w: w.figures.actconn + w.figures.listeners, "jobs", "Connections and listeners"),
    F("Unstoppable Jobs", "MGP u32", _none, "unstoppable_jobs", "What would outlast a stop"),
    F("Listeners", "MGP u32", lambda w: w.figures.listeners, "listeners", "Addresses listened on"),
    F("ActivePeers", "MGP u32", _none, "active_peers", "There are no peers"),
    F("ConnectedPeers", "MGP u32", _none, "connected_peers", "There are no peers"),
    F("DroppedLogs", "MGP u32", lambda w: w.figures.dropped_logs, "dropped_logs_total",
      "Log lines that could not be sent"),
    F("BusyPolling", "MGP u32", _none, "busy_polling_enabled", "1 if the event loop never sleeps"),
    F("FailedResolutions", "MGP u32", _none, "failed_resolutions_total", "Names are resolved at the start"),
    F("TotalBytesOut", "MGP u64", _bytes_out, "bytes_out_total", "Bytes sent to clients"),
    F("TotalSplicdedBytesOut", "MGP u64", _none, "spliced_bytes_out_total", "Nothing is spliced"),
    F("BytesOutRate", "MRP u64", lambda w: w.figures.bytes_out_rate.value(w.now()), "bytes_out_rate",
      "Bytes sent a second"),
    F("DebugCommandsIssued", "MGP u32", _none, help="There are no debug commands"),
    F("CumRecvLogs", "MCP u32", _none, "recv_logs_total", "Logs are not received"),
    F("Build info", "POS str", lambda w: f"pylb {w.version}", help="What it really is"),
    F("Memmax_bytes", "CLP u32", _memory_limit, "max_memory_bytes", "Limit of memory; 0: none"),
    F("PoolAlloc_bytes", "MGP u64", _none, "pool_allocated_bytes", "There are no memory pools"),
    F("PoolUsed_bytes", "MGP u64", _none, "pool_used_bytes", "There are no memory pools"),
    F("Start_time_sec", "MDP u32", lambda w: w.started_wall, "start_time_seconds", "Start, seconds since 1970"),
    F("Tainted", "SGP str", lambda w: "0", help="Experimental features in use"),
    F("Reloads", "MCP u32", lambda w: w.reload.count, "reloads_total", "Reloads that succeeded since the start"),
    F("Last_reload_time_sec", "MDP u32", lambda w: w.reload.at, "last_reload_time_seconds",
      "When the last reload was tried, seconds since 1970; 0: never"),
    F("Last_reload_ok", "SGP u32", lambda w: int(w.reload.success), "last_reload_success",
      "0 if the last reload failed and nothing has changed"),
    F("Last_reload_error", "SOP str", lambda w: " | ".join(w.reload.reason.split("\n")) or None,
      help="Why the last reload failed"),
    F("Reload_under_way", "SGP u32", lambda w: 1 if w.reload.pending else None, help="1 while another one is"),
    F("Reloads_ended", "MCP u32", lambda w: w.reload.ended, help="Reloads that have ended, well or not"),
)
# fmt: on
"""HAProxy 2.6's lines in its order, then pylb's own: the place is the number that typed output gives."""

VERSION_METRIC = Field("", "", lambda w: 1, "build_info", "Always 1; the version is the label")


def shown(world: World, exact: bool = False) -> Iterator[tuple[int, Field, Value]]:
    """Place, field and value of each line that has one; times in whole seconds unless `exact`."""
    for place, field in enumerate(FIELDS):
        value = field.get(world)
        if isinstance(value, float):
            value = round(value, 6) if exact else int(value)
        if value is not None:
            yield place, field, value
