"""Paced announcements: keepalived's vrrp_garp_interval loses most of a batch, here nothing is lost."""

import asyncio
import itertools
from ipaddress import ip_address
from types import SimpleNamespace

from vrrpd.system.announcer import Announcer


class Recorder:
    """Stands for a FrameSender."""

    def __init__(self):
        self.frames = []

    def send(self, frame):
        self.frames.append((asyncio.get_running_loop().time(), frame[28:32]))

    def close(self):
        pass


def announcer():
    link = SimpleNamespace(mac=b"\x02\0\0\0\0\1")
    host = SimpleNamespace(links={"eth0": link}, forwards=lambda name: False)
    one, recorder = Announcer(host, lambda *_: None), Recorder()
    one._senders["eth0"] = recorder
    return one, recorder


FIRST, SECOND = ip_address("10.0.0.1"), ip_address("10.0.0.2")


async def test_a_paced_batch_is_complete_in_order_and_keeps_its_distance():
    one, recorder = announcer()
    for _ in range(5):
        one.announce("eth0", FIRST, 0.01)
        one.announce("eth0", SECOND, 0.01)
    for _ in range(300):
        if one.sent == 10:
            break
        await asyncio.sleep(0.01)
    assert [frame for _, frame in recorder.frames] == [FIRST.packed, SECOND.packed] * 5
    times = [at for at, _ in recorder.frames]
    assert all(after - before >= 0.009 for before, after in itertools.pairwise(times))
    one.close()


async def test_without_an_interval_a_batch_leaves_at_once():
    one, recorder = announcer()
    for _ in range(5):
        one.announce("eth0", FIRST, 0)
    assert len(recorder.frames) == 5
    one.close()


async def test_an_address_that_is_withdrawn_is_announced_no_more():
    one, recorder = announcer()
    for address in (FIRST, SECOND, FIRST, SECOND):
        one.announce("eth0", address, 0.01)
    one.withdraw("eth0", SECOND)
    await asyncio.sleep(0.1)
    assert [frame for _, frame in recorder.frames] == [FIRST.packed, FIRST.packed]
    one.close()
