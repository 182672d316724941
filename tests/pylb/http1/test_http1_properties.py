"""Any split of the bytes, any mutation, and h11 as the judge.

Where we and h11 may differ, and why:

h11 refuses, we accept
- an empty line before the request: RFC 9112 2.2 asks servers to ignore at least one.
- malformed Content-Length or Transfer-Encoding in a 2xx to CONNECT: RFC 9110 9.3.6 has them ignored; we remove them.

We refuse, h11 accepts (not looked for here; each has its case in the tables beside this file)
- bare LF as a line's end, obs-fold, control characters in values, space behind a chunk's size, loose chunk extensions,
  "#" in targets, forms of the target that are not the method's, invalid Host, HTTP versions other than 1.x, lengths of
  2^63 and more, Transfer-Encoding with Content-Length or in HTTP/1.0, forbidden trailers, content in HTTP/1.0 GET.
"""

from __future__ import annotations

import random

import h11
import pytest
from http1_support import REQUESTS, RESPONSES, Conversation, Message, cut, mutate, read, read_h11
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import examples

from pylb.http1.chunked import ChunkedReader
from pylb.http1.errors import ProtocolError
from pylb.http1.head import Limits

SMALL = Limits(bufsize=120, maxrewrite=20, max_headers=4)
CUTS = st.lists(st.integers(0, 400), max_size=8)
SEEDS = st.integers(0, 2**32)
METHODS = st.sampled_from([b"GET", b"HEAD", b"POST", b"CONNECT"])


def mutated(messages):
    """Messages of the list with small changes, now and then none."""
    return st.builds(
        lambda message, seed: message if seed % 10 == 0 else mutate(message, random.Random(seed)),
        st.sampled_from(messages),
        SEEDS,
    )


# -------------------------------------------------------------------------------------------------------- any split


@pytest.mark.parametrize("limits", [Limits(), SMALL], ids=["default", "small"])
@given(data=mutated(REQUESTS) | st.binary(max_size=60), places=CUTS)
def test_any_split_of_a_request_gives_the_same_result(limits, data, places):
    assert read(cut(data, places), limits) == read([data], limits)


@pytest.mark.parametrize("limits", [Limits(), SMALL], ids=["default", "small"])
@given(data=mutated(RESPONSES), places=CUTS, method=METHODS)
def test_any_split_of_a_response_gives_the_same_result(limits, data, places, method):
    assert read(cut(data, places), limits, method) == read([data], limits, method)


@pytest.mark.parametrize("message", REQUESTS)
def test_byte_by_byte_is_the_same_as_at_once(message):
    whole = read([message])
    assert isinstance(whole, Message) and whole.complete
    assert read([message[i : i + 1] for i in range(len(message))]) == whole


CHUNKS = [
    b'5;a=b;c="d;e"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX-T: v\r\nY:\r\n\r\n',
    b"1\r\na\r\n1\r\nb\r\n0\r\n\r\nGET / HTTP/1.1\r\n",
    b"0\r\n\r\n",
    b"ff\r\n" + b"x" * 255 + b"\r\n0;last\r\n\r\n",
]


@given(data=mutated(CHUNKS), places=CUTS, decoding=st.booleans())
def test_any_split_of_a_chunked_body_gives_the_same_result(data, places, decoding):
    def run(pieces):
        reader, consumed, payload = ChunkedReader(), 0, b""
        try:
            for piece in pieces:
                if decoding:
                    part, end = reader.decode(b"--" + piece, 2)
                    payload += part
                else:
                    end = reader.feed(b"--" + piece, 2)
                consumed += end - 2
                if end < len(piece) + 2:
                    assert reader.done
                    break
        except ProtocolError as error:
            return error.status
        return consumed, payload, reader.done, reader.trailer

    assert run(cut(data, places)) == run([data])


# ----------------------------------------------------------------------------------------------------- h11 as judge


def judge_request(data: bytes) -> None:
    ours, theirs = read([data]), read_h11(data)
    if theirs == "rejected":
        if data.startswith(b"\r\n") and read_h11(data[2:]) != "rejected":
            return
        assert not isinstance(ours, Message), f"h11 refuses what we accept: {data!r} {ours}"
    elif isinstance(ours, Message):
        assert isinstance(theirs, Message)
        assert ours.body == theirs.body
        assert ours.complete == theirs.complete
        assert ours.line[0] == theirs.line[0]


def judge_response(data: bytes, method: bytes) -> None:
    ours, theirs = read([data], method=method), read_h11(data, method)
    if not isinstance(ours, Message):
        return
    if ours.line[0] == 101:
        return  # h11 keeps track of offers itself; ours are compared by connection.switches
    if theirs == "rejected" and method == b"CONNECT" and 200 <= ours.line[0] < 300:
        return  # see above
    assert isinstance(theirs, Message), f"h11 refuses what we accept: {data!r} {ours}"
    assert ours.line == theirs.line
    assert ours.body == theirs.body


@settings(max_examples=examples(500))
@given(mutated(REQUESTS))
@example(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
@example(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\nhello")
@example(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")
def test_what_h11_refuses_as_a_request_we_refuse(data):
    judge_request(data)


@settings(max_examples=examples(500))
@given(mutated(RESPONSES), METHODS)
def test_what_h11_refuses_as_a_response_we_refuse(data, method):
    judge_response(data, method)


def as_h11_shows(head):
    """Names in lower case, and the value of Transfer-Encoding too."""
    pairs = [(name.lower(), value) for name, value in head.fields()]
    return [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in pairs]


def forward(data: bytes, keep_upgrade: bool) -> None:
    """What we send on for `data` is read by h11 as exactly the message that we hold."""
    conversation = Conversation()
    try:
        conversation.feed(data)
    except ProtocolError:
        return
    if not conversation.complete():
        return
    head = conversation.head
    head.remove_hop_by_hop(keep_upgrade)
    wire = head.serialise()
    if conversation.reader is not None:
        body = b"%x\r\n%b\r\n" % (len(conversation.body), conversation.body) if conversation.body else b""
        wire += body + b"0\r\n\r\n"
    else:
        wire += conversation.body
    message = read_h11(wire)
    assert isinstance(message, Message) and message.complete, (data, wire, message)
    assert message.line == (head.method, head.uri)
    assert message.fields == as_h11_shows(head)
    assert message.body == conversation.body
    again = Conversation()
    again.feed(wire)  # and by ourselves: nothing that we send would be refused by the next pylb
    assert (again.head.serialise(), again.body) == (head.serialise(), conversation.body)


@settings(max_examples=examples(500))
@given(mutated(REQUESTS), st.booleans())
def test_what_we_forward_h11_reads_the_same_way(data, keep_upgrade):
    forward(data, keep_upgrade)


@settings(max_examples=examples(300))
@given(mutated(RESPONSES), METHODS)
def test_responses_that_we_forward_h11_reads_the_same_way(data, method):
    conversation = Conversation(method=method)
    try:
        conversation.feed(data)
    except ProtocolError:
        return
    head = conversation.head
    if head is None or head.status == 101 or conversation.reader is not None:
        return
    head.remove_hop_by_hop()
    message = read_h11(head.serialise() + conversation.body, method)
    assert isinstance(message, Message)
    assert message.line == (head.status, head.reason)
    assert message.fields == as_h11_shows(head)
    assert message.body == conversation.body


@given(st.binary(max_size=200), METHODS)
def test_random_bytes_are_read_or_refused_and_nothing_else(data, method):
    read([data])
    read([b"GET / HTTP/1.1\r\n" + data + b"\r\n\r\n"])
    read([data], method=method)
    read([b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n"], method=method)


def test_the_judge_itself_refuses_and_accepts():
    assert read_h11(b"GET / HTTP/1.1\r\n\r\n") == "rejected"
    assert isinstance(read_h11(REQUESTS[0]), Message)
    assert read_h11(b"HTTP/1.1 0xx\r\n\r\n", b"GET") == "rejected"
    assert isinstance(read_h11(RESPONSES[0], b"GET"), Message)
    assert h11.__version__
