"""keepalived.conf (VRRP half, version 2.2.7 and what came after) → `Config`, by keyword tables.

`global_defs` is read first, wherever it stands, because instances inherit from it.  Defaults are keepalived's; what
makes vrrpd behave visibly better is off until its keyword (marked "vrrpd" in the tables) says otherwise.  Stricter
than keepalived in four things: words too many, values out of range, checks that do not exist, and `state MASTER`
without a priority (there keepalived silently takes 255) are errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

from vrrpd.config import words as net
from vrrpd.config.errors import Loaded, Report, did_you_mean
from vrrpd.config.keepalived_global import read_globals
from vrrpd.config.keepalived_text import Statement, Word, read
from vrrpd.config.keywords import (
    Block,
    Handler,
    Table,
    arguments,
    boolean,
    choice,
    command,
    decimal,
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
    Config,
    Garp,
    InstanceSettings,
    InterfaceDelay,
    Notify,
    SyncGroup,
    TrackFile,
    TrackKind,
    TrackProcess,
    TrackScript,
    UnicastPeer,
    Vmac,
)
from vrrpd.config.tracks import Reference, resolve

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


def _weight(limit: int) -> Handler:
    def handler(block: Block, statement: Statement) -> None:
        words = arguments(block, statement, 1, 2)
        if words is None:
            return
        number = whole_number(block, words[0], -limit, limit)
        if number is not None:
            block.values["weight"] = number
        if len(words) == 2:
            if words[1].text == "reverse":
                block.values["reverse"] = True
            else:
                block.error(words[1], f'"{words[1].text}" is not a word that follows a weight', 'write "reverse"')

    return handler


def _lines(name: str, parse: Callable[[list[Word], Report], object | None]) -> Handler:
    """A block whose lines are addresses, routes or rules."""

    def handler(block: Block, statement: Statement) -> None:
        for line in statement.block or ():
            parsed = parse(line.words, block.report)
            if parsed is not None:
                block.append(name, parsed)

    return handler


def _script_user(block: Block, statement: Statement) -> None:
    words = arguments(block, statement, 1, 2)
    if words is not None:
        block.values["user"] = words[0].text
        block.values["group"] = words[1].text if len(words) == 2 else None


def _one_command(block: Block, statement: Statement) -> None:
    """`script` takes one word; several unquoted ones are a common mistake that keepalived cuts off."""
    if len(statement.arguments) > 1:
        whole_line = " ".join(word.text for word in statement.arguments)
        block.error(
            statement.arguments[1],
            "a command with parameters has to be quoted, or they are lost",
            f'write script "{whole_line}"',
        )
        return
    command("command")(block, statement)


SCRIPT: Table = {
    "script": _one_command,
    "interval": seconds("interval", 0.001, 86400),
    "timeout": seconds("timeout", 0.001, 86400),
    "weight": _weight(253),
    "rise": whole("rise", 1, 2**31 - 1),
    "fall": whole("fall", 1, 2**31 - 1),
    "user": _script_user,
    "init_fail": flag("init_fail"),
    "first_result": choice("first_result", {"decides": "decides", "counts": "counts"}),  # vrrpd
}


def _script(block: Block, name: str) -> TrackScript | None:
    values = read_block(block, SCRIPT, "vrrp_script")
    program = values.pop("command", None)
    if program is None:
        if not block.report.errors:
            block.error(block.statement.words[0], f'vrrp_script "{name}" has no script')
        return None
    user, group = values.pop("user", None), values.pop("group", None)
    values["command"] = replace(program, user=user, group=group)  # type: ignore[type-var]
    return TrackScript(**{"name": name, "first_result": "decides", "at": block.statement.at} | values)  # type: ignore[arg-type]


def _init_file(block: Block, statement: Statement) -> None:
    words = arguments(block, statement, 0, 2)
    block.values["initial"] = 0
    for word in words or ():
        if word.text == "overwrite":
            block.values["overwrite"] = True
        else:
            block.values["initial"] = whole_number(block, word, -(2**31), 2**31 - 1)


FILE: Table = {"file": text("path"), "weight": _weight(254), "init_file": _init_file}


def _file(block: Block, name: str) -> TrackFile | None:
    values = read_block(block, FILE, "track_file")
    if "path" not in values:
        block.error(block.statement.words[0], f'track_file "{name}" has no file')
        return None
    return TrackFile(**{"name": name, "at": block.statement.at} | values)  # type: ignore[arg-type]


def _process_command(block: Block, statement: Statement) -> None:
    if arguments(block, statement, 1, 1000) is not None:
        block.values["command"] = tuple(word.text for word in statement.arguments)


def _delay(block: Block, statement: Statement) -> None:
    words = arguments(block, statement, 1, 1)
    number = decimal(block, words[0], 0, 3600) if words else None
    if number is not None:
        block.values["fork_delay"] = block.values["terminate_delay"] = number


PROCESS: Table = {
    "process": _process_command,
    "param_match": choice("match_parameters", {"initial": "initial", "partial": "partial", "exact": "exact"}),
    "weight": _weight(254),
    "quorum": whole("quorum", 1, 65535),
    "quorum_max": whole("quorum_max", 0, 65535),
    "fork_delay": seconds("fork_delay", 0, 3600),
    "terminate_delay": seconds("terminate_delay", 0, 3600),
    "delay": _delay,
    "full_command": flag("full_command"),
}


def _process(block: Block, name: str) -> TrackProcess | None:
    values = read_block(block, PROCESS, "vrrp_track_process")
    if "command" not in values:
        block.error(block.statement.words[0], f'vrrp_track_process "{name}" has no process')
        return None
    if len(values["command"]) > 1:  # type: ignore[arg-type]
        values.setdefault("match_parameters", "exact")
    return TrackProcess(**{"name": name, "at": block.statement.at} | values)  # type: ignore[arg-type]


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


def _authentication(block: Block, statement: Statement) -> None:
    inner = Block(block.report, statement)
    values = read_block(
        inner,
        {"auth_type": choice("type", {"PASS": "pass", "AH": "ah"}), "auth_pass": text("password")},
        "authentication",
    )
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


def _extra_interfaces(block: Block, statement: Statement) -> None:
    words = [word for word in statement.arguments if word.text != "all"]
    number = decimal(block, words[0], 0, 86400) if words else None
    if number is not None:
        block.values["garp.extra_interfaces"] = number


INSTANCE: Table = {
    "state": choice("state", {"MASTER": "MASTER", "BACKUP": "BACKUP", "master": "MASTER", "backup": "BACKUP"}),
    "interface": text("interface"),
    "vrf": text("vrf"),
    "virtual_router_id": whole("virtual_router_id", 1, 255),
    "priority": whole("priority", 1, 255),
    "advert_int": seconds("advert_int", 0.01, 255),
    "version": choice("version", {"2": 2, "3": 3}),
    "authentication": _authentication,
    "virtual_ipaddress": _lines("addresses", net.address),
    "virtual_ipaddress_excluded": _lines("excluded_addresses", net.address),
    "virtual_routes": _lines("routes", net.route),
    "virtual_rules": _lines("rules", net.rule),
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
    "garp_extra_if": _extra_interfaces,
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
    "auth_hmac": refused("it is newer than the keepalived that vrrpd speaks with"),
}


def _names(name: str) -> Handler:
    def handler(block: Block, statement: Statement) -> None:
        for line in statement.block or ():
            for word in line.words:
                block.append(name, word.text)

    return handler


GROUP: Table = {
    "group": _names("members"),
    "sync_group_tracking_weight": flag("tracking_weight"),
    "global_tracking": ignored("the group's own track blocks take its place"),
    **TRACKS,
    **NOTIFY,
}


GARP_GROUP: Table = {
    "garp_interval": seconds("interval", 0, 86400),
    "gna_interval": seconds("na_interval", 0, 86400),
    "interface": text("interface"),
    "interfaces": _names("interfaces"),
}


def _split(values: dict[str, object], prefix: str) -> dict[str, object]:
    """Take the values named "PREFIX.X" out, as X."""
    names = [name for name in values if name.startswith(prefix + ".")]
    return {name[len(prefix) + 1 :]: values.pop(name) for name in names}


def _instance(block: Block, name: str, defaults: dict[str, object]) -> tuple[InstanceSettings | None, list[Reference]]:
    values = read_block(block, INSTANCE, "vrrp_instance")
    at = block.statement.at
    if "virtual_router_id" not in values:
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
        settings = replace(settings, state="BACKUP")
    return settings


def _uses_ah(settings: InstanceSettings) -> bool:
    return settings.authentication is not None and settings.authentication.type == "ah"


def _group(block: Block, name: str) -> tuple[SyncGroup, list[Reference]]:
    values = read_block(block, GROUP, "vrrp_sync_group")
    references = values.pop("references", [])
    assert isinstance(references, list)
    notify = Notify(**_split(values, "notify"))  # type: ignore[arg-type]
    values["members"] = tuple(values.get("members", ()))  # type: ignore[arg-type]
    return SyncGroup(name=name, notify=notify, at=block.statement.at, **values), references  # type: ignore[arg-type]


NAMED = ("vrrp_script", "vrrp_track_process", "track_file", "vrrp_track_file", "vrrp_instance", "vrrp_sync_group")
UNNAMED = (
    "global_defs",
    "static_ipaddress",
    "static_routes",
    "static_rules",
    "garp_group",
    "track_group",
    "interface_up_down_delays",
)
TOP: Table = {
    **table_of(
        refused(LVS),
        "virtual_server",
        "virtual_server_group",
        "real_server",
        "SSL",
        "lvs_sync_daemon",
    ),
    "bfd_instance": refused("vrrpd has no BFD"),
    "net_namespace": text("net_namespace"),
    **table_of(
        ignored("it concerns keepalived's own processes"),
        "instance",
        "use_pid_dir",
        "child_wait_time",
        "net_namespace_ipvs",
        "namespace_with_ipsets",
    ),
    **table_of(
        ignored("link state comes from the kernel, nothing is polled"),
        "linkbeat_use_polling",
        "linkbeat_interfaces",
    ),
}


class _File:
    """The whole file while it is read."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.scripts: list[TrackScript] = []
        self.files: list[TrackFile] = []
        self.processes: list[TrackProcess] = []
        self.instances: list[tuple[InstanceSettings, list[Reference]]] = []
        self.groups: list[tuple[SyncGroup, list[Reference]]] = []
        self.garp_groups: list[dict[str, object]] = []
        self.statics = Block(report, Statement([]))
        self.names: dict[tuple[str, str], Statement] = {}

    def statement(self, statement: Statement, defaults: dict[str, object]) -> None:
        keyword = statement.keyword
        if keyword in NAMED:
            name = self._name(statement)
            if name is not None:
                self._named(Block(self.report, statement), name, defaults)
        elif keyword in TOP:
            TOP[keyword](self.statics, statement)
        elif keyword in UNNAMED:
            self._unnamed(statement)
        else:
            self.report.error(
                statement.at,
                f'"{keyword}" is not a keyword of the top level',
                did_you_mean(keyword, (*NAMED, *UNNAMED, *TOP)),
            )

    def _name(self, statement: Statement) -> str | None:
        words = arguments(Block(self.report, statement), statement, 1, 1)
        if words is None:
            return None
        if statement.block is None:
            self.report.error(statement.at, f'"{statement.keyword}" needs a block', "write { } behind it")
            return None
        key = (statement.keyword.removeprefix("vrrp_"), words[0].text)
        if key in self.names:
            first = self.names[key].at
            self.report.error(words[0].at, f'{statement.keyword} "{key[1]}" is there already, at {first}')
        self.names[key] = statement
        return words[0].text

    def _named(self, block: Block, name: str, defaults: dict[str, object]) -> None:
        keyword = block.statement.keyword
        if keyword == "vrrp_script":
            self.scripts += [one for one in (_script(block, name),) if one]
        elif keyword == "vrrp_track_process":
            self.processes += [one for one in (_process(block, name),) if one]
        elif keyword == "vrrp_instance":
            settings, references = _instance(block, name, defaults)
            if settings is not None:
                self.instances.append((settings, references))
        elif keyword == "vrrp_sync_group":
            self.groups.append(_group(block, name))
        else:
            self.files += [one for one in (_file(block, name),) if one]

    def _unnamed(self, statement: Statement) -> None:
        keyword = statement.keyword
        if keyword == "static_ipaddress":
            _lines("static_addresses", net.address)(self.statics, statement)
        elif keyword == "static_routes":
            _lines("static_routes", net.route)(self.statics, statement)
        elif keyword == "static_rules":
            _lines("static_rules", net.rule)(self.statics, statement)
        elif keyword == "garp_group":
            self.garp_groups.append(read_block(Block(self.report, statement), GARP_GROUP, "garp_group"))
        elif keyword == "track_group":
            inner = Block(self.report, statement)
            members = read_block(inner, {"group": _names("members")}, "track_group").get("members", [])
            self.statics.append("track_groups", (statement.arguments[0].text, tuple(members)))  # type: ignore[arg-type]
        elif keyword == "interface_up_down_delays":
            self._delays(statement)

    def _delays(self, statement: Statement) -> None:
        for line in statement.block or ():
            inner = Block(self.report, line)
            words = arguments(inner, line, 1, 2)
            numbers = [decimal(inner, word, 0, 255) or 0.0 for word in words or ()]
            if numbers:
                self.statics.append("interface_delays", InterfaceDelay(line.keyword, numbers[0], numbers[-1]))

    def with_garp_groups(self, settings: InstanceSettings) -> InstanceSettings:
        for group in self.garp_groups:
            interfaces = [group.get("interface"), *group.get("interfaces", [])]  # type: ignore[misc]
            if settings.interface in interfaces:
                chosen = {key: group[key] for key in ("interval", "na_interval") if key in group}
                settings = replace(settings, garp=replace(settings.garp, **chosen))  # type: ignore[arg-type]
        return settings


def load(path: str, config_id: str | None = None) -> Loaded:
    """Read a keepalived.conf; ConfigErrors with every mistake in it.

    `config_id` is what @conditions compare with; None: the host's name up to the first dot.
    """
    report = Report()
    statements = read(path, report, config_id)
    global_settings, defaults = read_globals(
        [statement for statement in statements if statement.keyword == "global_defs"], report
    )
    file = _File(report)
    for statement in statements:
        if statement.keyword != "global_defs":
            file.statement(statement, defaults)
    values = file.statics.values
    namespace = values.pop("net_namespace", None)
    config = Config(
        globals=replace(global_settings, net_namespace=namespace),  # type: ignore[arg-type]
        scripts=tuple(file.scripts),
        files=tuple(file.files),
        processes=tuple(file.processes),
        **{name: tuple(value) for name, value in values.items()},  # type: ignore[arg-type]
    )
    config = resolve(
        config,
        [(file.with_garp_groups(settings), references) for settings, references in file.instances],
        file.groups,
        report,
    )
    report.raise_if_any()
    return Loaded(config, tuple(report.findings))
