"""bench/failover: the lab's results as data, the page, and pictures that show every request."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from bench_runs import FACTS, a_run

from bench import style
from bench.failover import plot, report, results


def data(*runs: dict) -> dict:
    """As it is read back from the file."""
    return json.loads(results.dumps(FACTS, runs))


def test_what_is_written_can_be_read_back_and_has_a_line_per_column():
    run = a_run("pylb+vrrpd", 1.0)
    text = results.dumps(FACTS, [run])
    assert json.loads(text)["runs"] == [run]
    assert json.loads(text)["machine"] == FACTS["machine"]
    assert any(line.strip().startswith('"latency": [') for line in text.splitlines())


def test_the_page_puts_the_stacks_of_a_scenario_together_and_says_what_broke():
    page = report.markdown(data(
        a_run("pylb+vrrpd", 1.0, "article", ("1.00 s without service, expected at most 0.50",)),
        a_run("haproxy+keepalived", 2.5),
        a_run("pylb+vrrpd", 0.0, "crash"),
    ))  # fmt: skip
    lines = page.splitlines()
    first = lines.index("| article | HAProxy + keepalived | 2.50 s | 250 | 1,400 | 2.51 s | 2.0 | 8.0 | 0 |")
    assert lines[first + 1] == "|  | pylb + vrrpd | 1.00 s | 100 | 1,400 | 1.01 s | 2.0 | 8.0 | 0 |"
    assert lines[first + 2] == "| crash | pylb + vrrpd | 0.00 s | 0 | 1,400 |  | 2.0 | 8.0 | 0 |"
    assert "- **article, pylb + vrrpd**: 1.00 s without service, expected at most 0.50" in lines
    assert "![Timeline of crash](failover-crash.svg)" in lines


def test_every_request_is_a_mark_at_its_time_and_latency_and_failures_are_apart():
    run = a_run("pylb+vrrpd", 1.0)
    with style.applied():
        (axes,) = plot.timeline([run], data(run)).axes
    good, bad = axes.lines[0], axes.lines[1]
    assert len(good.get_xdata()) == 1300 and len(bad.get_xdata()) == 100
    assert bad.get_color() == style.FAILURE and bad.get_marker() == "x"
    assert min(bad.get_xdata()) == 3.0 and max(bad.get_xdata()) == pytest.approx(3.99)
    assert set(bad.get_ydata()) == {0.001, 2.0}
    answered = [value for value, kind in zip(run["latency"], run["outcomes"], strict=True) if kind == 0]
    assert list(good.get_ydata()) == [max(value, plot.LOWEST) for value in answered]


def test_bands_show_who_has_the_address_and_when():
    run = a_run("pylb+vrrpd", 1.0)
    with style.applied():
        (axes,) = plot.timeline([run], data(run)).axes
        colours = {plot.MASTERS[name]: name for name in plot.MASTERS}
        bands = sorted(
            (colours[hexed], round(patch.get_x(), 2), round(patch.get_x() + patch.get_width(), 2))
            for patch in axes.patches
            if (hexed := "#" + "".join(f"{round(255 * part):02x}" for part in patch.get_facecolor()[:3])) in colours
        )
    assert bands == [("master1", 0, 3.95), ("master1", 11, 14), ("master2", 4, 11.02)]


def test_the_overview_has_every_scenario_and_the_figure_of_each_stack():
    with style.applied():
        (axes,) = plot.gaps(data(a_run("pylb+vrrpd", 1.1), a_run("haproxy+keepalived", 5.2))).axes
    marks = {line.get_marker(): float(line.get_xdata()[0]) for line in axes.lines if len(line.get_xdata()) == 1}
    assert marks == {style.MARKS["haproxy"]: 5.2, style.MARKS["pylb"]: 1.1}
    assert {"5.20 s, 520 failed", "1.10 s, 110 failed"} <= {text.get_text() for text in axes.texts}


def test_the_files_are_the_same_bytes_for_the_same_runs(tmp_path):
    runs = data(a_run("pylb+vrrpd", 1.1), a_run("haproxy+keepalived", 0.0), a_run("pylb+vrrpd", 0.3, "crash"))
    for place in ("1", "2"):
        (tmp_path / place).mkdir()
        assert plot.write(runs, tmp_path / place) == ["failover-article.svg", "failover-crash.svg", "failover.svg"]
    for file in (tmp_path / "1").iterdir():
        assert file.read_bytes() == (tmp_path / "2" / file.name).read_bytes()
        ET.parse(file)
