"""accept = false, against the kernel's nftables."""

import socket
from ipaddress import ip_address

import pytest
from netlab import Lab, network_of

from vrrpd.config.model import InstanceSettings, VirtualAddress
from vrrpd.system import acceptance

pytestmark = pytest.mark.netns

V4, OTHER4, V6, OTHER6 = "10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"


def takes_packets(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as listener, socket.socket(family, socket.SOCK_DGRAM) as sender:
        listener.bind((address, 0))
        listener.settimeout(0.5)
        sender.sendto(b"x", listener.getsockname()[:2])
        try:
            return listener.recv(1) == b"x"
        except TimeoutError:
            return False


def test_packets_to_the_addresses_are_dropped_and_to_others_not(tmp_path):
    with Lab(tmp_path) as lab:
        node = lab.node("m1", 100)
        for address in (V4, OTHER4):
            node.run("ip", "addr", "add", f"{address}/32", "dev", "lo")
        for address in (V6, OTHER6):
            node.run("ip", "addr", "add", f"{address}/128", "dev", "lo", "nodad")
        with network_of(node.init):
            acceptance.apply([ip_address(V4), ip_address(V6)])
            assert [takes_packets(one) for one in (V4, OTHER4, V6, OTHER6)] == [False, True, False, True]
            acceptance.apply([ip_address(OTHER4)])
            assert [takes_packets(one) for one in (V4, OTHER4, V6, OTHER6)] == [True, False, True, True]
            acceptance.apply([])
            assert all(takes_packets(one) for one in (V4, OTHER4, V6, OTHER6))


def test_owners_and_those_who_accept_take_everything():
    def settings(**fields):
        return InstanceSettings("V", 1, "eth0", addresses=(VirtualAddress(ip_address(V4)),), **fields)

    assert acceptance.refused_addresses([settings(), settings(accept=False, priority=255)]) == []
    assert acceptance.refused_addresses([settings(accept=False)]) == [ip_address(V4)]
