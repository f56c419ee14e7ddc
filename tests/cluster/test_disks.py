"""
The disk under the managers' logs is full, or fails, or its content is damaged: writes are refused with the
reason and go on when there is room; a daemon whose disk fails ends at once and says which disk; a manager
whose log cannot be read stays off and says why. Containers live on, and nothing that was answered is lost.
Each manager has a small file system of its own under DATA-ROOT/swarm.
"""

import os

import pytest
from faultlib import FaultCluster, preload, skip_unless_possible
from swarmlib import IMAGE, Refused, wait_for

skip_unless_possible()

DISK_MB = 192
CALLS = ("pwritev", "fsync", "fallocate", "ftruncate", "rename")
BIG = 500000  # bytes of a write that soon fills the log's files that were made ahead


class DiskCluster(FaultCluster):
    """Managers only, each with a small disk of its own under its part of the swarm."""

    def __init__(self, managers):
        super().__init__(managers, 0, formed=False)
        try:
            for node in self.nodes:
                self.inside(node, "mkdir", "-m", "700", self.disk(node))
                size = f"size={DISK_MB}m,mode=700"
                self.inside(node, "mount", "-t", "tmpfs", "-o", size, "tmpfs", self.disk(node))
            self.form()
        except BaseException:
            self.down()
            raise

    def disk(self, node):
        return str(self.dir / node / "data/swarm")

    def form(self):
        where = {m: f"10.200.0.{m[1:]}:2377" for m in self.managers}
        place = lambda m: {"ListenAddr": where[m], "AdvertiseAddr": where[m]}
        self.ask("m1", "POST", "/swarm/init", place("m1"))
        token = self.get("m1", "/swarm")["JoinTokens"]["Manager"]
        for node in self.managers[1:]:
            join = {"RemoteAddrs": [where["m1"]], "JoinToken": token, **place(node)}
            self.ask(node, "POST", "/swarm/join", join)
        wait_for("all managers vote", lambda: len(self.voters()) == len(self.managers))

    def voters(self):
        reached = [n["ManagerStatus"]["Reachability"] for n in self.get("m1", "/nodes")]
        return [r for r in reached if r == "reachable"]

    def fill(self, node):
        """Until nothing more fits; dd's failure is the wish."""
        self.inside(node, "dd", "if=/dev/zero", f"of={self.disk(node)}/filler", "bs=64k", check=False)
        free = self.inside(node, "df", "--output=avail", self.disk(node)).split()[-1]
        assert int(free) < 100, free

    def make_room(self, node):
        self.inside(node, "rm", "-f", f"{self.disk(node)}/filler")

    def write_big(self, node, name):
        spec = {
            "Name": name,
            "TaskTemplate": {"ContainerSpec": {"Image": IMAGE, "Env": [f"FILL={'x' * BIG}"]}},
            "Mode": {"Replicated": {"Replicas": 0}},
        }
        self.ask(node, "POST", "/services/create", spec)

    def remove_all(self):
        """Returns what was still there."""
        via = self.leader()
        found = self.names(via)
        for name in found:
            self.ask(via, "DELETE", f"/services/{name}")
        return sorted(found)

    def names(self, node):
        return {s["Spec"]["Name"] for s in self.get(node, "/services")}


@pytest.fixture(scope="module", name="lone")
def lone_fixture():
    cluster = DiskCluster(1)
    yield cluster
    cluster.down()


@pytest.fixture(scope="module", name="three")
def three_fixture():
    cluster = DiskCluster(3)
    yield cluster
    cluster.down()


@pytest.fixture(autouse=True)
def room_again(request):
    """Each test begins with room on every disk, all daemons up, and small objects only."""
    yield
    for name in {"lone", "three"} & set(request.fixturenames):
        swarm = request.getfixturevalue(name)
        for node in swarm.nodes:
            swarm.make_room(node)
            swarm.environment(node)
            if not swarm.daemon(node):
                swarm.tool("start", node)
        wait_for("no services", lambda swarm=swarm: swarm.remove_all() == [], 30)


def write_until_refused(swarm, node, prefix):
    """
    Writes until one is refused with 503: the names that were accepted, and the refusal. Some pass, as
    the log's next files have been made ahead.
    """
    accepted = []
    refusals = []

    def refused():
        try:
            swarm.write_big(node, f"{prefix}-{len(accepted)}")
        except Refused as error:
            assert error.status == 503, error
            refusals.append(error)
            return True
        accepted.append(f"{prefix}-{len(accepted)}")
        return False

    wait_for("a full disk refuses", refused, 20, every=0)
    return set(accepted), refusals[0]


def write_again(swarm, node, name):
    wait_for(f"{node} accepts writes again", lambda: swarm.service(node, name, 0), 20)


def test_a_full_disk_refuses_writes_and_goes_on_when_there_is_room(lone):
    service = lone.service("m1", "steady", 3)
    lone.wait_running("m1", service, 3)
    before = lone.running("m1", service)
    lone.fill("m1")
    accepted, refusal = write_until_refused(lone, "m1", "full")
    assert "disk" in refusal.message and "full" in refusal.message, refusal
    assert lone.names("m1") == accepted | {"steady"}, "reads go on"
    wait_for("the log says so", lambda: f"{lone.disk('m1')}/raft is full" in lone.log("m1"), 5)
    lone.make_room("m1")
    write_again(lone, "m1", "roomy")
    lone.kill_now("m1")
    lone.wait_ended("m1")
    lone.tool("start", "m1")
    wait_for("all that was answered", lambda: lone.names("m1") == accepted | {"steady", "roomy"})
    wait_for("the same tasks", lambda: lone.running("m1", service) == before)


def test_a_manager_that_starts_on_a_full_disk_goes_on_when_there_is_room(lone):
    """It cannot lead before it can write, as a new leader first writes an entry of its own."""
    service = lone.service("m1", "steady", 2)
    lone.wait_running("m1", service, 2)
    before = lone.running("m1", service)
    lone.fill("m1")
    accepted, _ = write_until_refused(lone, "m1", "before")
    lone.kill_now("m1")
    lone.wait_ended("m1")
    said = len(lone.log("m1"))
    lone.fill("m1")
    lone.tool("start", "m1")
    full = f"{lone.disk('m1')}/raft is full"
    wait_for("the log says so", lambda: full in lone.log("m1")[said:], 5)
    with pytest.raises(Refused) as refusal:
        lone.names("m1")
    assert refusal.value.status == 503
    assert len(lone.held("m1", service)) == 2, "the engine works"
    lone.make_room("m1")
    wait_for("all that was answered", lambda: lone.names("m1") == accepted | {"steady"})
    write_again(lone, "m1", "room-again")
    wait_for("the same tasks", lambda: lone.running("m1", service) == before)


@pytest.mark.parametrize("call", CALLS)
def test_a_failing_disk_ends_the_daemon_which_names_it(lone, call):
    armed = lone.base / "armed"
    service = lone.service("m1", f"on-{call}", 2)
    lone.wait_running("m1", service, 2)
    before = lone.running("m1", service)
    restart(lone, "m1", call)
    wait_for("the same tasks", lambda: lone.running("m1", service) == before)
    kept = lone.names("m1")
    said = len(lone.log("m1"))
    armed.write_text(call)
    try:
        tried = write_until_ended(lone, call)
    finally:
        armed.unlink()
    assert names_its_disk(lone, "m1", said), lone.log("m1")[said:]
    assert all(os.path.exists(f"/proc/{pid}") for pid, _ in before.values())
    lone.tool("start", "m1")
    # What was under way when the disk failed may be there or not: nobody has answered for it.
    wait_for("all that was answered", lambda: kept <= lone.names("m1"))
    assert tried["answered"] <= lone.names("m1") <= kept | tried["answered"] | tried["open"]
    wait_for("the same tasks", lambda: lone.running("m1", service) == before)
    lone.assert_none_doubled("m1", service, 2)


def restart(swarm, node, call=None):
    """Starts the daemon again over a disk that fails as soon as that call is armed."""
    if call:
        library = preload(swarm.preloads, "disk_shim.c")
        fault = {"FAULT_DIR": f"{swarm.disk(node)}/raft", "FAULT_ARMED": swarm.base / "armed"}
        swarm.environment(node, LD_PRELOAD=library, **fault)
    swarm.kill_now(node)
    swarm.wait_ended(node)
    swarm.tool("start", node)
    swarm.environment(node)
    swarm.leader()


def names_its_disk(swarm, node, since):
    """Whether the last words of a daemon are of its disk."""
    last = swarm.log(node)[since:].splitlines()[-1]
    return f"{swarm.disk(node)}/raft" in last and "shoald ends, containers stay" in last


def write_until_ended(swarm, prefix):
    """
    Writes, big enough that new files of the log are needed soon, until the daemon has ended.
    """
    tried = {"answered": set(), "open": set()}

    def ended():
        if swarm.daemon("m1") is None:
            return True
        name = f"{prefix}-{len(tried['answered'])}-{len(tried['open'])}"
        tried["open"].add(name)
        swarm.write_big("m1", name)
        tried["open"].remove(name)
        tried["answered"].add(name)
        return False

    wait_for("the daemon ends", ended, 20, every=0.01)
    return tried


def test_a_log_that_cannot_be_read_keeps_the_manager_off(lone):
    service = lone.service("m1", "unread", 2)
    lone.wait_running("m1", service, 2)
    before = lone.running("m1", service)
    kept = lone.names("m1")
    lone.kill_now("m1")
    lone.wait_ended("m1")
    disk = lone.disk("m1")
    copy = str(lone.base / "copy")  # on a disk with room for it
    lone.inside("m1", "cp", "-a", f"{disk}/raft", copy)
    # The first bytes of a file of the log say of which form it is.
    damage = f'for f in {disk}/raft/*-*; do printf "\\377\\377\\377\\377" |'
    damage += ' dd of="$f" bs=1 seek=16 conv=notrunc status=none; done'
    lone.inside("m1", "sh", "-c", damage)
    lone.tool("start", "m1")
    info = lone.get("m1", "/info")["Swarm"]
    assert f"{disk}/raft" in info["Error"], info
    assert not info["ControlAvailable"]
    assert f"this node's manager stays off: {info['Error']}"[:60] in lone.log("m1")
    assert {c["Id"] for c in lone.containers("m1")}, "the engine works"
    assert all(os.path.exists(f"/proc/{pid}") for pid, _ in before.values())
    with pytest.raises(Refused) as refusal:
        lone.get("m1", "/services")
    assert refusal.value.status == 503
    lone.kill_now("m1")
    lone.wait_ended("m1")
    lone.inside("m1", "rm", "-rf", f"{disk}/raft")
    lone.inside("m1", "cp", "-a", copy, f"{disk}/raft")
    lone.tool("start", "m1")
    wait_for("all is there", lambda: lone.names("m1") == kept)
    wait_for("the same tasks", lambda: lone.running("m1", service) == before)


def test_one_full_disk_of_three_does_not_stop_the_swarm(three):
    follower = next(m for m in three.managers if m != three.leader())
    three.fill(follower)
    for i in range(20):
        write_again(three, three.leader(), f"two-{i}")
    three.make_room(follower)
    wanted = {f"two-{i}" for i in range(20)}
    wait_for("the full one has all", lambda: wanted <= three.names(follower))


def test_a_vote_that_cannot_be_stored_ends_the_daemon(three):
    before = three.names("m1")
    leader = three.leader()
    broken, other = [m for m in three.managers if m != leader]
    restart(three, broken, "write")
    assert three.leader() == leader
    said = len(three.log(broken))
    armed = three.base / "armed"
    armed.write_text("write")
    try:
        three.kill_now(leader)
        three.wait_ended(broken)
    finally:
        armed.unlink()
    assert names_its_disk(three, broken, said), three.log(broken)[said:]
    wait_for("one of three refuses", lambda: refuses(three, other))
    three.tool("start", leader, broken)
    for node in three.managers:
        wait_for("a swarm again", lambda node=node: three.names(node) == before)
    write_again(three, broken, "voted")


def refuses(swarm, node):
    try:
        swarm.get(node, "/services")
    except Refused as refusal:
        return refusal.status == 503
    return False


def test_full_disks_of_a_majority_refuse_and_lose_nothing(three):
    before = three.names("m1")
    leader = three.leader()
    full = [m for m in three.managers if m != leader]
    for node in full:
        three.fill(node)
    accepted, refusal = write_until_refused(three, leader, "majority")
    assert "full" in refusal.message, refusal
    for node in full:
        three.make_room(node)
    write_again(three, leader, "after")
    for node in three.managers:
        wait_for(
            f"{node} has all that was answered, and no more",
            lambda node=node: three.names(node) == before | accepted | {"after"},
        )
