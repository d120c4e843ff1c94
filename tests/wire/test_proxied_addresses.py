"""The client's address and port are taken from a PROXY header whose other fields are set, too."""

import struct
from ipaddress import ip_address

import pytest

from finch.wire.proxy import parse_proxy_header

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.mark.parametrize(
    ("family", "client", "server"),
    [
        (0x11, "203.0.113.255", "198.51.100.254"),
        (0x21, "2001:db8::ffff", "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe"),
    ],
)
@pytest.mark.parametrize("port", [0, 1, 255, 256, 56324, 65535])
def test_the_clients_port_is_its_own_whatever_the_server_is(family, client, server, port):
    addresses = ip_address(client).packed + ip_address(server).packed
    rest = addresses + struct.pack("!HH", port, 0xFFFF)
    header = SIGNATURE + struct.pack("!BBH", 0x21, family, len(rest)) + rest
    assert parse_proxy_header(header + b"GET /") == (len(header), (client, port), False)
