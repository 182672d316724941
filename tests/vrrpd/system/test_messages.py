"""Netlink datagrams taken apart, and how little of pyroute2 that needs."""

from __future__ import annotations

import subprocess
import sys

from vrrpd.system import rtnl
from vrrpd.system.messages import decoded, ifaddrmsg, split


def address(text: str) -> bytes:
    return bytes(rtnl.encode(ifaddrmsg(), rtnl.RTM_NEWADDR, 0, index=3, prefixlen=24, attrs=[("IFA_LOCAL", text)]))


def test_a_datagram_of_several_messages_is_read_in_order():
    data = address("10.0.0.1") + address("10.0.0.2")
    assert [message.get_attr("IFA_LOCAL") for message in decoded(data)] == ["10.0.0.1", "10.0.0.2"]


def test_messages_of_other_kinds_are_passed_over():
    neighbour = bytearray(address("10.0.0.1"))
    neighbour[4:6] = (28).to_bytes(2, sys.byteorder)
    assert [one.get_attr("IFA_LOCAL") for one in decoded(bytes(neighbour) + address("10.0.0.2"))] == ["10.0.0.2"]


def test_a_datagram_that_ends_in_the_middle_is_read_as_far_as_it_goes():
    whole = address("10.0.0.1")
    assert len(list(split(whole + b"\x10"))) == 1
    assert list(split(whole[:4] + bytes(12))) != []
    assert list(split(b"\x01\x00\x00\x00" + bytes(12))) == [], "a length below a header would never end"


def test_the_rest_of_pyroute2_is_not_loaded():
    code = "import sys, vrrpd.system.netlink; print(*(name for name in sys.modules if name.startswith('pyroute2')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "pyroute2.netlink.rtnl.ifaddrmsg" in loaded
    assert not {"pyroute2.ndb.main", "pyroute2.netlink.nlsocket", "pyroute2.iproute"} & set(loaded)


def test_who_has_all_of_pyroute2_keeps_it():
    code = "import pyroute2; whole = pyroute2; import vrrpd.system.netlink, pyroute2; assert pyroute2 is whole"
    subprocess.run([sys.executable, "-c", code], check=True)
