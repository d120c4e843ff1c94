"""Every name and promise of the seed, and every row of the port table."""

import inspect
import json

import pytest

from finch import (
    Controller,
    FinchApp,
    FinchRoute,
    HTTPError,
    Message,
    Methods,
    SocketController,
    SocketEvent,
    SocketManager,
)
from finch.testing import HandshakeRefused, TestClient


def the_seed():
    """The seed's setup, as it stands there."""
    app = FinchApp()

    async def on_connect(socket):
        await app.socket_manager.send_to_all(
            f"A user connected. Total: {app.socket_manager.count_clients}", path="output"
        )
        await socket.send({"message": "Successfully connected to socket!"}, path="connected")

    async def on_message(socket, data):
        await socket.send(["unmatched", data], path="root")

    async def on_disconnect(socket):
        count = app.socket_manager.count_clients
        await app.socket_manager.send_to_all(
            f"A user disconnected. Total: {count - 1}", path="output"
        )

    async def on_test(socket, data):
        await socket.send([dict(socket.request.headers)], path="test")

    async def on_time(socket, data):
        await socket.send("2026-01-01 00:00:00", path="output")

    socket_manager = SocketManager(
        app,
        event=SocketEvent(
            on_connect=on_connect, on_message=on_message, on_disconnect=on_disconnect
        ),
        routes={"test": SocketEvent(on_message=on_test), "time": SocketEvent(on_message=on_time)},
    )

    class WebSocketController(Controller):
        async def socket(self, request):
            await socket_manager.request_handle(request)
            return request.render_socket()

    app.add_routes(
        [
            FinchRoute(
                key="root.ws",
                path="/ws",
                methods=Methods.ALL,
                index=WebSocketController().socket,
            )
        ]
    )
    return app


async def test_a_client_is_greeted_and_everybody_hears_of_it():
    async with TestClient(the_seed()) as client, client.socket() as first:
        assert (await first.receive()).data == "A user connected. Total: 1"
        connected = await first.receive()
        assert (connected.path, connected.data) == (
            "connected",
            {"message": "Successfully connected to socket!"},
        )
        async with client.socket() as second:
            assert (await first.receive()).data == "A user connected. Total: 2"
            assert (await second.receive()).data == "A user connected. Total: 2"
        assert (await first.receive()).data == "A user disconnected. Total: 1"


async def test_the_named_routes_test_and_time_answer():
    async with TestClient(the_seed()) as client, client.socket(headers={"x-mine": "7"}) as socket:
        await socket.receive()
        await socket.receive()
        await socket.send("time", {})
        message = await socket.receive()
        assert (message.path, message.data) == ("output", "2026-01-01 00:00:00")
        await socket.send("test", {})
        message = await socket.receive()
        assert message.path == "test"
        assert message.data[0]["x-mine"] == "7"
        assert message.data[0]["host"] == "testserver"


async def test_what_no_named_route_matches_reaches_the_root_on_message():
    async with TestClient(the_seed()) as client, client.socket() as socket:
        await socket.receive()
        await socket.receive()
        await socket.send("elsewhere", 5)
        message = await socket.receive()
        assert (message.path, message.data) == ("root", ["unmatched", 5])


async def test_a_plain_request_is_told_that_a_socket_is_requested():
    async with TestClient(the_seed()) as client:
        response = await client.get("/ws")
        assert (response.status, response.text) == (426, "Socket is requested!")
        assert response.headers["upgrade"] == "websocket"


async def test_the_wire_has_the_seeds_keys_in_order():
    async with TestClient(the_seed()) as client, client.socket() as socket:
        text = await socket.receive_raw()
        message = json.loads(text)
        assert list(message) == ["path", "status", "timestamp", "language", "client", "data"]
        assert message["status"] == 200
        assert message["language"] == "en"
        assert isinstance(message["timestamp"], int)
        [key] = client.app.socket_manager.get_all_clients_keys()
        assert message["client"] == key


async def test_a_dart_clients_other_keys_are_kept():
    app = FinchApp()

    @app.socket("stream")
    async def stream(socket, message: Message):
        return len(message["blob"])

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send_raw('{"path": "stream", "blob": [1, 2, 3]}')
        assert (await socket.receive()).data == 3


async def test_what_is_no_json_goes_to_the_route_named_error_as_in_dart():
    app = FinchApp()

    @app.socket("error")
    async def broken(socket, data):
        await socket.send(f"broken: {data}", path="output")

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send_raw("{nonsense")
        assert (await socket.receive()).data == "broken: {nonsense"


async def test_socket_manager_counts_clients_and_users_and_lists_ids():
    app = FinchApp(socket_path=None)
    manager = SocketManager(app)

    async def index(request):
        return await manager.request_handle(request, user_id=request.query["user"])

    app.add_routes([FinchRoute("/in", index)])
    assert (manager.count_clients, manager.count_users) == (0, 0)
    async with TestClient(app) as client:
        async with client.socket("/in?user=ann"), client.socket("/in?user=ann"):
            async with client.socket("/in?user=bob"):
                assert (manager.count_clients, manager.count_users) == (3, 2)
                keys = manager.get_all_clients_keys()
                assert isinstance(keys, list)
                assert len(set(keys)) == 3
                assert len({len(key) for key in keys}) == 1
            assert (manager.count_clients, manager.count_users) == (2, 1)


async def test_sending_to_one_client_one_user_all_and_all_but_one():
    app = FinchApp(socket_path=None)
    manager = SocketManager(app)

    @manager.socket("not me")
    async def not_me(socket, data):
        return await manager.send_to_all_except(socket, data, path="others")

    async def index(request):
        return await manager.request_handle(request, user_id=request.query["user"])

    app.add_routes([FinchRoute("/in", index)])
    async with (
        TestClient(app) as client,
        client.socket("/in?user=ann") as ann,
        client.socket("/in?user=ann") as ann2,
        client.socket("/in?user=bob") as bob,
    ):
        first = manager.get_all_clients_keys()[0]
        assert await manager.send_to_client(first, "to one", path="p") is True
        assert (await ann.receive()).data == "to one"
        assert await manager.send_to_client("nobody", "?") is False
        assert await manager.send_to_user("ann", "to ann") == 2
        assert (await ann.receive()).data == (await ann2.receive()).data == "to ann"
        assert await manager.send_to_all("to all", path="p", status=201) == 3
        for socket in (ann, ann2, bob):
            message = await socket.receive()
            assert (message.data, message.path, message.status) == ("to all", "p", 201)
        await ann.send("not me", "psst")
        assert (await ann2.receive()).data == (await bob.receive()).data == "psst"
        answer = await ann.receive()
        assert (answer.path, answer.data) == ("not me", 2)


async def test_each_recipient_sees_its_own_id():
    app = FinchApp()

    @app.on_connect
    async def hello(socket):
        await socket.send(socket.id, path="you")

    async with TestClient(app) as client, client.socket() as one, client.socket() as two:
        ids = [(await one.receive()).data, (await two.receive()).data]
        await app.socket_manager.send_to_all("x")
        assert [(await one.receive()).client, (await two.receive()).client] == ids


async def test_a_socket_knows_its_request_id_manager_and_closes():
    app = FinchApp()
    seen = {}

    @app.socket("bye")
    async def bye(socket, data):
        seen.update(request=socket.request, id=socket.id, manager=socket.manager)
        await socket.close(4001, "enough")

    async with TestClient(app) as client, client.socket("/ws?room=1") as socket:
        await socket.send("bye")
        closed = await socket.wait_closed()
        assert (closed.code, closed.reason) == (4001, "enough")
    assert seen["request"].query["room"] == "1"
    assert seen["manager"] is app.socket_manager
    assert len(seen["id"]) == 22


async def test_add_socket_route_and_add_events_register_named_routes():
    app = FinchApp()

    async def one(socket, data):
        return 1

    async def two(socket, data):
        return 2

    app.add_socket_route("one", SocketEvent(on_message=one))
    app.socket_manager.add_events({"two": SocketEvent(on_message=two)})
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("one")
        assert (await socket.receive()).data == 1
        await socket.send("two")
        assert (await socket.receive()).data == 2


async def test_a_socket_event_may_be_a_subclass_with_methods():
    app = FinchApp()
    heard = []

    class Clock(SocketEvent):
        async def on_connect(self, socket):
            heard.append("connect")

        async def on_message(self, socket, data):
            return "tick"

        async def on_disconnect(self, socket):
            heard.append("disconnect")

    app.socket("clock")(Clock)
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("clock")
        assert (await socket.receive()).data == "tick"
    assert heard == ["connect", "disconnect"]


async def test_on_error_is_told_of_an_exception():
    told = []
    app = FinchApp()

    async def fail(socket, data):
        raise ZeroDivisionError

    async def on_error(socket, error):
        told.append(type(error))

    SocketManager(app, event=SocketEvent(on_error=on_error), routes={"f": SocketEvent(None, fail)})
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("f")
        assert (await socket.receive()).status == 500
    assert told == [ZeroDivisionError]


async def test_socket_controller_serves_a_manager_or_the_apps_own():
    app = FinchApp(socket_path=None)
    other = SocketManager(app, path="/other")

    @app.on_connect
    async def own(socket):
        await socket.send("own")

    @other.on_connect
    async def others(socket):
        await socket.send("other")

    app.add_routes(
        [
            FinchRoute("/a", SocketController().socket, methods=Methods.ALL),
            FinchRoute("/b", SocketController(other).socket, methods=Methods.ALL),
        ]
    )
    async with TestClient(app) as client:
        for path, greeting in (("/a", "own"), ("/b", "other"), ("/other", "other")):
            async with client.socket(path) as socket:
                assert (await socket.receive()).data == greeting
        with pytest.raises(HandshakeRefused):
            async with client.socket("/ws"):
                pass


async def test_a_refusal_is_seen_even_where_request_handles_value_is_dropped():
    async with TestClient(the_seed()) as client:
        with pytest.raises(HandshakeRefused) as refused:
            async with client.socket(headers={"origin": "https://evil.example"}):
                pass
        assert refused.value.response.status == 403


def test_both_styles_mix_whichever_comes_first():
    app = FinchApp()

    async def handler(socket, data):
        """Nothing."""

    app.socket("before")(handler)
    manager = SocketManager(app, routes={"class": SocketEvent(on_message=handler)})
    app.socket("after")(handler)
    assert app.socket_manager is manager
    assert sorted(manager.paths()) == ["after", "before", "class"]


def test_methods_are_tuples_of_str():
    assert Methods.ONLY_GET == ("GET",)
    assert {"GET", "POST", "PUT", "DELETE", "OPTIONS"} <= set(Methods.ALL)
    assert all(isinstance(method, str) for method in Methods.ALL)


def test_controllers_need_no_arguments_and_routes_take_bound_methods_and_any_iterable():
    class Birds(Controller):
        async def all(self, request):
            return []

    route = FinchRoute("/birds", Birds().all, methods={"get", "post"}, key="birds")
    assert route.key == "birds"
    assert route.methods == {"GET", "HEAD", "POST"}


def test_signatures_are_those_of_the_port_table():
    def names(function):
        return list(inspect.signature(function).parameters)

    assert names(SocketManager)[:3] == ["app", "event", "routes"]
    assert names(SocketEvent)[:4] == ["on_connect", "on_message", "on_disconnect", "on_error"]
    assert names(SocketManager.request_handle) == ["self", "request", "user_id"]
    assert names(FinchRoute)[:4] == ["path", "index", "methods", "key"]
    assert names(FinchApp.add_socket_route) == ["self", "path", "event"]


def test_http_error_is_for_errors():
    with pytest.raises(ValueError, match="400 to 599"):
        HTTPError(200)
