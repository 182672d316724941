"""What rules cost per request: `python bench/micro/rules.py [--json]`.

Prints the least of several rounds in µs per call for ACLs of the usual shapes, a set of them as a frontend has it,
header actions and log lines. Each operation's result is checked before it is timed.
"""

from __future__ import annotations

import argparse
import json
import platform
import timeit
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from pylb.config.expression import parse_condition_text, parse_rule_text
from pylb.config.model import NOWHERE, Frontend, UseBackend
from pylb.config.words import Report
from pylb.counters import ProxyCounters
from pylb.http1.head import Limits, parse_request
from pylb.rules.acl import Check, compile_condition
from pylb.rules.action import Step
from pylb.rules.frontend import Frontend as LiveFrontend
from pylb.rules.logformat import compile_log
from pylb.rules.scope import Place, Scope, World, scope_of
from pylb.rules.steps import compile_rule

REQUEST = (
    b"GET /shop/items/42?color=red&size=L&ref=home HTTP/1.1\r\nHost: www.example.com\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
    b"Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n"
    b"Referer: https://www.example.com/shop/items?page=3&sort=price&filter=available&color=red&view=grid\r\n"
    b"Cookie: SERVERID=s2; session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes; lang=en\r\n"
    b"Cache-Control: max-age=0\r\nUpgrade-Insecure-Requests: 1\r\n\r\n"
)
CONDITIONS = {
    "path_beg /shop": True,
    "path_end .gif .png .jpg": False,
    "path -i /shop/items/42": True,
    "hdr(host) -i www.example.com": True,
    "hdr_dom(host) -i example.com": True,
    "hdr_end(host) -i .example.org": False,
    "hdr_sub(user-agent) -i bot crawler": False,
    "hdr_cnt(host) 1": True,
    "cook(session) -m found": True,
    "src 10.0.0.0/8 127.0.0.0/8": True,
    "url_param(color) red": True,
    "hdr(host),field(1,:),lower www.example.com": True,
    "path_reg ^/shop/items/[0-9]+$": True,
    "method POST": False,
    "ssl_fc": False,
}
RULES = ["set-header X-Forwarded-Proto http", "set-header X-Path %[path]", "add-header X-Real-IP %[src]", "set-path /x"]
ROUNDS = 7
SECONDS = 0.03


def exchange() -> Any:
    """One exchange after its end."""
    raw = REQUEST
    session = SimpleNamespace(
        src="127.0.0.1", src_port=60180, dst="127.0.0.2", dst_port=80, accepted=10.0, accepted_wall=1795451979.947,
        tls=None, requests=1, variables=None,
    )  # fmt: skip
    frontend = SimpleNamespace(name="fe", model=Frontend("fe", mode="http"), counters=ProxyCounters())
    return SimpleNamespace(
        session=session, frontend=frontend, backend=SimpleNamespace(name="be", counters=ProxyCounters()),
        server=SimpleNamespace(name="s1", counters=ProxyCounters()),
        request=parse_request(raw, 0, len(raw) - 4, Limits()), request_line=raw.split(b"\r\n", 1)[0],
        response=None, status=200, started=10.0, started_wall=1795451979.947,
        idle=0.0, handshake=0.0, head_received=10.0, dequeued=10.001, connected=10.002, responded=10.004, ended=10.005,
        bytes_read=1234, bytes_uploaded=0, termination=b"--", cookie_state=b"VN", retries=0, redispatched=False,
        server_queue=0, backend_queue=0, captured_request=None, captured_response=None, captured_request_cookie=None,
        captured_response_cookie=None, variables=None, actconn=1, log_level=None, priority_class=0, applet=b"",
    )  # fmt: skip


def scope() -> Scope:
    """An HTTP frontend's."""
    return Scope(Report(), World(), Frontend("fe", mode="http"), Place.REQUEST)


def condition(text: str) -> Check:
    """`if { text }` compiled."""
    parsed = parse_condition_text(f"if {{ {text} }}", NOWHERE, Report())
    assert parsed is not None
    check = compile_condition(parsed, scope())
    assert check is not None, text
    return check


def rule(text: str) -> Step:
    """A rule compiled."""
    parsed = parse_rule_text(text, NOWHERE, Report())
    assert parsed is not None
    step = compile_rule(parsed, scope())
    assert step is not None, text
    return step


def routing(backends: int) -> Callable[[Any], Any]:
    """A frontend with as many use_backend rules by Host; the last one applies."""
    routes = []
    for number in range(backends):
        name = "www.example.com" if number == backends - 1 else f"site{number}.example.com"
        parsed = parse_condition_text(f"if {{ hdr(host) -i {name} }}", NOWHERE, Report())
        routes.append(UseBackend(f"b{number}", parsed))
    world = World()
    world.backends = {f"b{number}": f"b{number}" for number in range(backends)}  # type: ignore[misc,assignment]
    declared = Frontend("fe", mode="http", use_backend=tuple(routes))
    live = LiveFrontend(declared, scope_of(declared, world, Report()))
    live.link()
    return live.route


def operations() -> dict[str, Callable[[], Any]]:
    """Name → call, each already seen to give the right result."""
    x = exchange()
    calls: dict[str, Callable[[], Any]] = {}
    for text, expected in CONDITIONS.items():
        check = condition(text)
        assert check(x) is expected, text
        calls[text] = lambda check=check: check(x)
    for text in RULES:
        step = rule(text)
        calls[f"{text} (with a fresh head)"] = lambda step=step: step(edited(x))
    calls["(the fresh head itself)"] = lambda: edited(x)
    for count in (1, 10):
        route = routing(count)
        assert route(x) == f"b{count - 1}"
        calls[f"route over {count} use_backend by Host"] = lambda route=route: route(x)
    for name in ("httplog", "tcplog", "clf"):
        line = compile_log(name, scope())
        assert line is not None and b"127.0.0.1" in line(x)
        calls[f"{name} line"] = lambda line=line: line(x)
    return calls


def edited(x: Any) -> Any:
    """The exchange with its head as it came."""
    head = x.request
    head.block, head._lower, head.uri = BLOCK, LOWER, b"/shop/items/42?color=red&size=L&ref=home"
    return x


BLOCK = exchange().request.block
LOWER = BLOCK.lower()


def measure(call: Callable[[], Any]) -> float:
    """Least µs per call."""
    timer = timeit.Timer(call)
    loops = max(1, int(SECONDS / (timer.timeit(200) / 200)))
    return min(timer.repeat(ROUNDS, loops)) / loops * 1e6


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {name: round(measure(call), 3) for name, call in operations().items()}
    if options.json:
        print(json.dumps({"python": platform.python_version(), "us": results}, indent=2))
        return
    for name, cost in results.items():
        print(f"{cost:8.2f} µs  {name}")


if __name__ == "__main__":
    main()
