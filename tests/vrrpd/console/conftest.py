"""Status documents made from real instances."""

from ipaddress import ip_address

import pytest

from vrrpd import status
from vrrpd.config.model import InstanceSettings, VirtualAddress
from vrrpd.core.instance import Instance, LinkState

PLACE = {"interface": "eth0", "send_errors": 0, "group": None}


@pytest.fixture
def instances():
    """VI_1 was made master; VI_2 waits."""
    found = []
    for number in (1, 2):
        virtual = (VirtualAddress(ip_address(f"10.0.0.9{number}")),)
        instance = Instance(InstanceSettings(f"VI_{number}", 60 + number, "eth0", addresses=virtual))
        instance.start(100.0, LinkState(source=ip_address("10.0.0.1")))
        found.append(instance)
    found[0].timer_fired(found[0].deadline)
    return found


@pytest.fixture
def make_document(instances):
    """The document at a time in seconds, with changes to its tracking."""

    def make(now: float, passed: bool = True, number: int = 0, **changes):
        tracking = {
            "scripts": [{"name": "chk", "passed": passed, "last": "ok", "runs": 3, "skipped": 0, "timeouts": 0}],
            "files": [{"name": "load", "number": number}],
            "processes": [],
        }
        return {
            "pid": 7,
            "uptime": now - 100.0,
            "instances": [status.describe(one, now) | PLACE for one in instances],
            "tracking": tracking,
            "links": [{"interface": "eth0", "flood": False, "floods": 0, "malformed": 0}],
            "late_timers": 0,
            "worst_lateness": 0.0,
            "announcements": 0,
            "reloads": 0,
            "failed_reloads": 0,
        } | changes

    return make
