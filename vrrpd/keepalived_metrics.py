"""The metrics under the names that exporters of keepalived use, so that dashboards and alerts made for it keep working.

Names and labels are those of keepalived-exporter (cafebazaar, today mehdy), which reads keepalived's own statistics
from the file that it writes on a signal. `state` as a label has the exporter's words, as a value keepalived's numbers.
What only vrrpd knows is in metrics.py, under names of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

Document = dict[str, Any]

COMMON = ("iname", "intf", "vrid", "state")
STATES = ("INIT", "BACKUP", "MASTER", "FAULT")
"""In the order of keepalived's numbers 0 to 3."""
SCRIPT_STATES = ("idle", "running", "requested termination", "forcing termination")
"""Likewise, of a check's process."""


@dataclass(frozen=True, slots=True)
class Row:
    """A counter of every virtual router."""

    name: str
    help: str
    value: Callable[[Document], float]


def _counted(key: str) -> Callable[[Document], float]:
    return lambda instance: float(instance["counters"][key])


def _refused(*reasons: str) -> Callable[[Document], float]:
    return lambda instance: float(sum(instance["refused"].get(reason, 0) for reason in reasons))


_FORGED = ("auth_password", "ah_icv", "ah_spi", "ah_sequence")

ROWS = (
    Row("advertisements_received", "Advertisements received", _counted("adverts_received")),
    Row("advertisements_sent", "Advertisements sent", _counted("adverts_sent")),
    Row("become_master", "Became master", _counted("became_master")),
    Row("release_master", "Released master", _counted("released_master")),
    Row("packet_length_errors", "Packet length errors", _refused("length")),
    Row("advertisements_interval_errors", "Advertisement interval errors", _refused("interval")),
    Row("ip_ttl_errors", "TTL errors", _refused("ttl")),
    Row("invalid_type_received", "Packets of another type than advertisement", _refused("type")),
    Row("address_list_errors", "Address list errors", _refused("address_count", "address_list")),
    Row("authentication_invalid", "Authentication types that do not exist", _refused("auth_type_unknown")),
    Row("authentication_mismatch", "Other authentication types than ours", _refused("auth_type")),
    Row("authentication_failure", "Authentication failures", _refused(*_FORGED)),
    Row("priority_zero_received", "Farewells received", _counted("priority_zero_received")),
    Row("priority_zero_sent", "Farewells sent", _counted("priority_zero_sent")),
    Row("gratuitous_arp_delay", "Configured garp_master_delay in seconds", lambda one: float(one["garp_delay"])),
)  # fmt: skip
"""Each is keepalived_NAME_total. The last is no counter, but the exporter serves it as one."""


def families(document: Document | None) -> Iterator[Metric]:
    """All of them; None: no daemon answers, which is a metric too."""
    yield GaugeMetricFamily("keepalived_up", "Whether the daemon answers", value=float(document is not None))
    if document is None:
        return
    yield _state(document)
    for row in ROWS:
        metric = CounterMetricFamily(f"keepalived_{row.name}", row.help, labels=COMMON)
        for one in document["instances"]:
            metric.add_metric([one["name"], one["interface"], str(one["vrid"]), one["state"]], row.value(one))
        yield metric
    yield from _scripts(document)


def _state(document: Document) -> Metric:
    """A sample per address: keepalived's exporter has them so."""
    labels = ("iname", "intf", "vrid", "ip_address")
    metric = GaugeMetricFamily("keepalived_vrrp_state", "0 init, 1 backup, 2 master, 3 fault", labels=labels)
    for one in document["instances"]:
        for place in one["places"]:
            values = [one["name"], place["interface"], str(one["vrid"]), place["address"]]
            metric.add_metric(values, STATES.index(one["state"]))
    return metric


def _scripts(document: Document) -> Iterator[Metric]:
    status = GaugeMetricFamily("keepalived_script_status", "1 while a check passes", labels=["name"])
    states = " ".join(f"{number} {name}," for number, name in enumerate(SCRIPT_STATES)).rstrip(",")
    state = GaugeMetricFamily("keepalived_script_state", f"Of a check's process: {states}", labels=["name"])
    for script in document["tracking"]["scripts"]:
        status.add_metric([script["name"]], float(bool(script["passed"])))
        state.add_metric([script["name"]], SCRIPT_STATES.index(script.get("state", "idle")))
    yield status
    yield state
