"""Server-sent events as bytes: the format ``text/event-stream``.

Source: WHATWG HTML, section 9.2.
"""

from __future__ import annotations

import re
from typing import Final

CONTENT_TYPE: Final = "text/event-stream; charset=utf-8"

# "no-store": a stream has no end that could be stored. "no-transform": proxies that compress would
# hold events back. "X-Accel-Buffering" is nginx's: it would wait for more, up to 64 KiB.
HEADERS: Final = (("cache-control", "no-store, no-transform"), ("x-accel-buffering", "no"))

BEAT: Final = b":\n\n"
"""A comment, which clients ignore. It keeps what is silent from being cut."""

# "lines must be separated by either a CRLF pair, a single LF, or a single CR character"
_END_OF_LINE: Final = re.compile(rb"\r\n|\r|\n")


def encode_event(
    data: bytes | None = None,
    *,
    event: str | None = None,
    id: str | None = None,
    retry: int | None = None,
    comment: str | None = None,
) -> bytes:
    """One event, with the empty line at its end.

    Parameters:
        data: UTF-8; each of its lines becomes a line of the event. Without data, clients dispatch
            no event.
        event: its type, without line breaks.
        id: what a client that comes back sends as ``Last-Event-ID``; without line breaks and NUL.
        retry: milliseconds that a client waits before it comes back.
        comment: what clients ignore.

    Example::

        encode_event(b"hello\\nworld", id="7")  # b"id: 7\\ndata: hello\\ndata: world\\n\\n"
    """
    lines: list[bytes] = []
    if comment is not None:
        lines += [b": %b" % line for line in _END_OF_LINE.split(comment.encode())]
    if event is not None:
        lines.append(b"event: %b" % event.encode())
    if id is not None:
        lines.append(b"id: %b" % id.encode())
    if retry is not None:
        lines.append(b"retry: %d" % retry)
    if data is not None:
        if b"\n" in data or b"\r" in data:
            lines += [b"data: %b" % line for line in _END_OF_LINE.split(data)]
        else:
            lines.append(b"data: %b" % data)
    lines.append(b"\n")
    return b"\n".join(lines)
