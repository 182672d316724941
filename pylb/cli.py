"""The command `pylb`: arguments in, exit status out.

Everything heavy is imported by the command that needs it: a daemon started from haproxy.cfg holds neither pydantic nor
rich, and `pylb --help` is quick. Findings go to stderr, so that `convert` can be piped.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pylb import __version__

if TYPE_CHECKING:
    from pylb.config.model import Finding, Origin

DESCRIPTION = "An HTTP load balancer that reads lb.toml and HAProxy's haproxy.cfg."

EXAMPLES = """\
examples:
  pylb demo                            see it at work: three servers, a load balancer, what to try
  pylb -c lb.toml                      serve
  pylb -c lb.toml --trace              … and tell what becomes of each request, rule by rule
  pylb -f haproxy.cfg -f conf.d        serve several files as one; of a directory its *.cfg
  pylb check haproxy.cfg               what is wrong with a configuration, and what to write instead
  pylb convert haproxy.cfg > lb.toml   the same configuration in pylb's own language
  pylb cert www.lab 10.0.0.1           a self-signed certificate for a lab
  pylb top /run/haproxy.sock           a console over the admin socket, pylb's or HAProxy's
  pylb reload /run/haproxy.sock        read the configuration again, without losing a request
  pylb haproxy -f haproxy.cfg -D -sf 7 HAProxy's own command line, for its scripts and unit files

Each command has its own --help."""

OK, INVALID, INTERRUPTED = 0, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status: 0 for done or valid, 1 for invalid, 2 for a wrong command line."""
    if "JOURNAL_STREAM" in os.environ:
        from pylb.process.journal import tell_severities

        tell_severities()
    try:
        return _main(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


def _main(arguments: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["haproxy"] or (arguments is None and Path(sys.argv[0]).name == "haproxy"):
        from pylb import haproxy_line

        return haproxy_line.main(words[1:] if words[:1] == ["haproxy"] else words)
    parser = make_parser()
    args = parser.parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = args.command
    if command is serve and not args.files:
        parser.print_help(sys.stderr)
        return 2
    try:
        return command(args)
    except BrokenPipeError:  # `pylb convert … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INVALID


def make_parser() -> argparse.ArgumentParser:
    """The arguments of all commands; each sets `command` to the function that carries it out."""
    parser = argparse.ArgumentParser(
        "pylb", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(command=serve)
    parser.add_argument("-V", "--version", "-v", action="version", version=f"pylb {__version__}")
    _add_serving(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_check(commands)
    _add_convert(commands)
    _add_cert(commands)
    _add_demo(commands)
    _add_top(commands)
    _add_reload(commands)
    return parser


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add_serving(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("serving")
    group.add_argument(
        "-c", "-f", dest="files", metavar="FILE", nargs="+", action="extend", default=[],
        help="configuration: one .toml, or any number of haproxy.cfg files and directories",
    )  # fmt: skip
    group.add_argument("-q", "--quiet", action="store_true", help="no warnings, errors only")
    group.add_argument("-d", "--debug", action="store_true", help="stay in the foreground, with asyncio's debug mode")
    group.add_argument("-db", "--foreground", action="store_true", help="stay in the foreground, even with `daemon`")
    group.add_argument(
        "--trace", action="store_true",
        help="stay in the foreground and tell the life of each request: every rule, choice, connection and timer",
    )  # fmt: skip
    group.add_argument("-D", "--daemon", action="store_true", help="go into the background")
    group.add_argument("-p", "--pidfile", metavar="FILE", help="write the process id there")


def _add_command(commands: Commands, name: str, text: str, examples: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_check(commands: Commands) -> None:
    parser = _add_command(
        commands,
        "check",
        "say what is wrong with a configuration, without starting it",
        "  pylb check haproxy.cfg\n  pylb check --strict lb.toml    # for CI: a warning is an error",
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help="files or directories, read as one configuration")
    parser.add_argument("--strict", action="store_true", help="exit with 1 on warnings too")
    parser.add_argument("-q", "--quiet", action="store_true", help="no warnings, no summary, errors only")
    parser.set_defaults(command=check_files)


def _add_convert(commands: Commands) -> None:
    parser = _add_command(
        commands,
        "convert",
        "print a configuration as lb.toml",
        "  pylb convert haproxy.cfg > lb.toml\n  pylb convert lb.toml           # tidied up",
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help="files or directories, read as one configuration")
    parser.add_argument("-q", "--quiet", action="store_true", help="no warnings")
    parser.set_defaults(command=convert)


def _add_cert(commands: Commands) -> None:
    parser = _add_command(
        commands,
        "cert",
        "write a self-signed certificate and its key as one PEM file, for labs",
        "  pylb cert www.lab '*.apps.lab' 10.0.0.1 -o lab.pem\n  curl --cacert lab.pem https://www.lab/",
    )
    parser.add_argument("names", metavar="NAME", nargs="+", help="host names, *.wildcards and IP addresses to cover")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to; - is stdout (default: first NAME.pem)")
    parser.add_argument("--days", type=int, default=365, help="how long it is valid (default: 365)")
    parser.add_argument("--force", action="store_true", help="overwrite the file")
    parser.set_defaults(command=write_certificate)


def _add_reload(commands: Commands) -> None:
    parser = _add_command(
        commands,
        "reload",
        "have a running pylb read its configuration again, and say how that went",
        "  pylb reload /run/haproxy/admin.sock",
    )
    parser.add_argument("socket", metavar="SOCKET", help="path of its `stats socket`")
    parser.set_defaults(command=reload)


def _add_top(commands: Commands) -> None:
    parser = _add_command(
        commands,
        "top",
        "show a running pylb or HAProxy live in the terminal, over its admin socket",
        "  pylb top                       # the socket where packages put it\n"
        "  pylb top /run/haproxy/admin.sock\n  pylb top 127.0.0.1:1999 --interval 0.5",
    )
    parser.add_argument("socket", metavar="SOCKET", nargs="?", help="path or HOST:PORT of a `stats socket` line")
    parser.add_argument("--interval", type=float, default=1.0, metavar="SECONDS", help="between two looks (default: 1)")
    parser.set_defaults(command=top)


def _add_demo(commands: Commands) -> None:
    parser = _add_command(
        commands,
        "demo",
        "run a load balancer with servers behind it, and say what to try",
        "  pylb demo\n  pylb demo --port 9000",
    )
    parser.add_argument("--port", type=int, help="for HTTP (default: 8080, or a free one)")
    parser.add_argument("--stats-port", type=int, help="for the statistics (default: 8404, or a free one)")
    parser.add_argument("-q", "--quiet", action="store_true", help="do not say what to try")
    parser.set_defaults(command=demo)


# ---------------------------------------------------------------------------------------------------------- commands


def serve(args: argparse.Namespace) -> int:
    """`pylb -c FILE…`"""
    from pylb.process.courtesy import without_collections

    with without_collections():
        from pylb.process.examine import examine, worst

        config, findings = examine(args.files, compiled=False)
        show(worst(findings) if args.quiet else findings)
        if config is None:
            return INVALID
        from pylb.process import privileges, start
        from pylb.process.wanted import import_wanted

        import_wanted(config)
        gc.freeze()  # modules and configuration stay, here and in the processes that are forked
    if args.debug:
        os.environ["PYTHONASYNCIODEBUG"] = "1"
    options = start.Options(
        files=args.files,
        foreground=args.foreground or args.debug or args.trace,
        quiet=args.quiet,
        daemon=args.daemon,
        pidfile=args.pidfile,
        trace=args.trace,
        show=show,
    )
    try:
        return start.run(config, options)
    except (privileges.StartError, OSError) as error:
        return fail(str(error))


def reload(args: argparse.Namespace) -> int:
    """`pylb reload SOCKET`"""
    from pylb.process.reload import reload as ask

    try:
        failed = ask(args.socket)
    except (OSError, ValueError) as error:
        return fail(str(error))
    if failed is not None:
        return fail(f"nothing has changed: {failed}")
    gone = "" if Path(args.socket).exists() else f'; "{args.socket}" is no admin socket any more'
    print(f"reloaded{gone}")
    return OK


def check_files(args: argparse.Namespace) -> int:
    """`pylb check FILE…`"""
    from pylb.process.examine import Certificates, examine, worst

    certificates = Certificates()
    config, findings = examine(args.files, certificates=certificates)
    warnings = sum(finding.severity == "warning" for finding in findings)
    valid = config is not None and not (args.strict and warnings)
    show(worst(findings) if args.quiet and not args.strict else findings)
    if not args.quiet:
        if config is not None:
            sys.stderr.writelines(f"{line}\n" for line in certificates.notes(config))
        show_summary(args.files, findings, valid)
    return OK if valid else INVALID


def convert(args: argparse.Namespace) -> int:
    """`pylb convert FILE…`"""
    from pylb.config import toml
    from pylb.config.load import load
    from pylb.config.model import ConfigError

    try:
        config, findings = load(args.files, os.environ)
    except ConfigError as error:
        show(error.findings)
        return INVALID
    show(() if args.quiet else findings)
    sys.stdout.write(toml.write(config))
    sys.stdout.flush()
    return OK


def write_certificate(args: argparse.Namespace) -> int:
    """`pylb cert NAME…`"""
    from pylb.net.certificates import self_signed

    target = args.output or f"{args.names[0].replace('*', '_').replace(':', '_')}.pem"
    try:
        pem = self_signed(args.names, args.days)
        if target == "-":
            sys.stdout.write(pem.decode())
            return OK
        _write_secret(target, pem, args.force)
    except FileExistsError:
        print(
            f'pylb: error: "{target}" exists (write elsewhere with -o, or overwrite it with --force)', file=sys.stderr
        )
        return INVALID
    except (ValueError, OSError) as error:
        print(f"pylb: error: {error}", file=sys.stderr)
        return INVALID
    print(f"{target}: a self-signed certificate for {', '.join(args.names)}, and its key", file=sys.stderr)
    return OK


def _write_secret(path: str, data: bytes, overwrite: bool) -> None:
    """Write a file that only its owner can read, from its first byte on. Raises OSError."""
    if overwrite:
        Path(path).unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def demo(args: argparse.Namespace) -> int:
    """`pylb demo`"""
    from pylb.demo.run import run

    return run(args.port, args.stats_port, args.quiet)


# ------------------------------------------------------------------------------------------------------------ showing


def fail(message: str) -> int:
    """Say what went wrong outside of any file; the exit status for it."""
    print(f"pylb: error: {message}", file=sys.stderr)
    return INVALID


def show(findings: Sequence[Finding]) -> None:
    """One line for each on stderr; on a terminal in colour, with the advice below."""
    if not findings:
        return
    if not sys.stderr.isatty():
        sys.stderr.write("".join(f"{finding}\n" for finding in findings))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for finding in findings:
        colour = "bold red" if finding.severity == "error" else "bold yellow"
        console.print(Text.assemble((_place(finding.at), "bold"), (finding.severity, colour), f": {finding.message}"))
        if finding.advice:
            console.print(Text.assemble("    ", ("→ ", "green"), (finding.advice, "green")))


def _place(at: Origin) -> str:
    return f"{at}: " if at.file else ""


def show_summary(files: Sequence[str], findings: Sequence[Finding], valid: bool) -> None:
    """The last line: what was checked, and how it came out."""
    from pylb.process.examine import worst

    errors = len(worst(findings))
    counts = [_count(errors, "error"), _count(len(findings) - errors, "warning")]
    text = ", ".join(["valid" if valid else "invalid", *filter(None, counts)])
    line = f"{', '.join(files)}: {text}"
    if sys.stderr.isatty():
        from rich.console import Console

        Console(stderr=True, highlight=False, soft_wrap=True).print(
            line, style="green" if valid else "red", markup=False
        )
    else:
        print(line, file=sys.stderr)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}" if number else ""


def top(args: argparse.Namespace) -> int:
    """`pylb top`"""
    from pylb.console.socket import find

    try:
        socket = find(args.socket)
        if not 0.1 <= args.interval <= 3600:
            raise ValueError("--interval takes seconds from 0.1 to 3600")
    except ValueError as error:
        print(f"pylb top: {error}", file=sys.stderr)
        return 2
    from pylb.console.app import Console

    Console(socket, args.interval).run()
    return OK
