"""When the daemon says that it is asked for too many adverts."""

from ipaddress import ip_address

from vrrpd.config.model import InstanceSettings
from vrrpd.core.instance import Instance, LinkState
from vrrpd.punctuality import Punctuality


def test_one_in_a_hundred_is_no_news_and_more_are():
    seen = Punctuality(at=0.0)
    assert seen.look(10_000, 100, 5.0) is None
    line = seen.look(20_000, 300, 6.0)
    assert line is not None and line.startswith("200 of 10000 adverts left more than a tenth of their interval late")
    assert "10,000 adverts a second are more than this machine keeps on time" in line
    assert seen.limit == 10_000


def test_only_a_lower_limit_is_news():
    seen = Punctuality(at=0.0)
    assert seen.look(10_000, 5_000, 1.0)
    assert seen.look(20_000, 10_000, 2.0) is None
    assert seen.look(26_000, 10_500, 3.0)
    assert seen.limit == 6_000


def test_few_adverts_and_counters_that_went_back_mean_nothing():
    seen = Punctuality(at=0.0)
    assert seen.look(50, 50, 1.0) is None
    assert seen.look(0, 0, 2.0) is None
    assert seen.look(1_000, 0, 2.0) is None, "no time has passed"
    assert seen.limit is None


def test_an_advert_counts_as_late_from_a_tenth_of_its_interval():
    instance = Instance(InstanceSettings("VI_1", 61, "eth0", version=3, advert_int=0.1))
    instance.start(0.0, LinkState(source=ip_address("10.0.0.1")))
    instance.timer_fired(instance.deadline)
    for late in (0.009, 0.011, 0.0, 0.02):
        instance.timer_fired(instance.deadline + late)
    assert instance.counters.adverts_late == 2
