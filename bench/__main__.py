"""`python -m bench`: everything that is measured, in one run; `make bench` calls it.

    python -m bench [--quick] [--only PART …] [--out DIR]

Parts run one after the other, each as its own command, which can also be given alone with finer choices.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench import report

ROOT = Path(__file__).parents[1]
QUICK_RESULTS = ROOT / "build" / "bench-quick"
"""Where short runs write, so that they do not replace the real results."""


@dataclass(frozen=True)
class Part:
    """One command; minutes that it takes, and with --quick."""

    name: str
    about: str
    minutes: float
    quick_minutes: float

    @property
    def module(self) -> str:
        return f"bench.{self.name}"


PARTS = (
    Part("http", "requests: pylb beside HAProxy, nginx and Python proxies", 11, 2.5),
    Part("vrrp", "takeovers: vrrpd beside keepalived", 7, 4),
    Part("failover", "what clients notice: pylb + vrrpd beside HAProxy + keepalived", 6, 2),
)


def main() -> int:
    """0 when every part ended well and met its goals; the greatest exit status of a part otherwise."""
    options = parse_arguments()
    console = Console(highlight=False)
    chosen = [part for part in PARTS if part.name in options.only and installed(part)]
    out = options.out or (QUICK_RESULTS if options.quick else report.RESULTS)
    statuses = []
    for number, part in enumerate(chosen):
        left = sum(expected(one, options.quick) for one in chosen[number:])
        console.rule(f"{number + 1} of {len(chosen)}: {part.about}")
        console.print(f"{part.module}: about {expected(part, options.quick):g} minutes; {left:g} until all is done")
        began = time.monotonic()
        try:
            statuses.append(subprocess.run(command(part, options.quick, out), cwd=ROOT, check=False).returncode)
        except KeyboardInterrupt:
            console.print("stopped")
            return 130
        console.print(f"{part.module}: {(time.monotonic() - began) / 60:.1f} minutes")
    console.print(f"written: {report.write(out)}")
    return max(map(abs, statuses), default=0)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser("python -m bench", description="measure everything beside the real programs")
    parser.add_argument(
        "--quick", action="store_true", help="short runs for a first impression, into build/bench-quick"
    )
    parser.add_argument("--only", nargs="+", metavar="PART", choices=names, default=names, help=", ".join(names))
    parser.add_argument("--out", type=Path, help="where to write (default bench/results)")
    return parser.parse_args()


def installed(part: Part) -> bool:
    """Whether this checkout has it."""
    return importlib.util.find_spec(f"{part.module}.__main__") is not None


def expected(part: Part, quick: bool) -> float:
    """Minutes."""
    return part.quick_minutes if quick else part.minutes


def command(part: Part, quick: bool, out: Path) -> Sequence[str]:
    """The part as its own command."""
    return [sys.executable, "-m", part.module, *(["--quick"] if quick else []), "--out", str(out.resolve())]


if __name__ == "__main__":
    sys.exit(main())
