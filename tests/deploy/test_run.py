"""
tests/run.py, that it counts what ctest and pytest report, never loses a failure, and keeps its bound.
"""

import importlib.util
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def runner():
    spec = importlib.util.spec_from_file_location("run", ROOT / "tests/run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CTEST = """<?xml version="1.0"?>
<testsuite name="Linux" tests="6" failures="1" disabled="1" skipped="2">
 <testcase name="a" status="run"/>
 <testcase name="b" status="fail"><failure message="Failed"/></testcase>
 <testcase name="c" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>
 <testcase name="d" status="notrun"><skipped message="Unable to find executable: d"/></testcase>
 <testcase name="e" status="disabled"><skipped message="Disabled"/></testcase>
 <testcase name="f" status="run"><system-out>x</system-out></testcase>
</testsuite>
"""
PYTEST = """<?xml version="1.0"?>
<testsuites><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4">
 <testcase name="a"/>
 <testcase name="b"><failure message="x">y</failure></testcase>
 <testcase name="c"><error message="at setup">y</error></testcase>
 <testcase name="d"><skipped type="pytest.skip" message="no docker"/></testcase>
</testsuite></testsuites>
"""


@pytest.mark.parametrize("text, line", [
    (CTEST, "2 passed, 2 failed, 2 skipped"), (PYTEST, "1 passed, 2 failed, 1 skipped")])
def test_counts(runner, tmp_path, text, line):
    (tmp_path / "junit.xml").write_text(text)
    assert str(runner.junit_count(tmp_path / "junit.xml")) == line


def test_a_runner_that_fails_counts_as_failed(runner, tmp_path):
    report = tmp_path / "junit.xml"
    lane = runner.Lane(runner.Clock(1))
    assert str(runner.reported(lane, 1, report)) == "0 passed, 1 failed, 0 skipped"
    report.write_text("<testsuite><testcase name='a'/></testsuite>")
    assert str(runner.reported(lane, 5, report)) == "1 passed, 1 failed, 0 skipped"
    assert str(runner.reported(lane, 0, report)) == "1 passed, 0 failed, 0 skipped"
    report.write_text("<testsuite><testcase")
    assert str(runner.reported(lane, 0, report)) == "0 passed, 1 failed, 0 skipped"


def test_all_parts_are_shown(runner, monkeypatch, capsys):
    monkeypatch.setattr(runner, "PARTS", {
        "one": lambda lane: runner.Count(failed=1), "two": lambda lane: runner.Count(passed=3)})
    for part in runner.PARTS.values():
        part.__doc__ = "a part"
    monkeypatch.setattr(sys, "argv", ["test"])
    assert runner.main() == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "3 passed, 1 failed, 0 skipped"
    assert lines[-2].startswith("two ") and lines[-3].startswith("one ")


def wait_ended(pid):
    """Until a process that is not our child is gone, or waits to be reaped by its parent."""
    end = time.monotonic() + 10
    path = Path(f"/proc/{pid}/stat")
    while path.exists() and path.read_text().rpartition(")")[2].split()[0] not in "ZX":
        assert time.monotonic() < end
        time.sleep(0.01)


def test_bound(runner, monkeypatch, tmp_path, capfd):
    """What is out of time gets an interrupt, with which it can tidy up; then all of it is ended."""
    monkeypatch.setattr(runner, "ABORT_GRACE_S", 5)
    script = f"trap 'touch {tmp_path}/tidied; exit' INT; sleep 100 & echo $! >{tmp_path}/pid; wait"
    lane = runner.Lane(runner.Clock(0))
    start = time.monotonic()
    assert runner.run(lane, ["bash", "-c", script]) == 124
    assert time.monotonic() - start < 10
    assert (tmp_path / "tidied").exists()
    wait_ended((tmp_path / "pid").read_text().strip())
    assert "out of time" in capfd.readouterr().out


def test_a_build_holds_up_only_those_who_need_it(runner, monkeypatch):
    begun, go, made, in_time = threading.Event(), threading.Event(), [], []

    def run(_lane, argv):
        made.append(argv[-1])
        if argv[-1] == "slow":
            begun.set()
            in_time.append(go.wait(10))
        return 0

    monkeypatch.setattr(runner, "run", run)
    lane = runner.Lane(runner.Clock(1))
    slow = [threading.Thread(target=runner.build, args=(lane, "slow")) for _ in range(2)]
    for thread in slow:
        thread.start()
    assert begun.wait(10)
    runner.build(lane, "quick")
    go.set()
    for thread in slow:
        thread.join()
    assert in_time == [True] and made == ["slow", "quick"]


def lanes(runner, monkeypatch, parts):
    """gcc, two parts in front (host, cluster), one behind (tidy), and asan at the end; what they do is `parts`."""
    order = []

    def part(name):
        def run(lane):
            order.append(name)
            return parts.get(name, lambda lane: runner.Count(passed=1))(lane)
        run.__doc__ = "a part"
        return run

    monkeypatch.setattr(runner, "PARTS", {n: part(n) for n in ("gcc", "tidy", "host", "cluster", "asan")})
    monkeypatch.setattr(runner, "AHEAD", {"asan": part("asan ahead")})
    monkeypatch.setattr(sys, "argv", ["test"])
    return runner.main(), order


def test_lanes(runner, monkeypatch, capfd):
    """Each waits for the others to be there: they run together, the one behind at a low priority."""
    meet = threading.Barrier(3, timeout=20)

    def front(lane):
        meet.wait()
        return runner.Count(passed=int(runner.run(lane, ["nice"]) == 0))

    def tidy(lane):
        meet.wait()
        return runner.Count(failed=int(runner.run(lane, ["nice"]) == 0))

    status, order = lanes(runner, monkeypatch, {"host": front, "cluster": front, "tidy": tidy})
    assert status == 1
    assert order[0] == "gcc" and order[-1] == "asan"
    assert order.index("asan ahead") < order.index("tidy")
    said = capfd.readouterr().out.splitlines()
    assert said[-1] == "4 passed, 1 failed, 0 skipped"
    assert [line.split()[0] for line in said[-6:-1]] == ["gcc", "tidy", "host", "cluster", "asan"]
    own = str(os.getpriority(os.PRIO_PROCESS, 0))
    # The first of the lanes in front is shown at once, the others one after the other.
    assert [said[i + 1] for i, line in enumerate(said) if line == "+ nice"] == [own, own, "19"]


def test_a_lane_that_breaks_loses_no_part(runner, monkeypatch, capfd):
    broken = threading.Event()

    def tidy(lane):
        if not broken.is_set():
            broken.set()
            raise OSError("of the runner itself")
        return runner.Count(failed=1)

    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    status, order = lanes(runner, monkeypatch, {"tidy": tidy})
    assert status == 1 and order.count("tidy") == 2
    assert capfd.readouterr().out.splitlines()[-1] == "4 passed, 1 failed, 0 skipped"


def test_an_interrupt_ends_all_lanes(runner, monkeypatch, capfd):
    meet = threading.Barrier(3, timeout=20)

    def sleep(lane):
        meet.wait()
        return runner.Count(failed=int(runner.run(lane, ["sleep", "100"]) != 0))

    def interrupt(lane):
        def wait_all():
            end = time.monotonic() + 20
            while len(lane.clock.running) < 3 and time.monotonic() < end:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=wait_all).start()
        return sleep(lane)

    start = time.monotonic()
    status, _ = lanes(runner, monkeypatch, {"host": interrupt, "cluster": sleep, "tidy": sleep})
    assert status == 1 and time.monotonic() - start < 20
    assert capfd.readouterr().out.splitlines()[-1] == "2 passed, 3 failed, 0 skipped"
