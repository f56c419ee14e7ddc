"""shoal-shim with real containers: needs root, a static busybox and the built shim."""

import errno
import fcntl
import json
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest

import shimlib
from shimlib import (ATTACH, CLOSE_STDIN, EOF, ERROR, EXITED, GET_FDS, KILL, RESIZE, START, STDERR,
                     STDIN, STDOUT, SUBSCRIBE, Container, ShimError)

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shimlib.SHIM.exists() or not os.path.exists("/bin/busybox"),
    reason="needs root, busybox-static and a built shoal-shim")


def is_gone(pid, timeout=10):
    """Whether a process ends in time; the shim's own reaper is the host's init."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    except OSError as error:
        # Kernels before 6.9 say so of one that is being reaped at this moment.
        if error.errno != errno.EINVAL:
            raise
        return True
    try:
        return bool(select.select([fd], [], [], timeout)[0])
    finally:
        os.close(fd)


def host_mounts(folder):
    """The host's mounts that have to do with this run of the tests; other runs make theirs meanwhile."""
    run = next((p for p in folder.parents if p.name[:7] == "pytest-" and p.name[7:].isdigit()), folder.parent)
    return [l for l in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if "%s/" % run in l]


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory):
    return shimlib.make_rootfs(tmp_path_factory.mktemp("root"))


@pytest.fixture
def make(tmp_path, rootfs):
    """Makes containers, and looks for what they left behind: groups, mounts, processes, sockets."""
    made, mounts = [], host_mounts(tmp_path)

    def factory(args, **kw):
        if isinstance(args, str):
            args = ["/bin/sh", "-c", args]
        c = Container(tmp_path / "run", kw.pop("root", rootfs), args, **kw)
        made.append(c)
        return c

    yield factory
    for c in made:
        c.destroy()
    for c in made:
        assert c.cgroups() == []
        assert not (c.dir / "shim.sock").exists()
        for pid in (getattr(c, "pid", 0), getattr(c, "shim_pid", 0)):
            assert not pid or is_gone(pid)
    for group in shimlib.CGROUP.glob("*" + shimlib.PARENT):
        group.rmdir()
    assert host_mounts(tmp_path) == mounts


def script(text, **kw):
    return ["/bin/sh", "-c", text], kw


# The life of a container


def test_exit_code_log_and_exit_file(make):
    c = make("echo out; echo err >&2; exit 7")
    assert c.run()["exit_code"] == 7
    assert [(l["log"], l["stream"]) for l in c.log()] in (
        [("out\n", "stdout"), ("err\n", "stderr")], [("err\n", "stderr"), ("out\n", "stdout")])
    e = c.exit()
    assert e["exitCode"] == 7 and e["oomKilled"] is False and e["finishedAt"].endswith("Z")


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
def test_death_by_signal_is_128_and_the_signal(make, sig):
    c = make(["/bin/sh", "-c", "trap 'trap - %d; exit $((128 + %d))' %d; echo up; while :; do "
              "sleep 0.05; done" % (sig, sig, sig)]).create()
    a = c.connect()
    a.call(ATTACH, 2)
    c.start()
    assert a.frame()[0] == STDOUT
    c.channel.call(KILL, sig, 0)
    a.close()
    assert c.wait()["exit_code"] == 128 + sig


def test_stop_signal_is_the_one_of_the_configuration(make):
    c = make("trap 'exit 3' USR2; echo up; while :; do sleep 0.05; done",
             shim={"stopSignal": int(signal.SIGUSR2)})
    c.shim["log"] = {"path": str(c.dir / "json.log")}
    c.create()
    a = c.connect()
    a.call(ATTACH, 2)
    c.start()
    assert a.frame()[0] == STDOUT
    c.channel.call(KILL, 0, 0)
    a.close()
    assert c.wait()["exit_code"] == 3


@pytest.mark.parametrize("program,code,text", [
    ("/no/such", 127, 'exec: "/no/such": stat /no/such: no such file or directory'),
    ("nosuch", 127, 'exec: "nosuch": executable file not found in $PATH'),
    ("/etc/plain", 126, 'exec: "/etc/plain": permission denied'),
    ("/etc", 126, 'exec: "/etc": is a directory: permission denied'),
    ("/etc/garbage", 126, "exec /etc/garbage: exec format error"),
])
def test_a_program_that_cannot_be_executed(make, program, code, text):
    c = make([program]).create()
    with pytest.raises(ShimError) as e:
        c.start()
    assert (e.value.exit_code, e.value.text) == (code, text)
    assert c.wait()["exit_code"] == code
    assert c.exit()["exitCode"] == code and c.exit()["error"] == text


def test_killed_before_it_was_started(make):
    c = make(["/bin/true"]).create()
    c.channel.call(KILL, signal.SIGKILL, 0)
    assert c.wait()["exit_code"] == 137


def test_starting_twice_is_refused(make):
    c = make(["/bin/sleep", "100"]).create().start()
    with pytest.raises(ShimError) as e:
        c.channel.call(START)
    assert "already" in e.value.text


def test_a_later_client_gets_the_state_and_the_descriptors(make):
    c = make(["/bin/sleep", "100"]).create().start()
    c.channel.close()
    s = c.connect()
    state = shimlib.parse_state(s.call(shimlib.HELLO, 1)[1])
    assert state["phase"] == shimlib.RUNNING and state["pid"] == c.pid
    mask = struct.unpack("<I", s.call(GET_FDS)[1][:4])[0]
    assert mask == 3 and len(s.fds) == 2
    assert os.stat("/proc/self/fd/%d" % s.fds[1]).st_ino == \
        os.stat("/proc/%d/ns/net" % c.pid).st_ino
    s.call(SUBSCRIBE)
    signal.pidfd_send_signal(s.fds[0], signal.SIGKILL)
    assert s.wait_event(EXITED)["exit_code"] == 137
    c.channel = s
    c.wait_shim()


def test_the_death_of_the_shim_is_the_death_of_the_container(make):
    c = make("sleep 100 & sleep 100").create().start()
    pidfd = os.pidfd_open(c.pid)
    os.kill(c.shim_pid, signal.SIGKILL)
    assert select.select([pidfd], [], [], 10)[0]
    os.close(pidfd)
    lost = subprocess.run([shimlib.BUILD / "bin" / "shim-tool", "lost", c.dir], timeout=20)
    assert lost.returncode == 0 and c.cgroups() == [] and not c.dir.joinpath("shim.sock").exists()


def test_sigterm_to_the_shim_stops_the_container_politely(make):
    c = make("trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done").create()
    a = c.connect()
    a.call(ATTACH, 2)
    c.start()
    assert a.frame()[0] == STDOUT
    os.kill(c.shim_pid, signal.SIGTERM)
    a.close()
    assert c.wait()["exit_code"] == 9


def test_a_shim_that_is_not_there_is_no_shim(make):
    c = make(["/bin/true"])
    c.run()
    with pytest.raises(OSError):
        c.connect()


def test_orphans_end_with_the_init(make):
    c = make("(sleep 100 &) ; (setsid sleep 100 &); exit 0")
    assert c.run()["exit_code"] == 0


def test_without_a_pid_namespace_the_rest_is_killed_through_the_cgroup(make):
    def no_pid(s):
        s["linux"]["namespaces"] = [n for n in s["linux"]["namespaces"] if n["type"] != "pid"]
    c = make("sleep 1000 & setsid sleep 1000 & exit 5", spec=no_pid)
    assert c.run()["exit_code"] == 5


# Streams


def attach(c, streams=7):
    a = c.connect()
    a.call(ATTACH, streams)
    return a


def test_stdin_and_its_end(make):
    c = make("cat; echo end", shim={"openStdin": True, "stdinOnce": True}).create()
    a = attach(c)
    c.start()
    a.send(STDIN, b"hello\n", 0)
    a.send(EOF, b"", 0)
    assert a.output() == (b"hello\nend\n", b"")
    a.close()
    assert c.wait()["exit_code"] == 0


def test_stdin_stays_open_for_the_next_client(make):
    c = make("read a; read b; echo $a$b", shim={"openStdin": True}).create()
    a = attach(c)
    c.start()
    a.send(STDIN, b"one\n", 0)
    a.send(EOF, b"", 0)
    a.close()
    b = attach(c)
    b.send(STDIN, b"two\n", 0)
    assert b.output() == (b"onetwo\n", b"")
    b.close()
    c.wait()


def test_a_large_stdin_arrives_whole(make):
    c = make("md5sum", shim={"openStdin": True, "stdinOnce": True}).create()
    a = attach(c)
    c.start()
    data = os.urandom(1 << 20)
    for i in range(0, len(data), 30000):
        a.send(STDIN, data[i:i + 30000], 0)
    a.send(EOF, b"", 0)
    import hashlib
    assert a.output()[0].split()[0].decode() == hashlib.md5(data).hexdigest()
    a.close()
    c.wait()


def test_streams_are_told_apart_and_two_clients_see_the_same(make):
    c = make("for i in 1 2 3; do echo o$i; echo e$i >&2; done").create()
    a, b, only = attach(c), attach(c, 6), attach(c, 4)
    c.start()
    want = (b"o1\no2\no3\n", b"e1\ne2\ne3\n")
    assert a.output() == want and b.output() == want and only.output() == (b"", want[1])
    for x in (a, b, only):
        x.close()
    c.wait()


def waiting(sock):
    """Bytes that have arrived and were not read."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, b"\0" * 4))[0]


def wait_until_full(sock, timeout=30):
    """Until the other side can send no more: what waits here has stopped growing."""
    end, last = time.monotonic() + timeout, 0
    while time.monotonic() < end:
        time.sleep(0.1)
        now = waiting(sock)
        if now and now == last:
            return
        last = now
    raise AssertionError("nothing fills the socket")


def test_a_client_that_reads_nothing_gets_what_it_missed_later_and_loses_nothing(make):
    c = make("head -c 3000000 /dev/zero").create()
    a = attach(c)
    c.start()
    wait_until_full(a.sock)
    assert len(a.output()[0]) == 3000000
    a.close()
    c.wait()


def test_a_client_that_never_reads_is_dropped_and_the_container_goes_on(make):
    c = make("head -c 3000000 /dev/zero; echo >&2 done").create()
    a = attach(c)
    c.start()
    begin = time.monotonic()
    assert c.wait(60)["exit_code"] == 0
    assert 25 < time.monotonic() - begin < 50  # LIMIT_SHIM_STALL_MS
    assert len(c.output()) == 3000000 and c.output("stderr") == "done\n"
    a.close()


def test_garbage_on_the_socket_ends_that_client_alone(make):
    c = make(["/bin/sleep", "100"]).create().start()
    for data in (b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", struct.pack("<IHHI", 1 << 20, 1, 0, 1)):
        bad = c.connect()
        bad.sock.sendall(data)
        assert bad.sock.recv(100) == b""
        bad.close()
    half = c.connect()
    half.sock.sendall(struct.pack("<IHHI", 8, KILL, 0, 1) + b"\x09")
    unknown = c.connect()
    with pytest.raises(ShimError):
        unknown.call(55)
    unknown.close()
    half.close()
    assert shimlib.parse_state(c.channel.call(shimlib.GET_STATE)[1])["phase"] == shimlib.RUNNING


def test_clients_are_bounded(make):
    c = make(["/bin/sleep", "100"]).create().start()
    held = [c.connect() for _ in range(63)]
    for h in held:
        h.call(shimlib.GET_STATE)
    late = c.connect()
    late.send(shimlib.GET_STATE)
    assert not select.select([late.sock], [], [], 0.2)[0]
    held.pop().close()
    assert late.frame()[0] == shimlib.STATE
    for h in held + [late]:
        h.close()


def test_others_may_not_connect(make):
    c = make(["/bin/sleep", "100"]).create().start()
    assert (c.dir / "shim.sock").stat().st_mode & 0o777 == 0o600 or \
        (c.dir / "shim.sock").stat().st_mode & 0o077 == 0
    assert not [l for l in pathlib.Path("/proc/net/unix").read_text().splitlines()
                if "@" in l and c.id in l]


def test_a_terminal(make):
    c = make("tty; stty size; ls -l /dev/console; read x; echo got $x; [ -t 0 ] && [ -t 2 ]",
             tty=True, spec=lambda s: s["process"].update(
                 consoleSize={"height": 41, "width": 97})).create()
    a = attach(c)
    c.start()
    out = b""
    while b"console" not in out:
        out += a.frame()[2]
    assert b"/dev/console" in out or b"/dev/pts/0" in out
    assert b"41 97" in out
    a.call(RESIZE, 50, 120)
    a.send(STDIN, b"word\n", 0)
    out += a.output()[0]
    assert b"got word" in out
    a.close()
    assert c.wait()["exit_code"] == 0
    assert "got word\r\n" in c.output()


def test_resizing_reaches_the_program(make):
    c = make("trap 'stty size; exit 0' WINCH; echo up; while :; do sleep 0.05; done",
             tty=True).create()
    a = attach(c)
    c.start()
    while b"up" not in a.frame()[2]:
        pass
    a.call(RESIZE, 33, 77)
    assert b"33 77" in a.output()[0]
    a.close()
    c.wait()


# The log


def test_long_lines_are_split_and_rotation_keeps_what_is_asked(make):
    c = make("head -c 40000 /dev/zero | tr '\\0' x; echo; printf tail")
    c.run()
    logs = [l["log"] for l in c.log()]
    assert [len(l) for l in logs] == [16384, 16384, 40000 - 32768 + 1, 4]
    assert logs[2].endswith("\n") and not logs[0].endswith("\n") and logs[3] == "tail"
    assert len({l["time"] for l in c.log()[:3]}) == 1


def test_rotation(make):
    c = make("i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done")
    c.shim["log"] = {"path": str(c.dir / "json.log"), "maxSize": 4096, "maxFile": 3}
    c.run()
    files = sorted(p.name for p in c.dir.glob("json.log*"))
    assert files == ["json.log", "json.log.1", "json.log.2"]
    lines = []
    for name in ("json.log.2", "json.log.1", "json.log"):
        path = c.dir / name
        assert path.stat().st_size < 4096 + 200
        lines += [json.loads(l)["log"] for l in path.read_text().splitlines()]
    assert lines == ["line %d\n" % i for i in range(300 - len(lines), 300)]


def test_bytes_that_are_no_text_do_not_break_the_log(make):
    c = make(["/bin/printf", "a\\377b<&>\\t\\001\\n"])
    c.run()
    raw = (c.dir / "json.log").read_text()
    assert '"log":"a\\ufffdb\\u003c\\u0026\\u003e\\u0009\\u0001\\n"' in raw


# Limits


def limits(**kw):
    return lambda s: s["linux"]["resources"].update(kw)


def test_memory_limit_and_oom(make):
    c = make("head -c 100000000 /dev/zero | tail", spec=limits(
        memory={"limit": 16 << 20, "swap": 16 << 20}))
    state = c.run()
    assert state["oom"] == 1 and c.exit()["oomKilled"] is True


def test_oom_of_the_init_itself(make):
    c = make(["/bin/tail", "/dev/zero"], spec=limits(memory={"limit": 16 << 20, "swap": 16 << 20}))
    state = c.run()
    assert (state["exit_code"], state["oom"]) == (137, 1)


def test_pids_limit(make):
    c = make("i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done; echo all",
             spec=limits(pids={"limit": 10}))
    c.run()
    assert "all" not in c.output() and "fork" in c.output("stderr")


def test_cpu_limits_are_written(make):
    c = make(["/bin/sleep", "100"], spec=limits(
        cpu={"shares": 512, "quota": 20000, "period": 100000})).create()
    v1 = shimlib.CGROUP / "cpu" / (shimlib.PARENT[1:]) / c.id
    v2 = shimlib.CGROUP / (shimlib.PARENT[1:]) / c.id
    if v1.exists():
        assert (v1 / "cpu.shares").read_text() == "512\n"
        assert (v1 / "cpu.cfs_quota_us").read_text() == "20000\n"
    else:
        assert (v2 / "cpu.max").read_text() == "20000 100000\n"


def test_cpuset(make):
    c = make("grep Cpus_allowed_list /proc/self/status", spec=limits(cpu={"cpus": "0"}))
    c.run()
    assert c.output().split()[-1] == "0"


def test_devices_are_refused_but_those_allowed(make):
    # mknod is allowed by the test's rules only for what may be used at all
    c = make("mknod /tmp/mem c 1 1 && cat /tmp/mem; head -c 3 /dev/zero | wc -c; "
             "echo x > /dev/null && echo ok")
    c.run()
    assert c.output() == "3\nok\n" and "not permitted" in c.output("stderr")


def test_rlimits(make):
    c = make("ulimit -n; ulimit -c; umask", spec=lambda s: s["process"].update(rlimits=[
        {"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]))
    c.run()
    assert c.output().split() == ["64", "0", "0022"]


# Isolation


def test_capabilities_and_nothing_inheritable(make):
    c = make("cat /proc/self/status")
    c.run()
    status = dict(l.split(":", 1) for l in c.output().splitlines())
    caps = {k: int(status[k], 16) for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    assert caps == {"CapInh": 0, "CapPrm": 0xa80425fb, "CapEff": 0xa80425fb,
                    "CapBnd": 0xa80425fb, "CapAmb": 0}


def test_a_user_has_no_capabilities_and_its_groups(make):
    def user(s):
        s["process"]["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [1001, 50]}
    c = make("cat /proc/self/status; id; echo y > /dev/stdout", spec=user)
    assert c.run()["exit_code"] == 0
    out = c.output()
    assert "CapEff:\t0000000000000000" in out and "CapPrm:\t0000000000000000" in out
    assert "CapAmb:\t0000000000000000" in out
    assert "uid=1000 gid=1001 groups=50,1001" in out or "groups=1001,50" in out


@pytest.mark.parametrize("user,want", [
    ("web", ["33", "33", "29 33", "/srv"]),
    ("web:extra", ["33", "77", "77", "/srv"]),
    ("1234", ["1234", "0", "0", "/"]),
    ("0:0", ["0", "0", "0", "/root"]),
])
def test_the_users_of_the_image(make, user, want):
    c = make("id -u; id -g; id -G | tr ' ' '\\n' | sort -n | tr '\\n' ' '; echo; echo $HOME",
             shim={"user": user})
    c.shim["log"] = {"path": str(c.dir / "json.log")}
    c.run()
    assert [" ".join(l.split()) for l in c.output().splitlines()] == want


def test_an_unknown_user_is_an_error(make):
    c = make(["/bin/true"], shim={"user": "ghost"})
    with pytest.raises(ShimError) as e:
        c.create()
    assert e.value.text == "unable to find user ghost: no matching entries in passwd file"


def test_no_new_privileges_and_the_default_filter(make, tmp_path):
    cache = tmp_path / "seccomp"
    path = subprocess.check_output(
        [shimlib.BUILD / "bin" / "shim-tool", "seccomp", cache], text=True).strip()
    c = make("cat /proc/self/status; unshare -U true; mount -t tmpfs x /tmp; "
             "echo still here", shim={"seccompFilter": path},
             spec=lambda s: s["process"].update(noNewPrivileges=True))
    c.shim["log"] = {"path": str(c.dir / "json.log")}
    c.run()
    assert "Seccomp:\t2" in c.output() and "NoNewPrivs:\t1" in c.output()
    assert "still here" in c.output()
    assert "unshare(0x10000000): Operation not permitted" in c.output("stderr")


def test_the_filter_without_no_new_privileges_as_a_user(make, tmp_path):
    path = subprocess.check_output([shimlib.BUILD / "bin" / "shim-tool", "seccomp", tmp_path / "s"],
                                   text=True).strip()
    c = make("cat /proc/self/status; unshare -n true", shim={"seccompFilter": path},
             spec=lambda s: s["process"].update(user={"uid": 1000, "gid": 1000}))
    c.shim["log"] = {"path": str(c.dir / "json.log")}
    c.run()
    assert "Seccomp:\t2" in c.output() and "NoNewPrivs:\t0" in c.output()
    assert "CapEff:\t0000000000000000" in c.output()


def test_a_filter_in_the_form_of_the_specification(make):
    def filt(s):
        s["linux"]["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": ["mkdir", "mkdirat", "nonsense"],
                          "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}
    c = make("mkdir /tmp/x", spec=filt)
    assert c.run()["exit_code"] == 1
    assert "No space left" in c.output("stderr")


def test_no_descriptors_of_the_host(make):
    c = make("ls /proc/self/fd /proc/1/fd")
    c.run()
    fds = [l for l in c.output().split() if l.isdigit()]
    assert sorted(set(fds)) == ["0", "1", "2", "3"]


def test_masked_and_readonly_paths(make):
    c = make("wc -c < /proc/keys; ls /sys/firmware | wc -l; echo 1 > /proc/irq/x; "
             "echo 1 > /proc/sys/vm/swappiness; touch /sys/x; cat /proc/timer_list | wc -c")
    c.run()
    assert c.output().split() == ["0", "0", "0"]
    assert c.output("stderr").count("Read-only file system") == 2


def test_the_hosts_root_and_processes_are_out_of_sight(make):
    c = make("ls /proc | grep -c '^[0-9]'; ls /..; cat /proc/self/mountinfo | grep -c vda")
    c.run()
    assert int(c.output().split()[0]) <= 5
    assert "work" not in c.output().split()


def test_a_readonly_root(make):
    c = make("touch /x; touch /dev/shm/y && echo shm", spec=lambda s: s["root"].update(
        readonly=True))
    c.run()
    assert "Read-only file system" in c.output("stderr") and "shm" in c.output()


def test_the_runtime_binary_is_out_of_reach(make):
    before = shimlib.SHIM.read_bytes()
    c = make(["/proc/self/exe", "/"]).create()
    try:
        c.start()
    except ShimError:
        pass
    c.wait()
    assert shimlib.SHIM.read_bytes() == before
    # The init waits before its program with the shim's binary as its own: read-only.
    c = make(["/bin/true"]).create()
    with pytest.raises(OSError):
        os.open("/proc/%d/exe" % c.pid, os.O_WRONLY)
    c.start()
    c.wait()


def bind(source, destination, *options):
    return lambda s: s["mounts"].append({"destination": destination, "type": "bind",
                                         "source": str(source), "options": list(options)})


def test_bind_mounts_of_folders_and_files(make, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file").write_text("content")
    c = make("cat /data/file /one; echo more >> /data/file; touch /one || echo no",
             spec=lambda s: [bind(tmp_path / "d", "/data", "rbind")(s),
                             bind(tmp_path / "d/file", "/one", "rbind", "ro")(s)])
    c.run()
    assert c.output() == "contentcontent" + "no\n"
    assert (tmp_path / "d/file").read_text() == "contentmore\n"


def test_links_in_the_image_do_not_lead_mounts_out(make, tmp_path):
    root = shimlib.make_rootfs(tmp_path / "evil")
    victim = tmp_path / "victim"
    victim.mkdir()
    (root / "abs").symlink_to(victim)
    (root / "up").symlink_to("../" * 20 + str(victim))
    (root / "link-to-etc").symlink_to("/etc")
    for dest in ("/abs/x", "/up/y", "/link-to-etc/z", "/abs"):
        c = make("ls -d " + dest, root=root, spec=bind("/bin", dest, "rbind", "ro"))
        c.run()
    assert list(victim.iterdir()) == []
    assert (root / "etc/z").is_dir()
    # Dangling links are made good inside the root, as for a resolv.conf that leads to /run.
    (root / "etc/resolv.conf").symlink_to("../run/deep/resolv.conf")
    c = make("cat /run/deep/resolv.conf", root=root, spec=bind("/bin/busybox", "/etc/resolv.conf"))
    assert c.run()["exit_code"] == 0
    assert (root / "run/deep/resolv.conf").is_file()


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
def test_a_link_in_place_of_proc_sys_or_dev_is_refused(make, tmp_path, name):
    root = shimlib.make_rootfs(tmp_path / "evil")
    (root / name).rmdir()
    (root / name).symlink_to("/tmp")
    with pytest.raises(ShimError):
        make(["/bin/true"], root=root).create()
    assert list((root / "tmp").iterdir()) == []


def test_volumes_over_proc_are_refused(make, tmp_path):
    for dest in ("/proc", "/proc/self/attr", "/proc/sys"):
        with pytest.raises(ShimError) as e:
            make(["/bin/true"], spec=bind(tmp_path, dest, "rbind")).create()
        assert "not allowed" in e.value.text


def test_the_working_directory(make, tmp_path):
    c = make("pwd; stat -c %a /new /new/deep", spec=lambda s: s["process"].update(
        cwd="/new/deep", user={"uid": 1000, "gid": 1000}))
    c.run()
    assert c.output().split() == ["/new/deep", "755", "755"]
    c = make(["/bin/true"], spec=lambda s: s["process"].update(cwd="/proc/self/fd/7/../.."))
    with pytest.raises(ShimError):
        c.create()


def test_sysctls_of_the_containers_own_namespaces(make):
    c = make("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax",
             spec=lambda s: s["linux"].update(sysctl={
                 "net.ipv4.ip_unprivileged_port_start": "0", "kernel.msgmax": "9000"}))
    c.run()
    assert c.output().split() == ["0", "9000"]
    with pytest.raises(ShimError) as e:
        make(["/bin/true"], spec=lambda s: s["linux"].update(sysctl={"vm.swappiness": "0"})).create()
    assert "vm.swappiness" in e.value.text


def test_unknown_properties_are_named(make):
    for change, word in ((lambda s: s["linux"].update(colour=1), "linux.colour"),
                         (lambda s: s.update(hooks={"prestart": [{}]}), "hooks"),
                         (lambda s: s["process"].update(args=[]), "process.args"),
                         (lambda s: s["linux"]["namespaces"].append({"type": "user"}), "user"),
                         (lambda s: s["linux"].update(cgroupsPath="/a/../b"), "cgroupsPath")):
        with pytest.raises(ShimError) as e:
            make(["/bin/true"], spec=change).create()
        assert word in e.value.text


# Overlays, namespaces, names


@pytest.mark.parametrize("folder", ["short", "x" * 200 + ",:\\/" + "y" * 100])
def test_an_overlay_of_layers_that_the_host_does_not_see(make, tmp_path, rootfs, folder):
    # Long paths take the classic mount, as kernels before 6.5 do for all.
    top, upper, work = (tmp_path / folder / n for n in ("top", "upper", "work"))
    for d in (top, upper, work):
        d.mkdir(parents=True)
    (top / "etc").mkdir()
    (top / "etc/plain").write_text("from the top\n")
    c = make("cat /etc/plain; echo new > /written; ls /bin/busybox",
             shim={"overlay": {"lower": [str(top), str(rootfs)], "upper": str(upper),
                               "work": str(work)}}, spec=lambda s: s.pop("root"))
    c.shim["log"] = {"path": str(c.dir / "json.log")}
    assert c.run()["exit_code"] == 0
    assert c.output() == "from the top\n/bin/busybox\n"
    assert (upper / "written").read_text() == "new\n"


def test_joining_the_namespaces_of_another(make):
    first = make(["/bin/sleep", "100"]).create().start()

    def join(s):
        s.pop("hostname")
        for n in s["linux"]["namespaces"]:
            kind = {"network": "net"}.get(n["type"], n["type"])
            if n["type"] in ("network", "ipc", "uts", "pid"):
                n["path"] = "/proc/%d/ns/%s" % (first.pid, kind)
    c = make("hostname; readlink /proc/self/ns/net; ps", spec=join)
    c.run()
    out = c.output()
    assert first.spec["hostname"] in out and "sleep 100" in out
    assert os.readlink("/proc/%d/ns/net" % first.pid) in out


def test_the_dns_sockets_are_bound_in_the_container(make):
    c = make("cat /proc/net/udp; nslookup x.example 127.0.0.11", shim={"dns": {"port": 53}})
    c.shim["log"] = {"path": str(c.dir / "json.log")}
    c.create()
    mask = c.state["mask"]
    assert mask == 15
    udp = socket.socket(fileno=os.dup(c.channel.fds[2]))
    tcp = socket.socket(fileno=os.dup(c.channel.fds[3]))
    assert udp.getsockname() == ("127.0.0.11", 53) and tcp.getsockname() == ("127.0.0.11", 53)
    assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    c.start()
    assert select.select([udp], [], [], 10)[0]
    query, peer = udp.recvfrom(512)
    assert b"\x07example" in query and peer[0] == "127.0.0.1"
    c.channel.call(KILL, signal.SIGKILL, 0)
    udp.close()
    tcp.close()
    c.wait()


def test_the_runtime_directory_may_have_a_long_path(make, tmp_path, rootfs):
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    c = Container(deep, rootfs, ["/bin/sleep", "100"]).create().start()
    s = c.connect()
    s.call(shimlib.GET_STATE)
    s.close()
    c.destroy()


def test_a_failed_creation_leaves_nothing(make, tmp_path):
    for change in (lambda s: s["root"].update(path="/no/such/root"),
                   bind("/no/such/source", "/x", "rbind"),
                   lambda s: s["process"].update(rlimits=[
                       {"type": "RLIMIT_NOFILE", "soft": 1 << 40, "hard": 1 << 40}])):
        with pytest.raises(ShimError):
            make(["/bin/true"], spec=change).create()


def test_many_at_once(make):
    cs = [make("echo %d; sleep 0.2; exit %d" % (i, i)) for i in range(50)]
    for c in cs:
        c.create(60)
    for c in cs:
        c.channel.send(START)
    assert [c.channel.wait_event(EXITED, 60)["exit_code"] for c in cs] == list(range(50))
    for c in cs:
        c.wait_shim()
    assert [c.output() for c in cs] == ["%d\n" % i for i in range(50)]


@pytest.mark.skipif(b"__asan_init" in (shimlib.SHIM.read_bytes() if shimlib.SHIM.exists() else b""),
                    reason="a sanitizer's memory is not the shim's")
def test_private_memory(make):
    cs = [make(["/bin/sleep", "100"]).create().start() for _ in range(2)]
    for c in cs:
        rollup = pathlib.Path("/proc/%d/smaps_rollup" % c.shim_pid).read_text()
        private = sum(int(l.split()[1]) for l in rollup.splitlines()
                      if l.startswith(("Private_Clean", "Private_Dirty")))
        assert private <= 700, rollup
