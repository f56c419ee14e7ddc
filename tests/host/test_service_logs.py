"""
Logs of services and tasks, on a swarm of one node with the docker CLI, the SDK and shoal: which
entries, in which order, with which details, while tasks come and go, and what is refused.
"""

import re
import struct
import subprocess
import time

import pytest
import test_api_engine
from test_api_engine import IMAGE
from test_health import wait_for
from test_service_health import tasks

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon
name = test_api_engine.name


@pytest.fixture(scope="module", autouse=True)
def swarm(daemon):
    daemon.docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr",
                  "127.0.0.1:2377")
    yield
    daemon.docker("swarm", "leave", "--force")


@pytest.fixture
def service(daemon, name):
    def create(script, *flags):
        daemon.docker("service", "create", "--detach", "--no-resolve-image", "--name", name,
                      "--stop-grace-period", "0s", *flags, IMAGE, "sh", "-c", script)
        return name
    yield create
    daemon.run("service", "rm", name)
    wait_for("no containers", lambda: not daemon.docker("ps", "-aq"))


def has_lines(daemon, service, n):
    wait_for(f"{n} lines", lambda: len(daemon.docker("service", "logs", "--raw",
                                                     service).splitlines()) == n)


ONCE = "trap '' TERM; sleep 1000"


def test_entries_of_all_tasks(daemon, service):
    box = service(f"echo out $HOSTNAME; echo err >&2; {ONCE}", "--replicas", "3", "--hostname",
                  "{{.Task.Slot}}")
    wait_for("all lines", lambda: len(daemon.run("service", "logs", "--raw", box).stdout
                                      .splitlines()) == 3)
    r = daemon.run("service", "logs", "--raw", box)
    assert sorted(r.stdout.splitlines()) == ["out 1", "out 2", "out 3"]
    assert r.stderr == "err\n" * 3
    # As the CLI shows them: with the task's name, its id and its node.
    node = daemon.docker("info", "-f", "{{.Name}}")
    r = daemon.run("service", "logs", "--no-trunc", box)
    ids = {str(t["Slot"]): t["ID"] for t in tasks(daemon, box)}
    for line in r.stdout.splitlines():
        m = re.fullmatch(rf"{box}\.(\d)\.(\w+)@{re.escape(node)} +\| out (\d)", line)
        assert m and m[1] == m[3] and m[2] == ids[m[1]], line
    r = daemon.run("service", "logs", "--no-task-ids", "--timestamps", box)
    stamped = sorted(r.stdout.splitlines())
    assert len(stamped) == 3
    assert re.match(rf"\d{{4}}-\d\d-\d\dT[\d:.]+Z {box}\.\d@", stamped[0])
    # Of one task.
    r = daemon.run("service", "logs", "--raw", ids["2"])
    assert (r.stdout, r.stderr) == ("out 2\n", "err\n")
    client = daemon.client()
    raw = client.api._get(client.api._url("/tasks/{0}/logs", ids["2"]),
                          params={"stdout": 1, "details": 1}).content
    service_id = client.services.get(box).id
    node_id = client.info()["Swarm"]["NodeID"]
    text = (f"com.docker.swarm.node.id={node_id},com.docker.swarm.service.id={service_id},"
            f"com.docker.swarm.task.id={ids['2']} out 2\n").encode()
    assert raw == struct.pack(">BxxxL", 1, len(text)) + text
    assert b"".join(client.services.get(box).logs(stderr=True)) == b"err\n" * 3


def test_merged_by_time(daemon, service):
    """What many tasks say in turn comes in the order of its times."""
    box = service(f"for i in $(seq 200); do echo $i; done; {ONCE}", "--replicas", "3")
    has_lines(daemon, box, 600)
    out = daemon.docker("service", "logs", "--raw", "--timestamps", box).splitlines()
    times = [x.split()[0] for x in out]
    assert len(out) == 600 and times == sorted(times)
    tail = daemon.docker("service", "logs", "--raw", "--tail", "2", box).splitlines()
    assert sorted(tail) == ["199", "199", "199", "200", "200", "200"]
    assert daemon.docker("service", "logs", "--raw", "--tail", "0", box) == ""
    middle = times[300]
    later = daemon.docker("service", "logs", "--raw", "--since", middle, box).splitlines()
    assert len(later) == sum(t >= middle for t in times)


class Follow:
    """`service logs -f`, whose lines are collected."""

    def __init__(self, daemon, *args):
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            ["docker", "-H", f"unix://{daemon.sock}", "service", "logs", "-f", "--raw", *args],
            stdout=subprocess.PIPE, text=True)

    def lines(self, n):
        return [self.process.stdout.readline().rstrip("\n") for _ in range(n)]

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def test_follow_with_tasks_that_come(daemon, service):
    box = service(f"i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo $HOSTNAME $i; sleep 0.01; done;"
                  f"{ONCE}", "--hostname", "{{.Task.Slot}}")
    follow = Follow(daemon, box)
    try:
        assert follow.lines(100) == [f"1 {i + 1}" for i in range(100)]
        daemon.docker("service", "scale", "--detach", f"{box}=2")
        assert follow.lines(100) == [f"2 {i + 1}" for i in range(100)]
    finally:
        follow.end()
    follow = Follow(daemon, "--tail", "1", box)
    try:
        assert sorted(follow.lines(2)) == ["1 100", "2 100"]
        daemon.docker("service", "rm", box)
        assert follow.process.wait(20) == 0 and follow.lines(1) == [""]
    finally:
        follow.end()


def test_follow_from_before_the_start(daemon, service):
    box = service(f"echo begun; {ONCE}", "--replicas", "0")
    follow = Follow(daemon, box)
    try:
        daemon.docker("service", "scale", "--detach", f"{box}=1")
        assert follow.lines(1) == ["begun"]
    finally:
        follow.end()


def test_follow_a_task_to_its_end(daemon, service):
    box = service("echo a; sleep 1; echo b", "--restart-condition", "none")
    t = wait_for("the task", lambda: (x := tasks(daemon, box)) and x[0])
    follow = Follow(daemon, t["ID"])
    try:
        assert follow.lines(2) == ["a", "b"]
        assert follow.process.wait(20) == 0
    finally:
        follow.end()


def test_follow_a_task_that_never_has_a_container(daemon, service):
    """It ends when the task does, whether it was followed before or after."""
    box = service("true", "--restart-condition", "none", "--mount",
                  "type=bind,src=/no/such/folder,dst=/x")
    t = wait_for("the task", lambda: (x := tasks(daemon, box)) and x[0])
    follow = Follow(daemon, t["ID"])
    try:
        assert follow.process.wait(20) == 0 and follow.lines(1) == [""]
    finally:
        follow.end()
    wait_for("the end", lambda: tasks(daemon, box)[0]["Status"]["State"] in ("rejected", "failed"))
    follow = Follow(daemon, t["ID"])
    try:
        assert follow.process.wait(20) == 0 and follow.lines(1) == [""]
    finally:
        follow.end()


def test_follow_a_task_that_is_never_placed(daemon, service):
    box = service("true", "--constraint", "node.labels.no == such")
    t = wait_for("the task", lambda: (x := tasks(daemon, box)) and x[0])
    api = daemon.client().api
    with api._get(api._url("/tasks/{0}/logs", t["ID"]), params={"stdout": 1, "follow": 1},
                  stream=True) as answer:
        # The answer's head says that it is followed; docker's CLI does not.
        assert answer.status_code == 200
        daemon.docker("service", "rm", box)
        assert answer.content == b""


def test_much_and_a_slow_reader(daemon, service):
    """Several megabytes, from two tasks, to a client that does not read for a while."""
    line = "x" * 1000
    box = service(f"i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i {line}; done; {ONCE}",
                  "--replicas", "2")
    has_lines(daemon, box, 6000)
    with daemon.client().api._get(
            f"http+docker://localhost/v1.47/services/{box}/logs", params={"stdout": 1},
            stream=True) as answer:
        wait_until = time.monotonic() + 1
        while time.monotonic() < wait_until:
            assert daemon.run("info").returncode == 0
        got = b"".join(answer.iter_content(1 << 16))
    assert got.count(line.encode()) == 6000


def test_a_terminal(daemon, service):
    box = service(f"echo seen; {ONCE}", "--tty")
    wait_for("output", lambda: daemon.run("service", "logs", "--raw", box).stdout)
    client = daemon.client()
    answer = client.api._get(client.api._url("/services/{0}/logs", box), params={"stdout": 1})
    assert answer.content == b"seen\r\n"


def test_refusals(daemon, service):
    r = daemon.run("service", "logs", "no-such")
    assert r.returncode and "no such task or service: no-such" in r.stderr
    box = service(ONCE)
    client = daemon.client()
    answer = client.api._get(client.api._url("/services/{0}/logs", box))
    assert answer.status_code == 400 and "at least one stream" in answer.text
    assert client.api._get(client.api._url("/tasks/{0}/logs", "nix")).status_code == 404


def test_shoal(daemon, service):
    def shoal(*args):
        return subprocess.run(
            [test_api_engine.BUILD / "bin" / "shoal", "-H", f"unix://{daemon.sock}", *args],
            capture_output=True, text=True, check=False, timeout=60)

    box = service(f"echo out $HOSTNAME; echo err >&2; {ONCE}", "--replicas", "2", "--hostname",
                  "{{.Task.Slot}}")
    has_lines(daemon, box, 2)
    node = daemon.docker("info", "-f", "{{.Name}}")
    ids = {t["Slot"]: t["ID"] for t in tasks(daemon, box)}
    r = shoal("service", "logs", box)
    assert sorted(r.stdout.splitlines()) == [
        f"{box}.{slot}.{ids[slot][:12]}@{node}    | out {slot}" for slot in (1, 2)]
    assert sorted(r.stderr.splitlines()) == [
        f"{box}.{slot}.{ids[slot][:12]}@{node}    | err" for slot in (1, 2)]
    r = shoal("service", "logs", "--no-task-ids", "-n", "1", "-t", box)
    assert re.match(rf"\d{{4}}-\d\d-\d\dT[\d:.]+Z {box}\.\d@{re.escape(node)}    \| ", r.stdout + r.stderr)
    assert shoal("service", "logs", "--raw", ids[2]).stdout == "out 2\n"
    assert shoal("task", "logs", "--raw", ids[1]).stdout == "out 1\n"
    assert f"| out 1" in shoal("task", "logs", ids[1]).stdout
    r = shoal("service", "logs", "no-such")
    assert r.returncode == 1 and "no such task or service: no-such" in r.stderr
