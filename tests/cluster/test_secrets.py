"""
Secrets and configs on three managers and two workers: they reach the node of the task and nobody
else, stand in memory alone, survive dead leaders and daemons, and are found on no disk and in no log.
"""

import base64
import os
import subprocess

import pytest
from swarmlib import BIN, Cluster, Refused, wait_for

if os.geteuid() != 0:
    pytest.skip("needs root: it makes namespaces", allow_module_level=True)
if not (BIN / "shoald").exists():
    pytest.skip(f"{BIN}/shoald is not built", allow_module_level=True)


@pytest.fixture(scope="module")
def swarm():
    cluster = Cluster(3, 2)
    yield cluster
    cluster.down()


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


def found_on_disk(swarm, text):
    """Files below the cluster's folder that hold the text or its base64; mounts are not followed."""
    forms = [text.encode()]
    for shift in range(3):  # base64 at each of its three alignments, but for the ends
        coded = base64.b64encode(b"x" * shift + text.encode()).decode()
        forms.append(coded[4:-4].encode())
    hits = []
    for form in forms:
        done = subprocess.run(
            ["find", str(swarm.base), "-xdev", "-type", "f",
             "-exec", "grep", "-laF", "--", form.decode(), "{}", "+"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        hits += done.stdout.split()
    return hits


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
        "service", "create", "--detach", "--name", "mine", "--secret", "full",
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
