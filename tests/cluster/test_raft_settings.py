"""
The settings of raft in `swarm update`: how often snapshots are taken and what is kept of the log takes
effect on every manager at once, also on those that start or join later; ticks are only kept.
"""

import re

import pytest
from faultlib import FaultCluster, skip_unless_possible
from swarmlib import Refused, wait_for
from test_leader_kills import all_vote
from test_roles import promote

skip_unless_possible()

DEFAULTS = {"SnapshotInterval": 10000, "LogEntriesForSlowFollowers": 500, "ElectionTick": 10,
            "HeartbeatTick": 1}  # fmt: skip


@pytest.fixture(scope="module", name="swarm")
def swarm_fixture():
    cluster = FaultCluster(3, 1)
    wait_for("three vote", lambda: all_vote(cluster))
    yield cluster
    cluster.down()


def set_raft(swarm, node, **settings):
    now = swarm.get(node, "/swarm?consistent=1")
    now["Spec"]["Raft"] |= settings
    swarm.ask(node, "POST", f"/swarm/update?version={now['Version']['Index']}", now["Spec"])


def snapshot(swarm, node):
    """The index of a manager's last snapshot on its disk; 0: it has none."""
    names = [f.name for f in (swarm.dir / node / "data/swarm/raft").glob("snapshot-*.meta")]
    return max((int(re.match(r"snapshot-\d+-(\d+)-", n).group(1)) for n in names), default=0)


def entries(swarm, node, count, name):
    """Each of them is an entry of its own, as the next is asked for when the one before is applied."""
    for i in range(count):
        swarm.ask(node, "POST", "/configs/create", {"Name": f"{name}-{i}", "Data": "eA=="})


def wait_snapshots(swarm, after):
    for node in swarm.managers:
        wait_for(f"{node} has a newer snapshot than {after}", lambda n=node: snapshot(swarm, n) > after)


def test_snapshots_by_the_number_of_entries(swarm):
    leader = swarm.leader()
    follower = next(m for m in swarm.managers if m != leader)
    assert {m: snapshot(swarm, m) for m in swarm.managers} == dict.fromkeys(swarm.managers, 0)
    set_raft(swarm, follower, SnapshotInterval=10, LogEntriesForSlowFollowers=3)
    raft = swarm.get(leader, "/swarm?consistent=1")["Spec"]["Raft"]
    assert raft == DEFAULTS | {"SnapshotInterval": 10, "LogEntriesForSlowFollowers": 3}
    entries(swarm, follower, 12, "first")
    wait_snapshots(swarm, 0)
    first = {m: snapshot(swarm, m) for m in swarm.managers}
    entries(swarm, follower, 30, "second")
    wait_snapshots(swarm, max(first.values()) + 9)
    # Bytes alone again: nothing comes near their bound.
    set_raft(swarm, leader, **DEFAULTS)
    entries(swarm, leader, 2, "settled")
    for m in swarm.managers:
        swarm.get(m, "/swarm?consistent=1")
    wait_for("no snapshot is under way", lambda: steady(swarm))
    second = {m: snapshot(swarm, m) for m in swarm.managers}
    entries(swarm, follower, 40, "third")
    for m in swarm.managers:
        assert len(swarm.get(m, "/configs?consistent=1")) == 12 + 30 + 2 + 40
    assert {m: snapshot(swarm, m) for m in swarm.managers} == second


def steady(swarm):
    """Two looks with a barrier between them see the same."""
    before = [snapshot(swarm, m) for m in swarm.managers]
    entries_seen = [swarm.get(m, "/configs?consistent=1") for m in swarm.managers]
    return all(entries_seen) and before == [snapshot(swarm, m) for m in swarm.managers]


def test_managers_that_start_or_join_later_follow_them(swarm):
    set_raft(swarm, "m1", SnapshotInterval=15, LogEntriesForSlowFollowers=1)
    late = next(m for m in swarm.managers if m != swarm.leader())
    swarm.kill_now(late)
    swarm.wait_ended(late)
    via = next(m for m in swarm.managers if m != late)
    entries(swarm, via, 40, "without")  # more than is kept: it starts again from a snapshot
    swarm.tool("start", late)
    wait_for("three vote", lambda: all_vote(swarm))
    names = {c["Spec"]["Name"] for c in swarm.get(late, "/configs?consistent=1")}
    assert {f"without-{i}" for i in range(40)} <= names
    promote(swarm, via, "w1")
    before = max(snapshot(swarm, m) for m in swarm.managers)
    entries(swarm, via, 35, "with")
    wait_snapshots(swarm, before)
    names = {c["Spec"]["Name"] for c in swarm.get("w1", "/configs?consistent=1")}
    assert {f"with-{i}" for i in range(35)} <= names


def test_what_cannot_be_is_refused_and_ticks_are_kept(swarm):
    for settings, words in [
        ({"ElectionTick": 1}, "ElectionTick 1 must be greater than HeartbeatTick 1"),
        ({"HeartbeatTick": 10}, "must be greater than HeartbeatTick 10"),
        ({"HeartbeatTick": -1}, "must be from 1"),
        ({"SnapshotInterval": -1}, "SnapshotInterval"),
        ({"LogEntriesForSlowFollowers": -1}, "LogEntriesForSlowFollowers"),
    ]:
        with pytest.raises(Refused) as refused:
            set_raft(swarm, "m1", **settings)
        assert refused.value.status == 400 and words in refused.value.message
    set_raft(swarm, "m1", ElectionTick=20, HeartbeatTick=2)
    raft = swarm.get("m2", "/swarm?consistent=1")["Spec"]["Raft"]
    assert (raft["ElectionTick"], raft["HeartbeatTick"]) == (20, 2)


def test_init_refuses_what_an_update_would():
    cluster = FaultCluster(1, 0, formed=False)
    try:
        for spec, words in [
            ({"Raft": {"ElectionTick": 3, "HeartbeatTick": 3}}, "must be greater"),
            ({"CAConfig": {"NodeCertExpiry": 10**9}}, "minimum certificate expiry"),
            ({"Dispatcher": {"HeartbeatPeriod": 1}}, "heartbeat period"),
        ]:
            with pytest.raises(Refused) as refused:
                cluster.ask("m1", "POST", "/swarm/init", {"Spec": spec})
            assert refused.value.status == 400 and words in refused.value.message
        assert cluster.get("m1", "/info")["Swarm"]["LocalNodeState"] == "inactive"
    finally:
        cluster.down()
