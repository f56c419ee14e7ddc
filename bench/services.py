"""
Measures of services in numbers: scaled up and down, removed, replaced, listed. Containers end at
their signal, so that no grace is waited for.
"""

import statistics
import time

from engines import wait_until
from measures import (FIGURES, NAMES, POLL_MANY_S, POLL_S, create_running, measure, since_ms)

FEW, MANY = 10, 100
AT_ONCE = {"StopSignal": "SIGKILL"}
NOWHERE = {"Constraints": ["node.labels.bench == nowhere"]}
LISTED, BRIEF_LISTED, TASKS_EACH = 1000, 20, 10

FIGURES.update({
    "scale_up": ("ms", statistics.median),
    "scale_down": ("ms", statistics.median),
    "remove_100": ("ms", statistics.median),
    "replacement": ("ms", statistics.median),
    "services_list": ("ms", statistics.median),
    "tasks_list": ("ms", statistics.median),
})


def set_replicas(api, service, replicas):
    now = api.ask("GET", f"/services/{service}")
    now["Spec"]["Mode"]["Replicated"]["Replicas"] = replicas
    api.ask("POST", f"/services/{service}/update?version={now['Version']['Index']}", now["Spec"])


def wait_ended(api, service):
    """None of its tasks is left, and no container runs: the one does not always follow the other."""
    wait_until("the tasks are gone", lambda: not api.tasks(service), POLL_MANY_S)
    wait_until("the containers have ended", lambda: not api.ask("GET", "/containers/json"),
               POLL_MANY_S)


@measure(hosts=0, rounds=5)
def scale(target):
    """a service of 10 tasks is scaled to 100, and to none"""
    api = target.api
    made = create_running(api, target.image, FEW, AT_ONCE)
    try:
        while True:
            start = time.perf_counter()
            set_replicas(api, made, MANY)
            wait_until("100 tasks run", lambda: api.is_running(made, MANY), POLL_MANY_S)
            up = since_ms(start)
            target.wait_calm()
            start = time.perf_counter()
            set_replicas(api, made, 0)
            wait_ended(api, made)
            down = since_ms(start)
            set_replicas(api, made, FEW)
            wait_until("10 tasks run", lambda: api.is_running(made, FEW), POLL_MANY_S)
            yield {"scale_up": up, "scale_down": down}
    finally:
        api.remove(made)


@measure(hosts=0, rounds=5)
def removal(target):
    """a service of 100 tasks is removed, until no task and no container of it is there"""
    while True:
        made = create_running(target.api, target.image, MANY, AT_ONCE)
        target.wait_calm()
        start = time.perf_counter()
        target.api.remove(made)
        yield {"remove_100": since_ms(start)}


@measure(hosts=0, rounds=20)
def replacement(target):
    """a task's container is killed, until the task in its place runs (without a restart delay)"""
    api = target.api
    made = create_running(api, target.image, 1, AT_ONCE,
                          RestartPolicy={"Condition": "any", "Delay": 0})

    def runs():
        return [t for t in api.tasks(made) if t["Status"]["State"] == "running"]

    try:
        while True:
            old = runs()[0]
            container = old["Status"]["ContainerStatus"]["ContainerID"]
            start = time.perf_counter()
            api.ask("POST", f"/containers/{container}/kill")
            wait_until("another task runs", lambda: [t for t in runs() if t["ID"] != old["ID"]],
                       POLL_S)
            yield {"replacement": since_ms(start)}
    finally:
        api.remove(made)


@measure(hosts=0, rounds=1)
def lists(target):
    """1,000 services and their 10,000 tasks are listed (bench_lists)"""
    api, count = target.api, BRIEF_LISTED if target.brief else LISTED
    made = [api.service(next(NAMES), target.image, TASKS_EACH, Placement=NOWHERE)
            for _ in range(count)]
    try:
        wait_until("the tasks are there", lambda: len(api.ask("GET", "/tasks")) ==
                   count * TASKS_EACH, POLL_MANY_S)
        while True:
            target.wait_calm()
            yield {name: value for name, value, _ in
                   target.program("bench_lists", *(["3"] if target.brief else []))}
    finally:
        for service in made:
            api.ask("DELETE", f"/services/{service}")
        wait_until("the tasks are gone", lambda: not api.ask("GET", "/tasks"), POLL_MANY_S)
