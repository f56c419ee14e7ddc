"""
Every flag of `service create` and `service update` that docker has: `shoal` has it too, and both ask
a daemon that only records (test_cli.py) for the same specification. What docker's own help lists is
the list, so that a newer client's flags show up here.
"""

import copy
import json
import re
import struct

import pytest
import test_cli
from test_cli import NODE, SERVICE, SHOAL, needs_docker, node, plain, run, service, task

pytestmark = [test_cli.pytestmark, needs_docker]
daemon = test_cli.daemon

NOT_OURS = {"with-registry-auth", "resolve-image",  # nodes run the images that they have
            "external-ca"}
COMMANDS = {
    "service": ["create", "inspect", "logs", "ls", "ps", "rm", "rollback", "scale", "update"],
    "node": ["demote", "inspect", "ls", "promote", "ps", "rm", "update"],
    "secret": ["create", "inspect", "ls", "rm"],
    "config": ["create", "inspect", "ls", "rm"],
    "stack": ["config", "deploy", "ls", "ps", "rm", "services"],
    "swarm": ["init", "join", "join-token", "leave", "update"],
}
EVERY = [(group, command) for group, commands in COMMANDS.items() for command in commands]


def flags_of(program, daemon, *command):
    text = run(program, daemon, *command, "--help").stdout
    return set(re.findall(r"^\s+(?:-\w, |  )?\s*--([a-z-]+)", text, re.MULTILINE)) - {"help"}


@pytest.mark.parametrize("command", EVERY, ids=" ".join)
def test_no_flag_of_dockers_is_missing(daemon, command):
    theirs = flags_of("docker", daemon, *command)
    assert not theirs - flags_of(SHOAL, daemon, *command) - NOT_OURS


MIB = 1 << 20
RICH = {
    "Name": "web2", "Labels": {"old": "1", "stays": "2"},
    "TaskTemplate": {
        "ContainerSpec": {
            "Image": "web:1", "Labels": {"cold": "1"}, "Args": ["a"], "Env": ["OLD=1", "KEPT=2"],
            "Groups": ["wheel", "adm"], "Hosts": ["1.2.3.4 old", "1.2.3.4 kept", "5.6.7.8 old"],
            "DNSConfig": {"Nameservers": ["9.9.9.9", "1.1.1.1"], "Search": ["b.org", "a.org"],
                          "Options": ["ndots:3", "debug"]},
            "CapabilityAdd": ["CAP_NET_ADMIN", "CAP_SYS_TIME"], "CapabilityDrop": ["CAP_CHOWN"],
            "Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 20},
                        {"Name": "core", "Soft": 0, "Hard": 0}],
            "Sysctls": {"net.a": "1", "net.b": "2"}, "OomScoreAdj": 5, "Isolation": "default",
            "Mounts": [{"Type": "volume", "Source": "v", "Target": "/v"},
                       {"Type": "tmpfs", "Target": "/t"}],
            "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 10 ** 9},
            "StopGracePeriod": 10 ** 9},
        "Resources": {"Limits": {"NanoCPUs": 10 ** 9, "MemoryBytes": 64 * MIB, "Pids": 9},
                      "Reservations": {"MemoryBytes": 32 * MIB, "GenericResources": [
                          {"DiscreteResourceSpec": {"Kind": "SSD", "Value": 1}}]}},
        "RestartPolicy": {"Condition": "on-failure", "Delay": 10 ** 9, "MaxAttempts": 2},
        "Placement": {"Constraints": ["node.role==worker", "node.labels.a==b"],
                      "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.rack"}}]},
        "LogDriver": {"Name": "json-file", "Options": {"max-size": "1m", "max-file": "3"}},
        "ForceUpdate": 3, "Runtime": "container"},
    "Mode": {"Replicated": {"Replicas": 2}},
    "UpdateConfig": {"Parallelism": 2, "Delay": 10 ** 9, "FailureAction": "pause",
                     "Monitor": 10 ** 9, "Order": "stop-first"},
    "EndpointSpec": {"Mode": "vip", "Ports": [
        {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"},
        {"Protocol": "udp", "TargetPort": 53, "PublishedPort": 5353, "PublishMode": "host"}]},
}
UPDATES = {
    "nothing": [],
    "args": ["--args", "x 'y z' w"],
    "caps": ["--cap-add", "net_raw", "--cap-drop", "CAP_KILL"],
    "caps-back": ["--cap-add", "CHOWN", "--cap-drop", "NET_ADMIN"],
    "caps-all": ["--cap-add", "ALL", "--cap-drop", "mknod"],
    "caps-reset": ["--cap-add", "RESET", "--cap-drop", "reset"],
    "caps-reset-and": ["--cap-add", "reset", "--cap-add", "cap_syslog"],
    "caps-both": ["--cap-add", "KILL", "--cap-drop", "KILL"],
    "constraint": ["--constraint-rm", "node.role==worker", "--constraint-add",
                   "node.hostname!=x"],
    "container-label": ["--container-label-rm", "cold", "--container-label-add", "new=1"],
    "dns": ["--dns-add", "8.8.8.8", "--dns-rm", "9.9.9.9"],
    "dns-twice": ["--dns-add", "1.1.1.1"],
    "dns-option": ["--dns-option-add", "rotate", "--dns-option-rm", "debug"],
    "dns-search": ["--dns-search-add", "c.org", "--dns-search-rm", "b.org"],
    "endpoint-mode": ["--endpoint-mode", "dnsrr"],
    "entrypoint": ["--entrypoint", "sh -c"],
    "env": ["--env-add", "NEW=1", "--env-add", "KEPT=3", "--env-rm", "OLD"],
    "force": ["--force"],
    "generic": ["--generic-resource-add", "GPU=2", "--generic-resource-rm", "SSD"],
    "group": ["--group-add", "users", "--group-add", "bin", "--group-rm", "wheel"],
    # Not --health-start-interval, which docker's client takes and forgets.
    "health": ["--health-cmd", "false", "--health-interval", "2s", "--health-retries", "4",
               "--health-start-period", "3s", "--health-timeout", "5s"],
    "no-healthcheck": ["--no-healthcheck"],
    "host-add": ["--host-add", "new:9.9.9.9"],
    "host-add-another": ["--host-add", "kept:9.9.9.9"],
    "host-rm": ["--host-rm", "old"],
    "host-rm-one": ["--host-rm", "old:1.2.3.4"],
    "host-rm-and-add": ["--host-rm", "kept:1.2.3.4", "--host-add", "kept:1.2.3.4"],
    "hostname": ["--hostname", "h"],
    "image": ["--image", "web:2"],
    "init": ["--init"],
    "no-init": ["--init=false"],
    "isolation": ["--isolation", "process"],
    "label": ["--label-rm", "old", "--label-add", "new=1"],
    "limits": ["--limit-cpu", "0.5", "--limit-memory", "1g", "--limit-pids", "7"],
    "log-driver": ["--log-driver", "none"],
    "log-driver-opt": ["--log-driver", "json-file", "--log-opt", "max-size=2m"],
    "mount": ["--mount-rm", "/v", "--mount-add", "type=tmpfs,dst=/u,tmpfs-size=1m"],
    "mount-another": ["--mount-add", "type=volume,src=w,dst=/v"],
    "oom": ["--oom-score-adj", "-7"],
    "pref": ["--placement-pref-rm", "spread=node.labels.rack",
             "--placement-pref-add", "spread=node.labels.row"],
    "publish": ["--publish-rm", "80", "--publish-add", "8443:443"],
    "publish-mode": ["--publish-add", "mode=host,target=80,published=8080"],
    "publish-rm-udp": ["--publish-rm", "mode=host,target=53,protocol=udp"],
    "publish-rm-tcp": ["--publish-rm", "53"],
    "read-only": ["--read-only"],
    "replicas": ["--replicas", "5", "--replicas-max-per-node", "3"],
    "reserve": ["--reserve-cpu", "0.25", "--reserve-memory", "16m"],
    "restart": ["--restart-condition", "any", "--restart-delay", "2s", "--restart-max-attempts",
                "9", "--restart-window", "1m"],
    "rollback": ["--rollback-delay", "1s", "--rollback-failure-action", "continue",
                 "--rollback-max-failure-ratio", "0.5", "--rollback-monitor", "3s",
                 "--rollback-order", "start-first", "--rollback-parallelism", "0"],
    "stop": ["--stop-grace-period", "3s", "--stop-signal", "SIGINT"],
    "sysctl": ["--sysctl-rm", "net.a", "--sysctl-add", "net.c=3"],
    "tty": ["-t"],
    "ulimit": ["--ulimit-rm", "core", "--ulimit-add", "nproc=1:2", "--ulimit-add", "nofile=5"],
    "update": ["--update-delay", "2s", "--update-failure-action", "rollback",
               "--update-max-failure-ratio", "0.25", "--update-monitor", "4s", "--update-order",
               "start-first", "--update-parallelism", "0"],
    "user": ["-u", "me", "-w", "/d"],
}
# What stands in no order, or in one of the map that docker's client keeps it in.
SETS = {"Env", "Constraints", "CapabilityAdd", "CapabilityDrop", "Mounts", "Ports", "Ulimits",
        "GenericResources", "Groups", "Nameservers", "Search", "Options"}


def sorted_sets(value, key=""):
    if isinstance(value, dict):
        return {k: sorted_sets(v, k) for k, v in value.items()}
    if isinstance(value, list) and key in SETS:
        return sorted(value, key=lambda item: json.dumps(item, sort_keys=True))
    return value


@pytest.fixture
def rich(daemon, monkeypatch):
    found = service("web2", SERVICE, 2)
    found["Spec"] = RICH
    for key in ("web2", SERVICE):
        monkeypatch.setitem(test_cli.ANSWERS, f"GET /services/{key}", copy.deepcopy(found))
    return daemon


def asked_for(daemon, request, *command):
    """What docker and shoal send for one command, or that both refuse it."""
    sent = []
    for program in ("docker", SHOAL):
        daemon.seen.clear()
        result = run(program, daemon, *command)
        if program == "docker" and "unknown flag" in result.stderr:
            pytest.skip("this docker client has no such flag")
        if result.returncode:
            sent.append("refused")
            continue
        body = daemon.sent(request)
        body["Labels"].pop("shoal.update.deadline", None)  # shoal's own
        sent.append(sorted_sets(plain(body)))
    return sent


@pytest.mark.parametrize("flags", UPDATES)
def test_updates_are_dockers(rich, flags):
    theirs, ours = asked_for(rich, f"POST /services/{SERVICE}/update", "service", "update", "-d",
                             "--no-resolve-image", *UPDATES[flags], "web2")
    assert ours == theirs


CREATES = {
    "caps": ["--cap-add", "net_raw", "--cap-add", "KILL", "--cap-drop", "CAP_KILL", "--cap-drop",
             "chown"],
    "caps-all": ["--cap-add", "ALL", "--cap-drop", "mknod", "--cap-drop", "all"],
    "group": ["--group", "wheel", "--group", "adm"],
    "log": ["--log-driver", "json-file", "--log-opt", "max-size=1m", "--log-opt", "max-file=2"],
    "oom": ["--oom-score-adj", "-7"],
    "isolation": ["--isolation", "hyperv"],
    "credential-spec": ["--credential-spec", "file://x.json"],
    "credential-registry": ["--credential-spec", "registry://x"],
    "credential-nonsense": ["--credential-spec", "x"],
    "health": [*UPDATES["health"], "--health-start-interval", "1s"],
    "no-healthcheck": UPDATES["no-healthcheck"],
    "rollback": UPDATES["rollback"],
    "hosts": ["--host", "b:1.2.3.4", "--host", "a:::1", "--host", "a:1.2.3.4"],
    "dns": ["--dns", "9.9.9.9", "--dns", "1.1.1.1", "--dns-search", "b.org", "--dns-search",
            "a.org", "--dns-option", "ndots:3", "--dns-option", "debug"],
    "ulimits": ["--ulimit", "nproc=1:2", "--ulimit", "core=0"],
    "env": ["-e", "A=1", "-e", "A=2", "-e", "B=", "-e", "NOT_SET_ANYWHERE"],
    "publish": ["-p", "8080-8081:80-81", "-p", "53:53/udp", "-p", "published=1,target=2,mode=host"],
    "publish-sctp": ["-p", "1:1/sctp"],
    "mounts": ["--mount", "src=v,dst=/v,volume-nocopy", "--mount",
               "type=bind,src=/a,dst=/b,bind-propagation=rslave,bind-recursive=disabled"],
    "mount_here": ["--mount", "type=bind,src=./rel/x,dst=/b", "--mount", "type=bind,src=.,dst=/c"],
    "mount_consistency": ["--mount", "type=bind,src=/a,dst=/b,consistency=delegated"],
    "publish_to_one": ["-p", "8080-8082:80"],
    "generic": ["--generic-resource", "GPU=2", "--generic-resource", "SSD=1"],
}


@pytest.mark.parametrize("flags", CREATES)
def test_creations_are_dockers(daemon, flags):
    theirs, ours = asked_for(daemon, "POST /services/create", "service", "create", "-d", "--name",
                             "w", "--no-resolve-image", *CREATES[flags], "web:1")
    assert ours == theirs


def test_a_port_of_host_mode_is_removed_by_its_number(rich):
    """Docker's client takes "53/udp" for one of ingress mode, and removes nothing."""
    run(SHOAL, rich, "service", "update", "-d", "--publish-rm", "53/udp", "web2")
    ports = rich.sent(f"POST /services/{SERVICE}/update")["EndpointSpec"]["Ports"]
    assert [p["TargetPort"] for p in ports] == [80]


def test_options_of_the_log_without_a_driver(rich):
    """Docker's client drops them."""
    run(SHOAL, rich, "service", "update", "-d", "--log-opt", "max-size=2m", "web2")
    assert rich.sent(f"POST /services/{SERVICE}/update")["TaskTemplate"]["LogDriver"] == {
        "Name": "json-file", "Options": {"max-size": "2m", "max-file": "3"}}
    run(SHOAL, rich, "service", "create", "-d", "--log-opt", "max-size=2m", "web:1")
    assert rich.sent("POST /services/create")["TaskTemplate"]["LogDriver"]["Options"] == {
        "max-size": "2m"}


@pytest.mark.parametrize("flags", [
    ["--task-history-limit", "3"],
    ["--cert-expiry", "720h", "--max-snapshots", "2", "--snapshot-interval", "99",
     "--dispatcher-heartbeat", "7s"],
], ids=["one", "many"])
def test_the_swarm_is_updated_as_docker_does(daemon, monkeypatch, flags):
    monkeypatch.setitem(test_cli.ANSWERS, "POST /swarm/update", None)
    sent = []
    for program in ("docker", SHOAL):
        daemon.seen.clear()
        result = run(program, daemon, "swarm", "update", *flags)
        assert (result.returncode, result.stdout) == (0, "Swarm updated.\n"), result.stderr
        sent.append(plain(daemon.sent("POST /swarm/update")))
        assert daemon.query("POST /swarm/update")["version"] == "7"
    assert sent[0] == sent[1]


def test_a_swarm_update_that_says_nothing(daemon):
    result = run(SHOAL, daemon, "swarm", "update")
    assert result.returncode == 1 and "--help" in result.stderr
    assert "POST /swarm/update" not in daemon.requests()


def test_a_stack_that_is_not_there(daemon, monkeypatch):
    for path in ("services", "tasks"):
        monkeypatch.setitem(test_cli.ANSWERS, f"GET /{path}", [])
    for command in ("services", "ps"):
        theirs, ours = (run(program, daemon, "stack", command, "nope")
                        for program in ("docker", SHOAL))
        assert (ours.returncode, ours.stderr) == (theirs.returncode, theirs.stderr)


def test_a_stack_is_shown_with_its_variables(daemon, tmp_path):
    path = tmp_path / "c.yml"
    path.write_text("services:\n  a:\n    image: '${IMAGE:-x}'\n    environment: {A: $$1}\n"
                    "    deploy: {replicas: $N}\n")
    shown = run(SHOAL, daemon, "stack", "config", "--skip-interpolation", "-c", str(path)).stdout
    assert "${IMAGE:-x}" in shown and "replicas: $N" in shown and "$$1" in shown


TASK_LISTS = [
    ["service", "ps", "--no-resolve", "web2"], ["service", "ps", "-q", "web2"],
    ["stack", "ps", "k"], ["stack", "ps", "-q", "k"], ["stack", "ps", "--no-resolve", "k"],
    ["stack", "ps", "--no-trunc", "-q", "k"], ["node", "ps", NODE], ["node", "ps", "-q", NODE],
    ["node", "ps", "--no-resolve", NODE],
]


@pytest.mark.parametrize("args", TASK_LISTS, ids=" ".join)
def test_lists_of_tasks_are_dockers(daemon, monkeypatch, args):
    """By name, with numbers as numbers: slot 2 before 10, and nodes' ids as docker orders them."""
    ids = [x * 24 for x in ("042", "07oy", "9iax", "45jn")]
    tasks = [task(f"t{i}" + "b" * 23, i, "running") for i in (10, 2)]
    tasks += [{**task(f"g{i}" + "b" * 23, 0, "running"), "NodeID": found[:25]}
              for i, found in enumerate(ids)]
    monkeypatch.setitem(test_cli.ANSWERS, "GET /tasks", tasks)
    for found in ids:
        monkeypatch.setitem(test_cli.ANSWERS, f"GET /nodes/{found[:25]}",
                            node(found[:25], "h" + found[:2], False))
    theirs, ours = (run(program, daemon, *args) for program in ("docker", SHOAL))
    assert theirs.returncode == 0, theirs.stderr
    assert ours.stdout == theirs.stdout


class LogHandler(test_cli.Handler):
    LINE = ("com.docker.swarm.node.id=" + NODE + ",com.docker.swarm.service.id=" + SERVICE +
            ",com.docker.swarm.task.id=" + "t1" + "a" * 23 + ",tag=x,zone=b hello there\n").encode()

    def do_GET(self):  # noqa: N802
        if "/logs" not in self.path:
            self.answer()
            return
        frame = struct.pack(">BxxxI", 1, len(self.LINE)) + self.LINE
        self.send_response(200)
        self.send_header("Content-Length", str(len(frame)))
        self.end_headers()
        self.wfile.write(frame)


@pytest.mark.parametrize("flags", [[], ["--details"], ["--no-resolve"], ["--no-trunc"],
                                   ["--no-task-ids"], ["--no-resolve", "--no-trunc"],
                                   ["--details", "--no-task-ids"]], ids=" ".join)
def test_lines_of_logs_are_dockers(daemon, monkeypatch, flags):
    monkeypatch.setattr(daemon, "RequestHandlerClass", LogHandler)
    found = task("t1" + "a" * 23, 7, "running")
    monkeypatch.setitem(test_cli.ANSWERS, "GET /tasks/" + found["ID"], found)
    theirs, ours = (run(program, daemon, "service", "logs", *flags, "web2")
                    for program in ("docker", SHOAL))
    assert theirs.stdout.endswith(" hello there\n"), theirs.stderr
    assert ours.stdout == theirs.stdout
