"""What users and engines rely on, asked of shoal-oci, runc and crun alike: refusals in every state,
hooks that fail, files and descriptors, formats. Where they differ among themselves the test says how."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

import ocilib
from ocilib import OCI
from test_oci import SLEEP, rootfs, runtime_at, terminal  # noqa: F401 (fixture)
from test_oci_spec import KINDS
from test_shim import is_gone

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not OCI.exists() or not os.path.exists("/bin/busybox"),
    reason="needs root, busybox-static and a built shoal-oci")
# crun refuses a hybrid host that has a controller in the tree of v2: it does not see that tree.
CRUN = """#!/bin/sh
exec unshare -m sh -c 'if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
exec %s "$@"' sh "$@"
"""
NAMES = [os.path.basename(p) for p in ocilib.programs()] + (["crun"] if shutil.which("crun") else [])


@pytest.fixture(params=NAMES)
def peer(request, tmp_path):
    program = dict(zip(NAMES, ocilib.programs())).get(request.param)
    if request.param == "crun":
        program = tmp_path / "crun"
        program.write_text(CRUN % shutil.which("crun"))
        program.chmod(0o755)
    for r in runtime_at(tmp_path, program):
        r.name = request.param
        r.version = "1.0.2"  # all of them know it
        yield r


def refused(r, *argv, **kw):
    got = r.call(*argv, check=False, **kw)
    assert got.code != 0 and got.err, (argv, got.out)
    return got


def test_refusals_of_a_created_container(peer, rootfs):
    ident, path = peer.bundle(SLEEP, rootfs)
    peer.create(ident, path)
    assert peer.state(ident)["status"] == "created"
    refused(peer, "create", "--bundle", path, ident)
    if peer.name != "crun":
        refused(peer, "resume", ident)
    peer.call("start", ident)
    refused(peer, "start", ident)
    refused(peer, "delete", ident)
    assert peer.state(ident)["status"] == "running"


def test_refusals_of_a_stopped_container(peer, rootfs):
    ident = peer.start(SLEEP, rootfs)
    pid = peer.state(ident)["pid"]
    peer.call("kill", ident, "KILL")
    assert is_gone(pid)
    assert (peer.state(ident)["status"], peer.state(ident)["pid"]) == ("stopped", 0)
    for words in (["start", ident], ["exec", ident, "true"], ["pause", ident], ["kill", ident],
                  ["update", "--pids-limit", "5", ident]):
        if (peer.name, words[0]) != ("crun", "update"):
            refused(peer, *words)
    peer.call("delete", ident)
    for words in (["state"], ["start"], ["kill"], ["delete"], ["ps"], ["pause"], ["resume"]):
        refused(peer, *words, ident)


def test_a_paused_container(peer, rootfs):
    ident = peer.start(SLEEP, rootfs)
    peer.call("pause", ident)
    assert peer.state(ident)["status"] == "paused"
    listed = json.loads(peer.call("list", "-f", "json").out)
    assert [(c["id"], c["status"]) for c in listed] == [(ident, "paused")]
    assert peer.state(ident)["pid"] == listed[0]["pid"] > 0
    refused(peer, "delete", ident)
    peer.call("resume", ident)
    peer.call("delete", "--force", ident)


@pytest.mark.parametrize("kind", KINDS)
def test_a_failing_hook(peer, rootfs, kind):
    """Up to the program nothing is left of it; poststart's failure ends the program or is told."""
    def change(spec):
        spec["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", "exit 3"]}]}
    ident, path = peer.bundle(["/bin/sh", "-c", "sleep 0.2; echo ran"], rootfs, change)
    r = peer.call("run", "--bundle", path, ident, check=False)
    if kind in ("poststart", "poststop"):
        # runc and crun differ, and each has changed its mind: it is told in any case.
        if peer.name == "shoal-oci":
            assert r.code != 0 and kind in r.err and "status 3" in r.err
    else:
        assert r.code != 0 and "ran" not in r.out
    peer.call("delete", "--force", ident, check=False)
    assert ocilib.groups("/" + ident) == []


def test_a_pid_file_that_cannot_be_written(peer, rootfs):
    ident, path = peer.bundle(SLEEP, rootfs)
    refused(peer, "create", "--pid-file", "/no/such/folder/pid", "--bundle", path, ident)
    peer.call("delete", "--force", ident, check=False)
    assert json.loads(peer.call("list", "-f", "json").out or "null") in (None, [])


def test_console_sockets_that_do_not_fit(peer, rootfs):
    ident, path = peer.bundle(["/bin/true"], rootfs, terminal)
    refused(peer, "create", "--bundle", path, "--console-socket", path / "nosuch", ident)
    (path / "plain").touch()
    refused(peer, "create", "--bundle", path, "--console-socket", path / "plain", ident)
    peer.call("delete", "--force", ident, check=False)
    assert ocilib.groups("/" + ident) == []


def test_descriptors_that_are_passed(peer, rootfs):
    r, w = os.pipe()
    ident, path = peer.bundle(["/bin/sh", "-c", "echo three >&3; echo $LISTEN_FDS"], rootfs)

    def place():
        os.dup2(w, 3, inheritable=True)
    out = peer.call("run", "--bundle", path, "--preserve-fds", "1", ident, close_fds=False,
                    preexec_fn=place).out
    os.close(w)
    assert os.read(r, 99) == b"three\n" and out == "\n"
    os.close(r)


def test_formats(peer, rootfs):
    ident = peer.start(SLEEP, rootfs)
    pid = peer.state(ident)["pid"]
    assert peer.call("list", "--quiet").out.split() == [ident]
    table = peer.call("list").out.splitlines()
    assert [l.split()[:3] for l in table] in (
        [[c, "PID", "STATUS"], [ident, str(pid), "running"]] for c in ("ID", "NAME"))
    assert peer.call("ps", "--format", "json", ident).json() == [pid]
    refused(peer, "list", "--format", "xml")
    assert str(pid) in peer.call("ps", "--format", "table", ident).out


def test_state_has_what_the_specification_asks_for(peer, rootfs):
    def mark(spec):
        spec["annotations"] = {"org.example.key": "value"}
    ident = peer.start(SLEEP, rootfs, mark)
    s = peer.state(ident)
    assert s["ociVersion"].startswith("1.") and s["id"] == ident and s["status"] == "running"
    assert s["bundle"] == str(peer.base / ident)
    assert s["annotations"]["org.example.key"] == "value"
    assert pathlib.Path("/proc/%d/status" % s["pid"]).exists()


@pytest.mark.parametrize("flag,group,value", [
    (["--memory", "67108864"], "memory/memory.limit_in_bytes", "67108864"),
    (["--memory-reservation", "33554432"], "memory/memory.soft_limit_in_bytes", "33554432"),
    (["--cpu-period", "50000", "--cpu-quota", "20000"], "cpu/cpu.cfs_quota_us", "20000"),
    (["--cpu-share", "333"], "cpu/cpu.shares", "333"),
    (["--cpuset-cpus", "0"], "cpuset/cpuset.cpus", "0"),
    (["--pids-limit", "55"], "pids/pids.max", "55")])
def test_flags_of_update(peer, rootfs, flag, group, value):
    if not (ocilib.CGROUP / "memory").is_dir():
        pytest.skip("needs control groups v1")
    ident = peer.start(SLEEP, rootfs)
    peer.call("update", *flag, ident)
    controller, name = group.split("/")
    file = ocilib.CGROUP / controller / ocilib.PARENT[1:] / ident / name
    assert file.read_text().strip() == value


@pytest.mark.parametrize("flags,script,out", [
    (["--cwd", "/etc"], "pwd", "/etc"),
    (["--env", "A=b", "--env", "C=d e"], "echo $A $C", "b d e"),
    (["--user", "33:44"], "id -u; id -g", "33 44"),
    (["--no-new-privs"], "grep NoNew /proc/self/status", "NoNewPrivs: 1"),
    (["--cap", "CAP_NET_ADMIN"], "grep CapInh /proc/self/status", "CapInh: 0000000000000000")])
def test_flags_of_exec(peer, rootfs, flags, script, out):
    if peer.name == "crun" and "--cap" in flags:
        pytest.skip("crun 1.8 makes it inheritable, CVE-2022-27650's like")
    ident = peer.start(SLEEP, rootfs)
    assert peer.call("exec", *flags, ident, "/bin/sh", "-c", script).out.split() == out.split()


def test_a_process_that_was_executed_may_end_after_the_container(peer, rootfs):
    ident = peer.start(SLEEP, rootfs)
    with subprocess.Popen([peer.program, "--root", str(peer.root), "exec", ident, "sh", "-c",
                           "echo up; sleep 100"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
        assert p.stdout.readline() == b"up\n"
        peer.call("delete", "--force", ident)
        assert p.wait(timeout=20) == 137
