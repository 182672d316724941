"""The statistics as Prometheus metrics under the names and labels of HAProxy 2.6's exporter, so its dashboards work.

Names and kinds come from the tables in columns.py and info.py; a value that the table leaves empty is NaN, as HAProxy
writes it. States become one time series each, 1 at the one that holds. prometheus_client writes the text; it is loaded
with the first scrape, because it takes 14 MB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from pylb.admin.columns import BY_NAME, COLUMNS, Column
from pylb.admin.getters import up
from pylb.admin.info import FIELDS, VERSION_METRIC
from pylb.admin.rows import Row
from pylb.admin.stats import EVERYTHING, View
from pylb.admin.world import World

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4"

SCOPES = frozenset(("global", "frontend", "backend", "listener", "server", "sticktable"))
"""HAProxy's. Listeners have metrics of their own only where HAProxy counts sockets apart (option socket-stats)."""
_UNLIKE_COUNTERS = (b"haproxy_process_failed_resolutions",)
"""Counters whose name in HAProxy does not end as a counter's should, and as prometheus_client makes it end."""
KINDS = {"F": "frontend", "B": "backend", "S": "server"}
SERVER_STATES = ("DOWN", "UP", "MAINT", "DRAIN", "NOLB")
RESULTS = (
    "HANA", "SOCKERR", "L4OK", "L4TOUT", "L4CON", "L6OK", "L6TOUT", "L6RSP", "L7TOUT", "L7RSP", "L7OK", "L7OKC",
    "L7STS", "PROCERR", "PROCTOUT", "PROCOK",
)  # fmt: skip
"""States of the check_status metrics, in the exporter's order."""

Sample = tuple[dict[str, str], float]
NAN = float("nan")


def asked_scopes(query: Iterable[tuple[str, str | None]]) -> Set[str]:
    """The scopes that a query's `scope=` words choose, in their order: an empty one drops those before it, "*" is all
    of them, none at all too. Raises ValueError for a word that is no scope."""
    chosen: Set[str] = SCOPES
    first = True
    for key, value in query:
        if key != "scope":
            continue
        if value is None or (value not in ("", "*") and value not in SCOPES):
            raise ValueError(f"unknown scope {value!r}: one of {', '.join(sorted(SCOPES))}")
        before = frozenset() if first else chosen
        chosen = frozenset() if value == "" else SCOPES if value == "*" else before | {value}
        first = False
    return chosen


def metrics(world: World, view: View = EVERYTHING, scopes: Iterable[str] = SCOPES) -> bytes:
    """The exposition, text format 0.0.4. `scopes`: of SCOPES."""
    from prometheus_client import generate_latest

    text = generate_latest(cast("Any", _Collection(world, view, frozenset(scopes))))
    for name in _UNLIKE_COUNTERS:
        text = text.replace(name + b"_total", name)
    return text


class _Collection:
    """What generate_latest walks."""

    def __init__(self, world: World, view: View, scopes: Set[str]) -> None:
        self._world = world
        self._view = view
        self._scopes = scopes

    def collect(self) -> Iterator[Metric]:
        """All metrics: the process's, then those of frontends, backends and servers."""
        if "global" in self._scopes:
            yield from self._process()
        now = self._world.now()
        rows = list(self._view.rows(self._world, now))
        for kind, word in KINDS.items():
            chosen = [row for row in rows if row.kind == kind and word in self._scopes]
            for columns in _families(kind):
                samples = [sample for row in chosen for column in columns for sample in _samples(column, row)]
                if samples:
                    yield _metric(f"haproxy_{word}_{columns[0].metric}", columns[0].help, samples)

        if "sticktable" in self._scopes and self._world.tables:
            tables = [({"name": t.name, "type": t.model.type}, t) for t in self._world.tables.values()]
            sizes = [(labels, float(table.model.size)) for labels, table in tables]
            yield _metric("haproxy_sticktable_size", "Most entries of a stick table", sizes)
            used = [(labels, float(len(table.entries(now)))) for labels, table in tables]
            yield _metric("haproxy_sticktable_used", "Entries in a stick table", used)

    def _process(self) -> Iterator[Metric]:
        for field in FIELDS:
            if field.metric:
                value = float(field.get(self._world) or 0)
                yield _metric(f"haproxy_process_{field.metric}", field.help, [({}, value)])
        name = f"haproxy_process_{VERSION_METRIC.metric}"
        yield _metric(name, VERSION_METRIC.help, [({"version": self._world.version}, 1.0)])


@cache
def _families(kind: str) -> list[list[Column]]:
    """Columns with a metric for that kind of row, those that share one together."""
    families: dict[str, list[Column]] = {}
    for column in COLUMNS:
        if column.has_metric(kind):
            families.setdefault(column.metric, []).append(column)
    return list(families.values())


def _metric(name: str, help: str, samples: Iterable[Sample]) -> Metric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    family = (CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily)(name, help)
    for labels, value in samples:
        family.add_sample(name, labels, value)
    return family


def _samples(column: Column, row: Row) -> Iterator[Sample]:
    labels = {"proxy": row.section.name}
    if row.server is not None:
        labels["server"] = row.server.name
    by_state = _BY_STATE.get(column.name)
    if by_state is not None:
        for state, flag in by_state(row).items():
            yield labels | {"state": state}, flag
        return
    if not row.http and column.metric.startswith(("http_", "intercepted")):
        return  # a TCP proxy has neither requests nor responses
    if column.name.startswith("check_") and row.server is not None and BY_NAME["check_status"].value(row) is None:
        return  # a server without checks
    value = column.value(row)
    if value is None and column.get in _ZERO_WHEN_EMPTY:
        value = 0
    if column.get is None:
        value = _METRIC_ONLY.get(column.name, _nothing)(row)
    extra = dict([column.label]) if column.label else {}
    yield labels | extra, NAN if value is None else float(value) * column.scale


def _nothing(row: Row) -> int:
    return 0


_METRIC_ONLY: dict[str, Callable[[Row], int]] = {
    "safe_conn_cur": lambda row: 0 if row.server is None else len(row.server.idle),
    "used_conn_cur": lambda row: row.counters.scur,
}
"""Columns that the table leaves empty."""
_ZERO_WHEN_EMPTY = (BY_NAME["check_code"].get,)
"""A check that has no status code to tell."""


# -------------------------------------------------------------------------------------- metrics with a label per state


def _state_of(status: str) -> str:
    """The word of a server's status text: "UP 1/3" is UP, "no check" too, "MAINT (via a/b)" is MAINT."""
    return "UP" if status == "no check" else status.split()[0]


def _status(row: Row) -> dict[str, float]:
    if row.server is not None:
        state = _state_of(row.server.status)
        return {name: float(name == state) for name in SERVER_STATES}
    fine = up(row.backend) if row.backend is not None else not row.world.stopping
    return {"DOWN": float(not fine), "UP": float(fine)}


def _check_status(row: Row) -> dict[str, float]:
    status = BY_NAME["check_status"].value(row)
    return {name: float(name == status) for name in RESULTS} if status is not None else {}


def _server_states(row: Row) -> dict[str, float]:
    assert row.backend is not None
    found = Counter(_state_of(server.status) for server in row.backend.servers)
    return {name: float(found[name]) for name in SERVER_STATES} if found else {}


def _server_results(row: Row) -> dict[str, float]:
    assert row.backend is not None
    rows = (replace(row, kind="S", server=server) for server in row.backend.servers)
    found = Counter(BY_NAME["check_status"].value(each) for each in rows)
    return {name: float(found[name]) for name in RESULTS} if found else {}


_BY_STATE = {
    "status": _status,
    "check_status": _check_status,
    "agg_server_status": _server_states,
    "agg_server_check_status": _server_states,  # the same under an older name
    "agg_check_status": _server_results,
}
