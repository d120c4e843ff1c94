"""A ClientHello is as long as all three bytes of its length say."""

import pytest

from finch.wire.hello import offered_alpn
from tests.wire.test_hello import hello, records


@pytest.mark.parametrize("size", [100, 16384])
def test_one_whose_rest_is_still_to_come_is_not_read(size):
    message = hello("h2")[5:]
    assert offered_alpn(records(message, size)) == (b"h2",)
    assert message[1] == 0
    longer = message[:1] + b"\x01" + message[2:]
    assert offered_alpn(records(longer, size)) is None
