"""Latency histograms: how near their percentiles are, and what they forget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pylb.counters import ProxyCounters
from pylb.latency import BOUNDS, BUCKETS, GROWTH, SMALLEST, WINDOW, Latencies

TIMES = st.lists(st.floats(SMALLEST, BOUNDS[-1], exclude_min=True), min_size=1, max_size=300)


def exact(times: list[float], part: float) -> float:
    """The smallest time that `part` per cent of all do not exceed."""
    ordered = sorted(times)
    return next(t for n, t in enumerate(ordered, 1) if n >= len(times) * part / 100)


@given(TIMES, st.sampled_from([50.0, 95.0, 99.0, 100.0]))
def test_a_percentile_is_never_too_low_and_at_most_one_bucket_too_high(times, part):
    latencies = Latencies()
    latencies.add(times)
    (found,) = latencies.percentiles(part)
    assert exact(times, part) <= found <= exact(times, part) * GROWTH * 1.000001


@given(TIMES, TIMES)
def test_batches_add_up(first, second):
    apart, together = Latencies(), Latencies()
    apart.add(first)
    apart.add(second)
    together.add(first + second)
    assert apart.counts == together.counts


def test_what_is_out_of_range_is_counted_at_the_ends():
    latencies = Latencies()
    latencies.add([0.0, 1e9])
    assert (latencies.counts[0], latencies.counts[BUCKETS - 1]) == (1, 1)
    assert latencies.percentiles(50, 100) == [BOUNDS[0], BOUNDS[-1]]


def test_without_times_there_is_none():
    assert Latencies().percentiles(50) is None


def test_a_window_lasts_until_the_next_has_passed():
    latencies = Latencies()
    latencies.turn(1000.0)
    latencies.add([0.5])
    latencies.turn(1000.0 + WINDOW)
    assert latencies.percentiles(50) is not None, "the window before still counts"
    latencies.turn(1000.0 + 2 * WINDOW)
    assert latencies.percentiles(50) is None


def test_after_a_long_silence_nothing_old_is_told():
    latencies = Latencies()
    latencies.turn(1000.0)
    latencies.add([0.5])
    latencies.turn(1000.0 + 10 * WINDOW)
    assert latencies.percentiles(50) is None


def test_a_server_its_backend_and_the_frontend_count_the_same_responses():
    backend, server = ProxyCounters(), ProxyCounters()
    server.parent = backend
    frontend = ProxyCounters()
    server.timed((10.0, 10.0, 11.0, 11.25, 9.0, 12.0, frontend))
    server.sample(12.0)
    assert server.responses.counts == backend.responses.counts == frontend.responses.counts
    (found,) = server.responses.percentiles(50)
    assert 0.25 <= found <= 0.25 * GROWTH


def test_each_frontend_counts_the_responses_to_its_own_requests():
    one, other, server = ProxyCounters(), ProxyCounters(), ProxyCounters()
    for front, took in ((one, 0.25), (other, 0.5), (one, 0.25)):
        server.timed((10.0, 10.0, 11.0, 11.0 + took, 9.0, 12.0, front))
    server.fold()
    assert (sum(server.responses.counts), sum(one.responses.counts), sum(other.responses.counts)) == (3, 2, 1)
    assert other.responses.percentiles(50)[0] > one.responses.percentiles(99)[0]
