"""The metrics as a Prometheus server reads them: names and labels of keepalived's exporters, and our own."""

import json
import threading
import urllib.request
from http.server import ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from vrrpd import exporter, metrics, status
from vrrpd.config.model import InstanceSettings, VirtualAddress
from vrrpd.core.instance import Instance, LinkState
from vrrpd.packet.refusal import Reason

EXPORTED = {
    "keepalived_advertisements_interval_errors_total",
    "keepalived_advertisements_received_total",
    "keepalived_advertisements_sent_total",
    "keepalived_address_list_errors_total",
    "keepalived_authentication_failure_total",
    "keepalived_authentication_invalid_total",
    "keepalived_authentication_mismatch_total",
    "keepalived_become_master_total",
    "keepalived_gratuitous_arp_delay_total",
    "keepalived_invalid_type_received_total",
    "keepalived_ip_ttl_errors_total",
    "keepalived_packet_length_errors_total",
    "keepalived_priority_zero_received_total",
    "keepalived_priority_zero_sent_total",
    "keepalived_release_master_total",
    "keepalived_script_state",
    "keepalived_script_status",
    "keepalived_up",
    "keepalived_vrrp_state",
}
"""What keepalived-exporter serves of a keepalived with scripts."""


def document():
    settings = InstanceSettings("VI_1", 61, "eth0", addresses=(VirtualAddress(ip_address("10.0.0.9"), 24),))
    instance = Instance(settings)
    instance.start(100.0, LinkState(source=ip_address("10.0.0.1")))
    instance.timer_fired(instance.deadline)
    for number, reason in enumerate(Reason, 1):
        instance.counters.refused[reason] += number
    return {
        "instances": [
            status.describe(instance, 110.0)
            | {
                "interface": "eth0", "send_errors": 0, "group": None,
                "places": [{"address": "10.0.0.9/24", "interface": "vrrp.61"}],
            }
        ],
        "tracking": {
            "scripts": [
                {"name": "gone", "passed": None, "last": "not run: not found in PATH"},
                {"name": "chk", "passed": True, "last": "ok", "timeouts": 2, "state": "running"},
            ],
        },
        "uptime": 3.0, "late_timers": 1, "reloads": 2, "failed_reloads": 1,
    }  # fmt: skip


def parsed(text):
    """{(name, labels): value}; the parser refuses what a Prometheus server refuses."""
    samples = {}
    for family in families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in samples, f"twice: {key}"
            samples[key] = sample.value
    return samples


def test_an_exporter_of_keepalived_could_be_exchanged_for_ours():
    samples = parsed(metrics.text(document()))
    assert {name for name, _ in samples if name.startswith("keepalived_")} == EXPORTED
    router = (("iname", "VI_1"), ("intf", "eth0"), ("state", "MASTER"), ("vrid", "61"))
    for name in EXPORTED:
        if name.endswith("_total"):
            assert (name, router) in samples
    address = (("iname", "VI_1"), ("intf", "vrrp.61"), ("ip_address", "10.0.0.9/24"), ("vrid", "61"))
    assert samples["keepalived_vrrp_state", address] == 2
    assert samples["keepalived_up", ()] == 1
    assert samples["keepalived_gratuitous_arp_delay_total", router] == 5
    assert samples["keepalived_become_master_total", router] == 1
    assert samples["keepalived_script_status", (("name", "chk"),)] == 1
    assert samples["keepalived_script_state", (("name", "chk"),)] == 1
    assert samples["keepalived_script_status", (("name", "gone"),)] == 0


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("packet_length_errors", [Reason.LENGTH]),
        ("advertisements_interval_errors", [Reason.INTERVAL]),
        ("ip_ttl_errors", [Reason.TTL]),
        ("invalid_type_received", [Reason.TYPE]),
        ("address_list_errors", [Reason.ADDRESS_COUNT, Reason.ADDRESS_LIST]),
        ("authentication_invalid", [Reason.AUTH_TYPE_UNKNOWN]),
        ("authentication_mismatch", [Reason.AUTH_TYPE]),
        ("authentication_failure", [Reason.AUTH_PASSWORD, Reason.AH_ICV, Reason.AH_SPI, Reason.AH_SEQUENCE]),
    ],
)
def test_refusals_are_counted_where_keepalived_counts_them(name, reasons):
    numbers = {reason: number for number, reason in enumerate(Reason, 1)}
    samples = parsed(metrics.text(document()))
    (found,) = (value for (sample, _), value in samples.items() if sample == f"keepalived_{name}_total")
    assert found == sum(numbers[reason] for reason in reasons)


def test_every_reason_has_a_sample_of_its_own_beside_them():
    samples = parsed(metrics.text(document()))
    reasons = {dict(labels)["reason"] for name, labels in samples if name == "vrrpd_packets_refused_total"}
    assert reasons == {reason.value for reason in Reason}


def test_without_a_daemon_one_metric_says_so():
    assert parsed(metrics.text(None)) == {("keepalived_up", ()): 0.0}


def test_the_exporter_answers_a_scrape_with_and_without_a_daemon(monkeypatch, tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), exporter.handler_for(tmp_path))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/metrics"
    try:
        for fetch, up in ((status.fetch, 0), (lambda _: json.loads("{"), 0), (lambda _: document(), 1)):
            monkeypatch.setattr(exporter, "fetch", fetch)
            with urllib.request.urlopen(address, timeout=5) as answer:
                assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
                assert parsed(answer.read().decode())["keepalived_up", ()] == up
    finally:
        server.shutdown()
        server.server_close()


def test_the_documentation_names_every_metric():
    told = (Path(__file__).parents[2] / "docs" / "vrrpd.md").read_text()
    names = {family.name + "_total" * (family.type == "counter") for family in families(metrics.text(document()))}
    assert [name for name in sorted(names) if f"`{name}`" not in told] == []
