"""A world in varied states, so that statistics can be rendered without the proxy: live backends, plain frontends.

`demo_world()` has a healthy and a sick backend, servers in every state, a TCP pair, a `listen` section, names that need
escaping, and numbers from zero to large. Its clock stands still unless a test moves it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pylb.admin.world import Reload, own_totals
from pylb.backend import backend, operate, state
from pylb.backend.health import CheckResult, Status
from pylb.backend.server import Server
from pylb.backend.stick import StickTable
from pylb.config import model
from pylb.config.model import (
    Address,
    Backend,
    Balance,
    Config,
    Cookie,
    Frontend,
    Global,
    HealthCheck,
    Origin,
    ServerCheck,
    StatsPage,
)
from pylb.counters import ProxyCounters, Rate
from pylb.net.door import RateLimits

NOW = 100_000.0
WALL = 1_790_000_000.0


class Waiter:
    """An exchange in a queue."""

    priority_class = priority_offset = backend_queue = server_queue = 0
    started_wall = WALL
    server = slot_server = None

    def granted(self, server: Server) -> None:
        """A slot after all."""


class DemoFrontend:
    def __init__(self, model: Frontend):
        self.name, self.model, self.counters = model.name, model, ProxyCounters()
        self.state = ""
        self.last_error = None


@dataclass
class DemoFigures:
    bytes_out_rate: Rate = field(default_factory=lambda: Rate(lambda: 0))
    tasks: int = 3
    idle_percent: int = 97
    actconn: int = 137
    cum_conn: int = 1_204_332
    cum_req: int = 9_884_201
    conn_rate: Rate = field(default_factory=lambda: Rate(lambda: 0))
    sess_rate: Rate = field(default_factory=lambda: Rate(lambda: 0))
    ssl_rate: Rate = field(default_factory=lambda: Rate(lambda: 0))
    ssl_conns: int = 12
    cum_ssl_conns: int = 88_123
    listeners: int = 4
    dropped_logs: int = 0


@dataclass
class DemoWorld:
    config: Config
    frontends: list[DemoFrontend]
    backends: list[backend.Backend]
    started: float = NOW - 273_845
    started_wall: float = WALL - 273_845
    version: str = "0.1.0"
    node: str = "lb1"
    pid: int = 4711
    workers: int = 2
    maxconn: int = 4000
    hard_maxconn: int = 4000
    figures: DemoFigures = field(default_factory=DemoFigures)
    rate_limits: RateLimits = field(default_factory=RateLimits)
    startup_logs: tuple[str, ...] = ()
    tables: dict[str, StickTable] = field(default_factory=dict)
    stopping: bool = False
    clock: float = NOW
    reload: Reload = field(default_factory=Reload)
    order: None = None

    def now(self) -> float:
        return self.clock

    totals = staticmethod(own_totals)


def running(total: int, per_second: int) -> Rate:
    """A rate of which `per_second` of the `total` events happened in the second before NOW."""
    reading = [total - per_second]
    rate = Rate(lambda: reading[0])
    rate.sample(NOW - 2)
    rate.sample(NOW - 1)
    reading[0] = total
    rate.sample(NOW)
    rate.max = per_second
    return rate


def count(counters: ProxyCounters, rate: int = 0, **values: float) -> None:
    """Fill counters; `rate` events happened within the last second."""
    for name, value in values.items():
        setattr(counters, name, value)
    if rate:
        counters.rate = running(counters.stot, rate)
        counters.req_rate = running(counters.req_tot, rate)
        counters.conn_rate = running(counters.conn_tot, rate)


def _server(name: str, host: str, port: int, **more: object) -> model.Server:
    return model.Server(name=name, address=Address(host=host, port=port), **more)  # type: ignore[arg-type]


def checked(
    server: Server, status: Status, *, code: int | None = None, ms: int = 0, info: str = "", n: int = 1
) -> None:
    """`n` checks of a live server have ended like that."""
    for _ in range(n):
        state.check_done(server, CheckResult(status, ms, code, info), server.last_change)


def _set_states(world: DemoWorld) -> None:
    web, bad, db, _ = world.backends
    for server in (*web.servers, *bad.servers, *db.servers):
        server.last_change = NOW - 5025
        if server.check is not None and not server.model.disabled:
            status = Status.L7OK if server.backend is not db else Status.L4OK
            checked(server, status, code=200 if status is Status.L7OK else None, ms=3, n=3)
    _, web2, web3, web4, _, web6, _ = web.servers
    web2.last_change = NOW - 42
    checked(web2, Status.L7STS, code=503, ms=3, info="Service Unavailable", n=2)
    operate.set_state(web3, "maint", NOW - 11)
    operate.set_state(web3, "ready", NOW - 11)
    checked(web3, Status.L7OK, code=200, ms=3, n=3)
    state.warm_up(web, NOW)
    web4.last_change, web4.downtime = NOW - 130, 421.0
    checked(web4, Status.L4CON, info="Connection refused", n=3)
    operate.set_state(web6, "drain", NOW - 5025)
    web6.hana = 2
    inv1, inv2, inv3 = bad.servers
    checked(inv1, Status.L4TOUT, ms=2001, n=3)
    checked(inv1, Status.L4OK)
    checked(inv2, Status.L7RSP, ms=12, info='<b>"nonsense", he said</b>\nX,Y', n=3)
    checked(inv3, Status.L7OKC, code=404, ms=3)
    web.last_change = NOW - 86_400 * 3


def _traffic(counters: ProxyCounters, n: int, rate: int = 0, scur: int = 0) -> None:
    count(
        counters, rate, stot=n, lbtot=n, req_tot=n, conn_tot=n // 3, bin=n * 412, bout=n * 18_311, hrsp_1xx=0,
        hrsp_2xx=n - n // 20, hrsp_3xx=n // 40, hrsp_4xx=n // 50, hrsp_5xx=n // 400, scur=scur, smax=scur * 4 + 1,
        connect=n // 9, reuse=n - n // 9, qtime=0.2, ctime=0.9, rtime=14.3, ttime=31.0,
        qtime_max=120.0, ctime_max=31.0, rtime_max=2800.0, ttime_max=5100.0, lastsess=WALL - 3,
    )  # fmt: skip


def demo_world(admin: bool = True) -> DemoWorld:
    """The world described above."""
    check, at = ServerCheck(), lambda line: Origin("lb.cfg", line, 1)
    web = Backend(
        name="web", mode="http", at=at(20), balance=Balance("leastconn"), cookie=Cookie("SRVNAME", mode="insert"),
        servers=(
            _server("web1", "172.16.10.102", 30080, check=check, cookie="w1", maxconn=200, weight=10),
            _server("web2", "172.16.10.103", 30080, check=check, cookie="w2", maxconn=200, weight=10, maxqueue=50),
            _server("web3", "172.16.10.104", 30080, check=check, cookie="w3", weight=10, slowstart=30.0),
            _server("web4", "fe80::17", 30080, check=check, cookie="w4", weight=10),
            _server("web5", "172.16.10.106", 30080, check=check, weight=10, disabled=True),
            _server("web6", "172.16.10.107", 30080, check=check, weight=10, observe="layer7"),
            _server("sorry", "127.0.0.1", 8080, backup=True),
        ),
    )  # fmt: skip
    bad = Backend(
        name="billing<b>&\"x'", mode="http", at=at(40), check=HealthCheck("http", disable_on_404=True),
        description="<script>alert(1)</script>",
        servers=(
            _server("inv1", "10.0.0.1", 80, check=check), _server("inv2", "10.0.0.2", 80, check=check),
            _server("inv3", "10.0.0.3", 80, check=check),
        ),
    )  # fmt: skip
    db = Backend(name="db", mode="tcp", at=at(60), servers=(_server("pg1", "10.1.0.1", 5432, check=check),))
    page = StatsPage(uri="/stats", refresh=5.0)
    stats_b = Backend(name="stats", mode="http", at=at(70), listen=True, stats=page)
    fronts = (
        Frontend(name="public", mode="http", at=at(10), default_backend="web", maxconn=3000),
        Frontend(name="db_in", mode="tcp", at=at(50), default_backend="db"),
        Frontend(name="stats", mode="http", at=at(70), listen=True, stats=page),
    )
    globals_ = Global(maxconn=4000, node="lb1", description="shop, first of two")
    world = DemoWorld(
        Config(globals=globals_, frontends=fronts, backends=(web, bad, db, stats_b)),
        [DemoFrontend(f) for f in fronts],
        [backend.Backend(b, fullconn=300, now=NOW - 86_400 * 3) for b in (web, bad, db, stats_b)],
    )
    _set_states(world)
    public, db_in, stats = world.frontends
    _traffic(public.counters, 9_884_201, 812, 131)
    count(public.counters, dreq=91, ereq=1_204)
    _traffic(db_in.counters, 4_100, 3, 6)
    _traffic(stats.counters, 420, 1, 1)
    count(stats.counters, intercepted=420)
    web_b, bad_b, db_b, _ = world.backends
    _traffic(web_b.counters, 9_884_000, 810, 131)
    count(web_b.counters, econ=12, eresp=4, wretr=19, wredis=7, cli_abrt=310, srv_abrt=2, qmax=44)
    for _ in range(3):
        web_b._wait(Waiter(), None)
    for server, n in zip(web_b.servers, (4_000_000, 3_900_000, 200_000, 1_500_000, 80_000, 204_000, 0), strict=True):
        _traffic(server.counters, n, min(n, 400_000) // 1000, min(60, n // 70_000))
        server.idle.extend([object()] * (n // 1_000_000))
    count(web_b.servers[1].counters, chkfail=7, econ=3, wretr=3, eresp=2)
    count(web_b.servers[3].counters, chkfail=3, chkdown=1, econ=9, wretr=16, wredis=7)
    count(bad_b.counters, stot=77, lbtot=70, hrsp_5xx=77, req_tot=77, chkdown=1, econ=70)
    bad_b.last_change = NOW - 61
    _traffic(db_b.counters, 4_100, 3, 6)
    _traffic(db_b.servers[0].counters, 4_100, 3, 6)
    figures = world.figures
    figures.conn_rate = figures.sess_rate = running(figures.cum_conn, 271)
    figures.ssl_rate = running(figures.cum_ssl_conns, 9)
    return world
