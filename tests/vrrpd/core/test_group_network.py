"""Sync groups in networks: whatever happens to links and hosts, the members of a group are master together.

Two virtual routers, an inside and an outside one, on two links; each host has both in one sync group.  Hypothesis
cuts links, crashes and stops hosts; when everything flows again, one host has both, and at no moment after that
does another have one of them.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from support import examples

sys.path.insert(0, str(Path(__file__).parent))
from network import Network, Node

from vrrpd.config.model import SyncGroup
from vrrpd.core.actions import Action, State
from vrrpd.core.group import Group
from vrrpd.core.instance import Instance, LinkState

HOSTS = ("h1", "h2", "h3")
LINKS = {"inside": 61, "outside": 62}
BOUND = 3 + 255 / 256 + 1


class Grouped(Network):
    """Nodes "HOST.LINK"; those of one host are in one group, those of one link hear each other."""

    def __init__(self) -> None:
        super().__init__(lambda sender, receiver: [0.0005] if sender.split(".")[1] == receiver.split(".")[1] else [])

    def boot(self, host: str) -> None:
        nodes = [self.nodes[f"{host}.{link}"] for link in LINKS]
        for node in nodes:
            node.instance = Instance(node.settings)
        Group(SyncGroup("G", tuple(node.settings.name for node in nodes)), [node.instance for node in nodes])
        for node in nodes:
            self.perform(node, node.instance.start(self.now, LinkState(True, node.source)))

    def perform(self, node: Node, actions: list[Action]) -> None:
        """What a member made another one do is done on that one's link."""
        host = node.name.split(".")[0]
        for action in actions:
            super().perform(self.nodes.get(f"{host}.{action.instance}", node), [action])

    def link(self, host: str, link: str, up: bool) -> None:
        node = self.nodes[f"{host}.{link}"]
        self.event(node.name, "link_changed", LinkState(up, node.source))


class SyncGroups(RuleBasedStateMachine):
    """Three hosts at the most, two links."""

    @initialize(priorities=st.lists(st.integers(1, 254), min_size=2, max_size=3, unique=True))
    def build(self, priorities):
        self.network = Grouped()
        self.hosts = HOSTS[: len(priorities)]
        self.priority = dict(zip(self.hosts, priorities, strict=True))
        for host, priority in self.priority.items():
            for link, vrid in LINKS.items():
                node = self.network.add(f"{host}.{link}", virtual_router_id=vrid, priority=priority)
                node.settings = replace(node.settings, name=link)
        self.down: set[tuple[str, str]] = set()

    def running(self, host: str) -> bool:
        return self.network.nodes[f"{host}.inside"].instance is not None

    @rule(number=st.integers(0, 2))
    def start(self, number):
        host = self.hosts[number % len(self.hosts)]
        if not self.running(host):
            self.network.boot(host)

    @rule(number=st.integers(0, 2), gently=st.booleans())
    def end(self, number, gently):
        host = self.hosts[number % len(self.hosts)]
        for link in LINKS:
            (self.network.stop if gently else self.network.kill)(f"{host}.{link}")
            self.down.discard((host, link))

    @rule(number=st.integers(0, 2), link=st.sampled_from(sorted(LINKS)), up=st.booleans())
    def cable(self, number, link, up):
        host = self.hosts[number % len(self.hosts)]
        if self.running(host):
            self.network.link(host, link, up)
            (self.down.discard if up else self.down.add)((host, link))

    @rule(seconds=st.floats(0, 9))
    def wait(self, seconds):
        self.network.run(seconds)

    @rule()
    def a_host_with_a_broken_link_has_neither(self):
        for host in self.hosts:
            states = {link: self.network.nodes[f"{host}.{link}"].instance for link in LINKS}
            if self.running(host) and any((host, link) in self.down for link in LINKS):
                assert {one.state for one in states.values()} == {State.FAULT}
                assert not any(self.network.nodes[f"{host}.{link}"].addresses for link in LINKS)

    @precondition(lambda self: any(self.running(host) for host in self.hosts))
    @rule()
    def once_links_are_up_the_best_host_has_both(self):
        for host, link in sorted(self.down):
            self.network.link(host, link, True)
        self.down.clear()
        self.network.run(3 * BOUND)
        best = max((host for host in self.hosts if self.running(host)), key=lambda host: self.priority[host])
        wanted = [f"{best}.{link}" for link in LINKS]
        assert self.network.masters == wanted
        assert self.network.holders == wanted
        wrong: list[object] = []
        self.network.run(20, lambda: wrong.append(self.network.masters) if self.network.masters != wanted else None)
        assert not wrong, "and it stays"

    @precondition(lambda self: sum(self.running(host) for host in self.hosts) > 1)
    @rule(link=st.sampled_from(sorted(LINKS)))
    def a_cut_through_one_link_splits_nothing(self, link):
        self.once_links_are_up_the_best_host_has_both()
        masters = self.network.masters
        wrong: list[object] = []
        self.cut(link)
        self.network.run(20, lambda: wrong.append(self.network.masters) if self.network.masters != masters else None)
        self.network.heal()
        assert not wrong, "the others hear the master on the other link"

    @precondition(lambda self: sum(self.running(host) for host in self.hosts) > 1)
    @rule(healed=st.sampled_from(sorted(LINKS)))
    def where_one_link_is_healed_both_are_settled(self, healed):
        self.once_links_are_up_the_best_host_has_both()
        best = self.network.masters
        for link in LINKS:
            self.cut(link)
        self.network.run(3 * BOUND)
        assert len(self.network.masters) == 2 * sum(self.running(host) for host in self.hosts)
        self.network.heal()
        (other,) = LINKS.keys() - {healed}
        self.cut(other)
        self.network.run(1.1)
        assert self.network.masters == self.network.holders == best
        self.network.heal()

    def cut(self, link):
        for one, other in combinations(self.hosts, 2):
            self.network.separate(f"{one}.{link}", f"{other}.{link}")


TestSyncGroups = SyncGroups.TestCase
TestSyncGroups.settings = hypothesis_settings(max_examples=examples(100), stateful_step_count=20, deadline=None)
