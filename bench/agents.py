"""
A crowd of simulated agents (bench_agents) in the swarm of three real managers, and what it costs them:
tasks in great number, the death of a node, and a leader with nothing to do. Shoal's own protocol, so
that it has no peer.
"""

import json
import select
import subprocess
import time
import urllib.parse
from pathlib import Path

from engines import wait_until
from measures import FIGURES, NAMES, measure, since_ms, status_kb, wait_leader, write_anywhere

AGENTS, TASKS, SERVICES = 5000, 100000, 100
BRIEF_AGENTS, BRIEF_TASKS, BRIEF_SERVICES = 50, 1000, 10
BRIEF_HEARTBEAT_NS = 500 * 10**6
SAID_S = 300  # for a line of bench_agents
IDLE_S, BRIEF_IDLE_S = 20, 1
POLL_S = 0.05
NS = 10**9

FIGURES.update({
    "agents_joined": ("ms", max),
    "agents_tasks_assigned": ("ms", max),
    "agents_tasks_running": ("ms", max),
    "agents_tasks_running_cpu": ("s", max),
    "agents_tasks_removed": ("ms", max),
    "agents_lost_tasks_assigned": ("ms", max),
    "agents_lost_tasks_running": ("ms", max),
    "agents_failover_write": ("ms", max),
    "agents_failover_running": ("ms", max),
    "agents_leader_idle": ("percent", max),
    "agents_leader_memory": ("MB", max),
})


class Crowd:
    """The running bench_agents, and the lines that it says."""

    def __init__(self, target, count):
        hosts = target.hosts
        self.count = count
        self.process = subprocess.Popen(
            ["nsenter", f"--net={hosts.dir / 'ns/hub.net'}", str(target.build / "bench/bench_agents"),
             str(count), hosts.api().ask("GET", "/swarm")["JoinTokens"]["Worker"],
             *(f"{node.address}:2377" for node in hosts.nodes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def tell(self, line):
        self.process.stdin.write(line + "\n")

    def hear(self, word):
        """The values of the next line, which has to begin so."""
        if not select.select([self.process.stdout], [], [], SAID_S)[0]:
            raise TimeoutError(f"bench_agents: no \"{word}\" within {SAID_S} s")
        said, *values = self.process.stdout.readline().split() or ["its end"]
        if said != word:
            raise RuntimeError(f"bench_agents: \"{word}\" was expected: {said} {values}")
        return values

    def hear_times(self, *words):
        return [int(self.hear(word)[0]) for word in words]

    def close(self):
        self.process.stdin.close()
        self.process.wait(SAID_S)


def cpu_s(process):
    """Of the processor's time that a process's threads have had: to the nanosecond, where stat has ticks."""
    return sum(int(stat.read_text().split()[0])
               for stat in Path(f"/proc/{process}/task").glob("*/schedstat")) / NS


def managers_cpu_s(hosts):
    return sum(cpu_s(node.daemon()[0]) for node in hosts.nodes)


def ready(api, count):
    return sum(n["Status"]["State"] == "ready" for n in api.ask("GET", "/nodes")) >= count


def drain(api):
    """The managers are to manage alone."""
    for node in api.ask("GET", "/nodes"):
        spec = {**node["Spec"], "Availability": "drain"}
        api.ask("POST", f"/nodes/{node['ID']}/update?version={node['Version']['Index']}", spec)


def beat_fast(api):
    swarm = api.ask("GET", "/swarm")
    spec = swarm["Spec"]
    spec["Dispatcher"]["HeartbeatPeriod"] = BRIEF_HEARTBEAT_NS
    api.ask("POST", f"/swarm/update?version={swarm['Version']['Index']}", spec)


def running(api):
    return sum(s["ServiceStatus"]["RunningTasks"] for s in api.ask("GET", "/services?status=true"))


def place(api, crowd, image, tasks, services):
    """Services of so many tasks; how long until all are assigned and run, by agents and managers."""
    crowd.tell(f"expect {tasks}")
    begin = time.time_ns()
    made = [api.service(next(NAMES), image, tasks // services) for _ in range(services)]
    assigned, _ = crowd.hear_times("assigned", "running")
    wait_until("the managers have it that all run", lambda: running(api) == tasks, POLL_S)
    return made, (assigned - begin) / 1e6, (time.time_ns() - begin) / 1e6


class Downs:
    """The events of nodes, of which the one that one is down is waited for."""

    def __init__(self, api):
        self.api = api
        filters = urllib.parse.quote(json.dumps({"type": ["node"]}))
        self.api.connection.request("GET", f"/events?filters={filters}")
        self.answer = self.api.connection.getresponse()

    def wait_down(self, node):
        while True:
            event = json.loads(self.answer.readline())
            actor = event["Actor"]
            if actor["ID"] == node and actor["Attributes"].get("state.new") == "down":
                return event["timeNano"]

    def close(self):
        self.api.connection.close()


def lose(hosts, leader, crowd, tasks):
    """From a node's being declared down until its tasks are assigned, and run, elsewhere: ms."""
    downs = Downs(hosts.api(leader, 120))
    crowd.tell("cut")
    node, lost = crowd.hear("cut")
    assert int(lost) > 0
    crowd.tell(f"expect {tasks}")
    down = downs.wait_down(node)
    assigned, ran = crowd.hear_times("assigned", "running")
    downs.close()
    hosts.api(leader).ask("DELETE", f"/nodes/{node}?force=1")
    return (assigned - down) / 1e6, (ran - down) / 1e6


def fail_over(hosts, dead, image, tasks):
    """
    The leader of so many tasks dies: ms until another takes a write, and until its task runs. Also the new
    leader's interface. No task is lost or made again by that.
    """
    begin = time.perf_counter()
    hosts.kill(dead)
    won = write_anywhere(hosts, dead, image, 60)
    api = won[0][2]
    wait_until("the task runs", lambda: api.is_running(won[0][1], 1), POLL_S)
    write, ran = (won[0][0] - begin) * 1000, since_ms(begin)
    dead.start()
    api = hosts.api(wait_leader(hosts), 120)
    wait_until("all run", lambda: running(api) == tasks + len(won), POLL_S)
    for _, made, _ in won:
        api.ask("DELETE", f"/services/{made}")
    wanted = urllib.parse.quote('{"desired-state": ["running"]}')
    wait_until("those tasks alone are wanted",
               lambda: len(api.ask("GET", f"/tasks?filters={wanted}")) == tasks, 0.2)
    return write, ran, api


def idle_percent(leader, seconds):
    before, begin = cpu_s(leader.daemon()[0]), time.monotonic()
    time.sleep(seconds)
    return (cpu_s(leader.daemon()[0]) - before) / (time.monotonic() - begin) * 100


def gone(api, made):
    for service in made:
        api.ask("DELETE", f"/services/{service}")
    wait_until("the tasks are gone", lambda: not api.ask("GET", "/tasks"), 0.2)


@measure(hosts=3, rounds=1, alone=True)
def agents(target):
    """5,000 simulated agents and 100,000 tasks in the swarm of three managers (bench_agents)"""
    hosts, brief = target.hosts, target.brief
    count, tasks, services = ((BRIEF_AGENTS, BRIEF_TASKS, BRIEF_SERVICES) if brief
                              else (AGENTS, TASKS, SERVICES))
    leader = wait_leader(hosts)
    api = hosts.api(leader, 120)
    drain(api)
    if brief:
        beat_fast(api)
    begin = time.time_ns()
    crowd = Crowd(target, count)
    try:
        crowd.hear_times("joined", "open")
        wait_until("the agents are ready", lambda: ready(api, count), 0.2)
        joined = (time.time_ns() - begin) / 1e6
        while True:
            target.wait_calm()
            cpu = managers_cpu_s(hosts)
            made, assigned, ran = place(api, crowd, target.image, tasks, services)
            cpu = managers_cpu_s(hosts) - cpu
            target.wait_calm()
            idle = idle_percent(leader, BRIEF_IDLE_S if brief else IDLE_S)
            memory = status_kb(leader.daemon()[0], "status", "VmRSS") / 1000
            lost_assigned, lost_running = lose(hosts, leader, crowd, tasks)
            write, ran_after, api = fail_over(hosts, leader, target.image, tasks)
            leader = wait_leader(hosts)
            begin = time.perf_counter()
            gone(api, made)
            yield {"agents_joined": joined, "agents_tasks_assigned": assigned,
                   "agents_tasks_running": ran, "agents_tasks_running_cpu": cpu,
                   "agents_tasks_removed": since_ms(begin),
                   "agents_lost_tasks_assigned": lost_assigned,
                   "agents_lost_tasks_running": lost_running,
                   "agents_failover_write": write, "agents_failover_running": ran_after,
                   "agents_leader_idle": idle, "agents_leader_memory": memory}
    finally:
        crowd.close()
