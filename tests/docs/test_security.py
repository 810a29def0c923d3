"""docs/security.md names a test for each hole that it says ours does not have."""

from __future__ import annotations

import ast
import re

import pytest

from tests.documents import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
HOLES = [line for line in PAGE.partition("## Holes that others have had")[2].splitlines() if line.startswith("| ")][2:]


@pytest.mark.parametrize("row", HOLES, ids=range(len(HOLES)))
def test_a_hole_that_others_have_had_has_a_test_that_tries_it_on_ours(row: str) -> None:
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", row.rpartition(" | ")[2])
    assert named
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text())
        assert name in {part.name for part in tree.body if isinstance(part, ast.FunctionDef)}, path


def test_each_test_that_tries_a_hole_is_in_the_table() -> None:
    tree = ast.parse((ROOT / "tests" / "security" / "test_public_holes.py").read_text())
    tests = [each.name for each in tree.body if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")]
    assert len(HOLES) >= 12 and len(tests) >= 12
    missing = [name for name in tests if f"::{name}`" not in PAGE]
    assert missing == []
