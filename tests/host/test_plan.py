"""
Plans and rebalancing by `shoal` and the API on one real node: a plan changes nothing, comes true, and its
check index refuses once the state has moved.
"""

import json
import subprocess

import pytest
import test_api_engine
from test_api_engine import BUILD, IMAGE
from test_service_update import inspect, shoal, swarm_fixture, wait_until, web_fixture  # noqa: F401

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon
swarm = swarm_fixture
web = web_fixture


def plan(swarm, *args):
    done = shoal(swarm, "plan", "--format", "json", *args, "web")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def counts(report):
    return [report["Services"][0][k] for k in ("Create", "Replace", "Stay", "Remove", "Waiting")]


def settled(swarm):
    """Everything of the creation has been reported: the index does not move any more."""
    last = []

    def same():
        last.append(plan(swarm)["Index"])
        return len(last) > 5 and len(set(last[-5:])) == 1
    wait_until(same)
    return last[-1]


def test_a_plan_changes_nothing_and_comes_true(swarm, web):
    settled(swarm)
    before = inspect(swarm)
    tasks = swarm.docker("service", "ps", "-q", web)
    report = plan(swarm, "--env-add", "A=1")
    assert counts(report) == [0, 2, 0, 0, 0] and report["Complete"]
    assert report["Services"][0]["UpdateState"] == "completed"
    assert counts(plan(swarm, "--replicas", "5")) == [3, 0, 2, 0, 0]
    assert counts(plan(swarm, "--replicas", "1")) == [0, 0, 1, 1, 0]
    assert counts(plan(swarm, "--constraint-add", "node.role==manager")) == [0, 0, 2, 0, 0]
    assert counts(plan(swarm, "--reserve-cpu", "10000")) == [0, 1, 1, 0, 1]
    assert inspect(swarm) == before
    assert swarm.docker("service", "ps", "-q", web) == tasks

    text = shoal(swarm, "plan", "--env-add", "A=1", web).stdout
    assert "Service web: update (0 created, 2 replaced, 0 stay, 0 removed)" in text
    assert f"--check-index {report['Index']} " in text
    done = shoal(swarm, "update", "--env-add", "A=1", "--check-index", str(report["Index"]), web)
    assert done.returncode == 0, done.stderr
    after = set(swarm.docker("service", "ps", "-q", "--filter", "desired-state=running", web).split())
    assert len(after) == 2 and not after & set(tasks.split())
    assert counts(plan(swarm, "--rollback")) == [0, 2, 0, 0, 0]


def test_the_check_index_refuses_what_has_moved(swarm, web):
    index = settled(swarm)
    node = swarm.docker("node", "ls", "-q").strip()
    swarm.docker("node", "update", "--label-add", "a=b", node)
    try:
        done = shoal(swarm, "update", "--env-add", "A=1", "--check-index", str(index), web)
        assert done.returncode == 1
        assert "the state has moved since the plan was made" in done.stderr
        assert not inspect(swarm)["Spec"]["TaskTemplate"]["ContainerSpec"].get("Env")
        index = plan(swarm, "--env-add", "A=1")["Index"]
        done = shoal(swarm, "update", "--env-add", "A=1", "--check-index", str(index), web)
        assert done.returncode == 0, done.stderr
    finally:
        swarm.docker("node", "update", "--label-rm", "a", node)


STACK = f"""
services:
  front:
    image: {IMAGE}
    command: sleep 1000
    stop_grace_period: 100ms
    networks: [net]
    deploy: {{replicas: 2}}
networks:
  net: {{}}
"""


def stack(swarm, *args):
    env = {"PATH": "/usr/bin:/bin", "DOCKER_HOST": f"unix://{swarm.sock}"}
    return subprocess.run([BUILD / "bin/shoal", "stack", *args, "-c", "-", "st"], env=env, input=STACK,
                          capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.usefixtures("web")
def test_a_stack_is_planned_and_deployed(swarm):
    settled(swarm)
    done = stack(swarm, "plan", "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [s["Name"] for s in report["Services"]] == ["st_front"]
    assert report["Services"][0]["Action"] == "create" and counts(report) == [2, 0, 0, 0, 0]
    assert "st_net" not in swarm.docker("network", "ls", "--format", "{{.Name}}")
    try:
        done = stack(swarm, "deploy", "--detach=false", "--check-index", str(report["Index"]))
        assert done.returncode == 0, done.stderr
        done = stack(swarm, "deploy", "--check-index", str(report["Index"]))
        assert done.returncode == 1 and "the state has moved" in done.stderr
        again = json.loads(stack(swarm, "plan", "--format", "json").stdout)
        assert again["Services"][0]["Action"] == "update" or counts(again) == [0, 0, 2, 0, 0]
        assert counts(again) == [0, 0, 2, 0, 0]
    finally:
        swarm.docker("stack", "rm", "st")
        wait_until(lambda: "st_" not in swarm.docker("network", "ls", "--format", "{{.Name}}"))


def test_a_rebalance_is_asked_for(swarm, web):
    done = shoal(swarm, "rebalance", web)
    assert done.returncode == 0, done.stderr
    assert "rebalance completed: 0 tasks were moved" in done.stdout
    now = json.loads(shoal(swarm, "inspect", web).stdout)[0]
    assert now["RebalanceStatus"]["State"] == "completed"
    done = swarm.run("service", "create", "--detach", "--no-resolve-image", "--name", "all", "--mode",
                     "global", "--stop-grace-period", "100ms", IMAGE, "sleep", "1000")
    assert done.returncode == 0, done.stderr
    try:
        done = shoal(swarm, "rebalance", "all")
        assert done.returncode == 1 and "service all is global" in done.stderr
        done = shoal(swarm, "update", "--detach", "--label-add", "shoal.rebalance=auto", "all")
        assert done.returncode == 1 and "for replicated services alone" in done.stderr
    finally:
        swarm.docker("service", "rm", "all")
        wait_until(lambda: "all." not in swarm.docker("ps", "-a", "--format", "{{.Names}}"))
