"""
A formed swarm of three managers and two workers, real daemons, real containers: services run, are
found by name across hosts, and survive the death of leaders, workers, daemons, containers and shims.
"""

import os
import signal

import pytest
from swarmlib import BIN, Cluster, Refused, wait_for

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
    """Each test begins with all hosts up and no services."""
    yield
    swarm.tool("heal", *swarm.nodes, check=False)
    swarm.tool("resume", *swarm.nodes, check=False)
    swarm.tool("start", *swarm.nodes, check=False)
    leader = swarm.leader()
    for service in swarm.get(leader, "/services"):
        swarm.ask(leader, "DELETE", f"/services/{service['ID']}")
    wait_for("no tasks", lambda: not swarm.get(leader, "/tasks"), 60)
    wait_for(
        "all nodes ready",
        lambda: all(n["Status"]["State"] == "ready" for n in swarm.get(leader, "/nodes")),
        60,
    )


def test_five_nodes_are_ready_and_three_of_them_managers(swarm):
    nodes = swarm.get("m2", "/nodes")
    assert sorted(n["Description"]["Hostname"] for n in nodes) == sorted(swarm.nodes)
    assert all(n["Status"]["State"] == "ready" for n in nodes)
    managers = [n for n in nodes if "ManagerStatus" in n]
    assert len(managers) == 3
    assert sum(n["ManagerStatus"].get("Leader", False) for n in managers) == 1


def test_the_swarm_shows_its_settings_as_docker_does(swarm):
    spec = swarm.get("m2", "/swarm")["Spec"]
    assert spec["Orchestration"] == {"TaskHistoryRetentionLimit": 5}
    assert spec["Raft"] == {
        "SnapshotInterval": 10000,
        "LogEntriesForSlowFollowers": 500,
        "ElectionTick": 10,
        "HeartbeatTick": 1,
    }
    assert spec["Dispatcher"] == {"HeartbeatPeriod": 5 * 10**9}


def test_info_shows_the_swarm_as_the_swarm_itself_does(swarm):
    """`docker node ls` compares each node's issuer with it, to tell whose certificate is old."""
    shown, whole = swarm.get("m2", "/info")["Swarm"]["Cluster"], swarm.get("m2", "/swarm")
    assert whole["TLSInfo"]["TrustRoot"].startswith("-----BEGIN CERTIFICATE-----")
    assert whole["DefaultAddrPool"] == ["10.0.0.0/8"]
    del whole["JoinTokens"]
    assert shown == whole
    assert all(n["Description"]["TLSInfo"] == shown["TLSInfo"] for n in swarm.get("m2", "/nodes"))


def test_a_service_spreads_over_the_hosts(swarm):
    service = swarm.service("m1", "spread", 10)
    tasks = swarm.wait_running("m1", service, 10)
    per_node = {}
    for t in tasks:
        per_node[t["NodeID"]] = per_node.get(t["NodeID"], 0) + 1
    assert sorted(per_node.values()) == [2, 2, 2, 2, 2]
    assert sorted(t["Slot"] for t in tasks) == list(range(1, 11))


def test_scaling_through_a_follower(swarm):
    leader = swarm.leader()
    follower = next(m for m in swarm.managers if m != leader)
    service = swarm.service(follower, "scaled", 2)
    swarm.wait_running(follower, service, 2)
    swarm.scale(follower, service, 6)
    swarm.wait_running(follower, service, 6)
    swarm.scale(follower, service, 1)
    swarm.wait_running(leader, service, 1)


def test_tasks_find_each_other_by_name_across_hosts(swarm):
    swarm.ask("m1", "POST", "/networks/create", {"Name": "back", "Driver": "overlay"})
    server = swarm.service(
        "m1",
        "echo",
        2,
        ["sh", "-c", "mkdir -p /w; hostname > /w/index.html; exec httpd -f -p 80 -h /w"],
        networks=["back"],
    )
    client = swarm.service("m1", "client", 3, networks=["back"])
    swarm.wait_running("m1", server, 2)
    for task in swarm.wait_running("m1", client, 3):
        seen = set()

        def asked(task=task, seen=seen):
            # nc, since the wget of Debian's static busybox crashes on its own
            get = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 echo 80 | tail -n 1"
            seen.add(swarm.exec_in(task, "sh", "-c", get).stdout.strip())
            return len(seen - {""}) == 2

        wait_for("answers of both servers by the service's name", asked)


def test_the_leader_is_killed_and_the_service_goes_on(swarm):
    service = swarm.service("m1", "survivor", 5)
    before = {t["ID"] for t in swarm.wait_running("m1", service, 5)}
    leader = swarm.leader()
    swarm.tool("kill", leader)
    other = next(m for m in swarm.managers if m != leader)
    wait_for(
        "another leader",
        lambda: any(
            n.get("ManagerStatus", {}).get("Leader")
            and n["Description"]["Hostname"] != leader
            for n in swarm.get(other, "/nodes")
        ),
        10,
    )
    wait_for("a write is taken", lambda: swarm.service(other, "after", 1), 10)
    swarm.wait_running(other, "after", 1)
    assert len({t["ID"] for t in swarm.tasks(other, service)} & before) >= 4


def test_a_killed_daemon_leaves_its_containers_and_finds_them_again(swarm):
    service = swarm.service("m1", "stays", 5)
    tasks = swarm.wait_running("m1", service, 5)
    mine = next(t for t in tasks if swarm.node_name(t["NodeID"]) == "w1")
    pid = mine["Status"]["ContainerStatus"]["PID"]
    swarm.tool("kill", "w1")
    os.kill(pid, 0)
    swarm.tool("start", "w1")
    wait_for(
        "the same task still runs",
        lambda: any(t["ID"] == mine["ID"] for t in swarm.tasks("m1", service)),
    )
    os.kill(pid, 0)


def test_a_crashed_worker_is_replaced(swarm):
    service = swarm.service("m1", "moves", 5)
    swarm.wait_running("m1", service, 5)
    w2 = swarm.node_id("w2")
    swarm.tool("crash", "w2")
    wait_for(
        "five tasks elsewhere",
        lambda: len([t for t in swarm.tasks("m1", service) if t["NodeID"] != w2]) == 5,
        60,
    )


def test_a_global_service_follows_the_nodes(swarm):
    service = swarm.service("m1", "each", {"Global": {}})
    assert len({t["NodeID"] for t in swarm.wait_running("m1", service, 5)}) == 5
    w1, w2 = swarm.node_id("w1"), swarm.node_id("w2")
    swarm.tool("crash", "w2")
    set_availability(swarm, w1, "drain")
    tasks = swarm.wait_running("m1", service, 3, 60)
    assert not {w1, w2} & {t["NodeID"] for t in tasks}
    set_availability(swarm, w1, "active")
    swarm.tool("start", "w2")
    tasks = swarm.wait_running("m1", service, 5, 90)
    assert {w1, w2} <= {t["NodeID"] for t in tasks}


def set_availability(swarm, node, availability):
    now = swarm.get("m1", f"/nodes/{node}")
    now["Spec"]["Availability"] = availability
    swarm.ask("m1", "POST", f"/nodes/{node}/update?version={now['Version']['Index']}", now["Spec"])


def test_a_job_is_completed_while_a_node_dies(swarm):
    mode = {"ReplicatedJob": {"MaxConcurrent": 5, "TotalCompletions": 12}}
    service = swarm.service("m1", "job", mode, ["sleep", "1"], RestartPolicy={"Delay": 0})
    wait_for("the job's first tasks", lambda: swarm.tasks("m1", service, running=False))
    swarm.tool("crash", "w1")
    complete = lambda: [
        t for t in swarm.tasks("m1", service, running=False) if t["Status"]["State"] == "complete"
    ]
    wait_for("all of the job is complete", lambda: len(complete()) >= 12, 90)
    assert {t.get("Slot", 0) for t in complete()} == set(range(12))


def test_a_killed_container_comes_back(swarm):
    service = swarm.service("m1", "again", 1)
    task = swarm.wait_running("m1", service, 1)[0]
    os.kill(task["Status"]["ContainerStatus"]["PID"], signal.SIGKILL)
    wait_for(
        "a new task",
        lambda: [t for t in swarm.tasks("m1", service) if t["ID"] != task["ID"]],
    )
    old = swarm.get("m1", f"/tasks/{task['ID']}")
    assert old["Status"]["State"] == "failed"
    assert "137" in old["Status"]["Err"]


def test_a_minority_leader_refuses_and_its_writes_never_come(swarm):
    leader = swarm.leader()
    swarm.tool("partition", leader)
    wait_for("the cut-off leader refuses", lambda: refuses(swarm, leader), 10)
    with pytest.raises(Refused) as refusal:
        swarm.service(leader, "never", 1)
    assert refusal.value.status == 503
    other = next(m for m in swarm.managers if m != leader)
    wait_for("the others have a leader", lambda: swarm.service(other, "meanwhile", 1), 20)
    swarm.tool("heal", leader)
    wait_for(
        "the healed one follows",
        lambda: {s["Spec"]["Name"] for s in swarm.get(leader, "/services")} == {"meanwhile"},
    )


def refuses(swarm, node):
    try:
        swarm.get(node, "/services")
    except Refused as refusal:
        return refusal.status == 503
    return False


def test_all_daemons_restart_and_containers_run_on(swarm):
    service = swarm.service("m1", "longlived", 5)
    pids = {
        t["Status"]["ContainerStatus"]["PID"] for t in swarm.wait_running("m1", service, 5)
    }
    swarm.tool("kill", *swarm.nodes)
    for pid in pids:
        os.kill(pid, 0)
    swarm.tool("start", *swarm.nodes)
    swarm.leader(30)
    tasks = wait_for(
        "the same five run",
        lambda: (lambda t: t if len(t) == 5 else None)(swarm.tasks(swarm.leader(), service)),
        60,
    )
    assert {t["Status"]["ContainerStatus"]["PID"] for t in tasks} == pids


def test_what_cannot_be_placed_says_why(swarm):
    service = swarm.service(
        "m1", "nowhere", 1, Placement={"Constraints": ["node.labels.disk==ssd"]}
    )
    task = wait_for(
        "the reason",
        lambda: [t for t in swarm.tasks("m1", service, False) if t["Status"].get("Err")],
        2,
    )[0]
    assert task["Status"]["State"] == "pending"
    assert task["Status"]["Err"].startswith("no suitable node (scheduling constraints")


def test_a_wrong_token_is_refused(swarm):
    tokens = swarm.get("m1", "/swarm")["JoinTokens"]
    assert tokens["Worker"].startswith("SWMTKN-1-")
    wrong = tokens["Worker"][:-4] + "zzzz"
    swarm.ask("w1", "POST", "/swarm/leave?force=1")
    with pytest.raises(Refused):
        swarm.ask(
            "w1",
            "POST",
            "/swarm/join",
            {"RemoteAddrs": ["10.200.0.1:2377"], "JoinToken": wrong},
        )
    swarm.ask(
        "w1",
        "POST",
        "/swarm/join",
        {"RemoteAddrs": ["10.200.0.1:2377"], "JoinToken": tokens["Worker"]},
    )
    ready = lambda: [
        n
        for n in swarm.get("m1", "/nodes")
        if n["Description"]["Hostname"] == "w1" and n["Status"]["State"] == "ready"
    ]
    wait_for("w1 is back", ready)
    for n in swarm.get("m1", "/nodes"):
        if n["Description"]["Hostname"] == "w1" and n["Status"]["State"] != "ready":
            swarm.ask("m1", "DELETE", f"/nodes/{n['ID']}?force=1")
