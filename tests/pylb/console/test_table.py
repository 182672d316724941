"""Rows of the console from answers of admin sockets, without a socket."""

from __future__ import annotations

import pytest

from pylb.console.table import COLUMNS, age, count, lines, read

INFO = "Name: HAProxy\nVersion: 2.6.12\nCurrConns: 3\n\n"
HEADER = "# pxname,svname,scur,bin,hrsp_5xx,ereq,econ,eresp,rate,req_rate,status,type,lastchg,last_chk,\n"


def answer(*rows: str) -> str:
    return INFO + HEADER + "".join(f"{row}\n" for row in rows) + "\n"


def cell(line, title: str) -> str:
    return line.cells[[column.title for column in COLUMNS].index(title)]


def test_info_and_rows_are_read_in_the_proxys_order():
    snapshot = read(answer("www,FRONTEND,3,10,,,,,5,7,OPEN,0,,,", 'app,s1,1,10,0,,0,0,5,,UP,2,61,"a, b",'), 1.0)
    assert (snapshot.info["Name"], snapshot.info["CurrConns"]) == ("HAProxy", "3")
    assert list(snapshot.rows) == [("www", "FRONTEND"), ("app", "s1")]
    front, server = lines(snapshot, None)
    assert (front.server, server.server) == ("", "app/s1")
    assert (cell(front, "Rate/s"), cell(server, "Rate/s")) == ("7", "5"), "requests where they are counted"
    assert (cell(server, "Since"), cell(server, "Last check said")) == ("1m01s", "a, b")
    assert cell(front, "Since") == ""


def test_totals_become_rates_between_two_looks():
    before = read(answer("app,s1,1,1000,4,,1,1,5,,UP,2,1,,"), 10.0)
    now = read(answer("app,s1,1,5000,5,,2,2,5,,UP,2,3,,", "app,s2,0,800,0,,0,0,0,,UP,2,3,,"), 12.0)
    first, new = lines(now, before)
    assert (cell(first, "In B/s"), cell(first, "5xx/s"), cell(first, "Err/s")) == ("2000", "0.5", "1")
    assert cell(new, "In B/s") == "0", "a server that was not there before"


def test_cleared_counters_count_from_zero():
    before = read(answer("app,s1,1,1000,0,,0,0,5,,UP,2,1,,"), 10.0)
    now = read(answer("app,s1,1,300,0,,0,0,5,,UP,2,1,,"), 11.0)
    assert cell(lines(now, before)[0], "In B/s") == "300"


@pytest.mark.parametrize("text", ["", "Permission denied\n", "Unknown command: 'show stat'\n"])
def test_what_is_no_table_is_told_by_its_first_line(text):
    with pytest.raises(ValueError, match=text.strip() or "empty answer"):
        read(text, 0.0)


def test_figures_and_ages_are_short():
    assert [count(v) for v in (0, 0.25, 12.4, 9999, 10_000, 6_284_000, 3e9, 5e12, 2e16)] == [
        "0", "0.2", "12", "9999", "10k", "6284k", "3000M", "5000G", "20000T",
    ]  # fmt: skip
    assert [age(v) for v in (-1, 0, 59, 60, 3661, 90_000)] == ["never", "0s", "59s", "1m00s", "1h01m", "1d01h"]
