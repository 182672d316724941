"""Rise and fall: results of checks go in, the question "is it up?" is answered (manual: `check`, `rise`, `fall`).

`health` counts from 0 to rise + fall - 1; the server is up from `rise` on. A success moves it up by one and, once up,
straight to the top; a failure moves it down by one and, once below `rise`, straight to 0:

         DOWN               │               UP
    0 ── 1 ── … ── rise-1 ──┼── rise ── … ── rise+fall-1
    ▲                       │
    └── a failure here      │      a success here ──► the top

A server starts at `rise`: up, but its first failed check takes it down. Between the ends checks run at `fastinter`.
Nothing here knows sockets, clocks or the server: state.py draws the consequences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from pylb.config import model


class Outcome(Enum):
    """What a check's status means for the server."""

    FAILED = "failed"
    CONDITIONAL = "conditional"
    """Passed, but wants no new clients: `http-check disable-on-404`."""
    PASSED = "passed"
    NEUTRAL = "neutral"
    """Nothing was said about the server's health."""


class Status(Enum):
    """How a check ended, under HAProxy's names (management manual 9.1, stats column check_status)."""

    UNK = ("Unknown", Outcome.FAILED)
    INI = ("Initializing", Outcome.FAILED)
    SOCKERR = ("Socket error", Outcome.FAILED)
    L4OK = ("Layer4 check passed", Outcome.PASSED)
    L4TOUT = ("Layer4 timeout", Outcome.FAILED)
    L4CON = ("Layer4 connection problem", Outcome.FAILED)
    L6OK = ("Layer6 check passed", Outcome.PASSED)
    L6TOUT = ("Layer6 timeout", Outcome.FAILED)
    L6RSP = ("Layer6 invalid response", Outcome.FAILED)
    L7OK = ("Layer7 check passed", Outcome.PASSED)
    L7OKC = ("Layer7 check conditionally passed", Outcome.CONDITIONAL)
    L7TOUT = ("Layer7 timeout", Outcome.FAILED)
    L7RSP = ("Layer7 invalid response", Outcome.FAILED)
    L7STS = ("Layer7 wrong status", Outcome.FAILED)
    HANA = ("Health analyze", Outcome.FAILED)
    CHECKED = ("No status change", Outcome.NEUTRAL)

    def __init__(self, description: str, outcome: Outcome) -> None:
        self.description = description
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One finished check."""

    status: Status
    duration: int = 0
    """Milliseconds."""
    code: int | None = None
    """HTTP status, where one was received."""
    info: str = ""
    """What else there is to say: an error text, an HTTP reason."""


def _nobody() -> None:
    """Nobody runs checks."""


class Health:
    """The count of one server's checks and what the last one found."""

    __slots__ = (
        "address", "code", "downinter", "duration", "enabled", "fall", "fastinter", "hasten", "health", "info",
        "inter", "last", "paused", "port", "rise", "running", "status",
    )  # fmt: skip

    def __init__(self, declared: model.ServerCheck) -> None:
        self.rise = declared.rise
        self.fall = declared.fall
        self.inter = declared.inter
        self.fastinter = declared.fastinter or declared.inter
        self.downinter = declared.downinter or declared.inter
        self.address = declared.address
        """Where to check, if not where the traffic goes; changeable, and so is `port`."""
        self.port = declared.port
        self.health = declared.rise
        self.enabled = True
        """False after an operator disabled checks: then the server counts as up."""
        self.paused = False
        """During maintenance no check runs."""
        self.running = False
        """A check is under way (stats: an asterisk before check_status)."""
        self.hasten: Callable[[], None] = _nobody
        """Makes the next check due at `fastinter` at the latest; set by whoever runs the checks."""
        self.status = Status.INI
        self.code: int | None = None
        self.duration: int | None = None
        self.info = ""
        self.last: float | None = None
        """Loop time of the last result."""

    @property
    def up(self) -> bool:
        """Whether the count says up."""
        return self.health >= self.rise

    @property
    def top(self) -> int:
        """The highest count: firmly up."""
        return self.rise + self.fall - 1

    @property
    def settled(self) -> bool:
        """At either end: not on the way up or down."""
        return self.health in (0, self.top)

    @property
    def progress(self) -> str:
        """ "2/3": how far it is from the change of state, as the stats page shows it."""
        return f"{self.health - self.rise + 1}/{self.fall}" if self.up else f"{self.health}/{self.rise}"

    @property
    def interval(self) -> float:
        """Seconds until the next check (table in the manual at `inter`)."""
        if self.health == self.top:
            return self.inter
        return self.downinter if self.health == 0 else self.fastinter

    def note(self, result: CheckResult, now: float) -> None:
        """Remember what the last check found."""
        self.status = result.status
        self.code = result.code
        self.duration = result.duration
        self.info = result.info
        self.last = now

    def count(self, outcome: Outcome) -> bool:
        """Move the count; whether it moved."""
        if outcome is Outcome.FAILED:
            return self._fail()
        if self.health == self.top:
            return False
        self.health += 1
        if self.up:
            self.health = self.top
        return True

    def _fail(self) -> bool:
        if self.health == 0:
            return False
        self.health -= 1
        if not self.up:
            self.health = 0
        return True


class Event(Enum):
    """What traffic tells about a server (manual: `observe`); (layer 4, layer 7): True good, False an error, None
    nothing."""

    CONNECTED = ("L4 successful connection", True, None)
    CONNECTION_FAILED = ("L4 unsuccessful connection", False, False)
    RESPONSE_OK = ("Correct http response", None, True)
    RESPONSE_STATUS = ("Wrong http response", None, False)
    """A status that is neither 100 … 499 nor 501 or 505."""
    RESPONSE_HEADERS = ("Invalid http response (headers)", None, False)
    RESPONSE_BAD = ("Invalid http response", None, False)
    READ_ERROR = ("Read error (http)", None, False)
    READ_TIMEOUT = ("Read timeout (http)", None, False)
    CLOSED = ("Close from server (http)", None, False)

    def __init__(self, description: str, layer4: bool | None, layer7: bool | None) -> None:
        self.description = description
        self.layer4 = layer4
        self.layer7 = layer7


def response_event(status: int) -> Event:
    """The event of a complete response head."""
    return Event.RESPONSE_OK if status < 500 or status in (501, 505) else Event.RESPONSE_STATUS


class Agent(Health):
    """What an agent says about one server (agent.py), counted as checks are, but its first word decides."""

    __slots__ = ("send",)

    def __init__(self, declared: model.ServerAgent) -> None:
        super().__init__(
            model.ServerCheck(inter=declared.inter, rise=1, fall=1, address=declared.address, port=declared.port)
        )
        self.send = declared.send
        """What it is asked with; changeable."""
