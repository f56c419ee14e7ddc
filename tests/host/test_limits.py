"""
What the managers refuse, over real HTTP: one table of requests, each with the status and the
substance of the sentence that Swarm has for it. Nothing that is refused leaves anything behind.
"""

import json
import os

import pytest
from test_cli_daemon import IMAGE, SHOALD, Bridged, daemon, shoal, wait_for  # noqa: F401
from test_shoald import Connection

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not SHOALD.exists(), reason="needs root and a built shoald")

K = 1024
SECOND = 1_000_000_000


class Api:
    def __init__(self, daemon):  # noqa: F811
        self.socket = daemon.socket

    def __call__(self, method, path, body=None):
        c = Connection(self.socket)
        c.request(method, path, None if body is None else json.dumps(body),
                  {"Content-Type": "application/json"})
        r = c.getresponse()
        text = r.read()
        return r.status, json.loads(text) if text else None


def spec(name="web", container=None, task=None, **more):
    """A service's specification; `container` and `task` are laid over its parts."""
    return {"Name": name, "Mode": {"Replicated": {"Replicas": 0}},
            "TaskTemplate": {"ContainerSpec": {"Image": IMAGE, **(container or {})},
                             **(task or {})}, **more}


def blob(name, data=b"x", **more):
    import base64
    return {"Name": name, "Data": base64.b64encode(data).decode(), **more}


@pytest.fixture(scope="module")
def api(daemon, shoal):  # noqa: F811
    shoal("swarm", "init", "--advertise-addr", "127.0.0.1")
    return Api(daemon)


def made(api, path, body):
    status, answer = api("POST", path, body)
    assert status in (200, 201), answer
    return answer.get("ID") or answer["Id"]


MOUNT = {"Type": "volume", "Source": "v", "Target": "/d"}
UPDATE = "UpdateConfig"

SERVICES = [
    # names
    ("name of 64", spec("a" * 64), "invalid service name"),
    ("name with a dot", spec("a.b"), "invalid service name"),
    ("name with a hyphen in front", spec("-a"), "invalid service name"),
    ("name with a hyphen behind", spec("a-"), "invalid service name"),
    ("name with a slash", spec("a/b"), "invalid service name"),
    # modes
    ("two modes", spec(Mode={"Replicated": {}, "Global": {}}), "only one service mode"),
    ("negative replicas", spec(Mode={"Replicated": {"Replicas": -1}}), "Replicas"),
    ("fractional replicas", spec(Mode={"Replicated": {"Replicas": 1.5}}), "Replicas"),
    ("too many replicas", spec(Mode={"Replicated": {"Replicas": 100001}}), "at most 100000"),
    ("too many completions", spec(Mode={"ReplicatedJob": {"TotalCompletions": 100001}}),
     "at most 100000"),
    ("update of a job", spec(Mode={"ReplicatedJob": {}}, UpdateConfig={"Parallelism": 1}),
     "not supported for jobs"),
    # containers
    ("no container", {"Name": "web", "TaskTemplate": {}}, "ContainerSpec"),
    ("no image", {"Name": "web", "TaskTemplate": {"ContainerSpec": {}}},
     "image reference must be provided"),
    ("relative directory", spec(container={"Dir": "tmp"}), "needs to be an absolute path"),
    ("signal", spec(container={"StopSignal": "SIGNONE"}), "invalid signal"),
    ("negative grace", spec(container={"StopGracePeriod": -1}),
     "stop-grace-period cannot be negative"),
    ("grace beyond time", spec(container={"StopGracePeriod": 2**63 - 1}),
     "stop-grace-period cannot be"),
    ("capability", spec(container={"CapabilityAdd": ["CAP_ALL_OF_IT"]}), "unknown capability"),
    ("ulimit", spec(container={"Ulimits": [{"Name": "no", "Soft": 1, "Hard": 1}]}),
     "is not known"),
    ("soft above hard", spec(container={"Ulimits": [{"Name": "nofile", "Soft": 2, "Hard": 1}]}),
     "above the hard one"),
    ("oom score", spec(container={"OomScoreAdj": 1001}), "oom score adj is [-1000, 1000]"),
    ("host line", spec(container={"Hosts": ["name 10.0.0.1"]}), "is not an address"),
    ("health interval", spec(container={"Healthcheck": {
        "Test": ["CMD", "true"], "Interval": 999_999}}), "1ms"),
    ("health retries", spec(container={"Healthcheck": {
        "Test": ["CMD", "true"], "Retries": -1}}), "etries"),
    ("template", spec(container={"Env": ["A={{.Nothing}}"]}), "Nothing"),
    # mounts
    ("same target twice", spec(container={"Mounts": [MOUNT, MOUNT]}),
     "duplicate mount point: /d"),
    ("relative target", spec(container={"Mounts": [{**MOUNT, "Target": "d"}]}),
     "must be an absolute path"),
    ("no target", spec(container={"Mounts": [{"Type": "volume", "Source": "v"}]}),
     "invalid mount target"),
    ("relative bind", spec(container={"Mounts": [{**MOUNT, "Type": "bind"}]}),
     "mount path must be absolute"),
    ("absolute volume", spec(container={"Mounts": [{**MOUNT, "Source": "/v"}]}),
     "the source of a volume is its name, not a path"),
    ("tmpfs with a source", spec(container={"Mounts": [{**MOUNT, "Type": "tmpfs"}]}),
     "source cannot be specified"),
    ("options of another type", spec(container={"Mounts": [{
        **MOUNT, "BindOptions": {"Propagation": "rshared"}}]}), "field BindOptions must not be specified"),
    # resources
    ("cpu below 0.001", spec(task={"Resources": {"Limits": {"NanoCPUs": 999_999}}}),
     "must be at least 0.001"),
    ("negative cpu", spec(task={"Resources": {"Reservations": {"NanoCPUs": -1}}}),
     "must be at least 0.001"),
    ("memory below 4 MiB", spec(task={"Resources": {"Limits": {"MemoryBytes": 4 * K * K - 1}}}),
     "must be at least 4MiB"),
    ("negative pids", spec(task={"Resources": {"Limits": {"Pids": -1}}}),
     "must not be negative"),
    # restarts and placement
    ("restart delay", spec(task={"RestartPolicy": {"Delay": -1}}),
     "restart-delay cannot be negative"),
    ("restart window", spec(task={"RestartPolicy": {"Window": -1}}),
     "restart-window cannot be negative"),
    ("restart delay beyond time", spec(task={"RestartPolicy": {"Delay": 2**63 - 1}}),
     "at most 73 years"),
    ("restart condition", spec(task={"RestartPolicy": {"Condition": "never"}}), "never"),
    ("constraint without operator", spec(task={"Placement": {"Constraints": ["node.role"]}}),
     "expected one operator from ==, !="),
    ("constraint with a bad key", spec(task={"Placement": {"Constraints": ["?==x"]}}),
     "key '?' is invalid"),
    ("constraint without a value", spec(task={"Placement": {"Constraints": ["node.role=="]}}),
     "value '' is invalid"),
    ("spread over nothing", spec(task={"Placement": {"Preferences": [
        {"Spread": {"SpreadDescriptor": "label"}}]}}), "cannot be spread over"),
    # updates
    ("update delay", spec(UpdateConfig={"Delay": -1}), "update-delay cannot be negative"),
    ("update monitor", spec(UpdateConfig={"Monitor": -1}), "update-monitor cannot be negative"),
    ("rollback delay", spec(RollbackConfig={"Delay": -1}), "rollback-delay cannot be negative"),
    ("failure ratio above 1", spec(UpdateConfig={"MaxFailureRatio": 1.1}),
     "update-maxfailureratio cannot be less than 0 or bigger than 1"),
    ("failure ratio below 0", spec(UpdateConfig={"MaxFailureRatio": -0.1}),
     "cannot be less than 0"),
    ("failure action", spec(UpdateConfig={"FailureAction": "hope"}), "failure action hope"),
    ("order", spec(UpdateConfig={"Order": "any"}), "order any"),
    ("deadline", spec(Labels={"shoal.update.deadline": "soon"}), "is not a duration"),
    # ports, networks, files
    ("port twice", spec(EndpointSpec={"Ports": [
        {"TargetPort": 1, "PublishedPort": 80}, {"TargetPort": 2, "PublishedPort": 80}]}),
     "duplicate published ports"),
    ("port without a target", spec(EndpointSpec={"Ports": [{"PublishedPort": 80}]}),
     "a target port is between 1 and 65535"),
    ("port too high", spec(EndpointSpec={"Ports": [{"TargetPort": 65536}]}),
     "a target port is between 1 and 65535"),
    ("published port in dnsrr mode", spec(EndpointSpec={"Mode": "dnsrr", "Ports": [
        {"TargetPort": 80, "PublishedPort": 80}]}), "can't be used with dnsrr mode"),
    ("endpoint mode", spec(EndpointSpec={"Mode": "best"}), "best"),
    ("secret that is not there", spec(container={"Secrets": [{
        "SecretID": "none", "SecretName": "none",
        "File": {"Name": "f", "UID": "0", "GID": "0", "Mode": 292}}]}), "not found: secret none"),
    ("secret without a target", spec(container={"Secrets": [{
        "SecretID": "none", "SecretName": "none"}]}), "no target provided"),
    ("target outside", spec(container={"Secrets": [{
        "SecretID": "none", "SecretName": "none", "File": {"Name": "../f"}}]}),
     "invalid target"),
    # waiting for others, schedules
    ("waits for itself", spec(Labels={"shoal.depends_on": "web:service_started"}),
     "would wait for itself: web -> web"),
    ("waits for what", spec(Labels={"shoal.depends_on": "db:up"}), "is to be followed by"),
    ("schedule of what is no job", spec(Labels={"shoal.cron": "@daily"}), "only jobs"),
    # types
    ("a list for a map", spec(Labels=["a"]), "Labels"),
    ("text for a number", spec(UpdateConfig={"Parallelism": "1"}), "Parallelism"),
    ("a negative number", spec(UpdateConfig={"Parallelism": -1}), "Parallelism"),
]


@pytest.mark.parametrize(("what", "body", "said"), SERVICES, ids=[row[0] for row in SERVICES])
def test_services_that_are_refused(api, what, body, said):
    status, answer = api("POST", "/services/create", body)
    assert status == 400, answer
    assert said in answer["message"]
    assert api("GET", "/services") == (200, [])


def test_what_is_not_there_is_named(api):
    status, answer = api("POST", "/services/create",
                         spec(container={"Mounts": [{**MOUNT, "Type": "npipe"}]}))
    assert status == 501 and 'mounts of type "npipe"' in answer["message"]


def test_what_is_there_no_more(api):
    missing = spec(task={"Networks": [{"Target": "nowhere"}]})
    assert api("POST", "/services/create", missing)[0] == 404
    for path in ("services", "nodes", "tasks", "secrets", "configs", "networks"):
        status, answer = api("GET", f"/{path}/nothing")
        assert status == 404 and "nothing" in answer["message"], path
    for path in ("services", "nodes", "secrets", "configs", "networks"):
        assert api("DELETE", f"/{path}/nothing")[0] == 404, path


def test_unknown_keys_of_constraints_are_warned_of(api):
    status, answer = api("POST", "/services/create", spec(
        "warned", task={"Placement": {"Constraints": ["node.rack == 1", "node.role == manager"]}}))
    assert status == 201 and len(answer["Warnings"]) == 1
    assert 'the constraint "node.rack == 1": its key is unknown' in answer["Warnings"][0]
    status, answer = api("POST", "/services/create", spec(
        "waits", Labels={"shoal.depends_on": "db:service_healthy,x:service_started:optional"}))
    assert status == 201
    assert answer["Warnings"] == ["service waits waits for db, which is not there"]
    for name in ("warned", "waits"):
        assert api("DELETE", f"/services/{name}")[0] == 200


def test_updates_of_services(api):
    made(api, "/services/create", spec("kept"))

    def update(body, version=None):
        now = api("GET", "/services/kept")[1]["Version"]["Index"]
        return api("POST", f"/services/kept/update?version={version or now}", body)

    first = api("GET", "/services/kept")[1]["Version"]["Index"]
    assert update(spec("kept", container={"Env": ["A=1"]}))[0] == 200
    status, answer = update(spec("kept"), first)
    assert status == 409 and "update out of sequence" in answer["message"]
    status, answer = update(spec("kept"), 10**9)
    assert status == 409 and "update out of sequence" in answer["message"]
    status, answer = api("POST", "/services/kept/update", spec("kept"))
    assert status == 400 and "version" in answer["message"]
    status, answer = api("POST", "/services/kept/update?version=x", spec("kept"))
    assert status == 400 and "version" in answer["message"]
    status, answer = update(spec("other"))
    assert status == 400 and "renaming services is not supported" in answer["message"]
    status, answer = update(spec("kept", Mode={"Global": {}}))
    assert status == 400 and "from replicated to global" in answer["message"]
    status, answer = update(spec("kept", UpdateConfig={"Delay": -1}))
    assert status == 400 and "update-delay" in answer["message"]
    status, answer = api("POST", "/services/create", spec("kept"))
    assert status == 409 and "already exists" in answer["message"]
    assert api("DELETE", "/services/kept")[0] == 200
    status, answer = update_of_nothing(api)
    assert status == 404 and "kept not found" in answer["message"]


def update_of_nothing(api):
    return api("POST", "/services/kept/update?version=1", spec("kept"))


@pytest.mark.parametrize(("kind", "limit"), [("secret", 500 * K), ("config", 1000 * K)])
def test_secrets_and_configs(api, kind, limit):
    create = f"/{kind}s/create"
    for name in ("", "a" * 65, "-a", "a-", "a b", "a/b"):
        status, answer = api("POST", create, blob(name))
        assert status == 400 and "invalid name" in answer["message"], name
    for data in (b"", b"x" * (limit + 1)):
        status, answer = api("POST", create, blob("full", data))
        assert status == 400 and f"1 to {limit} bytes" in answer["message"]
    status, answer = api("POST", create, blob("t", Templating={"Name": "perl"}))
    assert status == 400 and "there is golang" in answer["message"]
    assert api("POST", create, {"Name": "b", "Data": "*"})[0] == 400

    made(api, create, blob("a" * 64, b"x" * limit))
    ident = made(api, create, blob("mine", Labels={"a": "1"}))
    status, answer = api("POST", create, blob("mine"))
    assert status == 409 and "already exists" in answer["message"]
    version = api("GET", f"/{kind}s/mine")[1]["Version"]["Index"]
    status, answer = api("POST", f"/{kind}s/{ident}/update?version={version + 1}",
                         {"Name": "mine", "Labels": {}})
    assert status == 409 and "update out of sequence" in answer["message"]
    status, answer = api("POST", f"/{kind}s/{ident}/update?version={version}", blob("mine", b"y"))
    assert status == 400 and "only updates to Labels are allowed" in answer["message"]

    ref = {f"{kind.title()}ID": ident, f"{kind.title()}Name": "mine",
           "File": {"Name": "f", "UID": "0", "GID": "0", "Mode": 292}}
    both = spec(container={f"{kind.title()}s": [ref, ref]})
    status, answer = api("POST", "/services/create", both)
    assert status == 400 and "conflicting target" in answer["message"]
    made(api, "/services/create", spec("user", container={f"{kind.title()}s": [ref]}))
    status, answer = api("DELETE", f"/{kind}s/{ident}")
    assert status == 400 and "is in use by the following service: user" in answer["message"]
    assert api("DELETE", "/services/user")[0] == 200
    assert api("DELETE", f"/{kind}s/{ident}")[0] == 204


def test_networks(api):
    def create(name, **more):
        return api("POST", "/networks/create", {"Name": name, "Driver": "overlay", **more})

    pool = {"IPAM": {"Config": [{"Subnet": "10.77.0.0/24"}]}}
    assert create("")[0] == 400
    assert create("ok", **pool)[0] == 201
    assert create("ok")[0] == 409
    status, answer = create("twice", **pool)
    assert status in (400, 403) and "10.77.0.0/24" in answer["message"]
    status, answer = create("bad", IPAM={"Config": [{"Subnet": "10.77.0.0/33"}]})
    assert status == 400 and "10.77.0.0/33" in answer["message"]
    status, answer = create("bad", IPAM={"Config": [
        {"Subnet": "10.78.0.0/24", "Gateway": "10.79.0.1"}]})
    assert status == 400 and "10.79.0.1" in answer["message"]
    made(api, "/services/create", spec("user", task={"Networks": [{"Target": "ok"}]}))
    status, answer = api("DELETE", "/networks/ok")
    assert status in (400, 403, 409) and "is in use by service user" in answer["message"]
    assert api("DELETE", "/services/user")[0] == 200
    wait_for("the network's end", lambda: api("DELETE", "/networks/ok")[0] in (204, 404))


def test_nodes(api):
    node = api("GET", "/nodes")[1][0]
    path = f"/nodes/{node['ID']}/update?version="

    def update(version=None, **over):
        now = api("GET", f"/nodes/{node['ID']}")[1]["Version"]["Index"]
        return api("POST", f"{path}{version or now}", {**node["Spec"], **over})

    status, answer = update(Role="worker")
    assert status == 400 and "last manager" in answer["message"]
    status, answer = update(Role="king")
    assert status == 400 and "king" in answer["message"]
    status, answer = update(Availability="perhaps")
    assert status == 400 and "perhaps" in answer["message"]
    status, answer = update(version=10**9, Labels={})
    assert status == 409 and "update out of sequence" in answer["message"]
    status, answer = api("DELETE", f"/nodes/{node['ID']}")
    assert status in (400, 409) and node["ID"] in answer["message"]


def test_the_swarm(api):
    swarm = api("GET", "/swarm")[1]

    def update(**over):
        now = api("GET", "/swarm")[1]["Version"]["Index"]
        return api("POST", f"/swarm/update?version={now}", {**swarm["Spec"], **over})

    status, answer = update(CAConfig={"NodeCertExpiry": 3599 * SECOND})
    assert status == 400 and "minimum certificate expiry" in answer["message"]
    status, answer = update(Dispatcher={"HeartbeatPeriod": SECOND // 100})
    assert status == 400 and "at least 100ms" in answer["message"]
    status, answer = update(Name="other")
    assert status == 400 and "always named" in answer["message"]
    status, answer = api("POST", "/swarm/update?version=1000000", swarm["Spec"])
    assert status == 409 and "update out of sequence" in answer["message"]
    status, answer = api("POST", "/swarm/init", {"ListenAddr": "127.0.0.1:2377"})
    assert status == 503 and "already part of a swarm" in answer["message"]
    status, answer = api("POST", "/swarm/leave")
    assert status in (400, 503) and "--force" in answer["message"]
