"""
exec as the docker CLI and the SDK have it, on a real shoald: a further process in a running
container, attached or not, with its user, environment, folder and terminal; its exit status; and
what becomes of it when the daemon, its client, its shim or its container goes.
"""

import concurrent.futures
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from fcntl import ioctl
from pathlib import Path

import pytest
import test_api_engine
from test_api_engine import IMAGE

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon
name = test_api_engine.name


@pytest.fixture
def box(daemon, name):
    """A container that does nothing, for things to be executed in."""
    daemon.docker("run", "-d", "--name", name, "-e", "KEPT=1", "-e", "OVER=1", "-w", "/tmp", IMAGE,
                  "sleep", "1000")
    return name


def wait_for(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return value


def create(daemon, box, cmd, **config):
    return daemon.client().api.exec_create(box, cmd, **config)["Id"]


def inspect(daemon, ident):
    return daemon.client().api.exec_inspect(ident)


def ended(daemon, ident):
    return wait_for("the end", lambda: (x := inspect(daemon, ident)) and not x["Running"] and x)


def test_output_status_and_input(daemon, box):
    r = daemon.run("exec", box, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (r.stdout, r.stderr, r.returncode) == ("out\n", "err\n", 7)
    r = daemon.run("exec", "-i", box, "sh", "-c", "cat; echo end", text="a\nb\n")
    assert (r.stdout, r.returncode) == ("a\nb\nend\n", 0)
    # Without -i its input is empty, whatever the client has.
    assert daemon.docker("exec", box, "cat", text="lost") == ""


def test_much_comes_back_whole(daemon, box):
    text = "0123456789abcde\n" * (1 << 17)
    assert daemon.run("exec", "-i", box, "cat", text=text).stdout == text


def test_it_is_in_the_container(daemon, box):
    def namespaces(pid):
        return {n: os.readlink(f"/proc/{pid}/ns/{n}") for n in os.listdir(f"/proc/{pid}/ns")}

    ident = create(daemon, box, ["sleep", "1000"])
    daemon.client().api.exec_start(ident, detach=True)
    pid = inspect(daemon, ident)["Pid"]
    first = int(daemon.docker("inspect", "-f", "{{.State.Pid}}", box))
    assert pid != first and namespaces(pid) == namespaces(first)
    assert Path(f"/proc/{pid}/cgroup").read_text() == Path(f"/proc/{first}/cgroup").read_text()
    for line in ("CapEff", "CapBnd", "CapInh", "CapAmb", "NoNewPrivs", "Seccomp"):
        of = [[x for x in Path(f"/proc/{p}/status").read_text().splitlines()
               if x.startswith(line + ":")] for p in (pid, first)]
        assert of[0] == of[1], line
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]


def test_what_it_is_given(daemon, box):
    env = daemon.docker("exec", "-e", "OVER=2", "-e", "NEW=3", box, "env").splitlines()
    assert {"KEPT=1", "OVER=2", "NEW=3"} <= set(env) and "OVER=1" not in env
    assert not [x for x in env if x.startswith("TERM=")]
    assert [x for x in env if x.startswith("HOSTNAME=")] and "HOME=/root" in env
    assert daemon.docker("exec", box, "pwd") == "/tmp"
    assert daemon.docker("exec", "-w", "/etc", box, "pwd") == "/etc"
    assert daemon.docker("exec", "-u", "12:34", box, "sh", "-c", "id -u; id -g") == "12\n34"
    caps = "grep CapEff /proc/self/status | cut -f2"
    assert int(daemon.docker("exec", "-u", "12", box, "sh", "-c", caps), 16) == 0
    plain = int(daemon.docker("exec", box, "sh", "-c", caps), 16)
    assert int(daemon.docker("exec", "--privileged", box, "sh", "-c", caps), 16) > plain


def test_what_cannot_be_executed(daemon, box):
    r = daemon.run("exec", box, "no-such")
    assert r.returncode == 127 and 'exec: "no-such": executable file not found in $PATH' in r.stdout + r.stderr
    assert daemon.run("exec", box, "/etc").returncode == 126
    ident = create(daemon, box, ["no-such"])
    with pytest.raises(test_api_engine.docker_sdk.errors.APIError) as e:
        daemon.client().api.exec_start(ident, detach=True)
    assert e.value.status_code == 400
    assert inspect(daemon, ident)["ExitCode"] == 127
    r = daemon.run("exec", "-u", "nobody-here", box, "true")
    assert r.returncode == 126 and "nobody-here" in r.stdout + r.stderr


def test_refusals(daemon, box):
    api = daemon.client().api
    errors = test_api_engine.docker_sdk.errors

    def refused(status, call, *args, **kw):
        with pytest.raises(errors.APIError) as e:
            call(*args, **kw)
        assert e.value.status_code == status, e.value
        return str(e.value)

    assert "No exec command specified" in refused(400, api.exec_create, box, [])
    assert "No such container" in refused(404, api.exec_create, "no-such", ["true"])
    assert "No such exec instance" in refused(404, api.exec_inspect, "0" * 64)
    ident = create(daemon, box, ["true"])
    assert inspect(daemon, ident)["ExitCode"] is None
    api.exec_start(ident)
    assert "has already run" in refused(409, api.exec_start, ident)
    ident = create(daemon, box, ["sleep", "1000"])
    api.exec_start(ident, detach=True)
    assert "is already running" in refused(409, api.exec_start, ident)
    late = create(daemon, box, ["true"])
    daemon.docker("kill", box)
    assert "is not running" in refused(409, api.exec_create, box, ["true"])
    assert "is not running" in refused(409, api.exec_start, late)
    assert ended(daemon, ident)["ExitCode"] == 137


def test_inspect_and_events(daemon, box):
    since = str(time.time())
    ident = create(daemon, box, ["sh", "-c", "exit 3"], tty=True, user="5", stdin=True)
    assert daemon.client().api.inspect_container(box)["ExecIDs"] == [ident]
    daemon.client().api.exec_start(ident, detach=True)
    seen = ended(daemon, ident)
    assert seen["ID"] == ident and seen["ExitCode"] == 3 and not seen["Running"]
    assert seen["ContainerID"] == daemon.docker("inspect", "-f", "{{.Id}}", box)
    assert seen["ProcessConfig"] == {"tty": True, "entrypoint": "sh", "arguments": ["-c", "exit 3"],
                                     "privileged": False, "user": "5"}
    assert (seen["OpenStdin"], seen["OpenStdout"], seen["CanRemove"]) == (True, True, True)
    text = daemon.docker("events", "--since", since, "--until", str(time.time() + 1), "--filter",
                         f"container={box}", "--format", "{{json .}}")
    events = [json.loads(line) for line in text.splitlines()]
    assert [e["Action"] for e in events] == ["exec_create: sh -c exit 3", "exec_start: sh -c exit 3",
                                             "exec_die"]
    assert all(e["Actor"]["Attributes"]["execID"] == ident for e in events)
    assert events[2]["Actor"]["Attributes"]["exitCode"] == "3"


class Terminal:
    """The docker CLI with a terminal of 30 by 100."""

    def __init__(self, daemon, *argv):
        self.master, slave = pty.openpty()
        self.resize(30, 100)
        self.process = subprocess.Popen(["docker", "-H", f"unix://{daemon.sock}", *argv],
                                        stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True)
        os.close(slave)
        self.text = ""

    def resize(self, rows, columns):
        ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def until(self, text):
        while text not in self.text:
            assert select.select([self.master], [], [], 20)[0], self.text
            self.text += os.read(self.master, 4096).decode()

    def end(self):
        status = self.process.wait(20)
        os.close(self.master)
        return status


def test_in_a_terminal(daemon, box):
    term = Terminal(daemon, "exec", "-it", box, "sh")
    term.type("echo a$((1+1))b; tty; echo $TERM\n")
    term.until("a2b")
    term.until("/dev/pts/")
    term.until("xterm")
    term.type("stty size\n")
    term.until("30 100")
    term.resize(41, 99)
    os.kill(term.process.pid, signal.SIGWINCH)
    term.type("sleep 0.2; while [ \"$(stty size)\" != '41 99' ]; do :; done; echo now$((40+2))\n")
    term.until("now42")
    term.type("exit 5\n")
    assert term.end() == 5


def test_a_size_given_before_the_start_counts(daemon, box):
    api = daemon.client().api
    ident = create(daemon, box, ["sh", "-c", "stty size"], tty=True, stdin=True)
    api.exec_resize(ident, 33, 77)
    assert api.exec_start(ident, tty=True).strip() == b"33 77"
    with pytest.raises(test_api_engine.docker_sdk.errors.APIError) as e:
        api.exec_resize(ident, 1, 1)
    assert e.value.status_code == 409


def test_what_goes_on_without_its_client(daemon, box):
    """A client that goes away ends the input, and nothing else."""
    ident = create(daemon, box, ["sh", "-c", "cat >/dev/null; echo over >/tmp/over; exit 4"], stdin=True)
    stream, _ = daemon.hijack(f"/exec/{ident}/start", {})
    wait_for("the start", lambda: inspect(daemon, ident)["Running"])
    stream.close()
    assert ended(daemon, ident)["ExitCode"] == 4
    assert daemon.docker("exec", box, "cat", "/tmp/over") == "over"


def test_a_slow_client_loses_nothing(daemon, box):
    ident = create(daemon, box, ["sh", "-c", "head -c 8000000 /dev/zero | tr '\\0' x; echo end >&2"])
    stream, got = daemon.hijack(f"/exec/{ident}/start", {})
    # What is not read holds the process up; its end is not told before its output.
    wait_for("the start", lambda: inspect(daemon, ident)["Running"])
    last = b""
    while piece := stream.recv(1 << 16):
        got += piece
    total = 0
    while got:
        kind, size = got[0], int.from_bytes(got[4:8], "big")
        total += size if kind == 1 else 0
        last = got[8:8 + size] if kind == 2 else last
        got = got[8 + size:]
    assert (total, last) == (8000000, b"end\n")
    assert inspect(daemon, ident)["ExitCode"] == 0


def test_a_restart_of_the_daemon(daemon, box):
    """What runs goes on; what ended meanwhile has its status; a signal is not lost on either."""
    api = daemon.client().api
    runs = create(daemon, box, ["sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.05; done; exit 9"])
    ends = create(daemon, box, ["sh", "-c", "while [ ! -e /tmp/end ]; do sleep 0.05; done; exit 8"])
    before = create(daemon, box, ["sh", "-c", "exit 7"])
    for ident in (runs, ends, before):
        api.exec_start(ident, detach=True)
    pid = inspect(daemon, runs)["Pid"]
    root = f"/proc/{inspect(daemon, ends)['Pid']}/root/tmp"
    ended(daemon, before)
    other = inspect(daemon, ends)["Pid"]
    handle = os.pidfd_open(other)
    daemon.process.kill()
    daemon.process.wait()
    Path(root, "end").touch()
    assert select.select([handle], [], [], 20)[0]
    os.close(handle)
    daemon.start()
    assert ended(daemon, ends)["ExitCode"] == 8
    assert ended(daemon, before)["ExitCode"] == 7
    # Its shim is looked for behind the first answers.
    wait_for("its process", lambda: inspect(daemon, runs)["Pid"] == pid)
    assert inspect(daemon, runs)["Running"]
    daemon.docker("exec", box, "touch", "/tmp/go")
    assert ended(daemon, runs)["ExitCode"] == 9


def shim_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def test_a_lost_shim_takes_its_process_along(daemon, box):
    ident = create(daemon, box, ["sleep", "1000"])
    daemon.client().api.exec_start(ident, detach=True)
    pid = inspect(daemon, ident)["Pid"]
    handle = os.pidfd_open(pid)
    os.kill(shim_of(pid), signal.SIGKILL)
    assert select.select([handle], [], [], 20)[0]
    os.close(handle)
    assert ended(daemon, ident)["ExitCode"] != 0
    assert daemon.docker("exec", box, "echo", "well") == "well"


def test_nothing_is_left(daemon, box):
    for _ in range(3):
        daemon.docker("exec", box, "true")
    ident = create(daemon, box, ["sleep", "1000"])
    daemon.client().api.exec_start(ident, detach=True)
    pid = inspect(daemon, ident)["Pid"]
    daemon.docker("rm", "-f", box)
    wait_for("its process's end", lambda: not Path(f"/proc/{pid}").exists())
    wait_for("empty folder", lambda: not os.listdir(daemon.root / "exec" / "execs"))


def test_many_at_once(daemon, box):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda i: daemon.run("exec", box, "sh", "-c", f"echo {i}; exit {i}"),
                             range(64)))
    assert [(m.stdout, m.returncode) for m in made] == [(f"{i}\n", i) for i in range(64)]


def test_the_bound(daemon, box):
    """Those that never ran or have ended make room, the oldest first; those that run do not."""
    api = daemon.client().api
    first = create(daemon, box, ["true"])
    ids = [create(daemon, box, ["true"]) for _ in range(1024)]
    assert len(api.inspect_container(box)["ExecIDs"]) == 1024
    with pytest.raises(test_api_engine.docker_sdk.errors.NotFound):
        inspect(daemon, first)
    assert inspect(daemon, ids[0])["ExitCode"] is None
