"""Debian's dockerd and podman over shoal-oci: one list of containers for both (peercases.py), and
what happens to a container in the course of its life."""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess

import pytest

import ocilib
import peercases
import peerlib
from ocilib import OCI
from peerlib import IMAGE, wait_for
from test_oci import read_until, rootfs  # noqa: F401 (fixture)
from test_shim import is_gone

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not OCI.exists() or not os.path.exists("/bin/busybox"),
    reason="needs root, busybox-static and a built shoal-oci")
KINDS = {"docker": (peerlib.Docker, "dockerd"), "podman": (peerlib.Podman, "podman")}


@pytest.fixture(scope="module")
def engines(rootfs):
    """Each engine, begun when it is first asked for."""
    made = {}

    def get(name):
        if not shutil.which(KINDS[name][1]):
            pytest.skip("needs " + KINDS[name][1])
        if name not in made:
            made[name] = KINDS[name][0](
                "/var/tmp/shoal-oci-%s-%d" % (name, os.getpid()), rootfs)
            peercases.prepare(made[name].base)
            shared = made[name].base / "shared"
            shared.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "shared", shared], check=True)
            subprocess.run(["mount", "--make-shared", shared], check=True)
        return made[name]
    yield get
    for e in made.values():
        subprocess.run(["umount", e.base / "shared"], check=True)
        e.close()


@pytest.fixture(params=sorted(KINDS))
def engine(request, engines):
    return engines(request.param)


@pytest.fixture(scope="module")
def results(request, engines):
    """The cases of an engine that were asked for, as many at a time as there are processors."""
    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    made = {}

    def get(kind):
        if kind not in made:
            e = engines(kind)
            asked = [i.callspec.params for i in request.session.items
                     if i.name.startswith("test_case[")]
            made[kind] = {p["case"]: pool.submit(run_case, e, p["case"])
                          for p in asked if p["kind"] == kind}
        return made[kind]
    yield get
    pool.shutdown()


@pytest.mark.parametrize("kind,case", [
    pytest.param(kind, c, id="%s-%s" % (kind, c.name.replace(" ", "-")))
    for kind in sorted(KINDS) for c in peercases.cases(kind)])
def test_case(results, kind, case):
    r = results(kind)[case].result()
    assert r.code == case.code, (r.out, r.err)
    assert case.fits(r.out), (r.out, r.err)


def run_case(e, case):
    flags, argv = case.words(e.base)
    flags = [f.replace("{parent}", ocilib.PARENT) for f in flags]
    argv = [a.replace("{parent}", ocilib.PARENT) for a in argv]
    return e.run("--rm", *flags, IMAGE, *argv, check=False,
                 **({"input": case.stdin} if case.stdin else {}))



# Lives


@pytest.fixture
def box(engine):
    """A container that sleeps, as whose program a signal ends it."""
    name = "box"
    engine.start(name, "--ipc", "shareable", IMAGE, "/bin/sh", "-c",
                 "trap 'exit 143' TERM; while :; do sleep 0.1; done")
    yield name
    engine.remove(name)


def test_exec(engine, box):
    def run(*argv, **kw):
        return engine.call("exec", *argv, **kw)
    assert run("-u", "33", box, "id", "-u").out == "33\n"
    assert run("-u", "web:extra", box, "id", "-g").out == "77\n"
    assert run("-w", "/tmp", "-e", "A=b", box, "sh", "-c", "pwd; echo $A").out == "/tmp\nb\n"
    assert run("-i", box, "cat", input=b"words").out == "words"
    r = run(box, "sh", "-c", "echo out; echo err >&2; exit 9", check=False)
    assert (r.code, r.out, r.err.replace("\r", "")) == (9, "out\n", "err\n")
    assert run("-t", box, "tty").out.strip() == "/dev/pts/0"
    assert int(run("--privileged", box, "grep", "CapEff", "/proc/self/status").out.split()[1],
               16) & 1 << 21
    for program, code in (("nosuch", 127), ("/no/such", 127), ("/etc/plain", 126), ("/etc", 126)):
        # dockerd 20.10 knows one number for all that it cannot execute.
        code = 126 if engine.name == "docker" else code
        assert run(box, program, check=False).code == code, program
    assert run(box, "sh", "-c", "kill -9 $$", check=False).code == 137
    run("-d", box, "sh", "-c", "echo done > /detached")
    wait_for(lambda: run(box, "cat", "/detached", check=False).out == "done\n")


def test_exec_with_a_terminal_of_the_user(engine, box):
    master, slave = os.openpty()
    p = engine.popen("exec", "-it", box, "sh", stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.write(master, b"tty; exit 5\r")
    assert b"/dev/pts/0" in read_until(master, b"/dev/pts/0")
    assert p.wait(timeout=20) == 5
    os.close(master)


def test_pause_top_and_stats(engine, box):
    engine.call("pause", box)
    assert engine.show(box, ".State.Status") == "paused"
    assert engine.call("exec", box, "true", check=False).code != 0
    engine.call("unpause", box)
    assert engine.show(box, ".State.Status") == "running"
    assert "sleep" in engine.call("top", box).out
    assert box in engine.call("stats", "--no-stream", box).out
    assert len(engine.call("top", box, *(["-o", "pid,comm"] if engine.name == "docker" else
                                         ["pid", "comm"])).out.splitlines()) >= 2
    if engine.name == "docker":
        stats = engine.stats(box)
        assert int(stats["PIDs"]) == 2 and not stats["MemUsage"].startswith("0B")


def test_update(engine, box):
    if engine.name != "docker":
        pytest.skip("podman 4.3 has no update of a container over an OCI runtime")
    group = lambda kind, file: (engine.group(box, kind) / file).read_text().strip()
    engine.call("update", "--memory", "64m", "--memory-swap", "128m", "--cpus", "0.5",
                "--pids-limit", "44", "--cpuset-cpus", "0", box)
    assert group("memory", "memory.limit_in_bytes") == "67108864"
    assert group("memory", "memory.memsw.limit_in_bytes") == "134217728"
    assert group("cpu", "cpu.cfs_quota_us") == "50000"
    assert group("pids", "pids.max") == "44" and group("cpuset", "cpuset.cpus") == "0"
    engine.call("update", "--memory", "32m", "--memory-swap", "-1", "--cpu-shares", "99", box)
    assert group("memory", "memory.limit_in_bytes") == "33554432"
    assert group("cpu", "cpu.shares") == "99" and group("pids", "pids.max") == "44"


def test_stop_and_start_again(engine, box):
    pid = engine.pid(box)
    engine.call("stop", "-t", "10", box)
    assert is_gone(pid)
    assert (engine.show(box, ".State.ExitCode"), engine.show(box, ".State.Status")) == \
        ("143", "exited")
    engine.call("start", box)
    assert engine.pid(box) > 0
    engine.call("restart", "-t", "5", box)
    assert engine.show(box, ".State.Status") == "running"


def test_signals(engine):
    engine.start("sig", IMAGE, "/bin/sh", "-c", "trap 'echo usr1' USR1; trap 'echo term' TERM; "
                 "echo up; while :; do sleep 0.05; done")
    logs = lambda: engine.call("logs", "sig").out
    wait_for(lambda: "up" in logs())
    engine.call("kill", "-s", "USR1", "sig")
    wait_for(lambda: "usr1" in logs())
    engine.call("stop", "-t", "1", "sig")
    assert "term" in logs() and engine.show("sig", ".State.ExitCode") == "137"
    engine.remove("sig")


def test_wait_and_kill(engine, box):
    p = engine.popen("wait", box, stdout=subprocess.PIPE)
    engine.call("kill", box)
    assert p.communicate(timeout=20)[0] == b"137\n"


def test_attach(engine):
    engine.start("att", "-i", IMAGE, "/bin/sh", "-c", "until read -t 0.1 x; do echo tick; done; "
                 "echo got $x; exit 6")
    p = engine.popen("attach", "att", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert p.stdout.readline() == b"tick\n"
    # The end of the input would be the end of the attachment.
    p.stdin.write(b"word\n")
    p.stdin.flush()
    while (line := p.stdout.readline()) == b"tick\n":
        pass
    assert line == b"got word\n"
    p.communicate(timeout=20)
    assert p.returncode == 6 or engine.name == "podman"
    engine.remove("att")


def test_files_in_and_out(engine, box):
    (engine.base / "in").write_text("copied\n")
    engine.call("cp", engine.base / "in", box + ":/tmp/in")
    assert engine.call("exec", box, "cat", "/tmp/in").out == "copied\n"
    engine.call("cp", box + ":/etc/passwd", engine.base / "out")
    assert (engine.base / "out").read_text().startswith("root:")
    assert "/tmp/in" in engine.call("diff", box).out
    engine.call("commit", box, "local/other")
    assert engine.run("--rm", "local/other", "cat", "/tmp/in").out == "copied\n"
    assert engine.call("export", box, "-o", engine.base / "x.tar").code == 0
    engine.call("rmi", "local/other")


def test_the_namespaces_of_another(engine, box):
    out = engine.run("--rm", "--network", "container:" + box, "--ipc", "container:" + box, "--pid",
                     "container:" + box, IMAGE, "/bin/sh", "-c",
                     "readlink /proc/self/ns/net; readlink /proc/self/ns/pid; ps").out
    pid = engine.pid(box)
    assert out.splitlines()[:2] == [os.readlink("/proc/%d/ns/%s" % (pid, n)) for n in
                                    ("net", "pid")]
    assert "sleep" in out


def test_restarts(engine):
    engine.start("again", "--restart", "on-failure:2", IMAGE, "/bin/sh", "-c", "echo run; exit 1")
    wait_for(lambda: engine.call("logs", "again").out.count("run") == 3)
    wait_for(lambda: engine.show("again", ".State.Status") == "exited")
    engine.remove("again")


def test_out_of_memory_is_told(engine):
    engine.start("oom", "-m", "16m", "--memory-swap", "16m", IMAGE, "tail", "/dev/zero")
    wait_for(lambda: engine.show("oom", ".State.Status") == "exited")
    assert engine.show("oom", ".State.ExitCode") == "137"
    # Of hosts with control groups v1 only dockerd is told by the kernel in time, always.
    assert engine.show("oom", ".State.OOMKilled") == "true" or engine.name == "podman"
    engine.remove("oom")


def test_health(engine):
    if engine.name != "docker":
        pytest.skip("podman's health checks are timers of systemd")
    engine.start("well", "--health-cmd", "test -e /ok || exit 1", "--health-interval", "100ms",
                 "--health-retries", "1", IMAGE, "/bin/sleep", "1000")
    wait_for(lambda: engine.show("well", ".State.Health.Status") == "unhealthy")
    engine.call("exec", "well", "touch", "/ok")
    wait_for(lambda: engine.show("well", ".State.Health.Status") == "healthy")
    engine.remove("well")


def test_many_at_once(engine):
    ps = [engine.popen(*engine.run_words("--rm", IMAGE, "/bin/sh", "-c", "exit %d" % n))
          for n in range(4)]
    assert [p.wait(timeout=60) for p in ps] == list(range(4))


def test_a_pod(engines):
    e = engines("podman")
    infra = e.call("pod", "create", "--infra=false", "--name", "pod", check=False)
    assert infra.code == 0, infra.err
    e.run("-d", "--pod", "pod", "--name", "first", IMAGE, "/bin/sleep", "1000")
    out = e.run("--rm", "--pod", "pod", IMAGE, "/bin/sh", "-c", "echo second").out
    assert out == "second\n"
    e.call("pod", "pause", "pod")
    assert e.show("first", ".State.Status") == "paused"
    e.call("pod", "unpause", "pod")
    e.call("pod", "rm", "-f", "-t", "0", "pod")


def ctr(e, *argv, **kw):
    return subprocess.run(["ctr", "-a", str(e.containerd()), "-n", ocilib.PARENT[1:], *argv],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                          stdin=subprocess.DEVNULL, check=False, **kw)


def test_containerd(engines, rootfs):
    """ctr over the containerd that dockerd has started, with the runtime as its --runc-binary."""
    if not shutil.which("ctr"):
        pytest.skip("needs ctr")
    e = engines("docker")
    words = ["run", "--rm", "--runc-binary", peerlib.RUNTIME, "--cgroup",
             ocilib.PARENT + "/ctr", "--rootfs"]
    r = ctr(e, *words, str(rootfs), "one", "/bin/sh", "-c", "echo hi; id -u; exit 4")
    assert (r.returncode, r.stdout) == (4, b"hi\n0\n"), r.stderr
    r = ctr(e, *words[:1], "-d", *words[2:], str(rootfs), "two", "/bin/sleep", "1000")
    assert r.returncode == 0, r.stderr
    r = ctr(e, "task", "exec", "--exec-id", "x", "two", "/bin/sh", "-c", "echo in; exit 3")
    assert (r.returncode, r.stdout) == (3, b"in\n"), r.stderr
    assert ctr(e, "task", "pause", "two").returncode == 0
    assert b"PAUSED" in ctr(e, "task", "ls").stdout
    assert ctr(e, "task", "resume", "two").returncode == 0
    assert b"pids.current" in ctr(e, "task", "metrics", "two").stdout
    assert ctr(e, "task", "kill", "-s", "SIGKILL", "two").returncode == 0
    wait_for(lambda: b"STOPPED" in ctr(e, "task", "ls").stdout)
    assert ctr(e, "task", "rm", "two").returncode in (0, 137)
    assert ctr(e, "c", "rm", "two").returncode == 0


def test_podman_volumes_and_ids(engines):
    """What podman alone has words for, together."""
    e = engines("podman")
    r = e.run("--rm", "--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536", "-u", "33",
              "-v", "/m", "--umask", "0027", IMAGE, "/bin/sh", "-c",
              "id -u; cut -c1-40 /proc/self/uid_map; umask")
    assert r.out.split() == ["33", "0", "100000", "65536", "0027"]
