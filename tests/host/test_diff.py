"""
What containers change of their image's files, as docker CLI, SDK and shoal tell it: on a real
shoald, and beside what Debian's dockerd says of the same commands.
"""

import hashlib
import json
import shutil
import subprocess

import pytest

import peerlib
import test_api_engine
from test_api_engine import BUILD

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon
name = test_api_engine.name

MANY = 5000
# What a command does, and what is told of it, but for the order.
SCRIPTS = {
    "nothing": ("true", []),
    "added": ("mkdir -p /new/deep && echo > /new/deep/file && ln -s /etc/hosts /new/link",
              ["A /new", "A /new/deep", "A /new/deep/file", "A /new/link"]),
    "below folders of the image": ("echo > /bin/new", ["C /bin", "A /bin/new"]),
    "changed": ("echo more >> /bin/tool && chmod 700 /bin", ["C /bin", "C /bin/tool"]),
    "deleted": ("rm /bin/tool && rm -r /tree", ["C /bin", "D /bin/tool", "D /tree"]),
    "made again": ("rm -r /tree && mkdir /tree && echo > /tree/new",
                   ["C /tree", "A /tree/new", "D /tree/sub"]),
    "came and went": ("echo > /tree/sub/x && rm /tree/sub/x", []),
    "a file for a folder": ("rm -r /tree && echo > /tree", ["C /tree"]),
    "beside what is mounted": ("echo > /etc/own", ["C /etc", "A /etc/own"]),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A root with what SCRIPTS speak of."""
    root = tmp_path_factory.mktemp("root")
    for folder in ("bin", "etc", "tree/sub"):
        (root / folder).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for tool in ("sh", "mkdir", "ln", "rm", "chmod", "true", "sleep", "seq", "touch", "printf"):
        (root / "bin" / tool).symlink_to("busybox")
    (root / "bin/tool").write_text("tool\n")
    (root / "tree/sub/file").write_text("file\n")
    return root


@pytest.fixture(scope="module")
def image(daemon, root, tmp_path_factory):
    """The root as an image of shoald's: `docker save` of it, written by hand."""
    work = tmp_path_factory.mktemp("image")
    layer = work / "layer.tar"
    subprocess.run(["tar", "-C", root, "-cf", layer, "."], check=True)
    digest = hashlib.sha256(layer.read_bytes()).hexdigest()
    (work / "config.json").write_text(json.dumps({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]}}))
    (work / "manifest.json").write_text(json.dumps(
        [{"Config": "config.json", "RepoTags": ["diff:1"], "Layers": ["layer.tar"]}]))
    subprocess.run(["tar", "-C", work, "-cf", work / "image.tar", "manifest.json", "config.json", "layer.tar"],
                   check=True)
    daemon.docker("load", "-i", str(work / "image.tar"))
    return "diff:1"


@pytest.fixture(scope="module")
def peer(root, tmp_path_factory):
    if not shutil.which("dockerd"):
        pytest.skip("needs dockerd")
    d = peerlib.Docker(tmp_path_factory.mktemp("peer") / "docker", root)
    yield d
    d.close()


def told(text):
    return sorted(text.splitlines())


def shoal(daemon, *args):
    return subprocess.run([BUILD / "bin/shoal", "-H", f"unix://{daemon.sock}", *args], check=True,
                          stdout=subprocess.PIPE, text=True, timeout=60).stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_scripts_change(daemon, image, name, script):
    command, want = SCRIPTS[script]
    daemon.docker("run", "--name", name, image, "sh", "-c", command)
    assert told(daemon.docker("diff", name)) == sorted(want)
    assert told(shoal(daemon, "diff", name)) == sorted(want)


@pytest.mark.parametrize("script", SCRIPTS)
def test_dockerd_tells_the_same(peer, script):
    command, want = SCRIPTS[script]
    peer.run("--name", "diffed", peerlib.IMAGE, "sh", "-c", command)
    try:
        assert told(peer.call("diff", "diffed").out) == sorted(want)
    finally:
        peer.remove("diffed")


def test_while_it_runs_and_after(daemon, image, name):
    """Also through the SDK, and of one that was never started."""
    daemon.docker("create", "--name", name, image, "sh", "-c", "echo > /one; read go; echo > /two")
    assert daemon.docker("diff", name) == ""
    daemon.docker("rm", name)
    daemon.docker("run", "-d", "-i", "--name", name, image, "sh", "-c",
                  "echo > /one; echo ready; sleep 1000")
    follow = daemon.client().containers.get(name).logs(stream=True, follow=True)
    assert next(follow).strip() == b"ready"
    assert daemon.client().containers.get(name).diff() == [{"Path": "/one", "Kind": 1}]
    daemon.docker("exec", name, "sh", "-c", "echo > /two; rm /bin/tool")
    assert told(daemon.docker("diff", name)) == ["A /one", "A /two", "C /bin", "D /bin/tool"]
    daemon.docker("pause", name)
    assert len(told(daemon.docker("diff", name))) == 4
    daemon.docker("unpause", name)
    daemon.docker("kill", name)
    assert len(told(daemon.docker("diff", name))) == 4


def test_what_is_mounted_is_not_told(daemon, image, name):
    """Where the image has no folder for it, that is an addition, as docker has it; its files never."""
    daemon.docker("run", "--name", name, "-v", "/data", "--tmpfs", "/bin/tmp", image, "sh", "-c",
                  "echo > /data/file; echo > /bin/tmp/file; echo > /dev/shm/file")
    assert told(daemon.docker("diff", name)) == ["A /bin/tmp", "A /data", "C /bin"]


def test_links_lead_nowhere(daemon, image, name, tmp_path):
    """What a container puts in the place of its folders is told, and nothing of the host's."""
    (tmp_path / "secret").write_text("")
    daemon.docker("run", "--name", name, image, "sh", "-c",
                  f"rm -r /tree; ln -s {tmp_path} /tree; ln -s /proc/1/root /host; ln -s ../../../.. /up")
    assert told(daemon.docker("diff", name)) == ["A /host", "A /up", "C /tree"]


def test_many_files(daemon, image, name):
    """An answer of many pieces, and names that are no text."""
    daemon.docker("run", "--name", name, image, "sh", "-c",
                  f"mkdir /many; cd /many; for i in $(seq 10001 {10000 + MANY}); do "
                  r": > the-rather-long-name-of-a-file-$i; done; : > $(printf 'bad\377')")
    changes = daemon.client().containers.get(name).diff()
    assert [c["Path"] for c in changes[:3]] == [
        "/many", "/many/bad\ufffd", "/many/the-rather-long-name-of-a-file-10001"]
    assert len(changes) == MANY + 2 and {c["Kind"] for c in changes} == {1}


def test_of_nobody(daemon):
    result = daemon.run("diff", "nobody")
    assert result.returncode == 1 and "No such container: nobody" in result.stderr
