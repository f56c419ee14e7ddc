"""
Logs of services from all nodes of a swarm: merged at any manager, without a node that is down, and
followed while the leader and workers die and come back, with nothing lost and nothing doubled.
"""

import collections
import os
import subprocess
import threading
import time

import pytest
from swarmlib import BIN, Cluster, wait_for

if os.geteuid() != 0:
    pytest.skip("needs root: it makes namespaces", allow_module_level=True)
if not (BIN / "shoald").exists():
    pytest.skip(f"{BIN}/shoald is not built", allow_module_level=True)


@pytest.fixture(scope="module")
def swarm():
    cluster = Cluster(3, 2)
    yield cluster
    cluster.down()


@pytest.fixture(autouse=True)
def clean(swarm):
    yield
    swarm.tool("start", *swarm.nodes, check=False)
    leader = swarm.leader()
    for service in swarm.get(leader, "/services"):
        swarm.ask(leader, "DELETE", f"/services/{service['ID']}")
    wait_for("no tasks", lambda: not swarm.get(leader, "/tasks"), 60)
    wait_for("all nodes ready", lambda: all(
        n["Status"]["State"] == "ready" for n in swarm.get(leader, "/nodes")), 60)


def logs(swarm, node, *args):
    return subprocess.run(["docker", "-H", f"unix://{swarm.socket(node)}", "service", "logs",
                           "--raw", *args], capture_output=True, text=True, timeout=60, check=False)


def program(swarm, script):
    return ["sh", "-c", f"trap 'exit 0' TERM; {script}; while :; do sleep 1; done"]


def test_merged_at_every_manager(swarm):
    service = swarm.service("m1", "all", 10, program(swarm, "for i in 1 2 3; do echo $HOSTNAME $i; done"))
    swarm.wait_running("m1", service, 10)
    for manager in swarm.managers:
        r = wait_for("all lines", lambda m=manager: (x := logs(swarm, m, service)) and len(
            x.stdout.splitlines()) == 30 and x)
        assert r.returncode == 0 and r.stderr == ""
        by_task = collections.Counter(line.split()[0] for line in r.stdout.splitlines())
        assert len(by_task) == 10 and set(by_task.values()) == {3}
        stamped = logs(swarm, manager, "--timestamps", service).stdout.splitlines()
        assert stamped == sorted(stamped, key=lambda line: line.split()[0])


def test_a_node_that_is_down(swarm):
    service = swarm.service("m1", "down", 5, program(swarm, "echo here"))
    tasks = swarm.wait_running("m1", service, 5)
    down = next(t for t in tasks if swarm.node_name(t["NodeID"]) == "w2")
    wait_for("all lines", lambda: len(logs(swarm, "m1", service).stdout.splitlines()) == 5)
    swarm.tool("kill", "w2")
    begun = time.monotonic()
    r = logs(swarm, "m1", service)
    assert time.monotonic() - begun < 15
    assert r.stdout.count("here") >= 4
    assert "incomplete log stream" in r.stderr and down["ID"] in r.stderr
    assert down["NodeID"] in r.stderr


class Follow(threading.Thread):
    """Collects what `service logs -f` says."""

    def __init__(self, swarm, node, service):
        super().__init__()
        self.lines = []
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            ["docker", "-H", f"unix://{swarm.socket(node)}", "service", "logs", "-f", "--raw",
             service], stdout=subprocess.PIPE, text=True)
        self.start()

    def run(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.join()

    def last(self):
        """The last number of each task; all before it have come once, and in order."""
        found = collections.defaultdict(int)
        for line in list(self.lines):
            task, number = line.split()
            assert int(number) == found[task] + 1, (task, number, found[task])
            found[task] += 1
        return found


def grown(follow, before, by):
    now = follow.last()
    return all(now[t] >= n + by for t, n in before.items())


COUNT = "i=0; while :; do i=$((i+1)); echo $HOSTNAME $i; sleep 0.02; done"


def test_follow_over_the_death_of_the_leader(swarm):
    service = swarm.service("m1", "count", 5, program(swarm, COUNT))
    swarm.wait_running("m1", service, 5)
    leader = swarm.leader()
    manager = next(m for m in swarm.managers if m != leader)
    follow = Follow(swarm, manager, service)
    try:
        wait_for("all tasks", lambda: len(follow.last()) == 5 and min(follow.last().values()) > 20)
        # The daemon alone: the containers on that host go on, and are heard of again.
        swarm.tool("kill", leader)
        before = {t: n for t, n in follow.last().items()}
        wait_for("the others go on", lambda: sum(
            n > before[t] + 50 for t, n in follow.last().items()) >= 4)
        swarm.tool("start", leader)
        before = {t: n for t, n in follow.last().items()}
        wait_for("all go on", lambda: grown(follow, before, 50), 60)
    finally:
        follow.end()


def test_follow_over_a_restart_of_a_worker(swarm):
    service = swarm.service("m1", "again", 5, program(swarm, COUNT))
    tasks = swarm.wait_running("m1", service, 5)
    follow = Follow(swarm, "m1", service)
    try:
        wait_for("all tasks", lambda: len(follow.last()) == 5 and min(follow.last().values()) > 20)
        worker = next(n for n in (swarm.node_name(t["NodeID"]) for t in tasks) if n[0] == "w")
        swarm.tool("kill", worker)
        swarm.tool("start", worker)
        before = {t: n for t, n in follow.last().items()}
        wait_for("all go on", lambda: grown(follow, before, 50), 60)
    finally:
        follow.end()


def test_follow_over_a_worker_and_the_leader_at_once(swarm):
    """The daemons of a worker and of the leader die together and come back one after the other."""
    service = swarm.service("m1", "both", 5, program(swarm, COUNT))
    tasks = swarm.wait_running("m1", service, 5)
    leader = swarm.leader()
    manager = next(m for m in swarm.managers if m != leader)
    worker = next(n for n in (swarm.node_name(t["NodeID"]) for t in tasks) if n[0] == "w")
    follow = Follow(swarm, manager, service)
    try:
        wait_for("all tasks", lambda: len(follow.last()) == 5 and min(follow.last().values()) > 20)
        swarm.tool("kill", worker, leader)
        before = {t: n for t, n in follow.last().items()}
        wait_for("the others go on", lambda: sum(
            n > before[t] + 50 for t, n in follow.last().items()) >= 3)
        swarm.tool("start", worker)
        swarm.tool("start", leader)
        before = {t: n for t, n in follow.last().items()}
        wait_for("all go on", lambda: grown(follow, before, 50), 60)
    finally:
        follow.end()
