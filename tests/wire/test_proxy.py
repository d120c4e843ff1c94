"""The PROXY header: both versions, byte by byte, and everything that is none."""

import struct
from ipaddress import ip_address

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from finch.errors import ProtocolError
from finch.wire.proxy import MAX_PROXY_HEADER, ProxyHeader, parse_proxy_header

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
TCP4, UDP4, TCP6, UDP6, UNIX, UNIX_DATAGRAM = 0x11, 0x12, 0x21, 0x22, 0x31, 0x32


def v2(command=PROXY, family=TCP4, rest=b"", length=None):
    return SIGNATURE + struct.pack("!BBH", command, family, length or len(rest)) + rest


def addresses(client, server="::", port=56324):
    """Of version 2, for IP."""
    packed = ip_address(client).packed
    return packed + bytes(len(packed)) + struct.pack("!HH", port, 443)


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


IPV4 = addresses("192.0.2.1")
IPV6 = addresses("2001:db8::1")
UNIX_PATHS = b"/run/a".ljust(108, b"\0") + b"/run/b".ljust(108, b"\0")
TLS = tlv(0x20, b"\x01\0\0\0\0" + tlv(0x21, b"TLSv1.3"))
NO_TLS = tlv(0x20, b"\x00\0\0\0\0")

GOOD = {
    "TCP4": (b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", ("192.0.2.1", 56324)),
    "the longest TCP4": (
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        ("255.255.255.255", 65535),
    ),
    "port 0": (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", ("0.0.0.0", 0)),
    "TCP6": (b"PROXY TCP6 2001:DB8::1 ::1 56324 443\r\n", ("2001:db8::1", 56324)),
    "IPv4 in IPv6": (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", ("192.0.2.1", 1)),
    "the longest TCP6": (
        b"PROXY TCP6 %b %b 65535 65535\r\n" % ((b"ffff:" * 8)[:-1], (b"ffff:" * 8)[:-1]),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535),
    ),
    "UNKNOWN": (b"PROXY UNKNOWN\r\n", None),
    "the longest UNKNOWN": (b"PROXY UNKNOWN " + b"\xff" * 91 + b"\r\n", None),
    "UNKNOWN with what must be ignored": (b"PROXY UNKNOWN any\rthing \0\r\n", None),
    "2 IPv4": (v2(rest=IPV4), ("192.0.2.1", 56324)),
    "2 IPv6": (v2(family=TCP6, rest=IPV6), ("2001:db8::1", 56324)),
    "2 IPv4 in IPv6": (v2(family=TCP6, rest=addresses("::ffff:192.0.2.1")), ("192.0.2.1", 56324)),
    "2 unix": (v2(family=UNIX, rest=UNIX_PATHS), ("", 0)),
    "2 UDP over IPv4": (v2(family=UDP4, rest=IPV4), None),
    "2 UDP over IPv6": (v2(family=UDP6, rest=IPV6), None),
    "2 unix datagrams": (v2(family=UNIX_DATAGRAM, rest=UNIX_PATHS), None),
    "2 unspecified": (v2(family=0), None),
    "2 unspecified with anything": (v2(family=0, rest=b"anything"), None),
    "LOCAL": (v2(LOCAL, 0), None),
    "LOCAL with addresses": (v2(LOCAL, rest=IPV4), None),
    "LOCAL with nonsense": (v2(LOCAL, 0xFF, b"nonsense"), None),
    "2 with extensions": (
        v2(rest=IPV4 + tlv(4, b"") + tlv(0xE0, b"x" * 500)),
        ("192.0.2.1", 56324),
    ),
    "2 without TLS": (v2(rest=IPV4 + NO_TLS), ("192.0.2.1", 56324)),
    "the longest 2": (
        v2(rest=IPV4 + tlv(4, bytes(MAX_PROXY_HEADER - 16 - 12 - 3))),
        ("192.0.2.1", 56324),
    ),
}
TLS_GOOD = {
    "IPv4": v2(rest=IPV4 + tlv(1, b"http/1.1") + TLS + tlv(4, b"")),
    "IPv6": v2(family=TCP6, rest=IPV6 + TLS),
    "unix": v2(family=UNIX, rest=UNIX_PATHS + TLS),
}


@pytest.mark.parametrize(("header", "client"), GOOD.values(), ids=GOOD)
def test_a_header_says_whose_connection_it_is(header, client):
    assert parse_proxy_header(header) == ProxyHeader(len(header), client, False)


@pytest.mark.parametrize("header", TLS_GOOD.values(), ids=TLS_GOOD)
def test_a_header_may_say_that_the_client_speaks_tls(header):
    assert parse_proxy_header(header).tls


@pytest.mark.parametrize(
    "header",
    [header for header, _ in GOOD.values()] + list(TLS_GOOD.values()),
    ids=[*GOOD, *(f"TLS {name}" for name in TLS_GOOD)],
)
def test_it_may_come_a_byte_at_a_time_and_takes_nothing_of_what_follows(header):
    for cut in range(len(header)):
        assert parse_proxy_header(header[:cut]) is None
    for behind in (b"GET / HTTP/1.1\r\n", header, b"\n", b"\x16\x03\x01"):
        assert parse_proxy_header(header + behind) == parse_proxy_header(header)


BAD = {
    "HTTP": b"GET / HTTP/1.1\r\n",
    "TLS": b"\x16\x03\x01\x02\0",
    "lower case": b"proxy TCP4",
    "an empty line": b"\r\nG",
    "something like it": b"PROXYTCP4",
    "another protocol": b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
    "no protocol": b"PROXY \r\n",
    "UNKNOWN and no space": b"PROXY UNKNOWNS\r\n",
    "no addresses": b"PROXY TCP4\r\n",
    "no ports": b"PROXY TCP4 192.0.2.1 192.0.2.2\r\n",
    "two spaces": b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
    "a space too many": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
    "a tab": b"PROXY TCP4\t192.0.2.1 192.0.2.2 1 2\r\n",
    "more": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
    "LF alone": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
    "LF alone after UNKNOWN": b"PROXY UNKNOWN\n",
    "LF before the end": b"PROXY UNKNOWN \n\r\n",
    "CR alone": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rGET\r\n",
    "a NUL": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\0\r\n",
    "IPv6 as TCP4": b"PROXY TCP4 ::1 ::1 1 2\r\n",
    "IPv4 as TCP6": b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
    "both families": b"PROXY TCP4 192.0.2.1 ::1 1 2\r\n",
    "three numbers": b"PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n",
    "256": b"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
    "an octal number": b"PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
    "a wrong destination": b"PROXY TCP4 192.0.2.1 192.0.2.999 1 2\r\n",
    "a zone": b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    "brackets": b"PROXY TCP6 [::1] ::1 1 2\r\n",
    "127 bits": b"PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n",
    "a name": b"PROXY TCP4 example.org 192.0.2.2 1 2\r\n",
    "port 65536": b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
    "destination port 65536": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
    "a heading zero": b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
    "a sign": b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
    "an underscore": b"PROXY TCP4 192.0.2.1 192.0.2.2 1_0 2\r\n",
    "too long": b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    "no end": b"PROXY UNKNOWN " + b"x" * 93,
    "a wrong signature": b"\r\n\r\n\0\r\nQUIT\r",
    "version 1 in binary": v2(0x11, rest=IPV4),
    "version 3": v2(0x31, rest=IPV4),
    "another command": v2(0x22, rest=IPV4),
    "another family": v2(family=0x41, rest=IPV4),
    "another transport": v2(family=0x13, rest=IPV4),
    "a family without transport": v2(family=0x10, rest=IPV4),
    "a transport without family": v2(family=0x01, rest=IPV4),
    "IPv4 cut": v2(rest=IPV4[:-1]),
    "IPv6 cut": v2(family=TCP6, rest=IPV6[:-1]),
    "unix cut": v2(family=UNIX, rest=UNIX_PATHS[:-1]),
    "UDP cut": v2(family=UDP4, rest=IPV4[:-1]),
    "longer than allowed": v2(LOCAL, 0, b"", MAX_PROXY_HEADER - 15),
    "the longest length": v2(LOCAL, 0, b"", 0xFFFF),
    "half an extension": v2(rest=IPV4 + b"\x04\0"),
    "an extension beyond the end": v2(rest=IPV4 + b"\x04\0\x05four"),
    "too little of TLS": v2(rest=IPV4 + tlv(0x20, b"\x01\0\0\0")),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_anything_else_is_refused(data):
    with pytest.raises(ProtocolError, match="wrong PROXY header"):
        parse_proxy_header(data)


@pytest.mark.parametrize("data", [b"G", b"\r\n\r\n\1", SIGNATURE + b"\x31\x11\0\0", b"PROXY \n"])
def test_it_is_refused_as_soon_as_it_can_be_known(data):
    assert parse_proxy_header(data[:-1] if len(data) < 16 else data[:15]) is None
    with pytest.raises(ProtocolError):
        parse_proxy_header(data)


@settings(deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=120).map(lambda data: b"PROXY " + data),
        st.text("TCP46UNKOW 0123456789abcdef.:\r\n", max_size=110).map(
            lambda text: b"PROXY " + text.encode()
        ),
        st.builds(
            v2,
            st.integers(0, 255) | st.just(PROXY),
            st.sampled_from([0, TCP4, TCP6, UNIX]) | st.integers(0, 255),
            st.binary(max_size=300),
            st.none() | st.integers(1, 65535),
        ),
    )
)
def test_whatever_comes_is_a_header_or_incomplete_or_a_protocol_error(data):
    before = None
    for cut in range(len(data) + 1):
        try:
            header = parse_proxy_header(data[:cut])
        except ProtocolError:
            assert before is None  # a whole header is not taken back
            continue
        assert header is not None or cut < MAX_PROXY_HEADER
        if header is not None:
            assert 15 <= header.size <= cut
            assert before in (None, header)
            before = header
            if header.client is not None and header.client[0]:
                ip_address(header.client[0])
                assert 0 <= header.client[1] <= 65535
