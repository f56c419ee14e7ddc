"""
Nodes change their role: a worker becomes a manager and votes, a manager becomes a worker and keeps
nothing of the swarm's state, the leader among them; what runs on them runs on.
"""

import os
import subprocess

import pytest
from swarmlib import BIN, Cluster, Refused, wait_for
from test_leader_kills import all_vote

if os.geteuid() != 0:
    pytest.skip("needs root: it makes namespaces", allow_module_level=True)
if not (BIN / "shoald").exists():
    pytest.skip(f"{BIN}/shoald is not built", allow_module_level=True)


@pytest.fixture
def swarm():
    cluster = Cluster(1, 2)
    yield cluster
    cluster.down()


def set_role(swarm, via, name, role):
    node = swarm.get(via, f"/nodes/{swarm.node_id(name)}")
    node["Spec"]["Role"] = role
    version = node["Version"]["Index"]
    swarm.ask(via, "POST", f"/nodes/{node['ID']}/update?version={version}", node["Spec"], 30)


def managers(swarm, via):
    return {
        n["Description"]["Hostname"]: n["ManagerStatus"]
        for n in swarm.get(via, "/nodes")
        if "ManagerStatus" in n
    }


def wait_manager(swarm, via, name):
    """It is reachable, reads the swarm itself, and is known to be a manager."""
    wait_for(
        f"{name} is a manager",
        lambda: managers(swarm, via).get(name, {}).get("Reachability") == "reachable"
        and len(swarm.get(name, "/nodes")) == len(swarm.nodes),
    )


def promote(swarm, via, *names):
    for name in names:
        set_role(swarm, via, name, "manager")
        wait_manager(swarm, via, name)
        swarm.managers.append(name)


def wait_worker(swarm, via, name):
    def is_worker():
        info = swarm.get(name, "/info")["Swarm"]
        return (
            info["LocalNodeState"] == "active"
            and not info["ControlAvailable"]
            and name not in managers(swarm, via)
            and not (swarm.dir / name / "data/swarm/raft").exists()
            and not (swarm.dir / name / "data/swarm/raft.key").exists()
        )

    wait_for(f"{name} is a worker", is_worker)
    wait_for(
        f"{name} is ready",
        lambda: swarm.get(via, f"/nodes/{swarm.node_id(name)}")["Status"]["State"] == "ready",
    )


def subject(swarm, name):
    """The OU of a node's certificate: its role."""
    text = (swarm.dir / name / "data/swarm/identity.pem").read_text()
    done = subprocess.run(
        ["openssl", "x509", "-noout", "-subject"], input=text, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_promoted_workers_vote_and_survive_the_first_manager(swarm):
    service = swarm.service("m1", "lasting", 6)
    before = {t["ID"] for t in swarm.wait_running("m1", service, 6)}
    promote(swarm, "m1", "w1", "w2")
    assert "swarm-manager" in subject(swarm, "w1")
    assert {t["ID"] for t in swarm.tasks("w1", service)} == before, "a task was replaced"
    swarm.tool("crash", "m1")

    def led_by():
        """Whom both of the others know as leader."""
        seen = [{m for m, s in managers(swarm, via).items() if s.get("Leader")} for via in ("w1", "w2")]
        common = seen[0] & seen[1] - {"m1"}
        return common.pop() if common else None

    leader = wait_for("a new leader", led_by)
    swarm.managers.remove("m1")
    other = next(w for w in ("w1", "w2") if w != leader)
    swarm.scale(other, service, 9)
    swarm.wait_running(other, service, 9, 60)


def test_a_demoted_manager_is_a_worker_without_state(swarm):
    promote(swarm, "m1", "w1", "w2")
    service = swarm.service("m1", "lasting", 6)
    before = {t["ID"] for t in swarm.wait_running("m1", service, 6)}
    set_role(swarm, "m1", "w1", "worker")
    swarm.managers.remove("w1")
    wait_worker(swarm, "m1", "w1")
    wait_for("its certificate says so", lambda: "swarm-worker" in subject(swarm, "w1"))
    with pytest.raises(Refused) as refusal:
        swarm.get("w1", "/nodes")
    assert refusal.value.status == 503
    assert {t["ID"] for t in swarm.tasks("m1", service)} == before, "a task was replaced"
    # And once more, and after a restart of its daemon.
    promote(swarm, "m1", "w1")
    swarm.tool("kill", "w1")
    swarm.tool("start", "w1")
    wait_manager(swarm, "m1", "w1")


def test_the_leader_demotes_itself(swarm):
    promote(swarm, "m1", "w1", "w2")
    set_role(swarm, "m1", "m1", "worker")
    swarm.managers.remove("m1")
    wait_worker(swarm, "w1", "m1")
    service = swarm.service("w1", "after", 3)
    swarm.wait_running("w2", service, 3)


def test_demoted_and_promoted_while_it_slept(swarm):
    """It never hears that it was a worker; its place in the group is another's by then."""
    promote(swarm, "m1", "w1", "w2")
    leader = swarm.leader()
    sleeper = next(w for w in ("w1", "w2") if w != leader)
    swarm.tool("pause", sleeper)
    wait_for(
        "it is unreachable",
        lambda: managers(swarm, leader)[sleeper]["Reachability"] == "unreachable",
        60,
    )
    set_role(swarm, leader, sleeper, "worker")
    wait_for("it is no manager", lambda: sleeper not in managers(swarm, leader))
    set_role(swarm, leader, sleeper, "manager")
    swarm.tool("resume", sleeper)
    wait_manager(swarm, leader, sleeper)
    # It counts again: without one of the others it makes a majority.
    other = next(m for m in swarm.managers if m not in (leader, sleeper))
    wait_for("three vote", lambda: all_vote(swarm))
    swarm.tool("crash", other)
    swarm.managers.remove(other)
    service = swarm.service(swarm.leader(), "voted", 0)
    wait_for("it reads it", lambda: swarm.get(sleeper, f"/services/{service}"))


def test_the_last_manager_stays(swarm):
    with pytest.raises(Refused) as refusal:
        set_role(swarm, "m1", "m1", "worker")
    assert "last manager" in refusal.value.message
    assert swarm.get("m1", "/nodes")


def test_a_majority_is_not_demoted_away(swarm):
    promote(swarm, "m1", "w1", "w2")
    swarm.tool("pause", "w2")
    wait_for(
        "w2 is unreachable",
        lambda: managers(swarm, "m1")["w2"]["Reachability"] == "unreachable",
        60,
    )
    leader = swarm.leader()
    other = next(m for m in ("m1", "w1") if m != leader)
    with pytest.raises(Refused) as refusal:
        set_role(swarm, leader, other, "worker")
    assert "quorum" in refusal.value.message
    set_role(swarm, leader, "w2", "worker")  # the dead one may go
    swarm.tool("resume", "w2")
    swarm.managers.remove("w2")
    wait_worker(swarm, leader, "w2")
