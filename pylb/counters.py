"""What the proxies count. One plain slot per number, named after HAProxy's stats CSV column where there is one.

Incrementing an attribute is the whole cost on the request path. Rates are sampled by `Rate`, whose reader does the
arithmetic. Each worker process has its own set; a reader of several sums them, so there is one writer per slot and no
lock. Which columns exist, what they are called and what kind they are stands in admin/columns.py.
"""

from __future__ import annotations


class Rate:
    """Events per second over a sliding window of one second, as HAProxy's freq counters: the running second plus the
    previous one weighted by what is left of it."""

    __slots__ = ("_current", "_previous", "_second", "max")

    def __init__(self) -> None:
        self._second = 0
        self._current = 0
        self._previous = 0
        self.max = 0
        """The highest rate that `add` has seen."""

    def add(self, now: float, n: int = 1) -> None:
        """Count `n` events at `now` (seconds, any monotonic clock)."""
        second = int(now)
        if second != self._second:
            self._previous = self._current if second == self._second + 1 else 0
            self._current = 0
            self._second = second
        self._current += n
        if self._current > self.max:
            self.max = self._current

    def value(self, now: float) -> int:
        """Events per second at `now`."""
        second = int(now)
        if second == self._second:
            return self._current + int(self._previous * (1 - (now - second)))
        if second == self._second + 1:
            return int(self._current * (1 - (now - second)))
        return 0


class ProxyCounters:
    """Counted by frontends, backends and servers alike."""

    __slots__ = (
        "bin", "bout", "chkdown", "cli_abrt", "comp_byp", "connect", "ctime", "dcon", "dreq", "dresp", "dses",
        "econ", "ereq", "eresp", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other",
        "intercepted", "lbtot", "qmax", "qtime", "rate", "req_rate", "req_tot", "reuse", "rtime", "scur", "slim",
        "smax", "srv_abrt", "ssl_handshakes", "ssl_failed_handshake", "stot", "ttime", "wredis", "wretr", "wrew",
        "conn_rate", "conn_tot", "chkfail", "downtime", "lastsess", "_qtimes", "cookie_invalid",
        "ctime_max", "eint", "qtime_max", "rtime_max", "ssl_reused", "ttime_max",
    )  # fmt: skip

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)
        self.rate = Rate()  # sessions per second
        self.req_rate = Rate()
        self.conn_rate = Rate()
        self.lastsess: float | None = None  # wall clock of the last session
        # qtime, ctime, rtime, ttime: HAProxy's averages over the last 1024 requests, kept as milliseconds (float).
        self.qtime = self.ctime = self.rtime = self.ttime = 0.0
        self.qtime_max = self.ctime_max = self.rtime_max = self.ttime_max = 0.0  # milliseconds, since the start

    bin: int
    bout: int
    chkdown: int
    chkfail: int
    cli_abrt: int
    comp_byp: int
    conn_tot: int
    connect: int
    cookie_invalid: int
    dcon: int
    dreq: int
    dresp: int
    dses: int
    downtime: float
    econ: int
    eint: int
    ereq: int
    eresp: int
    hrsp_1xx: int
    hrsp_2xx: int
    hrsp_3xx: int
    hrsp_4xx: int
    hrsp_5xx: int
    hrsp_other: int
    intercepted: int
    lbtot: int
    qmax: int
    req_tot: int
    reuse: int
    scur: int
    slim: int
    smax: int
    srv_abrt: int
    ssl_failed_handshake: int
    ssl_handshakes: int
    ssl_reused: int
    stot: int
    wredis: int
    wretr: int
    wrew: int

    def status(self, status: int) -> None:
        """Count one response by its class."""
        family = status // 100
        if family == 2:
            self.hrsp_2xx += 1
        elif family == 3:
            self.hrsp_3xx += 1
        elif family == 4:
            self.hrsp_4xx += 1
        elif family == 5:
            self.hrsp_5xx += 1
        elif family == 1:
            self.hrsp_1xx += 1
        else:
            self.hrsp_other += 1

    def timed(self, queue: float, connect: float, response: float, total: float) -> None:
        """One request is over that a server answered: its times in milliseconds, into averages and maxima.

        `lbtot` counts it already. The averages weigh the last 1,024 requests, as HAProxy's do.
        """
        n = self.lbtot
        weight = 1 / 1024 if n > 1024 else 1 / (n or 1)
        self.qtime += (queue - self.qtime) * weight
        self.ctime += (connect - self.ctime) * weight
        self.rtime += (response - self.rtime) * weight
        self.ttime += (total - self.ttime) * weight
        if queue > self.qtime_max:
            self.qtime_max = queue
        if connect > self.ctime_max:
            self.ctime_max = connect
        if response > self.rtime_max:
            self.rtime_max = response
        if total > self.ttime_max:
            self.ttime_max = total

    def opened(self) -> None:
        """One more session runs here."""
        self.scur += 1
        self.stot += 1
        if self.scur > self.smax:
            self.smax = self.scur
