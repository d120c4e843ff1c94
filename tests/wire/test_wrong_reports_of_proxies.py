"""What a proxy reports wrongly is the proxy's mistake: 400, and nothing else."""

import pytest

from finch.errors import ProtocolError
from finch.wire.forwarded import parse_host, parse_scheme


@pytest.mark.parametrize("proto", [b"", b"ftp", b"https ", b"http,https"])
def test_a_scheme_that_is_none(proto):
    with pytest.raises(ProtocolError, match="neither http nor https") as caught:
        parse_scheme(proto)
    assert caught.value.status == 400


@pytest.mark.parametrize("host", [b"a b", b"a/b", b"[::1", b"a:b:c"])
def test_a_host_that_is_none(host):
    with pytest.raises(ProtocolError, match="a host in Forwarded") as caught:
        parse_host(host)
    assert caught.value.status == 400
