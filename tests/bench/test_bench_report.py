"""`python -m bench` and the main results: what README shows comes from the JSON files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench_runs import FACTS, a_run

import bench.__main__ as everything
from bench import report

ROOT = Path(__file__).parents[2]


def program(cpu: float, ratio: float) -> dict:
    return {"cpu": {"median": cpu}, "ratio": {"cpu": {"median": ratio}}}


HTTP = {
    "date": "2026-11-26 12:00:00 UTC",
    "machine": {"cpu": "Some CPU"},
    "versions": {"haproxy": "HAProxy version 2.6.12-1+deb", "nginx": "nginx version: nginx/1.22.1", "python": "3.11.7"},
    "scenarios": [
        {"name": "keepalive", "programs": {
            "haproxy": program(16.81, 1), "pylb": program(33.62, 2.003), "aiohttp": program(182.2, 11)}},
        {"name": "body-1m", "programs": {"haproxy": program(654.2, 1), "pylb": program(476.9, 0.731)}},
        {"name": "chunked", "programs": {"haproxy": program(1, 1), "pylb": program(2, 2)}},
    ],
    "latency": {
        "grid": [0.5, 0.99],
        "rates": [{"fraction": 0.5, "rate": 10_500, "curves": {
            "haproxy": {"quantiles": [0.00015, 0.0009]}, "pylb": {"quantiles": [0.00021, 0.0014]}}}],
    },
    "idle": {"held": {name: {"growth": growth, "connections": 10_000} for name, growth in
                      (("haproxy", 1222.0), ("pylb", 2267.0))}},
}  # fmt: skip


def test_readme_has_one_table_one_picture_and_the_command():
    failover = FACTS | {
        "runs": [a_run("pylb+vrrpd", 2.8), a_run("haproxy+keepalived", 8.6), a_run("pylb+vrrpd", 1, "crash")]
    }
    section = report.readme({"http": HTTP, "failover": failover})
    assert "| CPU µs per request, one core | HAProxy | pylb | ratio | aiohttp |" in section
    assert (
        "| the same with log, cookie, X-Forwarded-For, choice by Host | 16.8 | 33.6 | **2.00** | 182 |\n"
        "| answers of 1 MB | 654 | 477 | **0.73** | – |\n\n"
    ) in section
    assert "An idle client costs HAProxy 1.2 kB, pylb 2.3 kB of memory (10,000 of them)." in section
    assert "At 10,500 requests/s, p50 / p99: HAProxy 0.15 / 0.90 ms, pylb 0.21 / 1.40 ms." in section
    assert "Without service, HAProxy + keepalived / pylb + vrrpd: article 8.6 / 2.8 s." in section
    assert section.count("](bench/results/http.svg)") == 1 and "`make bench` repeats it" in section
    assert "Here: Some CPU, HAProxy 2.6.12, nginx 1.22.1, Python 3.11.7, 2026-11-26." in section


def test_readme_leaves_out_what_was_not_measured():
    section = report.readme({"http": {key: HTTP[key] for key in ("date", "machine", "versions", "scenarios")}})
    assert "idle client" not in section and "p99" not in section and "Without service" not in section


def test_the_front_page_links_what_is_there(tmp_path):
    (tmp_path / "http.json").write_text(json.dumps(HTTP))
    (tmp_path / "http.md").write_text("")
    (tmp_path / "http.svg").write_text("")
    (tmp_path / "vrrp.json").write_text("{}")
    page = report.write(tmp_path).read_text()
    assert "[http.md](http.md), [http.json](http.json)" in page and "![HTTP](http.svg)" in page
    assert "[vrrp.json](vrrp.json)" in page and "vrrp.md" not in page and "failover" not in page.lower()


def test_without_results_it_says_what_to_run(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bench.report", "readme", "--results", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "make bench" in done.stderr


@pytest.mark.parametrize("quick", [False, True])
def test_every_part_is_its_own_command_and_short_runs_do_not_replace_results(quick, tmp_path, monkeypatch, capsys):
    ran = []

    def run(words, **_):
        ran.append(words[1:])
        return subprocess.CompletedProcess(words, len(ran) - 1)

    monkeypatch.setattr(everything.subprocess, "run", run)
    monkeypatch.setattr(everything, "installed", lambda part: True)
    monkeypatch.setattr(everything, "QUICK_RESULTS", tmp_path)
    monkeypatch.setattr(everything.report, "RESULTS", tmp_path / "real")
    (tmp_path / "real").mkdir()
    monkeypatch.setattr(sys, "argv", ["bench", *(["--quick"] if quick else [])])
    assert everything.main() == 2
    flags = ["--quick"] if quick else []
    out = tmp_path if quick else tmp_path / "real"
    assert ran == [["-m", f"bench.{name}", *flags, "--out", str(out)] for name in ("http", "vrrp", "failover")]
    assert (out / "README.md").exists()
    assert "until all is done" in capsys.readouterr().out


def test_all_of_it_takes_no_longer_than_25_minutes():
    assert sum(part.minutes for part in everything.PARTS) <= 25
