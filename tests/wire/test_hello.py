"""What a TLS client offers to speak, read from the first bytes of real clients."""

from __future__ import annotations

import ssl
import sys

import hypothesis.strategies as st
import pytest
from hypothesis import given

from finch.wire.hello import (
    MAX_HELLO,
    MAX_RECORDS,
    NO_APPLICATION_PROTOCOL,
    offered_alpn,
    offers_only_others,
)


def hello(*protocols, version=None, name="a.example"):
    """What a client of Python's own sends first."""
    context = ssl.create_default_context()
    if protocols:
        context.set_alpn_protocols(protocols)
    if version is not None:
        context.maximum_version = context.minimum_version = version
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def records(message, size):
    """A handshake message in records of that size."""
    return b"".join(
        b"\x16\x03\x01" + len(message[at : at + size]).to_bytes(2) + message[at : at + size]
        for at in range(0, len(message), size)
    )


OFFERS = [(), ("http/1.1",), ("h2", "http/1.1"), ("h2",), ("http/1.0", "h3", "acme-tls/1")]
VERSIONS = [None, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("offer", OFFERS)
def test_what_a_client_offers_is_read(offer, version):
    data = hello(*offer, version=version)

    assert offered_alpn(data) == (tuple(name.encode() for name in offer) or None)
    assert offers_only_others(data) is (bool(offer) and "http/1.1" not in offer)
    assert offers_only_others(data + b"what comes behind") == offers_only_others(data)


@pytest.mark.parametrize("size", [50, 100, 16384])
def test_it_may_come_in_several_records(size):
    data = records(hello("h2", "http/1.1")[5:], size)
    assert offered_alpn(data) == (b"h2", b"http/1.1")


@pytest.mark.parametrize("size", [70, 16384])
def test_until_it_is_whole_it_is_not_judged(size):
    data = records(hello("h2")[5:], size)
    for end in range(len(data)):
        assert offers_only_others(data[:end]) is None
        assert offered_alpn(data[:end]) is None
    assert offers_only_others(data) is True


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x80\x2e\x01\x00\x02",  # SSL 2
        b"\x15\x03\x01\x00\x02\x02\x28",  # an alert
        b"\x16\x03\x01\x00\x00" * 9,  # empty records
        records(b"\x02\x00\x00\x00", 4),  # a ServerHello
        records(b"\x01\x00\x00\x00", 4),
        records(b"\x01\x00\x00\x23" + bytes(34) + b"\xff", 99),
        records(b"\x01\x00\x00\x26" + bytes(38), 99),  # without extensions
        records(b"\x01\x00\x00\x2a" + bytes(38) + b"\x00\x02\x00\x10", 99),  # half of one
    ],
)
def test_what_is_no_client_hello_is_left_to_openssl(data):
    assert offers_only_others(data) is False
    assert offered_alpn(data) is None


def test_an_endless_one_is_not_waited_for():
    header = b"\x01\xff\xff\xff"
    data = records(header + bytes(MAX_HELLO), 2000)
    assert offers_only_others(data[: MAX_HELLO - 1]) is None
    assert offers_only_others(data[:MAX_HELLO]) is False


def test_one_in_very_many_records_is_left_to_openssl():
    data = records(hello("h2")[5:], 1)
    end = MAX_RECORDS * 6
    assert offers_only_others(data[: end - 1]) is None
    assert offers_only_others(data[:end]) is offers_only_others(data) is False


@given(st.binary() | st.binary().map(lambda data: hello_("h2")[:60] + data), st.integers(0, 300))
def test_no_bytes_raise(data, place):
    whole = hello_("h2")
    for broken in (data, whole[:place] + data + whole[place + len(data) :]):
        offers_only_others(broken)
        offered_alpn(broken)


_HELLOS = {}


def hello_(*protocols):
    if protocols not in _HELLOS:
        _HELLOS[protocols] = hello(*protocols)
    return _HELLOS[protocols]


def lines_for(data):
    """How many lines of Python the judging takes."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        offers_only_others(data)
    finally:
        sys.settrace(None)
    return count


def test_the_longest_costs_no_more_for_each_byte():
    def extensions(count):
        body = bytes(38) + (4 * count).to_bytes(2) + b"\x00\x00\x00\x00" * count
        return b"\x01" + len(body).to_bytes(3) + body

    few, many = (lines_for(records(extensions(count), 16384)) for count in (150, 600))
    assert many < 4.5 * few


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_understands_the_alert(version):
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2"])
    if version is not None:
        context.maximum_version = context.minimum_version = version
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="a.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    incoming.write(NO_APPLICATION_PROTOCOL)
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        client.do_handshake()
