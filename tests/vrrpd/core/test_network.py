"""Any history of starts, crashes, stops, losses, delays and repetitions ends with one master: the right one.

Hypothesis writes the histories.  The bounds are those of the RFC: silence is noticed after a master down interval,
and a farewell after a skew time.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from support import examples

sys.path.insert(0, str(Path(__file__).parent))
from network import Network

from vrrpd.config.model import Authentication
from vrrpd.core.timers import master_down_interval

NAMES = ("n1", "n2", "n3", "n4")
AH = Authentication("ah", "viettq")


class VirtualRouter(RuleBasedStateMachine):
    """Up to four nodes of one virtual router."""

    @initialize(
        priorities=st.lists(st.integers(1, 254), min_size=2, max_size=4),
        version=st.sampled_from([2, 3]),
        interval=st.sampled_from([1.0, 2.0]),
        authentication=st.sampled_from([None, AH]),
        nopreempt=st.booleans(),
        better=st.booleans(),
        seed=st.integers(0, 2**32),
    )
    def build(self, priorities, version, interval, authentication, nopreempt, better, seed):
        self.random = random.Random(seed)
        self.network = Network(self.fate)
        self.loss = self.repeat = self.delay = 0.0
        self.version, self.interval, self.nopreempt = version, interval, nopreempt
        for name, priority in zip(NAMES, priorities, strict=False):
            self.network.add(
                name,
                priority=priority,
                version=version,
                advert_int=interval,
                authentication=authentication if version == 2 else None,
                preempt=not nopreempt,
                abdicate=better,
                ah_probe=better,
            )

    def fate(self, sender: str, receiver: str):
        copies = 0 if self.random.random() < self.loss else 1 + (self.random.random() < self.repeat)
        return [0.0003 + self.random.random() * self.delay for _ in range(copies)]

    @property
    def running(self) -> list[str]:
        return [name for name, node in self.network.nodes.items() if node.instance]

    @property
    def bound(self) -> float:
        """The longest master down interval of any node, and an interval for what it sets off."""
        return master_down_interval(1, self.interval, self.version) + self.interval

    @rule(number=st.integers(0, 3))
    def start(self, number):
        name = NAMES[number % len(self.network.nodes)]
        if name not in self.running:
            self.network.start(name)

    @rule(number=st.integers(0, 3))
    def crash(self, number):
        self.network.kill(NAMES[number % len(self.network.nodes)])

    @rule(number=st.integers(0, 3))
    def stop(self, number):
        self.network.stop(NAMES[number % len(self.network.nodes)])

    @rule(one=st.integers(0, 3), other=st.integers(0, 3))
    def separate(self, one, other):
        count = len(self.network.nodes)
        if one % count != other % count:
            self.network.separate(NAMES[one % count], NAMES[other % count])

    @rule(loss=st.sampled_from([0.0, 0.1, 0.5, 1.0]), repeat=st.floats(0, 1), delay=st.floats(0, 0.3))
    def weather(self, loss, repeat, delay):
        self.loss, self.repeat, self.delay = loss, repeat, delay

    @rule(seconds=st.floats(0, 12))
    def wait(self, seconds):
        self.network.run(seconds)

    @precondition(lambda self: self.running)
    @rule()
    def once_messages_flow_there_is_one_master_the_right_one(self):
        self.network.heal()
        self.loss = self.repeat = self.delay = 0.0
        self.network.run(3 * self.bound)
        masters = self.network.masters
        assert len(masters) == 1, masters
        assert self.network.holders == masters
        if not self.nopreempt:
            best = max(
                self.running,
                key=lambda name: (
                    self.network.nodes[name].settings.priority,
                    self.network.nodes[name].source,
                ),
            )
            priority = self.network.nodes[best].settings.priority
            assert self.network.nodes[masters[0]].settings.priority == priority
        wrong: list[object] = []
        self.network.run(30, lambda: wrong.append(self.network.masters) if self.network.masters != masters else None)
        assert not wrong, "and it stays"

    @precondition(lambda self: len(self.running) > 1)
    @rule()
    def a_crashed_master_is_replaced_within_the_bound(self):
        self.once_messages_flow_there_is_one_master_the_right_one()
        (master,) = self.network.masters
        self.network.kill(master)
        self.network.run(master_down_interval(1, self.interval, self.version) + 0.01)
        self.somebody_is_master_and_soon_nobody_else()

    @precondition(lambda self: len(self.running) > 1)
    @rule()
    def a_stopped_master_is_replaced_within_a_skew_time(self):
        self.once_messages_flow_there_is_one_master_the_right_one()
        (master,) = self.network.masters
        self.network.stop(master)
        self.network.run((1.0 if self.version == 2 else self.interval) + 0.01)
        self.somebody_is_master_and_soon_nobody_else()

    def somebody_is_master_and_soon_nobody_else(self):
        """Equal priorities time out together, and with AH their first adverts may have the same number."""
        assert self.network.masters
        self.network.run(3 * self.interval)
        assert len(self.network.masters) == 1


TestVirtualRouter = VirtualRouter.TestCase
TestVirtualRouter.settings = hypothesis_settings(max_examples=examples(200), stateful_step_count=25, deadline=None)
