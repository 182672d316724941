"""ACLs and maps changed while requests are answered, beside the real HAProxy: what is said, and what it does."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator

import pytest
from admin_pair import Program, both

pytestmark = pytest.mark.interop

CONFIG = """
global
    stats socket {dir}/admin.sock mode 600 level admin
{defaults}frontend web
    bind 127.0.0.1:{port}
    acl listed path_beg -f {dir}/paths /more
    acl listed path_end .css .js
    acl own req.hdr_ip(x-from) 10.0.0.0/8 192.168.1.1
    acl again path -f {dir}/paths
    acl lower req.hdr(x-v) -i Abc
    acl first req.hdr(x-route) -i first
    acl second req.hdr(x-route) -i second
    acl routed req.hdr(x-route) -m found
    http-request return status 200 content-type text/plain lf-string listed if listed
    http-request return status 200 content-type text/plain lf-string own if own || again
    http-request return status 200 content-type text/plain lf-string lower if lower
    use_backend one if first
    use_backend two if second
    http-request set-var(txn.v) req.hdr(x-v)
    http-request return status 200 content-type text/plain lf-string "{looks}" if !routed
backend one
    http-request return status 200 content-type text/plain lf-string one
backend two
    http-request return status 200 content-type text/plain lf-string two
"""

LOOKS = (
    "map({dir}/words)", "map({dir}/words,none)", "map_beg({dir}/words)", "map_end({dir}/words)", "map_sub({dir}/parts)",
    "map_dir({dir}/words)", "map_dom({dir}/words)", "map_reg({dir}/words)", "map_regm({dir}/groups)",
    "map_int({dir}/numbers)", "map_ip({dir}/networks)", "map_str_int({dir}/counts)", "map_str_int({dir}/counts,7)",
    "map_str_ip({dir}/places)",
)  # fmt: skip
WORDS = "# key value\na.example  one\n\tb.example\ttwo words \n\na.exam three\nexample four\n/dir/ five\na.example six"
FILES = {
    "paths": "/static\n# no path\n/img\n",
    "words": WORDS,
    "parts": WORDS,
    "groups": "^(.)(.*)x \\2-\\1\n.* none of them\n",
    "numbers": "5 five\n1:10 few\n100: many\n",
    "networks": "10.0.0.0/8 ten\n10.1.0.0/16 ten-one\n2001:db8::/32 doc\n10.1.2.3 host\n",
    "counts": "a 12\nb -3\n",
    "places": "a 1.2.3.4\nb 2001:db8::1\n",
}
VALUES = (
    "a.example", "b.example", "www.a.example", "a.examples", "example", "x/dir/y", "dir", "5", "7", "150", "-1",
    "10.1.2.3", "10.1.9.9", "10.9.9.9", "11.1.1.1", "2001:db8::7", "::ffff:10.1.2.3", "a", "b", "", "abcx", "A.example",
)  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Iterator[tuple[Program, Program]]:
    directory = tmp_path_factory.mktemp("p")
    looks = "|".join(f"%[var(txn.v),{look}]" for look in LOOKS).replace("{dir}", "{{dir}}")
    for name in ("pylb", "haproxy"):
        (directory / name).mkdir()
        for file, text in FILES.items():
            (directory / name / file).write_text(text)
    config = CONFIG.replace("{looks}", looks).replace("{{dir}}", "{dir}")
    with both(directory, config) as found:
        yield found


def get(program: Program, path: str = "/", **headers: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=5)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse().read().decode()
    connection.close()
    return answer


@pytest.mark.parametrize("value", VALUES)
def test_every_map_finds_what_haproxy_s_finds(pair, value):
    ours, real = (get(each, x_v=value).split("|") for each in pair)
    assert dict(zip(LOOKS, ours, strict=True)) == dict(zip(LOOKS, real, strict=True))


def said(pair: tuple[Program, Program], command: str) -> str:
    """The answer, which must be the same but for the names of entries, maps' lines and what is listed in the manual's
    program only."""
    ours, real = (each.ask(command.replace("DIR", str(each.directory))) for each in pair)
    ours, real = (text.replace(str(each.directory), "DIR") for each, text in zip(pair, (ours, real), strict=True))
    ours, real = (re.sub(r"0x[0-9a-f]+", "PTR", text).strip() for text in (ours, real))
    assert ours == real, command
    return ours


ACL_ORDERS = """\
show acl #1
show acl #2
show acl #99
show acl foo
show acl DIR/paths
add acl
add acl #2
add acl #99 a
add acl foo a
get acl
get acl #2
get acl #2 /a.css
get acl #2 /a.png
get acl #3 10.2.3.4
get acl #3 192.168.1.1
get acl #3 nonsense
get acl #5 ABC
get acl DIR/paths /static/x
get acl DIR/paths /static
get acl DIR/paths /zzz
get acl foo x
del acl
del acl #2
del acl #2 nothing
del acl DIR/paths #0x1234
clear acl
clear acl foo
commit acl @9 DIR/paths
add acl @9 DIR/paths /x
clear acl @9 DIR/paths
show acl @9 DIR/paths
prepare acl
prepare acl foo
commit acl DIR/paths
show map #99
show map foo
show map DIR/words
show map DIR/networks
get map
get map DIR/networks 10.1.2.3
get map DIR/networks 10.9.2.3
get map DIR/networks 11.1.1.1
get map DIR/counts a
get map DIR/places a
add map
add map foo a b
add map DIR/words
add map DIR/words a
set map
set map DIR/words a.example
set map DIR/words zz app2
set map foo zz app2
del map
del map DIR/words zz
del map foo a
clear map
clear map foo
"""


@pytest.mark.parametrize("order", ACL_ORDERS.splitlines())
def test_orders_are_answered_as_haproxy_answers_them(pair, order):
    said(pair, order)


def test_lists_are_numbered_and_described_as_haproxy_does_it(pair):
    def described(program: Program) -> list[str]:
        text = program.ask("show acl").replace(str(program.directory), "DIR")
        lines = [line for line in text.splitlines() if line and "httpclient" not in line]
        return [re.sub(r"entry_cnt=\d+", "", line) for line in lines]  # HAProxy counts a file again for each use

    ours, real = map(described, pair)
    assert ours == real
    assert len(ours) == 10


def everywhere(pair: tuple[Program, Program], path: str = "/", **headers: str) -> str:
    ours, real = (get(each, path, **headers) for each in pair)
    assert ours == real
    return ours


def test_an_acl_that_is_changed_decides_about_the_next_request(pair):
    assert everywhere(pair, "/new") != "listed"
    said(pair, "add acl DIR/paths /new")
    assert everywhere(pair, "/new/x") == "listed"
    said(pair, "del acl DIR/paths /static")
    assert everywhere(pair, "/static") != "listed"
    said(pair, "add acl #2 .png")
    assert everywhere(pair, "/a.png") == "listed"
    said(pair, "add acl #3 172.16.0.0/12")
    assert everywhere(pair, x_from="172.16.3.4") == "own"
    said(pair, "add acl #5 dEf")
    assert everywhere(pair, x_v="Def") == "lower"
    said(pair, "add acl #6 Third")
    assert everywhere(pair, x_route="third") == "one"
    assert everywhere(pair, x_route="second") == "two"
    said(pair, "clear acl #5")
    assert everywhere(pair, x_v="Def") != "lower"


def test_a_version_counts_when_it_is_committed(pair):
    assert said(pair, "prepare acl DIR/paths") == "New version created: 1"
    said(pair, "add acl @1 DIR/paths /later")
    assert said(pair, "show acl @1 DIR/paths") == "PTR /later"
    assert everywhere(pair, "/later") != "listed"
    said(pair, "commit acl @1 DIR/paths")
    assert everywhere(pair, "/later") == "listed"
    assert everywhere(pair, "/img") != "listed"
    assert said(pair, "show acl DIR/paths") == "PTR /later"


def test_a_map_that_is_changed_is_asked_by_the_next_request(pair):
    def first(value: str) -> str:
        return everywhere(pair, x_v=value).split("|")[0]

    assert first("c.example") == ""
    said(pair, "add map DIR/words c.example app")
    assert first("c.example") == "app"
    said(pair, "set map DIR/words c.example other")
    assert first("c.example") == "other"
    said(pair, "del map DIR/words c.example")
    assert first("c.example") == ""
    said(pair, "add map DIR/words <<\nd.example app\ne.example\tapp2\n")
    assert first("e.example") == "app2"
    said(pair, "clear map DIR/words")
    assert first("a.example") == ""
    said(pair, "add map DIR/networks 11.0.0.0/8 eleven")
    assert everywhere(pair, x_v="11.1.1.1").split("|")[10] == "eleven"


def test_what_cannot_be_a_pattern_changes_nothing(pair):
    ours, _ = pair
    before = ours.ask("show acl #3")
    assert "nonsense" in ours.ask("add acl #3 nonsense")
    assert ours.ask("show acl #3") == before
    assert "no number" in ours.ask(f"add map {ours.directory}/counts c many")
    assert "Missing value for key 'bad'" in ours.ask(f"add map {ours.directory}/counts <<\ngood 1\nbad\n")
    assert "good" not in ours.ask(f"show map {ours.directory}/counts")
