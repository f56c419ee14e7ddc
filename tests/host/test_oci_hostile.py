"""shoal-oci where the machine or somebody else is against it: a damaged state.json, no descriptors
left, full disks, a creator that is killed at any moment. One line says what was wrong, and nothing
is left behind."""

import json
import os
import random
import resource
import subprocess

import pytest
import test_oci
from ocilib import OCI, groups
from test_oci import SLEEP, wait_for
from test_shim import is_gone

pytestmark = test_oci.pytestmark
oci = test_oci.oci
rootfs = test_oci.rootfs


def left(oci, ident):
    return groups("/" + ident) or (oci.root.exists() and list(oci.root.glob(ident)))


def one_line(r):
    return r.code != 0 and r.err.count("\n") == 1 and r.err.startswith("shoal-oci: ")


@pytest.mark.parametrize("change,word", [
    ({"cgroup": "/"}, "cgroup"), ({"cgroup": "/../.."}, "cgroup"), ({"cgroup": "x/y"}, "cgroup"),
    ({"pid": (1 << 32) + 1}, "pid"), ({"pid": -1}, "pid"), ({"pid": "1"}, "pid"),
    ({"id": None}, "id"), (None, "state.json")])
def test_a_damaged_state_leads_to_nothing_else(oci, rootfs, change, word):
    """Above all not to the end of another group's processes."""
    ident = oci.start(SLEEP, rootfs)
    pid = oci.state(ident)["pid"]
    path = oci.root / ident / "state.json"
    whole = path.read_text()
    path.write_text(json.dumps({**json.loads(whole), **change}) if change else whole[:40])
    log = oci.base / "log"
    for argv in (["state", ident], ["kill", ident, "KILL"], ["delete", ident],
                 ["exec", ident, "true"], ["pause", ident]):
        r = oci.call(*argv, check=False, options=["--log", str(log), "--log-format", "json"])
        assert one_line(r) and word in r.err, (argv, r.err)
    assert [json.loads(line)["level"] for line in log.read_text().splitlines()] == ["error"] * 5
    assert not is_gone(pid, 0)
    other = oci.start(SLEEP, rootfs)
    oci.call("delete", "--force", ident)  # what is its own is known from config.json
    assert is_gone(pid) and not left(oci, ident)
    assert oci.state(other)["status"] == "running"
    oci.call("delete", "--force", other)


def test_nothing_is_known_of_a_container(oci, rootfs):
    """Neither file can be read: nothing is ended on a guess, and a person is told what to do."""
    ident = oci.start(SLEEP, rootfs)
    pid = oci.state(ident)["pid"]
    folder = oci.root / ident
    whole = {name: (folder / name).read_text() for name in ("state.json", "config.json")}
    for name in whole:
        (folder / name).write_text("{")
    r = oci.call("delete", "--force", ident, check=False)
    assert one_line(r) and str(folder) in r.err
    assert not is_gone(pid, 0) and folder.exists()
    for name, text in whole.items():
        (folder / name).write_text(text)
    oci.call("delete", "--force", ident)
    assert is_gone(pid)


def test_an_id_of_the_greatest_length(oci, rootfs):
    """LIMIT_OCI_ID: it is a folder's name, and a control group's."""
    _, path = oci.bundle(["/bin/true"], rootfs)
    ident = "i" * 255
    oci.call("run", "--bundle", path, ident)
    assert not left(oci, ident)
    r = oci.call("run", "--bundle", path, ident + "i", check=False)
    assert one_line(r) and "1 to 255" in r.err


def test_too_few_descriptors(oci, rootfs):
    """Whichever step it is that gets none."""
    codes = set()
    for n in range(4, 48, 2):
        ident, path = oci.bundle(["/bin/true"], rootfs)
        r = oci.call("run", "--bundle", path, ident, check=False, preexec_fn=lambda n=n:
                     resource.setrlimit(resource.RLIMIT_NOFILE, (n, n)))
        codes.add(r.code)
        assert r.code == 0 or one_line(r), (n, r.code, r.err)
        assert not left(oci, ident), n
    assert codes == {0, 1}


@pytest.fixture
def full(tmp_path):
    """A disk without room."""
    path = tmp_path / "full"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "full", path], check=True)
    (path / "filler").write_bytes(b"x" * 4096)
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_full_disk_under_the_pid_file(oci, rootfs, full):
    ident, path = oci.bundle(SLEEP, rootfs)
    r = oci.call("create", "--bundle", path, "--pid-file", full / "pid", ident, check=False)
    assert one_line(r) and "pid file" in r.err and "No space left" in r.err
    assert not left(oci, ident) and os.listdir(full) == ["filler"]


def test_a_full_disk_under_the_log_hides_nothing(oci, full):
    oci.root.mkdir()
    r = oci.call("state", "nosuch", check=False, options=["--log", str(full / "log")])
    assert one_line(r) and "does not exist" in r.err


def test_a_creator_killed_at_any_moment(oci, rootfs):
    """Then delete --force leaves no process, group, mount or folder: the fixture looks for mounts."""
    moments = random.Random(1)
    ended = 0
    for _ in range(40):
        ident, path = oci.bundle(SLEEP, rootfs)
        p = subprocess.Popen([str(OCI), "--root", str(oci.root), "create", "--bundle", str(path),
                              ident], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        try:
            p.wait(timeout=moments.uniform(0, 0.02))
        except subprocess.TimeoutExpired:
            p.kill()
            ended += 1
        p.wait()
        pids = [int(x) for g in groups("/" + ident) for x in (g / "cgroup.procs").read_text().split()]
        oci.call("delete", "--force", ident)
        wait_for(lambda ident=ident: not left(oci, ident))
        assert all(is_gone(x) for x in pids)
    assert ended > 3, "hardly one was killed while at work"
