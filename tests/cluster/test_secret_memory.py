"""
What processes keep of a secret. While it exists, nothing but locked memory holds it, on the
managers and on the node of its task; when it has gone, no agent holds it at all, and managers
nowhere but in locked memory, where the raft log is kept until it is cut. Buffers of HTTP, JSON, TLS,
raft and the streams have been overwritten, and no shim ever had it.
"""

import base64
import os
import secrets
import subprocess

import pytest
from memlib import places
from swarmlib import BIN, Cluster, wait_for

if os.geteuid() != 0:
    pytest.skip("needs root: it makes namespaces", allow_module_level=True)
if not (BIN / "shoald").exists():
    pytest.skip(f"{BIN}/shoald is not built", allow_module_level=True)

WINDOW = 24


@pytest.fixture(scope="module")
def swarm():
    cluster = Cluster(3, 1)
    yield cluster
    cluster.down()


def needles(data):
    """
    Pieces from all over it, as it is and as JSON had it; a freed copy may have lost its beginning,
    and one that was cut its end.
    """
    forms = {"raw": data, "base64": base64.b64encode(data)}
    ret = {}
    for name, form in forms.items():
        step = max(1, (len(form) - WINDOW) // 3)
        for at in [*range(0, len(form) - WINDOW, step), len(form) - WINDOW]:
            ret[f"{name} {at}"] = form[at : at + WINDOW]
    return ret


def pid(swarm, node):
    return int((swarm.dir / node / "shoald.pid").read_text())


def shims(swarm):
    """Every shim of the cluster, by the folders that their command lines name."""
    done = subprocess.run(["pgrep", "-f", f"shoal-shim {swarm.dir}/"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)  # fmt: skip
    return [int(one) for one in done.stdout.split()]


def loose(process, data):
    return [p for p in places(process, needles(data)) if not p[2]]


def held(swarm, node, data):
    return [p for p in places(pid(swarm, node), needles(data)) if p[2]]


def wait_tight(swarm, data):
    """What is on its way may be in a buffer for a moment."""
    for node in swarm.nodes:
        try:
            wait_for("it", lambda p=pid(swarm, node): not loose(p, data), 10)
        except AssertionError:
            raise AssertionError(f"{node}: {loose(pid(swarm, node), data)}") from None
    for shim in shims(swarm):
        assert not places(shim, needles(data))


def put(swarm, node, name, data):
    body = {"Name": name, "Data": base64.b64encode(data).decode()}
    return swarm.ask(node, "POST", "/secrets/create", body)["ID"]


def give(swarm, node, name, ident):
    swarm.service(node, name, 1, ContainerSpec={
        "Image": "sample:1", "StopGracePeriod": 1000000000,
        "Secrets": [{"File": {"Name": "x", "UID": "0", "GID": "0", "Mode": 0o400},
                     "SecretID": ident, "SecretName": name}]},
        Placement={"Constraints": ["node.hostname==w1"]})  # fmt: skip
    swarm.wait_running(node, name, 1)


@pytest.mark.parametrize("size", [48, 5000, 300000])
@pytest.mark.parametrize("through", ["leader", "follower"])
def test_only_locked_memory_holds_it_and_nothing_once_it_is_gone(swarm, size, through):
    leader = swarm.leader()
    node = leader if through == "leader" else next(m for m in swarm.managers if m != leader)
    data = secrets.token_bytes(size)
    name = f"s{size}-{through}"
    ident = put(swarm, node, name, data)
    for manager in swarm.managers:
        wait_for(f"the secret on {manager}", lambda m=manager: held(swarm, m, data), 10)
    wait_tight(swarm, data)
    assert not held(swarm, "w1", data), "a node without a task of it has it"

    give(swarm, node, name, ident)
    assert shims(swarm)
    assert held(swarm, "w1", data)
    wait_tight(swarm, data)

    swarm.ask(node, "DELETE", f"/services/{name}")
    swarm.ask(node, "DELETE", f"/secrets/{ident}")
    wait_for("the task's end", lambda: not swarm.get("w1", "/containers/json"), 20)
    wait_for("the worker forgets it", lambda: not held(swarm, "w1", data), 10)
    wait_tight(swarm, data)


def test_a_manager_that_starts_again_reads_it_into_locked_memory(swarm):
    leader = swarm.leader()
    node = next(m for m in swarm.managers if m != leader)
    data = secrets.token_bytes(700)
    put(swarm, leader, "kept", data)
    wait_for("the secret", lambda: held(swarm, node, data), 10)
    swarm.tool("kill", node)
    swarm.tool("start", node)
    wait_for("the secret again", lambda: held(swarm, node, data), 20)
    wait_tight(swarm, data)


def test_a_node_that_becomes_a_manager_gets_it_into_locked_memory(swarm):
    data = secrets.token_bytes(700)
    leader = swarm.leader()
    put(swarm, leader, "passed-on", data)
    assert not held(swarm, "w1", data)
    w1 = next(n for n in swarm.get(leader, "/nodes") if n["Description"]["Hostname"] == "w1")
    spec = {**w1["Spec"], "Role": "manager"}
    swarm.ask(leader, "POST", f"/nodes/{w1['ID']}/update?version={w1['Version']['Index']}", spec)
    wait_for("the secret on the new manager", lambda: held(swarm, "w1", data), 30)
    wait_tight(swarm, data)
