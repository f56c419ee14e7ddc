"""
The floors of the house: which folder may include which, and which of them alone may use a library
or a part of the kernel. An arrow that runs upward, and a cycle, are findings.
"""

import re

from source import c_files, includes

# base files that need libc alone: what the shim and the OCI command may use.
BASE_LIBC = {"err", "mem", "buf", "log", "clock", "id", "file", "limits", "signal"}
FREESTANDING = ("runtime/container", "runtime/oci", "main/shoal-shim", "main/shoal-oci")

# What stands below each folder, nearest last. The folder itself is always allowed.
BELOW = {
    "base": [],
    "model": ["base"],
    "scheduler": ["base", "model"],
    "net": ["base", "model"],
    "runtime/container": ["base"],
    "runtime/oci": ["base", "runtime/container"],
    "runtime/image": ["base", "model"],
    "runtime": ["base", "model"],
    "manager": ["base", "model", "scheduler"],
    "agent": ["base", "model", "net", "runtime", "runtime/container", "runtime/image"],
    "api": ["base", "model"],
    "cli": ["base", "model"],
}
# Single files of a higher floor: the API stands on the faces of the engine and the manager.
FACES = {"api": re.compile(r"^(agent/engine|manager/manager)(_\w+)?\.h$")}

# Headers of the system that only these folders use. The rest (tests, bench) is free.
ONLY = [
    (re.compile(r"^(netlink/|libmnl/|nftables/|linux/(rt)?netlink\.h|linux/if_link\.h)"), ["net"]),
    (re.compile(r"^seccomp\.h|^linux/(seccomp|filter|audit)\.h"), ["runtime/container"]),
    (re.compile(r"^raft(\.h|/)"), ["manager"]),
    (re.compile(r"^(microhttpd|sqlite3)\.h|^curl/"), ["base"]),
    (re.compile(r"^yaml\.h"), ["cli/compose"]),
    (re.compile(r"^(archive|archive_entry|zstd)\.h"), ["runtime/image", "agent"]),
]
# And what these folders never use: the freestanding ones and the pure one.
NEVER = [
    (FREESTANDING, re.compile(r"^(uv|curl/|microhttpd|sqlite3|openssl/|archive|zstd|raft|netlink/)"),
     "which is to be built from libc, libseccomp and jansson alone"),
    (("scheduler",), re.compile(r"^(uv|time|sys/|unistd|pthread|fcntl)"),
     "which has no clock, no loop and no input or output"),
    (("scheduler",), re.compile(r"^base/(clock|file|log|http|tls|sqlite|db)"),
     "which has no clock, no loop and no input or output"),
]


def folder_of(name):
    """The floor of "folder/file.h": the longest known folder that it starts with."""
    parts = name.split("/")[:-1]
    while parts and "/".join(parts) not in BELOW and parts[0] != "main":
        parts.pop()
    return "/".join(parts)


def is_under(name, places):
    return any(name == place or name.startswith((place + "/", place + ".", place + "_"))
               for place in places)


def arrow(name, target):
    """Why the file `name` must not include "target"; None when it may."""
    here, there = folder_of(name), folder_of(target)
    if "/" not in target:
        return 'is not of the form "folder/file.h"'
    if is_under(name, FREESTANDING) and there == "base":
        stem = target.split("/")[-1].removesuffix(".h")
        return None if stem in BASE_LIBC else "is not of the libc-only part of base"
    if is_under(name, FREESTANDING) and here == "main" and there not in (
            "runtime/container", "runtime/oci"):
        return "stands above the runtime's own floor"
    if here == "main" or there == here or there in BELOW.get(here, []):
        return None
    if here in FACES and FACES[here].match(target):
        return None
    return f"runs upward from {here}"


def system_arrow(name, target):
    here = folder_of(name)
    for pattern, owners in ONLY:
        if pattern.match(target) and not is_under(name, owners):
            return f"is for {' and '.join(owners)} alone"
    for places, pattern, why in NEVER:
        if pattern.match(target) and is_under(name, places):
            return f"does not belong in {here}, {why}"
    return None


def upward(root):
    findings = []
    for path in c_files(root, "src"):
        name = str(path.relative_to("src"))
        for line, kind, target in includes(root / path):
            why = None
            if kind == '"':
                why = arrow(name, target)
                if not why and not (root / "src" / target).is_file():
                    why = "does not exist under src"
            why = why or system_arrow(name, target)
            if why:
                findings.append(f"{path}:{line}: the include of {target} {why}")
    return findings


def graph_of(root):
    """Folder -> folders and header -> headers, in one graph (folders end with a slash)."""
    graph = {}
    for path in c_files(root, "src"):
        name = str(path.relative_to("src"))
        for _, kind, target in includes(root / path):
            if kind != '"' or "/" not in target:
                continue
            here, there = folder_of(name) + "/", folder_of(target) + "/"
            if here != there:
                graph.setdefault(here, set()).add(there)
            if name.endswith(".h"):
                graph.setdefault(name, set()).add(target)
    return graph


def cycles(root):
    graph, done, findings = graph_of(root), set(), []

    def visit(node, path):
        if node in path:
            findings.append("a cycle: " + " -> ".join(path[path.index(node):] + [node]))
        elif node not in done:
            for target in sorted(graph.get(node, ())):
                visit(target, path + [node])
            done.add(node)

    for node in sorted(graph):
        visit(node, [])
    return findings
