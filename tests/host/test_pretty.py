"""
`inspect --pretty`: letter by letter what docker's own command line prints of the same objects.
"""

import os
import re
import shutil
import subprocess

import pytest
from test_cli_daemon import IMAGE, SHOALD, Bridged, daemon, shoal, wait_for  # noqa: F401

DOCKER = shutil.which("docker")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not SHOALD.exists() or not DOCKER,
    reason="needs root, the docker CLI and a built shoald")


@pytest.fixture(scope="module")
def swarm(shoal):  # noqa: F811
    shoal("swarm", "init", "--advertise-addr", "127.0.0.1")
    return shoal


def same(swarm, kind, *names):
    argv = [kind, "inspect", "--pretty", *names]
    docker = subprocess.run([DOCKER, "-H", swarm.host, *argv], capture_output=True, text=True,
                            check=True, timeout=60).stdout
    mine = swarm(*argv)
    # "ago" goes on between the two
    ago = r"(\d+ seconds?|Less than a second) ago"
    assert re.sub(ago, "_ ago", mine) == re.sub(ago, "_ ago", docker)
    return mine


def test_nodes(swarm):
    node = swarm("node", "ls", "-q").strip()
    swarm("node", "update", "--label-add", "rack=1", "--label-add", "bare", node)
    text = same(swarm, "node", "self")
    assert " - rack=1\n" in text and "Raft Status:\t\tReachable" in text


def test_secrets_and_configs(swarm):
    swarm("secret", "create", "-l", "a=b", "-l", "c", "one", "-", stdin="x")
    swarm("secret", "create", "two", "-", stdin="x")
    swarm("config", "create", "-l", "a=b", "conf", "-", stdin="line\nline\n")
    same(swarm, "secret", "one")
    same(swarm, "secret", "one", "two")
    assert "line\nline\n" in same(swarm, "config", "conf")


def test_services(swarm):
    swarm("network", "create", "-d", "overlay", "net")
    swarm("service", "create", "-d", "--name", "least", "--replicas", "0", IMAGE)
    swarm("service", "create", "-d", "--name", "most", "--replicas", "1", "--label", "a=b",
          "--label", "c", "--env", "A=1", "--env", "B=x", "--workdir", "/tmp", "--user", "1:2",
          "--constraint", "node.role==manager", "--constraint", "node.labels.x!=y",
          "--placement-pref", "spread=node.labels.rack", "--replicas-max-per-node", "3",
          "--update-delay", "2s", "--update-parallelism", "2", "--update-monitor", "10s",
          "--update-max-failure-ratio", "0.3", "--update-order", "start-first",
          "--update-failure-action", "rollback", "--rollback-parallelism", "0",
          "--cap-add", "NET_ADMIN", "--cap-drop", "CHOWN", "--sysctl", "net.ipv4.ip_forward=1",
          "--ulimit", "nofile=10:20", "--ulimit", "core=0:0", "--network", "net",
          "--mount", "type=tmpfs,target=/t", "--mount", "type=volume,source=v,target=/v,readonly",
          "--config", "conf", "--secret", "one", "--secret", "source=two,target=three",
          "--limit-cpu", "0.5", "--limit-memory", "64m", "--limit-pids", "30", "--reserve-memory",
          "20m", "--reserve-cpu", "0.25", "--health-cmd", "true", "--health-interval", "1m30s",
          "--health-timeout", "3s", "--health-retries", "4", IMAGE, "sleep", "1000")
    swarm("service", "create", "-d", "--name", "all", "--mode", "global", "--endpoint-mode", "dnsrr", "--no-healthcheck",
          "--constraint", "node.role==worker", IMAGE)
    swarm("service", "create", "-d", "--name", "job", "--mode", "replicated-job", IMAGE, "true")
    for name in ("least", "most", "all", "job"):
        same(swarm, "service", name)
    same(swarm, "service", "least", "most")
    swarm("service", "create", "--quiet", "--name", "new", "--stop-grace-period", "1s", IMAGE)
    swarm("service", "update", "--quiet", "--env-add", "C=2", "--update-monitor", "100ms", "new")
    assert "UpdateStatus:\n State:\t\tcompleted" in same(swarm, "service", "new")


def test_either_pretty_or_a_format(swarm):
    said = swarm("node", "inspect", "--pretty", "--format", "json", "self", code=1)
    assert "--format is incompatible with human friendly format" in said


def test_a_service_that_never_converges_is_given_up(swarm):
    done = subprocess.run(
        [str(SHOALD.parent / "shoal"), "-H", swarm.host, "service", "create", "--name", "never",
         "--constraint", "node.role==worker", "--converge-deadline", "2s", IMAGE],
        capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "service never has not converged, and nothing has changed for 2s: " in done.stderr
    assert "no suitable node (scheduling constraints not satisfied on 1 node)" in done.stderr
    assert "use `shoal service ps " in done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(set(lines)), lines
