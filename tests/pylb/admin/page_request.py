"""Requests for the statistics page as net/ hands them over, without sockets; and the page behind a small server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

from pylb.admin.page import StatsPageHandler
from pylb.rules.reply import Reply


def request(method: str, target: str, **fields: str) -> Any:
    """An exchange with a request only; underscores in names of fields stand for hyphens."""
    head = {name.replace("_", "-").encode(): value.encode() for name, value in fields.items()}
    request = SimpleNamespace(method=method.encode(), target=target.encode(), get=head.get)
    no_rules = SimpleNamespace(http_after_response=())
    return SimpleNamespace(request=request, frontend=no_rules, backend=None)


def header(reply: Reply, name: str) -> str | None:
    """A header field of a reply."""
    return next((v.decode() for n, v in reply.headers if n == name.encode() and isinstance(v, bytes)), None)


@contextmanager
def serve(handler: StatsPageHandler) -> Iterator[str]:
    """Serve the page over HTTP; yields http://host:port."""

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fields = {name.lower().replace("-", "_"): value for name, value in self.headers.items()}
            x = request(self.command, self.path, **fields)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            reply = handler.handle(x, body) if handler.matches(self.path.encode()) else Reply(404)
            self.wfile.write(reply.serialise(x, keep_alive=False))
            self.close_connection = True

        do_HEAD = do_POST = do_PUT = do_GET

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
