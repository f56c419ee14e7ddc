"""
Health checks of containers on a real shoald with the docker CLI: their states, what is kept of a
probe, events, filters, defaults of an image, pauses, time limits, and a restart of the daemon.
"""

import hashlib
import io
import json
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
import test_api_engine
from test_api_engine import IMAGE

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon
name = test_api_engine.name

FAST = ("--health-interval", "100ms", "--health-timeout", "5s")


def wait_for(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return value


def state(daemon, box):
    return json.loads(daemon.docker("inspect", "-f", "{{json .State}}", box))


def health(daemon, box):
    return state(daemon, box)["Health"]


def wait_health(daemon, box, status):
    return wait_for(status, lambda: (h := health(daemon, box))["Status"] == status and h)


def run(daemon, name, *flags, cmd=("sleep", "1000")):
    return daemon.docker("run", "-d", "--name", name, *flags, IMAGE, *cmd)


def listed(daemon, *args):
    return daemon.docker("ps", "--format", "{{.Names}} {{.Status}}", *args)


def test_healthy_and_unhealthy(daemon, name):
    ident = run(daemon, name, "--health-cmd", "echo well $KEY; test -e /tmp/well", "-e", "KEY=v",
                "--health-retries", "2", *FAST)
    since = str(time.time() - 5)
    h = wait_health(daemon, name, "unhealthy")
    assert h["FailingStreak"] >= 2 and h["Log"][-1]["ExitCode"] == 1, h
    assert h["Log"][-1]["Output"] == "well v\n"
    assert h["Log"][-1]["Start"] < h["Log"][-1]["End"]
    assert "(unhealthy)" in listed(daemon, "--filter", "health=unhealthy")
    daemon.docker("exec", name, "touch", "/tmp/well")
    h = wait_health(daemon, name, "healthy")
    assert h["FailingStreak"] == 0
    assert "(healthy)" in listed(daemon, "--filter", "health=healthy")
    assert name not in listed(daemon, "--filter", "health=none")
    wait_for("five results", lambda: len(health(daemon, name)["Log"]) == 5)
    time_of = [x["Start"] for x in health(daemon, name)["Log"]]
    assert time_of == sorted(time_of) and len(set(time_of)) == 5
    # Of all of them only the user's own is remembered; one may be running, and one be going.
    assert len(json.loads(daemon.docker("inspect", "-f", "{{json .ExecIDs}}", name))) == 1
    wait_for("no folders", lambda: len(os.listdir(daemon.root / "exec" / "execs")) <= 3)
    actions = daemon.docker("events", "--since", since, "--until", str(time.time()), "--filter",
                            f"container={ident}", "--format", "{{.Action}}").splitlines()
    assert [a for a in actions if a.startswith("health")] == [
        "health_status: unhealthy", "health_status: healthy"]
    assert any(a.startswith("exec_create: /bin/sh -c echo well") for a in actions)
    assert "exec_die" in actions
    daemon.docker("stop", "-t", "0", name)
    assert "Exited" in listed(daemon, "-a")


def test_start_period_and_starting(daemon, name):
    run(daemon, name, "--health-cmd", "false", "--health-start-period", "1h",
        "--health-start-interval", "100ms", "--health-retries", "1", "--health-interval", "1h")
    wait_for("results", lambda: len(health(daemon, name)["Log"]) >= 3)
    h = health(daemon, name)
    assert (h["Status"], h["FailingStreak"]) == ("starting", 0)
    assert "(health: starting)" in listed(daemon, "--filter", "health=starting")


def test_none_and_refusals(daemon, name):
    run(daemon, name, "--no-healthcheck")
    assert "Health" not in state(daemon, name)
    assert name in listed(daemon, "--filter", "health=none")
    for flags, text in [(("--health-interval", "1us"), "cannot be less than 1ms"),
                        (("--health-timeout", "999us"), "cannot be less than 1ms")]:
        r = daemon.run("create", "--health-cmd", "true", *flags, IMAGE, "true")
        assert r.returncode and text in r.stderr
    r = daemon.run("ps", "--filter", "health=so-so")
    assert r.returncode and "health" in r.stderr


def test_too_long(daemon, name):
    """A probe that takes too long ends with what it has started."""
    run(daemon, name, "--health-cmd", "echo begun; sleep 777 & sleep 778", "--health-timeout",
        "300ms", "--health-interval", "100ms", "--health-retries", "1")
    h = wait_health(daemon, name, "unhealthy")
    assert h["Log"][0]["ExitCode"] == -1
    assert h["Log"][0]["Output"] == "Health check exceeded timeout (300ms): begun\n"
    daemon.docker("pause", name)
    daemon.docker("unpause", name)
    wait_for("one probe's at most", lambda: daemon.docker("top", name).count("sleep 77") <= 3)


def test_output_is_bounded(daemon, name):
    run(daemon, name, "--health-cmd", "head -c 4096 /dev/zero | tr '\\0' x", *FAST)
    out = wait_health(daemon, name, "healthy")["Log"][0]["Output"]
    assert out == "x" * 4096
    daemon.docker("rm", "-f", name)
    run(daemon, name, "--health-cmd", "head -c 4097 /dev/zero | tr '\\0' x; printf '\\377'", *FAST)
    out = wait_health(daemon, name, "healthy")["Log"][0]["Output"]
    assert out == "x" * 4096 + "..."


def test_what_cannot_be_executed(daemon, name):
    client = daemon.client()
    second = 10 ** 9
    client.containers.run(IMAGE, ["sleep", "1000"], name=name, detach=True, healthcheck={
        "test": ["CMD", "no-such"], "interval": second // 10, "retries": 1})
    h = wait_health(daemon, name, "unhealthy")
    assert h["Log"][0]["ExitCode"] == -1 and "no-such" in h["Log"][0]["Output"]


def test_a_paused_one_is_not_probed(daemon, name):
    run(daemon, name, "--health-cmd", "true", *FAST)
    wait_health(daemon, name, "healthy")
    daemon.docker("pause", name)
    last = health(daemon, name)["Log"][-1]["Start"]
    assert "(Paused)" in listed(daemon)
    wait_unchanged = time.monotonic() + 1
    while time.monotonic() < wait_unchanged:
        assert health(daemon, name)["Log"][-1]["Start"] == last
    daemon.docker("unpause", name)
    wait_for("a probe", lambda: health(daemon, name)["Log"][-1]["Start"] > last)
    assert health(daemon, name)["Status"] == "healthy"


def test_a_restart_of_the_container(daemon, name):
    run(daemon, name, "--health-cmd", "test -e /tmp/well", "--health-interval", "100ms")
    daemon.docker("exec", name, "touch", "/tmp/well")
    wait_health(daemon, name, "healthy")
    daemon.docker("exec", name, "rm", "/tmp/well")
    daemon.docker("restart", "-t", "0", name)
    assert health(daemon, name)["Status"] != "healthy"
    wait_health(daemon, name, "unhealthy")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_of_the_daemon(daemon, name, how):
    """What is known stays, a probe under way is ended, and probing goes on."""
    run(daemon, name, "--health-cmd", "test ! -e /tmp/slow || sleep 779", "--health-interval",
        "100ms", "--health-timeout", "1h")
    wait_health(daemon, name, "healthy")
    last = health(daemon, name)["Log"][-1]["Start"]
    daemon.docker("exec", name, "touch", "/tmp/slow")
    wait_for("a slow probe", lambda: "sleep 779" in daemon.docker("top", name))
    pid = [x.split()[1] for x in daemon.docker("top", name).splitlines() if "sleep 779" in x][-1]
    daemon.docker("exec", name, "rm", "/tmp/slow")
    daemon.process.send_signal(how)
    daemon.process.wait(30)
    daemon.start()
    assert health(daemon, name)["Status"] == "healthy"
    wait_for("its end", lambda: not Path(f"/proc/{pid}").exists())
    wait_for("a probe", lambda: (log := health(daemon, name)["Log"]) and log[-1]["Start"] > last)
    assert health(daemon, name)["Status"] == "healthy"
    wait_for("no folders", lambda: len(os.listdir(daemon.root / "exec" / "execs")) <= 2)


def add_health(archive, check):
    """Puts a HEALTHCHECK into an image archive's configuration."""
    with tarfile.open(archive) as tar:
        files = [(m, tar.extractfile(m).read()) for m in tar.getmembers() if m.isfile()]
    with tarfile.open(archive, "w") as tar:
        for member, content in files:
            if member.name.endswith(".json") and member.name != "manifest.json":
                config = json.loads(content)
                config["config"]["Healthcheck"] = check
                content = json.dumps(config).encode()
                new = hashlib.sha256(content).hexdigest() + ".json"
                old, member.name = member.name, new
            elif member.name == "manifest.json":
                content = content.replace(old.encode(), new.encode())
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def test_the_images_own(daemon, name, tmp_path):
    """HEALTHCHECK of the image, parts of it changed, and all of it taken away."""
    archive = tmp_path / "image.tar"
    subprocess.run([test_api_engine.TOP / "deploy" / "mkimage", "health-test:1", archive],
                   check=True, timeout=60)
    add_health(archive, {"Test": ["CMD-SHELL", "echo of the image"], "Interval": 10 ** 12,
                         "Retries": 7})
    daemon.docker("load", "-i", str(archive))
    daemon.docker("run", "-d", "--name", name, "--health-interval", "100ms", "health-test:1",
                  "sleep", "1000")
    config = json.loads(daemon.docker("inspect", "-f", "{{json .Config.Healthcheck}}", name))
    assert config == {"Test": ["CMD-SHELL", "echo of the image"], "Interval": 10 ** 8,
                      "Retries": 7}
    assert wait_health(daemon, name, "healthy")["Log"][0]["Output"] == "of the image\n"
    daemon.docker("rm", "-f", name)
    daemon.docker("run", "-d", "--name", name, "--no-healthcheck", "health-test:1", "sleep", "9")
    assert "Health" not in state(daemon, name)


def test_shoal_run(daemon, name):
    shoal = test_api_engine.BUILD / "bin" / "shoal"
    env = {"PATH": os.environ["PATH"], "HOME": str(daemon.root)}
    host = ["-H", f"unix://{daemon.sock}"]
    subprocess.run([shoal, *host, "run", "-d", "--name", name, "--health-cmd", "true",
                    "--health-interval", "100ms", "--health-timeout", "1m", "--health-retries", "4",
                    "--health-start-period", "2s", "--health-start-interval", "50ms", IMAGE,
                    "sleep", "1000"], env=env, check=True)
    config = json.loads(daemon.docker("inspect", "-f", "{{json .Config.Healthcheck}}", name))
    assert config == {"Test": ["CMD-SHELL", "true"], "Interval": 10 ** 8, "Timeout": 60 * 10 ** 9,
                      "Retries": 4, "StartPeriod": 2 * 10 ** 9, "StartInterval": 5 * 10 ** 7}
    wait_health(daemon, name, "healthy")
    r = subprocess.run([shoal, *host, "run", "--health-cmd", "true", "--no-healthcheck", IMAGE],
                       env=env, capture_output=True, text=True, check=False)
    assert r.returncode and "--no-healthcheck conflicts" in r.stderr
