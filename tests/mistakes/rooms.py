"""Mistakes in rooms, identities and calls."""

import datetime

from finch import (
    FinchApp,
    History,
    Identity,
    SocketEvent,
    SocketManager,
)
from finch.testing import Refused, TestClient
from tests.mistakes.book import listening, mistake

AREA = "Rooms, users and calls"


@mistake(AREA, "@app.rooms above a function, without parentheses", "@app.rooms('chat/{name}')")
def rooms_without_parentheses():
    @FinchApp().rooms
    async def chat(socket): ...


@mistake(AREA, 'app.rooms("/chat/{name}")', "write 'chat/{name}'")
def rooms_with_a_slash():
    FinchApp().rooms("/chat/{name}")


@mistake(AREA, 'app.rooms("chat/{room}")', "give it another name")
def rooms_with_a_parameter_of_finch():
    FinchApp().rooms("chat/{room}")


@mistake(AREA, 'app.rooms("chat/{name}") twice', "already declared")
def rooms_twice():
    app = FinchApp()
    app.rooms("chat/{name}")
    app.rooms("chat/{room_name}")


@mistake(AREA, 'app.rooms("chat/{name}", history=100)', "write History(messages=100")
def rooms_with_a_number():
    FinchApp().rooms("chat/{name}", history=100)


@mistake(AREA, "History(messages=0)", "None")
def a_history_of_nothing():
    History(messages=0)


@mistake(AREA, 'app.rooms("chat/{name}", presence="list")', '"count"')
def rooms_with_another_presence():
    FinchApp().rooms("chat/{name}", presence="list")


@mistake(AREA, "async def say(socket, data, nmae) in the rooms chat/{name}", "room, name", "nmae")
def a_handler_of_a_misspelled_parameter():
    @FinchApp().rooms("chat/{name}").socket("say")
    async def say(socket, data, nmae): ...


@mistake(
    AREA, "@chat.on_join above def may_join(room, socket)", "(socket)", "may_join(room, socket)"
)
def an_on_join_in_another_order():
    @FinchApp().rooms("chat/{name}").on_join
    async def may_join(room, socket): ...


@mistake(AREA, "@chat.task above an async def that yields", "await room.send(...)")
def a_task_that_yields():
    @FinchApp().rooms("chat/{name}").task
    async def run(room):
        yield 1


@mistake(AREA, '@app.socket("finch.join")', "finch.")
def a_reserved_path():
    @FinchApp().socket("finch.join")
    async def join(socket, data): ...


@mistake(
    AREA, 'SocketManager(app, rooms={"chat/{name}": SocketEvent()})', "class Chat(SocketRooms)"
)
def rooms_of_an_event():
    SocketManager(FinchApp(), rooms={"chat/{name}": SocketEvent()})


@mistake(AREA, "app.room(5)", "write room('lobby')")
def a_room_without_a_name():
    FinchApp().room(5)


@mistake(AREA, "app.user(None)", "everyone.send()")
def a_user_without_an_id():
    FinchApp().user(None)


@mistake(AREA, "@app.authorize above def authorize(socket, data)", "(request)")
def authorize_of_a_socket():
    @FinchApp().authorize
    async def authorize(socket, data): ...


@mistake(AREA, "Identity(user)", "write user_id=user.id")
def an_identity_of_an_object():
    Identity(object())


@mistake(AREA, "Identity(1, expires_at=datetime.now())", "datetime.now(timezone.utc)")
def an_identity_without_a_time_zone():
    Identity(1, expires_at=datetime.datetime(2030, 1, 1))


@mistake(AREA, "Identity(1, expires_at=timedelta(hours=1))", "time.time() + 3600")
def an_identity_that_ends_after_a_time():
    Identity(1, expires_at=datetime.timedelta(hours=1))


@mistake(AREA, "await room.send(position, volatile=True, key=[1, 2])", "key=user.id")
async def a_key_that_cannot_be_hashed():
    await FinchApp().room("lobby").send(0, volatile=True, key=[1, 2])


@mistake(AREA, "await room.send(text, skip=socket.id)", "skip is the client")
async def a_skip_that_is_an_id():
    await FinchApp().room("lobby").send("hi", skip="dGhlIGlk")


@mistake(AREA, "await room.history(last=None)", "write history(last=50)")
async def a_history_without_a_bound():
    await FinchApp().room("lobby").history(last=None)


@mistake(AREA, "room.spawn(tick) in a room that nobody is in", "nobody is in the room")
def a_task_of_an_empty_room():
    async def tick(): ...

    FinchApp().room("lobby").spawn(tick)


@mistake(AREA, "return False in on_join", "raise HTTPError(403")
async def an_on_join_that_returns_false():
    app = FinchApp()

    @app.rooms("chat/{name}").on_join
    async def may_join(socket):
        return False

    with listening() as heard:
        async with TestClient(app) as client, client.socket() as socket:
            try:
                await socket.join("chat/lobby")
            except Refused:
                return heard[0].replace(repr(_client(app)), "<SocketClient>")
    return None


def _client(app):
    [client] = app.socket_manager.members
    return client


@mistake(AREA, "a client joins a room that no pattern has", "there is no room")
async def a_room_that_is_not_declared():
    app = FinchApp()
    app.rooms("chat/{name}")
    async with TestClient(app) as client, client.socket() as socket:
        try:
            await socket.join("caht/lobby")
        except Refused as refused:
            return str(refused)
    return None


@mistake(AREA, "a client sends to a room without having joined it", "join it first")
async def a_room_that_was_not_joined():
    app = FinchApp()
    app.rooms("chat/{name}").socket("say")(lambda socket, data: None)
    async with TestClient(app) as client, client.socket() as socket:
        try:
            await socket.call("say", "hi", room="chat/lobby")
        except Refused as refused:
            return str(refused)
    return None
