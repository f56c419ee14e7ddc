"""
bench/run, that it measures to its end: every figure is there once, in its unit, and is possible. How
fast anything is on a machine that is busy with tests says nothing, so that no bound is held here.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SHOAL_BUILD", TOP / "build"))

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not (BUILD / "bench/bench_services").exists(),
    reason="needs root and a build with tests")

sys.path.insert(0, str(TOP / "bench"))
sys.dont_write_bytecode = True

import agents  # noqa: E402, F401
import engines  # noqa: E402
import services  # noqa: E402, F401
from measures import FIGURES, MEASURES, p99  # noqa: E402


def bench(*argv, host=None):
    env = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
    done = subprocess.run(
        [str(TOP / "bench/run"), "--brief", "--no-peer", "--build", str(BUILD), *argv],
        env={**env, "DOCKER_HOST": host} if host else env, capture_output=True, text=True,
        timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    figures = {}
    for line in done.stdout.splitlines():
        name, value, unit = line.split()
        assert name not in figures
        figures[name] = float(value), unit
    return figures


def hosts_left():
    return set(Path("/var/tmp").glob("shoal-bench-*/c"))


def test_every_figure_is_printed():
    before = hosts_left()
    figures = bench(*MEASURES)
    for name in MEASURES:
        assert figures.pop(f"load_before_{name}")[1] == "load"
    assert figures.keys() == FIGURES.keys()
    for name, (value, unit) in figures.items():
        assert value > 0 and unit == FIGURES[name][0], name
    assert figures["service_create"] < figures["service_running"]
    assert figures["failover_write"] < figures["failover_running"]
    assert hosts_left() <= before


def test_a_socket_is_measured():
    hosts = engines.Hosts(1, BUILD / "bin/shoald")
    try:
        figures = bench("service", "start", host=f"unix://{hosts.nodes[0].socket}")
        assert hosts.api().ask("GET", "/services") == []
        hosts.api().ask("DELETE", f"/images/{engines.IMAGE}")
        bench("service", host=f"unix://{hosts.nodes[0].socket}")
        assert hosts.api().ask("GET", "/images/json") == []
    finally:
        hosts.down()
    assert figures.keys() == {"load_before_service", "service_create", "service_running"}


def test_unknown_measure():
    done = subprocess.run([str(TOP / "bench/run"), "speed"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2 and "unknown measure: speed" in done.stderr


def test_p99():
    assert p99([3, 1, 2]) == 3
    assert p99(list(range(1, 101))) == 99
