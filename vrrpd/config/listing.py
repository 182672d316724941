"""Every keyword of keepalived.conf and what vrrpd makes of it: the tables as data, for the manual and for tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from vrrpd.config import words
from vrrpd.config.keepalived import GARP_GROUP, NAMED, TOP, TRACK_GROUP, UNNAMED
from vrrpd.config.keepalived_checks import FILE, PROCESS, SCRIPT
from vrrpd.config.keepalived_global import GLOBAL
from vrrpd.config.keepalived_instance import AUTHENTICATION, GROUP, INSTANCE, LVS
from vrrpd.config.keywords import Handler, Ignored, Refused

Status = Literal["supported", "differing", "ignored", "refused", "vrrpd's own"]

OWN = {
    "script_missing": "what a missing script means: `fail`, `warn`, or `ignore` (keepalived's way and the default)",
    "first_result": "`counts`: a script's first run is one like any other; keepalived lets it decide at once",
    "abdicate": "a master whose priority sinks lets the better backup take over after its skew time",
    "ah_clock_sequence": "AH numbers begin at the clock, so that a restarted node is believed",
    "ah_probe": "a backup asks a node with the right key and an old number whether it was restarted",
    "v3_accept_zero_interval": "takes VRRPv3 adverts with interval 0, as keepalived does",
    "v3_checksum_as_v2": "in later keepalived versions too: VRRPv3 checksum without the pseudo header",
}
"""Keywords that keepalived 2.2.7 does not know."""

OWN_PLACE = {
    ("vrrp_sync_group", "notify_deleted"): "for groups too; keepalived has it for instances only",
    ("vrrp_sync_group", "notify_master_rx_lower_pri"): "for groups too; keepalived has it for instances only",
}
"""Keywords that keepalived 2.2.7 does not know in this block."""

DIFFERENT = {
    ("global_defs", "vrrp_garp_interval"): "no repetition is lost; keepalived drops what would come late",
    ("global_defs", "vrrp_gna_interval"): "no repetition is lost; keepalived drops what would come late",
    ("garp_group", "garp_interval"): "no repetition is lost; keepalived drops what would come late",
    ("garp_group", "gna_interval"): "no repetition is lost; keepalived drops what would come late",
    ("vrrp_script", "script"): "parameters have to be quoted; a run that is due while the last one works is left out",
    ("vrrp_script", "interval"): "fractions of a second are allowed",
    ("vrrp_script", "timeout"): "fractions of a second are allowed",
    ("vrrp_script", "init_fail"): "works as the manual says; in keepalived 2.2.7 it has no effect",
    ("vrrp_instance", "state"): "MASTER without a priority is an error; keepalived makes it the owner, 255",
    ("vrrp_instance", "priority"): "a number from 1 to 255 alone; keepalived takes others for 100, ignores more words",
    ("vrrp_instance", "notify"): "programs of an instance run one after the other; keepalived runs them at once",
    ("vrrp_instance", "notify_master"): "as `notify`",
    ("vrrp_instance", "notify_backup"): "as `notify`",
    ("vrrp_instance", "notify_fault"): "as `notify`",
    ("vrrp_instance", "unicast_ttl"): "IPv6 adverts have hop limit 255 without it; keepalived leaves the kernel's 64",
}
"""What is supported and still not the same, by block and keyword."""

BFD = """
neighbor_ip source_ip min_rx min_tx idle_tx multiplier passive ttl hoplimit max_hops weight vrrp checker
"""
"""Inside bfd_instance, which is refused as a whole."""

IPVS = """
fwmark group lvs_sched lb_algo flag-1 flag-2 flag-3 sh-port sh-fallback mh-port mh-fallback ops lvs_method
lb_kind persistence_engine persistence_timeout persistence_granularity protocol ha_suspend smtp_alert
virtualhost snmp_name alpha omega quorum hysteresis quorum_up quorum_down ip_family sorry_server
sorry_server_inhibit sorry_server_lvs_method connect_timeout retry delay_before_retry warmup delay_loop
inhibit_on_failure real_server weight notify_up notify_down uthreshold lthreshold connect_ip connect_port bindto
bind_if bind_port log_all_failures HTTP_GET SSL_GET http_protocol fast_recovery url path digest status_code
regex regex_no_match regex_options regex_stack regex_min_offset regex_max_offset enable_sni TCP_CHECK SMTP_CHECK
helo_name DNS_CHECK type name MISC_CHECK misc_path misc_timeout misc_dynamic user BFD_CHECK PING_CHECK UDP_CHECK
payload require_reply FILE_CHECK track_file dynamic password ca certificate key
"""
"""Inside virtual_server, virtual_server_group and SSL, which are refused as a whole."""

SYNTAX = {
    "# !": "comments",
    '" \\"': "quoted strings, escapes",
    "include, includer, includem, includew, includeb, includea": "other files, by pattern",
    "@ID, @^ID": "lines for one configuration id, or for all others",
    "$NAME=, ${NAME}": "definitions, also over several lines and with parameters",
    "${_PWD}, ${_INSTANCE}, ${_RANDOM}, ${_HASH}, ${_BANG}": "predefined",
    "~SEQ, ~SEQx, ~LST": "sequences and lists",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A keyword, the block that it may stand in, and what becomes of it."""

    block: str
    name: str
    status: Status
    note: str = ""


_HEADINGS = {
    "syntax": "The file's language",
    "top": "Top level",
    "global_defs": "`global_defs`",
    "vrrp_script": "`vrrp_script`",
    "track_file": "`track_file`",
    "vrrp_track_process": "`vrrp_track_process`",
    "track_group": "`track_group`",
    "garp_group": "`garp_group`",
    "vrrp_instance": "`vrrp_instance`",
    "authentication": "`authentication`",
    "vrrp_sync_group": "`vrrp_sync_group`",
    "address": "Options of `virtual_ipaddress` and `static_ipaddress`",
    "route": "Words of `virtual_routes` and `static_routes`",
    "rule": "Words of `virtual_rules` and `static_rules`",
    "bfd": "`bfd_instance`",
    "ipvs": "`virtual_server`, `virtual_server_group`, `real_server`, `SSL`",
}


def keywords() -> Iterator[Entry]:
    """All keywords, by block and in the tables' order."""
    yield from (Entry("syntax", name, "supported", note) for name, note in SYNTAX.items())
    yield from (Entry("top", name, "supported") for name in sorted((*NAMED, *UNNAMED)))
    tables = {
        "top": TOP,
        "global_defs": GLOBAL,
        "vrrp_script": SCRIPT,
        "track_file": FILE,
        "vrrp_track_process": PROCESS,
        "track_group": TRACK_GROUP,
        "garp_group": GARP_GROUP,
        "vrrp_instance": INSTANCE,
        "authentication": AUTHENTICATION,
        "vrrp_sync_group": GROUP,
    }
    for block, table in tables.items():
        yield from _entries(block, table)
    options: dict[str, Iterable[str]] = {
        "address": words.ADDRESS,
        "route": {**words.ROUTE, **words.NEXTHOP, **dict.fromkeys(("nexthop", "or", "to", "lock", "inet", "inet6"))},
        "rule": words.RULE,
    }
    for block, names in options.items():
        yield from (Entry(block, name, "supported") for name in names)
    yield from (Entry("route", name, "refused", words.ELSEWHERE) for name in sorted(words.NOT_HERE))
    yield from (Entry("bfd", name, "refused", "the block is refused: vrrpd has no BFD") for name in BFD.split())
    yield from (Entry("ipvs", name, "refused", f"the block is refused: {LVS}") for name in IPVS.split())


def _entries(block: str, table: Mapping[str, Handler]) -> Iterator[Entry]:
    for name, handler in table.items():
        if isinstance(handler, Ignored):
            yield Entry(block, name, "ignored", handler.why)
        elif isinstance(handler, Refused):
            yield Entry(block, name, "refused", handler.why)
        elif name in OWN:
            yield Entry(block, name, "vrrpd's own", OWN[name])
        elif (block, name) in OWN_PLACE:
            yield Entry(block, name, "vrrpd's own", OWN_PLACE[block, name])
        elif (block, name) in DIFFERENT:
            yield Entry(block, name, "differing", DIFFERENT[block, name])
        else:
            yield Entry(block, name, "supported")


def markdown() -> str:
    """docs/keepalived-keywords.md: every keyword, what becomes of it, and why."""
    rows = list(keywords())
    lines = [
        "# keepalived's keywords in vrrpd",
        "",
        "Made from the tables that the reader works with:",
        "`python -m vrrpd.config.listing > docs/keepalived-keywords.md`.",
        "A test holds it against the manual page of keepalived 2.2.7 and keepalived itself.",
        "",
        "- **supported**: means what keepalived's manual says",
        "- **differing**: supported, but not as keepalived does it: see the note",
        "- **ignored**: accepted with a line that says so, because it changes nothing here",
        "- **refused**: an error that names it",
        "- **vrrpd's own**: keepalived 2.2.7 does not know it",
    ]
    for block, heading in _HEADINGS.items():
        lines += ["", f"## {heading}", "", "| keyword | status | note |", "| --- | --- | --- |"]
        lines += [f"| `{row.name}` | {row.status} | {row.note} |" for row in rows if row.block == block]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
