"""The statistics table and its renderings, from a world without sockets."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from demo_world import NOW, DemoFrontend, demo_world
from prometheus_client.parser import text_string_to_metric_families

from pylb.admin import info, prometheus, stats
from pylb.admin.columns import BY_NAME, COLUMNS
from pylb.admin.rows import rows_of, sections
from pylb.admin.stats import EVERYTHING, View
from pylb.admin.units import big, bytes_text, duration
from pylb.backend.backend import Backend as LiveBackend
from pylb.backend.stick import StickTable
from pylb.config import model
from pylb.config.model import Address, Backend, Bind, Config, Frontend, Global, Origin, Server, StatsSocket
from pylb.counters import ProxyCounters


def table(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode().removeprefix("# "))))


def row(name: str, server: str, view: View = EVERYTHING) -> dict[str, str]:
    return next(r for r in table(stats.csv(demo_world(), view)) if (r["pxname"], r["svname"]) == (name, server))


# ----------------------------------------------------------------------------------------------------------------- rows


def test_rows_come_in_configuration_order_and_a_listen_stands_together():
    names = [(r["pxname"], r["svname"]) for r in table(stats.csv(demo_world()))]
    assert names[0] == ("public", "FRONTEND")
    assert names[1:3] == [("web", "web1"), ("web", "web2")]
    assert names[-2:] == [("stats", "FRONTEND"), ("stats", "BACKEND")]


def test_proxy_ids_count_from_one_and_respect_given_ones():
    def world(sockets: int):
        made = demo_world()
        front = [
            DemoFrontend(Frontend(name=n, at=Origin("f", line, 1), id=i))
            for n, line, i in (("a", 1, None), ("c", 9, 1))
        ]
        made.frontends = front
        made.backends = [LiveBackend(Backend(name="b", at=Origin("f", 5, 1)))]
        stats_socket = StatsSocket(Bind(Address("unix", path="/x")))
        made.config = Config(globals=Global(stats_sockets=(stats_socket,) * sockets))
        return made

    assert [(s.name, s.iid) for s in sections(world(0))] == [("a", 2), ("b", 3), ("c", 1)]
    assert [(s.name, s.iid) for s in sections(world(1))] == [("a", 2), ("b", 3), ("c", 1)]


# ------------------------------------------------------------------------------------------------------------------ csv


def test_every_line_has_as_many_fields_as_the_header():
    lines = list(csv.reader(io.StringIO(stats.csv(demo_world()).decode())))
    assert {len(line) for line in lines} == {len(COLUMNS) + 1}


def test_names_and_check_texts_are_quoted_and_cannot_forge_rows():
    found = row("billing<b>&\"x'", "inv2")
    assert found["last_chk"] == '<b>"nonsense", he said</b> X,Y'


def test_values_of_a_server_row():
    found = row("web", "web2")
    expected = {
        "slim": "200", "qlimit": "50", "status": "UP 1/3", "weight": "10", "act": "1", "bck": "0", "chkfail": "7",
        "lastchg": "42", "sid": "2", "type": "2", "check_status": "L7STS", "check_code": "503", "check_duration": "3",
        "last_chk": "Service Unavailable", "check_desc": "Layer7 wrong status", "check_rise": "2", "check_fall": "3",
        "check_health": "2", "addr": "172.16.10.103:30080", "cookie": "w2", "mode": "http", "lastsess": "3",
        "rtime": "14", "rtime_max": "2800", "throttle": "", "srv_icur": "3",
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected


def test_a_backend_row_sums_up_what_is_in_use():
    found = row("web", "BACKEND")
    expected = {
        "qcur": "3",
        "act": "3",
        "bck": "1",
        "weight": "24",
        "uweight": "30",
        "status": "UP",
        "algo": "leastconn",
    }
    assert {name: found[name] for name in expected} == expected
    assert row("billing<b>&\"x'", "BACKEND")["status"] == "DOWN"


def test_downtime_includes_the_running_outage():
    assert row("web", "web4")["downtime"] == str(421 + 130)


def test_slow_start_shows_its_share():
    found = row("web", "web3")
    assert (found["throttle"], found["weight"], found["uweight"]) == ("36", "4", "10")


def test_an_ipv6_address_has_brackets():
    assert row("web", "web4")["addr"] == "[fe80::17]:30080"


def test_a_tcp_proxy_has_no_http_columns():
    found = row("db", "pg1")
    assert {found[f"hrsp_{code}"] for code in ("1xx", "2xx", "other")} | {found["req_tot"]} == {""}


def test_a_full_frontend_says_so():
    world = demo_world()
    world.frontends[0].counters.scur = 3000
    assert b"public,FRONTEND" in stats.csv(world)
    assert table(stats.csv(world))[0]["status"] == "FULL"


# ----------------------------------------------------------------------------------------------------------------- view


def test_up_hides_servers_that_are_down_and_tells_how_many():
    found = table(stats.csv(demo_world(), View(only_up=True)))
    names = {r["svname"] for r in found if r["pxname"] == "web"}
    assert names == {"web1", "web2", "web3", "web6", "sorry", "BACKEND"}
    assert next(r for r in found if r["pxname"] == "web" and r["svname"] == "BACKEND")["status"] == "UP (4/7)"


def test_no_maint_hides_maintenance_only():
    names = {r["svname"] for r in table(stats.csv(demo_world(), View(no_maint=True)))}
    assert "web5" not in names
    assert "web4" in names


def test_scope_is_part_of_a_name():
    assert {r["pxname"] for r in table(stats.csv(demo_world(), View(scope="db")))} == {"db_in", "db"}
    assert {r["pxname"] for r in table(stats.csv(demo_world(), View(scopes=("web",))))} == {"web"}


def test_addresses_and_cookies_are_shown_with_legends_only():
    hidden = row("web", "web1", View(legends=False))
    assert (hidden["addr"], hidden["cookie"], hidden["mode"]) == ("", "", "http")


# ----------------------------------------------------------------------------------------------------------------- json


def test_json_has_the_values_of_the_csv_with_their_types():
    world = demo_world()
    rows = json.loads(stats.as_json(world))
    lines = table(stats.csv(world))
    assert len(rows) == len(lines)
    for fields, line in zip(rows, lines, strict=True):
        values = {f["field"]["name"]: f["value"]["value"] for f in fields if f["value"]["value"] != ""}
        shown = {name: text for name, text in line.items() if text not in ("", None) and name != "-"}
        assert {name: str(value).replace("\n", " ") for name, value in values.items()} == shown


# ----------------------------------------------------------------------------------------------------------- prometheus


def families(world=None, **more) -> dict[str, list]:
    text = prometheus.metrics(world or demo_world(), **more).decode()
    return {f.name: f.samples for f in text_string_to_metric_families(text)}


def test_metrics_parse_and_carry_labels():
    found = families()
    samples = {tuple(sorted(s.labels.items())): s.value for s in found["haproxy_server_status"]}
    web5 = {("proxy", "web"), ("server", "web5")}
    states = {dict(key)["state"]: value for key, value in samples.items() if web5 <= set(key)}
    assert states == {"MAINT": 1, "DOWN": 0, "UP": 0, "DRAIN": 0, "NOLB": 0}
    codes = {
        s.labels["code"]: s.value for s in found["haproxy_frontend_http_responses"] if s.labels["proxy"] == "public"
    }
    assert codes["2xx"] == 9_389_991
    build = found["haproxy_process_build_info"][0]
    assert build.labels == {"version": "0.1.0"}


def test_milliseconds_become_seconds():
    values = {s.labels.get("server"): s.value for s in families()["haproxy_server_response_time_average_seconds"]}
    assert values["web1"] == pytest.approx(0.014)


def test_states_of_a_backends_servers_are_counted():
    values = {
        s.labels["state"]: s.value
        for s in families()["haproxy_backend_agg_server_status"]
        if s.labels["proxy"] == "web"
    }
    assert values == {"DOWN": 1, "UP": 4, "MAINT": 1, "DRAIN": 1, "NOLB": 0}


def test_strange_names_stay_one_label():
    proxies = {s.labels["proxy"] for s in families()["haproxy_backend_weight"]}
    assert "billing<b>&\"x'" in proxies


def test_scopes_choose_families():
    names = families(scopes=["frontend"])
    assert names
    assert {name.split("_")[1] for name in names} == {"frontend"}
    assert families(scopes=["sticktable"]) == families(scopes=["listener"]) == {}


def test_stick_tables_are_counted():
    world = demo_world()
    table = StickTable("seen", model.StickTable("ip", size=1000, store=("gpc0",)))
    table.track(IPv4Address("10.0.0.1"), 0.0)
    world.tables["seen"] = table
    found = families(world, scopes=["sticktable"])
    (size,), (used,) = found["haproxy_sticktable_size"], found["haproxy_sticktable_used"]
    assert (size.labels, size.value, used.value) == ({"name": "seen", "type": "ip"}, 1000, 1)


@pytest.mark.parametrize(
    ("query", "scopes"),
    [
        ([], prometheus.SCOPES),
        ([("no-maint", None)], prometheus.SCOPES),
        ([("scope", "server")], {"server"}),
        ([("scope", "server"), ("x", "1"), ("scope", "global")], {"server", "global"}),
        ([("scope", "server"), ("scope", "")], set()),
        ([("scope", ""), ("scope", "server")], {"server"}),
        ([("scope", "server"), ("scope", "*")], prometheus.SCOPES),
        ([("scope", "*"), ("scope", "server")], prometheus.SCOPES),
    ],
)
def test_words_of_a_query_choose_scopes(query, scopes):
    assert prometheus.asked_scopes(query) == scopes


@pytest.mark.parametrize("value", [None, "none", "Global", "server;no-maint"])
def test_unknown_scopes_are_refused(value):
    with pytest.raises(ValueError, match="unknown scope"):
        prometheus.asked_scopes([("scope", value)])


# ----------------------------------------------------------------------------------------------- counters and figures


def test_uptime_as_show_info_writes_it():
    assert info.uptime_text(27) == "0d 0h00m27s"
    assert info.uptime_text(273_845) == "3d 4h04m05s"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0\u202fB"), (999, "999\u202fB"), (1000, "1.00\u202fkB"), (12_345, "12.3\u202fkB"), (999_999, "1.00\u202fMB"),
     (180_989_604_511, "181\u202fGB")],
)  # fmt: skip
def test_sizes(value, text):
    assert bytes_text(value) == text


def test_counts_and_durations():
    assert big(999_999) == "999\u202f999"
    assert big(9_884_201) == "9.88\u202fM"
    assert [duration(n) for n in (0, 59, 60, 5025, 90_000)] == ["0s", "59s", "1m0s", "1h23m", "1d1h"]


def test_times_go_into_averages_and_maxima():
    counters = ProxyCounters()
    for number in range(1, 3001):
        counters.lbtot = number
        connected = 0.001 if number > 2000 else 0.003
        counters.timed((0, 0, connected, connected + 0.010, 0, 0.020, ProxyCounters()))
    counters.fold()
    assert counters.ttime == pytest.approx(20)
    assert counters.ctime == pytest.approx(1 + 2 * (1 - 1 / 1024) ** 1000, rel=0.01)
    assert (counters.ctime_max, counters.ttime_max) == pytest.approx((3, 20))


def test_each_column_is_named_once():
    assert len(BY_NAME) == len(COLUMNS)
    metrics = [c.metric for c in COLUMNS if c.metric and c.label is None]
    assert len(metrics) == len(set(metrics))


def test_a_column_reads_any_row_without_an_error():
    world = demo_world()
    for section in sections(world):
        for each in rows_of(world, section, NOW):
            for column in COLUMNS:
                assert isinstance(column.value(each), int | str | None)


def test_servers_without_a_port_or_on_a_unix_socket():
    servers = (
        Server("a", Address(host="10.0.0.1")),
        Server("b", Address("unix", path="/run/x")),
    )
    world = demo_world()
    world.backends = [LiveBackend(replace(Backend(name="x"), servers=servers))]
    found = [r["addr"] for r in table(stats.csv(world)) if r["pxname"] == "x"]
    assert found == ["10.0.0.1:0", "unix", ""]
