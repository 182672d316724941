"""ACLs and maps while requests are answered: show, get, add, set, del, clear, and versions prepared and committed."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any

from pylb.admin.control.registry import Answer, Kind, Run, command, in_lines
from pylb.admin.control.session import Level, Session, Severity
from pylb.admin.world import Running
from pylb.backend.operate import Refused
from pylb.rules.converters.maps import split_line
from pylb.rules.kinds import Kind as Type
from pylb.rules.kinds import Value, address
from pylb.rules.matches import METHODS, encode, parse_network
from pylb.rules.pattern_edits import Entry
from pylb.rules.pattern_lists import How, PatternList
from pylb.rules.registry import BadArgument

NAMES = {False: "ACL", True: "map"}
"""What a list is called in answers."""


# ---------------------------------------------------------------------------------------------------------- the lists


def the_list(world: Running, words: Sequence[str], map: bool) -> PatternList:
    """By file name or "#number"; raises Refused."""
    found = world.patterns.find(words[0], map) if words else None
    if found is None:
        raise Refused(f"Unknown {NAMES[map]} identifier. Please use #<id> or <file>.")
    return found


def _version(words: Sequence[str]) -> tuple[int | None, Sequence[str]]:
    """ "@3" before the list's name."""
    if not words or not words[0].startswith("@"):
        return None, words
    if re.fullmatch("[0-9]{1,10}", words[0][1:]) is None:
        raise Refused("Version number out of range.")
    return int(words[0][1:]), words[1:]


def _pointer(entry: Entry) -> str:
    """An entry's own name in these commands."""
    return f"{entry.number:#x}"


def _named(word: str) -> Callable[[Entry], bool] | None:
    """The one entry that "#" and its own name stand for; None: the word is a pattern."""
    return (lambda entry: _pointer(entry) == word[1:]) if word.startswith("#0x") else None


def _apply(change: Callable[[], Any]) -> Any:
    """Change a list; what a pattern or value lacks is the answer."""
    try:
        return change()
    except (BadArgument, OverflowError) as error:
        raise Refused(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None


# ---------------------------------------------------------------------------------------------------------------- show


def _describe(each: PatternList) -> str:
    if not each.file:
        return f"acl '{each.fetch}' file '{each.at.file}' line {each.at.line}"
    uses = [f"{'map' if each.map else 'acl'} at file '{at.file}' line {at.line}" for at in each.places if at.line]
    return f"pattern loaded from file '{each.file}' used by {', by '.join(uses) or NAMES[each.map].lower()}"


def _show(world: Running, words: Sequence[str], map: bool) -> Answer:
    version, words = _version(words)
    lines: Iterable[str]
    if not words:
        lines = listed = ["# id (file) description"]
        for each in world.patterns.all():
            if each.map == map:
                counts = f"curr_ver={each.current} next_ver={each.next} entry_cnt={len(each.entries)}"
                listed.append(f"{each.number} ({each.file}) {_describe(each)}. {counts}")
    else:
        each = the_list(world, words, map)
        shown = [entry for entry in each.entries if entry.version == (each.current if version is None else version)]
        lines = (f"{_pointer(entry)} {entry.pattern}{f' {entry.value}' if map else ''}" for entry in shown)
    return in_lines(lines)


# ----------------------------------------------------------------------------------------------------------------- get


def _typed(text: str, how: How) -> Value:
    """A word as what the method compares."""
    kind = METHODS["reg" if how.method == "regm" else how.method].kind
    if kind is Type.INT:
        try:
            return int(text)
        except ValueError:
            return None
    return address(text) if kind is Type.ADDR else encode(text)


def _search(each: PatternList, how: How, text: str) -> Generator[bytes, None, Entry | None]:
    """The entry that a value finds, as the method tries them: of prefixes the longest first. Nothing comes out for each
    entry that was looked at: without a match these are all, and so many take seconds."""
    value = _typed(text, how)
    if value is None:
        return None
    if how.method == "ip" or (how.method == "str" and not how.ignore_case):
        same = [entry for entry in each.editor.held(text) if entry.version == each.current]
        if same or how.method == "str":
            return same[0] if same else None
    method = METHODS["reg" if how.method == "regm" else how.method]
    best, longest = None, -1
    for entry in each.live():
        yield b""
        if not method.build([entry.pattern], how.ignore_case)(value):
            continue
        if how.method not in _LENGTHS:
            return entry
        length = _LENGTHS[how.method](entry.pattern)
        if length > longest:
            best, longest = entry, length
    return best


_LENGTHS: dict[str, Callable[[str], int]] = {"beg": len, "ip": lambda pattern: parse_network(pattern).prefixlen}


def _answers(each: PatternList, text: str) -> Iterator[bytes]:
    for how in each.hows:
        found = yield from _search(each, how, text)
        yield f"{_result(each, how, found)}\n".encode("utf-8", "surrogateescape")


def _result(each: PatternList, how: How, found: Entry | None) -> str:
    about = f"type={how.method}, case={'insensitive' if how.ignore_case else 'sensitive'}"
    word = "found" if each.map else "match"
    if found is None:
        return f"{about}, {word}=no"
    tree = how.method == "ip" or (how.method in ("str", "beg") and not how.ignore_case)
    index = f'idx={"tree" if tree else "list"}, {"key" if each.map else "pattern"}="{found.pattern}"'
    value = f', value="{found.value}", type="{_RESULTS[how.result]}"' if each.map else ""
    return f"{about}, {word}=yes, {index}{value}"


_RESULTS = {"str": "str", "int": "sint", "ip": "ipv4"}


def _get(world: Running, words: Sequence[str], map: bool) -> Answer:
    if len(words) < 2:
        raise Refused(f"Missing {NAMES[map]} identifier and/or key.")
    return _answers(the_list(world, words, map), words[1])


# ------------------------------------------------------------------------------------------------------ add, set, del


def _add(world: Running, words: Sequence[str], payload: str, map: bool) -> bytes:
    version, words = _version(words)
    if map and not (len(words) == 1 and payload) and len(words) < 3:
        raise Refused(
            "'add map' expects three parameters (map identifier, key and value)"
            " or one parameter (map identifier) and a payload"
        )
    if not map and not (words and (payload or len(words) > 1)):
        raise Refused("'add acl' expects two parameters: ACL identifier and pattern.")
    each = the_list(world, words, map)
    if version is not None and version > each.next:
        raise Refused(f"Version number in the future, please use 'prepare {NAMES[map].lower()}' before.")
    if not each.uses:
        raise Refused("This ACL never matches, because it has no patterns in the configuration: give it one there.")
    pairs: list[tuple[str, str | None]]
    if len(words) > 1:
        pairs = [(words[1], " ".join(words[2:]) if map else None)]
    elif map:
        pairs = [split_line(line) for line in payload.split("\n")]
        for key, value in pairs:
            if not value:
                raise Refused(f"Missing value for key '{key}'.")
    else:
        pairs = [(line, None) for line in payload.split("\n")]
    _apply(lambda: each.add(pairs, version))
    return b""


def _del(world: Running, words: Sequence[str], map: bool) -> bytes:
    if len(words) < 2:
        raise Refused(f"This command expects two parameters: {NAMES[map]} identifier and key.")
    each = the_list(world, words, map)
    named = _named(words[1])
    if not _apply(lambda: each.remove(named) if named is not None else each.remove_pattern(words[1])):
        raise Refused("Key not found.")
    return b""


def _clear(world: Running, words: Sequence[str], map: bool) -> bytes:
    version, words = _version(words)
    if not words:
        raise Refused(f"Missing {NAMES[map]} identifier.")
    each = the_list(world, words, map)
    wanted = each.current if version is None else version
    _apply(lambda: each.remove(lambda entry: entry.version == wanted))
    return b""


# ------------------------------------------------------------------------------------------------------------ versions


def _prepare(session: Session, world: Running, words: Sequence[str], map: bool) -> bytes:
    each = the_list(world, words, map)
    each.next += 1
    return session.feedback(Severity.INFO, f"New version created: {each.next}")


def _commit(world: Running, words: Sequence[str], map: bool) -> bytes:
    version, words = _version(words)
    if version is None:
        raise Refused("Missing version number.")
    each = the_list(world, words, map)
    if not each.current < version <= each.next:
        raise Refused("Version number out of range.")
    _apply(lambda: each.commit(version))
    return b""


# ------------------------------------------------------------------------------------------------------------ commands


@command("show acl", "[@<ver>] <acl>]", help="report available acls or dump an acl's contents")
def show_acl(session: Session, world: Running, words: Sequence[str], payload: str) -> Answer:
    """All lists of ACLs, or the patterns of one."""
    return _show(world, words, False)


@command("show map", "[@ver] [map]", help="report available maps or dump a map's contents")
def show_map(session: Session, world: Running, words: Sequence[str], payload: str) -> Answer:
    """All maps, or the keys and values of one."""
    return _show(world, words, True)


@command("get acl", "<acl> <value>", help="report the patterns matching a sample for an ACL")
def get_acl(session: Session, world: Running, words: Sequence[str], payload: str) -> Answer:
    """What a value matches, for each way in which the list is used."""
    return _get(world, words, False)


@command("get map", "<acl> <value>", help="report the keys and values matching a sample for a map")
def get_map(session: Session, world: Running, words: Sequence[str], payload: str) -> Answer:
    """What a value is mapped to."""
    return _get(world, words, True)


def _changes(words: str, arguments: str, help: str) -> Callable[[Run], Run]:
    return command(words, arguments, help=help, kind=Kind.CHANGE, level=Level.OPERATOR)


@_changes("add acl", "[@<ver>] <acl> <pattern>", "add an acl entry")
def add_acl(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """One pattern, or one a line of the payload."""
    return _add(world, words, payload, False)


@_changes("add map", "[@<ver>] <map> <key> <val>", "add a map entry (payload supported instead of key/val)")
def add_map(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """One key, or one a line of the payload."""
    return _add(world, words, payload, True)


@_changes("set map", "<map> [<key>|#<ref>] <value>", "modify a map entry")
def set_map(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Another value for a key."""
    if len(words) < 3:
        raise Refused("'set map' expects three parameters: map identifier, key and value.")
    each = the_list(world, words, True)
    named, value = _named(words[1]), " ".join(words[2:])
    if not _apply(lambda: each.set_value(named, value) if named is not None else each.set_pattern(words[1], value)):
        raise Refused("entry not found.")
    return b""


@_changes("del acl", "<acl> [<key>|#<ref>]", "delete acl entries matching <key>")
def del_acl(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Every entry that is written so."""
    return _del(world, words, False)


@_changes("del map", "<map> [<key>|#<ref>]", "delete map entries matching <key>")
def del_map(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Every entry with that key."""
    return _del(world, words, True)


@_changes("clear acl", "[@<ver>] <acl>", "clear the contents of this acl")
def clear_acl(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """All entries of a version."""
    return _clear(world, words, False)


@_changes("clear map", "[@<ver>] <map>", "clear the contents of this map")
def clear_map(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """All entries of a version."""
    return _clear(world, words, True)


@_changes("prepare acl", "<acl>", "prepare a new version for atomic ACL replacement")
def prepare_acl(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Its entries count once it is committed."""
    return _prepare(session, world, words, False)


@_changes("prepare map", "<acl>", "prepare a new version for atomic map replacement")
def prepare_map(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Its entries count once it is committed."""
    return _prepare(session, world, words, True)


@_changes("commit acl", "@<ver> <acl>", "commit the ACL at this version")
def commit_acl(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """The version counts, those before are gone."""
    return _commit(world, words, False)


@_changes("commit map", "@<ver> <map>", "commit the map at this version")
def commit_map(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """The version counts, those before are gone."""
    return _commit(world, words, True)
