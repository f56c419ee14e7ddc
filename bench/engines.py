"""
The engines that are measured, behind their Engine API: one socket by itself, or hosts of our own made
by deploy/cluster, of shoald or of the peer's dockerd, whose flags are the same. Knows nothing of what
is measured.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
TOOL = TOP / "deploy/cluster"
IMAGE = "bench:1"
CALL_S = 20
WAIT_S = 120
CALM_S, CALM_SHARE = 0.5, 0.9  # of the machine's processors idle


def tool_module():
    """deploy/cluster as a module: its nodes start, stop and kill what they run."""
    sys.dont_write_bytecode = True  # nothing is left in deploy/
    loader = SourceFileLoader("cluster", str(TOOL))
    module = module_from_spec(spec_from_loader("cluster", loader))
    loader.exec_module(module)
    return module


TOOL_MODULE = tool_module()


class Refused(Exception):
    """An answer of 400 or above."""


class Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("bench", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def wait_until(what, condition, every=0.01, seconds=WAIT_S):
    """The condition's first true value; while it cannot be asked it is not true."""
    end = time.monotonic() + seconds
    while True:
        try:
            value = condition()
            if value:
                return value
        except (OSError, http.client.HTTPException, Refused):
            pass
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(every)


def idle_share():
    """Of the machine's processors, for a moment."""
    def times():
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        return int(fields[3]), sum(map(int, fields[:8]))
    idle, total = times()
    time.sleep(CALM_S)
    idle_now, total_now = times()
    return (idle_now - idle) / max(1, total_now - total)


def wait_calm(seconds):
    """
    Waits until the machine does little: what one engine still tidies up, or somebody else does, is
    not the other engine's to bear. False when it has not come to rest by then.
    """
    try:
        return wait_until("the machine is calm", lambda: idle_share() >= CALM_SHARE, 0, seconds)
    except TimeoutError:
        return False


class Api:
    """One socket of an Engine API, over one kept connection."""

    def __init__(self, path, timeout=CALL_S):
        self.path = path
        self.loaded = False  # the image was not there before
        self.connection = Connection(path, timeout)

    def ask(self, method, path, body=None, kind="application/json"):
        if isinstance(body, dict):
            body = json.dumps(body)
        try:
            self.connection.request(method, path, body, {"Content-Type": kind} if body else {})
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise
        if answer.status >= 400:
            raise Refused(f"{method} {path}: {answer.status}: {text.decode(errors='replace')}")
        try:
            return json.loads(text) if text.strip() else None
        except ValueError:
            return text.decode(errors="replace")

    def image(self):
        """
        The image's id, which neither engine looks for elsewhere (a name would make dockerd ask a
        registry). It is loaded if it is not there.
        """
        try:
            return self.ask("GET", f"/images/{IMAGE}/json")["Id"]
        except Refused:
            with tempfile.TemporaryDirectory(prefix="shoal-bench-") as folder:
                self.ask("POST", "/images/load?quiet=1", image_archive(folder).read_bytes(),
                         "application/x-tar")
            self.loaded = True
            return self.ask("GET", f"/images/{IMAGE}/json")["Id"]

    def service(self, name, image, replicas, container=None, update=None, **task):
        """`container`, `task` (its template) and `update` say what is not as usual."""
        container = {"Image": image, "StopGracePeriod": 1000000000, **(container or {})}
        return self.ask("POST", "/services/create", {
            "Name": name, "TaskTemplate": {"ContainerSpec": container, **task},
            "Mode": {"Replicated": {"Replicas": replicas}},
            **({"UpdateConfig": update} if update else {})})["ID"]

    def update(self, service):
        """Replaces all of its tasks as its configuration says; returns when they are."""
        now = self.ask("GET", f"/services/{service}")
        now["Spec"]["TaskTemplate"]["ForceUpdate"] += 1
        self.ask("POST", f"/services/{service}/update?version={now['Version']['Index']}",
                 now["Spec"])
        wait_until("the update completes", lambda: self.ask("GET", f"/services/{service}").get(
            "UpdateStatus", {}).get("State") == "completed")

    def tasks(self, service):
        filters = urllib.parse.quote(json.dumps({"service": [service]}))
        return self.ask("GET", "/tasks?filters=" + filters)

    def is_running(self, service, replicas):
        return sum(t["Status"]["State"] == "running" for t in self.tasks(service)) >= replicas

    def remove(self, service):
        """Removes it and waits until nothing of it is left."""
        self.ask("DELETE", f"/services/{service}")
        wait_until("the tasks are gone", lambda: not self.ask("GET", "/tasks"))
        wait_until("the containers are gone",
                   lambda: not self.ask("GET", "/containers/json?all=1"))


def image_archive(folder):
    path = Path(folder, "image.tar")
    subprocess.run([str(TOP / "deploy/mkimage"), IMAGE, str(path), "sleep", "1000000"],
                   check=True, stdin=subprocess.DEVNULL)
    return path


class Hosts:
    """
    Hosts of our own under a new folder, each with a daemon as it comes, joined to a swarm. Their
    namespaces keep dockerd's bridge and rules away from the machine's network.
    """

    def __init__(self, managers, daemon):
        self.base = Path(tempfile.mkdtemp(prefix="shoal-bench-", dir="/var/tmp"))
        self.dir = self.base / "c"
        try:
            self.tool("up", "--managers", str(managers), "--shoald", str(daemon))
            self.tool("load", str(image_archive(self.base)))
            self.nodes = TOOL_MODULE.Cluster(self.dir).read().nodes()
        except BaseException:
            self.down()
            raise
        self.daemon = Path(daemon).name

    def tool(self, *argv, check=True):
        done = subprocess.run([str(TOOL), "--dir", str(self.dir), *argv], capture_output=True,
                              stdin=subprocess.DEVNULL, text=True, check=False)
        if check and done.returncode:
            raise RuntimeError(f"deploy/cluster {' '.join(argv)}: {done.stderr or done.stdout}")

    def down(self):
        self.tool("down", check=False)
        if not self.dir.exists():
            shutil.rmtree(self.base)

    def api(self, node=None, timeout=CALL_S):
        return Api((node or self.nodes[0]).socket, timeout)

    def kill(self, node):
        node.kill()
        (node.dir / "shoald.pid").unlink(missing_ok=True)  # dockerd takes it for a living one's

    def processes(self, node, name):
        """The ids of a host's processes of that name (as far as the kernel keeps it)."""
        return [pid for pid in node.members()
                if Path(f"/proc/{pid}/comm").read_text().strip() == name[:15]]


def peer_daemon():
    return shutil.which("dockerd")


def peer_cli():
    return shutil.which("docker")


def has_peer():
    return bool(peer_daemon() and peer_cli()) and os.geteuid() == 0
