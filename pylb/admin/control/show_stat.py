"""The statistics table on the admin socket: show stat, and clearing what it counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from pylb.admin import stats
from pylb.admin.control.names import is_called
from pylb.admin.control.registry import Answer, Kind, command
from pylb.admin.control.session import Level, Session
from pylb.admin.rows import sections
from pylb.admin.world import Running, World
from pylb.backend.operate import Refused, whole

RESOLVERS = (
    "# id,pid,sent,send_error,valid,update,cname,cname_error,any_err,nx,timeout,refused,other,invalid,too_big,"
    "truncated,outdated,\n"
)
"""The columns of a domain in which there are no rows here."""
OPTIONS = ("desc", "json", "no-maint", "typed", "up")
KINDS = {1: "F", 2: "B", 4: "S"}
"""The bits of <type>."""


@command("show stat", "[desc|json|no-maint|typed|up]*", help="report counters for each proxy and server")
def show_stat(session: Session, world: World, words: Sequence[str], payload: str) -> Answer:
    """As CSV, typed or JSON; `show stat [domain proxy] {<iid>|<proxy>} <type> <sid>` shows a part, -1
    standing for all."""
    if list(words[:1]) == ["domain"]:
        if list(words[1:2]) == ["resolvers"]:  # there are none
            return RESOLVERS.encode()
        if list(words[1:2]) != ["proxy"]:
            raise Refused("Invalid statistics domain.")
        words = words[2:]
    chosen = words[:3] if len(words) >= 3 and words[0] not in OPTIONS else ()
    view = stats.View(only_up="up" in words, no_maint="no-maint" in words)
    if chosen:
        kinds, sid = _part(chosen[1], chosen[2])
        view = replace(view, proxy=_proxy(world, chosen[0]), kinds=kinds, sid=sid)
    if "json" in words:
        return chain(stats.json_rows(world, view), (b"\n",))
    if "typed" in words:
        return stats.typed(world, view, describe="desc" in words)
    return stats.csv_lines(world, view)


def _proxy(world: World, word: str) -> int:
    if re.fullmatch("-?[0-9]+", word):
        return whole(word)
    for section in sections(world):
        if is_called(section, word):
            return section.iid
    raise Refused("No such proxy.")


def _part(kinds: str, sid: str) -> tuple[str, int]:
    """Letters of the kinds of rows, and the server's number."""
    bits, number = (whole(found[0]) if (found := re.match("-?[0-9]+", word)) else 0 for word in (kinds, sid))
    return "".join(letter for bit, letter in KINDS.items() if bits < 0 or bits & bit), number


@command(
    "clear counters",
    "[all]",
    help="clear max statistics counters (or all counters)",
    kind=Kind.CHANGE,
    level=Level.OPERATOR,
)
def clear_counters(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Highest values begin anew; with `all`, for which admin rights are needed, totals too."""
    everything = list(words[:1]) == ["all"]
    if everything and session.level < Level.ADMIN:
        raise Refused("Permission denied")
    counted = [frontend.counters for frontend in world.frontends]
    for backend in world.backends:
        counted.append(backend.counters)
        for server in backend.servers:
            counted.append(server.counters)
            if everything:
                server.hana = 0
                server.downtime = 0.0
    for counters in counted:
        counters.clear(everything)
    figures = world.figures
    for rate in (figures.conn_rate, figures.sess_rate, figures.ssl_rate, figures.bytes_out_rate):
        rate.max = 0
    world.cleared(everything)
    return b""
