"""The socket of a standing lab: a line of JSON asks, lines of JSON answer, the last of which has "end".

Asked for: {"do": "status"}, {"do": "run", "scenario": …}, {"do": "act", "node": …, "part": …, "what": …},
{"do": "down"}. Answers: {"snapshot": …}, {"event": …}, {"result": …}, {"error": …}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from bench.lab.net import LabError
from bench.lab.scenarios import SCENARIOS
from bench.lab.standing import Standing, verdict

Json = dict[str, Any]


def state_directory(name: str) -> Path:
    """Where a lab of that name keeps its socket and its logs; nobody else may enter. LabError if somebody could."""
    if not name.replace("-", "").isalnum() or len(name) > 40:
        raise LabError(f'"{name}" is no name for a lab: letters, digits and -')
    runtime = "/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", "")
    base = Path(runtime, "pylb-lab") if runtime else Path(tempfile.gettempdir(), f"pylb-lab-{os.getuid()}")
    base.mkdir(mode=0o700, exist_ok=True)
    found = base.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise LabError(f"{base} is not a directory of this user alone")
    return base / name


def socket_of(directory: Path) -> Path:
    """The control socket of the lab there."""
    return directory / "control"


def ask(directory: Path, question: Json) -> Iterator[Json]:
    """Everything that the lab answers. LabError when there is none, or when it says so."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(str(socket_of(directory)))
        except OSError:
            raise LabError(f'no lab "{directory.name}" is up') from None
        sock.sendall(json.dumps(question).encode() + b"\n")
        with sock.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                answer: Json = json.loads(line)
                if "error" in answer:
                    raise LabError(answer["error"])
                if "end" in answer:
                    return
                yield answer
    raise LabError("the lab has ended")


def stands(directory: Path) -> bool:
    """Whether a lab answers there."""
    with contextlib.suppress(LabError):
        return any(True for _ in ask(directory, {"do": "status"}))
    return False


@contextlib.asynccontextmanager
async def served(standing: Standing, directory: Path) -> AsyncIterator[None]:
    """Answer at the socket."""
    path = socket_of(directory)
    path.unlink(missing_ok=True)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def tell(answer: Json) -> None:
            if not writer.is_closing():
                writer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")

        try:
            question = json.loads(await reader.readline())
            async for answer in answers(standing, question, tell):
                tell(answer)
            tell({"end": True})
        except (LabError, ValueError, KeyError, TypeError) as error:
            tell({"error": str(error)})
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(connected, str(path))
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def answers(standing: Standing, question: Json, tell: Any) -> AsyncIterator[Json]:
    """Do what is asked for. LabError, KeyError and ValueError for what cannot be done."""
    match question["do"]:
        case "status":
            yield {"snapshot": standing.snapshot().as_json()}
        case "run":
            if question["scenario"] not in SCENARIOS:
                raise LabError(f'there is no scenario "{question["scenario"]}"')
            began = standing.lab.journal.events[-1].at if standing.lab.journal.events else 0.0
            standing.lab.journal.listen(
                listener := lambda e: tell({"event": [round(e.at - began, 2), e.where, e.kind, e.text]})
            )
            try:
                found = await standing.run(SCENARIOS[question["scenario"]])
            finally:
                standing.lab.journal.forget(listener)
            yield {"result": found.as_json(), "verdict": verdict(found)}
        case "act":
            await standing.act(question["node"], question["part"], question["what"])
        case "down":
            standing.over.set()
        case other:
            raise LabError(f'"{other}" is nothing to ask for')
