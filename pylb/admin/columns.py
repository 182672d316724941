"""The statistics table: one line per column, in HAProxy 2.6's order and under its names (management manual, 9.1).

Every rendering walks this table: CSV, `;json`, the page, Prometheus, and the admin socket's `show stat`. A column says
on which rows it has a value, what kind of value that is (HAProxy's typed output: origin, nature and scope letters, then
the type; management manual, 9.2), how to read it, and its metric's name where HAProxy's exporter has one.

A getter returns None where HAProxy leaves the field empty. Columns of features that pylb does not have
(compression, cache) stand in their places without a getter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pylb.admin import getters as get
from pylb.admin.rows import Row

Value = int | str | None
Getter = Callable[[Row], Value]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `rows`: letters of the row kinds that have it (F, S, B)."""

    name: str
    type: str = "MGP u32"
    """Origin, nature, scope, then the JSON type. Lower-case nature letters: a average, p percentage."""
    rows: str = ""
    get: Getter | None = None
    metric: str = ""
    """HAProxy's metric name without `haproxy_KIND_`; counters end in _total."""
    help: str = ""
    legend: bool = False
    """Shown with `stats show-legends` (and on the admin socket) only."""
    metric_rows: str | None = None
    """Row kinds that have the metric; None: those of the column."""
    scale: float = 1
    """What the value is multiplied by as a metric (milliseconds to seconds)."""
    label: tuple[str, str] | None = None
    """One metric from several columns: the label that tells them apart."""

    def type_in(self, row: Row) -> str:
        """The type in that row: HAProxy calls some figures of backends gauges that are rates or states elsewhere."""
        return "MGP u32" if row.kind == "B" and self.name in _BACKEND_GAUGES else self.type

    def value(self, row: Row) -> Value:
        """The column's value in that row; None: empty."""
        return self.get(row) if self.get is not None and row.kind in self.rows else None

    def has_metric(self, kind: str) -> bool:
        """Whether rows of that kind export it."""
        return bool(self.metric) and kind in (self.rows if self.metric_rows is None else self.metric_rows)


_BACKEND_GAUGES = frozenset({"act", "bck", "rate", "rate_max"})


GAUGE, MAX, LIMIT, COUNTER = "MGP u32", "MMP u32", "CLP u32", "MCP u64"
RATE, AVERAGE, SETTING, RESULT = "MRP u32", "MaP u32", "CGS u32", "MOP str"


def milliseconds(name: str, kind: str, metric: str, help: str) -> Column:
    """A time: milliseconds in the table, seconds as a metric."""
    return Column(name, kind, "SB", get.millis(name), metric, help, scale=0.001)


def absent(name: str, metric: str, help: str) -> Column:
    """A counter of a feature that pylb does not have: empty in the table, 0 as a metric, for dashboards that add it."""
    return Column(name, COUNTER, metric=metric, help=help, metric_rows="FB")


C = Column
# fmt: off
COLUMNS: tuple[Column, ...] = (
    C("pxname", "KNS str", "FSB", get.pxname),
    C("svname", "KNS str", "FSB", get.svname),
    C("qcur", GAUGE, "SB", get.qcur, "current_queue", "Requests waiting in the queue now"),
    C("qmax", MAX, "SB", get.count("qmax"), "max_queue", "Most requests in the queue at once"),
    C("scur", GAUGE, "FSB", get.count("scur"), "current_sessions", "Sessions now"),
    C("smax", MAX, "FSB", get.count("smax"), "max_sessions", "Most sessions there have been at once"),
    C("slim", LIMIT, "FSB", get.slim, "limit_sessions", "Limit of sessions: maxconn, a backend's fullconn"),
    C("stot", COUNTER, "FSB", get.count("stot"), "sessions_total", "Sessions since the start"),
    C("bin", COUNTER, "FSB", get.count("bin"), "bytes_in_total", "Bytes of requests"),
    C("bout", COUNTER, "FSB", get.count("bout"), "bytes_out_total", "Bytes of responses"),
    C("dreq", COUNTER, "FB", get.count("dreq"), "requests_denied_total", "Requests denied by rules"),
    C("dresp", COUNTER, "FSB", get.count("dresp"), "responses_denied_total", "Responses denied by rules"),
    C("ereq", COUNTER, "F", get.count("ereq"), "request_errors_total", "Malformed or incomplete requests"),
    C("econ", COUNTER, "SB", get.count("econ"), "connection_errors_total", "Failed connections to servers"),
    C("eresp", COUNTER, "SB", get.count("eresp"), "response_errors_total", "Responses that failed"),
    C("wretr", COUNTER, "SB", get.count("wretr"), "retry_warnings_total", "Connections tried again"),
    C("wredis", COUNTER, "SB", get.count("wredis"), "redispatch_warnings_total", "Moves to another server"),
    C("status", "SGP str", "FSB", get.status, "status", "State: 1 at the one it is in"),
    C("weight", AVERAGE, "SB", get.weight, "weight", "Weight in force"),
    C("act", "SGP u32", "SB", get.act, "active_servers", "Active servers in use", metric_rows="B"),
    C("bck", "SGP u32", "SB", get.bck, "backup_servers", "Backup servers in use", metric_rows="B"),
    C("chkfail", COUNTER, "S", get.if_checked("chkfail"), "check_failures_total", "Checks failed while up"),
    C("chkdown", COUNTER, "SB", get.if_checked("chkdown"), "check_up_down_total", "Changes from UP to DOWN"),
    C("lastchg", "MAP u32", "SB", get.lastchg, "check_last_change_seconds", "Seconds since the last change"),
    C("downtime", "MCP u32", "SB", get.downtime, "downtime_seconds_total", "Seconds spent down"),
    C("qlimit", SETTING, "S", get.qlimit, "queue_limit", "Limit of the server's queue (maxqueue)"),
    C("pid", "KGP u32", "FSB", get.process_number),
    C("iid", "KGS u32", "FSB", get.iid),
    C("sid", "KGS u32", "FSB", get.sid),
    C("throttle", AVERAGE, "S", get.throttle, "current_throttle", "Per cent of weight in slow start"),
    C("lbtot", COUNTER, "SB", get.count("lbtot"), "loadbalanced_total", "Requests that balancing sent here"),
    C("tracked", "CNS str", "S", get.tracked),
    C("type", SETTING, "FSB", get.row_type),
    C("rate", RATE, "FSB", get.rate("rate")),
    C("rate_lim", LIMIT, "F", get.rate_limit, "limit_session_rate", "Limit of new sessions a second"),
    C("rate_max", MAX, "FSB", get.rate_max("rate"), "max_session_rate", "Most new sessions in a second"),
    C("check_status", RESULT, "S", get.of_check("check_status"), "check_status", "1 at the last result"),
    C("check_code", "MOP u32", "S", get.of_check("check_code"), "check_code", "Last check's status code"),
    C("check_duration", "MDP u64", "S", get.of_check("check_duration"), "check_duration_seconds", "Time", scale=0.001),
    *(
        C(f"hrsp_{code}", COUNTER, "FSB", get.http_count(f"hrsp_{code}"), "http_responses_total",
          "Responses by status class", label=("code", code))
        for code in ("1xx", "2xx", "3xx", "4xx", "5xx", "other")
    ),
    C("hanafail", COUNTER, "S", get.hanafail),
    C("req_rate", RATE, "F", get.rate("req_rate")),
    C("req_rate_max", MAX, "F", get.rate_max("req_rate"), "http_requests_rate_max", "Most a second"),
    C("req_tot", COUNTER, "FSB", get.req_tot, "http_requests_total", "HTTP requests", metric_rows="FB"),
    C("cli_abrt", COUNTER, "SB", get.count("cli_abrt"), "client_aborts_total", "Transfers the client broke off"),
    C("srv_abrt", COUNTER, "SB", get.count("srv_abrt"), "server_aborts_total", "Transfers the server broke off"),
    absent("comp_in", "http_comp_bytes_in_total", "Nothing is compressed"),
    absent("comp_out", "http_comp_bytes_out_total", "Nothing is compressed"),
    absent("comp_byp", "http_comp_bytes_bypassed_total", "Nothing is compressed"),
    absent("comp_rsp", "http_comp_responses_total", "Nothing is compressed"),
    C("lastsess", "MAP s32", "SB", get.lastsess, "last_session_seconds", "Seconds since the last session; -1: none"),
    C("last_chk", RESULT, "S", get.last_chk),
    C("last_agt", RESULT, "S", get.last_agt),
    milliseconds("qtime", AVERAGE, "queue_time_average_seconds", "Average time in the queue"),
    milliseconds("ctime", AVERAGE, "connect_time_average_seconds", "Average time to connect"),
    milliseconds("rtime", AVERAGE, "response_time_average_seconds", "Average time to the response's head"),
    milliseconds("ttime", AVERAGE, "total_time_average_seconds", "Average total time"),
    C("agent_status", RESULT, "S", get.of_agent("status")),
    C("agent_code", "MOP u32", "S", get.of_agent("code")),
    C("agent_duration", "MDP u64", "S", get.of_agent("duration")),
    C("check_desc", RESULT, "S", get.of_check("check_desc")),
    C("agent_desc", RESULT, "S", get.of_agent("desc")),
    C("check_rise", SETTING, "S", get.of_health("rise")),
    C("check_fall", SETTING, "S", get.of_health("fall")),
    C("check_health", SETTING, "S", get.of_health("health")),
    C("agent_rise", SETTING, "S", get.of_agent("rise")),
    C("agent_fall", SETTING, "S", get.of_agent("fall")),
    C("agent_health", SETTING, "S", get.of_agent("health")),
    C("addr", "CGS str", "S", get.addr, legend=True),
    C("cookie", "CNS str", "SB", get.cookie, legend=True),
    C("mode", "CGS str", "FSB", get.mode),
    C("algo", "CGS str", "B", get.algo, legend=True),
    C("conn_rate", RATE, "F", get.rate("conn_rate")),
    C("conn_rate_max", MAX, "F", get.rate_max("conn_rate"), "connections_rate_max", "Most connections in a second"),
    C("conn_tot", COUNTER, "F", get.count("conn_tot"), "connections_total", "Connections since the start"),
    C("intercepted", COUNTER, "F", get.http_count("intercepted"), "intercepted_requests_total", "Answered here"),
    C("dcon", COUNTER, "F", get.count("dcon"), "denied_connections_total", "Connections denied by rules"),
    C("dses", COUNTER, "F", get.count("dses"), "denied_sessions_total", "Sessions denied by rules"),
    C("wrew", COUNTER, "FSB", get.count("wrew"), "failed_header_rewriting_total", "Header changes that failed"),
    C("connect", COUNTER, "SB", get.count("connect"), "connection_attempts_total", "Connects begun"),
    C("reuse", COUNTER, "SB", get.count("reuse"), "connection_reuses_total", "Requests over an open connection"),
    absent("cache_lookups", "http_cache_lookups_total", "Nothing is cached"),
    absent("cache_hits", "http_cache_hits_total", "Nothing is cached"),
    C("srv_icur", GAUGE, "S", get.idle_connections, "idle_connections_current", "Idle connections to the server"),
    C("src_ilim", LIMIT, "S", get.idle_limit, "idle_connections_limit", "Limit of idle connections"),
    milliseconds("qtime_max", MAX, "max_queue_time_seconds", "Longest time in the queue"),
    milliseconds("ctime_max", MAX, "max_connect_time_seconds", "Longest time to connect"),
    milliseconds("rtime_max", MAX, "max_response_time_seconds", "Longest time to the response's head"),
    milliseconds("ttime_max", MAX, "max_total_time_seconds", "Longest total time"),
    C("eint", COUNTER, "FSB", get.count("eint"), "internal_errors_total", "Faults of the proxy itself"),
    C("idle_conn_cur", GAUGE, "", None, "unsafe_idle_connections_current", "Always 0: all may be shared",
      metric_rows="S"),
    C("safe_conn_cur", GAUGE, "", None, "safe_idle_connections_current", "Idle connections to share", metric_rows="S"),
    C("used_conn_cur", GAUGE, "", None, "used_connections_current", "Connections in use", metric_rows="S"),
    C("need_conn_est", GAUGE),
    C("uweight", AVERAGE, "SB", get.uweight, "uweight", "Weight as set"),
    C("agg_server_status", GAUGE, "", None, "agg_server_status", "Servers by state", metric_rows="B"),
    C("agg_server_check_status", GAUGE, "", None, "agg_server_check_status", "As agg_server_status", metric_rows="B"),
    C("agg_check_status", GAUGE, "", None, "agg_check_status", "Servers by last check", metric_rows="B"),
    C("-"),
    C("ssl_sess", COUNTER, "FSB", get.count("ssl_handshakes")),
    C("ssl_reused_sess", COUNTER, "FSB", get.count("ssl_reused")),
    C("ssl_failed_handshake", COUNTER, "FSB", get.count("ssl_failed_handshake")),
)
# fmt: on

BY_NAME = {column.name: column for column in COLUMNS}
END_OF_STATIC = BY_NAME["-"]
"""Columns behind this mark may differ between versions (management manual, 9.1)."""
