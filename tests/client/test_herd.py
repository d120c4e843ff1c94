"""Two hundred clients whose server restarts come back spread over seconds, not in one."""

from collections import Counter

import pytest
import trio

from finch import FinchApp, History
from tests.client.world import until, world

CLIENTS = 200


def new_app():
    app = FinchApp()
    app.rooms("lobby", history=History())
    return app


@pytest.mark.parametrize("down", [0.0, 3.0])
async def test_clients_come_back_spread_over_seconds(down, autojump_clock):
    back = []

    async def run(there, ready):
        async with there.connect() as client, client.join("lobby") as lobby:
            events, said = client.events(), lobby.messages("after")
            ready.append(client)
            await until(events, "open")
            back.append(trio.current_time())
            assert (await anext(said)).data == "welcome back"

    async with world(new_app()) as there, trio.open_nursery() as nursery:
        ready = []
        for _ in range(CLIENTS):
            nursery.start_soon(run, there, ready)
        while len(ready) < CLIENTS:
            await trio.sleep(0.01)
        await trio.sleep(10)
        there.closed = True
        for wire in there.wires:
            wire.cut()
        await trio.sleep(down)
        begin, there.closed = trio.current_time(), False
        again = new_app()
        async with there.serving(again):
            await trio.sleep(60)
            await again.room("lobby").send("welcome back", path="after")
            await trio.sleep(1)
    assert len(back) == CLIENTS
    seconds = Counter(int(at - begin) for at in back)
    assert max(seconds.values()) <= CLIENTS * 0.65
    assert len(seconds) >= (2 if down == 0 else 4)
    # and not in the same moment of a second
    assert max(Counter(int((at - begin) * 10) for at in back).values()) <= CLIENTS * 0.15
