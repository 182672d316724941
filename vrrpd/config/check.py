"""What is wrong, or odd, in a configuration as a whole: cross references, contradictions, and the doctor's findings.

Errors are what cannot work; findings what works but surprises.  Both formats come through here, so that they are
judged alike.  `compare()` looks at the files of several nodes of one virtual router.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from ipaddress import IPv4Interface, IPv6Interface
from itertools import combinations

from vrrpd.config.errors import Finding, Report, did_you_mean
from vrrpd.config.model import Config, InstanceSettings, SyncGroup, TrackKind

Networks = Mapping[str, tuple[IPv4Interface | IPv6Interface, ...]]
FindProgram = Callable[[str], str | None]

PASSWORD_BYTES = 8
MAX_V3_INTERVAL = 40.95


def check(config: Config, find_program: FindProgram = shutil.which) -> tuple[Finding, ...]:
    """Findings about `config`; ConfigErrors if it cannot work.  `find_program` tells where a program is."""
    report = Report()
    for settings in config.instances:
        for one in (_identity, _interval, _addresses, _authentication, _unicast, _strict, _vmac, _oddities):
            one(settings, report)
    _twins(config, report)
    _groups(config, report)
    _scripts(config, find_program, report)
    report.raise_if_any()
    return tuple(report.findings)


def _identity(settings: InstanceSettings, report: Report) -> None:
    if settings.interface is None and not settings.unicast_peers:
        report.error(settings.at, f"({settings.name}) the interface is missing")
    if settings.family == 6 and settings.version == 2:
        report.error(settings.at, f"({settings.name}) IPv6 needs version 3", "write version 3, or nothing")


def _interval(settings: InstanceSettings, report: Report) -> None:
    value = settings.advert_int
    where = f"({settings.name}) advert_int {value:g}"
    if settings.version == 2 and value != round(value):
        report.error(settings.at, f"{where} cannot be said in version 2", "write whole seconds, or version 3")
    if settings.version == 3 and value > MAX_V3_INTERVAL:
        report.error(settings.at, f"{where} is more than version 3 can say", f"write at most {MAX_V3_INTERVAL}")
    if settings.version == 3 and abs(value * 100 - round(value * 100)) > 1e-6:
        report.error(settings.at, f"{where} is finer than version 3 can say", "write hundredths of a second")


def _addresses(settings: InstanceSettings, report: Report) -> None:
    if not settings.addresses:
        report.error(settings.at, f"({settings.name}) there is no virtual address", "at least one is needed")
    seen = set()
    for virtual in settings.all_addresses:
        if virtual in settings.addresses and virtual.address.version != settings.family:
            report.error(
                virtual.at,
                f"({settings.name}) {virtual.address} is of another family than the first address",
                "excluded addresses may be of either family",
            )
        if virtual.address in seen:
            report.error(virtual.at, f"({settings.name}) {virtual.address} is there twice")
        seen.add(virtual.address)
        if virtual.address.is_multicast or virtual.address.is_unspecified:
            report.error(virtual.at, f"({settings.name}) {virtual.address} is not the address of a host")
    if len(settings.addresses) > 255:
        report.error(settings.at, f"({settings.name}) an advert has room for 255 addresses, not {len(seen)}")


def _authentication(settings: InstanceSettings, report: Report) -> None:
    authentication = settings.authentication
    if authentication is None:
        return
    kind = authentication.type.upper()
    if settings.version == 3:
        report.error(authentication.at, f"({settings.name}) version 3 has no authentication", "remove it")
        return
    if not authentication.password:
        report.error(authentication.at, f"({settings.name}) the password is empty")
    if len(authentication.password.encode("utf-8", "surrogateescape")) > PASSWORD_BYTES:
        text = f"({settings.name}) only the first {PASSWORD_BYTES} bytes of the password count"
        report.warn(authentication.at, "long-password", text)
    weakness = "shows its password to everyone" if kind == "PASS" else "rests on HMAC-MD5 and eight bytes of key"
    report.info(
        authentication.at,
        "weak-authentication",
        f"({settings.name}) {kind} was removed from VRRP by RFC 3768 and RFC 5798 and protects little: it {weakness}",
    )


def _unicast(settings: InstanceSettings, report: Report) -> None:
    for peer in settings.unicast_peers:
        if peer.address.version != settings.family:
            report.error(peer.at, f"({settings.name}) the peer {peer.address} is of another family")
        if peer.address == settings.source:
            report.error(peer.at, f"({settings.name}) {peer.address} is this node itself", "remove it")
        if peer.min_ttl > peer.max_ttl:
            report.error(peer.at, f"({settings.name}) min_ttl is above max_ttl")
    group = settings.multicast_group
    if group is not None and (not group.is_multicast or group.version != settings.family):
        report.error(settings.at, f"({settings.name}) {group} is not a multicast group of the instance's family")


def _strict(settings: InstanceSettings, report: Report) -> None:
    if not settings.strict_mode:
        return
    for wrong, what in (
        (settings.authentication is not None, "authentication"),
        (bool(settings.unicast_peers), "unicast peers"),
    ):
        if wrong:
            report.error(settings.at, f"({settings.name}) strict mode allows no {what}", "remove one or the other")


def _vmac(settings: InstanceSettings, report: Report) -> None:
    if settings.vmac is not None and settings.unicast_peers and not settings.vmac.xmit_base:
        report.error(settings.at, f"({settings.name}) use_vmac with unicast peers needs vmac_xmit_base")


def _oddities(settings: InstanceSettings, report: Report) -> None:
    name = settings.name
    if settings.priority == 255 and not settings.preempt:
        report.warn(settings.at, "owner-nopreempt", f"({name}) an owner always preempts")
    if settings.down_timer_adverts != 3:
        text = f"({name}) down_timer_adverts other than 3 has to be the same on every node"
        report.warn(settings.at, "down-timer-adverts", text)
    ah = settings.authentication is not None and settings.authentication.type == "ah"
    if settings.state == "MASTER" and not settings.owner and not ah:
        text = f"({name}) state MASTER does not shorten the start; the priority alone decides who is master"
        report.info(settings.at, "state-master", text)
    for track in settings.tracks:
        if track.weight and not 1 <= settings.priority + track.weight <= 254:
            text = f"({name}) {settings.priority} and the weight {track.weight} leave 1 to 254, and are cut there"
            report.warn(track.at, "weight-clamped", text)


def outside_networks(config: Config, networks: Networks) -> tuple[Finding, ...]:
    """Findings about addresses in no network of their interface; `networks` are the host's addresses by interface."""
    report = Report()
    for settings in config.instances:
        _networks(settings, networks, report)
    return tuple(report.findings)


def _networks(settings: InstanceSettings, networks: Networks, report: Report) -> None:
    for virtual in settings.all_addresses:
        interface = virtual.interface or settings.interface
        own = [one for one in networks.get(interface or "", ()) if one.version == virtual.address.version]
        if own and not any(virtual.address in one.network for one in own):
            text = f"({settings.name}) {virtual.address} is in no network of {interface}, which has " + ", ".join(
                str(one) for one in own
            )
            report.warn(virtual.at, "address-outside-network", text)


def _twins(config: Config, report: Report) -> None:
    for one, other in combinations(config.instances, 2):
        same = (one.interface, one.virtual_router_id, one.family) == (
            other.interface,
            other.virtual_router_id,
            other.family,
        )
        one_peers = {peer.address for peer in one.unicast_peers}
        other_peers = {peer.address for peer in other.unicast_peers}
        apart = bool(one_peers) != bool(other_peers) or (one_peers and not one_peers & other_peers)
        if same and not apart and one.multicast_group == other.multicast_group:
            report.error(
                other.at,
                f"{one.name} and {other.name} both use VRID {one.virtual_router_id} with IPv{one.family}"
                f" on interface {one.interface}",
            )
        for virtual in other.all_addresses:
            if any(virtual.address == mine.address for mine in one.all_addresses):
                text = f"({other.name}) {virtual.address} is an address of {one.name} too"
                report.warn(virtual.at, "shared-address", text)


def _groups(config: Config, report: Report) -> None:
    names = [settings.name for settings in config.instances]
    taken: dict[str, SyncGroup] = {}
    for group in config.groups:
        for member in group.members:
            if member not in names:
                report.error(
                    group.at,
                    f'sync group {group.name}: there is no instance "{member}"',
                    did_you_mean(member, names),
                )
            if member in taken:
                report.error(group.at, f"{member} is in the sync groups {taken[member].name} and {group.name}")
            taken[member] = group
        if len(group.members) < 2:
            text = f"Sync group {group.name} has only {len(group.members)} virtual router(s)"
            report.warn(group.at, "small-group", f"{text} - this probably isn't what you want")


def _scripts(config: Config, find_program: FindProgram, report: Report) -> None:
    tracks = [track for settings in config.instances for track in settings.tracks]
    tracks += [track for group in config.groups for track in group.tracks]
    used = {track.name for track in tracks if track.kind is TrackKind.SCRIPT}
    for script in config.scripts:
        program = script.command.argv[0]
        if script.name not in used:
            report.info(script.at, "unused-script", f'the check "{script.name}" is tracked by nobody')
        elif find_program(program) is None:
            _missing(config, script.name, program, report)
        if script.kill_after > script.interval:
            text = f'"{script.name}" may run longer than its interval; runs are put off then, never piled up'
            report.info(script.at, "slow-check", text)


def _missing(config: Config, name: str, program: str, report: Report) -> None:
    at = next(script.command.at for script in config.scripts if script.name == name)
    text = f'the program "{program}" of the check "{name}" does not exist'
    match config.globals.script_missing:
        case "fail":
            report.error(at, text, 'install it, or write script_missing = "warn" to start with the check failed')
        case "warn":
            report.warn(at, "missing-program", f"{text}; the check counts as failed")
        case "ignore":
            report.warn(
                at,
                "missing-program",
                f"{text}; as keepalived does, the check is left out, and the address will not move when it should",
            )


def compare(nodes: Mapping[str, Config]) -> tuple[Finding, ...]:
    """Findings about the files of several nodes (by file name), instance by instance, matched by VRID and family."""
    report = Report()
    routers: dict[tuple[int, int], list[InstanceSettings]] = {}
    for config in nodes.values():
        for settings in config.instances:
            routers.setdefault((settings.virtual_router_id, settings.family), []).append(settings)
    for (vrid, _), members in routers.items():
        if len(members) > 1:
            _compare(f"virtual router {vrid}", members, report)
    return tuple(report.findings)


_MUST_AGREE: Mapping[str, Callable[[InstanceSettings], object]] = {
    "virtual_ipaddress": lambda one: " ".join(sorted({str(virtual.address) for virtual in one.addresses})),
    "version": lambda one: one.version,
    "advert_int": lambda one: one.advert_int,
    "authentication": lambda one: one.authentication,
}
"""What has to be the same on all nodes of a virtual router."""


def _compare(who: str, members: list[InstanceSettings], report: Report) -> None:
    first = members[0]
    for other in members[1:]:
        for what, question in _MUST_AGREE.items():
            mine, theirs = question(first), question(other)
            if mine != theirs and not (what == "advert_int" and first.version == 3):
                hidden = what == "authentication"
                said = "differs" if hidden else f"is {theirs} here and {mine} there"
                text = f"{who}: {what} of {other.name} and of {first.at} {said}; both will be master"
                report.warn(other.at, "nodes-differ", text)
    if all(member.state == "MASTER" for member in members):
        report.warn(first.at, "all-state-master", f"{who}: every node says state MASTER")
    priorities = sorted((member.priority for member in members), reverse=True)
    if len(set(priorities)) < len(priorities):
        text = f"{who}: equal priorities; the higher address decides between two masters, chance before"
        report.warn(first.at, "equal-priorities", text)
    for member in members:
        for track in member.tracks:
            _useless_weight(who, member, track.name, track.weight, priorities, report)


def _useless_weight(
    who: str, member: InstanceSettings, name: str, weight: int, priorities: list[int], report: Report
) -> None:
    """A failing check takes |weight| away compared with nodes whose check passes: is that enough to be passed by?"""
    below = [priority for priority in priorities if priority < member.priority]
    if weight and below and member.priority - abs(weight) >= max(below):
        text = (
            f"{who}: the weight {weight} of {name} cannot change the order of nodes:"
            f" {member.priority} - {abs(weight)} is not below {max(below)}"
        )
        report.warn(member.at, "useless-weight", text)
