"""Origins: what an application may list, and what a browser sends."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from finch.errors import ConfigurationError
from finch.wire.origins import listed_origin, read_origin

APPS = [
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
    "moz-extension://f1c2d3e4-0000-4000-8000-000000000000",
    "vscode-webview://1a2b",
    "app://.",
    "app://-",
    "file://",
    "capacitor://localhost:8080",
]


@pytest.mark.parametrize("origin", APPS)
def test_the_origin_of_an_app_is_what_it_sends(origin):
    assert listed_origin(origin) == read_origin(origin) is not None


@pytest.mark.parametrize(
    ("listed", "sent"),
    [
        ("https://example.org", "https://example.org"),
        ("https://example.org/", "https://example.org"),
        ("HTTPS://Example.ORG:443", "https://example.org"),
        ("http://example.org:8080", "http://example.org:8080"),
        ("http://[0:0::1]:80", "http://[::1]"),
        ("https://münchen.example", "https://xn--mnchen-3ya.example"),
        ("https://MÜNCHEN.example:8443", "https://xn--mnchen-3ya.example:8443"),
        ("https://例え.テスト", "https://xn--r8jz45g.xn--zckzah"),
        ("https://xn--mnchen-3ya.example", "https://xn--mnchen-3ya.example"),
        ("file:///", "file://"),
        ("Capacitor://localhost", "capacitor://localhost"),
    ],
)
def test_what_is_listed_matches_what_is_sent(listed, sent):
    assert listed_origin(listed) == read_origin(sent) is not None


@pytest.mark.parametrize(
    ("listed", "sent"),
    [
        ("capacitor://localhost", "capacitor://localhost:80"),
        ("capacitor://localhost", "ionic://localhost"),
        ("capacitor://localhost", "capacitor://localhost.evil.example"),
        ("chrome-extension://abc", "chrome-extension://ABC"),
        ("chrome-extension://abc", "chrome-extension://abc/"),
        ("file://", "file:///"),
        ("file://", "file://evil"),
        ("file://", "null"),
        ("https://example.org", "https://example.org."),
        ("https://example.org", "http://example.org"),
        ("https://münchen.example", "https://munchen.example"),
        ("https://münchen.example", "https://münchen.example"),
    ],
)
def test_nothing_else_matches(listed, sent):
    assert listed_origin(listed) != read_origin(sent)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "null",
        "*",
        "example.org",
        "https://",
        "https://a:0",
        "https://a:65536",
        "https://a\t",
        "https://a b",
        "https://u@a",
        "https:\\\\a",
        "https://a/b",
        "https://a?b",
        "https://a, https://b",
        "capacitor://u@localhost",
        "capacitor://local host",
        "capacitor://localhost:0",
        "capacitor://localhost:99999",
        "app://a/b",
        "app://a#b",
        "app:a",
        "://a",
        "ht\ttps://a",
    ],
)
def test_what_is_no_origin_is_none(sent):
    assert read_origin(sent) is None


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        ("example.org", "'https://example.org'"),
        ("example.org:8443", "'https://example.org:8443'"),
        ("localhost:3000", "'http://localhost:3000'"),
        ("//example.org", "'https://example.org'"),
        ("https:example.org", "'https://example.org'"),
        ("http:/example.org", "'http://example.org'"),
        ("https//example.org/", "'https://example.org'"),
        ("https://example.org/app", "'https://example.org'"),
        ("https://example.org:8443/?a#b", "'https://example.org:8443'"),
        ("https://user:secret@example.org", "'https://example.org'"),
        ("https://*.example.org", "wildcard"),
        ("http://*", "wildcard"),
        ("*.example.org", "wildcard"),
        ("chrome-extension://*", "wildcard"),
        ("https://example.org:*", "wildcard"),
        ("wss://example.org", "'https://example.org'"),
        ("ws://localhost:8080", "'http://localhost:8080'"),
        ("https://example.org:0", "port"),
        ("https://example.org:65536", "port"),
        ("https://example.org:http", "port"),
        ("https://", "host"),
        ("https://[::1", "host"),
        ("https://ex%61mple.org", "host"),
        ("", "'https://example.org'"),
        ("NULL", "'null'"),
        (" https://example.org", "white space"),
        ("https://example.org\n", "white space"),
        ("https://a.example, https://b.example", "as a list"),
        ("https://a.example,https://b.example", "as a list"),
        ("https://straße.example", "xn--"),
        ("https://ex\ufffdample", "xn--"),
        ("https://" + "ü" * 64 + ".example", "xn--"),
        ("https://ü..example", "xn--"),
        (None, "text"),
        (b"https://example.org", "text"),
    ],
)
def test_what_is_no_origin_cannot_be_listed_and_the_error_says_what_can(listed, says):
    with pytest.raises(ConfigurationError) as caught:
        listed_origin(listed)
    assert repr(listed) in str(caught.value)
    assert says in str(caught.value)


@given(
    st.from_regex(r"(https?|app|x-y)://[a-z0-9.\[\]:*%@/\\ \t-]*", fullmatch=True)
    | st.text(alphabet="htps:/.a1[]@*%")
)
def test_what_a_browser_sends_can_be_listed_as_it_is(origin):
    read = read_origin(origin)
    if read is not None:
        assert listed_origin(origin) == read


@given(st.text() | st.text().map("https://{}".format))
def test_no_text_raises_anything_else(origin):
    read_origin(origin)
    try:
        listed_origin(origin)
    except ConfigurationError:
        pass
