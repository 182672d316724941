"""The properties of http1 over many inputs: each is read, or refused with ProtocolError, the same way however it is
cut, and never read where h11 refuses.

PYLB_FUZZ_INPUTS: how many (default 1,000,000, some two minutes); PYLB_FUZZ_SEED: where to start.
"""

from __future__ import annotations

import importlib.util
import os
import random
from pathlib import Path

import pytest
from http1_support import REQUESTS, RESPONSES, cut, mutate, read

from pylb.http1.head import Limits

INPUTS = int(os.environ.get("PYLB_FUZZ_INPUTS", "1000000"))
SEED = int(os.environ.get("PYLB_FUZZ_SEED", "1"))


def _properties():
    path = Path(__file__).parent.parent / "pylb" / "http1" / "test_http1_properties.py"
    spec = importlib.util.spec_from_file_location("http1_properties_for_fuzz", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.fuzz
@pytest.mark.timeout(7200)
def test_a_million_mutated_messages_are_read_or_refused_the_same_way_however_cut():
    properties = _properties()
    small = Limits(bufsize=120, maxrewrite=20, max_headers=4)
    accepted, large = 0, Limits()
    for number in range(INPUTS):
        dice = random.Random(SEED * 10_000_000 + number)
        limits = small if number % 5 == 0 else large
        method = dice.choice([None, None, b"GET", b"HEAD", b"CONNECT"])
        if number % 20 == 19:
            data = dice.randbytes(dice.randrange(80))
        else:
            data = mutate(dice.choice(REQUESTS if method is None else RESPONSES), dice)
        places = [dice.randrange(400) for _ in range(dice.randrange(5))]
        whole = read([data], limits, method)
        assert read(cut(data, places), limits, method) == whole, (number, data, places)
        accepted += whole is not None and not isinstance(whole, int)
        if method is None:
            properties.judge_request(data)
            properties.forward(data, dice.random() < 0.5)
        else:
            properties.judge_response(data, method)
    assert INPUTS < 1000 or accepted > INPUTS / 50, "the inputs were too broken to prove anything"
