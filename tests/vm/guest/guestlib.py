"""
What the checks inside the machine share: control groups as files, containers by the class that
drives shoal-oci in tests/host as well, waiting for what has no event.
"""

import os
import pathlib
import tempfile
import time

os.environ["SHOAL_BUILD"] = "/shoal"  # where the libraries of tests/host look for the programs
os.environ["SHOAL_EMULATED"] = "1"
os.environ["LD_LIBRARY_PATH"] = "/shoal/lib"

import ocilib  # pylint: disable=wrong-import-position
import shimlib  # pylint: disable=wrong-import-position

CGROUP = ocilib.CGROUP
_rootfs = []


class Skip(Exception):
    """The kernel has not what is to be checked."""


def rootfs():
    if not _rootfs:
        _rootfs.append(shimlib.make_rootfs(pathlib.Path(tempfile.mkdtemp(dir="/run"))))
    return _rootfs[0]


def wait_for(what, seconds=30):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.02)


def group(path):
    return CGROUP / path.lstrip("/")


def read(path):
    return pathlib.Path(path).read_text().strip()


def keys(path):
    return {line.split()[0]: line.split()[1] for line in read(path).splitlines()}


class Oci(ocilib.Runtime):
    """With containers of the machine's one small root; the end leaves nothing, or fails."""

    def __init__(self):
        super().__init__(tempfile.mkdtemp(dir="/run"))

    def __enter__(self):
        return self

    def __exit__(self, *_args):
        self.destroy()
        left = [p for p in group(ocilib.PARENT).glob("*") if p.is_dir()]
        assert left == [], left
        if group(ocilib.PARENT).exists():
            group(ocilib.PARENT).rmdir()
