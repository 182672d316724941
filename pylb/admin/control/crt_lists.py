"""Lines of crt-lists while clients are served: show, add, del ssl crt-list (net/crt_lists.py)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pylb.admin.control.registry import Kind, command
from pylb.admin.control.session import Level, Session, Severity
from pylb.admin.world import Running
from pylb.backend.operate import Refused
from pylb.config.haproxy.crt_list import OPTIONS
from pylb.net.certificate_map import Place
from pylb.net.certificate_store import Stored
from pylb.net.crt_lists import CrtList, Unusable

# ---------------------------------------------------------------------------------------------------------------- show


@command("show ssl crt-list", "[-n] [<list>]", level=Level.ADMIN,
         help="show the list of crt-lists or the content of a crt-list file <list>")  # fmt: skip
def show_ssl_crt_list(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """The names of the lists and directories; or the lines of one, as a crt-list has them, `-n` with their numbers."""
    lists = world.certificates.lists
    numbered = bool(words) and words[0] == "-n"
    wanted = words[numbered:]
    if not wanted:
        if numbered:
            raise Refused("'show ssl crt-list -n' expects a filename or a directory")
        lines = sorted(lists)
    elif (found := lists.get(_path(wanted[0]))) is not None:
        entries = found.entries.items()
        lines = [f"# {found.path}", *(_line(place, text, numbered) for place, text in entries)]
    else:
        raise Refused("didn't find the specified filename")
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _line(place: Place, text: str, numbered: bool) -> str:
    name = f"{place.certificate}:{place.line}" if numbered else place.certificate
    return f"{name} {text}" if text else name


def _path(word: str) -> str:
    """A list's path; a directory may be written with a slash behind it."""
    return word.rstrip("/") or "/"


# ------------------------------------------------------------------------------------------------------------- changes


@command("add ssl crt-list", "<list> <cert> [opts]*", kind=Kind.CHANGE, level=Level.ADMIN,
         help="add to crt-list file <list> a line <cert> or a payload")  # fmt: skip
def add_ssl_crt_list(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Show a stored certificate in all binds that use the list."""
    payload = payload.strip("\n")
    if not words or (len(words) < 2 and not payload):
        raise Refused("'add ssl crtlist' expects a filename and a certificate name")
    try:
        found, line, file, stored = _wanted(world, words, payload)
        listed = found.read(line)
    except ValueError as error:
        raise Refused(f"Can't edit the crt-list: {error}") from None
    answer = f"Inserting certificate '{file}' in crt-list '{found.path}'"
    try:
        found.add(listed, file, stored)
    except Unusable as problem:
        raise Refused(f"{answer}.\n{problem} for bind at [{problem.at}].\nFailed!") from None
    return f"{answer}{'.' * found.binds}\nSuccess!\n".encode("utf-8", "surrogateescape")


def _wanted(world: Running, words: Sequence[str], payload: str) -> tuple[CrtList, str, str, Stored]:
    """List, line, the certificate's file and what is stored under that name. Raises ValueError."""
    path, found = _list(world, words[0])
    if "\n" in payload:
        raise ValueError("only one line of payload is supported!")
    line = payload or words[1]
    _look(line)
    file = str(Path(world.config.globals.crt_base or "") / line.split()[0])
    if found.directory and not line.startswith(f"{path}/"):
        where = f"'{path}' is a directory, certificate path '{line.split()[0]}' must contain the directory path"
        raise ValueError(where)
    stored = _stored(world, file)
    if stored.bundle is None:
        raise ValueError(f"certificate '{file}' is empty!")
    if found.directory and found.places(file):
        raise ValueError("file already exists in this directory!")
    if found.full:
        raise ValueError("there are too many lines in it!")
    return found, line, file, stored


def _list(world: Running, word: str) -> tuple[str, CrtList]:
    """The path that is meant, and its list. Raises ValueError."""
    path = _path(word)
    found = world.certificates.lists.get(path)
    if found is None:
        raise ValueError(f"crt-list '{path}' does not exist!")
    return path, found


def _stored(world: Running, file: str) -> Stored:
    """The certificate of that name. Raises ValueError."""
    stored = world.certificates.files.get(file)
    if stored is None:
        raise ValueError(f"certificate '{file}' does not exist!")
    return stored


def _look(line: str) -> None:
    """What HAProxy says about a line that is none; the reader knows of more. Raises ValueError."""
    name, _, rest = line.partition("[")
    if not name.split():
        raise ValueError("parsing [CLI:1]: file must start with a cert")
    if "]" in name:
        raise ValueError("parsing [CLI:1]: missing '['")
    inside, closed, _ = rest.partition("]")
    settings = iter(inside.split() if closed else ())
    for word in settings:
        if word not in OPTIONS:
            raise ValueError(f"parsing [CLI:1]: unknown ssl keyword {word}")
        if word not in ("no-ca-names", "allow-0rtt"):
            next(settings, None)


@command("del ssl crt-list", "<list> <cert[:line]>", kind=Kind.CHANGE, level=Level.ADMIN,
         help="delete a line <cert> from crt-list file <list>")  # fmt: skip
def del_ssl_crt_list(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Take a line out, unless it is what those get who name no known host."""
    if len(words) < 2:
        raise Refused("'del ssl crtlist' expects a filename and a certificate name")
    try:
        path, found = _list(world, words[0])
        file, line = _with_line(words[1])
        stored = _stored(world, file)
        place = _place(found, file, line)
        if defaults := found.defaults(place):
            where = "".join(f"\t- {at.file}:{at.line}\n" for at in defaults)
            used = "cannot be deleted, it is used as default certificate by the following frontends:"
            raise ValueError(f"certificate '{file}' {used}\n{where}")
    except ValueError as error:
        raise Refused(f"Can't delete the entry: {error}") from None
    found.remove(place, stored)
    return session.feedback(Severity.NOTICE, f"Entry '{file}' deleted in crtlist '{path}'!")


def _with_line(word: str) -> tuple[str, int]:
    """FILE[:LINE]; 0 without. Raises ValueError."""
    file, colon, line = word.partition(":")
    if colon and not (line.isascii() and line.isdigit() and len(line) < 10):
        raise ValueError(f"wrong line number after colons in '{word}'!")
    return file, int(line or 0)


def _place(found: CrtList, file: str, line: int) -> Place:
    """The one line that is meant. Raises ValueError."""
    places = found.places(file)
    if not places:
        raise ValueError(f"certificate '{file}' can't be found in crt-list '{found.path}'!")
    numbers = ", ".join(str(place.line) for place in places)
    if not line and len(places) > 1:
        text = "in several entries, please specify a line number preceded by colons"
        raise ValueError(f"found the certificate '{file}' {text} ({numbers})!")
    for place in places:
        if line in (0, place.line):
            return place
    text = "but the line number is incorrect, please specify a correct line number preceded by colons"
    raise ValueError(f"found a certificate '{file}' {text} ({numbers})!")
