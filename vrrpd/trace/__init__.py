"""`vrrpd --trace`: the life of each advert and of each transition, told for those who learn how VRRP decides.

Nothing here is in the way of an advert that nobody watches: the daemon is made of a class of instances and an executor
(`Made` in roster.py is the seam), and a traced daemon gets subclasses that speak before and after the methods they
inherit. They change nothing: an instance is compared before and after each event, and what differs is told, so a trace
cannot say anything else than what happened. Without --trace none of this is imported.

    instance.py    events: what came, which test refused it, what it changed, which timer runs now and why
    executor.py    what was done on the host, in order, and how long it took
    picture.py     an instance at a moment, and what has changed since
    packets.py     the bytes of an advert, field by field
    printer.py     lines on a terminal or in a file, the daemon's log among them
"""

from __future__ import annotations

import sys
from functools import partial

from vrrpd.logs import Log
from vrrpd.roster import Made
from vrrpd.trace.executor import TracedExecutor
from vrrpd.trace.instance import TracedInstance
from vrrpd.trace.printer import Printer, TracedLog


def begin(syslog: str | None, detail: bool) -> tuple[Log, Made]:
    """A log and parts that tell everything on standard output. OSError without the wanted syslog."""
    printer = Printer(sys.stdout)
    made = Made(partial(TracedInstance, printer), partial(TracedExecutor, printer))
    return TracedLog(printer, syslog=syslog, detail=detail), made
