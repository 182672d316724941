"""What an instance has counted since it started; metrics and status read it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from vrrpd.core.actions import State
from vrrpd.packet.refusal import Reason


@dataclass(slots=True)
class Counters:
    """Only ever grows."""

    adverts_sent: int = 0
    adverts_late: int = 0
    """Sent more than `LATE_SHARE` of the interval after their time."""
    adverts_received: int = 0
    """Accepted ones."""
    priority_zero_sent: int = 0
    priority_zero_received: int = 0
    became_master: int = 0
    released_master: int = 0
    abdications: int = 0
    lower_received_as_master: int = 0
    late_timers: int = 0
    restored_addresses: int = 0
    ah_probes: int = 0
    split_brains: int = 0
    refused: Counter[Reason] = field(default_factory=Counter)
    seconds_in: dict[State, float] = field(default_factory=lambda: dict.fromkeys(State, 0.0))
    """Time in each state, up to the last change."""
