"""shoald as a process: its flags and file, being ready, stopping, and starting again. Each daemon
runs in a network namespace of its own, without the network "bridge"."""

import http.client
import json
import os
import pathlib
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

    def start(self, *flags):
        path = self.dir / "notify"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(path))
            notify.settimeout(20)
            self.process = subprocess.Popen(
                self.command("--bridge", "none", "--cgroup-parent", f"/{CGROUP}",
                             *flags),
                env={**os.environ, "NOTIFY_SOCKET": str(path)}, stderr=subprocess.DEVNULL)
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
