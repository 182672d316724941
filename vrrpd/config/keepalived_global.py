"""The `global_defs` block: settings of the daemon, and defaults that instances inherit.

Half of keepalived's global keywords tune its own processes, its mail or its SNMP agent; they are known here, so that a
file in use can be taken as it is, and each says in a note that it has no effect.
"""

from __future__ import annotations

from dataclasses import replace

from vrrpd.config.errors import Report
from vrrpd.config.keepalived_text import Statement
from vrrpd.config.keywords import (
    Block,
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
from vrrpd.config.model import Command, Fifo, Global, Scheduling

# What an instance has unless it or global_defs says otherwise: keepalived's ways where they differ from vrrpd.toml's.
INSTANCE_DEFAULTS: dict[str, object] = {
    "check_unicast_source": False,
    "abdicate": False,
    "ah_clock_sequence": False,
    "ah_probe": False,
}


def _user(block: Block, statement: Statement) -> None:
    words = arguments(block, statement, 1, 2)
    if words is not None:
        block.values["script_user"] = words[0].text
        if len(words) == 2:
            block.values["script_group"] = words[1].text


def _fifo(block: Block, statement: Statement) -> None:
    words = arguments(block, statement, 1, 3)
    if words is not None:
        names = [word.text for word in words[1:]] + [None, None]
        fifo = Fifo(words[0].text, names[0], names[1], at=statement.at)
        block.values.setdefault("fifos", {})[statement.keyword] = fifo  # type: ignore[index]


def _fifo_script(block: Block, statement: Statement) -> None:
    inner = Block(block.report, statement)
    command("reader")(inner, statement)
    if "reader" in inner.values:
        block.values.setdefault("readers", {})[statement.keyword] = inner.values["reader"]  # type: ignore[index]


def _cpus(block: Block, statement: Statement) -> None:
    numbers = [whole_number(block, word, 0, 4095) for word in statement.arguments]
    block.values["scheduling.cpus"] = tuple(number for number in numbers if number is not None)


def _optional_whole(name: str, low: int, high: int) -> Table:
    """For max_auto_priority, whose number may be missing."""

    def handler(block: Block, statement: Statement) -> None:
        words = arguments(block, statement, 0, 1)
        number = whole_number(block, words[0], low, high) if words else high
        if number is not None:
            block.values[name] = max(number, 0)

    return {"max_auto_priority": handler}


def _dynamic(block: Block, statement: Statement) -> None:
    if arguments(block, statement, 0, 1) is not None:
        block.values["dynamic_interfaces"] = True


GLOBAL: Table = {
    "router_id": text("router_id"),
    "vrrp_mcast_group4": ip("default.group_4"),
    "vrrp_mcast_group6": ip("default.group_6"),
    "default_interface": text("default_interface"),
    "script_user": _user,
    "enable_script_security": flag("script_security"),
    "script_missing": choice("script_missing", {"fail": "fail", "warn": "warn", "ignore": "ignore"}),  # vrrpd
    "notify_fifo": _fifo,
    "vrrp_notify_fifo": _fifo,
    "notify_fifo_script": _fifo_script,
    "vrrp_notify_fifo_script": _fifo_script,
    "fifo_write_vrrp_states_on_reload": flag("states_on_reload"),
    "vrrp_notify_priority_changes": boolean("default.notify_priority_changes"),
    "dynamic_interfaces": _dynamic,
    "log_unknown_vrids": flag("log_unknown_vrids"),
    "startup_script": command("startup_script"),
    "shutdown_script": command("shutdown_script"),
    "vmac_prefix": text("vmac_prefix"),
    "vrrp_priority": whole("scheduling.priority", -20, 19),
    "vrrp_rt_priority": whole("scheduling.realtime", 1, 99),
    **_optional_whole("scheduling.max_auto", -1, 99),
    "vrrp_no_swap": flag("scheduling.no_swap"),
    "vrrp_cpu_affinity": _cpus,
    # Defaults of instances
    "vrrp_version": choice("default.version", {"2": 2, "3": 3}),
    "vrrp_startup_delay": seconds("default.startup_delay", 0, 86400),
    "vrrp_strict": boolean("default.strict_mode"),
    "vrrp_skip_check_adv_addr": boolean("default.skip_check_adv_addr"),
    "vrrp_check_unicast_src": boolean("default.check_unicast_source"),
    "vrrp_lower_prio_no_advert": boolean("default.lower_prio_no_advert"),
    "vrrp_higher_prio_send_advert": boolean("default.higher_prio_send_advert"),
    "vrrp_down_timer_adverts": whole("default.down_timer_adverts", 1, 100),
    "v3_checksum_as_v2": boolean("default.v3_checksum_as_v2"),
    "vrrp_garp_master_delay": seconds("default.garp.master_delay", 0, 86400),
    "vrrp_garp_master_repeat": whole("default.garp.master_repeat", 1, 1000),
    "vrrp_garp_master_refresh": seconds("default.garp.master_refresh", 0, 86400),
    "vrrp_garp_master_refresh_repeat": whole("default.garp.master_refresh_repeat", 1, 1000),
    "vrrp_garp_lower_prio_delay": seconds("default.garp.lower_prio_delay", 0, 86400),
    "vrrp_garp_lower_prio_repeat": whole("default.garp.lower_prio_repeat", 0, 1000),
    "vrrp_garp_interval": seconds("default.garp.interval", 0, 86400),
    "vrrp_gna_interval": seconds("default.garp.na_interval", 0, 86400),
    "vrrp_min_garp": boolean("min_garp"),
    "vrrp_garp_extra_if": extra_interfaces("default.garp.extra_interfaces"),
    "abdicate": boolean("default.abdicate"),  # vrrpd
    "ah_clock_sequence": boolean("default.ah_clock_sequence"),  # vrrpd
    "ah_probe": boolean("default.ah_probe"),  # vrrpd
    # Known, without effect
    **table_of(
        ignored("vrrpd sends no mail, a notify program can"),
        "notification_email",
        "notification_email_from",
        "smtp_server",
        "smtp_helo_name",
        "smtp_connect_timeout",
        "smtp_alert",
        "smtp_alert_vrrp",
        "smtp_alert_checker",
        "no_email_faults",
        "no_checker_emails",
    ),
    **table_of(
        ignored("vrrpd has metrics and a status socket instead"),
        "enable_snmp_vrrp",
        "enable_snmp_keepalived",
        "enable_snmp_checker",
        "enable_snmp_rfc",
        "enable_snmp_rfcv2",
        "enable_snmp_rfcv3",
        "enable_traps",
        "snmp_socket",
        "enable_dbus",
        "dbus_service_name",
        "dbus_no_interface_name",
    ),
    **table_of(
        ignored("it concerns keepalived's own processes and files"),
        "process_names",
        "process_name",
        "vrrp_process_name",
        "checker_process_name",
        "bfd_process_name",
        "startup_script_timeout",
        "shutdown_script_timeout",
        "min_auto_priority_delay",
        "vrrp_rlimit_rttime",
        "vrrp_rlimit_rtime",
        "reload_check_config",
        "reload_time_file",
        "reload_repeat",
        "reload_file",
        "include_check",
        "config_save_dir",
        "tmp_config_directory",
        "data_use_instance",
        "umask",
        "random_seed",
        "vrrp_rx_bufs_policy",
        "vrrp_rx_bufs_multiplier",
        "vrrp_netlink_cmd_rcv_bufs",
        "vrrp_netlink_cmd_rcv_bufs_force",
        "vrrp_netlink_monitor_rcv_bufs",
        "vrrp_netlink_monitor_rcv_bufs_force",
        "process_monitor_rcv_bufs",
        "process_monitor_rcv_bufs_force",
        "json_version",
        "use_symlink_paths",
        "thread_timer_expired",
        "state_dump_file",
        "stats_dump_file",
        "json_dump_file",
        "vmac_addr_prefix",
        "linkbeat_use_polling",
        "child_wait_time",
        "use_pid_dir",
    ),
    **table_of(
        ignored("vrrpd needs no firewall rules of its own for what it does"),
        "nftables",
        "nftables_priority",
        "nftables_counters",
        "nftables_ifindex",
        "vrrp_iptables",
        "vrrp_ipsets",
        "disable_local_igmp",
    ),
    **table_of(
        ignored("it belongs to IPVS load balancing"),
        "lvs_timeouts",
        "lvs_flush",
        "lvs_flush_on_stop",
        "lvs_flush_onstop",
        "lvs_notify_fifo",
        "lvs_notify_fifo_script",
        "lvs_netlink_cmd_rcv_bufs",
        "lvs_netlink_cmd_rcv_bufs_force",
        "lvs_netlink_monitor_rcv_bufs",
        "lvs_netlink_monitor_rcv_bufs_force",
        "nftables_ipvs",
        "nftables_ipvs_priority",
        "nftables_ipvs_start_fwmark",
        "checker_log_all_failures",
        "rs_init_notifies",
        "checker_priority",
        "checker_rt_priority",
        "checker_no_swap",
        "checker_cpu_affinity",
        "checker_rlimit_rttime",
        "bfd_rlimit_rttime",
        "bfd_priority",
        "bfd_rt_priority",
        "bfd_no_swap",
        "bfd_cpu_affinity",
    ),
    "vrrp_delay_after_boot": ignored("vrrp_startup_delay does what is needed of it"),
    "owner_ignore_adverts": ignored("it is newer than the keepalived that vrrpd speaks with"),
    "lvs_sync_daemon": refused("it belongs to IPVS load balancing"),
}


def read_globals(statements: list[Statement], report: Report) -> tuple[Global, dict[str, object]]:
    """The daemon's settings, and the defaults for instances, from all `global_defs` blocks."""
    values: dict[str, object] = {}
    for statement in statements:
        read_block(Block(report, statement, values), GLOBAL, "global_defs")
    defaults = INSTANCE_DEFAULTS | _take(values, "default.")
    if defaults.get("strict_mode"):
        defaults.setdefault("lower_prio_no_advert", True)
    if values.pop("min_garp", False):
        for name, value in (("master_delay", 0.0), ("master_repeat", 1)):
            defaults.setdefault(f"garp.{name}", value)
    scheduling = Scheduling(**_take(values, "scheduling."))  # type: ignore[arg-type]
    fifos = _fifos(values, report)
    settings = Global(**{"script_missing": "ignore", "fifos": fifos, "scheduling": scheduling} | values)  # type: ignore[arg-type]
    return settings, defaults


def _take(values: dict[str, object], prefix: str) -> dict[str, object]:
    names = [name for name in values if name.startswith(prefix)]
    return {name.removeprefix(prefix): values.pop(name) for name in names}


def _fifos(values: dict[str, object], report: Report) -> tuple[Fifo, ...]:
    fifos: dict[str, Fifo] = values.pop("fifos", {})  # type: ignore[assignment]
    readers: dict[str, Command] = values.pop("readers", {})  # type: ignore[assignment]
    on_reload = bool(values.pop("states_on_reload", False))
    for keyword, reader in readers.items():
        fifo = keyword.removesuffix("_script")
        if fifo in fifos:
            fifos[fifo] = replace(fifos[fifo], reader=reader)
        else:
            report.error(reader.at, f'"{keyword}" needs a {fifo}', f"write {fifo} PATH too")
    return tuple(replace(fifo, states_on_reload=on_reload) for fifo in fifos.values())
