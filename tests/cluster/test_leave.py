"""
Nodes that leave the swarm on purpose: the swarm knows at once and does not wait for missed heartbeats.
"""

import time

import pytest
from faultlib import FaultCluster, skip_unless_possible
from swarmlib import Refused, wait_for

skip_unless_possible()

HEARTBEATS_S = 15  # three of five seconds: how long silence is waited for


@pytest.fixture(name="swarm", scope="module")
def swarm_fixture():
    cluster = FaultCluster(2, 2)
    yield cluster
    cluster.down()


def node_of(swarm, name):
    return swarm.get("m1", f"/nodes/{swarm.node_id(name)}")


@pytest.mark.parametrize("name", ["w1", "m2"])
def test_tasks_of_a_node_that_leaves_are_replaced_at_once(swarm, name):
    service = swarm.service("m1", f"on-{name}", 6)
    swarm.wait_running("m1", service, 6)
    node = swarm.node_id(name)
    old = [t["ID"] for t in swarm.tasks("m1", service) if t["NodeID"] == node]
    assert old
    start = time.monotonic()
    swarm.ask(name, "POST", "/swarm/leave" + ("?force=1" if name[0] == "m" else ""))
    wait_for("the node is down", lambda: swarm.get("m1", f"/nodes/{node}")["Status"]["State"] == "down", 5)
    status = swarm.get("m1", f"/nodes/{node}")["Status"]
    assert status["Message"] == "the node has left the swarm"
    swarm.wait_running("m1", service, 6, 5)
    assert time.monotonic() - start < HEARTBEATS_S
    assert all(swarm.get("m1", f"/tasks/{t}")["Status"]["State"] == "orphaned" for t in old)
    assert all(t["NodeID"] != node for t in swarm.tasks("m1", service))
    swarm.ask("m1", "DELETE", f"/nodes/{node}")
    with pytest.raises(Refused):
        swarm.get("m1", f"/nodes/{node}")


def test_the_leader_leaves():
    """Its session ends on the way, as it hands its leadership over."""
    swarm = FaultCluster(2, 1)
    try:
        service = swarm.service("m1", "led", 4)
        swarm.wait_running("m1", service, 4)
        leader = swarm.leader()
        other = next(m for m in swarm.managers if m != leader)
        swarm.ask(leader, "POST", "/swarm/leave?force=1")
        assert swarm.get(leader, "/info")["Swarm"]["LocalNodeState"] == "inactive"
        swarm.managers.remove(leader)
        assert swarm.leader() == other
        swarm.wait_running(other, service, 4)
    finally:
        swarm.down()


def test_a_node_leaves_though_no_manager_answers(swarm):
    """It waits two seconds for the managers, and no longer."""
    swarm.tool("pause", "m1")
    try:
        swarm.ask("w2", "POST", "/swarm/leave")
        assert swarm.get("w2", "/info")["Swarm"]["LocalNodeState"] == "inactive"
    finally:
        swarm.tool("resume", "m1")
