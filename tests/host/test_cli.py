"""
The command line against a daemon that only records what it is asked and answers from fixtures of
docker's shapes. Where the docker CLI is there, it runs the same command against the same daemon,
and what both print is compared. No root is needed.
"""

import http.server
import json
import os
import re
import shutil
import socketserver
import subprocess
import threading
import time
import urllib.parse
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("SHOAL_BUILD", Path(__file__).resolve().parents[2] / "build"))
SHOAL = BUILD / "bin" / "shoal"
HOUR_AGO = int(time.time()) - 3 * 3600 - 60
ID = "f00dcafe" * 8
TOKEN = "SWMTKN-1-" + "1" * 50 + "-" + "2" * 25

pytestmark = pytest.mark.skipif(not SHOAL.exists(), reason="needs a built shoal")
needs_docker = pytest.mark.skipif(not shutil.which("docker"), reason="needs the docker CLI")


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def service(name, ident, replicas):
    return {
        "ID": ident, "Version": {"Index": 21}, "CreatedAt": stamp(HOUR_AGO),
        "UpdatedAt": stamp(HOUR_AGO), "Endpoint": {"Spec": {}},
        "Spec": {"Name": name, "Labels": {}, "TaskTemplate": {
            "ContainerSpec": {"Image": "web:1"}, "ForceUpdate": 0, "Runtime": "container"},
            "UpdateConfig": {"Parallelism": 1, "Monitor": 1000000, "MaxFailureRatio": 0},
            "Mode": {"Replicated": {"Replicas": replicas}}},
        "ServiceStatus": {"RunningTasks": replicas, "DesiredTasks": replicas,
                          "CompletedTasks": 0}}


def task(ident, slot, state, created=HOUR_AGO, desired="running", err=""):
    return {"ID": ident, "Version": {"Index": 30}, "CreatedAt": stamp(created),
            "UpdatedAt": stamp(created), "ServiceID": SERVICE, "Slot": slot, "NodeID": NODE,
            "Spec": {"ContainerSpec": {"Image": "web:1"}, "ForceUpdate": 0},
            "DesiredState": desired,
            "Status": {"Timestamp": stamp(HOUR_AGO), "State": state, "Message": "m", "Err": err}}


SERVICE, NODE, WORKER = "s" * 25, "n" * 25, "w" * 25


def node(ident, name, manager):
    found = {"ID": ident, "Version": {"Index": 9}, "CreatedAt": stamp(HOUR_AGO),
             "UpdatedAt": stamp(HOUR_AGO),
             "Spec": {"Role": "worker", "Availability": "active", "Labels": {}},
             "Description": {"Hostname": name, "Platform": {}, "Resources": {},
                             "Engine": {"EngineVersion": "28.2.2"}, "TLSInfo": {}},
             "Status": {"State": "ready", "Addr": "10.0.0.1"}}
    if manager:
        found["Spec"]["Role"] = "manager"
        found["ManagerStatus"] = {"Leader": True, "Reachability": "reachable",
                                  "Addr": "10.0.0.1:2377"}
    return found


CONTAINERS = [
    {"Id": ID, "Names": ["/web", "/other/link"], "Image": "web:1", "ImageID": "sha256:" + ID,
     "Command": "sh -c 'while true; do sleep 1; done'", "Created": HOUR_AGO,
     "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
               {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
               {"IP": "0.0.0.0", "PrivatePort": 443, "PublicPort": 443, "Type": "tcp"},
               {"PrivatePort": 9001, "Type": "udp"}, {"PrivatePort": 9000, "Type": "udp"}],
     "Labels": {"a": "b"}, "State": "running", "Status": "Up 3 hours", "HostConfig": {},
     "NetworkSettings": {"Networks": {"bridge": {}}}, "Mounts": []},
    {"Id": ID[::-1], "Names": ["/db"], "Image": "db", "ImageID": "sha256:" + ID, "Command": "db",
     "Created": HOUR_AGO - 400000, "Ports": [], "Labels": {}, "State": "exited",
     "Status": "Exited (0) 2 hours ago", "HostConfig": {}, "Mounts": [],
     "NetworkSettings": {"Networks": {}}},
]
IMAGES = [
    {"Id": "sha256:" + ID, "RepoTags": ["web:1", "reg:5000/web:2"], "RepoDigests": [],
     "Created": HOUR_AGO, "Size": 4261234, "SharedSize": -1, "Containers": -1, "Labels": None},
    {"Id": "sha256:" + ID[::-1], "RepoTags": [], "RepoDigests": [], "Created": HOUR_AGO,
     "Size": 999, "SharedSize": -1, "Containers": -1, "Labels": None},
]
NETWORKS = [
    {"Id": ID[::-1], "Name": "net10", "Driver": "overlay", "Scope": "swarm", "Labels": {},
     "Created": stamp(HOUR_AGO), "EnableIPv4": True, "EnableIPv6": False, "Internal": False},
    {"Id": ID, "Name": "net9", "Driver": "bridge", "Scope": "local", "Labels": {"x": "y"},
     "Created": stamp(HOUR_AGO), "EnableIPv4": True, "EnableIPv6": False, "Internal": False},
]
TASKS = [task("t1" + "a" * 23, 1, "running"),
         task("t2" + "a" * 23, 1, "failed", HOUR_AGO - 60, "shutdown",
              "task: non-zero exit (1): a long reason"),
         task("t3" + "a" * 23, 2, "running")]
ANSWERS = {
    "GET /_ping": "OK",
    "GET /containers/json": CONTAINERS,
    "GET /images/json": IMAGES,
    "GET /networks": NETWORKS,
    "GET /networks/n": {"Id": "n", "Name": "n", "Driver": "overlay", "Scope": "swarm"},
    "GET /nodes": [node(WORKER, "node10", False), node(NODE, "node2", True)],
    "GET /nodes/" + NODE: node(NODE, "node2", True),
    "GET /info": {"Swarm": {"NodeID": NODE, "LocalNodeState": "active"}, "NCPU": 2,
                  "ServerVersion": "28.2.2", "MemTotal": 1 << 30, "Name": "host"},
    "GET /version": {"Version": "0.1.0", "ApiVersion": "1.51", "MinAPIVersion": "1.24",
                     "Os": "linux", "Arch": "amd64", "KernelVersion": "6.1"},
    "GET /services": [service("web10", "x" * 25, 1), service("web2", SERVICE, 2)],
    "GET /services/" + SERVICE: service("web2", SERVICE, 2),
    "GET /services/web2": service("web2", SERVICE, 2),
    "GET /tasks": TASKS,
    "GET /swarm": {"ID": "c" * 25, "Version": {"Index": 7}, "Spec": {"Name": "default"},
                   "JoinTokens": {"Worker": TOKEN, "Manager": TOKEN[::-1]}},
    "POST /swarm/init": NODE,
    "POST /swarm/join": None,
    "POST /swarm/leave": None,
    "POST /services/create": {"ID": SERVICE},
    f"POST /services/{SERVICE}/update": {"Warnings": None},
    "GET /services/slow": dict(service("slow", "z" * 25, 2), RebalanceStatus={
        "State": "moving", "Moved": 1, "Failed": 0, "Message": "rebalance in progress"}),
    "POST /services/slow/rebalance": {"Warnings": None},
    "POST /networks/create": {"Id": ID, "Warning": ""},
    "POST /images/load": {"stream": "Loaded image: web:1\n"},
    "DELETE /services/web2": None,
    "DELETE /containers/web": None,
    "POST /containers/web/stop": None,
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = b""
        while size := int(self.rfile.readline(), 16):
            parts += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return parts

    def answer(self):
        url = urllib.parse.urlsplit(self.path)
        path = re.sub(r"^/v1\.\d+", "", urllib.parse.unquote(url.path))
        key = f"{self.command} {path}".replace("HEAD", "GET")
        body = self.body()
        query = dict(urllib.parse.parse_qsl(url.query))
        self.server.seen.append((f"{self.command} {path}", query, body))
        found = key in ANSWERS
        value = ANSWERS.get(key, {"message": f"no such thing: {path}"})
        data = b"" if value is None else (json.dumps(value) + "\n").encode()
        self.send_response(200 if found else 404)
        self.send_header("Api-Version", "1.50")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path):
        super().__init__(str(path), Handler)
        self.path, self.seen = path, []

    def get_request(self):
        request, _ = super().get_request()
        return request, ("client", 0)

    def requests(self):
        return [request for request, _, _ in self.seen if "_ping" not in request]

    def sent(self, request):
        return next(json.loads(body) for name, _, body in self.seen if name == request)

    def query(self, request):
        return next(query for name, query, _ in self.seen if name == request)


@pytest.fixture
def daemon(tmp_path):
    with Server(tmp_path / "d.sock") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(program, daemon, *args, data=None):
    env = {"PATH": os.environ["PATH"], "HOME": str(daemon.path.parent), "TZ": "UTC",
           "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")}
    return subprocess.run([program, "-H", f"unix://{daemon.path}", *args], input=data, env=env,
                          capture_output=True, text=True, timeout=30, check=False)


def shoal(daemon, *args, data=None):
    return run(SHOAL, daemon, *args, data=data)


LISTS = [
    ["ps", "-a"], ["ps", "-q"], ["ps", "--no-trunc"], ["ps", "-as"],
    ["ps", "--format", "{{.Names}}: {{.Ports}}"],
    ["ps", "--format", "table {{.ID}}\\t{{.Labels}}\\t{{.Networks}}"],
    ["images"], ["images", "-q"], ["images", "--digests"], ["images", "--no-trunc"],
    ["network", "ls"], ["network", "ls", "--no-trunc", "-q"],
    ["node", "ls"], ["node", "ls", "-q"],
    ["service", "ls"], ["service", "ls", "-q"], ["service", "ls", "--format", "{{.Replicas}}"],
    ["service", "ps", "web2"], ["service", "ps", "-q", "web2"],
    ["service", "ps", "--no-trunc", "web2"],
]


@needs_docker
@pytest.mark.parametrize("args", LISTS, ids=" ".join)
def test_lists_are_dockers(daemon, args):
    for _ in range(3):  # "59 seconds ago" may turn into a minute between the two
        ours, theirs = shoal(daemon, *args), run("docker", daemon, *args)
        if ours.stdout == theirs.stdout:
            break
    assert theirs.returncode == 0, theirs.stderr
    assert ours.stderr == ""
    assert ours.stdout == theirs.stdout


@needs_docker
@pytest.mark.parametrize("args", [["ps", "-a"], ["network", "ls"], ["node", "ls"],
                                  ["service", "ls"], ["service", "ps", "web2"]], ids=" ".join)
def test_json_lines_are_dockers(daemon, args):
    lines = [[json.loads(line) for line in run(program, daemon, *args, "--format", "json")
              .stdout.splitlines()] for program in (SHOAL, "docker")]
    assert len(lines[0]) == len(lines[1]) > 0
    for ours, theirs in zip(*lines):
        # A newer client's fields may be missing from an older one's.
        shared = ours.keys() & theirs.keys()
        assert {k: ours[k] for k in shared} == {k: theirs[k] for k in shared}
        assert theirs.keys() - ours.keys() <= {"Platform"}


@needs_docker
@pytest.mark.parametrize("args", [
    ["--name", "web", "--replicas", "3", "-e", "A=1", "-l", "x=y", "--network", "name=n,alias=a",
     "--constraint", "node.role==worker", "--placement-pref", "spread=node.labels.rack", "--limit-cpu", "0.5", "--limit-memory", "64m",
     "--reserve-memory", "1g", "--restart-condition", "on-failure", "--restart-delay", "2s",
     "--mount", "type=bind,src=/a,dst=/b,readonly", "--ulimit", "nofile=10:20", "-w", "/d",
     "--host", "h:1.2.3.4", "--cap-add", "CAP_NET_ADMIN", "-u", "me", "--hostname", "hn",
     "--stop-grace-period", "1m", "--replicas-max-per-node", "2", "--dns", "1.1.1.1",
     "--container-label", "c=d", "--sysctl", "net.a=1", "--entrypoint", "a 'b c'",
     "--endpoint-mode", "dnsrr", "web:1", "sh", "-c", "x"],
    ["-t", "--read-only", "--init", "--limit-pids", "9", "-p", "8080:80/udp",
     "--update-parallelism", "2", "--update-delay", "1s", "--update-order", "start-first", "web:1"],
    ["--mode", "global", "web:1"],
    ["--mode", "replicated-job", "--replicas", "5", "--max-concurrent", "2", "web:1"],
    ["--mode", "replicated-job", "--replicas", "5", "web:1"],
    ["--mode", "replicated-job", "web:1"],
    ["--mode", "global-job", "web:1"],
], ids=["long", "short", "global", "job", "job-at-once", "job-of-one", "global-job"])
def test_a_service_is_asked_for_as_docker_does(daemon, args):
    sent = []
    for program in (SHOAL, "docker"):
        daemon.seen.clear()
        command = ["service", "create", "-d", "--no-resolve-image", *args]
        result = run(program, daemon, *command)
        assert result.returncode == 0, result.stderr
        assert result.stdout == SERVICE + "\n"
        sent.append(plain(daemon.sent("POST /services/create")))
    # What docker's command knows nothing of.
    assert sent[0]["Labels"].pop("shoal.update.deadline") == "5m"
    assert plain(sent[0]) == sent[1]


@pytest.mark.parametrize("args, wanted", [([], "5m"), (["--update-deadline", "90s"], "90s"),
                                          (["--update-deadline", "0"], "0")])
def test_services_have_a_deadline_for_their_updates(daemon, args, wanted):
    for command in (["create", "-d", *args, "web:1"], ["update", "-d", *args, "web2"]):
        daemon.seen.clear()
        assert shoal(daemon, "service", *command).returncode == 0
        request = "create" if command[0] == "create" else f"{SERVICE}/update"
        sent = daemon.sent(f"POST /services/{request}")
        assert sent["Labels"] == {"shoal.update.deadline": wanted}


def test_rollback_is_asked_for_as_docker_does(daemon):
    request = f"POST /services/{SERVICE}/update"
    for command in (["rollback"], ["update", "--rollback"]):
        daemon.seen.clear()
        result = shoal(daemon, "service", *command, "-d", "web2")
        assert (result.returncode, result.stdout) == (0, "web2\n"), result.stderr
        assert daemon.query(request) == {"version": "21", "rollback": "previous"}


def plain(value):
    """Without what is empty, which means the same as what is missing."""
    if isinstance(value, dict):
        kept = {key: plain(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, {}, [], "", False, 0)
                or key in ("Replicated",)}
    return [plain(item) for item in value] if isinstance(value, list) else value


def test_create_shows_progress_until_converged(daemon):
    result = shoal(daemon, "service", "create", "web:1")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == SERVICE
    assert lines[1] == "overall progress: 2 out of 2 tasks"
    assert lines[-1] == f"verify: Service {SERVICE} converged"
    assert daemon.query("GET /tasks") == {
        "filters": json.dumps({"service": {SERVICE: True}, "_up-to-date": {"true": True}},
                              separators=(",", ":"))}


def test_scale_changes_the_number_alone(daemon):
    result = shoal(daemon, "service", "scale", "-d", "web2=5")
    assert (result.returncode, result.stdout) == (0, "web2 scaled to 5\n"), result.stderr
    request = f"POST /services/{SERVICE}/update"
    wanted = service("web2", SERVICE, 5)["Spec"]
    assert plain(daemon.sent(request)) == plain(wanted)
    assert daemon.query(request) == {"version": "21"}


def test_a_rebalance_that_stands_still_is_not_waited_for(daemon):
    result = shoal(daemon, "service", "rebalance", "--converge-deadline", "500ms", "slow")
    assert result.returncode == 1
    assert result.stdout == "slow\nrebalance in progress (1 moved, 0 failed)\n"
    assert "service slow: nothing has changed for 500ms: rebalance in progress" in result.stderr
    assert "goes on in the background" in result.stderr


def test_swarm_init_says_how_to_join(daemon):
    result = shoal(daemon, "swarm", "init", "--advertise-addr", "10.0.0.1")
    assert result.returncode == 0, result.stderr
    assert f"current node ({NODE}) is now a manager." in result.stdout
    assert f"\n    shoal swarm join --token {TOKEN} 10.0.0.1:2377\n" in result.stdout
    sent = daemon.sent("POST /swarm/init")
    assert (sent["ListenAddr"], sent["AdvertiseAddr"]) == ("0.0.0.0:2377", "10.0.0.1")


def test_tokens_join_and_leave(daemon):
    assert shoal(daemon, "swarm", "join-token", "-q", "manager").stdout == TOKEN[::-1] + "\n"
    assert shoal(daemon, "swarm", "join", "--token", TOKEN, "10.0.0.1:2377").returncode == 0
    assert daemon.sent("POST /swarm/join")["RemoteAddrs"] == ["10.0.0.1:2377"]
    assert daemon.sent("POST /swarm/join")["JoinToken"] == TOKEN
    assert shoal(daemon, "swarm", "leave", "--force").stdout == "Node left the swarm.\n"
    assert daemon.query("POST /swarm/leave") == {"force": "1"}


def test_load_sends_the_file(daemon, tmp_path):
    (tmp_path / "i.tar").write_bytes(b"x" * 300000)
    result = shoal(daemon, "load", "-i", str(tmp_path / "i.tar"))
    assert (result.returncode, result.stdout) == (0, "Loaded image: web:1\n"), result.stderr
    assert len(daemon.seen[-1][2]) == 300000


def test_each_argument_is_done_and_the_failures_are_told(daemon):
    result = shoal(daemon, "rm", "-f", "web", "nobody")
    assert (result.returncode, result.stdout) == (1, "web\n")
    assert result.stderr == "Error response from daemon: no such thing: /containers/nobody\n"
    assert shoal(daemon, "stop", "-t", "3", "web").stdout == "web\n"
    assert daemon.query("POST /containers/web/stop") == {"t": "3"}


def test_network_create(daemon):
    result = shoal(daemon, "network", "create", "-d", "overlay", "--subnet", "10.1.0.0/24", "n")
    assert (result.returncode, result.stdout) == (0, ID + "\n"), result.stderr
    sent = daemon.sent("POST /networks/create")
    assert (sent["Driver"], sent["IPAM"]["Config"]) == ("overlay", [{"Subnet": "10.1.0.0/24"}])


def test_inspect_and_its_templates(daemon):
    assert json.loads(shoal(daemon, "service", "inspect", "web2").stdout) == [
        ANSWERS["GET /services/web2"]]
    result = shoal(daemon, "service", "inspect", "-f", "{{.Spec.Name}} {{json .Version}}", "web2")
    assert result.stdout == 'web2 {"Index":21}\n'
    result = shoal(daemon, "service", "inspect", "-f", "{{.Nothing}}", "web2")
    assert result.returncode == 1 and "there is no field Nothing" in result.stderr
    result = shoal(daemon, "inspect", "nobody")
    assert (result.returncode, result.stdout) == (1, "[]\n")
    assert result.stderr == "Error: No such object: nobody\n"


def test_version_and_info(daemon):
    assert "API version:      1.51 (minimum version 1.24)" in shoal(daemon, "version").stdout
    assert shoal(daemon, "version", "-f", "{{.Server.Version}}").stdout == "0.1.0\n"
    info = shoal(daemon, "info").stdout
    assert " Swarm: active\n" in info and " Total Memory: 1GiB\n" in info
    assert daemon.requests()[-1] == "GET /info"


@pytest.mark.parametrize("args, status, text", [
    (["ps", "--foo"], 125, "unknown flag: --foo\n\nUsage:  shoal ps [OPTIONS]"),
    (["ps", "-z"], 125, "unknown shorthand flag: 'z' in -z"),
    (["ps", "a"], 1, "shoal: 'shoal ps' accepts no arguments"),
    (["service", "create"], 1, "shoal: 'shoal service create' requires at least 1 argument"),
    (["service", "create", "--replicas", "x", "i"], 125,
     'invalid argument "x" for "--replicas" flag'),
    (["foo"], 1, "shoal: unknown command: shoal foo"),
    (["service", "foo"], 1, "shoal: unknown command: shoal service foo"),
    (["service", "scale", "a"], 1, "invalid scale specifier 'a'"),
    (["ps", "--filter", "x"], 1, 'invalid filter "x"'),
])
def test_misuse_says_how_to_use_it(daemon, args, status, text):
    result = shoal(daemon, *args)
    assert result.returncode == status
    assert text in result.stderr
    assert daemon.requests() == []


def test_a_missing_daemon_is_named(tmp_path):
    result = subprocess.run([SHOAL, "-H", f"unix://{tmp_path}/no.sock", "ps"], text=True,
                            capture_output=True, check=False)
    assert result.returncode == 1
    assert f"cannot connect to shoald at unix://{tmp_path}/no.sock" in result.stderr
    assert "--host" in result.stderr and result.stderr.count("\n") == 1
