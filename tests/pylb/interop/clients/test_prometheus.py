"""Debian's Prometheus server scraping pylb, asked over its own HTTP API; and the text parser of prometheus_client."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from admin_pair import Program
from prometheus_client.parser import text_string_to_metric_families
from support import free_port, require_program, wait_for

pytestmark = pytest.mark.interop

SCRAPE = """
global: {{scrape_interval: 250ms}}
scrape_configs:
- job_name: pylb
  static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""

Query = Callable[[str], dict[str, float]]


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


@contextmanager
def prometheus(directory, port: int) -> Iterator[Query]:
    """A server that scrapes 127.0.0.1:port; queries give values by the labels that vary ("proxy,server,state")."""
    (directory / "prometheus.yml").write_text(SCRAPE.format(port=port))
    api = free_port()
    command = [
        require_program("prometheus"), f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/data", f"--web.listen-address=127.0.0.1:{api}",
    ]  # fmt: skip
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)

    def query(expression: str) -> dict[str, float]:
        words = urllib.parse.urlencode({"query": expression})
        try:
            answer = json.loads(fetch(f"http://127.0.0.1:{api}/api/v1/query?{words}"))
        except OSError:  # not yet
            return {}
        return {
            ",".join(sample["metric"].get(name, "") for name in ("proxy", "server", "state")): float(sample["value"][1])
            for sample in answer["data"]["result"]
        }

    try:
        wait_for(lambda: query("up").values(), 30, "the first scrape")
        yield query
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.soak  # tests/packaging has a Prometheus that scrapes pylb, too
def test_a_prometheus_server_scrapes_and_answers(balancer: Program, tmp_path):
    with prometheus(tmp_path, balancer.port) as query:
        wait_for(lambda: list(query("up").values()) == [1.0], 10, "the target to be up")
        up = query('haproxy_server_status{state="UP"}')
        assert up == {"app,one,UP": 1, "app,two,UP": 1, "app,dead,UP": 0}
        for _ in range(10):
            assert fetch(f"http://127.0.0.1:{balancer.port}/") == "hello\n"
        wait_for(
            lambda: sum(query("haproxy_server_http_responses_total{code='2xx'}").values()) == 10, 10, "ten answers"
        )
        assert query("haproxy_backend_active_servers") == {"app,,": 2}
        balancer.ask("set server app/two state maint")
        wait_for(lambda: query('haproxy_server_status{server="two",state="MAINT"} == 1'), 10, "the server's state")
        assert query('sum by (proxy) (rate(haproxy_frontend_http_requests_total{proxy="web"}[5s]))')["web,,"] > 0


def test_prometheus_s_text_parser_reads_every_line(balancer: Program):
    text = fetch(f"http://127.0.0.1:{balancer.port}/metrics")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert sum(len(family.samples) for family in families.values()) == len(lines)
    weights = {sample.labels["server"]: sample.value for sample in families["haproxy_server_weight"].samples}
    assert weights == {"one": 10, "two": 20, "dead": 1}
