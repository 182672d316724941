"""Rise, fall and the first result of a track script."""

from hypothesis import given
from hypothesis import strategies as st

from vrrpd.system.health import Health, outcome_of


def test_the_first_result_decides_as_in_keepalived():
    health = Health(rise=3, fall=3)
    assert health.result(False)
    assert health.verdict is False


def test_the_first_result_counts_only_as_one_where_that_is_wanted():
    health = Health(rise=2, fall=2, settle_first=True)
    assert not health.result(True)
    assert health.verdict is None
    assert health.result(True)
    assert health.verdict is True


def test_init_fail_means_failed_until_enough_runs_passed():
    health = Health(rise=2, init_fail=True)
    assert health.verdict is False
    assert not health.result(True)
    assert health.result(True)


@given(st.integers(1, 5), st.integers(1, 5), st.lists(st.booleans(), max_size=60))
def test_a_verdict_changes_only_after_enough_equal_results_in_a_row(rise, fall, results):
    health = Health(rise, fall)
    health.result(True)
    run, last = 1, True
    for good in results:
        before = health.verdict
        changed = health.result(good)
        run = run + 1 if good is last else 1
        last = good
        assert changed is (before is not health.verdict)
        if changed:
            assert run >= (rise if good else fall)
        if run >= (rise if good else fall):
            assert health.verdict is good


def test_outcomes_name_status_and_signal_as_keepalived_does():
    assert outcome_of(0).good
    assert outcome_of(1).reason == "exited with status 1"
    assert outcome_of(-11).reason == "due to signal 11"
