"""Files of haproxy.cfg to a Config: lines, conditional blocks, sections (manual: 2.1 "Configuration file format").

A Reader takes files one after the other. Every line is cut into words, passed by the conditional blocks and then read
by the section that is open, by its keyword table. What is wrong with a line is reported and the next line is read; the
model is built at the end, when all sections are known.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import replace
from typing import Any

from pylb.config.haproxy.conditional import Conditionals
from pylb.config.haproxy.global_section import GLOBAL_KEYWORDS, GlobalDraft
from pylb.config.haproxy.keywords import Keyword, Line, Refusal, Table, perform, unknown_word
from pylb.config.haproxy.lexer import LexicalError, split_line
from pylb.config.haproxy.proxy import RULE_SETS, ProxyDraft
from pylb.config.haproxy.proxy_keywords import PROXY_KEYWORDS, misplaced
from pylb.config.haproxy.replies import HTTP_ERRORS, HttpErrorsDraft, resolve_error_sections
from pylb.config.haproxy.rings import RING_KEYWORDS, RingDraft, resolve_rings
from pylb.config.haproxy.server import check_name
from pylb.config.haproxy.userlists import USERLIST_KEYWORDS, UserListDraft
from pylb.config.model import Config, Origin
from pylb.config.presets import NONE, Presets
from pylb.config.words import Report, Word, nearest

UNSUPPORTED_SECTIONS = {
    "peers": "stick tables are shared by the workers of one pylb",
    "resolvers": "server names are looked up once, at the start",
    "mailers": "state changes are logged",
    "cache": "responses are not cached",
    "program": "programs are the service manager's business",
    "fcgi-app": "FastCGI is not spoken",
    "log-forward": "logs are sent, not received",
}

HTTP_ERRORS_KEYWORDS: Table[HttpErrorsDraft] = Table(HTTP_ERRORS)

_MOST_WORDS = 64
"""HAProxy's limit of words a line (MAX_LINE_ARGS); here there is none."""


class Reader:
    """Reads any number of files into one Config; findings go to `report`."""

    def __init__(self, report: Report, environment: MutableMapping[str, str], presets: Presets = NONE) -> None:
        self._report = report
        self._environment = environment
        self._file = ""
        self._number = 0
        self._section = ""  # what .SECTION stands for
        self._skipping = False  # inside a conditional branch that does not hold
        self._read_line: Callable[[list[Word]], None] = self._outside
        self._globals = GlobalDraft(environment, presets)
        self._defaults: ProxyDraft | None = None
        self._named_defaults: dict[str, list[ProxyDraft]] = {}
        self._defaults_used: dict[int, str] = {}
        self._proxies: list[ProxyDraft] = []
        self._by_name: dict[str, list[ProxyDraft]] = {}
        self._userlists: dict[str, UserListDraft] = {}
        self._http_errors: dict[str, HttpErrorsDraft] = {}
        self._rings: dict[str, RingDraft] = {}

    # -------------------------------------------------------------------------------------------------------- lines

    def read(self, text: str, file: str) -> None:
        """Read one file's text; `file` is the name that findings give. Sections end with their file."""
        self._file = file
        self._section = ""
        self._read_line = self._outside
        conditionals = Conditionals(self._report, self._environment)
        lines = text.split("\n")
        if lines.pop():
            self._report.warning(
                Origin(file, len(lines) + 1, 1),
                "the last line has no line feed",
                "is the file complete? HAProxy refuses it",
            )
            lines = text.split("\n")
        for self._number, line in enumerate(lines, 1):
            self._skipping = not conditionals.active
            self._one(line, conditionals)
        conditionals.end_of_file()

    def _one(self, text: str, conditionals: Conditionals) -> None:
        try:
            words = split_line(text, self._file, self._number, self._variable)
            if not words:
                return
            if words[0].text.startswith("."):
                conditionals.directive(words)
            elif not self._skipping:
                self._statement(words)
        except LexicalError as error:
            self._report(Origin(self._file, self._number, error.offset + 1), error.message, error.advice)
        except Refusal as refusal:
            if refusal.message:
                self._report(refusal.at, refusal.message, refusal.advice)

    def _statement(self, words: list[Word]) -> None:
        if len(words) > _MOST_WORDS:
            self._report.warning(
                words[_MOST_WORDS].at, f"HAProxy takes no more than {_MOST_WORDS} words a line", "use several lines"
            )
        opener = SECTIONS.get(words[0].text)
        if opener is not None:
            self._section = words[1].text if len(words) > 1 else words[0].text
            self._read_line = self._skip  # should the opener fail
            self._read_line = opener(self, words)
        elif words[0].text in UNSUPPORTED_SECTIONS:
            self._read_line = self._skip
            note = UNSUPPORTED_SECTIONS[words[0].text]
            raise Refusal(words[0].at, f'section "{words[0].text}" is not supported by pylb', note)
        else:
            self._read_line(words)

    def _variable(self, name: str) -> str | None:
        pseudo = {".FILE": self._file, ".LINE": str(self._number), ".SECTION": self._section}.get(name)
        return self._environment.get(name) if pseudo is None else pseudo

    def _skip(self, words: list[Word]) -> None:
        """Lines of a section that could not be opened."""

    def _outside(self, words: list[Word]) -> None:
        near = nearest(words[0].text, [*SECTIONS, *UNSUPPORTED_SECTIONS])
        raise Refusal(
            words[0].at,
            f'unknown keyword "{words[0].text}" out of section',
            f'did you mean "{near}"?' if near else "a section such as global or frontend comes first",
        )

    # ----------------------------------------------------------------------------------------------------- sections

    def _line(self, words: list[Word], table: Table[Any], kind: str) -> tuple[Keyword[Any], Line]:
        negation: Any = words[0].text if words[0].text in ("no", "default") and len(words) > 1 else ""
        at = words[0].at
        words = words[1:] if negation else words
        row, count = table.find(words, kind)
        return row, Line(row.name, at, words[count:], self._report, negation)

    def _reader(self, draft: Any, table: Table[Any], kind: str) -> Callable[[list[Word]], None]:
        """Reads the lines of a section into its draft."""

        def read(words: list[Word]) -> None:
            row, line = self._line(words, table, kind)
            perform(row, draft, line)

        return read

    def _open_global(self, words: list[Word]) -> Callable[[list[Word]], None]:
        _no_more(words, 1)
        self._globals.at = self._globals.at or words[0].at

        return self._reader(self._globals, GLOBAL_KEYWORDS, "keyword in the global section:")

    def _open_defaults(self, words: list[Word]) -> Callable[[list[Word]], None]:
        name = words[1] if len(words) > 1 and words[1].text != "from" else None
        base = self._from(words, 2 if name else 1)
        if base is not None and any(base.rules.get(rule_set) for rule_set in RULE_SETS):
            raise Refusal(words[0].at, f'defaults "{base.name}" has rules: other defaults cannot be made from it')
        draft = self._proxy_draft("defaults", name.text if name else "", words[0].at, base)
        self._defaults = draft
        if name is not None:
            self._named_defaults.setdefault(name.text, []).append(draft)
        return self._proxy_reader(draft)

    def _open_proxy(self, words: list[Word]) -> Callable[[list[Word]], None]:
        """A section that must not be opened is read all the same, so that its own errors show with this one."""
        kind: Any = words[0].text
        draft = self._proxy_draft(kind, words[1].text if len(words) > 1 else "", words[0].at, self._defaults)
        try:
            if len(words) < 2:
                raise Refusal(words[0].at, f'"{kind}" needs a name', f"{kind} NAME")
            check_name(words[1], kind)
            base = self._from(words, 2) or self._defaults
            self._check_defaults_of(words, kind, base)
            draft = self._proxy_draft(kind, words[1].text, words[0].at, base)
            self._refuse_same_name(draft, words[1])
            self._proxies.append(draft)
        except Refusal as refusal:
            self._report(refusal.at, refusal.message, refusal.advice)
        return self._proxy_reader(draft)

    def _proxy_draft(self, kind: Any, name: str, at: Origin, base: ProxyDraft | None) -> ProxyDraft:
        draft = ProxyDraft(kind, name, at, base, self._report)
        draft.unix_prefix, draft.unix_bind = self._globals.unix_prefix, dict(self._globals.unix_bind)
        return draft

    def _proxy_reader(self, draft: ProxyDraft) -> Callable[[list[Word]], None]:
        kind = f"keyword in a {draft.kind} section:"

        def read(words: list[Word]) -> None:
            row, line = self._line(words, PROXY_KEYWORDS, kind)
            if not misplaced(row, draft, line):
                perform(row, draft, line)

        return read

    def _from(self, words: list[Word], position: int) -> ProxyDraft | None:
        """The defaults section that `from NAME` names, None without it."""
        if len(words) <= position:
            return None
        if words[position].text != "from":
            raise unknown_word(words[position], "word on a section's line", ["from"])
        if len(words) == position + 1:
            raise Refusal(words[position].at, '"from" needs the name of a defaults section behind it')
        _no_more(words, position + 2)
        name = words[position + 1]
        drafts = self._named_defaults.get(name.text, [])
        if not drafts:
            near = nearest(name.text, self._named_defaults)
            advice = f'did you mean "{near}"?' if near else "it must stand before"
            raise Refusal(name.at, f'defaults section "{name.text}" not found', advice)
        if len(drafts) > 1:
            places = ", ".join(str(draft.at) for draft in drafts)
            raise Refusal(name.at, f'ambiguous defaults section "{name.text}": {places}', "rename one")
        check_name(name, "defaults")
        return drafts[0]

    def _check_defaults_of(self, words: list[Word], kind: str, base: ProxyDraft | None) -> None:
        """Defaults with rules serve frontends or backends, not both."""
        if base is None or not any(base.rules.get(rule_set) for rule_set in RULE_SETS):
            return
        first = self._defaults_used.setdefault(id(base), kind)
        if kind == "listen" or first != kind:
            both = f"a {kind}" if kind == first else f"a {first} and a {kind}"
            raise Refusal(
                words[0].at,
                f'defaults "{base.name}" has rules and cannot serve {both}',
                "use separate defaults for frontends and backends",
            )

    def _refuse_same_name(self, draft: ProxyDraft, name: Word) -> None:
        for other in self._by_name.setdefault(draft.name, []):
            if draft.kind == other.kind or "listen" in (draft.kind, other.kind):
                raise Refusal(
                    name.at,
                    f'{draft.kind} "{draft.name}" has the same name as the {other.kind} at {other.at}',
                    "choose another name",
                )
        self._by_name[draft.name].append(draft)

    def _open_userlist(self, words: list[Word]) -> Callable[[list[Word]], None]:
        if len(words) < 2:
            raise Refusal(words[0].at, '"userlist" needs a name', "userlist NAME")
        _no_more(words, 2)
        check_name(words[1], "userlist")
        draft = UserListDraft(words[1].text, words[0].at, self._report)
        if draft.name in self._userlists:
            self._report.warning(
                words[1].at, f'userlist "{draft.name}" is a duplicate and ignored', "rename it, or write one list"
            )
            return self._skip
        self._userlists[draft.name] = draft

        return self._reader(draft, USERLIST_KEYWORDS, "keyword in a userlist section:")

    def _open_http_errors(self, words: list[Word]) -> Callable[[list[Word]], None]:
        if len(words) < 2:
            raise Refusal(words[0].at, '"http-errors" needs a name', "http-errors NAME")
        _no_more(words, 2)
        draft = HttpErrorsDraft(words[1], words[0].at)
        if draft.name in self._http_errors:
            raise Refusal(words[1].at, f'http-errors section "{draft.name}" already exists', "choose another name")
        self._http_errors[draft.name] = draft

        return self._reader(draft, HTTP_ERRORS_KEYWORDS, "keyword in an http-errors section:")

    def _open_ring(self, words: list[Word]) -> Callable[[list[Word]], None]:
        if len(words) < 2:
            raise Refusal(words[0].at, '"ring" needs a name', "ring NAME")
        _no_more(words, 2)
        check_name(words[1], "ring")
        draft = RingDraft(words[1].text, words[0].at)
        if draft.name in self._rings:
            raise Refusal(words[1].at, f'ring "{draft.name}" already exists', "choose another name")
        self._rings[draft.name] = draft

        return self._reader(draft, RING_KEYWORDS, "keyword in a ring section:")

    # ------------------------------------------------------------------------------------------------------ the model

    def build(self) -> Config:
        """All that has been read."""
        globals_ = self._globals.build()
        globals_ = replace(globals_, log=resolve_rings(globals_.log, self._rings, self._report))
        sections = {name: draft.error_files for name, draft in self._http_errors.items()}
        frontends: list[Any] = []
        backends: list[Any] = []
        for draft in self._proxies:
            resolve_error_sections(draft, sections)
            frontend, backend = draft.build(globals_)
            for section, into in ((frontend, frontends), (backend, backends)):
                if section is not None:
                    into.append(replace(section, log=resolve_rings(section.log, self._rings, self._report)))
        self._warn_of_shared_listens()
        userlists = tuple(draft.build() for draft in self._userlists.values())
        return Config(globals_, tuple(frontends), tuple(backends), userlists, dict(self._environment))

    def _warn_of_shared_listens(self) -> None:
        """Rules of a `listen` are on its client side: HAProxy would run them for other frontends' requests, too."""
        listens = {draft.name: draft for draft in self._proxies if draft.kind == "listen" and any(draft.rules.values())}
        for draft in self._proxies:
            routes = [(use.backend, use.at) for use in draft.use_backend]
            routes.append((draft.values.get("default_backend", ""), draft.at))
            for name, at in routes:
                if name in listens and name != draft.name:
                    self._report.warning(
                        at,
                        f'the rules of listen "{name}" run for its own clients only',
                        "split it into a frontend and a backend",
                    )


def _no_more(words: list[Word], most: int) -> None:
    if len(words) > most:
        raise Refusal(words[most].at, f'unexpected "{words[most].text}" on the line of a section', "remove it")


SECTIONS: dict[str, Callable[[Reader, list[Word]], Callable[[list[Word]], None]]] = {
    "global": Reader._open_global,
    "defaults": Reader._open_defaults,
    "frontend": Reader._open_proxy,
    "backend": Reader._open_proxy,
    "listen": Reader._open_proxy,
    "userlist": Reader._open_userlist,
    "http-errors": Reader._open_http_errors,
    "ring": Reader._open_ring,
}
