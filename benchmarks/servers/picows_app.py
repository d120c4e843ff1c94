"""picows on uvloop. ``python -m benchmarks.servers.picows_app PORT``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import uvloop  # type: ignore[import-not-found,unused-ignore]
from picows import (  # type: ignore[import-not-found,unused-ignore]
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

from benchmarks.servers.envelope import envelope, not_found, parse

clients: set[WSTransport] = set()


def echo(transport: WSTransport, data: Any) -> None:
    transport.send(WSMsgType.TEXT, envelope("echo", data).encode())


def broadcast(transport: WSTransport, data: Any) -> None:
    message = envelope("broadcast", data).encode()
    for client in clients:
        client.send(WSMsgType.TEXT, message)


handlers: dict[str, Callable[[WSTransport, Any], None]] = {"echo": echo, "broadcast": broadcast}


class Raw(WSListener):  # type: ignore[misc,unused-ignore]
    """Gives texts back."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            transport.send(WSMsgType.TEXT, frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()


class Envelopes(WSListener):  # type: ignore[misc,unused-ignore]
    """Parses messages and dispatches them."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        clients.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        clients.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()
            return
        if frame.msg_type is not WSMsgType.TEXT:
            return
        path, data = parse(frame.get_payload_as_utf8_text())
        handler = handlers.get(path)
        if handler is None:
            transport.send(WSMsgType.TEXT, not_found(path).encode())
        else:
            handler(transport, data)


def listener(request: WSUpgradeRequest) -> WSListener:
    return Raw() if request.path == b"/raw" else Envelopes()


async def main() -> None:
    server = await ws_create_server(listener, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
