"""`vrrpd decode FILE.pcap`: every advert of a capture, and what an observer of the link would have said."""

from __future__ import annotations

import json
import re
import sys
import warnings
from pathlib import Path
from typing import Any

from vrrpd.dissect import Claim, Seen, dissect, key_bytes
from vrrpd.observer import Observer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.error import Scapy_Exception
    from scapy.utils import RawPcapNgReader, RawPcapReader

PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"


def line(seen: Seen) -> str:
    """One advert as a line of text."""
    extra = [f"password {seen.password!r}"] if seen.password else []
    extra += [f"sequence {seen.sequence}"] if seen.sequence is not None else []
    extra += [f"!! {fault}" for fault in seen.faults]
    return (
        f"{seen.source} > {seen.destination} v{seen.version} vrid {seen.vrid} prio {seen.priority} "
        f"every {seen.interval:g}s ttl {seen.ttl} auth {seen.authentication} "
        f"[{' '.join(map(str, seen.addresses))}]{' ' if extra else ''}{', '.join(extra)}"
    )


def run(file: Path, password: str | None, as_json: bool) -> int:
    """Print the capture; 1 when it is no capture, or holds nothing of VRRP."""
    observer, count, first, last = Observer(), 0, 0.0, 0.0
    key = key_bytes(password)
    said: set[str] = set()
    try:
        for last, frame in _frames(file):
            first = first or last
            heard = dissect(frame, last, key)
            if heard is None:
                continue
            count += 1
            before = observer.noted
            observer.take(heard)
            _print(heard, last - first, as_json)
            if not as_json:
                _say_events(observer, before)
                _say_new(observer, last, said)
    except BrokenPipeError:
        raise
    except (OSError, Scapy_Exception) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        print(f"vrrpd decode: {file}: {reason}", file=sys.stderr)
        return 1
    if not as_json:
        print(f"{count} packets of VRRP, ARP and NA in {last - first:.3f} s")
    return 0 if count else 1


def _say_events(observer: Observer, before: int) -> None:
    """What this packet changed: who is master, who left. Faults stand in the packet's own line."""
    for _, text in observer.events[len(observer.events) - (observer.noted - before) :]:
        if "advert from" not in text:
            print(f"            -- {text}")


def _say_new(observer: Observer, now: float, said: set[str]) -> None:
    """Say each anomaly once, where it begins; numbers in it count on in silence."""
    for anomaly in observer.anomalies(now):
        kind = re.sub(r"\d+ wrong", "wrong", anomaly)
        if kind not in said:
            print(f"            !! {anomaly}")
        said.add(kind)


def _frames(file: Path) -> list[tuple[float, bytes]]:
    """(time, frame) of each packet. OSError or Scapy_Exception when it is no capture."""
    with file.open("rb") as stream:
        kind: Any = RawPcapNgReader if stream.read(4) == PCAPNG_MAGIC else RawPcapReader
        stream.seek(0)
        reader = kind(stream)
        return [(_seconds(meta, getattr(reader, "nano", False)), frame) for frame, meta in reader]


def _seconds(meta: Any, nano: bool) -> float:
    """When a packet was captured; pcap has seconds and fraction, pcapng a counter with its resolution."""
    if hasattr(meta, "sec"):
        return float(meta.sec + meta.usec / (1e9 if nano else 1e6))
    return float(((meta.tshigh << 32) + meta.tslow) / meta.tsresol)


def _print(heard: Seen | Claim, offset: float, as_json: bool) -> None:
    if as_json:
        if isinstance(heard, Seen):
            print(json.dumps(heard.document()))
        return
    if isinstance(heard, Seen):
        text = line(heard)
    else:
        kind = "gratuitous ARP" if heard.address.version == 4 else "unsolicited NA"
        text = f"{kind}: {heard.address} is at {heard.mac}"
    print(f"{offset:10.6f}  {text}")
