"""Dashboard and alerts: every query is parsed, asks for what is exported, and is answered by a real Prometheus."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from support import free_port, require_program, skip_or_fail, wait_for

from vrrpd.metrics import ROWS

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
DASHBOARD = json.loads((CONFIGS / "grafana/dashboard.json").read_text())
VARIABLES = {"$__rate_interval": "4s", "$pylb": ".*", "$vrrpd": ".*", "$instance": ".*"}
"""What Grafana puts in their place; the interval is four scrapes of this test's Prometheus."""
QUIET = {"vrrpd_packets_refused_total", "vrrpd_config_mismatch"}
"""Metrics without samples as long as nothing is wrong."""
SCRAPED = {"instance", "job"}
"""Labels that Prometheus adds, and with `up` a metric."""


def queries() -> list[str]:
    """Every PromQL expression of the dashboard and of the alerts."""
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    notes = [note["expr"] for note in DASHBOARD["annotations"]["list"]]
    groups = yaml.safe_load((CONFIGS / "prometheus/alerts.yml").read_text())["groups"]
    return panels + notes + [rule["expr"] for group in groups for rule in group["rules"]]


def filled_in(query: str) -> str:
    """The query with Grafana's variables replaced."""
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    assert "$" not in query, query
    return query


def selectors(node: Any) -> Iterator[Any]:
    """The vector selectors of a parsed query."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "vs"):
        if (child := getattr(node, name, None)) is not None:
            yield from selectors(child)
    for argument in getattr(node, "args", None) or ():
        yield from selectors(argument)


PYLB = """
[global]
maxconn = 500
[defaults]
mode = "http"
[defaults.timeout]
client = "5s"
server = "5s"
connect = "1s"
[listen.status]
bind = "127.0.0.1:{status}"
http-request = "use-service prometheus-exporter if {{ path /metrics }}"
[frontend.web]
bind = "127.0.0.1:{web}"
stick-table = {{ type = "ip", size = 100 }}
default-backend = "workers"
[frontend.worker]
bind = "127.0.0.1:{worker}"
http-request = "return status 200"
[backend.workers.server]
one = {{ address = "127.0.0.1:{worker}", check = {{ inter = "500ms" }} }}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """pylb with traffic, vrrpd in a network of its own, its exporter and a Prometheus: addresses by name."""
    if os.geteuid() != 0:
        skip_or_fail("needs root")
    prometheus = require_program("prometheus")
    directory = tmp_path_factory.mktemp("monitoring")
    ports = {name: free_port() for name in ("status", "web", "worker", "vrrpd", "prometheus")}
    at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    (directory / "lb.toml").write_text(PYLB.format_map(ports))
    shutil.copy(CONFIGS / "prometheus/alerts.yml", directory)
    configuration = (CONFIGS / "prometheus/prometheus.yml").read_text().replace(": 5s", ": 1s")
    for port, name in (("8085", "status"), ("9650", "vrrpd")):
        configuration, count = re.subn(rf"targets: \[.*:{port}.*\]", f'targets: ["{at[name]}"]', configuration)
        assert count == 1
    (directory / "prometheus.yml").write_text(configuration)
    network = "ip link add ens37 type veth peer name o && ip addr add 10.0.0.1/24 dev ens37 && ip link set ens37 up"
    state = ["--state-dir", str(directory / "state")]
    router = ["--interface", "ens37", "--vip", "10.0.0.9", "--priority", "255", "--track-script", "/bin/true"]
    python = [sys.executable, "-m"]
    commands = [
        [*python, "pylb", "-q", "-f", str(directory / "lb.toml"), "-db"],
        ["unshare", "-n", "sh", "-c", f'{network} && ip link set o up && exec "$@"', "-"]
        + [*python, "vrrpd", *router, *state],
        [*python, "vrrpd", "exporter", "--listen", at["vrrpd"], *state],
        [prometheus, f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data"]
        + [f"--web.listen-address={at['prometheus']}", "--log.level=error"],
    ]
    with ExitStack() as stack:
        for command in commands:
            process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.DEVNULL))
            stack.callback(process.terminate)
        for name, path in (("web", ""), ("status", "metrics"), ("vrrpd", "metrics"), ("prometheus", "-/ready")):
            wait_for(lambda name=name, path=path: answer(f"http://{at[name]}/{path}"), timeout=30)
        wait_for(lambda: "vrrpd_state{" in answer(f"http://{at['vrrpd']}/metrics"), timeout=20)
        yield at


def answer(url: str) -> str:
    """The page; "" where there is none yet."""
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            text: str = response.read().decode()
            return text or "(empty)"
    except (OSError, urllib.error.URLError):
        return ""


def exported(text: str) -> dict[str, set[str]]:
    """Metric names and the labels they have."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if match := re.match(r"([a-z_]+)(?:\{(.*)\})? ", line):
            found.setdefault(match[1], set()).update(re.findall(r'([a-z_]+)="', match[2] or ""))
    return found


def test_every_query_asks_for_what_is_exported(running: dict[str, str]) -> None:
    known = exported(answer(f"http://{running['status']}/metrics") + answer(f"http://{running['vrrpd']}/metrics"))
    for row in ROWS:
        name = f"{row.name}_total" if row.counter else row.name
        known.setdefault(name, {"instance_name", "interface", "vrid", "family", *row.labels})
    known["up"] = set()
    for query in queries():
        found = list(selectors(promql_parser.parse(filled_in(query))))
        assert found, query
        for selector in found:
            assert selector.name in known, f"{selector.name} is not exported: {query}"
            labels = {matcher.name for matcher in selector.matchers.matchers}
            assert labels <= known[selector.name] | SCRAPED, (query, known[selector.name])
        grouped = {word for part in re.findall(r"\b(?:by|on) \(([^)]*)\)", query) for word in part.split(", ")}
        assert grouped <= set().union(SCRAPED, *(known[one.name] for one in found)), query
    variables = {
        one["name"]: one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"
    }
    for query in variables.values():
        name = re.match(r"label_values\((\w+)", query)
        assert name and name[1] in known, query


def test_a_real_prometheus_answers_every_query(running: dict[str, str]) -> None:
    def asked(query: str) -> Any:
        words = urllib.parse.urlencode({"query": filled_in(query)})
        page = json.loads(answer(f"http://{running['prometheus']}/api/v1/query?{words}") or "{}")
        return page.get("data", {}).get("result", [])

    deadline = time.monotonic() + 80
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    waiting = [query for query in panels if not any(name in query for name in QUIET)]
    assert len(waiting) > 30
    while waiting and time.monotonic() < deadline:
        answer(f"http://{running['web']}/")
        waiting = [query for query in waiting if not asked(query)]
        time.sleep(0.3)
    assert not waiting
    (master,) = asked('sum by (instance_name, vrid) (vrrpd_state{state="MASTER"})')
    assert master["value"][1] == "1"
    rules = json.loads(answer(f"http://{running['prometheus']}/api/v1/rules"))["data"]["groups"]
    assert [rule["name"] for group in rules for rule in group["rules"] if rule.get("lastError")] == []


def test_a_process_without_traffic_has_no_errors_and_queues_of_servers_count(running: dict[str, str]) -> None:
    """No traffic is a share of 0, not none; and a queue may be a backend's or a server's."""
    by_title = {panel["title"]: panel["targets"][0]["expr"] for panel in DASHBOARD["panels"] if panel.get("targets")}
    quiet = filled_in(by_title["Answers that are 5xx"].replace('instance=~"$instance"', 'proxy="nobody"'))
    words = urllib.parse.urlencode({"query": quiet})
    found = json.loads(answer(f"http://{running['prometheus']}/api/v1/query?{words}"))["data"]["result"]
    assert [one["value"][1] for one in found] == ["0"]
    queues = {one.name for one in selectors(promql_parser.parse(filled_in(by_title["Waiting in queues"])))}
    assert queues == {"haproxy_backend_current_queue", "haproxy_server_current_queue"}


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    promtool = require_program("promtool")
    for file in (CONFIGS / "prometheus").iterdir():
        shutil.copy(file, tmp_path)
    shutil.copy(Path(__file__).with_name("alerts.test.yml"), tmp_path)
    for command in (["check", "config", "prometheus.yml"], ["test", "rules", "alerts.test.yml"]):
        done = subprocess.run(
            [promtool, *command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_panels_lie_beside_each_other() -> None:
    """Grafana's grid has 24 columns: nothing overlaps, every line is full, identifiers are unique."""
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"], panel["title"]
    height = max(y for _, y in taken) + 1
    assert len(taken) == 24 * height
    identifiers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(identifiers)) == len(identifiers)


def test_the_manual_lists_every_metric(running: dict[str, str]) -> None:
    """docs/metrics.md has a row for each, with the help text that Prometheus gets, and no row of another."""
    page = (ROOT / "docs/metrics.md").read_text()
    rows = dict(re.findall(r"(?m)^\| `((?:haproxy|vrrpd|keepalived)_\w+)` \| (.*) \|$", page))
    expected = {}
    for name in ("status", "vrrpd"):
        text = answer(f"http://{running[name]}/metrics")
        for family, words in re.findall(r"(?m)^# HELP (\w+) (.*)$", text):
            labels = exported("\n".join(re.findall(rf"(?m)^{family}[ {{].*", text))).get(family, set())
            if row := next((row for row in ROWS if f"{row.name}{'_total' * row.counter}" == family), None):
                labels = {"instance_name", "interface", "vrid", "family", *row.labels}
            expected[family] = f"{', '.join(sorted(labels))} | {words}"
    assert rows == expected
