"""Conditional requests: RFC 9110, section 13."""

import pytest

from finch.headers import Headers
from finch.http.conditional import is_known, judge, range_is_current, tags

CHANGED = 784111777
SAME = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ('"a"', ['"a"']),
        ('"a", W/"b"', ['"a"', 'W/"b"']),
        ('"a,b","c"', ['"a,b"', '"c"']),
        (' , "a" ,, "b" ,', ['"a"', '"b"']),
        ('"a" "b"', []),
        ('"a", b, "c"', ['"a"']),
        ("w/'a'", []),
        ('w/"a"', []),
        ('"a', []),
        ('""', ['""']),
        ("", []),
        ("*", None),
        (" * ", None),
    ],
)
def test_entity_tags(header, found):
    assert tags(header) == found


def test_a_long_header_of_tags_takes_little_time():
    assert len(tags('"a",' * 4000)) == 4000
    assert tags("," * 16_000) == []
    assert tags(" " * 16_000 + "x") == []
    assert tags('"a"' + " " * 16_000 + "x") == []
    assert tags('"' + "a" * 16_000) == []


def test_a_cache_knows_a_version_by_the_weak_comparison():
    assert is_known('W/"a"', '"a"')
    assert is_known('"a"', 'W/"a"')
    assert is_known("*", '"a"')
    assert not is_known('"b"', '"a"')


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, None),
        ({"if-none-match": '"a"'}, 304),
        ({"if-none-match": 'W/"a"'}, 304),
        ({"if-none-match": '"x", "a"'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"x"'}, None),
        ({"if-none-match": "a"}, None),
        ({"if-modified-since": SAME}, 304),
        ({"if-modified-since": AFTER}, 304),
        ({"if-modified-since": BEFORE}, None),
        ({"if-modified-since": "yesterday"}, None),
        ({"if-modified-since": "Sunday, 06-Nov-94 08:49:37 GMT"}, 304),
        ({"if-modified-since": "Sun Nov  6 08:49:37 1994"}, 304),
        ({"if-modified-since": "Sun, 06 Nov 1994 08:49:37 +0200"}, None),
        ({"if-modified-since": "Sun, 06 Nov 1994 25:49:37 GMT"}, None),
        ({"if-modified-since": "Sat, 01 Jan 0000 00:00:00 GMT"}, None),
        # If-None-Match counts, and not the date
        ({"if-none-match": '"x"', "if-modified-since": SAME}, None),
        ({"if-none-match": '"a"', "if-modified-since": BEFORE}, 304),
        ({"if-match": '"a"'}, None),
        ({"if-match": "*"}, None),
        ({"if-match": '"x"'}, 412),
        ({"if-match": 'W/"a"'}, 412),
        ({"if-unmodified-since": SAME}, None),
        ({"if-unmodified-since": BEFORE}, 412),
        ({"if-unmodified-since": "never"}, None),
        # If-Match counts, and not the date; and both come first
        ({"if-match": '"a"', "if-unmodified-since": BEFORE}, None),
        ({"if-match": '"x"', "if-none-match": '"a"'}, 412),
        ({"if-match": '"a"', "if-none-match": '"a"'}, 304),
        ({"if-unmodified-since": BEFORE, "if-none-match": '"a"'}, 412),
    ],
)
def test_what_the_conditions_lead_to(headers, status):
    assert judge(Headers(headers.items()), '"a"', CHANGED) == status


def test_a_weak_tag_matches_no_strong_condition():
    assert judge(Headers([("if-match", 'W/"a"')]), 'W/"a"', CHANGED) == 412
    assert judge(Headers([("if-match", "*")]), 'W/"a"', CHANGED) is None


@pytest.mark.parametrize(
    ("if_range", "current"),
    [
        ('"a"', True),
        ('"b"', False),
        ('W/"a"', False),
        (SAME, True),
        (BEFORE, False),
        (AFTER, False),  # it must be exactly that one
        ("", False),
        ('"a", "b"', False),
    ],
)
def test_a_part_is_sent_of_the_same_version_only(if_range, current):
    assert range_is_current(Headers([("if-range", if_range)]), '"a"', CHANGED) is current


def test_a_part_of_a_weak_version_is_not_sent():
    assert not range_is_current(Headers([("if-range", 'W/"a"')]), 'W/"a"', CHANGED)
