"""What `watch` and `decode` make of adverts: who is master, and what is wrong."""

from ipaddress import ip_address

from vrrpd.dissect import Claim, Seen
from vrrpd.observer import Observer


def advert(at, source, priority=100, **fields):
    values = {
        "time": at,
        "mac": "02:00:00:00:00:01",
        "source": ip_address(source),
        "destination": ip_address("224.0.0.18"),
        "ttl": 255,
        "version": 2,
        "vrid": 61,
        "priority": priority,
        "interval": 1.0,
        "authentication": "none",
        "addresses": (ip_address("10.0.0.99"),),
    }
    return Seen(**(values | fields))


def test_a_handover_is_no_anomaly():
    observer = Observer()
    for at in range(4):
        observer.take(advert(float(at), "10.0.0.1", 100))
    observer.take(advert(3.5, "10.0.0.1", 0))
    for at in (4.1, 5.1):
        observer.take(advert(at, "10.0.0.2", 90))
        assert observer.anomalies(at) == []
    assert [text for _, text in observer.events] == [
        "vrid 61: 10.0.0.1 is master, priority 100",
        "vrid 61: 10.0.0.1 says farewell",
        "vrid 61: 10.0.0.2 is master, priority 90",
    ]
    assert observer.routers[4, 61].changes == 1


def test_two_masters_are_named_and_forgotten_when_one_falls_silent():
    observer = Observer()
    for at in range(4):
        observer.take(advert(float(at), "10.0.0.1", 100))
        observer.take(advert(at + 0.5, "10.0.0.2", 90))
    assert observer.anomalies(3.6) == ["vrid 61 (IPv4): two masters: 10.0.0.1 (100), 10.0.0.2 (90)"]
    for at in range(4, 9):
        observer.take(advert(float(at), "10.0.0.1", 100))
    assert observer.anomalies(8.0) == []


def test_differing_configurations_are_named():
    observer = Observer()
    observer.take(advert(0.0, "10.0.0.1"))
    other = {"addresses": (ip_address("10.0.0.98"),), "interval": 2.0, "authentication": "ah"}
    observer.take(advert(0.1, "10.0.0.2", 90, **other))
    found = " | ".join(observer.anomalies(0.2))
    assert "addresses differ: 10.0.0.1: 10.0.0.99; 10.0.0.2: 10.0.0.98" in found
    assert "advert intervals differ: 10.0.0.1: 1 s; 10.0.0.2: 2 s" in found
    assert "authentication differ: 10.0.0.1: none; 10.0.0.2: ah" in found


def test_wrong_adverts_make_no_master_and_are_counted():
    observer = Observer()
    for at in range(5):
        observer.take(advert(at / 10, "10.0.0.6", 255, faults=["wrong checksum"]))
    assert observer.routers[4, 61].masters(0.5) == []
    assert observer.anomalies(0.5) == ["vrid 61 (IPv4): 5 wrong adverts from 10.0.0.6"]
    assert len(observer.events) == 1


def test_irregular_intervals_and_announcements_are_counted():
    observer = Observer()
    for at in (0.0, 1.0, 1.2, 2.9):
        observer.take(advert(at, "10.0.0.1"))
    observer.take(Claim(3.0, "02:00:00:00:00:01", ip_address("10.0.0.99")))
    observer.take(Claim(3.0, "02:00:00:00:00:01", ip_address("10.0.0.5")))
    router = observer.routers[4, 61]
    assert router.speakers[ip_address("10.0.0.1")].irregular == 2
    assert router.claims == 1


def test_a_clear_text_password_is_said():
    observer = Observer()
    observer.take(advert(0.0, "10.0.0.1", authentication="pass"))
    assert observer.anomalies(0.1) == ["vrid 61 (IPv4): the password travels in clear text"]


def test_a_higher_node_that_takes_over_is_no_second_master():
    observer = Observer()
    for at in range(4):
        observer.take(advert(float(at), "10.0.0.1", 100))
    for at in (3.6, 4.6, 5.6):
        observer.take(advert(at, "10.0.0.2", 110))
        assert observer.anomalies(at) == []
    assert observer.events[-1] == (3.6, "vrid 61: 10.0.0.2 is master, priority 110")
