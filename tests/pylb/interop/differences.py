"""What pylb does otherwise than HAProxy, each as a function from HAProxy's outcome to the one expected of pylb.

A case names the functions that apply to it; each must change something, so that a difference that has gone is noticed.
docs/differences.md explains them under the same names.
"""

from __future__ import annotations

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
