"""The types of an application, as TypeScript; tsc itself says whether they are any good."""

import enum
import subprocess
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import UNSET, Meta, Struct, UnsetType

from finch import FinchApp
from finch.browser import STATIC
from finch.describe.typescript import declarations
from finch.testing import TestClient
from tests.conftest import need

TSC = Path(__file__).parent.parent / "js" / "node_modules" / ".bin" / "tsc"


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Said(Struct, rename="camel"):
    """What somebody says; */ ends no comment."""

    the_text: Annotated[str, Meta(min_length=1, description="at least one letter")]
    mood: Mood = Mood.GOOD
    at: datetime | None = None
    edited: bool | UnsetType = UNSET


class Sparse(Struct, tag="sparse", omit_defaults=True):
    x: int = 0


class Node(Struct):
    value: int
    children: list["Node"]


class Pair(Struct, array_like=True):
    a: int
    b: str | None = None


class Odd(Struct):
    default: Said  # fields with the names of schemas' own keys
    items: dict[str, list[int | None]]
    enum: tuple[int, str] = (0, "")


def typed(takes, answers=None):
    """What is declared of an application with one handler."""
    app = FinchApp()

    async def handler(socket, data): ...

    handler.__annotations__ = {"data": takes, "return": answers}
    app.socket("one")(handler)
    return declarations(app.socket_manager)


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (Any, "any"),
        (str, "string"),
        (int, "number"),
        (float, "number"),
        (bool, "boolean"),
        (bytes, "string"),
        (datetime, "string"),
        (None, "null"),
        (int | None, "number | null"),
        (list[int], "number[]"),
        (list[int | None], "(number | null)[]"),
        (list[list[str]], "string[][]"),
        (list, "any[]"),
        (tuple[int, str], "[number, string]"),
        (tuple[int, ...], "number[]"),
        (dict[str, float], "{ [key: string]: number }"),
        (dict, "{ [key: string]: any }"),
        (Literal["a", 1], '1 | "a"'),
        (int | float, "number"),
        (Mood, "App.Mood"),
        (list[Said], "App.Said[]"),
        (Sparse | None, "App.Sparse | null"),
        (msgspec.Raw, "any"),
    ],
)
def test_a_type(type_, text):
    assert f"one: {{ data: {text}; answer: any }}" in typed(type_, Any)
    assert f"one: {{ data: any; answer: {text} }}" in typed(Any, type_)


def test_a_field_with_a_default_may_be_left_out_by_who_sends_and_is_there_for_who_gets():
    assert "mood?: App.Mood;" in typed(Said)
    assert "mood: App.Mood;" in typed(Any, Said)
    both = typed(Said, list[Said])
    assert "data: App.SaidInput; answer: App.Said[]" in both
    assert both.count("mood: App.Mood;") == both.count("mood?: App.Mood;") == 1
    assert both.count("edited?: boolean;") == 2  # what is UNSET is not sent
    assert "x?: number;" in typed(Any, Sparse)  # nor what omit_defaults omits
    assert typed(Sparse, Sparse).count("interface Sparse") == 1


def test_types_with_names_are_declared_once_with_their_comments():
    text = typed(Odd, Odd)
    for name in ("interface Odd ", "interface OddInput ", "interface SaidInput ", "type Mood ="):
        assert text.count(f"export {name}") == 1
    assert "/** at least one letter */" in text
    assert "*/ ends" not in text


def test_names_of_rooms_are_patterns():
    app = FinchApp()
    for path in ("lobby", "chat/{name}", "game/{id:int}/{side}", "a`$b/{rest:path}"):
        app.rooms(path)
    text = declarations(app.socket_manager)
    for line in (
        "  lobby: {",
        "  [name: `chat/${string}`]: {",
        "  [name: `game/${number}/${string}`]: {",
        "  [name: `a\\`\\$b/${string}`]: {",
    ):
        assert line in text


def test_an_application_without_sockets_has_empty_types():
    text = declarations(FinchApp().socket_manager)
    assert text.split("\n\n") == [
        "export interface Calls {}",
        "export interface Sends {}",
        "export interface Rooms {}\n",
    ]


def new_app():
    app = FinchApp()

    @app.socket("sum")
    async def add(socket, data: list[int]) -> int:
        return sum(data)

    @app.socket("ask why")
    async def ask(socket, data: str) -> AsyncIterator[str]:
        yield data

    @app.socket("tree")
    async def tree(socket, data: Node | None) -> tuple[Pair, Odd]: ...

    @app.socket("odd")
    async def odd(socket, data: Odd) -> None: ...

    app.rooms("chat/{id:int}")
    chat = app.rooms("chat/{name}", presence=True)
    chat.sends("said", Said)
    app.sends("news", dict[str, Said])

    @chat.socket("say")
    async def say(socket, data: Said, room) -> None: ...

    return app


RIGHT = """
import { connect, FinchError, App } from "./finch.js";
const finch = connect("/ws", { token: async () => "x", since: "session" });
const sum: number = await finch.call("sum", [1, 2], { timeout: 5000, retry: true });
for await (const word of finch.stream("ask why", "why?")) word.toUpperCase();
finch.on("news", (news) => news["today"].theText.length);
finch.on("error", (error) => console.log(error.message));
const room = finch.join("chat/lobby", { last: 50, meta: { name: "Ann" } });
room.on("said", (said, message) => { const mood: App.Mood = said.mood; return message.seq; });
room.send("say", { theText: "hello" });
room.presence.on("change", (people, { joins }) => people.length + joins.length);
const [pair, odd] = await finch.call("tree", { value: 1, children: [] });
const b: string | null = pair[1];
const text: string = odd.default.theText;
await finch.call("odd", { default: { theText: "x" }, items: { a: [1, null] } });
"""

WRONG = {
    "a wrong answer": 'const sum: string = await finch.call("sum", [1, 2]);',
    "wrong data": 'finch.send("sum", ["a"]);',
    "no data": 'finch.call("sum");',
    "a wrong path": 'finch.call("summ", [1]);',
    "a wrong item": 'for await (const one of finch.stream("ask why", "?")) one.toFixed();',
    "a wrong field that is sent": 'finch.join("chat/lobby").send("say", { text: "hello" });',
    "a wrong field that comes": 'finch.join("chat/lobby").on("said", (said) => said.text);',
    "a wrong room": 'finch.join("chats/lobby");',
    "a path that is not sent": 'finch.on("newz", () => {});',
    "a wrong literal": 'finch.join("chat/x").send("say", { theText: "x", mood: "fine" });',
}


def check(folder, script):
    """What tsc says of a script that uses the types of the application."""
    tsc = need(str(TSC), "make client-tools")
    (folder / "finch.d.ts").write_text(new_app().types())
    (folder / "page.ts").write_text(script)
    options = "--noEmit --strict --target es2022 --module es2022 --moduleResolution bundler"
    done = subprocess.run(
        [tsc, *options.split(), "page.ts"], check=False, cwd=folder, capture_output=True, text=True
    )
    return done.stdout.splitlines()


def test_tsc_accepts_what_is_right(tmp_path):
    assert check(tmp_path, RIGHT) == []


def test_tsc_refuses_each_mistake(tmp_path):
    begin = 'import { connect } from "./finch.js";\nconst finch = connect("/ws");\n'
    said = check(tmp_path, begin + "\n".join(WRONG.values()))
    lines = {int(one.split("(")[1].split(",")[0]) for one in said if one.startswith("page.ts")}
    accepted = [what for line, what in enumerate(WRONG, 3) if line not in lines]
    assert accepted == []


async def test_in_debug_the_app_serves_its_types():
    app = new_app()
    async with TestClient(app) as client:
        plain = (await client.get("/finch.d.ts")).text
        assert plain == (STATIC / "finch.d.ts").read_text()
        app.debug = True
        response = await client.get("/finch.d.ts")
        assert response.text == app.types()
        assert response.headers["etag"]


# Types that no schema, or not TypeScript, can say


class Cat(Struct):
    meows: int


class Dog(Struct):
    barks: int


class Post(Struct):
    text: str
    likes: int = 0


class PostInput(Struct):
    url: str


class Größe(Struct):
    metres: int


class Grüße(Struct):
    text: str


class string(Struct):
    length: int


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        (Cat | Dog, "App.Cat | App.Dog"),  # msgspec cannot read it, but it can send it
        (list[Cat | Dog] | None, "any | null"),
        (Path, "any"),
        (object, "any"),
    ],
)
def test_an_answer_that_no_schema_can_say_does_not_disturb_the_others(answers, text):
    declared = typed(Said, answers)
    assert f"one: {{ data: App.Said; answer: {text} }};" in declared


def test_what_only_dec_hook_knows_is_anything():
    app = FinchApp(dec_hook=lambda kind, value: complex(value))

    @app.socket("one")
    async def one(socket, data: complex) -> int: ...

    assert "one: { data: any; answer: number };" in declarations(app.socket_manager)


def test_two_types_never_have_the_same_name():
    app = FinchApp()

    def say(path, takes, answers):
        async def handler(socket, data): ...

        handler.__annotations__ = {"data": takes, "return": answers}
        app.socket(path)(handler)

    say("post", Post, Post)
    say("link", PostInput, string)
    say("size", Größe, None)
    say("greet", Grüße, None)
    declared = declarations(app.socket_manager)
    assert "post: { data: App.PostInput_; answer: App.Post };" in declared
    assert "link: { data: App.PostInput; answer: App.string_ };" in declared
    assert "size: { data: App.Gr__e; answer: null };" in declared
    assert "greet: { data: any; answer: null };" in declared  # msgspec has one name for both
