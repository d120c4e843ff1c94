"""What an application takes, answers and sends, read off its handlers."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest
from msgspec import Struct

from finch import ConfigurationError, FinchApp, Message, SocketManager, SocketRooms
from finch.describe.surface import Call, rooms, surface


class Said(Struct):
    text: str


def calls(app):
    return dict(surface(app.socket_manager).calls)


def test_what_a_handler_names_is_what_it_takes_and_answers():
    app = FinchApp()

    @app.socket("sum")
    async def add(socket, data: list[int]) -> int:
        return sum(data)

    @app.socket("plain")
    def plain(socket, data):
        return data

    @app.socket("whole")
    async def whole(socket, data: Message) -> None: ...

    assert calls(app) == {
        "sum": Call(list[int], int, False),
        "plain": Call(Any, Any, False),
        "whole": Call(Any, type(None), False),
    }


def test_a_streamed_answer_has_items():
    app = FinchApp()

    @app.socket("a")
    async def a(socket, data) -> AsyncIterator[int]:
        yield 1

    @app.socket("b")
    async def b(socket, data) -> AsyncGenerator[str, None]:
        yield ""

    @app.socket("c")
    async def c(socket, data):
        yield 1

    assert [(one.answer, one.streams) for one in calls(app).values()] == [
        (int, True),
        (str, True),
        (Any, True),
    ]


def test_an_annotation_of_the_answer_that_is_no_type_is_no_mistake():
    app = FinchApp()

    @app.socket("a")
    async def a(socket, data) -> "Nowhere":  # noqa: F821
        return 1

    assert calls(app) == {"a": Call(Any, Any, False)}


def test_what_is_sent_is_declared():
    app = FinchApp()
    chat = app.rooms("chat/{name}")
    app.sends("news", str)
    chat.sends("said", Said)
    assert surface(app.socket_manager).sends == {"news": str}
    assert rooms(app.socket_manager)["/chat/", ("str",)].sends == {"said": Said}


def test_classes_declare_it_too():
    class Chat(SocketRooms):
        sends = {"said": Said}  # noqa: RUF012

        async def on_message(self, socket, data, room): ...

    app = FinchApp()
    manager = SocketManager(app, rooms={"chat/{name}": Chat}, sends={"news": int})
    assert surface(manager).sends == {"news": int}
    room = rooms(manager)["/chat/", ("str",)]
    assert (room.sends, room.calls, room.any_path) == ({"said": Said}, {}, True)


def test_a_root_on_message_takes_any_path():
    app = FinchApp()
    assert not surface(app.socket_manager).any_path
    app.on_message(lambda socket, data: None)
    assert surface(app.socket_manager).any_path


@pytest.mark.parametrize(
    ("path", "type_", "text"),
    [
        ("finch.join", int, "Finch's own"),
        ("news", {"x": 1}, "takes the type"),
        ("news", "Nowhere", "takes the type"),
        (7, int, "the path of messages"),
        (Said, int, "without parentheses"),
        ("taken", int, "already declared"),
    ],
)
def test_a_wrong_declaration_is_refused(path, type_, text):
    app = FinchApp()
    app.sends("taken", str)
    with pytest.raises(ConfigurationError, match=text):
        app.sends(path, type_)
