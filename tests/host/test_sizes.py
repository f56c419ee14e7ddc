"""
Sizes of containers as docker CLI and SDK show them, on a real shoald.
"""

import threading

import test_api_engine
from test_api_engine import IMAGE, docker_sdk

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon
name = test_api_engine.name

WRITTEN = 3000000


def test_sizes_of_what_was_written(daemon, name):
    daemon.docker("run", "--name", name, IMAGE, "sh", "-c", f"head -c {WRITTEN} /dev/zero > /file")
    image = daemon.client().images.get(IMAGE).attrs["Size"]
    shown = [c for c in daemon.client().api.containers(all=True, size=True) if c["Names"] == ["/" + name]][0]
    assert shown["SizeRw"] == WRITTEN and shown["SizeRootFs"] == WRITTEN + image
    text = daemon.docker("ps", "-as", "--filter", f"name={name}", "--format", "{{.Size}}")
    assert text.startswith("3MB (virtual ")
    assert daemon.docker("inspect", "-s", "-f", "{{.SizeRw}} {{.SizeRootFs}}", name) == f"{WRITTEN} {WRITTEN + image}"
    plain = [c for c in daemon.client().api.containers(all=True) if c["Names"] == ["/" + name]][0]
    assert "SizeRw" not in plain and "SizeRw" not in daemon.client().api.inspect_container(name)


def test_many_askers_wait_or_are_told(daemon, name):
    """Each gets its sizes, or is told that too many wait; none is left without an answer."""
    daemon.docker("run", "--name", name, IMAGE, "sh", "-c", "for i in $(seq 3000); do : > /$i; done")
    answers = []

    def asking():
        try:
            answers.append(len(daemon.client().api.containers(all=True, size=True)) > 0)
        except docker_sdk.errors.APIError as e:
            answers.append(e.status_code == 503 and "ask again later" in str(e))

    threads = [threading.Thread(target=asking) for _ in range(40)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert answers == [True] * len(threads)
