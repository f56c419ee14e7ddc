"""
The command line against a real daemon, as a user runs it: containers with their exit codes, logs and
events, and a swarm of one node. The daemon has a network namespace and a bridge of its own.
"""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from test_shoald import BUILD, SHOALD, Connection, Daemon

SHOAL = BUILD / "bin" / "shoal"
TOP = Path(__file__).resolve().parents[2]
IMAGE = "sample:1"

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not SHOALD.exists(), reason="needs root and a built shoald")


class Bridged(Daemon):
    """A daemon whose namespace has a loopback interface and room for a bridge."""

    def command(self, *flags):
        words = super().command(*flags)
        if "--bridge" in words:
            at = words.index("--bridge")
            del words[at:at + 2]
        return [*words[:2], "sh", "-c", 'ip link set lo up; exec "$@"', "sh", *words[2:]]

    def post(self, path, body):
        c = Connection(self.socket)
        c.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        r = c.getresponse()
        return r.status, r.read()


class Shoal:
    def __init__(self, daemon):
        self.host = f"unix://{daemon.socket}"

    def __call__(self, *argv, code=0, stdin=""):
        """What the command printed; stderr when it was to fail."""
        done = subprocess.run([str(SHOAL), "-H", self.host, *argv], input=stdin, timeout=60,
                              capture_output=True, text=True, check=False)
        assert done.returncode == code, (argv, done.returncode, done.stdout, done.stderr)
        return done.stderr if code else done.stdout

    def lines(self, *argv):
        return self(*argv).splitlines()

    def start(self, *argv):
        return subprocess.Popen([str(SHOAL), "-H", self.host, *argv], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    daemon = Bridged(tmp_path_factory.mktemp("cli"))
    try:
        daemon.start()
        yield daemon
        assert daemon.stop() == 0
    finally:
        daemon.end()


@pytest.fixture(scope="module")
def shoal(daemon):
    tar = daemon.dir / "sample.tar"
    subprocess.run([str(TOP / "deploy/mkimage"), IMAGE, str(tar), "sleep", "1000000"], check=True)
    run = Shoal(daemon)
    try:
        assert run("load", "-i", str(tar)) == f"Loaded image: {IMAGE}\n"
        yield run
    finally:
        subprocess.run([str(SHOAL), "-H", run.host, "swarm", "leave", "--force"], check=False,
                       capture_output=True)
        for ident in run.lines("ps", "-aq"):
            run("rm", "-f", ident)


def wait_for(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds} s")


def test_run_gives_the_output_and_the_status(shoal):
    assert shoal("run", "--rm", IMAGE, "echo", "hello") == "hello\n"
    text = shoal("run", "--rm", IMAGE, "sh", "-c", "echo no >&2; exit 7", code=7)
    assert text == "no\n"
    assert shoal("ps", "-aq") == ""


def test_run_passes_stdin_on_to_its_end(shoal):
    text = "line\n" * 50000
    assert shoal("run", "-i", "--rm", IMAGE, "cat", stdin=text) == text


def test_run_says_why_with_dockers_statuses(shoal):
    assert "executable file not found" in shoal("run", "--rm", IMAGE, "nosuch", code=127)
    assert "permission denied" in shoal("run", "--rm", IMAGE, "/etc/passwd", code=126)
    assert "Unable to find image 'nosuch:1' locally" in shoal("run", "nosuch:1", code=125)
    assert "unknown flag: --bogus" in shoal("run", "--bogus", IMAGE, code=125)
    assert "--restart and --rm" in shoal("run", "--rm", "--restart", "always", IMAGE, code=125)


def test_run_takes_what_it_is_told(shoal):
    shoal("run", "-d", "--name", "told", "-e", "A=b", "-l", "x=y", "-m", "64m", "--cpus", "0.5",
          "-w", "/tmp", "-u", "65534:65534", "--hostname", "there", "--tmpfs", "/scratch",
          "--entrypoint", "sh", IMAGE, "-c", "echo $A $(id -u) $(pwd) $(hostname); sleep 1000")
    wait_for("its output", lambda: shoal("logs", "told"))
    assert shoal("logs", "told") == "b 65534 /tmp there\n"
    shown = json.loads(shoal("inspect", "told"))[0]
    assert shown["HostConfig"]["Memory"] == 64 << 20
    assert shown["HostConfig"]["NanoCpus"] == 500000000
    assert shown["Config"]["Labels"]["x"] == "y"
    shoal("rm", "-f", "told")


def test_a_signal_goes_to_the_container(shoal):
    run = shoal.start("run", "--rm", IMAGE, "sh", "-c",
                      "trap 'echo got it; exit 3' TERM; echo ready; while :; do sleep 0.1; done")
    assert run.stdout.readline() == "ready\n"
    run.send_signal(signal.SIGTERM)
    assert run.stdout.readline() == "got it\n"
    assert run.wait(20) == 3


class Terminal:
    """`shoal` in a terminal of its own."""

    def __init__(self, shoal, *argv):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen([str(SHOAL), "-H", shoal.host, *argv], stdin=slave,
                                        stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.text = ""

    def type(self, keys):
        os.write(self.master, keys)

    def until(self, text):
        while text not in self.text:
            assert select.select([self.master], [], [], 20)[0], self.text
            self.text += os.read(self.master, 4096).decode()

    def end(self):
        status = self.process.wait(20)
        os.close(self.master)
        return status


def test_run_in_a_terminal(shoal):
    term = Terminal(shoal, "run", "-it", "--rm", IMAGE, "sh")
    term.type(b"echo a$((1+1))b; tty\n")
    term.until("a2b")
    term.until("/dev/pts/0")
    term.type(b"exit 5\n")
    assert term.end() == 5


def test_a_terminal_is_left_by_its_keys(shoal):
    term = Terminal(shoal, "run", "-it", "--name", "left", IMAGE, "sh")
    term.type(b"echo r$((1+1))y\n")
    term.until("r2y")
    term.type(b"\x10\x11")
    assert term.end() == 0
    assert json.loads(shoal("inspect", "left"))[0]["State"]["Running"]
    shoal("rm", "-f", "left")


def test_logs(shoal):
    shoal("run", "--name", "talker", IMAGE, "sh", "-c", "echo one; echo two >&2; echo three")
    done = subprocess.run([str(SHOAL), "-H", shoal.host, "logs", "talker"], capture_output=True,
                          text=True, check=True, timeout=20)
    assert (done.stdout, done.stderr) == ("one\nthree\n", "two\n")
    shoal("run", "--name", "counter", IMAGE, "sh", "-c", "echo 1; echo 2; echo 3")
    stamp, word = shoal("logs", "-t", "-n", "1", "counter").split()
    assert word == "3" and len(stamp) == 30 and stamp.endswith("Z")
    shoal("rm", "counter")
    assert shoal("logs", "--until", "1h", "talker") == ""
    assert "invalid value for --since" in shoal("logs", "--since", "soon", "talker", code=1)
    assert "No such container" in shoal("logs", "nobody", code=1)
    shoal("rm", "talker")


def test_logs_follow(shoal):
    shoal("run", "-d", "--name", "slow", IMAGE, "sh", "-c",
          "echo first; until [ -e /go ]; do sleep 0.05; done; echo last; exit")
    follow = shoal.start("logs", "-f", "slow")
    assert follow.stdout.readline() == "first\n"
    pid = json.loads(shoal("inspect", "slow"))[0]["State"]["Pid"]
    Path(f"/proc/{pid}/root/go").touch()
    assert follow.stdout.read() == "last\n"
    assert follow.wait(20) == 0
    shoal("rm", "-f", "slow")


def test_volumes(shoal):
    assert shoal("volume", "create", "--label", "a=b", "kept") == "kept\n"
    other = shoal("volume", "create").strip()
    head, *lines = shoal.lines("volume", "ls")
    assert head.split() == ["DRIVER", "VOLUME", "NAME"]
    assert [line.split() for line in lines] == [["local", v] for v in sorted(["kept", other])]
    assert shoal("volume", "ls", "-q", "-f", "label=a=b") == "kept\n"
    shown = json.loads(shoal("volume", "ls", "-f", "name=kept", "--format", "json"))
    assert (shown["Labels"], shown["Scope"], shown["Size"]) == ("a=b", "local", "N/A")
    assert json.loads(shoal("volume", "inspect", "kept"))[0]["Labels"] == {"a": "b"}
    assert json.loads(shoal("inspect", "kept"))[0]["Mountpoint"].endswith("/kept/_data")
    assert shoal("volume", "rm", "kept", other) == f"kept\n{other}\n"
    assert "no such volume" in shoal("volume", "inspect", "kept", code=1).lower()
    assert shoal("volume", "rm", "-f", "kept") == "kept\n"


def test_names_of_images(shoal):
    assert shoal("tag", IMAGE, "place:5000/other") == ""
    assert shoal("tag", IMAGE, "place:5000/other:two") == ""
    assert "place:5000/other" in shoal("images")
    assert shoal("rmi", "place:5000/other:two") == "Untagged: place:5000/other:two\n"
    assert shoal("image", "rm", "place:5000/other") == "Untagged: place:5000/other:latest\n"
    assert "No such image" in shoal("rmi", "place:5000/other", code=1)
    assert "No such image" in shoal("tag", "none", "more", code=1)


def test_pause_top_and_stats(shoal):
    ident = shoal("run", "-d", "--name", "held", "-m", "64m", IMAGE).strip()
    assert shoal("update", "--restart", "on-failure:2", "--pids-limit", "9", "-m", "32m", "held") == "held\n"
    host = json.loads(shoal("inspect", "held"))[0]["HostConfig"]
    assert (host["RestartPolicy"]["Name"], host["PidsLimit"], host["Memory"]) == ("on-failure", 9, 32 << 20)
    assert "like on-failure:3" in shoal("update", "--restart", "on-failure:x", "held", code=1)
    assert "Minimum memory limit" in shoal("update", "-m", "1m", "held", code=1)
    shoal("update", "-m", "64m", "held")
    assert shoal("pause", "held") == "held\n"
    assert "(Paused)" in shoal("ps", "--filter", "name=held")
    assert "is already paused" in shoal("pause", "held", code=1)
    assert shoal("unpause", "held") == "held\n"
    head, line = shoal.lines("top", "held", "-o", "pid,args")
    assert head.split() == ["PID", "COMMAND"] and line.split()[1:] == ["sleep", "1000000"]
    assert "is not allowed" in shoal("top", "held", "-o", "comm=PID", code=1)
    head, line = shoal.lines("stats", "--no-stream", "held")
    assert head.split()[:3] == ["CONTAINER", "ID", "NAME"] and line.split()[:2] == [ident[:12], "held"]
    assert line.split()[5] == "64MiB" and line.split()[-1] == "1"
    assert json.loads(shoal("stats", "--no-stream", "--format", "json"))["Name"] == "held"
    assert "No such container" in shoal("stats", "--no-stream", "missing", code=1)
    following = shoal.start("stats", "held")
    tables = [following.stdout.readline() for _ in range(4)]
    following.terminate()
    following.communicate(timeout=20)
    assert tables[0] == tables[2] and tables[1].split()[1] == tables[3].split()[1] == "held"
    shoal("rm", "-f", "held")


def test_events(shoal):
    shoal("run", "--rm", "--name", "seen", IMAGE, "true")
    lines = shoal.lines("events", "--since", "1h", "--until", "0s", "--filter", "container=seen",
                        "--format", "{{.Type}} {{.Action}}")
    assert lines[0] == "container create"
    assert {"container start", "container die", "container destroy"} <= set(lines)
    plain = shoal.lines("events", "--since", "1h", "--until", "0s", "--filter", "event=die")
    assert any("container die" in line and "name=seen" in line for line in plain)


def test_a_swarm_of_one_node(shoal):
    assert "not part of a swarm" in shoal("node", "ps", code=1)
    assert "is now a manager" in shoal("swarm", "init", "--advertise-addr", "127.0.0.1")
    out = shoal("service", "create", "--name", "web", "--replicas", "2", "--no-resolve-image",
                "--stop-grace-period", "1s", IMAGE)
    assert "overall progress: 2 out of 2 tasks" in out
    node = shoal("node", "ls", "-q").strip()
    tasks = [json.loads(line) for line in shoal.lines("node", "ps", "--format", "json")]
    assert sorted(t["Name"] for t in tasks) == ["web.1", "web.2"]
    assert shoal("node", "update", "--label-add", "disk=ssd", "--label-add", "a=b", node)
    shoal("node", "update", "--label-rm", "a", node)
    assert json.loads(shoal("node", "inspect", node))[0]["Spec"]["Labels"] == {"disk": "ssd"}
    assert json.loads(shoal("node", "inspect", "self"))[0]["ID"] == node
    assert "already a manager" in shoal("node", "promote", "self")
    assert "last manager" in shoal("node", "demote", node, code=1)
    assert "key a doesn't exist" in shoal("node", "update", "--label-rm", "a", node, code=1)
    assert "it must be active, pause or drain" in shoal(
        "node", "update", "--availability", "gone", node, code=1)


def test_service_update(shoal):
    out = shoal("service", "update", "--replicas", "3", "--env-add", "K=v", "--label-add", "q=r",
                "--limit-memory", "32m", "--constraint-add", "node.labels.disk==ssd", "web")
    assert "overall progress: 3 out of 3 tasks" in out
    spec = json.loads(shoal("service", "inspect", "web"))[0]["Spec"]
    task = spec["TaskTemplate"]
    deadline = {"shoal.update.deadline": "5m"}  # the command's own
    assert spec["Mode"]["Replicated"]["Replicas"] == 3
    assert spec["Labels"] == {"q": "r", **deadline}
    assert task["ContainerSpec"]["Env"] == ["K=v"]
    assert task["Resources"]["Limits"]["MemoryBytes"] == 32 << 20
    assert task["Placement"]["Constraints"] == ["node.labels.disk==ssd"]
    shoal("service", "update", "-d", "--env-add", "K=w", "--label-rm", "q", "--constraint-rm",
          "node.labels.disk==ssd", "web")
    spec = json.loads(shoal("service", "inspect", "web"))[0]["Spec"]
    assert spec["TaskTemplate"]["ContainerSpec"]["Env"] == ["K=w"]
    assert spec["Labels"] == deadline
    assert not spec["TaskTemplate"].get("Placement", {}).get("Constraints")
    assert "nobody not found" in shoal("service", "update", "--force", "nobody", code=1)


def test_modes_of_services(shoal):
    out = shoal("service", "create", "--name", "each", "--mode", "global", "--no-resolve-image",
                "--stop-grace-period", "1s", IMAGE)
    assert "overall progress: 1 out of 1 tasks" in out
    out = shoal("service", "create", "--name", "job", "--mode", "replicated-job", "--replicas", "5",
                "--max-concurrent", "2", "--no-resolve-image", IMAGE, "true")
    assert "job progress: 5 out of 5 complete" in out and "job complete" in out
    shoal("service", "create", "--name", "once", "--mode", "global-job", "--no-resolve-image",
          IMAGE, "true")
    rows = [line.split() for line in shoal.lines("service", "ls", "--filter", "mode=global")]
    assert rows[1][1:4] == ["each", "global", "1/1"]
    listed = {row["Name"]: row for row in map(json.loads, shoal.lines(
        "service", "ls", "--format", "json"))}
    assert listed["job"]["Mode"] == "replicated job"
    assert listed["job"]["Replicas"] == "0/0 (5/5 completed)"
    assert listed["once"]["Replicas"] == "0/0 (1/1 completed)"
    node = shoal("node", "ls", "-q").strip()
    assert shoal.lines("service", "ps", "--format", "{{.Name}}", "each") == [f"each.{node}"]
    again = shoal("service", "update", "--force", "job")
    assert "job progress: 5 out of 5 complete" in again
    assert json.loads(shoal("service", "inspect", "job"))[0]["JobStatus"]["JobIteration"] == {
        "Index": 1}
    shoal("service", "scale", "job=6")
    assert json.loads(shoal("service", "inspect", "job"))[0]["Spec"]["Mode"]["ReplicatedJob"][
        "TotalCompletions"] == 6
    assert "scale can only be used with" in shoal("service", "scale", "each=2", code=1)
    assert "not supported for jobs" in shoal(
        "service", "create", "-d", "--mode", "global-job", "--no-resolve-image",
        "--update-delay", "1s", IMAGE, code=1)
    shoal("service", "rm", "each", "job", "once")


def run_docker(shoal, *args, code=0):
    """The docker CLI against the same daemon."""
    done = subprocess.run(["docker", "-H", shoal.host, *args], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("docker"), reason="needs the docker CLI")
def test_modes_with_docker(shoal):
    create = ["service", "create", "--no-resolve-image", "--stop-grace-period", "1s"]
    out = run_docker(shoal, *create, "--name", "each", "--mode", "global", IMAGE)
    assert "Service" in out and "converged" in out
    out = run_docker(shoal, *create, "--name", "job", "--mode", "replicated-job", "--replicas", "5",
                     "--max-concurrent", "2", IMAGE, "true")
    assert "job complete" in out
    out = run_docker(shoal, *create, "--name", "once", "--mode", "global-job", IMAGE, "true")
    assert "job complete" in out
    listed = run_docker(shoal, "service", "ls", "--format", "{{.Name}} {{.Mode}} {{.Replicas}}")
    assert "each global 1/1" in listed.splitlines()
    assert "job replicated job 0/0 (5/5 completed)" in listed.splitlines()
    assert "once global job 0/0 (1/1 completed)" in listed.splitlines()
    assert run_docker(shoal, "service", "ps", "-q", "job").count("\n") == 5
    assert "scale can only be used with" in run_docker(shoal, "service", "scale", "each=2", code=1)
    run_docker(shoal, "service", "update", "--force", "job")
    assert "Global" in run_docker(shoal, "service", "inspect", "--pretty", "each")
    run_docker(shoal, "service", "rm", "each", "job", "once")


def test_modes_with_the_sdk(shoal):
    docker = pytest.importorskip("docker")
    client = docker.DockerClient(base_url=shoal.host)
    service = client.services.create(IMAGE, name="sdk", mode=docker.types.ServiceMode("global"))
    running = lambda: [t for t in service.tasks() if t["Status"]["State"] == "running"]
    wait_for("the node's task", lambda: len(running()) == 1)
    assert "Slot" not in running()[0]
    service.reload()
    assert service.attrs["Spec"]["Mode"] == {"Global": {}}
    with pytest.raises(Exception, match="Cannot scale|scale"):
        service.scale(2)
    service.remove()
    client.close()


def test_a_schedule(shoal):
    create = ["service", "create", "-d", "--no-resolve-image", "--mode", "replicated-job"]
    assert "label shoal.cron: invalid schedule" in shoal(
        *create, "--label", "shoal.cron=now", IMAGE, code=1)
    assert "only jobs have a schedule" in shoal(
        "service", "create", "-d", "--label", "shoal.cron=@daily", IMAGE, code=1)
    shoal(*create, "--name", "tick", "--label", "shoal.cron=* * * * *", IMAGE, "true")
    assert json.loads(shoal("service", "inspect", "tick"))[0]["JobStatus"]["Schedule"][
        "Decision"] == ""


def test_placement_preferences(shoal):
    prefs = lambda: [p["Spread"]["SpreadDescriptor"] for p in json.loads(
        shoal("service", "inspect", "rack"))[0]["Spec"]["TaskTemplate"].get("Placement", {}).get(
            "Preferences") or []]
    assert "cannot be spread over" in shoal(
        "service", "create", "--placement-pref", "spread=rack", IMAGE, code=1)
    assert "unsupported placement preference pack" in shoal(
        "service", "create", "--placement-pref", "pack=node.labels.a", IMAGE, code=1)
    shoal("service", "create", "--name", "rack", "--placement-pref", "spread=node.labels.rack",
          "--no-resolve-image", "--stop-grace-period", "1s", IMAGE)
    assert prefs() == ["node.labels.rack"]
    shoal("service", "update", "-d", "--placement-pref-add", "spread=node.labels.row",
          "--placement-pref-rm", "spread=node.labels.rack", "rack")
    assert prefs() == ["node.labels.row"]
    shoal("service", "rm", "rack")


def test_service_update_of_networks(shoal):
    targets = lambda: [n["Target"] for n in json.loads(shoal("service", "inspect", "web"))[0][
        "Spec"]["TaskTemplate"].get("Networks") or []]
    network = shoal("network", "create", "--driver", "overlay", "sea").strip()
    shoal("service", "update", "-d", "--network-add", "sea", "web")
    assert targets() == [network]
    assert "already attached" in shoal(
        "service", "update", "-d", "--network-add", "name=sea,alias=w", "web", code=1)
    shoal("service", "update", "-d", "--network-rm", "sea", "web")
    assert targets() == []
    assert "is not attached to network sea" in shoal(
        "service", "update", "-d", "--network-rm", "sea", "web", code=1)
    assert "network nowhere not found" in shoal(
        "service", "update", "-d", "--network-rm", "nowhere", "web", code=1)


def test_a_service_without_a_name_gets_one(shoal, daemon):
    status, text = daemon.post("/services/create", {
        "TaskTemplate": {"ContainerSpec": {"Image": IMAGE}}, "Mode": None})
    assert status == 201, text
    ident = json.loads(text)["ID"]
    spec = json.loads(shoal("service", "inspect", ident))[0]["Spec"]
    assert re.fullmatch("[a-z]+_[a-z]+[0-9]*", spec["Name"])
    assert spec["Mode"] == {"Replicated": {"Replicas": 1}}
    shoal("service", "rm", ident)


def test_an_update_of_labels_alone_replaces_no_task(shoal, daemon):
    """Of a service, too, whose maker left out what the command line would have written."""
    status, text = daemon.post("/services/create", {
        "Name": "bare", "TaskTemplate": {"ContainerSpec": {"Image": IMAGE}}})
    assert status == 201, text
    tasks = lambda: wait_for("a running task", lambda: shoal(
        "service", "ps", "--filter", "desired-state=running", "-q", "bare"))
    before, spec = tasks(), json.loads(shoal("service", "inspect", "bare"))[0]["Spec"]
    shoal("service", "update", "--label-add", "a=b", "bare")
    after = json.loads(shoal("service", "inspect", "bare"))[0]["Spec"]
    assert after["Labels"] == {"a": "b", "shoal.update.deadline": "5m"}
    assert after["TaskTemplate"] == spec["TaskTemplate"]
    assert tasks() == before
    shoal("service", "rm", "bare")


def test_a_paused_task_runs_on_and_ends_with_its_service(shoal):
    shoal("service", "create", "--name", "still", "--restart-condition", "none",
          "--stop-grace-period", "1s", IMAGE)
    running = lambda: shoal("service", "ps", "--filter", "desired-state=running", "--format",
                            "{{.ID}} {{.CurrentState}}", "still")
    before = wait_for("a running task", lambda: running() if "Running" in running() else None)
    ident, = shoal.lines("ps", "-q", "--filter", "label=com.docker.swarm.service.name=still")
    shoal("pause", ident)
    assert "(Paused)" in shoal("ps", "--filter", f"id={ident}")
    assert running().split()[:2] == before.split()[:2]
    shoal("service", "rm", "still")
    wait_for("the container's end", lambda: not shoal("ps", "-aq", "--filter", f"id={ident}"))


def test_a_scheduled_job(shoal):
    """What test_a_schedule() made: others run while its minute comes."""
    wait_for("its minute", lambda: shoal.lines(
        "service", "ps", "--format", "{{.CurrentState}}", "tick")[:1], 75)
    wait_for("its task's end", lambda: shoal.lines(
        "service", "ps", "--format", "{{.CurrentState}}", "tick")[0].startswith("Complete"))
    status = json.loads(shoal("service", "inspect", "tick"))[0]["JobStatus"]
    assert status["Schedule"]["Decision"].endswith("was started")
    assert status["LastExecution"][17:19] in ("00", "01", "02")
    shoal("service", "rm", "tick")


def test_scale_and_remove(shoal):
    assert "web scaled to 1" in shoal("service", "scale", "web=1")
    running = lambda: [line for line in shoal.lines(
        "service", "ps", "--filter", "desired-state=running", "-q", "web")]
    wait_for("one task", lambda: len(running()) == 1)
    shoal("service", "rm", "web")
    assert shoal("service", "ls", "-q") == ""


@pytest.fixture
def box(shoal):
    shoal("run", "-d", "--name", "box", IMAGE)
    yield "box"
    shoal("rm", "-f", "box")


def test_exec(shoal, box):
    assert shoal("exec", box, "echo", "hi") == "hi\n"
    assert shoal("exec", "-i", box, "cat", stdin="a\nb\n") == "a\nb\n"
    assert shoal("exec", box, "sh", "-c", "echo no >&2; exit 5", code=5) == "no\n"
    assert "not found" in shoal("exec", box, "no-such", code=127)
    assert "No such container: nobody" in shoal("exec", "nobody", "true", code=1)
    out = shoal("exec", "-e", "A=1", "-u", "12", "-w", "/etc", box, "sh", "-c", "echo $A $(id -u) $PWD")
    assert out == "1 12 /etc\n"
    assert shoal("exec", "-d", box, "sh", "-c", "echo done >/tmp/done") == ""
    wait_for("the detached one", lambda: shoal("exec", box, "cat", "/tmp/done") == "done\n"
             if shoal("exec", box, "ls", "/tmp") else None)
    assert "is not a TTY" in shoal("exec", "-it", box, "sh", code=1)


def test_exec_in_a_terminal(shoal, box):
    term = Terminal(shoal, "exec", "-it", box, "sh")
    term.type(b"echo a$((1+1))b; tty; echo $TERM\n")
    term.until("a2b")
    term.until("/dev/pts/")
    term.until("xterm")
    term.type(b"exit 6\n")
    assert term.end() == 6
