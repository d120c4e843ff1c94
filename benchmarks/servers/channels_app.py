"""Django Channels: ``uvicorn benchmarks.servers.channels_app:app``, joined by Redis.

Its layer is the one over Redis's Pub/Sub, the faster of the two of ``channels_redis``. A message is
encoded once by who sends it, and not again for each client.
"""

from __future__ import annotations

import os
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer  # type: ignore[import-not-found,import-untyped,unused-ignore]
from channels.routing import ProtocolTypeRouter  # type: ignore[import-not-found,import-untyped,unused-ignore]
from django.conf import settings  # type: ignore[import-not-found,import-untyped,unused-ignore]

from benchmarks.servers.envelope import dumps, envelope, loads

settings.configure(
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [os.environ["BENCHMARK_REDIS"]]},
        }
    }
)


class Lounge(AsyncWebsocketConsumer):  # type: ignore[misc,unused-ignore]  # it has no types
    """A client."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        message = loads(text_data or "")
        room = message["room"]
        group = room.replace("/", ".")  # a slash is not allowed
        if message["path"] == "finch.join":
            await self.channel_layer.group_add(group, self.channel_name)
            await self.send(dumps({"path": "finch.join", "reply": message["id"], "room": room}))
        else:
            text = envelope("say", message["data"], room=room)
            await self.channel_layer.group_send(group, {"type": "say", "text": text})

    async def say(self, event: dict[str, Any]) -> None:
        await self.send(event["text"])


app = ProtocolTypeRouter({"websocket": Lounge.as_asgi()})
