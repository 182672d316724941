"""The status document as table and as metrics, made from real instances."""

import asyncio
import io
import re
from ipaddress import ip_address

import pytest
from rich.console import Console

from vrrpd import metrics, status, view
from vrrpd.config.model import InstanceSettings, VirtualAddress
from vrrpd.core.instance import Instance, LinkState
from vrrpd.packet.refusal import Reason


@pytest.fixture
def document():
    settings = InstanceSettings("VI_1", 61, "eth0", addresses=(VirtualAddress(ip_address("10.0.0.9")),))
    instance = Instance(settings)
    instance.start(100.0, LinkState(source=ip_address("10.0.0.1")))
    instance.timer_fired(instance.deadline)
    instance.counters.refused[Reason.CHECKSUM] += 3
    where = {
        "interface": "eth0",
        "send_errors": 2,
        "group": None,
        "places": [{"address": "10.0.0.9", "interface": "eth0"}],
    }
    return {
        "pid": 7,
        "uptime": 3700.0,
        "instances": [status.describe(instance, 110.0) | where],
        "tracking": {
            "scripts": [
                {"name": "gone", "passed": None, "last": "not run: not found in PATH"},
                {"name": "chk", "passed": False, "last": "timed_out", "runs": 3, "skipped": 1, "timeouts": 2},
            ],
            "files": [{"name": "load", "number": 5}],
            "processes": [{"name": "p", "enough": None, "running": 0, "quorum": 1}],
        },
        "links": [{"interface": "eth0", "flood": True, "floods": 1, "malformed": 0}],
        "late_timers": 1,
        "worst_lateness": 0.25,
        "advert_rate_limit": 30000.0,
        "announcements": 5,
        "reloads": 2,
        "failed_reloads": 1,
    }


def test_the_table_says_what_matters(document):
    document["instances"][0]["split_brain"] = {"peer": "10.0.0.2", "priority": 90, "since": 1.0, "deaf": True}
    document["instances"][0]["config_mismatch"] = {"10.0.0.3": {"reason": "interval", "text": "differs", "ago": 1}}
    output = io.StringIO()
    view.show(document, Console(width=160, file=output))
    text = output.getvalue()
    assert re.search(r"VI_1 .*eth0 .*61 .*MASTER .*100 .*10\.0\.0\.1 .*10\.0\.0\.9", text)
    assert "split brain: 10.0.0.2 is master too, which does not hear us" in text
    assert "10.0.0.3 is configured differently: differs" in text
    assert re.search(r"script chk .*FAILED .*timed_out", text) and re.search(r"process p .*not known", text)
    assert "CHECK gone IS LEFT OUT (not run: not found in PATH)" in text
    assert "1 timers fired late, the worst by 0.250 s" in text
    assert "flood of refused packets on eth0" in text
    assert "more than this machine keeps on time: 30,000 adverts a second" in text
    assert "up 1 h 1 min" in text


def test_every_metric_is_there_with_its_labels(document):
    text = metrics.text(document)
    labels = 'family="4",instance_name="VI_1",interface="eth0"'
    for line in (
        f'vrrpd_state{{{labels},state="MASTER",vrid="61"}} 1.0',
        f'vrrpd_state{{{labels},state="BACKUP",vrid="61"}} 0.0',
        f'vrrpd_packets_refused_total{{{labels},reason="checksum",vrid="61"}} 3.0',
        f'vrrpd_effective_priority{{{labels},vrid="61"}} 100.0',
        f'vrrpd_transitions_to_master_total{{{labels},vrid="61"}} 1.0',
        f'vrrpd_adverts_sent_total{{{labels},vrid="61"}} 1.0',
        f'vrrpd_split_brain{{{labels},vrid="61"}} 0.0',
        'vrrpd_script_passed{script="chk"} 0.0',
        "vrrpd_late_timers_total 1.0",
    ):
        assert line in text.splitlines()
    seconds = re.findall(r'vrrpd_state_seconds_total\{.*state="(\w+)".*\} ([\d.]+)', text)
    assert sum(float(value) for _, value in seconds) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.04, "3.0 s"), (61, "1 min 1 s"), (7260, "2 h 1 min"), (200000, "2 d 7 h")]
)
def test_durations_are_readable(seconds, text):
    assert view.span(seconds) == text


async def test_the_socket_answers_with_one_document(tmp_path):
    server = status.StatusServer(tmp_path, lambda: {"a": "b" * 300_000})
    await server.start()
    try:
        assert (await asyncio.to_thread(status.fetch, tmp_path))["a"][:3] == "bbb"
        assert (tmp_path / "vrrpd.sock").stat().st_mode & 0o777 == 0o660
    finally:
        server.close()
    with pytest.raises(OSError):
        status.fetch(tmp_path)
