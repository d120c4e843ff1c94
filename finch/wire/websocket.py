"""WebSocket messages on the server's side of one connection: bytes to whole messages and back.

A complete, unfragmented, masked frame (a message, a ping or a pong) is taken directly from the
buffer. ``finch.wire.authority`` handles everything else. It is imported and created only when it is
needed, because it takes nearly as much memory as all the rest of an idle connection. Property tests
show that both ways give the same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from finch.explain import not_text
from finch.turns import FRAMES
from finch.wire.events import CloseReceived, Failed, PingReceived, PongReceived, SocketInput
from finch.wire.frames import BAD_GATEWAY, BINARY, PING, PONG, TEXT, frame
from finch.wire.masking import mask

if TYPE_CHECKING:
    from wsproto.extensions import Extension

    from finch.wire.authority import Authority


def check_close_code(code: int) -> None:
    """Refuse a code that an application must not close with.

    Raises:
        TypeError: if the code is not an int.
        ValueError: if applications must not use the code (RFC 6455, section 7.4).
    """
    if not isinstance(code, int) or isinstance(code, bool):
        raise TypeError(f"a close code is an int, not {code!r}; write close(1000, 'why')")
    known = (1000, 1001, 1003, 1007, 1008, 1009, 1011, 1012, 1013, BAD_GATEWAY)
    if not (code in known or 3000 <= code <= 4999):
        raise ValueError(
            f"{code} is not a code to close with; use 1000, 1001, 1003, 1007 to 1009, 1011 to "
            "1014, or your own from 3000 to 4999"
        )


def check_close(code: int, reason: str) -> None:
    """Refuse a code or reason that an application must not close with.

    Raises:
        TypeError: if the code is not an int, or the reason is not text.
        ValueError: as for :func:`check_close_code`, or if the reason is longer than a control frame
            can hold (RFC 6455, section 5.5).
    """
    check_close_code(code)
    if not isinstance(reason, str):
        raise TypeError(f"a close reason is text, not {type(reason).__name__}")
    fault = None if reason.isascii() else not_text(reason)
    if fault:
        raise ValueError(f"the close reason has {fault}")
    size = len(reason.encode("utf-8"))
    if size > 123:
        raise ValueError(
            f"the close reason takes {size} bytes as UTF-8, and a Close frame has room for 123; "
            "send a message before it for anything longer"
        )


class WebSocketProtocol:
    """The server's half of an open WebSocket, without any I/O.

    Parameters:
        max_message_size: bytes of one message after decompression; more is :class:`Failed` 1009.
        max_fragments: frames of one message, empty ones too; more is :class:`Failed` 1009.
        extensions: the extensions that the handshake accepted.
        fast: whether whole frames may be taken without wsproto. Tests compare both ways.

    Source: RFC 6455, RFC 7692.

    Example::

        protocol = WebSocketProtocol(max_message_size=1024, max_fragments=16)
        protocol.receive_data(data)
        while (event := protocol.next_event()) is not None:
            ...
    """

    __slots__ = (
        "_at",
        "_authority",
        "_data",
        "_direct",
        "_ended",
        "_extensions",
        "_fast",
        "_handed_over",
        "_max_fragments",
        "_max_message_size",
    )

    def __init__(
        self,
        *,
        max_message_size: int,
        max_fragments: int,
        extensions: Sequence[Extension] = (),
        fast: bool = True,
    ) -> None:
        self._max_message_size = max_message_size
        self._max_fragments = max_fragments
        self._extensions = extensions
        self._fast = fast
        self._data = b""  # received bytes; those from _at on are not handled yet
        self._at = 0
        self._direct = fast  # a message may be taken directly now
        self._ended = False  # all further bytes are ignored
        self._authority: Authority | None = None
        self._handed_over = False  # the authority may have events that were not asked for yet

    @property
    def compressed(self) -> bool:
        """Whether messages may be compressed."""
        return bool(self._extensions)

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer; :meth:`next_event` returns what they mean."""
        if not self._ended:
            self._data = self._data[self._at :] + data if self._at < len(self._data) else data
            self._at = 0

    def next_event(self) -> SocketInput | None:
        """The next event from the peer, in the order in which they came; None if there is none yet.

        Also None after many frames that are not events, such as fragments; then ``unread`` is
        True. If the caller stops asking, the rest stays unparsed. This limits reading ahead.
        """
        if self._direct:
            taken = self._take()
            if taken is not None:
                return taken
        return self._next_of_several()

    def _next_of_several(self) -> SocketInput | None:
        """The first event of the next few frames."""
        for _ in range(FRAMES):
            if self._handed_over:
                assert self._authority is not None
                event = self._authority.next_event()
                if event is not None:
                    if isinstance(event, CloseReceived | Failed):
                        self._ended = True
                        self._handed_over = False
                    return event
                self._handed_over = False
                self._direct = self._fast and self._authority.between_messages
            elif self._at >= len(self._data) or self._ended:
                return None
            else:
                self._hand_over()
            if self._direct:
                taken = self._take()
                if taken is not None:
                    return taken
        return None

    @property
    def unread(self) -> bool:
        """Whether :meth:`next_event` has not handled all received bytes yet."""
        return not self._ended and (self._handed_over or self._at < len(self._data))

    def rest(self) -> None:
        """Called when the peer is silent: frees what is not needed until it sends again."""
        if self._authority is not None and not self._handed_over and self._authority.forgettable:
            self._authority.end()
            self._authority = None

    def end(self) -> None:
        """Called when nothing more will come. Received bytes that are not handled are lost."""
        self._ended = True
        self._direct = self._handed_over = False
        if self._authority is not None:
            self._authority.end()

    def _take(self) -> str | bytes | PingReceived | PongReceived | None:
        """The message, ping or pong at the beginning of the buffer, if it is complete and correct
        in one frame; None for anything else."""
        data, at = self._data, self._at
        if len(data) - at < 6:
            return None
        opcode, second = data[at], data[at + 1]
        if second < 0x80:
            return None
        if opcode != TEXT and opcode != BINARY:
            return self._take_control() if opcode in (PING, PONG) else None
        length = second & 0x7F
        begin = at + 6
        if length >= 126:
            if length == 126:
                length = int.from_bytes(data[at + 2 : at + 4], "big")
                shortest, begin = 126, at + 8
            else:
                length = int.from_bytes(data[at + 2 : at + 10], "big")
                shortest, begin = 65536, at + 14
            if length < shortest:
                return None
        end = begin + length
        if end > len(data) or length > self._max_message_size:
            return None
        payload = mask.unmask(data[begin:end], data[begin - 4 : begin])
        message: str | bytes = payload
        if opcode == TEXT:
            try:
                message = payload.decode()
            except UnicodeDecodeError:
                return None
        self._use_up(end)
        return message

    def _take_control(self) -> PingReceived | PongReceived | None:
        data, at = self._data, self._at
        begin = at + 6
        end = begin + (data[at + 1] & 0x7F)
        if end > begin + 125 or end > len(data):
            return None
        payload = mask.unmask(data[begin:end], data[begin - 4 : begin])
        self._use_up(end)
        return PingReceived(payload) if data[at] == PING else PongReceived(payload)

    def _use_up(self, end: int) -> None:
        if end == len(self._data):  # so that an idle peer takes no memory
            self._data = b""
            end = 0
        self._at = end

    def _hand_over(self) -> None:
        """Give the authority the rest of the current frame, as far as it has arrived."""
        self._use_up(self._slow().receive_data(self._data, self._at))
        self._handed_over = True
        self._direct = False

    def _slow(self) -> Authority:
        if self._authority is None:
            from finch.wire.authority import Authority

            self._authority = Authority(
                self._max_message_size, self._max_fragments, self._extensions
            )
        return self._authority

    # Writing

    def send_message(self, data: str | bytes) -> bytes:
        """The frame of a whole message: text for str, binary for bytes."""
        if self._extensions:
            compressed = self._slow().send_message(data)
            if compressed is not None:
                return compressed
        if isinstance(data, str):
            return frame(TEXT, data.encode("utf-8"))
        return frame(BINARY, data)

    def send_ping(self, payload: bytes = b"") -> bytes:
        """A ping. Without a payload, any byte from the peer counts as its answer. With a payload
        (at most 125 bytes), its pong can be distinguished from others."""
        return frame(PING, payload)

    def send_pong(self, payload: bytes) -> bytes:
        """The answer to a ping: "identical Application data" (RFC 6455, section 5.5.3)."""
        return frame(PONG, payload)

    def send_close(self, code: int, reason: str = "") -> bytes:
        """The Close frame, or ``b""`` if it was already sent.

        Parameters:
            code: 1005 sends a Close without a code. 1006 and 1015 are never sent; 1000 is sent
                instead.
            reason: cut to the 123 bytes that a control frame can hold.
        """
        return self._slow().send_close(code, reason)
