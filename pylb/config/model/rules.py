"""Expressions and the rules made of them: samples, ACLs, conditions, actions (manual: 7, http-request)."""

from __future__ import annotations

from dataclasses import dataclass, field

from pylb.config.model.origin import NOWHERE, Origin


@dataclass(frozen=True, slots=True)
class Call:
    """A sample fetch or converter with its arguments: `hdr(host)`, `lower`, `field(1,:)`."""

    name: str
    args: tuple[str, ...] = ()
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Sample:
    """A fetch and the converters behind it: `req.hdr(host),lower,field(1,:)`. Manual: 7.3 "Fetching data samples"."""

    fetch: Call
    converters: tuple[Call, ...] = ()
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Test:
    """The body of an ACL: a sample, how to match it, and the patterns. Manual: 7.1 "ACL basics".

    `sample.fetch.name` is as written, so it may carry a match in its name (`hdr_dom`, `path_beg`).
    """

    sample: Sample
    match: str | None = None
    """The method of `-m`; None: what the fetch's name or type implies."""
    ignore_case: bool = False
    """-i"""
    values: tuple[str, ...] = ()
    """Patterns as written, operators (`gt`, `eq`, …) of integer matches included, in order."""
    files: tuple[str, ...] = ()
    """-f: files of patterns, one a line."""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Acl:
    """A named test; several of one name are alternatives (manual: `acl`)."""

    name: str
    test: Test
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a condition: an ACL's name or an anonymous `{ test }`, maybe negated by `!`."""

    acl: str | Test
    negated: bool = False
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """`if a b || !c`: alternatives of conjunctions (manual: 7.2 "Using ACLs to form conditions")."""

    any_of: tuple[tuple[Term, ...], ...]
    unless: bool = False
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """One step of a rule set, words as written: `http-request set-header X-A %[src] if acl`.

    `action` is "set-header", `args` the words between it and the condition. What actions exist and what their words
    mean is decided by rules/actions when the rules are compiled.
    """

    action: str
    args: tuple[str, ...] = ()
    condition: Condition | None = None
    at: Origin = field(default=NOWHERE, compare=False, repr=False)
    written_as: str = field(default="", compare=False, repr=False)
    """The removed keyword it was written with, "reqadd" or "rspadd"; "" otherwise."""


@dataclass(frozen=True, slots=True)
class UseBackend:
    """`use_backend NAME if …`; the name may be a log-format string (`%[req.hdr(host),lower]`)."""

    backend: str
    condition: Condition | None = None
    at: Origin = field(default=NOWHERE, compare=False, repr=False)
