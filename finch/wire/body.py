"""Reads a request's body. A body with wrong framing never reaches h11.

h11 parses bodies, but it is less strict about the chunked coding than RFC 9112, section 7.1. It
accepts any bytes as chunk extensions and any number of them, sizes of 20 digits, and bare LFs and
folded lines in the trailers. So this module first checks each line of the framing.

Chunks that have arrived whole are taken directly from the buffer, several at a time. Before and
after them, h11 waits between two chunks, so it does not notice. h11 takes 6 us per chunk, and a
megabyte may come in a million chunks. Property tests show that the body is the same. h11 reads all
the rest: an incomplete chunk, the last chunk, trailers, and a body with a known length.

A body with a known length needs none of this: see ``finch.wire.sized``. h11 is slow to import, and
few requests have a chunked body. So ``finch.wire.http`` imports this module at the first of them.
"""

from __future__ import annotations

import enum
import re
from typing import Final

import h11

from finch.config import Limits
from finch.errors import ProtocolError
from finch.turns import BODY_STEPS
from finch.wire.head import FIELD_LINE, FRAMING, TOKEN

_QUOTED: Final = (  # RFC 9110, section 5.6.4
    rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]++|\\[\t \x21-\x7e\x80-\xff])*+"'
)
_EXTENSION: Final = rb"[ \t]*+;[ \t]*+%b(?:[ \t]*+=[ \t]*+(?:%b|%b))?" % (TOKEN, TOKEN, _QUOTED)
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16}+)((?:%b)*+)\r\n" % _EXTENSION)
_SHORT_LINE: Final = 18  # a size of 16 digits and its CRLF
_TRAILER: Final = re.compile(FIELD_LINE)


class _Next(enum.Enum):
    """What comes next in a body."""

    DATA = "data"
    DATA_END = "the line end after a chunk's data"
    SIZE = "the size of a chunk"
    TRAILER = "a trailer, or the empty line after the trailers"
    NOTHING = "nothing; the body is over"


_DATA, _DATA_END, _SIZE, _TRAILER_LINE, _NOTHING = _Next

_UNREAD: Final = (h11.SEND_BODY, h11.ERROR)  # h11's states while the body is not complete


class RequestBody:
    """One request's body, in pieces as they arrive.

    Parameters:
        head: the request's head as it came; complete and already checked.
        length: bytes of the body; None if it is chunked.
        limits: as for :class:`BodyScanner`.
    """

    __slots__ = ("_begun", "_h11", "_hungry", "_scanner")

    def __init__(self, head: bytes, length: int | None, limits: Limits) -> None:
        self._scanner = BodyScanner(length, limits)
        self._begun = False  # whether chunks were taken without h11
        self._hungry = False  # whether h11 has asked for more, and has got nothing since
        self._h11 = h11.Connection(h11.SERVER, limits.max_head)
        self._h11.receive_data(head)
        self._next_event()  # the head

    @property
    def unread(self) -> bool:
        """Whether a part of the body is still to come or to be read."""
        return self._h11.their_state in _UNREAD

    @property
    def awaits_continue(self) -> bool:
        """Whether the peer waits for ``100 Continue`` before it sends the body."""
        return not self._begun and self._h11.they_are_waiting_for_100_continue

    def send_continue(self) -> bytes:
        """``100 Continue``."""
        return self._h11.send(
            h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
        )

    def read(self, buffer: bytearray, closed: bool) -> bytes | None:
        """The next piece; ``b""`` at the end; None while bytes are missing.

        Parameters:
            buffer: the bytes that have come and are not read yet. What is read is removed.
            closed: whether no more bytes will come.

        Raises:
            ProtocolError: 400, 413 or 431 if the framing is broken; also 400 if the peer left in
                the middle.
        """
        while self.unread:
            event = h11.NEED_DATA if self._hungry else self._next_event()
            if isinstance(event, h11.Data):
                return bytes(event.data)
            if event is h11.NEED_DATA:
                # h11 has used all that it got. Only now may chunks go past it, and only between
                # two chunks: within a chunk, h11 would take the next bytes for its rest.
                self._hungry = True
                chunks = self._scanner.take_chunks(buffer)
                if chunks:
                    self._begun = True
                    return chunks
                end = self._scanner.advance(buffer)
                if not end and not closed:
                    return None
                self._hungry = False
                self._h11.receive_data(bytes(buffer[:end]))  # b"" tells it that no more will come
                del buffer[:end]
        return b""

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            raise ProtocolError(error.error_status_hint, f"malformed request: {error}") from None


class BodyScanner:
    """Finds the parts of one body in the bytes of its connection, and checks its framing.

    Parameters:
        length: bytes of the body; None if it is chunked.
        limits: chunk extensions and trailers together may be as long as a head; there may be as
            many trailers as headers.

    Source: RFC 9112, sections 6.3 and 7.1.

    Example::

        scanner = BodyScanner(None, Limits())
        scanner.advance(bytearray(b"5\\r\\nhello\\r\\n0\\r\\n\\r\\nGET "))  # 15: there it ends
    """

    __slots__ = ("_after_data", "_left", "_next", "_room", "_trailers")

    def __init__(self, length: int | None, limits: Limits) -> None:
        self._next = _SIZE if length is None else _DATA
        self._after_data = _DATA_END if length is None else _NOTHING
        self._left = length or 0  # bytes that the current data still has
        self._room = limits.max_head  # bytes that extensions and trailers may still have
        self._trailers = limits.max_headers  # how many trailers may still come

    def take_chunks(self, buffer: bytearray) -> bytes:
        """Take the chunks at the beginning of the buffer that have arrived whole.

        Parameters:
            buffer: the bytes that have come and are not read yet. What is taken is removed.

        Returns:
            Their data. ``b""`` if there is no such chunk, or if :meth:`advance` must come first.
        """
        if self._next is not _SIZE or b"\n" not in buffer:
            return b""
        pieces = []
        at, match, left = 0, _SIZE_LINE.match, self._room
        for _ in range(BODY_STEPS):
            found = match(buffer, at)
            if found is None:
                break
            digits, extensions = found.groups()
            size = int(digits, 16)
            begin = found.end()
            end = begin + size
            if not size or buffer[end : end + 2] != b"\r\n" or len(extensions) > left:
                break
            if extensions[:1] in (b" ", b"\t"):  # correct, but h11 refuses it
                break
            left -= len(extensions)
            pieces.append(buffer[begin:end])
            at = end + 2
        self._room = left
        data = b"".join(pieces)
        del buffer[:at]
        return data

    def advance(self, buffer: bytearray) -> int:
        """Check the framing of bytes that have come, in whole lines.

        Parameters:
            buffer: the bytes that have come and are not read yet.

        Returns:
            How many bytes belong to the body and are correct; 0 if more must come first. It stops
            at the end of a chunk: call it again.

        Raises:
            ProtocolError: 400 for wrong framing, 413 for too many chunk extensions, 431 for too
                many trailers. Raised only when all bytes before the mistake have been taken.
        """
        at = 0
        for _ in range(BODY_STEPS):
            if at == len(buffer) or self._next is _NOTHING:
                break
            try:
                end = self._step(buffer, at)
            except ProtocolError:
                if at:
                    break
                raise
            if end == at:
                break
            at = end
            if self._next is _SIZE:  # take_chunks may take the next ones
                break
        return at

    def _step(self, buffer: bytearray, at: int) -> int:
        """Check the data or line that begins at this place. Returns where it ends."""
        if self._next is _DATA:
            taken = min(self._left, len(buffer) - at)
            self._left -= taken
            if not self._left:
                self._next = self._after_data
            return at + taken
        if self._next is _DATA_END:
            end = buffer[at : at + 2]
            if not b"\r\n".startswith(end):
                raise ProtocolError(400, "a chunk does not end where its size says")
            if len(end) < 2:
                return at
            self._next = _SIZE
            return at + 2
        longest = at + _SHORT_LINE + self._room
        line_end = buffer.find(b"\n", at, longest) + 1
        if line_end:
            self._read_line(buffer, at, line_end)
        elif len(buffer) >= longest:
            raise self._too_long()
        return line_end or at

    def _read_line(self, buffer: bytearray, at: int, end: int) -> None:
        if self._next is _SIZE:
            # the pattern checks the digits: int() alone would accept "+5", "0x5" and "5_0"
            found = _SIZE_LINE.fullmatch(buffer, at, end)
            if found is None:
                raise ProtocolError(400, "a chunk's size is not a line of hexadecimal digits")
            self._take_room(found.end(2) - found.start(2))
            self._left = int(found[1], 16)
            self._next = _DATA if self._left else _TRAILER_LINE
        elif buffer.startswith(b"\r\n", at):
            self._next = _NOTHING
        else:
            found = _TRAILER.fullmatch(buffer, at, end)
            if found is None:
                raise ProtocolError(400, "a trailer line is not of the form 'Name: value'")
            if bytes(buffer[at:end]).partition(b":")[0].lower() in FRAMING:
                # "A sender MUST NOT generate" these (RFC 9110, 6.5.1): request smuggling uses them
                raise ProtocolError(400, "a trailer cannot frame or route its message")
            if not self._trailers:
                raise self._too_long()
            self._take_room(end - at)
            self._trailers -= 1

    def _take_room(self, size: int) -> None:
        if size > self._room:
            raise self._too_long()
        self._room -= size

    def _too_long(self) -> ProtocolError:
        # "A server ought to limit the total length of chunk extensions received in a request ...
        # and generate an appropriate 4xx (Client Error) response" (RFC 9112, 7.1.1)
        if self._next is _SIZE:
            return ProtocolError(413, "the chunk extensions are too long")
        return ProtocolError(431, "the trailers are too long or too many")
