"""
docker update, by CLI and SDK, on a real shoald: what a running container's control group has afterwards, what its
next start has, what is refused, and that a refusal changes nothing.
"""

import json
import time
from pathlib import Path

import pytest
import test_api_engine
from test_api_engine import IMAGE, docker_sdk

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon
name = test_api_engine.name

V1 = Path("/sys/fs/cgroup/memory").exists()
NAMES = {"memory": ("memory/", "memory.limit_in_bytes", "memory.max"),
         "shares": ("cpu/", "cpu.shares", "cpu.weight"),
         "quota": ("cpu/", "cpu.cfs_quota_us", "cpu.max"),
         "pids": ("pids/", "pids.max", "pids.max")}


def limit(daemon, name, what):
    ident = daemon.docker("inspect", "-f", "{{.Id}}", name)
    folder, v1, v2 = NAMES[what]
    top = Path("/sys/fs/cgroup") / (folder if V1 else "") / daemon.cgroup / ident
    return (top / (v1 if V1 else v2)).read_text().split()[0]


def host(daemon, name):
    return json.loads(daemon.docker("inspect", "-f", "{{json .HostConfig}}", name))


@pytest.fixture
def running(daemon, name):
    daemon.docker("run", "-d", "--name", name, "-m", "64m", "--pids-limit", "100", IMAGE, "sh", "-c",
                  "head -c 16000000 /dev/zero > /dev/shm/x; exec sleep 1000")
    return name


def test_a_running_one_at_once_and_at_its_next_start(daemon, running):
    since = str(int(time.time()) - 60)
    assert daemon.docker("update", "-m", "96m", "--pids-limit", "50", "--cpus", "0.5", "--restart",
                         "on-failure:3", running) == running
    h = host(daemon, running)
    assert (h["Memory"], h["MemorySwap"], h["PidsLimit"], h["NanoCpus"]) == (96 << 20, 128 << 20, 50, 500000000)
    assert h["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    for _ in range(2):
        assert limit(daemon, running, "memory") == str(96 << 20)
        assert limit(daemon, running, "pids") == "50"
        assert limit(daemon, running, "quota") == "50000"
        daemon.docker("restart", "-t", "0", running)
    events = daemon.docker("events", "--since", since, "--until", str(int(time.time()) + 1), "--filter",
                           f"container={running}", "--filter", "event=update", "--format", "{{.Action}}")
    assert events == "update"


def test_no_limit_of_processes_again(daemon, running):
    answer = daemon.client().containers.get(running).update(cpu_shares=512)
    assert answer == {"Warnings": None}
    daemon.docker("update", "--pids-limit", "-1", running)
    assert limit(daemon, running, "pids") == "max"
    assert host(daemon, running)["CpuShares"] == 512


def test_what_is_kept_outlives_the_daemon(daemon, name):
    daemon.docker("create", "--name", name, "-m", "64m", IMAGE, "sleep", "1000")
    daemon.docker("update", "-m", "32m", "--cpu-shares", "100", "--cpuset-cpus", "0", name)
    daemon.stop()
    daemon.start()
    daemon.docker("start", name)
    assert limit(daemon, name, "memory") == str(32 << 20)
    assert daemon.docker("logs", name) == "" and host(daemon, name)["CpusetCpus"] == "0"


@pytest.mark.parametrize("flags, sentence", [
    (["-m", "1m"], "Minimum memory limit allowed is 6MB"),
    (["-m", "1g"], "update the memoryswap at the same time"),
    (["--memory-swap", "32m"], "Minimum memoryswap limit should be larger than memory limit"),
    (["--cpu-period", "100"], "CPU cfs period"),
    (["--cpu-quota", "10"], "CPU cfs quota"),
    (["--cpus", "1000"], "Range of CPUs is from 0.01"),
    (["--cpuset-cpus", "0-"], "Invalid value 0- for cpuset cpus"),
    (["--cpuset-cpus", "4000"], "Requested CPUs are not available"),
    (["--blkio-weight", "100"], "HostConfig.BlkioWeight is not supported"),
])
def test_what_makes_no_sense_changes_nothing(daemon, running, flags, sentence):
    before = host(daemon, running)
    result = daemon.run("update", "--pids-limit", "7", *flags, running)
    assert result.returncode == 1 and sentence in result.stderr
    assert host(daemon, running) == before and limit(daemon, running, "pids") == "100"


def test_quota_and_processors_exclude_each_other(daemon, running):
    daemon.docker("update", "--cpus", "0.5", running)
    result = daemon.run("update", "--cpu-quota", "20000", running)
    assert "CPU Quota cannot be updated as NanoCPUs has already been set" in result.stderr


def test_a_policy_and_removal_by_itself_exclude_each_other(daemon, name):
    daemon.docker("run", "-d", "--rm", "--name", name, IMAGE, "sleep", "1000")
    with pytest.raises(docker_sdk.errors.APIError, match="because AutoRemove is enabled") as e:
        daemon.client().api.update_container(name, restart_policy={"Name": "always"})
    assert e.value.status_code == 409


@pytest.mark.skipif(not V1, reason="v2 lets a group's quota be above its parent's")
def test_what_the_kernel_refuses_changes_nothing(daemon, running):
    """Memory is written before the quota that the kernel refuses."""
    before = host(daemon, running)
    parent = Path(f"/sys/fs/cgroup/cpu/{daemon.cgroup}/cpu.cfs_quota_us")
    parent.write_text("50000")
    try:
        result = daemon.run("update", "-m", "96m", "--cpu-quota", "80000", running)
    finally:
        parent.write_text("-1")
    assert result.returncode == 1 and "Cannot update container" in result.stderr
    assert host(daemon, running) == before
    assert (limit(daemon, running, "memory"), limit(daemon, running, "quota")) == (str(64 << 20), "-1")


@pytest.mark.skipif(not V1, reason="v2 has all controllers in one group")
def test_a_set_of_processors_needs_a_start(daemon, running):
    result = daemon.run("update", "-m", "96m", "--cpuset-cpus", "0", running)
    assert "stop it, update it, and start it again" in result.stderr
    assert limit(daemon, running, "memory") == str(64 << 20)
    daemon.docker("stop", "-t", "0", running)
    daemon.docker("update", "--cpuset-cpus", "0", running)
    daemon.docker("start", running)
    daemon.docker("update", "--cpuset-cpus", "0-1", running)
    assert Path(f"/proc/{daemon.docker('inspect', '-f', '{{.State.Pid}}', running)}/status").read_text().count(
        "Cpus_allowed_list:\t0-1")
