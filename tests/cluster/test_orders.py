"""What a supervisor and its workers say to each other: whole lines, in any pieces."""

import msgspec
import pytest

from finch.cluster.orders import (
    Drain,
    Failed,
    Hurry,
    Lead,
    Lines,
    Order,
    Ready,
    Report,
    Resigned,
    line_of,
)

ORDERS = [Lead(), Drain(restart=True), Hurry()]
REPORTS = [Ready("Finch\nserves", None, 0.5), Failed("no database\n"), Resigned()]


@pytest.mark.parametrize(("kind", "messages"), [(Order, ORDERS), (Report, REPORTS)])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_messages_are_read_from_pieces_of_any_size(kind, messages, size):
    data = b"".join(map(line_of, messages))
    lines = Lines(kind)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert [one for piece in pieces for one in lines.feed(piece)] == messages


@pytest.mark.parametrize("line", [b"{}\n", b"nonsense\n", b'{"type":"lead"}\n', b"\n"])
def test_anything_else_is_an_error(line):
    with pytest.raises(msgspec.DecodeError):
        Lines(Report).feed(line)
