"""
What containers use, as docker CLI and SDK show it, on a real shoald: docker's JSON, its arithmetic, many clients of
one sampler, clients that do not read, and the end with the container's removal.
"""

import http.client
import json
import socket
import threading
import time

import pytest
import test_api_engine
from test_api_engine import IMAGE

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon
name = test_api_engine.name

BUSY = "while :; do :; done"
CLIENTS = 64  # LIMIT_STATS_CLIENTS


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("shoal", timeout=30)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(daemon, path):
    c = Connection(daemon.sock)
    c.request("GET", path)
    return c, c.getresponse()


def percent(stats):
    """As the CLI computes it."""
    cpu, before = stats["cpu_stats"], stats["precpu_stats"]
    used = cpu["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    system = cpu["system_cpu_usage"] - before.get("system_cpu_usage", 0)
    return used / system * cpu["online_cpus"] * 100


@pytest.fixture
def busy(daemon, name):
    daemon.docker("run", "-d", "--name", name, "--cpus", "0.5", "-m", "64m", "--pids-limit", "50", IMAGE, "sh", "-c",
                  f"head -c 20000000 /dev/zero > /dev/shm/x; {BUSY}")
    return name


def test_one_answer_has_two_readings(daemon, busy):
    s = daemon.client().api.stats(busy, stream=False)
    assert s["name"] == "/" + busy and len(s["id"]) == 64
    assert s["preread"] < s["read"] and not s["preread"].startswith("0001")
    assert 25 < percent(s) < 75
    assert s["memory_stats"]["limit"] == 64 << 20 and s["memory_stats"]["usage"] > 20000000
    assert "inactive_file" in s["memory_stats"]["stats"]
    assert s["pids_stats"] == {"current": 1, "limit": 50}
    assert set(s["networks"]) == {"eth0"} and s["networks"]["eth0"]["tx_errors"] == 0
    assert s["num_procs"] == 0 and s["storage_stats"] == {}
    assert set(s["blkio_stats"]) >= {"io_service_bytes_recursive", "sectors_recursive"}
    assert s["cpu_stats"]["throttling_data"]["periods"] > 0


def test_one_shot_does_not_wait(daemon, busy):
    _, r = ask(daemon, f"/v1.51/containers/{busy}/stats?stream=0&one-shot=1")
    s = json.loads(r.read())
    assert s["preread"].startswith("0001") and s["precpu_stats"]["cpu_usage"]["total_usage"] == 0
    assert s["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    _, r = ask(daemon, f"/v1.51/containers/{busy}/stats?stream=1&one-shot=1")
    assert r.status == 400 and b"cannot have stream=true and one-shot=true" in r.read()


def test_the_cli(daemon, busy):
    row = json.loads(daemon.docker("stats", "--no-stream", "--format", "json", busy))
    assert row["Name"] == busy and row["PIDs"] == "1"
    assert 25 < float(row["CPUPerc"].rstrip("%")) < 75
    assert row["MemUsage"].endswith("/ 64MiB") and float(row["MemPerc"].rstrip("%")) > 25
    assert row["NetIO"].count("B / ") == 1
    row = daemon.docker("stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}}")
    assert row.startswith(busy + " ")


def test_what_does_not_run_is_empty(daemon, name):
    daemon.docker("create", "--name", name, IMAGE)
    s = daemon.client().api.stats(name, stream=False)
    assert s["name"] == "/" + name and s["read"].startswith("0001")
    assert s["memory_stats"] == {} and s["pids_stats"] == {} and "networks" not in s
    first = next(daemon.client().api.stats(name, stream=True, decode=True))
    assert first["cpu_stats"]["cpu_usage"]["total_usage"] == 0


def test_a_stream_ends_with_its_container(daemon, name):
    daemon.docker("run", "-d", "--name", name, IMAGE, "sleep", "1000")
    seen = []
    for s in daemon.client().api.stats(name, stream=True, decode=True):
        seen.append(s)
        if len(seen) == 2:
            daemon.docker("stop", "-t", "0", name)
        if s["memory_stats"] == {}:
            daemon.docker("rm", name)
    assert len(seen) >= 3 and seen[0]["precpu_stats"]["cpu_usage"]["total_usage"] == 0
    assert seen[1]["preread"] == seen[0]["read"]


def test_a_sampler_serves_so_many_and_no_more(daemon, name):
    daemon.docker("run", "-d", "--name", name, IMAGE, "sleep", "1000")
    path = f"/v1.51/containers/{name}/stats"
    open_ones = [ask(daemon, path) for _ in range(CLIENTS)]  # none of them is read for now
    assert {r.status for _, r in open_ones} == {200}
    c, r = ask(daemon, path)
    assert r.status == 503 and f"{CLIENTS} clients" in json.loads(r.read())["message"]
    reads = [json.loads(r.readline())["read"] for _, r in open_ones]
    assert len(set(reads)) <= 2  # the same sample for all, but for who came after it
    open_ones[0][1].close()
    open_ones[0][0].close()
    deadline = time.monotonic() + 10
    while True:
        c, r = ask(daemon, path)
        if r.status == 200:
            break
        assert time.monotonic() < deadline
        r.read()
    for conn, response in open_ones[1:] + [(c, r)]:
        response.close()
        conn.close()


def test_the_daemon_stops_with_readers(daemon, name):
    daemon.docker("run", "-d", "--name", name, IMAGE, "sleep", "1000")
    _, r = ask(daemon, f"/v1.51/containers/{name}/stats")
    r.readline()
    rest = []
    reader = threading.Thread(target=lambda: rest.append(r.read()))
    reader.start()
    daemon.stop()
    daemon.start()
    reader.join(20)
    assert not reader.is_alive()
