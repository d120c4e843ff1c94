"""``Forwarded`` and ``X-Forwarded-*``: the chain of hops and its parts."""

from ipaddress import ip_address

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from finch.errors import ProtocolError
from finch.wire.forwarded import (
    Hop,
    parse_host,
    parse_node,
    parse_scheme,
    read_forwarded,
    read_x_forwarded,
)

# Forwarded (RFC 7239, section 4)


@pytest.mark.parametrize(
    ("value", "hops"),
    [
        # the standard's own examples
        (b'for="_gazonk"', [Hop(b"_gazonk")]),
        (b'For="[2001:db8:cafe::17]:4711"', [Hop(b"[2001:db8:cafe::17]:4711")]),
        (b"for=192.0.2.60;proto=http;by=203.0.113.43", [Hop(b"192.0.2.60", b"http")]),
        (b"for=192.0.2.43, for=198.51.100.17", [Hop(b"192.0.2.43"), Hop(b"198.51.100.17")]),
        (b"for=_hidden, for=_SEVKISEK", [Hop(b"_hidden"), Hop(b"_SEVKISEK")]),
        (
            b'for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown',
            [Hop(b"192.0.2.43"), Hop(b"[2001:db8:cafe::17]"), Hop(b"unknown")],
        ),
        # all that there is, in any order and case
        (
            b'HOST="example.org:8443";by=_me;PROTO=https;FOR=a',
            [Hop(b"a", b"https", b"example.org:8443")],
        ),
        (b"proto=https", [Hop(proto=b"https")]),
        (b"secret=1", [Hop()]),
        # white space, and elements and parameters that are empty
        (b" \tfor=a \t; \tproto=b \t, \thost=c\t ", [Hop(b"a", b"b"), Hop(host=b"c")]),
        (b";for=a;;proto=b;", [Hop(b"a", b"b")]),
        (b",,for=a, ,;,host=c,", [Hop(b"a"), Hop(host=b"c")]),
        (b"", []),
        (b" ,\t; ,", []),
        # quoted strings (RFC 9110, section 5.6.4)
        (b'for=""', [Hop(b"")]),
        (b'for="a,b;c=d"', [Hop(b"a,b;c=d")]),
        (b'for="a\\"b\\\\c\\d"', [Hop(b'a"b\\cd')]),
        (b'host="\x80\xff\t!"', [Hop(host=b"\x80\xff\t!")]),
    ],
)
def test_forwarded_is_a_chain_of_hops(value, hops):
    assert read_forwarded(value) == hops


@pytest.mark.parametrize(
    "value",
    [
        b"for",
        b"for=",
        b"=a",
        b"192.0.2.43",
        b"for =a",
        b"for= a",
        b"for=a b",
        b"for=a proto=b",
        b'for="a',
        b'for="a\\"',
        b'for=a"',
        b'for="a"b',
        b'for="a""b"',
        b'for="a\nb"',
        b'for="a\\\n"',
        b"for=[::1]",
        b"for=192.0.2.43:80",
        b"for=a\x80",
        b"f\xf6r=a",
        b"for=a;for=b",
        b"for=a;FOR=a",
        b"x=1;for=a;x=1",
        b'for="", , proto=a;proto=""',
    ],
)
def test_what_is_malformed_is_refused_as_a_whole(value):
    for whole in (value, b"for=192.0.2.1, " + value, value + b", for=192.0.2.1"):
        with pytest.raises(ProtocolError) as refused:
            read_forwarded(whole)
        assert refused.value.status == 400


def test_reading_takes_linear_time():
    for value in (b" " * 16_000 + b"x", b'for="' + b"\\a" * 8_000, b"a" * 16_000, b"=" * 16_000):
        with pytest.raises(ProtocolError):
            read_forwarded(value)


# X-Forwarded-*


@pytest.mark.parametrize(
    ("nodes", "protos", "hosts", "hops"),
    [
        (b"192.0.2.1", b"https", b"a", [Hop(b"192.0.2.1", b"https", b"a")]),
        (b"a ,\tb,c", b"", b"", [Hop(b"a"), Hop(b"b"), Hop(b"c")]),
        (b",a,, b,", b"", b"", [Hop(b"a"), Hop(b"b")]),
        # as many of each
        (b"a, b", b"https, http", b"x, y", [Hop(b"a", b"https", b"x"), Hop(b"b", b"http", b"y")]),
        # the first proxy's, passed on
        (b"a, b", b"https", b"x", [Hop(b"a", b"https", b"x"), Hop(b"b", b"https", b"x")]),
        (
            b"a, b, c",
            b"https, http",
            b"",
            [Hop(b"a", b"https"), Hop(b"b", b"https"), Hop(b"c", b"http")],
        ),
        # one more than there are hops: a client's own
        (b"a", b"https, http", b"x, y", [Hop(b"a", b"http", b"y")]),
        (b"", b"https", b"x", [Hop(None, b"https", b"x")]),
        (b"", b"ftp, https", b"", [Hop(None, b"https")]),
        (b"", b"", b"", [Hop()]),
        # IPv6, which nobody writes in brackets here
        (b"2001:db8::17", b"", b"", [Hop(b"[2001:db8::17]")]),
        (
            b"[2001:db8::17]:80, 192.0.2.1:80",
            b"",
            b"",
            [Hop(b"[2001:db8::17]:80"), Hop(b"192.0.2.1:80")],
        ),
    ],
)
def test_x_forwarded_is_the_same_chain(nodes, protos, hosts, hops):
    assert read_x_forwarded(nodes, protos, hosts) == hops


# Nodes (RFC 7239, section 6)


@pytest.mark.parametrize(
    ("node", "address"),
    [
        (b"192.0.2.43", ("192.0.2.43", 0)),
        (b"192.0.2.43:47011", ("192.0.2.43", 47011)),
        (b"192.0.2.43:_port", ("192.0.2.43", 0)),
        (b"[2001:DB8:cafe::17]", ("2001:db8:cafe::17", 0)),
        (b"[2001:db8::1]:65535", ("2001:db8::1", 65535)),
        (b"[::ffff:192.0.2.1]:00080", ("192.0.2.1", 80)),
        (b"unknown", ("", 0)),
        (b"Unknown:80", ("", 0)),
        (b"_gazonk", ("", 0)),
        (b"_a.B-c_9:_x", ("", 0)),
    ],
)
def test_a_node_is_an_address_or_hidden(node, address):
    assert parse_node(node) == address


@pytest.mark.parametrize(
    "node",
    [
        b"",
        b"_",
        b"_a b",
        b"unknowns",
        b"example.org",
        b"localhost",
        b"192.0.2",
        b"192.0.2.256",
        b"192.0.02.1",
        b"192.0.2.1:",
        b"192.0.2.1:80:80",
        b"192.0.2.1:65536",
        b"192.0.2.1:123456",
        b"192.0.2.1:-1",
        b"192.0.2.1:x",
        b"unknown:65536",
        b" 192.0.2.1",
        b"192.0.2.1\n",
        b"2001:db8::1",
        b"[2001:db8::1",
        b"2001:db8::1]",
        b"[192.0.2.1]",
        b"[fe80::1%eth0]",
        b"[1:2:3]",
        b"[]",
        b"\xb2.0.2.1",
    ],
)
def test_any_other_node_is_refused(node):
    with pytest.raises(ProtocolError) as refused:
        parse_node(node)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [(b"http", "http"), (b"HTTPS", "https"), (b"ws", "http"), (b"wss", "https")],
)
def test_a_scheme_is_that_of_http(proto, scheme):
    assert parse_scheme(proto) == scheme


@pytest.mark.parametrize("proto", [b"", b"ftp", b"https:", b"h\xffttp", b"javascript"])
def test_any_other_scheme_is_refused(proto):
    with pytest.raises(ProtocolError):
        parse_scheme(proto)


@pytest.mark.parametrize("host", [b"example.org", b"example.org:8443", b"[::1]:80", b"192.0.2.1"])
def test_a_host_is_what_host_may_be(host):
    assert parse_host(host) == host.decode()


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"a b",
        b"a/b",
        b"user@a",
        b"a:b",
        b"[::1",
        b"[1:2]",
        b"a:65536",
        b"a\xff",
        b"a\n",
        b"a?b",
        b"a#b",
        b'"a"',
    ],
)
def test_any_other_host_is_refused(host):
    with pytest.raises(ProtocolError):
        parse_host(host)


WORDS = b'for= proto= host= " \\ , ; = :80 192.0.2.1 [::1] unknown _a https example.org'.split()
pieces = st.sampled_from([b" ", *WORDS])


@settings(deadline=None)
@given(st.lists(pieces | st.binary(max_size=3), max_size=12).map(b"".join))
def test_whatever_comes_is_read_or_a_protocol_error(value):
    try:
        chain = read_forwarded(value)
    except ProtocolError:
        chain = []
    for hop in chain + read_x_forwarded(value, value, value):
        for part, parse in zip(hop, (parse_node, parse_scheme, parse_host), strict=True):
            try:
                parsed = None if part is None else parse(part)
            except ProtocolError:
                continue
            if parse is parse_node and parsed and parsed[0]:
                ip_address(parsed[0])
            elif parse is parse_scheme:
                assert parsed in (None, "http", "https")
