"""Bundles that skopeo and umoci make of an image, run as they are: by root, and by an ordinary user."""

import json
import os
import pathlib
import pty
import shutil
import subprocess

import pytest
import test_oci
from ocilib import OCI
from test_oci import wait_for

pytestmark = test_oci.pytestmark
oci = test_oci.oci

TOP = pathlib.Path(__file__).resolve().parents[2]
USER = "12345"
AS_USER = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]


@pytest.fixture(scope="module", name="layout")
def layout_fixture(tmp_path_factory):
    """An OCI layout with one image, made without a network."""
    for program in ("skopeo", "umoci"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    base = tmp_path_factory.mktemp("umoci")
    for folder in (base, *base.parents[:2]):
        folder.chmod(0o755)
    command = ["sh", "-c", "echo hello from $(id -u) in $(hostname)"]
    subprocess.run([TOP / "deploy/mkimage", "sample:1", base / "image.tar", *command], check=True,
                   stdin=subprocess.DEVNULL)
    subprocess.run(["skopeo", "copy", "-q", f"docker-archive:{base}/image.tar", f"oci:{base}/layout:sample"],
                   check=True, stdin=subprocess.DEVNULL)
    return base / "layout"


def at_a_terminal(argv):
    """umoci's bundles ask for a terminal: what is said there, and the exit code."""
    outer, inner = pty.openpty()
    with subprocess.Popen(argv, stdin=inner, stdout=inner, stderr=inner, start_new_session=True) as p:
        os.close(inner)
        said = b""
        while True:
            try:
                got = os.read(outer, 4096)
            except OSError:  # EIO: all other ends are closed
                break
            if not got:
                break
            said += got
        os.close(outer)
    return said.decode(), p.returncode


def test_a_bundle_of_umoci(oci, layout, tmp_path):
    bundle = tmp_path / "b"
    subprocess.run(["umoci", "unpack", "--image", f"{layout}:sample", bundle], check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)
    said, code = at_a_terminal([OCI, "--root", oci.root, "run", "--bundle", bundle, "umoci-run"])
    assert (said, code) == ("hello from 0 in umoci-default\r\n", 0)
    # The same bundle, only with another program and without a terminal, through all of its life.
    spec = json.loads((bundle / "config.json").read_text())
    spec["process"].update(terminal=False, args=["sleep", "1000"])
    (bundle / "config.json").write_text(json.dumps(spec))
    # The container keeps what it is given as its output: no pipe that is waited for.
    subprocess.run([OCI, "--root", oci.root, "create", "--bundle", bundle, "umoci-life"], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    oci.call("start", "umoci-life")
    assert oci.call("exec", "umoci-life", "hostname").out == "umoci-default\n"
    oci.call("kill", "umoci-life", "KILL")
    wait_for(lambda: oci.state("umoci-life")["status"] == "stopped")
    oci.call("delete", "umoci-life")


def test_a_bundle_of_an_ordinary_user(layout, tmp_path):
    base = tmp_path / "home"
    base.mkdir()
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    os.chown(base, int(USER), int(USER))
    shutil.copy(OCI, base / "oci")  # where the build lies he may not look
    subprocess.run([*AS_USER, "umoci", "unpack", "--rootless", "--image", f"{layout}:sample", base / "b"],
                   check=True, stdin=subprocess.DEVNULL, capture_output=True, cwd=base, env={**os.environ, "HOME": str(base)})
    said, code = at_a_terminal([*AS_USER, base / "oci", "--root", base / "state", "run", "--bundle",
                                base / "b", "umoci-user"])
    assert (said, code) == ("hello from 0 in umoci-default\r\n", 0)
