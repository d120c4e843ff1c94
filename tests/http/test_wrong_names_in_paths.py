"""Braces in a route's path that are no parameter: what is said of each, to its last word."""

import pytest

from finch.errors import ConfigurationError
from finch.http.paths import parse_path


@pytest.mark.parametrize(
    ("inside", "hint"),
    [
        ("1st", ""),
        ("a-b", ""),
        ("", ""),
        ("bird id", "; write {bird_id}"),
        ("id?", "; write {id}"),
        ("id=1", "; write {id}"),
        ("id!r", "; write {id}"),
        ("*rest", "; write {rest:path}"),
        ("rest...", "; write {rest:path}"),
        (" id : int ", "; write {id:int}"),
        ("1st:int", ""),
        ("1st:weird", ""),
    ],
)
def test_what_is_no_name_is_told_what_it_may_mean(inside, hint):
    with pytest.raises(ConfigurationError) as caught:
        parse_path(f"/birds/{{{inside}}}")
    assert str(caught.value) == (
        f"'{{{inside}}}' in route '/birds/{{{inside}}}' is not a valid parameter name{hint}"
    )


@pytest.mark.parametrize(
    ("inside", "hint"),
    [
        ("id:weird", ""),
        ("id:Int", "; write {id:int}"),
        ("int:id", "; write {id:int}"),
        ("id:*", "; write {id:path}"),
    ],
)
def test_what_is_no_converter_is_told_what_it_may_mean(inside, hint):
    with pytest.raises(ConfigurationError) as caught:
        parse_path(f"/birds/{{{inside}}}")
    said = str(caught.value)
    name = inside.partition(":")[2]
    assert said.startswith(
        f"route '/birds/{{{inside}}}' has the unknown converter {name!r}; the converters are "
    )
    assert said.endswith(hint) if hint else "write" not in said
