"""
The daemon on control groups v2: limits asked of the API stand in the group's files, memory that
runs out is reported, what v2 has not is left out with a warning as Docker does, nothing is left.
"""

import contextlib
import json
import pathlib
import subprocess
import tempfile
import time

from guestlib import CGROUP, keys, read, wait_for
import test_shoald

MB = 1 << 20
IMAGE = "vm:1"  # vmlib.py has put it there


class Engine(test_shoald.Daemon):
    def call(self, method, path, body=None, status=None):
        c = test_shoald.Connection(self.socket)
        c.timeout = 60
        raw = isinstance(body, bytes)
        kind = "application/x-tar" if raw else "application/json"
        c.request(method, path, body if raw else json.dumps(body) if body is not None else None,
                  {"Content-Type": kind} if body is not None else {})
        r = c.getresponse()
        data = r.read()
        assert r.status < 400 if status is None else r.status == status, (path, r.status, data)
        try:
            return json.loads(data) if data else None
        except ValueError:
            return data

    def create(self, command, **host):
        made = self.call("POST", "/containers/create", {
            "Image": IMAGE, "Cmd": command, "HostConfig": {"NetworkMode": "none", **host}})
        return made["Id"], made["Warnings"]

    def group(self, ident):
        return CGROUP / test_shoald.CGROUP / ident


@contextlib.contextmanager
def engine():
    d = Engine(pathlib.Path(tempfile.mkdtemp(dir="/run")))
    try:
        d.start()
        d.call("POST", "/images/load", pathlib.Path("/shoal/image.tar").read_bytes())
        yield d
        left = [p for p in (CGROUP / test_shoald.CGROUP).glob("*") if p.is_dir()]
        assert left == [], left
        assert d.stop() == 0
    finally:
        d.end()


def check_info():
    with engine() as d:
        info = d.call("GET", "/info")
        assert (info["CgroupVersion"], info["CgroupDriver"]) == ("2", "cgroupfs")
        assert info["MemoryLimit"] and info["PidsLimit"] and not info["OomKillDisable"]


def check_limits():
    with engine() as d:
        ident, warnings = d.create(
            ["sleep", "1000"], Memory=64 * MB, MemorySwap=80 * MB, MemoryReservation=32 * MB,
            NanoCpus=500000000, CpuShares=512, CpusetCpus="0", PidsLimit=40)
        assert not warnings
        d.call("POST", "/containers/%s/start" % ident, status=204)
        here = d.group(ident)
        assert {f: read(here / f) for f in (
            "memory.max", "memory.swap.max", "memory.low", "cpu.max", "cpu.weight", "cpuset.cpus",
            "pids.max")} == {
                "memory.max": str(64 * MB), "memory.swap.max": str(16 * MB),
                "memory.low": str(32 * MB), "cpu.max": "50000 100000", "cpu.weight": "59",
                "cpuset.cpus": "0", "pids.max": "40"}
        seen = d.call("GET", "/containers/%s/json" % ident)
        assert seen["State"]["Running"] and seen["HostConfig"]["Memory"] == 64 * MB
        assert str(seen["State"]["Pid"]) in read(here / "cgroup.procs").split()
        d.call("POST", "/containers/%s/stop?t=1" % ident)
        wait_for(lambda: not here.exists())
        d.call("DELETE", "/containers/" + ident)


def check_devices_of_a_container():
    """Docker's rules: a node may be made and not opened."""
    with engine() as d:
        ident, _ = d.create(["sh", "-c", "mknod /d b 254 0 && ! (: < /d) && : > /dev/null"])
        d.call("POST", "/containers/%s/start" % ident, status=204)
        assert d.call("POST", "/containers/%s/wait" % ident)["StatusCode"] == 0
        d.call("DELETE", "/containers/" + ident)


def check_memory_runs_out():
    with engine() as d:
        ident, _ = d.create(["tail", "/dev/zero"], Memory=24 * MB, MemorySwap=24 * MB)
        since = int(time.time())
        d.call("POST", "/containers/%s/start" % ident, status=204)
        assert d.call("POST", "/containers/%s/wait" % ident)["StatusCode"] == 137
        state = d.call("GET", "/containers/%s/json" % ident)["State"]
        assert state["OOMKilled"] and state["ExitCode"] == 137
        c = test_shoald.Connection(d.socket)
        c.request("GET", "/events?since=%d&until=%d" % (since, time.time() + 1))
        actions = [json.loads(line)["Action"] for line in c.getresponse().read().splitlines()]
        assert "oom" in actions and "die" in actions, actions
        d.call("DELETE", "/containers/" + ident)


def check_what_v2_has_not_is_left_out_with_a_warning():
    with engine() as d:
        ident, warnings = d.create(["sleep", "1000"], Memory=64 * MB, MemorySwappiness=50,
                                   OomKillDisable=True)
        assert len(warnings) == 2
        assert "swappiness discarded" in warnings[0] and "OomKillDisable discarded" in warnings[1]
        d.call("POST", "/containers/%s/start" % ident, status=204)
        seen = d.call("GET", "/containers/%s/json" % ident)["HostConfig"]
        assert seen["MemorySwappiness"] is None and not seen["OomKillDisable"]
        d.call("DELETE", "/containers/%s?force=1" % ident)


def check_a_container_outlives_the_daemon():
    with engine() as d:
        ident, _ = d.create(["sleep", "1000"], Memory=64 * MB)
        d.call("POST", "/containers/%s/start" % ident, status=204)
        d.stop()
        assert keys(d.group(ident) / "cgroup.events")["populated"] == "1"
        d.start()
        assert d.call("GET", "/containers/%s/json" % ident)["State"]["Running"]
        d.call("POST", "/containers/%s/kill" % ident)
        assert d.call("POST", "/containers/%s/wait" % ident)["StatusCode"] == 137
        d.call("DELETE", "/containers/" + ident)


def check_exec():
    with engine() as d:
        ident, _ = d.create(["sleep", "1000"], Memory=64 * MB)
        d.call("POST", "/containers/%s/start" % ident, status=204)
        r = subprocess.run(["/shoal/bin/shoal", "-H", "unix://%s" % d.socket, "exec", ident, "cat",
                            "/proc/self/cgroup", "/sys/fs/cgroup/memory.max"],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                           check=False)
        assert (r.returncode, r.stdout) == (0, "0::/\n%d\n" % (64 * MB)), (r.stdout, r.stderr)
        d.call("DELETE", "/containers/%s?force=1" % ident)


def check_the_cli():
    with engine() as d:
        host = ["/shoal/bin/shoal", "-H", "unix://%s" % d.socket]
        r = subprocess.run([*host, "run", "--rm", "--network", "none", "--memory", "32m",
                            "--pids-limit", "9", IMAGE, "cat", "/sys/fs/cgroup/memory.max",
                            "/sys/fs/cgroup/pids.max"], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=60, check=False)
        assert (r.returncode, r.stdout) == (0, "%d\n9\n" % (32 * MB)), (r.stdout, r.stderr)
