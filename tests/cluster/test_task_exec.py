"""
Processes executed in tasks from any manager to any node: what they say and how they end, input both
ways without bound on either side's patience, terminals, and what happens when nodes and managers go.
"""

import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time
from fcntl import ioctl

import pytest
from swarmlib import BIN, Cluster, Refused, wait_for

if os.geteuid() != 0:
    pytest.skip("needs root: it makes namespaces", allow_module_level=True)
if not (BIN / "shoald").exists():
    pytest.skip(f"{BIN}/shoald is not built", allow_module_level=True)

KEPT = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"]


@pytest.fixture(scope="module")
def swarm():
    cluster = Cluster(3, 1)
    yield cluster
    cluster.down()


@pytest.fixture(scope="module")
def box(swarm):
    """A service with tasks on every node: "box.1" to "box.4", by node name."""
    service = swarm.service("m1", "box", 4, KEPT, Placement={"MaxReplicas": 1})
    tasks = swarm.wait_running("m1", service, 4)
    return {swarm.node_name(t["NodeID"]): t for t in tasks}


def argv(swarm, node, *args):
    return [str(BIN / "shoal"), "-H", f"unix://{swarm.socket(node)}", *args]


def shoal(swarm, node, *args, **kw):
    return subprocess.run(argv(swarm, node, *args), capture_output=True, text=True, timeout=60,
                          check=False, **kw)


def slot(task):
    return f"box.{task['Slot']}"


def test_from_any_manager_to_any_node(swarm, box):
    for manager in swarm.managers:
        for node, task in box.items():
            r = shoal(swarm, manager, "exec", slot(task), "sh", "-c",
                      "echo out; echo err >&2; hostname; exit 7")
            assert (r.returncode, r.stderr) == (7, "err\n"), r
            assert r.stdout.splitlines()[0] == "out"
            assert task["Status"]["ContainerStatus"]["ContainerID"].startswith(
                r.stdout.splitlines()[1]), (node, r)
    task = box["w1"]
    for name in (task["ID"], task["ID"][:12], f"{slot(task)}.{task['ID']}"):
        r = shoal(swarm, "m2", "task", "exec", name, "echo", "here")
        assert (r.returncode, r.stdout) == (0, "here\n"), r
    # On its own node a container's name means the container itself.
    own = next(m for m in swarm.managers if m in box)
    name = f"{slot(box[own])}.{box[own]['ID']}"
    assert shoal(swarm, own, "exec", name, "echo", "here").stdout == "here\n"


def test_what_is_given_and_how_it_ends(swarm, box):
    name = slot(box["w1"])
    r = shoal(swarm, "m1", "exec", "-e", "A=1", "-e", "B=two words", "-w", "/tmp", "-u", "1000:7",
              name, "sh", "-c", 'echo $A $B; pwd; id -u; id -g')
    assert r.stdout.split("\n") == ["1 two words", "/tmp", "1000", "7", ""]
    r = shoal(swarm, "m1", "exec", "-i", name, "sh", "-c", "cat; echo end", input="a\nb\n")
    assert (r.returncode, r.stdout) == (0, "a\nb\nend\n")
    r = shoal(swarm, "m1", "exec", name, "cat", input="not passed on")
    assert (r.returncode, r.stdout) == (0, "")
    assert shoal(swarm, "m1", "exec", name, "sh", "-c", "kill -9 $$").returncode == 137
    r = shoal(swarm, "m1", "exec", name, "no-such-program")
    assert r.returncode in (126, 127) and "no-such-program" in r.stderr, r
    r = shoal(swarm, "m1", "exec", "-d", name, "sh", "-c", "echo was here > /tmp/mark")
    assert r.returncode == 0, r
    wait_for("the mark", lambda: shoal(swarm, "m1", "exec", name, "cat", "/tmp/mark").stdout ==
             "was here\n")
    r = shoal(swarm, "m1", "exec", "-d", name, "no-such-program")
    assert r.returncode == 1 and "no-such-program" in r.stderr, r


def test_refusals(swarm, box):
    name = slot(box["w1"])
    for args, words in [
            (["exec", "box.9", "true"], ["no slot 9", "no container box.9 on this host"]),
            (["exec", "nix.1", "true"], ["service nix not found"]),
            (["exec", "nothing", "true"], ["No such container: nothing"]),
            (["task", "exec", "box", "true"], ["task box not found"]),
            (["exec", "--privileged", name, "true"], ["privileged", "own node"]),
            (["exec", "-w", "relative", name, "true"], ["absolute path"]),
    ]:
        r = shoal(swarm, "m1", *args)
        assert r.returncode == 1 and all(w in r.stderr for w in words), (args, r)
    r = shoal(swarm, "w1", "exec", "box.1" if slot(box["w1"]) != "box.1" else "box.2", "true")
    assert r.returncode == 1 and "not a swarm manager" in r.stderr, r
    ended = swarm.service("m1", "ended", 1, ["true"], RestartPolicy={"Condition": "none"})
    task = wait_for("its end", lambda: [t for t in swarm.tasks("m1", ended, running=False)
                                        if t["Status"]["State"] == "complete"])[0]
    r = shoal(swarm, "m2", "task", "exec", task["ID"], "true")
    assert r.returncode == 1 and "is not running: it is complete" in r.stderr, r
    swarm.ask("m1", "DELETE", f"/services/{ended}")
    with pytest.raises(Refused) as e:
        swarm.ask("m1", "POST", f"/tasks/{box['w1']['ID']}/exec",
                  {"Cmd": ["true"], "Env": [f"A{i}=" + "x" * 1000 for i in range(1100)]})
    assert e.value.status == 413 and "larger than" in e.value.message
    with pytest.raises(Refused) as e:
        swarm.ask("m1", "POST", f"/tasks/{box['w1']['ID']}/exec", {"Cmd": []})
    assert e.value.status == 400


def test_global_services_by_node(swarm):
    service = swarm.service("m1", "everywhere", {"Global": {}}, KEPT)
    swarm.wait_running("m1", service, 4)
    try:
        for node in swarm.nodes:
            for name in (node, swarm.node_id(node)):
                r = shoal(swarm, "m3", "exec", f"everywhere.{name}", "echo", "on it")
                assert (r.returncode, r.stdout) == (0, "on it\n"), r
        r = shoal(swarm, "m3", "exec", "everywhere.1", "true")
        assert r.returncode == 1 and "everywhere.NODE" in r.stderr, r
    finally:
        swarm.ask("m1", "DELETE", f"/services/{service}")


def test_the_api_in_the_shape_of_dockers(swarm, box):
    task = box["w1"]
    made = swarm.ask("m2", "POST", f"/tasks/{task['ID']}/exec",
                     {"Cmd": ["sh", "-c", "exit 3"], "AttachStdout": True})["Id"]
    seen = swarm.get("m2", f"/exec/{made}/json")
    assert seen["ID"] == made and not seen["Running"] and seen["ExitCode"] is None
    assert seen["TaskID"] == task["ID"] and seen["NodeID"] == task["NodeID"]
    assert seen["ContainerID"] == task["Status"]["ContainerStatus"]["ContainerID"]
    assert seen["ProcessConfig"]["entrypoint"] == "sh"
    swarm.ask("m2", "POST", f"/exec/{made}/start", {"Detach": True})
    assert wait_for("its end", lambda: (x := swarm.get("m2", f"/exec/{made}/json")) and
                    not x["Running"] and x)["ExitCode"] == 3
    with pytest.raises(Refused) as e:
        swarm.ask("m2", "POST", f"/exec/{made}/start", {"Detach": True})
    assert e.value.status == 409
    with pytest.raises(Refused) as e: # another manager does not know it
        swarm.get("m1", f"/exec/{made}/json")
    assert e.value.status == 404


def test_much_both_ways(swarm, box):
    """64 MiB through cat and back, and neither side is dropped or grows."""
    size = 64 << 20
    p = subprocess.run(
        ["sh", "-c", f"head -c {size} /dev/zero | tr '\\0' 'x' | " + " ".join(
            argv(swarm, "m2", "exec", "-i", slot(box["w1"]), "cat")) + " | cksum"],
        capture_output=True, text=True, timeout=120, check=True)
    want = subprocess.run(["sh", "-c", f"head -c {size} /dev/zero | tr '\\0' 'x' | cksum"],
                          capture_output=True, text=True, check=True)
    assert p.stdout == want.stdout


def hijack(swarm, node, ident):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(str(swarm.socket(node)))
    body = b"{}"
    s.sendall(b"POST /v1.47/exec/" + ident.encode() + b"/start HTTP/1.1\r\nHost: x\r\n"
              b"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n"
              b"Content-Length: 2\r\n\r\n" + body)
    head = b""
    while b"\r\n\r\n" not in head:
        head += s.recv(1)
    assert b" 101 " in head.split(b"\r\n")[0], head
    return s


def running(swarm, task, words):
    return words in swarm.exec_in(task, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout


def test_input_that_nobody_reads_is_bounded(swarm, box):
    """And all of it is read in the end."""
    task = box["w1"]
    made = swarm.ask("m1", "POST", f"/tasks/{task['ID']}/exec",
                     {"Cmd": ["sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.1; done; wc -c > /tmp/size"], "AttachStdin": True,
                      "AttachStdout": True})["Id"]
    s = hijack(swarm, "m1", made)
    s.setblocking(False)
    sent = 0
    idle = 0
    while idle < 20 and sent < 256 << 20:
        if not select.select([], [s], [], 0.1)[1]:
            idle += 1
            continue
        idle = 0
        sent += s.send(b"y" * 65536)
    assert 64 << 10 < sent < 32 << 20, sent
    # What is said beside it gets through meanwhile.
    swarm.ask("m1", "POST", f"/exec/{made}/resize?h=10&w=10")
    s.setblocking(True)
    s.shutdown(socket.SHUT_WR)
    assert swarm.get("m1", f"/exec/{made}/json")["Running"]
    shoal(swarm, "m1", "exec", slot(task), "touch", "/tmp/go")
    assert s.recv(1000) == b"", "it ends when all is read"
    assert shoal(swarm, "m1", "exec", slot(task), "cat", "/tmp/size").stdout == f"{sent}\n"
    assert swarm.get("m1", f"/exec/{made}/json")["ExitCode"] == 0


def test_the_client_that_leaves(swarm, box):
    """The process runs on, as docker's does; one that reads finds the end of its input."""
    task = box["w1"]
    made = [swarm.ask("m1", "POST", f"/tasks/{task['ID']}/exec",
                      {"Cmd": ["sh", "-c", cmd], "AttachStdin": True, "AttachStdout": True})["Id"]
            for cmd in ("exec sleep 1003", "cat > /dev/null; echo over > /tmp/over")]
    streams = [hijack(swarm, "m1", m) for m in made]
    wait_for("both run", lambda: running(swarm, task, "sleep 1003") and running(swarm, task, "cat "))
    for s in streams:
        s.close()
    wait_for("heard of", lambda: all(
        "left" in swarm.get("m1", f"/exec/{m}/json").get("Error", "") for m in made))
    assert running(swarm, task, "sleep 1003")
    wait_for("the end of input", lambda: shoal(swarm, "m1", "exec", slot(task), "cat",
                                               "/tmp/over").stdout == "over\n")
    shoal(swarm, "m1", "exec", slot(task), "pkill", "-f", "sleep 1003")


def test_a_slow_reader(swarm, box):
    made = swarm.ask("m1", "POST", f"/tasks/{box['w1']['ID']}/exec",
                     {"Cmd": ["sh", "-c", "head -c 20000000 /dev/zero; echo done >&2"],
                      "AttachStdout": True, "AttachStderr": True})["Id"]
    s = hijack(swarm, "m1", made)
    end = time.monotonic() + 2
    while time.monotonic() < end: # nothing is read, and the managers work
        swarm.get("m1", "/nodes")
    got = b""
    while piece := s.recv(1 << 20):
        got += piece
    size, errors, at = 0, b"", 0
    while at < len(got):
        kind, n = struct.unpack(">BxxxL", got[at:at + 8])
        if kind == 1:
            size += n
        else:
            errors += got[at + 8:at + 8 + n]
        at += 8 + n
    assert (size, errors) == (20000000, b"done\n")
    assert swarm.get("m1", f"/exec/{made}/json")["ExitCode"] == 0


class Terminal:
    def __init__(self, swarm, node, *args):
        self.parent, child = pty.openpty()
        ioctl(self.parent, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
        # pylint: disable-next=consider-using-with
        self.p = subprocess.Popen(argv(swarm, node, *args), stdin=child, stdout=child,
                                  stderr=child, start_new_session=True)
        os.close(child)
        self.text = ""

    def type(self, text):
        os.write(self.parent, text.encode())

    def until(self, words, seconds=20):
        def seen():
            while select.select([self.parent], [], [], 0)[0]:
                try:
                    self.text += os.read(self.parent, 65536).decode()
                except OSError:
                    break
            return words in self.text
        wait_for(words, seen, seconds)

    def end(self):
        code = self.p.wait(20)
        os.close(self.parent)
        return code


def test_a_terminal(swarm, box):
    t = Terminal(swarm, "m3", "exec", "-it", slot(box["w1"]), "sh")
    t.type("stty size; echo $((40+2))-x; tty\n")
    t.until("33 77")
    t.until("42-x")
    ioctl(t.parent, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 50, 0, 0))
    t.p.send_signal(signal.SIGWINCH)
    t.type("while [ \"$(stty size)\" != '20 50' ]; do sleep 0.1; done; echo re''sized\n")
    t.until("resized")
    t.type("sleep 1009\n")
    wait_for("the sleep", lambda: running(swarm, box["w1"], "sleep 1009"))
    t.type("\x03")
    t.type("echo $?-y\n")
    t.until("130-y")
    t.type("exit 5\n")
    assert t.end() == 5


def test_a_node_that_goes(swarm, box):
    task = box["w1"]
    begun = time.monotonic()
    # pylint: disable-next=consider-using-with
    p = subprocess.Popen(argv(swarm, "m1", "exec", slot(task), "sh", "-c", "echo on; sleep 1005"),
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "on\n"
    swarm.tool("kill", "w1")
    out, err = p.communicate(timeout=40)
    assert p.returncode == 255 and task["NodeID"] in err and "may run on" in err, (out, err)
    assert time.monotonic() - begun < 30
    # Before it is known to be down, one that cannot begin ends as well; then it is refused.
    r = shoal(swarm, "m2", "exec", slot(task), "true")
    assert r.returncode == 1 and re.search("does not answer|is down", r.stderr), r
    swarm.tool("start", "w1")
    wait_for("all is well", lambda: shoal(swarm, "m2", "exec", slot(task), "echo", "back").stdout ==
             "back\n", 60)


def test_the_leader_goes(swarm, box):
    """A stream by another manager goes on; one by the leader itself ends with it, and says so."""
    leader = swarm.leader()
    other = next(m for m in swarm.managers if m != leader)
    node = "w1"
    # pylint: disable-next=consider-using-with
    kept, lost = (subprocess.Popen(
        argv(swarm, m, "exec", "-i", slot(box[node]), "cat"), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for m in (other, leader))
    for p in (kept, lost):
        p.stdin.write("before\n")
        p.stdin.flush()
        assert p.stdout.readline() == "before\n"
    swarm.tool("kill", leader)
    _, err = lost.communicate(timeout=20)
    assert lost.returncode == 1 and "connect" in err, err
    kept.stdin.write("after\n")
    kept.stdin.flush()
    assert kept.stdout.readline() == "after\n"
    wait_for("a new leader", lambda: swarm.leader() != leader)
    r = shoal(swarm, other, "exec", slot(box[node]), "echo", "again")
    assert r.stdout == "again\n", r
    kept.stdin.write("end\n")
    out, err = kept.communicate(timeout=20)
    assert (kept.returncode, out, err) == (0, "end\n", "")
    swarm.tool("start", leader)
    wait_for("it is back", lambda: len(swarm.get(leader, "/nodes")) == 4, 60)
