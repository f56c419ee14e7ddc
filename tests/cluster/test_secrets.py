"""
Secrets and configs on three managers and two workers: they reach the node of the task and nobody
else, stand in memory alone, survive dead leaders and daemons, and are found on no disk, in no log and
in no answer of the API.
"""

import base64
import json
import os
import subprocess
import time
import urllib.parse

import pytest
from swarmlib import BIN, Cluster, Connection, Refused, wait_for
from test_raft_settings import set_raft, snapshot, wait_snapshots
from test_roles import set_role, wait_manager, wait_worker

if os.geteuid() != 0:
    pytest.skip("needs root: it makes namespaces", allow_module_level=True)
if not (BIN / "shoald").exists():
    pytest.skip(f"{BIN}/shoald is not built", allow_module_level=True)


@pytest.fixture(scope="module")
def swarm():
    cluster = Cluster(3, 2, "--debug")  # the logs are to say all that they ever do
    yield cluster
    cluster.down()


@pytest.fixture(autouse=True)
def emptied(swarm):
    """What a test that failed has left would be in the way of the next."""
    yield
    via = swarm.leader()
    for kind in ("services", "secrets", "configs"):
        for left in swarm.get(via, f"/{kind}?consistent=1"):
            swarm.ask(via, "DELETE", f"/{kind}/{left['ID']}")


def put(swarm, node, kind, name, data, **more):
    body = {"Name": name, "Data": base64.b64encode(data).decode(), **more}
    return swarm.ask(node, "POST", f"/{kind}s/create", body)["ID"]


def ref(kind, ident, name, target, mode=0o440, uid="0", gid="0"):
    key = kind.capitalize()
    return {
        "File": {"Name": target, "UID": uid, "GID": gid, "Mode": mode},
        f"{key}ID": ident,
        f"{key}Name": name,
    }


def service(swarm, node, name, secrets=(), configs=(), where="w1", env=()):
    spec = {
        "Name": name,
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "sample:1",
                "StopGracePeriod": 1000000000,
                "Secrets": list(secrets),
                "Configs": list(configs),
                "Env": list(env),
            },
            "RestartPolicy": {"Condition": "any", "Delay": 0},
            "Placement": {"Constraints": [f"node.hostname=={where}"]},
        },
        "Mode": {"Replicated": {"Replicas": 1}},
    }
    return swarm.ask(node, "POST", "/services/create", spec)["ID"]


def inside(swarm, task, script):
    done = swarm.exec_in(task, "sh", "-c", script)
    return done.stdout.strip()


def forms_of(text):
    """The text, and its base64 at each of the three alignments, but for the ends."""
    forms = [text]
    for shift in range(3):
        forms.append(base64.b64encode(b"x" * shift + text.encode()).decode()[4:-4])
    return forms


def found_on_disk(swarm, text):
    """Files below the cluster's folder that hold the text or its base64; mounts are not followed."""
    patterns = [word for form in forms_of(text) for word in ("-e", form)]
    done = subprocess.run(
        ["find", str(swarm.base), "-xdev", "-type", "f",
         "-exec", "grep", "-laF", *patterns, "--", "{}", "+"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.stdout.split()


def test_a_secret_is_a_file_of_its_task_alone_and_on_no_disk(swarm):
    text = "plain-" + os.urandom(24).hex()
    ident = put(swarm, "m2", "secret", "alone", text.encode())
    shown = wait_for("m3 has it", lambda: swarm.get("m3", f"/secrets/{ident}"))
    assert shown["Spec"] == {"Name": "alone", "Labels": {}}
    sid = service(
        swarm,
        "m1",
        "uses",
        [ref("secret", ident, "alone", "pw", 0o400, "5", "6"),
         ref("secret", ident, "alone", "/etc/deep/er", 0o444)],
    )  # fmt: skip
    (task,) = swarm.wait_running("m1", sid, 1)
    assert inside(swarm, task, "cat /run/secrets/pw") == text
    assert inside(swarm, task, "cat /etc/deep/er") == text
    assert inside(swarm, task, "stat -c %a:%u:%g /run/secrets/pw") == "400:5:6"
    assert inside(swarm, task, "(echo x >/run/secrets/pw) 2>/dev/null || echo refused") == "refused"
    mounted = inside(swarm, task, "grep ' /run/secrets/pw ' /proc/mounts")
    assert mounted.startswith("tmpfs") and all(
        o in mounted.split()[3].split(",") for o in ("ro", "nosuid", "nodev", "noexec")
    )
    assert found_on_disk(swarm, text) == []

    with pytest.raises(Refused) as refused:
        swarm.ask("m1", "DELETE", "/secrets/alone")
    assert refused.value.status == 400
    assert "'alone' is in use by the following service: uses" in refused.value.message

    swarm.ask("m1", "DELETE", f"/services/{sid}")
    wait_for("no tasks", lambda: not swarm.get("m1", "/tasks"))
    mounts = open("/proc/mounts", encoding="utf-8").read()
    assert str(swarm.base) not in "".join(m for m in mounts.splitlines() if "/files " in m)
    swarm.ask("m1", "DELETE", "/secrets/alone")
    assert found_on_disk(swarm, text) == []


def refused_words(swarm, node, method, path, body):
    with pytest.raises(Refused) as refused:
        swarm.ask(node, method, path, body)
    return refused.value.message


def text_of(swarm, node, path):
    connection = Connection(swarm.socket(node), 20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        assert answer.status == 200, (node, path, text)
        return text
    finally:
        connection.close()


def watched(swarm, node, since, until):
    """What /watch says of the versions after `since`, up to `until`."""
    connection = Connection(swarm.socket(node), 20)
    lines = []
    try:
        connection.request("GET", f"/v1.47/watch?from={since}")
        for line in connection.getresponse():
            lines.append(line.decode())
            told = json.loads(line)
            if told["version"] >= until and (told["action"] == "progress" or told.get("last")):
                return "".join(lines)
    finally:
        connection.close()
    raise AssertionError(f"{node}: the stream of changes ended before version {until}")


def version_of(swarm, node):
    connection = Connection(swarm.socket(node), 20)
    try:
        connection.request("GET", "/v1.47/secrets?consistent=1")
        answer = connection.getresponse()
        answer.read()
        return int(answer.headers["X-Shoal-Version"])
    finally:
        connection.close()


def commands_output(swarm, node, names):
    """{words of a command: what it prints} of both clients about the secret, the service, the tasks."""
    rows = [["secret", "ls"], ["secret", "inspect", names["secret"]],
            ["secret", "inspect", "--pretty", names["secret"]], ["config", "ls"],
            ["service", "ls"], ["service", "inspect", names["service"]],
            ["service", "inspect", "--pretty", names["service"]],
            ["service", "ps", "--no-trunc", names["service"]], ["node", "ls"],
            ["node", "inspect", names["node"]], ["node", "ps", "--no-trunc", names["node"]],
            ["inspect", names["task"]], ["inspect", names["secret"]], ["info"]]  # fmt: skip
    ret = {}
    for client in ("docker", str(BIN / "shoal")):
        for row in rows:
            done = subprocess.run(
                [client, "-H", f"unix://{swarm.socket(node)}", *row],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 0, (client, row, done.stderr)
            ret[f"{node}: {client} {' '.join(row)}"] = done.stdout + done.stderr
    return ret


def answers(swarm, node, objects, since_s, versions):
    """{where: text} of all that a manager tells of the swarm."""
    ret = {}
    for kind, ids in objects.items():
        ret[kind] = text_of(swarm, node, f"/{kind}?consistent=1")
        for ident in ids:
            ret[f"{kind}/{ident}"] = text_of(swarm, node, f"/{kind}/{ident}?consistent=1")
    (service_id,) = objects["services"]
    for path in ("/swarm", "/info", "/containers/json?all=1", "/services?status=1",
                 f"/services/{service_id}?insertDefaults=1"):  # fmt: skip
        ret[path] = text_of(swarm, node, path)
    scope = urllib.parse.quote(json.dumps({"scope": ["swarm"]}))
    window = f"since={since_s}&until={time.time():.9f}"
    ret["events of the swarm"] = text_of(swarm, node, f"/events?{window}&filters={scope}")
    ret["events"] = text_of(swarm, node, f"/events?{window}")
    ret["watch"] = watched(swarm, node, *versions)
    return {f"{node}: {where}": text for where, text in ret.items()}


def test_no_answer_of_the_api_shows_it(swarm):
    """Of no manager, by no request; the same request shows a config, so the search does find."""
    secret, config = ("".join((word, os.urandom(24).hex())) for word in ("hidden-", "shown-"))
    since_s, since = f"{time.time():.9f}", version_of(swarm, "m1")
    ident = put(swarm, "m1", "secret", "hidden", secret.encode())
    open_ident = put(swarm, "m1", "config", "shown", config.encode())
    sid = service(
        swarm, "m1", "asks", [ref("secret", ident, "hidden", "pw")],
        [ref("config", open_ident, "shown", "/shown")],
    )  # fmt: skip
    (task,) = swarm.wait_running("m1", sid, 1)
    assert inside(swarm, task, "cat /run/secrets/pw /shown") == secret + config

    data = base64.b64encode(secret.encode()).decode()
    now = swarm.get("m1", f"/secrets/{ident}")
    update = f"/secrets/{ident}/update?version={now['Version']['Index']}"
    told = {
        "refusal of a name": refused_words(
            swarm, "m1", "POST", "/secrets/create", {"Name": "hidden", "Data": data}),
        "refusal of bytes": refused_words(
            swarm, "m1", "POST", "/secrets/create", {"Name": "other", "Data": data + "!"}),
        "refusal of a type": refused_words(
            swarm, "m1", "POST", "/secrets/create", {"Name": "other", "Data": [data]}),
        "refusal of a driver": refused_words(
            swarm, "m1", "POST", "/secrets/create",
            {"Name": "other", "Data": data, "Driver": {"Name": "x"}}),
        "refusal of a change": refused_words(
            swarm, "m1", "POST", update, {**now["Spec"], "Data": base64.b64encode(b"x").decode()}),
    }  # fmt: skip
    # A change that is no refusal is in the history: its line, and its event.
    swarm.ask("m1", "POST", update, {**now["Spec"], "Labels": {"k": "v"}, "Data": data})
    objects = {
        "services": [sid], "tasks": [task["ID"]], "secrets": [ident], "configs": [open_ident],
        "nodes": [n["ID"] for n in swarm.get("m1", "/nodes")], "networks": [],
    }  # fmt: skip
    versions = (since, version_of(swarm, "m1"))
    names = {"service": "asks", "secret": "hidden", "task": task["ID"], "node": task["NodeID"]}
    for manager in swarm.managers:
        told.update(answers(swarm, manager, objects, since_s, versions))
        told.update(commands_output(swarm, manager, names))
        assert ident in told[f"{manager}: events of the swarm"]
        assert ident in told[f"{manager}: watch"]
        assert any(form in told[f"{manager}: configs"] for form in forms_of(config))
    container = task["Status"]["ContainerStatus"]["ContainerID"]
    for path in (f"/containers/{container}/json", "/containers/json?all=1", "/events?until=1"):
        told[f"w1: {path}"] = text_of(swarm, "w1", path)
    shown = [where for where, text in told.items() if any(f in text for f in forms_of(secret))]
    assert shown == []
    swarm.ask("m1", "DELETE", f"/services/{sid}")
    wait_for("no tasks", lambda: not swarm.get("m1", "/tasks"))


def test_snapshots_of_the_log_do_not_show_it(swarm):
    """A snapshot after each entry, so that one of each manager has the secret."""
    text = "snap-" + os.urandom(24).hex()
    set_raft(swarm, "m1", SnapshotInterval=1, LogEntriesForSlowFollowers=1)
    ident = put(swarm, "m1", "secret", "snap", text.encode())
    for manager in swarm.managers:
        assert swarm.get(manager, f"/secrets/{ident}?consistent=1")["ID"] == ident
    before = max(snapshot(swarm, m) for m in swarm.managers)
    for i in range(2):
        put(swarm, "m1", "secret", f"snap-{i}", text.encode())
    wait_snapshots(swarm, before)
    assert found_on_disk(swarm, text) == []
    set_raft(swarm, "m1", SnapshotInterval=10000, LogEntriesForSlowFollowers=500)


def test_a_worker_that_was_a_manager_for_a_while_keeps_none(swarm):
    """As a manager it has the secret in its sealed log; as a worker again it has neither."""
    text = "roles-" + os.urandom(24).hex()
    control = swarm.base / "found"  # so that the search is known to find both forms
    for form in (text, base64.b64encode(f"x{text}".encode()).decode()):
        control.write_text(f"{{{form}}}", encoding="utf-8")
        assert found_on_disk(swarm, text) == [str(control)]
    control.unlink()
    ident = put(swarm, "m1", "secret", "roles", text.encode())
    sid = service(swarm, "m1", "held", [ref("secret", ident, "roles", "pw")], where="w2")
    (task,) = swarm.wait_running("m1", sid, 1)
    set_role(swarm, "m1", "w2", "manager")
    wait_manager(swarm, "m1", "w2")
    other = put(swarm, "w2", "secret", "roles-2", f"{text}-2".encode())
    assert swarm.get("w2", f"/secrets/{other}?consistent=1")["ID"] == other
    assert (swarm.dir / "w2/data/swarm/raft").exists()
    assert found_on_disk(swarm, text) == []
    set_role(swarm, "m1", "w2", "worker")
    wait_worker(swarm, "m1", "w2")
    assert inside(swarm, task, "cat /run/secrets/pw") == text
    assert found_on_disk(swarm, text) == []
    swarm.ask("m1", "DELETE", f"/services/{sid}")
    wait_for("no tasks", lambda: not swarm.get("m1", "/tasks"))
    for name in ("roles", "roles-2"):
        swarm.ask("m1", "DELETE", f"/secrets/{name}")
    assert found_on_disk(swarm, text) == []


def test_templates_are_expanded_for_each_task(swarm):
    word = put(swarm, "m1", "secret", "word", b"opensesame")
    golang = {"Templating": {"Name": "golang"}}
    page = put(
        swarm,
        "m1",
        "config",
        "page",
        b'{{.Service.Name}} {{.Node.Hostname}} {{.Task.Slot}} {{env "E"}} {{secret "word"}}',
        **golang,
    )
    # Another manager may lag a moment behind: the reader says that this one is not to.
    kept = swarm.get("m2", f"/configs/{page}?consistent=1")["Spec"]["Data"]
    assert base64.b64decode(kept).startswith(b"{{")
    sid = service(
        swarm, "m1", "tpl", [ref("secret", word, "word", "word")],
        [ref("config", page, "page", "page", 0o444)], "w2", ["E=mc2"],
    )  # fmt: skip
    (task,) = swarm.wait_running("m1", sid, 1)
    assert inside(swarm, task, "cat /page") == "tpl w2 1 mc2 opensesame"

    bad = put(swarm, "m1", "config", "bad", b"{{printf 1}}", **golang)
    swarm.ask("m1", "DELETE", f"/services/{sid}")
    sid = service(swarm, "m1", "broken", (), [ref("config", bad, "bad", "bad")])
    wait_for(
        "the reason on the task",
        lambda: any(
            'function "printf" is not known' in t["Status"].get("Err", "")
            for t in swarm.tasks("m1", sid, running=False)
        ),
    )
    swarm.ask("m1", "DELETE", f"/services/{sid}")
    wait_for("no tasks", lambda: not swarm.get("m1", "/tasks"))


def test_what_is_running_outlives_daemons_and_leaders(swarm):
    text = "stays-" + os.urandom(24).hex()
    ident = put(swarm, "m1", "secret", "stays", text.encode())
    sid = service(swarm, "m1", "kept", [ref("secret", ident, "stays", "stays")])
    (task,) = swarm.wait_running("m1", sid, 1)
    swarm.tool("kill", "w1")
    leader = swarm.leader()
    swarm.tool("kill", leader)
    swarm.tool("start", "w1")
    swarm.tool("start", leader)
    swarm.leader()
    wait_for("the worker's API", lambda: swarm.get("w1", "/containers/json"))
    assert inside(swarm, task, "cat /run/secrets/stays") == text
    via = next(m for m in swarm.managers if m != leader)
    # Its container dies: what takes its place needs the secret from a manager again.
    container = task["Status"]["ContainerStatus"]["ContainerID"]
    swarm.ask("w1", "POST", f"/containers/{container}/kill")

    def replaced():
        (other,) = swarm.wait_running(via, sid, 1)
        return other if other["ID"] != task["ID"] else None

    other = wait_for("a replacement", replaced)
    assert inside(swarm, other, "cat /run/secrets/stays") == text
    assert found_on_disk(swarm, text) == []
    swarm.ask(via, "DELETE", f"/services/{sid}")
    wait_for("no tasks", lambda: not swarm.get(via, "/tasks"))


def test_the_docker_client_does_it_all(swarm, tmp_path):
    def docker(*argv, given=None, check=True):
        done = subprocess.run(
            ["docker", "-H", f"unix://{swarm.socket('m1')}", *argv],
            input=given or "", capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "DOCKER_CONFIG": str(tmp_path)},
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip() if check else done

    text = "client-" + os.urandom(12).hex()
    ident = docker("secret", "create", "-l", "k=v", "one", "-", given=text)
    docker("config", "create", "--template-driver", "golang", "two", "-", given="{{.Task.Slot}}")
    assert docker("secret", "ls", "-q", "--filter", "label=k=v") == ident
    assert docker("secret", "ls", "-q", "--filter", "name=nothing") == ""
    assert text not in docker("secret", "inspect", "one")
    assert "{{.Task.Slot}}" in docker("config", "inspect", "--pretty", "two")
    taken = docker("secret", "create", "one", "-", given="x", check=False)
    assert taken.returncode and "already exists" in taken.stderr
    sid = docker(
        "service", "create", "--detach", "--no-resolve-image", "--name", "by-client",
        "--stop-grace-period", "1s", "--secret", "source=one,target=here,mode=0400",
        "--config", "source=two,target=/two", "sample:1",
    )  # fmt: skip
    (task,) = swarm.wait_running("m1", sid, 1)
    assert inside(swarm, task, "cat /run/secrets/here /two") == text + "1"
    used = docker("secret", "rm", "one", check=False)
    assert used.returncode and "in use by the following service: by-client" in used.stderr
    docker("service", "update", "--detach", "--no-resolve-image", "--secret-rm", "one", sid)

    def without():
        (other,) = swarm.wait_running("m1", sid, 1)
        return other if other["ID"] != task["ID"] else None

    other = wait_for("a task without the secret", without)
    assert inside(swarm, other, "ls /run/secrets 2>/dev/null || true") == ""
    docker("secret", "rm", "one")
    docker("service", "rm", sid)
    docker("config", "rm", "two")
    wait_for("no tasks", lambda: not swarm.get("m1", "/tasks"))


def test_shoal_does_the_same(swarm):
    def shoal(*argv, given="", ok=True):
        done = subprocess.run(
            [str(BIN / "shoal"), "-H", f"unix://{swarm.socket('m1')}", *argv],
            input=given, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) == ok, done.stderr
        return done.stdout.strip() if ok else done.stderr

    text = "shoal-" + os.urandom(12).hex()
    ident = shoal("secret", "create", "-l", "k=v", "key", "-", given=text)
    shoal("config", "create", "--template-driver", "golang", "leaf", "-", given="{{.Service.Name}}")
    assert shoal("secret", "ls", "-q", "--filter", "label=k=v") == ident
    assert "leaf" in shoal("config", "ls", "--format", "{{.Name}}").split()
    assert text not in shoal("secret", "inspect", "key")
    assert "already exists" in shoal("secret", "create", "key", "-", given="x", ok=False)
    assert "1 to 512000 bytes" in shoal(
        "secret", "create", "big", "-", given="x" * (500 * 1024 + 1), ok=False
    )
    shoal("secret", "create", "full", "-", given="x" * (500 * 1024))
    shoal("config", "create", "full", "-", given="x" * (1000 * 1024))
    sid = shoal(
        "service", "create", "--detach", "--name", "mine", "--stop-grace-period", "1s", "--secret", "full",
        "--config", "full", "--secret", "source=key,target=/srv/k,mode=0400,uid=3",
        "--config", "source=leaf,target=/srv/p", "sample:1",
    )  # fmt: skip
    (task,) = swarm.wait_running("m1", sid, 1)
    assert inside(swarm, task, "cat /srv/k /srv/p") == text + "mine"
    assert inside(swarm, task, "stat -c %a:%u /srv/k") == "400:3"
    assert inside(swarm, task, "stat -c %s /run/secrets/full /full").split() == ["512000", "1024000"]
    shoal("service", "update", "--detach", "--secret-rm", "key", "--config-rm", "leaf", "mine")
    assert "in use by the following service: mine" in shoal("secret", "rm", "full", ok=False)

    def gone():
        (other,) = swarm.wait_running("m1", sid, 1)
        return other["ID"] != task["ID"] and other

    other = wait_for("a task without them", gone)
    assert inside(swarm, other, "cat /srv/k 2>/dev/null || echo none") == "none"
    shoal("secret", "rm", "key")
    shoal("service", "rm", "mine")
    shoal("config", "rm", "leaf")
    wait_for("no tasks", lambda: not swarm.get("m1", "/tasks"))
