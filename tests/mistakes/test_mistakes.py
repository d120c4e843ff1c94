"""Each mistake gets an answer that helps, and the page of the docs has it."""

import pytest

from tests.mistakes.book import PAGE, page, read_book


@pytest.mark.parametrize("entry", read_book(), ids=lambda entry: entry.written)
def test_what_finch_says_helps(entry):
    said = entry.said()
    for word in entry.must_say:
        assert word in said


def test_the_page_is_what_is_said():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.mistakes"
