"""
Services scaled by their load whose leader is killed: the next one goes on scaling up, and makes nothing
smaller before a whole window has passed under it.
"""

import datetime
import time

import pytest
from faultlib import FaultCluster, skip_unless_possible
from swarmlib import wait_for

skip_unless_possible()

WINDOW_S = 15
SHOW = ["sh", "-c", "mkdir /www; ln -s /flags/metrics /www/metrics; "
                    "exec busybox httpd -f -p 9100 -h /www"]


@pytest.fixture(scope="module", name="swarm")
def swarm_fixture():
    cluster = FaultCluster(3, 1)
    yield cluster
    cluster.down()


class Web:
    """Each task shows the same number of jobs; 10 of them are what one should have."""

    def __init__(self, swarm, flags):
        self.swarm, self.flags, self.via = swarm, flags, "m1"
        flags.chmod(0o755)
        self.show(10)
        spec = {
            "Name": "web",
            "Labels": {"shoal.autoscale.max": "6", "shoal.autoscale.metric": "jobs",
                       "shoal.autoscale.metric.port": "9100", "shoal.autoscale.metric.target": "10",
                       "shoal.autoscale.window": f"{WINDOW_S}s"},
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": "sample:1", "Command": SHOW, "StopGracePeriod": 1000000000,
                    "Mounts": [{"Type": "bind", "Source": str(flags), "Target": "/flags"}]},
                # What is killed with a leader's daemon would not be known for a while.
                "Placement": {"Constraints": ["node.role==worker"]},
                "RestartPolicy": {"Condition": "any", "Delay": 0}},
            "Mode": {"Replicated": {"Replicas": 2}},
        }
        self.id = swarm.ask("m1", "POST", "/services/create", spec)["ID"]
        swarm.wait_running("m1", self.id, 2)

    def show(self, jobs):
        (self.flags / "new").write_text(f"jobs {jobs}\n")
        (self.flags / "new").rename(self.flags / "metrics")

    def now(self):
        return self.swarm.get(self.via, f"/services/{self.id}")

    def replicas(self):
        return self.now()["Spec"]["Mode"]["Replicated"]["Replicas"]

    def view(self):
        return self.swarm.get(self.via, f"/services/{self.id}/autoscale")

    def gauge(self):
        return self.view()["Gauges"][0]

    def wait_seen(self, jobs, tasks):
        wait_for(f"{jobs} jobs of each of {tasks} tasks",
                 lambda: self.gauge()["Value"] == str(jobs) and self.gauge()["Tasks"] == tasks, 60)

    def kill_leader(self):
        leader = self.swarm.leader()
        self.via = next(m for m in self.swarm.managers if m != leader)
        self.swarm.kill_now(leader)
        return leader

    def back(self, leader):
        self.swarm.wait_ended(leader)
        self.swarm.tool("start", leader)
        wait_for("all managers are reached", self.all_reached, 30)

    def all_reached(self):
        found = [n["ManagerStatus"] for n in self.swarm.get(self.via, "/nodes")
                 if "ManagerStatus" in n]
        return [m["Reachability"] for m in found] == ["reachable"] * len(self.swarm.managers)


@pytest.fixture(name="web", scope="module")
def web_fixture(swarm, tmp_path_factory):
    return Web(swarm, tmp_path_factory.mktemp("flags"))


def decided_at(note):
    """In seconds since the epoch."""
    text = note["DecidedAt"].split(".")[0].rstrip("Z")
    return datetime.datetime.fromisoformat(text).replace(
        tzinfo=datetime.timezone.utc).timestamp()


def test_any_manager_tells_how_it_stands(web):
    web.wait_seen(10, 2)
    for name in web.swarm.managers:
        view = web.swarm.get(name, f"/services/{web.id}/autoscale")
        assert (view["Min"], view["Max"], view["Replicas"]) == (1, 6, 2)


def test_it_grows_under_the_next_leader(web):
    web.wait_seen(10, 2)
    web.show(20)
    leader = web.kill_leader()
    wait_for("it has grown", lambda: web.replicas() == 4, 60)
    note = web.now()["Autoscale"]
    assert note["Reason"] == "jobs is 20 a task, the target 10", note
    web.show(10)
    web.back(leader)
    web.wait_seen(10, 4)
    assert web.replicas() == 4


def test_it_does_not_shrink_before_a_window_of_the_next_leader(web):
    web.wait_seen(10, 4)
    web.show(5)
    wait_for("its window has begun", lambda: web.view().get("Next"), 60)
    # Within it, so that a leader that knew of it would soon decide.
    wait_for("most of it is over", lambda: time.time() + WINDOW_S / 2 > decided_at(
        {"DecidedAt": web.view()["Next"]}), 60)
    assert web.replicas() == 4
    killed = time.time()
    leader = web.kill_leader()
    wait_for("it is smaller", lambda: web.replicas() == 2, 60)
    assert decided_at(web.now()["Autoscale"]) - killed >= WINDOW_S - 1
    web.show(10)
    web.back(leader)
    web.swarm.wait_running(web.via, web.id, 2)
    web.wait_seen(10, 2)
