"""
Every field of a task's specification (API 1.51) on a swarm of one node: set on a service through
the API, and seen inside of its running container or in what the engine was asked for; or refused at
create by its name.
"""

import base64
import json
import os

import pytest
import test_api_engine
from test_api_engine import IMAGE
from test_health import wait_for
from test_service_health import tasks

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon
name = test_api_engine.name

MIB = 1 << 20


@pytest.fixture(scope="module", autouse=True)
def swarm(daemon):
    daemon.docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr",
                  "127.0.0.1:2377")
    yield
    daemon.docker("swarm", "leave", "--force")


@pytest.fixture
def create(daemon, name):
    api = daemon.client().api

    def post(container=None, spec=None, **task):
        spec = {**(spec or {}), "Name": name, "Labels": {"l": "v"}, "Mode": {"Replicated": {"Replicas": 1}},
                "TaskTemplate": {"ContainerSpec": {
                    "Image": IMAGE, "Command": ["sleep"], "Args": ["1000"],
                    "StopGracePeriod": 0, **(container or {})}, **task}}
        return api._post_json(api._url("/services/create"), spec)

    yield post
    daemon.run("service", "rm", name)
    wait_for("no containers", lambda: not daemon.docker("ps", "-aq"))


def running(daemon, name):
    def find():
        for t in tasks(daemon, name):
            assert t["Status"]["State"] not in ("rejected", "failed"), t["Status"]
            if t["Status"]["State"] == "running":
                return t["Status"]["ContainerStatus"]["ContainerID"]
        return None
    return wait_for("running", find)


# A field, and what a shell inside of the container must say of it.
INSIDE = {
    "Command": ({"Command": ["sh", "-c", "sleep 1000; echo"], "Args": ["zero"]},
                "tr '\\0' '|' < /proc/1/cmdline", "sh|-c|sleep 1000; echo|zero|"),
    "Init": ({"Init": True}, "cat /proc/1/comm; tr '\\0' '|' < /proc/1/cmdline",
             "docker-init\n/sbin/docker-init|--|sleep|1000|"),
    "Env": ({"Env": ["A=b c", "S={{.Service.Name}}", "T={{.Task.Slot}}"]},
            'echo "$A|$T"', "b c|1"),
    "Templates": ({"Env": ["P={{.Node.Platform.OS}}/{{.Node.Platform.Architecture}}",
                           "L={{.Service.Labels}} {{index .Service.Labels \"l\"}}",
                           "N={{.Node.Hostname}}"]},
                  'echo "$P $L"; [ -n "$N" ] && uname -m',
                  f"linux/{os.uname().machine} map[l:v] v\n{os.uname().machine}"),
    "Hostname": ({"Hostname": "box-{{.Task.Slot}}"}, "hostname", "box-1"),
    "Dir": ({"Dir": "/tmp"}, "readlink /proc/1/cwd", "/tmp"),
    "User": ({"User": "12:34"}, "stat -c %u:%g /proc/1", "12:34"),
    "Groups": ({"User": "12:34", "Groups": ["56", "78"]},
               "grep Groups /proc/1/status | tr -d '\\t' | sed 's/ *$//'", "Groups:34 56 78"),
    "TTY": ({"TTY": True}, "readlink /proc/1/fd/0 | cut -c1-8", "/dev/pts"),
    "OpenStdin": ({"OpenStdin": True, "Command": ["sh", "-c", "cat > /dev/null; sleep 1000"],
                   "Args": []}, "readlink /proc/1/fd/0 | cut -d: -f1", "pipe"),
    "ReadOnly": ({"ReadOnly": True}, "touch /x 2>&1 | sed 's/.*: //'", "Read-only file system"),
    "Hosts": ({"Hosts": ["10.1.2.3 one two"]},
              "grep -c '^10.1.2.3.*\\(one\\|two\\)$' /etc/hosts", "2"),
    "DNSConfig": ({"DNSConfig": {"Nameservers": ["10.9.8.7"], "Search": ["example.org"],
                                 "Options": ["ndots:3"]}},
                  "grep -c 'example.org\\|ndots:3' /etc/resolv.conf", "2"),
    "CapabilityAdd": ({"CapabilityAdd": ["CAP_SYS_TIME"]},
                      "c=$(grep CapBnd /proc/1/status | cut -f2); echo $((0x$c >> 25 & 1))", "1"),
    "CapabilityDrop": ({"CapabilityDrop": ["CAP_CHOWN"]},
                       "c=$(grep CapBnd /proc/1/status | cut -f2); echo $((0x$c & 1))", "0"),
    "Sysctls": ({"Sysctls": {"net.ipv4.ip_unprivileged_port_start": "77"}},
                "cat /proc/sys/net/ipv4/ip_unprivileged_port_start", "77"),
    "Ulimits": ({"Ulimits": [{"Name": "nofile", "Soft": 123, "Hard": 456}]},
                "grep 'open files' /proc/1/limits | tr -s ' ' | cut -d' ' -f4-5", "123 456"),
    "OomScoreAdj": ({"OomScoreAdj": 321}, "cat /proc/1/oom_score_adj", "321"),
    "Privileges.NoNewPrivileges": ({"Privileges": {"NoNewPrivileges": True}},
                                   "grep NoNewPrivs /proc/1/status | cut -f2", "1"),
    "Privileges.SELinuxContext": ({"Privileges": {"SELinuxContext": {"Disable": True, "Level": ""}}},
                                  "echo no label", "no label"),
    "Privileges.Seccomp": ({"Privileges": {"Seccomp": {"Mode": "unconfined"}}},
                           "grep Seccomp: /proc/1/status | cut -f2", "0"),
    "Privileges.Seccomp.Profile": (
        {"Privileges": {"Seccomp": {"Mode": "custom", "Profile": base64.b64encode(json.dumps({
            "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 39}]
        }).encode()).decode()}}},
        "chmod 700 /tmp 2>&1 | sed 's/.*: //'; grep Seccomp: /proc/1/status | cut -f2",
        "Directory not empty\n2"),
    "Mounts tmpfs": ({"Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {
        "SizeBytes": MIB, "Mode": 0o1770}}]},
                     "stat -c %a /t; df -k /t | tail -1 | tr -s ' ' | cut -d' ' -f2", "1770\n1024"),
    "Mounts tmpfs options": ({"Mounts": [
        {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"Options": [["exec"]]}},
        {"Type": "tmpfs", "Target": "/u"}]},
                             "sed -n 's/.* \\(\\/[tu]\\) \\([^ ]*\\) .*/\\1 \\2/p' /proc/1/mountinfo",
                             "/t rw,nosuid,nodev,relatime\n/u rw,nosuid,nodev,noexec,relatime"),
    "Mounts volume of the driver": ({"Mounts": [
        {"Type": "volume", "Source": "mem-{{.Task.Slot}}", "Target": "/m", "VolumeOptions": {
            "DriverConfig": {"Name": "local", "Options": {
                "type": "tmpfs", "device": "tmpfs", "o": "size=1m,mode=0750"}}}}]},
                                    "stat -c %a /m; df -k /m | tail -1 | tr -s ' ' | cut -d' ' -f2",
                                    "750\n1024"),
    "Mounts bind made": ({"Mounts": [{"Type": "bind", "Source": "/tmp/shoal-fields/made",
                                      "Target": "/b", "BindOptions": {"CreateMountpoint": True}}]},
                         "[ -d /b ] && echo yes", "yes"),
    "Mounts bind": ({"Mounts": [{"Type": "bind", "Source": "/proc/version", "Target": "/v",
                                 "ReadOnly": True}]},
                    "grep -c ' /v .*ro' /proc/1/mountinfo; cut -c1-5 /v", "1\nLinux"),
    "Mounts volume": ({"Mounts": [{"Type": "volume", "Source": "data-{{.Task.Slot}}",
                                   "Target": "/data",
                                   "VolumeOptions": {"Labels": {"a": "b"}}}]},
                      "touch /data/x && grep -c ' /data ' /proc/1/mountinfo", "1"),
}


@pytest.mark.parametrize("field", INSIDE)
def test_inside_of_the_container(daemon, create, name, field):
    spec, script, expected = INSIDE[field]
    create(spec)
    assert daemon.docker("exec", running(daemon, name), "sh", "-c", script) == expected


# A field, and what the container's inspection must say of it.
SHOWN = {
    "Labels": ({"ContainerSpec": {"Labels": {"mine": "1"}}},
               lambda c: c["Config"]["Labels"]["mine"] == "1"),
    "StopSignal": ({"ContainerSpec": {"StopSignal": "SIGUSR1", "StopGracePeriod": 3 * 10 ** 9}},
                   lambda c: (c["Config"]["StopSignal"], c["Config"]["StopTimeout"]) == (
                       "SIGUSR1", 3)),
    "Healthcheck": ({"ContainerSpec": {"Healthcheck": {"Test": ["CMD", "true"],
                                                       "Interval": 10 ** 8}}},
                    lambda c: c["State"]["Health"]["Status"] == "healthy"),
    "Resources": ({"Resources": {"Limits": {"NanoCPUs": 5 * 10 ** 8, "MemoryBytes": 64 * MIB,
                                            "Pids": 50},
                                 "Reservations": {"NanoCPUs": 10 ** 8, "MemoryBytes": 32 * MIB}}},
                  lambda c: (c["HostConfig"]["NanoCpus"], c["HostConfig"]["Memory"],
                             c["HostConfig"]["PidsLimit"], c["HostConfig"]["MemoryReservation"]) ==
                  (5 * 10 ** 8, 64 * MIB, 50, 32 * MIB)),
    "LogDriver": ({"LogDriver": {"Name": "json-file", "Options": {"max-size": "1m",
                                                                  "max-file": "3"}}},
                  lambda c: c["HostConfig"]["LogConfig"] == {
                      "Type": "json-file", "Config": {"max-size": "1m", "max-file": "3"}}),
    "LogDriver none": ({"LogDriver": {"Name": "none"}},
                       lambda c: c["HostConfig"]["LogConfig"]["Type"] == "none"),
    "Placement": ({"Placement": {"Constraints": ["node.role==manager"], "MaxReplicas": 1,
                                 "Platforms": [{"OS": "linux"}]}}, lambda c: True),
    "ForceUpdate": ({"ForceUpdate": 7}, lambda c: True),
    "Runtime": ({"Runtime": "container"}, lambda c: True),
    "RestartPolicy": ({"RestartPolicy": {"Condition": "none", "Delay": 1, "MaxAttempts": 2,
                                         "Window": 3}},
                      lambda c: c["HostConfig"]["RestartPolicy"]["Name"] == "no"),
}


@pytest.mark.parametrize("field", SHOWN)
def test_shown_of_the_container(daemon, create, name, field):
    task, check = SHOWN[field]
    task = dict(task)
    create(task.pop("ContainerSpec", None), **task)
    seen = json.loads(daemon.docker("inspect", running(daemon, name)))[0]
    assert check(seen), seen


# A field that is not carried out, and its name in the refusal.
REFUSED = {
    "PluginSpec": ({"PluginSpec": {"Name": "p"}}, "PluginSpec"),
    "NetworkAttachmentSpec": ({"NetworkAttachmentSpec": {"ContainerID": "x"}},
                              "NetworkAttachmentSpec"),
    "Runtime": ({"Runtime": "plugin"}, "plugin"),
    "CredentialSpec": ({"ContainerSpec": {"Privileges": {"CredentialSpec": {"File": "f"}}}},
                       "CredentialSpec"),
    "SELinuxContext": ({"ContainerSpec": {"Privileges": {"SELinuxContext": {"Level": "s0"}}}},
                       "SELinuxContext"),
    "Volume driver": ({"ContainerSpec": {"Mounts": [
        {"Type": "volume", "Source": "v", "Target": "/v", "VolumeOptions": {
            "DriverConfig": {"Name": "rexray"}}}]}}, "rexray"),
    "Volume option": ({"ContainerSpec": {"Mounts": [
        {"Type": "volume", "Source": "v", "Target": "/v", "VolumeOptions": {
            "DriverConfig": {"Options": {"what": "ever"}}}}]}}, "what"),
    "Tmpfs option": ({"ContainerSpec": {"Mounts": [
        {"Type": "tmpfs", "Target": "/v", "TmpfsOptions": {"Options": [["suid"]]}}]}}, "suid"),
    "Tmpfs option with a value": ({"ContainerSpec": {"Mounts": [
        {"Type": "tmpfs", "Target": "/v", "TmpfsOptions": {"Options": [["uid", "1"]]}}]}}, "uid"),
    "Propagation": ({"ContainerSpec": {"Mounts": [
        {"Type": "bind", "Source": "/", "Target": "/v", "BindOptions": {"Propagation": "x"}}]}},
                    "propagation"),
    "Options of another type": ({"ContainerSpec": {"Mounts": [
        {"Type": "bind", "Source": "/", "Target": "/v", "VolumeOptions": {}}]}}, "VolumeOptions"),
    "DriverOpts of a network": ({"Networks": [{"Target": "bridge", "DriverOpts": {"a.b": "c"}}]},
                                "a.b"),
    "Networks with that of the node": ({"Networks": [{"Target": "host"}, {"Target": "bridge"}]},
                                       "host cannot be combined"),
    "Alias in that of the node": ({"Networks": [{"Target": "host", "Aliases": ["a"]}]}, "alias"),
    "Config of the runtime": ({"ContainerSpec": {"Configs": [
        {"ConfigID": "x", "ConfigName": "x", "Runtime": {}}]}}, "Runtime"),
    "Mount of a cluster volume": ({"ContainerSpec": {"Mounts": [
        {"Type": "cluster", "Source": "v", "Target": "/v"}]}}, "cluster"),
    "LogDriver": ({"LogDriver": {"Name": "gelf"}}, "gelf"),
    "LogDriver's option": ({"LogDriver": {"Name": "json-file", "Options": {"max-size": "much"}}},
                           "max-size"),
    "Ulimits": ({"ContainerSpec": {"Ulimits": [{"Name": "no-such", "Soft": 1, "Hard": 1}]}},
                "no-such"),
    "CapabilityAdd": ({"ContainerSpec": {"CapabilityAdd": ["CAP_NO_SUCH"]}}, "CAP_NO_SUCH"),
    "OomScoreAdj": ({"ContainerSpec": {"OomScoreAdj": 1001}}, "oom score"),
    "StopSignal": ({"ContainerSpec": {"StopSignal": "SIGNOPE"}}, "SIGNOPE"),
    "Isolation": ({"ContainerSpec": {"Isolation": "hyperv"}}, "Isolation"),
    "Dir": ({"ContainerSpec": {"Dir": "relative"}}, "relative"),
    "Hosts": ({"ContainerSpec": {"Hosts": ["only-a-name"]}}, "Hosts"),
    "DNSConfig": ({"ContainerSpec": {"DNSConfig": {"Nameservers": ["dns"]}}}, "Nameservers"),
    "AppArmor": ({"ContainerSpec": {"Privileges": {"AppArmor": {"Mode": "so-so"}}}}, "AppArmor"),
    "Seccomp": ({"ContainerSpec": {"Privileges": {"Seccomp": {"Mode": "so-so"}}}}, "Seccomp"),
    "Seccomp.Profile": ({"ContainerSpec": {"Privileges": {"Seccomp": {
        "Mode": "custom", "Profile": "e30="}}}}, "Seccomp.Profile"),
    "Resources.Limits": ({"Resources": {"Limits": {"NanoCPUs": 1}}}, "cpu"),
    "Template": ({"ContainerSpec": {"Env": ["A={{.No.Such}}"]}}, "{{.No.Such}}"),
    "Template of a hostname": ({"ContainerSpec": {"Hostname": "{{.Service.Name"}}, "}}"),
}


@pytest.mark.parametrize("field", REFUSED)
def test_refused_at_create(create, field):
    task, text = REFUSED[field]
    task = dict(task)
    answer = create(task.pop("ContainerSpec", None), **task)
    assert answer.status_code in (400, 501), (answer.status_code, answer.text)
    assert text in answer.text


def test_networks_where_old_clients_have_them(create):
    answer = create(spec={"Networks": [{"Target": "bridge", "DriverOpts": {"a.b": "c"}}]})
    assert answer.status_code == 501 and "a.b" in answer.text


def test_networks_of_the_node_itself(daemon, create, name):
    """`host` and `bridge` are no objects of the swarm: services name them as they are."""
    daemon.docker("service", "create", "-d", "--network", "host", "--name", name, "-p",
                  "mode=host,target=80,published=8080", "--stop-grace-period", "0s",
                  "--no-resolve-image", IMAGE, "sleep", "1000")
    shown = json.loads(daemon.docker("inspect", running(daemon, name)))[0]
    assert shown["HostConfig"]["NetworkMode"] == "host"
    assert not any(shown["NetworkSettings"]["Ports"].values())
    assert os.readlink(f"/proc/{shown['State']['Pid']}/ns/net") == os.readlink(
        f"/proc/{daemon.host.pid}/ns/net")
    assert "Networks: host" in daemon.docker("service", "inspect", "--pretty", name)
    daemon.docker("service", "update", "--network-rm", "host", "--network-add", "bridge", "-q",
                  "--no-resolve-image", "--update-monitor", "0s", name)
    shown = json.loads(daemon.docker("inspect", running(daemon, name)))[0]
    assert list(shown["NetworkSettings"]["Networks"]) == ["bridge"]
    daemon.docker("service", "rollback", "-q", name)
    shown = json.loads(daemon.docker("inspect", running(daemon, name)))[0]
    assert list(shown["NetworkSettings"]["Networks"]) == ["host"]


def test_a_port_in_the_nodes_own_network_is_warned_about(create):
    answer = create(spec={"EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishedPort": 8080}]}},
                    Networks=[{"Target": "host"}])
    assert "host network mode" in answer.json()["Warnings"][0]


@pytest.mark.parametrize("what", ["secret", "config"])
def test_drivers_are_refused_by_name(daemon, what):
    api = daemon.client().api
    answer = api._post_json(api._url(f"/{what}s/create"), {
        "Name": "driven", "Data": "", "Driver": {"Name": "vault"}})
    assert answer.status_code == 501 and "vault" in answer.text
    answer = api._post_json(api._url(f"/{what}s/create"), {
        "Name": "templated", "Data": "YQ==", "Templating": {"Name": "jinja"}})
    assert answer.status_code == 400 and "jinja" in answer.text
