"""VRRP advertisements, versions 2 and 3: bytes to `Advert` and back.

Version 2 (RFC 3768 section 5.1, with the authentication types that RFC 2338 section 5.3.6 had):

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |Version| Type  | Virtual Rtr ID|   Priority    | Count IP Addrs|
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |   Auth Type   |   Adver Int   |          Checksum             |   interval in seconds
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                    IPv4 addresses, Count of them              |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                  Authentication Data, 8 bytes                 |   there whatever the type
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

Version 3 (RFC 9568 section 5.1) differs in the second word and has no authentication data:

    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |Reserve|     Max Advertise     |          Checksum             |   interval in centiseconds
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

The checksum of version 2 covers the message alone.  That of version 3 covers the pseudo header as well; RFC 5798 is
read both ways for IPv4, and RFC 9568 decided against, but keepalived (to 2.3) includes it, so `Coverage` names which.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from vrrpd.config.model import GROUP_4, Address
from vrrpd.packet.checksum import internet_checksum, is_right, pseudo_header
from vrrpd.packet.datagram import PROTOCOL_VRRP
from vrrpd.packet.refusal import Reason, Refusal

TYPE_ADVERTISEMENT = 1
AUTH_NONE, AUTH_PASS, AUTH_AH = 0, 1, 2
HEADER_LENGTH = 8
AUTH_DATA_LENGTH = 8
MAX_CENTISECONDS = 0xFFF


class Coverage(Enum):
    """What, besides the message, the checksum covers."""

    PSEUDO_HEADER = "pseudo header"
    """Version 3: source and destination of the packet."""
    MESSAGE = "message"
    """Version 2, and version 3 over IPv4 as RFC 9568 has it."""
    OLD_UNICAST = "old unicast"
    """Version 3 unicast as keepalived 1.3.6 sent it: a pseudo header with the multicast group."""


@dataclass(frozen=True, slots=True)
class Advert:
    """One advertisement; `source` is who sent it, which decides between equal priorities."""

    virtual_router_id: int
    priority: int
    addresses: tuple[Address, ...]
    interval: float
    """Seconds."""
    source: Address
    version: int = 2
    auth_type: int = AUTH_NONE
    auth_data: bytes = bytes(AUTH_DATA_LENGTH)
    coverage: Coverage = Coverage.MESSAGE
    sequence: int | None = None
    """Number in the AH header around it."""
    reserved: int = 0
    """The four bits before a version 3 interval, kept so that encoding gives the same bytes."""


def message_length(version: int, count: int, family: int) -> int:
    """Length in bytes of an advert with `count` addresses."""
    return HEADER_LENGTH + count * (4 if family == 4 else 16) + (AUTH_DATA_LENGTH if version == 2 else 0)


def _covered(message: bytes, coverage: Coverage, source: Address, destination: Address) -> bytes:
    if coverage is Coverage.MESSAGE:
        return message
    if coverage is Coverage.OLD_UNICAST:
        destination = GROUP_4
    return pseudo_header(source, destination, PROTOCOL_VRRP, len(message)) + message


def checksum_is_right(message: bytes, coverage: Coverage, source: Address, destination: Address) -> bool:
    """Whether the checksum in `message` is that of its bytes under this reading."""
    return is_right(_covered(message, coverage, source, destination))


def encode(advert: Advert, destination: Address) -> bytes:
    """The advert's bytes above the IP header (and above AH), the checksum filled in."""
    first = bytes(
        (
            advert.version << 4 | TYPE_ADVERTISEMENT,
            advert.virtual_router_id,
            advert.priority,
            len(advert.addresses),
        )
    )
    if advert.version == 2:
        second = bytes((advert.auth_type, round(advert.interval)))
        tail = advert.auth_data
    else:
        second = (advert.reserved << 12 | round(advert.interval * 100)).to_bytes(2, "big")
        tail = b""
    addresses = b"".join(address.packed for address in advert.addresses)
    unsummed = first + second + b"\0\0" + addresses + tail
    checksum = internet_checksum(_covered(unsummed, advert.coverage, advert.source, destination))
    return first + second + checksum.to_bytes(2, "big") + addresses + tail


def decode(
    message: bytes, source: Address, destination: Address, coverages: Iterable[Coverage] | None = None
) -> Advert:
    """Read an advert; Refusal if it is none or its checksum is wrong.

    The first of `coverages` under which the checksum is right is noted in the result; None allows every one that
    the version has.
    """
    version, kind = check_shape(message, source.version)
    if kind != TYPE_ADVERTISEMENT:
        raise Refusal(Reason.TYPE, f"Invalid packet type. {kind} and expect {TYPE_ADVERTISEMENT}")
    check_length(message, version, source.version)
    for coverage in default_coverages(version, source.version) if coverages is None else coverages:
        if checksum_is_right(message, coverage, source, destination):
            return _read(message, version, source, coverage)
    raise Refusal(Reason.CHECKSUM, f"Invalid VRRPv{version} checksum")


def default_coverages(version: int, family: int) -> tuple[Coverage, ...]:
    """Every reading of the checksum that this version has over this family."""
    if version == 2:
        return (Coverage.MESSAGE,)
    if family == 6:
        return (Coverage.PSEUDO_HEADER,)
    return (Coverage.PSEUDO_HEADER, Coverage.MESSAGE, Coverage.OLD_UNICAST)


def check_shape(message: bytes, family: int) -> tuple[int, int]:
    """(version, packet type) of what has at least the fixed part of an advert; Refusal otherwise."""
    if len(message) < HEADER_LENGTH:
        raise Refusal(Reason.LENGTH, f"vrrp packet too short, length {len(message)} and expect {HEADER_LENGTH}")
    version = message[0] >> 4
    if version not in (2, 3) or (version == 2 and family == 6):
        raise Refusal(Reason.VERSION, f"wrong version. Received {version} and expect {3 if family == 6 else 2}")
    return version, message[0] & 15


def check_length(message: bytes, version: int, family: int) -> None:
    """Refusal unless the message is as long as its address count says."""
    expected = message_length(version, message[3], family)
    if len(message) != expected:
        word = "short" if len(message) < expected else "long"
        raise Refusal(Reason.LENGTH, f"vrrp packet too {word}, length {len(message)} and expect {expected}")


def _read(message: bytes, version: int, source: Address, coverage: Coverage) -> Advert:
    end = len(message) - (AUTH_DATA_LENGTH if version == 2 else 0)
    reserved = 0
    if version == 2:
        interval = float(message[5])
    else:
        (field,) = struct.unpack_from("!H", message, 4)
        reserved, interval = field >> 12, (field & MAX_CENTISECONDS) / 100
    return Advert(
        virtual_router_id=message[1],
        priority=message[2],
        addresses=read_addresses(message[HEADER_LENGTH:end], source.version),
        interval=interval,
        source=source,
        version=version,
        auth_type=message[4] if version == 2 else AUTH_NONE,
        auth_data=message[end:] if version == 2 else bytes(AUTH_DATA_LENGTH),
        coverage=coverage,
        reserved=reserved,
    )


def read_addresses(data: bytes, family: int) -> tuple[Address, ...]:
    """The addresses that stand back to back in `data`."""
    if family == 4:
        return tuple(IPv4Address(data[start : start + 4]) for start in range(0, len(data), 4))
    return tuple(IPv6Address(data[start : start + 16]) for start in range(0, len(data), 16))
