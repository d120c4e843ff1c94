"""The URL of a server: what is connected to, what is said in the handshake, and what is refused."""

import pytest

from finch.client.address import read_url


def test_a_url_says_where_a_server_is():
    address = read_url("ws://example.org/ws")
    assert (address.tls, address.host, address.port) == (False, "example.org", 80)
    assert (address.authority, address.path, address.query) == ("example.org", "/ws", "")
    address = read_url("wss://example.org:8443/a/b?x=1")
    assert (address.tls, address.port, address.authority) == (True, 8443, "example.org:8443")
    assert read_url("wss://example.org").port == 443


@pytest.mark.parametrize(
    ("url", "host", "authority"),
    [
        ("ws://[::1]:8080/ws", "::1", "[::1]:8080"),
        ("ws://[::1]/ws", "::1", "[::1]"),
        ("ws://127.0.0.1:80/", "127.0.0.1", "127.0.0.1"),
        ("ws://bücher.example/", "xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_a_host_is_written_as_its_header_wants_it(url, host, authority):
    assert (read_url(url).host, read_url(url).authority) == (host, authority)


def test_positions_and_token_go_into_the_query():
    assert read_url("ws://a").target([], None) == "/"
    assert read_url("ws://a/ws").target([], None) == "/ws"
    assert read_url("ws://a/ws?x=1").target([], None) == "/ws?x=1"
    target = read_url("ws://a/ws?x=1").target(["everyone:e:1", "user:e:2"], "t&=? ü")
    assert target == "/ws?x=1&since=everyone:e:1&since=user:e:2&token=t%26%3D%3F%20%C3%BC"


def test_what_a_request_cannot_hold_is_encoded():
    assert read_url("ws://a/b c/ü?q=ü x").target([], None) == "/b%20c/%C3%BC?q=%C3%BC%20x"
    assert read_url("ws://a/%20?a=%41").target([], None) == "/%20?a=%41"


def test_the_log_does_not_get_the_query():
    assert str(read_url("wss://a:1/ws?secret=1")) == "wss://a:1/ws"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://a/ws", "the scheme is not ws or wss"),
        ("a/ws", "the scheme is not ws or wss"),
        ("ws:///ws", "there is no host"),
        ("ws://a:port/ws", "port"),
        ("ws://a:99999/ws", "Port out of range"),
        ("ws://[::1/ws", "Invalid IPv6"),
        (f"ws://{'a' * 70}.example/", "label"),
        ("ws://ann:secret@a/ws", "a user is not sent"),
        ("ws://a/ws#top", "a fragment is not sent"),
        (b"ws://a", "not b'ws://a'"),
        (None, "not None"),
    ],
)
def test_a_wrong_url_is_refused_with_advice(url, why):
    with pytest.raises(ValueError, match=why):
        read_url(url)
