"""
What befalls a worker: a shim is killed, its daemon is restarted while no manager is there, it is stopped for
longer than its node is believed alive and comes back. Tasks fail and are replaced, or run on; nothing of
them is left over, and at no moment are two tasks of one slot wanted.
"""

import os
import signal
from pathlib import Path

import pytest
from faultlib import FaultCluster, parent, skip_unless_possible, start_time
from swarmlib import wait_for

skip_unless_possible()

ON_W1 = {"Placement": {"Constraints": ["node.hostname==w1"]}}
LOST = "session with the managers was lost"


@pytest.fixture(scope="module", name="swarm")
def swarm_fixture():
    cluster = FaultCluster(1, 2)
    yield cluster
    cluster.down()


@pytest.fixture(autouse=True)
def clean(swarm):
    """Each test begins with all daemons running and no services."""
    yield
    for node in swarm.nodes:
        if not swarm.daemon(node):
            swarm.tool("start", node)
        swarm.tool("resume", node, check=False)
    swarm.leader()
    for service in swarm.get("m1", "/services"):
        swarm.ask("m1", "DELETE", f"/services/{service['ID']}")
    wait_for("no tasks", lambda: not swarm.get("m1", "/tasks"), 30)
    for node in swarm.nodes:
        wait_for("a ready node", lambda node=node: swarm.node_state("m1", node) == "ready")


def test_a_shorter_heartbeat_takes_no_node_down(swarm):
    """Runs first: nodes beat each 5 s until then, and would be down after 3."""
    service = swarm.service("m1", "steady", 4)
    swarm.wait_running("m1", service, 4)
    before = swarm.running("m1", service)
    swarm.fast_heartbeats("m1")
    swarm.wait_unchanged(
        "all nodes are ready and the tasks run",
        lambda: all(swarm.node_state("m1", n) == "ready" for n in swarm.nodes)
        and swarm.running("m1", service) == before,
        7,
    )
    assert LOST not in swarm.log("w1")


def descendants(pid):
    """A process and all below it: id -> start time."""
    found = {pid: start_time(pid)}
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in file.read_text().split():
            found |= descendants(int(child))
    return found


def test_a_container_whose_shim_is_killed_is_lost_and_replaced(swarm):
    command = ["sh", "-c", "sleep 100001 & sleep 100002 & wait"]
    service = swarm.service("m1", "shimless", 2, command, **ON_W1)
    tasks = swarm.wait_running("m1", service, 2)
    pid = tasks[0]["Status"]["ContainerStatus"]["PID"]
    wait_for("the program's children", lambda: len(descendants(pid)) == 3)
    inside = descendants(pid)
    shim = parent(pid)
    assert "shoal-shim" in Path(f"/proc/{shim}/cmdline").read_text()
    os.kill(shim, signal.SIGKILL)
    ended = wait_for(
        "the task has failed",
        lambda: (lambda t: t if t["Status"]["State"] == "failed" else None)(
            swarm.get("m1", f"/tasks/{tasks[0]['ID']}")
        ),
    )
    assert "shim lost" in ended["Status"]["Err"]
    assert [p for p, start in inside.items() if start_time(p) == start] == []
    left = swarm.wait_running("m1", service, 2)
    assert tasks[1]["ID"] in {t["ID"] for t in left}
    swarm.assert_none_doubled("m1", service, 2)


def test_a_shim_killed_while_the_daemon_is_down_is_noticed_at_its_start(swarm):
    """The worker starts the task's container again by itself, as it has no session yet, or a new task comes."""
    service = swarm.service("m1", "both", 1, **ON_W1)
    pid = swarm.wait_running("m1", service, 1)[0]["Status"]["ContainerStatus"]["PID"]
    began = start_time(pid)
    first = swarm.held("w1", service)
    swarm.kill_now("w1")
    swarm.wait_ended("w1")
    os.kill(parent(pid), signal.SIGKILL)
    swarm.tool("start", "w1")

    def replaced():
        now = swarm.held("w1", service)
        told = list(swarm.running("m1", service).values())
        return now and now != first and len(told) == 1 and told[0][1] and told[0] != (pid, began)

    wait_for("another container, and the manager knows its process", replaced)
    assert start_time(pid) != began
    swarm.assert_none_doubled("m1", service, 1)


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_a_worker_restarted_without_managers_keeps_its_tasks(swarm, how):
    service = swarm.service("m1", f"orphans-{how}", 3, **ON_W1)
    swarm.wait_running("m1", service, 3)
    before = swarm.running("m1", service)
    if how == "killed":
        swarm.kill_now("m1")
        swarm.wait_ended("m1")
    else:
        swarm.tool("pause", "m1")
    swarm.kill_now("w1")
    swarm.wait_ended("w1")
    swarm.tool("start", "w1")
    held = wait_for(
        "three containers", lambda: (lambda h: h if len(h) == 3 else None)(swarm.held("w1", service))
    )
    assert set(held.values()) == set(before)
    assert all(start_time(pid) == start for pid, start in before.values())

    victim, (pid, _) = sorted(before.items())[0]
    os.kill(pid, signal.SIGKILL)
    wait_for(
        "the worker starts it again by itself",
        lambda: (lambda now: len(now) == 3 and now.keys() != held.keys())(swarm.held("w1", service)),
    )
    others = {k: v for k, v in before.items() if k != victim}
    assert all(start_time(pid) == start for pid, start in others.values())

    swarm.tool("start" if how == "killed" else "resume", "m1")
    swarm.leader()

    def reported():
        now = swarm.running("m1", service)
        return len(now) == 3 and others.items() <= now.items() and all(s for _, s in now.values())

    wait_for("the manager knows the new process too", reported)
    swarm.assert_none_doubled("m1", service, 3)


def test_a_stopped_worker_that_comes_back_stops_what_has_moved(swarm):
    service = swarm.service(
        "m1", "moves", 4, Placement={"Constraints": ["node.hostname!=m1"], "MaxReplicas": 4}
    )
    swarm.wait_running("m1", service, 4)
    mine = set(swarm.held("w1", service).values())
    assert len(mine) == 2
    slots = {t["Slot"]: t["ID"] for t in swarm.tasks("m1", service)}
    swarm.tool("pause", "w1")

    def once_a_slot():
        wanted = [t["Slot"] for t in swarm.wanted("m1", service)]
        assert len(wanted) == len(set(wanted)), f"two tasks of a slot are wanted: {wanted}"

    w1 = swarm.node_id("w1")

    def moved():
        once_a_slot()
        tasks = swarm.tasks("m1", service)
        return len(tasks) == 4 and all(t["NodeID"] != w1 for t in tasks)

    wait_for("all four run elsewhere", moved, 30)
    swarm.tool("resume", "w1")

    def stopped():
        once_a_slot()
        return not swarm.held("w1", service)

    wait_for("w1 stops what it must no longer run", stopped)
    wait_for("w1 is ready", lambda: swarm.node_state("m1", "w1") == "ready")
    once_a_slot()
    swarm.assert_none_doubled("m1", service, 4)
    kept = {t["ID"] for t in swarm.tasks("m1", service)}
    assert kept & set(slots.values()) == set(slots.values()) - mine, "the others were left alone"
