"""A traced virtual router is the same virtual router: every action and every state, whatever happens."""

from __future__ import annotations

import io
import random
import sys
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import examples

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from network import Network

from vrrpd.config.model import Authentication
from vrrpd.core.instance import Instance
from vrrpd.trace.instance import TracedInstance
from vrrpd.trace.printer import Printer

NAMES = ("n1", "n2", "n3")
EVENTS = st.one_of(
    st.tuples(st.sampled_from(["start", "kill", "stop"]), st.sampled_from(NAMES)),
    st.tuples(st.just("run"), st.sampled_from([0.3, 1.0, 4.5])),
    st.tuples(st.just("separate"), st.sampled_from(NAMES)),
    st.tuples(st.just("heal"), st.none()),
)


def play(script, made, seed, version, better, authentication):
    chance = random.Random(seed)
    network = Network(lambda *_: [0.0003] * chance.choice((0, 1, 1, 1, 2)), made)
    for number, name in enumerate(NAMES):
        network.add(
            name, priority=100 + number // 2, version=version, abdicate=better, ah_probe=better,
            authentication=authentication if version == 2 else None,
        )  # fmt: skip
    for what, value in script:
        node = network.nodes.get(value)
        if what == "start" and node.instance is None:
            network.start(value)
        elif what in ("kill", "stop") and node.instance is not None:
            getattr(network, what)(value)
        elif what == "run":
            network.run(value)
        elif what == "separate":
            network.separate(value, next(name for name in NAMES if name != value))
        elif what == "heal":
            network.heal()
    return [(node.done, node.addresses, node.instance and node.instance.state) for node in network.nodes.values()]


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(EVENTS, max_size=25),
    st.integers(0, 999),
    st.sampled_from([2, 3]),
    st.booleans(),
    st.sampled_from([None, Authentication("ah", "viettq")]),
)
def test_nothing_is_done_otherwise(script, seed, version, better, authentication):
    told = io.StringIO()
    traced = partial(TracedInstance, Printer(told, began=0.0))
    script = [("start", "n1"), ("start", "n2"), ("run", 4.5), *script]
    plain = play(script, Instance, seed, version, better, authentication)
    assert play(script, traced, seed, version, better, authentication) == plain
    assert "BACKUP → MASTER" in told.getvalue()


@pytest.mark.parametrize("module", ["vrrpd.daemon", "vrrpd.cli"])
def test_without_the_option_nothing_of_it_is_loaded(module):
    import subprocess

    code = f"import {module}, sys; print([name for name in sys.modules if 'trace.' in name or name == 'rich'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
