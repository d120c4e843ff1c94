"""Lets the kernel cut connections whose peers have fallen silent, where nobody answers pings.

Source: RFC 5482, the TCP user timeout.
"""

from __future__ import annotations

import math
import socket
from typing import Final

from finch.net.plain import SocketTransport
from finch.net.streams import StreamTransport
from finch.net.transport import Transport

_OPTION: Final = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux
_LONGEST: Final = 2**31 - 1  # ms


def limit_silence(transport: Transport, seconds: float) -> None:
    """Cut a connection if the peer's kernel confirms nothing of what was sent for so long.

    Does nothing where the kernel cannot do that.
    """
    if not isinstance(transport, SocketTransport | StreamTransport) or not math.isfinite(seconds):
        return
    sock = transport.socket
    if _OPTION is not None and sock is not None and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, _OPTION, min(int(seconds * 1000), _LONGEST))
