"""The seam for those who want to see what is decided and why (pylb/trace): asked while rules are compiled.

A `Watch` gets what the compiler has made of each part of the configuration and returns what will be run in its place.
Without one nothing is wrapped, so a request pays nothing for the possibility.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pylb.config.model import Rule, Test, UseBackend
    from pylb.rules.acl import Check
    from pylb.rules.action import Step
    from pylb.rules.compile import Compiled
    from pylb.rules.routes import Name, Route
    from pylb.rules.scope import Scope


class Watch(Protocol):
    """See the module."""

    def test(
        self, test: Test, name: str, sample: Compiled, assemble: Callable[[Compiled], Check | None]
    ) -> Check | None:
        """One test; `assemble` makes the function of it, from the sample given or one that notes its values. `name` is
        the ACL's, "" for an anonymous one."""

    def rule(self, rule: Rule, scope: Scope, run: Step, check: Check) -> Step:
        """One rule: what it does, and when."""

    def route(self, rule: UseBackend, check: Check, name: Name) -> Route:
        """One use_backend rule."""
