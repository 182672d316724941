"""What a frontend and a backend decide together, taken alone."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylb.config import model
from pylb.net.plan import ForwardFor


def line(client: str, network: str = "", **options) -> bytes:
    setting = ForwardFor.compile(model.ForwardFor(except_network=network or None, **options))
    assert setting is not None
    return setting.line(client)


def test_a_client_is_named_in_the_header_that_was_asked_for():
    assert line("192.0.2.7") == b"\r\nX-Forwarded-For: 192.0.2.7"
    assert line("2001:db8::7", header="X-Client") == b"\r\nX-Client: 2001:db8::7"


@pytest.mark.parametrize("network", ["", "10.0.0.0/8", "::/0"])
def test_a_client_on_a_unix_socket_has_no_address_to_name(network):
    assert line("unix", network) == b""


@pytest.mark.parametrize("network", ["0.0.0.0/0", "fe80::/10", "10.1.2.3/8", "10.9.9.9"])
def test_the_other_family_and_zones_are_told_apart(network):
    excepted = {client for client in ("10.1.2.4", "10.9.9.9", "fe80::1%eth0", "::1") if not line(client, network)}
    assert (
        excepted
        == {
            "0.0.0.0/0": {"10.1.2.4", "10.9.9.9"},
            "fe80::/10": {"fe80::1%eth0"},
            "10.1.2.3/8": {"10.1.2.4", "10.9.9.9"},
            "10.9.9.9": {"10.9.9.9"},
        }[network]
    )


@given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 128))
def test_excepted_networks_hold_what_ipaddress_says(client, base, length):
    network = ipaddress.ip_network(f"{base}/{min(length, base.max_prefixlen)}", strict=False)
    assert (line(str(client), str(network)) == b"") == (client in network)
