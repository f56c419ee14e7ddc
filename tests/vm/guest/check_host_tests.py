"""
Tests that tests/host has for shoal-oci, as they are, on control groups v2: pytest inside the machine,
a check for each file. Slow, so only run where SHOAL_VM_LONG is set.
"""

import subprocess

SECONDS = 400


def run(file):
    r = subprocess.run(["python3", "-m", "pytest", "-q", "-ra", "--tb=short", "--maxfail=20", "-p",
                        "no:cacheprovider", file], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       timeout=SECONDS, check=False)
    print(r.stdout, flush=True)
    last = r.stdout[-2500:]
    assert r.returncode == 0, last


def check_oci():
    run("test_oci.py")


check_oci.seconds = SECONDS
