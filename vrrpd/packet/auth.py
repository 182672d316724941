"""Authentication of VRRPv2 as keepalived has it: a clear text password, and IPsec AH with HMAC-MD5-96.

AH (RFC 2402, HMAC-MD5-96 of RFC 2403) stands between the IP header and the advert:

     0                   1                   2                   3
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  Next: 112    |  Length: 4    |          Reserved: 0          |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |            SPI: the four bytes of the source address          |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                        Sequence number                        |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |           Integrity check value (ICV), 12 bytes               |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

The ICV is taken over the whole packet with the fields zeroed that may change on the way.  RFC 2402 section 3.3.3.1
names the TTL among them; keepalived zeroes it for unicast only, as 255 is required of multicast anyway, and a node
that follows the RFC here would not be understood.  The sequence number is one counter per virtual router for sending
and receiving (see core/sequence.py).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from vrrpd.packet.datagram import PROTOCOL_VRRP, Datagram
from vrrpd.packet.refusal import Reason, Refusal

AH_LENGTH = 24
ICV_LENGTH = 12
ICV_START = 12
MAX_SEQUENCE = 0xFFFFFFFF
_AH_START = bytes((PROTOCOL_VRRP, 4, 0, 0))


@dataclass(frozen=True, slots=True)
class AuthenticationHeader:
    """The fields of AH, and the advert behind it."""

    spi: bytes
    sequence: int
    icv: bytes
    message: bytes


def ah_header(source: bytes, sequence: int, icv: bytes = bytes(ICV_LENGTH)) -> bytes:
    """The 24 bytes of AH; `source` is the packed source address, which is the SPI too."""
    return _AH_START + source + sequence.to_bytes(4, "big") + icv


def icv_input(header: bytes, ah_and_message: bytes, multicast: bool) -> bytes:
    """The bytes that the ICV is taken over.

    `header` is the IPv4 header without options, as sent, `ah_and_message` what follows it.
    """
    ttl = header[8:9] if multicast else b"\0"
    return b"".join(
        (
            header[:1],
            b"\0",  # type of service
            header[2:6],
            b"\0\0",  # flags and fragment offset
            ttl,
            header[9:10],
            b"\0\0",  # header checksum
            header[12:],
            ah_and_message[:ICV_START],
            bytes(ICV_LENGTH),
            ah_and_message[AH_LENGTH:],
        )
    )


def icv(key: bytes, header: bytes, ah_and_message: bytes, multicast: bool) -> bytes:
    """The first 12 bytes of HMAC-MD5 over the packet."""
    return hmac.digest(key, icv_input(header, ah_and_message, multicast), "md5")[:ICV_LENGTH]


def read_ah(datagram: Datagram) -> AuthenticationHeader:
    """Split the payload of an AH packet; Refusal(LENGTH) if there is no room or the header is of another kind."""
    payload = datagram.payload
    if len(payload) < AH_LENGTH + 8:
        raise Refusal(Reason.LENGTH, f"vrrp packet too short, length {len(payload)} and expect {AH_LENGTH + 8}")
    if payload[:4] != _AH_START:
        raise Refusal(Reason.LENGTH, "IPSEC-AH : header is not one of VRRP")
    return AuthenticationHeader(
        spi=payload[4:8],
        sequence=int.from_bytes(payload[8:12], "big"),
        icv=payload[12:24],
        message=payload[AH_LENGTH:],
    )


def check_ah(datagram: Datagram, header: AuthenticationHeader, key: bytes) -> None:
    """Refusal unless the packet was made with `key` by its source address; says nothing of replays."""
    expected = icv(key, datagram.header, datagram.payload, datagram.multicast)
    if not hmac.compare_digest(expected, header.icv):
        raise Refusal(
            Reason.AH_ICV,
            "IPSEC-AH : invalid IPSEC HMAC-MD5 value. Due to fields mutation or bad password !",
        )
    source = datagram.source.packed
    if header.spi != source:
        # keepalived prints both as the host reads the four bytes.
        received, expect = int.from_bytes(header.spi, "little"), int.from_bytes(source, "little")
        raise Refusal(
            Reason.AH_SPI, f"IPSEC AH : invalid IPSEC SPI value. {received} and expect {expect}", authentic=True
        )


def check_password(auth_data: bytes, key: bytes) -> None:
    """Refusal unless the eight clear text bytes are ours."""
    if not hmac.compare_digest(auth_data, key):
        raise Refusal(Reason.AUTH_PASSWORD, "received an invalid passwd!")
