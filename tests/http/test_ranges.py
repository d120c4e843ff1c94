"""The one range that a request may ask for: RFC 9110, section 14."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch.http.ranges import Range, Unsatisfiable, read_range


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-499", Range(0, 500)),
        ("bytes=500-999", Range(500, 500)),
        ("bytes=0-0", Range(0, 1)),
        ("bytes=9999-", Range(9999, 1)),
        ("bytes=0-", Range(0, 10_000)),
        ("bytes=-500", Range(9500, 500)),
        ("bytes=-20000", Range(0, 10_000)),
        ("bytes=9500-20000", Range(9500, 500)),
        ("Bytes=1-2", Range(1, 2)),
        ("bytes= 1-2", Range(1, 2)),
        ("bytes=1-2,", Range(1, 2)),
        # the whole file: several, malformed, or of another unit
        ("bytes=0-0,-1", None),
        ("bytes=0-1,4-5,8-9", None),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes", None),
        ("", None),
        ("bytes=a-b", None),
        ("bytes=1", None),
        ("bytes=--1", None),
        ("bytes=+1-2", None),
        ("bytes=1_0-20", None),
        ("bytes=0x0-0x9", None),
        ("bytes=1 - 2", None),
        ("bytes=\u0661-\u0662", None),
        ("bytes=" + "9" * 5000 + "-", None),
        ("pages=1-2", None),
    ],
)
def test_the_part_of_ten_thousand_bytes(header, part):
    assert read_range(header, 10_000) == part


@pytest.mark.parametrize("header", ["bytes=10000-", "bytes=10000-20000", "bytes=-0"])
def test_a_range_without_any_byte_is_refused(header):
    with pytest.raises(Unsatisfiable):
        read_range(header, 10_000)


def test_an_empty_file_has_no_byte_but_a_last_part():
    with pytest.raises(Unsatisfiable):
        read_range("bytes=0-", 0)
    assert read_range("bytes=-5", 0) is None


def test_the_header_counts_from_zero_and_has_the_last_byte():
    assert Range(500, 500).header(10_000) == "bytes 500-999/10000"


@given(header=st.text("bytes=-,0123456789 ", max_size=20), size=st.integers(0, 200))
def test_a_range_is_within_the_content(header, size):
    try:
        part = read_range(header, size)
    except Unsatisfiable:
        return
    assert part is None or (0 <= part.begin < size and 1 <= part.length <= size - part.begin)
