"""docs/commands.md from the rows: `python -m pylb.admin.control.listing > docs/commands.md`."""

from __future__ import annotations

from pylb.admin.control import load
from pylb.admin.control.registry import ROWS

HEAD = """# Commands of the admin socket

What `stats socket` understands, in the words and with the answers of HAProxy 2.6 (management manual, 9.3). Tests ask
both programs the same and compare what they say.

- level: the least that may give the command
- runs: who carries it out where several processes serve. own: the connection's process, it concerns nothing else; read:
  it is answered from the sum of the processes; order: it changes a server, for all of them; change: each of them
  carries it out, in one order; gather: each of them is asked
- differs: where the answer or what is done is not HAProxy's; empty: the same

Everywhere: what cannot be done changes nothing, where HAProxy does the half of it (the lines of a payload before a
wrong one, an entry of a table before a wrong type). Messages about words that have no meaning here say what would have.

| command | level | runs | what it does | differs |
| --- | --- | --- | --- | --- |
"""

DIFFERS = {
    "add ssl crt-list": "a line that may not stand in a crt-list here is refused (`allow-0rtt`, another `verify` than"
    " the bind's, settings that are not closed)",
    "add server": "the address is one, or a path; names are not looked up",
    "add acl": 'a level "user" may not; a payload is understood, a pattern a line',
    "add map": 'a level "user" may not',
    "clear acl": 'a level "user" may not',
    "clear map": 'a level "user" may not',
    "clear table": 'a level "user" may not; keys of binary tables, too',
    "commit acl": 'a level "user" may not',
    "commit map": 'a level "user" may not',
    "del acl": 'a level "user" may not; an unknown ACL is called an ACL, not a map',
    "del map": 'a level "user" may not',
    "prepare acl": 'a level "user" may not',
    "prepare map": 'a level "user" may not',
    "set map": 'a level "user" may not',
    "set table": 'a level "user" may not; keys of binary tables are understood, in hexadecimal; without a key'
    " nothing is done, where HAProxy clears the table",
    "expert-mode": "remembered and shown, but there is no command that needs it",
    "experimental-mode": "remembered and shown, but there is no command that needs it",
    "set rate-limit": "http-compression is kept and shown; nothing is compressed",
    "set server": "fqdn is refused: there are no resolvers",
    "set ssl cert": "the whole bundle as the payload; `.key`, `.ocsp`, `.issuer` and `.sctl` parts are no names of"
    " their own; while one file's transaction is open another file is refused, where HAProxy changes the first",
    "show acl": "files are counted once, however many ACLs use them; numbers of anonymous ACLs may be others",
    "show activity": "processes in the place of threads; other figures",
    "show errors": "requests only: a wrong response is an event of its server; no session and flags",
    "show info": 'Name is "HAProxy", because programs look for it; Version is pylb\'s and "Build info" says so;'
    " figures of HAProxy's inside (pools, pipes, peers, zlib) are there and 0; connections to admin sockets, and these"
    " sockets, are not counted",
    "show map": "the lines of the configuration that use a map are not named; numbers may be others",
    "show sess": "analysers, flags and buffers are 0: bytes that wait, timeouts and descriptors are told; connections"
    " to admin sockets are not listed",
    "show stat": "columns of HAProxy's inside (h1_, h2_, comp_, cache_, agg_) are not there",
    "show servers conn": "all processes are one column",
    "show trace": "one source, stream, which writes to standard output",
    "trace": "one source, stream, and only in a process that was started with `--trace`, because a trace is compiled"
    " into the rules; start, stop, on and off, no filters",
    "show ssl cert": "certificates of `bind` lines; those that servers are shown are not listed",
    "show ssl crt-list": "HAProxy writes a NUL behind what `alpn` lists",
    "show version": "pylb's own",
}
"""By the command's words."""

NOT_SUPPORTED = {
    "abort, commit, del, new, set, show ssl ca-file and crl-file": "read at the start; reload to read them again",
    "set, show ssl ocsp-response": "no OCSP answers are stapled",
    "set ssl tls-key, show tls-keys": "keys of tickets are OpenSSL's own; there are no key files",
    "show ssl providers": "Python's OpenSSL is not asked",
    "enable, disable dynamic-cookie backend; set dynamic-cookie-key backend": "dynamic cookies are as configured",
    "get var": "there is no way to set a variable of the process, so that none has a value",
    "show cache": "there is no cache",
    "show events": "rings keep no lines: they send them on",
    "show fd, show libs, show pools, show tasks, show threads, show profiling, set profiling": "they show"
    " HAProxy's inside; Python has its own tools (py-spy, faulthandler)",
    "show peers": "there are no peers",
    "show resolvers": "names are resolved once, at the start",
}
"""Commands of HAProxy's that are answered as unknown, and why."""


MASTER = """
## The master socket

`pylb haproxy -S ADDRESS[,bind options]`, or `master-socket` in `[global]` of lb.toml, is HAProxy's master CLI (its
management manual, 9.4), with the same answers. It stays over all reloads. Without `level`, `-S` gives admin rights, as
in HAProxy, and `master-socket` an operator's, as `stats-socket` does; the path's `mode`, `user`, `group` protect it.

| words | what they do |
| --- | --- |
"""

MASTER_WORDS = {
    "`show proc`": "the master and a line per set of workers: the pid (of its steward), reloads since it began, how"
    " long it runs. Sets that still have clients after a reload are old workers. `failed` counts reloads since the last"
    " good one",
    "`reload`": "as SIGUSR2, from level operator on. The connection ends when the reload has come to its end, so that"
    " `show proc` afterwards tells of it; HAProxy's ends at once",
    "`@1 COMMAND`": "the set that serves carries it out: all its workers, as on an admin socket. There is no `@2`",
    "`@!PID COMMAND`": "the set that the process belongs to, steward or worker, old ones too; always the whole set",
    "`@1`, `@!PID`": "all that follows is for that set, until `@master` or `@`; the prompt shows its steward's pid",
    "`operator`, `user`": "fewer rights, here and for what is sent on",
    "`prompt`": "interactive: `master> `, `master[ReloadFailed]> ` after a reload that failed",
    "`help`, `show version`, `show cli level`, `show cli sockets`, `quit`": "as in HAProxy",
    "`expert-mode`, `experimental-mode`, `mcli-debug-mode`": "shown in the prompt; no command needs them",
}

MASTER_END = """
A connection without a command for ten minutes is closed (HAProxy waits forever). `-S` needs no `-W`: there is always a
master. `ssl` and `accept-proxy` are refused.
"""


def markdown() -> str:
    """The whole page."""
    load()
    lines = []
    for row in sorted(ROWS.values(), key=lambda row: row.words):
        usage = row.usage.replace("|", "\\|")
        differs = DIFFERS.get(" ".join(row.words), "")
        lines.append(f"| `{usage}` | {row.level.word} | {row.kind.value} | {row.help} | {differs} |\n")
    master = "".join(f"| {words} | {text} |\n" for words, text in MASTER_WORDS.items())
    missing = "".join(f"| {words} | {reason} |\n" for words, reason in NOT_SUPPORTED.items())
    rows = f"{HEAD}{''.join(lines)}{MASTER}{master}{MASTER_END}"
    return f"{rows}\n## Not supported\n\n| command | why |\n| --- | --- |\n{missing}"


if __name__ == "__main__":
    print(markdown(), end="")
