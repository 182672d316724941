"""The statistics page as HTML: the process, what to show, and then a table for each proxy.

One file, nothing loaded: style and script stand in the page, and the Content-Security-Policy lets no other in. Text
that comes from outside (names, what checks found) goes through `esc`. tables.py makes the proxies' tables.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files
from urllib.parse import quote

from pylb.admin import tables
from pylb.admin.actions import OUTCOMES
from pylb.admin.info import uptime, uptime_text
from pylb.admin.stats import View
from pylb.admin.units import big, exact
from pylb.admin.world import World
from pylb.config.model import StatsPage

STYLE = files(__package__).joinpath("stats.css").read_text("utf-8")
SCRIPT = files(__package__).joinpath("stats.js").read_text("utf-8")

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; "
    f"script-src 'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
)

LIVE = 3.0
"""Seconds between two looks of the page at itself, where `stats refresh` does not say."""

CONFIRM = (
    '<dialog id="confirm"><form method="dialog"><p></p><button value="yes">Do it</button> '
    '<button value="">Back</button></form></dialog>\n'
)

esc = escape


def page(
    world: World, model: StatsPage, view: View, options: str, outcome: str, may_act: bool, refreshes: bool
) -> bytes:
    """The whole page. `options`: those of the present address; `outcome`: the code of an action just done."""
    now = world.now()
    wait = max(1, int(model.refresh or LIVE)) if refreshes else 0
    later = f'<noscript><meta http-equiv="refresh" content="{wait}"></noscript>' if wait and model.refresh else ""
    link = Links(model.uri, view, options, refreshes)
    parts = [
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{esc(_title(world, model))}</title>\n"
        f'<link rel="icon" href="data:,">\n{later}<style>\n{STYLE}</style>\n</head>\n<body data-refresh="{wait}">\n',
        _head(world, model),
        _message(outcome, link.here("")),
        _process(world),
        _tools(model, link),
        tables.LEGEND,
    ]
    shown = view.sections(world)
    for section in shown:
        parts.append(tables.section(world, section, view, link.here("") if may_act else "", now))
    if not shown:
        parts.append('<p class="empty">No proxy has a name like that.</p>\n')
    parts.append(CONFIRM if may_act else "")
    parts.append(f"<script>{SCRIPT}</script>\n</body>\n</html>\n")
    return "".join(parts).encode("utf-8", "replace")


class Links:
    """Addresses of the page in its other forms."""

    def __init__(self, uri: str, view: View, options: str, refreshes: bool) -> None:
        self.uri = uri
        self.view = view
        self.options = options
        self.refreshes = refreshes

    def here(self, words: str, without: str = "") -> str:
        """The present address with more options, or with one less; escaped for an attribute."""
        options = self.options.replace(f";{without}", "") if without else self.options
        scope = f"?scope={quote(self.view.scope)}" if self.view.scope else ""
        return esc(f"{self.uri}{words}{options}{scope}")

    def toggle(self, word: str, on: bool) -> str:
        """The present address with one option changed."""
        return self.here("", without=word) if on else self.here(f";{word}")


# ------------------------------------------------------------------------------------------------ the page's upper part


def _title(world: World, model: StatsPage) -> str:
    return "Statistics" if model.show_node is None else f"Statistics on {model.show_node or world.node}"


def _head(world: World, model: StatsPage) -> str:
    version = "" if model.hide_version else f" <small>{esc(world.version)}</small>"
    where = "" if model.show_node is None else f" on <b>{esc(model.show_node or world.node)}</b>"
    about = model.show_desc if model.show_desc is None else model.show_desc or world.config.globals.description
    text = f": {esc(about)}" if about else ""
    return f"<header><h1>pylb{version}</h1><p>Statistics of process {world.pid}{where}{text}</p></header>\n"


def _message(code: str, close: str) -> str:
    if not code:
        return ""
    outcome = OUTCOMES.get(code, OUTCOMES["UNKN"])
    return (
        f'<p class="message {outcome.tone}" role="status">{esc(outcome.text)} '
        f'<a href="{close}" title="Remove this message" aria-label="Remove this message">×</a></p>\n'
    )


def _process(world: World) -> str:
    limit = f" / {exact(world.maxconn)}" if world.maxconn else ""
    now, figures = world.now(), world.figures
    facts = (
        ("Uptime", uptime_text(uptime(world))),
        ("Workers", str(world.workers)),
        ("Connections", f"{exact(figures.actconn)}{limit}"),
        (
            "Connections/s",
            f"{exact(figures.conn_rate.value(now))} <small>max {exact(figures.conn_rate.max)}</small>",
        ),
        ("All connections", big(figures.cum_conn)),
        ("All requests", big(figures.cum_req)),
        ("TLS connections", f"{exact(figures.ssl_conns)} <small>of {big(figures.cum_ssl_conns)}</small>"),
        (
            "TLS handshakes/s",
            f"{exact(figures.ssl_rate.value(now))} <small>max {exact(figures.ssl_rate.max)}</small>",
        ),
        ("Lost log lines", exact(figures.dropped_logs)),
    )
    tiles = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    stopping = '<p class="message warn">The process is stopping.</p>\n' if world.stopping else ""
    return f'{stopping}<dl class="process">{tiles}</dl>\n'


def _tools(model: StatsPage, link: Links) -> str:
    up, maint = link.view.only_up, link.view.no_maint
    links = [
        (link.toggle("up", up), "Show DOWN servers" if up else "Hide DOWN servers"),
        (link.toggle("no-maint", maint), "Show MAINT servers" if maint else "Hide MAINT servers"),
    ]
    word = "Stop refresh" if link.refreshes else f"Refresh every {max(1, int(model.refresh or LIVE))} s"
    links.append((link.toggle("norefresh", not link.refreshes), word))
    links.append((link.here(""), "Refresh now"))
    for word, name in (("csv", "CSV"), ("json", "JSON"), ("prometheus", "Prometheus")):
        links.append((link.here(f";{word}"), name))
    items = "".join(f'<a href="{href}">{text}</a>' for href, text in links)
    found = '<label hidden>Filter <input id="filter" type="search" size="12" placeholder="name or state"></label>'
    return f'<nav>{items}<span id="live" role="status"></span>{found}{_scope_form(link)}</nav>\n'


def _scope_form(link: Links) -> str:
    path, mark, query = link.uri.partition("?")
    # A GET form replaces the query, so a `stats uri` with one hands it over in a field.
    hidden = f'<input type="hidden" name="{esc(query)}" value="">' if mark else ""
    action = path if mark else path + link.options
    return (
        f'<form method="get" action="{esc(action)}">{hidden}<label>Scope <input name="scope" size="12" maxlength="100" '
        f'value="{esc(link.view.scope)}" placeholder="part of a name"></label></form>'
    )
