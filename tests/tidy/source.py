"""
The tree as the checkers see it: its files, C text without comments and literals, functions,
includes. Knows none of the rules; every checker takes the root of a tree, so that a test can
give it a small bad one.
"""

import os
import re
from functools import lru_cache
from pathlib import Path

C_ROOMS = ("src", "tests", "bench")
NOT_OURS = re.compile(r"^(build.*|\.git|__pycache__|\.pytest_cache|\.cache|\.claude)$")
TEXT_MAX = 4 << 20  # bytes; what is larger is data


def files(root, *suffixes, under=("",)):
    """All files of the tree (or of those folders), sorted, as paths relative to it."""
    found = []
    for top in under:
        for folder, folders, names in os.walk(root / top):
            folders[:] = [name for name in folders if not NOT_OURS.match(name)]
            found += [Path(folder, name).relative_to(root) for name in names
                      if not NOT_OURS.match(name) and (not suffixes or name.endswith(suffixes))]
    return sorted(set(found))


def c_files(root, *rooms):
    return files(root, ".c", ".h", under=rooms or C_ROOMS)


def text_of(path):
    """The text of a file; None where it is data rather than text."""
    data = path.read_bytes() if path.is_file() and path.stat().st_size <= TEXT_MAX else b"\0"
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


LITERALS = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""", re.S | re.X)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)
ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)")


def blank(match):
    """As many lines as before, and nothing in them."""
    kept = "\n" * match.group().count("\n")
    return kept if match.group().startswith(("/", "#")) or kept else '""'


@lru_cache(maxsize=None)
def stripped(text):
    return LITERALS.sub(blank, text)


def code_of(path):
    """C text with comments dropped and literals emptied; lines keep their numbers."""
    return stripped(text_of(path) or "")


def line_at(text, offset):
    return text.count("\n", 0, offset) + 1


def is_function(head):
    head = ATTRIBUTE.sub("", head)
    return "(" in head and "=" not in head.split("(")[0] and not head.rstrip().endswith("=")


def name_of(head):
    match = re.search(r"(\w+)\s*\(", ATTRIBUTE.sub("", head))
    return match.group(1) if match else "?"


def functions(path):
    """(name, line of its opening brace, lines of its body with both braces) of each function."""
    code = DIRECTIVE.sub(lambda m: "\n" * m.group().count("\n"), code_of(path))
    depth, head_start, opened, found = 0, 0, None, []
    for match in re.finditer(r"[{};]", code):
        at, char = match.start(), match.group()
        if char == "{":
            if depth == 0 and is_function(code[head_start:at]):
                opened = (name_of(code[head_start:at]), line_at(code, at))
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0 and opened:
                found.append((*opened, line_at(code, at) - opened[1] + 1))
                opened = None
        if depth == 0:
            head_start = at + 1
    return found


INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def includes(path):
    """(line, '<' or '"', name) of each include."""
    text = re.sub(r"/\*.*?\*/", blank, text_of(path) or "", flags=re.S)
    return [(line_at(text, m.start()), m.group(1), m.group(2)) for m in INCLUDE.finditer(text)]
