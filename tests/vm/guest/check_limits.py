"""
Limits of config.json in the files of control groups v2, with the conversions that runc and crun
make, and what v2 does not know, refused by name.
"""

from guestlib import Oci, group, ocilib, read, rootfs


def values(resources, *files):
    """What stands in the files of a container's group with these resources."""
    def change(spec):
        spec["linux"]["resources"].update(resources)
    with Oci() as oci:
        ident = oci.start("sleep 1000", rootfs(), change)
        path = group(ocilib.PARENT) / ident
        return [read(path / f) for f in files]


def check_memory():
    assert values({"memory": {"limit": 64 << 20, "reservation": 32 << 20, "swap": 96 << 20}},
                  "memory.max", "memory.low", "memory.swap.max") == \
        [str(64 << 20), str(32 << 20), str(32 << 20)]
