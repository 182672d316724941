"""The page about what was measured, made from http.json; and the table that grows in the terminal meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from bench.http.measure import Measured
from bench.style import name as written

Data = Mapping[str, Any]


def amount(value: float) -> str:
    """Three digits or all before the point: 0.123, 12.3, 1,234."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


# ------------------------------------------------------------------------------------------------------------ terminal


def table(results: Iterable[Measured], names: Sequence[str]) -> Table:
    """For rich: CPU and rate of each program."""
    shown = Table(title="CPU µs per request (times HAProxy's) · requests per second")
    shown.add_column("scenario")
    for name in names:
        shown.add_column(written(name), justify="right")
    for measured in results:
        style = "red" if measured.meets_goal is False else None
        shown.add_row(measured.scenario.name, *(_shown(measured, name) for name in names), style=style)
    return shown


def _shown(measured: Measured, name: str) -> str:
    if name not in measured.rounds:
        return "-"
    ratio = measured.ratio(name, lambda one: one.cpu)
    times = f" ({ratio.median:.2f})" if ratio and name != "haproxy" else ""
    rate = measured.spread(name, lambda one: one.load.rate).median
    return f"{amount(measured.spread(name, lambda one: one.cpu).median)}{times} · {rate:,.0f}"


# ------------------------------------------------------------------------------------------------------------ Markdown


def markdown(data: Data) -> str:
    """A page that can be read alone."""
    parts = [
        "# HTTP: pylb beside HAProxy, nginx and Python proxies",
        _how(data),
    ]
    if data["scenarios"]:
        parts += [
            "## What a request costs",
            "![CPU per request and throughput by scenario](http.svg)",
            "CPU µs per request, user and kernel together, median of the rounds; behind it how many times HAProxy's,"
            " median over the turns (quartiles for pylb).",
            rows(["scenario", *map(written, programs(data)), "goal"], cost_rows(data)),
            "The same as own code + kernel:",
            rows(["scenario", *map(written, programs(data))], split_rows(data)),
            "## Requests per second on one core",
            "Behind it the part of its core that the program used: below 90 % the load or the servers were the limit,"
            " and only the CPU figures compare.",
            rows(["scenario", *map(written, programs(data))], rate_rows(data)),
            "\n".join(f"- `{one['name']}`: {one['about']}" for one in data["scenarios"]),
        ]
    if latency := data.get("latency"):
        parts += latency_page(latency)
    if idle := data.get("idle"):
        parts += idle_page(idle)
    return "\n\n".join([*parts, omissions(data), repeat(data)]) + "\n"


def short_versions(said: Data) -> str:
    """HAProxy's, nginx's and Python's, as far as they took part."""
    haproxy = said.get("haproxy", "").split("-")[0].replace(" version", "")
    nginx = said.get("nginx", "").rpartition(" ")[2].replace("/", " ")
    return ", ".join(filter(None, (haproxy, nginx, f"Python {said['python']}")))


def programs(data: Data) -> list[str]:
    """Those that took part, in order."""
    return list(data["commands"])


def rows(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A table; all columns but the first to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cost_rows(data: Data) -> list[list[str]]:
    """CPU per request."""
    return [[one["name"], *(_cost(one, name) for name in programs(data)), _goal(one)] for one in data["scenarios"]]


def split_rows(data: Data) -> list[list[str]]:
    """CPU per request, user + system."""

    def cell(scenario: Data, name: str) -> str:
        found = scenario["programs"].get(name)
        return " + ".join(amount(found[part]["median"]) for part in ("user", "system")) if found else "–"

    return [[one["name"], *(cell(one, name) for name in programs(data))] for one in data["scenarios"]]


def _cost(scenario: Data, name: str) -> str:
    found = scenario["programs"].get(name)
    if found is None:
        return "–"
    ratio = found["ratio"]["cpu"]
    if name == "haproxy" or ratio is None:
        return amount(found["cpu"]["median"])
    spread = f" ({ratio['low']:.2f}-{ratio['high']:.2f})" if name == "pylb" else ""
    return f"{amount(found['cpu']['median'])} ×{amount(ratio['median'])}{spread}"


def _goal(scenario: Data) -> str:
    if scenario["goal"] is None or scenario["met"] is None:
        return ""
    return f"≤ {scenario['goal']:g} {'met' if scenario['met'] else 'missed'}"


def rate_rows(data: Data) -> list[list[str]]:
    """Throughput."""

    def cell(scenario: Data, name: str) -> str:
        found = scenario["programs"].get(name)
        return f"{found['rate']['median']:,.0f} ({found['busy']['median']:.0%})" if found else "–"

    return [[one["name"], *(cell(one, name) for name in programs(data))] for one in data["scenarios"]]


def latency_page(latency: Data) -> list[str]:
    """At fixed rates."""
    at = {quantile: index for index, quantile in enumerate(latency["grid"])}

    def cells(curve: Data) -> list[str]:
        shown = [f"{curve['quantiles'][at[quantile]] * 1e3:.2f}" for quantile in (0.5, 0.9, 0.99, 0.999)]
        cpu = amount(curve["cpu"]) if curve["cpu"] else ""
        return [*shown, cpu, f"{curve['unanswered']:,}", f"{curve['lateness'] * 1e3:.2f}"]

    body = [
        [f"{rate['rate']:,.0f}/s ({rate['fraction']:.0%})", written(name), *cells(curve)]
        for rate in latency["rates"]
        for name, curve in rate["curves"].items()
    ]
    head = ["rate", "program", "p50 ms", "p90", "p99", "p99.9", "CPU µs/request", "unanswered", "client late p99"]
    return [
        "## Latency at fixed rates",
        "![Latency percentiles at fixed rates](http-latency.svg)",
        f"Parts of what {written(latency['slowest'])}, the slowest of them, can do ({latency['capacity']:,.0f}/s), over"
        f" {latency['connections']} connections, {latency['rounds']} rounds of {latency['seconds']:g} s. Requests come"
        " at moments drawn beforehand and are timed from that moment (open loop): a stall is counted for every request"
        ' that it delays. "No proxy" asks a server directly; "client late" is the client\'s own delay in sending.'
        " Slower Python proxies cannot take these rates.",
        rows(head, body),
    ]


def idle_page(idle: Data) -> list[str]:
    """Idle clients."""
    head = ["program", "clients", "PSS before, MB", "with them", "kB per client", "RSS before, MB", "with them"]
    body = [
        [
            written(name),
            f"{one['connections']:,}",
            *(f"{one[when]['proportional'] / 1e6:.1f}" for when in ("before", "after")),
            f"{one['growth'] / 1e3:.2f}",
            *(f"{one[when]['resident'] / 1e6:.1f}" for when in ("before", "after")),
        ]
        for name, one in idle["held"].items()
    ]
    return [
        "## Memory for idle clients",
        "![Memory with idle clients](http-memory.svg)",
        "Each program fresh; each client makes one request and stays. What the kernel needs for the sockets is not in"
        " it and equal for all.",
        rows(head, body),
    ]


def omissions(data: Data) -> str:
    """What was not measured or not asked of a program, and why."""
    reasons: dict[str, dict[str, list[str]]] = {}
    places: list[tuple[str, Data]] = [(one["name"], one["reasons"]) for one in data["scenarios"]]
    for place, found in [*places, ("idle clients", data.get("idle", {}).get("reasons", {}))]:
        for name, reason in found.items():
            reasons.setdefault(name, {}).setdefault(reason, []).append(f"`{place}`")
    lines = [f"- {written(name)} does without: {', '.join(omitted)}." for name, omitted in data["omits"].items()]
    for name, found in reasons.items():
        lines += [f"- {written(name)} was not measured in {', '.join(at)}: {reason}." for reason, at in found.items()]
    return "## What is missing\n\n" + ("\n".join(lines) or "Nothing.")


def _how(data: Data) -> str:
    machine, said, effort = data["machine"], data["versions"], data["effort"]
    versions = "; ".join(said[name] for name in programs(data))
    return (
        f"Measured {data['date']} on {machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, load"
        f" average before: {machine['load_before'][0]}. {versions}; Python {said['python']}; {said['openssl']};"
        f" load from {said['wrk']}. The program under test has one core; wrk, the servers ({said['servers']}) and the"
        f" syslog receiver have the other. All run at the same time and take turns: {effort['rounds']} rounds of"
        f" {effort['seconds']:g} s each, {effort['peer_rounds']} for the Python peers. Requests vary in path, query,"
        " header fields, cookies and length."
    )


def repeat(data: Data) -> str:
    """How to."""
    return (
        f"Repeat it with `{data['command']}`. HAProxy and pylb read [one file](../http/{data['configuration']}); what"
        " the others are told is in [peers](../http/peers), requests come from [requests.lua](../http/requests.lua);"
        " every round is in http.json."
    )
