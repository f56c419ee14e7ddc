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


def allowed(daemon, name, what="Cpus"):
    """What the kernel lets each process of a container use."""
    pids = [p[0] for p in daemon.client().containers.get(name).top(ps_args="-o pid")["Processes"]]
    return {line.split()[1] for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith(f"{what}_allowed_list:")}


def late_group(daemon, name):
    """v1's group of processors, which is there only once somebody asks for some."""
    return Path("/sys/fs/cgroup/cpuset") / daemon.cgroup / daemon.docker("inspect", "-f", "{{.Id}}", name)


def test_a_set_of_processors_at_once(daemon, name):
    """Also for what runs already, and for what is executed later; and nothing is left at the end."""
    daemon.docker("run", "-d", "--name", name, IMAGE, "sh", "-c", "sleep 1000 & sleep 1001 & wait")
    group = late_group(daemon, name)
    all_of_them = allowed(daemon, name)
    daemon.docker("update", "--cpuset-cpus", "0", "--cpuset-mems", "0", name)
    assert allowed(daemon, name) == {"0"} and len(daemon.client().containers.get(name).top()["Processes"]) == 3
    assert "Cpus_allowed_list:\t0" in daemon.docker("exec", name, "cat", "/proc/self/status").splitlines()
    if V1:
        assert len((group / "cgroup.procs").read_text().split()) == 3
    if all_of_them == {"0-1"}:
        daemon.docker("update", "--cpuset-cpus", "0-1", name)
        assert allowed(daemon, name) == all_of_them
    daemon.docker("kill", name)
    assert not group.exists()
    daemon.docker("start", name)
    assert host(daemon, name)["CpusetCpus"] in ("0", "0-1")
    daemon.docker("kill", name)
    assert not group.exists()


def test_a_set_that_the_kernel_refuses_changes_nothing(daemon, running):
    """Nor is a later one without effect, because a group is there that nobody is in."""
    before, group = host(daemon, running), late_group(daemon, running)
    result = daemon.run("update", "-m", "96m", "--cpuset-cpus", "0", "--cpuset-mems", "60", running)
    assert result.returncode == 1 and "Cannot update container" in result.stderr
    assert host(daemon, running) == before and limit(daemon, running, "memory") == str(64 << 20)
    assert not V1 or not group.exists()
    daemon.docker("update", "--cpuset-cpus", "0", running)
    assert allowed(daemon, running) == {"0"}
    result = daemon.run("update", "--cpuset-mems", "60", running)
    assert result.returncode == 1 and allowed(daemon, running) == {"0"}


@pytest.mark.skipif(not V1, reason="v2 has all controllers in one group")
def test_a_late_group_goes_after_a_restart_of_the_daemon(daemon, name):
    daemon.docker("run", "-d", "--name", name, IMAGE, "sleep", "1000")
    group = late_group(daemon, name)
    daemon.docker("update", "--cpuset-cpus", "0", name)
    daemon.stop()
    daemon.start()
    assert group.exists() and allowed(daemon, name) == {"0"}
    daemon.docker("rm", "-f", name)
    assert not group.exists()
