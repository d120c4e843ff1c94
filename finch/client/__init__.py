"""finch.client: a client of Finch in Python, on trio.

It connects again after a cut, joins its rooms again, and gets what it has missed.

Example::

    from finch.client import connect

    async with connect("ws://127.0.0.1:8080/ws") as finch:
        async with finch.join("chat/lobby", last=50) as lobby:
            async for message in lobby.messages("said"):
                print(message.data)

address, options         what it connects to, and how
backoff                  when it comes back
said, events             what is said and told, as values
calls, queue, membership what must hold across connections, ...
conversation             ... put together: texts in, texts and events out
dial, connection         bytes: the handshake, and one open WebSocket
mailbox, pending         tasks that wait for messages and answers
answers                  who answers calls of the server
core, keeper             ... put together: who is told what, and who keeps the connection
stream, room, finch      the handles
"""

from finch.client.events import Dropped, Event, Gap, State, StateChanged
from finch.client.finch import Finch, connect
from finch.client.mailbox import Events, Messages
from finch.client.membership import Person
from finch.client.options import Options
from finch.client.room import Room
from finch.client.said import Message
from finch.client.stream import Stream
from finch.errors import (
    CallFailed,
    ConnectionClosed,
    ConnectionLost,
    FinchError,
    HandshakeFailed,
    HTTPError,
    NotSent,
)

__all__ = [
    "CallFailed",
    "ConnectionClosed",
    "ConnectionLost",
    "Dropped",
    "Event",
    "Events",
    "Finch",
    "FinchError",
    "Gap",
    "HTTPError",
    "HandshakeFailed",
    "Message",
    "Messages",
    "NotSent",
    "Options",
    "Person",
    "Room",
    "State",
    "StateChanged",
    "Stream",
    "connect",
]
