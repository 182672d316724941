"""An exchange in a test's hand: real heads, plain attributes for everything else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pylb.config.expression import parse_acl_text, parse_condition_text, parse_rule_text, parse_sample
from pylb.config.model import NOWHERE, Config, Frontend
from pylb.config.words import Report
from pylb.counters import ProxyCounters
from pylb.http1.head import Limits, parse_request, parse_response
from pylb.rules.acl import compile_condition, compile_test
from pylb.rules.compile import compile_sample
from pylb.rules.kinds import Kind
from pylb.rules.logformat import compile_text
from pylb.rules.scope import Place, Scope, World
from pylb.rules.steps import compile_rule

REQUEST = (
    b"GET /a/b.html?q=1&b=%20x HTTP/1.1\r\nHost: Www.Example.com:8080\r\nUser-Agent: curl/7\r\n"
    b'Accept: a, b;q=1, "c,d"\r\nCookie: a=1; b=2\r\n\r\n'
)
RESPONSE = b"HTTP/1.1 200 OK\r\nServer: x\r\nSet-Cookie: SID=abc; path=/\r\nContent-Length: 5\r\n\r\n"


def request_head(raw: bytes = REQUEST) -> Any:
    """A parsed request; the empty line may be left out."""
    raw = raw.rstrip(b"\r\n") + b"\r\n\r\n"
    return parse_request(raw, 0, len(raw) - 4, Limits())


def response_head(raw: bytes = RESPONSE) -> Any:
    """A parsed response."""
    return parse_response(raw, 0, len(raw) - 4, Limits())


def exchange(raw: bytes = REQUEST, response: bytes | None = None, **attributes: Any) -> Any:
    """An exchange whose request is complete."""
    session = SimpleNamespace(
        src="127.0.0.1", src_port=60180, dst="127.0.0.2", dst_port=80, accepted=10.0, accepted_wall=1795451979.947,
        tls=None, requests=1, variables=None, tracked=None, loop=SimpleNamespace(time=lambda: 10.0),
    )  # fmt: skip
    frontend = SimpleNamespace(
        name="fe", model=Frontend("fe", mode="http", id=2), counters=ProxyCounters(), make_unique_id=None,
        http_after_response=(), plus=b"",
    )  # fmt: skip
    values: dict[str, Any] = {
        "session": session, "frontend": frontend, "backend": None, "server": None, "request": request_head(raw),
        "request_line": raw.split(b"\r\n", 1)[0], "response": None if response is None else response_head(response),
        "status": 0, "started": 10.0, "started_wall": 1795451979.947, "idle": 0.0, "handshake": 0.0,
        "head_received": 10.0, "dequeued": None, "connected": None, "responded": None, "ended": None, "bytes_read": 0,
        "bytes_uploaded": 0, "termination": b"--", "cookie_state": b"--", "retries": 0, "redispatched": False,
        "server_queue": 0, "backend_queue": 0, "captured_request": None, "captured_response": None,
        "captured_request_cookie": None, "captured_response_cookie": None, "variables": None, "tracked": None,
        "actconn": 1,
        "log_level": None, "priority_class": 0, "priority_offset": 0, "applet": b"",
    }  # fmt: skip
    return SimpleNamespace(**values | attributes)


NOTHING = Config()


def scope(place: Place = Place.REQUEST, config: Config = NOTHING, **world: Any) -> Scope:
    """A scope in an HTTP frontend; `scope.report` collects."""
    proxy = world.pop("proxy", Frontend("fe", mode="http"))
    return Scope(Report(), World(config=config, **world), proxy, place)


def messages(where: Scope) -> list[str]:
    """What was reported."""
    return [finding.message + (f" ({finding.advice})" if finding.advice else "") for finding in where.report.findings]


def sample(text: str, x: Any = None, where: Scope | None = None, wanted: Kind | None = None) -> Any:
    """Evaluate a sample."""
    where = where or scope()
    parsed = parse_sample(text, NOWHERE, where.report)
    assert parsed is not None, messages(where)
    get = compile_sample(parsed, where, wanted)
    assert get is not None, messages(where)
    return get(exchange() if x is None else x)


def test_holds(text: str, x: Any = None, where: Scope | None = None) -> bool:
    """Evaluate the body of an ACL."""
    where = where or scope()
    parsed = parse_acl_text(text, NOWHERE, where.report)
    assert parsed is not None, messages(where)
    check = compile_test(parsed, where)
    assert check is not None, messages(where)
    return check(exchange() if x is None else x)


test_holds.__test__ = False  # type: ignore[attr-defined]


def condition_holds(text: str, x: Any = None, where: Scope | None = None) -> bool:
    """Evaluate `if …`."""
    where = where or scope()
    parsed = parse_condition_text(text, NOWHERE, where.report)
    assert parsed is not None, messages(where)
    check = compile_condition(parsed, where)
    assert check is not None, messages(where)
    return check(exchange() if x is None else x)


def text(format: str, x: Any = None, where: Scope | None = None) -> bytes:
    """Evaluate a log-format text of a rule."""
    where = where or scope()
    value = compile_text(format, where)
    assert value is not None, messages(where)
    return value if isinstance(value, bytes) else value(exchange() if x is None else x)


def run_rule(line: str, x: Any, where: Scope | None = None) -> Any:
    """Compile a rule and run it on `x`; what the step returns."""
    where = where or scope()
    rule = parse_rule_text(line, NOWHERE, where.report)
    assert rule is not None, messages(where)
    step = compile_rule(rule, where)
    assert step is not None, messages(where)
    return step(x)


def findings(line: str, where: Scope | None = None) -> list[str]:
    """What compiling a rule reports."""
    where = where or scope()
    rule = parse_rule_text(line, NOWHERE, where.report)
    if rule is not None:
        compile_rule(rule, where)
    return messages(where)
