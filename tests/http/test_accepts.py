"""Which form of a response a client prefers."""

import pytest

from finch.http.accepts import choose_type

OFFERS = (("text/plain",), ("text/html",), ("application/problem+json", "application/json"))
TEXT, PAGE, JSON = range(3)

CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
    "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", None),
        ("*/*", None),
        ("*/*;q=0.1", None),
        ("image/avif,image/webp,*/*;q=0.8", None),
        ("application/xml", None),
        (CHROME, PAGE),
        ("text/html", PAGE),
        ("TEXT/HTML", PAGE),
        ("text/html;level=1", PAGE),
        ("application/json", JSON),
        ("application/problem+json", JSON),
        ("application/*", JSON),
        ("application/json, text/plain, */*", JSON),  # axios
        ("text/plain, application/json", TEXT),
        ("text/html, application/json", PAGE),
        ("application/json;q=0.5, text/html;q=0.4", JSON),
        ("application/json;q=0.5, text/html", PAGE),
        ("text/plain, */*", TEXT),
        ("text/*", TEXT),
        ("text/*;q=0.9, text/html;q=0.8", TEXT),
        ("text/*, text/plain;q=0", PAGE),
        ("text/html;q=0", None),
        ("text/html;q=0, application/json;q=0.001", JSON),
        ("application/json ; q=1.000", JSON),
        ("application/json;q=2", None),  # malformed weights count as 0
        ("application/json;q=-1", None),
        ("application/json;q=1e3", None),
        ("application/json;q=", None),
        ("*/json", None),
        ("application", None),
        (";;;,,,", None),
        (",application/json", JSON),
        ("a/b," * 31 + "text/html", PAGE),
        ("a/b," * 32 + "text/html", None),  # more are not read
        ("a/b;" * 5000, None),
    ],
)
def test_the_form_is(accept, chosen):
    assert choose_type(accept, OFFERS) == chosen
