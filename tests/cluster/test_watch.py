"""
GET /watch on a real swarm: what was listed and the changes since then make what is there, at every
manager, while services change at random and the leader dies; a follower goes on at another manager
with the version where it stopped, without a gap and with nothing twice.
"""

import http.client
import json
import os
import random
import socket
import subprocess
import threading

import pytest
from swarmlib import BIN, Cluster, Connection, Refused, wait_for

if os.geteuid() != 0:
    pytest.skip("needs root: it makes namespaces", allow_module_level=True)
if not (BIN / "shoald").exists():
    pytest.skip(f"{BIN}/shoald is not built", allow_module_level=True)

KINDS = {"service": "/services", "task": "/tasks", "node": "/nodes", "network": "/networks",
         "secret": "/secrets", "config": "/configs"}


@pytest.fixture(scope="module")
def swarm():
    cluster = Cluster(3, 1)
    yield cluster
    cluster.down()


def listed(swarm, manager, path):
    c = Connection(swarm.socket(manager), 20)
    try:
        c.request("GET", "/v1.47" + path)
        r = c.getresponse()
        body = json.loads(r.read())
        if r.status >= 400:
            raise Refused(r.status, body["message"])
        return body, int(r.headers["X-Shoal-Version"])
    finally:
        c.close()


def shown(kind, o):
    """What of an object is compared: all that is stored of it and its own."""
    if kind == "network":
        return (o["Name"], json.dumps(o["Labels"], sort_keys=True))
    return (o["Version"]["Index"],)


def everything(swarm, manager):
    """{(kind, id): what is compared} and the version, of one moment."""
    while True:
        found, versions = {}, set()
        for kind, path in KINDS.items():
            objects, version = listed(swarm, manager, path)
            versions.add(version)
            for o in objects:
                if kind != "network" or o["Scope"] == "swarm":
                    found[(kind, o.get("ID") or o["Id"])] = shown(kind, o)
        if len(versions) == 1:
            return found, versions.pop()


class Follower(threading.Thread):
    """Keeps a copy of the state, at whichever manager it finds; each line is checked."""

    def __init__(self, swarm):
        super().__init__(daemon=True)
        self.swarm = swarm
        self.state, self.version = everything(swarm, "m1")
        self.seen = (self.version, True)
        self.manager = "m1"
        self.resumed = 0
        self.lines = 0
        self.problem = None
        self.stopped = False
        self.stream = None
        self.start()

    def run(self):
        while not self.stopped and not self.problem:
            try:
                self.follow()
            except (OSError, http.client.HTTPException, ValueError):
                pass
            except AssertionError as e:
                self.problem = e
            self.manager = random.choice(self.swarm.managers)
            self.resumed += 1

    def follow(self):
        c = Connection(self.swarm.socket(self.manager), 60)
        c.request("GET", f"/v1.47/watch?from={self.version}")
        r = c.getresponse()
        if r.status != 200:
            text = r.read()
            assert r.status == 503, (r.status, text)
            return
        self.stream = c.sock
        self.seen = (self.version, True)
        pending = []
        for line in r:
            m = json.loads(line)
            if m["action"] in ("progress", "error"):
                self.version = m["version"]
                assert m["action"] == "progress" or "from version" in m["error"], m
                continue
            last_version, was_last = self.seen
            assert m["version"] > last_version if was_last else m["version"] == last_version, m
            self.seen = (m["version"], m["last"])
            pending.append(m)
            if m["last"]: # a version is taken whole
                for x in pending:
                    self.take(x)
                pending = []
                self.version = m["version"]

    def take(self, m):
        key = (m["kind"], m["id"])
        self.lines += 1
        assert (key in self.state) == (m["action"] != "create"), m
        if m["action"] == "remove":
            del self.state[key]
        else:
            self.state[key] = shown(m["kind"], m["object"])

    def cut(self):
        try:
            self.stream.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass

    def end(self):
        self.stopped = True
        self.cut()
        self.join(30)


def tried(f, *args):
    try:
        return f(*args)
    except (OSError, http.client.HTTPException, Refused):
        return None


def change(swarm, made, n):
    swarm.leader()
    m = swarm.alive_manager()
    kind = random.choice(["service", "service", "scale", "scale", "scale", "remove", "secret",
                          "config", "network"])
    if kind == "service":
        if s := tried(swarm.service, m, f"s{n}", random.randrange(4)):
            made["services"].append(s)
    elif kind == "scale" and made["services"]:
        tried(swarm.scale, m, random.choice(made["services"]), random.randrange(6))
    elif kind == "remove" and made["services"]:
        tried(swarm.ask, m, "DELETE", f"/services/{made['services'].pop(0)}")
    elif kind in ("secret", "config"):
        tried(swarm.ask, m, "POST", f"/{kind}s/create", {"Name": f"x{n}", "Data": "aGlkZGVuLXdvcmQ="})
    elif kind == "network":
        if r := tried(swarm.ask, m, "POST", "/networks/create", {"Name": f"n{n}", "Driver": "overlay"}):
            tried(swarm.ask, m, "DELETE", f"/networks/{r['Id']}")


def test_list_and_watch_is_the_state_while_leaders_die(swarm):
    random.seed(4)
    followers = [Follower(swarm) for _ in range(3)]
    made = {"services": []}
    try:
        for n in range(120):
            change(swarm, made, n)
            if n % 10 == 5:
                followers[n % 3].cut()
            if n in (30, 70):
                killed = swarm.leader()
                swarm.tool("kill", killed)
            if n in (50, 90):
                swarm.tool("start", killed)
        leader = swarm.leader()
        for s in swarm.get(leader, "/services"): # also those whose outcome was unknown
            swarm.ask(leader, "DELETE", f"/services/{s['ID']}")
        wait_for("no tasks", lambda: not swarm.get(swarm.alive_manager(), "/tasks"), 60)
        for manager in swarm.managers:
            wait_for("it is back", lambda m=manager: len(swarm.get(m, "/nodes")) == 4, 60)

        def all_know():
            for f in followers:
                assert not f.problem, f.problem
            states = [everything(swarm, m) for m in swarm.managers]
            return all(s == states[0] for s in states) and all(
                f.state == states[0][0] for f in followers)
        wait_for("all know the same", all_know, 60, 0.5)
        assert all(f.resumed > 3 and f.lines > 300 for f in followers), [
            (f.resumed, f.lines) for f in followers]
    finally:
        for f in followers:
            f.end()


def test_what_is_refused(swarm):
    version = listed(swarm, "m1", "/services")[1]
    for query, status, words in [("from=nix", 400, "X-Shoal-Version"), ("from=", 400, "invalid"),
                                 (f"from={version + 100000}", 400, "not reached"),
                                 ("filters=%7B%22colour%22%3A%5B%22x%22%5D%7D", 400, "invalid filter"),
                                 ("filters=%7B%22kind%22%3A%5B%22cluster%22%5D%7D", 400, "kind=cluster")]:
        with pytest.raises(Refused) as e:
            swarm.get("m1", f"/watch?{query}")
        assert e.value.status == status and words in e.value.message, (query, e.value)
    with pytest.raises(Refused) as e:
        swarm.get("w1", "/watch")
    assert e.value.status == 503
    r = subprocess.run([BIN / "shoal", "-H", f"unix://{swarm.socket('m1')}", "watch", "--from", "nix"],
                       capture_output=True, text=True, timeout=20, check=False)
    assert r.returncode == 1 and "invalid version" in r.stderr


def test_the_command(swarm):
    version = listed(swarm, "m1", "/secrets")[1]
    # pylint: disable-next=consider-using-with
    p = subprocess.Popen([BIN / "shoal", "-H", f"unix://{swarm.socket('m2')}", "watch", "--from",
                          str(version), "--filter", "kind=secret", "--filter", "action=create"],
                         stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(p.stdout.readline()) == {"version": version, "action": "progress"}
        made = swarm.ask("m1", "POST", "/secrets/create", {"Name": "seen", "Data": "aGlkZGVuLXdvcmQ="})
        text = p.stdout.readline()
        line = json.loads(text)
        assert (line["kind"], line["action"], line["id"], line["last"]) == (
            "secret", "create", made["ID"], True)
        assert line["object"]["Spec"]["Name"] == "seen" and "aGlkZGVu" not in text
    finally:
        p.kill()
        p.wait()


def test_a_slow_reader_is_told_from_where_to_go_on(swarm):
    """It reads nothing while more happens than is remembered."""
    c = Connection(swarm.socket("m1"), 60)
    c.request("GET", "/v1.47/watch")
    answer = c.getresponse()
    begun = json.loads(answer.readline())["version"]
    big = {f"k{i}": "v" * 20000 for i in range(20)}
    service = swarm.service("m1", "talk", 0)
    for i in range(60):
        now = swarm.get("m1", f"/services/{service}")
        spec = now["Spec"] | {"Labels": big | {"i": str(i)}}
        swarm.ask("m1", "POST", f"/services/{service}/update?version={now['Version']['Index']}", spec)
    lines = [json.loads(line) for line in answer]
    assert lines[-1]["action"] == "error" and "watch from version" in lines[-1]["error"]
    assert begun < lines[-1]["version"]
    whole = [x["version"] for x in lines[:-1] if x.get("last")]
    assert lines[-1]["version"] == whole[-1]
    # One that begins where this one began is refused; one that lists again is not.
    with pytest.raises(Refused) as e:
        swarm.get("m1", f"/watch?from={begun}")
    assert e.value.status == 410 and "list again" in e.value.message
    swarm.ask("m1", "DELETE", f"/services/{service}")
