"""The scenarios in labs: the article's on every stack in `make test`, all of them in `make soak`."""

from __future__ import annotations

import json

import pytest
from lab_runs import stacks

from bench.lab.result import Result
from bench.lab.scenarios import SCENARIOS

pytestmark = pytest.mark.netns


def load(path):
    return Result.from_json(json.loads(path.read_text()))


def test_the_articles_story_on_every_stack(early, results):
    assert early["quick"].ended() == 0, early["quick"].output
    for stack in stacks():
        found = load(results / "quick" / f"article-{stack}.json")
        assert not found.broken
        assert found.measures.kept > 50
        assert set(found.measures.by_server) >= {"worker1", "worker2", "worker3", "rancher"}
        assert found.measures.failures and found.measures.back_after is not None
        [first, *_, last] = found.vip["master1"]  # it had the address, lost it, and has it again
        assert first[0] == 0 and first[1] < last[0] and last[1] == pytest.approx(found.seconds, abs=0.01)
        assert any(start < last[0] for start, _ in (*found.vip["master2"], *found.vip["master3"]))
    assert early["quick"].nothing_left(), early["quick"].left()


def test_the_lab_needs_no_root_and_no_nginx_and_stands_beside_others(early, results):
    assert early["user"].ended() == 0, early["user"].output
    found = load(results / "user" / "router-stops-pylb+vrrpd.json")
    assert not found.broken and found.measures.answered > 100
    assert early["user"].nothing_left(), early["user"].left()


@pytest.fixture(scope="module")
def everything(runs, tmp_path_factory):
    """All scenarios on all stacks, side by side; minutes."""
    found = tmp_path_factory.mktemp("everything")
    run = runs.start("run", "all", "--name", "everything", "--json", str(found), "--stack", *stacks())
    assert run.ended(1800) in (0, 1), run.output[-4000:]
    return found


@pytest.mark.soak
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_on_every_stack(scenario, everything):
    results = {stack: load(everything / f"{scenario}-{stack}.json") for stack in stacks()}
    assert {stack: found.broken for stack, found in results.items()} == {stack: [] for stack in results}
