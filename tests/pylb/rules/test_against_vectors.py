"""Samples, converters and tests give what HAProxy gave for the same requests (rules_vectors.py)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from rules_vectors import ACL_REQUEST, ODD_REQUEST, ODD_SAMPLES, PATTERN_FILE, TESTS, USUAL_REQUEST, USUAL_SAMPLES
from rules_world import condition_holds, exchange, scope, text

from pylb.config.model import Backend, Config, UserList

CONFIG = Config(
    userlists=(UserList("u", (("joe", "secret", True),), (("g", ("joe",)), ("h", ("joe",)))),), backends=(Backend("b"),)
)


def over(request: bytes):
    """An exchange as the recording rules left it."""
    x = exchange(request, variables={"txn.x": b"vv", "txn.n": 40})
    x.session.dst = "127.0.0.1"
    return x


@pytest.mark.parametrize(("expression", "value"), ODD_SAMPLES)
def test_a_sample_of_an_odd_request(expression, value):
    assert text(f"%[{expression}]", over(ODD_REQUEST), scope(config=CONFIG)) == value


@pytest.mark.parametrize(("expression", "value"), USUAL_SAMPLES)
def test_a_sample_of_a_usual_request(expression, value):
    assert text(f"%[{expression}]", over(USUAL_REQUEST), scope(config=CONFIG)) == value


@pytest.mark.parametrize(("test", "matches"), TESTS)
def test_a_test(test, matches):
    where = scope(config=CONFIG, read_file=lambda _path: PATTERN_FILE.encode())
    where.world.backends["b"] = SimpleNamespace(candidates=[1])
    written = test if test.replace("_", "").replace(".", "").isupper() or test.startswith("HTTP_1") else f"{{ {test} }}"
    assert condition_holds(f"if {written}", over(ACL_REQUEST), where) is matches
