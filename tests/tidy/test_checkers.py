"""
Every checker sees what it is for: each test builds a small tree with one violation, next to things
that look like it and are right, and expects exactly that one.
"""

import json
from pathlib import Path

import pytest

import analysers
import floors
import sizes
import words

ROOT = Path(__file__).resolve().parents[2]
OPENING = "/*\n * A small room.\n */\n"


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return root


def one(findings, *parts):
    assert len(findings) == 1, findings
    for part in parts:
        assert part in findings[0]


def test_upward_arrow(tmp_path):
    write(tmp_path, "src/model/node.h", OPENING)
    write(tmp_path, "src/model/node.c", '#include "model/node.h"\n/* #include "api/x.h" */\n')
    write(tmp_path, "src/base/buf.c", '\n#include "model/node.h"\n')
    one(floors.upward(tmp_path), "src/base/buf.c:2", "runs upward from base")


def test_missing_and_bare_includes(tmp_path):
    write(tmp_path, "src/base/buf.c", '#include "base/gone.h"\n#include "buf.h"\n')
    write(tmp_path, "src/base/buf.h", "")
    missing, bare = floors.upward(tmp_path)
    assert "base/gone.h does not exist" in missing and "folder/file.h" in bare


def test_manager_never_includes_net_runtime_agent(tmp_path):
    for folder in ("net", "runtime/container", "runtime/image", "agent"):
        write(tmp_path, f"src/{folder}/x.h", "")
        write(tmp_path, "src/manager/x.c", f'#include "{folder}/x.h"\n')
        one(floors.upward(tmp_path), "runs upward from manager")
        write(tmp_path, "src/manager/x.c", "")


def test_agent_never_includes_manager(tmp_path):
    write(tmp_path, "src/manager/manager.h", "")
    write(tmp_path, "src/agent/engine.c", '#include "manager/manager.h"\n')
    one(floors.upward(tmp_path), "runs upward from agent")


def test_api_sees_faces_only(tmp_path):
    for name in ("agent/engine.h", "agent/inside.h", "manager/manager.h"):
        write(tmp_path, "src/" + name, "")
    write(tmp_path, "src/api/x.c", '#include "agent/engine.h"\n#include "manager/manager.h"\n'
          '#include "agent/inside.h"\n')
    one(floors.upward(tmp_path), "x.c:3", "agent/inside.h")


def test_container_has_libc_only(tmp_path):
    for name in ("buf", "json"):
        write(tmp_path, f"src/base/{name}.h", "")
    write(tmp_path, "src/runtime/container/x.c", '#include "base/buf.h"\n#include <sched.h>\n'
          '#include "base/json.h"\n')
    one(floors.upward(tmp_path), "x.c:3", "libc-only")
    write(tmp_path, "src/runtime/container/x.c", "#include <seccomp.h>\n#include <uv.h>\n")
    one(floors.upward(tmp_path), "x.c:2", "libc, libseccomp and jansson alone")


def test_shim_stands_on_container_only(tmp_path):
    write(tmp_path, "src/runtime/container/x.h", "")
    write(tmp_path, "src/model/x.h", "")
    write(tmp_path, "src/main/shoald.c", '#include "model/x.h"\n')
    write(tmp_path, "src/main/shoal-shim.c", '#include "runtime/container/x.h"\n#include "model/x.h"\n')
    one(floors.upward(tmp_path), "src/main/shoal-shim.c:2", "model/x.h")
    write(tmp_path, "src/main/shoal-shim.c", '#include "runtime/container/x.h"\n')
    write(tmp_path, "src/runtime/oci/y.h", "")
    write(tmp_path, "src/main/shoal-oci.c", '#include "runtime/oci/y.h"\n')
    assert floors.upward(tmp_path) == []
    write(tmp_path, "src/runtime/oci/y.c", '#include "runtime/container/x.h"\n#include "model/x.h"\n')
    one(floors.upward(tmp_path), "src/runtime/oci/y.c:2", "model/x.h")


def test_libraries_have_one_user(tmp_path):
    write(tmp_path, "src/net/x.c", "#include <netlink/netlink.h>\n")
    write(tmp_path, "src/agent/x.c", "#include <netlink/netlink.h>\n#include <uv.h>\n")
    one(floors.upward(tmp_path), "src/agent/x.c:1", "for net alone")


def test_scheduler_is_pure(tmp_path):
    write(tmp_path, "src/base/clock.h", "")
    write(tmp_path, "src/scheduler/x.c", '#include <string.h>\n#include "base/clock.h"\n')
    one(floors.upward(tmp_path), "src/scheduler/x.c:2", "no clock")


def test_cycles(tmp_path):
    write(tmp_path, "src/base/a.h", '#include "base/b.h"\n')
    write(tmp_path, "src/base/c.h", '#include "base/b.h"\n')
    write(tmp_path, "src/base/b.h", "")
    assert not floors.cycles(tmp_path)
    write(tmp_path, "src/base/b.h", '#include "base/a.h"\n')
    one(floors.cycles(tmp_path), "base/a.h -> base/b.h -> base/a.h")


def test_cycle_of_folders(tmp_path):
    write(tmp_path, "src/net/a.c", '#include "runtime/image/x.h"\n')
    write(tmp_path, "src/runtime/image/a.c", '#include "net/x.h"\n')
    one(floors.cycles(tmp_path), "net/ -> runtime/image/ -> net/")


def test_long_file(tmp_path):
    write(tmp_path, "src/base/fits.c", "\n" * sizes.FILE_LINES)
    write(tmp_path, "deploy/long", "#\n" * (sizes.FILE_LINES + 1))
    one(sizes.long_files(tmp_path), "deploy/long:1", "801")


def body(lines):
    return "{\n" + "\tx();\n" * (lines - 2) + "}\n"


def test_long_function(tmp_path):
    write(tmp_path, "src/base/a.c",
          'static const char *table[] = {\n' + '\t"(){",\n' * 100 + "};\n"
          "/* int commented(void) {\n" + "\n" * 100 + " */\n"
          "#define M(x) do { \\\n" + "\\\n" * 100 + " } while (0)\n"
          "struct __attribute__((packed)) wide {\n" + "\tint a;\n" * 100 + "};\n"
          "static int fits(void (*cb)(void), int x)\n" + body(sizes.FUNCTION_LINES)
          + "int long_one(const char *s)\n" + body(sizes.FUNCTION_LINES + 1)
          + "__attribute__((format(printf, 1, 2))) static void\nfits_too(const char *f, ...)\n"
          + body(3))
    one(sizes.long_functions(tmp_path), "long_one() has 71 lines")


def test_opening_comment(tmp_path):
    write(tmp_path, "src/base/good.c", OPENING)
    write(tmp_path, "src/base/bad.c", "/* short */\n#include <x.h>\n")
    one(sizes.no_opening(tmp_path), "src/base/bad.c")


def test_guard(tmp_path):
    write(tmp_path, "src/base/good.h", OPENING + "#pragma once\n")
    write(tmp_path, "src/base/bad.h", OPENING + "/* #pragma once */\n")
    one(sizes.no_guard(tmp_path), "src/base/bad.h")


def test_banned_calls(tmp_path):
    write(tmp_path, "src/base/a.c",
          'int f(void)\n{\n\t/* strcpy(a, b) */\n\tputs("system(x)");\n\top->system(1);\n'
          "\tmy_sprintf(x);\n\tsnprintf(x);\n\treturn strcpy (a, b);\n}\n")
    one(words.banned_calls(tmp_path), "a.c:8", "strcpy()")
    for call in words.BANNED:
        write(tmp_path, "src/base/a.c", f"int x = {call}(y);\n")
        one(words.banned_calls(tmp_path), call)


def test_tests_may_use_the_shell(tmp_path):
    write(tmp_path, "tests/unit/a.c", "int x = system(y);\nint z = strcpy(y);\n")
    one(words.banned_calls(tmp_path), "tests/unit/a.c:2", "strcpy()")


def test_unfinished(tmp_path):
    write(tmp_path, "src/base/a.c", 'mkstemp("a.XXXXXX");\n/* FIX' "ME: later */\n")
    one(words.unfinished(tmp_path), "a.c:2")


def test_foreign(tmp_path):
    write(tmp_path, "deploy/a", 'upper=$dir/work/tmp\n"%s/work/main"\nread /wor' "k/main/x\n")
    one(words.foreign(tmp_path), "deploy/a:3")
    write(tmp_path, "deploy/a", "curl http://deb.debian" ".org/x\n")
    one(words.foreign(tmp_path), "deploy/a:1")


def test_sleeps(tmp_path):
    write(tmp_path, "tests/unit/a.c", "void wait_for(void)\n{\n\tusleep(1);\n}\n"
          "void f(void)\n{\n\trun(\"sleep 5\");\n\tusleep(1);\n}\n")
    one(words.sleeps(tmp_path), "tests/unit/a.c:8")
    write(tmp_path, "tests/unit/a.c", "")
    write(tmp_path, "tests/host/a.py", 'import time\n\n\ndef wait_until():\n    time.sleep(1)\n'
          '\n\ndef test_it():\n    run("sleep 100")\n    time.sleep(1)\n')
    one(words.sleeps(tmp_path), "tests/host/a.py:10")
    write(tmp_path, "tests/host/a.py", "")
    write(tmp_path, "tests/host/a.sh", '#!/bin/bash\nrun "sleep 3"\ntrue; sleep 3\n')
    one(words.sleeps(tmp_path), "tests/host/a.sh:3")


def test_unused_bounds(tmp_path):
    write(tmp_path, "src/base/limits.h", "#define LIMIT_A 1\n#define LIMIT_B 2\n")
    write(tmp_path, "src/base/a.c", "int a = LIMIT_A; /* LIMIT_B */\n")
    assert words.unused_bounds(tmp_path) == ["LIMIT_B"]
    assert words.unused_bounds(tmp_path, "tests") == ["LIMIT_A", "LIMIT_B"]


def commands(root, *names):
    """A build directory with the compile commands of these files, and the settings of the tree."""
    build = root / "build"
    build.mkdir()
    (build / "compile_commands.json").write_text(json.dumps([
        {"directory": str(root), "file": str(root / name), "command": f"clang -Isrc -c {name}"}
        for name in names]))
    for name in (".clang-format", ".clang-tidy"):
        (root / name).write_text((ROOT / name).read_text())
    return build


def able(tool):
    if analysers.unfit(tool):
        pytest.skip(analysers.unfit(tool))


def test_clang_format(tmp_path):
    able("clang-format")
    commands(tmp_path)
    write(tmp_path, "src/base/good.c", "int f(void)\n{\n\treturn 1;\n}\n")
    write(tmp_path, "src/base/bad.c", "int f(void) {\n  return 1;\n}\n")
    one(analysers.misformatted(tmp_path), "src/base/bad.c: run clang-format")


LEAK = """#include <stdlib.h>
int f(int n);
int f(int n)
{
\tchar *p = malloc(10);

\tif (!p)
\t\treturn 0;
\tif (n)
\t\treturn 1;
\tfree(p);
\treturn 2;
}
"""


def test_cppcheck(tmp_path):
    able("cppcheck")
    write(tmp_path, "src/base/leak.c", LEAK)
    write(tmp_path, "src/base/good.c", "int g(void)\n{\n\treturn 1;\n}\n")
    build = commands(tmp_path, "src/base/leak.c", "src/base/good.c")
    one(analysers.cppcheck(tmp_path, build), "src/base/leak.c:10", "memleak")


def test_clang_tidy(tmp_path):
    able("clang-tidy")
    write(tmp_path, "src/base/size.h", "#define DIVISOR(n) ((n) ? (n) : 1)\n")
    write(tmp_path, "src/base/a.c", '#include "base/size.h"\nint f(int n);\nint f(int n)\n{\n'
          "\tif (n)\n\t\treturn 1;\n\treturn 10 / DIVISOR(n);\n}\n")
    build = commands(tmp_path, "src/base/a.c")
    assert not analysers.clang_tidy(tmp_path, build)
    assert len(list((build / "tidy-clean").iterdir())) == 1
    # What was clean is judged again when a header that it includes has changed.
    write(tmp_path, "src/base/size.h", "#define DIVISOR(n) (n)\n")
    one(analysers.clang_tidy(tmp_path, build), "src/base/a.c:7", "Division by zero")
    write(tmp_path, "src/base/a.c", LEAK)
    one(analysers.clang_tidy(tmp_path, build), "src/base/a.c:10", "leak")
