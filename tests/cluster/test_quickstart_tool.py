"""
deploy/quickstart itself, with stand-ins for everything that it calls, on a machine of its own: a
network, mount and process namespace with an empty /run and /var/lib.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STANDIN = Path(__file__).with_name("standin.py")

# The process must be that program: a script's would be its interpreter.
SHOALD = r"""
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
static pid_t child;
static void end(int number)
{
	kill(child, SIGKILL);
}
int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "--pidfile") == 0)
			dprintf(open(argv[i + 1], O_CREAT | O_TRUNC | O_WRONLY, 0644), "%d\n", getpid());
	mkdir("/var/lib/shoal", 0700);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		argv[0] = STANDIN;
		return execv(STANDIN, argv);
	}
	signal(SIGTERM, end);
	while (wait(NULL) < 0)
		;
	return 0;
}
"""

# Notes what it was asked; makes what the daemon would have, in the daemon's documents and kernel.
SHOAL = r"""#!/bin/bash
set -eu
[ "$1 $2" = "--host unix:///run/shoal/shoal.sock" ]
shift 2
echo "$*" >>/var/lib/calls
put() {
	curl -sf --unix-socket /run/shoal/shoal.sock -X PUT -d "$2" "http://x$1" >/dev/null
}
case "$1 $2" in
"swarm init") put /swarm '{}' ;;
"load --input") [ -s "$3" ]; put /images/shoal/hello:latest/json '{}' ;;
"service create")
	put /services/hello '{}'
	put /tasks '[{"Status":{"State":"running"}},{"Status":{"State":"running"}},
		{"Status":{"State":"running"}},{"Status":{"State":"failed"}}]'
	ip link show shoal0 >/dev/null 2>&1 || ip link add shoal0 type bridge
	ip link set shoal0 alias shoal:tag1:bridge:x
	nft add table inet shoal_tag1
	mkdir -p /run/shoal/netns /var/lib/shoal/layers
	mount -t tmpfs ns /run/shoal/netns
	(cd /run/shoal && setsid "${0%/*}/shoal-shim" 77377 </dev/null >/dev/null 2>&1 &)
	;;
esac
"""

BEGIN = """
set -eu
mount -t tmpfs run /run
mount -t tmpfs lib /var/lib
ip link set lo up
ip link add other type bridge
ip link set other alias shoal:tag0:bridge:y
nft add table inet shoal_tag0
# Mounts of other tests are here as well, and go when these remove their folders.
mounts() { findmnt -rn -o TARGET | grep -Ev '^(/tmp/pytest-of-|/var/tmp/shoal-)' | sort; }
state() { ip -br link; nft list tables; mounts; ls /run /var/lib; ps -eo args; }
quickstart=$0
"""


@pytest.fixture
def tree(tmp_path):
    """A tree with the quickstart alone; the rest are stand-ins."""
    deploy, bin_dir = tmp_path / "deploy", tmp_path / "build/bin"
    deploy.mkdir()
    bin_dir.mkdir(parents=True)
    shutil.copy(ROOT / "deploy/quickstart", deploy)
    for name, text in (("deps", "exit 0"), ("build", "exit 0"),
                       ("mkimage", 'echo "$@" >>/var/lib/calls; echo image >"$2"')):
        (deploy / name).write_text(f"#!/bin/bash\n{text}\n")
        (deploy / name).chmod(0o755)
    subprocess.run(["cc", f'-DSTANDIN="{STANDIN}"', "-D_GNU_SOURCE", "-include", "sys/stat.h", "-x",
                    "c", "-o", bin_dir / "shoald", "-"], input=SHOALD, text=True, check=True)
    (bin_dir / "shoal").write_text(SHOAL)
    (bin_dir / "shoal").chmod(0o755)
    for name in ("shoal-shim", "shoal-init"):
        shutil.copy("/bin/sleep", bin_dir / name)
    return tmp_path


def machine(tree, script, fails=False):
    done = subprocess.run(
        ["unshare", "-nm", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation",
         "private", "bash", "-c", BEGIN + script, tree / "deploy/quickstart"],
        capture_output=True, text=True, check=False, timeout=120, env={**os.environ})
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_data_on_a_disk_of_its_own(tree):
    out = machine(tree, """
        mkdir /var/lib/shoal
        mount -t tmpfs disk /var/lib/shoal
        $quickstart
        rm /var/lib/calls
        touch /var/lib/shoal/.hidden
        $quickstart --down
        mountpoint /var/lib/shoal
        [ -z "$(ls -A /var/lib/shoal)" ]
        """)
    assert "all removed" in out


def test_up_again_and_down(tree):
    out = machine(tree, """
        before=$(state)
        $quickstart
        echo "-- again"
        $quickstart
        pgrep -f 'shoal-shim 77377' >/dev/null
        echo "-- calls"; cat /var/lib/calls; echo "-- end"; rm /var/lib/calls
        $quickstart --down
        rm /var/lib/calls
        after=$(state)
        diff <(echo "$before") <(echo "$after")
        $quickstart --down
        """)
    assert "all 3 tasks of the service hello run" in out
    again = out.partition("-- again")[2]
    assert "shoald runs already" in again and again.count("is there already") == 2
    calls = out.partition("-- calls\n")[2].partition("-- end")[0]
    assert calls.count("swarm init") == calls.count("service create") == 1
    assert "service create --detach --name hello --replicas 3 shoal/hello:latest\n" in calls
    assert "all removed" in out and "there is nothing to remove" in out


def test_other_shoal_is_left_alone(tree):
    out = machine(tree, "mkdir /var/lib/shoal; touch /var/lib/shoal/x; $quickstart", fails=True)
    assert "holds the data of another Shoal" in out
    out = machine(tree, "mkdir /var/lib/shoal; touch /var/lib/shoal/x; $quickstart --down;"
                        " ls /var/lib/shoal")
    assert "nothing to remove" in out and "x" in out


def test_new_build_restarts_the_daemon(tree):
    out = machine(tree, """
        $quickstart >/dev/null
        old=$(cat /run/shoal/shoald.pid)
        bin=${quickstart%/*/*}/build/bin
        cp $bin/shoald $bin/new; mv $bin/new $bin/shoald
        $quickstart
        echo "pids $old $(cat /run/shoal/shoald.pid)"
        $quickstart --down >/dev/null
        """)
    old, new = out.partition("pids ")[2].split()[:2]
    assert "restarting shoald with the new build" in out and old != new


@pytest.mark.parametrize("program", ["shoald", "shoal", "shoal-shim", "shoal-init"])
def test_a_build_that_lacks_a_program(tree, program):
    (tree / "build/bin" / program).unlink()
    out = machine(tree, "$quickstart", fails=True)
    assert f"the build did not make {tree}/build/bin/{program}" in out


def test_a_daemon_that_dies(tree):
    (tree / "build/bin/shoald").write_text("#!/bin/sh\necho no room on the disk\nexit 1\n")
    out = machine(tree, "$quickstart", fails=True)
    assert "no room on the disk" in out and "quickstart: shoald ended" in out


def test_bad_option(tree):
    assert "unknown option" in machine(tree, "$quickstart --up", fails=True)
