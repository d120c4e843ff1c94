"""Elsewhere: a client that is connected to another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from finch.sockets.members import UserId

if TYPE_CHECKING:
    from finch.sockets.manager import SocketManager


class Elsewhere:
    """A client that is connected to another process: ``room.call`` and ``user.call`` name it beside
    its answer.

    Attributes:
        manager: the manager that it is connected to, as this process has it.
        id: its id.
        user_id: the id of its user, or None.
    """

    __slots__ = ("id", "manager", "user_id")

    def __init__(self, manager: SocketManager, id: str, user_id: UserId | None) -> None:
        self.manager = manager
        self.id = id
        self.user_id = user_id

    async def send(self, data: Any, path: str = "", status: int = 200) -> bool:
        """Send a message to this client; False if its process is gone.

        Parameters: as :meth:`finch.SocketClient.send`.
        """
        return await self.manager.send_to_client(self.id, data, path, status)

    async def call(self, data: Any, path: str = "", *, as_type: Any = Any) -> Any:
        """Ask this client, and wait for its answer: see :meth:`finch.SocketClient.call`.

        Raises:
            ClientGone: if the client leaves before it answers.
            CallFailed: if it answers with an error, or with data of another type.
            Unavailable: if its process cannot be reached.
        """
        return await self.manager.call_client(self.id, data, path, as_type=as_type)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Elsewhere) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<a client of another process: {self.id}>"
