"""
The daemon killed at any moment: neither a byte of a log nor an exit status is lost, what was begun
is finished or undone, and nothing is left behind.
"""

import random
import signal
import socket
import time
from pathlib import Path

import pytest
import test_api_engine
from test_api_engine import IMAGE

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon
name = test_api_engine.name

LINES = 30000
SEED = 20261126


def wait_a_moment(seconds):
    """It is the moment that a test varies."""
    time.sleep(seconds)


def kill(daemon):
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait()


def state(daemon, name):
    return daemon.client().api.inspect_container(name)["State"]


def wait_ended(daemon, name, seconds=60):
    end = time.monotonic() + seconds
    while (now := state(daemon, name))["Running"]:
        assert time.monotonic() < end, now
        time.sleep(0.02)
    return now


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def shims(daemon):
    """Of this daemon's containers, by their pid files."""
    return [int(p.read_text()) for p in daemon.root.glob("exec/*/*/shim.pid")]


def test_a_log_has_each_line_once(daemon, name):
    rng = random.Random(SEED)
    count = "i=0; while [ $i -lt %d ]; do echo out $i; echo err $i >&2; i=$((i+1)); done; exit 9"
    daemon.docker("run", "-d", "--name", name, IMAGE, "sh", "-c", count % LINES)
    kills = 0
    while state(daemon, name)["Running"]:
        wait_a_moment(rng.uniform(0, 0.05))
        kill(daemon)
        daemon.start()
        kills += 1
    assert kills >= 3, "it ended before the daemon could be killed"
    assert state(daemon, name)["ExitCode"] == 9
    logs = daemon.run("logs", name)
    assert logs.stdout.splitlines() == [f"out {i}" for i in range(LINES)]
    assert logs.stderr.splitlines() == [f"err {i}" for i in range(LINES)]


@pytest.mark.parametrize("delay_ms", [0, 2, 4, 6, 8, 10, 12, 15, 20, 30])
def test_killed_while_it_starts(daemon, name, delay_ms):
    """Either it never ran, or it ran to its own end, once; then it starts as ever."""
    daemon.docker("create", "--name", name, IMAGE, "sh", "-c", "echo ran; exit 7")
    ident = daemon.docker("inspect", "-f", "{{.Id}}", name)
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(daemon.sock))
        s.sendall(f"POST /containers/{ident}/start HTTP/1.1\r\nHost: x\r\n"
                  "Content-Length: 0\r\n\r\n".encode())
        wait_a_moment(delay_ms / 1000)
        kill(daemon)
    daemon.start()
    seen = wait_ended(daemon, name)
    lines = daemon.docker("logs", name).splitlines()
    assert lines == (["ran"] if seen["ExitCode"] == 7 else []), seen
    if not lines:
        assert (seen["Status"], seen["ExitCode"]) in [
            ("created", 0), ("created", 128), ("exited", 128), ("exited", 255), ("exited", 137)]
    done = daemon.run("start", "-a", name)
    assert (done.returncode, done.stdout) == (7, "ran\n")
    wait_until(lambda: not shims(daemon))


def test_an_oom_kill_is_remembered(daemon, name):
    # Under its limit until the file is there, so that the daemon is away when it dies.
    daemon.docker("run", "-d", "--name", name, "-m", "8m", IMAGE, "sh", "-c",
                  "while [ ! -e /tmp/go ]; do sleep 0.02; done; "
                  "x=xxxxxxxx; while :; do x=$x$x$x$x; done")
    root = Path(f"/proc/{state(daemon, name)['Pid']}/root")
    shim, = shims(daemon)
    kill(daemon)
    (root / "tmp/go").touch()
    wait_until(lambda: not Path(f"/proc/{shim}").exists())
    daemon.start()
    seen = wait_ended(daemon, name)
    assert (seen["ExitCode"], seen["OOMKilled"]) == (137, True)


def test_a_stop_is_finished_after_a_restart(daemon, name):
    daemon.docker("run", "-d", "--name", name, "--stop-signal", "TERM", IMAGE, "sh", "-c",
                  "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    kill(daemon)
    daemon.start()
    assert state(daemon, name)["Running"]
    daemon.docker("stop", "-t", "1", name)
    assert state(daemon, name)["ExitCode"] == 137


def test_no_socket_without_a_file(daemon, name):
    """An abstract one could be reached from a container on the host's network (CVE-2020-15257)."""
    daemon.docker("run", "-d", "--name", name, "--network", "host", IMAGE, "sleep", "1000")
    daemon.docker("exec", "-d", name, "sleep", "1000")
    assert len(shims(daemon)) == 2
    sockets = daemon.docker("exec", name, "cat", "/proc/net/unix").splitlines()
    assert [s for s in sockets if "shim.sock" in s]
    assert not [s for s in sockets if "@" in s]


def test_the_data_root_is_closed_to_others(daemon):
    """CVE-2021-41091: whoever is neither root nor in its group gets to no container's files."""
    mode = (daemon.root / "data").stat().st_mode
    assert mode & 0o007 == 0
    assert (daemon.root / "data/containers").stat().st_mode & 0o007 == 0


def test_nothing_of_it_is_left(daemon, name):
    daemon.docker("run", "-d", "--name", name, IMAGE, "sleep", "1000")
    daemon.docker("exec", "-d", name, "sleep", "1000")
    pids = shims(daemon)
    kill(daemon)
    daemon.start()
    daemon.docker("rm", "-f", name)
    wait_until(lambda: not shims(daemon) and not [p for p in pids if Path(f"/proc/{p}").exists()])
    assert not list(daemon.root.glob("exec/containers/*"))


@pytest.mark.parametrize("what", ["kill", "exec"])
def test_asked_at_once_after_a_start(daemon, name, what):
    """While its shim is still being looked for, what is asked of a container waits."""
    daemon.docker("run", "-d", "--name", name, IMAGE, "sleep", "1000")
    client = daemon.client().api
    for _ in range(5):
        kill(daemon)
        daemon.start()
        if what == "kill":
            client.kill(name, "USR1")
        else:
            ident = client.exec_create(name, ["echo", "well"])["Id"]
            assert client.exec_start(ident) == b"well\n"
