"""
Scopes of systemd for containers: what it knows of them, that it keeps their limits, and that none is
left. The machine's first process is systemd, on v2 or on v1.
"""

import json
import os
import pathlib
import shutil
import subprocess

from guestlib import CGROUP, Oci, Skip, ocilib, read, rootfs, wait_for

MB = 1 << 20
SYSTEMD = ["--systemd-cgroup"]
V2 = (CGROUP / "cgroup.controllers").exists()
UID = 4321


def show(unit, *names, user=()):
    words = subprocess.run([*user, "systemctl", *(["--user"] if user else []), "show", unit,
                            "--property", ",".join(names)], stdout=subprocess.PIPE, text=True,
                           check=True).stdout
    found = dict(line.split("=", 1) for line in words.splitlines())
    return [found[n] for n in names]


def is_left(unit):
    return show(unit, "LoadState", "ActiveState") != ["not-found", "inactive"]


def systemctl(*argv):
    subprocess.run(["systemctl", *argv], check=True)


def at(path, **resources):
    def change(spec):
        spec["linux"]["cgroupsPath"] = path
        spec["linux"]["resources"].update(resources)
    return change


class Systemd(Oci):
    def begin(self, args, change, **env):
        ident, path = self.bundle(args, rootfs(), change)
        with open(path / "err", "wb") as err:
            r = subprocess.run([self.program, "--root", str(self.root), *SYSTEMD, "create",
                                "--bundle", str(path), ident], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=err, env={**os.environ, **env},
                               timeout=100, check=False)
        return ident, r.returncode, (path / "err").read_text()

    def have(self, args, change):
        ident, code, text = self.begin(args, change)
        assert code == 0, text
        return ident

    def once(self, args, change, **kw):
        ident, path = self.bundle(args, rootfs(), change)
        return self.call("run", "--bundle", path, ident, check=False, options=SYSTEMD, **kw)


def limit_of(pid, name):
    """The value of a limit, in the group where the kernel has the process."""
    controller, file = {"memory": ("memory", "memory.limit_in_bytes"), "pids": ("pids", "pids.max"),
                        "cpu": ("cpu,cpuacct", "cpu.shares")}[name]
    if V2:
        controller, file = "", {"memory": "memory.max", "pids": "pids.max",
                                "cpu": "cpu.weight"}[name]
    for line in read("/proc/%d/cgroup" % pid).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == controller:
            return read((CGROUP / controllers if controllers else CGROUP) / path[1:] / file)
    raise AssertionError("no group of " + controller)


def check_a_scope():
    """systemd knows it by name, slice and limits, has given it away, and it goes with the container."""
    with Systemd() as oci:
        ident = oci.have(["sleep", "1000"], at(
            "shoal-a.slice:oci:one", memory={"limit": 64 * MB}, pids={"limit": 55},
            cpu={"shares": 512}))
        pid = oci.state(ident)["pid"]
        assert show("oci-one.scope", "ActiveState", "Slice", "Delegate", "MemoryMax", "TasksMax",
                    "Description") == ["active", "shoal-a.slice", "yes", str(64 * MB), "55",
                                       "container %s (%s)" % (ident, oci.root)]
        group = show("oci-one.scope", "ControlGroup")[0]
        assert group == "/shoal.slice/shoal-a.slice/oci-one.scope"
        # In every tree where it is at all, it is there; in systemd's own it has to be.
        places = [line.split(":", 2) for line in read("/proc/%d/cgroup" % pid).splitlines()]
        assert {p for _, c, p in places if V2 or c in ("name=systemd", "memory", "pids", "devices",
                                                       "freezer", "cpu,cpuacct")} == {group}
        assert limit_of(pid, "memory") == str(64 * MB) and limit_of(pid, "pids") == "55"
        oci.call("start", ident)
        assert oci.call("exec", ident, "echo", "in").out == "in\n"
        oci.call("pause", ident)
        assert oci.state(ident)["status"] == "paused"
        oci.call("resume", ident)
        oci.call("delete", "--force", ident)
        assert not is_left("oci-one.scope")
        assert not (CGROUP / group[1:]).exists()


def check_no_process_of_ours_is_in_it():
    with Systemd() as oci:
        ident = oci.have(["sleep", "1000"], at(":oci:lone"))
        tree = CGROUP if V2 else CGROUP / "systemd"
        procs = tree / "system.slice/oci-lone.scope/cgroup.procs"
        assert read(procs).split() == [str(oci.state(ident)["pid"])]
        oci.call("delete", "--force", ident)


def check_namespaces_that_are_joined():
    """With a user namespace a process between joins them first: its groups are the container's."""
    def change(spec):
        at(":oci:joined")(spec)
        for n in spec["linux"]["namespaces"]:
            if n["type"] == "uts":
                n["path"] = "/proc/self/ns/uts"
        del spec["hostname"]
        spec["linux"]["namespaces"].append({"type": "user"})
        for kind in ("uidMappings", "gidMappings"):
            spec["linux"][kind] = [{"containerID": 0, "hostID": 0, "size": 65536}]
    with Systemd() as oci:
        ident = oci.have(["sleep", "1000"], change)
        places = [line.split(":", 2) for line in read(
            "/proc/%d/cgroup" % oci.state(ident)["pid"]).splitlines()]
        assert {p for _, c, p in places if V2 or c in ("name=systemd", "memory", "pids", "devices")
                } == {"/system.slice/oci-joined.scope"}
        oci.call("delete", "--force", ident)
        assert not is_left("oci-joined.scope")


def check_limits_outlive_a_reload():
    """systemd writes what it knows again then; what update has changed it has been told."""
    with Systemd() as oci:
        ident = oci.have(["sleep", "1000"], at(
            ":oci:kept", memory={"limit": 64 * MB}, pids={"limit": 55}, cpu={"shares": 512}))
        pid = oci.state(ident)["pid"]
        shares, places = limit_of(pid, "cpu"), read("/proc/%d/cgroup" % pid)
        for _ in range(2):
            systemctl("daemon-reload")
            systemctl("set-property", "--runtime", "oci-kept.scope", "CPUWeight=77")
            assert limit_of(pid, "memory") == str(64 * MB) and limit_of(pid, "pids") == "55"
        assert limit_of(pid, "cpu") != shares
        oci.call("update", "--memory", 48 * MB, "--pids-limit", 44, "--cpu-share", 2048, ident)
        systemctl("daemon-reload")
        systemctl("set-property", "--runtime", "oci-kept.scope", "IOWeight=77")
        assert limit_of(pid, "memory") == str(48 * MB) and limit_of(pid, "pids") == "44"
        assert show("oci-kept.scope", "MemoryMax", "TasksMax") == [str(48 * MB), "44"]
        assert read("/proc/%d/cgroup" % pid) == places
        assert not V2 or show("oci-kept.scope", "CPUWeight") == [limit_of(pid, "cpu")]
        oci.call("delete", "--force", ident)


def check_the_same_name_again_and_again():
    """Its scope is gone when the command is."""
    with Systemd() as oci:
        for _ in range(10):
            r = oci.once(["true"], at("shoal.slice:oci:again"))
            assert (r.code, r.err) == (0, "")
            assert not is_left("oci-again.scope")


def check_a_name_that_is_taken():
    """It is refused, and the one that has it is left as it is, whatever is done to the other."""
    with Systemd() as oci:
        first = oci.have(["sleep", "1000"], at(":oci:taken"))
        second, code, text = oci.begin(["sleep", "1000"], at("shoal.slice:oci:taken"))
        assert code == 1 and "oci-taken.scope" in text, text
        assert not (oci.root / second).exists()
        oci.call("delete", "--force", second)
        assert oci.state(first)["status"] == "created"
        assert show("oci-taken.scope", "ActiveState") == ["active"]
        oci.call("delete", "--force", first)


def check_a_creation_that_fails():
    with Systemd() as oci:
        r = oci.once(["nosuch"], at(":oci:fails"))
        assert r.code == 127 and not is_left("oci-fails.scope")
        r = oci.once(["true"], at(":oci:fails", memory={"limit": 64 * MB, "swap": 3 * MB}))
        assert r.code == 1 and r.err.count("\n") == 1 and not is_left("oci-fails.scope")
        assert not list(oci.root.iterdir())


def check_a_creator_that_is_killed():
    with Systemd() as oci:
        for n in range(8):
            ident, path = oci.bundle(["sleep", "1000"], rootfs(), at(":oci:killed"))
            p = subprocess.Popen([oci.program, "--root", str(oci.root), *SYSTEMD, "create",
                                  "--bundle", str(path), ident], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                p.wait(timeout=n * 0.03)
            except subprocess.TimeoutExpired:
                p.kill()
            p.wait()
            oci.call("delete", "--force", ident)
            wait_for(lambda: not is_left("oci-killed.scope"))


def check_a_container_whose_memory_ran_out():
    """systemd may call that a failure: the name is free all the same."""
    with Systemd() as oci:
        for _ in range(2):
            r = oci.once(["sh", "-c", "tail /dev/zero"], at(
                ":oci:full", memory={"limit": 16 * MB, "swap": 16 * MB}))
            assert r.code == 137 or r.code == 1, (r.code, r.err)
            assert not is_left("oci-full.scope")


def check_a_damaged_state():
    with Systemd() as oci:
        ident = oci.have(["sleep", "1000"], at(":oci:lost"))
        pid = oci.state(ident)["pid"]
        (oci.root / ident / "state.json").write_text("{")
        oci.call("delete", "--force", ident)
        wait_for(lambda: not is_left("oci-lost.scope"))
        assert not os.path.exists("/proc/%d" % pid)


def check_what_cannot_be_asked_for():
    with Systemd() as oci:
        _, code, text = oci.begin(["true"], at(":oci:bus"),
                                  DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nosuch")
        assert code == 1 and "/nosuch" in text and "dbus" in text, text
        _, code, text = oci.begin(["true"], at(":oci:bus"), DBUS_SYSTEM_BUS_ADDRESS="tcp:host=x")
        assert code == 1 and "tcp:host=x" in text, text
        _, code, text = oci.begin(["true"], at(":oci:name.slice"))
        assert code == 1 and "name.slice" in text, text
        r = oci.once(["true"], at("/plain/path"))
        assert r.code == 1 and "slice:prefix:name" in r.err
        assert not list(oci.root.iterdir())


def check_without_the_flag_systemd_is_not_asked():
    with Oci() as oci:
        oci.run("true", rootfs(), check=0, env={**os.environ,
                                                "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nosuch"})


def check_an_ordinary_user():
    """With the user's own systemd, in what that has been given."""
    if not V2:
        raise Skip("v1 gives ordinary users no groups")
    base = pathlib.Path("/run/user-oci")
    base.mkdir()
    with open("/etc/passwd", "a", encoding="ascii") as file:
        file.write("web:x:%d:%d::/run/user-oci:/bin/sh\n" % (UID, UID))
    with open("/etc/group", "a", encoding="ascii") as file:
        file.write("web:x:%d:\n" % UID)
    runtime = "/run/user-oci/run"
    for path in (base, base / "run"):
        path.mkdir(mode=0o700, exist_ok=True)
        os.chown(path, UID, UID)
    subprocess.run(["systemd-run", "--quiet", "--unit", "manager", "-p", "User=web", "-p",
                    "Delegate=yes", "-p", "Type=notify", "-E", "XDG_RUNTIME_DIR=" + runtime,
                    "/lib/systemd/systemd", "--user"], check=True)
    user = ["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups", "env",
            "XDG_RUNTIME_DIR=" + runtime, "DBUS_SESSION_BUS_ADDRESS=unix:path=%s/bus" % runtime]
    wait_for(lambda: os.path.exists(runtime + "/bus"))
    shutil.copytree(rootfs(), base / "rootfs", symlinks=True)
    for p in [base / "rootfs", *(base / "rootfs").rglob("*")]:
        os.lchown(p, UID, UID)

    def oci(*argv, **kw):
        with open("/run/oci-err", "w+b") as err:
            r = subprocess.run([*user, "/shoal/bin/shoal-oci", *SYSTEMD, *argv], cwd=base,
                               stdin=subprocess.DEVNULL, stderr=err, timeout=100, check=False,
                               **{"stdout": subprocess.PIPE, **kw})
        assert r.returncode == 0, read("/run/oci-err")
        return r.stdout
    oci("spec", "--rootless")
    spec = json.loads((base / "config.json").read_text())
    spec["process"].update(terminal=False, args=["sleep", "1000"])
    spec["linux"].update(cgroupsPath=":oci:mine", resources={"pids": {"limit": 33}})
    (base / "config.json").write_text(json.dumps(spec))
    oci("create", "u", stdout=subprocess.DEVNULL)
    state = json.loads(oci("state", "u"))
    group = show("oci-mine.scope", "ControlGroup", user=user)[0]
    assert group == "/system.slice/manager.service/user.slice/oci-mine.scope"
    assert read("/proc/%d/cgroup" % state["pid"]) == "0::" + group
    assert read(CGROUP / group[1:] / "pids.max") == "33"
    assert show("oci-mine.scope", "TasksMax", "Delegate", user=user) == ["33", "yes"]
    oci("update", "--pids-limit", "22", "u")
    assert show("oci-mine.scope", "TasksMax", user=user) == ["22"]
    oci("delete", "--force", "u")
    assert show("oci-mine.scope", "LoadState", user=user) == ["not-found"]
    assert ocilib.groups("") == []
    systemctl("stop", "manager.service")
