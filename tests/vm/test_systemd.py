"""
--systemd-cgroup where systemd runs: in a virtual machine whose first process it is, once on control groups
v2 and once on v1, as systemd has both.
"""

import pytest

import vmlib

FILES = ["check_systemd"]
CHECKS = vmlib.checks(*FILES)
KERNELS = {"v2": "", "v1": "systemd.unified_cgroup_hierarchy=0"}
pytestmark = pytest.mark.skipif(vmlib.missing() is not None, reason=vmlib.missing() or "")


@pytest.fixture(scope="module")
def said(request, tmp_path_factory):
    """What each check said, of those that are wanted, in the machine that is booted for it."""
    made = {}

    def get(kernel):
        if kernel not in made:
            wanted = [i.callspec.params["check"] for i in request.session.items
                      if i.module is request.module and i.callspec.params["kernel"] == kernel]
            machine = vmlib.Machine(tmp_path_factory.mktemp("vm"), systemd=True,
                                    words=KERNELS[kernel])
            made[kernel] = machine, machine.run(wanted)
        return made[kernel]
    return get


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_check(said, kernel, check):
    machine, results = said(kernel)
    assert check in results, "the machine said nothing of it\n" + machine.last_words()
    if results[check]["skip"]:
        pytest.skip(results[check]["skip"])
    assert results[check]["ok"], results[check]["text"]
