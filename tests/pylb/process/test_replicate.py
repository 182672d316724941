"""A server's state as a record: through JSON and back, applied, and applied again."""

from __future__ import annotations

import json

from pylb.backend import operate
from pylb.backend.backend import Backend
from pylb.backend.server import Admin
from pylb.config.load import read_haproxy
from pylb.process.carry import _declared, _take_server
from pylb.process.replicate import Record, apply

CONFIG = """
defaults
 mode http
 timeout client 5s
 timeout server 5s
 timeout connect 5s
backend b
 server s1 127.0.0.1:1 check weight {weight} rise {rise} fall 3 {more}
 server s2 127.0.0.1:2
"""


def backend(weight: int = 10, rise: int = 2, more: str = "") -> Backend:
    text = CONFIG.format(weight=weight, rise=rise, more=more)
    return Backend(read_haproxy([("t.cfg", text)], {})[0].backends[0], now=0.0)


def through_json(record: Record) -> Record:
    return Record.read(json.loads(json.dumps(record)))


def test_a_record_is_the_same_behind_json() -> None:
    for server in backend().servers:
        assert through_json(Record.of(server)) == Record.of(server)


def test_what_an_operator_has_changed_arrives_and_twice_is_once() -> None:
    here, there = backend(), backend()
    server, other = here.servers[0], there.servers[0]
    operate.set_state(server, "maint", 5.0)
    operate.set_weight(server, "77", 6.0)
    operate.set_maxconn(server, 9, 7.0)
    for _ in range(2):
        assert apply({"b": there}, through_json(Record.of(server)), 8.0) is other
        assert (other.admin, other.weight, other.maxconn) == (server.admin, 77, 9)
        assert other.last_change == server.last_change and not other.usable
        assert Record.of(other) == Record.of(server)


def test_a_record_of_a_server_that_is_not_here_is_passed_by() -> None:
    record = Record.of(backend().servers[0])
    assert apply({}, record, 1.0) is None
    assert apply({"b": backend()}, record._replace(server="s9"), 1.0) is None


def taken(old: Backend, new: Backend) -> Record:
    server = old.servers[0]
    _take_server({"b": new}, through_json(Record.of(server)), _declared(server), 9.0)
    return Record.of(new.servers[0])


def test_over_a_reload_an_operators_weight_holds_unless_the_file_names_another() -> None:
    old = backend(weight=10)
    operate.set_weight(old.servers[0], "77", 1.0)
    assert taken(old, backend(weight=10)).weight == 77
    assert taken(old, backend(weight=20)).weight == 20


def test_over_a_reload_maintenance_holds_unless_the_file_has_changed_its_mind() -> None:
    old = backend()
    operate.set_state(old.servers[0], "maint", 1.0)
    assert taken(old, backend()).admin & Admin.FORCED_MAINT
    old = backend(more="disabled")
    assert old.servers[0].admin & Admin.CONFIGURED_MAINT and not taken(old, backend()).admin


def test_over_a_reload_checks_go_on_under_another_rise() -> None:
    """Just up (rise) stays just up, surely up (rise + fall - 1) surely up, and a dead one gets as many checks."""
    for before, after in ((2, 5), (4, 7), (1, 1)):
        old = backend(rise=2)
        health = old.servers[0].check
        assert health is not None
        health.health = before
        check = taken(old, backend(rise=5)).check
        assert check is not None and check.health == after
