"""Rows and events, made of two status documents."""

from vrrpd.console.lines import COLUMNS, Snapshot, detail, events, lines
from vrrpd.packet.refusal import Reason

TITLES = [column.title for column in COLUMNS]


def cell(line, title):
    return line.cells[TITLES.index(title)]


def test_counts_become_rates_of_the_time_between_two_looks(instances, make_document):
    before = Snapshot(10.0, make_document(110.0))
    instances[0].counters.adverts_sent += 8
    instances[0].counters.refused[Reason.CHECKSUM] += 3
    line, other = lines(Snapshot(12.0, make_document(112.0)), before)
    assert (cell(line, "Sent/s"), cell(line, "Refused/s"), cell(line, "State")) == ("4.0", "1.5", "MASTER")
    assert (cell(other, "Sent/s"), cell(other, "State")) == ("0", "BACKUP")


def test_a_daemon_that_counts_from_zero_again_has_no_negative_rate(instances, make_document):
    instances[0].counters.adverts_sent += 100
    before = Snapshot(10.0, make_document(110.0))
    instances[0].counters.adverts_sent = 0
    line, _ = lines(Snapshot(11.0, make_document(111.0)), before)
    assert cell(line, "Sent/s") == "0"


def test_the_first_look_has_rows_and_no_events(make_document):
    now = Snapshot(1.0, make_document(110.0))
    assert len(lines(now, None)) == 2 and list(events(None, now)) == []


def test_what_changed_is_said_once(instances, make_document):
    first = Snapshot(1.0, make_document(110.0))
    instances[1].timer_fired(instances[1].deadline)
    second = Snapshot(2.0, make_document(111.0, passed=False, number=4))
    assert list(events(first, second)) == [
        "(VI_2) BACKUP -> MASTER",
        "(VI_2) master unknown -> 10.0.0.1",
        "check chk FAILS",
        "file load: 0 -> 4",
    ]
    assert list(events(second, second)) == []


def test_problems_begin_and_end(make_document):
    calm, troubled = make_document(110.0), make_document(111.0)
    troubled["instances"][0]["split_brain"] = {"peer": "10.0.0.2", "priority": 90, "since": 1.0, "deaf": False}
    before, now = Snapshot(1.0, calm), Snapshot(2.0, troubled)
    assert list(events(before, now)) == ["(VI_1) split brain: 10.0.0.2 is master too"]
    assert list(events(now, before)) == ["(VI_1) over: split brain: 10.0.0.2 is master too"]
    assert [line.troubled for line in lines(now, before)] == [True, False]
    assert ("problem", "split brain: 10.0.0.2 is master too") in detail(now.instances["VI_1"])


def test_restarts_and_reloads_are_events(make_document):
    before = Snapshot(1.0, make_document(110.0))
    now = make_document(111.0, pid=8, reloads=1, failed_reloads=1)
    now["instances"].pop()
    assert list(events(before, Snapshot(2.0, now))) == [
        "the daemon was started again: pid 8",
        "(VI_2) gone",
        "configuration reloaded",
        "a reload was refused: the configuration is wrong and nothing was changed",
    ]


def test_the_detail_says_all_there_is(instances, make_document):
    instances[0].counters.refused[Reason.CHECKSUM] += 3
    facts = dict(detail(Snapshot(1.0, make_document(130.0)).instances["VI_1"]))
    assert facts["addresses"].startswith("10.0.0.91")
    assert "VRRPv2" in facts["speaks"] and "multicast" in facts["speaks"]
    assert "MASTER" in facts["times in"] and "BACKUP" in facts["times in"]
    assert facts["refused"].endswith(" 3") and "became master 1" in facts["counted"]
