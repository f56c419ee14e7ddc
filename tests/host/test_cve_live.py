"""Attacks on container runtimes for which the hostile side must act at the right moment, or where the
runtime's own files are looked at: beside test_cve.py, and in tests/flaws with it."""

import os
import pathlib
import socket
import threading
import time

import pytest
import shimlib
import test_oci
from test_cve import exchanging
from test_oci import SLEEP, wait_for
from test_oci_spec import mounting, namespace, seccomp, setter

pytestmark = test_oci.pytestmark
oci = test_oci.oci
rootfs = test_oci.rootfs
RACE_S = 12  # at most; a build with the flaw shows it within one


@pytest.fixture
def own(tmp_path):
    return shimlib.make_rootfs(tmp_path / "own")


def race(oci, own, tmp_path, change):
    """Containers one after the other, while own/vol is a folder and a link that leads out, in turns;
    yields what each has said."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (own / "vol").mkdir()
    (own / "trap").symlink_to(outside)
    end, tried, ran = time.monotonic() + RACE_S, 0, 0
    with exchanging(own / "vol", own / "trap"):
        while time.monotonic() < end and tried < 300:
            r = oci.run("cat /proc/self/mountinfo", own, change(tried))
            tried += 1
            ran += r.code == 0
            assert list(outside.iterdir()) == []
            yield r
    assert ran > 10, "hardly a container could be made: the race was not tried"


def test_a_mount_is_inside_wherever_its_target_is_exchanged_for(oci, own, tmp_path):
    """CVE-2021-30465: what is there outside already is not mounted on either."""
    for r in race(oci, own, tmp_path, lambda n: mounting("/vol", ["size=12340k"], source="tmpfs",
                                                         type="tmpfs")):
        assert r.code != 0 or r.out.count("size=12340k") == 1


def test_no_target_is_made_where_a_folder_was_exchanged_for_a_link(oci, own, tmp_path):
    """CVE-2024-45310."""
    for _ in race(oci, own, tmp_path, lambda n: mounting("/vol/n%d" % n, [], source="tmpfs",
                                                         type="tmpfs")):
        pass


def test_an_executed_process_with_the_containers_rights_is_closed(oci, own):
    """CVE-2016-9962: from when it has no more rights than the container until its program runs. A
    listener that nobody answers holds it there."""
    address = str(oci.base / "l.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(0)
    ident, path = oci.bundle(
        ["/bin/sh", "-c", "while :; do for p in /proc/[0-9]*; do read c < $p/comm; "
         "[ $c = shoal-oci ] && readlink $p/fd/0 >> /tmp/found; done; echo x >> /tmp/rounds; done "
         "2>/dev/null"], own,
        seccomp({"names": ["getpriority"], "action": "SCMP_ACT_NOTIFY"}, listenerPath=address))
    oci.create(ident, path)
    taken = threading.Thread(target=lambda: listener.accept()[0].close())
    taken.start()
    oci.call("start", ident)
    taken.join()
    fillers = []
    for _ in range(2):  # the queue is full with these
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        fillers.append(s)
        if s.connect_ex(address):
            break
    p = oci.popen("exec", ident, "/bin/true")
    try:
        def waits():
            pids = oci.call("ps", "-f", "json", ident).json()
            texts = [pathlib.Path("/proc/%d/status" % i).read_text() for i in pids
                     if os.path.exists("/proc/%d" % i)]
            return any("shoal-oci" in t and "Seccomp:\t2" in t for t in texts)
        wait_for(waits)
        rounds = own / "tmp/rounds"
        seen = rounds.stat().st_size
        wait_for(lambda: rounds.stat().st_size > seen + 6)
        assert not (own / "tmp/found").exists() or (own / "tmp/found").read_text() == ""
    finally:
        p.kill()
        p.communicate()
        for s in [*fillers, listener]:
            s.close()


def test_a_length_that_does_not_fit_16_bits_is_no_shorter_one(oci, rootfs):
    """CVE-2021-43784: what is behind the 65536th byte of a path is not cut off."""
    path = "/proc/self/ns/net"
    r = oci.run("true", rootfs, namespace("network", path + "/" * 65536))
    assert r.code == 1 and r.err.count("\n") == 1 and "network namespace" in r.err


def test_the_log_has_no_secrets(oci, rootfs):
    """CVE-2019-13509: neither from config.json nor from the command line, with --debug either."""
    log = oci.base / "log"
    ident = oci.start(SLEEP, rootfs, setter("process.env", ["TOKEN=one-secret"]))
    r = oci.call("exec", "--env", "KEY=two-secret", ident, "nosuch", check=False,
                 options=["--debug", "--log", str(log), "--log-format", "json"])
    assert r.code != 0
    text = r.err + r.out + log.read_text()
    assert "nosuch" in text and "-secret" not in text
