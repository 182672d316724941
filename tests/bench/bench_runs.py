"""Made-up runs in the form of failover.json: a failover with an outage, and one that nobody notices."""

from __future__ import annotations

import random
from typing import Any

FACTS = {
    "command": "python -m bench.failover",
    "date": "2026-11-26 12:00:00 UTC",
    "machine": {"cpu": "Some <CPU> & more", "cores": 2, "kernel": "6.1", "load_before": [0.5, 0.4, 0.3]},
    "versions": {
        "haproxy": "HAProxy 2.6",
        "keepalived": "Keepalived v2.2",
        "pylb": "pylb 0.1",
        "python": "Python 3.11",
    },
}


def a_run(stack: str, outage: float, scenario: str = "article", broken: tuple[str, ...] = ()) -> dict[str, Any]:
    """100 requests a second for 14 s; those due within `outage` seconds after the third are refused or wait in vain."""
    draw = random.Random(stack)
    due = [number / 100 for number in range(1400)]
    latency, outcomes = [], []
    for at in due:
        lost = 3 <= at < 3 + outage
        outcomes.append(draw.choice([1, 1, 2]) if lost else 0)
        latency.append({0: draw.lognormvariate(-6.2, 0.5), 1: 0.001, 2: 2.0}[outcomes[-1]])
    failed = {kind: outcomes.count(number) for number, kind in ((1, "refused"), (2, "timeout")) if number in outcomes}
    moved = 3 + outage
    return {
        "scenario": scenario,
        "text": "The balancer on master1 stops, the address goes to master2; it starts again, the address comes back.",
        "stack": stack,
        "rate": 100.0,
        "seconds": 14.0,
        "steps": [
            [3.0, "master1", "balancer stops"],
            [3.6, "master1", "a word in between"],
            [8.0, "master1", "starts"],
        ],
        "vip": {"master1": [[0, moved - 0.05], [11, 14]], "master2": [[moved, 11.02]], "master3": []},
        "measures": {
            "sent": len(due),
            "answered": len(due) - sum(failed.values()),
            "failed": failed,
            "failures": sum(failed.values()),
            "retried": 0,
            "longest_gap": outage,
            "back_after": outage + 0.01 if failed else None,
            "p50": 0.002,
            "p99": 0.008,
            "slowest": 0.0125,
            "kept": 700,
            "lost": 0,
            "by_server": {"worker1": 700},
        },
        "broken": list(broken),
        "kinds": ["ok", "refused", "timeout"],
        "due": due,
        "latency": latency,
        "outcomes": outcomes,
    }
