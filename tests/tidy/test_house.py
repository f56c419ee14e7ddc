"""
The rules of the house, held against this tree. Each checker has a test of its own, in
test_checkers.py, that it sees what it is for.
"""

import warnings
from pathlib import Path

import pytest

import analysers
import floors
import sizes
import words

ROOT = Path(__file__).resolve().parents[2]

CHECKERS = [
    floors.upward, floors.cycles,
    sizes.long_files, sizes.long_functions, sizes.no_opening, sizes.no_guard,
    words.banned_calls, words.unfinished, words.foreign, words.sleeps,
]


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: checker.__name__)
def test_rule(checker):
    findings = checker(ROOT)
    assert not findings, "\n" + "\n".join(findings)


def test_bounds():
    """A bound without a use is a warning: it may be there before the room that needs it."""
    for rooms, where in (((), "used nowhere"), (("tests",), "named in no test")):
        names = words.unused_bounds(ROOT, *rooms)
        if names:
            warnings.warn(f"bounds of limits.h {where}: {' '.join(names)}")


def able(tool):
    why = analysers.unfit(tool)
    if why:
        pytest.skip(why)


@pytest.fixture(scope="module")
def build():
    build = ROOT / "build-tidy"
    analysers.configure(ROOT, build)
    return build


def test_clang_format():
    able("clang-format")
    findings = analysers.misformatted(ROOT)
    assert not findings, "\n" + "\n".join(findings)


def test_cppcheck(build):
    able("cppcheck")
    findings = analysers.cppcheck(ROOT, build)
    assert not findings, "\n" + "\n".join(findings)


def test_clang_tidy(build):
    able("clang-tidy")
    findings = analysers.clang_tidy(ROOT, build)
    assert not findings, "\n" + "\n".join(findings)
