"""
Tasks with a health check, on a swarm of one node with the docker CLI: a task is running once it is
healthy, one that becomes unhealthy has failed and is replaced, and the start period is kept to.
"""

import json

import pytest
import test_api_engine
from test_api_engine import IMAGE
from test_health import wait_for

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon
name = test_api_engine.name


@pytest.fixture(scope="module", autouse=True)
def swarm(daemon):
    daemon.docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr",
                  "127.0.0.1:2377")
    yield
    daemon.docker("swarm", "leave", "--force")


@pytest.fixture
def service(daemon, name):
    def create(*flags):
        daemon.docker("service", "create", "--detach", "--no-resolve-image", "--name", name,
                      "--restart-delay", "100ms", "--stop-grace-period", "1s", "--health-interval",
                      "100ms", *flags, IMAGE, "sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait")
        return name
    yield create
    daemon.run("service", "rm", name)
    wait_for("no containers", lambda: not daemon.docker("ps", "-aq"))


def tasks(daemon, service):
    client = daemon.client()
    found = client.api.tasks(filters={"service": service})
    return sorted(found, key=lambda t: t["CreatedAt"])


def first(daemon, service, state):
    return wait_for(f"a task {state}", lambda: next(
        (t for t in tasks(daemon, service) if t["Status"]["State"] == state and (
            state != "starting" or "health" in t["Status"]["Message"])), None))


def test_it_runs_once_it_is_healthy(daemon, service):
    box = service("--health-cmd", "test -e /tmp/well", "--health-retries", "100000")
    t = first(daemon, box, "starting")
    container = t["Status"]["ContainerStatus"]["ContainerID"]
    wait_for("probes", lambda: json.loads(daemon.docker(
        "inspect", "-f", "{{json .State}}", container))["Health"]["FailingStreak"] > 3)
    assert first(daemon, box, "starting")["ID"] == t["ID"]
    assert daemon.docker("service", "ls", "--format", "{{.Replicas}}") == "0/1"
    daemon.docker("exec", container, "touch", "/tmp/well")
    assert first(daemon, box, "running")["ID"] == t["ID"]
    assert daemon.docker("service", "ls", "--format", "{{.Replicas}}") == "1/1"
    spec = json.loads(daemon.docker("inspect", box))[0]["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert spec["Healthcheck"] == {"Test": ["CMD-SHELL", "test -e /tmp/well"],
                                   "Interval": 10 ** 8, "Retries": 100000}


def test_an_unhealthy_one_is_replaced(daemon, service):
    box = service("--health-cmd", "test ! -e /tmp/ill", "--health-retries", "1")
    t = first(daemon, box, "running")
    container = t["Status"]["ContainerStatus"]["ContainerID"]
    daemon.docker("exec", container, "touch", "/tmp/ill")
    old = first(daemon, box, "failed")
    assert old["ID"] == t["ID"]
    # It had ended in good order, and has failed all the same.
    assert old["Status"]["Err"] == "task: non-zero exit (0): unhealthy container"
    assert first(daemon, box, "running")["ID"] != t["ID"]


def test_one_that_never_gets_healthy(daemon, service):
    box = service("--health-cmd", "false", "--health-retries", "2", "--restart-condition", "none")
    t = first(daemon, box, "failed")
    assert "unhealthy container" in t["Status"]["Err"]


def test_the_start_period(daemon, service):
    box = service("--health-cmd", "test -e /tmp/well", "--health-retries", "1",
                  "--health-start-period", "1h", "--health-start-interval", "50ms")
    t = first(daemon, box, "starting")
    container = t["Status"]["ContainerStatus"]["ContainerID"]
    wait_for("probes", lambda: len(json.loads(daemon.docker(
        "inspect", "-f", "{{json .State.Health.Log}}", container))) == 5)
    daemon.docker("exec", container, "touch", "/tmp/well")
    assert first(daemon, box, "running")["ID"] == t["ID"]


def test_over_a_restart_of_the_daemon(daemon, service):
    box = service("--health-cmd", "test -e /tmp/well", "--health-retries", "100000")
    t = first(daemon, box, "starting")
    container = t["Status"]["ContainerStatus"]["ContainerID"]
    daemon.process.kill()
    daemon.process.wait(30)
    daemon.start()
    daemon.docker("exec", container, "touch", "/tmp/well")
    wait_for("running", lambda: daemon.run(
        "service", "ls", "--format", "{{.Replicas}}").stdout.strip() == "1/1")
    assert first(daemon, box, "running")["ID"] == t["ID"]


def test_refusals(daemon):
    r = daemon.run("service", "create", "--detach", "--no-resolve-image", "--health-interval",
                   "1us", IMAGE, "true")
    assert r.returncode and "Interval in Healthcheck cannot be less than 1ms" in r.stderr
