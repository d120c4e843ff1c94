"""The name under which a browser saves a file: RFC 6266 and RFC 8187."""

from email.message import Message
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch.headers import check_header
from finch.http.disposition import LONGEST, content_disposition


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("report.pdf", 'attachment; filename="report.pdf"'),
        ("two words.txt", 'attachment; filename="two words.txt"'),
        ("naïve.txt", "attachment; filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
        ("€.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%E2%82%AC.txt"),
        ('a"b\\c.txt', "attachment; filename=\"a_b_c.txt\"; filename*=UTF-8''a%22b_c.txt"),
        ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
        ("it's.txt", 'attachment; filename="it\'s.txt"'),
        ("../../etc/passwd", 'attachment; filename=".._.._etc_passwd"'),
        ("a\r\nset-cookie: x=1", 'attachment; filename="a__set-cookie: x=1"'),
        ("a\0b", 'attachment; filename="a_b"'),
        ("a\ud800b", 'attachment; filename="a_b"'),
        ("photo\u202egpj.exe", 'attachment; filename="photo_gpj.exe"'),
        ("", 'attachment; filename="_"'),
    ],
)
def test_the_header_for_a_name(name, header):
    assert content_disposition(name) == header


def test_a_file_may_be_shown_all_the_same():
    assert content_disposition("a.pdf", inline=True) == 'inline; filename="a.pdf"'


def test_a_long_name_keeps_its_extension():
    header = content_disposition("é" * 300 + ".pdf")
    name = unquote(header.partition("filename*=UTF-8''")[2])
    assert name.startswith("ééé")
    assert name.endswith("é.pdf")
    assert LONGEST - 2 <= len(name.encode()) <= LONGEST


@given(st.text(max_size=300))
def test_any_text_makes_a_header_that_has_one_name(name):
    header = content_disposition(name)
    check_header("content-disposition", header)
    parsed = Message()
    parsed["content-disposition"] = header
    assert parsed.get_content_disposition() == "attachment"
    assert not {"/", "\\", "\n", "\r", "\0"} & set(parsed.get_filename())
