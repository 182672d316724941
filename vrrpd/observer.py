"""Who is master on a link, and what is wrong there: adverts in, a picture and anomalies out. No clock, no socket.

A node counts as master of a virtual router while its adverts come: three of its own intervals and a little
after the last one it is gone, after a farewell (priority 0) at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vrrpd.config.model import Address
from vrrpd.dissect import Claim, Seen

MISSED = 3.5
"""Intervals without an advert after which a node is no longer taken for a master."""
OVERLAP = 2
"""Adverts each that two masters must send before it is called that: one may be the handover itself."""
EARLY, LATE = 0.5, 1.5
"""Share of the announced interval that a gap may have before it is called irregular."""
KEEP = 50


@dataclass(slots=True)
class Speaker:
    """One node's part in a virtual router."""

    last: Seen
    adverts: int = 1
    began: float = 0.0
    """When it began to speak this time."""
    run: int = 1
    """Adverts since then."""
    gaps: list[float] = field(default_factory=list)
    irregular: int = 0
    faulty: int = 0
    left: bool = False

    def speaking(self, now: float) -> bool:
        """Whether it is a master right now."""
        return not self.left and now - self.last.time <= MISSED * max(self.last.interval, 0.01)


@dataclass(slots=True)
class Router:
    """One virtual router on the link."""

    vrid: int
    family: int
    speakers: dict[Address, Speaker] = field(default_factory=dict)
    claims: int = 0
    changes: int = 0
    master: Address | None = None

    def masters(self, now: float) -> list[Speaker]:
        """The nodes that speak as master, best first."""
        speaking = [speaker for speaker in self.speakers.values() if speaker.speaking(now)]
        return sorted(speaking, key=lambda one: (one.last.priority, int(one.last.source)), reverse=True)

    def contenders(self, now: float) -> list[Speaker]:
        """The masters if they are several: those that went on speaking when the latest of them had begun."""
        settled = [one for one in self.masters(now) if one.run >= OVERLAP]
        latest = max((one.began for one in settled), default=0.0)
        still = [one for one in settled if one.last.time - latest >= one.last.interval * EARLY]
        return still if len(still) > 1 else []


class Observer:
    """Everything heard on one link."""

    def __init__(self) -> None:
        self.routers: dict[tuple[int, int], Router] = {}
        self.events: list[tuple[float, str]] = []
        self.noted = 0
        """Events so far; `events` holds the latest of them."""

    def take(self, heard: Seen | Claim) -> None:
        """One advert or claim; times must not go back."""
        if isinstance(heard, Claim):
            self._claim(heard)
            return
        router = self.routers.setdefault(heard.key, Router(heard.vrid, heard.source.version))
        speaker = router.speakers.get(heard.source)
        if heard.faults:
            self._faulty(router, speaker, heard)
            return
        if speaker is None:
            speaker = router.speakers[heard.source] = Speaker(heard, began=heard.time)
        else:
            self._again(speaker, heard)
        speaker.left = heard.priority == 0
        if speaker.left:
            self._note(heard.time, router, f"{heard.source} says farewell")
        elif router.master != heard.source and router.masters(heard.time)[0] is speaker:
            router.changes += router.master is not None
            router.master = heard.source
            self._note(heard.time, router, f"{heard.source} is master, priority {heard.priority}")

    def _again(self, speaker: Speaker, heard: Seen) -> None:
        gap = heard.time - speaker.last.time
        if speaker.speaking(heard.time):
            speaker.run += 1
            speaker.gaps = [*speaker.gaps[-KEEP:], gap]
            regular = EARLY * heard.interval <= gap <= LATE * heard.interval
            speaker.irregular += not regular
        else:
            speaker.run, speaker.began = 1, heard.time
        speaker.adverts += 1
        speaker.last = heard

    def _faulty(self, router: Router, speaker: Speaker | None, heard: Seen) -> None:
        if speaker is None:
            speaker = router.speakers[heard.source] = Speaker(heard, left=True, adverts=0)
        speaker.faulty += 1
        text = f"advert from {heard.source}: {', '.join(heard.faults)}"
        if not self.events or self.events[-1][1] != f"vrid {router.vrid}: {text}":
            self._note(heard.time, router, text)

    def _claim(self, claim: Claim) -> None:
        for router in self.routers.values():
            if any(claim.address in speaker.last.addresses for speaker in router.speakers.values()):
                router.claims += 1

    def _note(self, time: float, router: Router, text: str) -> None:
        self.noted += 1
        self.events = [*self.events[-KEEP:], (time, f"vrid {router.vrid}: {text}")]

    def anomalies(self, now: float) -> list[str]:
        """What is wrong on the link, a sentence each."""
        found = []
        for router in self.routers.values():
            found += [f"vrid {router.vrid} (IPv{router.family}): {text}" for text in _anomalies(router, now)]
        return found


def _anomalies(router: Router, now: float) -> list[str]:
    masters = router.masters(now)
    found = []
    contenders = router.contenders(now)
    if contenders:
        found.append("two masters: " + ", ".join(f"{m.last.source} ({m.last.priority})" for m in contenders))
    for speaker in router.speakers.values():
        if speaker.faulty:
            found.append(f"{speaker.faulty} wrong adverts from {speaker.last.source}")
    good = [speaker.last for speaker in router.speakers.values() if speaker.adverts]
    found += _differences(good)
    if masters and masters[0].last.authentication == "pass":
        found.append("the password travels in clear text")
    return found


def _differences(adverts: list[Seen]) -> list[str]:
    """In what the nodes' adverts differ that should be equal."""
    questions = (
        ("addresses", lambda one: " ".join(sorted(map(str, one.addresses)))),
        ("versions", lambda one: str(one.version)),
        ("advert intervals", lambda one: f"{one.interval:g} s"),
        ("authentication", lambda one: one.authentication),
    )
    found = []
    for what, question in questions:
        answers: dict[str, list[str]] = {}
        for advert in adverts:
            answers.setdefault(question(advert), []).append(str(advert.source))
        if len(answers) > 1:
            parts = (f"{', '.join(sources)}: {answer}" for answer, sources in answers.items())
            found.append(f"{what} differ: {'; '.join(parts)}")
    return found
