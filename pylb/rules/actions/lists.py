"""`set-map(FILE)`, `del-map(FILE)`, `add-acl(FILE)`, `del-acl(FILE)`: requests and responses change maps and ACLs.

The file is that of a map or of an ACL's patterns; what is changed is what they look at, never the file. All workers
have the change within a second, this one at once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from pylb.rules.action import BOTH, Step, Words, action
from pylb.rules.context import Context
from pylb.rules.logformat import compile_text
from pylb.rules.pattern_edits import Order
from pylb.rules.registry import BadArgument
from pylb.rules.reply import Reply, Text

_ORDERS = {"set-map": Order.SET, "add-acl": Order.ADD, "del-map": Order.DELETE, "del-acl": Order.DELETE}


@action(" ".join(_ORDERS), BOTH)
def _edit(words: Words) -> Step | None:
    order = _ORDERS[words.name]
    wanted = 2 if order is Order.SET else 1
    if not words.subject:
        raise BadArgument(f'"{words.name}" is written {words.name}(FILE) {"KEY VALUE" if wanted == 2 else "KEY"}')
    words.expect(wanted, wanted, f"{words.name}({words.subject}) {'KEY VALUE' if wanted == 2 else 'KEY'}")
    texts = [compile_text(word, words.scope, words.at) for word in words.args]
    if None in texts:
        return None
    key, value = (_as_word(text) for text in (*texts, None)[:2])
    lists, path = words.scope.world.patterns, words.subject
    lists.named.setdefault(path, words.at)

    def step(x: Context) -> Reply | None:
        edits = lists.edits(path)
        if edits is not None:
            with suppress(BadArgument, OverflowError):  # HAProxy, too, goes on without a word
                edits.order(order, key(x), value(x) if order is Order.SET else None)
        return None

    return step


def _as_word(text: Text | None) -> Callable[[Context], str]:
    """A format as lists hold patterns and values: text, in which bytes that are no UTF-8 keep their value."""
    if isinstance(text, bytes) or text is None:
        constant = (text or b"").decode("utf-8", "surrogateescape")
        return lambda _x: constant
    return lambda x: text(x).decode("utf-8", "surrogateescape")
