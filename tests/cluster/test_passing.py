"""A client without a WebSocket whose POSTs reach another process than its stream."""

import json
import logging

import pytest
import trio

from finch.sockets.eventlink import EventLink
from tests.cluster.nodes import node
from tests.sockets.posting import stream_of


async def split_between(one, two, user="ann"):
    """A client whose stream is at one node, and whose POSTs go to the other one."""
    stream = await stream_of(one._client, f"/ws?user={user}")
    joined = [await stream.receive() for _ in range(2)]  # everyone and its user
    assert {message["path"] for message in joined} == {"finch.join"}

    async def post(path, headers, content):
        return await two._client.post(path, headers=headers, content=content, timeout=60)

    stream._post = post
    return stream


async def test_a_post_is_passed_on_to_the_process_of_its_stream(url):
    async with node(url) as one, node(url) as two:
        stream = await split_between(one, two)
        assert await stream.call("who") == stream.id
        await stream.send({"path": "finch.join", "room": "chat/é", "id": 1}, "not JSON", "")
        assert (await stream.receive())["room"] == "chat/é"
        assert (await stream.receive())["status"] == 400
        await two.app.room("chat/é").send("hello", path="said")
        assert (await stream.receive())["data"] == "hello"


async def test_its_secret_and_its_number_count_there_as_well(url):
    async with node(url) as one, node(url) as two:
        stream = await split_between(one, two)
        message = json.dumps({"path": "who", "id": 1})
        assert (await stream.post(message, secret=f"{stream.id}.{'x' * 22}")).status == 410
        assert (await stream.post(message, secret=f"{'x' * 22}.{'x' * 22}")).status == 410
        assert (await stream.post(message, number=7)).status == 409
        await stream.send(message)
        assert (await stream.post(message, number=1)).status == 204
        assert (await stream.receive())["data"] == stream.id
        assert await stream.call("who") == stream.id


async def test_a_stream_that_has_ended_is_gone(url):
    async with node(url) as one, node(url) as two:
        stream = await split_between(one, two)
        await stream.cut()
        with trio.fail_after(5):
            while one.manager.count_clients:
                await trio.sleep(0.01)
        assert (await stream.post("")).status == 410


async def test_a_process_that_has_ended_is_gone(url):
    async with node(url) as two:
        async with node(url) as one:
            stream = await split_between(one, two)
        assert (await stream.post("")).status == 410


async def test_a_process_that_does_not_answer_is_503(url, monkeypatch, caplog):
    async def take(*args):
        await trio.sleep_forever()

    monkeypatch.setattr(EventLink, "take", take)
    async with node(url, patience=0.3) as one, node(url, patience=0.3) as two:
        stream = await split_between(one, two)
        assert (await stream.post("")).status == 503
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_what_is_on_its_way_is_bounded(url, monkeypatch):
    monkeypatch.setattr("finch.cluster.passing._MOST", 1000)
    release = trio.Event()
    take = EventLink.take

    async def slow(*args):
        await release.wait()
        return await take(*args)

    monkeypatch.setattr(EventLink, "take", slow)
    async with node(url) as one, node(url) as two:
        ann, bob = await split_between(one, two), await split_between(one, two, "bob")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ann.send, " " * 2000)  # alone, it may be larger
            while not two.backplane._passing._size:
                await trio.sleep(0.001)
            assert (await bob.post(" ")).status == 429
            release.set()
        await bob.send(" ")


@pytest.mark.parametrize("data", [b"5", b'["secret", "no number", ""]'])
async def test_what_is_no_post_is_ignored(url, data):
    import msgspec

    from finch.cluster.layout import VERSION, Note, encode_note
    from finch.cluster.posting import Post

    async with node(url) as one, node(url) as two:
        stream = await split_between(one, two)
        note = Note(v=VERSION, node="x", do="post", client=stream.id, data=msgspec.Raw(data))
        channel = two.backplane._names.node(one.backplane.node)
        post = Post((b"PUBLISH", channel, encode_note(note)))
        await two.backplane._posting.post(post, "", wait=True)
        assert await stream.call("who") == stream.id
