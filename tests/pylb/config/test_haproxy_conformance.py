"""The real reader is the judge: what it accepts and refuses, and the keywords its manual lists."""

from __future__ import annotations

import gzip
import re
import subprocess
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from haproxy_corpus import CONTEXTS, DIFFERENT, entries
from haproxy_tools import errors, read
from support import require_program, skip_or_fail

from pylb.config import toml
from pylb.config.haproxy.listing import keywords

ENTRIES = entries()
MANUAL = Path("/usr/share/doc/haproxy/configuration.txt.gz")
PATH = "/usr/bin:/usr/sbin"


def test_every_line_of_the_corpus_is_accepted_or_refused_as_it_says():
    wrong = []
    for accepted, line, text in ENTRIES:
        found = errors(text, PATH=PATH)
        if accepted == bool(found):
            wrong.append((line, found))
    assert wrong == []


def test_every_accepted_line_can_be_converted_to_toml_and_means_the_same():
    for accepted, line, text in ENTRIES:
        if accepted:
            config = read(text, PATH=PATH)
            assert toml.read(toml.write(config), env={}) == config, line


def test_every_exception_is_still_one():
    assert set(DIFFERENT) <= {line for _, line, _ in ENTRIES}


@pytest.mark.interop
def test_the_real_program_accepts_and_refuses_the_same_lines(tmp_path):
    """All lines of a context go into one file; where that says something else than the corpus, each is judged alone."""
    program = require_program("haproxy")
    agreed = set()
    for group in _by_context().values():
        agreed |= _agreed_together(program, tmp_path, group)
    doubtful = [(accepted, line, text) for accepted, line, text in ENTRIES if text not in agreed]
    with ThreadPoolExecutor(4) as pool:
        files = [tmp_path / f"{number}.cfg" for number in range(len(doubtful))]
        verdicts = list(pool.map(lambda file, entry: _accepted(program, file, entry[2]), files, doubtful))
    disagreements = [
        line for (accepted, line, _), verdict in zip(doubtful, verdicts, strict=True) if verdict != accepted
    ]
    assert sorted(disagreements) == sorted(DIFFERENT)


def _by_context() -> dict[str, list[tuple[bool, str]]]:
    """What the corpus says and the text, of the contexts whose sections can stand behind one another."""
    groups = defaultdict(list)
    for accepted, _, text in ENTRIES:
        for context in ("frontend", "backend", "listen", "tcp", "defaults"):
            if text.startswith(CONTEXTS[context].partition(" {line}")[0]):
                groups[context].append((accepted, text))
                break
    return groups


def _agreed_together(program: str, directory: Path, group: list[tuple[bool, str]]) -> set[str]:
    """Those refused by an alert that names a line of theirs, and accepted though a later line has an alert."""
    owner = [number for number, (_, text) in enumerate(group) for _ in text.splitlines()]
    file = directory / "together.cfg"
    named = (re.sub(r"(?m)^(frontend|backend|listen) \w+", rf"\1 p{n}", text) for n, (_, text) in enumerate(group))
    file.write_text("".join(named))
    _, output = _run(program, file)
    lines = [int(n) for n in re.findall(r"\[ALERT\].*?\[[^\]]*together\.cfg:(\d+)\]", output)]
    refused = {owner[n - 1] for n in lines}
    read = set(range(owner[max(lines) - 1])) if lines else set()
    return {
        text
        for n, (accepted, text) in enumerate(group)
        if (n in refused and not accepted) or (n in read - refused and accepted)
    }


def _accepted(program: str, file: Path, text: str) -> bool:
    file.write_text(text)
    return _run(program, file)[0] != 1  # 2: valid, but nothing listens


def _run(program: str, file: Path) -> tuple[int, str]:
    result = subprocess.run(
        [program, "-c", "-f", str(file)], capture_output=True, env={"PATH": PATH}, check=False, timeout=60
    )
    return result.returncode, result.stderr.decode("utf-8", "replace")


# -------------------------------------------------------------------------------------------------------- the manual


def manual() -> str:
    if not MANUAL.exists():
        skip_or_fail("HAProxy's manual is not installed")
    return gzip.decompress(MANUAL.read_bytes()).decode("utf-8", "replace")


def known(context: str) -> set[str]:
    return {entry.name for entry in keywords() if entry.context == context}


def section(text: str, start: str, end: str) -> str:
    return text[text.rindex(f"\n{start}\n") : text.rindex(f"\n{end}\n")]


def test_every_keyword_of_the_matrix_is_known():
    matrix = section(manual(), "4.1. Proxy keywords matrix", "4.2. Alphabetically sorted keywords reference")
    names = re.findall(r"(?m)^([a-z][a-z0-9_. -]*?) +(?:\(\*\) +|\(deprecated\) +)?[X-] (?:\(!\))? +[X-]", matrix)
    assert len(names) > 150
    table = known("proxies")
    missing = [n for n in names if n not in table and n.rpartition(" ")[0] not in table]
    assert missing == []


def test_every_keyword_of_the_global_section_is_known():
    part = section(manual(), "3. Global parameters", "3.1. Process management and security")
    names = re.findall(r"(?m)^   - ([a-z0-9_.-]+)", part)
    assert len(names) > 120
    table = known("global")
    assert [n for n in names if n not in table and not any(t.startswith(f"{n} ") for t in table)] == []


@pytest.mark.parametrize(
    ("context", "start", "end"),
    [
        ("bind", "5.1. Bind options", "5.2. Server and default-server options"),
        ("server", "5.2. Server and default-server options", "5.3. Server IP address resolution using DNS"),
    ],
)
def test_every_option_of_bind_and_server_lines_is_known(context, start, end):
    part = section(manual(), start, end)
    names = set(re.findall(r"(?m)^([a-z][a-z0-9-]+)(?: [<\[{].*| listeners)?$", part.partition("\n\n\n")[2] or part))
    assert len(names) > 50
    assert sorted(names - known(context) - {"arguments"}) == []


@pytest.mark.interop
def test_every_registered_keyword_of_the_real_program_is_known(tmp_path):
    """-dKcfg lists what the program's parts have registered."""
    program = require_program("haproxy")
    file = tmp_path / "empty.cfg"
    file.write_text("# nothing\n")
    result = subprocess.run([program, "-dKcfg", "-c", "-f", file], capture_output=True, text=True, check=False)
    assert "server <name> <addr>" in result.stdout
    options = {
        side: set(re.findall(rf"(?m)^\t{side} <.*> ([a-z0-9-]+)(?: \+-?\d)?$", result.stdout)) for side in _SIDES
    }
    for side, names in options.items():
        assert sorted(names - known(side) - {"usesrc"}) == []
    first_words = {name.split()[0] for name in known("proxies")}
    names = set(
        re.findall(r"(?m)^\t(?:option )?([a-z0-9-]+)", result.stdout.partition("listen\n")[2].partition("\n\tbind")[0])
    )
    assert sorted(names - first_words) == []


_SIDES = ("bind", "server")
