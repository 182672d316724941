"""What the master does with the sockets of its generations and the paths of unix ones."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from support import free_port

from pylb.config.model import Address, Bind
from pylb.config.words import Report
from pylb.process.binding import Sockets
from pylb.process.kept_sockets import KeptSockets


def opened(kept: KeptSockets, *paths: Path, mode: int | None = None) -> dict[str, socket.socket]:
    """A generation binds these; what it tells the master."""
    report, sockets = Report(), Sockets(kept.by_key, [])
    for path in paths:
        sockets.listen(Bind(address=Address(kind="unix", path=str(path)), mode=mode), report, 8)
    report.raise_errors()
    return dict(sockets.opened)


def test_what_the_next_generation_uses_stays_open_and_the_rest_goes_with_its_path(tmp_path: Path) -> None:
    kept = KeptSockets()
    first = opened(kept, tmp_path / "a", tmp_path / "b")
    (key_a, a), (_, b) = first.items()
    kept.follow(first, set(first), os.getpid())
    assert not first and set(kept.descriptors()) == {a.fileno(), b.fileno()}
    kept.follow({}, {key_a}, os.getpid())
    assert list(kept.by_key) == [key_a] and b.fileno() == -1
    assert (tmp_path / "a").exists() and not (tmp_path / "b").exists()
    kept.end()
    assert a.fileno() == -1 and not (tmp_path / "a").exists()


def test_a_path_that_another_socket_of_the_generation_has_taken_stays(tmp_path: Path) -> None:
    kept = KeptSockets()
    before = opened(kept, tmp_path / "a")
    kept.follow(before, set(before), os.getpid())
    after = opened(kept, tmp_path / "a", mode=0o600)
    kept.follow(after, set(after), os.getpid())
    assert len(kept.by_key) == 1 and (tmp_path / "a").exists()
    kept.end()


def test_at_the_end_a_path_that_another_process_has_taken_stays(tmp_path: Path) -> None:
    kept = KeptSockets()
    ours = opened(kept, tmp_path / "a")
    kept.follow(ours, set(ours), os.getpid())
    (tmp_path / "a").rename(tmp_path / "old")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "a"))
        kept.end()
        assert (tmp_path / "a").exists()


def test_leaving_closes_all_and_removes_nothing(tmp_path: Path) -> None:
    kept = KeptSockets()
    ours = opened(kept, tmp_path / "a")
    sock = next(iter(ours.values()))
    kept.follow(ours, set(ours), os.getpid())
    kept.leave()
    assert sock.fileno() == -1 and not kept.by_key and (tmp_path / "a").exists()


def test_a_socket_that_was_handed_over_never_blocks() -> None:
    report, bind = Report(), Bind(address=Address(kind="inet", host="127.0.0.1", port=free_port()))
    first = Sockets({}, [])
    first.listen(bind, report)
    handed = {key: socket.socket(fileno=os.dup(sock.fileno())) for key, sock in first.opened.items()}
    (sock,) = Sockets(handed, []).listen(bind, report)
    report.raise_errors()
    with sock, sock.dup() as copy:  # as a worker makes them, of which the loop accepts
        assert not os.get_blocking(copy.fileno()) and not os.get_blocking(sock.fileno())
    for other in first.opened.values():
        other.close()
