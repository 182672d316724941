"""Every command beside the real HAProxy: one haproxy.cfg, the same words, the same answers field by field."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from admin_pair import Program, both, listening, read_all
from support import free_port, wait_for

pytestmark = pytest.mark.interop

CONFIG = """
global
    stats socket {dir}/admin.sock mode 600 level admin
    stats socket {dir}/operator.sock level operator
    stats socket {dir}/user.sock level user
    stats timeout 2m
    maxconn 500
    node here
    setenv PYLB_TEST written
    unsetenv LANG
{defaults}frontend web
    bind 127.0.0.1:{port} name one
    http-request redirect location /%[env(PYLB_TEST)]-%[env(LANG)]-%[env(HAPROXY_CLI),length] if {{ path /env }}
    default_backend app
backend app
    balance roundrobin
    option httpchk
    server up 127.0.0.1:{live} check inter 300ms weight 10 cookie a
    server down 127.0.0.1:{dead} check inter 300ms rise 3 fall 4
    server off 127.0.0.1:{live} weight 20 disabled
    server plain 127.0.0.1:{live} maxconn 7 id 9
backend tracking
    id 77
    server up 127.0.0.1:{live} track app/up
    server named localhost:{live} backup
backend agents
    server told 127.0.0.1:{live} weight 10 agent-check agent-port {dead} agent-inter 300ms
backend layer4
    server up 127.0.0.1:{live} check inter 300ms port {live}
backend seen
    stick-table type ip size 1k expire 10m store gpc0,gpc1,http_req_cnt,http_req_rate(10s),bytes_out_cnt,conn_cur
backend names
    stick-table type string len 20 size 100 expire 1h store gpt0,gpc0_rate(1m)
backend static
    balance static-rr
    server a 127.0.0.1:{live} weight 3
backend numbers
    stick-table type integer size 100 expire 1h store gpc(3),gpt(2),server_id
backend six
    stick-table type ipv6 size 100 expire 1h store gpc0
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Iterator[tuple[Program, Program]]:
    dead = free_port()
    with listening() as live, both(tmp_path_factory.mktemp("p"), CONFIG, shared={"live": live, "dead": dead}) as found:
        for each in found:  # all first checks are done, the dead server is down
            wait_for(lambda each=each: status(each, "app", "down") == "DOWN", 10, "the server to be down")
            wait_for(lambda each=each: "L4OK" in each.ask("show stat"), 10, "a check")
        yield found


def rows(program: Program, words: str = "") -> dict[tuple[str, str], dict[str, str]]:
    text = program.ask(f"show stat {words}").strip().removeprefix("# ")
    return {(row["pxname"], row["svname"]): row for row in csv.DictReader(io.StringIO(text))}


def status(program: Program, proxy: str, server: str) -> str:
    return rows(program)[proxy, server]["status"]


def same(pair: tuple[Program, Program], command: str, mask: str = "") -> str:
    """Ask both; their answers must be equal but for what `mask` matches and for empty lines at the end."""
    ours, real = (each.ask(command) for each in pair)
    if mask:
        ours, real = re.sub(mask, "*", ours), re.sub(mask, "*", real)
    ours, real = (text.replace(str(each.directory), "DIR") for each, text in zip(pair, (ours, real), strict=True))
    assert ours.rstrip("\n").split("\n") == real.rstrip("\n").split("\n"), command
    return ours


# --------------------------------------------------------------------------------------------- orders and what they say

ORDERS = """\
show cli level
show cli sockets
show backend
show env HOME
show env NO_SUCH_VARIABLE
show env PYLB_TEST
show env LANG
show env HAPROXY_CLI
show env HAPROXY_CFGFILES
show env HAPROXY_LOCALPEER
show servers state no-such-backend
show servers conn no-such-backend
show errors
show errors no-such-proxy
show stat no-such-proxy 1 -1
show sess 0x1234
show table nope
set table
set table nope key 1.2.3.4
set table seen key 1.2.3.4 data.gpc0 7 data.http_req_cnt 12 data.http_req_rate 5
set table seen key 1.2.3.5 data.gpc0 8 data.bytes_out_cnt 5000000000
set table seen key 1.2.3.4 data.gpt0 7
set table seen key 1.2.3.4 data.nothing 7
set table names key www.example data.gpt0 3
show table
show table names
show table seen
show table seen key 1.2.3.4
show table seen key 9.9.9.9
show table seen data.gpc0 gt 7
show table seen data.gpc0 ge 7 data.http_req_cnt lt 5
show table seen data.gpt0 gt 0
show table seen data.nothing gt 0
show table seen data.gpc0 xx 1
show table seen foo
show table static
set table seen data.gpc0 gt 1
set table seen foo 1
set table seen key 1.2.3.4 data.gpc0 x
set table seen key 1.2.3.4 data.gpc0
show table seen data.gpc0 gt 0 data.gpc0 gt 0 data.gpc0 gt 0 data.gpc0 gt 0 data.gpc0 gt 0
show table seen data.gpc0 gt 1x
set table numbers key 5 data.gpc 3
set table numbers key 5 data.gpt 4
set table numbers key 5 data.gpc0 4
set table numbers key -1 data.gpc 3
set table numbers key 4294967296 data.gpc 3
show table numbers key 5
show table numbers data.gpc gt 0
set table six key 2001:DB8::1 data.gpc0 4294967295
set table six key 2001:db8::2 data.gpc0 4294967298
set table six key 2001:db8::3 data.gpc0 -1
show table six
set table names key a\\ b=c data.gpt0 5
show table names key a\\ b=c
set table names key caf\u00e9 data.gpt0 6
show table names key caf\u00e9
clear table seen foo
clear table
clear table nope
clear table seen data.gpc0 eq 8
show table seen
clear table seen key 1.2.3.4
clear table seen key 9.9.9.9
show table seen
clear table seen
clear table names
show table
shutdown session
shutdown session 0x1234
shutdown session foo
shutdown session 0
shutdown sessions server
shutdown sessions server app/nope
shutdown sessions server app/up
set server
set server app
set server app/plain
set server app/plain foo
set server nope/plain state ready
set server app/nope state ready
set server app/plain state
set server app/plain state foo
set server app/plain weight
set server app/plain weight abc
set server app/plain weight 300
set server app/plain weight -5
set server app/plain weight 50%
get weight app/plain
set server app/plain weight 30
get weight app/plain
set server app/plain weight 1
set weight app/plain
set weight app/plain 20
set weight nope/plain 20
set server app/plain weight +5
set server app/plain weight %
get weight app/#9
get weight #5/plain
get weight #77/#1
get weight #99/#1
get weight app/#99
get weight app/
set weight #2/#1 3
set server app/#9 state ready
shutdown sessions server nope/up
shutdown sessions server #77/#1
show servers state #99
show stat #99 4 -1
show stat domain
show stat domain foo
show stat domain dns
show errors 99
show errors #2
show errors #99
set server static/a weight 2
set server static/a weight 0
set server static/a weight 100%
get weight app/nope
get weight nope/plain
get weight app
get weight
set server app/plain addr
set server app/plain addr foo
set server app/plain addr 127.0.0.5
set server app/plain addr 127.0.0.5 port 99
set server app/plain addr 127.0.0.5 port 99
set server app/plain addr ::1
set server app/plain fqdn
set server app/plain ssl on
set server app/plain check-port 80
set server app/plain check-addr 127.0.0.1
set server app/up check-port abc
set server app/up check-port
set server app/up check-port -1
set server app/up check-port 70000
set server app/up check-addr foo
set server app/up check-addr
set server app/plain agent up
set server app/plain agent-send x
set server app/plain agent-addr
set server app/plain agent-port 1
set server agents/told agent
set server agents/told agent foo
set server agents/told agent-send
set server agents/told agent-send x
set server agents/told agent-addr
set server agents/told agent-addr foo.invalid
set server agents/told agent-addr localhost
set server agents/told agent-addr localhost port 70000
set server agents/told agent-addr 127.0.0.1 port
set server agents/told agent-addr 127.0.0.1 port abc
set server agents/told agent-addr 127.0.0.1
set server agents/told agent-port
set server agents/told agent-port abc
set server agents/told agent-port 70000
disable agent agents/told
set server agents/told agent up
set server agents/told agent-addr
set server agents/told agent-port
set server agents/told agent-send
enable agent agents/told
set server app/up health foo
set server app/up health
set server tracking/up health up
set maxconn server app/plain
set maxconn server app/plain abc
set maxconn server app/plain 40
set maxconn server app/nope 40
set maxconn server nope/plain 40
set maxconn server #5/#9 40
set maxconn frontend
set maxconn frontend nope 30
set maxconn frontend web
set maxconn frontend web 30
set maxconn frontend web -3
set maxconn frontend #2 30
set maxconn frontend #3 30
set maxconn global
set maxconn global 3000000
set maxconn global 300
set rate-limit foo
set rate-limit sessions foo
set rate-limit sessions global
set rate-limit sessions global 1000
set rate-limit sessions global -1
set rate-limit connections global 1000
set rate-limit ssl-sessions global 1000
set rate-limit sessions global 0
set rate-limit connections global 0
set rate-limit ssl-sessions global 0
set timeout
set timeout foo 1
set timeout cli
set timeout cli abc
set timeout cli 10s
set severity-output foo
set severity-output
enable server
enable server app/nope
disable server app/nope
disable server nope/up
enable server #5/#9
enable agent nope/up
enable health nope/up
enable health app/plain
disable health app/plain
enable health app/up
enable agent app/plain
disable agent app/plain
disable frontend
disable frontend nope
disable frontend #2
enable frontend #2
disable frontend web
disable frontend web
enable frontend web
enable frontend web
clear counters
clear counters all
clear counters foo
operator;show cli level;set server app/plain state maint
user;show cli level;operator
set severity-output number;set server app/nope state ready;show cli level
set severity-output number;help get weight
set severity-output string;set server app/nope state ready;set server app/plain addr ::1
expert-mode
experimental-mode
help show cli
help get weight
"""


MASK = r"0x[0-9a-f]+(?=: key)|(?<=exp=)\d+|\[\d\d/\w{3}/[^]]*\]"
"""Where an entry is in memory, how long it has left, the time of day."""


def test_orders_are_answered_as_haproxy_answers_them(pair):
    different = []
    for order in ORDERS.splitlines():
        try:
            same(pair, order, MASK)
        except AssertionError as error:
            different.append(str(error).split("\n\n")[0])
    assert different == []


HALVES = [
    b"show cli level",
    b"set server app/plain weight 3",
    b"show cli level\nset server app/plain weight 3",
    b"show cli level\n",
    b"prompt\nset server app/plain weight 3",
    b"set table seen key 1.2.3.4 data.gpc0 7 <<\nx\n",
    b"show cli level <<;show cli level\n\nshow cli level\n",
    b"prompt\nshow cli level <<\nx\ny\n\nshow cli level <<;z\n\nprompt\n",
]


@pytest.mark.parametrize("said", HALVES)
def test_what_the_client_s_end_cuts_off_is_not_carried_out(pair, said: bytes):
    heard = []
    for each in pair:
        each.ask("set server app/plain weight 1")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(each.socket))
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            heard.append(read_all(client))
        assert each.ask("get weight app/plain").startswith("1 ")
        assert "used:0" in each.ask("show table seen")
    assert heard[0] == heard[1]


STATES = """\
set server app/plain state drain
set server app/plain state ready
set server app/plain state maint
set server app/plain state ready
set server app/off state ready
disable server app/off
enable server app/off
set server app/off state maint
set server app/down health up
set server app/up health stopping
set server app/up state maint
set server app/up state ready
set server agents/told agent down
set server agents/told agent up
disable agent agents/told
enable agent agents/told
set server agents/told agent-addr 127.0.0.3
set server agents/told agent-addr localhost port 99
"""


@pytest.mark.parametrize("order", STATES.splitlines())
def test_states_follow_as_in_haproxy(pair, order):
    for each in pair:  # checks would change what the orders do
        each.ask("disable health app/up")
        each.ask("disable health app/down")
        each.ask(order)
    ours, real = (rows(each) for each in pair)
    for name in real:
        assert ours[name]["status"] == real[name]["status"], (order, name)
        for column in ("weight", "act", "bck", "slim"):
            assert ours[name][column] == real[name][column], (order, name, column)
    compare_states(pair)
    for each in pair:
        for server in ("up", "down"):
            each.ask(f"enable health app/{server}")
            each.ask(f"set server app/{server} state ready")
    for each in pair:
        wait_for(lambda each=each: status(each, "app", "down") == "DOWN", 10, "the server to be down")
        wait_for(lambda each=each: status(each, "app", "up") == "UP", 10, "the server to be up")


# ------------------------------------------------------------------------------------------------------ what is shown


def compare_states(pair: tuple[Program, Program]) -> None:
    """`show servers state` of both, field by field."""
    ours, real = (each.ask("show servers state").splitlines() for each in pair)
    assert ours[:2] == real[:2]
    names = real[1].removeprefix("# ").split()
    for mine, theirs in zip(ours[2:], real[2:], strict=True):
        pairs = dict(zip(names, zip(mine.split(), theirs.split(), strict=True), strict=False))
        for name, (one, other) in pairs.items():
            if name == "srv_check_health" and not int(pairs["srv_check_state"][1]) & 4:
                continue  # nobody checks: what the count was left at has no meaning
            if name == "srv_check_result" and any(int(value) & 1 for value in pairs["srv_check_state"]):
                continue  # a check is under way
            if name == "srv_time_since_last_change":
                assert one.isdigit()
            elif name in ("srv_check_state", "srv_agent_state"):  # the lowest bit: a check is under way
                assert int(one) | 1 == int(other) | 1, (mine, theirs)
            else:
                assert one == other, (name, mine, theirs)


def test_show_servers_state(pair):
    compare_states(pair)


def test_show_servers_conn_has_the_same_servers_and_columns(pair):
    ours, real = (each.ask("show servers conn app").splitlines() for each in pair)
    assert ours[0].split("[")[0] == real[0].split("[")[0]
    for mine, theirs in zip(ours[1:], real[1:], strict=True):
        assert mine.split()[:6] == theirs.split()[:6]
        assert not theirs or len(mine.split()) == len(mine.split()[:13]) + 1


OWN = ("Reloads", "Last_reload_time_sec", "Last_reload_ok", "Reloads_ended")
"""pylb's lines behind HAProxy's."""


def test_show_info_has_every_line_in_haproxy_s_order(pair):
    ours, real = (re.findall(r"^([^:]+):", each.ask("show info"), re.MULTILINE) for each in pair)
    assert ours[-len(OWN) :] == list(OWN)
    del ours[-len(OWN) :]
    assert [name for name in ours if "ZlibMem" not in name] == [name for name in real if "ZlibMem" not in name]
    assert ours[ours.index("CompressBpsRateLim") + 1 :][:2] == ["ZlibMemUsage", "MaxZlibMemUsage"]  # if built with zlib


def test_show_info_typed_has_haproxy_s_types_and_places(pair):
    ours, real = (
        dict(re.findall(r"^(\d+\.[^.]+\.1:\w+:\w+):(.*)$", each.ask("show info typed"), re.MULTILINE)) for each in pair
    )
    zlib = {"45.ZlibMemUsage.1:MGP:u32", "46.MaxZlibMemUsage.1:CLP:u32"}  # not in all builds
    assert {key.split(".")[1] for key in set(ours) - zlib - set(real)} == set(OWN)
    assert set(real) <= set(ours)
    for key in ("3.Nbthread.1:CGS:u32", "15.Maxconn.1:CLP:u32", "50.node.1:COS:str", "44.CompressBpsRateLim.1:CLP:u32"):
        if "Nbthread" not in key:
            assert ours[key] == real[key]


def test_show_info_json(pair):
    ours, real = (json.loads(each.ask("show info json")) for each in pair)
    ours = [item for item in ours if "ZlibMem" not in item["field"]["name"]]  # not in all builds
    shape = {item["field"]["name"]: {**item, "value": item["value"]["type"]} for item in real}
    for item in ours[: -len(OWN)]:
        assert {**item, "value": item["value"]["type"]} == shape[item["field"]["name"]]


def test_show_info_desc_and_float(pair):
    ours = pair[0].ask("show info desc float")
    assert re.search(r'^Uptime_sec: \d+\.\d+:"Seconds since the start"$', ours, re.MULTILINE)


def test_show_stat_typed_has_haproxy_s_places_and_types(pair):
    def keys(program: Program) -> set[str]:
        return set(
            re.findall(r"^([FBS]\.\d+\.\d+\.\d+\.\w+\.1:\w+:\w+):", program.ask("show stat typed"), re.MULTILINE)
        )

    def lacking(key: str) -> bool:
        return bool(re.search(r"\.(h1_|h2_|comp_|cache_|idle_conn_cur|safe_conn|used_conn|need_conn|agg_)", key))

    ours, real = (keys(each) for each in pair)
    assert {key for key in ours - real if "src_ilim" not in key} == set()
    assert {key for key in real - ours if not lacking(key)} == set()


@pytest.mark.parametrize(
    "words",
    [
        "up",
        "no-maint",
        "app 4 -1",
        "app 6 -1",
        "-1 1 -1",
        "-1 2 -1",
        "-1 4 9",
        "77 7 -1",
        "2 1 -1",
        "app 4",
        "domain proxy",
        "domain proxy app 4 -1",
        "domain proxy up",
        "app x -1",
        "app 4 x",
        "app 4x 1x",
    ],
)
def test_show_stat_shows_the_same_rows(pair, words):
    ours, real = (rows(each, words) for each in pair)
    assert list(ours) == list(real)
    assert [row["status"] for row in ours.values()] == [row["status"] for row in real.values()]


def test_show_stat_json_holds_the_schema(pair):
    ours, real = (json.loads(each.ask("show stat app 7 -1 json")) for each in pair)
    assert [row[0]["objType"] for row in ours] == [row[0]["objType"] for row in real]
    assert set(json.loads(pair[0].ask("show schema json"))["definitions"]) >= set(
        json.loads(pair[1].ask("show schema json"))["definitions"]
    )


def test_rules_read_the_variables_that_the_configuration_sets(pair):
    answers = []
    for each in pair:
        with socket.create_connection(("127.0.0.1", each.port), timeout=5) as client:
            client.sendall(b"GET /env HTTP/1.1\r\nHost: a\r\n\r\n")
            place = re.search(rb"(?i)location: (\S+)", client.recv(1000))
        names = ("admin", "operator", "user")
        length = len(";".join(f"unix@{each.directory}/{name}.sock" for name in names))
        assert place is not None
        answers.append(place[1].decode().replace(str(length), "LENGTH"))
    assert answers == ["/written--LENGTH"] * 2


def test_show_errors_tells_the_bad_request(pair):
    for each in pair:
        with socket.create_connection(("127.0.0.1", each.port)) as client:
            client.sendall(b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n")
            client.recv(1000)
    for words in ("", "web", "2 request", "web request"):
        ours, real = (each.ask(f"show errors {words}") for each in pair)
        for pattern in (
            r"^Total events captured on \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d\.\d{3}\] : 1$",
            r"^\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d\.\d{3}\] frontend web \(#2\): invalid request$",
            r"^  backend <NONE> \(#-1\), server <NONE> \(#-1\), event #\d+, src 127\.0\.0\.1:\d+",
            r"^  00000  GET /\\x01 HTTP/1\.1\\r\\n$",
            r"^  00017  Host: a\\r\\n$",
            r"^  00026  \\r\\n$",
        ):
            assert re.search(pattern, ours, re.MULTILINE), pattern
            assert re.search(pattern, real, re.MULTILINE), pattern


# ------------------------------------------------------------------------------------------------------------- levels

MORE_THAN_HAPROXY = {"set table", "clear table", "add map", "add acl"}


def commands_of(program: Program) -> list[str]:
    """All that `help` lists, without what stands behind the words."""
    found = re.findall(r"^  (.+?) *: ", program.ask("help"), re.MULTILINE)
    return [re.split(r"[<\[{(@]", words)[0].strip() for words in found]


def test_levels_are_haproxy_s(pair):
    ours, real = pair
    known = set(commands_of(real))
    for words in commands_of(ours):
        if words not in known or words in ("quit", "prompt", "help", "show errors", "show env"):
            continue
        for name in ("user.sock", "operator.sock"):
            mine, theirs = (each.ask(f"{words} no-such", name).startswith("Permission denied") for each in (ours, real))
            if theirs or words.rpartition(" ")[2] not in ("acl", "map", "table"):
                assert mine == theirs, (words, name)
            else:
                assert mine == (name == "user.sock" and words.split()[0] not in ("show", "get"))


# ---------------------------------------------------------------------------------------------------- the connection

CONVERSATIONS = [
    [b"show cli level\n"],
    [b"show cli level;show cli level\n"],
    [b"show cli level\nshow cli level\n"],
    [b"show cli", b" level\n"],
    [b"prompt\n", b"show cli level\n", b"show cli level;get weight app/off\n", b"quit\n"],
    [b"prompt\n", b"prompt\n"],
    [b"prompt;show cli level\n", b"quit\n"],
    [b"show cli level;prompt;show cli level\n", b"quit\n"],
    [b"show cli level;quit;show cli level\n"],
    [b"show cli level <<\nabc\n\n"],
    [b"prompt\n", b"show cli level <<\n", b"abc\n", b"\n", b"quit\n"],
    [b"show cli level # this\n"],
    [b"get\\ weight app/off;show env A\\;B\n"],
]


def converse(program: Program, parts: list[bytes]) -> bytes:
    heard = bytearray()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(program.socket))
        for part in parts:
            client.sendall(part)
            client.settimeout(0.3)
            try:
                while block := client.recv(65536):
                    heard += block
                heard += b"<end>"
                break
            except TimeoutError:
                pass
    return bytes(heard)


@pytest.mark.parametrize("parts", CONVERSATIONS, ids=repr)
def test_conversations_go_as_with_haproxy(pair, parts):
    with ThreadPoolExecutor(2) as pool:  # its pauses are those of both
        ours, real = pool.map(lambda each: converse(each, parts), pair)
    if b"Unknown command" in real:
        assert b"Unknown command" in ours
    else:
        assert ours == real


@pytest.mark.parametrize("words", ["", ";", "foo", "show nothing", "SHOW info", "show"])
def test_unknown_commands_are_answered_by_what_there_is(pair, words):
    ours, real = (each.ask(words) for each in pair)
    for text in (ours, real):
        assert text.startswith("Unknown command")
        assert re.search(r"^  help \[<command>\] +: list matching or all commands$", text, re.MULTILINE)
        assert re.search(r"^  quit +: disconnect$", text, re.MULTILINE)


def test_a_silent_client_is_closed(pair):
    def silent(each: Program) -> float:
        began = time.monotonic()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(each.socket))
            client.settimeout(10)
            client.sendall(b"set timeout cli 1s;prompt\n")
            while client.recv(1000):
                pass
        return time.monotonic() - began

    with ThreadPoolExecutor(2) as pool:
        for seconds in pool.map(silent, pair):
            assert 0.5 < seconds < 8
