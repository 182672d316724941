"""Agent checks beside the real program: what an agent says is obeyed, logged and shown alike."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import socket
import threading
import time

import pytest
from haproxy_pair import running_pair
from same_cases import judge
from support import wait_for

pytestmark = pytest.mark.interop

COLUMNS = (
    "status", "weight", "slim", "check_status", "agent_status", "agent_code", "agent_desc", "agent_rise", "agent_fall",
    "agent_health", "last_agt", "chkfail", "chkdown",
)  # fmt: skip


class Agent:
    """Says to everybody what it has been told to say; None: nothing at all."""

    def __init__(self) -> None:
        self.says: bytes | None = b"up\n"
        self.heard: list[bytes] = []
        self.asked = 0
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            with sock:
                says = self.says
                sock.settimeout(5)  # longer than a check waits
                try:
                    self.heard.append(sock.recv(100))
                    if says is None:
                        sock.recv(100)
                    else:
                        sock.sendall(says)
                except OSError:
                    pass
                self.asked += 1

    def close(self) -> None:
        with contextlib.suppress(OSError):  # closed before
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def config(agents: dict[str, Agent]) -> str:
    text = """
global
    log "127.0.0.1:${LOG}" local0
    stats socket "${DIR}/admin.sock" level admin

defaults
    mode http
    log global
    timeout connect 1s
    timeout client 1s
    timeout server 1s
    timeout check 1s
"""
    for name, options in (("plain", ""), ("logged", "option log-health-checks")):
        text += f"""
listen {name}
    bind "127.0.0.1:${{FE_{name}}}"
    {options}
    default-server weight 10 inter 1s agent-inter 100ms
    server s "127.0.0.1:${{SRV_s}}" check agent-check agent-send "hi %s\\n" agent-port {agents[name].port}
"""
    return (
        text
        + f"""
listen alone
    bind "127.0.0.1:${{FE_alone}}"
    default-server weight 10 agent-inter 100ms agent-addr 127.0.0.1
    server s "127.0.0.1:${{SRV_s}}" agent-check agent-send x agent-port {agents["alone"].port}
"""
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    agents = {name: Agent() for name in ("plain", "logged", "alone")}
    with running_pair(tmp_path_factory.mktemp("agents"), config(agents)) as pair:
        for side in pair.sides:
            wait_for(lambda side=side: all(row["last_agt"] for row in settled_rows(side).values()), what="agents")
            wait_for(lambda side=side: any("Health check for" in line for line in side.logs.lines), what="checks")
        yield pair, agents
    for agent in agents.values():
        agent.close()


def rows(side) -> dict[str, dict[str, str]]:
    """The server's columns in each backend. HAProxy forgets what an agent has said while it asks again."""
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(side.directory / "admin.sock"))
        control.sendall(b"show stat\n")
        data = b"".join(iter(lambda: control.recv(65536), b"")).decode("utf-8", "replace")
    found = [row for row in csv.DictReader(io.StringIO(data.removeprefix("# "))) if row["svname"] == "s"]
    return {row["pxname"]: {name: row[name].removeprefix("* ") for name in COLUMNS} for row in found}


def settled_rows(side) -> dict[str, dict[str, str]]:
    seen = rows(side)
    for _ in range(30):
        if all(row["last_agt"] for row in seen.values()):
            break
        time.sleep(0.004)
        seen = {name: row if row["last_agt"] else seen[name] for name, row in rows(side).items()}
    return seen


# Not "up" without a newline: HAProxy ignores it or calls it an error, by whether the close comes with it.
SAID = [
    b"up\n", b"down\n", b"up 50%\n", b"down # because of\n", b"fail#x y\n", b"stopped foo\n", b"up\n", b"drain\n",
    b"ready\n", b"maint\n", b"ready up\n", b"0%\n", b"250%\n", b"100% maxconn:30\n", b"nonsense\n", b"up nonsense\n",
    b"-5%\n", b"x%\n", b"5\n", b"maxconn:x\n", b"maxconn:0\n", b"", b"\n", b"up,75%\tready\r\nmore", b"DOWN\n",
    b"UP\n", b"down\n", b"ready\n", b"up 100%\n", b"down 30% maxconn:7 # three\n", b"up 10% down # two\n", b"up\n",
    None, b"up\n", b"DRAIN 90%\n", b"Ready\n", b"down maint\n", b"up ready 100%\n",
]  # fmt: skip
SOME = [
    b"up\n", b"down\n", b"up 50%\n", b"down # because of\n", b"drain\n", b"ready\n", b"maint\n", b"ready up\n",
    b"100% maxconn:30\n", b"nonsense\n", b"", b"up,75%\tready\r\nmore", None, b"up ready 100%\n",
]  # fmt: skip


def lines_about(side, backend: str) -> list[str]:
    """Each line once: HAProxy repeats some whenever an agent repeats itself. Whether a check or the agent is the last
    to say that the server is up depends on the moment, and when a health check comes on its own clock."""
    lines = [line for line in side.logs.lines if f" {backend}/s " in f"{line} " or f"proxy {backend} " in line]
    lines = [line for line in lines if not line.startswith("Health check")]
    lines = [re.sub(r"check duration: \d+ms", "check duration: n", line) for line in lines]
    lines = [re.sub(r"is UP, reason: .*, check duration: n", "is UP", line) for line in lines]
    return list(dict.fromkeys(lines))


def told(world, says: bytes | None, patience: float = 3.0) -> list[dict]:
    """Let all agents say it a few times; what each side has logged and shows, once it is the same or patience ends."""
    pair, agents = world
    for side in pair.sides:
        side.forget()
    asked = {}
    for name, agent in agents.items():
        agent.says, asked[name] = says, agent.asked
    wait_for(lambda: all(agent.asked >= asked[name] + 5 for name, agent in agents.items()), 10, "agents to be asked")
    deadline = time.monotonic() + patience
    while True:
        theirs, ours = seen = [now(side, agents) for side in pair.sides]
        if theirs == ours or time.monotonic() > deadline:
            return seen
        time.sleep(0.02)


def now(side, agents: dict[str, Agent]) -> dict:
    """The log lines about each backend since the agents have said something else, and its server's columns."""
    row = settled_rows(side)
    return {f"log {name}": lines_about(side, name) for name in agents} | {f"row {name}": row[name] for name in agents}


@pytest.mark.parametrize("words", [pytest.param(SOME, id="some"), pytest.param(SAID, id="all", marks=pytest.mark.soak)])
def test_agents_are_obeyed_logged_and_shown_alike(world, words):
    wrong = []
    for number, says in enumerate(words):
        theirs, ours = told(world, says)
        try:
            judge(theirs, ours)
        except AssertionError as error:
            wrong.append(f"{number} {says!r}: {error}")
    assert not wrong, "\n".join(wrong)


def test_a_line_without_end_is_ignored(world):
    told(world, b"up", 0)
    pair, _ = world
    said = "Ignoring incomplete line from agent"
    wait_for(lambda: settled_rows(pair.sides[1])["alone"]["last_agt"] == said, 10, said)


def test_what_is_said_to_agents(world):
    assert set(world[1]["plain"].heard) == {b"hi %s\n"} and set(world[1]["alone"].heard) == {b"x"}


def test_an_agent_that_is_gone_changes_nothing(world):
    pair, agents = world
    told(world, b"up ready 100%\n", 0)
    agents["plain"].close()
    for side in pair.sides:
        wait_for(lambda side=side: settled_rows(side)["plain"]["agent_status"] == "L4CON", what="a refusal")
        wait_for(lambda side=side: settled_rows(side)["plain"]["status"] == "UP", what="the next health check")
    theirs, ours = [settled_rows(side)["plain"] for side in pair.sides]
    judge({"row": theirs}, {"row": ours})
    assert (ours["agent_status"], ours["status"]) == ("L4CON", "UP")
