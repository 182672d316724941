"""Proxies: what they take from defaults, and what their keywords mean in the model."""

from __future__ import annotations

import pytest
from haproxy_tools import backend, errors, frontend, read, warnings

from pylb.config.model import (
    Address,
    Balance,
    Capture,
    CheckStep,
    Cookie,
    HashType,
    LogTarget,
    Rule,
    Server,
    Term,
    Timeouts,
)

# ------------------------------------------------------------------------------------------------------- inheritance


def test_the_last_defaults_section_holds_and_starts_afresh():
    config = read("""
        defaults
            mode http
            retries 7
            timeout client 1s
        frontend a
        defaults
            timeout server 2s
        backend b
    """)
    assert (config.frontends[0].mode, config.frontends[0].timeouts) == ("http", Timeouts(client=1))
    assert (config.backends[0].mode, config.backends[0].retries) == ("tcp", 3)
    assert config.backends[0].timeouts == Timeouts(server=2)


def test_a_section_names_the_defaults_it_is_made_from():
    config = read("""
        defaults slow
            timeout client 1h
        defaults quick from slow
            timeout connect 1s
        frontend a from slow
        frontend b
        frontend c from quick
            timeout client 3s
    """)
    assert [f.timeouts for f in config.frontends] == [
        Timeouts(client=3600),
        Timeouts(client=3600, connect=1),
        Timeouts(client=3, connect=1),
    ]


def test_a_section_never_writes_into_its_defaults():
    config = read("""
        defaults
            default-server inter 5s check
            errorloc 503 /down
            option httpchk GET /a
            stats uri /s
        backend a
            default-server rise 9
            errorloc 503 /up
            http-check send hdr Host a
            stats auth x:y
            server s 10.0.0.1:80
        backend b
            server s 10.0.0.1:80
    """)
    a, b = config.backends
    assert (a.servers[0].check.inter, a.servers[0].check.rise) == (5, 9)
    assert (b.servers[0].check.inter, b.servers[0].check.rise) == (5, 2)
    assert a.error_files != b.error_files
    assert [s.headers for s in b.check.steps] == [()]
    assert b.stats.auth == ()


def test_the_first_own_stats_line_drops_those_of_defaults():
    config = read("""
        defaults
            stats uri /s
            stats auth a:b
        backend inherits
        backend owns
            stats enable
    """)
    inherits, owns = config.backends
    assert (inherits.stats.uri, inherits.stats.auth) == ("/s", (("a", "b"),))
    assert (owns.stats.uri, owns.stats.auth) == ("/haproxy?stats", ())


def test_log_targets_add_up_until_no_log():
    config = read("""
        global
            log 10.0.0.1 local0
        defaults
            log global
        frontend a
            log 10.0.0.2:515 local1 info
        frontend b
            no log
    """)
    first = LogTarget("10.0.0.1", "local0")
    assert config.frontends[0].log == (first, LogTarget("10.0.0.2:515", "local1", "info"))
    assert config.frontends[1].log == ()


def test_log_global_also_means_targets_that_come_later():
    config = read("global\nfrontend a\n log global\nglobal\n log 10.0.0.1 local0\n")
    assert len(config.frontends[0].log) == 1


def test_rules_of_named_defaults_run_first_and_bring_their_acls():
    config = read("""
        defaults d
            mode http
            acl bad path /a /b
            acl bad src 10.0.0.0/8
            http-request deny if bad { method POST } or !bad TRUE
        frontend f from d
            http-request allow
    """)
    deny, allow = config.frontends[0].http_request
    assert (deny.action, allow.action) == ("deny", "allow")
    assert config.frontends[0].acls == ()
    shown = [
        [("!" if t.negated else "") + (t.acl if isinstance(t.acl, str) else t.acl.sample.fetch.name) for t in group]
        for group in deny.condition.any_of
    ]
    assert shown == [["path", "method"], ["src", "method"], ["!path", "!src", "TRUE"]]


def test_defaults_with_rules_serve_one_kind_only():
    rules = "defaults d\n mode http\n http-request deny\n"
    assert errors(rules + "frontend f from d\nfrontend g from d\n") == []
    assert "cannot serve a listen" in errors(rules + "listen l from d\n")[0]
    assert "a frontend and a backend" in errors(rules + "frontend f from d\nbackend b from d\n")[0]
    assert "other defaults" in errors(rules + "defaults e from d\n")[0]


def test_the_last_connection_mode_wins_and_no_takes_back_only_its_own():
    config = read("""
        defaults
            option http-server-close
        frontend a
            option httpclose
        frontend b
            no option httpclose
        frontend c
            no option http-server-close
    """)
    assert [f.connection_mode for f in config.frontends] == ["close", "server-close", "keep-alive"]


def test_default_puts_an_option_back():
    config = read("""
        defaults
            option dontlognull
            option redispatch 3
        listen a
            default option redispatch
            no option dontlognull
    """)
    assert config.backends[0].redispatch == 0
    assert config.frontends[0].dontlognull is False


def test_a_listen_is_a_frontend_and_a_backend_with_its_rules_once():
    config = read("""
        listen l
            mode http
            bind :80
            http-request set-path /x
            cookie S insert
            acl a path /
            server s 10.0.0.1:80
    """)
    front, back = config.frontends[0], config.backends[0]
    assert (front.listen, back.listen, front.default_backend) == (True, True, "l")
    assert (len(front.http_request), len(back.http_request)) == (1, 0)
    assert (front.cookie, back.cookie) == (None, Cookie("S", "insert"))
    assert front.acls == back.acls != ()
    assert read("listen l\n bind :80\n default_backend b\nbackend b\n").frontends[0].default_backend == "b"


# ----------------------------------------------------------------------------------------------------------- keywords


def test_every_setting_of_a_frontend_arrives():
    f = frontend("""
        description one two
        id 5
        maxconn 10
        backlog 20
        option httplog clf
        option dontlog-normal
        option logasap
        option log-separate-errors
        log-tag web
        monitor-uri /ok
        monitor fail if FALSE
        capture request header Host len 20
        capture cookie SID len 9
        unique-id-format %[uuid]
        unique-id-header X-Id
        default_backend b
        disabled
    """)
    assert (f.description, f.id, f.maxconn, f.backlog, f.log_format) == ("one two", 5, 10, 20, "clf")
    assert f.dontlog_normal and f.logasap and f.log_separate_errors and f.disabled
    assert (f.log_tag, f.monitor_uri, len(f.monitor_fail)) == ("web", "/ok", 1)
    assert f.captures == (Capture("request", 20, "Host"), Capture("cookie", 9, "SID"))
    assert (f.unique_id_format, f.unique_id_header, f.default_backend) == ("%[uuid]", "X-Id", "b")


def test_every_setting_of_a_backend_arrives():
    b = backend("""
        balance uri depth 3 len 40
        hash-type consistent wt6 avalanche
        retries 5
        retry-on conn-failure 503
        option redispatch 2
        option allbackups
        option persist
        option abortonclose
        option log-health-checks
        http-reuse always
        fullconn 500
        source 10.0.0.9
        load-server-state-from-file global
        use-server s if { path /x }
        force-persist if { src 10.0.0.1 }
        ignore-persist if { path_beg /static }
        server s 10.0.0.1:80
    """)
    assert b.balance == Balance("uri", ("depth", "3", "len", "40"))
    assert b.hash_type == HashType("consistent", "wt6", "avalanche")
    assert (b.retries, b.retry_on, b.redispatch, b.http_reuse) == (5, ("conn-failure", "503"), 2, "always")
    assert b.allbackups and b.persist and b.abortonclose and b.log_health_checks
    assert (b.fullconn, b.source, b.load_server_state) == (500, "10.0.0.9", "global")
    assert (b.use_server[0].backend, len(b.force_persist), len(b.ignore_persist)) == ("s", 1, 1)


@pytest.mark.parametrize(
    ("text", "balance"),
    [
        ("hdr(Host) use_domain_only", Balance("hdr(Host)", ("use_domain_only",))),
        ("random(3)", Balance("random(3)")),
        ("url_param id", Balance("url_param", ("id",))),
        ("hash req.hdr(x)", Balance("hash", ("req.hdr(x)",))),
        ("first", Balance("first")),
    ],
)
def test_algorithms_keep_their_arguments(text, balance):
    assert backend(f"balance {text}").balance == balance


def test_a_cookie_has_all_its_options():
    flags = "insert indirect nocache postonly preserve httponly secure"
    assert backend(f"cookie S {flags} domain a.b domain c.d maxidle 30m maxlife 8h attr SameSite=Lax").cookie == Cookie(
        "S", "insert", True, True, True, True, True, True, ("a.b", "c.d"), 1800.0, 28800.0, ("SameSite=Lax",)
    )


def test_rules_keep_their_words_and_condition():
    f = frontend(r"""
        http-request set-header X-A "a b %[src]" if { path /x } !local
        redirect scheme https code 301
        tcp-request inspect-delay 5s
        tcp-request content accept if HTTP
        http-after-response del-header Server
    """)
    assert f.http_request[0].args == ("X-A", "a b %[src]")
    assert f.http_request[0].condition.any_of[0][1] == Term("local", negated=True)
    assert f.http_request[1] == Rule("redirect", ("scheme", "https", "code", "301"))
    assert [r.action for r in f.tcp_request] == ["inspect-delay", "content accept"]
    assert f.http_after_response == (Rule("del-header", ("Server",)),)


def test_removed_header_additions_keep_their_meaning():
    f = frontend("reqadd X-A:\\ 50%\nrspadd X-B:c if { path / }")
    assert f.http_request == (Rule("add-header", ("X-A", "50%%")),)
    assert (f.http_response[0].args, f.http_response[0].written_as) == (("X-B", "c"), "rspadd")


def test_answers_of_our_own_by_status():
    config = read("""
        http-errors site
            errorfile 404 /e/404.http
            errorfile 503 /e/503.http
        frontend f
            errorfiles site 404 503
            errorfile 503 /own/503.http
            errorloc303 500 http://x/100%
            http-error status 403 content-type text/plain string "go away"
    """)
    files = {e.status: (e.path, e.reply) for e in config.frontends[0].error_files}
    assert files[404] == ("/e/404.http", None)
    assert files[503] == ("/own/503.http", None)
    assert files[500][1].args[:5] == ("status", "303", "hdr", "Location", "http://x/100%%")
    assert files[403][1] == Rule("return", ("status", "403", "content-type", "text/plain", "string", "go away"))
    assert 'unknown http-errors section "nosuch"' in errors("backend b\n errorfiles nosuch\n")[0]
    assert "no file for status 404" in errors("http-errors a\nbackend b\n errorfiles a 404\n")[0]


# ------------------------------------------------------------------------------------------------------------- checks


def test_httpchk_and_the_first_send_are_one_request():
    b = backend("""
        option httpchk GET /health HTTP/1.1
        http-check send hdr Host www
        http-check expect status 200-299
    """)
    send, expect = b.check.steps
    assert b.check.kind == "http"
    assert dict(send.options) == {"meth": "GET", "uri": "/health", "ver": "HTTP/1.1"}
    assert send.headers == (("Host", "www"),)
    assert dict(expect.options) == {"match": "status", "pattern": "200-299"}


def test_httpchk_alone_is_the_checkers_default():
    assert backend("option httpchk").check.steps == ()
    assert backend("option httpchk /x").check.steps[0].options == (
        ("meth", "OPTIONS"),
        ("uri", "/x"),
        ("ver", "HTTP/1.0"),
    )


def test_headers_behind_the_version_still_work():
    (send,) = backend(r"option httpchk GET / HTTP/1.1\r\nHost:\ www").check.steps
    assert (dict(send.options)["ver"], send.headers) == ("HTTP/1.1", (("Host", "www"),))


def test_an_expect_without_a_send_sends_the_default():
    b = backend("option httpchk\nhttp-check expect ! rstatus ^5\n")
    assert [s.kind for s in b.check.steps] == ["send", "expect"]
    assert dict(b.check.steps[1].options) == {"negate": "", "match": "rstatus", "pattern": "^5"}


def test_steps_of_a_backend_replace_those_of_defaults():
    config = read("""
        defaults
            mode http
            option httpchk
            http-check expect status 200
        backend a
        backend b
            http-check expect status 204
    """)
    assert [dict(b.check.steps[-1].options)["pattern"] for b in config.backends] == ["200", "204"]


def test_a_conversation_over_tcp():
    b = backend(r"""
        option tcp-check
        tcp-check connect port 6379 ssl
        tcp-check send PING\r\n comment "say something"
        tcp-check expect string +PONG
        tcp-check send-binary 00ff
        tcp-check expect min-recv 4 ! rstring ERR
    """)
    assert b.check.kind == "tcp"
    assert b.check.steps == (
        CheckStep("connect", (("port", "6379"), ("ssl", ""))),
        CheckStep("send", (("data", "PING\r\n"), ("comment", "say something"))),
        CheckStep("expect", (("match", "string"), ("pattern", "+PONG"))),
        CheckStep("send", (("binary", "00ff"),)),
        CheckStep("expect", (("min-recv", "4"), ("negate", ""), ("match", "rstring"), ("pattern", "ERR"))),
    )


def test_steps_of_the_other_kind_of_check_are_warned_of():
    (warning,) = warnings("backend b\n mode http\n http-check expect status 200\n")
    assert '"http-check" has no effect without "option httpchk"' in warning


# ------------------------------------------------------------------------------------------------------------ servers


def test_a_server_has_all_its_options():
    (server,) = backend("""
        server s 10.0.0.1:80 check inter 3s fastinter 1s downinter 5s rise 4 fall 5 port 81 addr 10.0.0.2 weight 9 \
cookie c maxconn 7 minconn 3 maxqueue 8 slowstart 20s backup observe layer7 error-limit 4 on-error mark-down \
on-marked-down shutdown-sessions pool-max-conn 5 pool-purge-delay 6s send-proxy-v2 source 10.0.0.3 redir http://m \
ssl verify required ca-file ca.pem sni str(x) alpn http/1.1 no-tlsv10 no-tlsv11 id 3 init-addr last,libc,none
    """).servers
    assert (server.weight, server.cookie, server.maxconn, server.minconn, server.maxqueue) == (9, "c", 7, 3, 8)
    assert (server.slowstart, server.backup, server.observe, server.error_limit) == (20, True, "layer7", 4)
    assert (server.on_error, server.on_marked_down) == ("mark-down", "shutdown-sessions")
    assert (server.pool_max_conn, server.pool_purge_delay, server.send_proxy) == (5, 6.0, "v2")
    assert (server.source, server.redirect_prefix, server.id) == ("10.0.0.3", "http://m", 3)
    check = server.check
    assert (check.inter, check.fastinter, check.downinter, check.rise, check.fall) == (3, 1, 5, 4, 5)
    assert (check.port, check.address) == (81, "10.0.0.2")
    assert (server.tls.ca_file, server.tls.sni, server.tls.alpn) == ("ca.pem", "str(x)", ("http/1.1",))
    assert (server.tls.min_version, server.init_addr) == ("TLSv1.2", "last,libc,none")


def test_a_server_may_take_back_what_default_server_gave():
    b = backend("""
        default-server check ssl verify none backup send-proxy
        server a 10.0.0.1:80
        server b 10.0.0.1:80 no-check no-ssl no-backup no-send-proxy
    """)
    assert b.servers[1] == Server("b", Address(host="10.0.0.1", port=80), send_proxy=None)
    assert b.servers[0].check and b.servers[0].tls and b.servers[0].backup and b.servers[0].send_proxy == "v1"


def test_default_server_holds_for_the_lines_behind_it():
    b = backend("server a 10.0.0.1:80\ndefault-server weight 5\nserver b 10.0.0.1:80\n")
    assert [s.weight for s in b.servers] == [1, 5]


def test_a_template_makes_servers():
    assert [s.name for s in backend("server-template w 2-4 10.0.0.1:80 check").servers] == ["w2", "w3", "w4"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1", Address(host="10.0.0.1")),
        (":80", Address(port=80)),
        ("10.0.0.1:+100", Address(host="10.0.0.1", port=100, port_offset=True)),
        ("10.0.0.1:-100", Address(host="10.0.0.1", port=-100, port_offset=True)),
        ("ipv6@[::1]:80", Address(host="::1", port=80, family="ipv6")),
        ("unix@/s", Address("unix", path="/s")),
    ],
)
def test_servers_addresses(text, address):
    assert backend(f"server s {text}").servers[0].address == address


# -------------------------------------------------------------------------------------------------------------- binds


def test_one_line_of_several_addresses_is_several_binds():
    f = frontend("bind :81,[::]:82,unix@/s,fd@3,abns@x name n ssl crt a.pem crt b.pem alpn http/1.1 strict-sni")
    assert [b.address for b in f.binds[1:]] == [
        Address(port=81),
        Address(host="::", port=82),
        Address("unix", path="/s"),
        Address("fd", fd=3),
        Address("abns", path="x"),
    ]
    assert {b.tls.certificates for b in f.binds[1:]} == {("a.pem", "b.pem")}
    assert all(b.name == "n" and b.tls.strict_sni for b in f.binds[1:])


def test_unix_bind_holds_for_unix_sockets_behind_it():
    config = read(
        "global\n unix-bind prefix /run mode 660 user www\nfrontend f\n bind /s\n bind /t mode 600\n bind :80\n"
    )
    one, two, three = config.frontends[0].binds
    assert (one.address.path, one.mode, one.user) == ("/run/s", 0o660, "www")
    assert (two.mode, two.user) == (0o600, "www")
    assert (three.mode, three.user) == (None, None)


def test_banned_tls_versions_become_bounds():
    f = frontend("bind :81 ssl crt a no-tlsv10 no-tlsv11 no-tlsv13")
    assert (f.binds[1].tls.min_version, f.binds[1].tls.max_version) == ("TLSv1.2", "TLSv1.2")
    assert "no contiguous range" in errors("frontend f\n bind :81 ssl crt a no-tlsv11\n")[0]


def test_alpn_is_read_as_it_stands():
    text = "frontend f\n bind :81 ssl crt a alpn h2,http/1.1\n"
    assert read(text).frontends[0].binds[0].tls.alpn == ("h2", "http/1.1")


def test_servers_are_verified_as_their_line_or_the_global_section_says():
    text = """
        backend b
            server a 10.0.0.1:443 ssl
            server b 10.0.0.1:443 ssl verify required ca-file x.pem
            server c 10.0.0.1:443 ssl verify none
        global
            ssl-server-verify none
    """
    assert [s.tls.verify for s in read(text).backends[0].servers] == ["none", "required", "none"]
    (error,) = errors(text.replace("ssl-server-verify none", "daemon"))
    assert 'server "a" is to be verified and no "ca-file" says by whom' in error


def test_slots_of_one_direction_are_numbered_together():
    config = read("""
    frontend f
        mode http
        declare capture response len 7
        http-request capture path len 12
        capture request header Host len 20
        http-request capture src len 5 if { path / }
        http-response capture res.hdr(a) id 0
        tcp-request content capture req.ver len 3
    """)
    (f,) = config.frontends
    assert f.captures == (
        Capture("response", 7), Capture("request", 12), Capture("request", 20, "Host"), Capture("request", 5),
        Capture("request", 3),
    )  # fmt: skip
    assert [rule.args for rule in f.http_request] == [("path", "id", "0"), ("src", "id", "2")]
    assert f.tcp_request[0].args == ("req.ver", "id", "3")


def test_formats_know_where_they_stand_for_the_rules_compiler():
    config = read("""
        defaults
            log-format "%ci"
        frontend f
            error-log-format "%cp"
            unique-id-format %rt
    """)
    places = dict(config.frontends[0].format_places)
    assert [(field, at.line) for field, at in places.items()] == [
        ("log_format", 2), ("error_log_format", 4), ("unique_id_format", 5),
    ]  # fmt: skip


def test_a_word_that_names_a_format_is_a_text_in_log_format():
    config = read("""
    frontend f
        log-format json
    frontend g
        option httpslog
    """)
    assert [f.log_format for f in config.frontends] == ["json%{-X}o", "httpslog"]
