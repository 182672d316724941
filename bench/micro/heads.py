"""What one HTTP head costs: `python bench/micro/heads.py [--json]`.

Prints the least of several rounds in µs per call for each operation of pylb.http1 on the request path, and for h11
reading the same request. Every operation is checked once before it is timed, so a broken path cannot be measured.
"""

from __future__ import annotations

import argparse
import json
import platform
import timeit
from collections.abc import Callable

import h11

from pylb.http1.chunked import ChunkedReader
from pylb.http1.framing import LENGTH, NONE, request_framing, response_framing
from pylb.http1.head import Limits, RequestHead, ResponseHead, parse_request, parse_response, reject_early

REQUEST = (
    b"GET /shop/items/42?color=red&size=L&ref=home HTTP/1.1\r\n"
    b"Host: www.example.com\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
    b"Safari/537.36\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\n"
    b"Referer: https://www.example.com/shop/items?page=3&sort=price&filter=available&color=red&view=grid\r\n"
    b"Cookie: SERVERID=s2; session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes; lang=en; cart=7f3a9c\r\n"
    b"Cache-Control: max-age=0\r\n"
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"Connection: keep-alive\r\n\r\n"
)
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 06 Jan 2025 16:06:58 GMT\r\nContent-Type: text/html\r\n"
    b"Content-Length: 64\r\nLast-Modified: Mon, 06 Jan 2025 15:06:58 GMT\r\nConnection: keep-alive\r\n"
    b'ETag: "6563-40"\r\nAccept-Ranges: bytes\r\n\r\n'
)
LIMITS = Limits()
REQUEST_END = len(REQUEST) - 4
RESPONSE_END = len(RESPONSE) - 4
ROUNDS = 9
SECONDS = 0.05


def _parsed_request() -> RequestHead:
    return parse_request(REQUEST, 0, REQUEST_END, LIMITS)


def _parsed_response() -> ResponseHead:
    return parse_response(RESPONSE, 0, RESPONSE_END, LIMITS)


def _forward_request() -> bytes:
    head = parse_request(REQUEST, 0, REQUEST_END, LIMITS)
    request_framing(head)
    head.remove_hop_by_hop()
    head.add(b"X-Forwarded-For", b"192.0.2.1")
    return head.serialise()


def _forward_response() -> bytes:
    head = parse_response(RESPONSE, 0, RESPONSE_END, LIMITS)
    response_framing(head, b"GET", head.status)
    head.remove_hop_by_hop()
    return head.serialise()


def _h11_request() -> h11.Request:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(REQUEST)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    return event


def operations() -> dict[str, Callable[[], object]]:
    """Name -> what to time; the figures' names in results depend on these."""
    head, response = _parsed_request(), _parsed_response()
    reader = ChunkedReader()
    reader.feed(b"7fffffffffffffff\r\n", 0)
    block = bytes(65536)
    small = b"64\r\n" + bytes(100) + b"\r\n"
    chunks = small * 100 + b"0\r\n\r\n"
    assert len(head.fields()) == 10 and head.serialise() == REQUEST and response.serialise() == RESPONSE
    assert request_framing(head).kind == NONE
    assert response_framing(response, b"GET", 200).kind == LENGTH
    assert b"Connection" not in _forward_request() and b"Connection" not in _forward_response()
    assert head.get(b"cookie") == dict(_h11_request().headers)[b"cookie"]
    assert ChunkedReader().feed(chunks, 0) == len(chunks)

    def set_again() -> None:
        head.set(b"Accept-Language", b"de")

    return {
        "request: find the end": lambda: REQUEST.find(b"\r\n\r\n"),
        "request: parse and framing": lambda: request_framing(_parsed_request()),
        "request: parse, framing, hop-by-hop, add, serialise": _forward_request,
        "request: get, first field": lambda: head.get(b"host"),
        "request: get, seventh field": lambda: head.get(b"cookie"),
        "request: get, absent": lambda: head.get(b"x-forwarded-for"),
        "request: path": lambda: head.path,
        "request: set": set_again,
        "request: serialise": head.serialise,
        "request: reject_early of nearly all": lambda: reject_early(REQUEST[:-1], 0, LIMITS),
        "response: parse and framing": lambda: response_framing(_parsed_response(), b"GET", 200),
        "response: parse, framing, hop-by-hop, serialise": _forward_response,
        "chunked: 64 KiB inside a chunk": lambda: reader.feed(block, 0),
        "chunked: 100 chunks of 100 bytes": lambda: ChunkedReader().feed(chunks, 0),
        "h11: the same request": _h11_request,
    }


def measure(function: Callable[[], object]) -> float:
    """Seconds per call: the least of ROUNDS rounds of SECONDS each."""
    timer = timeit.Timer(function)
    number = max(1, int(SECONDS / max(timer.timeit(10) / 10, 1e-9)))
    return min(timer.repeat(ROUNDS, number)) / number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    as_json = parser.parse_args().json
    figures = {name: round(measure(function) * 1e6, 3) for name, function in operations().items()}
    if as_json:
        print(json.dumps({"python": platform.python_version(), "request_bytes": len(REQUEST), "us": figures}, indent=1))
        return
    print(
        f"Python {platform.python_version()}; request {len(REQUEST)} bytes, 10 fields; response {len(RESPONSE)} bytes"
    )
    for name, figure in figures.items():
        print(f"{figure:9.3f} µs  {name}")


if __name__ == "__main__":
    main()
