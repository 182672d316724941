"""What the lab saw as plain data: the content of failover.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.lab.result import Result

Data = Mapping[str, Any]


def of_result(found: Result) -> dict[str, Any]:
    """One scenario on one stack. Times in seconds from its beginning; requests as columns, in the order in which they
    were due, `outcomes` as places in `kinds`, of which the first is "ok"."""
    kinds = ["ok", *sorted({request.outcome for request in found.requests} - {"ok"})]
    return {
        "scenario": found.scenario,
        "text": found.text,
        "stack": found.stack,
        "rate": found.rate,
        "seconds": round(found.seconds, 2),
        "steps": [[round(step.at, 3), step.where, step.text] for step in found.steps],
        "vip": {name: [[round(at, 3) for at in span] for span in spans] for name, spans in found.vip.items()},
        "measures": found.measures.as_json(),
        "broken": list(found.broken),
        "kinds": kinds,
        "due": [round(request.due, 3) for request in found.requests],
        "latency": [round(request.latency, 4) for request in found.requests],
        "outcomes": [kinds.index(request.outcome) for request in found.requests],
    }


def dumps(facts: Data, runs: Sequence[Data]) -> str:
    """JSON text with a line per column, so that it can be read and compared."""
    head = json.dumps(dict(facts), indent=1)[:-2]
    lines = []
    for run in runs:
        columns = ",\n   ".join(
            f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in run.items()
        )
        lines.append("  {" + columns + "}")
    return head + ',\n "runs": [\n' + ",\n".join(lines) + "\n ]\n}\n"


def by_scenario(runs: Sequence[Data]) -> dict[str, list[Data]]:
    """The stacks of each scenario."""
    found: dict[str, list[Data]] = {}
    for run in runs:
        found.setdefault(run["scenario"], []).append(run)
    return found
