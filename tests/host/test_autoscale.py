"""
Services that are scaled by what their tasks use, on one real node: by processors, by a metric that the tasks
show, with programs that answer nonsense, and what users see of it. Windows are short, so that the tests are.
"""

import json
import time

import pytest
import test_api_engine
from test_api_engine import IMAGE
from test_service_update import shoal, wait_until

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon

# Busy until the file is there.
WORK = "while :; do if [ -e /flags/idle ]; then sleep 3600; fi; done"
# Shows what the file has.
SHOW = "mkdir /www; cp /flags/metrics /www/; ln -sf /flags/metrics /www/metrics; " \
    "exec busybox httpd -f -p 9100 -h /www"


@pytest.fixture(scope="module", name="swarm")
def swarm_fixture(daemon):
    daemon.docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr",
                  "127.0.0.1:2377")
    yield daemon
    daemon.docker("swarm", "leave", "--force")


class Service:
    """One that is scaled, with a folder that its tasks and the test share."""

    def __init__(self, swarm, flags, name="web"):
        self.swarm, self.flags, self.name = swarm, flags, name

    def create(self, command, *labels, replicas=1):
        self.swarm.docker(
            "service", "create", "--detach", "--no-resolve-image", "--name", self.name, "--replicas",
            str(replicas), "--stop-grace-period", "100ms", "--restart-delay", "100ms",
            "--mount", f"type=bind,src={self.flags},dst=/flags",
            *(part for label in labels for part in ("--label", f"shoal.autoscale.{label}")),
            IMAGE, "sh", "-c", command)

    def write(self, name, text):
        (self.flags / name).write_text(text)

    def inspect(self):
        """By shoal: docker's CLI shows no fields that it does not know."""
        return json.loads(shoal(self.swarm, "inspect", self.name).stdout)[0]

    def replicas(self):
        return self.inspect()["Spec"]["Mode"]["Replicated"]["Replicas"]

    def running(self):
        return self.swarm.docker("service", "ps", "--filter", "desired-state=running", "--format",
                                 "{{.CurrentState}}", self.name).count("Running")

    def state(self):
        done = shoal(self.swarm, "autoscale", self.name)
        return done.stdout if done.returncode == 0 else done.stderr

    def wait(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.state()
            time.sleep(0.1)  # what the leader has in memory has no event

    def wait_replicas(self, *wanted):
        self.wait(lambda: self.replicas() in wanted)

    def wait_state(self, text):
        self.wait(lambda: text in self.state())


@pytest.fixture(name="web")
def web_fixture(swarm, tmp_path):
    tmp_path.chmod(0o755)
    service = Service(swarm, tmp_path)
    yield service
    swarm.docker("service", "rm", service.name)
    wait_until(lambda: not swarm.docker("ps", "-aq"))


def reasons(swarm, since):
    """What the events say of changed numbers of replicas."""
    lines = swarm.docker("events", "--since", str(since), "--until", str(time.time()), "--filter",
                         "type=service", "--filter", "event=update", "--format", "{{json .}}")
    found = [json.loads(line) for line in lines.splitlines()]
    assert all(event["scope"] == "swarm" for event in found)
    attributes = [event["Actor"]["Attributes"] for event in found]
    return [(int(a["replicas.old"]), int(a["replicas.new"]), a["reason"])
            for a in attributes if "reason" in a]


def test_busy_tasks_become_more_and_idle_ones_fewer(swarm, web):
    since = int(time.time())
    web.create(WORK, "min=1", "max=3", "cpu=5", "window=6s")
    web.wait_replicas(3)
    web.wait(lambda: web.running() == 3)
    note = web.inspect()["Autoscale"]
    assert (note["Asked"], note["To"]) == (1, 3)
    assert note["Reason"].startswith("cpu is ") and "the target 5%" in note["Reason"]
    web.wait_state("Target:    cpu: ")
    web.wait_state("3 tasks")

    web.write("idle", "")
    web.wait_replicas(1)
    web.wait(lambda: web.running() == 1)
    seen = reasons(swarm, since)
    assert seen[0][0] == 1 and seen[-1][1] == 1 and {3} == {max(s[:2]) for s in seen}, seen
    assert "so or further for 6s" in seen[-1][2], seen
    # Scaling replaces no task and is no update.
    assert "UpdateStatus" not in web.inspect()


def test_memory(web):
    web.create("head -c 30000000 /dev/zero | tail -c 30000000 | (sleep 3600; cat)", "max=2",
               "memory=4m", "window=0s")
    web.wait_replicas(2)
    assert "memory is " in web.inspect()["Autoscale"]["Reason"]


def test_a_metric_of_the_tasks(swarm, web):
    since = int(time.time())
    web.write("metrics", "# TYPE jobs gauge\njobs{queue=\"a\"} 20\njobs{queue=\"b\"} 1000\n")
    web.create(SHOW, "max=5", 'metric=jobs{queue="a"}', "metric.port=9100", "metric.target=10",
               "window=6s")
    web.wait_replicas(2)
    # Each task shows the same: all that matters here is the average.
    web.write("metrics", "jobs{queue=\"a\"} 10\n")
    web.wait_state('jobs{queue="a"}: 10 of 10, 2 tasks')
    web.write("metrics", "jobs{queue=\"a\"} 4\n")
    web.wait_replicas(1)
    assert 'jobs{queue="a"} is 4 a task, the target 10: so or further for 6s' in \
        [reason for _, _, reason in reasons(swarm, since)]


def test_a_counter_counts_by_its_rise(web):
    """As many a second as the clock of the host has tenths of seconds."""
    web.write("metrics", "")
    web.create("mkdir /www; exec 3>/www/metrics; busybox httpd -p 9100 -h /www; n=0; while :; do "
               "n=$((n + 10)); printf '# TYPE hits counter\\nhits %s\\n' $n > /www/new; "
               "mv /www/new /www/metrics; sleep 1; done",
               "max=4", "metric=hits", "metric.port=9100", "metric.target=5", "window=60s",
               "tolerance=40")
    # About 10 a second; no rise is known before the second round.
    web.wait_replicas(2, 3)
    assert "hits is " in web.inspect()["Autoscale"]["Reason"]


# Programs that answer nonsense, and what the state says of each.
NONSENSE = {
    "deaf": ("sleep 3600", "nothing listens there"),
    "mute": ("exec busybox nc -ll -p 9100 -e sleep 3600", "no answer in time"),
    "zeros": ("exec busybox nc -ll -p 9100 -e cat /dev/zero", "it does not speak HTTP"),
    "babble": ("exec busybox nc -ll -p 9100 -e yes", "its headers have no end"),
    "endless": ("printf 'HTTP/1.0 200 OK\\r\\n\\r\\n' > /head; "
                "exec busybox nc -ll -p 9100 -e sh -c 'cat /head; exec yes'", "there are more than"),
    "chunks": ("printf 'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n' > /head; "
               "exec busybox nc -ll -p 9100 -e cat /head", "it answers in chunks"),
    "short": ("printf 'HTTP/1.0 200 OK\\r\\nContent-Length: 9\\r\\n\\r\\njobs' > /head; "
              "exec busybox nc -ll -p 9100 -e cat /head", "the answer ended early"),
    "missing": ("mkdir /www; exec busybox httpd -f -p 9100 -h /www", "it answers with status 404"),
    "text": ("mkdir /www; echo jobs nonsense > /www/metrics; exec busybox httpd -f -p 9100 -h /www",
             "no number"),
    "other": ("mkdir /www; echo others 1 > /www/metrics; exec busybox httpd -f -p 9100 -h /www",
              "there is no sample of jobs"),
}


@pytest.fixture(scope="module", name="said")
def said_fixture(swarm, tmp_path_factory):
    """The state of each of these and its replicas: all at the same time, as each takes rounds of seconds."""
    flags = tmp_path_factory.mktemp("flags")
    flags.chmod(0o755)
    services = {name: Service(swarm, flags, name) for name in NONSENSE}
    for name, service in services.items():
        service.create(NONSENSE[name][0], "max=5", "metric=jobs", "metric.port=9100",
                       "metric.target=10", "window=0s", replicas=2)
    end, said = time.monotonic() + 60, {}
    for name, service in services.items():
        wait_until(lambda name=name, service=service:
                   NONSENSE[name][1] in service.state() or time.monotonic() > end, 90)
        said[name] = service.state(), service.replicas()
    for name in services:
        swarm.docker("service", "rm", name)
    wait_until(lambda: not swarm.docker("ps", "-aq"))
    return said


@pytest.mark.parametrize("name", NONSENSE)
def test_programs_that_answer_nonsense(said, name):
    """Nothing is known then, so nothing changes; the state says why."""
    state, replicas = said[name]
    assert NONSENSE[name][1] in state
    assert "not made smaller while something is not known" in state
    assert replicas == 2


def test_what_users_ask_for_beside_it(swarm, web):
    web.write("idle", "")
    done = swarm.run("service", "create", "--detach", "--no-resolve-image", "--name", "web",
                     "--label", "shoal.autoscale.max=2", "--label", "shoal.autoscale.cpus=3", IMAGE)
    assert done.returncode == 1 and "label shoal.autoscale.cpus is unknown" in done.stderr
    web.create(WORK, "min=2", "max=3", "cpu=90", "window=1h")
    assert web.replicas() == 2
    done = swarm.run("service", "update", "--detach", "--replicas", "9", "web")
    assert done.returncode == 0 and web.replicas() == 3
    assert "service web gets 3 replicas, not 9: shoal.autoscale.min and .max keep it from 2 to 3" \
        in done.stdout + done.stderr
    swarm.docker("service", "scale", "--detach", "web=0")
    assert web.replicas() == 0
    web.wait_state("rests: it has no replicas")


def test_the_flag_of_shoal(swarm, web):
    web.write("idle", "")
    web.create(WORK)
    assert "has no label shoal.autoscale.max" in web.state()
    done = shoal(swarm, "update", "--detach", "--autoscale",
                 'min=1,max=4,cpu=70,metric=jobs{a="b,c"},metric.port=9100,metric.target=2', "web")
    assert done.returncode == 0, done.stderr
    labels = web.inspect()["Spec"]["Labels"]
    assert labels["shoal.autoscale.metric"] == 'jobs{a="b,c"}'
    assert labels["shoal.autoscale.max"] == "4" and labels["shoal.autoscale.metric.target"] == "2"
    done = shoal(swarm, "update", "--detach", "--autoscale", "max", "web")
    assert done.returncode == 1 and "must be of the form NAME=VALUE" in done.stderr
    done = shoal(swarm, "update", "--detach", "--autoscale", "cpuz=1", "web")
    assert done.returncode == 1 and "label shoal.autoscale.cpuz is unknown" in done.stderr
    done = shoal(swarm, "update", "--detach", "--autoscale", "off", "web")
    assert done.returncode == 0, done.stderr
    assert not [k for k in web.inspect()["Spec"]["Labels"] if k.startswith("shoal.autoscale")]
    assert "Autoscale" not in web.inspect()
