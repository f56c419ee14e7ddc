"""
Attacks on container runtimes that became known and have no place among the other tests: an image,
or whoever can write to it meanwhile, against shoal-oci. tests/flaws shows that each notices its flaw.
"""

import contextlib
import ctypes
import json
import multiprocessing
import os
import shutil

import pytest
import shimlib
import test_oci
from test_oci import receive_console
from test_oci_spec import both, mounting, setter

pytestmark = test_oci.pytestmark
oci = test_oci.oci
rootfs = test_oci.rootfs

AT_FDCWD, RENAME_EXCHANGE = -100, 2
ROUNDS = 60


@pytest.fixture
def own(tmp_path):
    """A root of the test's own, whose /dev and /proc are the image's."""
    root = shimlib.make_rootfs(tmp_path / "own")
    shutil.rmtree(root / "dev", ignore_errors=True)
    (root / "dev").mkdir()
    return root


def without(*destinations):
    def change(spec):
        spec["mounts"] = [m for m in spec["mounts"]
                          if not any((m["destination"] + "/").startswith(d + "/")
                                     for d in destinations)]
    return change


def test_a_null_device_of_the_image_covers_nothing(oci, own):
    """CVE-2025-31133: what masks a file is the runtime's own null device."""
    (own / "dev/null").symlink_to("/evil")
    (own / "evil").write_text("evil\n")
    (own / "secret").write_text("secret\n")
    out = oci.output("cat /secret; cat /evil", own,
                     both(without("/dev"), setter("linux.maskedPaths", ["/secret"])))
    assert out == "evil\n"


def test_a_console_of_the_image_is_not_followed(oci, own):
    """CVE-2025-52565: nothing is mounted where a link for /dev/console leads."""
    (own / "dev/pts").mkdir()
    (own / "dev/console").symlink_to("/target")
    (own / "target").write_text("mine\n")

    def change(spec):
        spec["process"]["terminal"] = True
        spec["mounts"] = [m for m in spec["mounts"] if m["destination"] != "/dev"
                          and (m["destination"] == "/dev/pts"
                               or not m["destination"].startswith("/dev/"))]
    ident, path = oci.bundle(["/bin/sleep", "1000"], own, change)
    listener = receive_console(oci.base / "c.sock")
    r = oci.call("create", "--bundle", path, "--console-socket", oci.base / "c.sock", ident,
                 check=False)
    listener.close()
    assert r.code == 1 and "/dev/console" in r.err
    assert (own / "target").read_text() == "mine\n"


def test_what_is_written_to_proc_goes_to_proc(oci, own):
    """CVE-2025-52881: not to what the image has in its place."""
    fake = own / "proc/sys/net/ipv4"
    fake.mkdir(parents=True)
    (fake / "ip_forward").write_text("the image's")
    oci.run("true", own, both(without("/proc"), setter("linux.sysctl", {"net.ipv4.ip_forward": "1"})),
            check=0)
    assert (fake / "ip_forward").read_text() == "the image's"


def exchange(a, b, stop):
    libc = ctypes.CDLL(None, use_errno=True)
    while not stop.is_set():
        for _ in range(1000):
            libc.renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE)


@contextlib.contextmanager
def exchanging(a, b):
    """Somebody who exchanges a folder of the image for a link, all the time."""
    stop = multiprocessing.Event()
    other = multiprocessing.Process(target=exchange, args=(os.fsencode(a), os.fsencode(b), stop))
    other.start()
    try:
        yield
    finally:
        stop.set()
        other.join()


def test_mount_targets_that_are_exchanged_meanwhile(oci, own, tmp_path):
    """CVE-2021-30465, CVE-2024-45310: nothing is mounted or made outside of the root."""
    outside, source = tmp_path / "outside", tmp_path / "source"
    outside.mkdir()
    source.write_text("of the host\n")
    (own / "a").mkdir()
    (own / "b").symlink_to(outside)
    change = both(mounting("/a/deep/dir", [], source="tmpfs", type="tmpfs"),
                  mounting("/a/file", ["bind"], source=str(source), type="bind"))
    ran = 0
    with exchanging(own / "a", own / "b"):
        for _ in range(ROUNDS):
            ran += oci.run("true", own, change).code == 0
    assert list(outside.iterdir()) == []
    assert ran, "not one container could be made: the race was not tried"


def test_devices_are_not_made_through_a_link(oci, own, tmp_path):
    """CVE-2026-41579, CVE-2026-47766: nor is anything removed there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "ptmx").write_text("the host's\n")
    (own / "dev").rmdir()
    (own / "dev").symlink_to(outside)
    device = {"path": "/dev/own", "type": "c", "major": 1, "minor": 3}
    r = oci.run("true", own, both(without("/dev"), setter("linux.devices", [device])))
    assert r.code == 1 and "/dev/own" in r.err
    assert os.listdir(outside) == ["ptmx"] and (outside / "ptmx").read_text() == "the host's\n"


def test_the_defaults_mask_what_tells_of_the_host(oci):
    """CVE-2018-10892 and its like."""
    oci.call("spec", "--bundle", oci.base)
    linux = json.loads((oci.base / "config.json").read_text())["linux"]
    assert {"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi",
            "/sys/firmware"} <= set(linux["maskedPaths"])
    assert {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
            "/proc/sysrq-trigger"} <= set(linux["readonlyPaths"])


@pytest.mark.parametrize("cpus", ["0-99999999999", "99999999999", "0-4294967295", "1" * 2000])
def test_a_processor_that_no_machine_has(oci, rootfs, cpus):
    """CVE-2018-20699: refused by its name, before it costs memory."""
    r = oci.run("true", rootfs, setter("linux.resources.cpu", {"cpus": cpus}))
    assert r.code == 1 and "config.json: linux.resources.cpu.cpus" in r.err and len(r.err.splitlines()) == 1


def test_a_user_gets_no_capabilities_of_roots(oci, rootfs):
    """CVE-2016-8867: neither ambient nor inheritable, unless the configuration says so."""
    caps = {s: ["CAP_CHOWN", "CAP_SYS_ADMIN"] for s in ("bounding", "effective", "permitted")}
    out = oci.output("grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status", rootfs, both(
        setter("process.user", {"uid": 5, "gid": 5}), setter("process.capabilities", caps)))
    assert {int(line.split()[1], 16) for line in out.splitlines()} == {0}
