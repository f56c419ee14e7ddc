"""
The edits of tests/flaws fit the sources, and the tests that they name are there: whoever changes a
defence finds here that its flaw is to be put in new words.
"""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

sys.path.insert(0, str(ROOT / "tests/flaws"))
from flaws import FLAWS  # noqa: E402  pylint: disable=wrong-import-position


@pytest.mark.parametrize("flaw", FLAWS, ids=lambda flaw: flaw.names)
def test_it_fits(flaw):
    for edit in flaw.edits:
        text = (ROOT / edit.file).read_text()
        assert text.count(edit.old) == 1, f"{edit.file} has not once: {edit.old}"
    if "::" not in flaw.test:
        assert list(ROOT.glob("tests/unit/" + flaw.test[len("unit_"):].replace("_test_", "/test_")
                              .replace("runtime_", "runtime/", 1) + ".c"))
        return
    file, name = flaw.test.split("::")
    text = (ROOT / "tests" / file).read_text()
    assert re.search(rf"^def {name}\(", text, re.MULTILINE), flaw.test
