"""podman of an ordinary user over shoal-oci: with the ids that newuidmap gives, and without a control group,
as on a host that has given the user none. The user exists in a mount namespace of the test's own alone."""

import os
import pathlib
import shutil
import subprocess

import pytest
import test_oci
from ocilib import OCI
from test_oci_umoci import TOP

pytestmark = test_oci.pytestmark

UID = 12346
NAME = "shoal-test"


class Podman:
    """Each call is in a mount namespace in which the user has an entry and a range of ids."""

    def __init__(self, base):
        self.base = base
        self.binds = []
        for name, line in (("passwd", f"{NAME}:x:{UID}:{UID}::{base}:/bin/sh"), ("group", f"{NAME}:x:{UID}:"),
                           ("subuid", f"{NAME}:700000:65536"), ("subgid", f"{NAME}:700000:65536")):
            had = pathlib.Path("/etc", name)
            (base / name).write_text((had.read_text() if had.exists() else "") + line + "\n")
            had.touch()
            self.binds.append(f"mount --bind {base / name} {had}")
        shutil.copy(OCI, base / "oci")  # where the build lies the user may not look
        for folder in ("run", "work"):
            (base / folder).mkdir()
            os.chown(base / folder, UID, UID)

    def __call__(self, *argv, check=True):
        script = " && ".join([*self.binds, f'cd {self.base}/work && exec setpriv --reuid {UID} --regid {UID} '
                              '--init-groups "$@"'])
        r = subprocess.run(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", "podman", "--runtime",
             self.base / "oci", "--cgroup-manager=cgroupfs", "--storage-driver=vfs", "--events-backend=file",
             *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
            env={"HOME": f"{self.base}/work", "XDG_RUNTIME_DIR": f"{self.base}/run", "PATH": os.environ["PATH"]})
        assert not check or r.returncode == 0, (argv, r.stderr)
        return r


@pytest.fixture(name="podman")
def podman_fixture():
    for program in ("podman", "newuidmap"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    base = pathlib.Path(f"/var/tmp/shoal-rootless-{os.getpid()}")
    base.mkdir(mode=0o755)
    subprocess.run([TOP / "deploy/mkimage", "local/sample:1", base / "image.tar"], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    (base / "image.tar").chmod(0o644)
    p = Podman(base)
    p("load", "-q", "-i", base / "image.tar")
    yield p
    p("rm", "-fa", check=False)
    p("system", "migrate", check=False)  # ends the process that holds podman's namespace
    shutil.rmtree(base)


def test_podman_of_an_ordinary_user(podman):
    run = podman("run", "--rm", "--network=none", "local/sample:1", "sh", "-c",
                 "id -u; cat /proc/self/uid_map; echo x > /dev/null && echo written")
    words = run.stdout.split()
    assert words[0] == "0" and words[1:4] == ["0", str(UID), "1"] and words[4:7] == ["1", "700000", "65536"]
    assert words[7] == "written"
    podman("run", "-d", "--name", "a", "--network=none", "-u", "1000:1000", "local/sample:1", "sleep", "1000")
    assert podman("exec", "a", "id", "-u").stdout == "1000\n"
    assert podman("exec", "-u", "0", "a", "id", "-u").stdout == "0\n"
    assert podman("ps", "--format", "{{.Names}} {{.Status}}").stdout.startswith("a Up")
    podman("kill", "a")
    assert podman("wait", "a").stdout == "137\n"
    podman("rm", "a")
    assert podman("run", "--rm", "--network=none", "local/sample:1", "sh", "-c", "exit 7", check=False).returncode == 7
    assert podman("run", "--rm", "--network=none", "local/sample:1", "no-such", check=False).returncode == 127
    assert [p.name for p in (podman.base / "run/shoal-oci").iterdir()] == []
