"""What a program in a container sees of whoever started it: nothing that config.json does not say.
The caller is leak-tool, which has everything set that can be inherited, and inside is leak-tool
again, which tells what has arrived. runc is asked beside shoal-oci where it does as well."""

import ctypes
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

import ocilib
import shimlib
import test_api_engine
from ocilib import OCI
from test_oci import SLEEP, console_of, oci, read_until, receive_console, runtime_at, terminal, wait_for  # noqa: F401
from test_oci import each  # noqa: F401 (fixture)
from test_api_engine import IMAGE, daemon, name  # noqa: F401 (fixture)

TOOL = shimlib.BUILD / "bin" / "leak-tool"
SECRET = "secret-of-the-caller"  # of leak_tool.c
NAMESPACES = "cgroup ipc mnt net pid uts".split()
WITH_SHIM = str(int(signal.SIGKILL))  # the engine's containers end with their shim
# Not looked at: what all runtimes pass on, as config.json has a property for it that is not given,
# or an operator sets it for all that is started (CPUs, nice, huge pages).
SHOWN = ["/bin/sh", "-c", "exec /leak show"]

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not OCI.exists() or not TOOL.exists() or not os.path.exists("/bin/busybox"),
    reason="needs root, busybox-static, a built shoal-oci and leak-tool")


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory):
    root = shimlib.make_rootfs(tmp_path_factory.mktemp("leak"))
    shutil.copy(TOOL, root / "leak")
    return root


def parse(text):
    return {k: v for k, _, v in (line.partition(" ") for line in text.splitlines())}


def dirty(r, *argv, **kw):
    """The runtime called by leak-tool, with all that it has set; what is shown, as a dictionary."""
    p = subprocess.run([str(TOOL), "dirty", r.program, "--root", str(r.root), *map(str, argv)],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=ocilib.TIMEOUT, check=False, **kw)
    assert p.returncode == 0, p.stderr
    return p.stdout.decode()


def run_dirty(r, rootfs, args=None, change=None, flags=()):
    ident, path = r.bundle(args or SHOWN, rootfs, change)
    return dirty(r, "run", "--bundle", path, *flags, ident)


def exec_dirty(r, rootfs, args=None, change=None, flags=()):
    ident = r.start(SLEEP, rootfs, change)
    return dirty(r, "exec", *flags, ident, *(args or SHOWN))


WAYS = {"run": run_dirty, "exec": exec_dirty}


@pytest.fixture(params=sorted(WAYS))
def way(request):
    return WAYS[request.param]


def check_shown(got, **other):
    want = {"fds": "0 1 2", "ignored": "", "blocked": "", "pending": "", "key": "none",
            "deathsig": "0", "reaper": "0", "dumpable": "1", "nnp": "0", "securebits": "0",
            "personality": "0", "timer": "0", "umask": "022", "cwd": "/", "execfn": "/leak",
            "secure": "0", "leader": "1", "group": "1", "tty": "none", **other}
    assert {k: got.get(k) for k in want} == want


def test_what_is_inherited(oci, rootfs, way):
    check_shown(parse(way(oci, rootfs)))


def test_a_caller_that_ignores_its_children(oci, rootfs):
    """The status would be lost otherwise, and the wait for it without end; hooks too would always do."""
    ident, path = oci.bundle(["/bin/sh", "-c", "exit 7"], rootfs)
    argv = [str(TOOL), "dirty", oci.program, "--root", str(oci.root), "run", "--bundle"]
    run = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
           "timeout": ocilib.TIMEOUT, "check": False}
    assert subprocess.run([*argv, path, ident], **run).returncode == 7

    def change(spec):
        spec["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "exit 3"]}]}
    ident, path = oci.bundle(["/bin/true"], rootfs, change)
    p = subprocess.run([*argv, path, ident], **run)
    assert p.returncode != 0 and b"createRuntime" in p.stderr, p.stderr


def test_the_environment_is_that_of_the_configuration(each, rootfs, way):
    def change(spec):
        spec["process"]["env"] = ["PATH=/bin", "A=1", "A=2", "EMPTY="]
    got = way(each, rootfs, ["/bin/cat", "/proc/self/environ"], change).split("\0")
    assert SECRET not in "".join(got)
    assert sorted(got) in (sorted(["", "PATH=/bin", "A=1", "A=2", "EMPTY=", "HOME=/root"]),
                           sorted(["", "PATH=/bin", "A=2", "EMPTY=", "HOME=/root"]))


def test_what_the_configuration_says_is_what_there_is(oci, rootfs, way):
    def change(spec):
        p = spec["process"]
        p["cwd"] = "/tmp"
        p["user"] = {"uid": 33, "gid": 34, "umask": 0o27, "additionalGids": [77, 5]}
        p["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 123},
                        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
        p["oomScoreAdj"] = 17
        p["noNewPrivileges"] = True
        p["scheduler"] = {"policy": "SCHED_BATCH", "nice": 11}
        p["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE"}
        p["capabilities"] = {"bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL"],
                             "effective": ["CAP_KILL"], "inheritable": ["CAP_KILL"],
                             "ambient": ["CAP_KILL"]}
    text = way(oci, rootfs, ["/bin/sh", "-c", "/leak show; grep -E '^(Cap|Groups|Uid|Gid)' "
                             "/proc/self/status; echo oom $(cat /proc/self/oom_score_adj)"], change)
    got = parse(text.replace(":\t", " "))
    kill, both = "%016x" % (1 << 5), "%016x" % (1 << 5 | 1)
    want = {"cwd": "/tmp", "umask": "027", "rlimit%d" % 7: "99:123", "rlimit4": "0:0", "oom": "17",
            "nnp": "1", "policy": "3", "nice": "11", "ioprio": str(3 << 13), "Groups": "5 77 ",
            "Uid": "33\t33\t33\t33", "Gid": "34\t34\t34\t34", "CapInh": kill, "CapPrm": kill,
            "CapEff": kill, "CapAmb": kill, "CapBnd": both, "securebits": "0", "key": "none"}
    assert {k: got.get(k) for k in want} == want


def test_the_terminal_is_its_own(oci, rootfs, tmp_path):
    listener = receive_console(tmp_path / "c")
    ident, path = oci.bundle(["/leak", "show"], rootfs, terminal)
    dirty(oci, "create", "--bundle", path, "--console-socket", tmp_path / "c", ident)
    fd = console_of(listener)
    oci.call("start", ident)
    got = parse(read_until(fd, b"arg show").decode().replace("\r", ""))
    os.close(fd)
    assert (got["tty"], got["leader"], got["fds"], got["deathsig"]) == ("own", "1", "0 1 2", "0")


# Keys


def own_view():
    """What the daemon has inherited from us."""
    return subprocess.run([str(TOOL), "show"], stdout=subprocess.PIPE, check=True).stdout.decode()


def test_a_keyring_of_the_caller_only_when_asked_for(each, rootfs):
    assert parse(run_dirty(each, rootfs))["key"] == "none"
    assert parse(run_dirty(each, rootfs, flags=["--no-new-keyring"]))["key"] == "found"


def test_exec_in_a_container_without_a_keyring_of_its_own(oci, rootfs):
    ident = oci.start(SLEEP, rootfs, flags=["--no-new-keyring"])
    assert parse(dirty(oci, "exec", ident, *SHOWN))["key"] == "found"


def test_a_keyring_that_somebody_has_made_under_its_name(oci, rootfs):
    """Of another container of the same user: whoever guesses the id would share its keys."""
    libc = ctypes.CDLL(None, use_errno=True)
    ident, path = oci.bundle(SHOWN, rootfs)
    made = libc.syscall(248, b"keyring", b"_ses.%s" % ident.encode(), None, 0, -4)  # add_key
    assert made > 0, os.strerror(ctypes.get_errno())
    libc.syscall(250, 5, made, 0x3f3f3f3f)  # KEYCTL_SETPERM
    try:
        got = parse(oci.call("run", "--bundle", path, ident).out)
        assert int(got["keyring"]) not in (made, 0)
    finally:
        libc.syscall(250, 9, made, -4)  # KEYCTL_UNLINK of the user's keyring


# Mounts, groups, namespaces


def mounts_of(text):
    """(place, root, optional fields, type, source) of a mountinfo."""
    for line in text.splitlines():
        left, right = line.split(" - ")
        words = left.split()
        yield words[4], words[3], words[6:], right.split()[0], right.split()[1]


def test_mounts_are_those_of_the_configuration(oci, rootfs, way):
    text = way(oci, rootfs, ["/bin/cat", "/proc/self/mountinfo"])
    declared = {m["destination"] for m in shimlib.default_spec("x", [], rootfs)["mounts"]}
    declared |= set(shimlib.MASKED + shimlib.READONLY) | {"/"}
    found = list(mounts_of(text))
    assert {"/", "/proc", "/dev", "/sys"} <= {place for place, *_ in found}
    for place, root, tags, kind, source in found:
        assert place in declared or place.startswith("/sys/fs/cgroup/"), place
        assert tags == [], "it would follow the host's mounts"
        # The bundle's own root is a folder of the host's: its file system and place are shown.
        if place != "/":
            assert not source.startswith(("/var", "/tmp", "/root")), source
            assert str(rootfs) not in root, root


def test_each_namespace_is_a_new_one(oci, rootfs, way):
    def change(spec):
        spec["linux"]["namespaces"] += [{"type": "user"}, {"type": "time"}]
        spec["linux"]["uidMappings"] = spec["linux"]["gidMappings"] = [
            {"containerID": 0, "hostID": 0, "size": 65536}]
    script = "for n in %s; do readlink /proc/self/ns/$n; done"
    plain = way(oci, rootfs, ["/bin/sh", "-c", script % " ".join(NAMESPACES)]).split()
    more = way(oci, rootfs, ["/bin/sh", "-c", script % "user time"], change).split()
    own = [os.readlink("/proc/self/ns/" + n) for n in NAMESPACES + ["user", "time"]]
    assert len(plain + more) == len(own) and not set(plain + more) & set(own)


def test_it_is_in_its_groups_alone(oci, rootfs, way):
    """Seen from the host: a group of its own in each hierarchy that it has one in, else the caller's."""
    def change(spec):
        spec["linux"]["resources"].update(
            memory={"limit": 64 << 20}, pids={"limit": 50}, cpu={"shares": 512, "cpus": "0"})
    inside = way(oci, rootfs, ["/bin/cat", "/proc/self/cgroup"], change)
    for line in inside.splitlines():
        path = line.split(":", 2)[2]
        assert ocilib.PARENT not in path, "the host's path of the group is shown"
        if any(c in line.split(":")[1].split(",") for c in ("memory", "pids", "cpu", "cpuset",
                                                           "devices", "freezer")):
            assert path == "/", line


# Before the program


def words_of(pid):
    return pathlib.Path("/proc/%d/cmdline" % pid).read_bytes()


def test_an_init_that_waits_shows_nothing_of_the_host(oci, rootfs):
    """Its command line is that of its maker, and whoever shares its pid namespace reads it."""
    ident, path = oci.bundle(SLEEP, rootfs)
    oci.create(ident, path, env={**os.environ, "SHOAL_LEAK": SECRET})
    pid = oci.state(ident)["pid"]
    assert words_of(pid).strip(b"\0") == b""
    assert SECRET.encode() not in pathlib.Path("/proc/%d/environ" % pid).read_bytes()
    # And nobody of the container may look for more.
    assert os.stat("/proc/%d/environ" % pid).st_uid == 0
    r = oci.call("exec", ident, "/bin/sh", "-c", "cat /proc/1/cmdline; cat /proc/1/environ 2>&1; "
                 "readlink /proc/1/exe; ls /proc/1/fd; echo; cat /proc/1/comm", check=False)
    assert str(path) not in r.out and "shoal-oci" not in r.out.splitlines()[0]
    oci.call("start", ident)
    assert words_of(pid) == b"/bin/sleep\x001000\0"


def test_a_process_on_its_way_in_shows_nothing_of_the_host(oci, rootfs, tmp_path):
    """What exec is given with --env, and paths: it waits while its pid cannot be written down."""
    ident = oci.start(SLEEP, rootfs)
    os.mkfifo(tmp_path / ".pid")  # under this name it is written first
    p = oci.popen("exec", "--detach", "--pid-file", tmp_path / "pid", "--env", "TOKEN=" + SECRET,
                  ident, "/bin/sleep", "1000")

    def pids():
        return {int(x) for g in ocilib.groups("/" + ident)
                for x in (pathlib.Path(g) / "cgroup.procs").read_text().split()}
    first = oci.state(ident)["pid"]
    wait_for(lambda: pids() - {first})
    lines = [words_of(pid).strip(b"\0") for pid in pids() - {first}]
    with open(tmp_path / ".pid", encoding="ascii") as f:
        f.read()
    assert lines == [b""]
    oci.call("kill", "--all", ident, "KILL")
    p.communicate(timeout=20)


def test_the_command_itself_still_shows_what_it_does(oci, rootfs):
    ident, path = oci.bundle(SLEEP, rootfs)
    p = oci.popen("run", "--bundle", path, ident)
    wait_for(lambda: oci.call("state", ident, check=False).code == 0
             and oci.state(ident)["status"] == "running")
    shown = words_of(p.pid)
    # The container holds the ends of our pipes: it goes before they are read.
    oci.call("kill", ident, "KILL")
    p.communicate(timeout=20)
    assert ident.encode() in shown and b"--bundle" in shown


# The engine's own containers


def put_tool(d, box):
    pid = int(d.docker("inspect", "-f", "{{.State.Pid}}", box))
    shutil.copy(TOOL, "/proc/%d/root/leak" % pid)


def test_the_engines_containers(daemon, name):
    d = daemon
    d.docker("run", "-d", "--name", name, IMAGE, "sleep", "1000")
    put_tool(d, name)
    check_shown(parse(d.docker("exec", name, "/leak", "show")), deathsig=WITH_SHIM)
    pid = int(d.docker("inspect", "-f", "{{.State.Pid}}", name))
    status = pathlib.Path("/proc/%d/status" % pid).read_text()
    for word in ("SigBlk", "SigIgn", "CapInh", "CapAmb"):
        assert [int(l.split()[1], 16) for l in status.splitlines() if l.startswith(word)] == [0]
    assert sorted(os.listdir("/proc/%d/fd" % pid)) == ["0", "1", "2"]
    assert pathlib.Path("/proc/%d/oom_score_adj" % pid).read_text() == "0\n"
    text = d.docker("exec", name, "cat", "/proc/self/mountinfo")
    assert all(tags == [] for _, _, tags, _, _ in mounts_of(text))


def test_the_engines_container_has_a_keyring_of_its_own(daemon, name):
    """Keys of whoever has started the daemon are not the container's."""
    shared = os.path.join("/var/tmp", name)
    os.mkdir(shared)
    shutil.copy(TOOL, shared + "/leak")
    try:
        got = parse(daemon.docker("run", "--rm", "--name", name, "-v", shared + ":/t",
                                  "--security-opt", "seccomp=unconfined", IMAGE, "/t/leak", "show"))
    finally:
        shutil.rmtree(shared)
    check_shown(got, execfn="/t/leak", deathsig=WITH_SHIM)
    assert int(got["keyring"]) > 0 and got["keyring"] != parse(own_view())["keyring"]
