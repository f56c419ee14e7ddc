"""
Stacks on a swarm of one node: by shoal's own reader, and by the docker CLI unchanged; each sees what
the other deployed.
"""

import os
import shutil
import subprocess

import pytest
from test_cli_daemon import IMAGE, SHOALD, Bridged, daemon, shoal, wait_for  # noqa: F401

DOCKER = shutil.which("docker")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not SHOALD.exists(), reason="needs root and a built shoald")

ONE = f"""
x-base: &base
  image: {IMAGE}
  stop_grace_period: 1s
services:
  web:
    <<: *base
    environment: {{WHO: "${{WHO:-nobody}}"}}
    deploy: {{replicas: 2}}
  other:
    <<: *base
    container_name: ignored
"""


@pytest.fixture(scope="module")
def swarm(shoal):  # noqa: F811
    shoal("swarm", "init", "--advertise-addr", "127.0.0.1")
    return shoal


@pytest.fixture
def docker(swarm):
    if not DOCKER:
        pytest.skip("no docker CLI")

    def run(*argv, code=0):
        done = subprocess.run([DOCKER, "-H", swarm.host, *argv], timeout=90, capture_output=True,
                              text=True, check=False)
        assert done.returncode == code, (argv, done.stdout, done.stderr)
        return done.stderr if code else done.stdout
    return run


def running(shoal, service):  # noqa: F811
    rows = shoal.lines("service", "ps", service, "-q", "--filter", "desired-state=running")
    return sorted(rows)


def test_deploy_again_prune_and_rm(swarm):
    swarm("stack", "deploy", "-c", "-", "--detach=false", "one", stdin=ONE)
    assert swarm("stack", "ls", "--format", "{{.Name}} {{.Services}}") == "one 2\n"
    assert sorted(swarm.lines("stack", "services", "one", "--format", "{{.Name}} {{.Replicas}}")) \
        == ["one_other 1/1", "one_web 2/2"]
    assert len(swarm.lines("stack", "ps", "one", "-q")) == 3
    env = swarm("service", "inspect", "one_web", "--format",
                "{{json .Spec.TaskTemplate.ContainerSpec.Env}}")
    assert env == '["WHO=nobody"]\n'

    before = running(swarm, "one_web")
    swarm("stack", "deploy", "-c", "-", "--detach=false", "one", stdin=ONE)
    assert running(swarm, "one_web") == before

    less = ONE.split("  other:")[0]
    swarm("stack", "deploy", "-c", "-", "--prune", "--detach=false", "one", stdin=less)
    assert swarm.lines("stack", "services", "one", "--format", "{{.Name}}") == ["one_web"]

    out = swarm("stack", "rm", "one")
    assert "Removing service one_web" in out and "Removing network one_default" in out
    assert swarm("stack", "ls", "--format", "{{.Name}}") == ""
    assert "one_default" not in swarm("network", "ls")
    assert "nothing found in stack: one" in swarm("stack", "ps", "one", code=1)


def test_what_is_not_supported_stops_the_deployment(swarm):
    said = swarm("stack", "deploy", "-c", "-", "bad", code=1,
                 stdin=f"services:\n  a: {{image: {IMAGE}, privileged: true, pid: host}}\n")
    assert "<stdin>:2:" in said and "privileged is not supported" in said and "pid is" in said
    assert swarm("stack", "ls", "--format", "{{.Name}}") == ""


def test_config(swarm, tmp_path):
    a, b = tmp_path / "a.yml", tmp_path / "b.yml"
    a.write_text("services: {a: {image: \"i:${T}\", environment: [X=1]}}\n")
    b.write_text("services: {a: {environment: {Y: 2}}}\n")
    (tmp_path / ".env").write_text("T=9\n")
    out = swarm("stack", "config", "-c", str(a), "-c", str(b))
    assert 'image: "i:9"' in out and "Y: 2" in out and "X: \"1\"" in out


def test_the_docker_cli_and_shoal_see_the_same_stacks(swarm, docker, tmp_path):
    file = tmp_path / "two.yml"
    file.write_text("version: '3.8'\n" + ONE.replace("    container_name: ignored\n", ""))
    docker("stack", "deploy", "-c", str(file), "--resolve-image", "never", "--detach=true", "two")
    wait_for("both services", lambda: sorted(swarm.lines(
        "stack", "services", "two", "--format", "{{.Replicas}}")) == ["1/1", "2/2"])
    assert docker("stack", "ls", "--format", "{{.Name}} {{.Services}}") == "two 2\n"
    assert swarm("stack", "ls", "--format", "{{.Name}}") == "two\n"
    assert len(docker("stack", "ps", "-q", "two").split()) == 3
    assert sorted(docker("stack", "services", "two", "--format", "{{.Name}}").split()) \
        == ["two_other", "two_web"]

    before = running(swarm, "two_web")
    swarm("stack", "deploy", "-c", str(file), "two")
    docker("stack", "deploy", "-c", str(file), "--resolve-image", "never", "--detach=true", "two")
    assert running(swarm, "two_web") == before
    docker("stack", "rm", "--detach=false", "two")
    wait_for("the end of the stack", lambda: "two_" not in docker("network", "ls"))
    assert docker("stack", "ls", "--format", "{{.Name}}") == ""
