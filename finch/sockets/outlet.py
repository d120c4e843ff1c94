"""The two sides of an open conversation with a client: what it is written to through, and who gets
what it says.

An outlet is a WebSocket's :class:`finch.sockets.link.Link` today. Anything else that can carry
envelopes to a client can stand in its place, such as server-sent events. The outlet's owner is a
manager's client or a raw socket.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from finch.config import Limits
from finch.net.plain import SocketTransport
from finch.net.transport import Transport
from finch.sockets.states import State
from finch.sockets.workers import WorkerPool
from finch.wire.envelope import Envelope

if TYPE_CHECKING:
    from finch.wire.posted import Belongs

PATIENCE: Final = 10.0
"""Seconds that a POST waits until the messages before it are handled. Networks that cut upgrades
also cut answers that take long."""


class Prober(Protocol):
    """An object that finds out how far behind its clients are."""

    def probe(self) -> bool:
        """Ask the client, if it is time for that. Returns whether to call this again later."""


class Host(Protocol):
    """What an outlet needs of its server."""

    limits: Limits
    workers: WorkerPool
    lagging: dict[Prober, None]
    """The probers that have sent something which may not have been read yet."""

    def claim_turn(self) -> bool:
        """Ask to be the first that sends in this turn of the event loop, and at once. True at most
        once a turn, and only if what is sent is most likely all of this turn."""

    def spawn(self, task: Callable[[], Awaitable[None]]) -> None:
        """Start a task that may run longer than the caller."""

    def release(self, link: Any) -> None:
        """The outlet and its owner are needed no longer."""


class Owner(ABC):
    """Gets a peer's messages. None of these methods may wait or raise."""

    __slots__ = ()

    @abstractmethod
    def deliver(self, message: str | bytes) -> None:
        """A whole message has arrived. Call ``outlet.pause()`` to get no more for now."""

    @abstractmethod
    def pong(self, payload: bytes) -> None:
        """The peer has answered :meth:`Outlet.ping`, or has shown that it is alive."""

    @abstractmethod
    def peer_left(self) -> None:
        """No more messages will arrive. The owner handles those that it has, and then calls
        ``outlet.finish()``. When it needs the outlet no longer, it calls ``outlet.release()``."""

    @abstractmethod
    def cancel(self) -> None:
        """The time for handling the last messages is over."""


class Outlet(ABC):
    """What a client is written to through. Only :meth:`wait_writable` may wait.

    Attributes:
        host: the server.
        transport: the connection below; ``transport.pending`` bytes wait for the peer.
        direct: the same, if frames may be sent on its socket without asking anybody else; or None.
        state: how far the conversation is.
        paused: whether nothing is read from the peer now.
    """

    __slots__ = ("direct", "host", "paused", "state", "transport")

    host: Host
    transport: Transport
    direct: SocketTransport | None
    state: State
    paused: bool

    @abstractmethod
    def push(self, envelope: Envelope, language: str, client: bytes) -> bool:
        """Send an envelope without waiting; False if the peer no longer listens.

        Parameters:
            language: the peer's language tag.
            client: the peer's id, plain ASCII.
        """

    @abstractmethod
    def ping(self, payload: bytes) -> bool:
        """Ask the peer to show that it has read everything before this. False if it no longer
        listens. The answer is given to :meth:`Owner.pong`."""

    @abstractmethod
    async def wait_writable(self, size: int) -> None:
        """Wait until a message of ``size`` bytes may be sent without piling up here."""

    @property
    @abstractmethod
    def left(self) -> bool:
        """Whether the peer has ended: :meth:`Owner.peer_left` was called."""

    @property
    @abstractmethod
    def ending(self) -> bool:
        """Whether either side has ended the conversation."""

    @abstractmethod
    def pause(self) -> None:
        """Stop reading. The peer must then wait."""

    @abstractmethod
    def resume(self) -> None:
        """Read again."""

    async def take(self, belongs: Belongs, lines: str, patience: float) -> int:
        """Take the messages of a POST, if the peer speaks in POSTs.

        Parameters:
            belongs: the header of the POST.
            lines: its body, at most ``max_message_size`` bytes.
            patience: seconds that it may wait until the messages before it are handled.

        Returns:
            The status of its answer. All its messages were taken, or none.
        """
        return 410

    @abstractmethod
    def close(self, code: int, reason: str) -> None:
        """End the conversation, and tell the peer why."""

    @abstractmethod
    def finish(self) -> None:
        """The owner has handled every message: send what waits, then end the stream."""

    @abstractmethod
    def release(self) -> None:
        """The owner needs the outlet no longer."""
