"""
Stacks on a swarm of one node: by shoal's own reader, and by the docker CLI unchanged; each sees what
the other deployed.
"""

import os
import shutil
import subprocess

import pytest
from test_cli_daemon import IMAGE, SHOALD, Bridged, daemon, shoal, wait_for  # noqa: F401

DOCKER = shutil.which("docker")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not SHOALD.exists(), reason="needs root and a built shoald")

ONE = f"""
x-base: &base
  image: {IMAGE}
  stop_grace_period: 1s
services:
  web:
    <<: *base
    environment: {{WHO: "${{WHO:-nobody}}"}}
    deploy: {{replicas: 2}}
  other:
    <<: *base
    container_name: ignored
"""


@pytest.fixture(scope="module")
def swarm(shoal):  # noqa: F811
    shoal("swarm", "init", "--advertise-addr", "127.0.0.1")
    return shoal


@pytest.fixture
def docker(swarm):
    if not DOCKER:
        pytest.skip("no docker CLI")

    def run(*argv, code=0):
        done = subprocess.run([DOCKER, "-H", swarm.host, *argv], timeout=90, capture_output=True,
                              text=True, check=False)
        assert done.returncode == code, (argv, done.stdout, done.stderr)
        return done.stderr if code else done.stdout
    return run


def running(shoal, service):  # noqa: F811
    rows = shoal.lines("service", "ps", service, "-q", "--filter", "desired-state=running")
    return sorted(rows)


def test_deploy_again_prune_and_rm(swarm):
    swarm("stack", "deploy", "-c", "-", "--detach=false", "one", stdin=ONE)
    assert swarm("stack", "ls", "--format", "{{.Name}} {{.Services}}") == "one 2\n"
    assert sorted(swarm.lines("stack", "services", "one", "--format", "{{.Name}} {{.Replicas}}")) \
        == ["one_other 1/1", "one_web 2/2"]
    assert len(swarm.lines("stack", "ps", "one", "-q")) == 3
    env = swarm("service", "inspect", "one_web", "--format",
                "{{json .Spec.TaskTemplate.ContainerSpec.Env}}")
    assert env == '["WHO=nobody"]\n'

    before = running(swarm, "one_web")
    swarm("stack", "deploy", "-c", "-", "--detach=false", "one", stdin=ONE)
    assert running(swarm, "one_web") == before

    less = ONE.split("  other:")[0]
    swarm("stack", "deploy", "-c", "-", "--prune", "--detach=false", "one", stdin=less)
    assert swarm.lines("stack", "services", "one", "--format", "{{.Name}}") == ["one_web"]

    out = swarm("stack", "rm", "one")
    assert "Removing service one_web" in out and "Removing network one_default" in out
    assert swarm("stack", "ls", "--format", "{{.Name}}") == ""
    assert "one_default" not in swarm("network", "ls")
    assert "nothing found in stack: one" in swarm("stack", "ps", "one", code=1)


def test_what_is_not_supported_stops_the_deployment(swarm):
    said = swarm("stack", "deploy", "-c", "-", "bad", code=1,
                 stdin=f"services:\n  a: {{image: {IMAGE}, privileged: true, pid: host}}\n")
    assert "<stdin>:2:" in said and "privileged is not supported" in said and "pid is" in said
    assert swarm("stack", "ls", "--format", "{{.Name}}") == ""


def test_config(swarm, tmp_path):
    a, b = tmp_path / "a.yml", tmp_path / "b.yml"
    a.write_text("services: {a: {image: \"i:${T}\", environment: [X=1]}}\n")
    b.write_text("services: {a: {environment: {Y: 2}}}\n")
    (tmp_path / ".env").write_text("T=9\n")
    out = swarm("stack", "config", "-c", str(a), "-c", str(b))
    assert 'image: "i:9"' in out and "Y: 2" in out and "X: \"1\"" in out


def test_the_docker_cli_and_shoal_see_the_same_stacks(swarm, docker, tmp_path):
    file = tmp_path / "two.yml"
    file.write_text("version: '3.8'\n" + ONE.replace("    container_name: ignored\n", ""))
    docker("stack", "deploy", "-c", str(file), "--resolve-image", "never", "--detach=true", "two")
    wait_for("both services", lambda: sorted(swarm.lines(
        "stack", "services", "two", "--format", "{{.Replicas}}")) == ["1/1", "2/2"])
    assert docker("stack", "ls", "--format", "{{.Name}} {{.Services}}") == "two 2\n"
    assert swarm("stack", "ls", "--format", "{{.Name}}") == "two\n"
    assert len(docker("stack", "ps", "-q", "two").split()) == 3
    assert sorted(docker("stack", "services", "two", "--format", "{{.Name}}").split()) \
        == ["two_other", "two_web"]

    before = running(swarm, "two_web")
    swarm("stack", "deploy", "-c", str(file), "two")
    docker("stack", "deploy", "-c", str(file), "--resolve-image", "never", "--detach=true", "two")
    assert running(swarm, "two_web") == before
    docker("stack", "rm", "--detach=false", "two")
    wait_for("the end of the stack", lambda: "two_" not in docker("network", "ls"))
    assert docker("stack", "ls", "--format", "{{.Name}}") == ""


WAITS = f"""
x-base: &base
  image: {IMAGE}
  stop_grace_period: 1s
services:
  web:
    <<: *base
    command: sh -c 'echo web is here; sleep 1000'
    environment: [WEB=1]
    depends_on:
      db: {{condition: service_healthy, restart: true}}
      migrate: {{condition: service_completed_successfully}}
    deploy: {{replicas: 2}}
  migrate:
    <<: *base
    command: sh -c 'echo migrating; sleep 1; echo migrated'
    environment: [MIGRATE=1]
    depends_on: {{db: {{condition: service_healthy}}}}
    deploy: {{mode: replicated-job}}
  db:
    <<: *base
    command: sh -c 'echo db begins; sleep 2; echo db is ready; touch /tmp/ready; sleep 1000'
    environment: [DB=1]
    healthcheck: {{test: [CMD, test, -e, /tmp/ready], interval: 200ms, timeout: 5s, retries: 100}}
"""


def said_at(shoal, service, text):  # noqa: F811
    """When the service's tasks said it, as the logs have it: RFC 3339 sorts as text."""
    return sorted(line.split()[0] for line in shoal.lines(
        "service", "logs", "--raw", "--timestamps", service) if line.endswith(text))


def task_errors(shoal, service):  # noqa: F811
    return {line.strip('"') for line in shoal.lines(
        "service", "ps", service, "--no-trunc", "--format", "{{.Error}}")}


def test_services_wait_for_one_another(swarm):
    out = swarm("stack", "deploy", "-c", "-", "w", stdin=WAITS)
    order = [line.split()[-1] for line in out.splitlines() if "Creating service" in line]
    assert order == ["w_db", "w_migrate", "w_web"]
    wait_for("the reason", lambda: task_errors(swarm, "w_web") == {
        "waiting for w_db to be healthy, for w_migrate to complete"})
    assert task_errors(swarm, "w_migrate") <= {"waiting for w_db to be healthy", ""}
    wait_for("web", lambda: len(said_at(swarm, "w_web", "web is here")) == 2)
    ready = said_at(swarm, "w_db", "db is ready")
    begun, ended = (said_at(swarm, "w_migrate", text) for text in ("migrating", "migrated"))
    assert len(ready) == len(begun) == len(ended) == 1
    assert ready[0] < begun[0] < ended[0] < said_at(swarm, "w_web", "web is here")[0]
    assert task_errors(swarm, "w_web") == {""}

    # the same again changes nothing
    before = {name: running(swarm, name) for name in ("w_db", "w_web")}
    swarm("stack", "deploy", "-c", "-", "--detach=false", "w", stdin=WAITS)
    assert {name: running(swarm, name) for name in ("w_db", "w_web")} == before
    assert len(said_at(swarm, "w_migrate", "migrated")) == 1


def test_an_update_waits_for_the_next_migration(swarm):
    more = WAITS.replace("MIGRATE=1", "MIGRATE=2").replace("WEB=1", "WEB=2")
    before = {name: running(swarm, name) for name in ("w_db", "w_web")}
    swarm("stack", "deploy", "-c", "-", "--detach=false", "w", stdin=more)
    assert running(swarm, "w_db") == before["w_db"]
    assert not set(running(swarm, "w_web")) & set(before["w_web"])
    ended = said_at(swarm, "w_migrate", "migrated")
    new = said_at(swarm, "w_web", "web is here")
    assert len(ended) == 2 and len(new) == 4
    assert ended[1] < new[2]


def test_who_follows_another_is_restarted_with_it(swarm):
    more = WAITS.replace("MIGRATE=1", "MIGRATE=2").replace("WEB=1", "WEB=2")
    other = more.replace("DB=1", "DB=2")
    before = {name: running(swarm, name) for name in ("w_db", "w_web")}
    swarm("stack", "deploy", "-c", "-", "--detach=false", "w", stdin=other)
    for name in ("w_db", "w_web"):
        assert not set(running(swarm, name)) & set(before[name])
    assert said_at(swarm, "w_db", "db is ready")[1] < said_at(swarm, "w_web", "web is here")[4]
    assert len(said_at(swarm, "w_migrate", "migrated")) == 2
    swarm("stack", "rm", "w")


def test_a_job_that_fails_for_good_is_explained(swarm):
    swarm("stack", "deploy", "-c", "-", "f", stdin=f"""
services:
  web: {{image: {IMAGE}, depends_on: {{job: {{condition: service_completed_successfully}}}}}}
  job:
    image: {IMAGE}
    command: sh -c 'exit 3'
    deploy: {{mode: replicated-job, restart_policy: {{condition: none}}}}
""")
    wait_for("the reason", lambda: any(
        "waiting for f_job to complete (its task " in said
        and "failed and is not started again: task: non-zero exit (3))" in said
        for said in task_errors(swarm, "f_web")))
    swarm("stack", "rm", "f")


BLOBS = f"""
services:
  a:
    image: {IMAGE}
    command: sh -c 'cat /run/secrets/s /c /etc/t; sleep 1000'
    stop_grace_period: 1s
    networks: [n, out]
    secrets: [s]
    configs: [c, {{source: t, target: /etc/t, mode: 0400}}]
    volumes: ['vol:/data']
    deploy:
      replicas: 2
      labels: {{a: b}}
      placement: {{constraints: [node.role==manager]}}
      resources: {{limits: {{cpus: '0.5', memory: 64M}}}}
      restart_policy: {{condition: any, delay: 1s}}
      update_config: {{parallelism: 1, order: start-first}}
  b: {{image: {IMAGE}, command: sleep 1000, stop_grace_period: 1s}}
networks:
  n: {{attachable: true}}
  out: {{external: true, name: outside}}
volumes: {{vol: {{labels: {{of: stack}}}}}}
secrets: {{s: {{file: ./secret}}}}
configs:
  c: {{external: true, name: outconf}}
  t: {{file: ./templ, template_driver: golang}}
"""


def test_docker_stacks_with_all_that_they_may_have(swarm, docker, tmp_path):
    (tmp_path / "secret").write_text("hidden\n")
    (tmp_path / "templ").write_text("{{.Service.Name}} {{.Task.Slot}}\n")
    file = tmp_path / "all.yml"
    file.write_text(BLOBS)
    deploy = ("stack", "deploy", "-c", str(file), "--resolve-image", "never")
    refused = docker(*deploy, "--detach=true", "all", code=1)
    assert 'network "outside" is declared as external, but could not be found' in refused
    swarm("network", "create", "-d", "overlay", "outside")
    swarm("config", "create", "outconf", "-", stdin="external\n")
    out = docker(*deploy, "--with-registry-auth", "--detach=false", "all")
    assert "converged" in out
    assert sorted(docker("stack", "services", "all", "--format", "{{.Name}} {{.Replicas}}")
                  .splitlines()) == ["all_a 2/2", "all_b 1/1"]
    wait_for("what a says", lambda: len(swarm.lines("service", "logs", "--raw", "all_a")) == 6)
    assert sorted(swarm.lines("service", "logs", "--raw", "all_a")) == sorted(
        ["hidden", "external"] * 2 + ["all_a 1", "all_a 2"])
    assert docker("network", "inspect", "--format", "{{.Attachable}}", "all_n") == "true\n"
    assert docker("volume", "ls", "-q") == "all_vol\n"

    # by docker and by shoal again: nothing differs; then only the one that changed is replaced
    before = {name: running(swarm, name) for name in ("all_a", "all_b")}
    docker(*deploy, "--detach=true", "all")
    swarm("stack", "deploy", "-c", str(file), "--detach=false", "all")
    assert {name: running(swarm, name) for name in before} == before
    file.write_text(BLOBS.replace("command: sleep 1000", "command: sleep 1001"))
    docker(*deploy, "--detach=false", "all")
    assert running(swarm, "all_a") == before["all_a"]
    assert running(swarm, "all_b") != before["all_b"]

    file.write_text(BLOBS[:BLOBS.index("  b:")] + BLOBS[BLOBS.index("networks:\n  n:"):])
    docker(*deploy, "--prune", "--detach=true", "all")
    assert docker("stack", "services", "all", "--format", "{{.Name}}") == "all_a\n"
    assert "hidden" not in docker("stack", "config", "-c", str(file))
    docker("stack", "rm", "--detach=false", "all")
    wait_for("its end", lambda: "all_" not in docker("network", "ls") + docker("secret", "ls")
             + docker("config", "ls"))
    assert "outconf" in docker("config", "ls")
    wait_for("the network's end", lambda: "outside" not in swarm("network", "ls")
             or not swarm_rm(swarm, "network", "outside"))


def swarm_rm(swarm, kind, name):
    """True while it cannot be removed yet."""
    done = subprocess.run([str(SHOALD.parent / "shoal"), "-H", swarm.host, kind, "rm", name],
                          capture_output=True, timeout=60, check=False)
    return done.returncode != 0
