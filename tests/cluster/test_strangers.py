"""
Who may not take part: a node with a wrong token, one that was removed, whoever comes without TLS or
without a certificate, a worker that asks for a manager's streams. What is refused says why and leaves
nothing behind.
"""

import json
import shutil

import pytest
from faultlib import HERE, FaultCluster, skip_unless_possible
from swarmlib import Refused, wait_for

skip_unless_possible()

MANAGER = "10.200.0.1:2377"
OTHERS = ("raft", "session", "control", "data", "snapshot")
EACCES = 13


@pytest.fixture(scope="module", name="swarm")
def swarm_fixture():
    cluster = FaultCluster(1, 2)
    yield cluster
    cluster.down()


def dial(swarm, purpose, certificate=None):
    argv = ["/usr/bin/python3", str(HERE / "stranger.py"), MANAGER, purpose]
    return json.loads(swarm.inside("w1", *argv, *([str(certificate)] if certificate else [])))


def names(swarm):
    return sorted(n["Description"]["Hostname"] for n in swarm.get("m1", "/nodes"))


def test_plaintext_is_refused(swarm):
    assert dial(swarm, "plaintext") == {"closed": True}
    assert names(swarm) == ["m1", "w1", "w2"]


@pytest.mark.parametrize("purpose", OTHERS)
def test_without_a_certificate_only_joining_is_served(swarm, purpose):
    answer = dial(swarm, purpose)
    assert answer["code"] == EACCES and "needs a node certificate" in answer["bye"]
    assert dial(swarm, "join") == {"hello": True}


@pytest.mark.parametrize("purpose", ["raft", "control", "snapshot"])
def test_a_worker_may_not_do_what_managers_do(swarm, purpose):
    answer = dial(swarm, purpose, swarm.dir / "w1/data/swarm")
    assert answer["code"] == EACCES and "only a manager" in answer["bye"]


def test_a_certificate_of_another_swarm_is_refused(swarm):
    """w2 makes a swarm of its own; its certificate says nothing to the others."""
    swarm.ask("w2", "POST", "/swarm/leave?force=1")
    node = swarm.node_id("w2")
    swarm.ask("m1", "DELETE", f"/nodes/{node}?force=1")
    try:
        swarm.ask("w2", "POST", "/swarm/init", {"ListenAddr": "10.200.1.2:2377"})
        for purpose in ("session", "raft", "join"):
            assert dial(swarm, purpose, swarm.dir / "w2/data/swarm").get("closed")
    finally:
        swarm.ask("w2", "POST", "/swarm/leave?force=1")
    assert names(swarm) == ["m1", "w1"]


@pytest.mark.parametrize("wrong", ["secret", "digest", "nonsense"])
def test_a_wrong_token_lets_nobody_in(swarm, wrong):
    if swarm.get("w1", "/info")["Swarm"]["LocalNodeState"] != "inactive":
        leave(swarm)
    right = swarm.get("m1", "/swarm")["JoinTokens"]["Worker"]
    start, version, digest, secret = right.split("-")
    other = lambda text: text[:-1] + ("0" if text[-1] != "0" else "1")
    token = {
        "secret": "-".join((start, version, digest, other(secret))),
        "digest": "-".join((start, version, other(digest), secret)),
        "nonsense": "SWMTKN-1-nonsense",
    }[wrong]
    with pytest.raises(Refused) as refusal:
        swarm.ask("w1", "POST", "/swarm/join", {"RemoteAddrs": [MANAGER], "JoinToken": token})
    assert refusal.value.status in (400, 403, 500, 503), refusal.value
    words = {"secret": "token", "digest": "token", "nonsense": "token"}[wrong]
    assert words in refusal.value.message, refusal.value
    assert secret not in refusal.value.message
    assert swarm.get("w1", "/info")["Swarm"]["LocalNodeState"] == "inactive"
    assert not (swarm.dir / "w1/data/swarm/identity.pem").exists()
    assert names(swarm) == ["m1"]


def leave(swarm):
    node = swarm.node_id("w1")
    swarm.ask("w1", "POST", "/swarm/leave?force=1")
    swarm.ask("m1", "DELETE", f"/nodes/{node}?force=1")


def test_a_removed_nodes_certificate_opens_nothing(swarm):
    token = swarm.get("m1", "/swarm")["JoinTokens"]["Worker"]
    swarm.ask("w1", "POST", "/swarm/join", {"RemoteAddrs": [MANAGER], "JoinToken": token})
    wait_for("w1 is in", lambda: swarm.node_state("m1", "w1") == "ready")
    service = swarm.service("m1", "there", 1, Placement={"Constraints": ["node.hostname==w1"]})
    swarm.wait_running("m1", service, 1)
    kept = swarm.base / "kept"
    shutil.copytree(swarm.dir / "w1/data/swarm", kept)
    assert dial(swarm, "data", kept) == {"hello": True}, "the certificate is one"

    before = len(swarm.log("w1"))
    node = swarm.node_id("w1")
    swarm.ask("m1", "DELETE", f"/nodes/{node}?force=1")
    wait_for("its session is closed", lambda: "was lost" in swarm.log("w1")[before:])
    for purpose in ("session", "data"):
        answer = dial(swarm, purpose, kept)
        assert answer["code"] == EACCES and "removed" in answer["bye"], answer
    wait_for("w1 says so", lambda: "removed" in swarm.get("w1", "/info")["Swarm"]["Error"])
    swarm.kill_now("w1")
    swarm.wait_ended("w1")
    swarm.tool("start", "w1")
    swarm.wait_unchanged(
        "w1 is out, after a restart too",
        lambda: names(swarm) == ["m1"] and "is open" not in swarm.log("w1")[before:],
        3,
    )
    pending = wait_for("the task is wanted elsewhere", lambda: swarm.wanted("m1", service))
    assert all(t.get("NodeID") != node for t in pending)
