"""How a socket's functions are called, and what their annotations ask for."""

from __future__ import annotations

import array
import enum
import functools
import pathlib
import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    TypedDict,
    TypeVar,
)

import msgspec
import pytest

from finch import FinchApp, SocketManager
from finch.calls import call
from finch.errors import ConfigurationError, HTTPError
from finch.sockets.event import Handlers, MessageHandler, SocketEvent
from finch.testing import TestClient
from finch.wire.message import EnvelopeError, Message, read_message

if TYPE_CHECKING:
    from collections.abc import Sized

    from finch.sockets.client import SocketClient

WHERE = "on_message of 'say'"


async def handle(handler, socket, incoming):
    """Call a handler as a client's worker does."""
    return await call(handler.function, socket, handler.convert(incoming))


class Bird(msgspec.Struct):
    name: str
    age: int = 1


@dataclass
class Nest:
    eggs: int


class Tree(TypedDict):
    height: float


class Cat(msgspec.Struct):
    lives: int


def message(data: str, more: str = "") -> Message:
    return read_message(f'{{"path":"say","data":{data}{more}}}')


def echo(annotation: Any, *, as_text: bool) -> Callable[..., Any]:
    """A handler that returns what it gets, from a module with or without the import."""
    source = "async def handler(socket, data: annotation):\n    return data\n"
    if as_text:
        source = "from __future__ import annotations\n" + source
    namespace: dict[str, Any] = {"annotation": annotation}
    exec(compile(source, "somebody's module", "exec", dont_inherit=True), namespace)
    handler: Callable[..., Any] = namespace["handler"]
    assert isinstance(handler.__annotations__["data"], str) is as_text
    return handler


async def told(handler: Callable[..., Any], data: str) -> Any:
    return await handle(MessageHandler(handler, WHERE), "the socket", message(data))


async def refused(handler: Callable[..., Any], data: str) -> HTTPError:
    with pytest.raises(HTTPError) as caught:
        await told(handler, data)
    return caught.value


# What the second parameter is


@pytest.mark.parametrize("data", ["1", "null", '"a"', '{"a":[1,null]}', "[]"])
async def test_without_an_annotation_it_is_the_parsed_data(data):
    async def handler(socket, data):
        return socket, data

    assert await told(handler, data) == ("the socket", msgspec.json.decode(data))


async def test_without_data_it_is_none():
    async def handler(socket, data):
        return data

    assert await handle(MessageHandler(handler, WHERE), None, read_message('{"path":"a"}')) is None


CONVERTED = [
    (Any, '{"name":"finch"}', {"name": "finch"}),
    (Bird, '{"name":"finch"}', Bird("finch", 1)),
    (Nest, '{"eggs":3}', Nest(3)),
    (Tree, '{"height":2.5}', {"height": 2.5}),
    (list[int], "[1,2]", [1, 2]),
    (list[Bird], '[{"name":"a","age":2}]', [Bird("a", 2)]),
    (dict[str, Nest], '{"a":{"eggs":1}}', {"a": Nest(1)}),
    (str, '"hi"', "hi"),
    (int | None, "null", None),
    (Bird | None, "null", None),
    (Literal["up", "down"], '"up"', "up"),
    (tuple[int, str], '[1,"a"]', (1, "a")),
    (Annotated[int, msgspec.Meta(ge=0)], "5", 5),
]


@pytest.mark.parametrize("as_text", [False, True], ids=["objects", "future annotations"])
@pytest.mark.parametrize(("annotation", "data", "value"), CONVERTED, ids=str)
async def test_with_an_annotation_it_is_converted(annotation, data, value, as_text):
    got = await told(echo(annotation, as_text=as_text), data)

    assert got == value
    assert type(got) is type(value)


MISFITS = [
    (Bird, '{"name":5}', "$.name"),
    (Bird, "{}", "`name`"),
    (Bird, "null", "object"),
    (Nest, '{"eggs":"3"}', "$.eggs"),
    (Tree, '{"height":null}', "$.height"),
    (list[int], '[1,"2"]', "$[1]"),
    (list[int], "{}", "array"),
    (int, "1.5", "int"),
    (Literal["up"], '"left"', "'left'"),
    (Annotated[int, msgspec.Meta(ge=0)], "-1", ">= 0"),
]


@pytest.mark.parametrize("as_text", [False, True], ids=["objects", "future annotations"])
@pytest.mark.parametrize(("annotation", "data", "says"), MISFITS, ids=str)
async def test_data_that_does_not_fit_is_422_and_says_where(annotation, data, says, as_text):
    error = await refused(echo(annotation, as_text=as_text), data)

    assert error.status == 422
    assert error.message.startswith("data does not fit: ")
    assert says in error.message


async def test_data_that_does_not_fit_does_not_run_the_handler():
    ran = []

    async def handler(socket, data: int):
        ran.append(data)

    await refused(handler, '"x"')
    assert ran == []


@pytest.mark.parametrize("annotation", [Any, list, float, list[Any]])
@pytest.mark.parametrize("data", ["1e999", "[1e999]"])
async def test_a_number_that_nothing_can_hold_is_the_clients_fault(annotation, data):
    try:
        incoming = message(data)
    except EnvelopeError:
        return  # noticed as early as it can be
    with pytest.raises(HTTPError) as caught:
        await handle(MessageHandler(echo(annotation, as_text=False), WHERE), None, incoming)
    assert caught.value.status in (400, 422)


@pytest.mark.parametrize("as_text", [False, True], ids=["objects", "future annotations"])
async def test_a_message_is_the_whole_message(as_text):
    incoming = message("1", ',"blob":[2],"id":3')
    got = await handle(MessageHandler(echo(Message, as_text=as_text), WHERE), None, incoming)

    assert got is incoming
    assert (got.path, got.data, got["blob"], got.id) == ("say", 1, [2], 3)


# What kinds of function there are


class House:
    async def method(self, socket, data: Bird):
        return data

    async def __call__(self, socket, data: list[int]):
        return data

    @staticmethod
    async def static(socket, data: Bird):
        return data

    @classmethod
    async def of_class(cls, socket, data: Bird):
        return data


async def with_room(room, socket, data: Bird):
    return room, data


def logged(function):
    @functools.wraps(function)
    async def wrapper(*args, **kwargs):
        return await function(*args, **kwargs)

    return wrapper


@logged
async def decorated(socket, data: Bird):
    return data


def blocking(socket, data: Bird):
    return data


FINCH = '{"name":"finch"}'


@pytest.mark.parametrize(
    ("handler", "data", "value"),
    [
        (House().method, FINCH, Bird("finch")),
        (House().static, FINCH, Bird("finch")),
        (House.of_class, FINCH, Bird("finch")),
        (House(), "[1]", [1]),
        (functools.partial(with_room, "lobby"), FINCH, ("lobby", Bird("finch"))),
        (decorated, FINCH, Bird("finch")),
        (blocking, FINCH, Bird("finch")),
        (lambda socket, data: data, FINCH, {"name": "finch"}),
    ],
    ids=["method", "static", "class", "object", "partial", "decorated", "thread", "lambda"],
)
async def test_a_handler_is_any_callable_and_its_annotation_counts(handler, data, value):
    assert await told(handler, data) == value


async def test_a_parameter_may_have_a_default_and_others_behind_it():
    async def handler(socket, data: int = 0, times: int = 2):
        return data * times

    assert await told(handler, "4") == 8


async def test_a_handler_may_take_whatever_comes():
    async def handler(*args):
        return args

    assert await told(handler, "[1]") == ("the socket", [1])


async def test_an_async_generator_is_handed_back_unstarted():
    started = []

    async def handler(socket, data):
        started.append(data)
        yield data

    generator = await told(handler, "1")

    assert started == []
    assert [item async for item in generator] == [1]


async def test_what_a_thread_returns_is_awaited_where_it_can_be():
    async def later(data):
        return data + 1

    assert await told(lambda socket, data: later(data), "1") == 2


async def test_only_the_second_annotation_has_to_be_known():
    # the others are imported for the type checker alone
    async def handler(socket: SocketClient, data: Bird) -> Bird | Sized:
        return data

    assert await told(handler, FINCH) == Bird("finch")


# Mistakes


def test_an_annotation_that_is_not_known_says_where_to_define_it():
    class Local(msgspec.Struct):
        name: str

    async def handler(socket, data: Local):
        return data

    with pytest.raises(ConfigurationError) as caught:
        MessageHandler(handler, WHERE)
    said = str(caught.value)
    assert WHERE in said
    assert "'Local'" in said
    assert "define it at the top of the module" in said


def test_an_annotation_that_json_cannot_become_is_refused():
    with pytest.raises(ConfigurationError) as caught:
        MessageHandler(echo(Bird | Cat, as_text=False), WHERE)
    assert str(caught.value).startswith(f"{WHERE} is annotated with ")
    assert "JSON cannot be converted to" in str(caught.value)


class Plain:
    pass


class Model:
    """As pydantic's, as far as Finch is concerned."""

    def __init__(self, **values):
        self.values = values

    def __eq__(self, other):
        return isinstance(other, Model) and other.values == self.values

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def model_validate(cls, value):
        if not isinstance(value, dict):
            raise ValueError("not an object")
        return cls(**value)


class Street(msgspec.Struct):
    rooms: list[Street] = []
    owner: Plain | None = None


@dataclass
class Garden:
    owner: Plain


class Park(TypedDict):
    owner: Plain


class Point(NamedTuple):
    owner: Plain


T = TypeVar("T")


class Box(Generic[T]):
    pass


class Crate(msgspec.Struct, Generic[T]):
    inside: T


class Own(str):
    __slots__ = ()


UNKNOWN: list[Any] = [
    Plain,
    Model,
    Own,
    array.array,
    pathlib.Path,
    complex,
    Callable[[int], int],
    Iterable[int],
    deque[int],
    Box,
    Box[int],
    Plain | None,
    list[Plain],
    dict[str, list[Model]],
    Annotated[Plain, "for somebody"],
    Street,
    Garden,
    Park,
    Point,
    Crate[Plain],
    tuple[int, Plain],
]


@pytest.mark.parametrize("as_text", [False, True], ids=["objects", "future annotations"])
@pytest.mark.parametrize("annotation", UNKNOWN, ids=str)
def test_an_annotation_that_msgspec_cannot_fill_is_refused_when_it_is_registered(
    annotation, as_text
):
    with pytest.raises(ConfigurationError) as caught:
        MessageHandler(echo(annotation, as_text=as_text), WHERE)
    said = str(caught.value)
    assert said.startswith(f"{WHERE} is annotated with ")
    assert "JSON cannot be converted to that: " in said
    assert "msgspec.Struct" in said
    assert "FinchApp(dec_hook=" in said
    assert said.endswith(
        "See the second parameter of handler (somebody's module, line "
        + ("2)." if as_text else "1).")
    )


def test_a_pydantic_model_is_told_its_hook():
    with pytest.raises(ConfigurationError) as caught:
        MessageHandler(echo(list[Model], as_text=False), WHERE)
    assert (
        "Model is a pydantic model, and msgspec does the converting; write "
        "FinchApp(dec_hook=lambda cls, value: cls.model_validate(value))"
    ) in str(caught.value)


@pytest.mark.parametrize("annotation", UNKNOWN, ids=str)
def test_with_a_hook_any_class_may_be_an_annotation(annotation):
    MessageHandler(echo(annotation, as_text=False), WHERE, lambda cls, value: value)


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        (dict[tuple[int, int], str], "no text becomes a tuple; write dict[str, ...]"),
        (dict[bool, int], "no text becomes a bool"),
        (list[dict[Bird, int]], "no text becomes Bird"),
        (set[list[int]], "a set cannot hold a list; write list[...]"),
        (frozenset[dict[str, int]], "a set cannot hold a dict"),
        (set[tuple[list[int], ...]], "a set cannot hold a list"),
        (set[Bird], "a set cannot hold Bird"),
        (dict[str, set[Nest]], "a set cannot hold Nest"),
        (Bird | Cat, "is not supported"),
        (int | Plain, "Type unions containing a custom type"),
        (Literal[1.5], "Literal may only contain"),
        (5, "Type '5' is not supported"),
        (Message | None, "write Message alone"),
    ],
    ids=str,
)
@pytest.mark.parametrize("hook", [None, lambda cls, value: value], ids=["", "hook"])
def test_what_no_hook_can_help_is_refused(annotation, says, hook):
    with pytest.raises(ConfigurationError) as caught:
        MessageHandler(echo(annotation, as_text=False), WHERE, hook)
    assert says in str(caught.value)


class Frozen(msgspec.Struct, frozen=True):
    name: str


class Kind(enum.IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("annotation", "data", "value"),
    [
        (object, "[1]", [1]),
        (list[object], '["a"]', ["a"]),
        (set[int], "[1]", {1}),
        (set[Frozen], '[{"name":"a"}]', {Frozen("a")}),
        (dict[int, int], '{"1":2}', {1: 2}),
        (dict[int | None, int], '{"1":2}', {1: 2}),
        (dict[Kind, int], '{"1":2}', {Kind.ONE: 2}),
        (list["int"], "[1]", [1]),
        (Crate[int], '{"inside":1}', Crate(1)),
        (None, "null", None),
    ],
    ids=str,
)
async def test_what_looks_alike_and_can_be_filled_is_accepted(annotation, data, value):
    assert await told(echo(annotation, as_text=False), data) == value


@pytest.mark.parametrize("written", ["not a type!", "1+", "msgspec.Strct", "[int]"])
def test_an_annotation_in_quotes_that_is_no_type_is_refused(written):
    async def handler(socket, data):
        return data

    handler.__annotations__["data"] = written
    with pytest.raises(ConfigurationError, match="JSON cannot be converted to that") as caught:
        MessageHandler(handler, WHERE)
    assert "handler (test_event.py, line " in str(caught.value)


async def test_data_that_a_set_cannot_hold_is_the_clients_fault():
    error = await refused(echo(set, as_text=False), "[[1]]")
    assert (error.status, error.message) == (
        422,
        "data does not fit: Expected elements that can be hashed: unhashable type: 'list'",
    )


# The hook


def validate(cls, value):
    return cls.model_validate(value)


@pytest.mark.parametrize(
    ("annotation", "data", "value"),
    [
        (Model, '{"a":1}', Model(a=1)),
        (list[Model], '[{"a":1}]', [Model(a=1)]),
        (dict[str, Model | None], '{"x":{"a":1},"y":null}', {"x": Model(a=1), "y": None}),
        (list[object], "[1]", [1]),
        (Bird, FINCH, Bird("finch")),
    ],
    ids=["model", "list", "dict", "object", "struct"],
)
async def test_a_hook_makes_what_msgspec_does_not_know(annotation, data, value):
    handler = MessageHandler(echo(annotation, as_text=False), WHERE, validate)
    assert await handle(handler, None, message(data)) == value


@pytest.mark.parametrize("kind", [ValueError, TypeError])
async def test_a_value_that_a_hook_refuses_is_422_and_says_where(kind):
    def refuse(cls, value):
        raise kind("too young")

    handler = MessageHandler(echo(dict[str, list[Model]], as_text=False), WHERE, refuse)
    with pytest.raises(HTTPError) as caught:
        handler.convert(message('{"birds":[1]}'))
    assert caught.value.status == 422
    assert caught.value.message == "data does not fit: too young - at `$[...][0]`"


@pytest.mark.parametrize("error", [KeyError("x"), NotImplementedError("x"), ZeroDivisionError("x")])
def test_any_other_exception_of_a_hook_is_the_applications(error):
    def fail(cls, value):
        raise error

    handler = MessageHandler(echo(Model, as_text=False), WHERE, fail)
    with pytest.raises(type(error)) as caught:
        handler.convert(message("1"))
    assert caught.value is error


@pytest.mark.parametrize("made", [None, 5, {}])
def test_a_hook_that_makes_something_else_is_the_applications_fault(made):
    handler = MessageHandler(echo(list[Model], as_text=False), WHERE, lambda cls, value: made)
    with pytest.raises(RuntimeError, match=r"dec_hook, .*, was asked for Model and"):
        handler.convert(message("[1]"))


async def none():
    pass


async def one(socket):
    pass


async def two(socket, data):
    pass


async def many(socket, data):
    yield data


async def three(socket, data, more):
    pass


async def keyword(socket, *, data):
    pass


@pytest.mark.parametrize(
    ("name", "function", "said"),
    [
        ("on_connect", none, "on_connect of 'say' is called with (socket), but is written none()"),
        ("on_connect", two, "called with (socket), but is written two(socket, data)"),
        ("on_disconnect", two, "on_disconnect of 'say' is called with (socket), but is written"),
        ("on_message", none, "called with (socket, data), but is written none()"),
        ("on_message", one, "called with (socket, data), but is written one(socket)"),
        ("on_message", three, "but is written three(socket, data, more)"),
        ("on_message", keyword, "but is written keyword(socket, *, data)"),
        ("on_message", House.method, "is written method(self, socket, data: "),
        ("on_error", one, "on_error of 'say' is called with (socket, error), but is written one("),
        ("on_message", "two", "on_message of 'say' is not callable: 'two'"),
        ("on_connect", 5, "on_connect of 'say' is not callable: 5"),
        ("on_error", [one], "on_error of 'say' is not callable"),
        ("on_connect", two(1, 2), "not callable: a coroutine; two (test_event.py, line "),
        ("on_message", two(1, 2), "was called: write its name, without parentheses"),
        ("on_message", many(1, 2), "not callable: an async_generator; many (test_event.py, line "),
    ],
)
def test_a_function_of_the_wrong_shape_is_refused_with_the_right_one(name, function, said):
    with pytest.raises(ConfigurationError) as caught:
        Handlers(SocketEvent(**{name: function}), "'say'")
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["on_connect", "on_message", "on_disconnect", "on_error"])
def test_a_function_of_the_right_shape_is_kept(name):
    given: dict[str, Any] = {name: two if name in ("on_message", "on_error") else one}
    handlers = Handlers(SocketEvent(**given), "'say'")

    for other in ("on_connect", "on_message", "on_disconnect", "on_error"):
        assert (getattr(handlers, other) is not None) is (other == name)
    assert handlers.concurrent is False


# Events as classes


class Diary(SocketEvent):
    concurrent = True

    def __init__(self):
        super().__init__()
        self.pages = []

    async def on_connect(self, socket):
        self.pages.append("connected")

    async def on_message(self, socket, data: Bird):
        self.pages.append(data)


async def test_an_event_may_be_a_class_with_methods():
    diary = Diary()
    handlers: Any = Handlers(diary, "'say'")
    await handlers.on_connect("the socket")
    await handle(handlers.on_message, "the socket", message(FINCH))

    assert diary.pages == ["connected", Bird("finch")]
    assert handlers.on_disconnect is None
    assert handlers.on_error is None
    assert handlers.concurrent is True


async def test_a_function_that_is_given_replaces_the_method_of_the_class():
    class Quiet(SocketEvent):
        async def on_message(self, socket, data):
            return "method"

    handlers: Any = Handlers(Quiet(on_message=echo(int, as_text=False)), "'say'")

    assert await handle(handlers.on_message, None, message("5")) == 5


@pytest.mark.parametrize("concurrent", [False, True])
def test_an_event_may_be_concurrent(concurrent):
    assert Handlers(SocketEvent(concurrent=concurrent), "").concurrent is concurrent


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (Diary, "'say' is a SocketEvent, not a type; write Diary(), with parentheses"),
        (two, r"not a function; write SocketEvent(on_message=...)"),
        (None, "not None; write SocketEvent(on_message=...)"),
    ],
)
def test_what_is_no_event_is_refused(event, says):
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        Handlers(event, "'say'")


@pytest.mark.parametrize("concurrent", ["yes", 1, 0, None])
def test_concurrent_is_true_or_false(concurrent):
    event = SocketEvent(on_message=two)
    event.concurrent = concurrent
    with pytest.raises(ConfigurationError, match=r"concurrent of 'say' is True or False, not"):
        Handlers(event, "'say'")


def test_a_named_path_that_is_concurrent_handles_messages():
    event = SocketEvent(on_connect=one, concurrent=True)
    with pytest.raises(ConfigurationError, match="is concurrent and has no on_message"):
        Handlers(event, "the socket path 'say'")
    assert Handlers(event, "the root event").concurrent  # its on_message may come later


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("on_mesage", "on_message"),
        ("on_messages", "on_message"),
        ("onMessage", "on_message"),
        ("onConnect", "on_connect"),
        ("on_connected", "on_connect"),
        ("on_conect", "on_connect"),
        ("on_disconect", "on_disconnect"),
        ("onDisconnect", "on_disconnect"),
        ("on_errors", "on_error"),
        ("OnError", "on_error"),
    ],
)
@pytest.mark.parametrize("wrapped", [lambda f: f, staticmethod, classmethod])
def test_a_misspelt_method_is_refused_where_the_class_is_written(written, meant, wrapped):
    with pytest.raises(ConfigurationError) as caught:
        type("Room", (SocketEvent,), {written: wrapped(two)})
    assert str(caught.value) == (
        f"Room has a function {written}, which would never be called; did you mean {meant}?"
    )


def test_a_misspelt_function_of_an_event_is_refused():
    event: Any = SocketEvent()
    event.on_mesage = two
    with pytest.raises(ConfigurationError, match=r"did you mean on_message\?"):
        Handlers(event, "'say'")


def test_an_event_may_have_functions_of_its_own():
    class Room(SocketEvent):
        on_time = 5

        async def on_message(self, socket, data):
            return await self.on_messages([data])

        async def on_messages(self, data): ...

        async def on_quiz_answered(self, data): ...

        async def connect(self): ...

        async def _on_connected(self): ...

        async def once(self): ...

    assert Handlers(Room(), "'say'").on_message is not None


class Quiet(SocketEvent):
    on_message = None

    async def on_connect(self, socket): ...


def test_a_callback_may_be_left_out_in_a_subclass():
    assert Handlers(Quiet(), "'say'").on_message is None


def test_a_builtin_that_does_not_say_what_it_takes_is_accepted():
    handler = MessageHandler(dict.fromkeys, WHERE)  # type: ignore[arg-type]
    assert handler.convert(message("1")) == 1


async def test_a_manager_that_was_taken_early_goes_on_working():
    app = FinchApp()
    early = app.socket_manager

    @early.socket("early")
    async def early_handler(socket, data):
        return "early"

    late = SocketManager(app, routes={"late": SocketEvent(on_message=early_handler)})

    @early.socket("later")
    async def later_handler(socket, data):
        return "later"

    assert app.socket_manager is late
    async with TestClient(app) as client, client.socket() as socket:
        for path in ("early", "late", "later"):
            await socket.send(path)
            assert (await socket.receive()).status == 200
        assert early.count_clients == late.count_clients == 1
        assert await early.send_to_all("hello") == 1
