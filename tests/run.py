"""
Runs the parts of Shoal's tests one after the other, whatever fails, and adds up what they counted.
Called by deploy/test, which has installed what is needed; knows nothing of what a part tests.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
ABORT_GRACE_S = 60  # what a part that is out of time has to tidy up after itself


class Count:
    """How many tests passed, failed and were skipped."""

    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def outcome(case):
    """passed, failed or skipped: of one <testcase>, as ctest and pytest write it."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    skipped = case.find("skipped")
    if case.get("status") == "disabled":
        return "skipped"
    if case.get("status") == "notrun":
        # ctest says so of a test that chose to skip and of a program that is not there, too.
        chosen = skipped is not None and skipped.get("message", "").startswith("SKIP_")
        return "skipped" if chosen else "failed"
    return "skipped" if skipped is not None else "passed"


def junit_count(path):
    count = Count()
    for case in xml.parse(path).getroot().iter("testcase"):
        count.add(Count(**{outcome(case): 1}))
    return count


class Clock:
    """What is left of the total bound."""

    def __init__(self, minutes):
        self.end = time.monotonic() + minutes * 60

    def left(self):
        return max(1.0, self.end - time.monotonic())


def group_signal(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def take_interrupts():
    """Who was started in the background may ignore them, and so would those who come after."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(clock, argv, env=None):
    """The exit status of a command; one that outlives the bound is interrupted, then ended."""
    print("+", *argv, flush=True)
    process = subprocess.Popen(
        argv, cwd=TOP, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
        start_new_session=True, preexec_fn=take_interrupts)
    try:
        return process.wait(clock.left())
    except subprocess.TimeoutExpired:
        print("out of time: interrupting it", flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    # pytest takes SIGINT as a wish to end its fixtures and write its report.
    os.kill(process.pid, signal.SIGINT)
    try:
        process.wait(ABORT_GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    group_signal(process, signal.SIGKILL)
    process.wait()
    return 124


def reported(status, report):
    """What a runner counted; its failure without a failed test counts as one."""
    count = Count()
    try:
        count = junit_count(report)
    except (OSError, xml.ParseError) as error:
        print(f"no report of this part: {error}", flush=True)
        count.failed = 1
    if status and not count.failed:
        print(f"the runner itself failed with {status}", flush=True)
        count.failed = 1
    return count


def build(clock, *options):
    """No count for a build that succeeds, one failed for one that does not."""
    status = run(clock, ["deploy/build", "--tests", "--werror", *options])
    return Count(failed=1 if status else 0)


def ctest(clock, build_dir, env=None):
    with tempfile.TemporaryDirectory() as tmp:
        report = Path(tmp, "junit.xml")
        status = run(clock, [
            "ctest", "--test-dir", build_dir, "--output-on-failure", "--no-tests=error",
            "-j", str(os.cpu_count()), "--output-junit", str(report)], env)
        return reported(status, report)


def pytest(clock, folder):
    if not list(TOP.glob(f"{folder}/test_*.py")):
        print(f"{folder} holds no tests")
        return Count()
    with tempfile.TemporaryDirectory() as tmp:
        report = Path(tmp, "junit.xml")
        status = run(clock, [
            "/usr/bin/python3", "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider",
            f"--junitxml={report}", folder])
        return reported(status, report)


def leaks_seen(clock):
    """Whether LeakSanitizer works here: some containers deny it the tracing that it needs."""
    with tempfile.TemporaryDirectory() as tmp:
        source = Path(tmp, "leaks.c")
        source.write_text("int main(void) { return 0; }\n")
        program = str(Path(tmp, "leaks"))
        return (run(clock, ["cc", "-fsanitize=address", "-o", program, str(source)]) == 0
                and run(clock, [program], {"ASAN_OPTIONS": "detect_leaks=1"}) == 0)


def part_gcc(clock):
    """release build with gcc -Werror; its unit, simulation and fuzz-corpus tests"""
    count = build(clock, "--cc", "gcc")
    if not count.failed:
        count.add(ctest(clock, "build"))
    return count


def part_clang(clock):
    """release build with clang -Werror"""
    return build(clock, "--cc", "clang", "--dir", "build-clang")


def part_asan(clock):
    """build with ASan and UBSan; the same tests as gcc's"""
    count = build(clock, "--cc", "gcc", "--dir", "build-asan", "--sanitize")
    if count.failed:
        return count
    leaks = leaks_seen(clock)
    if not leaks:
        print("LeakSanitizer does not work on this machine: leaks are not looked for")
    count.add(ctest(clock, "build-asan", {
        "ASAN_OPTIONS": f"detect_leaks={int(leaks)}:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}))
    return count


def part_tidy(clock):
    """the rules of the house: floors, sizes, names, formatters and static analysis"""
    return pytest(clock, "tests/tidy")


def part_deploy(clock):
    """the commands under deploy/ themselves (as root, in mount namespaces)"""
    return pytest(clock, "tests/deploy")


def part_host(clock):
    """a real daemon with real clients (as root; builds first)"""
    count = build(clock, "--cc", "gcc")
    return count if count.failed else pytest(clock, "tests/host")


def part_cluster(clock):
    """many daemons in network namespaces (as root; builds first)"""
    count = build(clock, "--cc", "gcc")
    return count if count.failed else pytest(clock, "tests/cluster")


def part_vm(clock):
    """what needs another kernel, in a virtual machine (as root; builds first)"""
    count = build(clock, "--cc", "gcc")
    return count if count.failed else pytest(clock, "tests/vm")


def part_flaws(clock):
    """known flaws put back, each of which a test has to notice (as root; only when named)"""
    return pytest(clock, "tests/flaws")


PARTS = {name[5:]: part for name, part in globals().items() if name.startswith("part_")}
AS_ROOT = {"deploy", "host", "cluster", "vm", "flaws"}
WHEN_NAMED = {"flaws"}  # what takes long and changes with the sources' safety alone


def arguments():
    parts = "\n".join(f"  {name:8} {part.__doc__}" for name, part in PARTS.items())
    parser = argparse.ArgumentParser(
        prog="deploy/test", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Runs Shoal's tests (as root; all parts but those that are to be named).", epilog="parts:\n" + parts)
    parser.add_argument("parts", nargs="*", metavar="PART", help="only these")
    parser.add_argument("--minutes", type=float, default=80, help="bound of it all (80)")
    args = parser.parse_args()
    unknown = set(args.parts) - set(PARTS)
    if unknown:
        parser.error("unknown part: " + ", ".join(sorted(unknown)))
    return args


def main():
    args = arguments()
    chosen = [name for name in PARTS if name in (args.parts or PARTS.keys() - WHEN_NAMED)]
    if os.geteuid() and AS_ROOT & set(chosen):
        print("these tests make namespaces and need root: run with sudo, or name other parts")
        print(Count(failed=1))
        return 1
    clock = Clock(args.minutes)
    total, lines = Count(), []
    for name in chosen:
        print(f"\n== {name}: {PARTS[name].__doc__}", flush=True)
        start = time.monotonic()
        count = PARTS[name](clock)
        lines.append(f"{name:8} {time.monotonic() - start:7.1f} s  {count}")
        print("==", lines[-1], flush=True)
        total.add(count)
    print("\n" + "\n".join(lines))
    print(total, flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
