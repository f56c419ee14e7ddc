"""
A seccomp profile of one's own, in Docker's form, with the docker CLI: its rules by capability,
kernel and architecture, what is executed in the container, and what is refused at create.
"""

import json

import pytest
import test_api_engine
from test_api_engine import IMAGE

pytestmark = test_api_engine.pytestmark
daemon = test_api_engine.daemon
name = test_api_engine.name

CHMOD = {"names": ["chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 39}
TRY = ("sh", "-c", "chmod 700 /tmp 2>&1 | sed 's/.*: //'")


def profile(path, *rules, **members):
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(rules),
                                **members}))
    return f"seccomp={path}"


@pytest.mark.parametrize("more, denied", [
    ({}, True),
    ({"includes": {"minKernel": "4.8"}}, True),
    ({"includes": {"minKernel": "99.0"}}, False),
    ({"excludes": {"minKernel": "4.8"}}, False),
    ({"includes": {"caps": ["CAP_CHOWN"]}}, True),
    ({"includes": {"caps": ["CAP_SYS_ADMIN"]}}, False),
    ({"excludes": {"caps": ["CAP_CHOWN"]}}, False),
    ({"includes": {"arches": ["no-such"]}}, False),
    ({"excludes": {"arches": ["no-such"]}}, True),
])
def test_rules(daemon, tmp_path, more, denied):
    option = profile(tmp_path / "p.json", {**CHMOD, **more})
    out = daemon.docker("run", "--rm", "--security-opt", option, IMAGE, *TRY)
    assert out == ("Directory not empty" if denied else "")


def test_architectures_and_what_is_executed(daemon, name, tmp_path):
    option = profile(tmp_path / "p.json", CHMOD, archMap=[
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}])
    daemon.docker("run", "-d", "--name", name, "--security-opt", option, IMAGE, "sleep", "1000")
    assert daemon.docker("exec", name, *TRY) == "Directory not empty"


def test_refusals(daemon, tmp_path):
    for option, text in [
            (profile(tmp_path / "a", defaultAction=""), "no defaultAction"),
            (profile(tmp_path / "b", {"names": ["chmod"]}), "no action"),
            (profile(tmp_path / "c", {"action": "SCMP_ACT_ALLOW"}), "no system call"),
            (profile(tmp_path / "d", {**CHMOD, "name": "x"}), "both 'name' and 'names'"),
            (profile(tmp_path / "e", architectures=["SCMP_ARCH_X86"],
                     archMap=[{"architecture": "SCMP_ARCH_X86"}]), "both 'architectures'"),
            (profile(tmp_path / "f", {**CHMOD, "action": "SCMP_ACT_MAYBE"}), "SCMP_ACT_MAYBE"),
            (profile(tmp_path / "g", listenerPath="/x"), "listenerPath")]:
        r = daemon.run("create", "--security-opt", option, IMAGE, "true")
        assert r.returncode and text in r.stderr, r.stderr
