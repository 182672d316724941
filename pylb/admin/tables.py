"""The proxies' tables of the statistics page: columns.py in groups for the eye, states by colour, sign and word.

On a narrow screen the style turns each row into a card, so every cell carries its heading as `data-h`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape as esc

from pylb.admin.actions import ACTIONS
from pylb.admin.columns import BY_NAME
from pylb.admin.rows import Row, Section, rows_of
from pylb.admin.stats import View
from pylb.admin.units import big, bytes_text, duration, exact
from pylb.admin.world import World

GROUPS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("Queue", (("Cur", "qcur"), ("Max", "qmax"), ("Limit", "qlimit"))),
    ("Session rate", (("Cur", "rate"), ("Max", "rate_max"))),
    (
        "Sessions",
        (
            ("Cur", "scur"), ("Max", "smax"), ("Limit", "slim"),
            ("Total", "stot"), ("LbTot", "lbtot"), ("Last", "lastsess"),
        ),
    ),
    ("Bytes", (("In", "bin"), ("Out", "bout"))),
    ("Denied", (("Req", "dreq"), ("Resp", "dresp"))),
    ("Errors", (("Req", "ereq"), ("Conn", "econ"), ("Resp", "eresp"))),
    ("Warnings", (("Retr", "wretr"), ("Redis", "wredis"))),
    (
        "Server",
        (
            ("Wght", "weight"), ("Act/Bck", "act"), ("Chk", "chkfail"),
            ("Dwn", "chkdown"), ("Dwntme", "downtime"),
        ),
    ),
)  # fmt: skip
"""Headings and their columns, in HAProxy's order; state and last check stand before them."""


STATES: dict[str, tuple[str, str]] = {
    "up": ("●", "UP"),
    "failing": ("▼", "UP, going down"),
    "rising": ("▲", "DOWN, going up"),
    "down": ("✕", "DOWN"),
    "drain": ("◆", "DRAIN or NOLB: no new traffic"),
    "maint": ("■", "MAINT"),
    "nocheck": ("○", "not checked"),
}
"""State by CSS class: its sign, and what the legend says."""

LEGEND = (
    '<ul class="legend" aria-label="Legend">'
    + "".join(f'<li><span class="state {name}">{sign}</span> {text}</li>' for name, (sign, text) in STATES.items())
    + '<li><span class="state backup up">●</span> dotted: backup</li></ul>\n'
)


def state_class(status: str) -> str:
    """The class of a status text, one of STATES."""
    word, _, rest = status.partition(" ")
    moving = rest[:1].isdigit()  # "1/3", not the "(4/7)" of a backend
    if word in ("UP", "OPEN"):
        return "failing" if moving else "up"
    if word == "DOWN":
        return "rising" if moving else "down"
    return {"MAINT": "maint", "DRAIN": "drain", "NOLB": "drain", "no": "nocheck", "FULL": "failing"}.get(word, "down")


# ------------------------------------------------------------------------------------------------------ a proxy's table


def section(world: World, proxy: Section, view: View, action: str, now: float) -> str:
    """One proxy's heading and table. `action`: where its form is posted to, escaped; "" for no form."""
    rows = [row for row in rows_of(world, proxy, now) if view.shows(row)]
    acts = bool(action) and any(row.server is not None for row in rows)
    body = "".join(_row(row, view, acts) for row in rows)
    label = f"Figures of {esc(proxy.name)}"
    table = (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table>{_heading(acts)}'
        f"<tbody>{body}</tbody></table></div>"
    )
    if acts:
        table = f'<form method="post" action="{action}">{table}{_actions(proxy)}</form>'
    about = f'<p class="about">{esc(proxy.model.description)}</p>' if proxy.model.description else ""
    return (
        f'<section class="proxy" id="p{proxy.iid}"><h2><a href="#p{proxy.iid}">{esc(proxy.name)}</a> '
        f"<small>{proxy.cap}, {proxy.model.mode}, id {proxy.iid}</small></h2>{about}{table}</section>\n"
    )


def _actions(proxy: Section) -> str:
    options = "".join(f'<option value="{a.name}">{a.label}</option>' for a in ACTIONS if a.label)
    return (
        f'<p class="actions"><label>With the chosen servers: <select name="action"><option value=""></option>{options}'
        f'</select></label> <input type="hidden" name="b" value="#{proxy.iid}"><button>Apply</button></p>'
    )


TREND = (
    '<th rowspan="2" class="trend" title="requests (TCP: sessions) a second, and how long 95 in 100 responses took">'
    'Trend<br><span class="rate">per s</span> · <span class="p95">p95</span></th>'
)


def _heading(acts: bool) -> str:
    tick = (
        '<th rowspan="2" class="tick"><input type="checkbox" class="all" aria-label="All servers"></th>' if acts else ""
    )
    groups = "".join(f'<th colspan="{len(columns)}">{name}</th>' for name, columns in GROUPS)
    names = "".join(
        f"<th{' class=first' if index == 0 else ''}>{name}</th>"
        for _, columns in GROUPS
        for index, (name, _) in enumerate(columns)
    )
    return (
        f'<thead><tr>{tick}<th rowspan="2" class="name">Name</th><th rowspan="2">Status</th>'
        f'<th rowspan="2">Last check</th>{TREND}{groups}</tr><tr>{names}</tr></thead>'
    )


def _row(row: Row, view: View, acts: bool) -> str:
    status = str(view.value(BY_NAME["status"], row) or "")
    backup = " backup" if row.server is not None and row.server.model.backup else ""
    kind = {"F": "frontend", "S": "server", "B": "backend"}[row.kind]
    cells = [_tick(row) if acts else "", _name_cell(row, view), _status_cell(row, status, backup), _check_cell(row)]
    cells.append('<td class="trend"></td>')  # drawn by the page's script from what follows
    for group, columns in GROUPS:
        for index, (heading, column) in enumerate(columns):
            cells.append(_cell(row, f"{group}: {heading}", column, index == 0))
    return f'<tr class="{kind} {state_class(status)}{backup}"{_plotted(row)}>{"".join(cells)}</tr>\n'


def _plotted(row: Row) -> str:
    """What the plots are made of: requests (TCP: sessions) a second, and the response time of 95 in 100, in ms."""
    rate = _int(row, "req_rate") if row.kind == "F" and row.http else _int(row, "rate")
    found = row.counters.responses.percentiles(95)
    p95 = f' data-p95="{_milliseconds(found[0])}"' if found is not None else ""
    return f' data-row="{esc(f"{row.section.iid}/{row.kind}/{row.name}")}" data-rate="{rate or 0}"{p95}'


def _tick(row: Row) -> str:
    if row.server is None:
        return '<td class="tick"></td>'
    name = esc(row.server.name)
    return f'<td class="tick"><input type="checkbox" name="s" value="{name}" aria-label="Choose {name}"></td>'


def _name_cell(row: Row, view: View) -> str:
    name = esc({"F": "Frontend", "B": "Backend"}.get(row.kind, row.name))
    of = esc(f"{row.section.name} / {row.name}")
    more = "".join(f"<dt>{heading}</dt><dd>{text}</dd>" for heading, text in details(row, view))
    opened = f'<details name="row"><summary>{name}</summary><dl data-of="{of}">{more}</dl></details>'
    return f'<th scope="row" class="name">{opened}</th>'


def _status_cell(row: Row, status: str, backup: str) -> str:
    style = state_class(status)
    since = _int(row, "lastchg")
    ago = "" if since is None else f" <small>{duration(since)}</small>"
    badge = f'<span class="state {style}{backup}">{STATES[style][0]} {esc(status)}</span>'
    return f'<td class="status" data-h="Status">{badge}{ago}</td>'


def _check_cell(row: Row) -> str:
    result = BY_NAME["check_status"].value(row)
    if result is None:
        return '<td class="check none" data-h="Last check"></td>'
    code, took = _int(row, "check_code"), _int(row, "check_duration")
    text = esc(str(result)) + (f"/{code}" if code else "") + (f" in {took}\u202fms" if took is not None else "")
    told = (
        ""
        if str(result).endswith("OK")
        else esc(": ".join(str(v) for v in (BY_NAME["check_desc"].value(row), BY_NAME["last_chk"].value(row)) if v))
    )
    return f'<td class="check" data-h="Last check">{text}<small>{told}</small></td>'


def _cell(row: Row, heading: str, column: str, first: bool) -> str:
    value = BY_NAME[column].value(row)
    classes = ["first"] if first else []
    if value is None:
        text = NO_LIMIT if BY_NAME[column].type[1] in "L" and row.kind in BY_NAME[column].rows else ""
    else:
        text = _FORMATS.get(column, _count)(row, int(value))
    if not text:
        classes.append("none")
    if value == 0:
        classes.append("zero")
    elif column in ALARMING and value is not None:
        classes.append("alarm")
    style = _bar(row) if column == "scur" else ""
    name = f' class="{" ".join(classes)}"' if classes else ""
    return f'<td{name}{style} data-h="{heading}">{text}</td>'


def _bar(row: Row) -> str:
    """How much of the limit the sessions use, drawn behind the figure."""
    limit, now = _int(row, "slim"), _int(row, "scur")
    if not limit or not now:
        return ""
    return f' style="--use:{min(100, now * 100 // limit)}%"'


def _int(row: Row, column: str) -> int | None:
    value = BY_NAME[column].value(row)
    return value if isinstance(value, int) else None


# ------------------------------------------------------------------------------------------------------ single figures

NO_LIMIT = "–"
ALARMING = {"qcur", "dreq", "dresp", "ereq", "econ", "eresp", "wretr", "wredis", "chkfail", "chkdown"}
"""Columns that stand out unless they are 0."""


def _count(row: Row, value: int) -> str:
    return f'<span title="{exact(value)}">{big(value)}</span>' if value >= 1_000_000 else exact(value)


def _size(row: Row, value: int) -> str:
    return f'<span title="{exact(value)}\u202fB">{bytes_text(value)}</span>'


def _ago(row: Row, value: int) -> str:
    return "never" if value < 0 else duration(value)


def _active(row: Row, value: int) -> str:
    if row.server is None:
        return f"{value}/{_int(row, 'bck')}"
    return "A" if value else '<abbr title="backup">B</abbr>'


def _weight(row: Row, value: int) -> str:
    user, throttle = _int(row, "uweight"), _int(row, "throttle")
    text = str(value) if user in (None, value) else f"{value}/{user}"
    return text if throttle is None else f'{text} <small title="slow start">{throttle}\u202f%</small>'


_FORMATS: dict[str, Callable[[Row, int], str]] = {
    "bin": _size,
    "bout": _size,
    "lastsess": _ago,
    "downtime": lambda row, value: duration(value),
    "act": _active,
    "weight": _weight,
}


# ------------------------------------------------------------------------------------------- what a row's name opens to

_PLAIN_DETAILS = (
    ("Address", "addr"), ("Cookie", "cookie"), ("Balance", "algo"), ("Follows", "tracked"),
)  # fmt: skip
_COUNTED_DETAILS = (
    ("Connections", "conn_tot"), ("Requests", "req_tot"), ("… 1xx", "hrsp_1xx"), ("… 2xx", "hrsp_2xx"),
    ("… 3xx", "hrsp_3xx"), ("… 4xx", "hrsp_4xx"), ("… 5xx", "hrsp_5xx"), ("… other", "hrsp_other"),
    ("Requests/s", "req_rate"), ("… max", "req_rate_max"), ("Answered here", "intercepted"),
    ("Connects", "connect"), ("Reuses", "reuse"), ("Idle connections", "srv_icur"),
    ("Broken off by client", "cli_abrt"), ("… by server", "srv_abrt"), ("Failed observations", "hanafail"),
    ("TLS handshakes", "ssl_sess"), ("… failed", "ssl_failed_handshake"), ("Health", "check_health"),
)  # fmt: skip
_TIMED_DETAILS = (("Queue", "qtime"), ("Connect", "ctime"), ("Response", "rtime"), ("Total", "ttime"))


def details(row: Row, view: View) -> Iterator[tuple[str, str]]:
    """Headings and texts, escaped, of what does not fit in the table."""
    for heading, name in _PLAIN_DETAILS:
        value = view.value(BY_NAME[name], row)
        if value is not None:
            yield heading, esc(str(value))
    for heading, name in _COUNTED_DETAILS:
        number = _int(row, name)
        if number is not None:
            yield heading, _count(row, number)
    for heading, name in _TIMED_DETAILS:
        average, highest = _int(row, name), _int(row, f"{name}_max")
        if average is not None and highest is not None:
            yield f"{heading} time", f"{exact(average)}\u202fms <small>max {exact(highest)}\u202fms</small>"
    if (found := row.counters.responses.percentiles(50, 95, 99)) is not None:
        yield "Response p50 / p95 / p99", f"{' / '.join(_milliseconds(time) for time in found)}\u202fms"


def _milliseconds(seconds: float) -> str:
    """Three figures at most: percentiles are known to a fifth."""
    return f"{seconds * 1000:.{1 if seconds < 0.01 else 0}f}"
