"""The reading order of tests/behaviour names every file of it, and every file begins with what its rule is."""

from __future__ import annotations

import ast
import re

from tests.harness import ROOT

BEHAVIOUR = ROOT / "tests" / "behaviour"
FILES = sorted(path.name for path in BEHAVIOUR.glob("test_*.py"))


def test_the_reading_order_names_each_file_once() -> None:
    linked = re.findall(r"^\d+\. \[(test_\w+)\]\((test_\w+\.py)\): ", (BEHAVIOUR / "README.md").read_text(), re.M)
    assert sorted(file for _, file in linked) == FILES
    assert all(file == f"{name}.py" for name, file in linked)


def test_each_file_says_what_its_rule_is_and_why() -> None:
    for name in FILES:
        text = ast.get_docstring(ast.parse((BEHAVIOUR / name).read_text())) or ""
        claim, _, more = text.partition("\n\n")
        assert len(claim) > 20 and len(more) > 60, name
