"""Streams of events with clients that were not written here: curl and httpx-sse."""

import re
import subprocess

import httpx
import httpx_sse
import trio

from finch import EventStream, FinchApp, ServerEvent
from tests.conftest import need, serving


def app_with_events(closed):
    app = FinchApp()

    @app.get("/events")
    async def events(request):
        async def generate():
            try:
                first = int(request.last_event_id or 0)
                yield ServerEvent({"é": [1]}, event="json", id=first + 1, retry=30)
                yield "two\nlines"
                if "ends" not in request.query:
                    await trio.sleep_forever()
            finally:
                closed.set()

        return EventStream(generate())

    return app


async def test_curl_shows_events_as_they_come():
    program = need("curl", "apt-get install curl")
    closed = trio.Event()
    async with serving(app_with_events(closed)) as running:
        command = [program, "-sSNi", "--max-time", "20", f"{running.http}/events"]
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
        shown = b""
        with trio.fail_after(20):
            while not shown.endswith(b"lines\n\n"):
                shown += await process.stdout.receive_some()
        assert re.search(rb"(?im)^content-type: text/event-stream; charset=utf-8\r$", shown)
        assert shown.endswith(
            'event: json\nid: 1\nretry: 30\ndata: {"é":[1]}\n\n'.encode()
            + b"data: two\ndata: lines\n\n"
        )
        process.kill()
        await process.wait()
        await process.stdout.aclose()
        with trio.fail_after(20):
            await closed.wait()


async def test_httpx_sse_reads_every_field():
    closed = trio.Event()
    async with serving(app_with_events(closed)) as running, httpx.AsyncClient() as client:
        url, headers = f"{running.http}/events?ends", {"last-event-id": "6"}
        async with httpx_sse.aconnect_sse(client, "GET", url, headers=headers) as source:
            first, second = [event async for event in source.aiter_sse()]
        assert (first.event, first.id, first.retry) == ("json", "7", 30)
        assert first.json() == {"é": [1]}
        assert (second.event, second.data) == ("message", "two\nlines")
