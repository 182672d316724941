"""Log lines: framing with a clock in the test's hand, and sinks that lose lines rather than time."""

from __future__ import annotations

import os
import socket
import time
from datetime import datetime
from pathlib import Path

import pytest

from pylb.admin.logsinks import DatagramSink, StreamSink, TargetError, open_sink
from pylb.admin.syslog import FORMATS, Frame, Sampler, make_logger
from pylb.config.model import Global, LogTarget

WHEN = datetime(2026, 11, 3, 7, 8, 9, 654321).timestamp()
INFO, NOTICE, ERR, ALERT = 6, 5, 3, 1


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def wall() -> float:
    return datetime(2026, 11, 3, 7, 8, 9, 654321).timestamp()


def frame(format: str, host: str | None = "lb1", tag: str = "pylb", room: int = 1024, **more: object) -> Frame:
    return Frame(LogTarget("stdout", "local0", format=format, **more), host, tag, 77, room)


def receiver(tmp_path: Path) -> tuple[socket.socket, str]:
    path = str(tmp_path / "log")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(path)
    sock.setblocking(False)
    return sock, path


# -------------------------------------------------------------------------------------------------------------- framing


@pytest.mark.parametrize(
    ("format", "line"),
    [
        ("rfc3164", b"<134>Nov  3 07:08:09 lb1 pylb[77]: hello\n"),
        ("rfc5424", b"<134>1 2026-11-03T07:08:09.654321+00:00 lb1 pylb 77 - - hello\n"),
        ("local", b"<134>Nov  3 07:08:09 pylb[77]: hello\n"),
        ("priority", b"<134>hello\n"),
        ("short", b"<6>hello\n"),
        ("timed", b"<6>2026-11-03T07:08:09.654321+00:00 hello\n"),
        ("iso", b"2026-11-03T07:08:09.654321+00:00 hello\n"),
        ("raw", b"hello\n"),
    ],
)
def test_each_format_has_its_header(format, line):
    assert abs(len(frame(format).line(INFO, b"hello", wall())) - len(line)) == 0
    assert frame(format).line(INFO, b"hello", wall() + 2e-7) == line


def test_without_send_hostname_the_host_is_localhost_or_nil():
    assert b" localhost pylb[77]" in frame("rfc3164", host=None).line(INFO, b"x", wall())
    assert b" - pylb 77 " in frame("rfc5424", host=None).line(INFO, b"x", wall())


def test_the_second_is_renewed_and_kept():
    lines = frame("rfc3164")
    assert b"07:08:09" in lines.line(INFO, b"x", wall())
    assert b"07:08:09" in lines.line(INFO, b"x", wall() + 0.3)
    assert b"07:08:10" in lines.line(INFO, b"x", wall() + 0.4)
    assert b"07:08:09" in lines.line(INFO, b"x", wall()), "a clock that was set back"


def test_microseconds_differ_within_a_second():
    lines = frame("iso")
    assert b":09.654" in lines.line(INFO, b"x", wall())
    assert b":09.754" in lines.line(INFO, b"x", wall() + 0.1)


def test_zones_west_of_greenwich_with_half_hours(monkeypatch):
    monkeypatch.setenv("TZ", "<-0330>3:30")
    time.tzset()
    assert b"-03:30 x" in frame("iso").line(INFO, b"x", WHEN)


@pytest.mark.parametrize("format", FORMATS)
def test_a_percent_sign_in_tag_or_message_stays(format):
    line = frame(format, tag="100%d", host="a%sb").line(INFO, b"50%% of %d", wall())
    assert line.endswith(b"50%% of %d\n")
    if b"[77]" in line:
        assert b"100%d[77]" in line


def test_min_level_lowers_severe_messages():
    lines = frame("priority", min_level="notice")
    assert lines.line(ALERT, b"x", wall()) == b"<133>x\n"
    assert lines.line(INFO, b"x", wall()) == b"<134>x\n"


def test_long_lines_are_cut_and_still_end_in_a_newline():
    assert frame("priority", room=20).line(INFO, b"y" * 50, wall()) == b"<134>" + b"y" * 15 + b"\n"


# --------------------------------------------------------------------------------------------------------------- logger


def test_a_logger_filters_by_level_and_strips_newlines(tmp_path):
    sock, path = receiver(tmp_path)
    logger = make_logger([LogTarget(path, "local0", level="notice", format="short")], Global())
    logger(INFO, b"traffic")
    logger(NOTICE, b"state\n\n")
    logger.text(ALERT, "näher")
    assert sock.recv(999) == b"<5>state\n"
    assert sock.recv(999) == "<1>näher\n".encode()
    with pytest.raises(BlockingIOError):
        sock.recv(999)
    logger.close()
    sock.close()


def test_a_proxys_tag_wins_over_the_global_one(tmp_path):
    sock, path = receiver(tmp_path)
    target = LogTarget(path, "local0", format="local")
    for tag in ("mine", None):
        logger = make_logger([target], Global(log_tag="all"), tag, pid=1)
        logger(INFO, b"x")
        logger.close()
    assert b" mine[1]: x" in sock.recv(999)
    assert b" all[1]: x" in sock.recv(999)
    sock.close()


def test_loggers_share_the_socket_of_an_address_and_count_their_own_losses(tmp_path):
    sock, path = receiver(tmp_path)
    sinks: dict[str, object] = {}
    one, two = (make_logger([LogTarget(path, "local0", format="raw")], Global(), sinks=sinks) for _ in range(2))
    assert len(sinks) == 1
    one(INFO, b"1")
    two(INFO, b"2")
    assert (sock.recv(9), sock.recv(9)) == (b"1\n", b"2\n")
    sock.close()
    one(INFO, b"lost")
    assert (one.dropped, two.dropped) == (1, 0)
    one.close()
    two.close()


def test_a_logger_without_targets_is_false_and_silent():
    logger = make_logger([], Global())
    logger(INFO, b"x")
    assert not logger
    assert logger.dropped == 0


# ---------------------------------------------------------------------------------------------------------------- sinks


def test_udp_to_nobody_neither_blocks_nor_raises():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        port = gone.getsockname()[1]
    sink = open_sink(f"127.0.0.1:{port}")
    begin = time.perf_counter()
    for _ in range(1000):
        sink.send(b"x\n")
    assert time.perf_counter() - begin < 5
    sink.close()


def test_udp_lines_arrive_again_once_the_server_is_back():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        address = sock.getsockname()
    sink = open_sink(f"127.0.0.1:{address[1]}")
    sink.send(b"lost\n")
    sink.send(b"lost too\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
        sock.settimeout(5)
        sink.send(b"first\n")  # the ICMP error of the line before must not swallow this one
        sink.send(b"second\n")
        assert sock.recv(99) == b"first\n"
        assert sock.recv(99) == b"second\n"
    sink.close()


def test_a_restarted_syslog_daemon_is_found_again(tmp_path):
    now = [0.0]
    path = tmp_path / "log"
    sink = DatagramSink(socket.AF_UNIX, str(path), lambda: now[0])
    assert not sink.send(b"early\n"), "nobody listened yet"
    now[0] += 1
    for turn in (b"one\n", b"two\n"):  # the second daemon has a new socket under the old path
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
            daemon.bind(str(path))
            assert sink.send(turn)
            assert daemon.recv(99) == turn
        path.unlink()
    sink.close()


def test_a_socket_that_cannot_be_opened_is_tried_once_a_second(tmp_path, monkeypatch):
    now, tried = [0.0], []
    real = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda *a: (tried.append(now[0]), real(*a)))
    sink = DatagramSink(socket.AF_UNIX, str(tmp_path / "nothing"), lambda: now[0])
    for moment in (0.1, 0.5, 0.9, 1.1, 1.2):
        now[0] = moment
        assert not sink.send(b"x\n")
    assert tried == [0.0, 1.1]


def test_a_stuck_syslog_daemon_costs_lines_not_time(tmp_path):
    sock, path = receiver(tmp_path)
    sink = open_sink(path)
    begin = time.perf_counter()
    taken = sum(sink.send(b"x" * 100 + b"\n") for _ in range(5000))
    assert time.perf_counter() - begin < 5
    received = 0
    try:
        while sock.recv(999):
            received += 1
    except BlockingIOError:
        pass
    assert 0 < received == taken < 5000
    sink.close()
    sock.close()


def test_a_full_pipe_drops_whole_lines_and_leaves_its_other_users_blocking():
    read, write = os.pipe()
    sink = StreamSink(write)
    line = b"y" * 3001 + b"\n"
    assert sum(sink.send(line) for _ in range(100)) < 100
    assert os.get_blocking(write), "the descriptor we were given keeps its mode"
    os.set_blocking(read, False)
    got = b"".join(iter(lambda: _read(read), b""))
    sink.send(line)
    got += b"".join(iter(lambda: _read(read), b""))
    assert set(got.split(b"\n")) == {line[:-1], b""}, "a torn line"
    sink.close()
    os.close(read)
    assert not sink.send(line)
    os.close(write)


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""


def test_a_line_torn_by_a_full_pipe_is_finished_first():
    read, write = os.pipe()
    sink = StreamSink(write)
    room = 65536
    sink.send(b"a" * (room - 6000) + b"\n")
    sink.send(b"b" * 9000 + b"\n")  # more than PIPE_BUF: the kernel may take a part
    sink.send(b"dropped\n")
    first = os.read(read, room)
    sink.send(b"c\n")
    os.set_blocking(read, False)
    everything = first + b"".join(iter(lambda: _read(read), b""))
    lines = everything.split(b"\n")
    assert [len(line) for line in lines if line.startswith(b"b")] in ([9000], [])
    assert lines[-2] == b"c"
    sink.close()
    os.close(read)
    os.close(write)


def test_files_and_stream_sockets_take_lines_too(tmp_path):
    with open(tmp_path / "log", "wb") as file:  # noqa: PTH123 (the descriptor is what is tested)
        file.write(b"before\n")
        file.flush()
        sink = open_sink(f"fd@{file.fileno()}")
        sink.send(b"line\n")
        sink.close()
    assert (tmp_path / "log").read_bytes() == b"before\nline\n"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sink = open_sink(f"fd@{ours.fileno()}")
        sink.send(b"line\n")
        assert theirs.recv(99) == b"line\n"
        assert sum(sink.send(b"z" * 200) for _ in range(100_000)) < 100_000
        sink.close()


@pytest.mark.parametrize(
    ("address", "word"),
    [("fd@9999", "9999"), ("127.0.0.1:http", "http"), ("ring@buf", "ring@"), ("127.0.0.1:99999", "99999")],
)  # fmt: skip
def test_addresses_that_lead_nowhere_are_named(address, word):
    with pytest.raises(TargetError, match=word):
        open_sink(address)


def test_a_name_that_does_not_resolve_is_named(monkeypatch):
    def unknown(*_args):
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(TargetError, match=r"logs\.example"):
        open_sink("logs.example:514")


def test_addresses_as_haproxy_writes_them():
    for address, family in (
        ("127.0.0.1", socket.AF_INET),
        ("[::1]:514", socket.AF_INET6),
        ("ipv4@127.0.0.1:5", socket.AF_INET),
    ):
        sink = open_sink(address)
        assert isinstance(sink, DatagramSink)
        assert sink._family == family
        sink.close()


def test_an_abstract_socket_takes_lines():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0pylb-test-{os.getpid()}".ljust(108, "\0"))  # as HAProxy calls it
        sink = open_sink(f"abns@pylb-test-{os.getpid()}")
        sink.send(b"x\n")
        assert sock.recv(9) == b"x\n"
        sink.close()


def test_gathered_lines_leave_together_in_order_with_the_times_they_were_made(tmp_path):
    sock, path = receiver(tmp_path)
    moments = iter([WHEN, WHEN + 1.0, WHEN + 2.0])
    logger = make_logger([LogTarget(path, "local0", format="rfc3164")], Global(), pid=77, clock=lambda: next(moments))
    calls: list[tuple[float, object]] = []
    logger.gather(lambda delay, flush: calls.append((delay, flush)))
    for word in (b"one", b"two", b"three"):
        logger(INFO, word)
    with pytest.raises(BlockingIOError):
        sock.recv(1024)
    assert len(calls) == 1 and calls[0][0] <= 0.05
    calls[0][1]()
    lines = [sock.recv(1024).decode() for _ in range(3)]
    assert [line.split(" ")[3] for line in lines] == ["07:08:09", "07:08:10", "07:08:11"]
    assert [line.split(": ")[1].strip() for line in lines] == ["one", "two", "three"]
    logger.close()
    sock.close()


def test_many_gathered_lines_do_not_wait_and_the_end_loses_none(tmp_path):
    sock, path = receiver(tmp_path)
    logger = make_logger([LogTarget(path, "local0")], Global())
    logger.gather(lambda delay, flush: None)
    for number in range(8):
        logger(INFO, b"%d" % number)
    logger.close()
    assert [sock.recv(1024).decode().split(": ")[1].strip() for _ in range(8)] == [str(n) for n in range(8)]
    sock.close()


# ------------------------------------------------------------------------------------------ structured data and samples


def test_structured_data_stands_in_rfc5424_lines_alone():
    data = b'[x@1 a="b"]'
    assert frame("rfc5424").line(INFO, b"hello", wall(), data).endswith(b' lb1 pylb 77 - [x@1 a="b"] hello\n')
    assert frame("local").line(INFO, b"hello", wall(), data).endswith(b" pylb[77]: hello\n")


def test_structured_data_is_whole_or_not_there():
    head = len(b"<134>1 2026-11-03T07:08:09.654321+00:00 lb1 pylb 77 - ")
    data = b'[x@1 a="b"]'
    fits = frame("rfc5424", room=head + len(data) + 1).line(INFO, b"hello", wall(), data)
    assert fits.endswith(b'[x@1 a="b"] \n')
    short = frame("rfc5424", room=head + len(data)).line(INFO, b"hello", wall(), data)
    assert short.endswith(b" - - hello\n")


@pytest.mark.parametrize(
    ("text", "taken"), [("1:1", "111111"), ("1:3", "100100"), ("2-3:3", "011011"), ("4,1:5", "100101")]
)
def test_samples_count_from_one(text, taken):
    sampler = Sampler(text)
    assert "".join("01"[sampler.takes()] for _ in range(6)) == taken


def test_a_sample_counts_only_what_its_level_lets_through(tmp_path):
    sock, path = receiver(tmp_path)
    logger = make_logger([LogTarget(path, "local0", "err", format="raw", sample="2:2")], Global())
    for number, level in enumerate((ERR, INFO, INFO, ERR, ERR, INFO, ERR)):
        logger(level, b"%d" % number)
    assert [sock.recv(99) for _ in range(2)] == [b"3\n", b"6\n"]
    logger.close()
    sock.close()
