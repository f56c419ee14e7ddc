"""NOTIFY_SOCKET: a manager's socket here, a program in the container that speaks sd_notify(3), and
shoal-oci between them; runc beside it where both do the same."""

import json
import os
import pathlib
import select
import shutil
import socket
import stat
import subprocess

import pytest

import test_oci
import test_oci_spec
from ocilib import OCI
from test_oci import SLEEP, wait_for
from test_shim import is_gone

pytestmark = test_oci.pytestmark
oci = test_oci.oci
each = test_oci.each
ordinary = test_oci_spec.ordinary

# busybox has no client for datagrams of Unix sockets.
SPEAKER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	const char *path = getenv("NOTIFY_SOCKET");
	if (!path)
		return puts("no socket"), 3;
	strcpy(a.sun_path, path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return perror(path), 4;
	for (int i = 1; i < argc; i++)
		if (send(fd, argv[i], strlen(argv[i]), 0) < 0)
			return perror("send"), 5;
	return puts("said"), 0;
}
"""


@pytest.fixture(scope="module")
def speaker(tmp_path_factory):
    base = tmp_path_factory.mktemp("speaker")
    (base / "say.c").write_text(SPEAKER)
    subprocess.run(["gcc", "-static", "-o", base / "say", base / "say.c"], check=True)
    return base / "say"


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory, speaker):
    path = test_oci.shimlib.make_rootfs(tmp_path_factory.mktemp("root"))
    shutil.copy(speaker, path / "bin/say")
    return path


class Manager:
    """What systemd is to its services: a socket, and messages with the sender's pid."""

    def __init__(self, path):
        self.path = str(path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind("\0" + self.path[1:] if self.path[0] == "@" else self.path)
        self.env = {**os.environ, "NOTIFY_SOCKET": self.path}

    def heard(self, timeout=10):
        """The next message; what comes with it is closed, as systemd closes it."""
        assert select.select([self.sock], [], [], timeout)[0], "nothing was said"
        text, fds, _, _ = socket.recv_fds(self.sock, 4096, 4)
        for fd in fds:
            os.close(fd)
        return text.decode().split()

    def silent(self):
        return not select.select([self.sock], [], [], 0)[0]


@pytest.fixture
def manager(tmp_path):
    m = Manager(tmp_path / "host.sock")
    yield m
    m.sock.close()


def ready(manager, last="BARRIER=1"):
    """All that a manager hears of a container that is ready, in whatever pieces."""
    words = []
    while not any(w.startswith(last) for w in words):
        words += manager.heard()
    return words


def test_start_passes_on_that_the_container_is_ready(each, rootfs, manager):
    ident, path = each.bundle(["sh", "-c", "say READY=1; exec sleep 1000"], rootfs)
    each.create(ident, path, env=manager.env)
    pid = each.state(ident)["pid"]
    assert manager.silent()
    p = each.popen("start", ident, env=manager.env)
    words = ready(manager, "BARRIER=1" if each.program == str(OCI) else "MAINPID")
    assert sorted(set(words) - {"BARRIER=1"}) == ["MAINPID=%d" % pid, "READY=1"]
    assert p.wait(timeout=10) == 0 and p.communicate()[1] == b""
    assert each.state(ident)["status"] == "running"


@pytest.mark.parametrize("name", ["host.sock", "@shoal-oci-test-notify-%d" % os.getpid()])
def test_run_detached(oci, rootfs, tmp_path, name):
    manager = Manager(name if name[0] == "@" else tmp_path / name)
    ident, path = oci.bundle(["sh", "-c", "say STATUS=up 'STATUS=x\nREADY=1'; exec sleep 1000"],
                             rootfs)
    p = subprocess.Popen([str(OCI), "--root", str(oci.root), "run", "-d", "--bundle", str(path),
                          ident], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, env=manager.env)
    words = ready(manager)
    assert words == ["READY=1", "MAINPID=%d" % oci.state(ident)["pid"], "BARRIER=1"]
    assert p.wait(timeout=10) == 0
    manager.sock.close()


def test_in_the_foreground_it_is_the_command_that_is_watched(each, rootfs, manager):
    """As by runc: its end is the container's."""
    ident, path = each.bundle(["sh", "-c", "say READY=1; exec sleep 1000"], rootfs)
    p = each.popen("run", "--bundle", path, ident, env=manager.env)
    words = manager.heard()
    while "MAINPID=%d" % p.pid not in words:
        words += manager.heard()
    assert "READY=1" in words
    each.call("kill", ident, "KILL")
    assert p.wait(timeout=10) == 137
    p.communicate()


def test_a_container_that_never_says_it(oci, rootfs, manager):
    """`start` waits, holds no lock meanwhile, and ends with the container."""
    ident, path = oci.bundle(["sh", "-c", "say STATUS=busy; exec sleep 1000"], rootfs)
    oci.create(ident, path, env=manager.env)
    pid = oci.state(ident)["pid"]
    p = oci.popen("start", ident, env=manager.env)
    wait_for(lambda: oci.state(ident)["status"] == "running")
    oci.call("pause", ident)
    oci.call("resume", ident)
    assert p.poll() is None
    oci.call("delete", "--force", ident)
    assert p.wait(timeout=10) == 0 and is_gone(pid) and manager.silent()
    p.communicate()


def test_what_the_container_sees(oci, rootfs, manager):
    out = oci.output("echo $NOTIFY_SOCKET; touch /run/notify/x 2>&1; ls -a /run/notify", rootfs,
                     env=manager.env)
    assert out.split("\n")[0] == "/run/notify/notify.sock" and "Read-only" in out
    assert out.split()[-1] == "notify.sock" and manager.silent()
    assert oci.output("echo $NOTIFY_SOCKET.", rootfs).strip() == "."


def test_the_socket_is_for_any_user_of_the_container(oci, rootfs, manager):
    def change(spec):
        spec["process"]["user"] = {"uid": 1000, "gid": 1000}
    assert oci.output("say READY=1", rootfs, change, env=manager.env) == "said\n"
    assert manager.heard()[0] == "READY=1"


def test_afterwards_nobody_listens_and_nobody_waits(oci, rootfs, manager):
    out = oci.output("say READY=1; until say READY=1 2>&1 | grep refused; do :; done", rootfs,
                     env=manager.env)
    assert "Connection refused" in out and manager.heard()[0] == "READY=1" and manager.silent()


def test_exec_does_not_speak_for_the_container(oci, rootfs, manager):
    ident, path = oci.bundle(SLEEP, rootfs)
    oci.create(ident, path, env=manager.env)
    oci.call("start", ident)
    r = oci.call("exec", ident, "say", "READY=1", check=False, env=manager.env)
    assert (r.code, r.out) == (3, "no socket\n") and manager.silent()


def test_a_configuration_with_a_socket_of_its_own(oci, rootfs, manager):
    """As podman makes it, which does the same job itself."""
    def change(spec):
        spec["process"]["env"].append("NOTIFY_SOCKET=/other")
    assert oci.output("echo $NOTIFY_SOCKET; ls -d /run/notify 2>&1 || true", rootfs, change,
                      env=manager.env).startswith("/other\n")


def test_a_socket_that_cannot_be_reached(oci, rootfs, tmp_path):
    for path, word in (("relative", "neither"), ("/" + "x" * 108, "neither"),
                       (str(tmp_path / "nosuch"), "No such file")):
        r = oci.run("true", rootfs, env={**os.environ, "NOTIFY_SOCKET": path})
        assert r.code == 1 and "NOTIFY_SOCKET" in r.err and word in r.err
    ident, path = oci.bundle(SLEEP, rootfs)
    oci.create(ident, path, env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "nosuch")})
    r = oci.call("start", ident, check=False,
                 env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "nosuch")})
    assert r.code == 1 and "No such file" in r.err and oci.state(ident)["status"] == "created"
    oci.call("start", ident)


def test_with_an_own_user_namespace(oci, rootfs, manager):
    def change(spec):
        spec["linux"]["namespaces"].append({"type": "user"})
        for kind in ("uidMappings", "gidMappings"):
            spec["linux"][kind] = [{"containerID": 0, "hostID": 0, "size": 65536}]
    assert oci.output("say READY=1", rootfs, change, env=manager.env) == "said\n"
    assert manager.heard()[0] == "READY=1"


# A hook that lasts as long as the program.
UNTIL_THE_END = """
import json, sys
pid = json.load(sys.stdin)["pid"]
while open("/proc/%d/stat" % pid).read().rpartition(")")[2].split()[0] != "Z":
    pass
"""


def test_a_program_that_has_ended_before_anybody_looked(oci, rootfs, manager):
    def change(spec):
        spec["hooks"] = {"poststart": [{"path": "/usr/bin/python3", "timeout": 30,
                                        "args": ["python3", "-c", UNTIL_THE_END]}]}
    oci.run("say STATUS=a STATUS=b READY=1", rootfs, change, env=manager.env, check=0)
    assert manager.heard()[0] == "READY=1"


def test_a_deep_state_directory(oci, rootfs, manager):
    """Its path is longer than an address may be."""
    oci.root = oci.base / ("d" * 100) / "state"
    oci.root.parent.mkdir()
    assert oci.output("say READY=1", rootfs, env=manager.env) == "said\n"
    assert manager.heard()[0] == "READY=1"


def test_an_ordinary_user(ordinary, speaker):
    base = ordinary.base
    shutil.copy(speaker, base / "b/rootfs/bin/say")
    manager = Manager(base / "host.sock")
    os.chmod(manager.path, 0o777)
    test_oci_spec.write_args(ordinary, "/bin/sh", "-c", "say READY=1; exec sleep 1000")
    env = {"XDG_RUNTIME_DIR": str(base / "x"), "PATH": os.environ["PATH"],
           "NOTIFY_SOCKET": manager.path}
    words = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", str(base / "oci")]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL,
             "stderr": subprocess.DEVNULL, "cwd": base / "b", "env": env}
    subprocess.run([*words, "create", "u"], check=True, timeout=60, **quiet)
    assert stat.S_IMODE((base / "x/shoal-oci/u/notify").stat().st_mode) == 0o755
    pid = json.loads(ordinary("state", "u"))["pid"]
    p = subprocess.Popen([*words, "start", "u"], **quiet)
    assert ready(manager) == ["READY=1", "MAINPID=%d" % pid, "BARRIER=1"]
    assert p.wait(timeout=10) == 0
    assert pathlib.Path("/proc/%d" % pid).exists()
    manager.sock.close()
