"""A body of known length: what is read without h11 is what h11 would give."""

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from finch.config import Limits
from finch.errors import ProtocolError
from finch.wire.body import RequestBody
from finch.wire.head import read_head
from finch.wire.sized import SizedBody

EXPECTATIONS = [b"", b"Expect: 100-continue", b"expect: 100-CONTINUE", b"Expect:", b"Expect: ,"]


def read(body, pieces, closed, answers_continue):
    """All that a body says while pieces arrive: what is read, what waits, what is left."""
    buffer, said = bytearray(), []
    for number, piece in enumerate([*pieces, b""]):
        buffer += piece
        said.append((body.awaits_continue, body.unread))
        if answers_continue and not buffer and body.awaits_continue:
            said.append(body.send_continue())
        over = closed and number == len(pieces)
        try:
            while (data := body.read(buffer, over)) is not None:
                said.append(data)
                if not data:
                    break
        except ProtocolError as error:
            said.append(error.status)
            break
    if body.unread:
        said.append("unread")
    return joined(said), bytes(buffer)


def joined(said):
    """Pieces that follow each other, as one: where one is cut does not matter."""
    whole = []
    for one in said:
        if isinstance(one, bytes) and whole and isinstance(whole[-1], bytes) and one:
            whole[-1] += one
        else:
            whole.append(one)
    return whole


@given(
    length=st.integers(1, 12),
    pieces=st.lists(st.binary(max_size=8), max_size=5),
    closed=st.booleans(),
    version=st.sampled_from([b"1.1", b"1.0"]),
    expectation=st.sampled_from(EXPECTATIONS),
    answers=st.booleans(),
)
@example(5, [b"hello"], False, b"1.1", b"", False)
@example(5, [b"hel", b"lo, world"], True, b"1.1", EXPECTATIONS[1], True)
def test_it_is_read_as_h11_reads_it(length, pieces, closed, version, expectation, answers):
    lines = [b"POST / HTTP/" + version, b"Host: a", b"Content-Length: %d" % length]
    head = b"\r\n".join([*lines, *filter(None, [expectation]), b"", b""])

    ours = read(SizedBody(read_head(head)[0], length), pieces, closed, answers)
    theirs = read(RequestBody(head, length, Limits()), pieces, closed, answers)

    assert ours == theirs


def test_a_peer_that_leaves_in_the_middle_is_told_how_much_is_missing():
    body = SizedBody(read_head(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")[0], 5)

    assert body.read(bytearray(b"he"), False) == b"he"
    assert body.read(bytearray(), False) is None
    with pytest.raises(ProtocolError, match="3 bytes of the body are missing"):
        body.read(bytearray(), True)
