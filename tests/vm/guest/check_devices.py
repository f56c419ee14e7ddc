"""
Device rules as a program of the kernel's on the container's group: what may be opened and made,
in which order rules count, and that a living container's rules change in one step.
"""

import ctypes
import json
import os
import struct
import subprocess

from guestlib import Oci, group, ocilib, rootfs, wait_for

SYS_BPF, BPF_PROG_QUERY, BPF_CGROUP_DEVICE = 321, 16, 6
# Consoles, and the maker of loop devices: none of those that every container may use.
ONE, TWO, THREE, OTHER = (4, 1), (4, 2), (4, 3), (10, 237)
ALL = ["one:rw", "two:rw", "three:rw", "other:rw"]
DENY_ALL = {"allow": False, "access": "rwm"}
# Opens each node for reading and for writing; prints what worked.
PROBE = """
for d in one two three other; do
	(: <> /probe/$d) 2>/dev/null && echo $d:rw && continue
	(: < /probe/$d) 2>/dev/null && echo $d:r
	(: > /probe/$d) 2>/dev/null && echo $d:w
done
exit 0"""


def rule(allow, access="rwm", kind="c", number=(None, None)):
    r = {"allow": allow, "access": access, "type": kind}
    if number[0] is not None:
        r["major"] = number[0]
    if number[1] is not None:
        r["minor"] = number[1]
    return r


def nodes():
    """The devices' nodes, made by the host in a folder that containers get at /probe."""
    folder = "/dev/probe"
    if not os.path.isdir(folder):
        subprocess.run(["modprobe", "loop"], check=True)
        os.mkdir(folder)
        for name, number in (("one", ONE), ("two", TWO), ("three", THREE), ("other", OTHER)):
            os.mknod("%s/%s" % (folder, name), 0o20666, os.makedev(*number))
            os.chmod("%s/%s" % (folder, name), 0o666)
    return folder


def with_rules(rules):
    def change(spec):
        spec["linux"]["resources"]["devices"] = rules
        spec["mounts"].append({"destination": "/probe", "type": "bind", "source": nodes(),
                               "options": ["bind", "rw"]})
    return change


def opened(rules):
    with Oci() as oci:
        return oci.output(PROBE, rootfs(), with_rules(rules)).split()


def programs(path):
    """How many device programs hang on a group."""
    fd = os.open(path, os.O_RDONLY)
    ids = (ctypes.c_uint32 * 16)()
    attr = ctypes.create_string_buffer(struct.pack(
        "=IIIIQII", fd, BPF_CGROUP_DEVICE, 0, 0, ctypes.addressof(ids), 16, 0), 128)
    rc = ctypes.CDLL(None, use_errno=True).syscall(SYS_BPF, BPF_PROG_QUERY, attr, 128)
    os.close(fd)
    assert rc == 0, os.strerror(ctypes.get_errno())
    return struct.unpack_from("=I", attr, 24)[0]


def check_allowed_and_denied():
    assert opened([DENY_ALL, rule(True, number=ONE), rule(True, number=TWO)]) == \
        ["one:rw", "two:rw"]


def check_no_rule_allows_all():
    assert opened([]) == ALL


def check_access_of_a_part():
    assert opened([DENY_ALL, rule(True, "r", number=ONE), rule(True, "w", number=TWO)]) == \
        ["one:r", "two:w"]
    # Two rules that allow a part each do not allow both at once: as runc and crun have it.
    assert opened([DENY_ALL, rule(True, number=ONE), rule(False, "w", number=ONE)]) == ["one:r"]


def check_wildcards():
    assert opened([DENY_ALL, rule(True, number=(4, None))]) == ["one:rw", "two:rw", "three:rw"]
    assert opened([DENY_ALL, rule(True, number=(None, 2))]) == ["two:rw"]
    assert opened([DENY_ALL, rule(True)]) == ALL
    assert opened([DENY_ALL, rule(True, kind="b")]) == []
    assert opened([DENY_ALL, {"allow": True, "access": "rwm", "type": "a"}]) == \
        ALL


def check_the_last_rule_counts():
    assert opened([rule(True, number=ONE), DENY_ALL]) == []
    assert opened([DENY_ALL, rule(True), rule(False, number=OTHER)]) == \
        ["one:rw", "two:rw", "three:rw"]
    assert opened([rule(False, number=OTHER), rule(True, number=ONE)]) == \
        ["one:rw", "two:rw", "three:rw"]


def check_making_nodes():
    """As with Docker: any node may be made, few may be opened."""
    rules = [DENY_ALL, rule(True, "m"), rule(True, "m", "b"), rule(True, number=ONE)]
    script = ("mknod /tmp/disk b 254 0 && mknod /tmp/loop c 10 237 && mknod /tmp/null c 1 3 || exit 9;"
              "(: < /tmp/disk) && exit 8; (: < /tmp/loop) && exit 7; : <> /tmp/null || exit 6;"
              "rm /tmp/disk /tmp/loop /tmp/null; exit 0")
    with Oci() as oci:
        oci.run(script, rootfs(), with_rules(rules), check=0)


def update(oci, ident, rules):
    oci.call("update", "-r", "-", ident, stdin=None, input=json.dumps({"devices": rules}).encode())


def check_update_replaces_in_one_step():
    """
    While rules change a container opens one node that is always allowed and one that never is:
    neither may ever be otherwise, and in the end there is one program.
    """
    script = """n=0
		while [ ! -e /tmp/stop ]; do
			: < /probe/one || echo denied
			(: < /probe/other) 2>/dev/null && echo allowed
			n=$((n + 1))
			[ $n = 5 ] && : > /tmp/begun
		done; rm -f /tmp/stop /tmp/begun; echo over"""
    with Oci() as oci:
        ident, path = oci.bundle(["/bin/sh", "-c", script], rootfs(),
                                 with_rules([DENY_ALL, rule(True, number=ONE)]))
        process = oci.popen("run", "--bundle", path, ident)
        begun = rootfs() / "tmp/begun"
        wait_for(begun.exists)
        here = group(ocilib.PARENT) / ident
        for i in range(10):
            update(oci, ident, [DENY_ALL, rule(True, number=ONE), rule(i % 2 == 0, number=TWO)])
            assert programs(here) == 1
        (rootfs() / "tmp/stop").touch()
        out, err = process.communicate(timeout=60)
        assert (out, process.returncode) == (b"over\n", 0), (out, err)


def check_update_takes_effect():
    with Oci() as oci:
        ident = oci.start("sleep 1000", rootfs(), with_rules([DENY_ALL, rule(True, number=ONE)]))
        found = []

        def probe(*rules):
            if rules:
                update(oci, ident, [DENY_ALL, *rules])
            found.append(oci.call("exec", ident, "sh", "-c", PROBE).out.split())
        probe(rule(True, number=TWO), rule(True, number=ONE))
        probe(rule(True, number=ONE))
        # Other limits leave the rules as they are.
        oci.call("update", "--pids-limit", 30, ident)
        probe()
        assert found == [["one:rw", "two:rw"], ["one:rw"], ["one:rw"]]


def check_a_group_that_was_there_keeps_no_old_rules():
    """An empty group that another container's rules hang on: only the new ones count."""
    path = group(ocilib.PARENT) / "kept"
    with Oci() as oci:
        def change(rules):
            def both(spec):
                with_rules(rules)(spec)
                spec["linux"]["cgroupsPath"] = ocilib.PARENT + "/kept"
            return both
        ident = oci.start("sleep 1000", rootfs(), change([DENY_ALL]))
        pid = oci.state(ident)["pid"]
        os.kill(pid, 9)
        wait_for(lambda: oci.state(ident)["status"] == "stopped")
        assert path.is_dir()
        assert oci.output(PROBE, rootfs(), change([DENY_ALL, rule(True, number=TWO)])).split() == \
            ["two:rw"]


def check_every_container_has_the_usual_devices():
    """Whatever the rules say, as runc has it."""
    with Oci() as oci:
        oci.run(": <> /dev/null && : < /dev/zero && : < /dev/urandom && : > /dev/full", rootfs(),
                with_rules([DENY_ALL]), check=0)


def check_many_rules():
    rules = [DENY_ALL] + [rule(True, number=(200, i)) for i in range(300)] + \
        [rule(True, number=ONE)]
    assert opened(rules) == ["one:rw"]
    with Oci() as oci:
        many = [DENY_ALL] + [rule(True, "r", number=(200, i)) for i in range(2000)]
        r = oci.run("true", rootfs(), with_rules(many))
        assert r.code == 1 and "too many device rules" in r.err
