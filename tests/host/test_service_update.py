"""
Updates and rollbacks of services with the unmodified docker CLI, the SDK and `shoal` on one real node: what
they show while it goes on, how they end, and what the service says of itself afterwards.
"""

import json
import os
import subprocess
import time

import pytest
import test_api_engine
from test_api_engine import BUILD, IMAGE

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon

GOOD, BAD = ("sleep 1000", "sh -c 'exit 3'")


@pytest.fixture(scope="module", name="swarm")
def swarm_fixture(daemon):
    daemon.docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr",
                  "127.0.0.1:2377")
    yield daemon
    daemon.docker("swarm", "leave", "--force")


@pytest.fixture(name="web")
def web_fixture(swarm):
    """Two tasks, updated one by one and watched for a moment each."""
    swarm.docker("service", "create", "--detach", "--no-resolve-image", "--name", "web", "--replicas",
                 "2", "--stop-grace-period", "100ms", "--restart-delay", "100ms",
                 "--update-monitor", "300ms", "--rollback-monitor", "300ms", IMAGE, *GOOD.split())
    wait_until(lambda: running(swarm) == 2)
    yield "web"
    swarm.docker("service", "rm", "web")
    wait_until(lambda: not swarm.docker("ps", "-aq"))


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)  # tasks are polled: their changes have no event


def running(swarm):
    return swarm.docker("service", "ps", "--filter", "desired-state=running", "--format",
                        "{{.CurrentState}}", "web").count("Running")


def inspect(swarm):
    return json.loads(swarm.docker("service", "inspect", "web"))[0]


def update(swarm, *args, **kwargs):
    return swarm.run("service", "update", "--no-resolve-image", *args, "web", **kwargs)


def shoal(swarm, *args):
    env = {"PATH": os.environ["PATH"], "DOCKER_HOST": f"unix://{swarm.sock}"}
    return subprocess.run([BUILD / "bin/shoal", "service", *args], env=env, capture_output=True,
                          text=True, timeout=60, check=False)


def env_of(spec):
    return spec["TaskTemplate"]["ContainerSpec"].get("Env", [])


@pytest.mark.parametrize("order", ["stop-first", "start-first"])
def test_update_and_rollback_by_the_docker_cli(swarm, web, order):
    done = update(swarm, "--env-add", "A=1", "--update-order", order, "--rollback-order", order)
    assert done.returncode == 0, done.stderr
    assert "2 out of 2 tasks" in done.stdout and "converged" in done.stdout
    now = inspect(swarm)
    assert now["UpdateStatus"]["State"] == "completed"
    assert now["UpdateStatus"]["Message"] == "update completed"
    assert now["UpdateStatus"]["StartedAt"] < now["UpdateStatus"]["CompletedAt"]
    assert (env_of(now["Spec"]), env_of(now["PreviousSpec"])) == (["A=1"], [])
    pretty = swarm.docker("service", "inspect", "--pretty", web)
    assert "UpdateStatus:" in pretty and " State:\t\tcompleted" in pretty
    assert f" Update order:      {order}" in pretty

    done = swarm.run("service", "rollback", web)
    assert done.returncode == 0, done.stderr
    assert "rollback: manually requested rollback" in done.stdout and "converged" in done.stdout
    now = inspect(swarm)
    assert now["UpdateStatus"]["State"] == "rollback_completed"
    assert (env_of(now["Spec"]), env_of(now["PreviousSpec"])) == ([], ["A=1"])
    assert running(swarm) == 2


def test_force_replaces_the_tasks(swarm, web):
    before = set(swarm.docker("service", "ps", "-q", web).split())
    assert update(swarm, "--force").returncode == 0
    after = set(swarm.docker("service", "ps", "-q", "--filter", "desired-state=running",
                             web).split())
    assert len(after) == 2 and not before & after


def test_a_constraint_that_all_tasks_satisfy_replaces_none(swarm, web):
    before = swarm.docker("service", "ps", "-q", web)
    done = update(swarm, "--constraint-add", "node.role==manager")
    assert done.returncode == 0, done.stderr
    assert swarm.docker("service", "ps", "-q", web) == before
    assert "UpdateStatus" not in inspect(swarm)


def test_a_failing_update_pauses_and_goes_on(swarm, web):
    # Without a delay the second task may be replaced before the first, once it runs, has failed.
    done = update(swarm, "--args", BAD, "--update-delay", "1s")
    assert done.returncode == 1
    assert "service update paused: update paused due to failure or early termination of task" \
        in done.stderr
    assert inspect(swarm)["UpdateStatus"]["State"] == "paused"
    wait_until(lambda: running(swarm) == 1)  # the other one is tried again and again
    assert update(swarm, "--args", GOOD, "--update-delay", "0s").returncode == 0
    assert inspect(swarm)["UpdateStatus"]["State"] == "completed"
    assert running(swarm) == 2


@pytest.mark.parametrize("order", ["stop-first", "start-first"])
def test_a_failing_update_rolls_back(swarm, web, order):
    done = update(swarm, "--args", BAD, "--update-failure-action", "rollback", "--update-order",
                  order)
    # Its exit status is 0 when it sees the old tasks stable before it sees the rollback's end.
    assert "rollback: " in done.stdout or "service rolled back: " in done.stderr
    wait_until(lambda: inspect(swarm)["UpdateStatus"]["State"] == "rollback_completed")
    now = inspect(swarm)
    assert "update rolled back due to failure or early termination of task" in \
        now["UpdateStatus"]["Message"]
    assert now["Spec"]["TaskTemplate"]["ContainerSpec"]["Args"] == GOOD.split()
    assert "PreviousSpec" not in now
    wait_until(lambda: running(swarm) == 2)
    done = swarm.run("service", "rollback", web)
    assert done.returncode == 1 and "does not have a previous spec" in done.stderr


def test_what_a_configuration_may_not_say(swarm, web):
    client = swarm.client().api
    now = inspect(swarm)
    now["Spec"]["UpdateConfig"]["MaxFailureRatio"] = 2
    for spec, query, why in (
            (now["Spec"], "", "update-maxfailureratio cannot be less than 0 or bigger than 1"),
            (now["Spec"], "&rollback=next", "unrecognized rollback option next"),
            (now["Spec"], "&registryAuthFrom=me", "unsupported registryAuthFrom me")):
        answer = client.post(client.base_url + f"/v1.51/services/{web}/update?version="
                             f"{now['Version']['Index']}{query}", json=spec)
        assert answer.status_code == 400 and why in answer.json()["message"]


def test_update_by_the_sdk(swarm, web):
    service = swarm.client().services.get(web)
    service.update(env=["B=2"], fetch_current_spec=True)
    wait_until(lambda: inspect(swarm).get("UpdateStatus", {}).get("State") == "completed")
    service.reload()
    assert env_of(service.attrs["Spec"]) == ["B=2"]
    service.force_update()
    wait_until(lambda: inspect(swarm).get("UpdateStatus", {}).get("State") == "completed")
    assert all(env_of({"TaskTemplate": t["Spec"]}) == ["B=2"]
               for t in service.tasks({"desired-state": "running"}))


def test_updates_by_shoal(swarm, web):
    done = shoal(swarm, "update", "--env-add", "A=1", web)
    assert done.returncode == 0, done.stderr
    assert "update: update in progress" in done.stdout and "converged" in done.stdout
    now = inspect(swarm)
    assert now["UpdateStatus"]["State"] == "completed"
    assert now["Spec"]["Labels"]["shoal.update.deadline"] == "5m"
    done = shoal(swarm, "rollback", web)
    assert done.returncode == 0, done.stderr
    assert env_of(inspect(swarm)["Spec"]) == []
    done = shoal(swarm, "update", "--update-failure-action", "rollback", "--rollback-order",
                 "start-first", "--args", BAD, web)
    assert done.returncode == 1
    assert "service rolled back: rollback completed: update rolled back due to" in done.stderr
    done = shoal(swarm, "update", "--rollback", "--force", web)
    assert done.returncode == 1 and "may not be combined with --rollback: --force" in done.stderr


def test_an_update_that_cannot_be_placed_has_a_deadline(swarm, web):
    done = shoal(swarm, "update", "--update-deadline", "1s", "--update-order", "start-first",
                 "--reserve-cpu", "10000", web)
    assert done.returncode == 1
    assert "waiting: task" in done.stdout and "insufficient resources" in done.stdout
    assert "service update paused: " in done.stderr
    assert running(swarm) == 2
