"""`vrrpd decode` over what keepalived sent: captures with every way of speaking VRRP."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether
from scapy.layers.vrrp import VRRP
from scapy.utils import wrpcap

from vrrpd import decode
from vrrpd.dissect import Claim, Seen, dissect, key_bytes

AH_FRAME = bytes.fromhex(
    "01005e000012" "020000000001" "0800"
    "45c0004000010000ff332442ac100a65e0000012" "70040000ac100a6500000001" "4e65df3895a0c7bd4ea49a26"
    "213d6d010202b94bac100a630000000000000000"
)  # fmt: skip


def test_an_advert_behind_ah_is_read_and_its_icv_checked():
    seen = dissect(AH_FRAME, 1.0, key_bytes("viettq"))
    assert isinstance(seen, Seen)
    assert (seen.vrid, seen.priority, seen.interval, seen.authentication, seen.sequence) == (61, 109, 2.0, "ah", 1)
    assert [str(address) for address in seen.addresses] == ["172.16.10.99"]
    assert seen.faults == []
    assert dissect(AH_FRAME, 1.0, key_bytes("wrong")).faults == ["ICV differs from the key given"]
    changed = bytearray(AH_FRAME)
    changed[60] ^= 1
    assert "wrong checksum" in dissect(bytes(changed), 1.0, None).faults


def frame(**fields):
    ip = IP(src="10.0.0.1", dst="224.0.0.18", ttl=fields.pop("ttl", 255))
    return bytes(
        Ether(dst="01:00:5e:00:00:12", src="02:00:00:00:00:01") / ip / VRRP(vrid=7, addrlist=["10.0.0.9"], **fields)
    )


def test_faults_that_anyone_can_see_are_named():
    assert dissect(frame(), 0.0).faults == []
    assert dissect(frame(ttl=64), 0.0).faults == ["TTL 64, not 255"]
    assert dissect(frame(chksum=1), 0.0).faults == ["wrong checksum"]
    assert dissect(frame(type=3), 0.0).faults == ["packet type 3"]


def test_a_password_is_shown_and_compared():
    body = frame(authtype=1, auth1=int.from_bytes(b"viet", "big"), auth2=int.from_bytes(b"tq\0\0", "big"))
    assert dissect(body, 0.0).password == "viettq"
    assert dissect(body, 0.0, key_bytes("other")).faults == ["password differs from the key given"]
    assert dissect(body, 0.0, key_bytes("viettq")).faults == []


@given(st.binary(max_size=120), st.sampled_from([b"\x08\x00", b"\x86\xdd", b"\x08\x06"]))
def test_garbage_never_raises(data, ethertype):
    dissect(bytes(12) + ethertype + data, 0.0, bytes(8))


@given(st.integers(0, len(AH_FRAME) - 1), st.integers(0, 255))
def test_damaged_adverts_never_raise(place, value):
    damaged = bytearray(AH_FRAME)
    damaged[place] = value
    dissect(bytes(damaged), 0.0, key_bytes("viettq"))


def test_a_capture_is_printed_with_what_is_wrong(tmp_path, capsys):
    path = tmp_path / "two.pcap"
    packets = []
    for second in range(3):
        for source, priority in (("10.0.0.1", 100), ("10.0.0.2", 90)):
            packet = Ether(src="02:00:00:00:00:01") / IP(src=source, dst="224.0.0.18", ttl=255)
            packet /= VRRP(vrid=7, priority=priority, addrlist=["10.0.0.9"])
            packet.time = 1000.0 + second + (0.5 if priority == 90 else 0)
            packets.append(packet)
    wrpcap(str(path), packets)
    assert decode.run(path, None, as_json=False) == 0
    output = capsys.readouterr().out
    assert "10.0.0.1 > 224.0.0.18 v2 vrid 7 prio 100 every 1s ttl 255 auth none [10.0.0.9]" in output
    assert "!! vrid 7 (IPv4): two masters: 10.0.0.1 (100), 10.0.0.2 (90)" in output
    assert decode.run(path, None, as_json=True) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["priority"] for one in documents] == [100, 90] * 3


def test_what_is_no_capture_is_said(tmp_path, capsys):
    path = tmp_path / "x.pcap"
    path.write_text("no capture at all, but long enough to look at")
    assert decode.run(path, None, as_json=False) == 1
    assert "vrrpd decode:" in capsys.readouterr().err
    assert decode.run(tmp_path / "absent.pcap", None, as_json=False) == 1


CAPTURES = sorted((Path(__file__).parent / "captures").glob("*.pcap"))


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_nothing_that_keepalived_sent_is_called_wrong(path, capsys):
    key = "longpass" if "longpass" in path.stem else "viettq" if "ah" in path.stem or path.stem == "v2-pass" else None
    assert decode.run(path, key, as_json=True) == 0
    adverts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert adverts and all(one["faults"] == [] for one in adverts)


def test_gratuitous_arp_is_a_claim():
    arp = bytes.fromhex("ffffffffffff020000000001080600010800060400010200000000010a000009ffffffffffff0a000009")
    assert isinstance(dissect(arp, 0.0), Claim)
