"""Debian's dockerd and podman over shoal-oci, behind one face: their command lines are nearly the
same. No network and no registry: the image is made of a local root. PEER_RUNTIME names another
runtime, to see what the same tests say of runc."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import ocilib

RUNTIME = os.environ.get("PEER_RUNTIME", str(ocilib.OCI))
IMAGE = "local/test"
TIMEOUT = 60
# podman's own defaults are above what root of a confined host may set.
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]


def wait_for(what, timeout=20):
    """The first true value; asked again and again, since both sides are programs to be called."""
    end = time.monotonic() + timeout
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)


class Engine:
    """What tests call: `call` with any words, `run` with flags for a container of its own."""

    name = None
    flags = []

    def __init__(self, base, rootfs):
        self.base = pathlib.Path(base)
        self.base.mkdir()
        self.begin()
        subprocess.run(["tar", "-C", rootfs, "-cf", self.base / "root.tar", "."], check=True)
        self.call("import", self.base / "root.tar", IMAGE)

    def words(self):
        raise NotImplementedError

    def begin(self):
        pass

    def finish(self):
        pass

    def call(self, *argv, check=True, **kw):
        kw.setdefault("cwd", self.base)  # conmon leaves a file where it is called
        kw.setdefault("stdin", subprocess.DEVNULL if "input" not in kw else None)
        r = ocilib.Result(subprocess.run(
            [*self.words(), *map(str, argv)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            timeout=TIMEOUT, check=False, **kw))
        if check:
            assert r.code == 0, (argv, r.code, r.err, r.out)
        return r

    def popen(self, *argv, **kw):
        return subprocess.Popen([*self.words(), *map(str, argv)], cwd=self.base, **kw)

    def run_words(self, *argv):
        network = [] if "--network" in argv else ["--network", "none"]
        parent = [] if "--cgroup-parent" in argv else ["--cgroup-parent", ocilib.PARENT]
        return ["run", *network, *parent, *self.flags, *map(str, argv)]

    def run(self, *argv, **kw):
        return self.call(*self.run_words(*argv), **kw)

    def start(self, name, *argv):
        """A container in the background, removed by remove()."""
        self.run("-d", "--name", name, *argv)
        return name

    def show(self, name, what):
        return self.call("inspect", "-f", "{{%s}}" % what, name).out.strip()

    def pid(self, name):
        return int(self.show(name, ".State.Pid"))

    def group(self, name, controller):
        """The folder of a container's control group."""
        text = pathlib.Path("/proc/%d/cgroup" % self.pid(name)).read_text()
        path = next(l.split(":", 2)[2] for l in text.splitlines()
                    if controller in l.split(":")[1].split(","))
        return ocilib.CGROUP / controller / path.lstrip("/")

    def remove(self, *names):
        self.call("rm", "-f", *names, check=False)

    def close(self):
        ids = self.call("ps", "-a", "-q", check=False).out.split()
        if ids:
            self.remove(*ids)
        self.finish()
        shutil.rmtree(self.base, ignore_errors=True)
        for group in sorted(set(ocilib.groups("/**/") + ocilib.groups("")), reverse=True):
            group.rmdir()


class Podman(Engine):
    name = "podman"
    flags = LIMITS

    def words(self):
        return ["podman", "--root", str(self.base / "root"), "--runroot", str(self.base / "run"),
                "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend",
                "file", "--tmpdir", str(self.base / "tmp"), "--runtime", RUNTIME]

    def remove(self, *names):
        self.call("rm", "-f", "-t", "0", *names, check=False)


class Docker(Engine):
    """dockerd with its own containerd; everything of theirs is below one folder."""

    name = "docker"

    def words(self):
        return ["/usr/bin/docker", "--config", str(self.base / "config"), "-H",
                "unix://%s/sock" % self.base]

    def begin(self):
        (self.base / "config").mkdir()
        (self.base / "config/daemon.json").write_text("{}")
        with open(self.base / "log", "wb") as log:
            self.daemon = subprocess.Popen(
                ["dockerd", "--data-root", self.base / "data", "--exec-root", self.base / "exec",
                 "-p", self.base / "pid", "-H", "unix://%s/sock" % self.base, "--bridge", "none",
                 "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--storage-driver",
                 "vfs", "--add-runtime", "shoal=" + RUNTIME, "--default-runtime", "shoal",
                 "--config-file", self.base / "config/daemon.json"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_for(lambda: self.call("version", check=False).code == 0 or self.daemon.poll())
        assert self.daemon.poll() is None, (self.base / "log").read_text()

    def finish(self):
        self.daemon.send_signal(signal.SIGTERM)
        self.daemon.wait(timeout=30)
        folder = pathlib.Path("/run/containerd/runc") / ocilib.PARENT[1:]
        if folder.is_dir():
            folder.rmdir()
        for mount in (self.base / "exec/netns").glob("*"):
            subprocess.run(["umount", mount], check=False, stderr=subprocess.DEVNULL)

    def containerd(self):
        return self.base / "exec/containerd/containerd.sock"

    def stats(self, name):
        return json.loads(self.call("stats", "--no-stream", "--format", "{{json .}}", name).out)
