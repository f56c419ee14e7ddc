"""
A stack whose services wait for one another, on three managers of which the leader is killed while
they wait: the new one knows what is waited for, says so, and opens when it has come.
"""

import subprocess

import pytest
from faultlib import FaultCluster, skip_unless_possible
from swarmlib import BIN, IMAGE, wait_for

skip_unless_possible()

STACK = f"""
x-base: &base
  image: {IMAGE}
  stop_grace_period: 1s
services:
  web:
    <<: *base
    environment: [WEB=%s]
    depends_on:
      db: {{condition: service_healthy}}
      migrate: {{condition: service_completed_successfully}}
    deploy: {{replicas: 3, update_config: {{parallelism: 0, monitor: 100ms}}}}
  migrate:
    <<: *base
    command: sh -c 'sleep 5'
    environment: [MIGRATE=%s]
    depends_on: {{db: {{condition: service_healthy}}}}
    deploy: {{mode: replicated-job}}
  db:
    <<: *base
    command: sh -c 'sleep 5; touch /tmp/ready; sleep 1000000'
    healthcheck: {{test: [CMD, test, -e, /tmp/ready], interval: 200ms, retries: 1000}}
"""


@pytest.fixture(scope="module", name="swarm")
def swarm_fixture():
    cluster = FaultCluster(3, 0)
    yield cluster
    cluster.down()


def deploy(swarm, node, text):
    done = subprocess.run(
        [str(BIN / "shoal"), "-H", f"unix://{swarm.socket(node)}", "stack", "deploy", "-c", "-", "s"],
        input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def tasks(swarm, node, service):
    return swarm.get(node, "/tasks", service=f"s_{service}")


def live(swarm, node, service):
    return [t for t in tasks(swarm, node, service) if t["DesiredState"] in ("running", "complete")]


def another(swarm, leader):
    return next(m for m in swarm.managers if m != leader)


def kill_leader(swarm):
    """Ends the leader at once and has it back; a manager that did not lead."""
    leader = swarm.leader()
    other = another(swarm, leader)
    swarm.kill_now(leader)
    wait_for("another leads", lambda: swarm.get(other, "/services"), 30)
    swarm.wait_ended(leader)
    swarm.tool("start", leader)
    return other


def completed(swarm, node):
    return [t for t in tasks(swarm, node, "migrate") if t["Status"]["State"] == "complete"]


def held(swarm, node, said):
    rows = live(swarm, node, "web")
    return len(rows) == 3 and all(
        t["Status"]["State"] == "pending" and t["Status"].get("Err") == said for t in rows)


def test_a_leader_dies_while_services_wait(swarm):
    deploy(swarm, swarm.leader(), STACK % (1, 1))
    node = swarm.leader()
    wait_for("web waits for both", lambda: held(
        swarm, node, "waiting for s_db to be healthy, for s_migrate to complete"))
    node = kill_leader(swarm)
    wait_for("web waits for the job alone", lambda: held(
        swarm, node, "waiting for s_migrate to complete"), 60)
    assert not completed(swarm, node)
    node = kill_leader(swarm)
    wait_for("web runs", lambda: [t["Status"]["State"] for t in live(swarm, node, "web")]
             == ["running"] * 3, 60)
    done = completed(swarm, node)
    assert len(done) == 1
    for task in live(swarm, node, "web"):
        assert task["Status"]["Timestamp"] > done[0]["Status"]["Timestamp"]


def test_a_leader_dies_while_an_update_waits(swarm):
    node = swarm.leader()
    before = {t["ID"] for t in live(swarm, node, "web")}
    deploy(swarm, node, STACK % (2, 2))

    def message(node):
        return swarm.get(node, "/services/s_web").get("UpdateStatus", {}).get("Message")

    waiting = "update in progress; waiting: for s_migrate to complete"
    wait_for("the update waits", lambda: message(node) == waiting)
    node = kill_leader(swarm)
    wait_for("it still waits", lambda: message(node) == waiting)
    assert {t["ID"] for t in live(swarm, node, "web")} == before
    assert len(completed(swarm, node)) == 1
    wait_for("the update is done", lambda: message(node) == "update completed", 60)
    second = max(t["Status"]["Timestamp"] for t in completed(swarm, node))
    assert len(completed(swarm, node)) == 2
    for task in live(swarm, node, "web"):
        assert task["ID"] not in before and task["CreatedAt"] > second
