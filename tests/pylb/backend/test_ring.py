"""From hashes to servers: the map and the ring are the ones of their definitions, however servers came and went."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from pylb.backend.balance.hashes import avalanche
from pylb.backend.balance.ring import Ring
from pylb.backend.balance.static_rr import spread

SERVERS = [SimpleNamespace(sid=sid, eweight=1) for sid in (3, 1, 2, 900_000_000, 7)]


def spread_by_scores(weights: list[int]) -> list[int]:
    """The map as HAProxy makes it: at each place all servers' scores are looked at."""
    total, scores, places = sum(weights), [0] * len(weights), []
    for _ in range(total):
        scores = [score + weight for score, weight in zip(scores, weights, strict=True)]
        turns = [(score + total) // total for score in scores]
        best = turns.index(max(turns))
        scores[best] -= total
        places.append(best)
    return places


@given(st.lists(st.integers(1, 60), min_size=2, max_size=9))
def test_the_map_is_the_one_of_scores(weights: list[int]) -> None:
    servers = [SimpleNamespace(number=number, weight=weight) for number, weight in enumerate(weights)]
    assert [server.number for server in spread(servers, 1)] == spread_by_scores(weights)


@given(
    st.lists(st.dictionaries(st.integers(0, 4), st.integers(1, 64), min_size=1), min_size=1, max_size=6),
    st.lists(st.integers(0, 2**32 - 1), min_size=5, max_size=20),
)
def test_a_ring_that_has_changed_is_the_one_that_was_made_so(changes: list[dict[int, int]], values: list[int]) -> None:
    """Each change says who is there, with how many points."""
    ring = Ring()
    for change in changes:
        for number, weight in change.items():
            SERVERS[number].eweight = weight
        servers = [SERVERS[number] for number in sorted(change)]
        ring.update(servers)
        fresh = Ring()
        fresh.update(servers)
        owners = defaultdict(set)
        for server in servers:
            for number in range(server.eweight):
                owners[avalanche(server.sid * 4096 + number)].add(server.sid)
        assert all(ring.find(place, None).sid in sids for place, sids in owners.items())
        for avoid in (None, servers[0]):
            assert [ring.find(value, avoid) for value in values] == [fresh.find(value, avoid) for value in values]


def seconds(work: Callable[[], object]) -> float:
    """Of this process's processor time."""
    began = time.process_time()
    work()
    return time.process_time() - began


def test_a_server_that_goes_does_not_hold_up_requests_for_long() -> None:
    """Nothing is served while candidates change: some seconds, and a worker would be taken for hung."""
    servers = [SimpleNamespace(sid=number, eweight=1600) for number in range(100)]
    ring = Ring()
    made = seconds(lambda: ring.update(servers))
    changed = min(seconds(lambda first=first: ring.update(servers[first:])) for first in range(1, 6))
    assert changed < made / 4
    many = [SimpleNamespace(weight=number % 200 + 57) for number in range(500)]
    assert seconds(lambda: spread(many, 1)) < 2.0
