"""The check: each rule by the smallest configuration that it speaks on, and the article's file as a whole."""

from __future__ import annotations

import re
import ssl
import subprocess
from pathlib import Path
from textwrap import dedent

import model_strategies as models
import pytest
from haproxy_tools import read as read_haproxy
from hypothesis import HealthCheck, given, settings
from support import examples, require_program

from pylb.config.check import RULES, CertificateProblem, Look, check
from pylb.config.load import load
from pylb.config.model import Config, Finding
from pylb.config.toml import read

ROOT = Path(__file__).parents[3]


def said(text: str) -> list[str]:
    """What the check says of a snippet of haproxy.cfg: line, severity, message and advice."""
    return lines_of(check(read_haproxy(text)))


def lines_of(findings: list[Finding]) -> list[str]:
    return [f"{f.at.line}: {f.severity}: {f.message}" + (f" ({f.advice})" if f.advice else "") for f in findings]


def errors(text: str) -> list[str]:
    return [line.replace(" error:", "") for line in said(text) if " error:" in line]


def warnings(text: str) -> list[str]:
    return [line.replace(" warning:", "") for line in said(text) if " warning:" in line]


DEFAULTS = """
    defaults
     mode http
     timeout client 1m
     timeout server 1m
     timeout connect 1m
"""
FRONTEND = f"""{DEFAULTS}
    frontend web
     bind :8080
"""
"""The frontend's own lines begin in line 9."""


# -------------------------------------------------------------------------------------------------- the article's file


def test_the_article_is_told_everything_that_is_wrong_with_it():
    config, remarks = load([str(ROOT / "configs/article/haproxy.cfg")], {})
    found = lines_of([*remarks, *check(config)])
    assert sorted(found) == [
        '11: warning: stats socket "*:1999" gives everybody on the network admin rights, without a password '
        "(write stats socket 127.0.0.1:1999 level admin, or a path with mode 600)",
        '37: warning: the stats password of "admin" in listen "stats" is one of the first that are tried '
        '(write a long random one, or "${STATS_PASSWORD}" and set it in the environment: admin:…)',
        '41: warning: nothing tracks the stick table of backend "per_ip_and_url_rates": it stays empty '
        "(have a frontend track with it: http-request track-sc0 src table per_ip_and_url_rates)",
        '44: warning: nothing tracks the stick table of backend "per_ip_rates": it stays empty '
        "(have a frontend track with it: http-request track-sc0 src table per_ip_rates)",
        f'51: warning: "option httpclose" replaces "option http-server-close" of {ROOT}/configs/article/haproxy.cfg'
        ":19:5: they contradict each other (keep one; httpclose is what works here)",
        '53: warning: "reqadd" was removed in HAProxy 2.1 (write http-request add-header X-Forwarded-Proto https)',
        '53: warning: X-Forwarded-Proto https is set on the plain port "*:80" of frontend "frontend_ssl_443" too '
        "(write http-request set-header X-Forwarded-Proto https if { ssl_fc })",
        '55: warning: "cookie SRVNAME insert indirect nocache" has no effect in frontend "frontend_ssl_443": '
        'no client sticks to a server (move it into backends "backend_ingress" and "backend_rancher")',
        '65: warning: the stats password of "username" in backend "backend_ingress" is one of the first that are '
        'tried (write a long random one, or "${STATS_PASSWORD}" and set it in the environment: username:…)',
        '68: warning: servers "worker1", "worker2" and "worker3" of backend "backend_ingress" share the cookie '
        'value "p1": returning clients would all go to "worker1" (give each a value of its own, such as cookie '
        "worker2)",
        '75: warning: the stats password of "username" in backend "backend_rancher" is one of the first that are '
        'tried (write a long random one, or "${STATS_PASSWORD}" and set it in the environment: username:…)',
    ]


def test_the_article_in_toml_is_told_the_same_but_for_the_two_old_words():
    from pylb.config.toml import write

    original, _ = load([str(ROOT / "configs/article/haproxy.cfg")], {})
    ours = {finding.message for finding in check(read(write(original), "lb.toml", {}))}
    theirs = {finding.message for finding in check(original)}
    assert theirs - ours == {'"reqadd" was removed in HAProxy 2.1'}
    assert ours - theirs == set()


@pytest.mark.parametrize("name", ["lb.toml", "haproxy.cfg"])
def test_the_mended_article_is_in_order(name):
    config, remarks = load([str(ROOT / "configs" / name)], {"LB_STATS_PASSWORD": "korrekt Pferd Batterie Heftklammer"})
    assert lines_of([*remarks, *check(config)]) == []


def test_the_demo_is_in_order():
    ports = {f"DEMO_{name}": f"{port}" for port, name in enumerate(("PORT", "STATS_PORT", "WORKER1"), 8000)}
    ports |= {"DEMO_WORKER2": "8010", "DEMO_WORKER3": "8011", "DEMO_RANCHER": "8012", "DEMO_PASSWORD": "x9!kk2-QQw"}
    config, remarks = load([str(ROOT / "pylb/demo/demo.toml")], ports)
    assert lines_of([*remarks, *check(config)]) == []


# ------------------------------------------------------------------------------------------------------- references

ERRORS = {
    "unknown backends": (
        FRONTEND + " use_backend wabs if TRUE\n default_backend wab\n backend wabe\n server a 10.0.0.1:80",
        [
            '9: unknown backend "wabs" in frontend "web" (did you mean "wabe"?)',
            '10: unknown backend "wab" in frontend "web" (did you mean "wabe"?)',
        ],
    ),
    "a frontend as backend": (
        FRONTEND + " default_backend web",
        ['9: "web" is a frontend: it has no servers (name a backend)'],
    ),
    "HTTP in front of TCP": (
        FRONTEND + " default_backend db\n backend db\n mode tcp\n server a 10.0.0.1:80",
        ['9: frontend "web" speaks HTTP, backend "db" TCP (write the same mode in both sections)'],
    ),
    "unknown ACLs": (
        FRONTEND + " acl is_api path /a\n http-request deny if is_apy || !TRUE\n http-request deny if METH_GETS is_api",
        [
            '10: unknown ACL "is_apy" in frontend "web" (did you mean "is_api"?)',
            '11: unknown ACL "METH_GETS" in frontend "web" (did you mean "METH_GET"?)',
        ],
    ),
    "unknown userlist": (
        FRONTEND + " http-request auth unless { http_auth(people) }\n userlist peoples\n user a password x",
        ['9: unknown userlist "people" (did you mean "peoples"?)'],
    ),
    "unknown stick tables": (
        FRONTEND
        + " http-request track-sc0 src table rate\n http-request deny if { src,table_conn_rate(raten) gt 1 }\n"
        + " http-request set-header X %[sc_conn_rate(0,rates)]\n"
        + " backend rates\n stick-table type ip size 1k store conn_rate(10s)",
        [
            '9: unknown stick table "rate" in frontend "web" (did you mean "rates"?)',
            '10: unknown stick table "raten" in frontend "web" (did you mean "rates"?)',
        ],
    ),
    "stick tables by fetches": (
        FRONTEND
        + " http-request deny if { src_http_req_rate(rate) gt 1 } or { sc_get_gpc(1,0,ratex) gt 2 }\n"
        + " http-request set-header X %[src,table_gpt(3,ratey)]%[src,table_idle(rates,5)]\n"
        + " http-request set-header Y %[table_cnt(nope)]%[src,in_table(rates)]\n"
        + " backend rates\n stick-table type ip size 1k store conn_rate(10s)",
        [
            '9: unknown stick table "rate" in frontend "web" (did you mean "rates"?)',
            '9: unknown stick table "ratex" in frontend "web" (did you mean "rates"?)',
            '10: unknown stick table "ratey" in frontend "web" (did you mean "rates"?)',
            '11: unknown stick table "nope" in frontend "web" (there are rates)',
        ],
    ),
    "tables of stick rules": (
        DEFAULTS + " listen l\n bind :80\n stick on src\n stick match src table clientz if nope\n"
        " backend clients\n stick-table type ip size 1k",
        [
            '8: unknown stick table "l" in listen "l" (there are clients)',
            '9: unknown stick table "clientz" in listen "l" (did you mean "clients"?)',
            '9: unknown ACL "nope" in listen "l"',
        ],
    ),
    "use-server": (
        DEFAULTS + " listen l\n bind :80\n use-server b if TRUE\n server a 10.0.0.1:80",
        ['8: unknown server "b" in listen "l" (there are a)'],
    ),
    "track": (
        DEFAULTS
        + " listen l\n bind :80\n server a 10.0.0.1:80 track b/x\n server c 10.0.0.1:80 track l/d\n"
        + " server d 10.0.0.1:80 track l/c\n server e 10.0.0.1:80 track l/f\n server f 10.0.0.1:80",
        [
            '8: unknown server "b/x" to track (there are l/a, l/c, l/d, l/e, l/f)',
            '9: "track l/d" of server "c" leads back to itself',
            '10: "track l/c" of server "d" leads back to itself',
            '11: "track l/f": the health of server "f" is not checked (add check there)',
        ],
    ),
    "binds": (
        FRONTEND
        + " default_backend b\n bind 10.0.0.1:8080\n frontend two\n bind *:8080\n backend b\n server a 10.0.0.1:80",
        ['12: "*:8080" in frontend "two" is there already, at t.cfg:8:5 (remove one, or change it)'],
    ),
    "nothing to do": (
        DEFAULTS + " backend b\n server a 10.0.0.1:80",
        ["0: nothing is listened on (add a frontend with a bind)"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), ERRORS.values(), ids=ERRORS)
def test_references_that_lead_nowhere_are_errors(text, expected):
    assert errors(text) == expected


# Where HAProxy goes on: a bind given twice is served from both at random.
HAPROXY_TAKES = {"binds"}


@pytest.mark.interop
@pytest.mark.parametrize("name", ERRORS)
def test_haproxy_refuses_the_same(name, tmp_path):
    haproxy = require_program("haproxy")
    path = tmp_path / "haproxy.cfg"
    path.write_text(dedent(ERRORS[name][0]) + "\n")
    done = subprocess.run([haproxy, "-c", "-f", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is (name in HAPROXY_TAKES), done.stderr


def native_errors(text: str) -> list[str]:
    return [line for line in lines_of(check(read(dedent(text), "t", {}))) if " error:" in line]


def test_names_taken_twice_are_errors_in_the_native_language_too():
    found = native_errors("""\
        [global]
        stats-socket = [":99", { address = ":99", level = "user" }]
        [frontend.a]
        id = 5
        bind = [":80"]
        [backend.b]
        id = 5
        server = { x = { address = "10.0.0.1:1", id = 3 }, y = { address = "10.0.0.1:2", id = 3 } }
        [listen.b]
        bind = ":81"
        [userlist.u]
        groups = { g = ["nobody"] }
    """)
    assert found == [
        '2: error: stats socket "*:99" is there already, at t:2:18 (remove one, or change it)',
        '6: error: id 5 of backend "b" is there already, at t:3:11 (remove one, or change it)',
        '8: error: id 3 of server "b/y" is there already, at t:8:12 (remove one, or change it)',
        '9: error: listen "b" has the name of another section (give it a name of its own)',
        '11: error: group "g" of userlist "u" has no user "nobody"',
    ]


# ---------------------------------------------------------------------------------------------------------- the doctor

SERVER = " default_backend app\n backend app\n"
TWO = " server a 10.0.0.1:80 check\n server b 10.0.0.2:80 check"

# One snippet for each rule, by its name, and what is said about it.
WARNINGS: dict[str, tuple[str, list[str]]] = {
    "cookie-in-frontend": (
        FRONTEND + " cookie S insert\n default_backend app\n backend app\n server a 10.0.0.1:80",
        [
            '9: "cookie S insert" has no effect in frontend "web": no client sticks to a server '
            "(move it into the backend that has the servers)"
        ],
    ),
    "cookie-values-unused": (
        FRONTEND + SERVER + " server a 10.0.0.1:80 cookie a",
        [
            '11: cookie value "a" is not used: backend "app" has no cookie '
            "(add cookie SERVERID insert indirect nocache to the backend)"
        ],
    ),
    "cookie-value-shared": (
        FRONTEND + SERVER + " cookie S insert\n server a 10.0.0.1:80 check cookie x\n server b 10.0.0.2:80 cookie x",
        [
            '13: servers "a" and "b" of backend "app" share the cookie value "x": returning clients would all go to '
            '"a" (give each a value of its own, such as cookie b)'
        ],
    ),
    "cookie-value-missing": (
        FRONTEND + SERVER + " cookie S insert\n server a 10.0.0.1:80 check cookie x\n server b 10.0.0.2:80",
        ['13: server "b" has no cookie value: its clients move on with every request (add cookie b)'],
    ),
    "dynamic-cookie-without-key": (
        FRONTEND + SERVER + " cookie S insert dynamic\n server a 10.0.0.1:80",
        ['11: "dynamic" of the cookie of backend "app" makes no values: it has no key (add dynamic-cookie-key SECRET)'],
    ),
    "http-two-offered": (
        FRONTEND
        + " bind :443 ssl crt x alpn h2,http/1.1\n"
        + SERVER
        + " server a 10.0.0.1:443 ssl verify required ca-file x alpn h2",
        [
            '9: "h2" is left out of alpn of frontend "web": HTTP/2 is not supported by pylb yet (alpn http/1.1)',
            '12: "h2" is left out of alpn of server "a": HTTP/2 is not supported by pylb yet (alpn http/1.1)',
        ],
    ),
    "ciphersuites-not-chosen": (
        FRONTEND + " bind :443 ssl crt x ciphersuites TLS_AES_128_GCM_SHA256\n" + SERVER + " server a 10.0.0.1:80",
        []
        if hasattr(ssl.SSLContext, "set_ciphersuites")
        else [
            '9: "ciphersuites" has no effect: Python before 3.15 cannot choose the suites of TLS 1.3 '
            "(ssl-max-ver TLSv1.2 with ciphers, if it must be these)"
        ],
    ),
    "admin-socket-open": (
        "global\n stats socket /run/a mode 666 level admin\n stats socket 127.0.0.1:99 level admin\n"
        " stats socket :98\n stats socket ipv6@:97 level admin\n" + dedent(FRONTEND) + " stats enable",
        [
            '2: stats socket "/run/a" gives every user of this machine admin rights '
            "(write mode 600, or mode 660 with a group)",
            '5: stats socket "ipv6@*:97" gives everybody on the network admin rights, without a password '
            "(write stats socket 127.0.0.1:97 level admin, or a path with mode 600)",
        ],
    ),
    "stats-password-guessable": (
        FRONTEND + " stats auth bob:bob\n stats auth ann:short\n stats auth eve:aaaaaaaaaa\n stats auth x:hT4-mm_29x",
        [
            f'{line}: the stats password of "{user}" in frontend "web" {why} (write a long random one, or '
            f'"${{STATS_PASSWORD}}" and set it in the environment: {user}:…)'
            for line, user, why in (
                (9, "bob", "is the user's name"),
                (10, "ann", "has less than 8 characters"),
                (11, "eve", "is one character over and over"),
            )
        ],
    ),
    "userlist-password-guessable": (
        FRONTEND + " stats enable\n userlist u\n user a insecure-password 12345\n user b password 12345",
        [
            '10: the password of "a" in userlist "u" is one of the first that are tried '
            "(write password and a hash, as openssl passwd -6 makes it)"
        ],
    ),
    "stats-admin-unguarded": (
        FRONTEND + " stats enable\n stats admin if TRUE",
        [
            '7: everybody who reaches the stats page of frontend "web" may change servers '
            "(add stats auth, or remove stats admin)"
        ],
    ),
    "forwarded-proto-on-plain-port": (
        FRONTEND
        + " stats enable\n http-request set-header X-Forwarded-Proto https\n"
        + " http-request set-header X-Forwarded-Proto https if { ssl_fc }\n",
        [
            '10: X-Forwarded-Proto https is set on the plain port "*:8080" of frontend "web" too '
            "(write http-request set-header X-Forwarded-Proto https if { ssl_fc })"
        ],
    ),
    "tls-version-old": (
        FRONTEND + " stats enable\n bind :443 ssl crt /x ssl-min-ver TLSv1.0",
        ['10: "*:443" takes TLSv1.0, which is broken (write ssl-min-ver TLSv1.2)'],
    ),
    "server-not-verified": (
        FRONTEND + SERVER + " server a 10.0.0.1:443 ssl verify none",
        [
            '11: the certificate of server "a" is not verified: anybody in between can be it '
            "(write verify required ca-file /path/to/ca.pem)"
        ],
    ),
    "chroot-as-root": (
        "global\n chroot /var/empty\n" + dedent(FRONTEND) + " stats enable",
        ['1: chroot "/var/empty" does not hold root (add user and group)'],
    ),
    "removed-directive": (
        FRONTEND + " stats enable\n reqadd X-A:\\ b\n rspadd X-B:\\ c",
        [
            '10: "reqadd" was removed in HAProxy 2.1 (write http-request add-header X-A b)',
            '11: "rspadd" was removed in HAProxy 2.1 (write http-response add-header X-B c)',
        ],
    ),
    "stick-table-untracked": (
        FRONTEND + " stats enable\n stick-table type ip size 1k\n http-request track-sc0 src table two\n"
        " backend two\n stick-table type ip size 1k",
        [
            '10: nothing tracks the stick table of frontend "web": it stays empty '
            "(have a frontend track with it: http-request track-sc0 src table web)"
        ],
    ),
    "unreachable-backend": (
        FRONTEND + " stats enable\n backend app\n" + TWO,
        [
            '10: no frontend leads to backend "app" '
            "(add use_backend app or default_backend app to a frontend, or remove it)"
        ],
    ),
    "frontend-leads-nowhere": (
        FRONTEND + " frontend two\n bind :81\n default_backend empty\n backend empty",
        [
            '7: frontend "web" leads to no backend: requests get 503 (add default_backend NAME)',
            '12: backend "empty" has no servers: its requests get 503 (add server NAME ADDRESS)',
        ],
    ),
    "frontend-without-bind": (
        FRONTEND + " stats enable\n frontend two\n stats enable",
        ['10: frontend "two" listens on nothing (add bind :PORT)'],
    ),
    "rule-never-reached": (
        FRONTEND
        + " http-request deny\n http-request allow\n use_backend app\n default_backend app\n backend app\n"
        + TWO,
        [
            '10: "allow" is never reached: "deny" before it has no condition '
            "(give it a condition, or move it to the end)",
            '11: backend "app" is never chosen: use_backend app before it has no condition (give it a condition)',
        ],
    ),
    "acl-unused": (
        FRONTEND + " stats enable\n acl a path /\n acl b path /b\n http-request deny if b",
        ['10: ACL "a" of frontend "web" is never used (use it, or remove it)'],
    ),
    "http-in-tcp-mode": (
        DEFAULTS + " frontend web\n mode tcp\n bind :80\n option httplog\n log stdout daemon\n"
        " option forwardfor\n http-request deny\n"
        " default_backend app\n backend app\n mode tcp\n balance uri\n" + TWO,
        [
            '6: "option forwardfor", "http-request" and "option httplog" have no effect in frontend "web": '
            "its mode is tcp (write mode http)",
            '14: "balance uri" has no effect in backend "app": its mode is tcp (write mode http)',
        ],
    ),
    "log-format-without-log": (
        FRONTEND + " stats enable\n option httplog",
        [
            '7: frontend "web" has a log format and no log target: nothing is logged '
            "(add log stdout format raw local0, or log 127.0.0.1:514 local0)"
        ],
    ),
    "daemon-logs-to-terminal": (
        "global\n daemon\n log stdout format raw local0\n" + dedent(FRONTEND) + " stats enable",
        ['3: log "stdout" goes nowhere in a daemon (log to /dev/log, or remove daemon)'],
    ),
    "timeouts-missing": (
        "frontend web\n mode http\n bind :80\n default_backend app\nbackend app\n mode http\n" + TWO,
        [
            '1: frontend "web" has no timeout client: silent clients stay for ever (add timeout client 1m)',
            '5: backend "app" has no timeout connect and no timeout server: dead servers hold clients '
            "(add timeout connect 10s, timeout server 1m)",
        ],
    ),
    "no-health-checks": (
        FRONTEND + SERVER + " server a 10.0.0.1:80\n server b 10.0.0.2:80",
        [
            '11: no server of backend "app" is checked: a dead one keeps getting its share '
            "(add check to each server, or to default-server)"
        ],
    ),
    "check-steps-unused": (
        FRONTEND + SERVER + " option httpchk GET /\n server a 10.0.0.1:80",
        [
            '12: backend "app" says how its servers are checked, none of them is '
            "(add check to each server, or to default-server)"
        ],
    ),
    "all-weights-zero": (
        FRONTEND + SERVER + " server a 10.0.0.1:80 weight 0",
        [
            '11: every server of backend "app" has weight 0: no request gets one '
            "(give one of them a weight from 1 to 256)"
        ],
    ),
    "only-backup-servers": (
        FRONTEND + SERVER + " server a 10.0.0.1:80 check backup\n server b 10.0.0.2:80 check backup",
        [
            '11: servers "a" and "b" of backend "app" are all backup: only the first that is up is used '
            "(remove backup from some, or add option allbackups)"
        ],
    ),
    "minconn-above-maxconn": (
        FRONTEND + SERVER + " server a 10.0.0.1:80 minconn 9 maxconn 5",
        ['11: minconn 9 of server "a" is above its maxconn 5 (write the smaller number as minconn)'],
    ),
    "list-without-reader": (
        FRONTEND
        + " http-request set-map(/a.map) %[src] 1\n http-request add-acl(/a.lst) %[src]\n acl a src -f /b.lst\n"
        + " http-request del-acl(/b.lst) %[src] if a\n http-request del-map(/c.map) x\n"
        + " http-response set-map(/d.map) x y\n use_backend %[src,map_ip(/d.map)] if TRUE\n"
        + " http-request set-header X %[str(x),map(/c.map)]\nbackend app\n"
        + TWO,
        [
            '9: "set-map" has no effect: no map and no ACL is read from "/a.map" '
            "(write the file's name as it stands in map(…) or behind -f)",
            '10: "add-acl" has no effect: no map and no ACL is read from "/a.lst" '
            "(write the file's name as it stands in map(…) or behind -f)",
        ],
    ),
    "minconn-without-maxconn": (
        FRONTEND + SERVER + " server a 10.0.0.1:80 minconn 9",
        ['11: minconn of server "a" has no effect without maxconn (add maxconn)'],
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_every_rule_speaks_on_what_it_is_for_and_on_nothing_else(name):
    text, expected = WARNINGS[name]
    assert warnings(text) == expected


def test_a_sound_configuration_is_left_alone():
    assert said(FRONTEND + SERVER + TWO) == []


def test_backends_named_at_run_time_are_not_called_unreachable():
    assert said(FRONTEND + " use_backend %[req.hdr(host),lower] if TRUE\n backend app\n" + TWO) == []


# ---------------------------------------------------------------------------------------------------------- the files


def test_files_that_are_missing_are_errors_and_certificates_are_looked_into():
    config: Config = read_haproxy(
        "global\n crt-base /certs\n ca-base /ca\n"
        + dedent(FRONTEND)
        + " bind :443 ssl crt old.pem crt /bad.pem crt gone.pem ca-file x.pem verify required\n"
        + " errorfile 503 /gone.http\n acl a src -f /list\n http-request deny if a\n stats enable\n"
    )
    problems = {
        "/certs/old.pem": [CertificateProblem(False, "expired", "renew it")],
        "/bad.pem": [CertificateProblem(True, "no key")],
    }

    def certificates(path: str) -> list[CertificateProblem]:
        if path not in problems:
            raise FileNotFoundError(2, "No such file or directory")
        return problems[path]

    def read_file(path: str) -> bytes:
        if path == "/list":
            return b"10.0.0.1"
        raise PermissionError(13, "Permission denied")

    found = lines_of(check(config, Look(read_file, certificates)))
    advice = "(check the path and its owner)"
    assert sorted(found) == [
        '13: error: certificate "/certs/gone.pem" cannot be read: No such file or directory ' + advice,
        f'13: error: file "/ca/x.pem" cannot be read: Permission denied {advice}',
        "13: error: no key",
        "13: warning: expired (renew it)",
        f'14: error: errorfile 503 of frontend "web" "/gone.http" cannot be read: Permission denied {advice}',
    ]


@settings(max_examples=examples(80), deadline=None, suppress_health_check=list(HealthCheck))
@given(models.configs())
def test_whatever_can_be_written_can_be_checked(config):
    for finding in check(config):
        assert finding.message and (finding.severity == "error" or finding.advice)


def test_every_rule_has_a_name_that_reads_as_one():
    assert all(re.fullmatch("[a-z]+(-[a-z]+)+", name) for name in RULES)
