"""
What tests of failures need beside swarmlib: processes named by id and start time, a daemon's log, files
seen from inside a host, libraries put under one node's daemon alone, and the checks that every failure
must pass: the same containers as before, and no task twice. Knows of no failure in particular.
"""

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from swarmlib import BIN, Cluster, wait_for

HERE = Path(__file__).resolve().parent


def skip_unless_possible():
    """For the top of a file of tests."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes namespaces", allow_module_level=True)
    if not (BIN / "shoald").exists():
        pytest.skip(f"{BIN}/shoald is not built", allow_module_level=True)


def start_time(pid):
    """When a living process began, in ticks; None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def preload(folder, source):
    """Compiles a C file of this folder into a library for LD_PRELOAD."""
    library = Path(folder) / f"{Path(source).stem}.so"
    subprocess.run(
        ["cc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, HERE / source, "-ldl"],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return library


class FaultCluster(Cluster):
    """A cluster whose daemons can be started with a library under them."""

    def __init__(self, managers, workers, *flags, formed=True):
        self.preloads = Path(tempfile.mkdtemp(prefix="shoal-preload-", dir="/var/tmp"))
        wrapper = self.preloads / "shoald"
        # A host is known by its name; the wrapper's process becomes the daemon's.
        wrapper.write_text(
            "#!/bin/sh\n"
            f'env="{self.preloads}/$(uname -n).env"\n'
            '[ ! -e "$env" ] || { set -a; . "$env"; }\n'
            f'exec "{BIN}/shoald" "$@"\n'
        )
        wrapper.chmod(0o755)
        super().__init__(managers, workers, *flags, shoald=wrapper, formed=formed)

    def down(self):
        super().down()
        subprocess.run(["rm", "-rf", str(self.preloads)], check=False)

    def environment(self, node, **values):
        """What the node's next daemon gets into its environment; nothing: as it was."""
        file = self.preloads / f"{node}.env"
        file.write_text("".join(f"{k}='{v}'\n" for k, v in values.items()))

    # The daemons

    def daemon(self, node):
        """Its process id; None when it is gone."""
        pid, start = map(int, (self.dir / node / "process").read_text().split())
        return pid if start_time(pid) == start else None

    def kill_now(self, node):
        """SIGKILL, without the time that starting a command takes."""
        handle = os.pidfd_open(self.daemon(node))
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)

    def wait_ended(self, node, seconds=20):
        wait_for(f"the end of {node}'s daemon", lambda: self.daemon(node) is None, seconds)

    def log(self, node):
        return (self.dir / node / "shoald.log").read_text(errors="replace")

    def inside(self, node, *command, check=True):
        """The output of a command among the files of that host."""
        done = self.tool("in", node, *command, check=check)
        return done.stdout

    # What must hold whatever fails

    def containers(self, node, everything=False):
        return self.ask(node, "GET", f"/containers/json?all={int(everything)}")

    def running(self, via, service):
        """The service's running tasks: id -> (pid, start time of that process)."""
        found = {}
        for task in self.tasks(via, service):
            pid = task["Status"]["ContainerStatus"]["PID"]
            found[task["ID"]] = (pid, start_time(pid))
        return found

    def held(self, node, service):
        """The running containers of a service on one host: container id -> id of its task."""
        return {
            c["Id"]: c["Labels"]["com.docker.swarm.task.id"]
            for c in self.containers(node)
            if c["Labels"].get("com.docker.swarm.service.id") == service
        }

    def wanted(self, via, service):
        return [t for t in self.tasks(via, service, False) if t["DesiredState"] == "running"]

    def assert_none_doubled(self, via, service, replicas):
        """One wanted task a slot, one container a task, and none that belongs to no wanted task."""
        wanted = self.wanted(via, service)
        assert sorted(t["Slot"] for t in wanted) == list(range(1, replicas + 1)), wanted
        held = [t for n in self.nodes if self.daemon(n) for t in self.held(n, service).values()]
        assert sorted(held) == sorted(t["ID"] for t in wanted)

    # Nodes

    def fast_heartbeats(self, via):
        """A node is down after three seconds instead of fifteen."""
        now = self.get(via, "/swarm")
        now["Spec"]["Dispatcher"] = {"HeartbeatPeriod": 1000000000}
        self.ask(via, "POST", f"/swarm/update?version={now['Version']['Index']}", now["Spec"])

    def node_state(self, via, name):
        return {n["Description"]["Hostname"]: n for n in self.get(via, "/nodes")}[name]["Status"][
            "State"
        ]

    def wait_unchanged(self, what, condition, seconds):
        """Looks again and again for that long: the condition must be true each time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert condition(), f"no longer: {what}"
            time.sleep(0.1)
