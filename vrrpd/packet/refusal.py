"""Why a packet was not taken: one exception with one reason, counted by reason, never anything else.

The order of the members is the order of the tests in keepalived, so that both name the same fault of a packet that
has several (RFC 3768 section 7.1, RFC 9568 section 7.1).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vrrpd.packet.advert import Advert


class Reason(Enum):
    """The value is the word in metrics and status."""

    LENGTH = "length"
    """Shorter or longer than its own fields say, or no IP packet at all."""
    TTL = "ttl"
    """Not 255 for multicast, or outside a peer's range."""
    VERSION = "version"
    """Not the instance's VRRP version."""
    AUTH_TYPE = "auth_type"
    """Not the instance's authentication type."""
    AUTH_TYPE_UNKNOWN = "auth_type_unknown"
    """A type that no version of the protocol has."""
    AUTH_PASSWORD = "auth_password"
    """Simple password differs."""
    AH_ICV = "ah_icv"
    """Integrity check value differs: changed on the way, or another password."""
    AH_SPI = "ah_spi"
    """SPI is not the source address."""
    AH_SEQUENCE = "ah_sequence"
    """Number not above the last one: a replay, or a peer that was restarted."""
    INTERVAL = "interval"
    """Version 2: advert_int differs. Version 3: an interval of 0."""
    TYPE = "type"
    """Packet type is not 1 (advertisement)."""
    ADDRESS_COUNT = "address_count"
    """Not as many addresses as configured."""
    CHECKSUM = "checksum"
    """Wrong checksum."""
    DELIVERY = "delivery"
    """Multicast to a unicast instance or the other way round."""
    ADDRESS_LIST = "address_list"
    """As many addresses, but others."""
    SOURCE = "source"
    """Unicast from a host that is no peer."""
    OWN = "own"
    """Our own packet came back."""
    VRID = "vrid"
    """Of a virtual router that is not configured here."""


class Refusal(Exception):
    """The packet is not for us or not right.

    `reason` is counted; `text` is the log line, in keepalived's words, without the instance's name.
    """

    __slots__ = ("advert", "authentic", "reason", "sequence", "text")

    def __init__(self, reason: Reason, text: str, authentic: bool = False) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
        self.authentic = authentic
        """AH proved the sender before the fault was found."""
        self.sequence: int | None = None
        """The fresh AH number of an authentic packet, which counts although the packet does not."""
        self.advert: Advert | None = None
        """What an authentic packet said whose only fault is its AH number."""
