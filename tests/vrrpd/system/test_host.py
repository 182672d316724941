"""Netlink, sockets, executor and macvlan against a real kernel, in namespaces of their own."""

import errno
import socket
from ipaddress import ip_address, ip_network

import pytest
from netlab import INTERFACE, Lab, network_of
from support import wait_for

from vrrpd.config.model import GROUP_4, InstanceSettings, Route, Rule, VirtualAddress, Vmac
from vrrpd.core import actions
from vrrpd.system import vmac
from vrrpd.system.announcer import Announcer
from vrrpd.system.executor import Executor, Station
from vrrpd.system.host import Host
from vrrpd.system.rtnl import encode_address
from vrrpd.system.sockets import LinkKey, Receiver, Sender
from vrrpd.system.statefile import AlreadyRunning, Leftover, LeftRoute, StateFile

pytestmark = pytest.mark.netns


@pytest.fixture
def lab(tmp_path):
    with Lab(tmp_path) as one:
        yield one


@pytest.fixture
def host(lab):
    node = lab.node("m1", 100)
    with network_of(node.init):
        one = Host()
    yield node, one
    one.close()


class Silent:
    """A notifier that is never asked."""


def executor_for(host, settings, lines):
    executor = Executor(host, Silent(), Announcer(host, lambda *_: None), None, lambda level, text: lines.append(text))
    executor.stations[settings.name] = Station(settings, INTERFACE)
    return executor


def settings(**fields):
    return InstanceSettings(name="V", virtual_router_id=61, interface=INTERFACE, **fields)


def test_addresses_come_with_prefix_scope_label_and_broadcast_and_go_again(host):
    node, one = host
    addresses = (
        VirtualAddress(ip_address("172.16.10.99")),
        VirtualAddress(ip_address("10.9.0.1"), 28, broadcast="+", label=f"{INTERFACE}:v", scope="link"),
        VirtualAddress(ip_address("2001:db8::99")),
        VirtualAddress(ip_address("2001:db8::98"), 64, preferred_lifetime="forever"),
    )
    lines = []
    executor = executor_for(one, settings(addresses=addresses), lines)
    executor.perform([actions.AddAddresses("V", addresses)])
    executor.perform([actions.AddAddresses("V", addresses)])
    shown = node.run("ip", "addr", "show", INTERFACE)
    assert "inet 172.16.10.99/32 scope global" in shown
    assert f"inet 10.9.0.1/28 brd 10.9.0.15 scope link {INTERFACE}:v" in shown
    assert "inet6 2001:db8::99/128 scope global nodad deprecated" in shown
    assert "inet6 2001:db8::98/64 scope global nodad" in shown
    assert set(executor.held) == {(INTERFACE, one.address) for one in addresses}
    executor.perform([actions.RemoveAddresses("V", addresses)])
    executor.perform([actions.RemoveAddresses("V", addresses)])
    assert "2001:db8::9" not in node.run("ip", "addr", "show", INTERFACE)
    assert not lines and not executor.held


def test_routes_and_rules_come_and_go(host):
    node, one = host
    routes = (
        Route(ip_network("10.77.0.0/16"), via=ip_address("172.16.10.10")),
        Route(ip_network("10.78.0.0/16"), interface=INTERFACE, table=100, metric=7),
        Route(ip_network("10.79.0.0/16"), kind="blackhole"),
    )
    rules = (Rule(source=ip_network("10.77.0.0/16"), table=100, preference=500),)
    lines = []
    executor = executor_for(one, settings(routes=routes, rules=rules), lines)
    executor.perform([actions.AddRoutes("V", routes, rules)])
    shown = node.run("ip", "route", "show", "table", "all")
    assert f"10.77.0.0/16 via 172.16.10.10 dev {INTERFACE} proto keepalived" in shown
    assert f"10.78.0.0/16 dev {INTERFACE} table 100 proto keepalived scope link metric 7" in shown
    assert "blackhole 10.79.0.0/16 proto keepalived" in shown
    assert "500:	from 10.77.0.0/16 lookup 100" in node.run("ip", "rule", "show")
    executor.perform([actions.RemoveRoutes("V", routes, rules)])
    executor.perform([actions.RemoveRoutes("V", routes, rules)])
    assert "10.7" not in node.run("ip", "route", "show", "table", "all")
    assert "10.77" not in node.run("ip", "rule", "show")
    assert not lines


def test_what_cannot_be_done_is_logged_and_the_rest_is_done(host):
    node, one = host
    addresses = (
        VirtualAddress(ip_address("10.9.0.1"), interface="nowhere0"),
        VirtualAddress(ip_address("172.16.10.99")),
    )
    lines = []
    executor = executor_for(one, settings(addresses=addresses), lines)
    executor.perform([actions.AddAddresses("V", addresses)])
    assert lines == ["(V) cannot set 10.9.0.1: no interface nowhere0"]
    assert node.holds("172.16.10.99")


def test_the_host_is_followed_through_changes(host):
    node, one = host
    node.run("ip", "addr", "add", "172.16.10.99/32", "dev", INTERFACE)
    assert one.read_changes().interfaces == {INTERFACE}
    assert one.source(INTERFACE, 4) == ip_address("172.16.10.100")
    assert one.source(INTERFACE, 6) == ip_address("fe80::64")
    node.run("ip", "addr", "del", "172.16.10.99/32", "dev", INTERFACE)
    assert one.read_changes().removed == [(INTERFACE, ip_address("172.16.10.99"))]
    node.run("ip", "link", "set", INTERFACE, "down")
    one.read_changes()
    assert not one.links[INTERFACE].usable
    node.run("ip", "link", "set", INTERFACE, "name", "other0")
    changes = one.read_changes()
    assert {INTERFACE, "other0"} <= changes.interfaces
    assert INTERFACE not in one.links and "other0" in one.links
    node.run("ip", "link", "del", "other0")
    one.read_changes()
    assert "other0" not in one.links


def test_the_default_routes_interface_is_found(host):
    node, one = host
    assert one.default_interface() is None
    node.run("ip", "route", "add", "default", "via", "172.16.10.1")
    assert one.default_interface() == INTERFACE


def test_a_hundred_addresses_travel_in_one_batch(host):
    node, one = host
    index = one.index_of(INTERFACE)
    batch = [
        encode_address(True, VirtualAddress(ip_address(f"10.5.{n // 250}.{n % 250 + 1}")), index) for n in range(600)
    ]
    assert set(one.netlink.request(batch)) == {0}
    assert node.run("ip", "addr", "show", INTERFACE).count("inet 10.5.") == 600


def test_a_receiver_hears_its_group_on_its_interface_and_only_its_routers(lab):
    m1, m2 = lab.node("m1", 100), lab.node("m2", 101)

    with network_of(m1.init):
        host = Host()
        key = LinkKey(INTERFACE, host.index_of(INTERFACE), socket.AF_INET, 112, str(GROUP_4))
        receiver = Receiver(key, [61])
        host.close()
    with network_of(m2.init):
        host = Host()
        sender = Sender(INTERFACE, host.index_of(INTERFACE), socket.AF_INET)
        host.close()
    heard = []

    def crossed():
        """A port of the bridge forwards a moment after it is up: what is sent before is lost."""
        for vrid in (61, 62, 61):
            message = bytes([0x31, vrid, 100, 1, 0, 100, 0, 0, 10, 0, 0, 1])
            header = (
                bytes.fromhex("45c0002000010000ff700000")
                + socket.inet_aton(m2.address)
                + socket.inet_aton("224.0.0.18")
            )
            sender.send(header + message, "224.0.0.18")
        heard.extend(receiver.read())
        return len(heard) >= 2

    try:
        wait_for(crossed, 5, "packets to cross the bridge")
        assert {(str(one.source), one.ttl, one.payload[1]) for one in heard} == {(m2.address, 255, 61)}
        receiver.serve([62])
        assert all(one.payload[1] == 61 for one in receiver.read()), "what came before the change"
    finally:
        receiver.close()
        sender.close()


@pytest.mark.parametrize(("family", "mac"), [(4, "00:00:5e:00:01:3d"), (6, "00:00:5e:00:02:3d")])
def test_a_macvlan_carries_the_virtual_mac(host, family, mac):
    node, one = host
    address = VirtualAddress(ip_address("172.16.10.99" if family == 4 else "fe80::99"))
    name = vmac.ensure(one, settings(addresses=(address,), vmac=Vmac()), INTERFACE, "vrrp.61")
    assert one.links[name].mac.hex(":") == mac
    assert "macvlan mode private" in node.run("ip", "-d", "link", "show", name)
    assert vmac.ensure(one, settings(addresses=(address,), vmac=Vmac()), INTERFACE, "vrrp.61") == name
    vmac.remove(one, name)
    assert name not in node.run("ip", "link", "show")


def test_an_interface_in_the_macvlans_place_is_an_error(host):
    node, one = host
    node.run("ip", "link", "add", "vrrp.61", "type", "bridge")
    one.refresh()
    with pytest.raises(OSError) as caught:
        address = VirtualAddress(ip_address("10.0.0.1"))
        vmac.ensure(one, settings(vmac=Vmac(), addresses=(address,)), INTERFACE, "vrrp.61")
    assert caught.value.errno == errno.EEXIST


def test_the_state_file_tells_the_next_run_what_is_left_and_who_was_master(tmp_path):
    first = StateFile(tmp_path)
    with pytest.raises(AlreadyRunning, match="already running"):
        StateFile(tmp_path)
    route = LeftRoute("B", "route 10.7.0.0/16", b"\1\2")
    first.write(["A", "B"], [Leftover("A", "eth0", "10.0.0.1", 32)], [route])
    first.master("B", True)
    first.alive()
    first.close(clean=False)
    second = StateFile(tmp_path)
    assert second.former.leftovers == (Leftover("A", "eth0", "10.0.0.1", 32),)
    assert second.former.routes == (route,)
    assert second.former.masters == {"B"}
    assert second.former.silence < 5
    second.write(["A"], [])
    second.close(clean=True)
    third = StateFile(tmp_path)
    assert third.former.leftovers == () and third.former.silence == float("inf")
    third.close(clean=True)


def test_a_damaged_state_file_is_nothing_to_go_by(tmp_path):
    (tmp_path / "addresses.json").write_text('{"boot": 3')
    state = StateFile(tmp_path)
    assert state.former.leftovers == ()
    state.close(clean=True)
