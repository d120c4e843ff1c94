"""How the backplane over Redis says that it is doing."""

import pytest
import trio

from finch import Unavailable
from tests.cluster.nodes import node, until


async def test_its_figures_show_who_and_what_it_knows(own_redis):
    url = own_redis.url()
    async with node(url, patience=0.3, look=0.1) as one, node(url, patience=0.3) as two:
        stats = one.manager.stats
        ann = await one.connect()
        before = stats().channels
        await ann.join("chat/a")
        await two.connect()
        await until(lambda: stats().peers == 1, "one knows of two")
        assert (stats().channels, stats().backplane) == (before + 1, "connected")
        own_redis.pause()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send():
                with pytest.raises(Unavailable):
                    await one.app.room("chat/a").send("hello")

            await until(lambda: stats().unsent, "it is on its way")
        own_redis.stop()
        await until(lambda: stats().backplane == "degraded", "it is noticed")
        assert stats().lost == 0  # the sender was told
