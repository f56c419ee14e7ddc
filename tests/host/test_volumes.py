"""
Volumes as the docker CLI sees them, on a real shoald: made, used by containers, shared, listed, kept while
they are used, removed, pruned; across a restart of the daemon.
"""

import json

import pytest
import test_api_engine
from test_api_engine import IMAGE

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon
name = test_api_engine.name


@pytest.fixture(autouse=True)
def no_volumes(daemon):
    yield
    daemon.docker("volume", "prune", "-a", "-f")
    assert daemon.docker("volume", "ls", "-q") == ""


def inspect(daemon, volume):
    return json.loads(daemon.docker("volume", "inspect", volume))[0]


def test_a_volume_is_made_used_and_outlives_its_containers(daemon):
    assert daemon.docker("volume", "create", "--label", "a=b", "kept") == "kept"
    seen = inspect(daemon, "kept")
    assert seen["Labels"] == {"a": "b"} and seen["Driver"] == seen["Scope"] == "local"
    assert seen["Mountpoint"] == str(daemon.root / "data/volumes/kept/_data")
    assert seen["CreatedAt"].startswith("20")
    daemon.docker("run", "--rm", "-v", "kept:/d", IMAGE, "sh", "-c", "echo hello > /d/f")
    assert daemon.docker("run", "--rm", "-v", "kept:/d:ro", IMAGE, "cat", "/d/f") == "hello"
    daemon.stop()
    daemon.start()
    assert inspect(daemon, "kept") == seen
    assert daemon.docker("volume", "create", "kept") == "kept", "as it is"
    assert inspect(daemon, "kept") == seen


def test_a_volume_in_use_is_kept(daemon, name):
    daemon.docker("create", "--name", name, "-v", "busy:/d", IMAGE)
    refused = daemon.run("volume", "rm", "busy")
    assert refused.returncode == 1 and "volume is in use" in refused.stderr
    assert daemon.docker("inspect", "-f", "{{.Id}}", name) in refused.stderr
    assert "busy" not in daemon.docker("volume", "prune", "-a", "-f")
    assert daemon.docker("volume", "ls", "-q", "-f", "dangling=false") == "busy"
    daemon.docker("rm", name)
    assert daemon.docker("volume", "ls", "-q", "-f", "dangling=true") == "busy"
    daemon.docker("volume", "rm", "busy")
    assert not (daemon.root / "data/volumes/busy").exists()


def test_volumes_are_listed_and_filtered(daemon):
    daemon.docker("volume", "create", "--label", "x=1", "one")
    daemon.docker("volume", "create", "two")
    assert daemon.docker("volume", "ls", "-q").split() == ["one", "two"]
    assert daemon.docker("volume", "ls", "-q", "-f", "label=x=1") == "one"
    assert daemon.docker("volume", "ls", "-q", "-f", "name=tw") == "two"
    wrong = daemon.run("volume", "ls", "-f", "colour=red")
    assert wrong.returncode == 1 and "invalid filter" in wrong.stderr


def test_pruning_takes_the_unnamed_ones_first(daemon, name):
    daemon.docker("volume", "create", "named")
    unnamed = daemon.docker("volume", "create")
    assert "com.docker.volume.anonymous" in inspect(daemon, unnamed)["Labels"]
    daemon.docker("run", "--name", name, "-v", "/d", IMAGE, "sh", "-c", "head -c 1000000 /dev/zero >/d/f")
    daemon.docker("rm", name)
    by_container = set(daemon.docker("volume", "ls", "-q").split()) - {"named", unnamed}
    assert len(by_container) == 1
    said = daemon.docker("volume", "prune", "-f")
    assert unnamed in said and by_container.pop() in said and "named" not in said.split()
    assert "Total reclaimed space: 1" in said and "MB" in said
    assert daemon.docker("volume", "ls", "-q") == "named"


@pytest.mark.parametrize("bad", ["a/b", ".hidden", "x"])
def test_bad_names_are_refused(daemon, bad):
    refused = daemon.run("volume", "create", bad)
    assert refused.returncode == 1 and "invalid characters" in refused.stderr
    missing = daemon.run("volume", "inspect", bad)
    assert missing.returncode == 1 and "no such volume" in missing.stderr


def test_what_is_not_there_is_said(daemon):
    missing = daemon.run("volume", "rm", "nowhere")
    assert missing.returncode == 1 and "no such volume" in missing.stderr
    daemon.docker("volume", "rm", "-f", "nowhere")
    driver = daemon.run("volume", "create", "-d", "nfs", "other")
    assert driver.returncode == 1 and "not implemented" in driver.stderr
    options = daemon.run("volume", "create", "-o", "type=tmpfs", "other")
    assert options.returncode == 1 and "not implemented" in options.stderr
