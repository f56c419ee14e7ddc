"""
A container's life in its group of v2: freezing, killing, memory running out, what it has used, and
that nothing is left of the group, whatever the container has made below it.
"""

import json

from guestlib import Oci, group, keys, ocilib, read, rootfs, wait_for

MB = 1 << 20
FORKS = "for i in 1 2 3 4 5 6 7 8; do (while :; do sleep 0.01; done) & done; wait"


def here(ident):
    return group(ocilib.PARENT) / ident


def writable(spec):
    """The container may write to its own group."""
    for m in spec["mounts"]:
        if m["type"] == "cgroup":
            m["options"] = ["rw", "nosuid", "noexec", "nodev"]


def limited(spec):
    spec["linux"]["resources"]["memory"] = {"limit": 24 * MB, "swap": 24 * MB}


def check_pause_and_resume():
    with Oci() as oci:
        ident = oci.start("while :; do sleep 0.05; done", rootfs())
        oci.call("pause", ident)
        assert read(here(ident) / "cgroup.freeze") == "1"
        assert keys(here(ident) / "cgroup.events")["frozen"] == "1"
        assert oci.state(ident)["status"] == "paused"
        r = oci.call("exec", ident, "true", check=False)
        assert r.code != 0 and "paused" in r.err
        oci.call("resume", ident)
        assert keys(here(ident) / "cgroup.events")["frozen"] == "0"
        assert oci.state(ident)["status"] == "running"
        assert oci.call("exec", ident, "echo", "again").out == "again\n"


def check_kill_of_what_is_frozen():
    with Oci() as oci:
        ident = oci.start(FORKS, rootfs())
        oci.call("pause", ident)
        oci.call("kill", ident, "KILL")
        wait_for(lambda: oci.state(ident)["status"] == "stopped")
        oci.call("delete", ident)
        assert not here(ident).exists()


def check_delete_of_what_is_frozen():
    with Oci() as oci:
        ident = oci.start(FORKS, rootfs())
        oci.call("pause", ident)
        oci.call("delete", "--force", ident)
        assert not here(ident).exists()


def shared_pids(spec):
    spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != "pid"]


def check_kill_all_reaches_what_keeps_forking():
    """Without a pid namespace nothing else would end them: cgroup.kill does, in one blow."""
    with Oci() as oci:
        ident = oci.start(FORKS, rootfs(), shared_pids)
        wait_for(lambda: len(read(here(ident) / "cgroup.procs").split()) > 8)
        oci.call("kill", "--all", ident, "KILL")
        wait_for(lambda: keys(here(ident) / "cgroup.events")["populated"] == "0")
        oci.call("delete", ident)


def check_kill_all_with_another_signal():
    with Oci() as oci:
        ident = oci.start("trap : TERM; (trap 'exit 0' TERM; while :; do sleep 0.05; done) & "
                          "while :; do sleep 0.05; done", rootfs(), shared_pids)
        wait_for(lambda: len(read(here(ident) / "cgroup.procs").split()) > 2)
        oci.call("kill", "--all", ident, "TERM")
        wait_for(lambda: len(read(here(ident) / "cgroup.procs").split()) <= 2)
        oci.call("delete", "--force", ident)


def check_delete_of_what_was_made_below():
    """Groups with processes, several deep, and one that is frozen: all of it goes."""
    with Oci() as oci:
        ident = oci.start("cd /sys/fs/cgroup; mkdir -p a/b/c d; sleep 1000 & echo $! > "
                          "a/b/c/cgroup.procs; sleep 1000 & echo $! > d/cgroup.procs; echo 1 > "
                          "d/cgroup.freeze; : > /tmp/made; sleep 1000", rootfs(), writable)
        made = rootfs() / "tmp/made"
        wait_for(made.exists)
        made.unlink()
        pids = read(here(ident) / "a/b/c/cgroup.procs").split()
        assert len(pids) == 1
        assert pids[0] in oci.call("ps", "-f", "json", ident).out
        oci.call("delete", "--force", ident)
        assert not here(ident).exists()


def check_memory_runs_out():
    with Oci() as oci:
        ident, path = oci.bundle(["/bin/sh", "-c", "tail /dev/zero"], rootfs(), limited)
        oci.create(ident, path)
        events = oci.popen("events", "--interval", "200ms", ident)
        assert json.loads(events.stdout.readline())["type"] == "stats"
        oci.call("start", ident)
        wait_for(lambda: oci.state(ident)["status"] == "stopped")
        assert int(keys(here(ident) / "memory.events")["oom_kill"]) >= 1
        out = events.communicate(timeout=60)[0].decode().splitlines()
        assert {"type": "oom", "id": ident} in [json.loads(line) for line in out]
        oci.call("delete", ident)


def check_memory_runs_out_of_run():
    with Oci() as oci:
        r = oci.run("tail /dev/zero; exit $?", rootfs(), limited)
        assert r.code == 137, (r.code, r.err)


def check_stats():
    with Oci() as oci:
        def change(spec):
            limited(spec)
            spec["linux"]["resources"]["pids"] = {"limit": 33}
            spec["linux"]["resources"]["cpu"] = {"quota": 20000, "period": 100000}
        ident = oci.start("i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; sleep 1000",
                          rootfs(), change)
        wait_for(lambda: int(keys(here(ident) / "cpu.stat")["nr_throttled"]) > 1)
        data = oci.call("events", "--stats", ident).json()["data"]
        assert data["cpu"]["usage"]["total"] > 0
        assert data["cpu"]["usage"]["user"] > 0 and data["cpu"]["usage"]["kernel"] >= 0
        assert data["cpu"]["throttling"]["throttledPeriods"] > 1
        assert data["cpu"]["throttling"]["throttledTime"] > 0
        assert data["memory"]["usage"]["limit"] == 24 * MB
        assert 0 < data["memory"]["usage"]["usage"] <= data["memory"]["usage"]["max"] or \
            not (here(ident) / "memory.peak").exists()
        assert data["memory"]["swap"]["limit"] == 0
        assert data["memory"]["raw"]["anon"] > 0
        assert 1 <= data["pids"]["current"] <= 3 and data["pids"]["limit"] == 33


def check_exec_joins_the_group():
    with Oci() as oci:
        ident = oci.start("sleep 1000", rootfs())
        assert oci.call("exec", ident, "cat", "/proc/self/cgroup").out == "0::/\n"
        before = len(read(here(ident) / "cgroup.procs").split())
        process = oci.popen("exec", ident, "sh", "-c", "echo; sleep 1000")
        process.stdout.readline()
        assert len(read(here(ident) / "cgroup.procs").split()) == before + 1
        oci.call("delete", "--force", ident)
        process.communicate(timeout=60)


def check_exec_where_the_container_has_divided_its_group():
    """
    A container that moved its processes into groups of its own and switched controllers on for
    them: nothing may be in its upper group any more, so exec goes where the init is.
    """
    with Oci() as oci:
        ident = oci.start("cd /sys/fs/cgroup; mkdir init; echo 1 > init/cgroup.procs; "
                          "echo +memory +pids > cgroup.subtree_control && : > /tmp/made; "
                          "sleep 1000", rootfs(), writable)
        made = rootfs() / "tmp/made"
        wait_for(made.exists)
        made.unlink()
        r = oci.call("exec", ident, "cat", "/proc/self/cgroup")
        assert r.out == "0::/init\n"
        oci.call("delete", "--force", ident)
        assert not here(ident).exists()


def check_exec_into_a_group_below():
    with Oci() as oci:
        ident = oci.start("mkdir /sys/fs/cgroup/sub; : > /tmp/made; sleep 1000", rootfs(),
                          writable)
        made = rootfs() / "tmp/made"
        wait_for(made.exists)
        made.unlink()
        assert oci.call("exec", "--cgroup", "sub", ident, "cat", "/proc/self/cgroup").out == \
            "0::/sub\n"
        r = oci.call("exec", "--cgroup", "nosuch", ident, "true", check=False)
        assert r.code != 0 and "nosuch" in r.err


def check_many_at_once():
    with Oci() as oci:
        idents = [oci.bundle(["true"], rootfs()) for _ in range(6)]
        all_of_them = [oci.popen("run", "--bundle", path, ident) for ident, path in idents]
        for process in all_of_them:
            err = process.communicate(timeout=90)[1]
            assert process.returncode == 0, err


def check_a_killed_creator_leaves_what_delete_finds():
    with Oci() as oci:
        ident, path = oci.bundle(["sleep", "1000"], rootfs())
        process = oci.popen("run", "--bundle", path, ident)
        wait_for(lambda: here(ident).exists() and read(here(ident) / "cgroup.procs"))
        process.kill()
        process.wait(timeout=60)
        oci.call("delete", "--force", ident)
        assert not here(ident).exists()
        # Had the program begun by then, it held the pipes until now.
        process.communicate(timeout=60)
