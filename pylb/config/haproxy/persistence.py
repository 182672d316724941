"""Choosing servers and staying with them: balance, hash-type, cookie, stick-table (manual: 4.2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pylb.config.expression import parse_sample
from pylb.config.haproxy.keywords import Keyword, Line, Refusal, unknown_word
from pylb.config.haproxy.proxy import ProxyDraft
from pylb.config.haproxy.scalars import choice, duration, integer, put, size, text
from pylb.config.haproxy.sticking import STICKING
from pylb.config.model import Balance, Cookie, HashType, StickTable
from pylb.config.words import Word

_PLAIN = ("roundrobin", "static-rr", "leastconn", "first", "source", "uri", "url_param", "random", "hash", "rdp-cookie")
_WITH_ARGUMENT = re.compile(r"(hdr|random|rdp-cookie)\(([^()]*)\)")


def _read_balance(draft: ProxyDraft, line: Line) -> None:
    word = line.next("an algorithm, as in roundrobin")
    match = _WITH_ARGUMENT.fullmatch(word.text)
    name, argument = (match[1], match[2]) if match else (word.text, "")
    if name not in _PLAIN and not (match and name == "hdr" and argument):
        raise unknown_word(word, "balance algorithm", (*_PLAIN, "hdr(name)"))
    if name == "random" and argument:
        integer(1)(Word(argument, word.at))
    args = _BALANCE_ARGS[name](line) if name in _BALANCE_ARGS else []
    draft.values["balance"] = Balance(word.text, tuple(args), line.at)


def _uri_args(line: Line) -> list[str]:
    args = []
    while line.more:
        option = line.value(choice("len", "depth", "whole", "path-only", kind="uri option"))
        args.append(option)
        if option in ("len", "depth"):
            args.append(str(line.value(integer(1))))
    return args


def _url_param_args(line: Line) -> list[str]:
    args = [line.value(text, "the parameter's name")]
    if line.more:
        word = line.next()
        choice("check_post", kind="url_param option")(word)
        raise Refusal(word.at, '"check_post" is not supported by pylb', "the query is looked at, not the body")
    return args


def _hash_args(line: Line) -> list[str]:
    word = line.next("a sample, as in src")
    if parse_sample(word.text, word.at, line.report) is None:
        raise Refusal(word.at, "")
    return [word.text]


def _hdr_args(line: Line) -> list[str]:
    return [line.value(choice("use_domain_only", kind="hdr option"))] if line.more else []


_BALANCE_ARGS: dict[str, Callable[[Line], list[str]]] = {
    "uri": _uri_args,
    "url_param": _url_param_args,
    "hdr": _hdr_args,
    "hash": _hash_args,
}


def _read_hash_type(draft: ProxyDraft, line: Line) -> None:
    method = line.value(choice("consistent", "map-based", kind="hash method"))
    function = "sdbm"
    modifier = None if line.more or method != "consistent" else "avalanche"  # of the word alone (manual: hash-type)
    if line.more and line.peek() != "avalanche":
        function = line.value(choice("sdbm", "djb2", "crc32", "wt6", kind="hash function"))
    if line.more:
        modifier = line.value(choice("avalanche", kind="hash modifier"))
    draft.values["hash_type"] = HashType(method, function, modifier)


_COOKIE_MODES = ("rewrite", "insert", "prefix")
_COOKIE_FLAGS = ("indirect", "nocache", "postonly", "preserve", "httponly", "secure", "dynamic")
_COOKIE_WORDS = (*_COOKIE_MODES, *_COOKIE_FLAGS, "domain", "maxidle", "maxlife", "attr")


def _read_cookie(draft: ProxyDraft, line: Line) -> None:
    """Also in a frontend, where it has no effect: the check tells where it belongs."""
    options: dict[str, Any] = {"name": line.value(text, "the cookie's name"), "at": line.at}
    while line.more:
        word = line.next()
        name = choice(*_COOKIE_WORDS, kind="cookie option")(word)
        if name in _COOKIE_MODES:
            if options.setdefault("mode", name) != name:
                raise Refusal(word.at, f'cookie modes "{options["mode"]}" and "{name}" are incompatible', "choose one")
        elif name in _COOKIE_FLAGS:
            options[name] = True
        elif name in ("maxidle", "maxlife"):
            options[name] = line.value(duration("s"))
        else:
            field = "domains" if name == "domain" else "attrs"
            options[field] = (*options.get(field, ()), line.value(_cookie_text))
    cookie = Cookie(**options)
    _check_cookie(cookie, line)
    draft.values["cookie"] = cookie
    if draft.kind == "frontend":
        draft.values["cookie_here"] = True


def _cookie_text(word: Word) -> str:
    if not word.text or re.search(r"[\x00-\x1f\x7f;]", word.text):
        raise Refusal(word.at, f'"{word.text}" holds characters that end a cookie attribute')
    return word.text


def _check_cookie(cookie: Cookie, line: Line) -> None:
    if cookie.mode == "rewrite" and cookie.indirect:
        raise Refusal(line.at, 'cookie modes "rewrite" and "indirect" are incompatible', "insert indirect")
    if cookie.preserve and not (cookie.mode == "insert" or cookie.indirect):
        raise Refusal(line.at, 'cookie "preserve" needs "insert" or "indirect"', "add insert")


_STORED = {
    "server_id", "gpc0", "gpc0_rate", "gpc1", "gpc1_rate", "gpc", "gpc_rate", "gpt0", "gpt", "conn_cnt", "conn_cur",
    "conn_rate", "sess_cnt", "sess_rate", "http_req_cnt", "http_req_rate", "http_err_cnt", "http_err_rate",
    "http_fail_cnt", "http_fail_rate", "bytes_in_cnt", "bytes_in_rate", "bytes_out_cnt", "bytes_out_rate", "server_key",
}  # fmt: skip
_STORE = re.compile(r"([a-z0-9_]+)(?:\(([^()]*(?:,[^()]*)?)\))?")


def stored_data(word: Word) -> tuple[str, ...]:
    """`http_req_rate(10s),gpc0`: commas inside parentheses do not separate."""
    items = re.split(r",(?![^()]*\))", word.text)
    for item in items:
        match = _STORE.fullmatch(item)
        if match is None or match[1] not in _STORED:
            raise unknown_word(Word(match[1] if match else item, word.at), "data type", sorted(_STORED))
        rate = match[1].endswith("_rate")
        if rate != bool(match[2]) and match[1] not in ("gpc", "gpt"):
            wrong = "needs a period, as in" if rate else "takes no argument:"
            raise Refusal(word.at, f'"{match[1]}" {wrong} {match[1]}{"(30s)" if rate else ""}')
        if rate:
            duration(least=0.001)(Word(match[2].rpartition(",")[2], word.at))
    return tuple(items)


def read_stick_table(draft: ProxyDraft, line: Line) -> None:
    """`stick-table type T [len N] size S [expire T] [nopurge] [store …]`"""
    if draft.stick_table is not None:
        raise Refusal(
            line.at, f'a second stick-table in "{draft.name}"', f"the first is at {draft.stick_table.at}; one a proxy"
        )
    draft.stick_table = stick_table(line)


def stick_table(line: Line) -> StickTable:
    """The table of one line. Raises Refusal."""
    options: dict[str, Any] = {"at": line.at}
    while line.more:
        word = line.next()
        name = choice("type", "size", "expire", "nopurge", "store", "srvkey", "peers", "write-to", kind="option")(word)
        if name in ("peers", "srvkey", "write-to"):
            raise Refusal(
                word.at,
                f'"{name}" of stick tables is not supported by pylb',
                "tables are shared by the workers of one pylb",
            )
        if name == "type":
            options["type"] = line.value(choice("ip", "ipv6", "integer", "string", "binary", kind="table type"))
            if options["type"] in ("string", "binary") and line.take("len"):
                options["length"] = line.value(integer(1))
        elif name == "size":
            options["size"] = line.value(size)
        elif name == "expire":
            options["expire"] = line.value(duration(least=0.001))
        elif name == "store":
            options["store"] = (*options.get("store", ()), *line.value(stored_data))
        else:
            options["nopurge"] = True
    for needed in ("type", "size"):
        if not options.get(needed):
            raise Refusal(line.at, f'a stick-table needs a "{needed}"', "type ip size 100k")
    return StickTable(**options)


PERSISTENCE: list[Keyword[ProxyDraft]] = [
    Keyword("balance", _read_balance, "dlb", note="no check_post"),
    Keyword("cookie", _read_cookie, "dflb", note="in a frontend without effect, as in HAProxy"),
    Keyword("hash-type", _read_hash_type, "dlb"),
    Keyword("stick-table", read_stick_table, "flb", strict=True, note="no peers, srvkey, write-to"),
    *STICKING,
    Keyword("fullconn", put("fullconn", integer(0)), "dlb"),
    Keyword("hash-balance-factor", None, "dlb", "unsupported", "balance random keeps loads even"),
    Keyword("dynamic-cookie-key", put("dynamic_cookie_key", text), "dlb"),
    Keyword("persist", None, "dlb", "unsupported", "rdp-cookie is not read"),
]
