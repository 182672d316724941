"""Doctor: maps and ACLs that rules change."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pylb.config.check.registry import rule, warning
from pylb.config.check.walk import mentions, proxies, rules, tests
from pylb.config.model import Backend, Config, Finding, Frontend, Proxy

_CHANGING = re.compile(r"(set-map|del-map|add-acl|del-acl)\((.*)\)")
_MAP = re.compile(r"map(?:_[a-z]+)*")
_IN_TEXT = re.compile(rf"(?<![\w.-]){_MAP.pattern}\(([^(),]*)")


@rule("list-without-reader")
def list_without_reader(config: Config) -> Iterator[Finding]:
    """A rule changes a map or an ACL that nothing looks at, most likely under another spelling of its file's name."""
    read = {file for proxy in proxies(config) for file in _read_files(proxy)}
    for proxy in proxies(config):
        for step in rules(proxy):
            match = _CHANGING.fullmatch(step.action)
            if match is not None and match[2] not in read:
                yield warning(
                    step.at,
                    f'"{match[1]}" has no effect: no map and no ACL is read from "{match[2]}"',
                    "write the file's name as it stands in map(…) or behind -f",
                )


def _read_files(proxy: Proxy) -> Iterator[str]:
    for test in tests(proxy):
        yield from test.files
    yield from (name for name, _ in mentions(proxy, _MAP))
    for text in _texts(proxy):
        yield from _IN_TEXT.findall(text)


def _texts(proxy: Proxy) -> Iterator[str]:
    """Where samples may stand besides rules and tests."""
    if isinstance(proxy, Frontend):
        yield from (route.backend for route in proxy.use_backend)
        formats = (proxy.log_format, proxy.log_format_sd, proxy.error_log_format, proxy.unique_id_format)
        yield from (text for text in formats if text)
    if isinstance(proxy, Backend):
        yield from (choice.backend for choice in proxy.use_server)
        yield from proxy.balance.args
        yield from (server.tls.sni for server in proxy.servers if server.tls is not None and server.tls.sni)
