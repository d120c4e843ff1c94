"""docs/comparison.md: what it says of Finch is shown by a test, and the test exists."""

import re
from pathlib import Path

import pytest

from tests.wire.vectors import EXCHANGES

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(tests/\S+::test_\w+)`", PAGE))))
def test_a_test_that_is_named_exists(named):
    path, _, name = named.partition("::")
    source = (ROOT / path).read_text(encoding="utf-8")
    assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE)


@pytest.mark.parametrize("exchange", re.findall(r"`tests/wire/test_vectors.py`: (.*?) \|", PAGE))
def test_an_exchange_that_is_named_exists(exchange):
    assert exchange in EXCHANGES


@pytest.mark.parametrize(("part", "columns"), [(0, 9), (1, 8)])
def test_each_row_about_what_finch_has_names_its_test(part, columns):
    table = PAGE.split("\n## ")[part].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table if "|" in line]
    head, _, *rows = rows
    assert {len(row) for row in rows} == {len(head)} == {columns}
    assert [row[0] for row in rows if (row[1] == "-") != (row[-1] == "")] == []
