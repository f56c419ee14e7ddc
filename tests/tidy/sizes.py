"""
The size and the shape of files: their length, that of their functions, the comment that they open
with, the guard of a header.
"""

import re

from source import c_files, files, functions, text_of

FILE_LINES = 800
FUNCTION_LINES = 70
OPENING_LINES = 3
SOURCES = (".c", ".h", ".py", ".sh", ".txt", ".cmake")


def is_source(path):
    return path.suffix in SOURCES or path.parts[0] == "deploy"


def long_files(root):
    findings = []
    for path in files(root):
        text = text_of(root / path) if is_source(path) else None
        if text and text.count("\n") > FILE_LINES:
            findings.append(f"{path}:1: {text.count(chr(10))} lines, {FILE_LINES} are allowed")
    return findings


def long_functions(root):
    return [f"{path}:{line}: {name}() has {count} lines, {FUNCTION_LINES} are allowed"
            for path in c_files(root) for name, line, count in functions(root / path)
            if count > FUNCTION_LINES]


def no_opening(root):
    findings = []
    for path in c_files(root):
        match = re.match(r"/\*.*?\*/", text_of(root / path) or "", re.S)
        if not match or match.group().count("\n") + 1 < OPENING_LINES:
            findings.append(f"{path}:1: does not open with a comment that says what it is for")
    return findings


def no_guard(root):
    return [f"{path}:1: a header without #pragma once" for path in c_files(root)
            if path.suffix == ".h"
            and not re.search(r"^#pragma once$", text_of(root / path) or "", re.M)]
