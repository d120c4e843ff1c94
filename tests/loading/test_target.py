"""The URL of a load: read once, and refused with what to write."""

import pytest

from finch.loading.target import Target, read_target


@pytest.mark.parametrize(
    ("url", "token", "target"),
    [
        ("ws://a/ws", None, Target(True, False, "a", 80, "a", "/ws")),
        ("wss://a:843/ws?x=1", "t&", Target(True, True, "a", 843, "a:843", "/ws?x=1&token=t%26")),
        ("http://[::1]:8080", None, Target(False, False, "::1", 8080, "[::1]:8080", "/")),
        ("https://a/caf\u00e9", None, Target(False, True, "a", 443, "a", "/caf%C3%A9")),
        ("http://a/%2e%2e?q=%20", None, Target(False, False, "a", 80, "a", "/%2e%2e?q=%20")),
    ],
)  # fmt: skip
def test_a_url_is_a_target(url, token, target):
    assert read_target(url, token) == target


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("a", "'a' is no URL of a server; write a URL such as ws://127.0.0.1:8080/ws"),
        ("ftp://a/", "is no URL of a server"),
        ("ws:///ws", "is no URL of a server"),
        ("ws://a:x/", "is no URL: "),
        ("ws://a:99999/", "is no URL: "),
        ("ws://[::1/", "is no URL: "),
        ("http://u:p@a/", "write --header 'Authorization: ...'"),
        ("http://a/ b", "has a space or a control character"),
        ("http://a/?x=\x7f", "has a space or a control character"),
    ],
)
def test_what_is_no_url_is_refused(url, says):
    with pytest.raises(ValueError, match=says):
        read_target(url)
