"""The command line: `vrrpd` runs a virtual router; check, convert, status, top, watch, decode, exporter are beside it.

Each subcommand imports what it needs when it runs, so that the daemon never loads scapy, rich or
prometheus_client.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from vrrpd import quick
from vrrpd.config.model import Config
from vrrpd.core.actions import Level
from vrrpd.logs import Log

if TYPE_CHECKING:
    from vrrpd.roster import Made

STATE_DIRECTORY = Path("/run/vrrpd")
CONFIG_ID = "this node's name, for @ID lines and [node.ID] (the host name)"
EXIT_CONFIG, EXIT_PERMISSION, EXIT_HOST = 2, 4, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status (0 fine, 1 host or program, 2 configuration, 4 permission)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words and words[0] in COMMANDS:
            return _command(words)
        return run(words)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


def _fail(text: str, status: int) -> int:
    print(f"vrrpd: {text}", file=sys.stderr)
    return status


# vrrpd: the daemon


def run_parser() -> argparse.ArgumentParser:
    """The options of the daemon itself."""
    parser = argparse.ArgumentParser(
        prog="vrrpd",
        description="Keep virtual addresses on one of several hosts (VRRP versions 2 and 3).",
        epilog="Other commands: " + ", ".join(f"vrrpd {name}" for name in COMMANDS) + ". Each has --help.",
    )
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="vrrpd.toml or keepalived.conf")
    parser.add_argument("-i", "--config-id", metavar="ID", help=CONFIG_ID)
    parser.add_argument("-D", "--log-detail", action="store_true", help="log more, as keepalived -D does")
    parser.add_argument("--syslog", nargs="?", const="/dev/log", metavar="SOCKET", help="log to syslog too")
    parser.add_argument("--no-console", action="store_true", help="do not log to stderr")
    parser.add_argument("--state-dir", type=Path, default=STATE_DIRECTORY, metavar="DIR", help="%(default)s")
    parser.add_argument(
        "--trace", action="store_true", help="tell the life of each advert and transition, for learning"
    )
    parser.add_argument("-V", action="store_true", dest="print_version", help="print vrrpd's own version")
    quick.add_options(parser)
    return parser


def run(words: Sequence[str]) -> int:
    """Run the daemon until it is told to stop."""
    options = run_parser().parse_args(words)
    if options.print_version:
        from importlib.metadata import version

        print(f"vrrpd {version('pylb-vrrpd')}")
        return 0
    try:
        log, made = _log(options)
        config = _from_file(options, log) if options.config else _from_options(options)
    except quick.UsageError as error:
        return _fail(str(error), EXIT_CONFIG)
    except OSError as error:
        return _fail(_explain(error), EXIT_HOST)
    if config is None or not _checks_can_run(config, log):
        return EXIT_CONFIG
    return _serve(config, options, log, made)


def _log(options: argparse.Namespace) -> tuple[Log, Made | None]:
    """Where lines go, and with --trace the parts that tell more of them; OSError without the wanted syslog."""
    if not options.trace:
        return Log(console=not options.no_console, syslog=options.syslog, detail=options.log_detail), None
    from vrrpd import trace

    return trace.begin(syslog=options.syslog, detail=options.log_detail)


def _explain(error: OSError) -> str:
    text = error.strerror or str(error)
    return f"{error.filename}: {text}" if error.filename else text


def _serve(config: Config, options: argparse.Namespace, log: Log, made: Made | None) -> int:
    from vrrpd.daemon import Daemon, Options
    from vrrpd.roster import Made
    from vrrpd.system import privileges
    from vrrpd.system.statefile import AlreadyRunning

    async def serve() -> None:
        log.say(Level.INFO, f"Starting vrrpd, pid {os.getpid()}")
        daemon = Daemon(config, Options(options.state_dir, options.config, options.config_id), log, made or Made())
        lacking = daemon.stations.missing_interfaces(config)
        if lacking:
            raise OSError(errno.ENODEV, "\n       ".join(lacking))
        await daemon.run()

    try:
        privileges.check_capabilities()
        if config.globals.net_namespace:
            privileges.enter_network(config.globals.net_namespace)
        asyncio.run(serve())
    except privileges.PermissionMissing as error:
        return _fail(str(error), EXIT_PERMISSION)
    except AlreadyRunning as error:
        return _fail(str(error), EXIT_HOST)
    except PermissionError as error:
        return _fail(f"permission missing: {error}", EXIT_PERMISSION)
    except OSError as error:
        return _fail(_explain(error), EXIT_CONFIG if error.errno == errno.ENODEV else EXIT_HOST)
    return 0


def _from_file(options: argparse.Namespace, log: Log) -> Config | None:
    from vrrpd.config.errors import ConfigErrors
    from vrrpd.config.load import load_in_child, with_networks

    chosen = quick.given(options)
    if chosen:
        raise quick.UsageError(f"{', '.join(chosen)}: give these either on the command line or in {options.config}")
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(load_in_child, str(options.config), options.config_id)
        import vrrpd.daemon  # noqa: F401  meanwhile: reading and importing take 0.1 s each
    try:
        loaded = with_networks(reading.result())
    except ConfigErrors as errors:
        print(errors, file=sys.stderr)
        return None
    for finding in loaded.findings:
        if finding.code == "missing-program":
            continue  # _checks_can_run says it, with all other reasons
        log.say(Level.WARNING if finding.severity == "warning" else Level.INFO, str(finding))
    return loaded.config


def _from_options(options: argparse.Namespace) -> Config:
    from vrrpd.system.host import Host

    host = Host()
    try:
        config, notes = quick.build(options, host.default_interface())
    finally:
        host.close()
    for note in notes:
        print(f"vrrpd: {note}", file=sys.stderr)
    return config


def _checks_can_run(config: Config, log: Log) -> bool:
    """Say which checks cannot run; False when that keeps the daemon from starting."""
    from vrrpd.system.tracking import unusable, used_names

    reasons, used = unusable(config), used_names(config)
    how = config.globals.script_missing
    for spec in config.scripts:
        if spec.name not in reasons or spec.name not in used:
            continue
        place = f"{spec.command.at}: " if spec.command.at.file else ""
        meaning = {
            "fail": 'not starting; script_missing = "warn" starts with the check counted as failed',
            "warn": "the check counts as failed",
            "ignore": "THE CHECK IS LEFT OUT, as keepalived does: this node will not notice a failure",
        }[how]
        what = f"check {spec.name}: {spec.command.argv[0]}: {reasons[spec.name]}"
        if how == "fail":
            print(f"vrrpd: {place}{what}: {meaning}", file=sys.stderr)
            return False
        log.say(Level.WARNING, f"{place}{what}: {meaning}")
    return True


# The other commands


def _command(words: list[str]) -> int:
    name, rest = words[0], words[1:]
    handler, describe = COMMANDS[name]
    parser = argparse.ArgumentParser(prog=f"vrrpd {name}", description=describe)
    return handler(parser, rest)


def _check(parser: argparse.ArgumentParser, words: list[str]) -> int:
    from vrrpd.config.check import compare
    from vrrpd.config.errors import ConfigErrors
    from vrrpd.config.load import load, with_networks

    parser.add_argument(
        "file", type=Path, nargs="+", help="several: the nodes of one cluster, compared with each other"
    )
    parser.add_argument("-i", "--config-id", metavar="ID", help=CONFIG_ID)
    options = parser.parse_args(words)
    configs: dict[str, Config] = {}
    for file in options.file:
        try:
            loaded = with_networks(load(str(file), options.config_id))
        except ConfigErrors as errors:
            print(errors, file=sys.stderr)
            continue
        configs[str(file)] = loaded.config
        for finding in loaded.findings:
            print(finding)
        routers, findings = len(loaded.config.instances), len(loaded.findings)
        print(f"{file}: fine, {_count(routers, 'virtual router')}, {_count(findings, 'finding')}")
    if len(configs) > 1:
        findings_between = compare(configs)
        for finding in findings_between:
            print(finding)
        print(f"{len(configs)} files compared: {_count(len(findings_between), 'finding')}")
    return 0 if len(configs) == len(options.file) else EXIT_CONFIG


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _convert(parser: argparse.ArgumentParser, words: list[str]) -> int:
    from vrrpd.config.errors import ConfigErrors
    from vrrpd.config.load import load
    from vrrpd.config.toml_write import dumps

    parser.add_argument("file", type=Path, help="a keepalived.conf")
    parser.add_argument("-i", "--config-id", metavar="ID", help=CONFIG_ID)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="instead of standard output")
    options = parser.parse_args(words)
    try:
        loaded = load(str(options.file), options.config_id)
    except ConfigErrors as errors:
        print(errors, file=sys.stderr)
        return EXIT_CONFIG
    except OSError as error:
        return _fail(f"{options.file}: {error.strerror}", EXIT_HOST)
    text = dumps(loaded.config)
    if options.output:
        options.output.write_text(text)
    else:
        print(text, end="")
    for finding in loaded.findings:
        print(finding, file=sys.stderr)
    return 0


def _status(parser: argparse.ArgumentParser, words: list[str]) -> int:
    from vrrpd.status import fetch

    parser.add_argument("--state-dir", type=Path, default=STATE_DIRECTORY, metavar="DIR", help="%(default)s")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--metrics", action="store_true", help="Prometheus text")
    options = parser.parse_args(words)
    try:
        document = fetch(options.state_dir)
    except OSError as error:
        return _fail(f"no daemon answers in {options.state_dir}: {error.strerror}", EXIT_HOST)
    if options.json:
        print(json.dumps(document, indent=2))
    elif options.metrics:
        from vrrpd import metrics

        print(metrics.text(document), end="")
    else:
        from vrrpd import view

        view.show(document)
    return 0


def _top(parser: argparse.ArgumentParser, words: list[str]) -> int:
    from vrrpd.console.app import Console
    from vrrpd.status import fetch

    parser.add_argument("--state-dir", type=Path, default=STATE_DIRECTORY, metavar="DIR", help="%(default)s")
    parser.add_argument("--interval", type=float, default=1.0, metavar="SECONDS", help="between two looks; %(default)s")
    options = parser.parse_args(words)
    if not 0.1 <= options.interval <= 3600:
        return _fail(f"--interval {options.interval:g}: write 0.1 to 3600 seconds", EXIT_CONFIG)
    if not sys.stdout.isatty():
        return _fail("top needs a terminal; for programs there is vrrpd status --json", EXIT_HOST)
    Console(lambda: fetch(options.state_dir), options.interval).run()
    return 0


def _exporter(parser: argparse.ArgumentParser, words: list[str]) -> int:
    from vrrpd import exporter

    parser.add_argument("--state-dir", type=Path, default=STATE_DIRECTORY, metavar="DIR", help="%(default)s")
    parser.add_argument("--listen", default="127.0.0.1:9650", metavar="ADDRESS:PORT", help="%(default)s")
    options = parser.parse_args(words)
    host, _, port = options.listen.rpartition(":")
    if not port.isdigit():
        return _fail(f"--listen {options.listen}: write ADDRESS:PORT", EXIT_CONFIG)
    return exporter.serve(options.state_dir, host.strip("[]"), int(port))


def _watch(parser: argparse.ArgumentParser, words: list[str]) -> int:
    from vrrpd import watch

    parser.add_argument("interface", nargs="?", help="default: that of the default route")
    parser.add_argument("--key", metavar="PASSWORD", help="check AH and PASS against this auth_pass")
    parser.add_argument("--seconds", type=float, default=0.0, help="end after that many seconds")
    parser.add_argument("--json", action="store_true", help="one JSON document at the end instead of a live view")
    options = parser.parse_args(words)
    return watch.run(options.interface, options.key, options.seconds, options.json)


def _decode(parser: argparse.ArgumentParser, words: list[str]) -> int:
    from vrrpd import decode

    parser.add_argument("file", type=Path, help="a pcap or pcapng file")
    parser.add_argument("--key", metavar="PASSWORD", help="check AH and PASS against this auth_pass")
    parser.add_argument("--json", action="store_true", help="one JSON object per packet")
    options = parser.parse_args(words)
    return decode.run(options.file, options.key, options.json)


COMMANDS = {
    "check": (_check, "Read a configuration and say everything that is wrong or doubtful in it."),
    "convert": (_convert, "Write a keepalived.conf as vrrpd.toml."),
    "status": (_status, "Show what a running daemon does."),
    "top": (_top, "Follow a running daemon in the terminal."),
    "watch": (_watch, "Show the adverts on an interface while they come, and what is wrong with them."),
    "decode": (_decode, "Show the adverts in a capture file."),
    "exporter": (_exporter, "Serve a running daemon's metrics to Prometheus over HTTP."),
}
