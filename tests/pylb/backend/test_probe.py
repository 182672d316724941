"""Check plans: the bytes that are sent, and verdicts on answers that arrive piece by piece."""

from __future__ import annotations

import pytest
from backend_tools import Exchange, declared_server, make_backend
from hypothesis import given
from hypothesis import strategies as st

from pylb.backend import state
from pylb.backend.backend import Backend
from pylb.backend.expect import Answer
from pylb.backend.probe import Connect, Expect, Plan, Send, compile_plan, state_header
from pylb.config import model
from pylb.config.load import read_haproxy


def plan_of(lines: str) -> tuple[Plan, Backend]:
    config, _ = read_haproxy([("t", f"backend b\n mode http\n {lines}\n server s 127.0.0.1:8080 check\n")], {})
    backend = Backend(config.backends[0])
    return compile_plan(config.backends[0].check, "vm"), backend


def sent(lines: str) -> list[bytes]:
    plan, backend = plan_of(lines)
    return [step.payload(backend.servers[0]) for step in plan.steps if isinstance(step, Send)]


HTTP = "option httpchk"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [  # as the real HAProxy 2.6 sent them
        (HTTP, [b"OPTIONS / HTTP/1.0\r\n\r\n"]),
        (f"{HTTP} HEAD /h", [b"HEAD /h HTTP/1.0\r\n\r\n"]),
        (
            f"{HTTP} GET /x?y HTTP/1.1\n http-check send hdr Host www.x hdr X-B c body hi",
            [b"GET /x?y HTTP/1.1\r\nhost: www.x\r\nx-b: c\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"],
        ),
        (
            f"{HTTP}\n http-check connect\n http-check send meth GET uri /one\n http-check expect status 200\n"
            " http-check connect port 81\n http-check send meth GET uri /two ver HTTP/1.1 hdr Host b",
            [b"GET /one HTTP/1.0\r\n\r\n", b"GET /two HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n"],
        ),
        ("option tcp-check\n tcp-check send GET\\ /\\r\\n", [b"GET /\r\n"]),
        ("option tcp-check\n tcp-check send-binary 50494e47", [b"PING"]),
        (
            f"{HTTP}\n http-check send-state",
            [
                b"OPTIONS / HTTP/1.0\r\nx-haproxy-server-state: UP 1/3; address=127.0.0.1; port=8080; name=b/s;"
                b" node=vm; weight=1/1; scur=0/0; qcur=0\r\n\r\n"
            ],
        ),
    ],
)
def test_requests_are_those_of_haproxy(lines: str, expected: list[bytes]) -> None:
    assert sent(lines) == expected


def test_the_state_header_follows_the_server() -> None:
    check = model.ServerCheck()
    backend = make_backend(declared_server("a", weight=3, check=check), declared_server("b", weight=4))
    server = backend.servers[0]
    held = Exchange()
    held.persist_server = server
    backend.assign(held, 0.0)
    backend.counters.scur = 1
    assert state_header(server, "n") == (
        "UP 1/3; address=127.0.0.1; port=80; name=b/a; node=n; weight=3/7; scur=1/1; qcur=0"
    )
    state.stopped(server, 1.0)
    server.check.health = 1
    assert state_header(server, "n").startswith("DOWN 1/2; ") and "weight=3/4" in state_header(server, "n")


def test_what_is_not_written_is_implied() -> None:
    plain, _ = plan_of("balance roundrobin")
    assert plain.steps == (Connect(0),)
    http, _ = plan_of(HTTP)
    assert [type(step) for step in http.steps] == [Connect, Send, Expect]
    tcp, _ = plan_of("option tcp-check\n tcp-check expect string x")
    assert [type(step) for step in tcp.steps] == [Connect, Expect]


@given(st.data())
def test_a_verdict_does_not_depend_on_how_the_bytes_arrive(data: st.DataObject) -> None:
    """For any pattern and any cuts: the first verdict given equals the one on the whole answer."""
    body = data.draw(st.binary(min_size=1, max_size=30))
    kind = data.draw(st.sampled_from(["string", "! string"]))
    pattern = data.draw(st.text("ab", min_size=1, max_size=2))
    plan, _ = plan_of(f"option tcp-check\n tcp-check expect {kind} {pattern}")
    expect = plan.steps[-1]
    assert isinstance(expect, Expect)
    body += data.draw(st.sampled_from([b"", b"a", b"ab", b"ba"]))
    whole = expect.judge(Answer(body=body, complete=True))
    verdict, received = None, b""
    while verdict is None:
        cut = data.draw(st.integers(1, 5))
        received += body[len(received) : len(received) + cut]
        verdict = expect.judge(Answer(body=received, complete=received == body))
    assert verdict is whole


def test_min_recv_waits_for_so_many_bytes_and_zero_never_waits() -> None:
    patient, _ = plan_of("option tcp-check\n tcp-check expect min-recv 5 string OK")
    hasty, _ = plan_of("option tcp-check\n tcp-check expect min-recv 0 string OK")
    part = Answer(body=b"O")
    assert patient.steps[-1].judge(part) is None and hasty.steps[-1].judge(part) is False
    assert patient.steps[-1].judge(Answer(body=b"OK")) is None
    assert patient.steps[-1].judge(Answer(body=b"OKxyz")) is True


def test_a_status_is_judged_before_the_body_has_come() -> None:
    plan, _ = plan_of(f"{HTTP}\n http-check expect status 200,300-310")
    expect = plan.steps[-1]
    assert expect.judge(Answer()) is None
    statuses = (199, 200, 201, 299, 300, 310, 311)
    assert [expect.judge(Answer(status=status)) for status in statuses] == [
        False,
        True,
        False,
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ("hdr name x-a", True),
        ("hdr name X-B", False),
        ("hdr name X-A value b", True),
        ("hdr name X-A value c", True),
        ("fhdr name X-A value b", False),
        ("fhdr name X-A value -m end c", True),
        ("hdr name -m end -a value -m sub b", True),
        ("fhdr name X-A value -m reg ^b,.c$", True),
        ("! hdr name X-A", False),
    ],
)
def test_header_matches(match: str, fits: bool) -> None:
    plan, _ = plan_of(f"{HTTP}\n http-check expect {match}")
    assert plan.steps[-1].judge(Answer(status=200, headers=[(b"x-a", b"b, c")])) is fits
