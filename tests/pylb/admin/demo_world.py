"""A world of plain objects in varied states, so that statistics can be rendered without the proxy.

`demo_world()` has a healthy and a sick backend, servers in every state, a TCP pair, a `listen` section, names that need
escaping, and numbers from zero to large. Its clock stands still unless a test moves it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pylb.config.model import (
    Address,
    Backend,
    Balance,
    Config,
    Cookie,
    Frontend,
    Global,
    Origin,
    Server,
    ServerCheck,
    StatsPage,
)
from pylb.counters import ProxyCounters, Rate

NOW = 100_000.0
WALL = 1_790_000_000.0


@dataclass
class DemoCheck:
    status: str = "L7OK"
    code: int | None = 200
    duration: float | None = 0.003
    info: str = ""
    rise: int = 2
    fall: int = 3
    health: int = 4


class DemoServer:
    """Satisfies admin.world.ServerView; `set` methods as the actions of the page need them."""

    def __init__(self, model: Server, sid: int, status: str = "UP", check: DemoCheck | None = None, **values: object):
        self.name, self.model, self.sid = model.name, model, sid
        self.address = model.address
        self.counters = ProxyCounters()
        self.queue: list[object] = []
        self.maxconn = model.maxconn or 0
        self.weight = self.effective_weight = model.weight
        self.throttle = 100
        self.status = status
        self.state = 0 if status.startswith(("DOWN", "MAINT")) else 2
        self.last_change = NOW - 5025
        self.downtime = 0.0
        self.hana = 0
        self.idle: list[object] = []
        self.check = check if check is not None else (DemoCheck() if model.check else None)
        self.calls: list[tuple[object, ...]] = []
        for name, value in values.items():
            setattr(self, name, value)

    @property
    def usable(self) -> bool:
        return self.status.startswith(("UP", "no check")) and self.effective_weight > 0


class DemoBackend:
    def __init__(self, model: Backend, servers: list[DemoServer], fullconn: int = 300):
        self.name, self.model, self.servers, self.fullconn = model.name, model, servers, fullconn
        self.counters = ProxyCounters()
        self.queue: list[object] = []
        self.last_change = NOW - 86_400 * 3
        self.downtime = 12.0

    @property
    def up(self) -> bool:
        return not self.servers or any(s.usable for s in self.servers)


class DemoFrontend:
    def __init__(self, model: Frontend):
        self.name, self.model, self.counters = model.name, model, ProxyCounters()


@dataclass
class DemoWorld:
    config: Config
    frontends: list[DemoFrontend]
    backends: list[DemoBackend]
    started: float = NOW - 273_845
    started_wall: float = WALL - 273_845
    version: str = "0.1.0"
    node: str = "lb1"
    pid: int = 4711
    workers: int = 2
    maxconn: int = 4000
    actconn: int = 137
    cum_conn: int = 1_204_332
    cum_req: int = 9_884_201
    conn_rate: Rate = field(default_factory=Rate)
    sess_rate: Rate = field(default_factory=Rate)
    ssl_rate: Rate = field(default_factory=Rate)
    ssl_conns: int = 12
    cum_ssl_conns: int = 88_123
    listeners: int = 4
    stopping: bool = False
    dropped_logs: int = 0
    clock: float = NOW

    def now(self) -> float:
        return self.clock


def count(counters: ProxyCounters, rate: int = 0, **values: float) -> None:
    """Fill counters; `rate` events happened within the last second."""
    for name, value in values.items():
        setattr(counters, name, value)
    if rate:
        for window in (counters.rate, counters.req_rate, counters.conn_rate):
            window.add(NOW, rate)


def _server(name: str, host: str, port: int, **more: object) -> Server:
    return Server(name=name, address=Address(host=host, port=port), **more)  # type: ignore[arg-type]


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
        name="billing<b>&\"x'", mode="http", at=at(40), description="<script>alert(1)</script>",
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
        [
            DemoBackend(web, [
                DemoServer(web.servers[0], 1),
                DemoServer(web.servers[1], 2, status="UP 1/3", check=DemoCheck(health=2, status="L7STS", code=503, info="Service Unavailable"), last_change=NOW - 42),
                DemoServer(web.servers[2], 3, effective_weight=4, throttle=37, last_change=NOW - 11),
                DemoServer(web.servers[3], 4, status="DOWN", check=DemoCheck("L4CON", None, 0.0, "Connection refused", health=0), downtime=421.0, last_change=NOW - 130),
                DemoServer(web.servers[4], 5, status="MAINT"),
                DemoServer(web.servers[5], 6, status="DRAIN", hana=2),
                DemoServer(web.servers[6], 7, status="no check"),
            ]),
            DemoBackend(bad, [
                DemoServer(bad.servers[0], 1, status="DOWN 1/2", check=DemoCheck("L4TOUT", None, 2.001, "", health=1)),
                DemoServer(bad.servers[1], 2, status="DOWN", check=DemoCheck("L7RSP", None, 0.012, "<b>\"nonsense\", he said</b>\nX,Y", health=0)),
                DemoServer(bad.servers[2], 3, status="NOLB", check=DemoCheck("L7OKC", 404)),
            ]),
            DemoBackend(db, [DemoServer(db.servers[0], 1, check=DemoCheck("* L4OK", None, 0.0))]),
            DemoBackend(stats_b, []),
        ],
    )  # fmt: skip
    public, db_in, stats = world.frontends
    _traffic(public.counters, 9_884_201, 812, 131)
    count(public.counters, dreq=91, ereq=1_204)
    _traffic(db_in.counters, 4_100, 3, 6)
    _traffic(stats.counters, 420, 1, 1)
    count(stats.counters, intercepted=420)
    web_b, bad_b, db_b, _ = world.backends
    _traffic(web_b.counters, 9_884_000, 810, 131)
    count(web_b.counters, econ=12, eresp=4, wretr=19, wredis=7, cli_abrt=310, srv_abrt=2, qmax=44)
    web_b.queue.extend([object()] * 3)
    for server, n in zip(web_b.servers, (4_000_000, 3_900_000, 200_000, 1_500_000, 80_000, 204_000, 0), strict=True):
        _traffic(server.counters, n, min(n, 400_000) // 1000, min(60, n // 70_000))
        server.idle.extend([object()] * (n // 1_000_000))
    count(web_b.servers[1].counters, chkfail=7, econ=3, wretr=3, eresp=2)
    count(web_b.servers[3].counters, chkfail=3, chkdown=1, econ=9, wretr=16, wredis=7)
    count(bad_b.counters, stot=77, lbtot=70, hrsp_5xx=77, req_tot=77, chkdown=1, econ=70)
    bad_b.last_change = NOW - 61
    _traffic(db_b.counters, 4_100, 3, 6)
    _traffic(db_b.servers[0].counters, 4_100, 3, 6)
    for window in (world.conn_rate, world.sess_rate):
        window.add(NOW, 271)
    world.ssl_rate.add(NOW, 9)
    return world
