"""
deploy/deps on machines that it does not run on here: /etc is another one's, apt and dpkg only note
what they are asked. (That the packages exist is seen wherever the tests are installed.)
"""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

APT_GET = r"""#!/bin/bash
echo "apt-get $*" >>"$ROOT/calls"
[ -x /usr/sbin/policy-rc.d ] && /usr/sbin/policy-rc.d || echo "policy $?" >>"$ROOT/calls"
case "$*" in
*" install "*) [ ! -e "$ROOT/broken" ] || exit 100; echo yes >"$ROOT/installed" ;;
esac
"""
# Has all packages after an installation; before it, those named in the file `have`.
DPKG_QUERY = r"""#!/bin/bash
for package in "${@:4}"; do
	if [ -e "$ROOT/installed" ] || grep -qsx "$package" "$ROOT/have"; then
		[ "$package" = libraft-dev ] && [ ! -e "$ROOT/installed" ] && version=0.15.0-1 || version=9
		echo "installed $package $version"
	fi
done
"""

DEB822 = """Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/some.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""


class Machine:
    """A root for the pieces of /etc and /usr/sbin that deploy/deps reads and writes."""

    def __init__(self, root):
        self.root = root
        for folder in ("etc/apt/sources.list.d", "etc/apt/preferences.d", "sbin", "bin"):
            (root / folder).mkdir(parents=True)
        for name, text in (("apt-get", APT_GET), ("dpkg-query", DPKG_QUERY),
                           ("apt-cache", "#!/bin/sh\nexit 100\n")):
            (root / "bin" / name).write_text(text)
            (root / "bin" / name).chmod(0o755)
        self.system("debian", "12")
        self.write("sources.list.d/debian.sources", DEB822)

    def system(self, name, version):
        (self.root / "etc/os-release").write_text(
            f'PRETTY_NAME="{name} {version}"\nID={name}\nVERSION_ID="{version}"\n')

    def write(self, name, text):
        (self.root / "etc/apt" / name).write_text(text)

    def read(self, name):
        path = self.root / "etc/apt" / name
        return path.read_text() if path.exists() else None

    def calls(self):
        path = self.root / "calls"
        return path.read_text() if path.exists() else ""

    def deps(self, *argv, fails=False, user=""):
        script = f"""set -eu
            mount --bind {self.root}/etc/apt /etc/apt
            mount --bind {self.root}/etc/os-release /etc/os-release
            mount --bind {self.root}/sbin /usr/sbin
            mount --bind {self.root}/bin /usr/local/bin
            export ROOT={self.root} PATH=/usr/local/bin:/usr/bin:/bin
            exec {user} "$@" """
        done = subprocess.run(
            ["unshare", "-m", "--propagation", "private", "bash", "-c", script, "bash",
             ROOT / "deploy/deps", *argv], capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_debian_12_gets_backports_of_its_mirror(machine):
    machine.deps()
    text = machine.read("sources.list.d/shoal-backports.sources")
    assert "URIs: http://mirror.example/debian\n" in text
    assert "Suites: bookworm-backports\n" in text
    assert "Signed-By: /usr/share/keyrings/some.gpg\n" in text
    pin = machine.read("preferences.d/shoal-backports")
    assert "Package: libraft-dev libraft0\n" in pin and "Package: *\n" in pin
    calls = machine.calls()
    assert calls.index(" update") < calls.index(" install") and "libraft-dev" in calls
    assert "--no-install-recommends" in calls and "--no-remove" in calls


def test_one_line_sources(machine):
    (machine.root / "etc/apt/sources.list.d/debian.sources").unlink()
    machine.write("sources.list", "# old\ndeb-src http://mirror.example/src bookworm main\n"
                  "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/d bookworm main\n")
    machine.deps()
    text = machine.read("sources.list.d/shoal-backports.sources")
    assert "URIs: http://mirror.example/d\n" in text and "Signed-By: /k.gpg\n" in text


def test_backports_that_are_there_are_taken(machine):
    machine.write("sources.list.d/mine.list", "deb http://mirror.example/b bookworm-backports main\n")
    machine.deps()
    assert machine.read("sources.list.d/shoal-backports.sources") is None
    pin = machine.read("preferences.d/shoal-backports")
    assert "libraft0" in pin and "Package: *" not in pin


def test_no_source_of_bookworm(machine):
    machine.write("sources.list.d/debian.sources", DEB822.replace("Signed-By", "Enabled: no\nX"))
    assert "no source of the suite bookworm" in machine.deps(fails=True)
    assert "install" not in machine.calls()


def test_debian_13_takes_main(machine):
    machine.system("debian", "13")
    machine.deps("--tests")
    assert machine.read("sources.list.d/shoal-backports.sources") is None
    assert machine.read("preferences.d/shoal-backports") is None
    assert "libraft-dev" in machine.calls() and "libcmocka-dev" in machine.calls()


def packages(*options):
    return subprocess.run([ROOT / "deploy/deps", "--list", *options], capture_output=True,
                          text=True, check=True).stdout


def test_nothing_to_do_does_nothing(machine):
    (machine.root / "installed").touch()
    machine.deps("--tests")
    assert machine.calls() == ""


def test_an_old_libraft_is_replaced(machine):
    (machine.root / "have").write_text(packages())
    machine.deps()
    install = next(line for line in machine.calls().splitlines() if " install " in line)
    assert install.endswith("--no-remove libraft-dev")


def test_no_service_starts_and_the_policy_comes_back(machine):
    machine.deps()
    assert "policy 101" in machine.calls()
    assert not (machine.root / "sbin/policy-rc.d").exists()
    (machine.root / "installed").unlink()
    (machine.root / "sbin/policy-rc.d").write_text("#!/bin/sh\nexit 7\n")
    (machine.root / "broken").touch()
    assert "could not install" in machine.deps(fails=True)
    assert (machine.root / "sbin/policy-rc.d").read_text() == "#!/bin/sh\nexit 7\n"
    assert len(list((machine.root / "sbin").iterdir())) == 1


def test_unknown_system(machine):
    machine.system("fedora", "40")
    text = machine.deps(fails=True)
    assert "fedora 40" in text and "only Debian 12 and 13" in text and "  libuv1-dev\n" in text
    assert machine.calls() == ""


def test_not_root(machine):
    user = "setpriv --reuid 65534 --regid 65534 --clear-groups"
    text = machine.deps("--tests", fails=True, user=user)
    assert "Run with sudo" in text and "libcmocka-dev" in text and machine.calls() == ""


def test_unknown_option(machine):
    assert "unknown option --all" in machine.deps("--all", fails=True)
