"""
Updates and rollbacks whose leader is killed at each of their steps: the next leader goes on where it stood.
Never more tasks are under way than parallelism allows, no failure is counted twice or forgotten, and in the
end every task is of the specification that the service has.
"""

import http.client
import time

import pytest
from faultlib import FaultCluster, skip_unless_possible
from swarmlib import Refused, wait_for
from test_leader_kills import all_vote

skip_unless_possible()

REPLICAS = 6
PARALLEL = 2
SECOND = 1_000_000_000


@pytest.fixture(scope="module", name="swarm")
def swarm_fixture():
    cluster = FaultCluster(3, 0)
    yield cluster
    cluster.down()


class Web:
    """The service under update, and what was seen of it."""

    def __init__(self, swarm):
        self.swarm, self.via = swarm, "m1"
        self.id = swarm.service("m1", "web", REPLICAS)
        swarm.wait_running("m1", self.id, REPLICAS)

    def ask(self, method, path, body=None):
        """Of whichever manager answers: writes are asked until one took them."""
        for name in [self.via, *self.swarm.managers]:
            try:
                return self.swarm.ask(name, method, path, body, timeout=5)
            except (OSError, http.client.HTTPException, Refused) as error:
                last = error
        raise last

    def now(self):
        return self.ask("GET", f"/services/{self.id}")

    def status(self):
        return self.now().get("UpdateStatus", {})

    def update(self, number, order, **container):
        """The specification of this number: tasks have it in their environment."""
        now = self.now()
        spec = now["Spec"]
        spec["TaskTemplate"]["ContainerSpec"]["Env"] = [f"NUMBER={number}"]
        spec["TaskTemplate"]["ContainerSpec"].pop("Command", None)
        spec["TaskTemplate"]["ContainerSpec"].update(container)
        spec["UpdateConfig"] = {
            "Parallelism": PARALLEL, "Delay": SECOND // 4, "Monitor": SECOND, "Order": order,
            "FailureAction": "rollback"}
        spec["RollbackConfig"] = dict(spec["UpdateConfig"], FailureAction="pause")
        self.ask("POST", f"/services/{self.id}/update?version={now['Version']['Index']}", spec)

    def tasks(self):
        return self.swarm.get(self.via, "/tasks", service=self.id)

    def watch(self, number, order):
        """How many tasks run of the specification of this number; the rules hold in what is seen."""
        running, wanted = {}, {}
        for t in self.tasks():
            if t["DesiredState"] not in ("ready", "running"):
                continue
            wanted.setdefault(t["Slot"], []).append(t)
            if t["Status"]["State"] == "running":
                running.setdefault(t["Slot"], []).append(t)
        assert len(running) >= REPLICAS - (PARALLEL if order == "stop-first" else 0), wanted
        for slot, found in wanted.items():
            assert len(found) <= (1 if order == "stop-first" else 2), (slot, found)
        return sum(any(f"NUMBER={number}" in t["Spec"]["ContainerSpec"].get("Env", []) for t in found)
                   for found in running.values())

    def wait_until(self, what, condition, number, order, seconds=60):
        """Watches all the while."""
        end = time.monotonic() + seconds
        while True:
            try:
                if condition(self.watch(number, order)):
                    return
            except (OSError, http.client.HTTPException, Refused):
                pass
            assert time.monotonic() < end, (what, self.status())
            time.sleep(0.01)


@pytest.fixture(name="web", scope="module")
def web_fixture(swarm):
    return Web(swarm)


def kill_leader(web):
    """The leader's daemon is gone at once; what follows is seen through another manager."""
    leader = web.swarm.leader()
    web.via = next(m for m in web.swarm.managers if m != leader)
    web.swarm.kill_now(leader)
    return leader


def back(web, leader):
    web.swarm.wait_ended(leader)
    web.swarm.tool("start", leader)


def check_end(web, state, number):
    # An update does not wait for what it has replaced last to end.
    wait_for("old containers are gone", lambda: REPLICAS == sum(
        len(web.swarm.held(n, web.id)) for n in web.swarm.nodes if web.swarm.daemon(n)))
    web.swarm.assert_none_doubled(web.via, web.id, REPLICAS)
    now = web.now()
    assert now["UpdateStatus"]["State"] == state, now["UpdateStatus"]
    assert now["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] == [f"NUMBER={number}"]
    for t in web.swarm.tasks(web.via, web.id):
        assert t["Spec"]["ContainerSpec"]["Env"] == [f"NUMBER={number}"]
    wait_for("all managers vote", lambda: all_vote(web.swarm), 30)


# At which number of new tasks that run the leader is killed; the last is while they are watched.
@pytest.mark.parametrize("order", ["stop-first", "start-first"])
@pytest.mark.parametrize("step", range(REPLICAS + 1))
def test_an_update_goes_on(web, step, order):
    number = f"{step}-{order}"
    web.update(number, order)
    web.wait_until(f"{step} new tasks", lambda n: n >= step, number, order)
    leader = kill_leader(web)
    back(web, leader)
    web.wait_until("the end", lambda _: web.status().get("State") not in (None, "updating"),
                   number, order)
    check_end(web, "completed", number)


@pytest.mark.parametrize("order", ["stop-first", "start-first"])
@pytest.mark.parametrize("states", [("updating",), ("rollback_started", "rollback_completed")],
                         ids=["before", "after"])
def test_a_failing_update_rolls_back(web, states, order):
    """The leader is killed before it has seen the failure, or when it has begun to roll back."""
    number = f"good-{states[0]}-{order}"
    web.update(number, order)
    web.wait_until("a good update", lambda _: web.status().get("State") == "completed", number,
                   order)
    # They come up, and fail within the monitor.
    web.update("bad", order, Command=["sh", "-c", "sleep 0.5; exit 3"])
    wait_for(f"it is {states}", lambda: web.status().get("State") in states, every=0.005)
    leader = kill_leader(web)
    back(web, leader)
    wait_for("it is rolled back", lambda: web.status().get("State") == "rollback_completed", 60)
    web.swarm.wait_running(web.via, web.id, REPLICAS)
    check_end(web, "rollback_completed", number)
