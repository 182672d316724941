"""Strategies for whole configurations, made from the model's type hints: whatever the readers could produce."""

from __future__ import annotations

import types
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from pylb.config import model as m

RESERVED = {"if", "unless", "global"}

names = st.text("abcdefghijkXYZ019._-:", min_size=1, max_size=8)
# What stands in words: quotes, backslashes, variables, blanks and other languages among it.
words = st.text(st.sampled_from("ab1 /._-,:#\"'\\${}%[]äß東"), min_size=1, max_size=10).filter(
    lambda text: text not in RESERVED and text.strip() == text
)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)
times = st.integers(0, 10_000_000).map(lambda n: n / 1000) | st.integers(0, 5_000_000).map(lambda n: n / 1_000_000)

hosts = st.sampled_from(["", "127.0.0.1", "::", "2001:db8::1", "web-1.example"])
ports = st.integers(1, 65535)
inet = st.builds(m.Address, host=hosts, port=ports)
paths = st.builds(m.Address, kind=st.just("unix"), path=st.sampled_from(["/run/x.sock", "relative.sock"]))
abstract = st.builds(m.Address, kind=st.just("abns"), path=names)
inherited = st.builds(m.Address, kind=st.just("fd"), fd=st.integers(3, 99))
ranges = ports.flatmap(lambda p: st.builds(m.Address, host=hosts, port=st.just(p), port_end=st.integers(p, 65535)))
families = st.sampled_from(["ipv4", "ipv6"]).flatmap(lambda f: st.builds(m.Address, port=ports, family=st.just(f)))
offsets = st.builds(m.Address, host=hosts, port=st.integers(-99, 99), port_offset=st.just(True))
portless = st.builds(m.Address, host=hosts)
bind_addresses = inet | paths | abstract | inherited | ranges | families
server_addresses = inet | paths | abstract | offsets | portless | families

calls = st.builds(
    m.Call,
    name=st.sampled_from(["hdr", "path", "src", "req.hdr", "lower"]),
    args=st.lists(words, max_size=2).map(tuple),
)
samples = st.builds(m.Sample, fetch=calls, converters=st.lists(calls, max_size=2).map(tuple))
patterns = words.filter(lambda text: text not in ("{", "}", "||", "or") and not text.startswith("-"))
tests = st.builds(
    m.Test,
    sample=samples,
    match=st.none() | st.sampled_from(["str", "beg"]),
    ignore_case=st.booleans(),
    values=st.lists(patterns, max_size=3).map(tuple),
    files=st.lists(patterns, max_size=2).map(tuple),
)
acl_names = st.text("abcXYZ_019.-", min_size=1, max_size=6).filter(lambda text: text not in {*RESERVED, "or", "and"})
terms = st.builds(m.Term, acl=acl_names | tests, negated=st.booleans())
groups = st.lists(terms, min_size=1, max_size=2).map(tuple)
conditions = st.builds(m.Condition, any_of=st.lists(groups, min_size=1, max_size=2).map(tuple), unless=st.booleans())
rules = st.builds(
    m.Rule,
    action=st.sampled_from(["set-header", "deny", "redirect"]),
    args=st.lists(words, max_size=3).map(tuple),
    condition=st.none() | conditions,
)
tcp_rules = st.builds(replace, rules, action=st.sampled_from(["connection reject", "content accept", "inspect-delay"]))
steps = (
    st.builds(
        m.CheckStep,
        kind=st.just("send"),
        options=st.dictionaries(st.sampled_from(["meth", "uri", "body"]), texts).map(lambda d: tuple(d.items())),
        headers=st.lists(st.tuples(acl_names, words), max_size=2).map(tuple),
    )
    | st.builds(m.CheckStep, kind=st.just("connect"), options=st.just((("port", "81"), ("ssl", ""))))
    | st.builds(m.CheckStep, kind=st.just("expect"), options=texts.map(lambda t: (("match", "string"), ("pattern", t))))
)

# One strategy for each type that is not taken apart by its hints, and for each field that is special.
BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    float: times,
    str: texts,
    m.Acl: st.builds(m.Acl, name=acl_names, test=tests),
    m.Balance: st.sampled_from(
        [
            m.Balance(),
            m.Balance("leastconn"),
            m.Balance("uri", ("depth", "3", "whole")),
            m.Balance("random(3)"),
            m.Balance("hdr(X-Client)", ("use_domain_only",)),
            m.Balance("url_param", ("user id",)),
        ]
    ),
    m.CheckStep: steps,
    m.Condition: conditions,
    m.HashType: st.builds(
        m.HashType,
        method=st.sampled_from(["map-based", "consistent"]),
        function=st.sampled_from(["sdbm", "djb2", "crc32", "wt6"]),
        modifier=st.none() | st.just("avalanche"),
    ),
    m.Capture: st.builds(m.Capture, st.sampled_from(["request", "response", "cookie"]), st.integers(1, 255), words),
    m.Rule: rules,
    m.StickRule: st.builds(
        m.StickRule,
        kind=st.sampled_from(["match", "on", "store-request", "store-response"]),
        sample=samples,
        table=st.none() | words,
        condition=st.none() | conditions,
    ),
    m.UseBackend: st.builds(m.UseBackend, backend=words, condition=st.none() | conditions),
}
BY_FIELD: dict[tuple[Any, str], st.SearchStrategy[Any]] = {
    (m.Bind, "address"): bind_addresses,
    (m.Bind, "mode"): st.none() | st.integers(0, 0o777),
    (m.Cookie, "name"): words,
    (m.ErrorFile, "status"): st.integers(200, 599),
    (m.Global, "workers"): st.none() | st.integers(0, 64),
    (m.Global, "spread_checks"): st.integers(0, 50),
    (m.LogTarget, "address"): st.sampled_from(["127.0.0.1:514", "/dev/log", "stdout", "fd@2"]),
    (m.LogTarget, "facility"): st.sampled_from(["local0", "daemon"]),
    (m.LogTarget, "format"): st.sampled_from(["", "local", "rfc3164", "raw"]),
    (m.LogTarget, "length"): st.integers(80, 65535),
    (m.LogTarget, "sample"): st.sampled_from(["", "1:4", "1,3-4:10"]),
    (m.LogTarget, "level"): st.sampled_from(["debug", "info", "emerg"]),
    (m.LogTarget, "min_level"): st.sampled_from(["emerg", "err"]),
    (m.Backend, "retry_on"): st.lists(st.sampled_from(["conn-failure", "503"]), max_size=2).map(tuple),
    (m.StickTable, "type"): st.sampled_from(["ip", "string"]),
    (m.StickTable, "store"): st.lists(st.sampled_from(["gpc0", "http_req_rate(10s)"]), max_size=2).map(tuple),
    (m.Server, "address"): server_addresses,
    (m.Server, "weight"): st.integers(0, 256),
    (m.StatsPage, "auth"): st.lists(st.tuples(acl_names, texts), max_size=2).map(tuple),
    (m.Tune, "bufsize"): st.integers(1024, 1 << 24),
}


def of(cls: Any, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Instances of a model class with a few of its fields set; `given` are set always."""
    hints = get_type_hints(cls)
    must = {f.name for f in fields(cls) if f.default is MISSING and f.name not in given}
    may = sorted({f.name for f in fields(cls)} - HIDDEN - must - given.keys())
    by_name = {f: _field(cls, f, hints[f]) for f in (*must, *may)}

    @st.composite
    def build(draw: st.DrawFn) -> Any:
        chosen = draw(st.lists(st.sampled_from(may), max_size=FIELDS_SET, unique=True)) if may else []
        strategies = {**given, **{name: by_name[name] for name in (*sorted(must), *chosen)}}
        return cls(**{name: draw(strategy) for name, strategy in strategies.items()})

    return build()


# A section with all of its fields set takes Hypothesis seconds to draw; any few of them meet in the course of a run.
FIELDS_SET = 5
HIDDEN = {"at", "accept_invalid", "auth_at", "default_backend_at", "format_places", "listen"}


def _field(cls: Any, name: str, hint: Any) -> st.SearchStrategy[Any]:
    if (cls, name) in BY_FIELD:
        return BY_FIELD[cls, name]
    if name in ("min_version", "max_version"):
        return st.none() | st.sampled_from(["TLSv1.2", "TLSv1.3"])
    if name == "tcp_request":
        return st.lists(tcp_rules, max_size=2).map(tuple)
    return _hint(hint)


def _hint(hint: Any) -> st.SearchStrategy[Any]:
    origin, args = get_origin(hint), get_args(hint)
    if hint in BY_TYPE:
        return BY_TYPE[hint]
    if hint is int:
        return st.integers(1, 255)
    if origin in (Union, types.UnionType):
        return st.none() | _hint(next(a for a in args if a is not type(None)))
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        return st.lists(_hint(args[0]), max_size=2).map(tuple)
    assert is_dataclass(hint), hint
    return of(hint)


def _named(count: int, prefix: str, cls: Any) -> st.SearchStrategy[Any]:
    """Up to `count` instances with different names."""
    return st.lists(of(cls, name=names), max_size=count, unique_by=lambda item: item.name).map(tuple)


servers = _named(3, "s", m.Server)
user_lists = st.builds(
    m.UserList,
    name=names,
    users=st.lists(st.tuples(names, texts, st.booleans()), max_size=2, unique_by=lambda user: user[0]).map(tuple),
    groups=st.lists(st.tuples(names, st.lists(names, max_size=2).map(tuple)), max_size=2, unique_by=lambda g: g[0]).map(
        tuple
    ),
)
frontends = of(m.Frontend, name=names)
backends = of(m.Backend, name=names, servers=servers)

CLIENT_SIDE_ONLY = ("http_request", "http_response", "http_after_response", "tcp_request")
ONE_SIDED = {*CLIENT_SIDE_ONLY, "stick_table"}


def listen(frontend: m.Frontend, backend: m.Backend) -> tuple[m.Frontend, m.Backend]:
    """The two sides of one `listen` section, as the readers give them."""
    shared = {f.name: getattr(frontend, f.name) for f in fields(m.Proxy) if f.name not in ONE_SIDED}
    none = dict.fromkeys(CLIENT_SIDE_ONLY, ())
    name = frontend.name
    server_side = {**shared, **none, "listen": True}
    client_side = {"listen": True, "cookie": None, "stick_table": None, "default_backend": name}
    return replace(frontend, **client_side), replace(backend, **server_side)


@st.composite
def configs(draw: st.DrawFn) -> m.Config:
    """A configuration of a few sections of each kind."""
    by_name = {"unique_by": lambda item: item.name}
    front = draw(st.lists(frontends, max_size=2, **by_name))
    back = draw(st.lists(backends, max_size=2, **by_name))
    taken = {item.name for item in (*front, *back)}
    both = [
        listen(draw(frontends.filter(lambda f: f.name not in taken)), draw(backends))
        for _ in range(draw(st.integers(0, 1)))
    ]
    place = draw(st.integers(0, 2))
    front[place:place] = [f for f, _ in both]
    back[place:place] = [b for _, b in both]
    lists = draw(st.lists(user_lists, max_size=1))
    return m.Config(draw(of(m.Global)), tuple(front), tuple(back), tuple(lists))
