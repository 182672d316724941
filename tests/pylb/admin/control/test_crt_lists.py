"""Lines of crt-lists that come and go while clients are served, beside the real HAProxy."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from admin_pair import Program, both, pylb, said, shown
from support import free_port, wait_for

from pylb.net.certificates import self_signed

CONFIG = """
global
    stats socket {dir}/admin.sock mode 600 level admin
    crt-base {dir}/base
{defaults}frontend web
    bind 127.0.0.1:{port}
    bind 127.0.0.1:{tls} ssl crt {dir}/some/ crt-list {dir}/names ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.3
    bind 127.0.0.1:{strict} ssl crt-list {dir}/names strict-sni ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.3
    bind 127.0.0.1:{listed} ssl crt-list {dir}/more
    http-request return status 200
"""

NAMES = """\
# certificates and names

one.pem
two.pem [ssl-max-ver TLSv1.3 no-ca-names ssl-min-ver TLSv1.2 verify none alpn http/1.1 ecdhe P-256] *.X.lab !a.x.lab
two.pem   !*
"""


@cache
def bundle(name: str) -> bytes:
    """The same for both programs, which show its details."""
    return self_signed([name])


def prepare(directory: Path) -> None:
    for place in ("base", "some"):
        (directory / place).mkdir(parents=True)
    for file in ("base/one", "base/two", "some/first", "some/second"):
        (directory / f"{file}.pem").write_bytes(bundle(f"{file.split('/')[1]}.lab"))
    (directory / "names").write_text(NAMES)
    (directory / "more").write_text("two.pem\none.pem a.lab\none.pem b.lab\n")


@pytest.fixture
def pair(tmp_path) -> Iterator[tuple[Program, Program]]:
    for name in ("pylb", "haproxy"):
        prepare(tmp_path / name)
    with both(tmp_path, CONFIG, "tls", "strict", "listed") as found:
        yield found


def store(each: Program, path: str, names: list[str]) -> None:
    """A certificate that no bind has yet."""
    each.ask(f"new ssl cert {path}")
    assert "created" in each.ask(f"set ssl cert {path} <<\n{self_signed(names).decode()}")
    assert "Success" in each.ask(f"commit ssl cert {path}")


ORDERS = """\
show ssl crt-list
show ssl crt-list -n
show ssl crt-list DIR/names
show ssl crt-list -n DIR/names
show ssl crt-list -n DIR/some
show ssl crt-list DIR/some/
show ssl crt-list foo
show ssl crt-list -n foo
add ssl crt-list
add ssl crt-list DIR/names
add ssl crt-list foo one.pem
add ssl crt-list DIR/names foo.pem
add ssl crt-list DIR/some one.pem
add ssl crt-list DIR/some/ DIR/some/foo
add ssl crt-list DIR/some DIR/some/second.pem
new ssl cert DIR/base/empty.pem
add ssl crt-list DIR/names empty.pem
del ssl crt-list
del ssl crt-list DIR/names
del ssl crt-list foo foo
del ssl crt-list DIR/names foo
del ssl crt-list DIR/names two.pem
del ssl crt-list DIR/names DIR/some/second.pem
del ssl crt-list DIR/names DIR/base/two.pem
del ssl crt-list DIR/names DIR/base/two.pem:9
del ssl crt-list DIR/names DIR/base/two.pem:x
del ssl crt-list DIR/names DIR/base/two.pem:
del ssl crt-list DIR/names DIR/base/one.pem:9
del ssl crt-list DIR/some DIR/some/first.pem
del ssl crt-list DIR/more DIR/base/two.pem
del ssl crt-list DIR/more DIR/base/one.pem:3
del ssl crt-list DIR/names DIR/base/two.pem:4
del ssl crt-list DIR/names DIR/base/two.pem
del ssl crt-list DIR/some DIR/some/second.pem
show ssl crt-list DIR/names
show ssl crt-list -n DIR/some
show ssl crt-list -n DIR/more
show ssl cert DIR/base/two.pem
show ssl cert DIR/some/second.pem
del ssl cert DIR/base/two.pem
del ssl cert DIR/some/second.pem
show ssl cert
help show ssl crt-list
help add ssl crt-list
help del ssl crt-list
"""
LINES = """\
new.pem
DIR/base/new.pem
new.pem  Upper.lab !Foo.lab
new.pem [] other.lab
new.pem * !foo.lab
new.pem [alpn http/1.1] b.lab !c.lab
new.pem [ciphers ECDHE-ECDSA-AES256-GCM-SHA384 alpn http/1.1 verify none]
new.pem [bogus http/1.1] b.lab
new.pem ] [alpn http/1.1 b.lab
new.pem [ca-file
[alpn http/1.1]
foo.pem [alpn http/1.1] foo.lab
"""


@pytest.mark.interop
def test_orders_are_answered_as_haproxy_answers_them(pair):
    for order in ORDERS.splitlines():
        said(pair, order)


@pytest.mark.interop
def test_lines_are_read_and_shown_as_haproxy_does(pair):
    for each in pair:
        store(each, f"{each.directory}/base/new.pem", ["new.lab"])
        store(each, f"{each.directory}/some/new.pem", ["new.lab"])
    for line in LINES.splitlines()[:-3]:
        said(pair, f"add ssl crt-list DIR/names <<\n{line}\n")
    for line in LINES.splitlines()[-2:]:
        said(pair, f"add ssl crt-list DIR/names <<\n{line}\n")
    said(pair, "add ssl crt-list DIR/names <<\nnew.pem a\nnew.pem b\n")
    said(pair, "add ssl crt-list DIR/more DIR/base/new.pem")
    said(pair, "add ssl crt-list DIR/some DIR/some/new.pem")
    for listing in ("names", "more", "some"):
        said(pair, f"show ssl crt-list -n DIR/{listing}")
        said(pair, f"show ssl crt-list DIR/{listing}")


@pytest.mark.interop
def test_clients_are_shown_what_the_lines_say(pair):
    for each in pair:
        store(each, f"{each.directory}/base/new.pem", ["new.lab", "fresh.lab"])
        assert shown(each, "new.lab") == ["first.lab"]
        with pytest.raises(ssl.SSLError):
            shown(each, "new.lab", "strict")
    said(pair, "add ssl crt-list DIR/names new.pem")
    said(pair, "add ssl crt-list DIR/names <<\nnew.pem *.named.lab !no.named.lab\n")
    for each in pair:
        for port in ("tls", "strict"):
            for name in ("new.lab", "fresh.lab", "a.named.lab"):
                assert shown(each, name, port) == ["new.lab", "fresh.lab"]
        assert shown(each, "no.named.lab") == shown(each, None) == ["first.lab"]
        assert shown(each, "new.lab", "listed") == ["two.lab"]
    said(pair, "del ssl cert DIR/base/new.pem")
    said(pair, "del ssl crt-list DIR/names DIR/base/new.pem:6")
    for each in pair:
        assert shown(each, "new.lab") == ["first.lab"]
        assert shown(each, "a.named.lab", "strict") == ["new.lab", "fresh.lab"]
    said(pair, "del ssl crt-list DIR/names DIR/base/new.pem")
    said(pair, "del ssl crt-list DIR/names DIR/base/one.pem")
    for each in pair:
        for name in ("one.lab", "a.named.lab", None):
            with pytest.raises(ssl.SSLError):
                shown(each, name, "strict")
    said(pair, "del ssl cert DIR/base/new.pem")


@pytest.mark.interop
def test_an_added_certificate_is_replaced_by_a_commit(pair):
    for each in pair:
        path = f"{each.directory}/base/new.pem"
        store(each, path, ["new.lab"])
        each.ask(f"add ssl crt-list {each.directory}/names new.pem")
        store(each, path, ["new.lab", "newer.lab"])
        for port in ("tls", "strict"):
            assert shown(each, "newer.lab", port) == ["new.lab", "newer.lab"]


@pytest.mark.interop
def test_a_line_that_a_bind_cannot_show_changes_nothing(pair):
    for each in pair:
        store(each, f"{each.directory}/base/new.pem", ["new.lab"])
        answer = each.ask(f"add ssl crt-list {each.directory}/names <<\nnew.pem [ciphers FOO]\n")
        assert "FOO" in answer and re.search(r"for bind .*haproxy.cfg:1[23]", answer) and "Failed!" in answer
        assert shown(each, "new.lab") == ["first.lab"]
        assert "new.pem" not in each.ask(f"show ssl crt-list {each.directory}/names")
        assert "Unused" in each.ask(f"show ssl cert {each.directory}/base/new.pem")


@contextmanager
def alone(directory: Path) -> Iterator[Program]:
    prepare(directory)
    config = CONFIG.replace("global\n", "global\n    nbthread 2\n")
    with pylb(directory, config, tls=free_port(), strict=free_port(), listed=free_port()) as program:
        wait_for((directory / "admin.sock").exists, 10, "the admin socket")
        yield program


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("new.pem [allow-0rtt]", "replayed"),
        ("new.pem [verify required]", "cannot differ"),
        ("new.pem [alpn http/1.1 b.lab", "not closed"),
        ("new.pem a [alpn http/1.1]", "stand once"),
    ],
)
def test_what_a_crt_list_may_not_have_a_line_may_not_either(tmp_path, line, what):
    with alone(tmp_path / "lb") as program:
        store(program, f"{program.directory}/base/new.pem", ["new.lab"])
        answer = program.ask(f"add ssl crt-list {program.directory}/names <<\n{line}\n")
        assert answer.startswith("Can't edit the crt-list: parsing [CLI:1]:") and what in answer
        assert "new.pem" not in program.ask(f"show ssl crt-list {program.directory}/names")


def test_every_worker_shows_an_added_certificate(tmp_path):
    with alone(tmp_path / "lb") as program:
        store(program, f"{program.directory}/base/new.pem", ["new.lab"])
        assert "Success" in program.ask(f"add ssl crt-list {program.directory}/names new.pem")
        assert {tuple(shown(program, "new.lab")) for _ in range(16)} == {("new.lab",)}
        assert "deleted" in program.ask(f"del ssl crt-list {program.directory}/names {program.directory}/base/new.pem")
        assert {tuple(shown(program, "new.lab")) for _ in range(16)} == {("first.lab",)}
