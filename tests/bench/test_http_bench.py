"""bench/http: reading what /proc, wrk and the open-loop client say; ratios, page and pictures; short real runs."""

from __future__ import annotations

import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from support import require_program

from bench import style
from bench.http import cpu, latency, load, measure, memory, plot, programs, rate, report, results, world
from bench.http.logs import NoLog
from bench.http.scenarios import BY_NAME, SCENARIOS

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"

STAT = (
    "2284 (a (strange) name) S 2260 2260 1 34816 2260 4194304 11093 73 0 0 145 81 20 4 20 0 5 0 514236 358977536 11596"
    " 18446744073709551615 94371 94372 140721 0 0 0 0 16781312 134234627 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
)

ROLLUP = """\
55d0c5c00000-7ffd2e9f9000 ---p 00000000 00:00 0                          [rollup]
Rss:               22216 kB
Pss:               17188 kB
Pss_Dirty:          9000 kB
Shared_Clean:       5028 kB
"""

WRK = """\
Running 10m test @ http://127.0.0.1:50099/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     7.11ms    2.02ms  27.28ms   86.02%
    Req/Sec     8.36k     1.33k   10.11k    70.00%
  16385 requests in 2.00s, 3.02MB read
Requests/sec:   8173.90
Transfer/sec:      1.51MB
RESULT {"requests": 16385, "seconds": 2.004552, "bytes": 3162205, "p50": 6700, "p99": 27277, "not_ok": 3, \
"connect": 1, "read": 2, "write": 4, "timeout": 8}
"""


def a_round(user: float, system: float, requests: int = 1000, seconds: float = 1.0) -> measure.Round:
    """A round with these CPU µs per request."""
    times = cpu.Times(user * requests / 1e6, system * requests / 1e6)
    return measure.Round(load.Load(requests, seconds, 65 * requests, 0.001, 0.004, 0, 0), times)


def measured(name: str = "keepalive") -> measure.Measured:
    """HAProxy at 20 µs; pylb at 30, 40 and 50; a peer at 200 in one round; another with a reason."""
    rounds = {
        "haproxy": tuple(a_round(5, 15) for _ in range(3)),
        "pylb": tuple(a_round(15 + 10 * number, 15, 500) for number in range(3)),
        "aiohttp": (a_round(150, 50, 100),),
    }
    return measure.Measured(BY_NAME[name], rounds, {"pyhaproxy-lb": "has no TLS towards clients"})


FACTS = {
    "command": "python -m bench.http",
    "date": "2026-11-23 17:00:00 UTC",
    "machine": {"cpu": "Some <CPU> & more", "cores": 2, "kernel": "6.1", "load_before": [0.5, 0.4, 0.3]},
    "versions": dict.fromkeys(
        ("haproxy", "pylb", "aiohttp", "pyhaproxy-lb", "python", "servers", "wrk", "openssl"), "1"
    ),
    "configuration": "haproxy.cfg",
    "commands": dict.fromkeys(("haproxy", "pylb", "aiohttp", "pyhaproxy-lb"), "taskset …"),
    "omits": {"pyhaproxy-lb": ["sticky cookie"]},
    "effort": {"seconds": 1.5, "rounds": 3, "peer_rounds": 1},
}


def all_data() -> dict:
    """What a run would write, through JSON and back."""
    found = [measured(), measured("body-10k")]
    running = [programs.Program(programs.BY_NAME[name], "1", dict.fromkeys(programs.FRONTENDS, 80), NoLog())
               for name in ("haproxy", "pylb")]  # fmt: skip
    around = world.World(world.Cores(1, 0), Path(), {}, Path("bundle.pem"))
    curves = {
        name: latency.Curve(tuple(1e-4 * factor * (1 + step) for step in range(len(latency.GRID))), 900, 0, 5e-5, 30.0)
        for name, factor in (("haproxy", 1), ("pylb", 2))
    }
    rates = [latency.Rate(fraction, 20_000 * fraction, curves) for fraction in (0.25, 0.5)]
    held = {"pylb": memory.Held(1000, cpu.Memory(50_000_000, 40_000_000), cpu.Memory(53_000_000, 42_500_000))}
    return json.loads(json.dumps(FACTS | {
        "scenarios": results.of_scenarios(found, around, running),
        "latency": results.of_latency(latency.Latency("pylb", 20_000, 64, 4, 2, rates)),
        "idle": results.of_idle(memory.Idle(held, {"pyhaproxy-lb": "is too slow"})),
    }))  # fmt: skip


# --------------------------------------------------------------------------------------------------- what programs say


def test_proc_stat_is_read_behind_a_name_with_blanks_and_brackets():
    parent, times = cpu.parse_stat(STAT)
    assert parent == 2260
    assert times == cpu.Times((145 + 20) * cpu.TICK, (81 + 4) * cpu.TICK)


def test_the_cost_of_children_counts_and_that_of_strangers_does_not():
    processes = {
        1: (0, cpu.Times()),
        5: (1, cpu.Times(1, 1)),
        6: (5, cpu.Times()),
        7: (6, cpu.Times()),
        8: (1, cpu.Times()),
    }
    assert cpu.family(5, processes) == [5, 6, 7]


def test_cpu_time_that_this_process_burns_is_seen():
    before = cpu.cpu_times(os.getpid())
    start = os.times()
    while os.times().user - start.user < 0.05:
        pass
    used = cpu.cpu_times(os.getpid()) - before
    assert 0.03 <= used.user < 5


def test_a_process_that_is_gone_is_an_error():
    child = subprocess.Popen([sys.executable, "-S", "-c", ""])
    child.wait()
    with pytest.raises(ProcessLookupError):
        cpu.cpu_times(child.pid)


def test_memory_is_resident_and_proportional():
    assert cpu.parse_rollup(ROLLUP) == cpu.Memory(22216 * 1024, 17188 * 1024)
    here = cpu.one_memory(os.getpid())
    assert 1_000_000 < here.proportional <= here.resident


def test_wrk_output_gives_counts_seconds_and_all_kinds_of_errors():
    seen = load.parse(WRK)
    assert (seen.requests, seen.seconds, seen.received) == (16385, 2.004552, 3162205)
    assert (seen.p50, seen.p99) == (0.0067, 0.027277)
    assert (seen.not_ok, seen.socket_errors) == (3, 15)
    assert round(seen.rate) == 8174


def test_wrk_output_without_a_result_is_an_error_that_shows_it():
    with pytest.raises(load.LoadError, match="unable to connect"):
        load.parse("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_requests_are_read_by_their_length_whatever_is_in_them():
    assert load.read_requests(b"5\nGET\n\n12\n3\nPOST\r\n\r\nab") == [b"GET\n\n", b"3\nPOST\r\n\r\nab"]


# --------------------------------------------------------------------------------------------------------- fixed rates


def test_requests_are_due_at_the_rate_and_the_same_for_every_program():
    moments = list(rate.schedule(5000, 4))
    assert moments == list(rate.schedule(5000, 4))
    assert len(moments) == pytest.approx(20_000, rel=0.03)
    assert moments == sorted(moments) and moments[-1] < 4
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    assert statistics.pstdev(gaps) == pytest.approx(1 / 5000, rel=0.05)  # exponential: as wide as their mean


def test_an_answer_ends_where_its_length_says():
    answer = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length:  5\r\n\r\nhello"
    assert rate.answer_size(answer + b"more") == len(answer)
    assert rate.answer_size(answer[:30]) is None
    with pytest.raises(ValueError, match="Content-Length"):
        rate.answer_size(b"HTTP/1.1 200 OK\r\n\r\nContent-Length: 5\r\n\r\n")


def test_quantiles_are_values_that_were_seen():
    values = list(range(1, 1001))
    assert [latency.quantile(values, share) for share in (0, 0.5, 0.99, 0.999, 1)] == [1, 500, 990, 999, 1000]
    assert latency.quantile([7], 0.5) == 7


def test_a_stall_counts_for_every_request_that_it_delays():
    """The server sleeps 0.3 s once; a client that waits for answers would notice one slow one."""

    def serve(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client:
            client.settimeout(10)
            served = 0
            while client.recv(65536):
                served += 1
                if served == 50:
                    threading.Event().wait(0.3)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,), daemon=True)
        server.start()
        order = rate.Order(listener.getsockname()[1], 200, 1.0, 0.0, 1, "", drain=30)
        client = rate.Client(order, [b"GET / HTTP/1.1\r\n\r\n"])
        seen = client.run()
        for sock in client.sockets.values():
            sock.close()
        server.join(10)
    assert seen.unanswered == 0
    assert len(seen.latencies) == len(list(rate.schedule(200, 1.0)))
    slow = [value for value in seen.latencies if value > 0.1]
    # 200/s for the 0.2 s in which requests wait longer than 0.1 s, or more where the machine stalls, too; not all.
    assert 20 < len(slow) < len(seen.latencies)
    assert max(seen.latencies) >= 0.3


# ----------------------------------------------------------------------------------------------- ratios, page, pictures


def test_ratios_are_taken_within_turns_and_their_median_is_judged():
    found = measured()
    ratio = found.ratio("pylb", lambda one: one.cpu)
    assert (ratio.low, ratio.median, ratio.high) == pytest.approx((1.75, 2.0, 2.25))
    assert found.ratio("aiohttp", lambda one: one.cpu).median == pytest.approx(10)
    assert found.meets_goal
    assert measured("chunked").meets_goal is None
    slow = {"haproxy": (a_round(5, 15),), "pylb": (a_round(30, 15),)}
    assert measure.Measured(BY_NAME["bare"], slow, {}).meets_goal is False
    alone = measure.Measured(BY_NAME["bare"], {"pylb": (a_round(5, 15),)}, {})
    assert alone.ratio("pylb", lambda one: one.cpu) is None and alone.meets_goal is None


def test_every_program_begins_a_turn_once():
    turns = [measure.turn("abc", number) for number in range(3)]
    assert [turn[0] for turn in turns] == ["a", "b", "c"]
    assert all(sorted(turn) == ["a", "b", "c"] for turn in turns)


def test_every_scenario_names_a_frontend_and_a_place_that_exist():
    configuration = (ROOT / "bench/http/haproxy.cfg").read_text()
    proxy = (ROOT / "bench/http/peers/nginx-proxy.conf").read_text()
    servers = (ROOT / "bench/http/nginx.conf").read_text()
    for scenario in (*SCENARIOS, memory.SCENARIO):
        assert f"frontend {scenario.frontend} " in configuration
        assert f"listen 127.0.0.1:${scenario.frontend.upper()} " in proxy
        assert f"location {scenario.path} " in servers
    names = [*BY_NAME, memory.SCENARIO.name]
    assert len(names) == len(SCENARIOS) + 1
    for contender in programs.CONTENDERS:
        assert set(contender.cannot) <= set(names)


def test_the_page_holds_every_figure_and_says_what_is_missing():
    page = report.markdown(all_data())
    assert "| keepalive | 20.0 | 40.0 ×2.00 (1.75-2.25) | 200 ×10.0 | – | ≤ 2 met |" in page
    assert "| keepalive | 5.00 + 15.0 | 25.0 + 15.0 | 150 + 50.0 | – |" in page
    assert "| keepalive | 1,000 (2%) | 500 (2%) | 100 (2%) | – |" in page
    assert "| 5,000/s (25%) | pylb | 0.60 | 1.00 | 1.40 | 1.80 | 30.0 | 0 | 0.05 |" in page
    assert "| pylb | 1,000 | 40.0 | 42.5 | 2.50 | 50.0 | 53.0 |" in page
    assert "pyhaproxy-lb does without: sticky cookie." in page
    assert "pyhaproxy-lb was not measured in `keepalive`, `body-10k`: has no TLS towards clients." in page
    assert "pyhaproxy-lb was not measured in `idle clients`: is too slow." in page


def test_pictures_keep_their_figures_and_are_the_same_bytes_each_time(tmp_path):
    with style.applied():
        cost, rates = plot.costs(all_data()).axes
    marks = {
        (line.get_marker(), float(line.get_ydata()[0])): float(line.get_xdata()[0])
        for line in cost.lines
        if line.get_marker() in style.MARKS.values()
    }
    assert marks[style.MARKS["pylb"], 0] == pytest.approx(2)
    assert marks[style.MARKS["aiohttp"], 1] == pytest.approx(10)
    assert "500/s  ×0.50" in [text.get_text() for text in rates.texts]
    with style.applied():
        panels = plot.latencies(all_data()).axes
    assert [panel.get_title(loc="left") for panel in panels] == ["5,000 requests/s (25%)", "10,000 requests/s (50%)"]
    first, second = tmp_path / "1", tmp_path / "2"
    for place in (first, second):
        place.mkdir()
        assert plot.write(all_data(), place) == ["http.svg", "http-latency.svg", "http-memory.svg"]
    for file in first.iterdir():
        assert file.read_bytes() == (second / file.name).read_bytes()
        assert ET.parse(file).getroot().tag == f"{SVG}svg"


def test_a_run_of_few_scenarios_has_no_empty_pictures(tmp_path):
    assert plot.write(FACTS | {"scenarios": []}, tmp_path) == []
    assert "## What a request costs" not in report.markdown(FACTS | {"scenarios": []})


# ------------------------------------------------------------------------------------------------------------ for real


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    """The servers, for the tests below."""
    for program in ("haproxy", "nginx", "wrk", "openssl"):
        require_program(program)
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        pytest.skip("two cores are needed")
    with world.around(tmp_path_factory.mktemp("bench")) as found:
        os.sched_setaffinity(0, cores)  # what it starts stays where it is
        yield found


@pytest.mark.interop
@pytest.mark.parametrize("contender", programs.CONTENDERS, ids=lambda contender: contender.name)
def test_every_program_does_what_the_scenario_says_and_is_measured(contender, around):
    # Few clients: where others have the machine, the slowest would let some of many wait until wrk gives up.
    scenario = replace(BY_NAME["keepalive"], connections=4)
    with programs.running(contender, around) as program:
        for seconds in (0.3, 3):  # and answers nobody in the short time
            found = measure.measure(scenario, around, [program], measure.Effort(seconds, 1, 1), lambda _: None)
            if not found.reasons:
                break
    assert not found.reasons
    only = found.rounds[contender.name][0]
    assert only.load.requests > 0
    assert only.load.socket_errors == only.load.not_ok == 0
    assert only.cpu > 1


@pytest.mark.interop
def test_a_program_that_does_not_do_it_is_found_out(around):
    """nginx ends no client connection in the frontend that keeps them."""
    scenario = BY_NAME["both-close"]
    with programs.running(programs.BY_NAME["nginx"], around) as program:
        program.ports["both_close"] = program.ports["keepalive"]
        found = measure.measure(scenario, around, [program], measure.Effort(0.2, 1, 1), lambda _: None)
    assert "the client connection ends" in found.reasons["nginx"]


@pytest.mark.interop
def test_a_fixed_rate_is_kept_and_every_request_timed(around, tmp_path):
    file = tmp_path / "requests"
    requests = load.write_requests(BY_NAME["keepalive"], around.servers["WORKER1"], around.cores.others, file)
    assert len(set(requests)) > 1500
    seen = latency.one(rate.Order(around.servers["WORKER1"], 500, 0.6, 0.2, 8, str(file), drain=25), around)
    assert seen.unanswered == 0
    assert len(seen.latencies) == sum(at >= 0.2 for at in rate.schedule(500, 0.8))


@pytest.mark.interop
def test_idle_clients_are_held_and_their_memory_counted(around):
    chosen = [programs.BY_NAME["pylb"], programs.BY_NAME["pyhaproxy-lb"]]
    found = memory.measure_idle(around, chosen, 2000, 100_000, lambda _: None)
    assert set(found.held) == {"pylb"}, found.reasons
    assert found.held["pylb"].connections == 2000
    assert 200 < found.held["pylb"].growth < 50_000
    assert "a minute" in found.reasons["pyhaproxy-lb"]


@pytest.mark.interop
def test_a_short_run_checks_measures_and_writes(tmp_path):
    for program in ("haproxy", "nginx", "wrk", "openssl"):
        require_program(program)
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two cores are needed")
    command = [sys.executable, "-m", "bench.http", "--seconds", "0.3", "--rounds", "1", "--out", str(tmp_path)]
    done = subprocess.run(
        [*command, "--scenario", "post-2k", "--program", "pylb", "haproxy"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads((tmp_path / "http.json").read_text())
    assert data["command"] == "python -m bench.http --seconds 0.3 --rounds 1 --scenario post-2k --program pylb haproxy"
    (scenario,) = data["scenarios"]
    assert scenario["name"] == "post-2k" and scenario["reasons"] == {}
    for program in ("haproxy", "pylb"):
        assert scenario["programs"][program]["rounds"][0]["requests"] > 50
    assert "post-2k" in (tmp_path / "http.md").read_text()
    ET.parse(tmp_path / "http.svg")
