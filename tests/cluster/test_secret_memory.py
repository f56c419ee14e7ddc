"""
What the daemons keep of a secret: after it was created, and after a task has got it, nothing but
locked memory holds it, on the managers and on the worker. Buffers of HTTP, JSON, TLS, raft and the
streams have been overwritten.
"""

import base64
import os
import secrets

import pytest
from memlib import places
from swarmlib import BIN, Cluster, wait_for

if os.geteuid() != 0:
    pytest.skip("needs root: it makes namespaces", allow_module_level=True)
if not (BIN / "shoald").exists():
    pytest.skip(f"{BIN}/shoald is not built", allow_module_level=True)


@pytest.fixture(scope="module")
def swarm():
    cluster = Cluster(3, 1)
    yield cluster
    cluster.down()


def needles(data):
    """Its beginning and its end, since a freed piece loses the beginning, and as JSON had it."""
    text = base64.b64encode(data)
    return {"begin": data[:24], "end": data[-24:], "base64": text[4:36], "base64 end": text[-36:-4]}


def pid(swarm, node):
    return int((swarm.dir / node / "shoald.pid").read_text())


def loose(swarm, node, data):
    return [p for p in places(pid(swarm, node), needles(data)) if not p[2]]


def held(swarm, node, data):
    return [p for p in places(pid(swarm, node), needles(data)) if p[2]]


def wait_tight(swarm, node, data):
    """What is on its way may be in a buffer for a moment."""
    wait_for(f"nothing of it in ordinary memory of {node}: {loose(swarm, node, data)}",
             lambda: not loose(swarm, node, data), 10)


@pytest.mark.parametrize("size", [48, 5000, 300000])
@pytest.mark.parametrize("through", ["leader", "follower"])
def test_only_locked_memory_holds_it(swarm, size, through):
    leader = swarm.leader()
    node = leader if through == "leader" else next(m for m in swarm.managers if m != leader)
    data = secrets.token_bytes(size)
    name = f"s{size}-{through}"
    ident = swarm.ask(node, "POST", "/secrets/create",
                      {"Name": name, "Data": base64.b64encode(data).decode()})["ID"]
    for manager in swarm.managers:
        wait_for(f"the secret on {manager}", lambda: held(swarm, manager, data), 10)
        wait_tight(swarm, manager, data)
    assert not places(pid(swarm, "w1"), needles(data))
    swarm.service(node, name, 1, ContainerSpec={
        "Image": "sample:1", "StopGracePeriod": 1000000000,
        "Secrets": [{"File": {"Name": "x", "UID": "0", "GID": "0", "Mode": 0o400},
                     "SecretID": ident, "SecretName": name}]},
        Placement={"Constraints": ["node.hostname==w1"]})
    swarm.wait_running(node, name, 1)
    assert held(swarm, "w1", data)
    for each in swarm.nodes:
        wait_tight(swarm, each, data)
    swarm.ask(node, "DELETE", f"/services/{name}")


def test_a_manager_that_starts_again_has_it_in_locked_memory(swarm):
    leader = swarm.leader()
    node = next(m for m in swarm.managers if m != leader)
    data = secrets.token_bytes(700)
    swarm.ask(leader, "POST", "/secrets/create",
              {"Name": "kept", "Data": base64.b64encode(data).decode()})
    wait_for("the secret", lambda: held(swarm, node, data), 10)
    swarm.tool("kill", node)
    swarm.tool("start", node)
    wait_for("the secret again", lambda: held(swarm, node, data), 20)
    wait_tight(swarm, node, data)
