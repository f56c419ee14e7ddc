"""
deploy/cluster itself, with a stand-in for shoald: namespaces, connectivity, failures, and that it
leaves nothing behind and never touches the machine's own network.
"""

import json
import os
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STANDIN = Path(__file__).with_name("standin.py")
OTHERS = re.compile(r" (/tmp/pytest-of-|/var/tmp/shoal-)")


def tool(folder, *argv, fails=False):
    done = subprocess.run(
        [ROOT / "deploy/cluster", "--dir", folder, *argv], capture_output=True, text=True,
        check=False, timeout=120)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stderr if fails else done.stdout


def up(folder, managers, workers, *options, fails=False):
    return tool(folder, "up", "--managers", str(managers), "--workers", str(workers),
                "--shoald", STANDIN, *options, fails=fails)


def links():
    return {(link["ifname"], link.get("master")) for link in json.loads(
        subprocess.run(["ip", "-json", "link"], capture_output=True, check=True).stdout)}


def mounts(folder):
    """But for those in the folders of other tests, which may run meanwhile."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return sorted(line.split(" ", 3)[3] for line in lines
                  if str(folder) in line or not OTHERS.search(line))


def commands_with(text):
    """The processes whose command line has this text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if text.encode() in words and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "c"
    yield folder
    if folder.exists():
        tool(folder, "down")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two managers and two workers for the tests that do not end it."""
    folder = tmp_path_factory.mktemp("cluster") / "c"
    try:
        up(folder, 2, 2)
        yield folder
    finally:
        tool(folder, "down")


def reaches(folder, node, address):
    return subprocess.run(
        [ROOT / "deploy/cluster", "--dir", folder, "in", node, "ping", "-c1", "-W1", address],
        capture_output=True, check=False, timeout=20).returncode == 0


def states(folder):
    return {line.split()[0]: line.split()[2] for line in tool(folder, "ps").splitlines()[1:]}


def test_hosts(cluster):
    assert states(cluster) == dict.fromkeys(("m1", "m2", "w1", "w2"), "running")
    for node, address in (("m1", "10.200.0.1"), ("w2", "10.200.1.2")):
        assert tool(cluster, "in", node, "hostname").strip() == node
        shown = json.loads(tool(cluster, "in", node, "ip", "-json", "-4", "address"))
        assert [(link["ifname"], link["addr_info"][0]["local"]) for link in shown] == [
            ("lo", "127.0.0.1"), ("eth0", address)]
        # Its own sysfs, and still the cgroups of the machine.
        assert tool(cluster, "in", node, "ls", "/sys/class/net").split() == ["eth0", "lo"]
        assert tool(cluster, "in", node, "ls", "/sys/fs/cgroup").split() == sorted(
            os.listdir("/sys/fs/cgroup"))


def test_mounts_stay_in_their_host(cluster):
    tool(cluster, "in", "m1", "mount", "-t", "tmpfs", "only-m1", "/mnt")
    assert "only-m1" in tool(cluster, "in", "m1", "cat", "/proc/mounts")
    assert "only-m1" not in tool(cluster, "in", "m2", "cat", "/proc/mounts")
    assert "only-m1" not in Path("/proc/mounts").read_text()
    assert str(cluster / "ns") not in tool(cluster, "in", "m1", "cat", "/proc/mounts")


def test_swarm_is_formed(cluster):
    for node, token in (("m2", "token-m"), ("w1", "token-w"), ("w2", "token-w")):
        wish = json.loads((cluster / node / "data/joined").read_text())
        address = tool(cluster, "in", node, "hostname", "-I").split()[0]
        assert wish == {"RemoteAddrs": ["10.200.0.1:2377"], "JoinToken": token,
                        "ListenAddr": address + ":2377", "AdvertiseAddr": address + ":2377"}


def test_daemons_have_their_own_places(cluster):
    words = (Path("/proc") / tool(cluster, "ps").splitlines()[3].split()[3] / "cmdline"
             ).read_bytes().decode().split("\0")
    given = dict(zip(words, words[1:]))
    assert given["--host"] == f"unix://{cluster}/w1/shoal.sock"
    assert given["--data-root"] == f"{cluster}/w1/data"
    assert given["--exec-root"] == f"{cluster}/w1/run"
    assert given["--cgroup-parent"].endswith("/w1")


def test_partition_and_heal(cluster):
    assert reaches(cluster, "m1", "10.200.1.1") and reaches(cluster, "w1", "10.200.1.2")
    tool(cluster, "partition", "m1", "w1")
    assert reaches(cluster, "m1", "10.200.1.1"), "those cut off together see each other"
    assert not reaches(cluster, "m1", "10.200.0.2") and not reaches(cluster, "w2", "10.200.1.1")
    assert reaches(cluster, "m2", "10.200.1.2")
    tool(cluster, "partition", "m1")
    assert not reaches(cluster, "m1", "10.200.1.1")
    tool(cluster, "heal", "m1")
    assert reaches(cluster, "m1", "10.200.0.2") and not reaches(cluster, "m1", "10.200.1.1")
    tool(cluster, "heal")
    assert reaches(cluster, "m1", "10.200.1.1")


def test_pause_and_resume(cluster):
    tool(cluster, "pause", "w1", "w2")
    assert states(cluster) == {"m1": "running", "m2": "running", "w1": "paused", "w2": "paused"}
    tool(cluster, "resume", "w1", "w2")
    assert states(cluster)["w1"] == "running"


def mark(seconds):
    """By which a process that sleeps so long is found, and none of another run of the tests."""
    return f"{seconds}.{os.getpid()}"


def container_like(folder, node, word):
    """A process in namespaces of its own below another one, as a container below its shim."""
    tool(folder, "in", node, "sh", "-c", "setsid sh -c 'unshare -nmu sleep \"$1\"; exit' sh \"$0\""
         " </dev/null >/dev/null 2>&1 &", word)
    end = time.monotonic() + 10
    wait_count(word, 2, end)


def wait_count(word, count, end):
    while len(commands_with(word)) != count:
        assert time.monotonic() < end, commands_with(word)
        time.sleep(0.01)


def test_kill_and_start(cluster):
    container_like(cluster, "w1", mark(71771))
    tool(cluster, "kill", "w1")
    assert states(cluster)["w1"] == "stopped"
    assert len(commands_with(mark(71771))) == 2
    assert "no running daemon" in tool(cluster, "kill", "w1", fails=True)
    tool(cluster, "start", "w1")
    assert "runs already" in tool(cluster, "start", "w1", fails=True)
    tool(cluster, "stop", "w1")
    assert "m1 runs already" in tool(cluster, "start", "m1", "w1", fails=True)
    assert states(cluster)["w1"] == "running", "one that cannot does not keep the next from it"


def test_crash(cluster):
    container_like(cluster, "w2", mark(81881))
    container_like(cluster, "m2", mark(91991))
    tool(cluster, "crash", "w2")
    assert states(cluster)["w2"] == "stopped" and states(cluster)["m2"] == "running"
    assert not commands_with(mark(81881))
    assert len(commands_with(mark(91991))) == 2
    tool(cluster, "start", "w2")


def test_a_container_that_is_frozen_while_it_dies(folder):
    """cgroup v1: killed and frozen after the tool has thawed all, as by a daemon that dies."""
    up(folder, 1, 0)
    cgroup = next(word for word in Path(
        "/proc", tool(folder, "ps").splitlines()[1].split()[3], "cmdline").read_text().split("\0")
        if word.startswith("/shoal-cluster-"))
    freezer = next((Path(line.split()[4] + cgroup) for line in
                    Path("/proc/self/mountinfo").read_text().splitlines()
                    if " - cgroup " in line and "freezer" in line.split(" - ")[1]), None)
    if not freezer:
        pytest.skip("no freezer of cgroup v1 here")
    (freezer / "pod").mkdir(parents=True)
    sleeper = subprocess.Popen(["sleep", "41441"])
    (freezer / "pod/cgroup.procs").write_text(str(sleeper.pid))
    stop = threading.Event()

    def freeze():
        """Each time that it is thawed, until a second of the tool's waiting is over."""
        end = time.monotonic() + 0.7
        while not stop.is_set() and time.monotonic() < end:
            (freezer / "pod/freezer.state").write_text("FROZEN")

    thread = threading.Thread(target=freeze)
    thread.start()
    try:
        tool(folder, "down")
    finally:
        stop.set()
        thread.join()
    assert sleeper.wait(10) == -9
    assert not freezer.exists()


def test_load(cluster, tmp_path):
    image = tmp_path / "image.tar"
    image.write_bytes(os.urandom(300000))
    tool(cluster, "load", image)
    for node in ("m1", "m2", "w1", "w2"):
        assert (cluster / node / "data/loaded").read_bytes() == image.read_bytes()


def test_unknown_node(cluster):
    assert "there is no node w9: the nodes are m1 m2 w1 w2" in tool(
        cluster, "kill", "w9", fails=True)


def test_exit_status_of_in(cluster):
    done = subprocess.run([ROOT / "deploy/cluster", "--dir", cluster, "in", "m1", "sh", "-c",
                           "exit 7"], check=False)
    assert done.returncode == 7


def test_down_leaves_nothing(folder):
    before = links(), mounts(folder)
    up(folder, 1, 1)
    cgroup = next(word for word in Path(
        "/proc", tool(folder, "ps").splitlines()[1].split()[3], "cmdline").read_text().split("\0")
        if word.startswith("/shoal-cluster-"))
    groups = [Path(line.split()[4] + cgroup) for line in
              Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup" in line]
    (groups[0] / "pod").mkdir(parents=True)
    sleeper = subprocess.Popen(["sleep", mark(61661)])
    (groups[0] / "pod/cgroup.procs").write_text(str(sleeper.pid))
    container_like(folder, "w1", mark(51551))
    assert links() == before[0], "the machine's own network is not touched"
    tool(folder, "down")
    assert not folder.exists()
    assert (links(), mounts(folder)) == before
    assert sleeper.wait(10) == -9
    assert not commands_with(mark(51551)) and not commands_with(str(folder))
    assert not any(group.parent.exists() for group in groups)
    assert "no cluster in" in tool(folder, "down", fails=True)


def test_two_clusters(cluster, folder):
    up(folder, 1, 0)
    assert states(cluster)["m1"] == states(folder)["m1"] == "running"
    tool(folder, "down")
    assert states(cluster)["m1"] == "running" and reaches(cluster, "m1", "10.200.0.2")


def test_a_daemon_that_dies(folder):
    text = up(folder, 1, 0, "--flag=--die", fails=True)
    assert "m1: shoald ended with 1" in text and "was told to die" in text
    assert "is up in" in up(folder, 1, 0, fails=True)
    tool(folder, "down")
    assert not folder.exists()


def test_bad_wishes(folder, tmp_path):
    assert "managers" in up(folder, 0, 1, fails=True)
    assert "not there" in tool(folder, "up", "--shoald", "/nowhere", fails=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    assert "not empty" in up(tmp_path / "full", 1, 0, fails=True)
    assert "characters" in up(tmp_path / "a b", 1, 0, fails=True)
    assert "too long" in up(tmp_path / ("x" * 100), 1, 0, fails=True)
    assert "no cluster in" in tool(tmp_path / "full", "down", fails=True)
    assert (tmp_path / "full/file").exists()
