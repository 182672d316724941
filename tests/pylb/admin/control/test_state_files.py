"""Server state files: what HAProxy and pylb make of the same one, each of them its own and the other's."""

from __future__ import annotations

from pathlib import Path

import pytest
from admin_pair import Program, both

CONFIG = """
global
    stats socket {dir}/admin.sock mode 600 level admin
    nbthread 1
    server-state-base {states}
    server-state-file all
defaults
    mode http
    load-server-state-from-file global
    timeout client 10s
    timeout server 10s
    timeout connect 1s
frontend web
    bind 127.0.0.1:{port}
    default_backend plain
backend plain
    server one 127.0.0.1:{dead}
    server two 127.0.0.1:{dead} weight 20
    server three 127.0.0.1:{dead} disabled
    server four 127.0.0.1:{dead}
    server five 127.0.0.1:{dead} weight 5
backend checked
    server one 127.0.0.1:{dead} check inter 600s
    server two 127.0.0.1:{dead} check inter 600s rise 3 fall 4
    server three 127.0.0.1:{dead} check inter 600s
    server four 127.0.0.1:{dead} check inter 600s disabled
    server five 127.0.0.1:{dead} track checked/two
    server six 127.0.0.1:{dead} track checked/three
backend own
    load-server-state-from-file local
    server one 127.0.0.1:{dead}
    server two 127.0.0.1:{dead}
backend named
    load-server-state-from-file local
    server-state-file-name another
    server one 127.0.0.1:{dead}
backend none
    load-server-state-from-file none
    server one 127.0.0.1:{dead}
"""
ORDERS = (
    "set server plain/one state maint", "set server plain/two weight 7", "set server plain/three state ready",
    "set server plain/four state drain", "set server checked/two state maint", "set server checked/three state drain",
    "disable health checked/one", "set server own/two state maint", "set server own/one weight 9",
    "set server named/one state drain",
    "set server none/one state maint", "set server plain/five weight 3",
)  # fmt: skip
CHANGES = {
    "weight 5": "weight 6",
    "three 127.0.0.1:{dead} disabled": "three 127.0.0.1:{dead}",
    "four 127.0.0.1:{dead}\n": "four 127.0.0.1:{dead} disabled\n",
    "inter 600s disabled": "inter 600s",
}
NAMES = ("port", "dead")


def states(program: Program) -> list[str]:
    """`show servers state` without what differs by time and port: age, checks' results, which go on at once."""
    kept = []
    for line in program.ask("show servers state").strip().splitlines()[2:]:
        fields = line.split()
        kept.append(" ".join((fields[1], fields[3], *fields[5:9], fields[13])))
    return sorted(kept)


def save(program: Program, directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    (directory / "all").write_text(program.ask("show servers state"))
    (directory / "own").write_text(program.ask("show servers state own"))
    (directory / "another").write_text(program.ask("show servers state named"))


def test_each_goes_on_from_the_file_of_either(tmp_path: Path) -> None:
    with both(tmp_path / "first", CONFIG.replace("{states}", str(tmp_path / "nowhere")), *NAMES) as pair:
        for program in pair:
            for order in ORDERS:
                program.ask(order)
            save(program, tmp_path / program.directory.name)
        ordered = states(pair[0])
        assert ordered == states(pair[1])
    changed = CONFIG
    for old, new in CHANGES.items():
        assert old in changed
        changed = changed.replace(old, new)
    for number, text in enumerate((CONFIG, changed)):
        seen = []
        for made_by in ("pylb", "haproxy"):
            with both(
                tmp_path / f"{made_by[0]}{number}", text.replace("{states}", str(tmp_path / made_by)), *NAMES
            ) as pair:
                seen += [states(program) for program in pair]
        assert seen[0] == seen[1], "HAProxy, from pylb's file"
        assert seen[2] == seen[3], "HAProxy, from its own"
        assert seen[0] == seen[2]


LINE = "2 plain 1 one 127.0.0.1 0 1 1 1 5 1 0 0 0 0 0 0 - 80 - 0 0 - - 0"
FILES = {
    "none": None,
    "empty": "",
    "another version": f"2\n# be_id\n{LINE}\n",
    "sound": f"1\n# be_id\n{LINE}\n",
    "short line": f"1\n{LINE.replace(' - 80 - 0 0 - - 0', '')}\n",
    "wrong state": f"1\n{LINE.replace('127.0.0.1 0', '127.0.0.1 7')}\n",
    "no number": f"1\n{LINE.replace('0 1 1 1 5', '0 1 x 1 5')}\n",
    "heavy": f"1\n{LINE.replace('0 1 1 1 5', '0 1 257 1 5')}\n",
    "unknown servers": f"1\n{LINE.replace('one', 'nobody')}\n{LINE.replace('plain', 'nowhere')}\n",
}


QUICK = ("none", "another version", "sound", "wrong state", "unknown servers")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in QUICK else pytest.mark.soak) for kind in FILES]
)
def test_what_is_wrong_changes_nothing_and_is_said(tmp_path: Path, kind: str) -> None:
    text = FILES[kind]
    directory = tmp_path / "states"
    directory.mkdir()
    for name in ("own", "another"):
        (directory / name).write_text("1\n# nothing\n")
    if text is not None:
        (directory / "all").write_text(text)
    with both(tmp_path, CONFIG.replace("{states}", str(directory)), *NAMES) as pair:
        ours, real = (states(program) for program in pair)
        said = (pair[0].directory / "err").read_text()
    plain = [line for line in ours if line.startswith("plain")]
    assert plain == [line for line in real if line.startswith("plain")]
    assert ("plain one 0 1 1 1 0" in plain) == (kind == "sound")
    assert ("loaded" in said) == (kind not in ("sound", "unknown servers")), said
