"""Certificates replaced while clients are served, beside the real HAProxy: what is said, and what clients are shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from admin_pair import Program, both, said, shown
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pylb.net.certificates import self_signed

pytestmark = pytest.mark.interop

CONFIG = """
global
    stats socket {dir}/admin.sock mode 600 level admin
{defaults}frontend web
    bind 127.0.0.1:{port}
    bind 127.0.0.1:{tls} ssl crt {dir}/one.pem crt {dir}/two.pem
    http-request return status 200
"""


@pytest.fixture
def pair(tmp_path) -> Iterator[tuple[Program, Program]]:
    bundles = {"one.pem": self_signed(["one.lab", "*.one.lab"]), "two.pem": self_signed(["two.lab", "10.0.0.1"])}
    for name in ("pylb", "haproxy"):
        (tmp_path / name).mkdir()
        for file, data in bundles.items():
            (tmp_path / name / file).write_bytes(data)
    with both(tmp_path, CONFIG, "tls") as found:
        yield found


ORDERS = """\
show ssl cert
show ssl cert DIR/one.pem
show ssl cert DIR/two.pem
show ssl cert foo
set ssl cert
set ssl cert foo
commit ssl cert
commit ssl cert foo
abort ssl cert
abort ssl cert foo
new ssl cert
new ssl cert DIR/one.pem
del ssl cert
del ssl cert foo
del ssl cert DIR/one.pem
new ssl cert fresh.pem
show ssl cert
show ssl cert fresh.pem
commit ssl cert fresh.pem
del ssl cert fresh.pem
show ssl cert
"""


def test_orders_are_answered_as_haproxy_answers_them(pair):
    for order in ORDERS.splitlines():
        said(pair, order)
    said(pair, "set ssl cert foo <<\nx\n")
    said(pair, "set ssl cert DIR/one.pem <<\ngarbage\n")
    said(pair, "show ssl cert")


def test_a_committed_certificate_is_shown_to_the_next_client(pair):
    new = self_signed(["new.lab"]).decode()
    for each in pair:
        assert shown(each, None) == shown(each, "a.one.lab") == ["one.lab", "*.one.lab"]
        assert shown(each, "two.lab") == ["two.lab", "10.0.0.1"]
    said(pair, f"set ssl cert DIR/two.pem <<\n{new}")
    said(pair, f"set ssl cert DIR/two.pem <<\n{new}")
    said(pair, "show ssl cert")
    said(pair, "show ssl cert *DIR/two.pem")
    said(pair, "commit ssl cert DIR/one.pem")
    said(pair, "abort ssl cert DIR/one.pem")
    for each in pair:
        assert shown(each, "two.lab") == ["two.lab", "10.0.0.1"]
    assert said(pair, "commit ssl cert DIR/two.pem").endswith("Success!")
    for each in pair:
        assert shown(each, "new.lab") == ["new.lab"]
        assert shown(each, "two.lab") == shown(each, None) == ["one.lab", "*.one.lab"]
    said(pair, "show ssl cert DIR/two.pem")


def test_the_default_certificate_can_be_replaced_too(pair):
    new = self_signed(["other.lab"]).decode()
    said(pair, f"set ssl cert DIR/one.pem <<\n{new}")
    said(pair, "abort ssl cert DIR/one.pem")
    said(pair, f"set ssl cert DIR/one.pem <<\n{new}")
    said(pair, "commit ssl cert DIR/one.pem")
    for each in pair:
        assert shown(each, None) == shown(each, "x.lab") == ["other.lab"]


def test_a_certificate_whose_key_is_missing_or_another_changes_nothing(pair):
    ours, _ = pair
    certificate = x509.load_pem_x509_certificate(self_signed(["keyless.lab"])).public_bytes(Encoding.PEM).decode()
    path = ours.directory / "one.pem"
    assert "created" in ours.ask(f"set ssl cert {path} <<\n{certificate}")
    assert "Can't commit" in ours.ask(f"commit ssl cert {path}")
    assert shown(ours, None) == ["one.lab", "*.one.lab"]
    assert "about" in ours.ask(f"set ssl cert {ours.directory}/two.pem <<\n{certificate}")
