"""Offers of compression that are no offers are declined (RFC 7692, section 5.1)."""

import pytest

from finch.wire.extensions import accept_compression


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=9",
        'permessage-deflate; client_max_window_bits="15"',
        "permessage-deflate; server_max_window_bits=15",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    ],
)
def test_these_are_accepted(offer):
    accepted = accept_compression([offer])
    assert accepted is not None
    assert accepted[1].startswith(b"permessage-deflate") or accepted[1] == b""


@pytest.mark.parametrize(
    "parameters",
    [
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits=10; client_max_window_bits=10",
        "server_max_window_bits=10; server_max_window_bits=12",
        "server_no_context_takeover=1",
        "client_no_context_takeover=",
        "server_max_window_bits",
        "server_max_window_bits=8",
        "server_max_window_bits=16",
        "client_max_window_bits=8",
        "client_max_window_bits=16",
        'client_max_window_bits="15',
        'client_max_window_bits=15"',
        "unknown",
        "",
    ],
)
def test_these_are_not_and_the_next_offer_is_tried(parameters):
    offer = f"permessage-deflate; {parameters}"
    assert accept_compression([offer]) is None
    accepted = accept_compression([offer, "permessage-deflate"])
    assert accepted is not None
    assert b"window" not in accepted[1]
    assert b"takeover" not in accepted[1]
