"""
Three managers whose leader is killed thirty times in a row, each time as soon as the one before is a
voter again: another manager takes a write in under two seconds, and no container notices.
"""

import http.client
import time

import pytest
from faultlib import FaultCluster, skip_unless_possible
from swarmlib import Refused, wait_for

skip_unless_possible()

KILLS = 30
BOUND_S = 2.0
REPLICAS = 6


@pytest.fixture(scope="module", name="swarm")
def swarm_fixture():
    cluster = FaultCluster(3, 0)
    yield cluster
    cluster.down()


def seconds_to_write(swarm, node, name):
    """From now until `node` has accepted a write; each attempt has a name of its own."""
    begin = time.monotonic()
    attempts = 0

    def accepted():
        nonlocal attempts
        attempts += 1
        return swarm.service(node, f"{name}-{attempts}", 0)

    wait_for(f"{node} accepts a write", accepted, 30, every=0.01)
    return time.monotonic() - begin


def all_vote(swarm):
    """Every manager has contact with a leader, and the leader with every manager."""
    for node in swarm.managers:
        try:
            managers = [n["ManagerStatus"] for n in swarm.get(node, "/nodes") if "ManagerStatus" in n]
        except (OSError, http.client.HTTPException, Refused):
            return False
        if sum(m.get("Leader", False) for m in managers) != 1:
            return False
        if [m["Reachability"] for m in managers] != ["reachable"] * len(swarm.managers):
            return False
    return True


def test_thirty_leaders_in_a_row_are_killed(swarm):
    service = swarm.service("m1", "steady", REPLICAS)
    swarm.wait_running("m1", service, REPLICAS)
    before = swarm.running("m1", service)
    assert all(start for _, start in before.values())
    times = []
    for i in range(KILLS):
        leader = swarm.leader()
        other = [m for m in swarm.managers if m != leader][i % 2]
        swarm.kill_now(leader)
        times.append(seconds_to_write(swarm, other, f"round{i}"))
        swarm.wait_ended(leader)
        swarm.tool("start", leader)
        wait_for("all three managers vote", lambda: all_vote(swarm), 30)
    times.sort()
    print(f"kill to write: median {times[KILLS // 2]:.3f} s, longest {times[-1]:.3f} s")
    # Of thirty, the 99th of a hundred is the longest.
    assert times[-1] < BOUND_S, times

    names = {s["Spec"]["Name"].split("-")[0] for s in swarm.get("m1", "/services")}
    assert names == {"steady"} | {f"round{i}" for i in range(KILLS)}
    for node in swarm.managers:
        wait_for(
            f"{node} shows the tasks as they were",
            lambda node=node: swarm.running(node, service) == before,
        )
    assert {t["ID"] for t in swarm.tasks("m1", service, False)} == set(before)
    swarm.assert_none_doubled("m1", service, REPLICAS)
