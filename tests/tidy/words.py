"""
Words that must not stand in the tree: calls that overrun or cannot fail cleanly, marks of unfinished
work, sleeps in tests where an event can be awaited, names of places that are not the project's. And
bounds that nobody uses.
"""

import re

from source import c_files, code_of, files, functions, line_at, text_of

BANNED = {
    "strcpy": "snprintf() or struct buf", "stpcpy": "snprintf() or struct buf",
    "strcat": "struct buf", "strncat": "struct buf", "strncpy": "snprintf() or memcpy()",
    "sprintf": "snprintf() or struct buf", "vsprintf": "vsnprintf() or struct buf",
    "gets": "getline()", "strtok": "strsep() or strcspn()",
    "atoi": "strtol() with its errors", "atol": "strtol() with its errors",
    "atoll": "strtoll() with its errors", "atof": "strtod() with its errors",
    "system": "posix_spawn()", "popen": "posix_spawn()", "alloca": "struct buf",
    "rand": "base/id.h", "srand": "base/id.h", "random": "base/id.h", "srandom": "base/id.h",
    "tmpnam": "base/file.h", "tempnam": "base/file.h", "mktemp": "base/file.h",
    "gmtime": "gmtime_r()", "localtime": "localtime_r()", "ctime": "base/clock.h",
    "asctime": "base/clock.h", "readdir_r": "readdir()",
}
SHELL = {"system", "popen"}  # in a test the words are our own
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")[ \t]*\(")
UNFINISHED = re.compile(r"\b(TO" "DO|FIX" "ME|XX" "X|HA" "CK|WI" "P)\\b")
# Of the machine of whoever builds; package archives come from the user's own settings.
FOREIGN = re.compile(
    r"(?<![\w/])/work/(?:main|wt|tmp|shared|\.ccache)\b|"
    r"\b(?:deb|ftp|security|snapshot)\.debian\.org|pypi\.org|pythonhosted\.org|npmjs\.org|"
    r"crates\.io|proxy\.golang\.org")
C_SLEEP = re.compile(r"(?<![\w.>])(?:u|nano|clock_nano)?sleep[ \t]*\(")
PY_SLEEP = re.compile(r"\btime\.sleep\(|\bfrom time import .*\bsleep\b")
SH_SLEEP = re.compile(r"(?:^|[;&|]|\bdo\b|\bthen\b)[ \t]*sleep[ \t]+[\d.$]", re.M)
# A wait that polls what nothing announces is one function of this name, with a bound.
POLLS = re.compile(r"^(?:wait|poll)(?:_|$)")


def banned_calls(root):
    findings = []
    for path in c_files(root):
        code = code_of(root / path)
        for match in CALL.finditer(code):
            call = match.group(1)
            if call in SHELL and path.parts[0] == "tests":
                continue
            findings.append(f"{path}:{line_at(code, match.start())}: {call}() is not used here:"
                            f" take {BANNED[call]}")
    return findings


def matches(root, pattern, why):
    findings = []
    for path in files(root):
        if path.parts[:2] == ("tests", "tidy"):
            continue
        text = text_of(root / path) or ""
        findings += [f"{path}:{line_at(text, m.start())}: {m.group()!r} {why}"
                     for m in pattern.finditer(text)]
    return findings


def unfinished(root):
    return matches(root, UNFINISHED, "marks work that is not done")


def foreign(root):
    return matches(root, FOREIGN, "is a place of somebody's machine or network")


def c_sleeps(root, path):
    code, spans = code_of(root / path), functions(root / path)
    for match in C_SLEEP.finditer(code):
        line = line_at(code, match.start())
        inside = [name for name, start, count in spans if start <= line < start + count]
        if not any(POLLS.match(name) for name in inside):
            yield line


def py_sleeps(text):
    inside = []
    for number, line in enumerate(text.splitlines(), 1):
        indent = len(line) - len(line.lstrip())
        if line.strip():
            inside = [(at, name) for at, name in inside if at < indent]
        match = re.match(r"\s*(?:async )?def (\w+)", line)
        if match:
            inside.append((indent, match.group(1)))
        if PY_SLEEP.search(line) and not any(POLLS.match(name) for _, name in inside):
            yield number


def sleeps(root):
    findings = []
    for path in files(root, under=("tests",)):
        text = text_of(root / path)
        if text is None or path.parts[:2] == ("tests", "tidy"):
            continue
        lines = []
        if path.suffix in (".c", ".h"):
            lines = c_sleeps(root, path)
        elif path.suffix == ".py":
            lines = py_sleeps(text)
        elif path.suffix == ".sh" or text.startswith(("#!/bin/bash", "#!/bin/sh")):
            lines = [line_at(text, m.start()) for m in SH_SLEEP.finditer(text)]
        findings += [f"{path}:{line}: a sleep: await the event, or poll in a function named"
                     " wait_..." for line in lines]
    return findings


def unused_bounds(root, *rooms):
    """The names of limits.h that no C file of these rooms (but limits.h) has."""
    limits = root / "src/base/limits.h"
    names = re.findall(r"^#define (LIMIT_\w+)", text_of(limits) or "", re.M)
    used = set()
    for path in c_files(root, *rooms):
        if root / path != limits:
            used |= set(re.findall(r"\bLIMIT_\w+", code_of(root / path)))
    return [name for name in names if name not in used]
