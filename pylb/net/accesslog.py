"""One line for every exchange that ends, as the options of its frontend want it.

Which questions have to be asked about an exchange is decided when the frontend opens: `access_log` returns the
shortest function that does. Options of HAProxy: dontlog-normal, log-separate-errors, logasap, log-format-sd,
error-log-format; `http-request set-log-level` speaks for one exchange.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylb.net.door import Door
    from pylb.rules.context import Context
    from pylb.rules.frontend import Frontend

LEVEL_ERR = 3
LEVEL_INFO = 6
"""syslog's numbers, RFC 5424 6.2.1."""

_LOGGED = "logged"
"""Among an exchange's variables: `option logasap` has written its line. No name of a variable looks like it."""

Log = Callable[[Any], None]
"""Takes an exchange (net/exchange.py)."""


def access_log(frontend: Frontend, door: Door) -> Log:
    """What logs the exchanges of a frontend; `door` knows how many connections there are."""
    if frontend.logger is None:
        return _nothing
    settings = frontend.model
    choosy = settings.dontlog_normal or settings.log_separate_errors
    if choosy or settings.logasap or frontend.log_data is not None or frontend.error_line is not None:
        return _careful(frontend, door)
    return _plain(frontend, door)


def _nothing(exchange: Any) -> None:
    """Without a logger."""


def _plain(frontend: Frontend, door: Door) -> Log:
    """Everything at level info, unless a rule gave the exchange a level of its own."""
    logger = frontend.logger
    assert logger is not None

    def log(exchange: Any) -> None:
        line = frontend.log_line
        if line is None:
            return
        level = exchange.log_level
        if level is None:
            level = LEVEL_INFO
        elif level < 0:
            return
        exchange.actconn = door.house.connections
        logger(level, line(exchange))

    return log


def _careful(frontend: Frontend, door: Door) -> Log:
    logger = frontend.logger
    assert logger is not None
    settings, data = frontend.model, frontend.log_data

    def log(exchange: Any) -> None:
        if settings.logasap and exchange.variables is not None and _LOGGED in exchange.variables:
            return
        failed = has_failed(exchange)
        if settings.dontlog_normal and not failed:
            return
        level = LEVEL_ERR if failed and settings.log_separate_errors else LEVEL_INFO
        if exchange.log_level is not None:
            level = exchange.log_level
            if level < 0:
                return
        line = frontend.log_line if frontend.error_line is None or came_to_a_request(exchange) else frontend.error_line
        if line is None:
            return
        exchange.actconn = door.house.connections
        if data is None:
            logger(level, line(exchange))
        else:
            logger(level, line(exchange), data(exchange))

    return log


def has_failed(exchange: Context) -> bool:
    """What HAProxy takes for an error: something other than a normal end, a 5xx, a retry."""
    ended_well = exchange.termination in (b"--", b"LR")
    return not ended_well or exchange.status >= 500 or exchange.retries > 0


def came_to_a_request(exchange: Context) -> bool:
    """Whether there is anything that the usual line could tell; else error-log-format applies."""
    return exchange.head_received is not None or exchange.frontend.model.mode != "http"


def log_early(exchange: Any, sent: int) -> None:
    """`option logasap`: the line now, with the response's head as all that has been `sent`."""
    read = exchange.bytes_read
    exchange.bytes_read = sent
    exchange.session.listener.log(exchange)
    exchange.bytes_read = read
    if exchange.variables is None:
        exchange.variables = {}
    exchange.variables[_LOGGED] = True
