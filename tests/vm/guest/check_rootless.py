"""
Containers of an ordinary user: in a group that was given to the user, in one that was not, without
any, and with many ids by newuidmap and newgidmap.
"""

import contextlib
import os
import shutil
import subprocess

from guestlib import CGROUP, Oci, group, ocilib, read, rootfs, wait_for

UID = 1000
MB = 1 << 20


def user_exists():
    if "\nuser:" not in read("/etc/passwd"):
        for path, line in (("/etc/passwd", "user:x:1000:1000::/tmp:/bin/sh"),
                           ("/etc/group", "user:x:1000:"), ("/etc/subuid", "user:100000:65536"),
                           ("/etc/subgid", "user:100000:65536")):
            with open(path, "a", encoding="ascii") as f:
                f.write(line + "\n")
    # Its containers may look at the root, and its bundles lie in a folder of its own.
    os.chmod(rootfs(), 0o755)


@contextlib.contextmanager
def session(given):
    """A group with one for the user's own processes below; the user's own to divide if `given`."""
    top = group("/user")
    (CGROUP / "cgroup.subtree_control").write_text("+memory +pids +cpu")
    top.mkdir()
    (top / "session").mkdir()
    if given:
        for path in (top, top / "session"):
            for name in (".", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
                os.chown(path / name, UID, UID)
    try:
        yield top
    finally:
        wait_for(lambda: read(top / "session/cgroup.procs") == "")
        (top / "session").rmdir()
        top.rmdir()


class User(Oci):
    """The same, called by the user from within the session."""

    def __init__(self, top):
        user_exists()
        super().__init__()
        os.chown(self.base, UID, UID)
        self.top = top

    def enter(self):
        (self.top / "session/cgroup.procs").write_text("0")
        os.setgroups([])
        os.setresgid(UID, UID, UID)
        os.setresuid(UID, UID, UID)

    def run_as_user(self, args, change, check=0):
        ident, path = self.bundle(["/bin/sh", "-c", args], rootfs(), change)
        r = ocilib.Result(subprocess.run(
            [self.program, "--root", "%s/state" % self.base, "run", "--bundle", str(path), ident],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
            preexec_fn=self.enter))  # pylint: disable=subprocess-popen-preexec-fn
        assert r.code == check, (r.code, r.out, r.err)
        return r


def rootless(path, resources=None, maps=((0, UID, 1),)):
    def change(spec):
        linux = spec["linux"]
        linux["cgroupsPath"] = path
        if path is None:
            del linux["cgroupsPath"]
        linux["resources"].update(resources or {})
        linux["namespaces"].append({"type": "user"})
        for m in ("uidMappings", "gidMappings"):
            linux[m] = [{"containerID": c, "hostID": h, "size": n} for c, h, n in maps]
        for m in spec["mounts"]:
            m["options"] = [o for o in m["options"] if o != "gid=5"]
    return change


def check_a_group_that_was_given():
    with session(True) as top, User(top) as oci:
        r = oci.run_as_user("cat /proc/self/cgroup /sys/fs/cgroup/memory.max",
                            rootless("/user/one", {"memory": {"limit": 32 * MB}}))
        assert r.out == "0::/\n%d\n" % (32 * MB)
        assert "memory" in read(top / "cgroup.subtree_control").split()
        assert [p.name for p in top.iterdir() if p.is_dir()] == ["session"]


def check_a_group_that_was_not_given():
    with session(False) as top, User(top) as oci:
        r = oci.run_as_user("true", rootless("/user/one"), check=1)
        assert "/user" in r.err and "Permission denied" in r.err
        assert [p.name for p in top.iterdir() if p.is_dir()] == ["session"]


def check_without_a_group():
    """Nobody has asked for one: the container stays in its caller's."""
    with session(False) as top, User(top) as oci:
        assert oci.run_as_user("echo here", rootless(None)).out == "here\n"


def check_controllers_that_were_not_given():
    """A limit whose controller the user's group has not: refused, and said which and where."""
    with session(True) as top, User(top) as oci:
        r = oci.run_as_user("true", rootless("/user/session/one", {"memory": {"limit": MB}}),
                            check=1)
        assert "memory" in r.err and "/user/session" in r.err and "processes" in r.err
        assert [p.name for p in (top / "session").iterdir() if p.is_dir()] == []


def check_many_ids():
    if not shutil.which("newuidmap"):
        raise AssertionError("the machine's root has no newuidmap")
    with session(True) as top, User(top) as oci:
        many = ((0, UID, 1), (1, 100000, 65535))
        script = "cat /proc/self/uid_map; : > /dev/shm/f; chown 33:33 /dev/shm/f && " \
                 "ls -n /dev/shm/f"
        r = oci.run_as_user(script, rootless("/user/one", maps=many))
        assert [line.split() for line in r.out.splitlines()[:2]] == \
            [["0", "1000", "1"], ["1", "100000", "65535"]]
        assert r.out.splitlines()[2].split()[2:4] == ["33", "33"]
        r = oci.run_as_user("true", rootless("/user/one", maps=((0, UID, 1), (1, 500000, 10))),
                            check=1)
        assert "/etc/subuid" in r.err
