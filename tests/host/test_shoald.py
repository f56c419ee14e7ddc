"""shoald as a process: its flags and file, being ready, stopping, and starting again. Each daemon
runs in a network namespace of its own, without the network "bridge"."""

import http.client
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("SHOAL_BUILD", pathlib.Path(__file__).parents[2] / "build"))
SHOALD = BUILD / "bin" / "shoald"
CGROUP = f"shoal-test-{os.getpid()}"

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not SHOALD.exists(),
                                reason="needs root and a built shoald")


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("shoal", timeout=20)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Daemon:
    def __init__(self, tmp):
        self.dir, self.process = tmp, None
        self.socket = tmp / "s.sock"

    def command(self, *flags):
        return ["unshare", "-n", str(SHOALD), "--data-root", str(self.dir / "data"), "--exec-root",
                str(self.dir / "run"), "--host", f"unix://{self.socket}", *flags]

    def refused(self, *flags):
        r = subprocess.run(self.command(*flags), capture_output=True, text=True, timeout=20)
        assert r.returncode == 1
        return r.stderr

    def start(self, *flags, files=None):
        """`files`: the soft and hard limit of descriptors that the daemon is given."""
        path = self.dir / "notify"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(path))
            notify.settimeout(20)
            self.process = subprocess.Popen(
                self.command("--bridge", "none", "--cgroup-parent", f"/{CGROUP}",
                             *flags),
                env={**os.environ, "NOTIFY_SOCKET": str(path)}, stderr=subprocess.DEVNULL,
                preexec_fn=files and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, files)))
            assert b"READY=1" in notify.recv(4096)

    def get(self, path):
        c = Connection(self.socket)
        c.request("GET", path)
        r = c.getresponse()
        return r.status, r.read()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code, self.process = self.process.wait(20), None
        return code

    def mounts(self):
        """The deepest first."""
        lines = pathlib.Path("/proc/self/mounts").read_text().splitlines()
        return sorted((p for p in (line.split()[1] for line in lines)
                       if p.startswith(f"{self.dir}/")), reverse=True)

    def end(self):
        """Whatever a test has left: the process, namespaces of networks, and the group that a daemon leaves empty."""
        if self.process:
            self.stop(signal.SIGKILL)
        # One that was killed has kept them for the next one.
        for place in self.mounts():
            subprocess.run(["umount", "--lazy", place], check=True)
        for group in pathlib.Path("/sys/fs/cgroup").glob(f"**/{CGROUP}"):
            for folder in sorted(group.glob("**/"), reverse=True):
                folder.rmdir()


@pytest.fixture
def daemon(tmp_path):
    d = Daemon(tmp_path)
    yield d
    d.end()


def test_ready_and_stop(daemon):
    daemon.start()
    assert daemon.get("/_ping") == (200, b"OK")
    pidfile = daemon.dir / "run" / "shoald.pid"
    assert int(pidfile.read_text()) == daemon.process.pid
    assert daemon.stop() == 0
    assert not pidfile.exists()
    assert not daemon.socket.exists()


def test_again_after_kill(daemon):
    daemon.start()
    daemon.stop(signal.SIGKILL)
    daemon.start()
    assert daemon.get("/_ping")[0] == 200
    assert daemon.stop(signal.SIGINT) == 0


def test_one_daemon_a_data_root(daemon, tmp_path):
    daemon.start()
    text = daemon.refused("--pidfile", str(tmp_path / "other.pid"), "--host",
                          f"unix://{tmp_path}/other.sock", "--bridge", "none")
    assert "sock" in text or "another daemon" in text
    assert "which is a shoald that runs" in daemon.refused("--bridge", "none")


def test_file(daemon):
    file = daemon.dir / "daemon.json"
    file.write_text(json.dumps({"labels": ["rack=1"], "log-level": "warn"}))
    daemon.start("--config-file", str(file))
    assert json.loads(daemon.get("/info")[1])["Labels"] == ["rack=1"]


def test_bad_settings(daemon):
    file = daemon.dir / "daemon.json"
    file.write_text('{"labels": ["a=b"]}')
    assert "both as a flag and in" in daemon.refused("--config-file", str(file), "--label", "c=d")
    file.write_text('{"no-such": 1}')
    assert 'no setting "no-such"' in daemon.refused("--config-file", str(file))
    file.write_text("[")
    assert "not a JSON object" in daemon.refused("--config-file", str(file))
    assert "cannot read" in daemon.refused("--config-file", str(daemon.dir / "missing"))
    assert "unknown flag" in daemon.refused("--nonsense")
    assert "needs a value" in daemon.refused("--label")
    assert "KEY=VALUE" in daemon.refused("--label", "novalue")
    assert "no level" in daemon.refused("--log-level", "loud")
    assert "unexpected argument" in daemon.refused("more")


def test_help_and_version(daemon):
    out = subprocess.run([SHOALD, "--help"], capture_output=True, text=True, check=True).stdout
    for flag in ("--data-root", "--exec-root", "--pidfile", "--host", "--config-file", "--label"):
        assert flag in out
    out = subprocess.run([SHOALD, "--version"], capture_output=True, text=True, check=True).stdout
    assert out.startswith("shoald ")


def limits_of(pid):
    """(soft, hard) of the descriptors of a process."""
    for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max open files"):
            return tuple(int(n) for n in line.split()[3:5])
    raise AssertionError(f"{pid}: no limit")


def post(daemon, path, body=None):
    c = Connection(daemon.socket)
    c.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    r = c.getresponse()
    text = r.read()
    assert r.status < 300, text
    return json.loads(text) if text else None


def run_to_end(daemon, **more):
    """What the container writes in its one line of log."""
    made = post(daemon, "/containers/create", {
        "Image": "limits:1", "Cmd": ["sh", "-c", "echo $(ulimit -Sn) $(ulimit -Hn)"],
        "HostConfig": {"NetworkMode": "none", **more}})["Id"]
    post(daemon, f"/containers/{made}/start")
    assert post(daemon, f"/containers/{made}/wait")["StatusCode"] == 0
    status, log = daemon.get(f"/containers/{made}/logs?stdout=1")
    assert status == 200
    return log[8:].decode().split() # without the head of the frame


def test_descriptors_are_the_daemons_and_not_the_containers(daemon, tmp_path):
    """It takes all that it may; what it starts has what was set, unless it asks for other limits."""
    tar = tmp_path / "image.tar"
    subprocess.run([str(BUILD.parent / "deploy/mkimage"), "limits:1", str(tar)], check=True,
                   stdin=subprocess.DEVNULL)
    daemon.start(files=(72, 4096))
    assert limits_of(daemon.process.pid) == (4096, 4096)
    held = []
    for _ in range(200): # more than it was given
        held.append(Connection(daemon.socket))
        held[-1].request("GET", "/_ping")
        assert held[-1].getresponse().read() == b"OK"
    c = Connection(daemon.socket)
    c.request("POST", "/images/load", tar.read_bytes(), {"Content-Type": "application/x-tar"})
    assert c.getresponse().status == 200
    assert run_to_end(daemon) == ["72", "4096"]
    assert run_to_end(daemon, Ulimits=[{"Name": "nofile", "Soft": 99, "Hard": 123}]) == ["99", "123"]
    made = post(daemon, "/containers/create", {"Image": "limits:1", "Cmd": ["sleep", "1000"],
                                               "HostConfig": {"NetworkMode": "none"}})["Id"]
    post(daemon, f"/containers/{made}/start")
    pid = json.loads(daemon.get(f"/containers/{made}/json")[1])["State"]["Pid"]
    shim = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert limits_of(pid) == limits_of(shim) == (72, 4096)
    ran = post(daemon, f"/containers/{made}/exec", {
        "AttachStdout": True, "Cmd": ["sh", "-c", "echo $(ulimit -Sn) $(ulimit -Hn)"]})["Id"]
    c = Connection(daemon.socket)
    c.request("POST", f"/exec/{ran}/start", json.dumps({"Detach": False}),
              {"Content-Type": "application/json"})
    assert c.getresponse().read()[8:].decode().split() == ["72", "4096"]
    for c in held:
        c.close()
    c = Connection(daemon.socket)
    c.request("DELETE", f"/containers/{made}?force=1")
    assert c.getresponse().status == 204
    assert daemon.stop() == 0
