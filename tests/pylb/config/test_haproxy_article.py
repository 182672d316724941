"""The article's haproxy.cfg, as it is, becomes the model it means."""

from __future__ import annotations

from pathlib import Path

import pytest
from haproxy_tools import read, warnings

from pylb.config.model import Acl, Address, Bind, Call, Config, ForwardFor, Rule, Sample, StickTable, Timeouts
from pylb.config.model import Test as AclTest

TEXT = (Path(__file__).parent / "article.cfg").read_text()


@pytest.fixture(scope="module")
def config() -> Config:
    return read(TEXT)


def test_the_process_is_as_the_global_section_says(config):
    globals_ = config.globals
    assert (globals_.chroot, globals_.pidfile) == ("/var/lib/haproxy", "/var/run/haproxy.pid")
    assert (globals_.user, globals_.group, globals_.daemon, globals_.maxconn) == ("haproxy", "haproxy", True, 4000)
    assert [(t.address, t.facility, t.level) for t in globals_.log] == [("127.0.0.1:514", "local0", "debug")]


def test_three_admin_sockets_with_their_levels(config):
    sockets = config.globals.stats_sockets
    assert [s.bind.address for s in sockets] == [
        Address("unix", path="/var/lib/haproxy/stats"),
        Address(port=1999),
        Address("unix", path="/var/run/haproxy.sock"),
    ]
    assert [s.level for s in sockets] == ["operator", "admin", "admin"]
    assert sockets[2].bind.mode == 0o600


def test_every_section_takes_its_defaults(config):
    expected = Timeouts(
        http_request=10, queue=60, connect=10, client=60, server=60, http_keep_alive=10, check=10
    )  # fmt: skip
    for proxy in (*config.frontends, *config.backends):
        assert proxy.timeouts == expected
        assert proxy.mode == "http"
        assert proxy.log == config.globals.log
    assert all((b.retries, b.redispatch) == (3, -1) for b in config.backends)
    assert all((f.maxconn, f.log_format, f.dontlognull) == (3000, "httplog", True) for f in config.frontends)


def test_the_listen_section_is_a_statistics_page(config):
    page = config.frontend("stats").stats
    assert (page.uri, page.realm, page.auth) == ("/stats", "HAProxy-04 Statistics", (("admin", "password"),))
    assert [term.acl for group in page.admin[0].any_of for term in group] == ["TRUE"]
    assert config.frontend("stats").listen and config.backend("stats").listen


def test_stick_tables_are_declared(config):
    assert config.backend("per_ip_and_url_rates").stick_table == StickTable(
        "binary", 8, 1024 * 1024, 86400.0, store=("http_req_rate(24h)",)
    )
    assert config.backend("per_ip_rates").stick_table.store == ("gpc0", "gpc0_rate(30s)")


def test_the_frontend_routes_by_host(config):
    frontend = config.frontend("frontend_ssl_443")
    assert frontend.binds[0] == Bind(Address(port=80))
    assert frontend.binds[1].tls.certificates == ("/etc/haproxy/ssl/server.pem",)
    host = Sample(Call("hdr_dom", ("host",)))
    assert frontend.acls == (Acl("rancher", AclTest(host, ignore_case=True, values=("rancher.monitor.viettq.com",))),)
    assert [u.backend for u in frontend.use_backend] == ["backend_rancher"]
    assert frontend.default_backend == "backend_ingress"
    assert frontend.connection_mode == "close"
    assert frontend.forwardfor == ForwardFor()
    assert config.backend("backend_ingress").forwardfor == ForwardFor("127.0.0.0/8")


def test_reqadd_is_an_added_header_that_remembers_how_it_was_written(config):
    (rule,) = config.frontend("frontend_ssl_443").http_request
    assert rule == Rule("add-header", ("X-Forwarded-Proto", "https"))
    assert (rule.written_as, rule.at.line) == ("reqadd", 53)


def test_a_cookie_in_a_frontend_is_kept_for_the_check_to_explain(config):
    assert config.frontend("frontend_ssl_443").cookie.name == "SRVNAME"
    assert config.backend("backend_ingress").cookie is None


def test_servers_carry_cookie_weight_and_check(config):
    servers = config.backend("backend_ingress").servers
    assert [(s.name, s.address.host, s.address.port) for s in servers] == [
        (f"worker{n}", f"172.16.10.10{n + 1}", 30080) for n in (1, 2, 3)
    ]
    assert {(s.cookie, s.weight, s.check.inter) for s in servers} == {("p1", 1, 2.0)}


def test_the_contradicting_close_options_are_named():
    (warning,) = [w for w in warnings(TEXT) if "httpclose" in w]
    assert warning.startswith("t.cfg:51:9: warning:")
    assert "t.cfg:19:5" in warning
