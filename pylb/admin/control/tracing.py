"""trace, show trace: the trace of requests (pylb/trace), stopped and started again while a balancer runs."""

from __future__ import annotations

from collections.abc import Sequence

from pylb.admin.control.registry import Kind, command
from pylb.admin.control.session import Level, Session, Severity
from pylb.admin.world import Running
from pylb.backend.operate import Refused

SOURCE = "stream"
"""HAProxy's name for the layer of requests."""
HEAD = "Supported trace sources and states (.=stopped, w=waiting, R=running) :\n"
SWITCHES = {"start": False, "on": False, "stop": True, "off": True}
"""Words, and whether they silence."""


def _state(world: Running) -> str:
    return "R" if world.tracer is not None and not world.tracer.printer.silent else "."


@command("show trace", "[<module>]", help="show live tracing state", level=Level.OPERATOR)
def show_trace(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Whether it runs, and where it goes."""
    if words and words[0] != SOURCE:
        raise Refused("No such trace source")
    sink = "none" if world.tracer is None else "stdout"
    return f"{HEAD} [{_state(world)}] {SOURCE:<10} -> {sink} [drp 0]  [Applicative stream]\n".encode()


@command("trace", "[<module>|0] [cmd [args...]]", kind=Kind.CHANGE, level=Level.OPERATOR,
         help="manage live tracing (empty to list, 0 to stop all)")  # fmt: skip
def trace(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """`trace stream start|on|stop|off`, `trace 0`"""
    if not words:
        stop = f" [.] {'0':<10} : not a source, will immediately stop all traces\n"
        return f"{HEAD}{stop} [{_state(world)}] {SOURCE:<10} : Applicative stream\n".encode()
    if words[0] == "0":
        if world.tracer is not None:
            world.tracer.printer.silent = True
        return session.feedback(Severity.NOTICE, "All traces now stopped")
    if words[0] != SOURCE:
        raise Refused("No such trace source")
    if len(words) < 2 or words[1] not in SWITCHES:
        raise Refused(f"usage: trace {SOURCE} {{start|on|stop|off}}")
    if world.tracer is None:
        raise Refused("Rules are compiled without a trace: start pylb with --trace.")
    world.tracer.printer.silent = SWITCHES[words[1]]
    return b""
