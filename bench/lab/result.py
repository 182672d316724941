"""What a run leaves: every request, who had the address when, what happened, the figures; to JSON and back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.lab.client import Request
from bench.lab.journal import Event
from bench.lab.measures import Measures

VERSION = 1
"""Of the JSON form."""


@dataclass(frozen=True)
class Result:
    """One scenario on one stack. All times are seconds since the run began, its first quiet second included."""

    scenario: str
    text: str
    stack: str
    programs: dict[str, str]
    """By master: "pylb+vrrpd" and so on."""
    rate: float
    """Requests per second."""
    seconds: float
    """How long it took."""
    requests: list[Request]
    """By the time they were due, which is counted from the beginning of the run here."""
    vip: dict[str, list[tuple[float, float]]]
    """By master: from, to, cut off at the beginning and the end of the run."""
    events: list[Event]
    measures: Measures
    broken: list[str] = field(default_factory=list)
    """What was expected and did not hold; empty: all is well."""

    @property
    def steps(self) -> list[Event]:
        """What the scenario did."""
        return [event for event in self.events if event.kind == "step"]

    def as_json(self) -> dict[str, Any]:
        """Plain data. A request is a list in the order of Request's fields."""
        return {
            "version": VERSION,
            "scenario": self.scenario,
            "text": self.text,
            "stack": self.stack,
            "programs": self.programs,
            "rate": self.rate,
            "seconds": round(self.seconds, 3),
            "vip": {name: [[round(x, 4) for x in span] for span in spans] for name, spans in self.vip.items()},
            "events": [asdict(event) | {"at": round(event.at, 4)} for event in self.events],
            "measures": self.measures.as_json(),
            "broken": self.broken,
            "requests": [
                [round(r.due, 4), round(r.latency, 5), r.lane, r.outcome, r.server, r.sticky, r.retried, r.certificate]
                for r in self.requests
            ],
        }

    @staticmethod
    def from_json(plain: dict[str, Any]) -> Result:
        """What `as_json` gave. ValueError for another version."""
        if plain.get("version") != VERSION:
            raise ValueError(f"version {plain.get('version')} of a lab's result, not {VERSION}")
        measures = {key: value for key, value in plain["measures"].items() if key != "failures"}
        return Result(
            **{key: plain[key] for key in ("scenario", "text", "stack", "programs", "rate", "seconds", "broken")},
            requests=[Request(*row) for row in plain["requests"]],
            vip={name: [(a, b) for a, b in spans] for name, spans in plain["vip"].items()},
            events=[Event(**event) for event in plain["events"]],
            measures=Measures(**measures),
        )

    def dumps(self) -> str:
        """JSON text, a request per line, so that versions can be compared."""
        plain = self.as_json()
        rows = plain.pop("requests")
        head = json.dumps(plain, indent=1, ensure_ascii=False)
        lines = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in rows)
        return f'{head[:-2]},\n "requests": [\n  {lines}\n ]\n}}\n'
