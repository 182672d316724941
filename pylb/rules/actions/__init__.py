"""Actions of rules, by subject. Importing the package registers all of them."""

from pylb.rules.actions import headers, redirect, replies, state, target

__all__ = ["headers", "redirect", "replies", "state", "target"]
