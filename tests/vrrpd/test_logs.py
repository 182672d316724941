"""Log lines: keepalived's form on the console, RFC 3164 to syslog, and floods told in one line."""

import re
import socket

import pytest

from vrrpd.core.actions import Level
from vrrpd.logs import FloodLimit, Log


def test_a_flood_is_said_a_few_times_and_then_counted():
    limit = FloodLimit(burst=2, window=10)
    said = [line for second in range(9) for line in limit.lines("bad", float(second))]
    assert said == ["bad", "bad"]
    assert limit.lines("other", 9.0) == ["other"]
    assert limit.lines("bad", 10.5) == ["bad (repeated 7 times)", "bad"]


def test_a_flood_that_is_over_is_summed_up():
    limit = FloodLimit(burst=1, window=10)
    for _ in range(5):
        limit.lines("bad", 1.0)
    assert limit.finish(5.0) == []
    assert limit.finish(11.5) == ["bad (repeated 4 times)"]
    assert limit.finish(30.0) == []


def test_many_different_lines_need_no_memory():
    limit = FloodLimit()
    for number in range(5000):
        limit.lines(f"line {number}", number / 10)
    assert len(limit._seen) < 600


def test_the_console_has_keepalived_s_form_and_detail_only_on_request(capsys):
    Log().say(Level.DEBUG, "detail")
    Log(detail=True).say(Level.DEBUG, "detail")
    Log().say(Level.INFO, "(VI_1) Entering MASTER STATE")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}: \(VI_1\) Entering MASTER STATE", lines[1])


def test_syslog_gets_facility_daemon_and_the_name_that_people_grep_for(tmp_path):
    path = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        log = Log(console=False, syslog=path)
        log.say(Level.WARNING, "(VI_1) received an invalid passwd!")
        text = sock.recv(500).decode()
        log.close()
    assert re.fullmatch(
        r"<28>\w{3} [ \d]\d [\d:]{8} Keepalived_vrrp\[\d+\]: \(VI_1\) received an invalid passwd!", text
    )


def test_a_syslog_that_is_not_there_is_an_error_at_start(tmp_path):
    with pytest.raises(OSError):
        Log(syslog=str(tmp_path / "none"))
