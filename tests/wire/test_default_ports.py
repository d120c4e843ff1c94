"""An origin without a port has the port of its scheme."""

import pytest

from finch.wire.handshake import parse_origin, same_origin


@pytest.mark.parametrize(
    ("scheme", "port"), [("http", 80), ("https", 443), ("ws", 80), ("wss", 443)]
)
def test_each_scheme_has_its_port(scheme, port):
    assert parse_origin(f"{scheme}://a.example") == (scheme, "a.example", port)
    assert parse_origin(f"{scheme}://a.example:{port}") == (scheme, "a.example", port)
    for host in ("a.example", f"a.example:{port}"):
        assert same_origin(f"{scheme}://a.example", "http", host)
    for wrong in (port - 1, port + 1):
        assert not same_origin(f"{scheme}://a.example", "http", f"a.example:{wrong}")


@pytest.mark.parametrize(("port", "valid"), [(0, False), (1, True), (65535, True), (65536, False)])
def test_a_port_is_from_1_to_65535(port, valid):
    assert (parse_origin(f"https://a.example:{port}") is not None) is valid
