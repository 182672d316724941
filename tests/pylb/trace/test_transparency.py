"""A traced exchange is the same exchange: every byte to either side and every log line, whatever happens."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from conversation import World
from hypothesis import given, settings
from hypothesis import strategies as st
from support import examples
from test_random_conversations import REQUESTS, RESPONSES, Conversations
from traced_world import Traced

from pylb.config.load import read_haproxy
from pylb.config.words import Report
from pylb.process.balancer import Balancer

EVENTS = st.one_of(
    st.just(("client", 0, b"")),
    st.tuples(st.just("request"), st.integers(0, 3), st.sampled_from(REQUESTS)),
    st.just(("accept", 0, b"")),
    st.just(("refuse", 0, b"")),
    st.tuples(st.just("response"), st.integers(0, 3), st.sampled_from(RESPONSES)),
    st.tuples(st.sampled_from(["client ends", "server ends", "server resets"]), st.integers(0, 3), st.just(b"")),
    st.tuples(st.just("time"), st.sampled_from([0, 1, 6, 31]), st.just(b"")),
)


def play(world: World, script: list[tuple[str, int, bytes]]) -> list[Any]:
    """Carry out a script; all that anybody has got in the end."""
    clients: list[Any] = []
    servers: list[Any] = []
    for what, number, data in script:
        client = clients[number % len(clients)] if clients else None
        server = servers[number % len(servers)] if servers else None
        if what == "client":
            clients.append(world.client())
        elif what == "request" and client:
            client.sends(data)
        elif what == "accept" and world.connecting:
            servers.append(world.server())
        elif what == "refuse" and world.connecting:
            world.refuses()
        elif what == "response" and server:
            server.sends(data)
        elif what == "client ends" and client:
            client.ends()
        elif what == "server ends" and server:
            server.ends()
        elif what == "server resets" and server:
            server.resets()
        elif what == "time":
            world.passes(number)
    states = [(bytes(peer.received), peer.closed, peer.saw_end, peer.was_cut) for peer in (*clients, *servers)]
    return [states, [_without_moment(line) for line in world.lines]]


def _without_moment(line: str) -> str:
    """A log line without its date, which is the wall's."""
    start, end = line.index("["), line.index("]")
    return line[:start] + line[end:]


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_nobody_can_tell_the_difference(script: list[tuple[str, int, bytes]]) -> None:
    outcomes = []
    for make in (World, Traced):
        world = make(Conversations.text)
        try:
            outcomes.append(play(world, script))
        finally:
            world.close()
    assert outcomes[0] == outcomes[1]


class Told(Conversations):
    """The random conversations with all their invariants, traced."""

    def __init__(self) -> None:
        super().__init__()
        self.world.close()
        self.world = Traced(self.text)


Told.TestCase.settings = settings(Conversations.TestCase.settings, max_examples=examples(30))
TestTold = Told.TestCase


def test_without_the_option_nothing_is_wrapped_or_imported() -> None:
    text = Conversations.text.replace("frontend f\n", "frontend f\n http-request set-header A b\n")
    parsed, _ = read_haproxy([("t.cfg", text)], {})
    balancer = Balancer(parsed, Report())
    try:
        steps = [*balancer.frontends[0].http_request, *balancer.frontends[0]._routes]
        assert steps and all(step.__module__.startswith("pylb.rules.") for step in steps)
        assert type(balancer.backends[0]).__module__ == "pylb.backend.backend"
    finally:
        balancer.close()
    code = "import sys, pylb.cli, pylb.process.steward; sys.exit(any(m.startswith('pylb.trace') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
