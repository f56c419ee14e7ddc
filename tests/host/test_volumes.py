"""
Volumes as the docker CLI sees them, on a real shoald: made, used by containers, shared, listed, kept while
they are used, removed, pruned; across a restart of the daemon.
"""

import json
import subprocess
from pathlib import Path

import pytest
import test_api_engine
from test_api_engine import BUILD, IMAGE
from test_health import wait_for

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
    size = daemon.run("volume", "create", "-o", "size=1g", "other")
    assert size.returncode == 1 and "not implemented" in size.stderr


# Options of the driver

def mounts_at(daemon, volume):
    path = str(daemon.root / "data/volumes" / volume / "_data")
    return [line.split() for line in Path("/proc/mounts").read_text().splitlines()
            if line.split()[1] == path]


def test_a_volume_of_memory_lives_as_long_as_containers_use_it(daemon, name):
    daemon.docker("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o",
                  "o=size=1m,uid=7", "mem")
    assert inspect(daemon, "mem")["Options"] == {"type": "tmpfs", "device": "tmpfs",
                                                 "o": "size=1m,uid=7"}
    assert mounts_at(daemon, "mem") == []
    daemon.docker("run", "-d", "--name", name, "-v", "mem:/d", IMAGE, "sh", "-c",
                  "echo one > /d/f; sleep 1000")
    assert daemon.docker("exec", name, "stat", "-c", "%u", "/d") == "7"
    assert daemon.docker("run", "--rm", "-v", "mem:/d", IMAGE, "cat", "/d/f") == "one"
    assert len(mounts_at(daemon, "mem")) == 1
    daemon.stop()
    daemon.start()
    assert daemon.docker("run", "--rm", "-v", "mem:/d", IMAGE, "cat", "/d/f") == "one"
    daemon.docker("rm", "-f", name)
    wait_for("nothing mounted", lambda: mounts_at(daemon, "mem") == [])
    assert daemon.run("run", "--rm", "-v", "mem:/d", IMAGE, "cat", "/d/f").returncode == 1
    wait_for("nothing mounted", lambda: mounts_at(daemon, "mem") == [])


def test_a_folder_of_the_host_as_a_volume_is_not_removed_with_it(daemon, tmp_path):
    (tmp_path / "kept").write_text("content")
    daemon.docker("volume", "create", "-o", "type=none", "-o", f"device={tmp_path}", "-o", "o=bind",
                  "folder")
    assert daemon.docker("run", "--rm", "-v", "folder:/d", IMAGE, "cat", "/d/kept") == "content"
    box = daemon.docker("run", "-d", "-v", "folder:/d", IMAGE, "sleep", "1000")
    daemon.docker("rm", "-f", box)
    daemon.docker("volume", "rm", "folder")
    assert (tmp_path / "kept").read_text() == "content"
    assert not (daemon.root / "data/volumes/folder").exists()


@pytest.mark.parametrize("options, text", [
    (["type=tmpfs"], "missing required option"), (["a=b"], "invalid option"),
    (["size=1g"], "size"),
])
def test_options_that_are_refused(daemon, options, text):
    args = [a for o in options for a in ("-o", o)]
    result = daemon.run("volume", "create", *args, "bad")
    assert result.returncode == 1 and text in result.stderr


def test_what_cannot_be_mounted_says_why(daemon):
    daemon.docker("volume", "create", "-o", "type=ext4", "-o", "device=/dev/null", "broken")
    result = daemon.run("run", "--rm", "-v", "broken:/d", IMAGE, "true")
    assert result.returncode != 0 and "mounting volume 'broken'" in result.stderr
    result = daemon.run("run", "--rm", "--mount",
                        "type=volume,src=v,dst=/d,volume-driver=nosuch", IMAGE, "true")
    assert result.returncode != 0 and "nosuch" in result.stderr


def test_a_part_of_a_volume(daemon):
    daemon.docker("run", "--rm", "-v", "whole:/d", IMAGE, "sh", "-c",
                  "mkdir -p /d/a/b; echo in > /d/a/b/f; echo one > /d/file; ln -s /etc /d/out")
    mount = "type=volume,src=whole,dst=/p,volume-subpath="
    assert daemon.docker("run", "--rm", "--mount", mount + "a/b", IMAGE, "cat", "/p/f") == "in"
    assert daemon.docker("run", "--rm", "--mount", mount + "file", IMAGE, "cat", "/p") == "one"
    for outside in ("out", "../other", "no/such"):
        result = daemon.run("run", "--rm", "--mount", mount + outside, IMAGE, "true")
        assert result.returncode != 0 and "subpath" in result.stderr, outside


def test_a_new_volume_begins_as_the_image_has_it(daemon):
    script = "stat -c %a /etc; grep -c root /etc/passwd"
    there = daemon.docker("run", "--rm", IMAGE, "sh", "-c", script)
    assert daemon.docker("run", "--rm", "-v", "filled:/etc", IMAGE, "sh", "-c", script) == there
    daemon.docker("run", "--rm", "-v", "filled:/etc", IMAGE, "sh", "-c", "echo mine > /etc/passwd")
    assert daemon.docker("run", "--rm", "-v", "filled:/etc", IMAGE, "cat", "/etc/passwd") == "mine"
    assert daemon.docker("run", "--rm", "--mount", "type=volume,src=bare,dst=/etc,volume-nocopy",
                         IMAGE, "sh", "-c", "ls /etc | grep -c passwd; true") == "0"
    assert daemon.docker("run", "--rm", "-v", "bare2:/etc:nocopy", IMAGE, "sh", "-c",
                         "ls /etc | grep -c passwd; true") == "0"
    assert daemon.docker("run", "--rm", "-v", "bare3:/no/such", IMAGE, "ls", "/no/such") == ""


def shoal(daemon, *args):
    return subprocess.run([BUILD / "bin" / "shoal", "-H", f"unix://{daemon.sock}", *args],
                          capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def test_mounts_by_shoal(daemon, tmp_path):
    shoal(daemon, "volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=mode=0711",
          "own")
    assert shoal(daemon, "run", "--rm", "-v", "own:/d", IMAGE, "stat", "-c", "%a", "/d") == "711"
    assert shoal(daemon, "run", "--rm", "--mount", "type=tmpfs,dst=/d,tmpfs-mode=1770,tmpfs-size=1m",
                 IMAGE, "stat", "-c", "%a", "/d") == "1770"
    shoal(daemon, "run", "--rm", "--mount", 'type=volume,src=two,dst=/d,volume-label=a=b,'
          'volume-opt=type=tmpfs,volume-opt=device=tmpfs,"volume-opt=o=size=1m,mode=0700"', IMAGE,
          "true")
    seen = inspect(daemon, "two")
    assert seen["Labels"] == {"a": "b"} and seen["Options"]["o"] == "size=1m,mode=0700"
    new = tmp_path / "new"
    shoal(daemon, "run", "--rm", "--mount", f"type=bind,src={new},dst=/d,bind-create-src", IMAGE,
          "touch", "/d/x")
    assert (new / "x").exists()


def test_read_only_counts_below_too(daemon, tmp_path):
    (tmp_path / "sub").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "x", tmp_path / "sub"], check=True)
    try:
        script = ["sh", "-c", "touch /d/sub/x 2>/dev/null && echo written || echo refused"]
        for options, expected in ((",readonly", "refused"), (",readonly,bind-recursive=writable",
                                                             "written"),
                                  (",readonly,bind-recursive=readonly,bind-propagation=rprivate",
                                   "refused"), ("", "written")):
            assert daemon.docker("run", "--rm", "--mount",
                                 f"type=bind,src={tmp_path},dst=/d{options}", IMAGE,
                                 *script) == expected, options
        assert daemon.docker("run", "--rm", "--mount",
                             f"type=bind,src={tmp_path},dst=/d,bind-recursive=disabled", IMAGE,
                             "grep", "-c", " /d[ /]", "/proc/self/mountinfo") == "1"
    finally:
        subprocess.run(["umount", tmp_path / "sub"], check=True)
