"""Described: what an application says of itself, for editors, people and programs.

Nothing here is imported or made before somebody asks for it.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from finch.served import Served

if TYPE_CHECKING:
    from finch.describe.description import Description
    from finch.sockets.manager import SocketManager


class Described(Served):
    """The part of a :class:`finch.FinchApp` that describes it."""

    socket_manager: SocketManager
    _description: Description | None = None

    @property
    @abstractmethod
    def managers(self) -> dict[str, SocketManager]:
        """The managers that clients can connect to, by their paths."""

    def types(self) -> str:
        """``finch.d.ts`` with the types of the application's sockets: what they take, and what they
        send, as far as annotations and ``sends`` say it. ``python -m finch types app:app`` prints
        it.
        """
        from finch.browser import read_declarations
        from finch.describe.typescript import whole_file

        return whole_file(read_declarations(), self.socket_manager)

    def openapi(self) -> dict[str, Any]:
        """The application's routes as OpenAPI 3.1, as far as annotations and docstrings say it.
        ``python -m finch openapi app:app`` prints it; ``FinchApp(describe=True)`` serves it.
        """
        from finch.describe.openapi import describe_routes

        return describe_routes(self.routes, self._about(), self._pipeline.middleware)

    def asyncapi(self) -> dict[str, Any]:
        """The application's sockets as AsyncAPI 3.0, as far as annotations and ``sends`` say it.
        ``python -m finch asyncapi app:app`` prints it; ``FinchApp(describe=True)`` serves it.
        """
        from finch.describe.asyncapi import describe_sockets

        return describe_sockets(self.routes, self.managers, self._about())

    def _describe(self, asked: Description | bool) -> None:
        """Serve the descriptions that ``FinchApp(describe=...)`` asks for."""
        from finch.describe.description import Description

        self._description = Description.of(asked)
        if self._description is not None:
            from finch.describe.page import description_routes

            self.add_routes(description_routes(self._description, self.openapi, self.asyncapi))

    def _about(self) -> Description:
        from finch.describe.description import Description

        return self._description or Description()
