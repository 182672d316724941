"""The article's whole system on one machine: three masters, three workers, rancher and clients in namespaces.

    make lab                               on this terminal, with keys for everything that may go wrong
    python -m bench.lab run crash          one scenario; --help tells the rest

For programs:

    import bench.lab
    result = bench.lab.run("crash", "pylb+vrrpd")           # one Result
    results = bench.lab.run_all(["crash"], ["pylb+vrrpd", "haproxy+keepalived"])   # by scenario, then stack

`Result` (result.py) holds everything for a timeline: `requests`, each with `due`, `latency`, `outcome` ("ok" or the
kind of failure), `lane` and `server`; `vip`, for each master the spans in which it had the address; `events`, of which
`steps` are what the scenario did; `measures`, the figures; `broken`, what did not hold of the expected bounds. All
times are seconds since the run began. `result.dumps()` is JSON, `Result.from_json(json.loads(text))` reads it back.
Both functions raise LabError when a lab cannot be had; without root they have to run inside `unshare -Urnm`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.lab.result import Result


def run(scenario: str, stack: str = "pylb+vrrpd", rate: float = 100.0) -> Result:
    """One scenario on one stack (a name of topology.STACKS, or as `parse_stack` reads it). KeyError, ValueError."""
    return run_all([scenario], [stack], rate=rate)[0]


def run_all(
    scenarios: Sequence[str] | None = None,
    stacks: Sequence[str] = ("pylb+vrrpd", "haproxy+keepalived"),
    done: Callable[[Result], None] = lambda result: None,
    rate: float = 100.0,
) -> list[Result]:
    """Several (None: all) scenarios on several stacks, which run side by side; `done` hears of each as it ends."""
    from bench.lab.perform import perform_all
    from bench.lab.scenarios import SCENARIOS
    from bench.lab.topology import parse_stack

    chosen = [SCENARIOS[name] for name in scenarios or SCENARIOS]
    return asyncio.run(perform_all(chosen, dict(map(parse_stack, stacks)), done, rate))
