"""What a check sends and what it expects, step by step (manual: `http-check`, `tcp-check`); bytes in, verdicts out.

A plan is compiled from the configuration once per backend: connect, send, expect, in order. net/checker.py carries it
out on a socket and reports either what the last step says or what went wrong, in the words of HAProxy's log lines.
Nothing here knows sockets or time.

Left out, HAProxy's variables and log-format strings in steps: the values are literal (`on-error`, `hdr`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pylb.backend.expect import Answer, Matcher, compile_match
from pylb.backend.health import CheckResult, Status
from pylb.backend.server import SCALE, Server, State
from pylb.config import model


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection; what is None comes from the server line."""

    number: int
    """Its place among the steps as written, from 1; 0: not written, implied."""
    port: int | None = None
    address: str | None = None
    tls: bool | None = None
    sni: str | None = None
    alpn: tuple[str, ...] = ()
    send_proxy: bool | None = None
    linger: bool = False
    comment: str = ""

    @property
    def description(self) -> str:
        """As a log line names it."""
        return "connect" if self.port is None else f"connect port {self.port}"


@dataclass(frozen=True, slots=True)
class Send:
    """Send bytes made for the server (`http-check send-state` puts its state into them)."""

    number: int
    payload: Callable[[Server], bytes]
    http: bool
    """An HTTP request: a response follows, whose framing depends on the method."""
    method: str = ""
    comment: str = ""
    description: str = "send"


@dataclass(frozen=True, slots=True)
class Expect:
    """Judge what came back."""

    number: int
    match: Matcher
    negate: bool
    http: bool
    description: str
    min_recv: int = -1
    ok: Status = Status.L7OK
    error: Status | None = None
    timeout: Status = Status.L7TOUT
    on_success: str = ""
    on_error: str = ""
    comment: str = ""

    def judge(self, answer: Answer) -> bool | None:
        """Whether the answer is as expected; None while more of it could change that."""
        if not answer.complete and len(answer.body) < self.min_recv and not self.match.of_head:
            return None
        if self.match.of_head and answer.status is None:
            return None
        matched = self.match.test(answer)
        if not matched and not answer.complete and not self.match.of_head and self.min_recv != 0:
            return None
        return matched is not self.negate

    def failure(self, answer: Answer, duration: int) -> CheckResult:
        """The result when `judge` says no."""
        status = self.error or (Status.L7STS if self.match.of_head else Status.L7RSP)
        info = self.on_error or self._mismatch(answer)
        if self.comment and not self.on_error:
            info += f" comment: {self.comment}"
        return CheckResult(status, duration, answer.status if status in _WITH_CODE else None, info)

    def _mismatch(self, answer: Answer) -> str:
        if self.match.of_head:
            return answer.reason
        if self.http:
            return "HTTP check matched unwanted content" if self.negate else "HTTP content check did not match"
        if not answer.body:
            return f"TCPCHK got an empty response at step {self.number}"
        verb = "matched unwanted content" if self.negate else "did not match content"
        return f"TCPCHK {verb} {self.match.shown} at step {self.number}"


_WITH_CODE = frozenset({Status.L7OK, Status.L7OKC, Status.L7STS})

Step = Connect | Send | Expect


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a backend's checks."""

    steps: tuple[Step, ...]
    http: bool
    scripted: bool
    """`tcp-check` rules were written: log lines then name the step."""
    disable_on_404: bool
    needs_port: bool

    def passed(self, answer: Answer | None, last: Step, tls: bool, duration: int) -> CheckResult:
        """The result when every step went well."""
        if isinstance(last, Connect):
            status, code = (Status.L6OK if tls else Status.L4OK), None
        elif isinstance(last, Send):
            status, code = Status.L7OK, 0
        else:
            status, code = last.ok, (answer.status if self.http and answer is not None else 0)
        info = last.on_success if isinstance(last, Expect) else ""
        if self.scripted and not info:
            info = "(tcp-check)"
        return CheckResult(status, duration, code if status in _WITH_CODE else None, info)

    def broken(self, status: Status, text: str, step: Step, duration: int) -> CheckResult:
        """The result when the connection failed or time ran out at `step`; `text` is the system's error, if any."""
        if not self.scripted:
            return CheckResult(status, duration, None, text)
        if step.number:
            text += f" at step {step.number} of tcp-check ({step.description})"
        else:
            text += " at initial connection step of tcp-check"
        if step.comment:
            text += f" comment: '{step.comment}'"
        return CheckResult(status, duration, None, text)


# ------------------------------------------------------------------------------------------------------- compilation


def compile_plan(check: model.HealthCheck, node: str) -> Plan:
    """The plan of a backend; `node` is this machine's name for `send-state`.

    Raises ValueError for a step that cannot be carried out.
    """
    http = check.kind == "http"
    written = check.steps
    if http and not written:
        written = (model.CheckStep("send"),)
    steps = [_compile_step(step, number, check, node) for number, step in enumerate(written, 1)]
    if not steps or not isinstance(steps[0], Connect):
        steps.insert(0, Connect(0))
    if http and not isinstance(steps[-1], Expect):
        match = compile_match({"match": "status", "pattern": "200-399"})
        steps.append(Expect(0, match, False, True, "expect status 200-399"))
    needs_port = any(isinstance(step, Connect) and step.port is None for step in steps)
    scripted = not http and bool(check.steps)
    return Plan(tuple(steps), http, scripted, check.disable_on_404, needs_port)


def _compile_step(step: model.CheckStep, number: int, check: model.HealthCheck, node: str) -> Step:
    options = dict(step.options)
    if step.kind == "connect":
        return _connect(number, options)
    if step.kind == "expect":
        return _expect(number, options, check.kind == "http")
    comment = options.get("comment", "")
    if check.kind == "http":
        request = _request(options, step.headers)
        payload = _with_state(*request, node) if check.send_state else _constant(b"\r\n".join(request))
        return Send(number, payload, True, options.get("meth", "OPTIONS"), comment)
    data = bytes.fromhex(options["binary"]) if "binary" in options else _unescape(options.get("data", ""))
    return Send(number, _constant(data), False, "", comment)


def _connect(number: int, options: dict[str, str]) -> Connect:
    default = "default" in options
    return Connect(
        number,
        int(options["port"]) if "port" in options else None,
        options.get("addr"),
        None if default else "ssl" in options,
        options.get("sni"),
        tuple(filter(None, options.get("alpn", "").split(","))),
        None if default else "send-proxy" in options,
        "linger" in options,
        options.get("comment", ""),
    )


def _expect(number: int, options: dict[str, str], http: bool) -> Expect:
    match = compile_match(options)

    def status(name: str) -> Status | None:
        return Status[options[name]] if name in options else None

    return Expect(
        number,
        match,
        "negate" in options,
        http,
        f"expect {match.description}",
        int(options.get("min-recv", "-1")),
        status("ok-status") or Status.L7OK,
        status("error-status"),
        status("tout-status") or Status.L7TOUT,
        options.get("on-success", ""),
        options.get("on-error", ""),
        options.get("comment", ""),
    )


def _constant(data: bytes) -> Callable[[Server], bytes]:
    return lambda server: data


def _unescape(text: str) -> bytes:
    """`data` of a tcp-check; the configuration's readers have resolved its escapes."""
    return text.encode("utf-8", "surrogateescape")


def _request(options: dict[str, str], headers: tuple[tuple[str, str], ...]) -> tuple[bytes, bytes]:
    """Request line with fields, and what ends it: the empty line and the body."""
    version = options.get("ver", "HTTP/1.0")
    body = options.get("body", "").encode("utf-8", "surrogateescape")
    lines = [f"{options.get('meth', 'OPTIONS')} {options.get('uri', '/')} {version}"]
    fields = [(name.lower(), value) for name, value in headers if name.lower() not in _FRAMING]
    if body:
        fields.append(("content-length", str(len(body))))
    if version != "HTTP/1.0" and not any(name == "connection" for name, _ in fields):
        fields.append(("connection", "close"))
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape"), b"\r\n" + body


_FRAMING = ("content-length", "transfer-encoding")


def _with_state(head: bytes, rest: bytes, node: str) -> Callable[[Server], bytes]:
    return lambda server: head + b"\r\nx-haproxy-server-state: " + state_header(server, node).encode() + b"\r\n" + rest


def state_header(server: Server, node: str) -> str:
    """The value of X-Haproxy-Server-State (manual: `http-check send-state`)."""
    backend, address = server.backend, server.address
    host, port = (address.host, str(address.port or 0)) if address.kind == "inet" else ("unix", "unix")
    total = sum(candidate.eweight for candidate in backend.candidates)
    fields = [
        _health_word(server),
        f"address={host}",
        f"port={port}",
        f"name={backend.name}/{server.name}",
        f"node={node}",
        f"weight={server.effective_weight}/{-(-total // SCALE)}",
        f"scur={server.counters.scur}/{max(0, backend.counters.scur - backend.queue.length)}",
        f"qcur={server.queue.length}",
    ]
    return "; ".join(fields)


def _health_word(server: Server) -> str:
    check = server.check
    if check is None:
        return "no check"
    if server.state is State.STOPPED:
        return f"DOWN {check.progress}" if check.health else "DOWN"
    word = "NOLB" if server.state is State.STOPPING else "UP"
    return word if check.health == check.top else f"{word} {check.progress}"
