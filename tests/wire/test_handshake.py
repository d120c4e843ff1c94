"""The opening handshake, header by header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch.errors import ProtocolError
from finch.wire.extensions import accept_compression
from finch.wire.handshake import (
    Handshake,
    accept_headers,
    choose_subprotocol,
    parse_origin,
    read_handshake,
    same_origin,
)

# the example of RFC 6455, section 1.3
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

HEADERS = {
    b"host": b"server.example.com",
    b"upgrade": b"websocket",
    b"connection": b"Upgrade",
    b"sec-websocket-key": KEY,
    b"sec-websocket-version": b"13",
}


def asked(*more: tuple[bytes, bytes], without: bytes = b"") -> list[tuple[bytes, bytes]]:
    """The headers of a good handshake, with more and without one."""
    return [item for item in HEADERS.items() if item[0] != without] + list(more)


def instead(name: bytes, *values: bytes) -> list[tuple[bytes, bytes]]:
    return asked(*((name, value) for value in values), without=name)


def refusal(
    headers: list[tuple[bytes, bytes]], method: str = "GET", version: str = "1.1"
) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        read_handshake(method, version, headers)
    return caught.value


def test_the_example_of_the_standard_is_accepted():
    handshake = read_handshake("GET", "1.1", asked())

    assert handshake == Handshake(key=KEY, origin=None, subprotocols=(), extensions=())
    assert accept_headers(handshake, None) == [
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-accept", ACCEPT),
    ]


def test_the_chosen_subprotocol_is_in_the_answer():
    assert accept_headers(
        Handshake(key=KEY, origin=None, subprotocols=("chat",), extensions=()), "chat"
    )[-1] == (
        b"sec-websocket-protocol",
        b"chat",
    )


# Whether it is an upgrade at all


@pytest.mark.parametrize(
    "headers",
    [
        instead(b"connection", b"keep-alive, Upgrade"),
        instead(b"connection", b"keep-alive", b"Upgrade"),
        instead(b"connection", b"UPGRADE"),
        instead(b"connection", b"keep-alive ,\tupgrade , x"),
        instead(b"upgrade", b"WebSocket"),
        instead(b"upgrade", b"h2c, websocket"),
        instead(b"upgrade", b"h2c", b"websocket"),
    ],
)
def test_an_upgrade_may_be_asked_for_in_lists_and_any_case(headers):
    assert read_handshake("GET", "1.1", headers).key == KEY


@pytest.mark.parametrize(
    "headers",
    [
        [],
        asked(without=b"connection"),
        asked(without=b"upgrade"),
        instead(b"connection", b"keep-alive"),
        instead(b"connection", b"upgraded"),
        instead(b"connection", b"not-upgrade"),
        instead(b"upgrade", b"h2c"),
        instead(b"upgrade", b"websockets"),
        instead(b"upgrade", b""),
    ],
)
def test_what_is_no_upgrade_is_told_that_one_is_required(headers):
    refused = refusal(headers)

    assert (refused.status, refused.message) == (426, "Socket is requested!")
    assert refused.headers == {"upgrade": "websocket", "connection": "upgrade"}


# Refusals


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "get"])
def test_another_method_than_get_is_not_allowed(method):
    refused = refusal(asked(), method=method)

    assert (refused.status, refused.headers) == (405, {"allow": "GET"})


@pytest.mark.parametrize("version", ["1.0", "0.9", "2.0"])
def test_a_handshake_needs_http_1_1(version):
    assert refusal(asked(), version=version).status == 400


@pytest.mark.parametrize(
    "headers",
    [
        asked(without=b"sec-websocket-version"),
        instead(b"sec-websocket-version", b"13", b"13"),
        instead(b"sec-websocket-version", b"8"),
        instead(b"sec-websocket-version", b"8, 13"),
        instead(b"sec-websocket-version", b"013"),
        instead(b"sec-websocket-version", b""),
    ],
)
def test_another_version_is_told_which_one_is_spoken(headers):
    refused = refusal(headers)

    assert refused.status == 426
    assert refused.headers["sec-websocket-version"] == "13"
    assert refused.headers["upgrade"] == "websocket"


@pytest.mark.parametrize(
    "headers",
    [
        asked(without=b"sec-websocket-key"),
        instead(b"sec-websocket-key", b""),
        instead(b"sec-websocket-key", KEY, KEY),
        instead(b"sec-websocket-key", KEY + b", " + KEY),
        instead(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ"),  # no padding
        instead(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25j"),  # 15 bytes
        instead(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZXg="),  # 17 bytes
        instead(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==" * 2),
        instead(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub2!jZQ=="),
        instead(b"sec-websocket-key", b"dGhlIHNhbXBs ZSBub25jZQ=="),
        instead(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==="),
        instead(b"sec-websocket-key", b"\xff" * 24),
        instead(b"sec-websocket-key", b"=" * 24),
    ],
)
def test_a_key_is_one_base64_value_of_16_bytes(headers):
    assert refusal(headers).status == 400


@pytest.mark.parametrize(
    "body",
    [
        [(b"content-length", b"5")],
        [(b"content-length", b"00")],
        [(b"transfer-encoding", b"chunked")],
        [(b"content-length", b"0"), (b"transfer-encoding", b"chunked")],
        [(b"content-length", b"0"), (b"content-length", b"5")],
    ],
)
def test_a_handshake_has_no_body(body):
    assert refusal(asked(*body)).status == 400


def test_a_handshake_may_say_that_it_has_no_body():
    assert read_handshake("GET", "1.1", asked((b"content-length", b"0"))).key == KEY


@pytest.mark.parametrize("value", ["chät".encode(), b"\xff", b"chat, \xe9"])
@pytest.mark.parametrize("name", [b"sec-websocket-protocol", b"sec-websocket-extensions"])
def test_a_handshake_that_is_not_ascii_is_refused(name, value):
    assert refusal(asked((name, value))).status == 400


@pytest.mark.parametrize("value", [b"a b", b"chat/1", b'"chat"', b"a, b;c", b"a\x01"])
def test_a_subprotocol_is_a_token(value):
    assert refusal(asked((b"sec-websocket-protocol", value))).status == 400


@pytest.mark.parametrize("value", [b"", b" , ", b"chat, chat", b"chat, superchat, chat"])
def test_subprotocols_are_different_and_one_at_least(value):
    assert refusal(asked((b"sec-websocket-protocol", value))).status == 400


def test_the_same_subprotocol_in_two_headers_is_there_twice():
    headers = asked((b"sec-websocket-protocol", b"a"), (b"sec-websocket-protocol", b"a"))

    assert refusal(headers).status == 400


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b",",
        b"permessage-deflate;",
        b"permessage-deflate; ;",
        b"permessage-deflate; =10",
        b"permessage-deflate; server_max_window_bits=",
        b'permessage-deflate; server_max_window_bits=""',
        b'permessage-deflate; server_max_window_bits="10',
        b'permessage-deflate; x="a b"',
        b"permessage-deflate; a b",
        b"permessage-deflate a=b",
        b"permessage-deflate\x00",
        b"a, b/c",
    ],
)
def test_an_extension_that_is_malformed_fails_the_handshake(value):
    # "the recipient of such malformed data MUST immediately _Fail the WebSocket Connection_" (9.1)
    assert refusal(asked((b"sec-websocket-extensions", value))).status == 400


@pytest.mark.parametrize("value", [b"x-unknown", b"a ; b = c;d", b'a; b="c"', b", a,,b ,"])
def test_an_extension_that_nobody_knows_is_left_alone(value):
    handshake = read_handshake("GET", "1.1", asked((b"sec-websocket-extensions", value)))

    assert accept_compression(handshake.extensions) is None


RAW = st.binary(max_size=40)


@given(
    st.lists(st.tuples(st.sampled_from([*HEADERS, b"sec-websocket-extensions", b"origin"]), RAW)),
    st.sampled_from(["GET", "POST"]),
)
def test_no_headers_whatever_raise_anything_but_a_protocol_error(more, method):
    for headers in (more, asked(*more)):
        try:
            handshake = read_handshake(method, "1.1", headers)
        except ProtocolError:
            continue
        accept_compression(handshake.extensions)


# Subprotocols


def test_subprotocols_are_offered_in_order_in_one_header_or_several():
    headers = asked(
        (b"sec-websocket-protocol", b"chat.v2, chat ,"), (b"sec-websocket-protocol", b"superchat")
    )

    assert read_handshake("GET", "1.1", headers).subprotocols == ("chat.v2", "chat", "superchat")


@pytest.mark.parametrize(
    ("offered", "supported", "chosen"),
    [
        ((), (), None),
        (("chat",), (), None),
        ((), ("chat",), None),
        (("chat",), ("chat",), "chat"),
        (("a", "b"), ("b", "a"), "b"),
        (("a", "b"), ("c", "b"), "b"),
        (("Chat",), ("chat",), None),
        (("a",), ("b",), None),
    ],
)
def test_the_servers_first_choice_among_those_offered_is_taken(offered, supported, chosen):
    assert choose_subprotocol(offered, supported) == chosen


# Compression


def test_extensions_are_offered_in_one_header_or_several():
    headers = asked(
        (b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits, x-other"),
        (b"sec-websocket-extensions", b"permessage-deflate"),
    )

    assert read_handshake("GET", "1.1", headers).extensions == (
        "permessage-deflate; client_max_window_bits",
        "x-other",
        "permessage-deflate",
    )


def parameters(answer: bytes) -> set[str]:
    name, *rest = answer.decode().split(";")
    assert name.strip() == "permessage-deflate"
    return {part.strip() for part in rest}


@pytest.mark.parametrize(
    ("offer", "must_hold"),
    [
        ("permessage-deflate", set()),
        ("permessage-deflate; server_no_context_takeover", {"server_no_context_takeover"}),
        ("permessage-deflate;server_max_window_bits=9", {"server_max_window_bits=9"}),
        ("permessage-deflate; server_max_window_bits = 10", {"server_max_window_bits=10"}),
        ('permessage-deflate; server_max_window_bits="10"', {"server_max_window_bits=10"}),
        ("permessage-deflate; server_max_window_bits=15", {"server_max_window_bits=15"}),
        (
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=12",
            {"server_no_context_takeover", "server_max_window_bits=12"},
        ),
    ],
)
def test_a_valid_offer_is_accepted_with_what_it_demands_of_the_server(offer, must_hold):
    agreed = accept_compression([offer])

    assert agreed is not None
    assert parameters(agreed[1]) >= must_hold


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=9",
        "permessage-deflate; client_max_window_bits=15",
        "permessage-deflate; client_no_context_takeover",
    ],
)
def test_an_offer_that_concerns_the_client_is_accepted(offer):
    agreed = accept_compression([offer])

    assert agreed is not None
    assert {part.partition("=")[0] for part in parameters(agreed[1])} <= {
        "client_max_window_bits",
        "client_no_context_takeover",
    }


@pytest.mark.parametrize(
    "offer", ["permessage-deflate", "permessage-deflate; server_no_context_takeover"]
)
def test_a_client_that_did_not_offer_window_bits_is_given_none(offer):
    agreed = accept_compression([offer])

    assert agreed is not None
    # "a server MUST NOT include client_max_window_bits" otherwise (RFC 7692, section 7.1.2.2)
    assert b"client_max_window_bits" not in agreed[1]


@pytest.mark.parametrize(
    "offer",
    [
        "x-webkit-deflate-frame",
        "permessage-deflate2",
        "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_max_window_bits=+10",
        "permessage-deflate; server_max_window_bits=1_0",
        'permessage-deflate; server_max_window_bits="',
        'permessage-deflate; server_max_window_bits=""',
        "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; client_max_window_bits=x",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
        "permessage-deflate; server_max_window_bitsy=10",
    ],
)
def test_an_invalid_offer_is_declined(offer):
    assert accept_compression([offer]) is None


def test_nothing_offered_is_nothing_agreed_on():
    assert accept_compression([]) is None


def test_the_first_valid_offer_is_taken():
    agreed = accept_compression(
        [
            "x-other",
            "permessage-deflate; server_max_window_bits=99",
            "permessage-deflate; server_max_window_bits=11",
            "permessage-deflate",
        ]
    )

    assert agreed is not None
    assert parameters(agreed[1]) == {"server_max_window_bits=11"}


# Origins


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://example.org", "example.org"),
        ("https://example.org", "example.org"),
        ("http://example.org", "example.org:80"),
        ("http://example.org:80", "example.org"),
        ("https://example.org", "example.org:443"),
        ("https://example.org:443", "example.org"),
        ("http://example.org:8000", "example.org:8000"),
        ("HTTP://Example.ORG", "eXample.org"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://[::1]", "[::1]"),
        ("http://[FE80::1]", "[fe80::1]"),
        ("http://[fe80:0:0::1]", "[fe80::1]"),
        ("http://example.org.", "example.org."),
        ("http://example.org:", "example.org"),
        ("http://example.org", "example.org:"),
    ],
)
def test_an_origin_that_names_the_host_is_the_same(origin, host):
    assert same_origin(origin, "http", host)
    assert same_origin(origin, "https", host) is origin.startswith("https:")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://example.com", "example.org"),
        ("http://www.example.org", "example.org"),
        ("http://example.org.evil.com", "example.org"),
        ("http://evil.com?example.org", "example.org"),
        ("http://evil.com#example.org", "example.org"),
        ("http://example.org@evil.com", "example.org"),
        ("http://evil.com@example.org", "example.org"),
        ("http://example.org/path", "example.org"),
        ("http://example.org:8000", "example.org"),
        ("http://example.org", "example.org:8000"),
        ("https://example.org", "example.org:80"),
        ("http://example.org", "example.org:443"),
        ("http://example.org:8000", "example.org:8001"),
        ("http://[::1]", "[::2]"),
        ("http://[::1]:8000", "[::1]"),
        ("null", "example.org"),
        ("null", "null"),
        ("", ""),
        ("", "example.org"),
        ("example.org", "example.org"),
        ("//example.org", "example.org"),
        ("file://", ""),
        ("file://example.org", "example.org"),
        ("javascript://example.org", "example.org"),
        ("http://", ""),
        ("http://:80", ""),
        ("http://example.org:99999", "example.org"),
        ("http://example.org:x", "example.org"),
        ("http://[::1", "[::1"),
        ("http://example.org", "[::1"),
        ("http://example.org", "example.org:x"),
        ("http://example.org", ""),
        ("http://example.org:0", "example.org"),
        ("http://example.org", "example.org:0"),
        ("http://example.org:0", "example.org:0"),
        ("http://exam\tple.org", "example.org"),
        ("http://example.org\n", "example.org"),
        ("http://example.org ", "example.org"),
        (" http://example.org", "example.org"),
        ("http:\\\\example.org", "example.org"),
        ("http://example.org\\", "example.org"),
        ("http://ex%61mple.org", "example.org"),
        ("http://ex%61mple.org", "ex%61mple.org"),
        ("http://example.org.", "example.org"),
        ("http://example.org", "user@example.org"),
        ("http://example.org:\u0661", "example.org:1"),
        ("http://[::1%25eth0]", "[::1]"),
        ("http://[1.2.3.4]", "[1.2.3.4]"),
        ("http://a,b", "a,b"),
        ("capacitor://localhost", "localhost"),
    ],
)
def test_any_other_origin_is_foreign(origin, host):
    assert not same_origin(origin, "http", host)
    assert not same_origin(origin, "https", host)


@pytest.mark.parametrize(
    ("origin", "parts"),
    [
        ("http://example.org", ("http", "example.org", 80)),
        ("https://example.org", ("https", "example.org", 443)),
        ("HTTPS://EXAMPLE.org:8443", ("https", "example.org", 8443)),
        ("https://example.org/", ("https", "example.org", 443)),
        ("http://[::1]:8000", ("http", "::1", 8000)),
        ("null", None),
        ("", None),
        ("*", None),
        ("example.org", None),
        ("https://user@example.org", None),
        ("https://@example.org", None),
        ("https://user:secret@example.org", None),
        ("https://example.org/path", None),
        ("https://example.org?q", None),
        ("https://example.org#f", None),
        ("ftp://example.org", None),
        ("https://", None),
        ("https://[::1", None),
        ("https://example.org:65536", None),
        ("https://example.org:0", None),
        ("https://example.org\t", None),
        ("https://münchen.example", None),
    ],
)
def test_an_origin_is_scheme_host_and_port(origin, parts):
    assert parse_origin(origin) == parts
