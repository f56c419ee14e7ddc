"""
Runs the parts of Shoal's tests, whatever fails, and adds up what they counted. Parts that mostly wait
(for daemons and containers) go beside each other in lanes; those that only compute fill
the processors meanwhile, at the lowest priority. Called by deploy/test, which has installed what is
needed; knows nothing of what a part tests.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
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


class Build:
    """Who needs it waits until it is made, and for no other one."""

    def __init__(self):
        self.making, self.status = threading.Lock(), None


class Clock:
    """What is left of the total bound, and what runs until then."""

    def __init__(self, minutes):
        self.end = time.monotonic() + minutes * 60
        self.running = set()
        self.guard, self.builds = threading.Lock(), {}

    def build(self, options):
        with self.guard:
            return self.builds.setdefault(options, Build())

    def left(self):
        return max(1.0, self.end - time.monotonic())

    def interrupt(self):
        """Ends what runs, and soon whatever is started later."""
        print("interrupted", flush=True)
        self.end = time.monotonic()
        for process in list(self.running):
            group_signal(process, signal.SIGINT)


class Lane:
    """Where commands run: those of one lane one after the other."""

    def __init__(self, clock, out=None, behind=False):
        self.clock, self.out, self.behind = clock, out, behind  # behind: it gives way to others

    def say(self, *words):
        print(*words, file=self.out or sys.stdout, flush=True)

    def give_way(self, process):
        """By its group, where the kernel shares time among sessions before it looks at them."""
        if self.behind:
            with contextlib.suppress(OSError):
                Path(f"/proc/{process.pid}/autogroup").write_text("19")


def group_signal(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def run(lane, argv, env=None):
    """The exit status of a command; one that outlives the bound is interrupted, then ended."""
    lane.say("+", *argv)
    process = subprocess.Popen(argv, cwd=TOP, env={**os.environ, **(env or {})}, stdout=lane.out,
                               stderr=lane.out, stdin=subprocess.DEVNULL, start_new_session=True)
    lane.clock.running.add(process)
    lane.give_way(process)
    try:
        return process.wait(lane.clock.left())
    except subprocess.TimeoutExpired:
        lane.say("out of time: interrupting it")
    except KeyboardInterrupt:
        lane.clock.interrupt()
    finally:
        lane.clock.running.discard(process)
    # pytest takes SIGINT as a wish to end its fixtures and write its report.
    os.kill(process.pid, signal.SIGINT)
    try:
        process.wait(ABORT_GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    group_signal(process, signal.SIGKILL)
    process.wait()
    return 124


def reported(lane, status, report):
    """What a runner counted; its failure without a failed test counts as one."""
    count = Count()
    try:
        count = junit_count(report)
    except (OSError, xml.ParseError) as error:
        lane.say(f"no report of this part: {error}")
        count.failed = 1
    if status and not count.failed:
        lane.say(f"the runner itself failed with {status}")
        count.failed = 1
    return count


def build(lane, *options):
    """No count for a build that succeeds, one failed for one that does not; each is made once."""
    made = lane.clock.build(options)
    with made.making:
        if made.status is None:
            made.status = run(lane, ["deploy/build", "--tests", "--werror", *options])
        return Count(failed=1 if made.status else 0)


def ctest(lane, build_dir, env=None):
    with tempfile.TemporaryDirectory() as tmp:
        report = Path(tmp, "junit.xml")
        status = run(lane, [
            "ctest", "--test-dir", build_dir, "--output-on-failure", "--no-tests=error",
            # One more than there are processors: some of them wait.
            "-j", str(os.cpu_count() + 1), "--output-junit", str(report)], env)
        return reported(lane, status, report)


def pytest(lane, folder):
    if not list(TOP.glob(f"{folder}/test_*.py")):
        lane.say(f"{folder} holds no tests")
        return Count()
    with tempfile.TemporaryDirectory() as tmp:
        report = Path(tmp, "junit.xml")
        status = run(lane, [
            "/usr/bin/python3", "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider",
            f"--junitxml={report}", folder])
        return reported(lane, status, report)


def leaks_seen(lane):
    """Whether LeakSanitizer works here: some containers deny it the tracing that it needs."""
    with tempfile.TemporaryDirectory() as tmp:
        source = Path(tmp, "leaks.c")
        source.write_text("int main(void) { return 0; }\n")
        program = str(Path(tmp, "leaks"))
        return (run(lane, ["cc", "-fsanitize=address", "-o", program, str(source)]) == 0
                and run(lane, [program], {"ASAN_OPTIONS": "detect_leaks=1"}) == 0)


def part_gcc(lane):
    """release build with gcc -Werror; its unit, simulation and fuzz-corpus tests"""
    count = build(lane, "--cc", "gcc")
    if not count.failed:
        count.add(ctest(lane, "build"))
    return count


def part_clang(lane):
    """release build with clang -Werror"""
    return build(lane, "--cc", "clang", "--dir", "build-clang")


def build_asan(lane):
    return build(lane, "--cc", "gcc", "--dir", "build-asan", "--sanitize")


def part_asan(lane):
    """build with ASan and UBSan; the same tests as gcc's"""
    count = build_asan(lane)
    if count.failed:
        return count
    leaks = leaks_seen(lane)
    if not leaks:
        lane.say("LeakSanitizer does not work on this machine: leaks are not looked for")
    count.add(ctest(lane, "build-asan", {
        "ASAN_OPTIONS": f"detect_leaks={int(leaks)}:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}))
    return count


def part_tidy(lane):
    """the rules of the house: floors, sizes, names, formatters and static analysis"""
    return pytest(lane, "tests/tidy")


def part_deploy(lane):
    """the commands under deploy/ themselves (as root, in mount namespaces)"""
    return pytest(lane, "tests/deploy")


def part_host(lane):
    """a real daemon with real clients (as root; builds first)"""
    count = build(lane, "--cc", "gcc")
    return count if count.failed else pytest(lane, "tests/host")


def part_cluster(lane):
    """many daemons in network namespaces (as root; builds first)"""
    count = build(lane, "--cc", "gcc")
    return count if count.failed else pytest(lane, "tests/cluster")


def part_vm(lane):
    """what needs another kernel, in a virtual machine (as root; builds first)"""
    count = build(lane, "--cc", "gcc")
    return count if count.failed else pytest(lane, "tests/vm")


def part_flaws(lane):
    """known flaws put back, each of which a test has to notice (as root; only when named)"""
    return pytest(lane, "tests/flaws")


PARTS = {name[5:]: part for name, part in globals().items() if name.startswith("part_")}
AS_ROOT = {"deploy", "host", "cluster", "vm", "flaws"}
WHEN_NAMED = {"flaws"}  # what takes long and changes with the sources' safety alone
WAITING = (("host",), ("deploy", "cluster"))  # lanes of what leaves the processors idle, and
BEHIND = ("clang", "tidy", "vm")              # what fills them: the machine of vm is emulated
AHEAD = {"asan": build_asan}  # what such a lane can do for a part of another


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


class Results:
    """What the parts counted; a line each, in the order of PARTS."""

    def __init__(self):
        self.total, self.lines, self.adding = Count(), {}, threading.Lock()

    def part(self, lane, name):
        lane.say(f"\n== {name}: {PARTS[name].__doc__}")
        start = time.monotonic()
        count = PARTS[name](lane)
        with self.adding:
            self.lines[name] = f"{name:8} {time.monotonic() - start:7.1f} s  {count}"
            self.total.add(count)
        lane.say("==", self.lines[name])

    def show(self):
        print("\n" + "\n".join(self.lines[name] for name in PARTS if name in self.lines))
        print(self.total, flush=True)


class Beside(threading.Thread):
    """A lane whose output is shown when it has ended."""

    def __init__(self, clock, results, names, ahead=(), behind=False):
        super().__init__()
        self.results, self.names, self.ahead = results, names, ahead
        self.lane = Lane(clock, tempfile.TemporaryFile("w+"), behind)

    def run(self):
        if self.lane.behind:
            # Of this thread alone, and of what it starts.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        for step in self.ahead:
            step(self.lane)
        for name in self.names:
            self.results.part(self.lane, name)

    def show(self):
        try:
            self.join()
        except KeyboardInterrupt:
            self.lane.clock.interrupt()
            self.join()
        with self.lane.out as out:
            out.seek(0)
            print(out.read(), flush=True)


def run_parts(clock, chosen, results):
    """First what all need, then the lanes, then what is to have the machine for itself again."""
    front = Lane(clock)
    waiting = [names for names in ([n for n in lane if n in chosen] for lane in WAITING) if names]
    ahead = [step for name, step in AHEAD.items() if name in chosen]
    behind = [name for name in BEHIND if name in chosen]
    if len(waiting) + bool(ahead or behind) > 1:
        if "gcc" in chosen:
            results.part(front, "gcc")
        beside = [Beside(clock, results, names) for names in waiting[1:]]
        if ahead or behind:
            beside.append(Beside(clock, results, behind, ahead, behind=True))
        for lane in beside:
            lane.start()
        for name in waiting[0] if waiting else ():
            results.part(front, name)
        for lane in beside:
            lane.show()
    for name in chosen:
        if name not in results.lines:
            results.part(front, name)


def main():
    args = arguments()
    chosen = [name for name in PARTS if name in (args.parts or PARTS.keys() - WHEN_NAMED)]
    if os.geteuid() and AS_ROOT & set(chosen):
        print("these tests make namespaces and need root: run with sudo, or name other parts")
        print(Count(failed=1))
        return 1
    # Who was started in the background may ignore interrupts, and so would those who come after.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    results = Results()
    run_parts(Clock(args.minutes), chosen, results)
    results.show()
    return 1 if results.total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
