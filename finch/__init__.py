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

from importlib import import_module
from typing import TYPE_CHECKING, Any

from finch.app import FinchApp
from finch.cluster.backplane import Sent
from finch.cluster.history import History, Position
from finch.config import Limits
from finch.errors import (
    CallFailed,
    ClientGone,
    ConfigurationError,
    ConnectionClosed,
    ConnectionLost,
    Disconnected,
    FinchError,
    HandshakeFailed,
    HTTPError,
    NotSent,
    ProtocolError,
    Unavailable,
)
from finch.headers import Headers, QueryParams
from finch.http.arguments import Body, Cookie, File, Form, Header, Query, named
from finch.http.converters import converter
from finch.http.files import FileResponse
from finch.http.methods import Methods
from finch.http.request import Request
from finch.http.response import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    TextResponse,
)
from finch.http.routing import FinchRoute
from finch.http.streaming import StreamingResponse
from finch.net.address import Address
from finch.publishing import publish
from finch.routes import Group
from finch.serving import run, serve
from finch.sockets.audience import Audience, Everyone, Kept, User
from finch.sockets.client import SocketClient
from finch.sockets.controller import Controller, SocketController
from finch.sockets.event import SocketEvent
from finch.sockets.identity import Identity
from finch.sockets.manager import SocketManager
from finch.sockets.presence import Entry
from finch.sockets.raw import WebSocket
from finch.sockets.room import Room
from finch.sockets.rooms import Rooms, SocketRooms
from finch.sockets.stats import Stats
from finch.sockets.upgrade import Upgrade
from finch.wire.message import Message

if TYPE_CHECKING:
    from finch.describe.description import Description
    from finch.http.events import EventStream, ServerEvent
    from finch.http.forms import FormData
    from finch.http.uploads import Upload

__version__ = "0.1.0"

__all__ = [
    "Address",
    "Audience",
    "Body",
    "CallFailed",
    "ClientGone",
    "ConfigurationError",
    "ConnectionClosed",
    "ConnectionLost",
    "Controller",
    "Cookie",
    "Description",
    "Disconnected",
    "Entry",
    "EventStream",
    "Everyone",
    "File",
    "FileResponse",
    "FinchApp",
    "FinchError",
    "FinchRoute",
    "Form",
    "FormData",
    "Group",
    "HTMLResponse",
    "HTTPError",
    "HandshakeFailed",
    "Header",
    "Headers",
    "History",
    "Identity",
    "JSONResponse",
    "Kept",
    "Limits",
    "Message",
    "Methods",
    "NotSent",
    "Position",
    "ProtocolError",
    "Query",
    "QueryParams",
    "RedirectResponse",
    "Request",
    "Response",
    "Room",
    "Rooms",
    "Sent",
    "ServerEvent",
    "SocketClient",
    "SocketController",
    "SocketEvent",
    "SocketManager",
    "SocketRooms",
    "Stats",
    "StreamingResponse",
    "TextResponse",
    "Unavailable",
    "Upgrade",
    "Upload",
    "User",
    "WebSocket",
    "converter",
    "named",
    "publish",
    "run",
    "serve",
]

_LATER = {  # imported when they are used, since few applications use them
    "Description": "finch.describe.description",
    "EventStream": "finch.http.events",
    "FormData": "finch.http.forms",
    "ServerEvent": "finch.http.events",
    "Upload": "finch.http.uploads",
}

for _name in __all__:  # so that tracebacks and help() show finch.Name
    # not those that are imported later, and not the markers, which are aliases
    if _name not in _LATER and hasattr(globals()[_name], "__qualname__"):
        globals()[_name].__module__ = "finch"
del _name


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'finch' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LATER[name]), name)
    value.__module__ = "finch"
    return value
