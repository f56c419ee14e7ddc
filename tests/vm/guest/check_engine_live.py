"""
What is done to containers that run, through the daemon on control groups v2: pause, update, stats,
top and the report of memory that ran out, each beside what the kernel says of the group.
"""

import contextlib
import json
import subprocess

from check_engine import MB, engine
from guestlib import keys, read, wait_for
import test_shoald

BUSY = "head -c 20000000 /dev/zero > /dev/shm/x; while :; do :; done"


@contextlib.contextmanager
def running(d, command, **host):
    ident, _ = d.create(command, **host)
    d.call("POST", "/containers/%s/start" % ident, status=204)
    try:
        yield ident
    finally:
        d.call("DELETE", "/containers/%s?force=1" % ident, status=204)


def state(d, ident):
    return d.call("GET", "/containers/%s/json" % ident)["State"]


def logs(d, ident):
    return d.call("GET", "/containers/%s/logs?stdout=1" % ident) or b""


def host(d, ident):
    return d.call("GET", "/containers/%s/json" % ident)["HostConfig"]


def frozen(d, ident):
    return keys(d.group(ident) / "cgroup.events")["frozen"] == "1"


def refused(d, method, path, status, sentence, body=None):
    said = d.call(method, path, body, status=status)["message"]
    assert sentence in said, said


def check_pause_and_unpause():
    with engine() as d, running(d, ["sh", "-c", "while :; do :; done"]) as ident:
        d.call("POST", "/containers/%s/pause" % ident, status=204)
        s = state(d, ident)
        assert (s["Status"], s["Running"], s["Paused"]) == ("paused", True, True) and frozen(d, ident)
        used = keys(d.group(ident) / "cpu.stat")["usage_usec"]
        refused(d, "POST", "/containers/%s/pause" % ident, 409, "is already paused")
        refused(d, "POST", "/containers/%s/exec" % ident, 409, "unpause the container before exec",
                {"Cmd": ["true"]})
        rows = d.call("GET", "/containers/%s/top" % ident)["Processes"]
        assert len(rows) == 1, rows
        assert keys(d.group(ident) / "cpu.stat")["usage_usec"] == used  # it stands still
        d.call("POST", "/containers/%s/unpause" % ident, status=204)
        assert state(d, ident)["Status"] == "running" and not frozen(d, ident)
        wait_for(lambda: keys(d.group(ident) / "cpu.stat")["usage_usec"] != used)
        refused(d, "POST", "/containers/%s/unpause" % ident, 409, "is not paused")


def check_paused_ones_end():
    """By a signal that they cannot catch, by one that they can, and by stop."""
    with engine() as d:
        for path, code in (("kill", 137), ("stop?t=60", 3), ("stop?t=0", None)):
            command = ["sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"]
            with running(d, command) as ident:
                wait_for(lambda i=ident: b"ready" in logs(d, i))
                d.call("POST", "/containers/%s/pause" % ident, status=204)
                d.call("POST", "/containers/%s/%s" % (ident, path), status=204)
                ended = d.call("POST", "/containers/%s/wait" % ident)["StatusCode"]
                assert ended == code or code is None and ended in (3, 137), (path, ended)
                assert not state(d, ident)["Paused"]


def check_a_paused_one_outlives_the_daemon():
    with engine() as d, running(d, ["sleep", "1000"]) as ident:
        d.call("POST", "/containers/%s/pause" % ident, status=204)
        d.stop()
        assert frozen(d, ident)
        d.start()
        assert state(d, ident)["Paused"]
        d.call("POST", "/containers/%s/unpause" % ident, status=204)
        assert not frozen(d, ident)


def check_update():
    with engine() as d, running(d, ["sleep", "1000"], Memory=64 * MB, PidsLimit=100) as ident:
        here = d.group(ident)
        said = d.call("POST", "/containers/%s/update" % ident, {
            "Memory": 96 * MB, "MemorySwap": 128 * MB, "MemoryReservation": 48 * MB,
            "NanoCpus": 500000000, "CpuShares": 512, "CpusetCpus": "0", "CpusetMems": "0",
            "PidsLimit": 40})
        assert said == {"Warnings": None}, said
        want = {"memory.max": str(96 * MB), "memory.swap.max": str(32 * MB),
                "memory.low": str(48 * MB), "cpu.max": "50000 100000", "cpu.weight": "59",
                "cpuset.cpus": "0", "cpuset.mems": "0", "pids.max": "40"}
        assert {f: read(here / f) for f in want} == want
        pid = state(d, ident)["Pid"]
        assert "Cpus_allowed_list:\t0\n" in read("/proc/%d/status" % pid)
        d.call("POST", "/containers/%s/update" % ident, {"PidsLimit": -1})
        assert read(here / "pids.max") == "max" and read(here / "memory.max") == str(96 * MB)
        d.call("POST", "/containers/%s/restart?t=0" % ident, status=204)
        want["pids.max"] = "max"
        assert {f: read(here / f) for f in want} == want


def check_a_refused_update_changes_nothing():
    with engine() as d, running(d, ["sleep", "1000"], Memory=64 * MB) as ident:
        here, before = d.group(ident), host(d, ident)
        refused(d, "POST", "/containers/%s/update" % ident, 400, "cpuset.mems: Invalid argument",
                {"Memory": 32 * MB, "CpusetCpus": "0", "CpusetMems": "60"})
        assert host(d, ident) == before
        has = (read(here / "memory.max"), read(here / "cpuset.cpus.effective"),
               read(here / "cpuset.mems.effective"))
        assert has == (str(64 * MB), "0-1", "0")
        refused(d, "POST", "/containers/%s/update" % ident, 400, "Minimum memory limit",
                {"Memory": MB})
        d.call("POST", "/containers/%s/update" % ident, {"CpusetCpus": "0"})
        assert read(here / "cpuset.cpus") == "0"


def check_update_by_the_cli():
    with engine() as d, running(d, ["sleep", "1000"]) as ident:
        r = subprocess.run(["/shoal/bin/shoal", "-H", "unix://%s" % d.socket, "update", "--memory",
                            "32m", "--cpuset-cpus", "0", ident], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=60, check=False)
        assert (r.returncode, r.stdout) == (0, ident + "\n"), (r.stdout, r.stderr)
        assert read(d.group(ident) / "memory.max") == str(32 * MB)
        assert read(d.group(ident) / "cpuset.cpus") == "0"


def check_stats():
    with engine() as d, running(d, ["sh", "-c", BUSY], Memory=64 * MB, NanoCpus=200000000,
                                PidsLimit=50) as ident:
        here = d.group(ident)
        wait_for(lambda: int(read(here / "memory.current")) > 20000000 and
                 keys(here / "cpu.stat")["nr_throttled"] != "0")
        s = d.call("GET", "/containers/%s/stats?stream=0" % ident)
        memory, now = s["memory_stats"], keys(here / "memory.stat")
        assert memory["limit"] == 64 * MB and 20000000 < memory["usage"] < 64 * MB
        assert "max_usage" not in memory and "failcnt" not in memory
        # The kernel's own names; v1's are not there.
        assert set(memory["stats"]) == set(now) and memory["stats"]["shmem"] >= 20000000
        assert s["pids_stats"] == {"current": 1, "limit": 50}
        cpu, before = s["cpu_stats"], s["precpu_stats"]
        assert cpu["throttling_data"]["periods"] > 0 and cpu["throttling_data"]["throttled_time"] > 0
        total = cpu["cpu_usage"]["total_usage"]
        assert 0 < before["cpu_usage"]["total_usage"] < total
        assert total <= int(keys(here / "cpu.stat")["usage_usec"]) * 1000
        assert "percpu_usage" not in cpu["cpu_usage"]
        assert set(s["blkio_stats"]) >= {"io_service_bytes_recursive", "io_serviced_recursive"}


def check_stats_follow():
    with engine() as d, running(d, ["sleep", "1000"]) as ident:
        c = test_shoald.Connection(d.socket)
        c.timeout = 60
        c.request("GET", "/containers/%s/stats" % ident)
        r = c.getresponse()
        one, two = json.loads(r.readline()), json.loads(r.readline())
        assert two["preread"] == one["read"] < two["read"]
        # Without a limit of its own the machine's memory is the limit.
        total = int(keys("/proc/meminfo")["MemTotal:"]) * 1024
        assert two["memory_stats"]["limit"] == total, (two["memory_stats"], total)
        r.close()
        c.close()
        row = subprocess.run(["/shoal/bin/shoal", "-H", "unix://%s" % d.socket, "stats",
                              "--no-stream", "--format", "json", ident], stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, timeout=60, check=False)
        assert row.returncode == 0 and json.loads(row.stdout)["PIDs"] == "1", (row.stdout, row.stderr)


def check_top():
    with engine() as d, running(d, ["sh", "-c", "sleep 1000 & sleep 1001 & wait"]) as ident:
        wait_for(lambda: len(read(d.group(ident) / "cgroup.procs").split()) == 3)
        top = d.call("GET", "/containers/%s/top?ps_args=-o+pid,args" % ident)
        assert top["Titles"] == ["PID", "COMMAND"], top
        pids = {row[0] for row in top["Processes"]}
        assert pids == set(read(d.group(ident) / "cgroup.procs").split())


def check_memory_runs_out_in_a_child():
    """The container lives on, and the report comes with its end."""
    with engine() as d, running(d, ["sh", "-c", "tail /dev/zero; echo survived; read x"],
                                Memory=24 * MB, MemorySwap=24 * MB) as ident:
        assert d.call("POST", "/containers/%s/wait" % ident)["StatusCode"] is not None
        assert state(d, ident)["OOMKilled"]
        assert b"survived" in logs(d, ident)


def check_changes():
    """The writable layer as this kernel's overlayfs leaves it."""
    with engine() as d:
        ident, _ = d.create(["sh", "-c", "echo > /new; rm -r /home; mkdir /home; rm /bin/vi"])
        d.call("POST", "/containers/%s/start" % ident, status=204)
        assert d.call("POST", "/containers/%s/wait" % ident)["StatusCode"] == 0
        changes = d.call("GET", "/containers/%s/changes" % ident)
        assert [(c["Path"], c["Kind"]) for c in changes] == [
            ("/bin", 0), ("/bin/vi", 2), ("/new", 1)], changes
        d.call("DELETE", "/containers/" + ident)
