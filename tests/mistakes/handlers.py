"""Mistakes in the handlers of sockets: their annotations and their events."""

from __future__ import annotations

from collections.abc import Callable

from finch import FinchApp, SocketEvent, SocketManager
from finch.conversions import check_hook
from tests.mistakes.book import mistake


class Bird:
    """A plain class."""


class Model:
    """As pydantic's, as far as Finch is concerned."""

    @classmethod
    def model_validate(cls, value):
        return cls()


@mistake("Socket handlers", "data: Bird # a plain class", "msgspec.Struct", "dec_hook", "Bird")
def a_plain_class():
    @FinchApp().socket("say")
    async def say(socket, data: Bird): ...


@mistake("Socket handlers", "data: list[Model] # of pydantic", "model_validate", "say (handlers.py")
def a_pydantic_model():
    @FinchApp().socket("say")
    async def say(socket, data: list[Model]): ...


@mistake("Socket handlers", "data: Callable", "msgspec does not know how to make Callable")
def a_callable():
    @FinchApp().socket("say")
    async def say(socket, data: Callable): ...


@mistake("Socket handlers", "data: set[list[int]]", "a set cannot hold a list")
def a_set_of_lists():
    @FinchApp().socket("say")
    async def say(socket, data: set[list[int]]): ...


@mistake("Socket handlers", "data: dict[tuple[int, int], str]", "keys of a JSON object are text")
def a_key_that_is_a_tuple():
    @FinchApp().socket("say")
    async def say(socket, data: dict[tuple[int, int], str]): ...


@mistake("Socket handlers", 'data: "Brid" # misspelt', "'Brid'", "define it")
def an_annotation_that_is_not_known():
    @FinchApp().socket("say")
    async def say(socket, data: Brid): ...  # noqa: F821


@mistake("Socket handlers", "async def say(data): ...", "(socket, data)", "say(data)")
def a_handler_without_its_socket():
    @FinchApp().socket("say")
    async def say(data): ...


@mistake("Socket handlers", "SocketEvent(on_message=say())", "without parentheses", "say (")
def a_handler_that_was_called():
    async def say(socket=None, data=None): ...

    SocketManager(FinchApp(), event=SocketEvent(on_message=say()))


@mistake("Socket handlers", "SocketManager(app, event=Room) # a class", "Room()")
def a_class_in_place_of_an_event():
    class Room(SocketEvent):
        async def on_message(self, socket, data): ...

    SocketManager(FinchApp(), event=Room)


@mistake("Socket handlers", "class Room(SocketEvent): onConnect = ...", "did you mean on_connect?")
def a_method_in_camel_case():
    class Room(SocketEvent):
        async def onConnect(self, socket): ...


@mistake("Socket handlers", "class Room(SocketEvent): on_mesage = ...", "did you mean on_message?")
def a_misspelt_method():
    class Room(SocketEvent):
        async def on_mesage(self, socket, data): ...


@mistake("Socket handlers", "SocketEvent(on_connect=..., concurrent=True)", "has no on_message")
def concurrency_without_messages():
    async def greet(socket): ...

    event = SocketEvent(on_connect=greet, concurrent=True)
    FinchApp().add_socket_route("say", event)


@mistake("Socket handlers", 'SocketEvent(on_message=say, concurrent="no")', "True or False")
def concurrency_that_is_text():
    async def say(socket, data): ...

    FinchApp().add_socket_route("say", SocketEvent(on_message=say, concurrent="no"))


@mistake("Socket handlers", "an `async` dec_hook", "is async", "'def'")
def a_hook_that_is_async():
    async def load(cls, value): ...

    check_hook(load)
