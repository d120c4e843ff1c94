"""What feeds upgraded sockets: one reader task each.

A reader takes bytes from a link's transport and has the link deal with them, unless the link is
paused. It goes on until the stream ends, whatever the WebSocket above it is doing.
"""

from __future__ import annotations

import trio

from finch.sockets.link import Link


async def read_link(link: Link) -> None:
    """Feed a link until its stream ends."""
    transport = link.transport
    while True:
        while link.pump():
            await trio.lowlevel.checkpoint()
        if link.paused:
            await link.wait_resumed()
            continue
        data = await transport.receive()
        if not data:
            link.eof()
            return
        link.receive(data)
