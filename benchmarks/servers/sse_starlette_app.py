"""sse-starlette: ``uvicorn benchmarks.servers.sse_starlette_app:app``."""

from __future__ import annotations

from sse_starlette import EventSourceResponse, ServerSentEvent  # type: ignore[import-not-found,unused-ignore]
from starlette.applications import Starlette  # type: ignore[import-not-found,unused-ignore]
from starlette.requests import Request  # type: ignore[import-not-found,unused-ignore]
from starlette.responses import PlainTextResponse  # type: ignore[import-not-found,unused-ignore]
from starlette.routing import Route  # type: ignore[import-not-found,unused-ignore]

from benchmarks.servers.listeners import Listeners
from benchmarks.servers.news import TEXT

listeners: Listeners[ServerSentEvent] = Listeners()


async def index(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def events(request: Request) -> EventSourceResponse:
    return EventSourceResponse(listeners.listen())


async def publish(request: Request) -> PlainTextResponse:
    await request.body()
    listeners.publish(ServerSentEvent(TEXT))
    return PlainTextResponse("said")


app = Starlette(
    routes=[
        Route("/", index),
        Route("/events", events),
        Route("/publish", publish, methods=["POST"]),
    ]
)
