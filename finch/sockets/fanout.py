"""The tight loop of every broadcast: one envelope to many clients.

Usually, what is written in a turn of the event loop is gathered, and sent when the turn ends. A
broadcast that goes alone has nothing to be gathered with. So each frame is sent as soon as it is
made, and no outbox is needed for it. The kernel takes most of the time then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from finch.sockets.states import State
from finch.wire.envelope import Envelope

if TYPE_CHECKING:
    from finch.sockets.client import SocketClient

_OPEN = State.OPEN


def send_to_all(clients: Sequence[SocketClient], envelope: Envelope, *, at_once: bool) -> int:
    """Send an envelope to each client: ``client.push(envelope)``, but without a call for each step.

    Whatever is not as usual is left to ``push``: another language, another kind of connection, a
    client that leaves or is behind.

    Parameters:
        clients: at least one.
        at_once: whether to send each frame now, not when the turn ends.

    Returns:
        How many it went to.
    """
    reached = 0
    language, length = clients[0]._language, len(clients[0]._key)
    head, tail = envelope.around(language, length)
    size = len(head) + length + len(tail)
    fits = 0 if at_once else clients[0].host.limits.max_outbox - size
    join = b"".join
    for client in clients:
        link = client._outlet
        transport = link.direct
        if (
            transport is None
            or link.state is not _OPEN
            or transport.lost
            or (transport.pending and transport.pending > fits)
            or client._language != language
        ):
            reached += link.push(envelope, client._language, client._key)
            continue
        frame = join((head, client._key, tail))
        reached += 1
        if not at_once:
            transport.write(frame)
            continue
        try:
            sent = transport.socket.send(frame)
        except OSError:  # it is full, or gone; the transport will find that out again
            sent = 0
        if sent != size:
            transport.write(frame[sent:])
    return reached
