"""
What docker's CLI and shoal send to a daemon for the same Compose files: services, networks, secrets
and configs, compared field by field; and that each reads what the other's `stack config` writes as
it reads the file itself. The daemon is a stand-in that keeps what it is sent. DIFFERENT lists what
is not the same, and why.
"""

import base64
import copy
import http.server
import json
import re
import shutil
import socketserver
import subprocess
import threading
import urllib.parse

import pytest
from test_shoald import BUILD

SHOAL = BUILD / "bin" / "shoal"
DOCKER = shutil.which("docker")
KINDS = ("services", "networks", "secrets", "configs")

pytestmark = pytest.mark.skipif(not DOCKER or not SHOAL.exists(),
                                reason="needs the docker CLI and a built shoal")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, body):
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Api-Version", "1.51")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def parts(self):
        url = urllib.parse.urlparse(self.path)
        words = [urllib.parse.unquote(w) for w in url.path.strip("/").split("/")]
        if re.fullmatch(r"v\d+\.\d+", words[0]):
            words = words[1:]
        return words, urllib.parse.parse_qs(url.query)

    def do_HEAD(self):
        self.reply(200, None)

    def do_GET(self):
        words, query = self.parts()
        kept = self.server.kept
        if words[0] == "_ping":
            self.reply(200, "OK")
        elif words[0] == "info":
            self.reply(200, {"Swarm": {"LocalNodeState": "active", "ControlAvailable": True,
                                       "NodeID": "n"}, "OSType": "linux"})
        elif words[0] == "version":
            self.reply(200, {"ApiVersion": "1.51", "Os": "linux"})
        elif words[0] not in KINDS:
            self.reply(404, {"message": f"no {self.path}"})
        elif len(words) == 1:
            self.reply(200, [self.view(words[0], name) for name in kept[words[0]]
                             if self.wanted(words[0], name, query)])
        elif words[1] in kept[words[0]]:
            self.reply(200, self.view(words[0], words[1]))
        elif words[0] == "networks" and words[1].startswith("out"):
            self.reply(200, {"Name": words[1], "Id": words[1], "Scope": "swarm"})
        else:
            self.reply(404, {"message": f"{words[1]} not found"})

    def wanted(self, kind, name, query):
        filters = json.loads(query.get("filters", ["{}"])[0])
        names = filters.get("name", {})
        return not names or name in names

    def view(self, kind, name):
        spec = self.server.kept[kind][name]
        if kind == "networks":
            return {**spec, "Id": f"id-{name}", "Scope": "swarm"}
        return {"ID": f"id-{name}", "Version": {"Index": 1}, "Spec": spec}

    def do_POST(self):
        words, _ = self.parts()
        n = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(n) if n else b""
        if not n and "chunked" in (self.headers.get("Transfer-Encoding") or ""):
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        spec = json.loads(body)
        self.server.kept[words[0]][spec["Name"]] = spec
        self.reply(201, {"ID": f"id-{spec['Name']}", "Id": f"id-{spec['Name']}"})

    def address_string(self):
        return "local"

    def log_message(self, *_args):
        pass


class Standin(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path):
        super().__init__(str(path), Handler)
        self.host = f"unix://{path}"
        self.clear()

    def clear(self):
        self.kept = {kind: {} for kind in KINDS}


@pytest.fixture(scope="module")
def standin(tmp_path_factory):
    server = Standin(tmp_path_factory.mktemp("wire") / "s.sock")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def plain(value):
    """Without what says nothing: both leave other parts of that out."""
    if isinstance(value, dict):
        less = {k: plain(v) for k, v in value.items()}
        return {k: v for k, v in less.items() if v not in (None, "", 0, False, [], {})}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


def by_name(items, *keys):
    return sorted(items, key=lambda x: [str(x.get(k)) for k in keys])


# What is another text for the same meaning, or justified.
def aligned(kept):
    kept = copy.deepcopy(kept)
    for spec in kept["services"].values():
        c = spec["TaskTemplate"]["ContainerSpec"]
        c["Image"] = c["Image"].removesuffix(":latest")  # docker writes the default tag out
        # no order means anything here
        c["Hosts"] = sorted(c.get("Hosts") or [])
        nets = spec["TaskTemplate"].get("Networks") or spec.get("Networks") or []
        spec.pop("Networks", None)
        spec["TaskTemplate"]["Networks"] = nets
        for net in nets:
            net["Aliases"] = sorted(net.get("Aliases") or [])
        endpoint = spec["EndpointSpec"] = spec.get("EndpointSpec") or {}
        endpoint["Ports"] = by_name(endpoint.get("Ports") or [], "PublishedPort", "TargetPort",
                                    "Protocol")
        if endpoint.get("Mode") == "vip":
            del endpoint["Mode"]  # the default
        for port in endpoint["Ports"]:
            for key, default in (("Protocol", "tcp"), ("PublishMode", "ingress")):
                if port.get(key) == default:
                    del port[key]
        if not spec["Mode"]:
            spec["Mode"] = {"Replicated": {}}
        replicated = spec["Mode"].get("Replicated")
        if replicated and replicated.get("Replicas") == 1:
            del replicated["Replicas"]  # the default
        spec["Mode"] = sorted(spec["Mode"]) + [plain(spec["Mode"])]
        for key in ("UpdateConfig", "RollbackConfig"):
            update = spec.get(key)
            if update and update.get("Monitor") == 5_000_000_000:
                del update["Monitor"]  # the default
        # the label by which the managers hold tasks back: docker drops depends_on
        spec["Labels"].pop("shoal.depends_on", None)
    for spec in kept["networks"].values():
        for key in ("CheckDuplicate", "EnableIPv4", "Scope"):
            spec.pop(key, None)
    return plain(kept)


def run(argv, cwd):
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=60, check=False,
                          env={"PATH": "/usr/bin:/bin", "TAG": "7", "EMPTY": "", "HOME": "/root"})


def differences(a, b, path=""):
    """Where the two are not the same, as lines."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [line for key in sorted(set(a) | set(b))
                for line in differences(a.get(key), b.get(key), f"{path}.{key}")]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [line for i, (x, y) in enumerate(zip(a, b, strict=True))
                for line in differences(x, y, f"{path}[{i}]")]
    return [] if a == b else [f"{path}: {a!r} and {b!r}"]


def sent(standin, tool, files, cwd):
    standin.clear()
    names = [word for name in files for word in ("-c", str(name))]
    more = ["--resolve-image", "never", "--detach=true"] if tool == DOCKER else []
    done = run([str(tool), "-H", standin.host, "stack", "deploy", *names, *more, "st"], cwd)
    assert done.returncode == 0, (tool, done.stdout, done.stderr)
    return aligned(standin.kept)


ONE = "services:\n  a:\n    image: i\n"

FILES = {
    "least": ONE,
    "version": "version: '3.8'\n" + ONE,
    "command_text": ONE + "    command: sh -c 'echo \"a b\"' \"c d\" e\\ f\n",
    "command_list": ONE + "    command: [a, 'b c']\n    entrypoint: /x y\n",
    "environment_map": ONE + "    environment: {A: 1, B: 'x y', C: 'true', TAG: , NONE: , E: ''}\n",
    "environment_list": ONE + "    environment: [A=1, 'B=x=y', TAG, NONE, E=]\n",
    "env_file": ONE + "    env_file: [e1, e2]\n    environment: {A: over}\n",
    "variables": ONE + "    hostname: \"h${TAG}-${NO:-d}-${EMPTY-e}-${EMPTY:-f}\"\n"
                       "    user: \"$$${TAG?no}\"\n",
    "dot_env": "services:\n  a:\n    image: \"i:${TAG}\"\n",
    "labels": ONE + "    labels: [a=b, c]\n    deploy: {labels: {d: e, f: 1}}\n",
    "global": ONE + "    deploy: {mode: global}\n",
    "replicas": ONE + "    deploy: {mode: replicated, replicas: 6}\n",
    "no_replicas": ONE + "    deploy: {replicas: 0}\n",
    "job": ONE + "    deploy: {mode: replicated-job, replicas: 3}\n",
    "global_job": ONE + "    deploy: {mode: global-job}\n",
    "endpoint": ONE + "    deploy: {endpoint_mode: dnsrr}\n",
    "placement": ONE + "    deploy:\n      placement:\n        constraints: [node.role==worker, "
                       "'node.labels.x != y']\n        preferences: [{spread: node.labels.z}, "
                       "{spread: node.labels.q}]\n        max_replicas_per_node: 2\n",
    "resources": ONE + "    deploy:\n      resources:\n        limits: {cpus: '0.25', memory: 50M, "
                       "pids: 20}\n        reservations: {cpus: '0.1', memory: 20m, "
                       "generic_resources: [{discrete_resource_spec: {kind: gpu, value: 2}}]}\n",
    "restart_policy": ONE + "    deploy: {restart_policy: {condition: on-failure, delay: 5s, "
                            "max_attempts: 3, window: 2m}}\n",
    "restart": ONE + "    restart: on-failure:4\n",
    "restart_always": ONE + "    restart: always\n",
    "restart_no": ONE + "    restart: 'no'\n",
    "updates": ONE + "    deploy:\n      update_config: {parallelism: 3, delay: 10s, failure_action: "
                     "continue, monitor: 60s, max_failure_ratio: 0.3, order: start-first}\n"
                     "      rollback_config: {parallelism: 0, failure_action: pause, order: "
                     "stop-first}\n",
    "update_least": ONE + "    deploy: {update_config: {delay: 1s}}\n",
    "health": ONE + "    healthcheck: {test: [CMD, curl, x], interval: 10s, timeout: 1s, retries: 5, "
                    "start_period: 15s, start_interval: 2s}\n",
    "health_text": ONE + "    healthcheck: {test: echo hello, interval: 1m30s}\n",
    "health_off": ONE + "    healthcheck: {disable: true}\n",
    "ports": ONE + "    ports: ['3000', '3001-3005', '8000:8000', '9090-9091:8080-8081', "
                   "'6060:6060/udp', {target: 80, published: 8080, protocol: tcp, mode: host}]\n",
    "expose": ONE + "    expose: ['3000']\n",
    "mounts": ONE + "    volumes: ['vol:/v', 'wol:/w:ro', /host:/h, './rel:/r:ro', '~/home:/o', "
                    "'vol:/n:nocopy', /anonymous]\nvolumes:\n  vol: {driver: local, driver_opts: "
                    "{a: b}, labels: [l=m]}\n  wol: {external: true}\n",
    "mounts_long": ONE + "    volumes:\n      - {type: bind, source: ./x, target: /x, read_only: true, "
                         "bind: {propagation: rshared}}\n"
                         "      - {type: volume, source: v, target: /v, volume: {nocopy: true}}\n"
                         "      - {type: tmpfs, target: /t, tmpfs: {size: 10000}}\n"
                         "      - {type: volume, target: /a}\n"
                         "volumes: {v: {name: other}}\n",
    "tmpfs": ONE + "    tmpfs: [/run, /tmp]\n",
    "networks": ONE + "    networks: {n: {aliases: [q, r]}, out: }\n  b: {image: i}\n"
                      "  c: {image: i, networks: [n, m]}\n"
                      "networks:\n  n: {driver: overlay, driver_opts: {k: v}, attachable: true, labels: "
                      "{l: '1'}, ipam: {driver: default, config: [{subnet: 172.16.238.0/24}]}}\n"
                      "  m: {name: plain, internal: true}\n  out: {external: true, name: outside}\n",
    "network_host": ONE + "    networks: [n]\nnetworks:\n  n: {external: true, name: host}\n",
    "secrets": ONE + "    secrets: [s, {source: t, target: dir/x, uid: '103', gid: '104', mode: "
                     "0440}]\nsecrets:\n  s: {file: ./e1}\n  t: {file: e2, name: real, labels: "
                     "{a: b}, template_driver: golang}\n",
    "configs": ONE + "    configs: [c, {source: d, target: /etc/d, mode: 256}]\n"
                     "configs:\n  c: {file: ./e1}\n  d: {file: e2, name: 'real-${TAG}', "
                     "template_driver: golang}\n",
    "host": ONE + "    hostname: h\n    extra_hosts: ['x:10.0.0.1', 'y:::1']\n    dns: [1.1.1.1]\n"
                  "    dns_search: [d.e]\n",
    "hosts_map": ONE + "    extra_hosts: {x: 10.0.0.1}\n    dns: 8.8.8.8\n    dns_search: a.b\n",
    "container": ONE + "    init: true\n    tty: true\n    stdin_open: true\n    read_only: true\n"
                       "    user: '1:2'\n    working_dir: /w\n    stop_signal: SIGUSR1\n"
                       "    stop_grace_period: 1m30s\n    isolation: default\n",
    "caps": ONE + "    cap_add: [NET_ADMIN]\n    cap_drop: [ALL]\n    sysctls: {net.x: 1}\n",
    "ulimits": ONE + "    ulimits: {nproc: 65535, nofile: {soft: 20000, hard: 40000}}\n",
    "logging": ONE + "    logging: {driver: json-file, options: {max-size: 1m, max-file: '3'}}\n",
    "anchors": "x-a: &a {image: i, user: u}\nx-e: &e {A: 1}\nservices:\n  a:\n    <<: *a\n"
               "    environment: {<<: *e, B: 2}\n  b: *a\n",
    "extensions": "x-top: {a: 1}\n" + ONE + "    x-in: [1]\n    deploy: {replicas: 2}\n",
    "depends": ONE + "    depends_on: [b]\n  b: {image: i}\n",
    "container_name": ONE + "    container_name: c\n",
    "oom": ONE + "    oom_score_adj: -500\n",
    "groups": ONE + "    hostname: '{{.Node.Hostname}}'\n    env_file: e1\n",
}

SEVERAL = {
    "texts_and_maps": [ONE + "    hostname: h\n    environment: {A: 1, B: 1}\n    labels: {l: a}\n",
                       "services:\n  a:\n    hostname: g\n    environment: [B=2]\n    labels: [l=b]\n"
                       "  b: {image: j}\n"],
    "lists": [ONE + "    cap_add: [A]\n    volumes: ['/x:/t', '/y:/u']\n    command: [a, b]\n",
              "services:\n  a:\n    volumes: ['/z:/t']\n    command: [c]\n"],
    "deploys": [ONE + "    deploy: {replicas: 2, labels: {a: b}, resources: {limits: {cpus: '1'}}}\n",
                "services:\n  a:\n    deploy: {replicas: 3, resources: {limits: {memory: 64M}}}\n"],
    "sections": [ONE + "    networks: [n]\nnetworks: {n: {labels: {a: b}}}\n",
                 "networks: {n: {attachable: true}}\n"],
    "ports": [ONE + "    ports: ['80:80']\n", "services:\n  a:\n    ports: ['81:81']\n"],
    "health": [ONE + "    healthcheck: {test: [CMD, a], interval: 1s}\n",
               "services:\n  a:\n    healthcheck: {test: [CMD, b]}\n"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stack")
    (folder / "e1").write_text("A=1\nQ='single $x'\n# comment\nTAG=\nB=2\n")
    (folder / "e2").write_text("B=3\nC=with space\n")
    for name, text in FILES.items():
        (folder / f"{name}.yml").write_text(text)
    for name, texts in SEVERAL.items():
        for i, text in enumerate(texts):
            (folder / f"{name}-{i}.yml").write_text(text)
    return folder


CASES = {name: [f"{name}.yml"] for name in FILES}
CASES.update({f"{name}_merged": [f"{name}-{i}.yml" for i in range(len(texts))]
              for name, texts in SEVERAL.items()})


# Where shoal means to be another: the case, where the difference is, and why.
DIFFERENT = {
    # The specification of environment files has quotes, and "NAME=" as an empty value; docker keeps
    # the quotes and takes the environment's value.
    "env_file": "ContainerSpec.Env",
    "groups": "ContainerSpec.Env",
    # "no" is no restart; docker leaves the policy out, which means always.
    "restart_no": "RestartPolicy",
    # Docker drops these two in silence.
    "tmpfs": "Mounts",
    "oom": "OomScoreAdj",
    # Maps merge in depth; docker puts one network in place of the other.
    "sections_merged": "networks.st_n.Labels",
    # A test is one command; docker appends the second to the first.
    "health_merged": "Healthcheck.Test",
}
# What docker's `stack config` writes with single dollars, which mean variables when they are read.
DOLLARS = ("variables",)


def assert_same(a, b, case, *said):
    found = differences(a, b)
    expected = DIFFERENT.get(case, "nothing")
    assert all(expected in line for line in found), "\n".join([*said, *found])


@pytest.mark.parametrize("case", CASES)
def test_the_same_is_sent(standin, folder, case):
    docker = sent(standin, DOCKER, CASES[case], folder)
    shoal = sent(standin, SHOAL, CASES[case], folder)
    assert_same(docker, shoal, case)
    assert bool(differences(docker, shoal)) == (case in DIFFERENT)


@pytest.mark.parametrize("case", CASES)
def test_each_reads_what_the_other_writes(standin, folder, case):
    plainly = sent(standin, SHOAL, CASES[case], folder)
    names = [word for name in CASES[case] for word in ("-c", name)]
    for writer, reader in ((DOCKER, SHOAL), (SHOAL, DOCKER), (SHOAL, SHOAL)):
        if writer == DOCKER and case in DOLLARS:
            continue
        done = run([str(writer), "-H", standin.host, "stack", "config", *names], folder)
        assert done.returncode == 0, done.stderr
        file = folder / "written.yml"
        file.write_text(done.stdout)
        again = sent(standin, reader, [file], folder)
        assert_same(again, plainly, case, str(writer), str(reader), done.stdout)
        if reader == writer:
            assert again == plainly
