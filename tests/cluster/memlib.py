"""
Where bytes lie in the memory of a process, and whether it is locked there.
"""

import re

MAP = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)$")


def maps(pid):
    """[from, to, what it is, whether it is locked] of each that can be read."""
    found = []
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as smaps:
        for line in smaps:
            head = MAP.match(line)
            if head and head[3].startswith("r") and head[4] not in ("[vvar]", "[vsyscall]"):
                found.append([int(head[1], 16), int(head[2], 16), head[4] or "anonymous", False])
            elif head:
                found.append(None)
            elif line.startswith("VmFlags:") and found[-1]:
                found[-1][3] = " lo" in line
    return [one for one in found if one]


def places(pid, needles):
    """(name of the needle, what memory, whether it is locked) for each time that it is found."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for first, last, what, locked in maps(pid):
            try:
                mem.seek(first)
                content = mem.read(last - first)
            except OSError:
                continue  # it has gone since
            for name, needle in needles.items():
                found += [(name, what, locked)] * content.count(needle)
    return found
