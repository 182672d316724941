"""One suite over every balance algorithm: weights hold, weight changes, servers that go and return, backups, slots."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from backend_tools import Exchange, declared_server, make_backend, names

from pylb.backend import operate, state
from pylb.backend.backend import QUEUED, Backend
from pylb.backend.balance import ALGORITHMS, static_rr
from pylb.backend.balance.static_rr import spread
from pylb.config import model

DICE = random.Random(7)
# Keyword as written, its arguments and hash-type: every algorithm, both methods of hashing.
SUBJECTS: list[tuple[str, tuple[str, ...], model.HashType]] = [
    ("roundrobin", (), model.HashType()),
    ("static-rr", (), model.HashType()),
    ("leastconn", (), model.HashType()),
    ("first", (), model.HashType()),
    ("random", (), model.HashType()),
    ("random(1)", (), model.HashType()),
    ("source", (), model.HashType()),
    ("source", (), model.HashType("consistent", "sdbm", "avalanche")),
    ("uri", (), model.HashType("map-based", "crc32")),
    ("uri", (), model.HashType("consistent", "sdbm", "avalanche")),
    ("url_param", ("u",), model.HashType("map-based", "crc32")),
    ("hdr(X-U)", (), model.HashType("map-based", "wt6")),
]
HASHED = [s for s in SUBJECTS if s[0] in ("source", "uri", "url_param", "hdr(X-U)")]
STATIC = [s for s in SUBJECTS if s[0] == "static-rr" or (s in HASHED and s[2].method == "map-based")]
EXACT = ("roundrobin", "static-rr")
DYNAMIC = [s for s in SUBJECTS if s[0] in ("roundrobin", "random", "random(1)") or s[2].method == "consistent"]
SPREADS = [s for s in SUBJECTS if s[0] not in ("first", "leastconn")]


def ident(subject: tuple[str, tuple[str, ...], model.HashType]) -> str:
    return f"{subject[0]} {subject[2].method}"


def farm(subject: tuple[str, tuple[str, ...], model.HashType], *servers: model.Server | str, **options: Any) -> Backend:
    keyword, args, hash_type = subject
    return make_backend(*servers, balance=model.Balance(keyword, args), hash_type=hash_type, **options)


def exchange() -> Exchange:
    """One whose every hashed element is random."""
    user = DICE.getrandbits(64)
    head = f"GET /{user:x}?u={user} HTTP/1.1\r\nHost: h\r\nX-U: {user:x}\r\n\r\n"
    return Exchange(head.encode(), f"10.{DICE.randrange(256)}.{DICE.randrange(256)}.{DICE.randrange(1, 255)}")


def shares(backend: Backend, count: int) -> Counter[str]:
    chosen: Counter[str] = Counter()
    for _ in range(count):
        x = exchange()
        server = backend.assign(x, 0.0)
        chosen[server.name] += 1
        backend.release(x, 0.0)
    return chosen


def test_every_registered_algorithm_is_a_subject_here() -> None:
    covered = {keyword.partition("(")[0] for keyword, _, _ in SUBJECTS}
    assert set(ALGORITHMS) == covered | {"hash", "rdp-cookie"}  # which need a compiled sample: test_hashing.py


@pytest.mark.parametrize("subject", SPREADS, ids=ident)
def test_weights_hold_over_many_choices(subject: Any) -> None:
    backend = farm(subject, *(declared_server(n, weight=w) for n, w in (("a", 10), ("b", 20), ("c", 30))))
    chosen = shares(backend, 3000)
    if subject[0] in EXACT:
        assert chosen == {"a": 500, "b": 1000, "c": 1500}
    else:
        slack = 500 if subject[2].method == "consistent" or subject[0] == "random" else 200
        assert all(abs(chosen[name] - wanted) < slack for name, wanted in (("a", 500), ("b", 1000), ("c", 1500))), (
            chosen
        )


@pytest.mark.parametrize("subject", DYNAMIC, ids=ident)
def test_a_changed_weight_counts_at_once(subject: Any) -> None:
    backend = farm(subject, *(declared_server(name, weight=10) for name in "ab"))
    operate.set_weight(backend.by_name["a"], "90", 0.0)
    chosen = shares(backend, 2000)
    assert chosen["a"] > 4 * chosen["b"] > 0
    operate.set_weight(backend.by_name["a"], "0", 0.0)
    assert set(shares(backend, 50)) == {"b"}


@pytest.mark.parametrize("subject", STATIC, ids=ident)
def test_servers_that_fail_together_cost_a_static_algorithm_one_map(
    subject: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = farm(subject, "a", "b", "c", "d")
    made: list[list[str]] = []

    def counted(servers: Any, divisor: int) -> list[Any]:
        made.append([server.name for server in servers])
        return spread(servers, divisor)

    monkeypatch.setattr(static_rr, "spread", counted)
    for server in backend.servers[:2]:
        state.stopped(server, 1.0)
    assert not made
    assert set(shares(backend, 50)) == {"c", "d"}
    assert made == [["c", "d"]]


@pytest.mark.parametrize("subject", STATIC, ids=ident)
def test_static_algorithms_refuse_other_weights_than_none_and_all(subject: Any) -> None:
    backend = farm(subject, *(declared_server(name, weight=10) for name in "ab"))
    with pytest.raises(operate.Refused, match="static LB algorithm"):
        operate.set_weight(backend.by_name["a"], "5", 0.0)
    operate.set_weight(backend.by_name["a"], "0%", 0.0)
    assert set(shares(backend, 50)) == {"b"}
    operate.set_weight(backend.by_name["a"], "100%", 0.0)
    assert "a" in shares(backend, 50)


@pytest.mark.parametrize("subject", SUBJECTS, ids=ident)
def test_a_server_that_is_down_gets_nothing_and_returns(subject: Any) -> None:
    backend = farm(subject, *"abc")
    state.stopped(backend.by_name["a"], 1.0)
    assert "a" not in shares(backend, 100)
    assert set(shares(backend, 100)) <= {"b", "c"}
    state.running(backend.by_name["a"], 2.0)
    assert "a" in shares(backend, 100)


@pytest.mark.parametrize("subject", SUBJECTS, ids=ident)
def test_backups_serve_only_when_all_others_are_gone(subject: Any) -> None:
    backup = [declared_server(name, backup=True) for name in ("y", "z")]
    backend = farm(subject, "a", *backup)
    assert set(shares(backend, 50)) == {"a"}
    state.stopped(backend.by_name["a"], 1.0)
    assert set(shares(backend, 50)) == {"y"}
    everyone = farm(subject, "a", *backup, allbackups=True)
    state.stopped(everyone.by_name["a"], 1.0)
    assert set(shares(everyone, 200)) == ({"y"} if subject[0] == "first" else {"y", "z"})
    for server in backend.servers:
        state.stopped(server, 2.0)
    assert backend.assign(exchange(), 2.0) is None


@pytest.mark.parametrize("subject", SUBJECTS, ids=ident)
def test_no_choice_exceeds_maxconn(subject: Any) -> None:
    backend = farm(subject, *(declared_server(name, maxconn=2) for name in "abc"))
    running = [exchange() for _ in range(20)]
    results = [backend.assign(x, 0.0) for x in running]
    assert all(server.counters.scur <= 2 for server in backend.servers)
    waiting = results.count(QUEUED)
    if ALGORITHMS[subject[0].partition("(")[0]].overflows:
        assert waiting == 14 and backend.queue.length == 14
    else:
        assert waiting == sum(server.queue.length for server in backend.servers) + backend.queue.length
    assert waiting + sum(server.counters.scur for server in backend.servers) == 20


@pytest.mark.parametrize("subject", [s for s in SUBJECTS if s not in HASHED], ids=ident)
def test_a_redispatch_avoids_the_server_that_failed(subject: Any) -> None:
    backend = farm(subject, *"abc", redispatch=-1)
    for _ in range(30):
        x = exchange()
        failed = backend.assign(x, 0.0)
        other = backend.reassign(x, 0.0, redispatch=True)
        assert other is not failed and x.redispatched
        backend.release(x, 0.0)
    alone = farm(subject, "a", redispatch=-1)
    x = exchange()
    assert alone.assign(x, 0.0) is alone.reassign(x, 0.0, redispatch=True)
    assert not x.redispatched and alone.servers[0].counters.wretr == 1


def test_roundrobin_spreads_a_heavy_server_over_the_cycle() -> None:
    backend = make_backend(declared_server("a", weight=5), "b", "c")
    assert "aaaaa" not in "".join(names(backend, 70))
    assert Counter(names(backend, 70)) == {"a": 50, "b": 10, "c": 10}


def test_roundrobin_takes_equal_servers_in_order() -> None:
    assert names(make_backend("a", "b", "c"), 7) == ["a", "b", "c", "a", "b", "c", "a"]


@pytest.mark.parametrize("seed", range(20))
def test_roundrobin_is_exact_in_every_cycle_whatever_the_weights(seed: int) -> None:
    dice = random.Random(seed)
    weights = {name: dice.randint(1, 256) for name in "abcdef"[: dice.randint(1, 6)]}
    backend = make_backend(*(declared_server(name, weight=weight) for name, weight in weights.items()))
    assert Counter(names(backend, 3 * sum(weights.values()))) == {name: 3 * weight for name, weight in weights.items()}


def test_leastconn_takes_the_least_loaded_and_rotates_among_equals() -> None:
    backend = make_backend("a", "b", "c", balance=model.Balance("leastconn"))
    held = [exchange() for _ in range(6)]
    assert Counter(backend.assign(x, 0.0).name for x in held) == {"a": 2, "b": 2, "c": 2}
    freed = held[4].server
    backend.release(held[4], 0.0)
    assert backend.assign(exchange(), 0.0) is freed
    idle = make_backend("a", "b", "c", balance=model.Balance("leastconn"))
    assert Counter(names(idle, 30)) == {"a": 10, "b": 10, "c": 10}


def test_leastconn_fills_in_proportion_to_weights() -> None:
    servers = [declared_server(name, weight=weight) for name, weight in (("a", 1), ("b", 2), ("c", 4))]
    backend = make_backend(*servers, balance=model.Balance("leastconn"))
    for _ in range(70):
        backend.assign(exchange(), 0.0)
    held = {server.name: server.counters.scur for server in backend.servers}
    assert all(abs(held[name] - wanted) <= 1 for name, wanted in (("a", 10), ("b", 20), ("c", 40))), held


def test_leastconn_forgets_stale_places() -> None:
    backend = make_backend(*"abc", balance=model.Balance("leastconn"))
    held = [exchange() for _ in range(3)]
    for x in held:
        backend.assign(x, 0.0)
    for _ in range(2000):
        x = exchange()
        backend.assign(x, 0.0)
        backend.release(x, 0.0)
    assert len(backend.balance._heap) < 200


def test_first_fills_in_order_of_ids() -> None:
    servers = [declared_server("a", id=9, maxconn=2), declared_server("b", id=3, maxconn=2)]
    backend = make_backend(*servers, balance=model.Balance("first"))
    assert [backend.assign(exchange(), 0.0).name for _ in range(4)] == ["b", "b", "a", "a"]


def test_consistent_hashing_moves_only_the_keys_of_a_server_that_leaves() -> None:
    backend = farm(("uri", (), model.HashType("consistent", "sdbm", "avalanche")), *"abcd")
    keys = [exchange() for _ in range(400)]
    before = {x: backend.balance.pick(x, None) for x in keys}
    state.stopped(backend.by_name["a"], 1.0)
    after = {x: backend.balance.pick(x, None) for x in keys}
    moved = [x for x in keys if before[x] is not after[x]]
    assert moved == [x for x in keys if before[x].name == "a"] and moved


def test_exchanges_without_the_hashed_element_are_rotated() -> None:
    for method in ("map-based", "consistent"):
        backend = farm(("hdr(X-None)", (), model.HashType(method)), *"abc")
        assert set(shares(backend, 200)) == {"a", "b", "c"}


def test_hash_takes_the_bytes_of_any_sample() -> None:
    declared = model.Backend("b", servers=(declared_server("a"), declared_server("b")), balance=model.Balance("hash"))
    values: list[Any] = [b"x", 5, None, True]
    for value in values:
        backend = Backend(declared, fetch=lambda x, value=value: value)
        first = backend.assign(exchange(), 0.0)
        assert value is None or all(backend.assign(exchange(), 0.0) is first for _ in range(5))


@pytest.mark.parametrize(
    ("keyword", "args"),
    [("uri", ("len",)), ("uri", ("deep", "3")), ("url_param", ()), ("hdr", ()), ("random(0)", ()), ("hash", ())],
)
def test_bad_arguments_are_refused_at_load(keyword: str, args: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=keyword.partition("(")[0]):
        make_backend("a", balance=model.Balance(keyword, args))
