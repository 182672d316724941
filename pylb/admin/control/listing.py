"""docs/commands.md from the rows: `python -m pylb.admin.control.listing > docs/commands.md`."""

from __future__ import annotations

from pylb.admin.control import load
from pylb.admin.control.registry import ROWS

HEAD = """# Commands of the admin socket

What `stats socket` understands, with the words and the form of answers of HAProxy 2.6 (management manual, 9.3). The
level is the least that may give a command. The kind says who carries it out where several processes serve:

- own: it concerns the connection
- read: it is answered from the sum of the processes
- order: it changes a server, for all of them
- change: each of them carries it out, in one order
- gather: each of them is asked

Where pylb differs:
- A level "user" may change no ACL, map or table; HAProxy lets it.
- What cannot be done leaves nothing behind: `set table` with a wrong data type makes no entry.
- `show info` has all lines of HAProxy; those about its own inside (pools, pipes, peers) are 0. Name is "HAProxy",
  because programs look for it; Version is pylb's and "Build info" tells what it is.
- `show sess`, `show activity`, `show errors` tell what pylb has in place of HAProxy's streams, channels and threads.

| command | level | kind | |
| --- | --- | --- | --- |
"""


def markdown() -> str:
    """The whole page."""
    load()
    lines = []
    for row in sorted(ROWS.values(), key=lambda row: row.words):
        usage = row.usage.replace("|", "\\|")
        lines.append(f"| `{usage}` | {row.level.word} | {row.kind.value} | {row.help} |\n")
    return HEAD + "".join(lines)


if __name__ == "__main__":
    print(markdown(), end="")
