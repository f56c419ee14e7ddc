"""
Limits of config.json in the files of control groups v2, with the conversions that runc and crun
make, and what v2 does not know, refused by name.
"""

import json
import os
import subprocess

from guestlib import Oci, Skip, group, ocilib, read, rootfs

MB = 1 << 20


def with_resources(resources):
    return lambda spec: spec["linux"]["resources"].update(resources)


def values(resources, *files):
    """What stands in the files of a container's group with these resources."""
    with Oci() as oci:
        ident = oci.start("sleep 1000", rootfs(), with_resources(resources))
        path = group(ocilib.PARENT) / ident
        return [read(path / f) for f in files]


def refusal(resources):
    """The sentence with which they are refused; nothing is left of the container."""
    with Oci() as oci:
        r = oci.run("true", rootfs(), with_resources(resources))
        assert r.code == 1 and r.err.count("\n") == 1, (r.code, r.out, r.err)
        return r.err


def check_memory():
    assert values({"memory": {"limit": 64 * MB, "reservation": 32 * MB, "swap": 96 * MB}},
                  "memory.max", "memory.low", "memory.swap.max") == \
        [str(64 * MB), str(32 * MB), str(32 * MB)]


def check_memory_without_swap():
    assert values({"memory": {"limit": 64 * MB, "swap": 64 * MB}}, "memory.swap.max") == ["0"]


def check_memory_without_limit():
    assert values({"memory": {"limit": -1, "swap": -1}}, "memory.max", "memory.swap.max") == \
        ["max", "max"]


def check_swap_needs_memory():
    assert "needs a limit of memory" in refusal({"memory": {"swap": 64 * MB}})
    assert "must not be below" in refusal({"memory": {"limit": 64 * MB, "swap": 32 * MB}})


def check_cpu_shares():
    with Oci() as oci:
        ident = oci.start("sleep 1000", rootfs(), with_resources({"cpu": {"shares": 1024}}))
        weight = group(ocilib.PARENT) / ident / "cpu.weight"
        assert read(weight) == "100"
        for shares, want in ((2, 1), (512, 59), (2048, 174), (262144, 10000)):
            oci.call("update", "--cpu-share", shares, ident)
            assert read(weight) == str(want), shares


def check_cpu_quota():
    assert values({"cpu": {"quota": 50000, "period": 200000, "burst": 10000}},
                  "cpu.max", "cpu.max.burst") == ["50000 200000", "10000"]
    assert values({"cpu": {"quota": 50000}}, "cpu.max") == ["50000 100000"]
    assert values({"cpu": {"period": 50000}}, "cpu.max") == ["max 50000"]
    assert values({"cpu": {"quota": -1}}, "cpu.max") == ["max 100000"]


def check_cpu_idle():
    assert values({"cpu": {"idle": 1}}, "cpu.idle") == ["1"]


def check_cpuset():
    assert values({"cpu": {"cpus": "1", "mems": "0"}}, "cpuset.cpus", "cpuset.mems",
                  "cpuset.cpus.effective") == ["1", "0", "1"]


def check_cpuset_that_is_not_there():
    assert "cpuset.cpus" in refusal({"cpu": {"cpus": "7"}})


def check_pids():
    assert values({"pids": {"limit": 20}}, "pids.max") == ["20"]
    assert values({"pids": {"limit": -1}}, "pids.max") == ["max"]


def check_pids_are_refused_to_a_bomb():
    with Oci() as oci:
        r = oci.run("for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; wait", rootfs(),
                    with_resources({"pids": {"limit": 5}}))
        assert "fork" in r.err, r.err


def check_huge_pages():
    assert values({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MB}]}, "hugetlb.2MB.max",
                  "hugetlb.2MB.rsvd.max") == [str(4 * MB), str(4 * MB)]


def check_huge_pages_of_no_size():
    assert "hugetlb.3MB" in refusal({"hugepageLimits": [{"pageSize": "3MB", "limit": 3 * MB}]})


def disk():
    number = os.stat("/dev/vda").st_rdev
    return {"major": os.major(number), "minor": os.minor(number)}


def check_io_throttle():
    here = disk()
    name = "%(major)d:%(minor)d" % here
    limits = values({"blockIO": {
        "throttleReadBpsDevice": [{**here, "rate": 1 * MB}],
        "throttleWriteBpsDevice": [{**here, "rate": 2 * MB}],
        "throttleReadIOPSDevice": [{**here, "rate": 300}],
        "throttleWriteIOPSDevice": [{**here, "rate": 400}]}}, "io.max")[0]
    assert limits == "%s rbps=%d wbps=%d riops=300 wiops=400" % (name, MB, 2 * MB)


def check_io_throttle_of_no_device():
    assert "io.max" in refusal(
        {"blockIO": {"throttleReadBpsDevice": [{"major": 99, "minor": 1, "rate": MB}]}})


def check_io_weight():
    """Without bfq: v1's 10 to 1000 become 1 to 10000, of one device as well."""
    here = disk()
    (group("io.cost.qos")).write_text("%(major)d:%(minor)d enable=1" % here)
    text = values({"blockIO": {"weight": 505, "weightDevice": [{**here, "weight": 1000}]}},
                  "io.weight")[0]
    assert text.splitlines() == ["default 5000", "%(major)d:%(minor)d 10000" % here], text


def check_io_weight_of_bfq():
    """bfq counts as v1 did, and has files of its own; after this check they are there."""
    if subprocess.run(["modprobe", "bfq"], check=False).returncode:
        raise Skip("this kernel has no bfq")
    here = disk()
    with open("/sys/block/vda/queue/scheduler", "w", encoding="ascii") as f:
        f.write("bfq")
    text = values({"blockIO": {"weight": 300, "weightDevice": [{**here, "weight": 700}]}},
                  "io.bfq.weight")[0]
    with open("/sys/block/vda/queue/scheduler", "w", encoding="ascii") as f:
        f.write("none")
    assert text.splitlines() == ["default 300", "%(major)d:%(minor)d 700" % here], text


def check_rdma():
    """A software device on a dummy link, where the kernel has it."""
    made = subprocess.run("modprobe rdma_rxe && ip link add dummy7 up type dummy && "
                          "rdma link add rxe7 type rxe netdev dummy7", shell=True, check=False,
                          capture_output=True, text=True)
    if made.returncode:
        raise Skip("no RDMA device can be made: " + made.stderr.strip())
    text = values({"rdma": {"rxe7": {"hcaHandles": 3, "hcaObjects": 100}}}, "rdma.max")[0]
    subprocess.run("rdma link del rxe7; ip link del dummy7", shell=True, check=True)
    assert text == "rxe7 hca_handle=3 hca_object=100"


def check_rdma_without_a_device():
    assert "rdma.max" in refusal({"rdma": {"nosuch": {"hcaHandles": 3}}})


def check_unified():
    """Any file of the group, also of controllers that no other field is for."""
    assert values({"unified": {"memory.high": str(48 * MB), "cpu.weight": "77",
                               "memory.oom.group": "1", "cgroup.max.descendants": "3"}},
                  "memory.high", "cpu.weight", "memory.oom.group", "cgroup.max.descendants",
                  "misc.current", "rdma.current", "cpuset.cpus.partition") == \
        [str(48 * MB), "77", "1", "3", "", "", "member"]


def check_unified_comes_after_the_other_fields():
    assert values({"memory": {"limit": 64 * MB}, "unified": {"memory.max": str(80 * MB)}},
                  "memory.max") == [str(80 * MB)]


def check_unified_refuses_what_is_no_file():
    for key in ("memory.nosuch", "nosuch.max", "../memory.max", "memory/max", "tasks"):
        assert key in refusal({"unified": {key: "1"}}), key
    assert "memory.max" in refusal({"unified": {"memory.max": "a lot"}})


def check_what_v2_does_not_know_is_refused_by_name():
    for resources, name in (
            ({"memory": {"swappiness": 60}}, "swappiness"),
            ({"memory": {"kernelTCP": MB}}, "kernelTCP"),
            ({"memory": {"disableOOMKiller": True}}, "disableOOMKiller"),
            ({"cpu": {"realtimeRuntime": 1000, "realtimePeriod": 10000}}, "realtimeRuntime"),
            ({"network": {"classID": 7}}, "network.classID"),
            ({"network": {"priorities": [{"name": "lo", "priority": 3}]}}, "network.priorities"),
            ({"blockIO": {"leafWeight": 100}}, "leafWeight")):
        text = refusal(resources)
        assert name in text and "v2" in text, text


def check_update():
    with Oci() as oci:
        ident = oci.start("sleep 1000", rootfs(), with_resources(
            {"cpu": {"quota": 50000, "period": 200000, "burst": 40000},
             "memory": {"limit": 64 * MB, "swap": 64 * MB}}))
        path = group(ocilib.PARENT) / ident
        oci.call("update", "--memory", "96m", "--memory-swap", "128m", "--memory-reservation",
                 "16m", "--pids-limit", 50, "--cpuset-cpus", 0, "--blkio-weight", 10, ident)
        assert [read(path / f) for f in (
            "memory.max", "memory.swap.max", "memory.low", "pids.max", "cpuset.cpus")] == \
            [str(96 * MB), str(32 * MB), str(16 * MB), "50", "0"]
        # A period stays when the quota changes, and the other way round, as with v1's two files.
        oci.call("update", "--cpu-quota", 60000, ident)
        assert read(path / "cpu.max") == "60000 200000"
        oci.call("update", "--cpu-period", 100000, ident)
        assert read(path / "cpu.max") == "60000 100000"
        # The burst may never be above the quota: both go down in one call.
        oci.call("update", "--cpu-quota", 20000, "--cpu-burst", 10000, ident)
        assert (read(path / "cpu.max"), read(path / "cpu.max.burst")) == ("20000 100000", "10000")
        oci.call("update", "-r", "-", ident, stdin=None, input=json.dumps(
            {"memory": {"limit": 100 * MB}, "unified": {"memory.high": "max"},
             "pids": {"limit": -1}}).encode())
        assert (read(path / "memory.max"), read(path / "pids.max")) == (str(100 * MB), "max")


def check_update_of_swap_alone():
    """What memory's limit is stands in its file."""
    with Oci() as oci:
        ident = oci.start("sleep 1000", rootfs(), with_resources({"memory": {"limit": 64 * MB}}))
        oci.call("update", "--memory-swap", "80m", ident)
        assert read(group(ocilib.PARENT) / ident / "memory.swap.max") == str(16 * MB)


def check_update_refuses():
    with Oci() as oci:
        ident = oci.start("sleep 1000", rootfs(), with_resources({"memory": {"limit": 64 * MB}}))
        r = oci.call("update", "--kernel-memory-tcp", "1m", ident, check=False)
        assert r.code == 1 and "kernelTCP" in r.err
        r = oci.call("update", "--cpu-rt-runtime", 5000, ident, check=False)
        assert r.code == 1 and "realtimeRuntime" in r.err
        r = oci.call("update", "-r", "-", ident, check=False, stdin=None, input=json.dumps(
            {"memory": {"limit": 4096, "checkBeforeUpdate": True}}).encode())
        assert r.code == 1 and "used already" in r.err
        assert read(group(ocilib.PARENT) / ident / "memory.max") == str(64 * MB)
