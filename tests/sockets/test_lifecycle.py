"""on_connect and on_disconnect: exactly once each, whoever closes, however."""

import pytest
import trio

from finch import FinchApp, HTTPError, Limits, SocketEvent
from finch.testing import TestClient


@pytest.fixture
def diary():
    return []


@pytest.fixture
def app(diary):
    """An application that writes down what happens, by client id."""
    app = FinchApp()

    @app.on_connect
    async def on_connect(socket):
        diary.append(("connect", socket.id, app.socket_manager.count_clients))
        await socket.send("hello")

    @app.on_disconnect
    async def on_disconnect(socket):
        sent = await socket.send("too late")
        diary.append(("disconnect", socket.id, app.socket_manager.count_clients, sent))

    @app.socket("wait")
    async def wait(socket, data):
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            diary.append(("cancelled", socket.id))
            raise

    @app.socket("leave")
    async def leave(socket, data):
        await socket.close()

    return app


def disconnects(diary):
    return [entry for entry in diary if entry[0] == "disconnect"]


async def close_politely(socket):
    await socket.close()


async def close_without_a_word(socket):
    await socket.stream.aclose()


async def be_sent_away(socket):
    await socket.send("leave")
    await socket.wait_closed()


async def break_the_protocol(socket):
    await socket.stream.send_all(b"\xff\xff\xff\xff")
    assert (await socket.wait_closed()).code == 1002


async def close_while_a_handler_waits(socket):
    await socket.send("wait")
    await socket.close()


async def vanish_while_a_handler_waits(socket):
    await socket.send("wait")
    await socket.stream.aclose()


WAYS_TO_GO = [
    close_politely,
    close_without_a_word,
    be_sent_away,
    break_the_protocol,
    close_while_a_handler_waits,
    vanish_while_a_handler_waits,
]


@pytest.mark.parametrize("go", WAYS_TO_GO)
async def test_on_disconnect_runs_once_while_still_counted_and_not_sent_to(
    app, diary, go, autojump_clock
):
    async with TestClient(app) as client:
        async with client.socket() as socket:
            await socket.receive()
            await go(socket)
            await trio.sleep(30)
            [(_, _, counted, sent)] = disconnects(diary)
            assert (counted, sent) == (1, False)
            assert app.socket_manager.count_clients == 0


async def test_a_handler_that_waits_is_cancelled_when_its_client_leaves(app, diary, autojump_clock):
    async with TestClient(app) as client:
        async with client.socket() as socket:
            await socket.send("wait")
        await trio.sleep(5)
        assert [entry[0] for entry in diary] == ["connect", "cancelled", "disconnect"]


async def test_what_was_sent_before_a_close_is_handled():
    app = FinchApp()
    handled = []

    @app.socket("n")
    async def note(socket, data):
        await trio.sleep(0.01)
        handled.append(data)

    async with TestClient(app) as client:
        async with client.socket() as socket:
            for number in range(40):
                await socket.send("n", number)
    assert handled == list(range(40))


async def test_on_connect_runs_for_the_root_then_for_each_named_event():
    heard = []

    def event(name):
        async def on_connect(socket):
            heard.append(f"{name} connect")

        async def on_disconnect(socket):
            heard.append(f"{name} disconnect")

        return SocketEvent(on_connect=on_connect, on_disconnect=on_disconnect)

    app = FinchApp()
    app.on_connect(event("root").on_connect)
    app.on_disconnect(event("root").on_disconnect)
    app.add_socket_route("a", event("a"))
    app.add_socket_route("b", event("b"))
    async with TestClient(app) as client, client.socket():
        pass
    assert heard == [
        *("root connect", "a connect", "b connect"),
        *("root disconnect", "a disconnect", "b disconnect"),
    ]


async def test_at_shutdown_everyone_gets_1001_and_on_disconnect(app, diary):
    client = TestClient(app)
    async with client:
        async with client.socket() as one, client.socket() as two:
            await one.receive()
            await two.receive()
            client._server.stop()
            assert (await one.wait_closed()).code == 1001
            assert (await two.wait_closed()).code == 1001
    assert len(disconnects(diary)) == 2


@pytest.mark.parametrize("failing", ["on_connect", "on_disconnect"])
async def test_a_callback_that_raises_hurts_nobody(failing, caplog):
    app = FinchApp()

    async def fail(socket):
        raise RuntimeError("oh")

    getattr(app, failing)(fail)

    @app.socket("ok")
    async def ok(socket, data):
        return "ok"

    async with TestClient(app) as client:
        for _ in range(2):
            async with client.socket() as socket:
                if failing == "on_connect":
                    assert (await socket.receive()).status == 500
                await socket.send("ok")
                assert (await socket.receive()).data == "ok"
        assert app.socket_manager.count_clients == 0
    assert "RuntimeError: oh" in caplog.text


async def test_an_http_error_in_on_connect_turns_the_client_away(diary):
    app = FinchApp()

    @app.on_connect
    async def gate(socket):
        if "token" not in socket.request.query:
            raise HTTPError(401, "show a token")

    @app.on_disconnect
    async def gone(socket):
        diary.append("gone")

    async with TestClient(app) as client:
        async with client.socket("/ws") as socket:
            answer = await socket.receive()
            assert (answer.path, answer.status) == ("error", 401)
            closed = await socket.wait_closed()
            assert (closed.code, closed.reason) == (1008, "show a token")
        async with client.socket("/ws?token=1"):
            pass
    assert diary == ["gone", "gone"]


async def test_a_client_that_does_not_answer_our_close_is_dropped_after_five_seconds(
    app, diary, autojump_clock
):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("leave")
        await trio.sleep(6)
        assert len(disconnects(diary)) == 1
        with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):
            while True:
                await socket.stream.send_all(b"x")


async def test_a_silent_peer_is_pinged_and_one_that_answers_stays(app, diary, autojump_clock):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.receive()
        with trio.move_on_after(300):
            await socket.receive_raw(timeout=1000)  # answers pings meanwhile
        assert app.socket_manager.count_clients == 1


async def test_ten_peers_that_vanish_are_gone_after_the_ping_timeout(app, diary, autojump_clock):
    async with TestClient(app) as client:
        sockets = [client.socket() for _ in range(10)]
        for socket in sockets:
            opened = await socket.__aenter__()
            await opened.receive()
        assert app.socket_manager.count_clients == 10
        await trio.sleep(19)
        assert app.socket_manager.count_clients == 10
        await trio.sleep(21)  # 20 s of silence, a ping, and 20 s more
        assert app.socket_manager.count_clients == 0
        assert len({entry[1] for entry in disconnects(diary)}) == 10
        assert len(disconnects(diary)) == 10
        for socket in sockets:
            await socket.gen.aclose()


async def test_a_full_inbox_does_not_count_as_silence(autojump_clock):
    app = FinchApp(limits=Limits(inbox=4))
    release = trio.Event()
    handled = []

    @app.socket("slow")
    async def slow(socket, data):
        await release.wait()
        handled.append(data)

    async with TestClient(app) as client, client.socket() as socket:
        for number in range(30):
            await socket.send("slow", number)
        await trio.sleep(200)
        assert app.socket_manager.count_clients == 1
        release.set()
        await socket.close()
    assert handled == list(range(30))


@pytest.mark.parametrize(
    "message",
    [
        '{"path":"echo","data":1e999}',
        '{"path":"nowhere","data":1e999}',
        '{"path":"echo","data":' + "9" * 5000 + "}",
        '{"path":"echo","data":1,"id":' + "[" * 980 + "]" * 980 + "}",
    ],
)
async def test_no_message_keeps_its_client_from_the_next_one_or_from_leaving(message):
    app = FinchApp()
    gone = []

    @app.socket("echo")
    async def echo(socket, data):
        return data

    @app.on_disconnect
    async def on_disconnect(socket):
        gone.append(socket.id)

    async with TestClient(app) as client:
        async with client.socket() as socket:
            await socket.send_raw(message)
            await socket.send("echo", "next", id="next")
            while (await socket.receive()).reply != "next":
                pass
            await socket.send_raw(message)
        with trio.fail_after(5):
            while app.socket_manager.count_clients:
                await trio.sleep(0.01)
    assert len(gone) == 1
