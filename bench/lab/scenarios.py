"""The scenarios. Each says what happens in its sentence, what clients may expect in its bounds, and does it in steps.

They begin with everything running and the address on master1, and with traffic; before and after the steps there is a
quiet second.
"""

from __future__ import annotations

import asyncio

from bench.lab.lab import Lab
from bench.lab.net import LabError
from bench.lab.scenario import MOVED, SCENARIOS, Expect, Takes, scenario
from bench.lab.stations import Variation
from bench.lab.topology import MASTERS, WORKERS, Programs

CALM = 1.0
"""Seconds between two steps in which nothing is done."""


async def calm(seconds: float = CALM) -> None:
    """Let traffic flow."""
    await asyncio.sleep(seconds)


# The article's


@scenario(lambda t: Expect(gap=t.check + t.sink + t.slack), quick=True)
async def article(lab: Lab, t: Takes) -> None:
    """The balancer on master1 stops, the address goes to master2; it starts again, the address comes back."""
    lab.step("master1", "balancer stops")
    await lab.master1.balancer.stop()
    await lab.vip_on("master2", within=t.check + t.sink + t.slack)
    await calm()
    lab.step("master1", "balancer starts")
    await lab.master1.balancer.start()
    await lab.vip_on("master1", within=t.check + t.down + t.slack)


STAYS = 4.0
"""Seconds after which an address that has not come back is taken to stay."""


@scenario(
    lambda t: Expect(gap=(t.check + t.sink if t.abdicates else t.check + t.down + t.slack) + t.slack),
    variation=Variation(nopreempt=True),
)
async def article_nopreempt(lab: Lab, t: Takes) -> None:
    """The same with nopreempt: the address stays where it went. Without abdication it never goes: a backup that may
    not preempt leaves a master alone whose priority sank, so the outage lasts until the balancer is back."""
    lab.step("master1", "balancer stops")
    await lab.master1.balancer.stop()
    if t.abdicates:
        await lab.vip_on("master2", within=t.check + t.sink + t.slack)
        await calm()
    else:
        await calm(t.check + t.down)
        await stays(lab, "master1")
    lab.step("master1", "balancer starts")
    await lab.master1.balancer.start()
    healthy = lab.master1.routing.priority
    await lab.until(lambda: lab.master1.routing.priority >= healthy, t.check + t.slack, "the check to pass again")
    await calm(STAYS)
    await stays(lab, "master2" if t.abdicates else "master1")


async def stays(lab: Lab, *names: str) -> None:
    """The address is on these masters, nowhere else."""
    if lab.holders() != list(names):
        raise LabError(f"the VIP is on {', '.join(lab.holders()) or 'nobody'}, not on {', '.join(names)}")


# Masters that fail


@scenario(lambda t: Expect(gap=t.down + t.slack))
async def crash(lab: Lab, t: Takes) -> None:
    """All processes of master1 are killed at once; its kernel refuses connections until master2 takes over."""
    lab.step("master1", "all processes killed")
    lab.master1.crash()
    await lab.until(lambda: lab.master2.vip.here, t.down + t.slack, "master2 to take over")
    await calm()
    lab.step("master1", "starts again")
    await lab.master1.boot()
    await lab.vip_on("master1", within=t.down + t.check + t.slack)


@scenario(lambda t: Expect(gap=t.down + t.slack))
async def power_loss(lab: Lab, t: Takes) -> None:
    """Master1 is gone in a moment, cable, addresses and all; nobody answers in its place until master2 does."""
    lab.step("master1", "power off")
    lab.master1.power_off()
    await lab.vip_on("master2", within=t.down + t.slack)
    await calm()
    lab.step("master1", "power on")
    await lab.master1.boot()
    await lab.vip_on("master1", within=t.down + t.check + t.slack)


@scenario(lambda t: Expect(gap=t.down + t.slack))
async def cable(lab: Lab, t: Takes) -> None:
    """Master1's cable is pulled and put back."""
    lab.step("master1", "cable out")
    lab.master1.unplug()
    await lab.vip_on("master2", within=t.down + t.slack)
    await calm()
    lab.step("master1", "cable in")
    lab.master1.plug()
    await lab.vip_on("master1", within=t.down + t.check + t.slack)


@scenario(lambda t: Expect(gap=t.down + t.slack))
async def partition(lab: Lab, t: Takes) -> None:
    """Master1 is cut off and does not know it: two masters, of which clients reach one; then the network heals."""
    lab.step("network", "master1 cut off")
    lab.switch.split(["master1"])
    await lab.vip_on("master1", "master2", within=t.down + t.slack)
    await calm(2.0)
    lab.step("network", "healed")
    lab.switch.heal(["master1"])
    await lab.vip_on("master1", within=t.down + t.slack)


@scenario(lambda t: Expect(gap=t.skew + t.slack), quick=True)
async def router_stops(lab: Lab, t: Takes) -> None:
    """The router on master1 stops and says farewell; the next one has the address within its skew time."""
    lab.step("master1", "router stops")
    await lab.master1.stop_router()
    await lab.vip_on("master2", within=t.skew + t.slack)
    await calm()
    lab.step("master1", "router starts")
    await lab.master1.start_router()
    await lab.vip_on("master1", within=t.down + t.check + t.slack)


LOSS, LOSSY = 0.3, 20.0


@scenario(lambda t: Expect(gap=t.refresh + t.slack, failed=2 * t.refresh))
async def advert_loss(lab: Lab, t: Takes) -> None:
    """Of the adverts 30 % are lost on their way to each master for 20 s. A backup that loses three in a row takes over
    wrongly and gives way at the next one; clients that have followed it come back when the master, which may know
    nothing of it, announces the address again."""
    lab.step("network", f"loses {LOSS:.0%} of the adverts")
    for name in MASTERS:
        lab.switch.lose_adverts(name, LOSS)
    await calm(LOSSY)
    lab.step("network", "loses nothing any more")
    for name in MASTERS:
        lab.switch.lose_adverts(name, 0)
    await lab.vip_on("master1", within=t.down + t.slack)


# What does not run and does not end


@scenario(lambda t: Expect(gap=t.check + t.hang + t.sink + t.slack))
async def frozen_balancer(lab: Lab, t: Takes) -> None:
    """The balancer on master1 hangs. The check asks for an answer, so it is found out; then it goes on again."""
    lab.step("master1", "balancer hangs")
    lab.master1.balancer.freeze()
    await lab.vip_on("master2", within=t.check + t.hang + t.sink + t.slack)
    await calm()
    lab.step("master1", "balancer goes on")
    lab.master1.balancer.thaw()
    await lab.vip_on("master1", within=t.check + t.down + t.slack)


HANGS = 8.0


@scenario(lambda t: Expect(gap=HANGS + t.slack), variation=Variation(only_process=True))
async def frozen_balancer_process_check(lab: Lab, t: Takes) -> None:
    """The same with the article's kind of check, which finds the process and is content: the outage lasts as long as
    the balancer hangs, here 8 s, and the address never moves."""
    lab.step("master1", "balancer hangs")
    lab.master1.balancer.freeze()
    await calm(HANGS)
    await stays(lab, "master1")
    lab.step("master1", "balancer goes on")
    lab.master1.balancer.thaw()
    await calm()
    await stays(lab, "master1")


@scenario(lambda t: Expect(gap=t.slack, failed=0.5))
async def frozen_router(lab: Lab, t: Takes) -> None:
    """The router on master1 hangs until master2 takes over, then goes on: two masters for a moment, service all along,
    as the balancer on master1 works and so does that on master2."""
    lab.step("master1", "router hangs")
    lab.master1.router.freeze()
    await lab.until(lambda: lab.master2.vip.here, t.down + t.slack, "master2 to take over")
    await calm()
    lab.step("master1", "router goes on")
    lab.master1.router.thaw()
    await lab.vip_on("master1", within=t.down + t.check + t.slack)


# Workers

UNDER_WAY = 0.1
"""Seconds of traffic that may be on the way when a worker is killed, or a balancer changes its processes."""


@scenario(
    lambda t: Expect(gap=t.slack, kinds=frozenset({"http-502"}), failed=UNDER_WAY, loses_stickiness=True), quick=True
)
async def worker_dies(lab: Lab, t: Takes) -> None:
    """Nginx on worker1 is killed and comes back. Who is sent there waits for the retries and gets an answer of another
    worker; only the requests that it had when it died are lost."""
    lab.step("worker1", "killed")
    lab.worker1.server.kill()
    await lab.until(
        lambda: lab.servers_are({"worker2", "worker3"}), t.fall + t.check + t.slack, "worker1 to be seen down"
    )
    await calm()
    lab.step("worker1", "starts again")
    await lab.worker1.server.start()
    await lab.until(lambda: lab.servers_are(set(WORKERS)), t.rise + t.check + t.slack, "worker1 to be seen up")


DELAY = 0.5


@scenario(lambda t: Expect(gap=t.slack, kinds=frozenset(), failed=0.0))
async def slow_worker(lab: Lab, t: Takes) -> None:
    """Worker1 answers half a second late for a while. A third of the clients waits for it, nobody fails."""
    lab.step("worker1", f"answers {DELAY:g} s late")
    await lab.worker1.slow(DELAY)
    await calm(5.0)
    lab.step("worker1", "is as fast as before")
    await lab.worker1.slow(0)
    await calm()


@scenario(
    lambda t: Expect(
        gap=t.fall + t.rise + 2 * t.check + CALM + t.slack,
        kinds=frozenset({"http-502", "http-503", "timeout"}),
        loses_stickiness=True,
    )
)
async def all_workers_down(lab: Lab, t: Takes) -> None:
    """All three workers are killed: 503 for everybody; they come back, and service with them."""
    lab.step("workers", "all killed")
    for worker in lab.workers.values():
        worker.server.kill()
    await lab.until(lambda: lab.servers_are(set()), t.fall + t.check + t.slack, "the workers to be seen down")
    await calm()
    lab.step("workers", "start again")
    await asyncio.gather(*(worker.server.start() for worker in lab.workers.values()))
    await lab.until(lambda: lab.servers_are(set(WORKERS)), t.rise + t.check + t.slack, "the workers to be seen up")


# Operations


@scenario(lambda t: Expect(gap=t.slack, failed=UNDER_WAY), quick=True)
async def rolling_reload(lab: Lab, t: Takes) -> None:
    """Balancer and router of every master reload their files, one master after the other, master1 last."""
    for name in reversed(MASTERS):
        lab.step(name, "reloads")
        await lab.masters[name].balancer.reload()
        await lab.masters[name].router.reload()
        await calm()
    await lab.vip_on("master1", within=t.check + t.down + t.slack)


@scenario(lambda t: Expect(gap=t.slack, failed=UNDER_WAY))
async def certificate_change(lab: Lab, t: Takes) -> None:
    """A new certificate is put in place and the balancers reload, master1 last; then it is what clients are shown."""
    lab.new_certificate()
    for name in reversed(MASTERS):
        lab.step(name, "takes the new certificate")
        await lab.masters[name].balancer.reload()
    await lab.until(lambda: lab.shown() == {lab.fingerprint()}, 5.0, "clients to be shown the new certificate")


@scenario(
    lambda t: Expect(gap=t.skew + t.slack, failed=2 * t.skew + t.slack),
    variation=Variation(begins_with=Programs("haproxy", "keepalived")),
)
async def rolling_upgrade(lab: Lab, t: Takes) -> None:
    """HAProxy and keepalived are exchanged for what the stack has, master after master, the router first to go and
    last to come."""
    for name in reversed(MASTERS):
        master = lab.masters[name]
        lab.step(name, f"{master.chosen} → {t.stack[name]}")
        await master.stop_router()
        await master.balancer.stop()
        master.chosen = t.stack[name]
        await master.balancer.start(master.balancer_kind())
        await lab.until(lambda: master.servers.up() >= set(WORKERS), t.rise + t.slack, "its servers to be up")  # noqa: B023
        await master.start_router()
        await lab.until(lambda: lab.healthy(master), t.down + t.check + t.slack, f"{name} to be well")  # noqa: B023
    await lab.vip_on("master1", within=t.down + t.check + t.slack)


__all__ = ["MOVED", "SCENARIOS"]
