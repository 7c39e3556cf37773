"""The page on the format: each rule names a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "wfdb.md"


@pytest.mark.skipif(not PAGE.is_file(), reason="the pages are not beside the tests")
def test_each_rule_names_a_test_that_exists():
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "::" in line]
    assert len(rows) > 50
    for row in rows:
        file, name = re.search(r"`(test_\w+\.py)::(test_\w+)` \|$", row).groups()
        assert f"def {name}(" in (HERE / file).read_text(encoding="utf-8"), row
