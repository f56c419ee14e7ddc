"""
A real cluster for tests: deploy/cluster with the shoald of this build, and its API over unix sockets.
Waiting is always for a condition, with a bound.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("SHOAL_BIN", TOP / "build/bin"))
TOOL = TOP / "deploy/cluster"
IMAGE = "sample:1"


class Refused(Exception):
    """An answer of 400 or above."""

    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("shoal", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def wait_for(what, condition, seconds=30, every=0.05):
    """The condition's first true value; what is not true in time fails with its last value."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            last = condition()
            if last:
                return last
        except (OSError, http.client.HTTPException, Refused) as error:
            last = error
        time.sleep(every)
    raise AssertionError(f"{what}: not within {seconds} s (last: {last})")


class Cluster:
    def __init__(self, managers, workers, *flags, shoald=BIN / "shoald", formed=True):
        self.base = Path(tempfile.mkdtemp(prefix="shoal-cluster-", dir="/var/tmp"))
        self.dir = self.base / "c"
        argv = ["up", "--managers", str(managers), "--workers", str(workers)]
        argv += ["--shoald", str(shoald)] + [f"--flag={f}" for f in flags]
        argv += [] if formed else ["--no-swarm"]
        self.managers = [f"m{i + 1}" for i in range(managers)]
        self.workers = [f"w{i + 1}" for i in range(workers)]
        self.nodes = self.managers + self.workers
        try:
            self.tool(*argv)
            self.load()
        except BaseException:
            self.down()
            raise

    def tool(self, *argv, check=True):
        done = subprocess.run(
            [str(TOOL), "--dir", str(self.dir), *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"deploy/cluster {' '.join(argv)}: {done.stderr or done.stdout}")
        return done

    def load(self):
        tar = self.base / "image.tar"
        subprocess.run(
            [str(TOP / "deploy/mkimage"), IMAGE, str(tar), "sleep", "1000000"],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        self.tool("load", str(tar))

    def down(self):
        self.tool("down", check=False)
        shutil.rmtree(self.base, ignore_errors=True)

    def socket(self, node):
        return self.dir / node / "shoal.sock"

    def ask(self, node, method, path, body=None, timeout=20):
        connection = Connection(self.socket(node), timeout)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            connection.request(
                method, path, json.dumps(body) if body is not None else None, headers
            )
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 400:
            raise Refused(answer.status, json.loads(text)["message"] if text else "")
        return json.loads(text) if text.strip() else None

    def get(self, node, path, **filters):
        if filters:
            query = json.dumps({k.replace("_", "-"): [v] for k, v in filters.items()})
            path += "?filters=" + urllib.parse.quote(query)
        return self.ask(node, "GET", path)

    # Services

    def service(self, node, name, replicas, command=None, networks=(), **task):
        """`replicas`: how many, or a Mode."""
        mode = replicas if isinstance(replicas, dict) else {"Replicated": {"Replicas": replicas}}
        spec = {
            "Name": name,
            "TaskTemplate": {
                "ContainerSpec": {"Image": IMAGE, "StopGracePeriod": 1000000000},
                "RestartPolicy": {"Condition": "any", "Delay": 0},
                "Networks": [{"Target": n} for n in networks],
                **task,
            },
            "Mode": mode,
        }
        if command:
            spec["TaskTemplate"]["ContainerSpec"]["Command"] = command
        return self.ask(node, "POST", "/services/create", spec)["ID"]

    def scale(self, node, service, replicas):
        now = self.get(node, f"/services/{service}")
        now["Spec"]["Mode"]["Replicated"]["Replicas"] = replicas
        version = now["Version"]["Index"]
        self.ask(node, "POST", f"/services/{service}/update?version={version}", now["Spec"])

    def tasks(self, node, service, running=True):
        found = self.get(node, "/tasks", service=service)
        if not running:
            return found
        return [
            t
            for t in found
            if t["Status"]["State"] == "running" and t["DesiredState"] == "running"
        ]

    def wait_running(self, node, service, count, seconds=30):
        return wait_for(
            f"{count} running tasks of {service}",
            lambda: (lambda t: t if len(t) == count else None)(self.tasks(node, service)),
            seconds,
        )

    # Nodes

    def node_id(self, name):
        found = [
            n for n in self.get(self.alive_manager(), "/nodes") if n["Description"]["Hostname"] == name
        ]
        assert len(found) == 1, found
        return found[0]["ID"]

    def node_name(self, node_id, via=None):
        return self.get(via or self.alive_manager(), f"/nodes/{node_id}")["Description"]["Hostname"]

    def alive_manager(self):
        for name in self.managers:
            try:
                self.get(name, "/nodes")
                return name
            except (OSError, http.client.HTTPException, Refused):
                continue
        raise AssertionError("no manager answers")

    def leader(self, seconds=20):
        def find():
            for name in self.managers:
                try:
                    nodes = self.get(name, "/nodes")
                except (OSError, http.client.HTTPException, Refused):
                    continue
                for n in nodes:
                    if n.get("ManagerStatus", {}).get("Leader"):
                        return n["Description"]["Hostname"]
            return None

        return wait_for("a leader", find, seconds)

    def exec_in(self, task, *command, via=None):
        """Runs a program inside a task's container, from its host."""
        node = self.node_name(task["NodeID"], via)
        pid = task["Status"]["ContainerStatus"]["PID"]
        return self.tool(
            "in", node, "nsenter", "-t", str(pid), "-n", "-m", "-u", "-p", *command, check=False
        )
