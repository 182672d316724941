"""A whole virtual router from command line options, with the defaults said that were chosen."""

from __future__ import annotations

import argparse
import shlex
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Literal

from vrrpd.config.model import (
    Authentication,
    Command,
    Config,
    Global,
    InstanceSettings,
    Track,
    TrackKind,
    TrackScript,
    UnicastPeer,
    VirtualAddress,
)

DEFAULT_VRID = 51
"""keepalived's own example file has it."""
DEFAULT_PRIORITY = 100
DEFAULT_NAME = "VI_1"
V2_INTERVALS = range(1, 256)


class UsageError(Exception):
    """The options do not make a virtual router; the text says what to write."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that make a virtual router without a file."""
    group = parser.add_argument_group("a virtual router without a file")
    group.add_argument("--vip", action="append", metavar="ADDRESS[/LEN]", help="virtual address; several times")
    group.add_argument("--priority", type=int, metavar="1..255", help=f"default {DEFAULT_PRIORITY}; 255: owner")
    group.add_argument("--interface", metavar="NAME", help="default: that of the default route")
    group.add_argument("--vrid", type=int, metavar="1..255", help=f"virtual router id, default {DEFAULT_VRID}")
    group.add_argument("--advert-int", type=float, metavar="SECONDS", help="between adverts, default 1")
    group.add_argument("--version", type=int, choices=(2, 3), help="of VRRP; default 2, 3 where only it can")
    group.add_argument("--auth", metavar="pass:SECRET|ah:SECRET", help="VRRPv2; SECRET may be @FILE")
    group.add_argument("--track-script", action="append", metavar="COMMAND", help="check; several times")
    group.add_argument("--script-interval", type=float, metavar="SECONDS", help="of the checks, default 1")
    group.add_argument("--script-weight", type=int, metavar="N", help="of the checks; default 0: failure is FAULT")
    group.add_argument("--unicast-peer", action="append", metavar="ADDRESS", help="instead of multicast")
    group.add_argument("--source", metavar="ADDRESS", help="source of the adverts")
    group.add_argument("--nopreempt", action="store_true", default=None, help="leave a lower master alone")


NAMES = (
    *("vip", "priority", "interface", "vrid", "advert_int", "version", "auth", "track_script"),
    *("script_interval", "script_weight", "unicast_peer", "source", "nopreempt"),
)


def given(options: argparse.Namespace) -> list[str]:
    """Which of these options were written."""
    return [f"--{name.replace('_', '-')}" for name in NAMES if getattr(options, name) is not None]


def build(options: argparse.Namespace, default_interface: str | None) -> tuple[Config, list[str]]:
    """The configuration, and a sentence on what was chosen. UsageError when something is missing or wrong."""
    if not options.vip:
        raise UsageError("which address? Write --vip ADDRESS, or -c FILE for a configuration (vrrpd --help)")
    addresses = tuple(_virtual(text) for text in options.vip)
    interface = options.interface or default_interface
    if interface is None:
        raise UsageError("there is no default route to take the interface from: write --interface NAME")
    version, why = _version(options, addresses)
    scripts = _scripts(options)
    try:
        settings = InstanceSettings(
            name=DEFAULT_NAME,
            virtual_router_id=_within("--vrid", DEFAULT_VRID if options.vrid is None else options.vrid, 1, 255),
            interface=interface,
            state="MASTER" if options.priority == 255 else "BACKUP",
            priority=_within("--priority", DEFAULT_PRIORITY if options.priority is None else options.priority, 1, 255),
            version=version,
            advert_int=1.0 if options.advert_int is None else options.advert_int,
            authentication=_authentication(options.auth, version),
            addresses=addresses,
            source=ip_address(options.source) if options.source else None,
            unicast_peers=tuple(UnicastPeer(ip_address(text)) for text in options.unicast_peer or ()),
            preempt=not options.nopreempt,
            tracks=tuple(Track(TrackKind.SCRIPT, one.name, one.weight) for one in scripts),
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    config = Config(globals=Global(), scripts=scripts, instances=(settings,))
    return config, [_chosen(options, settings, why)]


def _chosen(options: argparse.Namespace, settings: InstanceSettings, why: str) -> str:
    def default(option: object) -> str:
        return "" if option is not None else " (default)"

    interface_note = "" if options.interface else " (of the default route)"
    authentication = settings.authentication.type if settings.authentication else "none"
    return ", ".join(
        (
            f"interface {settings.interface}{interface_note}",
            f"vrid {settings.virtual_router_id}{default(options.vrid)}",
            f"priority {settings.priority}{default(options.priority)}",
            f"version {settings.version}{why}",
            f"advert interval {settings.advert_int:g} s{default(options.advert_int)}",
            f"authentication {authentication}",
            f"addresses {' '.join(str(address) for address in settings.addresses)}",
        )
    )


def _virtual(text: str) -> VirtualAddress:
    try:
        interface = ip_interface(text)
    except ValueError:
        raise UsageError(f"--vip {text}: not an address, nor an address/length") from None
    return VirtualAddress(interface.ip, interface.network.prefixlen if "/" in text else None)


def _version(options: argparse.Namespace, addresses: tuple[VirtualAddress, ...]) -> tuple[Literal[2, 3], str]:
    """The version and, when it was chosen here, why."""
    interval = options.advert_int if options.advert_int is not None else 1.0
    v6 = addresses[0].address.version == 6
    whole = interval in V2_INTERVALS
    if options.version is None:
        if v6 or not whole:
            return 3, " (IPv6 has no other)" if v6 else " (for this interval)"
        return 2, " (default)"
    if options.version == 2 and v6:
        raise UsageError("--version 2: VRRPv2 has no IPv6, leave it out or write --version 3")
    if options.version == 2 and not whole:
        raise UsageError(f"--advert-int {interval:g}: VRRPv2 has whole seconds from 1 to 255; write --version 3")
    if options.version == 3 and not 0.01 <= interval <= 40.95:
        raise UsageError(f"--advert-int {interval:g}: VRRPv3 has 0.01 to 40.95 seconds")
    return (3 if options.version == 3 else 2), ""


def _within(option: str, number: int, low: int, high: int) -> int:
    if not low <= number <= high:
        raise UsageError(f"{option} {number}: has to be between {low} and {high}")
    return number


def _authentication(text: str | None, version: int) -> Authentication | None:
    if text is None:
        return None
    kind, _, secret = text.partition(":")
    if kind.lower() not in ("pass", "ah") or not secret:
        raise UsageError(f"--auth {kind}: write pass:SECRET or ah:SECRET")
    if version == 3:
        raise UsageError("--auth: VRRPv3 has no authentication (RFC 5798 section 9)")
    if secret.startswith("@"):
        secret = Path(secret[1:]).read_text().strip()
    return Authentication("ah" if kind.lower() == "ah" else "pass", secret)


def _scripts(options: argparse.Namespace) -> tuple[TrackScript, ...]:
    scripts = []
    for number, text in enumerate(options.track_script or (), 1):
        words = tuple(shlex.split(text))
        if not words:
            raise UsageError("--track-script: the command is empty")
        scripts.append(
            TrackScript(
                name=f"check{number}",
                command=Command(words),
                interval=options.script_interval or 1.0,
                weight=options.script_weight or 0,
            )
        )
    return tuple(scripts)
