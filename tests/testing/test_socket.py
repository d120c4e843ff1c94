"""finch.testing's socket: joins, calls in both directions, and streamed answers."""

import pytest
import trio

from finch import FinchApp, FinchError, History, HTTPError
from finch.testing import Refused, SocketClosed, TestClient, WaitedTooLong


@pytest.fixture
def app():
    app = FinchApp()
    chat = app.rooms("chat/{name}", history=History(messages=3), presence=True)
    app.rooms("plain/{name}")

    @chat.on_join
    async def may_join(socket, name):
        if name == "staff":
            raise HTTPError(403, "staff only")

    @chat.socket("say")
    async def say(socket, data, room):
        sent = await room.send(data, path="said")
        return int(sent)

    @app.socket("echo")
    async def echo(socket, data):
        await socket.send("before", path="note")
        return data

    @app.socket("hang")
    async def hang(socket, data):
        await trio.sleep_forever()

    @app.socket("leave")
    async def leave(socket, data):
        await socket.close(4000, "bye")

    @app.socket("count")
    async def count(socket, data):
        for number in range(data):
            yield number
        if data == 3:
            raise HTTPError(409, "three is too many")
        if data == 0:
            await trio.sleep_forever()

    @app.socket("ask")
    async def ask(socket, data):
        return await socket.call(data, path="confirm")

    return app


@pytest.fixture
async def client(app):
    async with TestClient(app) as client:
        yield client


async def test_a_join_says_where_the_room_is_and_who_is_in_it(client, autojump_clock):
    async with client.socket() as ada, client.socket() as bob:
        await ada.join("chat/lobby", {"name": "Ada"})
        await ada.call("say", "hi", room="chat/lobby")
        joined = await bob.join("chat/lobby", {"name": "Bob"})
        assert joined.room == "chat/lobby"
        assert not joined.recovered
        assert joined.seq == 1
        assert joined.position == f"{joined.epoch}:1"
        assert [one["meta"] for one in joined.presence] == [{"name": "Ada"}, {"name": "Bob"}]
        assert joined.count == 2


async def test_a_room_without_history_and_presence_says_neither(client, autojump_clock):
    async with client.socket() as socket:
        joined = await socket.join("plain/one")
        assert (joined.seq, joined.epoch, joined.presence, joined.count) == (None,) * 4
        with pytest.raises(FinchError, match="has no history"):
            _ = joined.position


async def test_what_was_missed_follows_a_join(client, autojump_clock):
    async with client.socket() as ada, client.socket() as bob:
        begin = await ada.join("chat/lobby")
        for text in "abcd":
            await ada.call("say", text, room="chat/lobby")
        joined = await bob.join("chat/lobby", since=begin.position)
        assert not joined.recovered  # only three are kept
        await bob.leave("chat/lobby")
        assert (await bob.join("chat/lobby", last=2)).seq == 4
        said = [await bob.receive(), await bob.receive()]
        assert [(one.data, one.seq, one.room) for one in said] == [
            ("c", 3, "chat/lobby"),
            ("d", 4, "chat/lobby"),
        ]
        await bob.leave("chat/lobby")
        await ada.call("say", "e", room="chat/lobby")
        assert (await bob.join("chat/lobby", since=f"{joined.epoch}:4")).recovered
        assert (await bob.receive()).data == "e"


async def test_a_refusal_has_its_status(client, autojump_clock):
    async with client.socket() as socket:
        with pytest.raises(Refused, match="'chat/staff' was answered with 403: staff") as refused:
            await socket.join("chat/staff")
        assert refused.value.status == 403
        assert refused.value.data == {"path": "finch.join", "message": "staff only"}
        with pytest.raises(Refused) as refused:
            await socket.leave("chat/staff")
        assert refused.value.status == 403
        with pytest.raises(Refused) as refused:
            await socket.call("say", "hi", room="nowhere")
        assert refused.value.status == 404


async def test_other_messages_are_kept_while_an_answer_is_waited_for(client, autojump_clock):
    async with client.socket() as socket:
        await socket.send("echo", 1)
        await socket.send("echo", 2, id=2)
        assert await socket.call("echo", 3) == 3
        kept = [await socket.receive() for _ in range(5)]
        assert [one.data for one in kept] == ["before", 1, "before", 2, "before"]
        assert kept[3].reply == 2


async def test_an_answer_that_does_not_come_is_an_error_that_says_so(client, autojump_clock):
    async with client.socket() as socket:
        with pytest.raises(WaitedTooLong, match="2 s for the answer to 'hang'"):
            await socket.call("hang", timeout=2)


async def test_a_socket_that_closes_ends_the_wait_for_an_answer(client, autojump_clock):
    async with client.socket() as socket:
        with pytest.raises(SocketClosed, match="4000"):
            await socket.call("leave")


async def test_a_streamed_answer_is_iterated(client, autojump_clock):
    async with client.socket() as socket:
        assert [number async for number in socket.call_stream("count", 2)] == [0, 1]
        stream = socket.call_stream("count", 3)
        assert [await anext(stream) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(Refused, match="409"):
            await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_a_streamed_answer_can_be_cancelled(client, autojump_clock):
    async with client.socket() as socket:
        stream = socket.call_stream("count", 0)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def cancel():
                await trio.sleep(1)
                await stream.cancel()

            with pytest.raises(Refused) as refused:
                await anext(stream)
        assert refused.value.status == 499


async def test_one_value_and_a_stream_are_not_mistaken_for_each_other(client, autojump_clock):
    async with client.socket() as socket:
        with pytest.raises(FinchError, match=r"socket\.call_stream\(\)"):
            await socket.call("count", 2)
    async with client.socket() as socket:
        with pytest.raises(FinchError, match=r"socket\.call\(\)"):
            await anext(socket.call_stream("echo", 2))


async def confirmed(question):
    await trio.sleep(1)
    return f"{question} yes"


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        ("yes", "yes"),
        (None, None),
        (lambda question: question.upper(), "SURE?"),
        (confirmed, "sure? yes"),
    ],
)
async def test_calls_of_the_server_are_answered_meanwhile(client, answer, got, autojump_clock):
    async with client.socket() as socket:
        socket.answer("confirm", answer)
        assert await socket.call("ask", "sure?") == got
        await socket.send("ask", "sure?", id=1)
        assert (await socket.receive()).data == got


async def test_a_call_can_be_answered_with_an_error(client, autojump_clock):
    def refuse(question):
        raise HTTPError(423, "not now")

    async with client.socket() as socket:
        socket.answer("confirm", refuse)
        with pytest.raises(Refused) as refused:
            await socket.call("ask", "sure?")
        assert refused.value.status == 500


async def test_a_call_that_nothing_answers_is_an_ordinary_message(client, autojump_clock):
    async with client.socket() as socket:
        await socket.send("ask", "sure?", id=1)
        call = await socket.receive()
        assert (call.path, call.data) == ("confirm", "sure?")
        await socket.send("confirm", "yes", reply=call.id)
        assert (await socket.receive()).data == "yes"
