"""
?consistent=1 on three managers: what one has acknowledged is read at once on the others, by every list
and inspect of the swarm, also by a manager that has just slept and after the leader's death.
"""

import http.client
import json
import os
import signal
import threading
import time

import pytest
from faultlib import FaultCluster, skip_unless_possible
from swarmlib import Connection, Refused, wait_for
from test_leader_kills import all_vote

skip_unless_possible()

ROUNDS = 50
WRITTEN = {"Data": "eA=="}  # what a secret and a config need


@pytest.fixture(scope="module", name="swarm")
def swarm_fixture():
    cluster = FaultCluster(3, 0)
    wait_for("three vote", lambda: all_vote(cluster))
    yield cluster
    cluster.down()


def read(swarm, node, path, seconds=20):
    """The answer of a consistent read. 503 is no answer (there may be no leader); 404 is a wrong one."""
    end = time.monotonic() + seconds
    while True:
        try:
            return swarm.get(node, f"{path}{'&' if '?' in path else '?'}consistent=1")
        except Refused as refused:
            assert refused.status == 503, f"{node}: {path}: {refused}"
            assert time.monotonic() < end, f"{node}: {path}: no answer: {refused}"


def update(swarm, node, path, change):
    now = read(swarm, node, path)
    spec = now["Spec"] | change
    swarm.ask(node, "POST", f"{path}/update?version={now['Version']['Index']}", spec)


def others(swarm, node):
    return [m for m in swarm.managers if m != node]


def test_what_was_made_is_read_at_once_on_the_others(swarm):
    """Fifty times over, for each kind in turn."""
    makers = {
        "services": lambda name: swarm.service("m1", name, 0),
        "secrets": lambda name: swarm.ask("m1", "POST", "/secrets/create", WRITTEN | {"Name": name})["ID"],
        "configs": lambda name: swarm.ask("m1", "POST", "/configs/create", WRITTEN | {"Name": name})["ID"],
        "networks": lambda name: swarm.ask(
            "m1", "POST", "/networks/create", {"Name": name, "Driver": "overlay"})["Id"],
    }  # fmt: skip
    for i in range(ROUNDS):
        kind = list(makers)[i % len(makers)]
        ident = makers[kind](f"{kind}-{i}")
        for node in others(swarm, "m1"):
            found = read(swarm, node, f"/{kind}/{ident}")
            assert ident in (found.get("ID"), found.get("Id"))
            listed = read(swarm, node, f"/{kind}")
            assert ident in [o.get("ID") or o.get("Id") for o in listed], (node, kind)


def test_tasks_nodes_and_the_swarm_itself(swarm):
    service = swarm.service("m1", "tasks", 2)
    for task in swarm.wait_running("m1", service, 2):
        for node in others(swarm, "m1"):
            assert read(swarm, node, f"/tasks/{task['ID']}")["Status"]["State"] == "running"
    running = {t["ID"] for t in swarm.tasks("m1", service)}
    for node in others(swarm, "m1"):
        assert running <= {t["ID"] for t in read(swarm, node, "/tasks") if t["ServiceID"] == service}
    ident = swarm.node_id("m2")
    for i in range(5):
        labels = {"Labels": {"round": str(i)}}
        update(swarm, "m1", f"/nodes/{ident}", labels)
        for node in others(swarm, "m1"):
            assert read(swarm, node, f"/nodes/{ident}")["Spec"]["Labels"] == labels["Labels"]
            listed = {n["ID"]: n["Spec"] for n in read(swarm, node, "/nodes")}
            assert listed[ident]["Labels"] == labels["Labels"]
        update(swarm, "m1", "/swarm", labels)
        for node in others(swarm, "m1"):
            assert read(swarm, node, "/swarm")["Spec"]["Labels"] == labels["Labels"]
    swarm.ask("m1", "DELETE", f"/services/{service}")
    for node in others(swarm, "m1"):
        assert service not in [s["ID"] for s in read(swarm, node, "/services")]


def asleep(swarm, node, query):
    """
    A network is made while a manager sleeps, and asked of it before it hears of anything else: the
    status of the answer and whether the network is in it.
    """
    other = next(m for m in others(swarm, node) if m == swarm.leader() or node == swarm.leader())
    connection = Connection(swarm.socket(node), 20)
    connection.connect()
    pid = swarm.daemon(node)
    os.kill(pid, signal.SIGSTOP)
    try:
        made = swarm.ask(other, "POST", "/configs/create", WRITTEN | {"Name": f"nap-{time.time_ns()}"})
        connection.request("GET", f"/configs/{made['ID']}{query}")
    finally:
        os.kill(pid, signal.SIGCONT)
    try:
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    return answer.status, json.loads(text)


def test_a_manager_that_has_slept_reads_nothing_old(swarm):
    """Without the query it does, or this would show nothing."""
    leader = swarm.leader()
    sleeper = others(swarm, leader)[0]
    plain = [asleep(swarm, sleeper, "")[0] for _ in range(20)]
    assert 404 in plain, plain
    asked = [asleep(swarm, sleeper, "?consistent=1")[0] for _ in range(20)]
    assert set(asked) <= {200, 503} and asked.count(200) >= 10, asked


class Writer(threading.Thread):
    """Makes one secret after the other at one manager, and reads each at another; notes what is wrong."""

    def __init__(self, swarm, at, reader):
        super().__init__(daemon=True)
        self.swarm, self.at, self.reader = swarm, at, reader
        self.stopped = False
        self.made = 0
        self.wrong = self.last = None
        self.start()

    def run(self):
        n = 0
        while not self.stopped and not self.wrong:
            n += 1
            body = WRITTEN | {"Name": f"{self.at}-{n}"}
            try:
                ident = self.swarm.ask(self.at, "POST", "/secrets/create", body)["ID"]
            except (OSError, http.client.HTTPException, Refused) as why:
                self.last = repr(why)
                continue  # not acknowledged, so nobody need find it
            try:
                assert read(self.swarm, self.reader, f"/secrets/{ident}")["ID"] == ident
            except (AssertionError, OSError, http.client.HTTPException, Refused) as wrong:
                self.wrong = repr(wrong)
            self.made += 1

    def end(self):
        self.stopped = True
        self.join(40)


def grown(writers, before):
    assert not any(w.wrong for w in writers), [w.wrong for w in writers]
    return all(w.made >= b + 10 for w, b in zip(writers, before))


def test_what_was_acknowledged_is_read_whoever_leads(swarm):
    """The leader is killed while the other two write and read; what either took, the other has."""
    leader = swarm.leader()
    one, two = others(swarm, leader)
    writers = [Writer(swarm, one, two), Writer(swarm, two, one)]
    try:
        wait_for("writes before it", lambda: all(w.made >= 10 for w in writers))
        swarm.kill_now(leader)
        before = [w.made for w in writers]
        wait_for("writes after it", lambda: grown(writers, before))
    finally:
        for w in writers:
            w.end()
    assert [w.wrong for w in writers] == [None, None]
    swarm.wait_ended(leader)
    swarm.tool("start", leader)
    # It comes back with what it had, and is asked as soon as it answers at all.
    ident = swarm.ask(one, "POST", "/secrets/create", WRITTEN | {"Name": "meanwhile"})["ID"]
    wait_for("its API", lambda: swarm.get(leader, "/version"))
    assert read(swarm, leader, f"/secrets/{ident}")["ID"] == ident


def test_a_manager_without_the_others_answers_that_it_cannot_know(swarm):
    wait_for("three vote", lambda: all_vote(swarm))
    cut = others(swarm, swarm.leader())[0]
    swarm.tool("partition", cut)
    try:
        for path in ("/services", "/networks", "/swarm"):
            with pytest.raises(Refused) as refused:
                swarm.get(cut, f"{path}?consistent=1")
            assert refused.value.status == 503
    finally:
        swarm.tool("heal")
    wait_for("three vote", lambda: all_vote(swarm))
