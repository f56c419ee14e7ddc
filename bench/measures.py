"""
What is measured of an engine, one generator a measure: it yields the figures of a round, as often as
it is asked, and tidies up when it is closed. Knows engines by their API and their processes only, so
that Shoal and its peer are measured by the same steps.
"""

import itertools
import os
import re
import statistics
import threading
import time
from pathlib import Path

from engines import Refused, wait_until

POLL_S = 0.001  # between two looks at a task that is about to run,
POLL_MANY_S = 0.02  # and at many, whose listing costs the engine itself
REFUSED_S = 0.005  # before a writer that was refused asks again
NAMES = (f"bench-{os.getpid()}-{i}" for i in itertools.count())

MEASURES = {}


class Measure:
    """
    How a measure is taken: `hosts` managers of its own (0: a socket of the API is enough), `alone`
    where the peer has nothing of the kind.
    """

    def __init__(self, function, hosts, rounds, alone):
        self.function, self.hosts, self.rounds, self.alone = function, hosts, rounds, alone
        self.help = function.__doc__


def measure(hosts, rounds, alone=False):
    def add(function):
        MEASURES[function.__name__] = Measure(function, hosts, rounds, alone)
        return function
    return add


def p99(samples):
    """The sample that at most one in a hundred passes: of fewer, the largest."""
    return sorted(samples)[max(0, -(-len(samples) * 99 // 100) - 1)]


# Figure -> (unit, how the samples of its rounds become one)
FIGURES = {
    "idle_memory": ("MB", statistics.median),
    "shim_memory": ("KB", statistics.median),
    "service_create": ("ms", statistics.median),
    "service_running": ("ms", statistics.median),
    "hundred_running": ("ms", statistics.median),
    "update_of_20": ("ms", statistics.median),
    "services_created": ("services/s", statistics.median),
    "start": ("ms", statistics.median),
    "start_with_50": ("ms", statistics.median),
    "version": ("ms", statistics.median),
    "container_bridge": ("ms", statistics.median),
    "container_none": ("ms", statistics.median),
    "containers_by_16": ("containers/s", statistics.median),
    "exec": ("ms", statistics.median),
    "failover_write": ("ms", statistics.median),
    "failover_write_p99": ("ms", p99),
    "failover_running": ("ms", statistics.median),
    "failover_running_p99": ("ms", p99),
}


def since_ms(start):
    return (time.perf_counter() - start) * 1000


def create_running(api, image, replicas, container=None, **task):
    """A new service, once all of its tasks run."""
    made = api.service(next(NAMES), image, replicas, container, **task)
    wait_until(f"{replicas} tasks run", lambda: api.is_running(made, replicas),
               POLL_S if replicas == 1 else POLL_MANY_S)
    return made


# Memory


def status_kb(pid, file, *fields):
    text = Path(f"/proc/{pid}/{file}").read_text()
    return sum(int(re.search(rf"^{field}:\s*(\d+)", text, re.M).group(1)) for field in fields)


@measure(hosts=1, rounds=1)
def idle(target):
    """resident memory of the daemon (with its containerd, where it has one), one node, idle"""
    hosts, node = target.hosts, target.hosts.nodes[0]
    pids = hosts.processes(node, hosts.daemon) + hosts.processes(node, "containerd")
    while True:
        yield {"idle_memory": sum(status_kb(pid, "status", "VmRSS") for pid in pids) / 1000}


@measure(hosts=1, rounds=1)
def shim(target):
    """private memory of what stands between daemon and container, the median of ten"""
    made = create_running(target.api, target.image, 10)
    shims = [pid for name in ("shoal-shim", "containerd-shim-runc-v2")
             for pid in target.hosts.processes(target.hosts.nodes[0], name)]
    assert len(shims) == 10, shims
    try:
        while True:
            yield {"shim_memory": statistics.median(
                status_kb(pid, "smaps_rollup", "Private_Clean", "Private_Dirty")
                for pid in shims)}
    finally:
        target.api.remove(made)


# Services


@measure(hosts=0, rounds=30)
def service(target):
    """a service is created, and its one task runs"""
    while True:
        start = time.perf_counter()
        made = target.api.service(next(NAMES), target.image, 1)
        created = since_ms(start)
        wait_until("the task runs", lambda: target.api.is_running(made, 1), POLL_S)
        running = since_ms(start)
        target.api.remove(made)
        yield {"service_create": created, "service_running": running}


@measure(hosts=0, rounds=5)
def hundred(target):
    """a service of 100 tasks is created, and all of them run"""
    while True:
        start = time.perf_counter()
        made = create_running(target.api, target.image, 100)
        running = since_ms(start)
        target.api.remove(made)
        yield {"hundred_running": running}


@measure(hosts=0, rounds=5)
def update(target):
    """20 tasks are replaced, 4 at a time, without a delay and as good as not watched"""
    # Containers that end at their signal: no grace is waited for.
    made = target.api.service(
        next(NAMES), target.image, 20, {"StopSignal": "SIGKILL"},
        {"Parallelism": 4, "Delay": 0, "Monitor": 1, "Order": "stop-first"})
    wait_until("20 tasks run", lambda: target.api.is_running(made, 20), POLL_MANY_S)
    try:
        while True:
            start = time.perf_counter()
            target.api.update(made)
            yield {"update_of_20": since_ms(start)}
    finally:
        target.api.remove(made)


# Starting


def start_ms(target):
    """From a killed daemon's new start until it says that it is ready, and answers one _ping."""
    node = target.hosts.nodes[0]
    target.hosts.kill(node)
    target.wait_calm()
    start = time.perf_counter()
    node.start()
    return since_ms(start)


@measure(hosts=1, rounds=10)
def start(target):
    """a killed daemon is started, until its first _ping"""
    while True:
        taken = start_ms(target)
        wait_until("the swarm answers", lambda: target.api.ask("GET", "/nodes"))
        yield {"start": taken}


@measure(hosts=1, rounds=10)
def start50(target):
    """the same with 50 running containers"""
    made = create_running(target.api, target.image, 50)
    try:
        while True:
            taken = start_ms(target)
            wait_until("50 tasks run", lambda: target.api.is_running(made, 50), POLL_MANY_S)
            yield {"start_with_50": taken}
    finally:
        target.api.remove(made)


@measure(hosts=0, rounds=50)
def version(target):
    """the command line says its version"""
    quiet = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    while True:
        begin = time.perf_counter()
        process = os.posix_spawn(target.cli, [target.cli, "--version"], os.environ,
                                 file_actions=quiet)
        status = os.waitpid(process, 0)[1]
        assert status == 0, f"{target.cli} --version: {status}"
        yield {"version": since_ms(begin)}


@measure(hosts=0, rounds=3)
def services(target):
    """services without tasks, created by 8 clients (bench_services)"""
    while True:
        yield {name: value for name, value, _ in
               target.program("bench_services", *(["0.5"] if target.brief else []))}


@measure(hosts=1, rounds=1)
def containers(target):
    """containers through the API, one by one and by 16 clients; exec (bench_containers)"""
    while True:
        yield {name: value for name, value, _ in
               target.program("bench_containers", target.image,
                              *(["brief"] if target.brief else []))}


# The death of a leader


def managers_of(hosts, node):
    """(name, whether it leads, whether it is there) of each manager, as that node sees it."""
    return [(n["Description"]["Hostname"], n["ManagerStatus"].get("Leader", False),
             n["Status"]["State"] == "ready"
             and n["ManagerStatus"].get("Reachability") == "reachable")
            for n in hosts.api(node, 10).ask("GET", "/nodes") if n.get("ManagerStatus")]


def wait_leader(hosts):
    """The leader, once every manager says of every other that it is there: one may die."""
    def agreed():
        seen = [managers_of(hosts, node) for node in hosts.nodes]
        leaders = {name for listed in seen for name, leads, _ in listed if leads}
        whole = all(len(listed) == len(hosts.nodes) and all(there for _, _, there in listed)
                    for listed in seen)
        return leaders.pop() if whole and len(leaders) == 1 else None
    name = wait_until("all managers are there", agreed, 0.05)
    return next(node for node in hosts.nodes if node.name == name)


class Writer(threading.Thread):
    """Asks one manager for services until one is created, by it or by another writer."""

    def __init__(self, api, image, won):
        super().__init__(daemon=True)
        self.api, self.image, self.won = api, image, won

    def run(self):
        while not self.won:
            try:
                made = self.api.service(next(NAMES), self.image, 1)
                self.won.append((time.perf_counter(), made, self.api))
            except (OSError, Refused):
                time.sleep(REFUSED_S)


def write_anywhere(hosts, dead, image, timeout_s=2):
    """When a living manager took a write, what it made, and whom to ask about it."""
    won = []
    writers = [Writer(hosts.api(node, timeout_s), image, won) for node in hosts.nodes if node is not dead]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return won


def removed(api, made):
    api.ask("DELETE", f"/services/{made}")
    return True


@measure(hosts=3, rounds=30)
def failover(target):
    """the leader of three managers dies: until a write is taken, and until its task runs"""
    hosts = target.hosts
    while True:
        dead = wait_leader(hosts)
        begin = time.perf_counter()
        hosts.kill(dead)
        won = write_anywhere(hosts, dead, target.image)
        at, made, api = won[0]
        wait_until("the task runs", lambda: api.is_running(made, 1), POLL_S)
        write, running = (at - begin) * 1000, since_ms(begin)
        dead.start()
        for _, other, _ in won:
            wait_until("it is removed", lambda: removed(api, other))
        wait_until("the tasks are gone", lambda: not api.ask("GET", "/tasks"))
        yield {"failover_write": write, "failover_write_p99": write,
               "failover_running": running, "failover_running_p99": running}
