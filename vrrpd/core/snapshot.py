"""What an instance looks like at a moment, as plain values: status, JSON and metrics are made of it."""

from __future__ import annotations

from vrrpd.core.actions import State
from vrrpd.core.instance import Instance

MISMATCH_KEPT = 60.0
"""Seconds that a node with another configuration stays listed after its last bad advert."""


def snapshot(instance: Instance, now: float) -> dict[str, object]:
    """Everything about `instance` that can be shown; only str, int, float, bool, None, dict and list in it."""
    settings, counters, rival = instance.settings, instance.counters, instance.rival
    seconds_in = dict(counters.seconds_in)
    seconds_in[instance.state] += now - instance.state_since
    return {
        "name": instance.name,
        "interface": settings.interface,
        "virtual_router_id": settings.virtual_router_id,
        "version": settings.version,
        "family": settings.family,
        "state": instance.state.value,
        "wanted_state": settings.state,
        "seconds_in_state": now - instance.state_since,
        "base_priority": settings.priority,
        "effective_priority": instance.effective_priority,
        "advert_interval": settings.advert_int,
        "master_interval": instance.master_interval,
        "authentication": settings.authentication.type if settings.authentication else None,
        "source": None if instance.source is None else str(instance.source),
        "master": _master(instance),
        "master_priority": instance.master_priority,
        "addresses": [str(virtual) for virtual in settings.addresses],
        "excluded_addresses": [str(virtual) for virtual in settings.excluded_addresses],
        "abdicating": instance.abdicating,
        "faults": list(instance.faults),
        "group": instance.group.name if instance.group else None,
        "tracks": [
            {"kind": t.kind.value, "name": t.name, "weight": t.weight, "reverse": t.reverse, "result": result}
            for t, result in instance.track_results.items()
        ],
        "split_brain": None
        if rival is None
        else {
            "peer": str(rival.address),
            "priority": rival.priority,
            "seconds": now - rival.since,
            "does_not_hear_us": rival.deaf,
        },
        "config_mismatch": {
            str(peer): {"reason": one.reason.value, "text": one.text, "seconds_ago": now - one.last}
            for peer, one in instance.mismatches.current(now, MISMATCH_KEPT).items()
        },
        "seconds_in": {state.value: seconds for state, seconds in seconds_in.items()},
        "refused": {reason.value: count for reason, count in counters.refused.items()},
        "counters": {
            name: getattr(counters, name)
            for name in counters.__dataclass_fields__
            if name not in ("refused", "seconds_in")
        },
    }


def _master(instance: Instance) -> str | None:
    source = instance.source if instance.state is State.MASTER else instance.master
    return None if source is None else str(source)
