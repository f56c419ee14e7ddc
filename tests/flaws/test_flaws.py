"""
Each known flaw is put back into a copy of the sources, and the test that is there for it has to fail.
Takes a build of the copy and a few seconds a flaw: run by `deploy/test flaws`.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from flaws import FLAWS

TOP = Path(__file__).resolve().parents[2]
PROGRAMS = ["shoal-oci", "shoal-shim", "shoald"]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Tree:
    """A copy of the sources with a build of its own."""

    def __init__(self, path):
        self.path = path
        names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others",
                                "--exclude-standard"], cwd=TOP, check=True, capture_output=True)
        for name in filter(None, names.stdout.decode().split("\0")):
            if (TOP / name).is_file():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(TOP / name, path / name)
        self.env = {**os.environ, "CCACHE_BASEDIR": str(path), "SHOAL_BUILD": str(path / "build")}
        self.call("deploy/build", "--tests", "--cc", "gcc")

    def call(self, *argv):
        done = subprocess.run(argv, cwd=self.path, env=self.env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=1800, check=False)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]

    def build(self, test):
        programs = PROGRAMS if "::" in test else [test]
        self.call("cmake", "--build", "build", "--parallel", str(os.cpu_count()), "--target",
                  *programs)

    def test(self, test):
        """0 when it passes, 1 when it fails."""
        # With a /tmp of its own: a flaw of unpacking does write there, for the next test to find.
        argv = ["unshare", "--mount", "sh", "-ec",
                'exec 9< "$0"; mount -t tmpfs tmpfs /tmp; exec /proc/self/fd/9',
                str(self.path / "build/tests/unit" / test)]
        if "::" in test:
            argv = ["/usr/bin/python3", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
                    f"tests/{test}"]
        done = subprocess.run(argv, cwd=self.path, env=self.env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=600, check=False)
        assert "::" not in test or done.returncode in (0, 1), done.stdout + done.stderr
        assert "skipped" not in done.stdout, done.stdout
        return int(done.returncode != 0)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return Tree(tmp_path_factory.mktemp("flaws"))


@pytest.mark.parametrize("flaw", FLAWS, ids=lambda flaw: flaw.names.replace(" ", ","))
def test_a_flaw_is_noticed(tree, flaw):
    assert tree.test(flaw.test) == 0, "it fails without the flaw as well"
    before = {edit.file: (tree.path / edit.file).read_text() for edit in flaw.edits}
    try:
        for edit in flaw.edits:
            text = (tree.path / edit.file).read_text()
            assert text.count(edit.old) == 1, f"{edit.file} has not once: {edit.old}"
            (tree.path / edit.file).write_text(text.replace(edit.old, edit.new))
        tree.build(flaw.test)
        assert tree.test(flaw.test) == 1, "nothing notices it"
    finally:
        for name, text in before.items():
            (tree.path / name).write_text(text)
        tree.build(flaw.test)
