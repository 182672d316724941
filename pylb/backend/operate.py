"""Operators' orders to a running server: maintenance, drain, health, weight, limits, address.

These are the admin socket's `set server …`, `enable|disable …`, `set maxconn server` and the buttons of the stats page
(management manual 9.3). Each function does the whole order: state, candidates, queues, sessions, log line, and the same
for servers that track this one. What cannot be done raises Refused with HAProxy's answer.

    order      flags set            flags cleared
    maint      FORCED_MAINT         FORCED_DRAIN
    drain      FORCED_DRAIN         FORCED_MAINT
    ready                           FORCED_MAINT, FORCED_DRAIN, CONFIGURED_MAINT
"""

from __future__ import annotations

import re
from dataclasses import replace

from pylb.backend import state
from pylb.backend.health import Agent
from pylb.backend.server import Admin, Server, State

LARGEST = 2**31 - 1
"""An int of HAProxy's."""


class Refused(Exception):
    """An order that cannot be carried out; the text is the answer to the operator."""


# ------------------------------------------------------------------------------------------------ maint, drain, ready


def set_state(server: Server, wanted: str, now: float, cause: str = "") -> None:
    """`set server B/S state ready|drain|maint`; `cause` goes into the log line."""
    if wanted == "maint":
        _set(server, Admin.FORCED_MAINT, now, cause)
        _clear(server, Admin.FORCED_DRAIN, now)
    elif wanted == "drain":
        _set(server, Admin.FORCED_DRAIN, now, cause)
        _clear(server, Admin.FORCED_MAINT | Admin.CONFIGURED_MAINT, now)
    elif wanted == "ready":
        _clear(server, Admin.FORCED_MAINT | Admin.CONFIGURED_MAINT, now)
        _clear(server, Admin.FORCED_DRAIN, now)
    else:
        raise Refused("'set server <srv> state' expects 'ready', 'drain' and 'maint'.")


def disable(server: Server, now: float, cause: str = "") -> None:
    """`disable server B/S`"""
    _set(server, Admin.FORCED_MAINT, now, cause)


def enable(server: Server, now: float) -> None:
    """`enable server B/S`: ends maintenance and drain."""
    set_state(server, "ready", now)


def _set(server: Server, flag: Admin, now: float, cause: str = "") -> None:
    if server.admin & flag:
        return
    before = server.admin
    server.admin |= flag
    server.changed(server)
    if flag & Admin.MAINT:
        if not before & Admin.MAINT:
            _enter_maintenance(server, now, cause)
        inherited = Admin.INHERITED_MAINT
    else:
        if not before & (Admin.DRAIN | Admin.MAINT):
            _enter_drain(server, now, cause)
        inherited = Admin.INHERITED_DRAIN
    for follower in server.followers:
        _set(follower, inherited, now)


def _clear(server: Server, flags: Admin, now: float) -> None:
    cleared = server.admin & flags
    if not cleared:
        return
    server.admin &= ~flags
    server.changed(server)
    if cleared & Admin.MAINT:
        if server.admin & Admin.MAINT:
            _remain_in_maintenance(server)
        else:
            _leave_maintenance(server, now, cleared)
        inherited, still = Admin.INHERITED_MAINT, Admin.MAINT
    else:
        if not server.admin & Admin.MAINT:
            _leave_drain(server, now)
        inherited, still = Admin.INHERITED_DRAIN, Admin.DRAIN
    if not server.admin & still:
        for follower in server.followers:
            _clear(follower, inherited, now)


def _enter_maintenance(server: Server, now: float, cause: str) -> None:
    gently = server.state is State.STOPPING or bool(server.admin & Admin.DRAIN)
    was_out = state.out_of_service(server.backend)
    if server.check is not None:
        server.check.paused = True
        server.check.health = 0
    suffix = (f" ({cause})" if cause else "") + _via(server, Admin.FORCED_MAINT | Admin.CONFIGURED_MAINT)
    title, log = state.title(server), server.backend.log
    if server.state is State.STOPPED:
        log(state.NOTICE, f"{title} was DOWN and now enters maintenance{suffix}.")
        server.refresh()
        return
    moved = state.go_down(server, now)
    log(
        state.NOTICE if gently else state.ALERT,
        f"{title} is going DOWN for maintenance{suffix}{state.left(server, moved)}.",
    )
    state.note_outage(server.backend, was_out, now)


def _leave_maintenance(server: Server, now: float, cleared: Admin) -> None:
    was_out = state.out_of_service(server.backend)
    check = server.check
    if check is not None:
        check.paused = False
        check.health = check.rise if check.enabled else check.top  # up, but the first failure counts
    tracked = server.tracked
    if server.agent is not None:
        server.agent.health = server.agent.rise
    if tracked is None or tracked.state is not State.STOPPED:
        state.come_up(server, now)
        if tracked is not None and tracked.state is State.STOPPING:
            server.state = State.STOPPING
            server.refresh()
            server.backend.refresh()
    forced = "" if cleared & Admin.INHERITED_MAINT else "forced "
    up = "DOWN" if server.state is State.STOPPED else "UP"
    mode = "DRAIN" if server.admin & Admin.DRAIN else "READY"
    title, log = state.title(server), server.backend.log
    log(state.NOTICE, f"{title} is {up}/{mode} (leaving {forced}maintenance).")
    if server.admin & Admin.DRAIN:
        _remain_in_drain(server)
    state.note_return(server.backend, was_out, now)
    if server.usable:
        state.welcome(server, now)


def _enter_drain(server: Server, now: float, cause: str) -> None:
    was_out = state.out_of_service(server.backend)
    server.last_change = now
    server.refresh()
    server.backend.refresh()
    moved = server.backend.requeue(server, now)
    suffix = (f" ({cause})" if cause else "") + _via(server, Admin.FORCED_DRAIN)
    counts = state.left(server, moved) if server.state is State.STOPPED else state.online(server, moved)
    server.backend.log(state.NOTICE, f"{state.title(server)} enters drain state{suffix}{counts}.")
    state.note_outage(server.backend, was_out, now)


def _leave_drain(server: Server, now: float) -> None:
    title, log = state.title(server), server.backend.log
    if server.admin & Admin.DRAIN:
        _remain_in_drain(server)
        return
    was_out = state.out_of_service(server.backend)
    server.last_change = now
    server.refresh()
    server.backend.refresh()
    up = "DOWN" if server.state is State.STOPPED else "UP"
    log(state.NOTICE, f"{title} is {up} (leaving forced drain).")
    state.note_return(server.backend, was_out, now)
    if server.usable:
        state.welcome(server, now)


def _remain_in_maintenance(server: Server) -> None:
    via = _via(server, Admin.FORCED_MAINT)
    text = f"is leaving forced maintenance but remains in maintenance{via}" if via else "remains in forced maintenance"
    server.backend.log(state.NOTICE, f"{state.title(server)} {text}.")


def _remain_in_drain(server: Server) -> None:
    via = _via(server, Admin.FORCED_DRAIN)
    text = f"is leaving forced drain but remains in drain mode{via}." if via else "remains in forced drain mode."
    server.backend.log(state.NOTICE, f"{state.title(server)} {text}")


def _via(server: Server, forced: Admin) -> str:
    """ " via b/s" where the order came from a tracked server."""
    if server.tracked is None or server.admin & forced:
        return ""
    return f" via {server.tracked.backend.name}/{server.tracked.name}"


# -------------------------------------------------------------------------------------------------------------- health


def set_health(server: Server, wanted: str, now: float, cause: str = "changed from CLI") -> None:
    """`set server B/S health up|stopping|down`: what the next check may change again."""
    if server.tracked is not None:
        raise Refused("cannot change health on a tracking server.")
    if wanted not in ("up", "stopping", "down"):
        raise Refused("'set server <srv> health' expects 'up', 'stopping', or 'down'.")
    if server.check is not None and server.check.enabled:
        server.check.health = 0 if wanted == "down" else server.check.top
        server.changed(server)
    change = {"up": state.running, "stopping": state.stopping, "down": state.stopped}[wanted]
    change(server, now, f", {cause}")


def disable_check(server: Server) -> None:
    """`disable health B/S`: no more checks; the state stays as it is."""
    if server.check is not None:
        server.check.enabled = False
        server.changed(server)


def enable_check(server: Server) -> None:
    """`enable health B/S`"""
    if server.check is None:
        raise Refused("Health check was not configured on this server, cannot enable.")
    server.check.enabled = True
    server.changed(server)


# -------------------------------------------------------------------------------------------------- weight and limits


def set_weight(server: Server, text: str, now: float) -> None:
    """`set server B/S weight W` or `W%` of the configured weight."""
    weight = _parse_weight(server, text)
    if not server.backend.dynamic_weights and weight not in (0, server.model.weight):
        raise Refused("Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.")
    was_out = state.out_of_service(server.backend)
    if weight != server.weight and server.admin & Admin.DRAIN and not server.admin & Admin.MAINT:
        _remain_in_drain(server)
    server.set_weight(weight)
    server.refresh()
    server.backend.refresh()
    state.note_outage(server.backend, was_out, now)
    state.note_return(server.backend, was_out, now)
    if server.usable:
        server.backend.serve(server, now)


def _parse_weight(server: Server, text: str) -> int:
    if not text:
        raise Refused("Require <weight> or <weight%>.")
    number = re.match("[+-]?[0-9]+", text)
    if number is None:
        raise Refused("Empty weight string empty or preceded by garbage")
    if text[number.end() :] not in ("", "%"):
        raise Refused("Trailing garbage in weight string")
    wanted = whole(number[0])
    if text.endswith("%"):
        if wanted < 0:
            raise Refused("Relative weight must be positive.")
        return min(256, server.model.weight * wanted // 100)
    if not 0 <= wanted <= 256:
        raise Refused("Absolute weight can only be between 0 and 256 inclusive.")
    return wanted


def whole(digits: str) -> int:
    """A number of operators' or an agent's, of any length, as strtol(3) reads it into an int: the largest there is at
    the most."""
    text = digits.lstrip("+-").lstrip("0") or "0"
    value = int(text) if len(text) <= 10 else LARGEST
    return min(value, LARGEST) * (-1 if digits.startswith("-") else 1)


def set_maxconn(server: Server, maxconn: int, now: float) -> None:
    """`set maxconn server B/S N`; 0 is unlimited. Waiters get the slots that this makes."""
    if maxconn < 0:
        raise Refused("Invalid value. Positive value only.")
    unbounded_before = server.minconn == server.maxconn
    server.set_limits(maxconn, 0 if unbounded_before else min(server.minconn, maxconn))
    server.backend.serve(server, now)


# -------------------------------------------------------------------------------------------------------------- address


def set_address(
    server: Server, host: str, port: int | None, family: str, now: float, by: str = "stats socket command"
) -> str:
    """`set server B/S addr HOST [port PORT]`; the text to answer.

    `host` is a numeric address of `family` "ipv4" or "ipv6". New connections go there; idle ones are closed. A server
    that had none leaves the maintenance that this was.
    """
    old = server.address
    changes = []
    if old.kind == "inet" and old.host == host:
        changes.append("no need to change the addr")
    else:
        changes.append(f"IP changed from '{old.host or old.path}' to '{host}'")
    if port is not None:
        if port == old.port:
            changes.append("no need to change the port")
        else:
            changes.append(f"port changed from '{old.port or 0}' to '{port}'")
    new = replace(old, kind="inet", host=host, path="", port=old.port if port is None else port, family="any")
    if new != old:
        server.address = new
        if server.net is not None:
            server.net.move(new)
        server.backend.drop_idle(server)
        if server.backend.persist is not None and server.backend.persist.cookie is not None:
            server.backend.persist.cookie.learn()  # a dynamic cookie follows the address
        server.changed(server)
    _clear(server, Admin.RESOLUTION_MAINT, now)
    return f"{', '.join(changes)} by '{by}'"


def set_agent(server: Server, wanted: str, now: float, cause: str = "changed from CLI") -> None:
    """`set server B/S agent up|down`: as if the agent had said so."""
    agent = _enabled_agent(server)
    if wanted not in ("up", "down"):
        raise Refused("'set server <srv> agent' expects 'up' or 'down'.")
    agent.health = agent.top if wanted == "up" else 0
    change = state.running if wanted == "up" else state.stopped
    change(server, now, f", {cause}")
    server.changed(server)


def disable_agent(server: Server) -> None:
    """`disable agent B/S`: it is asked no more and no longer counts; the state stays as it is."""
    if server.agent is not None:
        server.agent.enabled = False
        server.changed(server)


def enable_agent(server: Server) -> None:
    """`enable agent B/S`"""
    if server.agent is None:
        raise Refused("Agent was not configured on this server, cannot enable.")
    server.agent.enabled = True
    server.changed(server)


def set_agent_address(server: Server, host: str | None, port: int | None) -> None:
    """`set server B/S agent-addr HOST [port PORT]`, `… agent-port PORT`: where it is asked next; None: as before."""
    agent = server.agent
    if agent is None or not agent.enabled:
        raise Refused("agent checks are not enabled on this server")
    agent.address = host if host is not None else agent.address
    agent.port = port if port is not None else agent.port


def set_agent_send(server: Server, text: str) -> None:
    """`set server B/S agent-send TEXT`: what it is asked with."""
    _enabled_agent(server).send = text


def _enabled_agent(server: Server) -> Agent:
    if server.agent is None or not server.agent.enabled:
        raise Refused("agent checks are not enabled on this server.")
    return server.agent


def set_check_address(server: Server, host: str | None, port: int | None) -> None:
    """`set server B/S check-addr HOST [port PORT]`, `… check-port PORT`: where the next checks go; None: as before."""
    if server.check is None or not server.check.enabled:
        raise Refused("health checks are not enabled on this server")
    if host is not None:
        server.check.address = host
    server.check.port = port


def set_tls(server: Server, wanted: bool) -> None:
    """`set server B/S ssl on|off`: new connections use TLS or not; idle ones are closed."""
    if server.net is not None:
        server.net.use_tls(wanted)
    server.backend.drop_idle(server)
