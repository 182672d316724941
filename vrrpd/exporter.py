"""`vrrpd exporter`: a small HTTP server for Prometheus, a process of its own beside the daemon."""

from __future__ import annotations

import contextlib
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from vrrpd import metrics
from vrrpd.status import fetch

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def handler_for(directory: Path) -> type[BaseHTTPRequestHandler]:
    """A request handler that asks the daemon of this state directory."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.partition("?")[0] not in ("/metrics", "/"):
                self._answer(404, "only /metrics is here\n")
                return
            try:
                document = fetch(directory)
            except (OSError, ValueError):  # nobody listens, or it ended while it answered: keepalived_up says so
                document = None
            self._answer(200, metrics.text(document))

        def _answer(self, status: int, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    return Handler


def serve(directory: Path, host: str, port: int) -> int:
    """Serve until interrupted; 1 when the address cannot be had."""
    try:
        server = ThreadingHTTPServer((host, port), handler_for(directory))
    except OSError as error:
        print(f"vrrpd exporter: {host}:{port}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"metrics on http://{host}:{server.server_address[1]}/metrics", file=sys.stderr)
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    return 0
