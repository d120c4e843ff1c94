"""Messages from programs that are no Finch application: without trio, in any thread."""

import subprocess
import sys
from functools import partial

import pytest
import trio

import finch
from finch import ConfigurationError, History, Unavailable
from finch.testing import TestClient
from tests.cluster.nodes import heard, make_app, node, until, with_times
from tests.cluster.server import free_port
from tests.test_endpoint import UNNUMBERED, post, with_route

HISTORY = History(messages=50, seconds=60)  # as in nodes.make_app


@pytest.fixture
async def place(url):
    async with node(url) as running:
        yield running


async def publish(url, *arguments, **options):
    """As another program does: in a thread without trio."""
    return await trio.to_thread.run_sync(partial(finch.publish, url, *arguments, **options))


async def test_every_audience_is_reached(place, url):
    ann = await place.connect("ann")
    await ann.join("plain/b")
    for to in (("room", "plain/b"), ("client", ann.id)):
        assert await publish(url, to, [*to], path="said", status=201) is None
        message = await heard(ann, "said")
        assert (message.data, message.status, message.seq) == ([*to], 201, None)
    for to in ("everyone", ("user", "ann")):
        for seq in (1, 2):
            assert await publish(url, to, [*to], path="said", history=HISTORY) == seq
            message = await heard(ann, "said")
            assert (message.data, message.seq) == ([*to], seq)
    assert await publish(url, "everyone", 1, path="tick", volatile=True, key="x") is None
    assert (await heard(ann, "tick")).data == 1


async def test_numbers_go_on_from_inside_to_outside_and_back(place, url):
    assert await publish(url, ("room", "chat/a"), 1, path="said", history=HISTORY) == 1
    ann = await place.connect("ann")
    joined = await ann.join("chat/a", last=5)
    assert (joined.seq, joined.missed) == (1, 1)
    assert (await place.app.room("chat/a").send(2, path="said")).seq == 2
    assert await publish(url, ("room", "chat/a"), 3, path="said", history=HISTORY) == 3
    assert [(await heard(ann, "said")).data for _ in range(3)] == [1, 2, 3]


async def test_a_program_without_an_event_loop(place, url):
    ann = await place.connect("ann")
    code = f"import finch; finch.publish({url!r}, ('client', {ann.id!r}), 'from cron', 'said')"
    await trio.run_process([sys.executable, "-c", code])
    assert (await heard(ann, "said")).data == "from cron"


async def test_inside_trio_it_says_what_to_write(url):
    with pytest.raises(TypeError, match="trio runs in this thread; write await"):
        finch.publish(url, "everyone", 1)


@pytest.mark.parametrize("to", ["room", ("room", 7), ("rooms", "a"), ("user", None), 7, ("user",)])
def test_what_is_no_audience(to):
    with pytest.raises(TypeError, match="publish sends to 'everyone'"):
        finch.publish("redis://localhost", to, 1)


def test_what_cannot_be_sent():
    with pytest.raises(TypeError, match="cannot be sent"):
        finch.publish("redis://localhost", "everyone", object())
    with pytest.raises(ConfigurationError, match="begins with none of"):
        finch.publish("localhost", "everyone", 1)
    with pytest.raises(ConfigurationError, match="not None"):
        finch.publish(None, "everyone", 1)


def test_without_redis_it_says_so():
    with pytest.raises(Unavailable, match="nobody accepts connections"):
        finch.publish(f"redis://127.0.0.1:{free_port()}", "everyone", 1)


def test_a_redis_that_does_not_answer_is_not_waited_for_too_long(own_redis):
    own_redis.pause()
    with pytest.raises(Unavailable, match=r"no answer in 0\.2 s"):
        finch.publish(own_redis.url(), "everyone", 1, timeout=0.2)


def test_importing_finch_is_enough(tmp_path):
    code = "import finch; print(finch.publish.__module__)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "finch\n"


async def test_by_http_the_clients_of_another_process_are_reached(place, url):
    ann = await place.connect("ann")
    await ann.join("chat/a")
    async with TestClient(with_route(make_app(url))) as client:
        for to in ("everyone", ["user", "ann"], ["room", "chat/a"]):
            assert (await post(client, {"to": to, "data": to, "path": "said"}))[1]["seq"] == 1
            assert (await heard(ann, "said")).data == to
        to = ["client", ann.id]
        assert await post(client, {"to": to, "data": 1, "path": "said"}) == UNNUMBERED
        assert (await heard(ann, "said")).data == 1
        status, _ = await post(client, {"to": ["client", "gone"], "data": 1})
        assert status == 404


async def test_by_http_it_is_told_if_redis_is_away(own_redis):
    app = make_app()
    with_times(app, own_redis.url(), patience=0.2)
    async with TestClient(with_route(app)) as client:
        own_redis.stop()
        await until(lambda: app.socket_manager.backplane.state == "degraded", "it is noticed")
        status, answer = await post(client, {"to": "everyone", "data": 1})
        assert status == 503
        assert "the message was not sent" in answer["error"]
