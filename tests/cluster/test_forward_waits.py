"""
A manager that has learned of a new leader and has no connection to it yet: requests wait for the
connection, for so long, and are not refused because dialling takes a moment.
"""

import http.client
import threading
import time

import pytest
from faultlib import FaultCluster, skip_unless_possible
from swarmlib import Refused, wait_for

skip_unless_possible()

CONNECT_S = 3  # CONNECT_MS of manager_call.c


@pytest.fixture(name="swarm")
def swarm_fixture():
    cluster = FaultCluster(3, 0)
    yield cluster
    cluster.down()


def follower_without_connection(swarm):
    """The leader dies while the others cannot dial: raft's streams stand, no new one comes to be."""
    first = swarm.leader()
    others = [m for m in swarm.managers if m != first]
    for node in others:
        swarm.inside(
            node, "sh", "-c",
            "nft add table inet dial && nft add chain inet dial out "
            "'{ type filter hook output priority 0; }' && "
            "nft add rule inet dial out tcp dport 2377 tcp flags syn / syn,ack drop",
        )  # fmt: skip
    swarm.kill_now(first)
    swarm.managers.remove(first)

    def led():
        for node in others:
            for n in swarm.get(node, "/nodes"):
                name = n["Description"]["Hostname"]
                if name in others and n.get("ManagerStatus", {}).get("Leader"):
                    return name
        return None

    leader = wait_for("a new leader", led)
    follower = next(m for m in others if m != leader)
    wait_for("the follower knows it", lambda: swarm.get(follower, "/nodes"))
    return follower


def test_a_write_waits_for_the_connection(swarm):
    follower = follower_without_connection(swarm)
    ended = []
    writer = threading.Thread(
        target=lambda: ended.append(swarm.service(follower, "patient", 0)), daemon=True
    )
    writer.start()
    writer.join(0.3)
    assert writer.is_alive(), "it was answered, or refused, without a connection"
    swarm.inside(follower, "nft", "delete", "table", "inet", "dial")
    writer.join(CONNECT_S)
    assert ended and swarm.get(follower, f"/services/{ended[0]}")["Spec"]["Name"] == "patient"


def test_a_write_does_not_wait_for_ever(swarm):
    follower = follower_without_connection(swarm)
    begin = time.monotonic()
    with pytest.raises(Refused) as refused:
        swarm.service(follower, "in-vain", 0)
    assert refused.value.status == 503
    assert "no connection to the leader" in refused.value.message
    assert CONNECT_S - 0.5 < time.monotonic() - begin < CONNECT_S + 2
    swarm.inside(follower, "nft", "delete", "table", "inet", "dial")

    def written():
        try:
            return swarm.service(follower, "later", 0)
        except (OSError, http.client.HTTPException, Refused):
            return None

    wait_for("a write", written)
    names = [s["Spec"]["Name"] for s in swarm.get(follower, "/services")]
    assert names == ["later"], "what was refused was not made"
