"""Finch: a decorator-based micro-framework for real-time web applications, on trio.

Example::

    from finch import FinchApp

    app = FinchApp()

    @app.get("/")
    async def index(request):
        return "hello"

    @app.socket("time")
    async def tell_time(socket, data):
        await socket.send(str(datetime.now()), path="output")

Serve it with ``python -m finch app:app``.
"""

from finch.app import FinchApp
from finch.config import Limits
from finch.errors import (
    ConfigurationError,
    ConnectionClosed,
    Disconnected,
    FinchError,
    HTTPError,
    ProtocolError,
)
from finch.headers import Headers, QueryParams
from finch.http.request import Request
from finch.http.response import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    TextResponse,
)
from finch.http.routing import FinchRoute, Methods
from finch.http.streaming import StreamingResponse
from finch.net.address import Address
from finch.serving import run, serve
from finch.sockets.client import SocketClient
from finch.sockets.controller import Controller, SocketController
from finch.sockets.event import SocketEvent
from finch.sockets.manager import SocketManager
from finch.sockets.raw import WebSocket
from finch.sockets.upgrade import Upgrade
from finch.wire.envelope import Message

__version__ = "0.1.0"

__all__ = [
    "Address",
    "ConfigurationError",
    "ConnectionClosed",
    "Controller",
    "Disconnected",
    "FinchApp",
    "FinchError",
    "FinchRoute",
    "HTMLResponse",
    "HTTPError",
    "Headers",
    "JSONResponse",
    "Limits",
    "Message",
    "Methods",
    "ProtocolError",
    "QueryParams",
    "RedirectResponse",
    "Request",
    "Response",
    "SocketClient",
    "SocketController",
    "SocketEvent",
    "SocketManager",
    "StreamingResponse",
    "TextResponse",
    "Upgrade",
    "WebSocket",
    "run",
    "serve",
]

for _name in __all__:  # so that tracebacks and help() show finch.Name
    globals()[_name].__module__ = "finch"
del _name
