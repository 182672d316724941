"""Actions of rules, by subject. Importing the package registers all of them."""

from pylb.rules.actions import (
    capture,
    connection,
    headers,
    lists,
    normalize,
    redirect,
    replies,
    state,
    target,
    tracking,
    waiting,
)

__all__ = [
    "capture",
    "connection",
    "headers",
    "lists",
    "normalize",
    "redirect",
    "replies",
    "state",
    "target",
    "tracking",
    "waiting",
]
