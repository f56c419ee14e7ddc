"""
What is measured of an engine, one function a measure: it is called once a round, with the hosts that
it asked for, and yields the figures of that round. Knows engines by their API and their processes
only, so that Shoal and its peer are measured by the same steps.
"""

import itertools
import os
import re
import statistics
import subprocess
import threading
import time
from pathlib import Path

from engines import Refused, wait_until

POLL_S = 0.001  # between two looks at a task that is about to run,
POLL_MANY_S = 0.02  # and at a hundred, whose listing costs the engine itself
NAMES = (f"bench-{os.getpid()}-{i}" for i in itertools.count())

MEASURES = {}


class Measure:
    """How a measure is taken: `hosts` managers of its own (0: a socket of the API is enough)."""

    def __init__(self, function, hosts, rounds):
        self.function, self.hosts, self.rounds = function, hosts, rounds
        self.help = function.__doc__


def measure(hosts, rounds):
    def add(function):
        MEASURES[function.__name__] = Measure(function, hosts, rounds)
        return function
    return add


def median(samples):
    return statistics.median(samples)


def p99(samples):
    """The sample that at most one in a hundred passes: of fewer, the largest."""
    return sorted(samples)[max(0, -(-len(samples) * 99 // 100) - 1)]


# Figure -> (unit, how the samples of its rounds become one)
FIGURES = {
    "idle_memory": ("MB", median),
    "service_create": ("ms", median),
    "service_running": ("ms", median),
    "hundred_running": ("ms", median),
    "services_created": ("services/s", median),
    "shim_memory": ("KB", median),
    "start": ("ms", median),
    "start_with_50": ("ms", median),
    "failover_write": ("ms", median),
    "failover_write_p99": ("ms", p99),
    "failover_running": ("ms", median),
    "failover_running_p99": ("ms", p99),
    "version": ("ms", median),
}


def since_ms(start):
    return (time.perf_counter() - start) * 1000


# Memory


def status_kb(pid, file, *fields):
    text = Path(f"/proc/{pid}/{file}").read_text()
    return sum(int(re.search(rf"^{field}:\s*(\d+)", text, re.M).group(1)) for field in fields)


def settled_kb(pids):
    """Resident memory once it has not changed for a second."""
    def resident():
        return sum(status_kb(pid, "status", "VmRSS") for pid in pids)

    seen = [None] * 10

    def settled():
        seen.append(resident())
        return len(set(seen[-10:])) == 1
    wait_until("the memory settles", settled, 0.1)
    return resident()


@measure(hosts=1, rounds=1)
def idle(target):
    """resident memory of the daemon (with its containerd, where it has one), one node, idle"""
    node = target.hosts.nodes[0]
    pids = target.hosts.processes(node, target.hosts.daemon)
    pids += target.hosts.processes(node, "containerd")
    yield "idle_memory", settled_kb(pids) / 1000


@measure(hosts=1, rounds=3)
def shim(target):
    """private memory of what stands between daemon and container"""
    api, node = target.api, target.hosts.nodes[0]
    service = target.running(10)
    shims = [pid for name in ("shoal-shim", "containerd-shim-runc-v2")
             for pid in target.hosts.processes(node, name)]
    assert len(shims) == 10, shims
    yield "shim_memory", statistics.median(
        status_kb(pid, "smaps_rollup", "Private_Clean", "Private_Dirty") for pid in shims)
    api.remove(service)


# Services


@measure(hosts=0, rounds=30)
def service(target):
    """a service is created, and its one task runs"""
    api, image = target.api, target.image
    start = time.perf_counter()
    made = api.service(next(NAMES), image, 1)
    yield "service_create", since_ms(start)
    wait_until("the task runs", lambda: api.is_running(made, 1), POLL_S)
    yield "service_running", since_ms(start)
    api.remove(made)


@measure(hosts=0, rounds=5)
def hundred(target):
    """a service of 100 tasks is created, and all of them run"""
    start = time.perf_counter()
    made = target.running(100)
    yield "hundred_running", since_ms(start)
    target.api.remove(made)


# Starting


def start_ms(node):
    node.kill()
    (node.dir / "shoald.pid").unlink(missing_ok=True)  # dockerd takes it for a living one's
    start = time.perf_counter()
    node.start()  # until it says that it is ready; and one _ping
    return since_ms(start)


def manages(target):
    wait_until("the swarm answers", lambda: target.api.ask("GET", "/nodes"))


@measure(hosts=1, rounds=5)
def start(target):
    """a killed daemon is started, until its first _ping; then the same with 50 running containers"""
    node = target.hosts.nodes[0]
    yield "start", start_ms(node)
    manages(target)
    made = target.running(50)
    yield "start_with_50", start_ms(node)
    manages(target)
    target.api.remove(made)


@measure(hosts=0, rounds=3)
def services(target):
    """services without tasks, created by 8 clients (bench_services)"""
    for name, value, _ in target.program("bench_services", *(["1"] if target.brief else [])):
        yield name, value


@measure(hosts=0, rounds=50)
def version(target):
    """the command line says its version"""
    begin = time.perf_counter()
    process = os.posix_spawn(target.cli, [target.cli, "--version"], os.environ,
                             file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
    status = os.waitpid(process, 0)[1]
    assert status == 0, f"{target.cli} --version: {status}"
    yield "version", since_ms(begin)


# The death of a leader


def leader_of(hosts):
    def find():
        for node in hosts.nodes:
            for n in hosts.api(node, 2).ask("GET", "/nodes"):
                if n.get("ManagerStatus", {}).get("Leader"):
                    return next(x for x in hosts.nodes if x.name == n["Description"]["Hostname"])
        return None
    return wait_until("a leader", find)


def all_reachable(hosts):
    """Every manager says of every other that it is there: the next one may die."""
    def agree():
        for node in hosts.nodes:
            listed = hosts.api(node, 2).ask("GET", "/nodes")
            if len(listed) != len(hosts.nodes) or not all(
                    n["Status"]["State"] == "ready"
                    and n.get("ManagerStatus", {}).get("Reachability") == "reachable"
                    for n in listed):
                return False
        return True
    wait_until("all managers are there", agree, 0.05)


class Writer(threading.Thread):
    """Asks one manager for services until one is created, by it or by another writer."""

    def __init__(self, hosts, node, image, won):
        super().__init__(daemon=True)
        self.api, self.image, self.won = hosts.api(node, 2), image, won

    def run(self):
        while not self.won:
            try:
                made = self.api.service(next(NAMES), self.image, 1)
                self.won.append((time.perf_counter(), made, self.api))
            except (OSError, Refused):
                wait_until("a moment", lambda at=time.monotonic(): time.monotonic() > at + 0.005,
                           0.005)


@measure(hosts=3, rounds=30)
def failover(target):
    """the leader of three managers dies: until a write is taken, and until its task runs"""
    hosts, won = target.hosts, []
    all_reachable(hosts)
    dead = leader_of(hosts)
    writers = [Writer(hosts, node, target.image, won) for node in hosts.nodes if node is not dead]
    begin = time.perf_counter()
    dead.kill()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    at, made, api = won[0]
    wait_until("the task runs", lambda: api.is_running(made, 1), POLL_S)
    running = since_ms(begin)
    for name, value in (("failover_write", (at - begin) * 1000), ("failover_running", running)):
        yield name, value
        yield name + "_p99", value
    (dead.dir / "shoald.pid").unlink(missing_ok=True)
    dead.start()
    for _, other, _ in won:
        wait_until("it is removed", lambda service=other: removed(api, service))
    wait_until("the tasks are gone", lambda: not api.ask("GET", "/tasks"))


def removed(api, service):
    api.ask("DELETE", f"/services/{service}")
    return True
