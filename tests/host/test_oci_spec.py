"""config.json through shoal-oci, and through runc where it knows the property: what a container of
each property sees, and what is refused by name."""

import array
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading

import pytest

import ocilib
import shimlib
from ocilib import OCI
from test_oci import SLEEP, each, oci, rootfs, wait_for  # noqa: F401 (fixtures)
from test_shim import is_gone

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not OCI.exists() or not os.path.exists("/bin/busybox"),
    reason="needs root, busybox-static and a built shoal-oci")


def setter(path, value):
    """A change of the configuration: "process.user.uid" and what it is to be."""
    def change(spec):
        *way, last = path.split(".")
        for key in way:
            spec = spec.setdefault(key, {})
        spec[last] = value
    return change


def both(*changes):
    def change(spec):
        for c in changes:
            c(spec)
    return change


def mounting(destination, options=(), **members):
    def change(spec):
        spec["mounts"].append({"destination": destination, "options": list(options), **members})
    return change


def namespace(kind, path=None):
    def change(spec):
        spaces = [n for n in spec["linux"]["namespaces"] if n["type"] != kind]
        spec["linux"]["namespaces"] = spaces + [
            {"type": kind, **({"path": str(path)} if path else {})}]
    return change


def without(*kinds):
    def change(spec):
        spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"]
                                       if n["type"] not in kinds]
    return change


BASE = 100000


def mapped(spec):
    namespace("user")(spec)
    maps = [{"containerID": 0, "hostID": BASE, "size": 65536}]
    spec["linux"].update(uidMappings=maps, gidMappings=maps)


@pytest.fixture(scope="session")
def mapped_root(tmp_path_factory):
    """A root that the user namespace owns, on a way that it may walk."""
    base = tmp_path_factory.mktemp("mapped")
    for p in [base, *base.parents]:
        if p != pathlib.Path("/tmp") and p != pathlib.Path("/"):
            p.chmod(p.stat().st_mode | 0o055)
    root = shimlib.make_rootfs(base / "root")
    for p in [root, *root.rglob("*")]:
        os.lchown(p, BASE, BASE)
    return root


# Processes


def test_user_groups_umask_and_environment(each, rootfs):
    user = {"uid": 33, "gid": 44, "additionalGids": [5, 6], "umask": 0o27}
    out = each.output("id -u; id -g; id -G; umask; pwd; echo $A", rootfs, both(
        setter("process.user", user), setter("process.cwd", "/tmp"),
        setter("process.env", ["PATH=/bin", "A=b c"])))
    assert out.splitlines() == ["33", "44", "44 5 6", "0027", "/tmp", "b c"]


def test_groups_of_the_caller_are_dropped(each, rootfs):
    """CVE-2022-36109."""
    assert each.output("id -G", rootfs, preexec_fn=lambda: os.setgroups([4, 24])).split() == ["0"]


def test_capabilities_are_those_of_the_configuration(each, rootfs):
    """CVE-2022-24769: and none is inheritable unless it says so."""
    def change(spec):
        spec["process"]["capabilities"] = {
            "bounding": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN"],
            "effective": ["CAP_CHOWN"]}
    lines = each.output("grep Cap /proc/self/status", rootfs, change).split()
    caps = {k: int(v, 16) for k, v in zip(lines[::2], lines[1::2])}
    # A program of root's gets what the bounding set has.
    assert caps == {"CapInh:": 0, "CapPrm:": 0x21, "CapEff:": 0x21, "CapBnd:": 0x21, "CapAmb:": 0}


def test_ambient_capabilities_reach_a_user(each, rootfs):
    sets = ("bounding", "permitted", "effective", "inheritable", "ambient")
    out = each.output("grep CapEff /proc/self/status", rootfs, both(
        setter("process.user", {"uid": 5, "gid": 5}),
        setter("process.capabilities", {s: ["CAP_NET_BIND_SERVICE"] for s in sets})))
    assert int(out.split()[1], 16) == 1 << 10


def test_an_unknown_capability_is_named(oci, rootfs):
    r = oci.run("true", rootfs, setter("process.capabilities", {"bounding": ["CAP_NOSUCH"]}))
    assert r.code == 1 and "CAP_NOSUCH" in r.err


def test_rlimits_oom_score_and_no_new_privileges(each, rootfs):
    out = each.output("ulimit -n; ulimit -Hc; cat /proc/self/oom_score_adj; "
                      "grep NoNew /proc/self/status", rootfs, both(
                          setter("process.rlimits", [
                              {"type": "RLIMIT_NOFILE", "soft": 77, "hard": 99},
                              {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]),
                          setter("process.oomScoreAdj", 321),
                          setter("process.noNewPrivileges", True)))
    assert out.split() == ["77", "0", "321", "NoNewPrivs:", "1"]


@pytest.mark.parametrize("scheduler,policy,nice", [
    ({"policy": "SCHED_BATCH", "nice": 7}, 3, 7),
    ({"policy": "SCHED_IDLE"}, 5, 0),
    ({"policy": "SCHED_OTHER", "nice": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}, 0, 3),
])
def test_scheduler(oci, rootfs, scheduler, policy, nice):
    out = oci.output(["/bin/cat", "/proc/self/stat"], rootfs,
                     setter("process.scheduler", scheduler)).rsplit(")", 1)[1].split()
    assert (int(out[38]), int(out[16])) == (policy, nice)


@pytest.mark.parametrize("value,word", [
    ({"policy": "SCHED_WHAT"}, "SCHED_WHAT"),
    ({"policy": "SCHED_OTHER", "priority": 4}, "priority"),
    ({"policy": "SCHED_OTHER", "runtime": 4}, "runtime"),
    ({"policy": "SCHED_OTHER", "flags": ["X"]}, "X"),
    ({"policy": "SCHED_OTHER", "nice": 40}, "nice")])
def test_a_bad_scheduler_is_named(oci, rootfs, value, word):
    r = oci.run("true", rootfs, setter("process.scheduler", value))
    assert r.code == 1 and "process.scheduler" in r.err and word in r.err


def test_io_priority_and_personality(oci, rootfs):
    out = oci.output("ionice -p $$; uname -m", rootfs, both(
        setter("process.ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 6}),
        setter("linux.personality", {"domain": "LINUX32"})))
    assert "best-effort: prio 6" in out and out.split()[-1] in ("i686", "armv8l")
    r = oci.run("true", rootfs, setter("process.ioPriority", {"class": "IOPRIO_X"}))
    assert r.code == 1 and "IOPRIO_X" in r.err


@pytest.mark.parametrize("path,value", [
    ("process.apparmorProfile", "nosuch-profile"), ("process.selinuxLabel", "nosuch_u:x:y:z")])
def test_a_label_that_cannot_be_set_is_an_error(oci, rootfs, path, value):
    r = oci.run("true", rootfs, setter(path, value))
    assert r.code == 1 and path in r.err


# Names, sysctl, unknown properties


def test_names(each, rootfs):
    assert each.output("hostname", rootfs, setter("hostname", "some-host")).strip() == "some-host"


def test_domainname(oci, rootfs):
    assert oci.output("cat /proc/sys/kernel/domainname", rootfs,
                      setter("domainname", "example.org")).strip() == "example.org"


def test_sysctl(each, rootfs):
    out = each.output("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni", rootfs,
                      setter("linux.sysctl", {"net.ipv4.ip_forward": "1",
                                              "kernel.shmmni": "1234"}))
    assert out.split() == ["1", "1234"]


@pytest.mark.parametrize("key", ["vm.swappiness", "kernel.panic", "net/../vm/swappiness",
                                 "net.ipv4.../../../vm/swappiness", "fs.file-max"])
def test_sysctl_of_the_host_is_refused(each, rootfs, key):
    r = each.run("true", rootfs, setter("linux.sysctl", {key: "1"}))
    assert r.code == 1 and ("sysctl" in r.err or each.program != str(OCI))


@pytest.mark.parametrize("change", [
    without("network"), namespace("network", "/proc/self/ns/net")], ids=["none", "path"])
def test_sysctl_of_a_namespace_that_is_the_hosts_is_refused(oci, rootfs, change):
    r = oci.run("true", rootfs, both(change, setter("linux.sysctl", {"net.ipv4.ip_forward": "1"})))
    assert r.code == 1 and "net.ipv4.ip_forward" in r.err


@pytest.mark.parametrize("path,value,word", [
    ("process.nosuch", 1, "process.nosuch"),
    ("linux.nosuch", {}, "linux.nosuch"),
    ("nosuch", [], "nosuch"),
    ("linux.intelRdt", {"closID": "x"}, "linux.intelRdt"),
    ("linux.mountLabel", "x", "linux.mountLabel"),
    ("linux.personality", {"domain": "BSD"}, "linux.personality.domain"),
    ("linux.uidMappings", [{"containerID": 0, "hostID": 0, "size": 1}], "linux.uidMappings"),
    ("linux.timeOffsets", {"monotonic": {"secs": 1}}, "linux.timeOffsets"),
    ("linux.resources", {"unified": {"memory.max": "1"}}, "unified"),
    ("linux.resources", {"rdma": {"mlx": {"hcaHandles": 1}}}, "rdma"),
    ("linux.resources", {"network": {"classID": 7}}, "net_cls"),
    ("linux.resources", {"hugepageLimits": [{"pageSize": "2 mb", "limit": 1}]}, "pageSize"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["X"]}, "flags"),
    ("hooks", {"poststop": [{"path": "rel"}]}, "hooks.poststop[0].path"),
    ("hooks", {"prestart": [{"path": "/x", "timeout": -1}]}, "timeout"),
])
def test_what_is_not_known_or_not_possible_is_named(oci, rootfs, path, value, word):
    r = oci.run("true", rootfs, setter(path, value))
    assert r.code == 1 and word in r.err and r.err.count("\n") == 1


# Mounts


def test_binds_of_files_and_folders(each, rootfs, tmp_path):
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/f").write_text("in folder\n")
    (tmp_path / "file").write_text("one file\n")
    out = each.output("cat /mnt/d/f /etc/new/file; echo x > /mnt/d/f || echo refused", rootfs, both(
        mounting("/mnt/d", ["bind", "ro"], source=str(tmp_path / "dir"), type="bind"),
        mounting("/etc/new/file", ["rbind"], source=str(tmp_path / "file"), type="none")))
    assert out.splitlines() == ["in folder", "one file", "refused"]


def test_a_relative_source_is_of_the_bundle(each, rootfs):
    def change(spec):
        (each.base / each.made[-1] if each.made else each.base).exists()
        mounting("/rel", ["bind"], source="stuff", type="bind")(spec)
    ident, path = each.bundle(["/bin/ls", "/rel"], rootfs, change)
    (path / "stuff").mkdir()
    (path / "stuff/here").touch()
    assert each.call("run", "-b", path, ident).out == "here\n"


@pytest.fixture
def tree(tmp_path):
    """A folder with a mount of its own below."""
    top = tmp_path / "tree"
    (top / "sub").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "sub", top / "sub"], check=True)
    yield top
    subprocess.run(["umount", "-R", top / "sub"], check=True)


@pytest.mark.parametrize("option,top,sub", [("ro", "no", "yes"), ("rro", "no", "no"),
                                            ("rw", "yes", "yes")])
def test_recursive_attributes(each, rootfs, tree, option, top, sub):
    out = each.output("for d in /m /m/sub; do touch $d/x 2>/dev/null && echo yes || echo no; done",
                      rootfs, mounting("/m", ["rbind", option], source=str(tree), type="bind"))
    assert out.split() == [top, sub]


@pytest.mark.parametrize("option,flag", [
    ("rnosuid", "nosuid"), ("rnodev", "nodev"), ("rnoexec", "noexec"), ("rnoatime", "noatime"),
    ("rnodiratime", "nodiratime"), ("rnosymfollow", "nosymfollow")])
def test_recursive_flags(oci, rootfs, tree, option, flag):
    out = oci.output("grep ' /m' /proc/self/mountinfo", rootfs,
                     mounting("/m", ["rbind", option], source=str(tree), type="bind"))
    assert [flag in l.split()[5].split(",") for l in out.splitlines()] == [True, True]


def test_tmpcopyup(each, rootfs, tmp_path):
    root = shimlib.make_rootfs(tmp_path / "own")
    (root / "data/deep").mkdir(parents=True)
    (root / "data/deep/file").write_text("kept\n")
    (root / "data/deep/file").chmod(0o640)
    os.chown(root / "data/deep/file", 12, 34)
    (root / "data/link").symlink_to("deep/file")
    (root / "data").chmod(0o1777)
    out = each.output("cat /data/link; stat -c '%a %u %g' /data/deep/file; stat -c %a /data; "
                      "grep ' /data ' /proc/self/mountinfo | grep -c tmpfs; touch /data/new", root,
                      mounting("/data", ["tmpcopyup"], source="tmpfs", type="tmpfs"))
    assert out.splitlines() == ["kept", "640 12 34", "1777", "1"]
    assert not (root / "data/new").exists()


def test_options_that_do_not_fit(oci, rootfs, tmp_path):
    r = oci.run("true", rootfs, mounting("/m", ["bind", "size=1m"], source=str(tmp_path)))
    assert r.code == 1 and "size=1m" in r.err
    r = oci.run("true", rootfs, mounting("/m", ["nosuch=1"], source="tmpfs", type="tmpfs"))
    assert r.code == 1 and "nosuch" in r.err
    r = oci.run("true", rootfs, mounting("/m", ["tmpcopyup", "bind"], source=str(tmp_path)))
    assert r.code == 1 and "tmpcopyup" in r.err
    r = oci.run("true", rootfs, mounting("/m", ["bind", "idmap"], source=str(tmp_path)))
    assert r.code == 1 and "idmap" in r.err


@pytest.mark.parametrize("option,word", [("rslave", "master:"), ("rshared", "shared:"),
                                         ("rprivate", "-")])
def test_propagation(each, rootfs, tree, option, word):
    subprocess.run(["mount", "--make-shared", tree / "sub"], check=True)
    out = each.output("grep ' /m ' /proc/self/mountinfo", rootfs, mounting(
        "/m", ["rbind", option], source=str(tree / "sub"), type="bind"))
    assert out.split()[6].startswith(word)


def test_propagation_carries_mounts_in(oci, rootfs, tree):
    subprocess.run(["mount", "--make-shared", tree / "sub"], check=True)
    (tree / "sub/late").mkdir()
    ident = oci.start(SLEEP, rootfs, mounting("/m", ["rbind", "rslave"], source=str(tree / "sub"),
                                              type="bind"))
    subprocess.run(["mount", "-t", "tmpfs", "late", tree / "sub/late"], check=True)
    assert " /m/late " in oci.call("exec", ident, "cat", "/proc/self/mountinfo").out
    subprocess.run(["umount", tree / "sub/late"], check=True)


@pytest.mark.parametrize("propagation,word", [("shared", "shared:"), ("private", "-")])
def test_root_propagation(oci, rootfs, propagation, word):
    out = oci.output("grep ' / / ' /proc/self/mountinfo; grep -m1 -E '^[0-9]+ [0-9]+ [0-9:]+ [^ ]+ "
                     "/ ' /proc/self/mountinfo", rootfs,
                     setter("linux.rootfsPropagation", propagation))
    assert out.splitlines()[-1].split()[6].startswith(word)


def test_readonly_root_and_paths(each, rootfs):
    out = each.output("touch /x 2>/dev/null || echo ro; ls /proc/acpi 2>/dev/null | wc -l; "
                      "cat /proc/kcore 2>/dev/null | head -c 1 | wc -c; "
                      "echo 1 > /proc/sys/kernel/panic 2>/dev/null || echo ro", rootfs,
                      both(setter("root.readonly", True)))
    assert out.split() == ["ro", "0", "0", "ro"]


def test_no_pivot(oci, rootfs):
    out = oci.output("ls /; ls /proc/1/root/; cat /proc/self/cgroup | wc -l", rootfs,
                     flags=["--no-pivot"])
    assert "bin" in out.split() and "lost+found" not in out


def test_a_mount_through_a_link_stays_inside(oci, tmp_path):
    """CVE-2019-18837, CVE-2021-30465: a link of the image as a target."""
    outside = tmp_path / "outside"
    outside.mkdir()
    root = shimlib.make_rootfs(tmp_path / "own")
    (root / "trap").symlink_to(outside)
    (root / "up").symlink_to("../" * 20 + str(outside)[1:])
    out = oci.output("ls %s" % outside, root, both(
        mounting("/trap/made", [], source="tmpfs", type="tmpfs"),
        mounting("/up/made2", [], source="tmpfs", type="tmpfs")))
    assert out.split() == ["made", "made2"] and list(outside.iterdir()) == []


def test_idmapped_mounts(oci, rootfs, tmp_path):
    source = pathlib.Path("/var/tmp/shoal-oci-idmap-%d" % os.getpid())
    source.mkdir()
    try:
        (source / "f").touch()
        os.chown(source / "f", 1000, 1000)
        maps = {"uidMappings": [{"containerID": 1000, "hostID": 2000, "size": 1}],
                "gidMappings": [{"containerID": 1000, "hostID": 3000, "size": 1}]}
        out = oci.output("stat -c '%u %g' /m/f", rootfs, mounting(
            "/m", ["bind", "idmap"], source=str(source), type="bind", **maps))
        assert out.split() == ["2000", "3000"]
    finally:
        shutil.rmtree(source)


# Namespaces


def test_own_namespaces(each, rootfs):
    host = {n: os.readlink("/proc/self/ns/" + n) for n in ("pid", "mnt", "net", "uts", "ipc")}
    out = each.output("cd /proc/self/ns; for n in pid mnt net uts ipc; do readlink $n; done",
                      rootfs).split()
    assert set(out) & set(host.values()) == set()


@pytest.mark.parametrize("kind,file", [("network", "net"), ("ipc", "ipc"), ("uts", "uts"),
                                       ("pid", "pid")])
def test_namespaces_are_joined_by_path(each, rootfs, kind, file):
    first = each.start(SLEEP, rootfs)
    path = "/proc/%d/ns/%s" % (each.state(first)["pid"], file)

    def change(spec):
        namespace(kind, path)(spec)
        spec.pop("hostname", None)
    assert each.output("readlink /proc/self/ns/" + file, rootfs,
                       change).strip() == os.readlink(path)


def test_the_caller_is_back_in_its_own_pid_namespace(oci, rootfs):
    """A hook of a container that joins another's pid namespace is the host's all the same."""
    first = oci.start(SLEEP, rootfs)

    def change(spec):
        namespace("pid", "/proc/%d/ns/pid" % oci.state(first)["pid"])(spec)
        spec["hooks"] = {"createRuntime": [{
            "path": "/bin/sh", "args": ["sh", "-c", "readlink /proc/self/ns/pid > %s/ns; cat > "
                                        "%s/stdin" % (oci.base, oci.base)]}]}
    oci.output("true", rootfs, change)
    assert (oci.base / "ns").read_text().strip() == os.readlink("/proc/self/ns/pid")


def test_time_namespace(oci, rootfs):
    out = oci.output("cat /proc/uptime; readlink /proc/self/ns/time", rootfs, both(
        namespace("time"), setter("linux.timeOffsets", {
            "boottime": {"secs": 1000000}, "monotonic": {"secs": 5, "nanosecs": 1}})))
    host = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    assert float(out.split()[0]) > host + 900000
    assert out.split()[-1] != os.readlink("/proc/self/ns/time")


def test_user_namespace(each, mapped_root):
    out = each.output("id -u; cat /proc/self/uid_map; stat -c %u /bin; echo x > /dev/null; "
                      "test -c /dev/null && touch /tmp/made && echo ok; "
                      "cat /proc/kcore 2>/dev/null | head -c 1 | wc -c", mapped_root, mapped)
    assert out.split() == ["0", "0", "100000", "65536", "0", "ok", "0"]
    assert (mapped_root / "tmp/made").stat().st_uid == BASE
    (mapped_root / "tmp/made").unlink()


def test_a_user_of_a_user_namespace(each, mapped_root):
    out = each.output("id -u; id -G", mapped_root, both(
        mapped, setter("process.user", {"uid": 7, "gid": 8, "additionalGids": [9]})))
    assert out.split() == ["7", "8", "9"]


def test_exec_into_a_user_namespace(each, mapped_root):
    ident = each.start(SLEEP, mapped_root, mapped)
    pid = each.state(ident)["pid"]
    out = each.call("exec", ident, "sh", "-c", "id -u; readlink /proc/self/ns/user; "
                    "grep CapEff /proc/self/status").out.split()
    assert out[:2] == ["0", os.readlink("/proc/%d/ns/user" % pid)]


def test_a_user_namespace_and_one_joined_by_path(each, mapped_root):
    """The network belongs to the host: it is joined before the user namespace is made."""
    holder = each.start(SLEEP, mapped_root)
    net = "/proc/%d/ns/net" % each.state(holder)["pid"]
    out = each.output("readlink /proc/self/ns/net; id -u; cat /proc/self/uid_map", mapped_root,
                      both(mapped, namespace("network", net),
                           lambda s: s["mounts"].__setitem__(
                               slice(None), [m for m in s["mounts"] if m["type"] not in
                                             ("sysfs", "cgroup")])))
    assert out.split() == [os.readlink(net), "0", "0", "100000", "65536"]


def test_a_pod_shares_a_user_namespace(oci, mapped_root):
    first = oci.start(SLEEP, mapped_root, mapped)
    pid = oci.state(first)["pid"]

    def change(spec):
        for kind, file in (("user", "user"), ("network", "net"), ("ipc", "ipc"), ("pid", "pid")):
            namespace(kind, "/proc/%d/ns/%s" % (pid, file))(spec)
    out = oci.output("id -u; for n in user net ipc pid; do readlink /proc/self/ns/$n; done",
                     mapped_root, change).split()
    assert out == ["0"] + [os.readlink("/proc/%d/ns/%s" % (pid, f))
                           for f in ("user", "net", "ipc", "pid")]


def test_no_groups_namespace_shows_only_the_own_group(oci, rootfs):
    out = oci.output("ls /sys/fs/cgroup/; cat /sys/fs/cgroup/pids/cgroup.procs | wc -l; "
                     "ls -d /sys/fs/cgroup/pids/*/ 2>/dev/null | wc -l", rootfs, without("cgroup"))
    if (ocilib.CGROUP / "pids").is_dir():
        assert "pids" in out and out.split()[-2] in "123" and out.split()[-1] == "0"


# Devices


def test_devices(each, rootfs):
    def change(spec):
        spec["linux"]["devices"] = [
            {"path": "/dev/my-null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640,
             "uid": 5, "gid": 6}, {"path": "/dev/pipe", "type": "p"}]
    out = each.output("stat -c '%a %u %g %t:%T' /dev/my-null; echo x > /dev/my-null && echo wrote; "
                      "test -p /dev/pipe && echo pipe; ls -l /dev/ptmx | grep -c pts/ptmx", rootfs,
                      change)
    assert out.splitlines() == ["640 5 6 1:3", "wrote", "pipe", "1"]


def test_device_rules(each, rootfs):
    def change(spec):
        spec["process"]["capabilities"] = {s: ["CAP_MKNOD"] for s in
                                           ("bounding", "effective", "permitted")}
        spec["linux"]["resources"]["devices"] = [
            {"allow": False, "access": "rwm"},
            {"allow": True, "type": "c", "major": 200, "minor": 1, "access": "r"}]
    # Nobody serves these devices: who may open them is told so.
    out = each.output("mknod /tmp/a c 200 1; mknod /tmp/b b 200 1; cat /tmp/a 2>&1; "
                      "sh -c ': > /tmp/a' 2>&1; cat /tmp/b 2>&1; echo x > /dev/null && echo null; "
                      "rm /tmp/a /tmp/b", rootfs, change)
    assert [l.split(": ")[-1] for l in out.splitlines()] == [
        "No such device or address", "Operation not permitted", "Operation not permitted", "null"]


def test_a_link_for_dev_is_not_followed(oci, tmp_path):
    """CVE-2026-41579, CVE-2026-47766."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "ptmx").write_text("host's\n")
    root = shimlib.make_rootfs(tmp_path / "own")
    shutil.rmtree(root / "dev")
    (root / "dev").symlink_to(outside)
    oci.run("true", root)
    assert (outside / "ptmx").read_text() == "host's\n" and len(list(outside.iterdir())) == 1


# Seccomp


def seccomp(*rules, default="SCMP_ACT_ALLOW", **members):
    return setter("linux.seccomp", {"defaultAction": default, "architectures": ["SCMP_ARCH_X86_64"],
                                    "syscalls": list(rules), **members})


def test_seccomp(each, rootfs):
    out = each.output("mkdir /tmp/d 2>&1; chmod 600 /bin/sh 2>/dev/null || echo refused; "
                      "grep -w Seccomp /proc/self/status", rootfs, seccomp(
                          {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
                          {"names": ["chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO"}))
    assert "No space left" in out and "refused" in out and out.split()[-2:] == ["Seccomp:", "2"]


def test_seccomp_with_conditions_and_flags(oci, rootfs):
    out = oci.output("kill -0 1 && echo zero; kill -9 77777 2>&1; true", rootfs, seccomp(
        {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28,
         "args": [{"index": 1, "value": 9, "op": "SCMP_CMP_EQ"}]},
        flags=["SECCOMP_FILTER_FLAG_LOG"]))
    assert "zero" in out and "No space left" in out


def test_seccomp_listener(oci, rootfs):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(oci.base / "l.sock"))
    listener.listen(1)
    listener.settimeout(30)
    got = {}

    def serve():
        c, _ = listener.accept()
        text, anc, _, _ = c.recvmsg(65536, 100)
        fds = array.array("i")
        fds.frombytes(anc[0][2][:4])
        got.update(json.loads(text), fd=os.readlink("/proc/self/fd/%d" % fds[0]))
        os.close(fds[0])
    t = threading.Thread(target=serve)
    t.start()
    ident, path = oci.bundle(["/bin/true"], rootfs, both(
        seccomp({"names": ["getpriority"], "action": "SCMP_ACT_NOTIFY"},
                listenerPath=str(oci.base / "l.sock"), listenerMetadata="some data")))
    oci.call("run", "-b", path, ident)
    t.join()
    listener.close()
    assert got["fds"] == ["seccompFd"] and got["metadata"] == "some data"
    assert got["state"]["id"] == ident and got["pid"] > 0 and "seccomp" in got["fd"]


def test_a_listener_that_is_not_there(oci, rootfs):
    r = oci.run("true", rootfs, seccomp({"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"},
                                        listenerPath=str(oci.base / "nosuch")))
    assert r.code != 0 and "nosuch" in r.err
    r = oci.run("true", rootfs, seccomp({"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}))
    assert r.code != 0 and "listenerPath" in r.err


# Hooks

KINDS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]


def test_hooks_are_run_in_order_with_the_state(each, rootfs):
    log = each.base / "log"
    log.touch()

    def change(spec):
        spec["annotations"] = {"k": "v"}
        mounting("/log", ["bind"], source=str(log))(spec)
        spec["hooks"] = {
            k: [{"path": "/bin/sh", "env": ["KIND=" + k], "args": [
                "sh", "-c", "echo $KIND $(cat) >> %s" % ("/log" if k == "startContainer" else log)]}]
            for k in KINDS}
    assert each.output("echo main >> /log", rootfs, change) == ""
    lines = log.read_text().splitlines()
    order = [l.split()[0] for l in lines if not l.startswith(("main", "poststart"))]
    assert order == ["prestart", "createRuntime", "createContainer", "startContainer", "poststop"]
    assert sorted(l.split()[0] for l in lines) == sorted(KINDS + ["main"])
    for line in lines:
        if line != "main":
            state = json.loads(line.split(" ", 1)[1])
            assert state["id"] == each.made[-1] and state["bundle"] and \
                state["annotations"]["k"] == "v"
    status = {l.split()[0]: json.loads(l.split(" ", 1)[1])["status"] for l in lines if l != "main"}
    if each.program != str(OCI):
        status["poststart"] = "running"  # runc 1.1 says "created"
    assert status == {"prestart": "creating", "createRuntime": "creating",
                      "createContainer": "creating", "startContainer": "created",
                      "poststart": "running", "poststop": "stopped"}


def test_create_container_hooks_see_the_mounts_of_the_container(each, rootfs, tmp_path):
    log = each.base / "log"

    def change(spec):
        spec["hooks"] = {"createContainer": [{"path": "/bin/sh", "args": [
            "sh", "-c", "readlink /proc/self/ns/mnt > %s" % log]}]}
    each.output("true", rootfs, change)
    assert log.read_text().strip() != os.readlink("/proc/self/ns/mnt")


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer", "startContainer"])
def test_a_hook_that_fails_ends_it(oci, rootfs, kind):
    def change(spec):
        spec["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", "echo why >&2; exit 3"]}]}
    r = oci.run("echo started", rootfs, change)
    assert r.code != 0 and r.out == "" and kind in r.err and "status 3: why" in r.err


def test_a_hook_that_takes_too_long_is_killed(oci, rootfs):
    def change(spec):
        spec["hooks"] = {"createRuntime": [{"path": "/bin/sh", "timeout": 1, "args": [
            "sh", "-c", "echo $$ > %s/pid; sleep 100 & wait" % oci.base]}]}
    r = oci.run("echo started", rootfs, change)
    assert r.code == 1 and r.out == "" and "1000 ms" in r.err
    assert is_gone(int((oci.base / "pid").read_text()))


def test_hooks_inherit_nothing(oci, rootfs):
    def change(spec):
        spec["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": [
            "sh", "-c", "ls /proc/self/fd > %s/fds; env > %s/env" % (oci.base, oci.base)]}]}
    oci.output("true", rootfs, change, env={**os.environ, "SECRET": "x"})
    assert (oci.base / "fds").read_text().split() == ["0", "1", "2", "3"]
    assert "SECRET" not in (oci.base / "env").read_text()


# Control groups


def values(oci, rootfs, resources, *files):
    """What the files of a container's group say while it is created."""
    def change(spec):
        spec["linux"]["resources"].update(resources)
    ident, path = oci.bundle(SLEEP, rootfs, change)
    oci.create(ident, path)
    group = lambda f: ocilib.CGROUP / f.split("/")[0] / ocilib.PARENT[1:] / ident / f.split("/")[1]
    found = [group(f).read_text().strip() for f in files]
    oci.call("delete", "--force", ident)
    return found


v1 = pytest.mark.skipif(not (ocilib.CGROUP / "memory").is_dir(), reason="needs control groups v1")


@v1
def test_memory_cpu_and_pids(each, rootfs):
    found = values(each, rootfs, {
        "memory": {"limit": 1 << 26, "reservation": 1 << 25, "swap": 1 << 27},
        "cpu": {"shares": 333, "quota": 20000, "period": 50000, "cpus": "0"},
        "pids": {"limit": 42}},
        "memory/memory.limit_in_bytes", "memory/memory.soft_limit_in_bytes",
        "memory/memory.memsw.limit_in_bytes", "cpu/cpu.shares", "cpu/cpu.cfs_quota_us",
        "cpu/cpu.cfs_period_us", "cpuset/cpuset.cpus", "pids/pids.max")
    assert found == [str(1 << 26), str(1 << 25), str(1 << 27), "333", "20000", "50000", "0", "42"]


@v1
def test_block_devices(oci, rootfs):
    dev = next(l.split() for l in pathlib.Path("/proc/partitions").read_text().splitlines()[2:])
    number = {"major": int(dev[0]), "minor": int(dev[1])}
    found = values(oci, rootfs, {"blockIO": {
        "throttleReadBpsDevice": [{**number, "rate": 1048576}],
        "throttleWriteIOPSDevice": [{**number, "rate": 77}]}},
        "blkio/blkio.throttle.read_bps_device", "blkio/blkio.throttle.write_iops_device")
    assert found == ["%s:%s 1048576" % (dev[0], dev[1]), "%s:%s 77" % (dev[0], dev[1])]


def test_huge_pages_on_a_hybrid_host(oci, rootfs):
    unified = ocilib.CGROUP / "unified"
    if not (unified / "cgroup.controllers").exists() or \
            "hugetlb" not in (unified / "cgroup.controllers").read_text():
        pytest.skip("needs a hybrid host whose v2 tree has hugetlb")
    before = (unified / "cgroup.subtree_control").read_text()
    try:
        found = values(oci, rootfs, {"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]},
                       "unified/hugetlb.2MB.max")
        assert found == ["4194304"]
    finally:
        for group in ocilib.groups(""):
            for name in ("hugetlb",):
                try:
                    (group / "cgroup.subtree_control").write_text("-" + name)
                except OSError:
                    pass
        if before.strip() == "":
            for p in (unified / ocilib.PARENT[1:],):
                if p.is_dir():
                    p.rmdir()
            (unified / "cgroup.subtree_control").write_text("-hugetlb")


@pytest.mark.parametrize("form,path", [("a-b.slice:pre:%s", "a.slice/a-b.slice/pre-%s.scope")])
def test_systemd_form_of_the_groups_path(oci, rootfs, form, path):
    prefix = "shoaltest%d" % os.getpid()
    form, path = form.replace("a-b", prefix + "-b"), path.replace("a.", prefix + ".").replace(
        "a-b", prefix + "-b")

    def change(spec):
        spec["linux"]["cgroupsPath"] = form % "id"
    ident, where = oci.bundle(SLEEP, rootfs, change)
    try:
        with open(os.devnull, "wb") as null:
            subprocess.run([str(OCI), "--root", str(oci.root), "--systemd-cgroup", "create", "-b",
                            str(where), ident], stdin=null, stdout=null, stderr=null, check=True)
        pid = oci.state(ident)["pid"]
        assert "/" + path % "id" in pathlib.Path("/proc/%d/cgroup" % pid).read_text()
        oci.call("delete", "--force", ident)
    finally:
        for d in sorted(ocilib.CGROUP.glob("*/%s.slice/**/" % prefix), reverse=True):
            d.rmdir()
    r = oci.run("true", rootfs, options=["--systemd-cgroup"])
    assert r.code == 1 and "slice:prefix:name" in r.err


def test_an_oom_kill_ends_it_with_137(each, rootfs):
    def change(spec):
        spec["linux"]["resources"]["memory"] = {"limit": 8 << 20, "swap": 8 << 20}
    assert each.run("tail /dev/zero", rootfs, change).code == 137


# An ordinary user


@pytest.fixture
def ordinary():
    """What a user who is not root has: the command, a bundle, a folder for states."""
    base = pathlib.Path("/var/tmp/shoal-oci-user-%d" % os.getpid())
    base.mkdir(mode=0o755)
    shutil.copy(OCI, base / "oci")
    (base / "b").mkdir()
    (base / "x").mkdir()
    shimlib.make_rootfs(base / "b/rootfs")
    for p in [base, *base.rglob("*")]:
        os.lchown(p, 12345, 12345)

    def call(*argv, check=True, **kw):
        r = subprocess.run(
            ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", base / "oci",
             *map(str, argv)], env={"XDG_RUNTIME_DIR": str(base / "x"), "PATH": os.environ["PATH"]},
            cwd=base / "b", stdin=subprocess.DEVNULL, check=False, timeout=60,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kw})
        assert not check or r.returncode == 0, r.stderr
        return r.stdout.decode() if r.stdout is not None else ""

    call("spec", "--rootless")
    spec = json.loads((base / "b/config.json").read_text())
    spec["process"]["terminal"] = False
    call.base, call.spec = base, spec
    yield call
    call("delete", "--force", "u", check=False)
    assert list((base / "x/shoal-oci").iterdir()) == []
    shutil.rmtree(base)


def write_args(ordinary, *args):
    ordinary.spec["process"]["args"] = list(args)
    (ordinary.base / "b/config.json").write_text(json.dumps(ordinary.spec))


def test_an_ordinary_user_runs_a_container(ordinary):
    write_args(ordinary, "/bin/sh", "-c", "id -u; cat /proc/self/uid_map; echo x > /dev/null; "
               "echo $$; touch /x 2>/dev/null || echo ro; grep NoNew /proc/self/status")
    assert ordinary("run", "u").split() == ["0", "0", "12345", "1", "1", "ro", "NoNewPrivs:", "1"]


def test_the_life_of_an_ordinary_users_container(ordinary):
    write_args(ordinary, *SLEEP)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    ordinary("create", "u", **quiet)
    ordinary("start", "u")
    assert json.loads(ordinary("state", "u"))["status"] == "running"
    assert ordinary("exec", "u", "sh", "-c", "id -u; cat /proc/1/comm").split() == ["0", "sleep"]
    ordinary("kill", "u", "KILL")
    wait_for(lambda: json.loads(ordinary("state", "u"))["status"] == "stopped")
    ordinary("delete", "u")
