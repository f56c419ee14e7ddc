"""
Pausing containers as docker CLI and SDK do it, on a real shoald: what is shown, what is refused, what ends a paused
container all the same, and a restart of the daemon in between.
"""

import json
import signal
import threading
import time
from pathlib import Path

import pytest
import test_api_engine
from test_api_engine import IMAGE, docker_sdk

ARGS = 1024  # LIMIT_PS_ARGS

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon
name = test_api_engine.name


def state(daemon, name):
    return json.loads(daemon.docker("inspect", "-f", "{{json .State}}", name))


def freezer(daemon, name):
    """The file that tells whether the kernel has the container frozen, and the word for it."""
    ident = daemon.docker("inspect", "-f", "{{.Id}}", name)
    v1 = Path(f"/sys/fs/cgroup/freezer/{daemon.cgroup}/{ident}/freezer.state")
    if v1.exists():
        return v1.read_text().strip() == "FROZEN"
    return Path(f"/sys/fs/cgroup/{daemon.cgroup}/{ident}/cgroup.freeze").read_text().strip() == "1"


def wait_removed(daemon, name):
    deadline = time.monotonic() + 20
    while daemon.run("inspect", name).returncode == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def paused(daemon, name):
    daemon.docker("run", "-d", "--name", name, IMAGE, "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done")
    assert daemon.docker("pause", name) == name
    return name


def test_a_paused_one_is_shown_so(daemon, paused):
    s = state(daemon, paused)
    assert (s["Status"], s["Running"], s["Paused"]) == ("paused", True, True) and s["Pid"] > 0
    assert freezer(daemon, paused)
    shown = daemon.docker("ps", "--filter", f"name={paused}", "--format", "{{.Status}} {{.State}}")
    assert shown.startswith("Up ") and shown.endswith(" (Paused) paused")
    assert daemon.docker("ps", "-q", "--filter", "status=paused") != ""
    assert daemon.docker("ps", "-q", "--filter", "status=running", "--filter", f"name={paused}") == ""
    assert daemon.docker("info", "--format", "{{.ContainersPaused}}") == "1"
    assert daemon.docker("unpause", paused) == paused
    assert state(daemon, paused)["Status"] == "running" and not freezer(daemon, paused)
    assert daemon.docker("info", "--format", "{{.ContainersPaused}} {{.ContainersRunning}}") == "0 1"


def test_what_makes_no_sense_is_refused(daemon, paused):
    api = daemon.client().api
    for call, sentence in ((api.pause, "is already paused"), (api.start, "try unpause instead"),
                           (api.remove_container, "is paused and must be unpaused first"),
                           (lambda name: api.exec_create(name, "true"), "is paused, unpause the container before exec")):
        with pytest.raises(docker_sdk.errors.APIError, match=sentence) as e:
            call(paused)
        assert e.value.status_code == 409
    api.unpause(paused)
    with pytest.raises(docker_sdk.errors.APIError, match="is not paused") as e:
        api.unpause(paused)
    daemon.docker("stop", "-t", "0", paused)
    with pytest.raises(docker_sdk.errors.APIError, match="is not running") as e:
        api.pause(paused)
    assert e.value.status_code == 409


def test_events_rename_wait_and_logs(daemon, paused):
    since = str(int(time.time()) - 60)
    daemon.docker("rename", paused, paused + "x")
    daemon.docker("rename", paused + "x", paused)
    assert daemon.docker("logs", paused) == ""
    result = []
    waiting = threading.Thread(target=lambda: result.append(daemon.docker("wait", paused)))
    waiting.start()
    daemon.docker("unpause", paused)
    daemon.docker("stop", paused)
    waiting.join(20)
    assert result == ["3"]
    actions = daemon.docker("events", "--since", since, "--until", str(int(time.time()) + 1), "--filter",
                            f"container={paused}", "--format", "{{.Action}}").split()
    assert [a for a in actions if a in ("pause", "unpause", "stop")] == ["pause", "unpause", "stop"]


def test_stop_is_polite_to_a_paused_one(daemon, paused):
    began = time.monotonic()
    daemon.docker("stop", paused)
    assert time.monotonic() - began < 8  # no grace has passed
    s = state(daemon, paused)
    assert (s["Status"], s["Paused"], s["ExitCode"]) == ("exited", False, 3)


def test_kill_and_forced_removal_end_a_paused_one(daemon, paused):
    daemon.docker("kill", paused)
    assert state(daemon, paused)["ExitCode"] == 128 + signal.SIGKILL
    daemon.docker("start", paused)
    daemon.docker("pause", paused)
    daemon.docker("rm", "-f", paused)
    assert daemon.run("inspect", paused).returncode != 0


def test_a_signal_that_ends_nothing_waits(daemon, paused):
    daemon.docker("kill", "-s", "USR2", paused)
    assert state(daemon, paused)["Paused"] and freezer(daemon, paused)


def test_restart_of_a_paused_one(daemon, paused):
    daemon.docker("restart", paused)
    assert state(daemon, paused)["Status"] == "running" and not freezer(daemon, paused)


def test_a_new_daemon_asks_the_freezer(daemon, paused):
    daemon.stop()
    daemon.start()
    assert state(daemon, paused)["Paused"]
    daemon.docker("unpause", paused)
    daemon.stop()
    daemon.start()
    assert state(daemon, paused)["Status"] == "running"
    daemon.docker("stop", paused)
    assert state(daemon, paused)["ExitCode"] == 3


def test_top(daemon, paused):
    """Also of a paused one, by the CLI's words and the SDK's."""
    rows = daemon.docker("top", paused).splitlines()
    assert rows[0].split()[:3] == ["UID", "PID", "PPID"] and rows[0].split()[-1] == "CMD"
    pid = state(daemon, paused)["Pid"]
    assert [r.split()[1] for r in rows[1:] if "trap" in r] == [str(pid)] and len(rows) <= 3
    top = daemon.client().containers.get(paused).top(ps_args="-o pid,user,args")
    assert top["Titles"] == ["PID", "USER", "COMMAND"]
    assert [p for p in top["Processes"] if p[0] == str(pid)][0][1] == "root"
    assert "trap 'exit 3' TERM; while" in [p for p in top["Processes"] if p[0] == str(pid)][0][2]
    assert str(pid) in daemon.docker("top", paused, "aux")
    for args, sentence in ((["-o", "comm=PID"], "is not allowed"), (["-o", "comm"], "Couldn't find PID"),
                           (["--no-such"], "unknown gnu long option"), (["-o", "x" * (ARGS - 3)], "unknown user-defined format"),
                           (["-o", "x" * (ARGS - 2)], f"longer than {ARGS}")):
        result = daemon.run("top", paused, *args)
        assert result.returncode != 0 and sentence in result.stderr, result.stderr
    daemon.docker("rm", "-f", paused)
    daemon.docker("create", "--name", paused, IMAGE)
    result = daemon.run("top", paused)
    assert result.returncode != 0 and f"container {paused}"[:9] in result.stderr
    assert "is not running" in result.stderr


def test_pausing_and_killing_at_once(daemon, name):
    """Whichever comes first, the container ends: a freezing under way is undone by the signal."""
    api = daemon.client().api
    for _ in range(10):
        daemon.docker("run", "-d", "--rm", "--name", name, IMAGE, "sleep", "1000")

        def pause():
            try:
                daemon.client().api.pause(name)
            except docker_sdk.errors.APIError as e:
                assert e.status_code in (404, 409), e

        pausing = threading.Thread(target=pause)
        pausing.start()
        try:
            api.kill(name)
        finally:
            pausing.join(20)
        wait_removed(daemon, name)
