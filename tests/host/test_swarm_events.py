"""
docker events of scope swarm: services, nodes, networks, secrets and configs, with the attributes
and filters that docker has, live and kept.
"""

import json
import subprocess
import time

import pytest
import test_api_engine
from test_api_engine import IMAGE
from test_health import wait_for

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon
name = test_api_engine.name


@pytest.fixture(scope="module", autouse=True)
def swarm(daemon):
    daemon.docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr",
                  "127.0.0.1:2377")
    yield
    daemon.docker("swarm", "leave", "--force")


def kept(daemon, since, until, *filters):
    out = daemon.docker("events", "--since", since, "--until", until, "--format", "{{json .}}",
                        *(x for f in filters for x in ("--filter", f)))
    return [json.loads(line) for line in out.splitlines()]


def short(events):
    return [f"{e['Type']} {e['Action']} {e['Actor']['Attributes'].get('name')}" for e in events]


def test_each_kind_with_its_attributes_and_filters(daemon, name):
    node = daemon.docker("info", "-f", "{{.Swarm.NodeID}}")
    host = daemon.docker("info", "-f", "{{.Name}}")
    # pylint: disable-next=consider-using-with
    live = subprocess.Popen(
        ["docker", "-H", f"unix://{daemon.sock}", "events", "--filter", "scope=swarm", "--filter",
         "type=config", "--format", "{{.Action}} {{.Scope}}"], stdout=subprocess.PIPE, text=True)
    since = f"{time.time():.9f}"
    daemon.docker("tag", IMAGE, "other:1")
    s = daemon.docker("service", "create", "-d", "--no-resolve-image", "--name", name, "--replicas",
                      "1", "--stop-grace-period", "0s", IMAGE, "sleep", "1000")
    daemon.docker("service", "update", "-d", "--no-resolve-image", "--replicas", "2", "--image",
                  "other:1", name)
    wait_for("the update", lambda: daemon.docker(
        "service", "inspect", "-f", "{{.UpdateStatus.State}}", name) == "completed")
    daemon.docker("service", "rm", name)
    for kind in ("secret", "config"):
        daemon.run(kind, "create", name, "-", text="bytes")
        daemon.docker(kind, "rm", name)
    daemon.docker("network", "create", "-d", "overlay", name)
    daemon.docker("network", "rm", name)
    daemon.docker("node", "update", "--availability", "pause", node)
    daemon.docker("node", "update", "--availability", "active", node)
    until = f"{time.time():.9f}"
    found = kept(daemon, since, until, "scope=swarm", f"service={name}")
    assert short(found)[0] == f"service create {name}"
    assert short(found)[-1] == f"service remove {name}"
    update = found[1]["Actor"]["Attributes"]
    assert update["image.old"] == IMAGE and update["image.new"] == "other:1"
    assert (update["replicas.old"], update["replicas.new"]) == ("1", "2")
    states = [e["Actor"]["Attributes"].get("updatestate.new") for e in found]
    assert [x for x in states if x] == ["updating", "completed"]
    assert all(e["Actor"]["ID"] == s and e["scope"] == "swarm" for e in found)
    assert short(kept(daemon, since, until, f"service={s[:8]}")) == short(found)
    assert [e["timeNano"] for e in found] == sorted(e["timeNano"] for e in found)
    for kind in ("secret", "config", "network"):
        want = [f"{kind} create {name}", f"{kind} remove {name}"]
        found = short(kept(daemon, since, until, f"type={kind}", "scope=swarm"))
        assert [e for e in found if " update " not in e] == want # networks are given a subnet
        assert short(kept(daemon, since, until, f"{kind}={name}")) == found
        assert short(kept(daemon, since, until, f"type={kind}", "event=remove")) == want[1:]
    found = kept(daemon, since, until, f"node={host}")
    changes = [(e["Actor"]["Attributes"].get("availability.old"),
                e["Actor"]["Attributes"].get("availability.new")) for e in found]
    assert [c for c in changes if c[0]] == [("active", "pause"), ("pause", "active")]
    assert kept(daemon, since, until, "type=node", "scope=local") == []
    # What came later is not shown, and what came before neither.
    middle = f"{found[0]['timeNano'] / 1e9:.9f}"
    assert all(e["Type"] == "node" for e in kept(daemon, middle, until, "scope=swarm"))
    assert not kept(daemon, since, since, "scope=swarm")
    assert [live.stdout.readline() for _ in range(2)] == ["create swarm\n", "remove swarm\n"]
    live.kill()
    live.wait()


def test_a_restart_tells_nothing_again(daemon, name):
    daemon.run("secret", "create", name, "-", text="bytes")
    daemon.stop()
    daemon.start()
    wait_for("the swarm", lambda: daemon.run("secret", "ls").returncode == 0)
    since = str(time.time() - 3600)
    daemon.docker("secret", "rm", name)
    found = short(kept(daemon, since, f"{time.time():.9f}", "scope=swarm", "type=secret"))
    assert found == [f"secret remove {name}"]
