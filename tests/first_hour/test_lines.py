"""No program of the first hour is longer in Finch than in the shorter of Flask and FastAPI."""

import pytest

from tests.first_hour.page import HERE, OTHERS, TITLES, count, others, program


def test_a_line_is_counted_if_it_is_neither_blank_nor_a_comment():
    assert count("import a  # why\n\n\n# a comment\nif a:\n    # another\n    a()\n") == 3


@pytest.mark.parametrize("title", TITLES)
def test_finch_needs_as_few_lines_as_the_shorter_of_the_others(title):
    lengths = [count(code) for code in others(title).values()]
    assert count(program(title)) - min(lengths) <= 0


def test_each_program_of_another_has_its_section():
    used = {code for title in TITLES for code in others(title).values()}
    files = [path for other in OTHERS for path in (HERE / other).iterdir() if path.is_file()]
    assert {path.read_text(encoding="utf-8") for path in files} == used
