"""
A worker whose wall clock jumps by hours, forwards and back, while everybody else's goes on: its node stays
ready, its tasks run on, what happens to them is still told, and restart policies take their time by the
clock that does not jump.
"""

import os
import signal
import time

import pytest
from faultlib import FaultCluster, preload, skip_unless_possible
from swarmlib import wait_for

skip_unless_possible()

HOUR_S = 3600
ON_W1 = {"Placement": {"Constraints": ["node.hostname==w1"]}}


@pytest.fixture(scope="module", name="swarm")
def swarm_fixture():
    cluster = FaultCluster(1, 1, formed=True)
    try:
        offset = cluster.base / "offset"
        offset.write_text("0\n")
        library = preload(cluster.preloads, "clock_shim.c")
        cluster.environment("w1", LD_PRELOAD=library, CLOCK_OFFSET=offset)
        cluster.kill_now("w1")
        cluster.wait_ended("w1")
        cluster.tool("start", "w1")
        cluster.fast_heartbeats("m1")
        wait_for("w1 is ready", lambda: cluster.node_state("m1", "w1") == "ready")
        yield cluster
    finally:
        cluster.down()


def clock_of(swarm):
    """What the daemon of w1 takes for the time, in seconds."""
    text = swarm.get("w1", "/info")["SystemTime"]
    return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone


def jump(swarm, hours):
    file = swarm.base / "offset.new"
    file.write_text(f"{hours * HOUR_S}\n")
    file.rename(swarm.base / "offset")
    wrong = abs(clock_of(swarm) - time.time() - hours * HOUR_S)
    assert wrong < 5, f"the clock did not jump: {wrong} s off"


@pytest.mark.parametrize("hours", [7, -7, 200, 0])
def test_a_worker_whose_clock_jumps_stays_ready_and_tells_what_happens(swarm, hours):
    service = swarm.service("m1", f"at{hours}", 3, **ON_W1)
    swarm.wait_running("m1", service, 3)
    before = swarm.running("m1", service)
    jump(swarm, hours)
    # Longer than it takes to be declared down: 3 heartbeats of 1 s.
    swarm.wait_unchanged(
        "w1 is ready and its tasks run",
        lambda: swarm.node_state("m1", "w1") == "ready"
        and swarm.running("m1", service) == before,
        5,
    )
    victim, (pid, _) = sorted(before.items())[0]
    os.kill(pid, signal.SIGKILL)
    wait_for(
        "the failure is told",
        lambda: swarm.get("m1", f"/tasks/{victim}")["Status"]["State"] == "failed",
    )
    swarm.wait_running("m1", service, 3)
    left = swarm.running("m1", service)
    assert {k: v for k, v in before.items() if k != victim}.items() <= left.items()
    swarm.scale("m1", service, 1)
    wait_for("w1 stops two", lambda: len(swarm.held("w1", service)) == 1)
    swarm.wait_running("m1", service, 1)
    swarm.assert_none_doubled("m1", service, 1)
    swarm.ask("m1", "DELETE", f"/services/{service}")
    wait_for("w1 stops the last", lambda: not swarm.held("w1", service))


def test_a_restart_without_managers_does_not_wait_for_a_clock_that_went_back(swarm):
    policy = {"Condition": "any", "Delay": 1000000000}
    service = swarm.service("m1", "alone", 1, RestartPolicy=policy, **ON_W1)
    task = swarm.wait_running("m1", service, 1)[0]
    swarm.kill_now("m1")
    wait_for("w1 is alone", lambda: "session with the managers was lost" in swarm.log("w1"))
    first = swarm.held("w1", service)
    os.kill(task["Status"]["ContainerStatus"]["PID"], signal.SIGKILL)
    jump(swarm, -7)
    wait_for(
        "the worker starts it again by itself",
        lambda: (lambda now: now and now != first)(swarm.held("w1", service)),
        15,
    )
    swarm.tool("start", "m1")
    swarm.wait_running("m1", service, 1)
    wait_for("one container", lambda: len(swarm.held("w1", service)) == 1)
    swarm.assert_none_doubled("m1", service, 1)


def test_an_old_certificate_is_renewed(swarm):
    """At four fifths of its life at the latest: 72 of 90 days."""
    identity = swarm.dir / "w1/data/swarm/identity.pem"
    before = identity.read_text()
    jump(swarm, 74 * 24)
    swarm.kill_now("w1")
    swarm.wait_ended("w1")
    swarm.tool("start", "w1")
    wait_for("another certificate", lambda: identity.read_text() != before)
    key = before[before.index("-----BEGIN PRIVATE KEY") :]
    assert key not in identity.read_text(), "the key is the old one"
    swarm.kill_now("w1")
    swarm.wait_ended("w1")
    swarm.tool("start", "w1")  # with the new one
    wait_for("w1 is ready", lambda: swarm.node_state("m1", "w1") == "ready")
    service = swarm.service("m1", "renewed", 1, **ON_W1)
    swarm.wait_running("m1", service, 1)
    jump(swarm, 0)
