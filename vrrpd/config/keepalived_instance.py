"""The blocks vrrp_instance and vrrp_sync_group: their keywords, and what keepalived settles after reading them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

from vrrpd.config import words as net
from vrrpd.config.errors import Report, did_you_mean
from vrrpd.config.keepalived_text import Statement, Word
from vrrpd.config.keywords import (
    Block,
    Handler,
    Table,
    arguments,
    boolean,
    choice,
    command,
    extra_interfaces,
    flag,
    ignored,
    ip,
    read_block,
    refused,
    seconds,
    table_of,
    text,
    whole,
    whole_number,
)
from vrrpd.config.model import (
    Authentication,
    Garp,
    InstanceSettings,
    Notify,
    SyncGroup,
    TrackKind,
    UnicastPeer,
    Vmac,
)
from vrrpd.config.tracks import Reference

LVS = "it belongs to IPVS load balancing; vrrpd is the VRRP half only"


_MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){4,5}")


def _tracks(kind: TrackKind, limit: int) -> Handler:
    """track_script { NAME [weight N] [reverse] ... } and its like."""

    def handler(block: Block, statement: Statement) -> None:
        for line in statement.block or ():
            reference = _reference(block, kind, line, limit)
            if reference is not None:
                block.append("references", reference)

    return handler


def _reference(block: Block, kind: TrackKind, line: Statement, limit: int) -> Reference | None:
    weight, reverse = None, None
    rest = line.arguments
    while rest:
        word, *rest = rest
        if word.text == "weight" and rest:
            weight = whole_number(block, rest[0], -limit, limit)
            rest = rest[1:]
        elif word.text in ("reverse", "noreverse", "no_reverse"):
            reverse = word.text == "reverse"
        else:
            block.error(
                word, f'"{word.text}" is not an option of a track', did_you_mean(word.text, ("weight", "reverse"))
            )
            return None
    return Reference(kind, line.keyword, weight, reverse, line.at)


def lines(name: str, parse: Callable[[list[Word], Report], object | None]) -> Handler:
    """A block whose lines are addresses, routes or rules."""

    def handler(block: Block, statement: Statement) -> None:
        for line in statement.block or ():
            parsed = parse(line.words, block.report)
            if parsed is not None:
                block.append(name, parsed)

    return handler


def names(name: str) -> Handler:
    """A block of names."""

    def handler(block: Block, statement: Statement) -> None:
        for line in statement.block or ():
            for word in line.words:
                block.append(name, word.text)

    return handler


def _notify_deleted(block: Block, statement: Statement) -> None:
    block.values["notify.report_deleted"] = True
    if statement.arguments:
        command("notify.deleted")(block, statement)


NOTIFY: Table = {
    "notify_master": command("notify.master"),
    "notify_backup": command("notify.backup"),
    "notify_fault": command("notify.fault"),
    "notify_stop": command("notify.stop"),
    "notify_deleted": _notify_deleted,
    "notify_master_rx_lower_pri": command("notify.master_rx_lower_pri"),
    "notify": command("notify.any"),
    "notify_priority_changes": boolean("notify.priority_changes"),
    "smtp_alert": ignored("vrrpd sends no mail, a notify program can"),
}


TRACKS: Table = {
    "track_script": _tracks(TrackKind.SCRIPT, 253),
    "track_interface": _tracks(TrackKind.INTERFACE, 253),
    "track_file": _tracks(TrackKind.FILE, 254),
    "track_process": _tracks(TrackKind.PROCESS, 254),
    "track_bfd": refused("vrrpd has no BFD"),
}


AUTHENTICATION: Table = {"auth_type": choice("type", {"PASS": "pass", "AH": "ah"}), "auth_pass": text("password")}


def _authentication(block: Block, statement: Statement) -> None:
    inner = Block(block.report, statement)
    values = read_block(inner, AUTHENTICATION, "authentication")
    if len(values) == 2:
        block.values["authentication"] = Authentication(**values, at=statement.at)  # type: ignore[arg-type]
    elif not block.report.errors:
        block.error(statement.words[0], "authentication needs auth_type and auth_pass")


def _peers(block: Block, statement: Statement) -> None:
    for line in statement.block or ():
        try:
            address = ip_address(line.keyword)
        except ValueError:
            block.error(line.words[0], f'"{line.keyword}" is not an address')
            continue
        limits: dict[str, int] = {}
        rest = line.arguments
        while rest:
            if rest[0].text not in ("min_ttl", "max_ttl") or len(rest) < 2:
                hint = did_you_mean(rest[0].text, ("min_ttl", "max_ttl"))
                block.error(rest[0], f'"{rest[0].text}" is not an option of a peer', hint)
                break
            number = whole_number(block, rest[1], 0, 255)
            if number is not None:
                limits[rest[0].text] = number
            rest = rest[2:]
        block.append("unicast_peers", UnicastPeer(address, **limits, at=line.at))


def _use_vmac(block: Block, statement: Statement) -> None:
    words = arguments(block, statement, 0, 2)
    block.values["vmac.used"] = True
    for word in words or ():
        block.values["vmac.mac" if _MAC.fullmatch(word.text) else "vmac.name"] = word.text


def _old_checksum(block: Block, statement: Statement) -> None:
    words = arguments(block, statement, 0, 1)
    if words is not None:
        block.values["old_unicast_checksum"] = "never" if words and words[0].text == "never" else "always"


INSTANCE: Table = {
    "state": choice("state", {"MASTER": "MASTER", "BACKUP": "BACKUP", "master": "MASTER", "backup": "BACKUP"}),
    "interface": text("interface"),
    "vrf": refused("vrrpd puts its macvlans into no VRF"),
    "virtual_router_id": whole("virtual_router_id", 1, 255),
    "priority": whole("priority", 1, 255),
    "advert_int": seconds("advert_int", 0.01, 255),
    "version": choice("version", {"2": 2, "3": 3}),
    "authentication": _authentication,
    "virtual_ipaddress": lines("addresses", net.address),
    "virtual_ipaddress_excluded": lines("excluded_addresses", net.address),
    "virtual_routes": lines("routes", net.route),
    "virtual_rules": lines("rules", net.rule),
    "dont_track_primary": flag("track_primary", False),
    "mcast_src_ip": ip("source"),
    "unicast_src_ip": ip("source"),
    "track_src_ip": flag("track_source"),
    "mcast_dst_ip": ip("multicast_group"),
    "unicast_peer": _peers,
    "unicast_ttl": whole("unicast_ttl", 0, 255),
    "check_unicast_src": boolean("check_unicast_source"),
    "unicast_fault_no_peer": flag("unicast_fault_no_peer"),
    "old_unicast_checksum": _old_checksum,
    "v3_checksum_as_v2": boolean("v3_checksum_as_v2"),
    "nopreempt": flag("preempt", False),
    "preempt": flag("preempt"),
    "preempt_delay": seconds("preempt_delay", 0, 1000),
    "accept": flag("accept"),
    "no_accept": flag("accept", False),
    "strict_mode": boolean("strict_mode"),
    "skip_check_adv_addr": boolean("skip_check_adv_addr"),
    "lower_prio_no_advert": boolean("lower_prio_no_advert"),
    "higher_prio_send_advert": boolean("higher_prio_send_advert"),
    "down_timer_adverts": whole("down_timer_adverts", 1, 100),
    "garp_master_delay": seconds("garp.master_delay", 0, 86400),
    "garp_master_repeat": whole("garp.master_repeat", 1, 1000),
    "garp_master_refresh": seconds("garp.master_refresh", 0, 86400),
    "garp_master_refresh_repeat": whole("garp.master_refresh_repeat", 1, 1000),
    "garp_lower_prio_delay": seconds("garp.lower_prio_delay", 0, 86400),
    "garp_lower_prio_repeat": whole("garp.lower_prio_repeat", 0, 1000),
    "garp_extra_if": extra_interfaces("garp.extra_interfaces"),
    "use_vmac": _use_vmac,
    "vmac_xmit_base": flag("vmac.xmit_base"),
    "use_vmac_addr": flag("vmac.for_addresses"),
    "use_ipvlan": refused("vrrpd knows macvlan only; write use_vmac"),
    "promote_secondaries": flag("promote_secondaries"),
    "abdicate": boolean("abdicate"),  # vrrpd
    "ah_clock_sequence": boolean("ah_clock_sequence"),  # vrrpd
    "ah_probe": boolean("ah_probe"),  # vrrpd
    "v3_accept_zero_interval": boolean("v3_accept_zero_interval"),  # vrrpd
    **TRACKS,
    **NOTIFY,
    **table_of(
        ignored("it has no effect in keepalived either, or only on its own internals"),
        "native_ipv6",
        "debug",
        "linkbeat_use_polling",
        "kernel_rx_buf_size",
    ),
    "lvs_sync_daemon_interface": refused(LVS),
    "no_virtual_ipaddress": refused("a virtual router without an address serves nobody; write a virtual_ipaddress"),
    "auth_hmac": refused("it is newer than the keepalived that vrrpd speaks with"),
}


GROUP: Table = {
    "group": names("members"),
    "sync_group_tracking_weight": flag("tracking_weight"),
    "global_tracking": ignored("the group's own track blocks take its place"),
    **TRACKS,
    **NOTIFY,
}


def _split(values: dict[str, object], prefix: str) -> dict[str, object]:
    """Take the values named "PREFIX.X" out, as X."""
    names = [name for name in values if name.startswith(prefix + ".")]
    return {name[len(prefix) + 1 :]: values.pop(name) for name in names}


def read_instance(
    block: Block, name: str, defaults: dict[str, object]
) -> tuple[InstanceSettings | None, list[Reference]]:
    """A vrrp_instance block, its tracks still by name; `defaults` come from global_defs."""
    values = read_block(block, INSTANCE, "vrrp_instance")
    at = block.statement.at
    if "virtual_router_id" not in values:
        written = any(one.keyword == "virtual_router_id" for one in block.statement.block or ())
        if written:
            return None, []  # and has been found wrong
        block.report.error(at, f"({name}) the virtual_router_id is missing", "write a number from 1 to 255")
        return None, []
    if values.get("state") == "MASTER" and "priority" not in values:
        block.report.error(
            at,
            f"({name}) state MASTER without a priority",
            "write one; keepalived silently takes 255 here, which makes it the owner of the addresses",
        )
    references = values.pop("references", [])
    assert isinstance(references, list)
    garp = _garp(_split(defaults := dict(defaults), "garp"), _split(values, "garp"))
    told = {"priority_changes": defaults.pop("notify_priority_changes", False)} | _split(values, "notify")
    notify = Notify(**told)  # type: ignore[arg-type]
    vmac = _split(values, "vmac")
    if vmac.pop("used", False) or vmac.get("for_addresses"):
        values["vmac"] = Vmac(**vmac)  # type: ignore[arg-type]
    for key, value in values.items():
        if isinstance(value, list):
            values[key] = tuple(value)
    explicit = {"name": name, "garp": garp, "notify": notify, "at": at}
    groups = {4: defaults.pop("group_4", None), 6: defaults.pop("group_6", None)}
    settings = InstanceSettings(**explicit | defaults | values)  # type: ignore[arg-type]
    return _settle(settings, values, groups, block.report), references


def _garp(inherited: dict[str, object], own: dict[str, object]) -> Garp:
    """lower_prio_* follow master_* unless said otherwise, here or globally."""
    merged = inherited | own
    for what in ("delay", "repeat"):
        if f"master_{what}" in merged:
            merged.setdefault(f"lower_prio_{what}", merged[f"master_{what}"])
    return Garp(**merged)  # type: ignore[arg-type]


def _settle(
    settings: InstanceSettings, written: dict[str, object], groups: dict[int, object], report: Report
) -> InstanceSettings:
    """What keepalived decides after reading: version, interval, group, and what excludes each other."""
    name, at = settings.name, settings.at
    if settings.family == 6 and settings.version == 2:
        if written.get("version") == 2:
            report.error(at, f"({name}) IPv6 needs version 3", "write version 3, or nothing")
        settings = replace(settings, version=3)
    if settings.version == 2 and settings.advert_int != round(settings.advert_int):
        rounded = float(max(1, round(settings.advert_int)))
        report.warn(
            at,
            "advert-int-rounded",
            f"({name}) advert_int {settings.advert_int:g} cannot be said in version 2, {rounded:g} is used;"
            " version 3 has hundredths",
        )
        settings = replace(settings, advert_int=rounded)
    group = groups[settings.family]
    if settings.multicast_group is None and group is not None and not settings.unicast_peers:
        settings = replace(settings, multicast_group=group)  # type: ignore[arg-type]
    if settings.state == "MASTER" and (not settings.preempt or settings.preempt_delay):
        report.warn(at, "state-master", f"({name}) nopreempt and preempt_delay need state BACKUP; they are dropped")
        settings = replace(settings, preempt=True, preempt_delay=0.0)
    if settings.state == "MASTER" and _uses_ah(settings) and not settings.owner:
        text = "Initial state master is incompatible with AH authentication - clearing"
        report.info(at, "ah-state-master", f"({name}) {text}")
    return settings


def _uses_ah(settings: InstanceSettings) -> bool:
    return settings.authentication is not None and settings.authentication.type == "ah"


def read_group(block: Block, name: str) -> tuple[SyncGroup, list[Reference]]:
    """A vrrp_sync_group block, its tracks still by name."""
    values = read_block(block, GROUP, "vrrp_sync_group")
    references = values.pop("references", [])
    assert isinstance(references, list)
    notify = Notify(**_split(values, "notify"))  # type: ignore[arg-type]
    values["members"] = tuple(values.get("members", ()))  # type: ignore[arg-type]
    return SyncGroup(name=name, notify=notify, at=block.statement.at, **values), references  # type: ignore[arg-type]
