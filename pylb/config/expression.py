"""Samples, ACLs and conditions: text to model and back, the same for both configuration languages.

    sample      fetch[(arg,…)][,converter[(arg,…)]]…                  manual 7.3
    test        sample [-i] [-m METHOD] [-f FILE]… [--] [pattern]…      manual 7.1
    condition   if|unless term term … [|| term …]                     manual 7.2
    term        [!]acl-name | [!]{ test }

Only the form is judged here. Whether a fetch exists, and whether its type fits the converters and the match behind it,
is decided when rules are compiled. Invariant: `parse_x(str_x(x)) == x` for every value that a parser can return.

All parsers report what is wrong and return None (or what they could read), so that a file's mistakes come out together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pylb.config.model import NOWHERE, Acl, Call, Condition, Origin, Rule, Sample, Term, Test
from pylb.config.words import Report, Word, join_words, quote_word, split_words, unescape

_NAME = re.compile(r"[A-Za-z0-9_.+-]+")
_PLAIN_ARGUMENT = re.compile(r"[^,()\\'\"\s\]]+")


# ---------------------------------------------------------------------------------------------------------- samples


def parse_sample(text: str, at: Origin, report: Report) -> Sample | None:
    """The sample that `text` is, all of it; None after reporting what is wrong."""
    sample, end = parse_sample_prefix(text, 0, at, report)
    if sample is not None and end < len(text):
        report(_at(at, end), f'unexpected "{text[end:]}" after "{text[:end]}"', "converters follow after a comma")
        return None
    return sample


def parse_sample_prefix(text: str, start: int, at: Origin, report: Report) -> tuple[Sample | None, int]:
    """The sample at `text[start:]` and where it ends (`%[…]` in log formats ends it with a bracket)."""
    calls: list[Call] = []
    position = start
    while True:
        call, position = _parse_call(text, position, at, report)
        if call is None:
            return None, position
        calls.append(call)
        if text[position : position + 1] != ",":
            return Sample(calls[0], tuple(calls[1:]), _at(at, start)), position
        position += 1


def str_sample(sample: Sample) -> str:
    """The text of a sample."""
    return ",".join(map(_str_call, (sample.fetch, *sample.converters)))


def _parse_call(text: str, start: int, at: Origin, report: Report) -> tuple[Call | None, int]:
    name = _NAME.match(text, start)
    if name is None:
        found = f'"{text[start:]}"' if text[start:] else "the end"
        report(_at(at, start), f'expected the name of a fetch or converter in "{text}", found {found}')
        return None, start
    if text[name.end() : name.end() + 1] != "(":
        return Call(name[0], (), _at(at, start)), name.end()
    args, end = _parse_arguments(text, name.end() + 1)
    if args is None:
        report(_at(at, name.end()), f'the parenthesis of "{name[0]}(" is not closed in "{text}"', "add )")
        return None, end
    return Call(name[0], args, _at(at, start)), end


def _parse_arguments(text: str, position: int) -> tuple[tuple[str, ...] | None, int]:
    """Arguments up to the closing parenthesis, which is skipped; None when there is none.

    A second level of quotes and escapes works inside, without \\#, \\$ and \\xNN (manual 2.2, end).
    """
    args: list[str] = []
    current: list[str] = []
    quote = ""
    quoted = False  # "" is one empty argument, () is none
    while position < len(text):
        char = text[position]
        if char == "\\" and quote != "'" and text[position + 1 : position + 2] in tuple("nrt\\'\" "):
            piece, position = unescape(text, position)
            current.append(piece)
            continue
        if char in "\"'" and quote in ("", char):
            quote, quoted = ("" if quote else char), True
        elif char in ",)" and not quote:
            if char == "," or args or current or quoted:
                args.append("".join(current))
            if char == ")":
                return tuple(args), position + 1
            current, quoted = [], False
        else:
            current.append(char)
        position += 1
    return None, position


def _str_call(call: Call) -> str:
    if not call.args:
        return call.name
    if call.args == ("",):
        return f'{call.name}("")'
    return f"{call.name}({','.join(map(_str_argument, call.args))})"


def _str_argument(arg: str) -> str:
    if not arg or _PLAIN_ARGUMENT.fullmatch(arg):
        return arg
    escaped = arg.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'


# ------------------------------------------------------------------------------------------------------------- tests

_UNSUPPORTED_FLAGS = {"-M": "-M (map files)", "-u": "-u (unique ids)"}


def parse_acl(words: Sequence[Word], at: Origin, report: Report) -> Test | None:
    """The test that an `acl NAME` line or the inside of `{ }` holds: criterion, flags, patterns."""
    if not words:
        report(at, "a test needs a sample to look at", 'for example "path_beg /static"')
        return None
    sample = parse_sample(words[0].text, words[0].at, report)
    flags = _Flags()
    rest = flags.read(words[1:], report)
    if sample is None or not flags.valid:
        return None
    values = tuple(word.text for word in rest)
    return Test(sample, flags.match, flags.ignore_case, values, tuple(flags.files), words[0].at)


class _Flags:
    """The flags between a criterion and its patterns."""

    def __init__(self) -> None:
        self.match: str | None = None
        self.ignore_case = False
        self.files: list[str] = []
        self.valid = True

    def read(self, words: Sequence[Word], report: Report) -> Sequence[Word]:
        """Take the flags off the front; the patterns remain."""
        position = 0
        while position < len(words) and words[position].text.startswith("-"):
            word = words[position]
            position += 1
            if word.text == "--":
                break
            if word.text in ("-m", "-f"):
                self._take_argument(word, words[position : position + 1], report)
                position += 1
            else:
                self._take_switch(word, report)
        return words[position:]

    def _take_argument(self, flag: Word, argument: Sequence[Word], report: Report) -> None:
        if not argument:
            report(flag.at, f'"{flag.text}" needs {"a match method" if flag.text == "-m" else "a file"} behind it')
            self.valid = False
        elif flag.text == "-m":
            self.match = argument[0].text
        else:
            self.files.append(argument[0].text)

    def _take_switch(self, flag: Word, report: Report) -> None:
        if flag.text == "-i":
            self.ignore_case = True
        elif flag.text in _UNSUPPORTED_FLAGS:
            report(flag.at, f"{_UNSUPPORTED_FLAGS[flag.text]} is not supported by pylb yet")
            self.valid = False
        elif flag.text != "-n":  # -n forbids name look-ups, which are never made here
            report(flag.at, f'unknown flag "{flag.text}"', 'flags are -i, -m, -f, -n; "--" before a pattern such as -1')
            self.valid = False


def test_words(test: Test) -> list[str]:
    """The words of a test, as parse_acl() takes them."""
    words = [str_sample(test.sample)]
    if test.ignore_case:
        words.append("-i")
    if test.match is not None:
        words += ["-m", test.match]
    for path in test.files:
        words += ["-f", path]
    if test.values and test.values[0].startswith("-"):
        words.append("--")
    return [*words, *test.values]


test_words.__test__ = False  # type: ignore[attr-defined]  # not for pytest to collect


def str_test(test: Test) -> str:
    """The text of a test, quoted where needed."""
    return join_words(test_words(test))


def parse_acl_text(text: str, at: Origin, report: Report) -> Test | None:
    """parse_acl() of one string."""
    return parse_acl(split_words(text, at, report), at, report)


def str_acl(acl: Acl) -> str:
    """Name and test, as behind the keyword `acl`."""
    return f"{quote_word(acl.name)} {str_test(acl.test)}"


# -------------------------------------------------------------------------------------------------------- conditions


def parse_condition(words: Sequence[Word], at: Origin, report: Report) -> Condition | None:
    """The condition of `if …` or `unless …`, the keyword included; None after reporting what is wrong."""
    if not words or words[0].text not in ("if", "unless"):
        found = f'found "{words[0].text}"' if words else "found nothing"
        report(words[0].at if words else at, f'expected "if" or "unless", {found}')
        return None
    groups: list[list[Term]] = [[]]
    complete = True
    reader = _TermReader(words, 1, report)
    for item in reader.terms():
        if item is None:
            complete = False
        elif isinstance(item, Term):
            groups[-1].append(item)
        elif groups[-1] or not complete:
            groups.append([])
        else:
            report(item.at, f'nothing stands before "{item.text}"', "remove it, or name an ACL before it")
            complete = False
    if not groups[-1] and complete:
        report(words[-1].at, f'nothing stands after "{words[-1].text}"', "name an ACL, or { a test }")
        complete = False
    if not complete:
        return None
    return Condition(tuple(map(tuple, groups)), words[0].text == "unless", words[0].at)


class _TermReader:
    """Walks a condition's words."""

    def __init__(self, words: Sequence[Word], position: int, report: Report) -> None:
        self._words = words
        self._position = position
        self._report = report

    def terms(self) -> Iterator[Term | Word | None]:
        """A Term for each test, the Word itself for `||`, None for what was wrong and has been reported."""
        while self._position < len(self._words):
            word = self._words[self._position]
            if word.text in ("||", "or"):
                self._position += 1
                yield word
            else:
                yield self._term(word)

    def _term(self, first: Word) -> Term | None:
        negated, word = self._negation(first)
        if word is None:
            self._report(first.at, 'nothing stands after "!"', "name an ACL, or { a test }")
            return None
        if word.text == "{":
            test = self._anonymous(word)
            return None if test is None else Term(test, negated, first.at)
        if word.text == "}" or word.text.startswith("{"):
            self._report(
                word.at, f'unexpected "{word.text}" in a condition', "{ and } are words of their own: { test }"
            )
            return None
        if word.text in ("&&", "and"):
            self._report(
                word.at, f'unexpected "{word.text}" in a condition', "leave it out: ACLs in a row are all needed"
            )
            return None
        return Term(word.text, negated, first.at)

    def _negation(self, word: Word) -> tuple[bool, Word | None]:
        """Strips `!`, alone or in front of the word; moves behind the word that remains."""
        negated = False
        text = word.text
        while True:
            while text.startswith("!"):
                negated, text = not negated, text[1:]
            self._position += 1
            if text:
                return negated, Word(text, word.at)
            if self._position >= len(self._words):
                return negated, None
            word = self._words[self._position]
            text = word.text

    def _anonymous(self, brace: Word) -> Test | None:
        """The test up to the closing brace."""
        start = self._position
        while self._position < len(self._words) and self._words[self._position].text != "}":
            self._position += 1
        if self._position >= len(self._words):
            self._report(brace.at, 'the "{" of a test is not closed', 'add "}" as a word of its own')
            return None
        self._position += 1
        return parse_acl(self._words[start : self._position - 1], brace.at, self._report)


def condition_words(condition: Condition) -> list[str]:
    """The words of a condition, as parse_condition() takes them."""
    words = ["unless" if condition.unless else "if"]
    for number, group in enumerate(condition.any_of):
        if number:
            words.append("||")
        for term in group:
            words += _term_words(term)
    return words


def _term_words(term: Term) -> list[str]:
    bang = "!" if term.negated else ""
    if isinstance(term.acl, str):
        return [bang + term.acl]
    return [bang + "{", *test_words(term.acl), "}"]


def str_condition(condition: Condition) -> str:
    """The text of a condition, keyword included."""
    return join_words(condition_words(condition))


def parse_condition_text(text: str, at: Origin, report: Report) -> Condition | None:
    """parse_condition() of one string."""
    return parse_condition(split_words(text, at, report), at, report)


# -------------------------------------------------------------------------------------------------------------- rules


def parse_rule(words: Sequence[Word], at: Origin, report: Report) -> Rule | None:
    """`ACTION ARG… [if|unless …]`, the words behind `http-request` and its like."""
    if not words:
        report(at, "an action is missing")
        return None
    args, condition_part = split_condition(words[1:])
    condition = None
    if condition_part:
        condition = parse_condition(condition_part, at, report)
        if condition is None:
            return None
    return Rule(words[0].text, tuple(word.text for word in args), condition, words[0].at)


def split_condition(words: Sequence[Word]) -> tuple[Sequence[Word], Sequence[Word]]:
    """The words before the first `if` or `unless`, and those from it on."""
    for number, word in enumerate(words):
        if word.text in ("if", "unless"):
            return words[:number], words[number:]
    return words, ()


def rule_words(rule: Rule) -> list[str]:
    """The words of a rule, as parse_rule() takes them."""
    return [rule.action, *rule.args, *(condition_words(rule.condition) if rule.condition else ())]


def str_rule(rule: Rule) -> str:
    """The text of a rule."""
    return join_words(rule_words(rule))


def parse_rule_text(text: str, at: Origin, report: Report) -> Rule | None:
    """parse_rule() of one string."""
    return parse_rule(split_words(text, at, report), at, report)


def _at(at: Origin, columns: int) -> Origin:
    return Origin(at.file, at.line, at.column + columns) if at.line else at or NOWHERE
