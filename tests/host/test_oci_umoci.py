"""Bundles that umoci unpacks from an OCI image layout, which skopeo makes of a local archive: run as they
are, as root and as an ordinary user. No registry."""

import json
import os
import pathlib
import pty
import shutil
import subprocess

import pytest

import test_oci
from ocilib import OCI
from test_oci import console_of, read_until, receive_console, wait_for
from test_shim import is_gone

MKIMAGE = pathlib.Path(__file__).parents[2] / "deploy/mkimage"
USER = 12345

pytestmark = [test_oci.pytestmark, pytest.mark.skipif(
    not (shutil.which("umoci") and shutil.which("skopeo")), reason="needs umoci and skopeo")]
each = test_oci.each
SCRIPT = "trap 'exit 9' TERM; echo ready $(id -u); while :; do sleep 0.1; done"


def call(*argv, **kw):
    r = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=60, check=False, text=True, **kw)
    assert r.returncode == 0, (argv, r.stdout)
    return r.stdout


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """An image with a program that runs until it is told to end, another that ends at once."""
    base = tmp_path_factory.mktemp("layout")
    for tag, words in (("stays", ["/bin/sh", "-c", SCRIPT]),
                       ("ends", ["/bin/sh", "-c", "id -u; cat /proc/1/comm; exit 7"])):
        call(MKIMAGE, "umoci:" + tag, base / "a.tar", *words)
        call("skopeo", "--insecure-policy", "copy", "docker-archive:%s" % (base / "a.tar"),
             "oci:%s:%s" % (base / "image", tag))
    for p in [base, *base.rglob("*")]:
        p.chmod(p.stat().st_mode | 0o055 if p.is_dir() else 0o644)
    base.parent.chmod(0o755)
    return base / "image"


def unpack(layout, tag, to):
    call("umoci", "unpack", "--image", "%s:%s" % (layout, tag), to)
    return to


def in_terminal(words, **kw):
    """What a terminal shows of a program, and how that ended."""
    master, slave = pty.openpty()
    p = subprocess.Popen([str(w) for w in words], stdin=slave, stdout=slave, stderr=slave,
                         start_new_session=True, **kw)
    os.close(slave)
    text = read_until(master, b"nothing says this", timeout=20)
    os.close(master)
    return p.wait(timeout=20), text.decode()


def test_run(each, layout):
    bundle = unpack(layout, "ends", each.base / "bundle")
    each.made.append("u")
    code, text = in_terminal([each.program, "--root", each.root, "run", "--bundle", bundle, "u"])
    assert (code, text.split()) == (7, ["0", "sh"])


def test_a_life(each, layout):
    bundle = unpack(layout, "stays", each.base / "bundle")
    each.made.append("u")
    listener = receive_console(each.base / "c.sock")
    each.create("u", bundle, "--console-socket", each.base / "c.sock")
    fd = console_of(listener)
    assert each.state("u")["status"] == "created"
    each.call("start", "u")
    assert b"ready 0" in read_until(fd, b"ready 0")
    state = each.state("u")
    assert (state["status"], state["bundle"]) == ("running", str(bundle))
    assert state["annotations"]["org.opencontainers.image.os"] == "linux"
    r = each.call("exec", "u", "/bin/sh", "-c", "hostname; cat /proc/1/comm; exit 5", check=False)
    assert (r.code, r.out.split()) == (5, ["umoci-default", "sh"])
    assert "sleep" in each.call("ps", "u").out
    each.call("kill", "u", "TERM")
    assert is_gone(state["pid"])
    wait_for(lambda: each.state("u")["status"] == "stopped")
    each.call("delete", "u")
    os.close(fd)


def test_what_has_changed_is_packed_again(each, layout):
    """A layer of what a container has written, unpacked and run by the next."""
    bundle = unpack(layout, "ends", each.base / "bundle")
    config = json.loads((bundle / "config.json").read_text())
    config["process"].update(terminal=False, args=["/bin/sh", "-c", "echo new > /etc/word"])
    (bundle / "config.json").write_text(json.dumps(config))
    each.made.append("u")
    each.call("run", "--bundle", bundle, "u")
    image = each.base / "image"
    shutil.copytree(layout, image)
    call("umoci", "repack", "--image", "%s:next" % image, bundle)
    again = unpack(image, "next", each.base / "again")
    assert (again / "rootfs/etc/word").read_text() == "new\n"
    code, text = in_terminal([each.program, "--root", each.root, "run", "--bundle", again, "u"])
    assert (code, text.split()) == (7, ["0", "sh"])


@pytest.fixture
def user(layout):
    """An ordinary user's folder, and how that user calls programs."""
    base = pathlib.Path("/var/tmp/shoal-oci-umoci-%d" % os.getpid())
    base.mkdir(mode=0o755)
    shutil.copy(OCI, base / "oci")
    shutil.copytree(layout, base / "image")
    (base / "run").mkdir(mode=0o700)
    for p in [base, *base.rglob("*")]:
        os.lchown(p, USER, USER)
    words = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups"]
    kw = {"cwd": base, "env": {"PATH": os.environ["PATH"], "HOME": str(base),
                               "XDG_RUNTIME_DIR": str(base / "run")}}
    yield base, words, kw
    subprocess.run([*words, base / "oci", "delete", "--force", "u"], check=True, timeout=60, **kw)
    assert list((base / "run/shoal-oci").iterdir()) == []
    shutil.rmtree(base)


def unpack_as_user(user, tag):
    base, words, kw = user
    call(*words, "umoci", "unpack", "--rootless", "--image", "%s:%s" % (base / "image", tag),
         base / "bundle", **kw)
    config = json.loads((base / "bundle/config.json").read_text())
    assert config["linux"]["uidMappings"] == [{"containerID": 0, "hostID": USER, "size": 1}]
    return base / "bundle"


def test_run_as_an_ordinary_user(user):
    base, words, kw = user
    bundle = unpack_as_user(user, "ends")
    code, text = in_terminal([*words, base / "oci", "run", "--bundle", bundle, "u"], **kw)
    assert (code, text.split()) == (7, ["0", "sh"])


def test_a_life_as_an_ordinary_user(user):
    base, words, kw = user
    bundle = unpack_as_user(user, "stays")

    def oci(*argv):
        return call(*words, base / "oci", *argv, **kw)
    listener = receive_console(base / "c.sock")
    os.chmod(base / "c.sock", 0o777)
    subprocess.run([*words, base / "oci", "create", "--bundle", bundle, "--console-socket",
                    base / "c.sock", "u"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=True, timeout=60, **kw)
    fd = console_of(listener)
    oci("start", "u")
    assert b"ready 0" in read_until(fd, b"ready 0")
    state = json.loads(oci("state", "u"))
    assert state["status"] == "running" and os.stat("/proc/%d" % state["pid"]).st_uid == USER
    assert oci("exec", "u", "/bin/sh", "-c", "id -u; hostname").split() == ["0", "umoci-default"]
    oci("kill", "u", "TERM")
    assert is_gone(state["pid"])
    wait_for(lambda: json.loads(oci("state", "u"))["status"] == "stopped")
    oci("delete", "u")
    os.close(fd)
