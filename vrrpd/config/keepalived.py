"""keepalived.conf (VRRP half, version 2.2.7 and what came after) → `Config`, by keyword tables.

`global_defs` is read first, wherever it stands, because instances inherit from it.  Defaults are keepalived's; what
makes vrrpd behave visibly better is off until its keyword (marked "vrrpd" in the tables) says otherwise.  Stricter
than keepalived in four things: words too many, values out of range, checks that do not exist, and `state MASTER`
without a priority (there keepalived silently takes 255) are errors.
"""

from __future__ import annotations

from dataclasses import replace

from vrrpd.config import words as net
from vrrpd.config.errors import Loaded, Report, did_you_mean
from vrrpd.config.keepalived_checks import read_file, read_process, read_script
from vrrpd.config.keepalived_global import read_globals
from vrrpd.config.keepalived_instance import LVS, lines, names, read_group, read_instance
from vrrpd.config.keepalived_text import Statement, read
from vrrpd.config.keywords import (
    Block,
    Table,
    arguments,
    decimal,
    ignored,
    read_block,
    refused,
    seconds,
    table_of,
    text,
)
from vrrpd.config.model import (
    Config,
    InstanceSettings,
    InterfaceDelay,
    SyncGroup,
    TrackFile,
    TrackProcess,
    TrackScript,
)
from vrrpd.config.tracks import Reference, resolve

GARP_GROUP: Table = {
    "garp_interval": seconds("interval", 0, 86400),
    "gna_interval": seconds("na_interval", 0, 86400),
    "interface": text("interface"),
    "interfaces": names("interfaces"),
}

TRACK_GROUP: Table = {"group": names("members")}


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
        self.seen: dict[tuple[str, str], Statement] = {}

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
        if key in self.seen:
            first = self.seen[key].at
            self.report.error(words[0].at, f'{statement.keyword} "{key[1]}" is there already, at {first}')
        self.seen[key] = statement
        return words[0].text

    def _named(self, block: Block, name: str, defaults: dict[str, object]) -> None:
        keyword = block.statement.keyword
        if keyword == "vrrp_script":
            self.scripts += [one for one in (read_script(block, name),) if one]
        elif keyword == "vrrp_track_process":
            self.processes += [one for one in (read_process(block, name),) if one]
        elif keyword == "vrrp_instance":
            settings, references = read_instance(block, name, defaults)
            if settings is not None:
                self.instances.append((settings, references))
        elif keyword == "vrrp_sync_group":
            self.groups.append(read_group(block, name))
        else:
            self.files += [one for one in (read_file(block, name),) if one]

    def _unnamed(self, statement: Statement) -> None:
        keyword = statement.keyword
        if keyword == "static_ipaddress":
            lines("static_addresses", net.address)(self.statics, statement)
        elif keyword == "static_routes":
            lines("static_routes", net.route)(self.statics, statement)
        elif keyword == "static_rules":
            lines("static_rules", net.rule)(self.statics, statement)
        elif keyword == "garp_group":
            self.garp_groups.append(read_block(Block(self.report, statement), GARP_GROUP, "garp_group"))
        elif keyword == "track_group":
            inner = Block(self.report, statement)
            members = read_block(inner, TRACK_GROUP, "track_group").get("members", [])
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
