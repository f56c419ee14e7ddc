"""
shoal-oci and shoald on a kernel with control groups v2 alone, which few machines of developers
have: in a virtual machine, booted once for all the checks that are wanted.
"""

import os

import pytest

import vmlib

FILES = ["check_limits", "check_devices", "check_life", "check_rootless", "check_engine",
         "check_engine_live", "check_tree"]
if os.environ.get("SHOAL_VM_LONG"):
    FILES.append("check_host_tests")
CHECKS = vmlib.checks(*FILES)
pytestmark = pytest.mark.skipif(vmlib.missing() is not None, reason=vmlib.missing() or "")


@pytest.fixture(scope="module")
def said(request, tmp_path_factory):
    """What each check said, of those that are wanted of this module."""
    wanted = [i.callspec.params["check"] for i in request.session.items
              if i.module is request.module and hasattr(i, "callspec")]
    machine = vmlib.Machine(tmp_path_factory.mktemp("vm"))
    return machine, machine.run(wanted)


@pytest.mark.parametrize("check", CHECKS)
def test_check(said, check):
    machine, results = said
    assert check in results, "the machine said nothing of it\n" + machine.last_words()
    if results[check]["skip"]:
        pytest.skip(results[check]["skip"])
    assert results[check]["ok"], results[check]["text"]
