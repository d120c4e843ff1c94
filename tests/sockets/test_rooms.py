"""Declaring rooms: patterns, converters, what goes together and what does not."""

import pytest

from finch import (
    ConfigurationError,
    FinchApp,
    History,
    HTTPError,
    Rooms,
    SocketEvent,
    SocketManager,
    SocketRooms,
)
from finch.testing import Refused, TestClient


@pytest.mark.parametrize(
    ("pattern", "name", "params"),
    [
        ("lobby", "lobby", {}),
        ("chat/{name}", "chat/lobby", {"name": "lobby"}),
        ("chat/{name}", "chat/a b", {"name": "a b"}),
        ("chat/{name}", "chat/Zürich", {"name": "Zürich"}),
        ("game/{number:int}", "game/7", {"number": 7}),
        ("game/{number:int}/{side}", "game/7/white", {"number": 7, "side": "white"}),
        ("files/{rest:path}", "files/a/b/c", {"rest": "a/b/c"}),
        ("chat/{name}", "chat/", None),
        ("chat/{name}", "chat", None),
        ("chat/{name}", "chat/a/b", None),
        ("chat/{name}", "/chat/a", None),
        ("chat/{name}", "Chat/a", None),
        ("chat/{name}", "", None),
        ("game/{number:int}", "game/seven", None),
    ],
)
def test_a_name_is_matched_as_a_path_is(pattern, name, params):
    assert Rooms(pattern).match(name) == params


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (5, "is text such as 'chat/{name}'"),
        ("/chat/{name}", "begin with a slash; write 'chat/{name}'"),
        ("finch.chat", "Finch's own"),
        ("finch.everyone", "Finch's own"),
        ("chat/{room}", "parameter called 'room'"),
        ("chat/{socket}", "parameter called 'socket'"),
        ("chat/{data}", "parameter called 'data'"),
        ("chat/{meta}", "parameter called 'meta'"),
        ("chat/{name", "name"),
        ("chat/{name:float64}", "float64"),
    ],
)
def test_a_pattern_that_is_wrong_is_refused(pattern, said):
    with pytest.raises(ConfigurationError) as raised:
        FinchApp().rooms(pattern)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"history": 100}, "is a History or None, not 100"),
        ({"presence": "yes"}, "True, False or \"count\", not 'yes'"),
        ({"presence": 1}, 'True, False or "count"'),
        ({"grace": -1}, "a number of seconds, not -1"),
        ({"grace": True}, "a number of seconds, not True"),
        ({"grace": "3"}, "a number of seconds, not '3'"),
        ({"grace": float("nan")}, "a number of seconds, not nan"),
    ],
)
def test_an_option_that_is_wrong_is_refused(options, said):
    with pytest.raises(ConfigurationError) as raised:
        FinchApp().rooms("chat/{name}", **options)
    assert said in str(raised.value)


def test_a_pattern_is_declared_once():
    app = FinchApp()
    app.rooms("chat/{name}")
    app.rooms("chat/{name}/{part}")
    with pytest.raises(ConfigurationError, match="already declared"):
        app.rooms("chat/{other}")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{name}", "lobby"),
        ("{name:path}", "chat/{name}"),
        ("chat/{rest:path}", "chat/staff"),
        ("chat/{name}", "chat/{number:int}"),
    ],
)
def test_rooms_that_others_hide_are_refused(first, second):
    """Otherwise, a guard of the second would never be asked."""
    app = FinchApp()
    app.rooms(first)
    with pytest.raises(ConfigurationError) as caught:
        app.rooms(second, auth=lambda socket: False)
    assert str(caught.value) == (
        f"nobody would ever join the rooms {second!r}: {first!r} was declared before them, and has "
        f"all of their names. Declare {second!r} first"
    )
    other = FinchApp()
    other.rooms(second)
    other.rooms(first)


def test_every_callback_is_registered_once():
    chat = FinchApp().rooms("chat/{name}")
    for register in (chat.on_join, chat.on_leave):
        register(lambda socket: None)
        with pytest.raises(ConfigurationError, match="already"):
            register(lambda socket: None)
    chat.task(lambda: None)
    with pytest.raises(ConfigurationError, match="already"):
        chat.task(lambda: None)
    chat.on_error(lambda socket, error: None)
    with pytest.raises(ConfigurationError, match="already"):
        chat.on_error(lambda socket, error: None)
    chat.socket("say")(lambda socket, data: None)
    with pytest.raises(ConfigurationError, match=r"'say' of the rooms 'chat/\{name\}' already"):
        chat.socket("say")(lambda socket, data: None)


@pytest.mark.parametrize(
    ("what", "function"),
    [
        ("on_join", lambda socket, nmae: None),
        ("on_join", lambda: None),
        ("on_leave", lambda socket, meta: None),
        ("on_leave", lambda room, socket: None),
        ("task", lambda socket: None),
        ("task", lambda room, number: None),
        ("on_error", lambda error: None),
        ("on_error", lambda socket, error, room: None),
    ],
)
def test_a_callback_that_names_what_there_is_not_is_refused(what, function):
    chat = FinchApp().rooms("chat/{name}")
    with pytest.raises(ConfigurationError, match=f"{what} of the rooms 'chat/{{name}}'"):
        getattr(chat, what)(function)


@pytest.mark.parametrize("function", [lambda socket, data, nam: None, lambda socket: None])
def test_a_handler_that_names_what_there_is_not_is_refused(function):
    chat = FinchApp().rooms("chat/{name}")
    with pytest.raises(ConfigurationError, match="the socket path 'say' of the rooms"):
        chat.socket("say")(function)


@pytest.mark.parametrize("path", ["finch.join", "finch.anything"])
def test_finchs_own_paths_cannot_be_registered(path):
    app = FinchApp()
    with pytest.raises(ConfigurationError, match=r"finch\."):
        app.socket(path)(lambda socket, data: None)
    with pytest.raises(ConfigurationError, match=r"finch\."):
        app.rooms("chat/{name}").socket(path)(lambda socket, data: None)
    with pytest.raises(ConfigurationError, match=r"finch\."):
        SocketManager(app, path="/m", routes={path: SocketEvent()})


def test_a_callback_does_not_yield():
    chat = FinchApp().rooms("chat/{name}")

    async def yields(room):
        yield 1

    with pytest.raises(ConfigurationError, match=r"await room\.send"):
        chat.task(yields)


@pytest.mark.parametrize("misuse", ["rooms", "socket"])
def test_a_decorator_without_its_parentheses_is_refused(misuse):
    app = FinchApp()
    owner = app if misuse == "rooms" else app.rooms("chat/{name}")
    with pytest.raises(ConfigurationError, match="without parentheses"):
        getattr(owner, misuse)(lambda socket, data: None)


async def test_everything_gets_the_parameters_that_it_names():
    app = FinchApp()
    heard = []
    game = app.rooms("game/{number:int}/{side}")

    @game.on_join
    async def joins(socket, side, meta):
        heard.append(("join", side, meta))

    @game.on_leave
    def leaves(socket, number, room):
        heard.append(("leave", number, room.name))

    @game.task
    async def run(number, side, room):
        heard.append(("task", number, side, room.params))

    @game.socket("move")
    async def move(socket, data: list[int], room, number):
        return [data, room.name, number]

    @game.socket("later", concurrent=True)
    def later(socket, data, **rest):
        return sorted(rest)

    async with TestClient(app) as client, client.socket() as socket:
        await socket.join("game/7/white", "hello")
        name = "game/7/white"
        assert await socket.call("move", [1, 2], room=name) == [[1, 2], name, 7]
        assert await socket.call("later", room=name) == ["number", "room", "side"]
        with pytest.raises(Refused) as refused:
            await socket.call("move", "e4", room=name)
        assert refused.value.status == 422
        await socket.leave(name)
    assert heard == [
        ("join", "white", "hello"),
        ("task", 7, "white", {"number": 7, "side": "white"}),
        ("leave", 7, "game/7/white"),
    ]


async def test_the_first_pattern_that_matches_is_the_one():
    app = FinchApp()
    app.rooms("chat/lobby").socket("which")(lambda socket, data: "lobby")
    app.rooms("chat/{name}").socket("which")(lambda socket, data: "any")
    async with TestClient(app) as client, client.socket() as socket:
        await socket.join("chat/lobby")
        await socket.join("chat/other")
        assert await socket.call("which", room="chat/lobby") == "lobby"
        assert await socket.call("which", room="chat/other") == "any"


class Chat(SocketRooms):
    history = History(messages=2)
    presence = "count"

    def __init__(self):
        super().__init__()
        self.heard = []

    async def on_join(self, socket, room, name):
        if name == "staff":
            raise HTTPError(403, "staff only")
        self.heard.append(("join", room.name))

    async def on_leave(self, socket, room):
        self.heard.append(("leave", room.name))

    async def task(self, room, name):
        self.heard.append(("task", name))
        raise ValueError("a bug")

    async def on_error(self, socket, error):
        self.heard.append(("error", str(error)))

    async def on_message(self, socket, data: str, room, name):
        sent = await room.send(data, path="said")
        return [name, sent.seq]


async def test_the_class_style_has_all_of_it(caplog, autojump_clock):
    app = FinchApp()
    chat = Chat()
    SocketManager(app, rooms={"chat/{name}": chat})
    async with TestClient(app) as client, client.socket() as socket:
        with pytest.raises(Refused) as refused:
            await socket.join("chat/staff")
        assert refused.value.status == 403
        joined = await socket.join("chat/lobby")
        assert (joined.count, joined.presence, joined.seq) == (1, None, 0)
        assert await socket.call("any path", "hi", room="chat/lobby") == ["lobby", 1]
        assert (await socket.receive()).data == "hi"
        await socket.leave("chat/lobby")
    assert chat.heard == [
        ("join", "chat/lobby"),
        ("task", "lobby"),
        ("error", "a bug"),
        ("leave", "chat/lobby"),
    ]
    assert "the task of the room 'chat/lobby' raised" in caplog.text


async def test_a_class_can_be_given_instead_of_an_instance():
    class Quiet(SocketRooms):
        async def on_message(self, socket, data, room):
            return room.name

    app = FinchApp()
    manager = SocketManager(app, path="/other", rooms={"quiet": Quiet})
    async with TestClient(app) as client, client.socket("/other") as socket:
        await socket.join("quiet")
        assert await socket.call("x", room="quiet") == "quiet"
        assert manager.room("quiet").count == 1


@pytest.mark.parametrize(
    "rooms", [{"chat": SocketEvent()}, {"chat": None}, {"chat": lambda: None}, ["chat"]]
)
def test_rooms_that_are_none_are_refused(rooms):
    with pytest.raises(ConfigurationError, match=r"SocketRooms|takes a dict"):
        SocketManager(FinchApp(), rooms=rooms)


async def test_handlers_of_rooms_and_of_the_application_do_not_mix():
    app = FinchApp()
    app.socket("say")(lambda socket, data: "everywhere")
    chat = app.rooms("chat/{name}")
    chat.socket("say")(lambda socket, data: "in the room")
    chat.socket("only here")(lambda socket, data: "here")
    async with TestClient(app) as client, client.socket() as socket:
        await socket.join("chat/a")
        assert await socket.call("say") == "everywhere"
        assert await socket.call("say", room="chat/a") == "in the room"
        with pytest.raises(Refused) as refused:
            await socket.call("only here")
        assert refused.value.status == 404
        with pytest.raises(Refused) as refused:
            await socket.call("not there", room="chat/a")
        assert refused.value.status == 404


async def test_without_rooms_a_room_in_a_message_means_nothing():
    """An application from before there were rooms may use the key for itself."""
    app = FinchApp()
    app.socket("say")(lambda socket, data: "said")
    async with TestClient(app) as client, client.socket() as socket:
        assert await socket.call("say", room="anything") == "said"


@pytest.mark.parametrize("first", ["on_error", "socket"])
async def test_the_on_error_of_rooms_is_told_whichever_is_registered_first(first):
    app = FinchApp()
    chat = app.rooms("chat/{name}")
    told = []

    async def oops(socket, error):
        told.append(str(error))

    async def say(socket, data):
        raise ValueError("a bug")

    register = [lambda: chat.on_error(oops), lambda: chat.socket("say")(say)]
    for step in register if first == "on_error" else reversed(register):
        step()
    async with TestClient(app) as client, client.socket() as socket:
        await socket.join("chat/lobby")
        await socket.send("say", room="chat/lobby")
        assert (await socket.receive()).status == 500
    assert told == ["a bug"]
