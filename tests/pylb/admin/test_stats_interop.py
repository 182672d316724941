"""The statistics beside the real HAProxy's: same columns, same empty fields, same JSON, metrics that it has too."""

from __future__ import annotations

import csv
import io
import json
import math
import socket
import threading
import urllib.request
from collections.abc import Iterator

import pytest
from demo_world import demo_world
from prometheus_client.parser import text_string_to_metric_families
from real_haproxy import haproxy
from support import free_port, wait_for

from pylb.admin import prometheus, stats
from pylb.backend import operate, state
from pylb.backend.backend import Backend as LiveBackend
from pylb.backend.health import CheckResult, Status
from pylb.config import model

pytestmark = pytest.mark.interop

# Features that pylb lacks, so that it leaves the column empty where HAProxy writes a figure.
LACKING = {
    "comp_in", "comp_out", "comp_byp", "comp_rsp", "cache_lookups", "cache_hits",
    "idle_conn_cur", "safe_conn_cur", "used_conn_cur", "need_conn_est",
    # These mean something as metrics only; HAProxy writes 0 in CSV whatever the servers do.
    "agg_server_status", "agg_server_check_status", "agg_check_status",
}  # fmt: skip

# pylb does not estimate how many connections a server will need.
METRICS_WE_LACK = {"haproxy_server_need_connections_current"}


class Real:
    """What the real one says about a configuration whose twin `our_world` builds."""

    def __init__(self, url: str):
        self._url = url

    def get(self, option: str) -> bytes:
        with urllib.request.urlopen(f"{self._url}{option}", timeout=5) as answer:
            return bytes(answer.read())

    def rows(self) -> dict[tuple[str, str], dict[str, str]]:
        return as_rows(self.get("/stats;csv"))


def as_rows(text: bytes) -> dict[tuple[str, str], dict[str, str]]:
    rows = csv.DictReader(io.StringIO(text.decode().removeprefix("# ")))
    return {(row["pxname"], row["svname"]): row for row in rows}


@pytest.fixture(scope="module")
def live_port() -> Iterator[int]:
    """Something that accepts connections, for checks to succeed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_accept_all, args=(server,))
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _accept_all(server: socket.socket) -> None:
    try:
        while True:
            server.accept()[0].close()
    except OSError:
        return


@pytest.fixture(scope="module")
def real(tmp_path_factory, live_port) -> Iterator[Real]:
    port, dead = free_port(), free_port()
    config = f"""
global
    maxconn 400
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
    option dontlognull
frontend web
    bind 127.0.0.1:{free_port()}
    maxconn 300
    default_backend app
backend app
    balance leastconn
    cookie SRV insert
    server up 127.0.0.1:{live_port} check inter 2s fastinter 100 weight 10 cookie c1 maxconn 20 maxqueue 5
    server down 127.0.0.1:{dead} check inter 2s fastinter 100 cookie c2
    server maint 127.0.0.1:{live_port} check disabled
    server plain 127.0.0.1:{live_port} weight 7
    server watched 127.0.0.1:{live_port} check inter 2s fastinter 100 observe layer7
    server spare [::1]:{live_port} backup
backend gone
    server one 127.0.0.1:{dead} check inter 2s fastinter 100
backend empty
frontend t_in
    mode tcp
    bind 127.0.0.1:{free_port()}
    default_backend t_out
backend t_out
    mode tcp
    server s 127.0.0.1:{live_port} check inter 2s fastinter 100
listen stats
    bind 127.0.0.1:{port}
    stats enable
    stats uri /stats
    stats show-legends
    http-request use-service prometheus-exporter if {{ path /metrics }}
"""
    with haproxy(tmp_path_factory.mktemp("real"), config, port):
        found = Real(f"http://127.0.0.1:{port}")

        def settled() -> bool:
            rows = found.rows()
            up = [rows[key]["check_status"] for key in (("app", "up"), ("app", "watched"), ("t_out", "s"))]
            return rows["app", "down"]["status"] == rows["gone", "one"]["status"] == "DOWN" and up == ["L4OK"] * 3

        wait_for(settled, 10, "checks to settle")
        yield found


def our_world(live_port: int):
    """The same configuration, the same states."""
    world = demo_world()

    def server(name: str, host: str = "127.0.0.1", check: bool = True, **more) -> model.Server:
        probe = model.ServerCheck(inter=0.1) if check else None
        return model.Server(name, model.Address(host=host, port=live_port), check=probe, **more)

    def proxies(kind, *lines):
        return [kind(at=model.Origin("f", line, 1), **values) for line, values in lines]

    app = (
        server("up", weight=10, cookie="c1", maxconn=20, maxqueue=5), server("down", cookie="c2"),
        server("maint", disabled=True), server("plain", check=False, weight=7), server("watched", observe="layer7"),
        server("spare", "::1", check=False, backup=True),
    )  # fmt: skip
    fronts = proxies(
        model.Frontend,
        (1, {"name": "web", "mode": "http", "maxconn": 300}),
        (5, {"name": "t_in", "mode": "tcp"}),
        (7, {"name": "stats", "mode": "http", "listen": True}),
    )
    backs = proxies(
        model.Backend,
        (2, {"name": "app", "mode": "http", "servers": app, "balance": model.Balance("leastconn"),
             "cookie": model.Cookie("SRV", "insert")}),
        (3, {"name": "gone", "mode": "http", "servers": (server("one"),)}),
        (4, {"name": "empty", "mode": "http"}),
        (6, {"name": "t_out", "mode": "tcp", "servers": (server("s"),)}),
        (7, {"name": "stats", "mode": "http", "listen": True}),
    )  # fmt: skip
    world.maxconn = 400
    world.config = model.Config(frontends=tuple(fronts), backends=tuple(backs))
    world.frontends = [type(world.frontends[0])(front) for front in fronts]
    world.backends = [LiveBackend(back, fullconn=40, now=world.now()) for back in backs]
    for backend in world.backends:
        for live in backend.servers:
            if live.check is not None and not live.model.disabled:
                good = live.name not in ("down", "one")
                result = CheckResult(Status.L4OK) if good else CheckResult(Status.L4CON, info="Connection refused")
                state.check_done(live, result, world.now())
    return world


def test_the_header_is_haproxys(real):
    theirs = real.get("/stats;csv").splitlines()[0].decode().split(",")
    ours = stats.csv(demo_world()).splitlines()[0].decode().split(",")
    end = theirs.index("-")
    assert ours[: end + 1] == theirs[: end + 1]
    assert set(ours[end:]) <= set(theirs[end:])


def test_the_same_fields_are_empty_and_settings_are_equal(real, live_port):
    theirs, ours = real.rows(), as_rows(stats.csv(our_world(live_port)))
    assert list(ours) == list(theirs), "rows and their order"
    shown = {}
    for key, row in theirs.items():
        for name in stats.HEADER.removeprefix("# ").split(",")[:-1]:
            if name not in LACKING and bool(row[name]) != bool(ours[key][name]):
                shown[key, name] = (row[name], ours[key][name])
    assert shown == {}
    settings = (
        "slim", "qlimit", "iid", "sid", "type", "status", "weight", "uweight", "act", "bck", "mode", "algo", "cookie",
        "check_status", "check_desc", "check_rise", "check_fall", "check_health", "pid", "rate_lim", "chkdown",
        "chkfail", "lastsess", "hanafail", "throttle", "tracked",
    )  # fmt: skip
    different = {
        (key, name): (row[name], ours[key][name])
        for key, row in theirs.items()
        for name in settings
        if row[name] != ours[key][name] and key[0] != "stats" and not (name == "slim" and key[1] == "BACKEND")
    }
    assert different == {}


def test_json_fields_have_haproxys_types_and_tags(real, live_port):
    def shapes(text: bytes) -> dict[tuple[str, str], dict[str, object]]:
        found: dict[tuple[str, str], dict[str, object]] = {}
        for row in json.loads(text):
            for field in row:
                assert list(field) == ["objType", "proxyId", "id", "field", "processNum", "tags", "value"]
                found[field["objType"], field["field"]["name"]] = {
                    "pos": field["field"]["pos"], "process": field["processNum"], "tags": field["tags"],
                    "type": field["value"]["type"],
                }  # fmt: skip
        return found

    theirs, ours = shapes(real.get("/stats;json")), shapes(stats.as_json(our_world(live_port)))
    assert set(ours) <= set(theirs)
    # HAProxy tags these three differently on different kinds of row; ours have the server's tags.
    varying = {"act", "bck", "rate", "rate_max"}
    assert {key: shape for key, shape in ours.items() if key[1] not in varying} == {
        key: shape for key, shape in theirs.items() if key in ours and key[1] not in varying
    }


def test_every_metric_exists_in_haproxy_with_its_type_and_labels(real, live_port):
    def described(text: str) -> dict[str, tuple[str, frozenset[frozenset[str]]]]:
        return {
            family.name: (family.type, frozenset(frozenset(sample.labels) for sample in family.samples))
            for family in text_string_to_metric_families(text)
        }

    theirs = described(real.get("/metrics").decode())
    ours = described(prometheus.metrics(our_world(live_port)).decode())
    assert {name for name in ours if ours[name] != theirs.get(name)} == {
        f"haproxy_process_{name}" for name in ("reloads", "last_reload_time_seconds", "last_reload_success")
    }
    assert set(theirs) - set(ours) == METRICS_WE_LACK


def test_metric_states_and_settings_are_haproxys(real, live_port):
    def values(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        names = (
            "status",
            "check_status",
            "agg_",
            "weight",
            "limit_sessions",
            "active_servers",
            "backup_servers",
            "queue_limit",
        )
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            if any(word in family.name for word in names)
            for sample in family.samples
            if not math.isnan(sample.value)
            if sample.name != "haproxy_backend_limit_sessions" and sample.labels.get("proxy") != "stats"
        }

    assert values(prometheus.metrics(our_world(live_port)).decode()) == values(real.get("/metrics").decode())


def test_maintenance_is_told_in_the_same_way(real, live_port):
    world = our_world(live_port)
    app = world.backends[0]
    operate.set_state(app.servers[0], "maint", world.now())
    row = as_rows(stats.csv(world))["app", "up"]
    theirs = real.rows()["app", "maint"]
    names = ("status", "check_status", "check_rise", "check_health", "last_chk", "check_desc", "act")
    assert {name: row[name] for name in names} == {name: theirs[name] for name in names}
