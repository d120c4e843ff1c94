"""What an application may say of the languages that it speaks."""

import pytest

from finch import FinchApp
from finch.errors import ConfigurationError


@pytest.mark.parametrize("languages", [5, 1.5, object(), True])
def test_they_are_text_or_texts(languages):
    with pytest.raises(ConfigurationError, match=r"languages is .*; write a list, such as"):
        FinchApp(languages=languages)


@pytest.mark.parametrize("languages", ["de", ["de"], ("de",), {"de"}, iter(["de"])])
def test_one_language_may_be_given_in_any_of_these_ways(languages):
    assert FinchApp(languages=languages).languages == ("de",)


@pytest.mark.parametrize("languages", ["", "*", ["de", "*"], ["de", ""], ["de", 5], [None]])
def test_each_is_a_tag(languages):
    with pytest.raises(ConfigurationError, match="which is not a language tag"):
        FinchApp(languages=languages)


@pytest.mark.parametrize("languages", [[], (), {}])
def test_there_is_at_least_one(languages):
    with pytest.raises(ConfigurationError, match="languages is empty"):
        FinchApp(languages=languages)
