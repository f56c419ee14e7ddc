"""
The host's part of the Engine API with real clients, docker CLI and docker SDK, against a real
shoald in a network namespace and folders of its own. Needs root; touches nothing of the host's.
"""

import fcntl
import io
import json
import os
import pty
import shutil
import socket
import subprocess
import tarfile
import termios
import threading
import time
import uuid
from pathlib import Path

import pytest

docker_sdk = pytest.importorskip("docker")

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SHOAL_BUILD", TOP / "build"))
SHOALD = BUILD / "bin" / "shoald"
IMAGE = "engine-test:1"
READY_S = 20

pytestmark = [
    pytest.mark.skipif(not SHOALD.exists(), reason="needs a built shoald"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not shutil.which("docker"), reason="needs the docker CLI"),
    pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="needs busybox-static"),
]


class Daemon:
    """One shoald; `docker()` runs the CLI against it."""

    def __init__(self, root):
        self.root = root
        self.sock = root / "api.sock"
        self.log = root / "shoald.log"
        self.cgroup = "shoal-test-" + uuid.uuid4().hex[:8]
        self.process = None
        # Lives as long as its standard input is open, and the namespace with it.
        # pylint: disable-next=consider-using-with
        self.host = subprocess.Popen(
            ["unshare", "--net", "--", "sh", "-c", "ip link set lo up && echo up && exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.host.stdout.readline() == "up\n"

    def start(self):
        with open(self.log, "ab") as log:
            # pylint: disable-next=consider-using-with
            self.process = subprocess.Popen(
                ["nsenter", f"--net=/proc/{self.host.pid}/ns/net", "--", SHOALD,
                 "--data-root", self.root / "data", "--exec-root", self.root / "exec",
                 "--cgroup-parent", f"/{self.cgroup}", "-H", f"unix://{self.sock}",
                 "--config-file", self.root / "daemon.json"],
                stdout=log, stderr=log)
        self.wait_ready()

    def wait_ready(self):
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(str(self.sock))
                return
            except OSError:
                time.sleep(0.02)  # a socket's birth has no event
        raise AssertionError("shoald did not listen: " + self.log.read_text())

    def stop(self):
        self.process.terminate()
        assert self.process.wait(30) == 0, self.log.read_text()

    def close(self):
        self.stop()
        self.host.stdin.close()
        self.host.wait(10)
        for group in Path("/sys/fs/cgroup").glob(f"*/{self.cgroup}"):
            group.rmdir()  # empty, or something was left behind
        assert str(self.root) not in Path("/proc/mounts").read_text()

    def run(self, *args, text=None, timeout=60):
        env = {"PATH": os.environ["PATH"], "HOME": str(self.root)}
        return subprocess.run(["docker", "-H", f"unix://{self.sock}", *args], input=text, env=env,
                              capture_output=True, text=True, timeout=timeout, check=False)

    def docker(self, *args, **kwargs):
        result = self.run(*args, **kwargs)
        assert result.returncode == 0, (args, result.stdout, result.stderr)
        return result.stdout.strip()

    def hijack(self, path, body=None):
        """
        A connection that has become a stream, and what came of it with the answer: the SDK loses
        that, as it is in the buffer of its reader.
        """
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(30)
        s.connect(str(self.sock))
        text = json.dumps(body) if body is not None else ""
        s.sendall((f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                   "Connection: Upgrade\r\nUpgrade: tcp\r\n"
                   f"Content-Length: {len(text)}\r\n\r\n{text}").encode())
        got = b""
        while b"\r\n\r\n" not in got:
            piece = s.recv(4096)
            assert piece, got
            got += piece
        head, got = got.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 101"), head
        return s, got

    def client(self, **kwargs):
        return docker_sdk.DockerClient(base_url=f"unix://{self.sock}", timeout=60, **kwargs)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    root = tmp_path_factory.mktemp("engine")
    (root / "daemon.json").write_text("{}")
    tar = root / "image.tar"
    subprocess.run([TOP / "deploy" / "mkimage", IMAGE, tar], check=True, timeout=60)
    d = Daemon(root)
    d.start()
    try:
        assert f"Loaded image: {IMAGE}" in d.docker("load", "-i", str(tar))
        yield d
    finally:
        ids = d.run("ps", "-aq").stdout.split()
        if ids:
            d.run("rm", "-f", *ids)
        d.close()


@pytest.fixture
def name(daemon):
    chosen = "t" + uuid.uuid4().hex[:8]
    yield chosen
    daemon.run("rm", "-f", chosen)


def test_run_gives_output_and_exit_code(daemon):
    result = daemon.run("run", "--rm", IMAGE, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (result.stdout, result.stderr, result.returncode) == ("out\n", "err\n", 7)


def test_run_with_input_and_half_close(daemon):
    result = daemon.run("run", "--rm", "-i", IMAGE, "sh", "-c", "cat; echo end", text="a\nb\n")
    assert (result.stdout, result.returncode) == ("a\nb\nend\n", 0)


def test_much_input_comes_back_whole(daemon):
    text = "0123456789abcde\n" * (1 << 18)  # 4 MiB
    result = daemon.run("run", "--rm", "-i", IMAGE, "cat", text=text)
    assert result.returncode == 0
    assert result.stdout == text


def test_run_of_what_is_not_there(daemon):
    assert daemon.run("run", "--rm", IMAGE, "no-such-program").returncode == 127
    result = daemon.run("run", "--rm", "--pull=never", "no-such-image")
    assert result.returncode == 125
    assert "No such image: no-such-image" in result.stderr


def test_environment_user_workdir_hostname(daemon):
    out = daemon.docker("run", "--rm", "-e", "A=b c", "-u", "1000:1000", "-w", "/tmp", "-h", "box",
                        IMAGE, "sh", "-c", 'echo "$A|$(id -u):$(id -g)|$(pwd)|$(hostname)"')
    assert out == "b c|1000:1000|/tmp|box"


def test_ps_shows_what_docker_shows(daemon, name):
    short = daemon.docker("run", "-d", "--name", name, "--label", "a=b", IMAGE, "sleep", "1000")[:12]
    form = "{{.ID}} {{.Image}} {{.Command}} {{.State}} {{.Names}} {{.Labels}}"
    line = daemon.docker("ps", "--filter", f"name={name}", "--format", form)
    assert line == f'{short} {IMAGE} "sleep 1000" running {name} a=b'
    status = daemon.docker("ps", "--filter", "label=a=b", "--format", "{{.Status}}")
    assert status.startswith(("Up ", "Up Less"))
    assert name not in daemon.docker("ps", "-a", "--filter", "status=exited")
    daemon.docker("kill", name)
    assert daemon.docker("wait", name) == "137"
    status = daemon.docker("ps", "-a", "--filter", f"name=^/{name}$", "--format", "{{.Status}}")
    assert status.startswith("Exited (137)") and status.endswith(" ago")
    assert daemon.docker("ps", "-aq", "--filter", f"ancestor={IMAGE}", "--filter",
                         f"name={name}") == short


def test_inspect_has_what_clients_read(daemon, name):
    full = daemon.docker("create", "--name", name, "--memory", "64m", IMAGE, "sleep", "1000")
    seen = json.loads(daemon.docker("inspect", name))[0]
    assert seen["Id"] == full and seen["Name"] == f"/{name}"
    assert seen["Path"] == "sleep" and seen["Args"] == ["1000"]
    assert seen["State"]["Status"] == "created" and not seen["State"]["Running"]
    assert seen["HostConfig"]["Memory"] == 64 << 20
    assert seen["Config"]["Image"] == IMAGE
    assert seen["State"]["StartedAt"] == "0001-01-01T00:00:00Z"
    daemon.docker("start", name)
    seen = json.loads(daemon.docker("inspect", name))[0]
    assert seen["State"]["Running"] and seen["State"]["Pid"] > 0
    address = seen["NetworkSettings"]["IPAddress"]
    assert address and seen["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] == address
    members = json.loads(daemon.docker("network", "inspect", "bridge"))[0]["Containers"]
    assert members[full]["Name"] == name
    assert members[full]["IPv4Address"].startswith(address + "/")


def test_start_stop_restart_kill_remove(daemon, name):
    daemon.docker("run", "-d", "--name", name, IMAGE, "sh", "-c",
                  "trap 'exit 5' TERM; while :; do sleep 0.05; done")
    api = daemon.client().api
    assert api._post(api._url("/containers/{0}/start", name)).status_code == 304
    assert "cannot remove" in daemon.run("rm", name).stderr
    daemon.docker("stop", name)
    assert daemon.docker("inspect", "-f", "{{.State.ExitCode}}", name) == "5"
    assert api._post(api._url("/containers/{0}/stop", name)).status_code == 304
    daemon.docker("restart", "-t", "1", name)
    assert daemon.docker("inspect", "-f", "{{.State.Running}}", name) == "true"
    daemon.docker("rename", name, name + "x")
    daemon.docker("rename", name + "x", name)
    daemon.docker("rm", "-f", name)
    result = daemon.run("container", "inspect", name)
    assert result.returncode == 1 and f"No such container: {name}" in result.stderr
    assert "No such container" in daemon.run("stop", name).stderr
    assert "No such container" in daemon.run("rm", name).stderr


def test_names_are_unique(daemon, name):
    daemon.docker("create", "--name", name, IMAGE)
    result = daemon.run("create", "--name", name, IMAGE)
    assert result.returncode != 0
    assert "Conflict." in result.stderr and f"/{name}" in result.stderr


def test_kill_of_what_does_not_run(daemon, name):
    daemon.docker("create", "--name", name, IMAGE)
    with pytest.raises(docker_sdk.errors.APIError) as failure:
        daemon.client().api.kill(name)
    assert failure.value.status_code == 409
    assert "is not running" in failure.value.explanation


def test_wait_conditions(daemon, name):
    client = daemon.client()
    container = client.containers.create(IMAGE, ["sh", "-c", "exit 3"], name=name)
    results = {}

    def wait(condition):
        results[condition] = container.wait(condition=condition, timeout=30)["StatusCode"]

    threads = [threading.Thread(target=wait, args=(c,)) for c in ("next-exit", "removed")]
    for t in threads:
        t.start()
    container.start()
    threads[0].join(30)
    assert container.wait(timeout=30)["StatusCode"] == 3
    container.remove()
    threads[1].join(30)
    # Who asked for the next exit may have come too late for this one; it is told of the removal.
    assert results["removed"] == 3
    with pytest.raises(docker_sdk.errors.APIError, match="invalid condition"):
        client.api.wait(client.containers.create(IMAGE, name=name).id, condition="never")


def test_logs(daemon, name):
    daemon.docker("run", "--name", name, IMAGE, "sh", "-c",
                  "for i in 1 2 3 4 5; do echo line $i; done; echo bad >&2")
    assert daemon.docker("logs", "--tail", "2", name) == "line 5" or \
        daemon.docker("logs", "--tail", "3", name).endswith("line 5")
    result = daemon.run("logs", name)
    assert result.stdout == "".join(f"line {i}\n" for i in range(1, 6))
    assert result.stderr == "bad\n"
    stamped = daemon.docker("logs", "-t", name).splitlines()[0]
    when, text = stamped.split(" ", 1)
    assert text == "line 1" and len(when) == len("2006-01-02T15:04:05.000000000Z")
    assert daemon.docker("logs", "--since", "1h", name).startswith("line 1")
    assert daemon.docker("logs", "--until", "1h", name) == ""
    with pytest.raises(docker_sdk.errors.APIError, match="at least one stream"):
        daemon.client().api.logs(name, stdout=False, stderr=False)


def test_logs_follow(daemon, name):
    client = daemon.client()
    container = client.containers.run(
        IMAGE, ["sh", "-c", "echo first; read x; echo second"], name=name, detach=True,
        stdin_open=True)
    stream = container.logs(stream=True, follow=True)
    assert next(stream) == b"first\n"
    raw = container.attach_socket(params={"stdin": 1, "stream": 1})
    raw._sock.sendall(b"go\n")
    assert next(stream) == b"second\n"
    assert list(stream) == []
    raw.close()


def test_terminal_is_raw(daemon, name):
    client = daemon.client()
    container = client.containers.run(IMAGE, ["sh", "-c", "tty; stty size; echo x"], name=name,
                                      tty=True, detach=True)
    container.wait(timeout=30)
    out = container.logs()
    assert b"/dev/pts/" in out and b"x\r\n" in out and not out.startswith(b"\x01")


def test_attach_replays_logs(daemon, name):
    client = daemon.client()
    container = client.containers.run(IMAGE, ["sh", "-c", "echo early; read x; echo late $x"],
                                      name=name, detach=True, stdin_open=True)
    follow = container.logs(stream=True, follow=True)
    assert next(follow) == b"early\n"
    raw, got = daemon.hijack(f"/containers/{name}/attach?stdin=1&stdout=1&stream=1&logs=1")
    raw.sendall(b"you\n")
    while piece := raw.recv(4096):
        got += piece
    raw.close()
    assert got == (b"\x01\0\0\0\0\0\0\x06early\n" b"\x01\0\0\0\0\0\0\x09late you\n")


def test_images(daemon):
    other = "engine-test/other:2"
    daemon.docker("tag", IMAGE, other)
    listed = daemon.docker("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    assert IMAGE in listed and other in listed
    assert daemon.docker("images", "-q", "--filter", "reference=engine-test/*")
    assert daemon.docker("images", "-q", "--filter", "dangling=true") == ""
    seen = json.loads(daemon.docker("image", "inspect", other))[0]
    assert seen["Os"] == "linux" and sorted(seen["RepoTags"]) == sorted([IMAGE, other])
    assert seen["RootFS"]["Type"] == "layers" and len(seen["RootFS"]["Layers"]) == 1
    assert daemon.docker("rmi", other) == f"Untagged: {other}"
    result = daemon.run("image", "inspect", other)
    assert result.returncode == 1 and f"No such image: {other}" in result.stderr
    assert "No such image" in daemon.run("rmi", other).stderr


def test_image_in_use_is_kept(daemon, name):
    daemon.docker("create", "--name", name, IMAGE)
    result = daemon.run("rmi", IMAGE)
    assert result.returncode != 0 and "conflict" in result.stderr
    assert IMAGE in daemon.docker("images", "--format", "{{.Repository}}:{{.Tag}}")


def test_a_bad_archive_is_refused(daemon):
    junk = io.BytesIO()
    with tarfile.open(fileobj=junk, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("nothing"))
    client = daemon.client()
    with pytest.raises(docker_sdk.errors.APIError) as failure:
        client.images.load(junk.getvalue())
    assert failure.value.status_code == 400


def test_networks(daemon, name):
    net = "n" + name
    daemon.docker("network", "create", "--label", "x=y", "--subnet", "10.77.0.0/24", net)
    try:
        listed = daemon.docker("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}")
        assert f"{net} bridge local" in listed and "host host local" in listed
        assert "none null local" in listed
        assert daemon.docker("network", "ls", "-f", "label=x=y", "--format", "{{.Name}}") == net
        assert "already exists" in daemon.run("network", "create", net).stderr
        seen = json.loads(daemon.docker("network", "inspect", net))[0]
        assert seen["IPAM"]["Config"][0]["Subnet"] == "10.77.0.0/24"
        daemon.docker("run", "-d", "--name", name, "--network", net, IMAGE, "sleep", "1000")
        out = daemon.docker("run", "--rm", "--network", net, IMAGE, "ping", "-c1", "-W5", name)
        assert "1 packets received" in out
        assert daemon.run("network", "rm", net).returncode != 0
        daemon.docker("rm", "-f", name)
    finally:
        daemon.docker("network", "rm", net)
    assert f"network {net} not found" in daemon.run("network", "inspect", net).stderr
    assert daemon.run("network", "rm", "bridge").returncode != 0
    result = daemon.run("network", "create", "-d", "overlay", "o" + net)
    assert "not a swarm manager" in result.stderr


def test_events(daemon, name):
    since = str(time.time())
    client = daemon.client()
    live = client.events(decode=True, filters={"container": name})
    daemon.docker("run", "--name", name, IMAGE, "true")
    daemon.docker("rm", name)
    seen = []
    for event in live:
        seen.append(event)
        if event["Action"] == "destroy":
            break
    live.close()
    actions = [e["Action"] for e in seen]
    for action in ("create", "start", "die", "destroy"):
        assert action in actions
    die = next(e for e in seen if e["Action"] == "die")
    assert die["Actor"]["Attributes"]["exitCode"] == "0"
    assert die["Actor"]["Attributes"]["image"] == IMAGE and die["from"] == IMAGE
    kept = daemon.docker("events", "--since", since, "--until", str(time.time()), "--filter",
                         f"container={name}", "--format", "{{.Action}}").splitlines()
    assert kept == actions
    result = daemon.run("events", "--since", "5", "--until", "4")
    assert "cannot be after" in result.stderr


def test_info_and_version(daemon):
    info = json.loads(daemon.docker("info", "--format", "{{json .}}"))
    assert info["Swarm"]["LocalNodeState"] == "inactive"
    assert info["DockerRootDir"] == str(daemon.root / "data")
    assert info["NCPU"] > 0 and info["MemTotal"] > 0 and info["Images"] >= 1
    text = daemon.docker("info")
    assert "Server Version:" in text and "Storage Driver: overlay2" in text
    version = json.loads(daemon.docker("version", "--format", "{{json .Server}}"))
    assert version["ApiVersion"] == "1.51" and version["Os"] == "linux"
    assert version["Components"][0]["Name"] == "Engine"


def test_not_there_is_said_by_name(daemon, name):
    daemon.docker("create", "--name", name, IMAGE)
    for args in (["container", "prune", "-f"], ["export", "-o", str(daemon.root / "out"), name]):
        result = daemon.run(*args)
        assert result.returncode != 0 and "not implemented" in result.stderr, args


def test_containers_outlive_the_daemon(daemon, name):
    daemon.docker("run", "-d", "--name", name, IMAGE, "sleep", "1000")
    before = daemon.docker("inspect", "-f", "{{.State.Pid}} {{.State.StartedAt}}", name)
    daemon.stop()
    daemon.start()
    assert daemon.docker("inspect", "-f", "{{.State.Pid}} {{.State.StartedAt}}", name) == before
    out = daemon.docker("run", "--rm", IMAGE, "sh", "-c", "ip -4 -o addr show dev eth0")
    assert "inet " in out


@pytest.mark.parametrize("version", ["1.24", "1.40", "1.44"])
def test_older_clients(daemon, name, version):
    client = daemon.client(version=version)
    container = client.containers.run(IMAGE, ["sh", "-c", "echo hi; exit 2"], name=name,
                                      detach=True)
    assert container.wait(timeout=30)["StatusCode"] == 2
    assert container.logs() == b"hi\n"
    assert name in [c.name for c in client.containers.list(all=True)]
    assert client.images.get(IMAGE).tags and client.networks.list() and client.info()["ID"]
    container.remove()


def test_a_slow_reader_loses_nothing(daemon, name):
    size = 8 << 20
    daemon.docker("create", "--name", name, IMAGE, "sh", "-c",
                  f"head -c {size} /dev/zero | tr '\\0' 'x'; echo; echo done >&2")
    container = daemon.client().containers.get(name)
    raw = container.attach_socket(params={"stdout": 1, "stderr": 1, "stream": 1})._sock
    raw.settimeout(30)
    container.start()
    # The container cannot end before it has been read: its output waits for this client.
    with pytest.raises(Exception, match="(?i)timed out|timeout"):
        container.wait(timeout=1)
    got = {1: 0, 2: 0}
    rest = b""
    while piece := raw.recv(1 << 16):
        rest += piece
        while len(rest) >= 8 and len(rest) >= 8 + int.from_bytes(rest[4:8], "big"):
            n = int.from_bytes(rest[4:8], "big")
            got[rest[0]] += n
            rest = rest[8 + n:]
    raw.close()
    assert got == {1: size + 1, 2: len("done\n")} and rest == b""
    assert container.wait(timeout=30)["StatusCode"] == 0


def test_attach_by_the_cli(daemon, name):
    daemon.docker("create", "-i", "--name", name, IMAGE, "sh", "-c", "read a; echo got $a; exit 4")
    result = daemon.run("start", "-a", "-i", name, text="this\n")
    assert (result.stdout, result.returncode) == ("got this\n", 4)


def test_a_terminal_of_the_cli(daemon):
    """docker run -it over a real terminal: raw bytes, its size, and the exit code."""
    leader, follower = pty.openpty()
    termios_size = (40).to_bytes(2, "little") + (123).to_bytes(2, "little") + bytes(4)
    fcntl.ioctl(follower, termios.TIOCSWINSZ, termios_size)
    env = {"PATH": os.environ["PATH"], "HOME": str(daemon.root), "TERM": "xterm"}
    with subprocess.Popen(
            ["docker", "-H", f"unix://{daemon.sock}", "run", "--rm", "-it", IMAGE, "sh", "-c",
             "echo ready; read x; stty size; exit 6"], stdin=follower, stdout=follower,
            stderr=follower, env=env, start_new_session=True) as cli:
        os.close(follower)
        got = b""
        try:
            while b"ready" not in got:
                got += os.read(leader, 4096)
            os.write(leader, b"go\r")
            while piece := os.read(leader, 4096):
                got += piece
        except OSError:
            pass  # how a terminal ends
        assert cli.wait(30) == 6, got
        os.close(leader)
    assert b"40 123" in got


def test_the_swarm_in_networks_events_and_info(daemon):
    """A manager's part: overlays in the one list of networks, the cluster's events, its info."""
    since = str(time.time())
    client = daemon.client()
    live = client.events(decode=True, filters={"scope": "swarm"})
    daemon.docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr",
                  "127.0.0.1:2377")
    try:
        info = client.info()["Swarm"]
        assert info["LocalNodeState"] == "active" and info["ControlAvailable"]
        assert (info["Nodes"], info["Managers"]) == (1, 1) and info["Cluster"]["ID"]
        assert info["Cluster"]["Spec"]["Dispatcher"]["HeartbeatPeriod"] == 5_000_000_000
        net = daemon.docker("network", "create", "-d", "overlay", "--attachable", "over")
        assert "already exists" in daemon.run("network", "create", "over").stderr
        assert daemon.docker("network", "ls", "--filter", "scope=swarm", "--format",
                             "{{.ID}} {{.Name}} {{.Driver}}").startswith(f"{net[:12]} over overlay")
        seen = json.loads(daemon.docker("network", "inspect", "over"))[0]
        assert seen["Scope"] == "swarm" and seen["Attachable"]
        daemon.docker("network", "rm", "over")
        assert "not found" in daemon.run("network", "inspect", "over").stderr
        seen = set()
        for event in live:
            seen.add((event["Type"], event["Action"]))
            if event["Type"] == "network" and event["Action"] == "remove":
                assert event["Actor"]["Attributes"]["name"] == "over"
                break
        live.close()
        assert ("network", "create") in seen
        kept = daemon.docker("events", "--since", since, "--until", str(time.time()), "--filter",
                             "type=network", "--filter", "scope=swarm", "--format", "{{.Action}}")
        assert kept.splitlines()[0] == "create" and kept.splitlines()[-1] == "remove"
    finally:
        daemon.docker("swarm", "leave", "--force")
    assert client.info()["Swarm"]["LocalNodeState"] == "inactive"
