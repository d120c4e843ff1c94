"""How a socket's functions are called, and what their annotations ask for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

import msgspec
import pytest

from finch.calls import call
from finch.errors import ConfigurationError, HTTPError
from finch.sockets.event import Handlers, MessageHandler, SocketEvent
from finch.wire.envelope import EnvelopeError, Message, read_message

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
    assert str(caught.value).startswith(f"{WHERE} is annotated ")
    assert "JSON cannot be converted to" in str(caught.value)


async def none():
    pass


async def one(socket):
    pass


async def two(socket, data):
    pass


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
