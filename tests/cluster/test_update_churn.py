"""
A large update while nodes die and come back: daemons are killed alone, hosts with all that runs on them,
the leader among them. In the end every task runs, of the new specification, once; and no host has
anything left of those before.

    CHURN_TASKS=60 CHURN_WORKERS=4 pytest tests/cluster/test_update_churn.py

is a small size; CHURN_SEED repeats the choice of who dies.
"""

import http.client
import os
import random
import time

import pytest
from faultlib import FaultCluster, skip_unless_possible
from swarmlib import Refused, wait_for
from test_leader_kills import all_vote

skip_unless_possible()
TASKS = int(os.environ.get("CHURN_TASKS", "1000"))
WORKERS = int(os.environ.get("CHURN_WORKERS", "17"))
SEED = int(os.environ.get("CHURN_SEED", str(random.randrange(1 << 32))))
PATIENCE_S = 60 + TASKS  # for what a machine with two processors takes


@pytest.fixture(name="swarm")
def swarm_fixture():
    cluster = FaultCluster(3, WORKERS)
    yield cluster
    cluster.down()


class Churn:
    """One node at a time is down, for a moment: never two managers."""

    def __init__(self, swarm):
        self.swarm, self.dice, self.deaths = swarm, random.Random(SEED), 0
        self.down = self.back_at = None

    def turn(self):
        now = time.monotonic()
        if self.down and now >= self.back_at:
            self.end()
        elif not self.down and all_vote(self.swarm):
            self.down = self.dice.choice(self.swarm.nodes)
            how = self.dice.choice(["crash", "kill", "crash"])
            self.swarm.tool(how, self.down)
            self.deaths += 1
            # Half of them stay away until their tasks have gone elsewhere.
            self.back_at = now + self.dice.choice([0.2, 5])

    def end(self):
        if self.down:
            self.swarm.tool("start", self.down)
        self.down = None


def ask(swarm, method, path, body=None):
    """Of whichever manager answers."""
    for name in swarm.managers:
        try:
            return swarm.ask(name, method, path, body, 30)
        except (OSError, http.client.HTTPException, Refused) as error:
            last = error
    raise last


def service_now(swarm, ident):
    return ask(swarm, "GET", f"/services/{ident}")


def update(swarm, ident, text, **config):
    def updated():
        now = service_now(swarm, ident)
        spec = now["Spec"]
        spec["TaskTemplate"]["ContainerSpec"]["Env"] = [f"RUN={text}"]
        spec["UpdateConfig"] = {
            "Parallelism": max(TASKS // 20, 2), "FailureAction": "continue", "Monitor": 1_000_000,
            "Order": "stop-first", **config}  # fmt: skip
        version = now["Version"]["Index"]
        ask(swarm, "POST", f"/services/{ident}/update?version={version}", spec)
        return True

    wait_for("the update is taken", updated, 60)


def running(swarm, ident, text):
    tasks = ask(swarm, "GET", f'/tasks?filters={{"service":["{ident}"]}}')
    return [
        t for t in tasks
        if t["Status"]["State"] == "running" and t["DesiredState"] == "running"
        and t["Spec"]["ContainerSpec"].get("Env") == [f"RUN={text}"]
    ]  # fmt: skip


def left_on(swarm, node, keep, history):
    """
    What a host has beside the containers to keep: containers, shims, veth pairs. A task that ended keeps
    its container, also one that never started, as long as the history of its slot has it.
    """
    held = swarm.containers(node, everything=True)
    here = [c["Id"] for c in held if c["Id"] in keep]
    extra = [
        f"container {c['Id'][:12]} {c['State']}" for c in held
        if c["Id"] not in keep
        and (c["State"] == "running" or c["Labels"]["com.docker.swarm.task.id"] not in history)
    ]  # fmt: skip
    dirs = [p.parent.name for p in (swarm.dir / node / "run").glob("**/shim.sock")]
    if len(dirs) > len(here):
        extra.append(f"{len(dirs)} shims for {len(here)} containers")
    veths = swarm.inside(node, "sh", "-c", "ip -o link show type veth | wc -l")
    if int(veths) > 2 * len(here) + 1:  # one may be the host's own
        extra.append(f"{veths.strip()} veth devices for {len(here)} containers")
    return extra


def nothing_left(swarm, keep, patience):
    """No host has more than these containers need; what it has is said."""
    seen = {}

    def clean():
        history = {t["ID"]: t["Status"]["State"] for t in ask(swarm, "GET", "/tasks")}
        seen.clear()
        seen.update((n, left) for n in swarm.nodes if (left := left_on(swarm, n, keep, history)))
        return not seen

    try:
        wait_for("nothing is left", clean, patience, every=1)
    except AssertionError as e:
        raise AssertionError(f"left behind: {seen}") from e


def settle(swarm, ident, text):
    """Every task runs, of the new specification, once; nothing else is left anywhere."""
    wait_for(
        f"{TASKS} tasks of {text} run",
        lambda: len(running(swarm, ident, text)) == TASKS,
        PATIENCE_S,
        every=0.5,
    )
    tasks = running(swarm, ident, text)
    assert sorted(t["Slot"] for t in tasks) == list(range(1, TASKS + 1))
    keep = {t["Status"]["ContainerStatus"]["ContainerID"] for t in tasks}
    assert len(keep) == TASKS

    nothing_left(swarm, keep, 120)
    held = [t for n in swarm.nodes for t in swarm.held(n, ident).values()]
    assert sorted(held) == sorted(t["ID"] for t in tasks), "a task has two containers, or none"


def test_an_update_ends_while_nodes_die(swarm):
    print(f"seed {SEED}")
    swarm.fast_heartbeats("m1")
    ident = swarm.service("m1", "many", TASKS)
    update(swarm, ident, "0")
    wait_for("all run", lambda: len(running(swarm, ident, "0")) == TASKS, PATIENCE_S, every=0.5)
    churn = Churn(swarm)
    begin = time.monotonic()
    update(swarm, ident, "1")

    def ended():
        churn.turn()
        state = service_now(swarm, ident).get("UpdateStatus", {}).get("State")
        return state == "completed" and churn.deaths >= 3

    wait_for("the update ends", ended, PATIENCE_S * 2, every=0.1)
    churn.end()
    took = time.monotonic() - begin
    wait_for("all managers vote", lambda: all_vote(swarm), 60)
    settle(swarm, ident, "1")
    print(f"{TASKS} tasks on {len(swarm.nodes)} nodes: {took:.1f} s, {churn.deaths} deaths")
    for node in swarm.managers:
        swarm.leader()
        assert len(swarm.tasks(node, ident)) == TASKS
    swarm.ask(swarm.leader(), "DELETE", f"/services/{ident}")
    wait_for("no tasks", lambda: not ask(swarm, "GET", "/tasks"), PATIENCE_S, every=0.5)
    nothing_left(swarm, set(), 60)
