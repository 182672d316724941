"""Sends forged VRRPv3 adverts (wrong checksum, priority 0 and 255) at a rate: flooder.py RATE SECONDS."""

import socket
import struct
import sys
import time

BURST = 50


def main() -> None:
    """Send in bursts, print how many went out a second."""
    rate, seconds = int(sys.argv[1]), float(sys.argv[2])
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    index = socket.if_nametoindex("ens37")
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), bytes(4), index))
    packets = [forged(number) for number in range(64)]
    start = time.monotonic()
    sent = 0
    while (now := time.monotonic() - start) < seconds:
        while sent < now * rate:
            for _ in range(BURST):
                sock.sendto(packets[sent & 63], ("224.0.0.18", 0))
                sent += 1
        time.sleep(0.0002)
    print(f"{sent / (time.monotonic() - start):.0f}")


def forged(number: int, vrid: int = 1) -> bytes:
    """An advert that anyone may send: known VRID, wrong checksum."""
    priority = 255 if number % 2 else 0
    message = struct.pack(">BBBBHH4B", 0x31, vrid, priority, 1, 10, 0xBA00 + number, 10, 99, 1, 1)
    header = struct.pack(">BBHHHBBH", 0x45, 0xC0, 32, number + 1, 0, 255, 112, 0)
    return header + socket.inet_aton("172.16.10.50") + socket.inet_aton("224.0.0.18") + message


if __name__ == "__main__":
    main()
