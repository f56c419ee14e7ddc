"""
Where bytes lie in the memory of a process, and whether it is locked there.
"""

import array
import itertools
import re

MAP = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)$")
PAGE = 4096
HELD = 3 << 62  # of an entry of pagemap: the page is in memory or in swap


def maps(pid):
    """[from, to, what it is, whether it is locked] of each that can be written to."""
    found = []
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as smaps:
        for line in smaps:
            head = MAP.match(line)
            if head and head[3].startswith("rw"):
                found.append([int(head[1], 16), int(head[2], 16), head[4] or "anonymous", False])
            elif head:
                found.append(None)
            elif line.startswith("VmFlags:") and found[-1]:
                found[-1][3] = "lo" in line.split()
    return [one for one in found if one]


def pieces(mem, pagemap, first, last):
    """What has pages, run by run: most of what is mapped was never touched."""
    entries = array.array("Q")
    pagemap.seek(first // PAGE * 8)
    entries.frombytes(pagemap.read((last - first) // PAGE * 8))
    at = first
    for held, run in itertools.groupby(entries, lambda entry: entry & HELD != 0):
        size = sum(1 for _ in run) * PAGE
        if held:
            mem.seek(at)
            yield mem.read(size)
        at += size


def places(pid, needles):
    """(name of the needle, what memory, whether it is locked) for each time that it is found."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", 0) as mem, open(f"/proc/{pid}/pagemap", "rb", 0) as pagemap:
        for first, last, what, locked in maps(pid):
            try:
                contents = list(pieces(mem, pagemap, first, last))
            except OSError:
                continue  # it has gone since
            for content, (name, needle) in itertools.product(contents, needles.items()):
                found += [(name, what, locked)] * content.count(needle)
    return found
