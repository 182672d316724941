"""`use-service prometheus-exporter` beside the real one: names, types, labels, filters, on a path or an own bind."""

from __future__ import annotations

import re

import pytest
from haproxy_pair import running_pair
from prometheus_client.parser import text_string_to_metric_families
from same_cases import get, judge
from support import wait_for

pytestmark = pytest.mark.interop

CONFIG = r"""
defaults
    mode http
    timeout connect 300ms
    timeout client 5s
    timeout server 5s

frontend web
    bind "127.0.0.1:${FE_web}"
    http-request use-service prometheus-exporter if { path /metrics }
    stick-table type ip size 1k expire 10s store gpc0
    default_backend app

frontend own
    bind "127.0.0.1:${FE_own}"
    http-request use-service prometheus-exporter
    no log

frontend tcp
    bind "127.0.0.1:${FE_tcp}"
    mode tcp
    default_backend tcp

backend app
    option httpchk GET /
    server a "127.0.0.1:${SRV_a}" check inter 100ms
    server b "127.0.0.1:${DEAD}" check inter 100ms fall 1
    server m "127.0.0.1:${SRV_a}" disabled
    server n "127.0.0.1:${SRV_a}"

backend tcp
    mode tcp
    server t "127.0.0.1:${SRV_a}" check backup

backend empty

listen both
    bind "127.0.0.1:${FE_both}"
    server x "127.0.0.1:${SRV_a}"
"""

LACKING = {"haproxy_server_need_connections_current"}
"""pylb does not estimate how many connections a server will need."""
OURS = {f"haproxy_process_{name}" for name in ("reloads", "last_reload_time_seconds", "last_reload_success")}
"""What HAProxy does not tell."""


def ask(side, target: str, frontend: str = "own"):
    with side.talk(frontend) as talk:
        talk.send(get(target, method="GET"))
        return talk.response()


def families(side, target: str, frontend: str = "own") -> dict[str, tuple[str, set[frozenset[tuple[str, str]]]]]:
    """Type, and the labels of every sample, by metric; the version is each program's own."""
    found = {}
    for family in text_string_to_metric_families(ask(side, target, frontend).body.decode()):
        labels = {
            frozenset((name, value) for name, value in sample.labels.items() if name != "version")
            for sample in family.samples
        }
        if family.name not in LACKING | OURS:
            found[family.name] = (family.type, labels)
    return found


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with running_pair(tmp_path_factory.mktemp("metrics"), CONFIG) as pair:
        for side in pair.sides:
            for state in (r'server="b",state="DOWN"} 1', r'proxy="tcp",server="t",state="L4OK"} 1'):
                wait_for(lambda side=side, state=state: re.search(state, ask(side, "/").body.decode()))
            assert ask(side, "/app", "web").status == 200
        yield pair


@pytest.mark.parametrize("frontend", ["web", "own"])
def test_all_series_have_haproxys_names_types_and_labels(pair, frontend):
    theirs, ours = pair.both(lambda side: families(side, "/metrics", frontend))
    assert set(ours) == set(theirs)
    assert {name: (ours[name], theirs[name]) for name in theirs if ours[name] != theirs[name]} == {}


QUERIES = (
    "scope=global", "scope=frontend", "scope=backend", "scope=server", "scope=listener", "scope=sticktable",
    "scope=frontend&scope=server", "scope=", "scope=*", "scope=%67lobal", "scope=&scope=server", "scope=server&scope=",
    "scope=*&scope=server", "x=1", "no-maint", "no-maint=1", "no-maintx", "scope=server&no-maint",
)  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_filters_choose_the_same_series(pair, query):
    theirs, ours = pair.both(lambda side: families(side, f"/anything?{query}"))
    assert ours == theirs


@pytest.mark.parametrize("query", ["scope=none", "scope", "scope=Global", "scope=server;no-maint"])
def test_unknown_scopes_are_bad_requests(pair, query):
    judge(*pair.both(lambda side: {"status": ask(side, f"/metrics?{query}").status}))


def test_the_answers_head(pair):
    def scenario(side):
        answer = ask(side, "/metrics")
        return {"status": answer.status, "type": answer.get("content-type"), "cache": answer.get("cache-control")}

    judge(*pair.both(scenario))
