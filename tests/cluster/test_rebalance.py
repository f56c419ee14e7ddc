"""
A worker joins: tasks of a service with the automatic policy move to it one at a time, each new one first, and
go on doing so when the leader is killed in the middle.
"""

import http.client
import time

import pytest
from faultlib import FaultCluster, skip_unless_possible
from swarmlib import IMAGE, Refused, wait_for

skip_unless_possible()

REPLICAS = 12
SECOND = 1_000_000_000


@pytest.fixture(scope="module", name="swarm")
def swarm_fixture():
    cluster = FaultCluster(3, 1)
    leave(cluster)
    yield cluster
    cluster.down()


def leave(cluster):
    """The worker is there, and in no swarm."""
    joined = cluster.node_id("w1")
    cluster.ask("w1", "POST", "/swarm/leave")
    wait_for("the worker is down", lambda: cluster.node_state("m1", "w1") == "down", 60)
    cluster.ask("m1", "DELETE", f"/nodes/{joined}?force=1")


def join(cluster, via):
    token = cluster.get(via, "/swarm")["JoinTokens"]["Worker"]
    addr = next(n["ManagerStatus"]["Addr"] for n in cluster.get(via, "/nodes")
                if n["Description"]["Hostname"] == via)
    cluster.ask("w1", "POST", "/swarm/join", {
        "ListenAddr": "0.0.0.0:2377", "RemoteAddrs": [addr], "JoinToken": token})


class Web:
    """The service, as whichever manager answers shows it; the rules hold in all that is seen."""

    def __init__(self, swarm, **labels):
        self.swarm, self.via = swarm, "m1"
        spec = {
            "Name": "web", "Labels": labels, "Mode": {"Replicated": {"Replicas": REPLICAS}},
            "TaskTemplate": {"ContainerSpec": {"Image": IMAGE, "StopGracePeriod": SECOND}},
            "UpdateConfig": {"Parallelism": 1, "Delay": SECOND // 2, "Monitor": SECOND},
        }
        self.id = swarm.ask("m1", "POST", "/services/create", spec)["ID"]
        swarm.wait_running("m1", self.id, REPLICAS)

    def status(self):
        return self.swarm.get(self.via, f"/services/{self.id}").get("RebalanceStatus", {})

    def look(self):
        """How many tasks run on each node; -1 where nobody answers just now."""
        try:
            tasks = self.swarm.get(self.via, "/tasks", service=self.id)
        except (OSError, http.client.HTTPException, Refused):
            return None
        wanted, running, nodes = {}, set(), {}
        for t in tasks:
            if t["DesiredState"] != "running":
                continue
            wanted.setdefault(t["Slot"], []).append(t)
            if t["Status"]["State"] == "running":
                running.add(t["Slot"])
                nodes[t["NodeID"]] = nodes.get(t["NodeID"], 0) + 1
        assert len(running) == REPLICAS, "a task has gone before its replacement ran"
        assert sum(len(v) > 1 for v in wanted.values()) <= 1, "more than one moves at a time"
        assert all(len(v) <= 2 for v in wanted.values())
        return nodes

    def wait_until(self, what, condition, seconds=60):
        end = time.monotonic() + seconds
        while True:
            seen = self.look()
            if seen is not None and condition(seen):
                return
            assert time.monotonic() < end, (what, seen)
            time.sleep(0.02)


def test_a_worker_joins_and_the_leader_is_killed(swarm):
    web = Web(swarm, **{"shoal.rebalance": "auto"})
    assert len(web.look()) == 3
    join(swarm, "m1")
    worker = wait_for("the worker is ready", lambda: next((
        n["ID"] for n in swarm.get("m1", "/nodes")
        if n["Description"].get("Hostname") == "w1" and n["Status"]["State"] == "ready"), None))
    web.wait_until("the first has moved", lambda n: n.get(worker, 0) == 1)
    leader = swarm.leader()
    web.via = next(m for m in swarm.managers if m != leader)
    swarm.kill_now(leader)
    web.wait_until("all have moved", lambda n: sorted(n.values()) == [3, 3, 3, 3])
    swarm.wait_ended(leader)
    swarm.tool("start", leader)
    wait_for("its end", lambda: web.status()["State"] == "completed", 30)
    assert web.status()["Moved"] == 3 and web.status()["Failed"] == 0, web.status()
    assert web.look()[worker] == 3
    wait_for("all managers are there", lambda: 3 == sum(
        n.get("ManagerStatus", {}).get("Reachability") == "reachable"
        for n in swarm.get(web.via, "/nodes")), 30)
    # Nothing is left to do, for anybody.
    swarm.ask(web.via, "POST", f"/services/{web.id}/rebalance")
    wait_for("another end", lambda: web.status()["State"] == "completed", 30)
    assert web.status()["Moved"] == 0, web.status()
    # The containers are where the tasks are.
    wait_for("old containers are gone", lambda: REPLICAS == sum(
        len(swarm.held(n, web.id)) for n in swarm.nodes))
