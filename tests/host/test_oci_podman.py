"""Debian's podman over shoal-oci: an image made of a local root, no network, no registry."""

import os
import pathlib
import shutil
import subprocess

import pytest

import ocilib
from ocilib import OCI
from test_oci import rootfs  # noqa: F401 (fixture)
from test_shim import is_gone

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not OCI.exists() or not os.path.exists("/bin/busybox") or
    not shutil.which("podman"), reason="needs root, busybox-static, podman and a built shoal-oci")
# podman's own defaults are above what root of a confined host may set.
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]


class Podman:
    def __init__(self, base):
        self.base = base

    def call(self, *argv, check=True, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        r = ocilib.Result(subprocess.run(
            ["podman", "--root", self.base / "root", "--runroot", self.base / "run",
             "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file",
             "--tmpdir", self.base / "tmp", "--runtime", OCI, *map(str, argv)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False, **kw))
        if check:
            assert r.code == 0, (argv, r.code, r.err, r.out)
        return r

    def run(self, *argv, **kw):
        return self.call("run", "--network", "none", "--cgroup-parent", ocilib.PARENT, *LIMITS,
                         *argv, **kw)


@pytest.fixture(scope="module")
def podman(tmp_path_factory, rootfs):
    base = pathlib.Path("/var/tmp/shoal-oci-podman-%d" % os.getpid())
    base.mkdir()
    p = Podman(base)
    subprocess.run(["tar", "-C", rootfs, "-cf", base / "root.tar", "."], check=True)
    p.call("import", base / "root.tar", "local/test")
    yield p
    p.call("rm", "-f", "-a", check=False)
    p.call("rmi", "-f", "-a", check=False)
    shutil.rmtree(base, ignore_errors=True)
    for group in ocilib.groups("/*") + ocilib.groups(""):
        group.rmdir()


def test_run(podman):
    r = podman.run("--rm", "local/test", "/bin/sh", "-c", "echo out; echo err >&2; exit 7",
                   check=False)
    assert (r.code, r.out, r.err) == (7, "out\n", "err\n")


@pytest.mark.parametrize("program,code", [("nosuch", 127), ("/no/such", 127), ("/etc/plain", 126)])
def test_run_of_what_cannot_be_executed(podman, program, code):
    r = podman.run("--rm", "local/test", program, check=False)
    assert r.code == code


@pytest.mark.parametrize("flags,script,out", [
    (["--user", "33:44"], "id -u; id -g", "33 44"),
    (["--hostname", "other"], "hostname", "other"),
    (["--read-only"], "touch /x 2>/dev/null || echo ro", "ro"),
    (["--workdir", "/tmp"], "pwd", "/tmp"),
    (["--env", "A=b"], "echo $A", "b"),
    (["--tmpfs", "/data:size=1m"], "grep -c ' /data ' /proc/mounts", "1"),
    (["--cap-drop", "all"], "grep CapEff /proc/self/status", "CapEff: 0000000000000000"),
    (["--security-opt", "no-new-privileges"], "grep NoNew /proc/self/status", "NoNewPrivs: 1"),
    (["--pid", "host"], "test $$ != 1 && echo other", "other"),
    (["--privileged"], "mknod /tmp/x b 7 0 && echo made", "made"),
    (["--memory", "64m"], "true; echo ok", "ok"),
    (["--device", "/dev/zero:/dev/other:r"], "head -c 1 /dev/other | wc -c", "1"),
    (["--shm-size", "2m"], "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2", "2048"),
    (["--sysctl", "net.ipv4.ip_forward=1"], "cat /proc/sys/net/ipv4/ip_forward", "1"),
    (["--oom-score-adj", "77"], "cat /proc/self/oom_score_adj", "77"),
    (["--umask", "0077"], "umask", "0077"),
    (["--ipc", "host"], "echo ok", "ok"),
    (["--uts", "host"], "echo ok", "ok"),
    (["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"],
     "id -u; cut -c1-40 /proc/self/uid_map", "0 0 100000 65536"),
    (["--group-add", "55"], "id -G", "0 55"),
])
def test_flags(podman, flags, script, out):
    r = podman.run("--rm", *flags, "local/test", "/bin/sh", "-c", script)
    assert r.out.split() == out.split()


def test_volumes(podman):
    (podman.base / "v").mkdir()
    (podman.base / "v/f").write_text("in volume\n")
    r = podman.run("--rm", "-v", "%s:/v:ro" % (podman.base / "v"), "local/test", "/bin/sh", "-c",
                   "cat /v/f; touch /v/x 2>/dev/null || echo ro")
    assert r.out == "in volume\nro\n"


def test_a_life(podman):
    podman.run("-d", "--name", "one", "local/test", "/bin/sleep", "1000")
    pid = int(podman.call("inspect", "-f", "{{.State.Pid}}", "one").out)
    assert podman.call("exec", "-u", "33", "one", "id", "-u").out == "33\n"
    assert podman.call("exec", "one", "sh", "-c", "exit 9", check=False).code == 9
    assert podman.call("exec", "-t", "one", "tty").out.strip() == "/dev/pts/0"
    assert podman.call("exec", "one", "nosuch", check=False).code == 127
    podman.call("pause", "one")
    assert podman.call("inspect", "-f", "{{.State.Status}}", "one").out == "paused\n"
    podman.call("unpause", "one")
    assert "sleep 1000" in podman.call("top", "one").out
    podman.call("kill", "--signal", "KILL", "one")
    assert podman.call("wait", "one").out == "137\n" and is_gone(pid)
    podman.call("start", "one")
    podman.call("rm", "-f", "-t", "0", "one")
    assert podman.call("ps", "-a", "-q").out == ""


def test_output_of_a_terminal(podman):
    assert podman.run("--rm", "-t", "local/test", "tty").out == "/dev/pts/0\r\n"


def test_a_pod_of_two(podman):
    podman.run("-d", "--name", "first", "local/test", "/bin/sleep", "1000")
    out = podman.run("--rm", "--ipc", "container:first", "--pid", "container:first", "local/test",
                     "/bin/sh", "-c", "ps").out
    assert "sleep 1000" in out
    podman.call("rm", "-f", "-t", "0", "first")
