"""Bundles for shoal-oci and, where they are installed, for runc and crun; one class drives them all,
since their command lines are the same."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import time
import uuid

import shimlib

OCI = shimlib.BUILD / "bin" / "shoal-oci"
CGROUP = pathlib.Path("/sys/fs/cgroup")
PARENT = "/shoal-oci-test-%d" % os.getpid()
TIMEOUT = 60


def programs():
    """shoal-oci and the others that are here, for tests that hold for all of them."""
    found = [str(OCI)]
    runc = shutil.which("runc")
    return found + ([runc] if runc else [])


def groups(part):
    """What is left of the control groups of a test or a container, in all hierarchies."""
    on_v2 = PARENT[1:] + part
    return [p for pattern in ("*/" + on_v2, on_v2) for p in CGROUP.glob(pattern) if p.is_dir()]


class Result:
    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout.decode(errors="replace")
        self.err = process.stderr.decode(errors="replace")

    def json(self):
        return json.loads(self.out)


class Runtime:
    """One state directory and what is called with it."""

    def __init__(self, base, program=OCI):
        self.base = pathlib.Path(base)
        self.root = self.base / "state"
        self.program = str(program)
        self.made = []
        self.version = None  # of the specification, other than that of default_spec()

    def call(self, *argv, check=True, options=(), **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        r = Result(subprocess.run(
            [self.program, "--root", str(self.root), *options, *map(str, argv)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT, check=False, **kw))
        if check:
            assert r.code == 0, (argv, r.code, r.err, r.out)
        return r

    def popen(self, *argv, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen([self.program, "--root", str(self.root), *map(str, argv)],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)

    def bundle(self, args, rootfs, change=None):
        """A new bundle around a root; `change` gets its configuration before it is written."""
        ident = "t" + uuid.uuid4().hex[:12]
        path = self.base / ident
        path.mkdir()
        spec = shimlib.default_spec(ident, args, rootfs)
        spec["linux"]["cgroupsPath"] = "%s/%s" % (PARENT, ident)
        if self.version:
            spec["ociVersion"] = self.version
        if change:
            change(spec)
        (path / "config.json").write_text(json.dumps(spec))
        self.made.append(ident)
        return ident, path

    def run(self, args, rootfs, change=None, check=None, flags=(), options=(), **kw):
        """Runs a shell line, or a list of words, in a container to its end."""
        if isinstance(args, str):
            args = ["/bin/sh", "-c", args]
        ident, path = self.bundle(args, rootfs, change)
        r = self.call("run", "--bundle", path, *flags, ident, check=False, options=options, **kw)
        assert groups("/" + ident) == []
        assert not (self.root / ident).exists()
        if check is not None:
            assert r.code == check, (r.code, r.err, r.out)
        return r

    def output(self, *args, **kw):
        return self.run(*args, check=0, **kw).out

    def start(self, args, rootfs, change=None, flags=()):
        """A container that runs in the background."""
        if isinstance(args, str):
            args = ["/bin/sh", "-c", args]
        ident, path = self.bundle(args, rootfs, change)
        self.create(ident, path, *flags)
        self.call("start", ident)
        if self.program != str(OCI):
            self.wait_executed(ident)
        return ident

    def wait_executed(self, ident):
        """The others' start returns once their init has heard of it, a process with threads and a name of its own."""
        path, end = "/proc/%d/comm" % self.state(ident)["pid"], time.monotonic() + TIMEOUT
        with contextlib.suppress(OSError):  # it may have ended, too
            while pathlib.Path(path).read_text().startswith(("runc", "crun")):
                assert time.monotonic() < end, "the program is not executed"
                time.sleep(0.01)

    def create(self, ident, path, *flags, **kw):
        """As people do who call it from a script: the container does not keep our pipes open."""
        with open(path / "err", "wb") as err:
            r = subprocess.run(
                [self.program, "--root", str(self.root), "create", "--bundle", str(path),
                 *map(str, flags), ident],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, timeout=TIMEOUT,
                check=False, **kw)
        assert r.returncode == 0, (path / "err").read_text()

    def state(self, ident):
        return self.call("state", ident).json()

    def destroy(self):
        for ident in self.made:
            self.call("delete", "--force", ident, check=False)
