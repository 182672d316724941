"""The blocks that define checks: vrrp_script, track_file, vrrp_track_process."""

from __future__ import annotations

from dataclasses import replace

from vrrpd.config.keepalived_text import Statement
from vrrpd.config.keywords import (
    Block,
    Handler,
    Table,
    arguments,
    choice,
    command,
    decimal,
    flag,
    read_block,
    seconds,
    text,
    whole,
    whole_number,
)
from vrrpd.config.model import (
    TrackFile,
    TrackProcess,
    TrackScript,
)


def _weight(limit: int) -> Handler:
    def handler(block: Block, statement: Statement) -> None:
        words = arguments(block, statement, 1, 2)
        if words is None:
            return
        number = whole_number(block, words[0], -limit, limit)
        if number is not None:
            block.values["weight"] = number
        if len(words) == 2:
            if words[1].text == "reverse":
                block.values["reverse"] = True
            else:
                block.error(words[1], f'"{words[1].text}" is not a word that follows a weight', 'write "reverse"')

    return handler


def _script_user(block: Block, statement: Statement) -> None:
    words = arguments(block, statement, 1, 2)
    if words is not None:
        block.values["user"] = words[0].text
        block.values["group"] = words[1].text if len(words) == 2 else None


def _one_command(block: Block, statement: Statement) -> None:
    """`script` takes one word; several unquoted ones are a common mistake that keepalived cuts off."""
    if len(statement.arguments) > 1:
        whole_line = " ".join(word.text for word in statement.arguments)
        block.error(
            statement.arguments[1],
            "a command with parameters has to be quoted, or they are lost",
            f'write script "{whole_line}"',
        )
        return
    command("command")(block, statement)


SCRIPT: Table = {
    "script": _one_command,
    "interval": seconds("interval", 0.001, 86400),
    "timeout": seconds("timeout", 0.001, 86400),
    "weight": _weight(253),
    "rise": whole("rise", 1, 2**31 - 1),
    "fall": whole("fall", 1, 2**31 - 1),
    "user": _script_user,
    "init_fail": flag("init_fail"),
    "first_result": choice("first_result", {"decides": "decides", "counts": "counts"}),  # vrrpd
}


def read_script(block: Block, name: str) -> TrackScript | None:
    """A vrrp_script block; None if it lacks what it cannot do without, which is reported."""
    values = read_block(block, SCRIPT, "vrrp_script")
    program = values.pop("command", None)
    if program is None:
        if not block.report.errors:
            block.error(block.statement.words[0], f'vrrp_script "{name}" has no script')
        return None
    user, group = values.pop("user", None), values.pop("group", None)
    values["command"] = replace(program, user=user, group=group)  # type: ignore[type-var]
    return TrackScript(**{"name": name, "first_result": "decides", "at": block.statement.at} | values)  # type: ignore[arg-type]


def _init_file(block: Block, statement: Statement) -> None:
    words = arguments(block, statement, 0, 2)
    block.values["initial"] = 0
    for word in words or ():
        if word.text == "overwrite":
            block.values["overwrite"] = True
        else:
            block.values["initial"] = whole_number(block, word, -(2**31), 2**31 - 1)


FILE: Table = {"file": text("path"), "weight": _weight(254), "init_file": _init_file}


def read_file(block: Block, name: str) -> TrackFile | None:
    """A track_file block; None if it lacks what it cannot do without, which is reported."""
    values = read_block(block, FILE, "track_file")
    if "path" not in values:
        block.error(block.statement.words[0], f'track_file "{name}" has no file')
        return None
    return TrackFile(**{"name": name, "at": block.statement.at} | values)  # type: ignore[arg-type]


def _process_command(block: Block, statement: Statement) -> None:
    if arguments(block, statement, 1, 1000) is not None:
        block.values["command"] = tuple(word.text for word in statement.arguments)


def _delay(block: Block, statement: Statement) -> None:
    words = arguments(block, statement, 1, 1)
    number = decimal(block, words[0], 0, 3600) if words else None
    if number is not None:
        block.values["fork_delay"] = block.values["terminate_delay"] = number


PROCESS: Table = {
    "process": _process_command,
    "param_match": choice("match_parameters", {"initial": "initial", "partial": "partial", "exact": "exact"}),
    "weight": _weight(254),
    "quorum": whole("quorum", 1, 65535),
    "quorum_max": whole("quorum_max", 0, 65535),
    "fork_delay": seconds("fork_delay", 0, 3600),
    "terminate_delay": seconds("terminate_delay", 0, 3600),
    "delay": _delay,
    "full_command": flag("full_command"),
}


def read_process(block: Block, name: str) -> TrackProcess | None:
    """A vrrp_track_process block; None if it lacks what it cannot do without, which is reported."""
    values = read_block(block, PROCESS, "vrrp_track_process")
    if "command" not in values:
        block.error(block.statement.words[0], f'vrrp_track_process "{name}" has no process')
        return None
    if len(values["command"]) > 1:  # type: ignore[arg-type]
        values.setdefault("match_parameters", "exact")
    return TrackProcess(**{"name": name, "at": block.statement.at} | values)  # type: ignore[arg-type]
