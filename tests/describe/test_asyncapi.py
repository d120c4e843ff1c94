"""AsyncAPI: every socket as its annotations and ``sends`` say it; the official JSON schema reads
each document."""

from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Meta, Struct

from finch import Description, FinchApp, SocketController, SocketEvent, SocketManager
from tests.describe.official import checked_asyncapi


class Said(Struct):
    """What somebody says."""

    text: str
    at: tuple[int, int] = (0, 0)


class Reply(Struct):
    to: Annotated[Said, Meta(description="the first")]


class Cat(Struct, tag=True):
    lives: int = 9


class Dog(Struct, tag=True):
    name: str


def data_of(document, channel, message):
    return document["channels"][channel]["messages"][message]["payload"]["properties"]["data"]


def test_a_manager_is_a_channel_with_what_clients_send_and_get():
    app = FinchApp()

    @app.socket("say")
    async def say(socket, data: Said) -> int:
        """Say something.

        To everybody.
        """

    app.sends("said", Said)
    document = checked_asyncapi(app)
    channel = document["channels"]["ws"]
    assert channel["address"] == "/ws"
    assert channel["bindings"]["ws"]["method"] == "GET"
    assert document["operations"]["ws.say"] == {
        "action": "receive",
        "channel": {"$ref": "#/channels/ws"},
        "title": "say",
        "summary": "Say something.",
        "description": "To everybody.",
        "messages": [{"$ref": "#/channels/ws/messages/say"}],
        "reply": {
            "channel": {"$ref": "#/channels/ws"},
            "messages": [{"$ref": "#/channels/ws/messages/say.answer"}],
        },
    }
    assert document["operations"]["ws.send.said"]["action"] == "send"
    assert channel["messages"]["say"]["payload"] == {
        "allOf": [{"$ref": "#/components/schemas/finch.FromClient"}],
        "type": "object",
        "properties": {"path": {"const": "say"}, "data": {"$ref": "#/components/schemas/Said"}},
        "required": ["data"],
    }
    assert data_of(document, "ws", "say.answer") == {"type": "integer"}
    assert data_of(document, "ws", "said.sent") == {"$ref": "#/components/schemas/Said"}
    assert data_of(document, "ws", "error.sent") == {"$ref": "#/components/schemas/finch.Error"}


def test_data_that_may_be_null_need_not_be_sent():
    app = FinchApp()

    async def handler(socket, data: int | None): ...

    app.socket("one")(handler)
    app.socket("two")(lambda socket, data: None)
    messages = checked_asyncapi(app)["channels"]["ws"]["messages"]
    assert "required" not in messages["one"]["payload"]
    assert "required" not in messages["two"]["payload"]


def test_rooms_are_channels_with_the_parameters_of_their_names():
    app = FinchApp()
    chat = app.rooms("chat/{name}/{floor:int}", presence=True)

    @chat.socket("say")
    async def say(socket, data: str) -> AsyncIterator[Said]: ...

    chat.sends("said", str)
    app.rooms("quiet")
    document = checked_asyncapi(app)
    channel = document["channels"]["ws_chat_name_floor_int"]
    assert channel["address"] == "chat/{name}/{floor}"
    assert channel["parameters"] == {"name": {}, "floor": {}}
    assert "at /ws" in channel["description"]
    assert "bindings" not in channel
    assert "part of the answer" in channel["messages"]["say.answer"]["summary"]
    actions = {
        key.removeprefix("ws_chat_name_floor_int."): one["action"]
        for key, one in document["operations"].items()
        if one["channel"]["$ref"].endswith("floor_int")
    }
    assert actions == {
        "say": "receive",
        "send.said": "send",
        "finch.join": "receive",
        "finch.leave": "receive",
        "send.finch.presence": "send",
    }
    assert "ws_quiet.finch.join" in document["operations"]
    assert "ws_quiet.send.finch.presence" not in document["operations"]


def test_messages_of_any_path():
    app = FinchApp()

    async def anything(socket, data: Said): ...

    SocketManager(app, path="/any/{tenant}", event=SocketEvent(on_message=anything))
    rooms = app.rooms("all/{of:path}")
    rooms._add("", anything, False)
    document = checked_asyncapi(app)
    channel = document["channels"]["any_tenant"]
    assert channel["address"] == "/any/{tenant}"
    assert channel["parameters"] == {"tenant": {}}
    payload = channel["messages"]["any"]["payload"]
    assert payload["properties"] == {"data": {"$ref": "#/components/schemas/Said"}}
    assert document["operations"]["ws_all_of_path.any"]["action"] == "receive"


def test_a_raw_socket_has_no_messages():
    app = FinchApp()

    @app.websocket("/raw/{n:int}")
    async def raw(ws):
        """Numbers."""

    [channel] = checked_asyncapi(app)["channels"].values()
    assert channel["address"] == "/raw/{n}"
    assert channel["messages"] == {}
    assert channel["description"] == "Numbers.\n\nWithout envelopes."


def test_a_manager_whose_path_nobody_knows_has_no_address():
    app = FinchApp(socket_path=None)
    app.socket("say")(lambda socket, data: None)
    app.get("/mine")(SocketController(app.socket_manager).socket)
    [channel] = checked_asyncapi(app)["channels"].values()
    assert channel["address"] is None


def test_schemas_are_those_of_draft_7():
    app = FinchApp()

    async def handler(socket, data: Cat | Dog) -> Reply: ...

    app.socket("one")(handler)
    document = checked_asyncapi(app)
    assert document["components"]["schemas"]["Said"]["properties"]["at"] == {
        "type": "array",
        "items": [{"type": "integer"}, {"type": "integer"}],
        "additionalItems": False,
        "minItems": 2,
        "maxItems": 2,
        "default": [0, 0],
    }
    assert document["components"]["schemas"]["Reply"]["properties"]["to"] == {
        "description": "the first",
        "allOf": [{"$ref": "#/components/schemas/Said"}],  # nothing counts beside a $ref
    }
    assert list(data_of(document, "ws", "one")) == ["anyOf"]  # its discriminator is no text


def test_an_application_without_sockets_has_a_valid_description():
    assert checked_asyncapi(FinchApp())["channels"] == {}


def test_servers_are_where_the_application_says():
    about = Description(servers=["https://a.example.org/v2/", "http://b.example.org:8080"])
    assert checked_asyncapi(FinchApp(describe=about))["servers"] == {
        "a.example.org": {"host": "a.example.org", "protocol": "wss", "pathname": "/v2"},
        "b.example.org_8080": {"host": "b.example.org:8080", "protocol": "ws"},
    }
