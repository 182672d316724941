"""What the proxies count. One plain slot per number, named after HAProxy's stats CSV column where there is one.

Incrementing an attribute is the whole cost on the request path; rates are derived from totals once a second. Each
worker process has its own set; a reader of several sums them, so there is one writer per slot and no lock. Which
columns exist, what they are called and what kind they are stands in admin/columns.py.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import sub

from pylb.latency import Latencies

Moments = tuple[float, float, float, float, float, float, "ProxyCounters"]
"""Of one request, seconds of the loop's clock: head received, dequeued, connected, responded, started, ended; and the
counters of the frontend that it came to."""

FOLD_AT = 256
"""Requests whose times are looked at together."""

# How the counters of several processes become one (process/counters.py). A new counter belongs into one of these.

SUMMED = (
    "bin", "bout", "cli_abrt", "comp_byp", "conn_tot", "connect", "cookie_invalid", "dcon", "dreq", "dresp", "dses",
    "econ", "eint", "ereq", "eresp", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other",
    "intercepted", "lbtot", "req_tot", "reuse", "srv_abrt", "ssl_failed_handshake", "ssl_handshakes", "ssl_reused",
    "stot", "wredis", "wretr", "wrew",
)  # fmt: skip
"""Totals."""

GAUGES = ("scur", "qcur", "idle")
"""What is there now; summed too, and gone with its process."""

LARGEST = ("smax", "qmax", "qtime_max", "ctime_max", "rtime_max", "ttime_max", "lastsess")

AVERAGED = ("qtime", "ctime", "rtime", "ttime")
"""Averages over the last requests, weighted by how many each process has seen of them."""

OF_STEWARD = ("chkdown", "chkfail", "downtime")
"""Counted where the checks run."""

RATES = ("rate", "req_rate", "conn_rate")


class Rate:
    """Events per second, derived from a running total that is looked at once a second.

    Counting costs the request path nothing beyond the total it keeps anyway. The value is HAProxy's sliding second: the
    running one plus what is left of the one before.
    """

    __slots__ = ("_before", "_previous", "_since", "_total", "max")

    def __init__(self, total: Callable[[], int]) -> None:
        """`total` reads the number of events so far."""
        self._total = total
        self._since = 0.0
        self._before = 0
        self._previous = 0.0
        self.max = 0
        """The highest rate of any second so far."""

    def sample(self, now: float) -> None:
        """Look at the total; to be called once a second (seconds of any monotonic clock)."""
        total = self._total()
        elapsed = max(1.0, now - self._since) if self._since else 1.0
        self._previous = (total - self._before) / elapsed
        self._before = total
        self._since = now
        if self._previous > self.max:
            self.max = round(self._previous)

    def begin(self, now: float, most: int) -> None:
        """What the total is now was counted before; `most` was the highest rate then."""
        self._before, self._previous, self._since, self.max = self._total(), 0.0, now, most

    def resume(self, now: float) -> None:
        """It was not looked at for as long as nothing happened: what has happened since, did in the last second."""
        self._since = max(self._since, now - 1.0)

    def restart(self, total: int) -> None:
        """The running total, which was `total`, is going to count from 0 again; the rate is not."""
        self._before -= total

    def value(self, now: float) -> int:
        """Events per second at `now`."""
        elapsed = min(1.0, max(0.0, now - self._since))
        return round(self._total() - self._before + self._previous * (1.0 - elapsed))


class ProxyCounters:
    """Counted by frontends, backends and servers alike."""

    __slots__ = (
        "_times", "bin", "bout", "chkdown", "chkfail", "cli_abrt", "comp_byp", "conn_rate", "conn_tot", "connect",
        "cookie_invalid", "ctime", "ctime_max", "dcon", "downtime", "dreq", "dresp", "dses", "econ", "eint", "ereq",
        "eresp", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other", "idle", "intercepted",
        "lastsess", "lbtot", "parent", "qcur", "qmax", "qtime", "qtime_max", "rate", "req_rate", "req_tot", "responses",
        "reuse", "row", "rtime", "rtime_max", "scur", "slim", "smax", "srv_abrt", "ssl_failed_handshake",
        "ssl_handshakes", "ssl_reused", "stot", "ttime", "ttime_max", "wredis", "wretr", "wrew",
    )  # fmt: skip

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)
        self.rate = Rate(lambda: self.stot)  # sessions
        self.req_rate = Rate(lambda: self.req_tot)
        self.conn_rate = Rate(lambda: self.conn_tot)
        self.lastsess = 0.0  # wall clock of the last session; 0: none yet
        self.row = -1
        """Its place in the shared counters; -1: there are none."""
        # qtime, ctime, rtime, ttime: HAProxy's averages over the last 1024 requests, kept as milliseconds (float).
        self.qtime = self.ctime = self.rtime = self.ttime = 0.0
        self._times: list[Moments] = []
        self.responses = Latencies()
        """How long servers took to their response's head, for percentiles."""
        self.parent: ProxyCounters | None = None
        """A server's backend: what is timed here counts there too."""
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
    idle: int
    intercepted: int
    lbtot: int
    qcur: int
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

    def reset(self) -> None:
        """Begin at zero."""
        row, parent, limit, current = self.row, self.parent, self.slim, self.scur
        self.__init__()  # type: ignore[misc]
        self.row, self.parent, self.slim, self.scur = row, parent, limit, current

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

    def timed(self, moments: Moments) -> None:
        """One request is over that a server answered. Its times are looked at later, many together."""
        times = self._times
        times.append(moments)
        if len(times) >= FOLD_AT:
            self.fold()

    def fold(self) -> None:
        """Bring averages and maxima up to date, here and for the `parent`; percentiles for the frontends, too.

        Done for a batch by functions that run in C: a quarter of what the same arithmetic costs request by request.
        """
        if not self._times:
            return
        heads, dequeued, connected, responded, started, ended, fronts = zip(*self._times, strict=True)
        self._times.clear()
        together = [] if self.parent is None else [self.parent.responses]
        asked = set(fronts)
        if len(asked) == 1:
            together.append(fronts[0].responses)
        else:
            for front in asked:
                pairs = zip(responded, connected, fronts, strict=True)
                front.responses.add([end - start for end, start, of in pairs if of is front])
        self.responses.add(map(sub, responded, connected), *together)
        for name, before, after in (
            ("qtime", heads, dequeued),
            ("ctime", dequeued, connected),
            ("rtime", connected, responded),
            ("ttime", started, ended),
        ):
            mean = (sum(after) - sum(before)) * 1000 / len(heads)
            longest = max(map(sub, after, before)) * 1000
            self._blend(name, mean, longest, len(heads))
            if self.parent is not None:
                self.parent._blend(name, mean, longest, len(heads))

    def _blend(self, name: str, mean: float, longest: float, count: int) -> None:
        """The averages weigh the last 1,024 requests, as HAProxy's do; `lbtot` counts these ones already."""
        seen = max(self.lbtot, count)
        weight = count / seen if seen <= 1024 else 1 - (1 - 1 / 1024) ** count
        average = getattr(self, name)
        setattr(self, name, average + (mean - average) * weight)
        if longest > getattr(self, name + "_max"):
            setattr(self, name + "_max", longest)

    def sample(self, now: float) -> None:
        """Once a second: what the rates are made of."""
        self.fold()
        self.responses.turn(now)
        self.sample_rates(now)

    def sample_rates(self, now: float) -> None:
        """Of `sample`, what sums over several processes need, too."""
        self.rate.sample(now)
        self.req_rate.sample(now)
        self.conn_rate.sample(now)

    def resume_rates(self, now: float) -> None:
        """After a time without samples and without events."""
        for rate in (self.rate, self.req_rate, self.conn_rate):
            rate.resume(now)

    def clear(self, everything: bool = False) -> None:
        """`clear counters`: highest values begin anew; `clear counters all`: what was counted too."""
        self.fold()
        self.smax = self.qmax = 0
        self.qtime_max = self.ctime_max = self.rtime_max = self.ttime_max = 0.0
        for rate, name in ((self.rate, "stot"), (self.req_rate, "req_tot"), (self.conn_rate, "conn_tot")):
            rate.max = 0
            if everything:
                rate.restart(getattr(self, name))
        if everything:
            self.responses = Latencies()
            for name in _TOTALS:
                setattr(self, name, 0)

    def opened(self) -> None:
        """One more client is here; it is a session (`stot`) when rules and handshakes have let it in."""
        self.scur += 1
        if self.scur > self.smax:
            self.smax = self.scur


_NO_TOTALS = frozenset(
    {"_times", "parent", "responses", "row", "scur", "slim", "rate", "req_rate", "conn_rate", "lastsess"}
)
_TOTALS = tuple(name for name in ProxyCounters.__slots__ if name not in _NO_TOTALS)
"""What `clear counters all` sets to 0: all but what is going on and its limits."""
