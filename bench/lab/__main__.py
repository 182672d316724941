"""The lab's command line.

python -m bench.lab                    the lab on this terminal, until q or Ctrl-C; `make lab`
python -m bench.lab list               the scenarios
python -m bench.lab run crash          a scenario in the lab that is up, else in one of its own
python -m bench.lab up                 a lab in the background
python -m bench.lab status [--watch]   how it is
python -m bench.lab act master1 balancer freeze
python -m bench.lab exec master1 ip addr
python -m bench.lab down               nothing is left of it
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

from rich.console import Console

from bench.lab import control, show
from bench.lab.lab import Lab
from bench.lab.launch import Shown, chosen_stack, in_namespace, made, namespace_words, run_async, stand
from bench.lab.net import LabError
from bench.lab.perform import perform_all
from bench.lab.result import Result
from bench.lab.scenarios import SCENARIOS
from bench.lab.standing import ACTS, PARTS, Standing
from bench.lab.table import table
from bench.lab.topology import ROOT, STACKS
from bench.lab.traffic import RATE
from bench.lab.view import View

UP_TIMEOUT = 90.0
"""Seconds until a lab in the background has settled."""


def main() -> int:
    """0: well; 1: a bound was broken; 2: the lab cannot be had, or not what was asked of it."""
    options = parse_arguments()
    console = Console(width=None if sys.stdout.isatty() else 170, highlight=False)
    try:
        return options.command(options, console)  # type: ignore[no-any-return]
    except LabError as error:
        Console(stderr=True, highlight=False).print(str(error), style="red", markup=False)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m bench.lab", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(command=command_show)
    _lab_options(parser)
    commands = parser.add_subparsers(metavar="COMMAND")

    def command(
        name: str, function: Callable[[argparse.Namespace, Console], int], text: str
    ) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(command=function)
        return one

    _lab_options(command("show", command_show, "the lab on this terminal"))
    command("list", command_list, "the scenarios")
    run = command("run", command_run, "run scenarios")
    run.add_argument("scenario", nargs="+", choices=[*SCENARIOS, "all"], metavar="SCENARIO", help="see list; or all")
    run.add_argument("--json", type=Path, metavar="DIR", help="write every run there, with all its requests")
    _lab_options(run, several=True)
    _lab_options(command("up", command_up, "a lab in the background"))
    serve = command("serve", command_serve, "what up starts")
    serve.add_argument("directory", type=Path)
    _lab_options(serve)
    status = command("status", command_status, "how a lab in the background is")
    status.add_argument("--watch", action="store_true", help="as a picture that stays up to date")
    _name(status)
    act = command("act", command_act, "do one thing to a node")
    act.add_argument("node")
    act.add_argument("part", choices=PARTS)
    act.add_argument("what", choices=ACTS)
    _name(act)
    execute = command("exec", command_exec, "a command on a node")
    _name(execute)
    execute.add_argument("node")
    execute.add_argument("argv", nargs=argparse.REMAINDER, metavar="CMD …")
    _name(command("down", command_down, "end a lab in the background"))
    return parser.parse_args()


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="lab", help="of the lab (default %(default)s): there may be several")


def _lab_options(parser: argparse.ArgumentParser, several: bool = False) -> None:
    _name(parser)
    parser.add_argument("--stack", nargs="+" if several else None, metavar="STACK",  # type: ignore[arg-type]
                        help=f"{', '.join(STACKS)}, or three of BALANCER+ROUTER, with commas")  # fmt: skip
    parser.add_argument("--rate", type=float, default=RATE, help="requests per second (default %(default)g)")
    parser.add_argument("--no-nginx", action="store_true", help="servers in Python, as where nginx is not installed")


# ------------------------------------------------------------------------------------------------ what can be commanded


def command_show(options: argparse.Namespace, console: Console) -> int:
    """In the foreground."""
    in_namespace()
    directory = made(options.name)

    async def shown(standing: Standing) -> None:
        await (show.show if sys.stdout.isatty() else show.tell)(standing, console)

    run_async(_stand(options, directory, shown))
    return 0


def _stand(options: argparse.Namespace, directory: Path, shown: Shown) -> Coroutine[None, None, None]:
    name, stack = chosen_stack(options.stack or "pylb+vrrpd")
    return stand(directory, options.name, name, stack, options.rate, not options.no_nginx, shown)


def command_list(options: argparse.Namespace, console: Console) -> int:
    """Names, sentences and bounds."""
    for one in SCENARIOS.values():
        console.print(f"[bold]{one.name}[/bold]{' (quick)' if one.quick else ''}\n    {one.text}")
    return 0


def command_run(options: argparse.Namespace, console: Console) -> int:
    """In the lab that is up, unless the stack is named; otherwise in labs that are made for it."""
    names = list(SCENARIOS) if "all" in options.scenario else options.scenario
    directory = control.state_directory(options.name)
    if not options.stack and control.stands(directory):
        found = [_run_there(directory, name, console) for name in names]
    else:
        in_namespace()
        found = run_async(_run_here(options, names, console))
    console.print(table(found))
    if options.json:
        options.json.mkdir(parents=True, exist_ok=True)
        for one in found:
            (options.json / f"{one.scenario}-{one.stack}.json").write_text(one.dumps())
    return 1 if any(one.broken for one in found) else 0


def _run_there(directory: Path, name: str, console: Console) -> Result:
    console.print(f"[bold]{name}[/bold]: {SCENARIOS[name].text}")
    for answer in control.ask(directory, {"do": "run", "scenario": name}):
        if "result" in answer:
            return Result.from_json(answer["result"])
        at, where, _, text = answer["event"]
        console.print(f"{at:8.2f} s  {where:9}{text}", markup=False)
    raise LabError("the lab has ended")


async def _run_here(options: argparse.Namespace, names: list[str], console: Console) -> list[Result]:
    stacks = dict(map(chosen_stack, options.stack or ["pylb+vrrpd"]))

    def built(name: str, lab: Lab) -> None:
        prefix = f"{name}: " if len(stacks) > 1 else ""
        lab.journal.listen(
            lambda e: console.print(f"{prefix}{e.at - lab.born:8.2f} s  {e.where:9}{e.text}", markup=False)
        )

    def done(one: Result) -> None:
        console.print(table([one]))

    chosen = [SCENARIOS[name] for name in names]
    return await perform_all(chosen, stacks, done, options.rate, not options.no_nginx, built)


def command_up(options: argparse.Namespace, console: Console) -> int:
    """Start one in the background and wait until it has settled."""
    directory = made(options.name)
    words = [*namespace_words(), sys.executable, "-m", "bench.lab", "serve", str(directory), "--name", options.name]
    words += ["--rate", str(options.rate), *(["--no-nginx"] if options.no_nginx else [])]
    words += ["--stack", options.stack] if options.stack else []
    log = directory / "lab.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    deadline = time.monotonic() + UP_TIMEOUT
    with console.status("the lab is built and settles") as spinner:
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(LabError):
                now = show.status(directory)
                if not now.running:
                    break
                spinner.update(f"the lab settles: {now.brief()}")
            time.sleep(0.2)
        else:
            process.terminate()
            text = log.read_text(errors="replace")
            shutil.rmtree(directory, ignore_errors=True)
            raise LabError(text or "the lab does not settle")
    console.print(View(show.status(directory)))
    console.print(f"It stays until `python -m bench.lab down{_named(options.name)}`. Logs are in {directory}.")
    return 0


def _named(name: str) -> str:
    return "" if name == "lab" else f" --name {name}"


def command_serve(options: argparse.Namespace, console: Console) -> int:
    """The process in the background."""

    async def shown(standing: Standing) -> None:
        await standing.begin()
        await standing.over.wait()

    run_async(_stand(options, options.directory, shown))
    return 0


def command_status(options: argparse.Namespace, console: Console) -> int:
    """One picture, or a living one."""
    directory = control.state_directory(options.name)
    if options.watch:
        show.watch(directory, console)
    else:
        console.print(View(show.status(directory)))
    return 0


def command_act(options: argparse.Namespace, console: Console) -> int:
    """Do one thing."""
    question = {"do": "act", "node": options.node, "part": options.part, "what": options.what}
    for _ in control.ask(control.state_directory(options.name), question):
        pass
    return 0


def command_exec(options: argparse.Namespace, console: Console) -> int:
    """Become a command on a node."""
    now = show.status(control.state_directory(options.name))
    pids = now.pids()
    if options.node not in pids:
        raise LabError(f'there is no node "{options.node}"; there are {", ".join(pids)}')
    user = [] if os.geteuid() == 0 else ["-U", "--preserve-credentials"]
    words = ["nsenter", "-t", str(pids[options.node]), *user, "-n", "-p", "-m", "-u", "--", *(options.argv or ["sh"])]
    os.execvp(words[0], words)


def command_down(options: argparse.Namespace, console: Console) -> int:
    """End it and wait until nothing is left."""
    directory = control.state_directory(options.name)
    for _ in control.ask(directory, {"do": "down"}):
        pass
    deadline = time.monotonic() + UP_TIMEOUT
    while directory.exists():
        if time.monotonic() > deadline:
            raise LabError(f"the lab does not end; see {directory}")
        time.sleep(0.05)
    return 0


if __name__ == "__main__":
    sys.exit(main())
