"""The whole vocabulary of what the core may ask for; `system/executor.py` does it, in the order given.

Every event handed to an `Instance` or a `Group` returns a list of these.  The order carries meaning: on becoming
master the advert comes first, because the old master drops the addresses when it hears it, then the addresses, then
their announcement.  Each action names its instance, as one event may move every member of a sync group.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vrrpd.config.model import Address, Route, Rule, VirtualAddress


class State(Enum):
    """The states of RFC 9568 section 6.4, and FAULT, which keepalived adds; the value is the word in its logs."""

    INIT = "INIT"
    BACKUP = "BACKUP"
    MASTER = "MASTER"
    FAULT = "FAULT"


class Event(Enum):
    """What notify programs and fifos are told; the value is the word that they get."""

    MASTER = "MASTER"
    BACKUP = "BACKUP"
    FAULT = "FAULT"
    STOP = "STOP"
    DELETED = "DELETED"
    MASTER_RX_LOWER_PRI = "MASTER_RX_LOWER_PRI"
    MASTER_PRIORITY = "MASTER_PRIORITY"
    BACKUP_PRIORITY = "BACKUP_PRIORITY"


class Level(Enum):
    """Syslog severities in use; DEBUG is what keepalived says only with -D."""

    ERROR = "err"
    WARNING = "warning"
    NOTICE = "notice"
    INFO = "info"
    DEBUG = "debug"


@dataclass(frozen=True, slots=True)
class SendAdvert:
    """Send each packet to its destination, from the instance's send socket.

    IPv4: the bytes are the whole packet with its IP header (IP_HDRINCL).  IPv6: they are the VRRP message, its
    checksum right; traffic class 0xc0 and hop limit are set on the socket.
    """

    instance: str
    priority: int
    packets: tuple[tuple[Address, bytes], ...]
    """(destination, bytes): one pair per destination."""


@dataclass(frozen=True, slots=True)
class AddAddresses:
    """Put these on their interfaces, in order; one that is there already is success."""

    instance: str
    addresses: tuple[VirtualAddress, ...]


@dataclass(frozen=True, slots=True)
class RemoveAddresses:
    """Take these away, in order; one that is not there is success."""

    instance: str
    addresses: tuple[VirtualAddress, ...]


@dataclass(frozen=True, slots=True)
class Announce:
    """Gratuitous ARP or NA: `repeat` rounds, each over all `addresses` in order."""

    instance: str
    addresses: tuple[VirtualAddress, ...]
    repeat: int


@dataclass(frozen=True, slots=True)
class AddRoutes:
    """Add routes, then rules; follows AddAddresses, because routes may need them."""

    instance: str
    routes: tuple[Route, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class RemoveRoutes:
    """Remove rules, then routes; comes before RemoveAddresses."""

    instance: str
    routes: tuple[Route, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Notify:
    """Run the notify programs and write the fifos' line: `INSTANCE "name" EVENT priority`."""

    instance: str
    event: Event
    priority: int
    group: bool = False
    """True: `instance` is the name of a sync group, and the line says GROUP."""


@dataclass(frozen=True, slots=True)
class Log:
    """One line for syslog, in keepalived's words, with the "(instance) " in front that it has there."""

    instance: str
    level: Level
    text: str


Action = SendAdvert | AddAddresses | RemoveAddresses | Announce | AddRoutes | RemoveRoutes | Notify | Log
Actions = list[Action]
