"""
The place of a container's group in the tree of v2: controllers down the path, the rule of no
processes in inner groups, groups that cannot be used, bounds, namespaces and delegation.
"""

import contextlib
import subprocess

from guestlib import CGROUP, Oci, group, ocilib, read, rootfs, wait_for
from check_life import writable

MB = 1 << 20
MEMORY = {"memory": {"limit": 64 * MB}}
CONTROLLERS = {"cpu", "cpuset", "hugetlb", "io", "memory", "misc", "pids", "rdma"}


def at(path, resources=None):
    def change(spec):
        spec["linux"]["cgroupsPath"] = path
        spec["linux"]["resources"].update(resources or {})
    return change


@contextlib.contextmanager
def made(path):
    """A group of ours that goes at the end, with those that were made below."""
    top = group(path)
    top.mkdir()
    try:
        yield top
    finally:
        for folder in sorted((p for p in top.rglob("*") if p.is_dir()), reverse=True):
            folder.rmdir()
        top.rmdir()


@contextlib.contextmanager
def dweller(path):
    """A process that sits in a group."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        (path / "cgroup.procs").write_text(str(process.pid))
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            wait_for(lambda: read(path / "cgroup.procs") == "")


def check_the_machine_has_v2_alone():
    assert set(read(CGROUP / "cgroup.controllers").split()) >= CONTROLLERS
    kinds = [line.split()[2] for line in read("/proc/mounts").splitlines()]
    assert "cgroup" not in kinds and "cgroup2" in kinds


def check_controllers_down_the_path():
    with made("/deep") as top, Oci() as oci:
        ident = oci.start("sleep 1000", rootfs(), at("/deep/a/b", MEMORY))
        for path in (CGROUP, top, top / "a"):
            assert set(read(path / "cgroup.subtree_control").split()) >= CONTROLLERS, path
        assert read(top / "a/b/memory.max") == str(64 * MB)
        oci.call("delete", "--force", ident)
        assert not (top / "a/b").exists()


def check_systemd_form():
    with Oci() as oci:
        ident, path = oci.bundle(["sleep", "1000"], rootfs(), at("user-7.slice:shoal:one", MEMORY))
        subprocess.run([oci.program, "--root", str(oci.root), "--systemd-cgroup", "create",
                        "--bundle", str(path), ident], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        scope = CGROUP / "user.slice/user-7.slice/shoal-one.scope"
        assert read(scope / "memory.max") == str(64 * MB)
        oci.call("delete", "--force", ident)
        assert not scope.exists()
        scope.parent.rmdir()
        scope.parent.parent.rmdir()


def check_a_parent_with_processes():
    """
    v2 gives controllers to groups below only where the parent holds no processes: a limit cannot
    be set, and the sentence says whose fault it is. Without limits the container runs.
    """
    with made("/full") as top, dweller(top), Oci() as oci:
        r = oci.run("true", rootfs(), at("/full/one", MEMORY))
        assert r.code == 1 and "/full" in r.err and "processes" in r.err and "memory" in r.err
        assert not (top / "one").exists()
        oci.run("true", rootfs(), at("/full/one"), check=0)


def check_the_runtime_itself_in_the_parent():
    with made("/own") as top, Oci() as oci:
        def enter():
            (top / "cgroup.procs").write_text("0")
        ident, path = oci.bundle(["true"], rootfs(), at("/own/one", MEMORY))
        r = oci.call("run", "--bundle", path, ident, check=False, preexec_fn=enter)
        assert r.code == 1 and "processes" in r.err and "/own" in r.err, r.err
        assert not (top / "one").exists()
        # Beside itself there is room.
        (top / "me").mkdir()

        def beside():
            (top / "me/cgroup.procs").write_text("0")
        ident, path = oci.bundle(["true"], rootfs(), at("/own/one", MEMORY))
        oci.call("run", "--bundle", path, ident, preexec_fn=beside)


def check_a_group_with_processes():
    with made("/taken") as top, dweller(top), Oci() as oci:
        r = oci.run("true", rootfs(), at("/taken"))
        assert r.code == 1 and "has processes" in r.err
        assert top.is_dir()


def check_a_group_that_was_there_survives_a_refusal():
    """An empty one is used, and removed with the container; what cannot be made of it leaves it."""
    with made("/mine") as top, Oci() as oci:
        (top / "below").mkdir()
        r = oci.run("true", rootfs(), at("/mine", {"unified": {"memory.nosuch": "1"}}))
        assert r.code == 1 and "memory.nosuch" in r.err
        assert (top / "below").is_dir()
        r = oci.run("true", rootfs(), at("/mine/a/b/c", {"unified": {"memory.nosuch": "1"}}))
        assert r.code == 1 and [p.name for p in top.iterdir() if p.is_dir()] == ["below"]


def check_a_group_with_divided_controllers():
    """An inner group: the kernel lets nobody into it."""
    with made("/inner") as top, Oci() as oci:
        (CGROUP / "cgroup.subtree_control").write_text("+memory")
        (top / "below").mkdir()
        (top / "cgroup.subtree_control").write_text("+memory")
        r = oci.run("true", rootfs(), at("/inner"))
        assert r.code == 1 and "/inner" in r.err and "subtree_control" in r.err, r.err
        assert top.is_dir() and (top / "below").is_dir()


def check_a_frozen_group():
    with made("/cold") as top, Oci() as oci:
        (top / "cgroup.freeze").write_text("1")
        r = oci.run("true", rootfs(), at("/cold"))
        assert r.code == 1 and "frozen" in r.err
        r = oci.run("true", rootfs(), at("/cold/below"))
        assert r.code == 1 and "frozen" in r.err
        assert not (top / "below").exists()


def check_threaded_groups():
    """Not for processes with a memory of their own: told apart from what went wrong otherwise."""
    with made("/threads") as top, Oci() as oci:
        (top / "t").mkdir()
        (top / "t/cgroup.type").write_text("threaded")
        for path in ("/threads/t", "/threads/t/below", "/threads/invalid"):
            r = oci.run("true", rootfs(), at(path, MEMORY))
            assert r.code == 1 and "thread" in r.err, r.err
        assert [p.name for p in top.iterdir() if p.is_dir()] == ["t"]


def check_too_many_groups():
    with made("/few") as top, Oci() as oci:
        (top / "cgroup.max.descendants").write_text("1")
        oci.run("true", rootfs(), at("/few/one"), check=0)
        r = oci.run("true", rootfs(), at("/few/one/two/three"))
        assert r.code == 1 and "cgroup.max.descendants" in r.err and "/few" in r.err, r.err
        assert [p for p in top.iterdir() if p.is_dir()] == []
        (top / "cgroup.max.descendants").write_text("max")
        (top / "cgroup.max.depth").write_text("1")
        r = oci.run("true", rootfs(), at("/few/one/two"))
        assert r.code == 1 and "cgroup.max.depth" in r.err, r.err
        assert [p for p in top.iterdir() if p.is_dir()] == []


def check_a_controller_that_is_not_given():
    """The administrator gives pids and no more: a limit of memory is refused, naming the group."""
    with made("/poor") as top, Oci() as oci:
        (CGROUP / "cgroup.subtree_control").write_text("+pids")
        keep = read(CGROUP / "cgroup.subtree_control").split()
        (top / "cgroup.subtree_control").write_text("+pids")
        assert "pids" in keep
        script = "mount --bind /sys/fs/cgroup/poor /sys/fs/cgroup && exec \"$@\""
        (top / "me").mkdir()
        # Seen from below: in a tree whose root has pids alone.
        for name in keep:
            if name not in ("pids",):
                (CGROUP / "cgroup.subtree_control").write_text("-" + name)
        try:
            ident, path = oci.bundle(["true"], rootfs(), at("/one", MEMORY))
            r = ocilib.Result(subprocess.run(
                ["unshare", "-m", "sh", "-c", script, "sh", oci.program, "--root", str(oci.root),
                 "run", "--bundle", str(path), ident], stdin=subprocess.DEVNULL,
                capture_output=True, check=False, timeout=60))
        finally:
            for name in keep:
                (CGROUP / "cgroup.subtree_control").write_text("+" + name)
        assert r.code == 1 and "memory" in r.err and "controller" in r.err, r.err


def check_the_container_sees_its_group_as_root():
    with Oci() as oci:
        out = oci.output("cat /proc/self/cgroup; cat /sys/fs/cgroup/memory.max; "
                         "mkdir /sys/fs/cgroup/sub || echo refused", rootfs(),
                         lambda s: s["linux"]["resources"].update(MEMORY))
        assert out == "0::/\n%d\nrefused\n" % (64 * MB)


def check_without_a_cgroup_namespace():
    """The host's path is seen, and at /sys/fs/cgroup the own group alone."""
    def change(spec):
        spec["linux"]["resources"].update(MEMORY)
        spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"]
                                       if n["type"] != "cgroup"]
    with Oci() as oci:
        out = oci.output("cat /proc/self/cgroup; cat /sys/fs/cgroup/memory.max", rootfs(), change)
        assert out.startswith("0::%s/t" % ocilib.PARENT) and out.endswith("\n%d\n" % (64 * MB))


def check_groups_of_its_own():
    """With a writable mount: groups below, with limits; its own limits stay the host's affair."""
    script = """cd /sys/fs/cgroup
		echo 1 2>/dev/null > memory.max && echo bad
		mkdir init one && echo 1 > init/cgroup.procs && echo +pids +memory > cgroup.subtree_control
		echo 7 > one/pids.max && cat one/pids.max
		sleep 1000 & echo $! > one/cgroup.procs; cat one/pids.current; cat /proc/self/cgroup"""
    with Oci() as oci:
        r = oci.run(script, rootfs(), writable)
        assert r.out == "7\n1\n0::/init\n", (r.out, r.err)


def check_the_root_of_a_user_namespace_owns_its_group():
    """The runtime specification's delegation: the group, and the files that the kernel names."""
    def change(spec):
        writable(spec)
        spec["linux"]["namespaces"].append({"type": "user"})
        for m in ("uidMappings", "gidMappings"):
            spec["linux"][m] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    with Oci() as oci:
        ident = oci.start("cd /sys/fs/cgroup; mkdir sub && echo 0 > sub/cgroup.procs; "
                          "sleep 1000", rootfs(), change)
        here = group(ocilib.PARENT) / ident
        owned = [n for n in read("/sys/kernel/cgroup/delegate").split() if (here / n).exists()]
        assert "cgroup.procs" in owned
        assert here.stat().st_uid == 100000
        assert {(here / n).stat().st_uid for n in owned} == {100000}
        assert (here / "memory.max").stat().st_uid == 0
        wait_for(lambda: (here / "sub").is_dir() and read(here / "sub/cgroup.procs"))


def check_without_a_writable_mount_the_group_stays_the_hosts():
    def change(spec):
        spec["linux"]["namespaces"].append({"type": "user"})
        for m in ("uidMappings", "gidMappings"):
            spec["linux"][m] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    with Oci() as oci:
        ident = oci.start("sleep 1000", rootfs(), change)
        assert (group(ocilib.PARENT) / ident).stat().st_uid == 0


def check_nothing_is_left_in_the_tree():
    """Whatever ran before this check: the tree holds the machine's own group alone."""
    assert [p.name for p in CGROUP.iterdir() if p.is_dir() and p.name != "sys"] == []
