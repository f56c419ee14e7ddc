"""
The analysers that come from elsewhere: clang-format, cppcheck and clang-tidy, each as a checker that
gives findings. Their commands come from a build directory of their own, which also remembers by
content what clang-tidy has found clean, so that a second run is quick.
"""

import hashlib
import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from source import c_files, includes

# The versions of Debian 12: others find and format differently.
KNOWN = {"clang-format": "14.", "clang-tidy": "14.", "cppcheck": "2.10"}
HINTS = [Path(__file__).parent / name for name in ("hints.h", "hints_cmocka.h")]
FINDING = re.compile(r"^(\S+?):(\d+):(\d+): (warning|error|fatal error): (.*)$", re.M)


def version_of(tool):
    """The version as text; None where the tool is not there."""
    try:
        out = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    match = re.search(r"\d+\.\d+[\d.]*", out.stdout)
    return match.group() if match else None


def unfit(tool):
    """Why a tool cannot judge here; None where it can."""
    version = version_of(tool)
    if not version:
        return f"{tool} is not installed"
    if not version.startswith(KNOWN[tool]):
        return f"{tool} is {version}; the tree is kept by {KNOWN[tool].rstrip('.')}"
    return None


def findings_in(root, output):
    found = []
    for name, line, _, _, text in FINDING.findall(output):
        path = os.path.relpath(root / name, root)
        found.append(f"{path}:{line}: {text}")
    return sorted(set(found))


def misformatted(root):
    names = [str(path) for path in c_files(root)]
    if not names:
        return []
    out = subprocess.run(["clang-format", "--dry-run", *names], cwd=root, capture_output=True,
                         text=True, check=False)
    return sorted({re.sub(r":\d+: .*", ": run clang-format -i on it", line)
                   for line in findings_in(root, out.stderr)})


def configure(root, build):
    """The compile commands of every C file, for clang; nothing is built."""
    subprocess.run(
        ["cmake", "-S", root, "-B", build, "-DCMAKE_C_COMPILER=clang", "-DSHOAL_TESTS=ON"],
        check=True, capture_output=True, text=True)
    return json.loads((build / "compile_commands.json").read_text())


def cppcheck(root, build):
    cache = build / "cppcheck"
    cache.mkdir(parents=True, exist_ok=True)
    out = subprocess.run(
        ["cppcheck", f"--project={build / 'compile_commands.json'}", "--quiet",
         "--enable=warning,performance,portability", "--inline-suppr",
         f"--suppressions-list={Path(__file__).parent / 'cppcheck.txt'}",
         f"--cppcheck-build-dir={cache}", f"-j{os.cpu_count()}",
         "--template={file}:{line}:{column}: warning: {message} [{id}]"],
        cwd=root, capture_output=True, text=True, check=False)
    findings = findings_in(root, out.stdout + out.stderr)
    if out.returncode and not findings:
        findings = [f"cppcheck failed: {(out.stdout + out.stderr).strip()}"]
    return findings


def with_headers(root, path, seen):
    """Adds to `seen` the file and those of ours that it includes, however deep."""
    if path in seen or not path.is_file():
        return
    seen.add(path)
    for _, kind, name in includes(path):
        if kind == '"':
            with_headers(root, root / "src" / name, seen)
            with_headers(root, root / "tests" / name, seen)
            with_headers(root, path.parent / name, seen)


def fingerprint(root, entry):
    """Of all that clang-tidy's verdict on one file depends on."""
    seen = set()
    with_headers(root, Path(entry["file"]), seen)
    sha = hashlib.sha256(version_of("clang-tidy").encode())
    sha.update((root / ".clang-tidy").read_bytes())
    for hint in HINTS:
        sha.update(hint.read_bytes())
    sha.update(entry["command"].replace(str(root), "").encode())
    for path in sorted(seen):
        sha.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()


def hints(root, entry):
    """Options that show clang-tidy what err.c and cmocka do, for every file but err.c itself."""
    given = []
    if (root / "src/base/err.h").exists() and not entry["file"].endswith("/err.c"):
        given = [HINTS[0]]
        if "tests/unit/" in entry["file"]:
            given.append(HINTS[1])
    return [f"--extra-arg=-include{hint}" for hint in given] + [
        f"--extra-arg=-I{root / folder}" for folder in ("src", "tests") if given]


def clang_tidy_one(root, build, entry):
    clean = build / "tidy-clean" / fingerprint(root, entry)
    if clean.exists():
        return []
    out = subprocess.run(["clang-tidy", "--quiet", "-p", build, *hints(root, entry),
                          entry["file"]], cwd=root, capture_output=True, text=True, check=False)
    findings = findings_in(root, out.stdout)
    if out.returncode and not findings:
        findings = [f"{entry['file']}:1: clang-tidy failed: {out.stderr.strip()[-500:]}"]
    if not findings:
        clean.parent.mkdir(exist_ok=True)
        clean.touch()
    return findings


def clang_tidy(root, build):
    entries = json.loads((build / "compile_commands.json").read_text())
    # A source of several programs is judged once.
    unique = {entry["file"]: entry for entry in entries}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda entry: clang_tidy_one(root, build, entry), unique.values())
        return sorted({finding for one in found for finding in one})
