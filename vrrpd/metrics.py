"""The status document as Prometheus metrics: one row per metric, rendered by prometheus_client.

What exporters of keepalived have comes first, under their names (keepalived_metrics.py); what only vrrpd knows follows,
or is counted more finely, as vrrpd_*.  Runs in `vrrpd status --metrics` (for node_exporter's textfile collector) and
`vrrpd exporter`, never in the daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import CollectorRegistry

from vrrpd import keepalived_metrics

Sample = tuple[tuple[str, ...], float]
Samples = Callable[[dict[str, Any]], Iterator[Sample]]


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of every instance; `samples` yields further label values with the number."""

    name: str
    counter: bool
    help: str
    labels: tuple[str, ...]
    samples: Samples


def _one(value: Callable[[dict[str, Any]], Any]) -> Samples:
    def samples(instance: dict[str, Any]) -> Iterator[Sample]:
        yield (), float(value(instance))

    return samples


def _each(key: str) -> Samples:
    def samples(instance: dict[str, Any]) -> Iterator[Sample]:
        for label, number in instance[key].items():
            yield (label,), float(number)

    return samples


def _states(instance: dict[str, Any]) -> Iterator[Sample]:
    for state in ("INIT", "BACKUP", "MASTER", "FAULT"):
        yield (state,), float(instance["state"] == state)


def _mismatches(instance: dict[str, Any]) -> Iterator[Sample]:
    for peer, mismatch in instance["config_mismatch"].items():
        yield (peer, mismatch["reason"]), 1.0


def _counter(key: str) -> Samples:
    return _one(lambda instance: instance["counters"][key])


ROWS = (
    Row("vrrpd_state", False, "1 for the state the virtual router is in", ("state",), _states),
    Row("vrrpd_state_seconds", True, "Time spent in each state", ("state",), _each("seconds_in")),
    Row("vrrpd_transitions_to_master", True, "Times it became master", (), _counter("became_master")),
    Row("vrrpd_transitions_from_master", True, "Times it stood back", (), _counter("released_master")),
    Row("vrrpd_adverts_sent", True, "Adverts sent", (), _counter("adverts_sent")),
    Row("vrrpd_adverts_late", True, "Adverts sent a tenth of their interval late", (), _counter("adverts_late")),
    Row("vrrpd_adverts_received", True, "Adverts accepted", (), _counter("adverts_received")),
    Row("vrrpd_priority_zero_sent", True, "Farewells sent", (), _counter("priority_zero_sent")),
    Row("vrrpd_priority_zero_received", True, "Farewells heard", (), _counter("priority_zero_received")),
    Row("vrrpd_packets_refused", True, "Packets refused, by reason", ("reason",), _each("refused")),
    Row("vrrpd_send_errors", True, "Adverts the kernel did not send", (), _one(lambda one: one["send_errors"])),
    Row("vrrpd_effective_priority", False, "Priority in the adverts", (), _one(lambda o: o["effective_priority"])),
    Row("vrrpd_base_priority", False, "Configured priority", (), _one(lambda one: one["base_priority"])),
    Row("vrrpd_advert_interval_seconds", False, "Between adverts", (), _one(lambda one: one["master_interval"])),
    Row("vrrpd_split_brain", False, "1 while another master is heard", (), _one(lambda o: bool(o["split_brain"]))),
    Row("vrrpd_split_brains", True, "Times another master was heard", (), _counter("split_brains")),
    Row("vrrpd_config_mismatch", False, "1 per node configured differently", ("peer", "reason"), _mismatches),
    Row("vrrpd_abdications", True, "Elections asked for after the priority sank", (), _counter("abdications")),
    Row("vrrpd_restored_addresses", True, "Addresses put back", (), _counter("restored_addresses")),
    Row("vrrpd_instance_late_timers", True, "Timers too late to judge by", (), _counter("late_timers")),
)


class _Document:
    """A collector over one status document."""

    def __init__(self, document: dict[str, Any] | None) -> None:
        self._document = document

    def collect(self) -> Iterator[Metric]:
        yield from keepalived_metrics.families(self._document)
        if self._document is not None:
            yield from self._instances(self._document)
            yield from self._daemon(self._document)

    def _instances(self, document: dict[str, Any]) -> Iterator[Metric]:
        common = ("instance_name", "interface", "vrid", "family")
        for row in ROWS:
            family = CounterMetricFamily if row.counter else GaugeMetricFamily
            metric = family(row.name, row.help, labels=[*common, *row.labels])
            for one in document["instances"]:
                values = [one["name"], one["interface"], str(one["vrid"]), str(one["family"])]
                for labels, number in row.samples(one):
                    metric.add_metric([*values, *labels], number)
            yield metric

    def _daemon(self, document: dict[str, Any]) -> Iterator[Metric]:
        yield GaugeMetricFamily("vrrpd_uptime_seconds", "Since the start", value=document["uptime"])
        yield CounterMetricFamily("vrrpd_late_timers", "Timers that fired late", value=document["late_timers"])
        yield CounterMetricFamily("vrrpd_reloads", "Reloads done", value=document["reloads"])
        yield CounterMetricFamily("vrrpd_reloads_refused", "Reloads refused", value=document["failed_reloads"])
        scripts = GaugeMetricFamily("vrrpd_script_passed", "1 while a check passes", labels=["script"])
        timeouts = CounterMetricFamily("vrrpd_script_timeouts", "Runs killed for their length", labels=["script"])
        for script in document["tracking"]["scripts"]:
            scripts.add_metric([script["name"]], float(bool(script["passed"])))
            timeouts.add_metric([script["name"]], float(script.get("timeouts", 0)))
        yield scripts
        yield timeouts


def text(document: dict[str, Any] | None) -> str:
    """The exposition text; None: no daemon answers."""
    registry = CollectorRegistry()
    registry.register(_Document(document))
    return generate_latest(registry).decode()
