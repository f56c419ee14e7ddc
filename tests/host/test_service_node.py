"""
What services ask of nodes and nodes' operators grant: generic resources, devices, privileges, and
ports of the host. One shoald with a daemon.json, the docker CLI and `shoal`.
"""

import json
import subprocess

import pytest
import test_api_engine
from test_api_engine import BUILD, IMAGE, TOP, Daemon
from test_health import wait_for
from test_service_health import tasks

pytestmark = test_api_engine.pytestmark

SETTINGS = {
    "node-generic-resources": ["GPU=UUID1", "GPU=UUID2", "SSD=3"],
    "allow-privileged-tasks": True,
    "allow-task-devices": ["/dev/full"],
}
# As a program that is the first of its namespace and waits for no signal does not end by itself.
AT_ONCE = ["--stop-grace-period", "0s", "--restart-delay", "0s"]


@pytest.fixture(scope="module", name="node")
def fixture_node(tmp_path_factory):
    root = tmp_path_factory.mktemp("node")
    (root / "daemon.json").write_text(json.dumps(SETTINGS))
    tar = root / "image.tar"
    subprocess.run([TOP / "deploy" / "mkimage", IMAGE, tar], check=True, timeout=60)
    d = Daemon(root)
    d.start()
    try:
        d.docker("load", "-i", str(tar))
        d.docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr",
                 "127.0.0.1:2377")
        yield d
        d.docker("swarm", "leave", "--force")
    finally:
        d.close()


@pytest.fixture(autouse=True)
def clean(node):
    yield
    for name in node.docker("service", "ls", "--format", "{{.Name}}").split():
        node.docker("service", "rm", name)
    wait_for("no containers", lambda: not node.docker("ps", "-aq"))


def create(node, name, *args, command=("sleep", "1000")):
    node.docker("service", "create", "--detach", "--name", name, *AT_ONCE, *args, IMAGE, *command)


def shoal(node, *args, ok=True):
    result = subprocess.run([BUILD / "bin" / "shoal", "-H", f"unix://{node.sock}", *args],
                            capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode == 0) == ok, result
    return result.stdout.strip() if ok else result.stderr


def start(node):
    node.start()
    wait_for("the swarm", lambda: node.run("node", "ls").returncode == 0)


def containers(node, name, n):
    def find():
        got = [t for t in tasks(node, name) if t["Status"]["State"] == "running"
               and t["DesiredState"] == "running"]
        return got if len(got) == n else None
    return wait_for(f"{n} running of {name}", find)


def inside(node, task, script):
    return node.docker("exec", task["Status"]["ContainerStatus"]["ContainerID"], "sh", "-c", script)


def waits_with(node, name, text):
    def find():
        got = [t for t in tasks(node, name) if text in t["Status"].get("Err", "")]
        return got or None
    return wait_for(text, find)


# Generic resources

def test_resources_are_reported(node):
    described = json.loads(node.docker("node", "inspect", "self"))[0]["Description"]
    assert described["Resources"]["GenericResources"] == [
        {"NamedResourceSpec": {"Kind": "GPU", "Value": "UUID1"}},
        {"NamedResourceSpec": {"Kind": "GPU", "Value": "UUID2"}},
        {"DiscreteResourceSpec": {"Kind": "SSD", "Value": 3}}]
    info = json.loads(node.docker("info", "--format", "{{json .}}"))
    assert info["GenericResources"] == described["Resources"]["GenericResources"]


def test_named_and_numbered_are_given_once_and_come_back(node):
    create(node, "gpu", "--generic-resource", "GPU=1", "--generic-resource", "SSD=1", "--replicas",
           "2")
    got = containers(node, "gpu", 2)
    envs = sorted(inside(node, t, "env | grep DOCKER_RESOURCE_ | sort | tr '\\n' ' '") for t in got)
    assert envs == ["DOCKER_RESOURCE_GPU=UUID1 DOCKER_RESOURCE_SSD=1",
                    "DOCKER_RESOURCE_GPU=UUID2 DOCKER_RESOURCE_SSD=1"]
    assigned = sorted(t["AssignedGenericResources"][0]["NamedResourceSpec"]["Value"] for t in got)
    assert assigned == ["UUID1", "UUID2"]
    create(node, "more", "--generic-resource", "GPU=1")
    waits_with(node, "more", "no suitable node (insufficient resources on 1 node)")
    node.docker("service", "scale", "--detach", "gpu=1")
    given = inside(node, containers(node, "more", 1)[0], "echo $DOCKER_RESOURCE_GPU")
    kept = inside(node, containers(node, "gpu", 1)[0], "echo $DOCKER_RESOURCE_GPU")
    assert {given, kept} == {"UUID1", "UUID2"}


def test_a_restarted_daemon_gives_nothing_twice(node):
    create(node, "ssd", "--generic-resource", "SSD=2")
    containers(node, "ssd", 1)
    node.stop()
    start(node)
    create(node, "ssd2", "--generic-resource", "SSD=2")
    waits_with(node, "ssd2", "insufficient resources")
    node.docker("service", "rm", "ssd")
    assert inside(node, containers(node, "ssd2", 1)[0], "echo $DOCKER_RESOURCE_SSD") == "2"


@pytest.mark.parametrize("reserve, text", [
    ([{"NamedResourceSpec": {"Kind": "GPU", "Value": "UUID1"}}], "invalid argument for resource GPU"),
    ([{"DiscreteResourceSpec": {"Kind": "SSD", "Value": 0}}], "1 to 1000000000"),
    ([{"DiscreteResourceSpec": {"Kind": "A B", "Value": 1}}], "A B"),
    ([{"DiscreteResourceSpec": {"Kind": f"K{i}", "Value": 1}} for i in range(257)], "256"),
    ([{"DiscreteResourceSpec": {"Kind": "SSD", "Value": 1}}] * 2, "twice"),
])
def test_resources_that_are_refused(node, reserve, text):
    api = node.client().api
    answer = api._post_json(api._url("/services/create"), {
        "Name": "refused", "TaskTemplate": {"ContainerSpec": {"Image": IMAGE}, "Resources": {
            "Reservations": {"GenericResources": reserve}}}})
    assert answer.status_code == 400 and text in answer.text


def test_shoal_adds_and_takes_away(node):
    shoal(node, "service", "create", "--detach", "--name", "own", *AT_ONCE, "--generic-resource", "SSD=1",
          "--generic-resource", "GPU=2", IMAGE, "sleep", "1000")
    shoal(node, "service", "update", "--detach", "--generic-resource-add", "SSD=3",
          "--generic-resource-rm", "GPU", "own")
    spec = json.loads(node.docker("service", "inspect", "own"))[0]["Spec"]["TaskTemplate"]
    assert spec["Resources"]["Reservations"]["GenericResources"] == [
        {"DiscreteResourceSpec": {"Kind": "SSD", "Value": 3}}]
    assert "Named Generic Resources is not supported" in shoal(
        node, "service", "create", "--generic-resource", "GPU=UUID1", IMAGE, ok=False)


# Devices and privileges

def test_a_permitted_device(node):
    shoal(node, "service", "create", "--detach", "--name", "dev", *AT_ONCE, "--device",
          "/dev/full:/dev/mine:rw", IMAGE, "sleep", "1000")
    task = containers(node, "dev", 1)[0]
    assert inside(node, task, "stat -c %t:%T /dev/mine") == "1:7"
    assert "No space left" in inside(node, task, "sh -c 'echo x > /dev/mine' 2>&1; true")
    assert node.docker("service", "inspect", "-f", "{{json .Spec.TaskTemplate.ContainerSpec.Labels}}",
                       "dev") == '{"shoal.devices":"/dev/full:/dev/mine:rw"}'


def test_a_privileged_task_by_the_docker_cli(node):
    create(node, "priv", "--container-label", "shoal.privileged=true")
    task = containers(node, "priv", 1)[0]
    assert inside(node, task, "grep CapEff /proc/1/status; grep Seccomp: /proc/1/status").split() \
        == ["CapEff:", inside(node, task, "grep CapBnd /proc/1/status | cut -f2"), "Seccomp:", "0"]
    assert inside(node, task, "mkdir -p /m && mount -t tmpfs x /m && echo yes") == "yes"


def test_permission_that_is_taken_away(node, tmp_path):
    shoal(node, "service", "create", "--detach", "--name", "p", *AT_ONCE, "--privileged", IMAGE,
          "sleep", "1000")
    shoal(node, "service", "create", "--detach", "--name", "d", *AT_ONCE, "--device", "/dev/full",
          IMAGE, "sleep", "1000")
    containers(node, "p", 1)
    containers(node, "d", 1)
    config = node.root / "daemon.json"
    node.stop()
    config.write_text(json.dumps({k: v for k, v in SETTINGS.items() if not k.startswith("allow")}))
    start(node)
    try:
        waits_with(node, "p", "no suitable node (privileged tasks not permitted on 1 node)")
        waits_with(node, "d", "no suitable node (devices for tasks not permitted on 1 node)")
        wait_for("none is left", lambda: not node.docker("ps", "-q"))
    finally:
        node.stop()
        config.write_text(json.dumps(SETTINGS))
        start(node)
    containers(node, "p", 1)
    containers(node, "d", 1)


@pytest.mark.parametrize("label", ["shoal.privileged=maybe", "shoal.devices=fuse",
                                   "shoal.devices=/dev/../etc", "shoal.devices=/dev/full:rwx",
                                   "shoal.devices=" + ",".join(["/dev/full"] * 65)])
def test_labels_that_are_refused(node, label):
    result = node.run("service", "create", "--detach", "--container-label", label, IMAGE)
    assert result.returncode != 0 and label.split("=")[0] in result.stderr


# Ports of the host

def get(node, port):
    """What a web server at that port of the daemon's host says."""
    script = f"wget -q -O - http://127.0.0.1:{port}/ 2>&1"
    return subprocess.run(["nsenter", f"--net=/proc/{node.host.pid}/ns/net", "busybox", "sh", "-c",
                           script], capture_output=True, text=True, timeout=30,
                          check=False).stdout.strip()


SERVE = ("sh", "-c", "mkdir -p /w; hostname > /w/index.html; exec httpd -f -p 80 -h /w")


def test_a_host_mode_port(node):
    create(node, "web", "--publish", "mode=host,published=8080,target=80", "--hostname", "one",
           command=SERVE)
    task = containers(node, "web", 1)[0]
    assert task["Status"]["PortStatus"] == {"Ports": [
        {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host"}]}
    wait_for("an answer", lambda: get(node, 8080) == "one")
    assert "0.0.0.0:8080->80/tcp" in node.docker("ps", "--format", "{{.Ports}}")
    assert "*:8080->80/tcp" in node.docker("service", "ps", "--format", "{{.Ports}}", "web")
    create(node, "other", "--publish", "mode=host,published=8080,target=80", command=SERVE)
    waits_with(node, "other", "no suitable node (host-mode port already in use on 1 node)")
    node.stop()
    start(node)  # the container runs on; its port leads to it again
    wait_for("an answer", lambda: get(node, 8080) == "one")
    node.docker("service", "rm", "web")
    containers(node, "other", 1)
    wait_for("the other's answer", lambda: get(node, 8080) not in ("one", "") or None)
    node.docker("service", "rm", "other")
    wait_for("nothing there", lambda: "refused" in get(node, 8080))


def test_a_host_mode_port_in_an_overlay_and_without_a_number(node):
    node.docker("network", "create", "-d", "overlay", "net")
    try:
        create(node, "web", "--publish", "mode=host,target=80", "--network", "net", "--hostname",
               "two", command=SERVE)
        port = containers(node, "web", 1)[0]["Status"]["PortStatus"]["Ports"][0]["PublishedPort"]
        assert port > 1024
        wait_for("an answer", lambda: get(node, port) == "two")
    finally:
        node.docker("service", "rm", "web")
        wait_for("no containers", lambda: not node.docker("ps", "-aq"))
        node.docker("network", "rm", "net")


def test_another_port_replaces_tasks_and_the_other_modes_do_not(node):
    create(node, "web", "--publish", "mode=host,published=8081,target=80", command=SERVE)
    first = containers(node, "web", 1)[0]["ID"]
    node.docker("service", "update", "--detach", "--publish-add", "published=9000,target=80", "web")
    wait_for("both ports", lambda: {
        (p["PublishMode"], p["PublishedPort"]) for p in json.loads(node.docker(
            "service", "inspect", "web"))[0]["Endpoint"]["Ports"]} == {("host", 8081),
                                                                       ("ingress", 9000)})
    assert containers(node, "web", 1)[0]["ID"] == first
    node.docker("service", "update", "--detach", "--publish-add",
                "mode=host,published=8082,target=81", "web")
    wait_for("another task", lambda: containers(node, "web", 1)[0]["ID"] != first)


def test_start_first_explains_itself(node):
    create(node, "web", "--publish", "mode=host,published=8083,target=80", command=SERVE)
    containers(node, "web", 1)
    warned = shoal(node, "service", "update", "--detach", "--update-order", "start-first",
                   "--env-add", "A=1", "web")
    assert warned == "web"
    text = wait_for("a reason", lambda: (t if "start-first" in (t := node.docker(
        "service", "inspect", "-f", "{{json .UpdateStatus}}", "web")) else None))
    assert "host-mode port already in use" in text
    result = node.run("service", "create", "--detach", "--name", "warned", "--update-order",
                      "start-first", "--publish", "mode=host,published=8084,target=80", IMAGE)
    assert result.returncode == 0 and "start-first with the host-mode port 8084" in result.stderr \
        + result.stdout
    result = node.run("service", "create", "--detach", "--mode", "global", "--update-order",
                      "start-first", "--publish", "mode=host,published=8085,target=80", IMAGE)
    assert result.returncode != 0 and "stop-first" in result.stderr


@pytest.mark.parametrize("ports, text", [
    (["published=9100,target=80", "published=9100,target=81"], "duplicate published ports"),
    (["mode=host,published=9100,target=80", "published=9100,target=81"],
     "duplicate published ports"),
    (["published=9001,target=80"], "already in use by service 'holder'"),
    (["mode=host,published=9001,target=80"], "as an ingress port"),
    (["published=9002,target=80"], "as a host-published port"),
])
def test_ports_that_are_refused(node, ports, text):
    create(node, "holder", "--publish", "published=9001,target=80", "--publish",
           "mode=host,published=9002,target=80")
    args = [a for p in ports for a in ("--publish", p)]
    result = node.run("service", "create", "--detach", *args, IMAGE)
    assert result.returncode != 0 and text in result.stderr


def test_dnsrr_and_ingress_do_not_go_together(node):
    result = node.run("service", "create", "--detach", "--endpoint-mode", "dnsrr", "--publish",
                      "80:80", IMAGE)
    assert "dnsrr" in result.stderr
    create(node, "ok", "--endpoint-mode", "dnsrr", "--publish", "mode=host,published=8086,target=80")
    containers(node, "ok", 1)


def test_a_container_publishes_too(node):
    box = node.docker("run", "-d", "--rm", "-p", "8090:80", "-p", "127.0.0.1::81/udp", IMAGE, *SERVE)
    wait_for("an answer", lambda: get(node, 8090) == box[:12])
    shown = json.loads(node.docker("inspect", "-f", "{{json .NetworkSettings.Ports}}", box))
    assert shown["80/tcp"] == [{"HostIp": "0.0.0.0", "HostPort": "8090"}]
    assert shown["81/udp"][0]["HostIp"] == "127.0.0.1" and int(shown["81/udp"][0]["HostPort"])
    assert node.docker("port", box, "80") == "0.0.0.0:8090"
    taken = node.run("run", "--rm", "-p", "8090:80", IMAGE, "true")
    assert taken.returncode == 125 and "port is already allocated" in taken.stderr
    peer = node.docker("run", "--rm", IMAGE, "sh", "-c",
                       "wget -q -O - http://$(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p')"
                       ":8090/")
    assert peer == box[:12]  # by the host's port, from a container
    node.docker("rm", "-f", box)
    assert "refused" in get(node, 8090)


def test_a_privileged_container_and_devices(node):
    assert node.docker("run", "--rm", "--device", "/dev/full:/dev/x:r", IMAGE, "stat", "-c",
                       "%t:%T", "/dev/x") == "1:7"
    assert "not a device node" in node.run("run", "--rm", "--device", "/etc/passwd", IMAGE,
                                           "true").stderr
    assert node.docker("run", "--rm", "--privileged", IMAGE, "sh", "-c",
                       "mkdir /m && mount -t tmpfs x /m && grep -c ' /sys .*rw' /proc/self/mountinfo") == "1"
    kept = node.docker("run", "--rm", IMAGE, "sh", "-c", "ls /dev | sort | tr '\\n' ' '")
    assert "kmsg" not in kept


@pytest.mark.parametrize("settings, text", [
    ({"node-generic-resources": ["GPU"]}, "GPU"),
    ({"node-generic-resources": ["SSD=1", "SSD=2"]}, "twice"),
    ({"node-generic-resources": ["SSD=1", "SSD=a"]}, "names as well as a number"),
    ({"node-generic-resources": ["SSD=-1"]}, "between 0 and"),
    ({"allow-task-devices": ["fuse"]}, "--allow-task-device"),
    ({"allow-task-devices": [f"/dev/x{i}" for i in range(65)]}, "more than 64"),
])
def test_settings_that_are_refused(tmp_path, settings, text):
    config = tmp_path / "daemon.json"
    config.write_text(json.dumps(settings))
    result = subprocess.run([test_api_engine.SHOALD, "--config-file", config, "--data-root",
                             tmp_path / "d", "--exec-root", tmp_path / "e", "-H",
                             f"unix://{tmp_path}/s"],
                            capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode != 0 and text in result.stderr + result.stdout


def test_aliases_lead_to_the_service(node):
    node.docker("network", "create", "-d", "overlay", "aliased")
    try:
        create(node, "web", "--network", "name=aliased,alias=shop,alias=cart", command=SERVE)
        create(node, "asks", "--network", "aliased")
        containers(node, "web", 1)
        task = containers(node, "asks", 1)[0]
        host = inside(node, containers(node, "web", 1)[0], "hostname")
        for name in ("shop", "cart"):
            assert wait_for(name, lambda n=name: inside(
                node, task, f"wget -q -O - http://{n}/ 2>/dev/null; true")) == host
    finally:
        for name in ("web", "asks"):
            node.docker("service", "rm", name)
        wait_for("no containers", lambda: not node.docker("ps", "-aq"))
        node.docker("network", "rm", "aliased")


def test_as_many_ports_as_there_may_be(node):
    api = node.client().api

    def post(n):
        return api._post_json(api._url("/services/create"), {
            "Name": "ports", "TaskTemplate": {"ContainerSpec": {"Image": IMAGE, "Command": [
                "sleep", "1000"], "StopGracePeriod": 0}},
            "EndpointSpec": {"Ports": [{"TargetPort": i, "PublishedPort": 20000 + i}
                                       for i in range(1, n + 1)]}})

    refused = post(1025)
    assert refused.status_code == 400 and "1024" in refused.text
    assert post(1024).status_code == 201
    body = {"Image": IMAGE, "HostConfig": {"PortBindings": {
        f"{i}/tcp": [{"HostPort": ""}] for i in range(1, 1026)}}}
    refused = api._post_json(api._url("/containers/create"), body)
    assert refused.status_code == 400 and "1024" in refused.text
