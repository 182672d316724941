"""HTTP responses to health checks, as h11 reads them."""

from __future__ import annotations

import h11

from pylb.backend.expect import Answer
from pylb.http1.grammar import is_token


class HttpAnswers:
    """The response to one request."""

    def __init__(self, method: str, bufsize: int) -> None:
        """`bufsize`: the most bytes of a head."""
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=bufsize)
        # h11 only reads here: it refuses to speak HTTP/1.0. It must know the method to find the response's end.
        known = method if is_token(method.encode()) else "GET"
        request = h11.Request(method=known, target="/", headers=[("Host", "check"), ("Connection", "close")])
        self._connection.send(request)
        self._connection.send(h11.EndOfMessage())

    def read(self, data: bytes, answer: Answer) -> bool:
        """Fill `answer` with what comes with `data` (b"": the end of the connection); False for what is no response."""
        try:
            self._connection.receive_data(data)
            while True:
                event = self._connection.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return True
                if isinstance(event, h11.Response):
                    answer.status = event.status_code
                    answer.reason = event.reason.decode("latin-1")
                    answer.headers = [(bytes(name), bytes(value)) for name, value in event.headers]
                elif isinstance(event, h11.Data):
                    answer.body += event.data
                elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
                    answer.complete = True
                    return True
        except h11.RemoteProtocolError:
            if answer.status is None:
                return False
            answer.complete = True  # a body cut short: judge what there is
            return True
