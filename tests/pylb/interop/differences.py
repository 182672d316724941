"""What pylb does otherwise than HAProxy, each as a function from HAProxy's outcome to the one expected of pylb.

A case names the functions that apply to it; each must change something, so that a difference that has gone is noticed.
docs/differences.md explains them under the same names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Outcome = dict[str, Any]
Difference = Callable[[Outcome], None]


def _without(pairs: list[tuple[str, str]], *names: str) -> list[tuple[str, str]]:
    return [pair for pair in pairs if pair[0] not in names]


def _with(pairs: list[tuple[str, str]], *more: tuple[str, str]) -> list[tuple[str, str]]:
    return sorted([*_without(pairs, *(name for name, _ in more)), *more])


def _each_response(seen: Outcome, change: Callable[[list[tuple[str, str]]], list[tuple[str, str]]]) -> None:
    seen["headers"] = [headers if isinstance(headers, str) else change(headers) for headers in seen["headers"]]


def _each_request(seen: Outcome, change: Callable[[str, Any], tuple[str, Any]]) -> None:
    seen["backend"] = [(*change(line, headers), *rest) for line, headers, *rest in seen["backend"]]


def own_version(seen: Outcome) -> None:
    """Requests of HTTP/1.0 clients go on as HTTP/1.1, the version that pylb speaks (RFC 9110 2.5)."""
    _each_request(seen, lambda line, headers: (line.replace("HTTP/1.0", "HTTP/1.1"), _without(headers, "connection")))


def own_version_and_close(seen: Outcome) -> None:
    """The same when the server's connection is to end: HTTP/1.1 has to say so."""
    own_version(seen)
    _each_request(seen, lambda line, headers: (line, _with(headers, ("connection", "close"))))


def host_for_http_1_1(seen: Outcome) -> None:
    """... and get an empty Host when they had none (RFC 9112 3.2)."""
    _each_request(seen, lambda line, headers: (line, _with(headers, ("host", ""))))


def chunks_until_close(seen: Outcome) -> None:
    """A body that ends with the server's connection is chunked for the client, who can tell a whole body from a cut
    one and keeps its connection."""
    _each_response(seen, lambda headers: _with(_without(headers, "connection"), ("transfer-encoding", "chunked")))
    seen["framing"] = ["chunked"]
    seen["kept"] = True


def chunks_until_close_and_closes(seen: Outcome) -> None:
    """The same under `option httpclose`."""
    _each_response(seen, lambda headers: _with(headers, ("transfer-encoding", "chunked")))
    seen["framing"] = ["chunked"]


def no_chunks_for_old_clients(seen: Outcome) -> None:
    """HTTP/1.0 clients do not know chunks (RFC 9112 7.1): they get the payload, and its end with the connection."""
    _each_response(
        seen,
        lambda headers: _with(_without(headers, "transfer-encoding", "trailer"), ("connection", "close")),
    )
    seen["framing"], seen["kept"] = ["close"], False
    seen["body"] = [(body, b"", end) for body, _, end in seen["body"]]


def no_interim_for_old_clients(seen: Outcome) -> None:
    """1xx responses are not passed on to HTTP/1.0 clients (RFC 9110 15.2)."""
    seen["interim"] = [[]]


def no_needless_keep_alive(seen: Outcome) -> None:
    """`Connection: keep-alive` is not said to HTTP/1.1 clients, for whom it goes without saying."""
    _each_response(seen, lambda headers: _without(headers, "connection"))


def says_close(seen: Outcome) -> None:
    """A client whose connection will end is told so (RFC 9112 9.6), also when the server spoke HTTP/1.0."""
    _each_response(seen, lambda headers: _with(headers, ("connection", "close")))


def removes_hop_by_hop(seen: Outcome) -> None:
    """Fields that Connection names, and those that are hop-by-hop by definition, end here (RFC 9110 7.6.1)."""
    hops = ("connection", "keep-alive", "proxy-connection", "x-hop")
    _each_response(seen, lambda headers: _without(headers, *hops))
    _each_request(seen, lambda line, headers: (line, _without(headers, *hops)))


def early_answer_closes(seen: Outcome) -> None:
    """An answer that comes before the request is whole ends the client's connection, after reading on for a moment."""
    says_close(seen)
    seen["kept"] = False
    seen["log"] = seen["log"][:1]


def origin_form(seen: Outcome) -> None:
    """Requests in absolute form reach the server in origin form (RFC 9112 3.2.1)."""

    def change(line: str, headers: Any) -> tuple[str, Any]:
        method, target, version = line.split(" ")
        return f"{method} /{target.split('/', 3)[3]} {version}", headers

    before = [line.split(" ")[1].encode() for line, *_ in seen["backend"]]
    _each_request(seen, change)
    after = [line.split(" ")[1].encode() for line, *_ in seen["backend"]]
    # The origin's answer names the target.
    seen["body"] = [(body.replace(before[0], after[0]), *rest) for body, *rest in seen["body"]]
    _each_response(seen, lambda headers: _with(headers, ("content-length", str(len(seen["body"][0][0])))))


def list_space(seen: Outcome) -> None:
    """`replace-value` keeps the space behind a comma."""
    _each_request(seen, lambda line, headers: (line, [(n, v.replace("B,B", "B, B")) for n, v in headers]))


def errorfile_length(seen: Outcome) -> None:
    """The response of an `errorfile` gets a Content-Length, and its client's connection may live on."""
    _each_response(seen, lambda headers: _with(headers, ("content-length", "13")))
    seen["framing"] = ["length" if framing == "close" else framing for framing in seen["framing"]]
    seen["kept"] = True


def errorfile_length_and_close(seen: Outcome) -> None:
    """The same where the connection cannot go on."""
    errorfile_length(seen)
    says_close(seen)
    seen["kept"] = False


def reason_phrases(seen: Outcome) -> None:
    """400, 408 and 504 have the reason phrases of RFC 9110: Bad Request, Request Timeout, Gateway Timeout."""
    seen["status"] = [
        status
        if isinstance(status, str)
        else (status[0], status[1].replace("Time-out", "Timeout").replace("Bad req", "Bad Req"))
        for status in seen["status"]
    ]


def _refused(status: int, kept: bool = False) -> Difference:
    def refuse(seen: Outcome) -> None:
        seen["status"] = status
        seen["backend"] = []
        line = seen["log"][0] if seen["log"] else "127.0.0.1:port [date] web "
        start = line.split("] ")[0] + "] web web/<NOSRV> -1/-1/-1/-1/t"
        seen["log"] = [f'{start} {status} bytes - - PR-- c/c/0/0/0 0/0 "<BADREQ>"']

    refuse.__name__ = f"malformed_requests_{status}"
    return refuse


malformed_requests = _refused(400)
"""Requests that RFC 9112 calls malformed are refused where HAProxy mends or passes them."""
unknown_version = _refused(505)
"""HTTP/2 over a connection that speaks HTTP/1.1: 505 (RFC 9110 15.6.6)."""
unknown_coding = _refused(501)
"""A transfer coding besides chunked: 501 (RFC 9112 6.1)."""
long_target = _refused(414)
"""A request line that is too long: 414 (RFC 9110 15.5.15)."""
large_fields = _refused(431)
"""Fields that are too many or too large: 431 (RFC 6585 5)."""


def canonical_length(seen: Outcome) -> None:
    """A Content-Length goes on without leading zeros, since some readers take them for octal."""
    _each_request(seen, lambda line, headers: (line, [(n, "5" if v == "005" else v) for n, v in headers]))


def authority_wins(seen: Outcome) -> None:
    """The authority of an absolute target takes the place of a Host that says otherwise (RFC 9112 3.2.2)."""
    seen["status"] = 200
    seen["backend"] = [("GET / HTTP/1.1", [("host", "b")], b"", b"", "none")]
    seen["log"] = [
        '127.0.0.1:port [date] web app/a t/t/t/t/t 200 bytes - - ---- c/c/0/0/0 0/0 "GET http://b/ HTTP/1.1"'
    ]


def connect_host(seen: Outcome) -> None:
    """The Host of a CONNECT keeps its port."""
    _each_request(seen, lambda line, headers: (line, [(n, "a:80" if n == "host" else v) for n, v in headers]))


def body_errors_are_the_requests(seen: Outcome) -> None:
    """A chunk that is malformed is logged with its request, which was a good one."""
    seen["log"] = ['127.0.0.1:port [date] web app/a t/t/-1/-1/t 400 bytes - - PR-- c/c/0/0/0 0/0 "POST / HTTP/1.1"']
    seen["status"], seen["backend"] = 400, []


def malformed_responses(seen: Outcome) -> None:
    """Responses that RFC 9112 calls malformed become a 502 where HAProxy mends or passes them."""
    seen["status"] = [(502, "Bad Gateway")]
    seen["headers"] = [[("cache-control", "no-cache"), ("content-type", "text/html")]]
    seen["body"], seen["framing"], seen["kept"] = ["a page"], ["length"], True
    seen["log"] = [re.sub(r"/t/t \d+ bytes - - ----", "/-1/t 502 bytes - - PH--", line) for line in seen["log"]]


def bare_line_feeds_in_responses(seen: Outcome) -> None:
    """The same, known only when the server closes, as no CRLF ends its head."""
    malformed_responses(seen)
    seen["log"] = [line.replace("PH--", "SH--") for line in seen["log"]]


def starts_at_once(seen: Outcome) -> None:
    """A response's head is passed on before its body has been looked at; HAProxy happens to look at what came along."""
    seen["status"], seen["headers"] = [(200, "OK")], [[("transfer-encoding", "chunked")]]
    seen["body"], seen["framing"], seen["kept"] = [(b"", b"", "eof")], ["chunked"], False
    seen["log"] = [line.replace("t/-1/t 502", "t/t/t 200").replace("PH--", "SD--") for line in seen["log"]]


def reset_is_no_end(seen: Outcome) -> None:
    """A body that ends with the connection is not whole when the server's connection was reset."""
    seen["headers"], seen["framing"] = [[("transfer-encoding", "chunked")]], ["chunked"]
    seen["body"] = [(b"", b"", "eof")]


def slow_bodies(seen: Outcome) -> None:
    """A request whose body stops is ended by `timeout client` with 408 and cH, as the manual has it."""
    seen["status"] = [(408, "Request Timeout")]
    seen["log"] = [line.replace(" 504 ", " 408 ").replace(" sH-- ", " cH-- ") for line in seen["log"]]


def no_answer_for_who_left(seen: Outcome) -> None:
    """A client that ends its connection in the middle of a request gets no 400."""
    seen["rest"] = b""


def answers_every_request(seen: Outcome) -> None:
    """A later request of a connection gets its 503 when its server does not accept in time; HAProxy just closes."""
    seen["kept"] = True


def gives_up_for_who_left(seen: Outcome) -> None:
    """A client whose connection is gone is not worked for any longer, whatever `option abortonclose` says; one that
    only has no more to send is."""
    if "counted" in seen:  # a tarpit
        seen["counted"] = {(*key[:2], key[2].replace("5xx", "other")): n for key, n in seen["counted"].items()}
        seen["log"] = [line.replace("-1/t/-1/-1/t 500", "t/-1/-1/-1/t -1") for line in seen["log"]]
        return
    seen["log"] = [line.replace("/t/t 200 bytes - - CD--", "/-1/t -1 bytes - - CH--") for line in seen["log"]]


def gone_before_the_answer(seen: Outcome) -> None:
    """A client that is gone before the server has answered is gone before the answer, not in the middle of it."""
    seen["log"] = [line.replace("/-1/t -1 bytes - - CD--", "/-1/t -1 bytes - - CH--") for line in seen["log"]]


def a_reset_is_one_error(seen: Outcome) -> None:
    """A server that resets its connection in place of an answer has failed once."""
    seen["counted"] = {key: 1 if key[2] == "eresp" else number for key, number in seen["counted"].items()}


def request_time_is_known(seen: Outcome) -> None:
    """A request that finds no backend was received all the same, and the log tells how long that took."""
    seen["log"] = [re.sub(" -1/(-1|t)/", r" t/\1/", line) for line in seen["log"]]


def cookie_spaces(seen: Outcome) -> None:
    """Spaces around the = of a cookie stay where the cookie is only looked at."""
    _each_request(seen, lambda line, headers: (line, [(n, v.replace("SRV=B ;", "SRV = B ;")) for n, v in headers]))


def who_looks_does_not_track(seen: Outcome) -> None:
    """`table_trackers` counts those who track, not the look-up itself."""
    seen["trackers"] = [str(int(number) - 1) for number in seen["trackers"]]


def far_offsets(seen: Outcome) -> None:
    """The largest offset below 0 comes first in its class, too: the moment is kept with more than 20 bits."""
    seen["served"].remove("/soonest")
    seen["served"].insert(2, "/soonest")
