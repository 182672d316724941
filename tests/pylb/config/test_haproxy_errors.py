"""What is said about a wrong haproxy.cfg: all of it at once, where, and what to write."""

from __future__ import annotations

import pytest
from haproxy_tools import errors, findings, read, warnings


def test_all_errors_come_at_once_in_the_files_order():
    found = errors("""
        global
            maxcon 4000
            nbproc 2
        defaults
            mode htp
            option httplgo
            timeout clinet 3s
            timeout client 3x
        frontend f
            bind *
            reqrep a b
            acl a
            use_backend b if
        backend b
            server s 10.0.0.1:80 wieght 3 check intr 2s
            filter trace
        cache c
            max-age 3
    """)
    assert [line.partition(": error: ")[0] for line in found] == [
        "t.cfg:2:5", "t.cfg:3:5", "t.cfg:5:10", "t.cfg:6:12", "t.cfg:7:13", "t.cfg:8:20", "t.cfg:10:10", "t.cfg:11:5",
        "t.cfg:12:5", "t.cfg:13:19", "t.cfg:15:26", "t.cfg:15:41", "t.cfg:16:5", "t.cfg:17:1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "column", "message", "advice"),
    [
        ("global\n maxcon 3", 2, 'unknown keyword in the global section: "maxcon"', 'did you mean "maxconn"?'),
        ("backend b\n option httpchek", 9, 'unknown word behind "option": "httpchek"', 'did you mean "httpchk"?'),
        ("backend b\n balance leastcon", 10, 'unknown balance algorithm "leastcon"', 'did you mean "leastconn"?'),
        ("backend b\n server s 10.0.0.1 chek", 20, 'unknown server option "chek"', 'did you mean "check"?'),
        ("frontend f\n bind :80 acept-proxy", 11, 'unknown bind option "acept-proxy"', 'did you mean "accept-proxy"?'),
        ("fronted f", 1, 'unknown keyword "fronted" out of section', 'did you mean "frontend"?'),
        ("defaults dev\nfrontend f from deev", 17, 'defaults section "deev" not found', 'did you mean "dev"?'),
        ("global\n log ring@fra local0\nring far\n server a h:514", 2, 'unknown ring "fra"', 'did you mean "far"?'),
        ("global\n log ring@r local0\nring r", 2, 'ring "r" has no server', "add server NAME ADDRESS:PORT"),
        ("ring r\n server a 1.2.3.4", 11, '"1.2.3.4" is no address and port', "as in 127.0.0.1:514"),
        ("backend b\n use-fcgi-app x", 2, '"use-fcgi-app" is not', "FastCGI is not spoken"),
        ("backend b\n stick on", 2, '"stick on" needs a sample, as in src', ""),
        ("backend b\n stick on src tabel x", 15, '"tabel"', 'did you mean "table"?'),
        ("backend b\n stick on src table", 15, 'after "table" stands one name', "stick on src table clients"),
        ("global\n lua-load x.lua", 2, '"lua-load" is not supported by pylb', "Lua is not run"),
        ("frontend f\n reqidel x", 2, '"reqidel" was removed from HAProxy', "write http-request del-header"),
        ("resolvers r\n nameserver a 1.1.1.1:53", 1, 'section "resolvers" is not supported by pylb', "server"),
        ("frontend f\n server s 10.0.0.1", 2, '"server" in frontend "f" is not allowed', "move it to the other side"),
        ("defaults\n acl a path /", 2, '"acl" is not allowed in an anonymous defaults section', "give the"),
        ("backend b\n server s 10.0.0.1 weight", 20, '"weight" needs a value behind it', ""),
        ("backend b\n server s 10.0.0.1 weight 300", 27, '"300" is out of range', "from 0 to 256"),
        ("backend b\n timeout server 3w", 17, '"3w" is not a time', ""),
        ("frontend f\n maxconn 12x", 10, '"12x" is not a whole number', ""),
        ("frontend f\n maxconn 1 2", 12, 'unexpected argument "2" behind "maxconn"', "remove it"),
        ("global\n stats soket /x", 8, 'unknown word behind "stats": "soket"', 'did you mean "socket"?'),
        ('global\n node "a', 7, 'unmatched quote (")', "close it on the same line"),
        ("backend b\n no balance roundrobin", 2, '"no" cannot stand before "balance"', "only switches can be negated"),
        ("frontend f$", 10, "character '$' is not permitted", "letters, digits and - _ . : are"),
    ],
)  # fmt: skip
def test_an_error_names_place_word_and_way_out(text, column, message, advice):
    (finding,) = [f for f in findings(text + "\n") if f.severity == "error"]
    assert finding.at.column == column
    assert message in finding.message
    assert finding.advice.startswith(advice)


def test_what_belongs_to_a_refused_option_is_no_error_of_its_own():
    (only,) = errors("backend b\n server s 10.0.0.1 resolvers r resolve-prefer ipv4 weight 2\n")[:1]
    assert "resolvers" in only
    assert len(errors("backend b\n server s 10.0.0.1 socks4 10.0.0.9:1080 weight 2\n")) == 1


def test_lines_of_an_unsupported_section_are_passed_over():
    assert len(errors("peers p\n peer a 10.0.0.1:1000\n nonsense\nbackend b\n")) == 1


def test_names_that_overlap_are_refused_with_both_places():
    (error,) = errors("listen a\nbackend a\n")
    assert error.startswith("t.cfg:2:9: error: ")
    assert "t.cfg:1:1" in error
    (error,) = errors("backend b\n server s 10.0.0.1\n server s 10.0.0.2\n")
    assert "t.cfg:2:2" in error


def test_keywords_without_effect_are_warned_of_with_the_reason():
    (warning,) = warnings("global\n tune.maxaccept 10\n")
    assert warning == (
        't.cfg:2:2: warning: "tune.maxaccept" has no effect here (there is one event loop, chosen by the platform)'
    )
    assert "no servers" in warnings("frontend f\n retries 3\n")[0]
    assert "no clients" in warnings("backend b\n bind :80\n")[0]


def test_turning_off_what_is_not_supported_is_no_error():
    assert errors("defaults\n no option transparent\n no option checkcache\n") == []


def test_a_file_without_its_last_line_feed_is_warned_of():
    assert "t.cfg:2:1: warning: the last line has no line feed" in warnings("backend b\n mode http")[0]


def test_dos_line_ends_are_blanks():
    assert read("frontend f\r\n bind :80\r\n").frontends[0].binds[0].address.port == 80


def test_more_words_than_haproxy_takes_are_warned_of():
    acl = "acl a path " + " ".join(f"/{n}" for n in range(80))
    assert "no more than 64 words" in warnings(f"frontend f\n {acl}\n")[0]
    assert len(read(f"frontend f\n {acl}\n").frontends[0].acls[0].test.values) == 80


def test_userlists():
    (users,) = read("userlist u\n group g users a\n user a password $1$x groups h\n group h\n").userlists
    assert users.users == (("a", "$1$x", False),)
    assert users.groups == (("g", ("a",)), ("h", ("a",)))
    assert 'unknown group "z"' in errors("userlist u\n user a password x groups z\n")[0]
    assert 'unknown user "z"' in errors("userlist u\n group g users z\n")[0]


@pytest.mark.parametrize(
    "line", ["bind :80,,:81", 'bind "$UNSET"', 'server s "$UNSET"', 'use_backend "$UNSET"', 'log-tag "$UNSET"']
)
def test_an_empty_word_is_no_value(line):
    (error,) = errors(f"listen l\n bind :1\n {line}\n")
    assert "an empty word is not a value here (is an environment variable unset?)" in error


def test_rules_of_a_listen_that_others_use_are_warned_of():
    text = (
        "listen l\n mode http\n bind :80\n http-request deny\nfrontend f\n mode http\n bind :81\n default_backend l\n"
    )
    assert 'the rules of listen "l" run for its own clients only' in warnings(text)[0]
    assert warnings(text.replace("default_backend l", "default_backend m")) == []
