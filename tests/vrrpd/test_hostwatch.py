"""Changes on the host while the kernel does not tell what it looks like."""

import asyncio
import errno
from ipaddress import ip_address
from types import SimpleNamespace

import pytest

from vrrpd import hostwatch
from vrrpd.core.actions import Level
from vrrpd.hostwatch import HostWatch
from vrrpd.system.host import Host
from vrrpd.system.netlink import Address, Link, Overflow

UP = 0x1 | 0x40


class Kernel:
    """In the place of the netlink socket; refuses as often as it is told."""

    def __init__(self):
        self.refusals = 0
        self.standing = [Address(1, "10.0.0.1", 24), Address(1, "10.0.0.9", 32)]

    def links(self):
        return [Link(1, "eth0", UP, b"", 1500)]

    def addresses(self):
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.ENOMEM, "the kernel does not tell")
        return self.standing


def host_of(kernel):
    host = Host()
    host.close()
    host.netlink = kernel
    host.refresh()
    return host


def test_all_is_as_it_was_until_the_kernel_tells():
    kernel = Kernel()
    host = host_of(kernel)
    kernel.standing, kernel.refusals = kernel.standing[:1], 1
    changes = host.apply([Overflow()])
    assert changes.unread.errno == errno.ENOMEM
    assert not changes.removed
    assert len(host.addresses_of("eth0")) == 2
    assert host.reread().removed == [("eth0", ip_address("10.0.0.9"))]


@pytest.mark.asyncio
async def test_what_could_not_be_read_is_said_once_and_read_later(monkeypatch):
    monkeypatch.setattr(hostwatch, "RETRY", 0.02)
    kernel, said, restored = Kernel(), [], []
    host = host_of(kernel)
    parts = SimpleNamespace(
        host=host,
        say=lambda level, text: said.append((level, text)),
        statics=SimpleNamespace(restore=lambda changes: restored.append(changes.removed), groups=dict),
        tracking=SimpleNamespace(results={}),
        executor=SimpleNamespace(held={}, forget=lambda interface: None),
        stations=SimpleNamespace(on=lambda interface: []),
    )
    roster = SimpleNamespace(config=SimpleNamespace(interface_delays=()), links={}, instances={})
    watch = HostWatch(roster, parts, None, lambda *_: None)
    kernel.standing, kernel.refusals = kernel.standing[:1], 2
    watch._take(host.apply([Overflow()]))
    for _ in range(100):
        await asyncio.sleep(0.02)
        if any(restored):
            break
    assert [level for level, _ in said] == [Level.ERROR] * 2
    assert "does not tell" in said[0][1]
    assert restored[-1] == [("eth0", ip_address("10.0.0.9"))]
