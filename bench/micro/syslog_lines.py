"""What one log line costs behind its text: `python bench/micro/syslog_lines.py`.

For each format: µs per line of a logger with one UDP target, of the bare send of as many bytes, and of the logger with
a send that does nothing, which is its own share. Lines are received and compared once before anything is timed.
"""

from __future__ import annotations

import socket
import timeit
from collections.abc import Callable

from pylb.admin import logsinks
from pylb.admin.syslog import FORMATS, make_logger
from pylb.config.model import Global, LogTarget

MESSAGE = (
    b'127.0.0.1:38426 [23/Nov/2026:16:07:45.738] fe be/s2 0/0/0/1/1 200 117 - - --NI 1/1/0/0/0 0/0 "GET / HTTP/1.1"'
)
ROUNDS, LINES = 7, 20_000


def least(call: Callable[[], object]) -> float:
    """µs per call, the best of several rounds."""
    return min(timeit.repeat(call, number=LINES, repeat=ROUNDS)) / LINES * 1e6


def main() -> None:
    """Print the table."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        address = f"127.0.0.1:{receiver.getsockname()[1]}"
        print(f"{'format':10}{'line':>8}{'send':>8}{'own':>8}   µs")
        for format in FORMATS:
            logger = make_logger([LogTarget(address, "local0", format=format)], Global())
            logger(6, MESSAGE)
            line = receiver.recv(9999)
            assert line.endswith(MESSAGE + b"\n")
            whole = least(lambda logger=logger: logger(6, MESSAGE))
            sink = logsinks.open_sink(address)
            sent = least(lambda sink=sink, line=line: sink.send(line))
            sink.close()
            logger._targets[0]._sink._send = len
            print(f"{format:10}{whole:8.2f}{sent:8.2f}{least(lambda logger=logger: logger(6, MESSAGE)):8.2f}")


if __name__ == "__main__":
    main()
