"""shoal-oci's commands with real containers: needs root, a static busybox and the built command."""

import array
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import socket
import subprocess
import time

import pytest

import ocilib
import shimlib
from ocilib import OCI, Runtime, groups
from test_shim import host_mounts, is_gone

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not OCI.exists() or not os.path.exists("/bin/busybox"),
    reason="needs root, busybox-static and a built shoal-oci")
SLEEP = ["/bin/sleep", "1000"]


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory):
    return shimlib.make_rootfs(tmp_path_factory.mktemp("root"))


def runtime_at(path, program):
    mounts = host_mounts(path)
    r = Runtime(path, program)
    yield r
    r.destroy()
    assert not r.root.exists() or list(r.root.iterdir()) == []
    assert groups("/*") == []
    for group in groups(""):
        group.rmdir()
    assert host_mounts(path) == mounts


@pytest.fixture
def oci(tmp_path):
    yield from runtime_at(tmp_path, OCI)


@pytest.fixture(params=ocilib.programs(), ids=os.path.basename)
def each(request, tmp_path):
    """shoal-oci, and runc beside it: what holds for both is what users rely on."""
    yield from runtime_at(tmp_path, request.param)


def wait_for(what, timeout=10):
    end = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < end, "it does not come"
        select.select([], [], [], 0.01)


# The life of a container


@pytest.mark.parametrize("code", [0, 7, 255])
def test_run_ends_as_its_program(each, rootfs, code):
    r = each.run("echo out; echo err >&2; exit %d" % code, rootfs)
    assert (r.code, r.out, r.err) == (code, "out\n", "err\n")


def test_run_of_a_program_that_dies_of_a_signal(each, rootfs):
    # The first process of a pid namespace is not killed by its own signals: a child is.
    assert each.run("sh -c 'kill -9 $$'; exit $?", rootfs).code == 137


@pytest.mark.parametrize("program,code,word", [
    ("/no/such", 127, "no such file"),
    ("nosuch", 127, "executable file not found in $PATH"),
    ("/etc/plain", 126, "permission denied"),
    ("/etc", 126, "is a directory: permission denied"),
    ("/etc/garbage", 126, "exec format error"),
])
def test_a_program_that_cannot_be_executed(oci, rootfs, program, code, word):
    r = oci.run([program], rootfs, check=code)
    assert word in r.err and r.err.count("\n") == 1


def test_create_refuses_a_program_that_is_not_there(each, rootfs):
    ident, path = each.bundle(["nosuch"], rootfs)
    r = each.call("create", "--bundle", path, ident, check=False)
    assert r.code != 0 and "executable file not found in $PATH" in r.err
    assert each.call("list", "-q").out == ""


def test_create_start_kill_delete(each, rootfs):
    ident, path = each.bundle(["/bin/sh", "-c", "trap 'exit 3' TERM; : > /proc/self/comm; "
                               "while :; do sleep 0.05; done"], rootfs)
    each.create(ident, path)
    s = each.state(ident)
    assert (s["status"], s["id"], s["bundle"]) == ("created", ident, str(path))
    assert s["rootfs"] == str(rootfs)
    pid = s["pid"]
    assert pathlib.Path("/proc/%d/status" % pid).exists()
    each.call("start", ident)
    assert each.state(ident)["status"] == "running"
    r = each.call("delete", ident, check=False)
    assert r.code == 1 and "not stopped" in r.err
    assert "already running" in each.call("start", ident, check=False).err or \
        each.program != str(OCI)
    each.call("kill", ident, "KILL")
    assert is_gone(pid)
    s = each.state(ident)
    assert (s["status"], s["pid"]) == ("stopped", 0)
    r = each.call("kill", ident, "TERM", check=False)
    assert r.code == 1 and "not running" in r.err
    each.call("delete", ident)
    r = each.call("state", ident, check=False)
    assert r.code == 1 and "container does not exist" in r.err


def test_state_and_list_have_the_members_that_runc_writes(tmp_path, rootfs):
    if len(ocilib.programs()) < 2:
        pytest.skip("needs runc")
    seen = []
    for n, program in enumerate(ocilib.programs()):
        (tmp_path / str(n)).mkdir()
        for r in runtime_at(tmp_path / str(n), program):
            def mark(spec):
                spec["annotations"] = {"org.example.key": "value"}
            ident = r.start(SLEEP, rootfs, mark)
            listed = json.loads(r.call("list", "--format", "json").out)
            table = r.call("list").out.replace(ident, "ID").splitlines()
            seen.append((list(r.state(ident)), sorted(listed[0]), r.state(ident)["annotations"],
                         [line.split()[:1] for line in table], table[0].split(),
                         listed[0]["owner"], r.call("list", "-q").out.replace(ident, "ID"),
                         r.call("state", ident).out.count("\n")))
    assert seen[0] == seen[1]


def test_an_empty_list(each):
    each.root.mkdir()
    assert each.call("list", "-f", "json").out.strip() == "null"
    assert each.call("list").out.split() == "ID PID STATUS BUNDLE CREATED OWNER".split()


def test_a_second_container_of_the_same_id_is_refused(each, rootfs):
    ident = each.start(SLEEP, rootfs)
    pid = each.state(ident)["pid"]
    r = each.call("create", "--bundle", each.base / ident, ident, check=False)
    assert r.code == 1 and "exist" in r.err
    assert each.state(ident)["pid"] == pid


def test_two_at_once_with_one_id(oci, rootfs):
    ident, path = oci.bundle(SLEEP, rootfs)
    with open(os.devnull, "w", encoding="ascii") as null:
        calls = [subprocess.Popen([str(OCI), "--root", str(oci.root), "create", "-b", str(path),
                                   ident], stdin=null, stdout=null, stderr=null)
                 for _ in range(6)]
        codes = sorted(c.wait(timeout=60) for c in calls)
    assert codes == [0, 1, 1, 1, 1, 1]
    assert oci.state(ident)["status"] == "created"


def test_bounds(oci, rootfs):
    """LIMIT_OCI_ID, LIMIT_PRESERVE_FDS, LIMIT_OCI_STATE."""
    _, path = oci.bundle(["/bin/true"], rootfs)
    assert oci.call("run", "-b", path, "x" * 255).code == 0
    assert "255" in oci.call("run", "-b", path, "x" * 256, check=False).err
    assert "1024" in oci.run("true", rootfs, flags=["--preserve-fds", "1025"], check=1).err
    assert "1024" in oci.run("true", rootfs, check=1,
                             env={**os.environ, "LISTEN_FDS": "1025"}).err

    def annotate(spec):
        spec["annotations"] = {"k%d" % i: "x" * 1000 for i in range(70)}
    assert "annotations" in oci.run("true", rootfs, annotate, check=1).err


@pytest.mark.parametrize("ident", ["", ".", "..", "a/b", "../x", "a b", "x" * 300, "-x\n"])
def test_ids_that_are_no_names(oci, rootfs, ident):
    _, path = oci.bundle(SLEEP, rootfs)
    r = oci.call("create", "--bundle", path, "--", ident, check=False)
    assert r.code == 1 and "ID" in r.err


def test_delete_force(each, rootfs):
    ident = each.start("trap '' TERM; while :; do sleep 0.05; done", rootfs)
    pid = each.state(ident)["pid"]
    each.call("delete", "--force", ident)
    assert is_gone(pid) and groups("/" + ident) == []
    each.call("delete", "--force", ident)


def test_delete_of_one_that_was_never_started(each, rootfs):
    ident, path = each.bundle(SLEEP, rootfs)
    each.create(ident, path)
    pid = each.state(ident)["pid"]
    each.call("delete", ident)
    assert is_gone(pid) and groups("/" + ident) == []


def test_a_creator_that_is_killed_leaves_nothing_that_delete_does_not_remove(oci, rootfs):
    fifo = oci.base / "fifo"
    os.mkfifo(fifo)

    def block(spec):
        spec["hooks"] = {"createRuntime": [{"path": "/bin/sh",
                                            "args": ["sh", "-c", "echo up > %s; sleep 100" % fifo]}]}
    ident, path = oci.bundle(SLEEP, rootfs, block)
    p = oci.popen("create", "--bundle", path, ident)
    fifo.read_text()
    s = oci.state(ident)
    assert s["status"] == "creating" and s["pid"]
    p.kill()
    p.wait()
    assert is_gone(s["pid"])
    assert oci.state(ident)["status"] == "stopped"
    oci.call("delete", ident)
    assert groups("/" + ident) == [] and list(oci.root.iterdir()) == []


def test_delete_force_while_it_is_created(oci, rootfs):
    fifo = oci.base / "fifo"
    os.mkfifo(fifo)

    def block(spec):
        spec["hooks"] = {"prestart": [{"path": "/bin/sh", "timeout": 2,
                                       "args": ["sh", "-c", "echo up > %s; sleep 100" % fifo]}]}
    ident, path = oci.bundle(SLEEP, rootfs, block)
    p = oci.popen("create", "--bundle", path, ident)
    fifo.read_text()
    oci.call("delete", "--force", ident)
    assert p.wait(timeout=30) == 1
    assert list(oci.root.iterdir()) == []


@pytest.mark.parametrize("broken", ["{", "[]", '{"ociVersion": "1.2.0"}', ""])
def test_a_bad_configuration_is_one_line_and_leaves_nothing(oci, rootfs, broken):
    ident, path = oci.bundle(SLEEP, rootfs)
    (path / "config.json").write_text(broken)
    r = oci.call("run", "--bundle", path, ident, check=False)
    assert r.code == 1 and r.err.count("\n") == 1 and "config.json" in r.err
    assert not (oci.root / ident).exists()


def test_a_missing_root_or_bundle(oci, rootfs):
    ident, path = oci.bundle(SLEEP, "/no/such/root")
    r = oci.call("run", "--bundle", path, ident, check=False)
    assert r.code == 1 and "/no/such/root" in r.err
    (path / "config.json").unlink()
    assert "config.json" in oci.call("run", "--bundle", path, ident, check=False).err
    assert "/no/such" in oci.call("run", "--bundle", "/no/such", ident, check=False).err
    assert groups("/" + ident) == [] and not list(oci.root.glob("*"))


def test_a_full_disk(oci, rootfs, tmp_path):
    small = tmp_path / "state"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "small", small], check=True)
    try:
        (small / "filler").write_bytes(b"x" * 4096)
        ident, path = oci.bundle(SLEEP, rootfs)
        r = oci.call("run", "--bundle", path, ident, check=False)
        assert r.code == 1 and "No space left" in r.err
        assert [f.name for f in small.iterdir()] == ["filler"] and groups("/" + ident) == []
    finally:
        subprocess.run(["umount", small], check=True)


# Signals


def test_a_signal_never_goes_to_a_reused_pid(oci, rootfs):
    ident = oci.start(SLEEP, rootfs)
    pid = oci.state(ident)["pid"]
    os.kill(pid, signal.SIGKILL)
    assert is_gone(pid)
    other = subprocess.Popen(["sleep", "1000"])
    try:
        state = oci.root / ident / "state.json"
        text = json.loads(state.read_text())
        text["pid"] = other.pid
        state.write_text(json.dumps(text))
        assert oci.state(ident)["status"] == "stopped"
        assert oci.call("kill", ident, "KILL", check=False).code == 1
        oci.call("delete", "--force", ident)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("name,number", [("USR1", 10), ("SIGUSR1", 10), ("10", 10), ("sigusr1", 10),
                                         ("RTMIN+2", 36)])
def test_names_of_signals(oci, rootfs, name, number):
    fifo = oci.base / "fifo"
    os.mkfifo(fifo)

    def mount(spec):
        spec["mounts"].append({"destination": "/fifo", "source": str(fifo), "options": ["bind"]})
    ident = oci.start("trap 'echo got > /fifo; exit' %d; echo up > /fifo; while :; do sleep 0.02; "
                      "done" % number, rootfs, mount)
    assert fifo.read_text() == "up\n"
    oci.call("kill", ident, name)
    assert fifo.read_text() == "got\n"


def test_kill_all_and_unknown_signals(each, rootfs):
    ident = each.start("sleep 1000 & sleep 1000 & wait", rootfs)
    wait_for(lambda: len(each.call("ps", "-f", "json", ident).json()) == 3)
    pids = each.call("ps", "-f", "json", ident).json()
    assert each.call("kill", ident, "NOSUCH", check=False).code == 1
    each.call("kill", "--all", ident, "KILL")
    assert all(is_gone(p) for p in pids)


def test_kill_without_a_pid_namespace_takes_all_along(oci, rootfs):
    def no_pid(spec):
        spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"]
                                       if n["type"] != "pid"]
    ident = oci.start("sleep 1000 & sleep 1000 & wait", rootfs, no_pid)
    wait_for(lambda: len(oci.call("ps", "-f", "json", ident).json()) == 3)
    pids = oci.call("ps", "-f", "json", ident).json()
    oci.call("kill", ident, "KILL")
    assert all(is_gone(p) for p in pids)


def test_run_passes_signals_on(each, rootfs):
    ident, path = each.bundle(["/bin/sh", "-c", "trap 'exit 9' TERM; echo up; "
                               "while :; do sleep 0.02; done"], rootfs)
    p = each.popen("run", "--bundle", path, ident)
    assert p.stdout.readline() == b"up\n"
    p.send_signal(signal.SIGTERM)
    assert p.wait(timeout=20) == 9
    p.communicate()


# Files, descriptors, terminals, logs


def test_pid_file(each, rootfs):
    ident, path = each.bundle(SLEEP, rootfs)
    each.create(ident, path, "--pid-file", path / "pid")
    assert (path / "pid").read_text() == str(each.state(ident)["pid"])
    assert [f.name for f in path.iterdir() if "pid" in f.name] == ["pid"]


def test_run_detached(each, rootfs):
    ident, path = each.bundle(SLEEP, rootfs)
    with open(os.devnull, "w", encoding="ascii") as null:
        subprocess.run([each.program, "--root", str(each.root), "run", "-d", "-b", str(path),
                        ident], stdin=null, stdout=null, stderr=null, check=True, timeout=30)
    assert each.state(ident)["status"] == "running"


def test_preserved_descriptors(oci, rootfs):
    r, w = os.pipe()
    r2, w2 = os.pipe()
    script = "echo $LISTEN_FDS $LISTEN_PID; echo three >&3; echo four >&4; ls /proc/self/fd | wc -l"

    def place():
        os.dup2(w, 3, inheritable=True)
        os.dup2(w2, 4, inheritable=True)
    ident, path = oci.bundle(["/bin/sh", "-c", script], rootfs)
    os.set_inheritable(w, True)
    p = oci.call("run", "--bundle", path, "--preserve-fds", "1", ident, close_fds=False,
                 preexec_fn=place, env={**os.environ, "LISTEN_FDS": "1"})
    os.close(w)
    os.close(w2)
    # 0 to 4, and the one by which ls reads the folder.
    assert p.out.split() == ["1", "1", "6"]
    assert os.read(r, 99) == b"three\n" and os.read(r2, 99) == b"four\n"
    os.close(r)
    os.close(r2)


def test_a_descriptor_that_is_to_be_passed_must_be_open(oci, rootfs):
    r = oci.run("true", rootfs, flags=["--preserve-fds", "5"])
    assert r.code == 1 and "not open" in r.err


def test_no_descriptor_of_the_host_is_seen_inside(oci, rootfs):
    """CVE-2024-21626: neither one left open by the caller nor one of ours."""
    fd = os.open("/", os.O_RDONLY)
    os.set_inheritable(fd, True)
    out = oci.output("ls /proc/self/fd; ls /proc/1/fd", rootfs, close_fds=False)
    os.close(fd)
    assert out.split() == ["0", "1", "2", "3", "0", "1", "2", "3"] or \
        out.split() == ["0", "1", "2", "3", "0", "1", "2"]
    for n in range(3, 20):
        def cwd(spec, n=n):
            spec["process"]["cwd"] = "/proc/self/fd/%d" % n
        r = oci.run("cat /etc/passwd | head -1; ls ../../..", rootfs, cwd)
        assert r.code != 0


def receive_console(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(path))
    s.listen(1)
    return s


def console_of(listener):
    listener.settimeout(20)
    c, _ = listener.accept()
    _, anc, _, _ = c.recvmsg(100, 100)
    fds = array.array("i")
    fds.frombytes(anc[0][2][:4])
    c.close()
    listener.close()
    return fds[0]


def read_until(fd, word, timeout=10):
    text = b""
    end = time.monotonic() + timeout
    while word not in text:
        assert select.select([fd], [], [], max(0, end - time.monotonic()))[0], text
        try:
            text += os.read(fd, 4096)
        except OSError:
            break
    return text


def terminal(spec):
    spec["process"]["terminal"] = True
    spec["process"]["consoleSize"] = {"height": 33, "width": 77}


def test_console_socket(each, rootfs):
    listener = receive_console(each.base / "c.sock")
    ident, path = each.bundle(["/bin/sh", "-c", "tty; stty size; read x; echo got $x"], rootfs,
                              terminal)
    each.create(ident, path, "--console-socket", each.base / "c.sock")
    fd = console_of(listener)
    each.call("start", ident)
    assert b"33 77" in read_until(fd, b"77\r\n")
    os.write(fd, b"word\n")
    assert b"got word" in read_until(fd, b"got word")
    os.close(fd)


def test_a_terminal_in_the_foreground(each, rootfs):
    ident, path = each.bundle(["/bin/sh", "-c", "tty; read x; echo got $x; exit 4"], rootfs,
                              terminal)
    master, slave = pty.openpty()
    p = subprocess.Popen([each.program, "--root", str(each.root), "run", "-b", str(path), ident],
                         stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    assert b"/dev/pts/0" in read_until(master, b"/dev/pts/0") or each.program != str(OCI)
    os.write(master, b"word\r")
    assert b"got word" in read_until(master, b"got word")
    assert p.wait(timeout=20) == 4
    os.close(master)


def test_terminals_that_nobody_would_have(each, rootfs):
    ident, path = each.bundle(["/bin/true"], rootfs, terminal)
    assert "console socket" in each.call("create", "-b", path, ident, check=False).err
    r = each.call("run", "-d", "-b", path, ident, check=False)
    assert r.code == 1 and "console socket" in r.err


@pytest.mark.parametrize("form", ["json", "text"])
def test_the_log(each, rootfs, form):
    log = each.base / "log"
    each.root.mkdir()
    r = each.call("state", "nosuch", check=False,
                  options=["--log", str(log), "--log-format", form])
    assert r.code == 1 and "container does not exist" in r.err
    line = log.read_text().splitlines()[-1]
    if form == "json":
        entry = json.loads(line)
        assert entry["level"] == "error" and "container does not exist" in entry["msg"]
        assert set(entry) == {"level", "msg", "time"}
    else:
        assert "level=error msg=" in line and "container does not exist" in line


@pytest.mark.parametrize("argv", [
    ["nosuch"], ["run"], ["state"], ["run", "--nosuch", "x"], ["list", "extra"], ["kill"],
    ["run", "--bundle"], ["create", "--preserve-fds", "x", "y"], ["list", "--format", "xml"]])
def test_bad_command_lines(oci, argv):
    oci.root.mkdir()
    r = oci.call(*argv, check=False)
    assert r.code == 1 and r.err.startswith("shoal-oci: ") and r.err.count("\n") == 1


def test_help_and_version(oci):
    assert "create" in oci.call("--help").out
    assert "--bundle" in oci.call("run", "--help").out
    assert "spec: 1.2.0" in oci.call("--version").out


# exec, ps, pause, update, events


def test_exec(each, rootfs):
    ident = each.start(SLEEP, rootfs)
    r = each.call("exec", "--cwd", "/tmp", "--env", "A=b", "--user", "1000:50", ident, "/bin/sh",
                  "-c", "echo $A; pwd; id -u; id -g; hostname; exit 6", check=False)
    assert (r.code, r.out.split()) == (6, ["b", "/tmp", "1000", "50", ident[:12]])
    assert each.call("exec", ident, "cat", "/proc/1/comm").out == "sleep\n"
    r = each.call("exec", ident, "nosuch", check=False)
    assert r.code != 0 and "executable file not found in $PATH" in r.err
    assert each.call("exec", "nosuch", "true", check=False).code != 0


def test_exec_is_in_the_groups_and_namespaces_of_the_container(oci, rootfs):
    ident = oci.start(SLEEP, rootfs)
    pid = oci.state(ident)["pid"]
    inside = oci.call("exec", ident, "sh", "-c",
                      "cd /proc/self/ns; for n in *; do readlink $n; done").out.split()
    own = {os.readlink("/proc/%d/ns/%s" % (pid, n)) for n in os.listdir("/proc/%d/ns" % pid)}
    assert set(inside) == own
    fifo = oci.base / "fifo"
    os.mkfifo(fifo)
    with open(os.devnull, "w", encoding="ascii") as null:
        subprocess.run([str(OCI), "--root", str(oci.root), "exec", "-d", "--pid-file",
                        str(oci.base / "pid"), ident, "sleep", "500"], stdin=null, stdout=null,
                       stderr=null, check=True, timeout=30)
    other = int((oci.base / "pid").read_text())
    ours = [l for l in pathlib.Path("/proc/%d/cgroup" % pid).read_text().splitlines()
            if ident in l]
    theirs = pathlib.Path("/proc/%d/cgroup" % other).read_text().splitlines()
    on_v2 = (ocilib.CGROUP / "cgroup.controllers").exists()
    assert len(ours) > (0 if on_v2 else 3) and set(ours) <= set(theirs)


def test_exec_in_a_group_below(each, rootfs):
    if not (ocilib.CGROUP / "pids").is_dir():
        pytest.skip("needs control groups v1")
    ident = each.start(SLEEP, rootfs)
    for controller in ("pids", "memory"):
        (ocilib.CGROUP / controller / ocilib.PARENT[1:] / ident / "sub").mkdir()

    def where(*flags):
        with open(os.devnull, "w", encoding="ascii") as null:
            subprocess.run([each.program, "--root", str(each.root), "exec", "-d", "--pid-file",
                            str(each.base / "pid"), *flags, ident, "sleep", "500"],
                           stdin=null, stdout=null, stderr=null, check=True, timeout=30)
        pid = int((each.base / "pid").read_text())
        lines = pathlib.Path("/proc/%d/cgroup" % pid).read_text().splitlines()
        return {l.split(":")[1]: l.rsplit("/", 1)[1] for l in lines}
    found = where("--cgroup", "pids:sub")
    assert (found["pids"], found["memory"], found["devices"]) == ("sub", ident, ident)
    found = where("--cgroup", "pids,memory:sub")
    assert (found["pids"], found["memory"], found["devices"]) == ("sub", "sub", ident)
    for bad in ("pids:nosuch", "devices:sub", "what:sub"):
        r = each.call("exec", "--cgroup", bad, ident, "true", check=False)
        assert r.code in (1, 255) and r.err
    each.call("delete", "--force", ident)


def affine(value):
    return lambda spec: spec["process"].update(execCPUAffinity=value)


@pytest.mark.parametrize("affinity,further", [
    ({"initial": "1", "final": "0"}, "0"), ({"initial": "0"}, "0"),
    ({"initial": "0", "final": "0-1"}, "0-1"), ({}, None)])
def test_processors_of_further_processes(oci, rootfs, affinity, further):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two processors")
    own = "0-1" if os.sched_getaffinity(0) == {0, 1} else None
    ident = oci.start(SLEEP, rootfs, affine(affinity))

    def allowed(pid):
        return oci.call("exec", ident, "grep", "Cpus_allowed_list", "/proc/%s/status" % pid
                        ).out.split()[1]
    assert allowed("self") == (further or own or allowed(1))
    assert own is None or allowed(1) == own


@pytest.mark.parametrize("text", ["x", "1-", "2-1", "0,,1", "", "1024", "-1", "0 1"])
def test_bad_processors_of_further_processes(oci, rootfs, text):
    r = oci.run("true", rootfs, affine({"initial": text}))
    assert r.code == 1 and "process.execCPUAffinity.initial" in r.err


def test_exec_of_a_process_file(each, rootfs):
    ident = each.start(SLEEP, rootfs)
    process = {"args": ["/bin/sh", "-c", "id -u; id -G; pwd; umask; echo $X; grep CapEff "
                        "/proc/self/status; grep NoNewPrivs /proc/self/status"],
               "cwd": "/etc", "env": ["X=y", "PATH=/bin"], "noNewPrivileges": True,
               "user": {"uid": 0, "gid": 0, "umask": 0o77, "additionalGids": [5, 6]},
               "capabilities": {s: ["CAP_CHOWN"] for s in ("bounding", "effective", "permitted")}}
    (each.base / "p.json").write_text(json.dumps(process))
    out = each.call("exec", "--process", each.base / "p.json", ident).out.split()
    if each.program != str(OCI):
        out[5] = "0077"  # runc 1.1 leaves the umask out here
    assert out[:8] == ["0", "0", "5", "6", "/etc", "0077", "y", "CapEff:"]
    assert int(out[8], 16) == 1 and out[-1] == "1"


@pytest.mark.parametrize("user", ["1x", "x", "-1", "1:", "1:x", ":1", "1:2:3", "4294967295", "0x1",
                                  "99999999999999999999", " 1", "1 "])
def test_exec_takes_whole_numbers_for_users(oci, rootfs, user):
    """CVE-2026-30892: what is no number is not user 0."""
    ident = oci.start(SLEEP, rootfs)
    r = oci.call("exec", "--user=" + user, ident, "id", "-u", check=False)
    assert r.code == 255 and r.out == "" and "--user" in r.err


def test_exec_with_a_terminal(oci, rootfs):
    ident = oci.start(SLEEP, rootfs)
    listener = receive_console(oci.base / "c.sock")
    oci.call("exec", "-d", "-t", "--console-socket", oci.base / "c.sock", ident, "sh", "-c",
             "tty; echo end")
    fd = console_of(listener)
    assert b"/dev/pts/0" in read_until(fd, b"end\r\n")
    os.close(fd)
    assert oci.call("exec", "-t", ident, "tty").out == "/dev/pts/0\r\n"


def test_a_terminal_of_exec_is_no_file_of_the_container(oci, rootfs):
    """CVE-2025-52565's like: without a devpts nothing else is opened in its place."""
    def no_devpts(spec):
        spec["mounts"] = [m for m in spec["mounts"] if m["type"] != "devpts"]
    ident = oci.start("rm -f /dev/ptmx; mkfifo /dev/ptmx; mkdir -p /dev/pts; mkfifo /dev/pts/ptmx;"
                      "sleep 1000", rootfs, no_devpts)
    wait_for(lambda: oci.call("exec", ident, "test", "-p", "/dev/pts/ptmx", check=False).code == 0)
    r = oci.call("exec", "-t", ident, "tty", check=False)
    assert r.code == 255 and "cannot open a terminal" in r.err


def test_caps_of_exec_are_not_inheritable(oci, rootfs):
    """CVE-2022-29162."""
    ident = oci.start(SLEEP, rootfs)
    out = oci.call("exec", "--cap", "CAP_SYS_ADMIN", ident, "cat", "/proc/self/status").out
    sets = {l.split()[0]: int(l.split()[1], 16) for l in out.splitlines() if l.startswith("Cap")}
    assert sets["CapEff:"] & 1 << 21 and sets["CapInh:"] == 0 and sets["CapAmb:"] == 0


def test_an_executed_process_cannot_be_looked_into(oci, rootfs):
    """CVE-2016-9962: while it is set up, nothing of it can be opened by the container."""
    ident = oci.start("mkdir -p /tmp/seen; while :; do for p in /proc/[0-9]*; do for f in $p/fd/*; "
                      "do l=$(readlink $f) && case $l in pipe*|socket*|/dev/*|/proc*|/tmp*) ;; "
                      "*) echo $l >> /tmp/found;; esac; done; done; done 2>/dev/null", rootfs)
    for _ in range(20):
        oci.call("exec", ident, "true")
    assert "/sys" not in oci.call("exec", ident, "sh", "-c", "cat /tmp/found; true").out


def test_pause_and_resume(each, rootfs):
    ident = each.start(SLEEP, rootfs)
    each.call("pause", ident)
    assert each.state(ident)["status"] == "paused"
    r = each.call("exec", ident, "true", check=False)
    assert r.code != 0 and "paused" in r.err
    each.call("resume", ident)
    assert each.state(ident)["status"] == "running"
    assert each.call("resume", ident, check=False).code == 1
    each.call("pause", ident)
    each.call("delete", "--force", ident)


def test_ps(each, rootfs):
    ident = each.start(SLEEP, rootfs)
    pid = each.state(ident)["pid"]
    assert each.call("ps", "--format", "json", ident).json() == [pid]
    lines = each.call("ps", ident).out.splitlines()
    assert lines[0].split()[1] == "PID" and lines[1].split()[1] == str(pid) and len(lines) == 2
    assert each.call("ps", ident, "-o", "pid,comm").out.split() == ["PID", "COMMAND", str(pid),
                                                                    "sleep"]


def group_file(ident, controller, name):
    return (ocilib.CGROUP / controller / ocilib.PARENT[1:] / ident / name).read_text().strip()


def test_update(each, rootfs):
    if not (ocilib.CGROUP / "memory").is_dir():
        pytest.skip("needs control groups v1")
    ident = each.start(SLEEP, rootfs)
    each.call("update", "--memory", "67108864", "--cpu-share", "512", "--pids-limit", "77", ident)
    assert group_file(ident, "memory", "memory.limit_in_bytes") == "67108864"
    assert group_file(ident, "cpu", "cpu.shares") == "512"
    assert group_file(ident, "pids", "pids.max") == "77"
    each.call("update", "--cpuset-cpus", "0", ident)
    assert group_file(ident, "cpuset", "cpuset.cpus") == "0"
    assert int(group_file(ident, "cpuset", "cgroup.procs")) == each.state(ident)["pid"]
    each.call("update", "--resources", "-", ident, input=json.dumps(
        {"memory": {"limit": 33554432}, "cpu": {"quota": 50000, "period": 100000}}).encode(),
        stdin=None)
    assert group_file(ident, "memory", "memory.limit_in_bytes") == "33554432"
    assert group_file(ident, "cpu", "cpu.cfs_quota_us") == "50000"


def test_events(each, rootfs):
    ident = each.start(SLEEP, rootfs)
    stats = each.call("events", "--stats", ident).json()
    assert (stats["type"], stats["id"]) == ("stats", ident)
    assert stats["data"]["pids"]["current"] == 1
    assert stats["data"]["memory"]["usage"]["usage"] > 0
    assert stats["data"]["cpu"]["usage"]["total"] > 0
    p = each.popen("events", "--interval", "50ms", ident)
    assert json.loads(p.stdout.readline())["type"] == "stats"
    each.call("kill", ident, "KILL")
    if each.program == str(OCI):
        assert p.wait(timeout=20) == 0
    p.kill()
    p.communicate()


def test_spec_runs(each, rootfs):
    ident, path = each.bundle(["/bin/true"], rootfs)
    (path / "config.json").unlink()
    each.call("spec", "--bundle", path)
    assert each.call("spec", "--bundle", path, check=False).code == 1
    spec = json.loads((path / "config.json").read_text())
    spec["process"].update(terminal=False, args=["/bin/echo", "hi"])
    spec["process"].pop("rlimits")
    spec["root"]["path"] = str(rootfs)
    spec["linux"]["cgroupsPath"] = ocilib.PARENT + "/" + ident
    (path / "config.json").write_text(json.dumps(spec))
    assert each.call("run", "--bundle", path, ident).out == "hi\n"


def test_features(each):
    f = each.call("features").json()
    assert {"prestart", "createRuntime", "createContainer", "startContainer", "poststart",
            "poststop"} == set(f["hooks"])
    assert {"rro", "tmpcopyup", "rbind", "nosymfollow"} <= set(f["mountOptions"])
    assert {"pid", "user", "cgroup"} <= set(f["linux"]["namespaces"])
    assert f["linux"]["seccomp"]["enabled"] and f["linux"]["cgroup"]["v2"]


# The runtime's own program


def test_what_runs_before_libc_uses_nothing_of_it():
    """A compiler may make calls of its own, of memset() say, which is not there yet."""
    made = OCI.parent.parent / "src/main/CMakeFiles/shoal-oci.dir/entry_oci.c.o"
    if not made.exists():
        pytest.skip("this build begins with libc")
    wanted = subprocess.run(["nm", "-u", made], capture_output=True, text=True, check=True).stdout
    assert wanted.split() == ["U", "_start"]


def test_the_program_cannot_be_written_through_proc(oci, rootfs, tmp_path):
    """CVE-2019-5736: a copy, so that a build with the flaw harms nothing else."""
    copy = tmp_path / "oci"
    shutil.copy(OCI, copy)
    before = copy.read_bytes()
    attacked = Runtime(oci.base, copy)  # of the same containers; what cleans up is whole
    root = shimlib.make_rootfs(tmp_path / "own")
    # What runs is the command itself, inside; it waits at the log until somebody reads it.
    (root / "entry").write_text("#!/proc/self/exe --log=/tmp/fifo\n")
    (root / "entry").chmod(0o755)
    os.mkfifo(root / "tmp/fifo")

    def powerful(spec):
        caps = ["CAP_" + c for c in "SYS_ADMIN SYS_PTRACE DAC_OVERRIDE DAC_READ_SEARCH".split()]
        spec["process"]["capabilities"] = {s: caps for s in ("bounding", "effective", "permitted")}
    # The attack is the container's own program: a running command could not be written to.
    ident = oci.start("""
        while :; do for p in $(ls /proc | grep '^[0-9]'); do
            case $(readlink /proc/$p/exe) in *busybox|'') ;; *) break 2;; esac
        done; done
        exec 9< /proc/$p/exe || exit 3
        cat /tmp/fifo > /dev/null
        while :; do
            echo x 2>/tmp/why > /proc/self/fd/9 && echo wrote > /tmp/result
            grep -q 'Text file busy' /tmp/why || break
        done
        cp /tmp/why /tmp/done; sleep 1000""", root, powerful)
    assert attacked.call("exec", ident, "/entry", check=False).code == 1
    wait_for(lambda: (root / "tmp/done").exists())
    assert not (root / "tmp/result").exists()
    assert copy.read_bytes() == before


def spawn_time(*argv):
    t = time.monotonic()
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - t


def test_it_starts_as_fast_as_a_program_without_libraries():
    """Beside a static busybox in turns: the machine may be busy."""
    if b"__asan_init" in OCI.read_bytes():
        pytest.skip("a build with sanitizers")
    if "SHOAL_EMULATED" in os.environ:
        pytest.skip("an emulated processor, to which code that it has not run before is dear")
    own, other = [], []
    for _ in range(30):
        own.append(spawn_time(OCI, "--version"))
        other.append(spawn_time("/bin/busybox", "true"))
    assert min(own) < min(other) + 0.001
    assert OCI.stat().st_size < 2 << 20
