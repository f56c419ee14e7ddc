"""
Listings of many tasks: what is kept between one task and the next must not get into another's answer,
also beyond what is kept at once (LIMIT_LIST_SPECS).
"""

import sys

import pytest
import test_api_engine
from test_api_engine import TOP

sys.path.insert(0, str(TOP / "bench"))
sys.dont_write_bytecode = True

from engines import Api, wait_until  # noqa: E402

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon

SERVICES, EACH = 1100, 2  # more specifications than are kept


@pytest.fixture(scope="module", name="api")
def api_fixture(daemon):
    daemon.docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr",
                  "127.0.0.1:2377")
    yield Api(daemon.sock)
    daemon.docker("swarm", "leave", "--force")


def test_each_task_has_its_own_specification(api):
    made = {}
    for number in range(SERVICES):
        answer = api.ask("POST", "/services/create", {
            "Name": f"many-{number}", "Mode": {"Replicated": {"Replicas": EACH}},
            "TaskTemplate": {"ContainerSpec": {"Image": "none:1", "Hostname": f"host-{number}"},
                             "Placement": {"Constraints": ["node.labels.here == no"]}}})
        made[answer["ID"]] = f"host-{number}"
    wait_until("all tasks are made",
               lambda: len(api.ask("GET", "/tasks")) == SERVICES * EACH, 0.1)
    tasks = api.ask("GET", "/tasks")
    assert {t["ServiceID"] for t in tasks} == made.keys()
    for task in tasks:
        assert task["Spec"]["ContainerSpec"]["Hostname"] == made[task["ServiceID"]]
    for task in tasks[:: len(tasks) // 7]:
        assert api.ask("GET", f"/tasks/{task['ID']}")["Spec"] == task["Spec"]
