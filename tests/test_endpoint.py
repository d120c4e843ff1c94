"""The route where other programs send messages: who may, what it takes, and what it answers."""

import json

import pytest

from finch import ConfigurationError, FinchApp, Limits
from finch.endpoint import publish_route
from finch.testing import TestClient
from tests.cluster.nodes import heard, make_app

TOKEN, NEXT_TOKEN = "a" * 32, "b" * 40
RIGHT = {"authorization": f"Bearer {TOKEN}"}


def with_route(app, most=1000):
    """An application of ``make_app`` that takes messages, too."""
    app.add_routes([publish_route("/publish", [TOKEN, NEXT_TOKEN], app, most)])
    return app


async def post(client, body, headers=RIGHT):
    """Post something. Returns status and answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await client.post("/publish", content=content, headers=headers)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert not any(name.startswith("access-control") for name in answer.headers)
    return answer.status, answer.json()


UNNUMBERED = (200, {"seq": None, "position": None})


async def test_every_audience_is_reached():
    async with TestClient(with_route(make_app())) as client:
        async with client.socket("/ws?user=ann") as ann:
            id = await ann.call("who")
            joined = await ann.join("chat/a")
            await ann.join("plain/b")
            body = {"data": [1, "ü", None], "path": "said", "status": 201}
            for to in (["room", "plain/b"], ["client", id]):
                assert await post(client, {"to": to, **body}) == UNNUMBERED
                message = await heard(ann, "said")
                assert (message.data, message.status, message.seq) == ([1, "ü", None], 201, None)
            for seq in (1, 2):
                status, answer = await post(client, {"to": ["room", "chat/a"], **body})
                assert (status, answer) == (200, {"seq": seq, "position": f"{joined.epoch}:{seq}"})
                assert (await heard(ann, "said")).seq == seq
            for to in ("everyone", ["user", "ann"]):
                assert (await post(client, {"to": to, **body}))[1]["seq"] == 1
                assert (await heard(ann, "said")).data == [1, "ü", None]
            moved = {"to": ["room", "chat/a"], "data": 1, "path": "moved", "volatile": True}
            assert await post(client, {**moved, "key": 7}) == UNNUMBERED
            assert (await heard(ann, "moved")).seq is None


async def test_a_user_whose_id_is_a_number_is_not_the_one_whose_id_is_text():
    app = FinchApp(publish_path="/publish", publish_token=TOKEN)
    app.authorize(lambda request: 7)
    async with TestClient(app) as client, client.socket("/ws") as socket:
        await post(client, {"to": ["user", "7"], "data": "text", "path": "said"})
        await post(client, {"to": ["user", 7], "data": "number", "path": "said"})
        assert (await heard(socket, "said")).data == "number"


WRONG = {
    "nothing": (b"", 400, "not JSON"),
    "no JSON": (b"{", 400, "not JSON"),
    "not UTF-8": (b'{"to": "everyone", "data": "\xff"}', 400, "not JSON"),
    "half a surrogate": (b'{"to": "everyone", "data": "\\ud800"}', 400, "not JSON"),
    "an array": ([], 422, "Expected `object`"),
    "no audience": ({"data": 1}, 422, "missing required field `to`"),
    "no data": ({"to": "everyone"}, 422, "missing required field `data`"),
    "a misspelt name": ({"to": "everyone", "data": 1, "paht": "x"}, 422, "`paht`"),
    "text for a room": ({"to": "room:a", "data": 1}, 422, '["room", NAME]'),
    "an unknown sort": ({"to": ["rooms", "a"], "data": 1}, 422, '["room", NAME]'),
    "a number for a room": ({"to": ["room", 7], "data": 1}, 422, '["room", NAME]'),
    "true for a user": ({"to": ["user", True], "data": 1}, 422, '["user", ID]'),
    "no id": ({"to": ["user"], "data": 1}, 422, '["user", ID]'),
    "an object": ({"to": {"room": "a"}, "data": 1}, 422, '["room", NAME]'),
    "a list in it": ({"to": [["room"], "a"], "data": 1}, 422, '["room", NAME]'),
    "a path that is none": ({"to": "everyone", "data": 1, "path": 7}, 422, "$.path"),
    "a status that is none": ({"to": "everyone", "data": 1, "status": 0}, 422, "$.status"),
    "volatile as text": ({"to": "everyone", "data": 1, "volatile": "no"}, 422, "$.volatile"),
    "a key that is none": ({"to": "everyone", "data": 1, "key": []}, 422, "$.key"),
    "nobody": ({"to": ["client", "gone"], "data": 1}, 404, "no client 'gone'"),
    "too much": ({"to": "everyone", "data": "x" * 1000}, 413, "longer than 1000 bytes"),
    "too deep": (b'{"to": "everyone", "data": ' + b"[" * 5000, 400, "recursion"),
}


@pytest.mark.parametrize("sort", WRONG)
async def test_what_is_no_message_gets_a_clear_answer_and_reaches_nobody(sort):
    body, status, says = WRONG[sort]
    app = with_route(make_app(), most=20_000 if sort == "too deep" else 1000)
    async with TestClient(app) as client, client.socket("/ws") as socket:
        answered, answer = await post(client, body)
        assert (answered, [*answer]) == (status, ["error"])
        assert says in answer["error"]
        assert await post(client, {"to": "everyone", "data": "well", "path": "said"})
        assert [(await socket.receive()).path for _ in "ab"] == ["finch.join", "said"]


@pytest.mark.parametrize(
    "given", ["", "Bearer", f"Bearer {'x' * 32}", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"]
)
async def test_who_shows_no_token_is_refused_before_the_body_is_read(given):
    headers = {"authorization": given} if given else {}
    async with TestClient(with_route(make_app())) as client:
        assert await post(client, b"nonsense", headers) == (401, {"error": "a token is needed"})
        answer = await client.post("/publish", headers=headers)
        assert answer.headers["www-authenticate"] == "Bearer"
        for way in (f"/publish?access_token={TOKEN}", "/publish"):
            answer = await client.post(way, headers={"cookie": f"token={TOKEN}"})
            assert answer.status == 401


async def test_the_old_and_the_new_token_are_right():
    async with TestClient(with_route(make_app())) as client:
        for token in (TOKEN, NEXT_TOKEN):
            headers = {"authorization": f"bearer {token}"}
            assert (await post(client, {"to": "everyone", "data": 1}, headers))[0] == 200


async def test_pages_of_other_origins_are_not_answered():
    async with TestClient(with_route(make_app())) as client:
        answer = await client.request(
            "OPTIONS",
            "/publish",
            headers={
                "origin": "https://evil.example",
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization",
            },
        )
        assert not any(name.startswith("access-control") for name in answer.headers)
        assert (await client.get("/publish", headers=RIGHT)).status == 405


@pytest.mark.parametrize(
    "token",
    [None, "", "short", 5, TOKEN.encode(), [], [TOKEN, "short"], "ü" * 32, [None], " " * 40],
)
def test_what_is_no_token_is_refused_at_once(token):
    with pytest.raises(ConfigurationError, match="publish_token"):
        FinchApp(publish_path="/publish", publish_token=token)


def test_a_token_without_a_path_is_a_mistake():
    with pytest.raises(ConfigurationError, match="publish_path='/publish'"):
        FinchApp(publish_token=TOKEN)
    with pytest.raises(ConfigurationError, match="publish"):
        FinchApp(publish_path="publish", publish_token=TOKEN)


async def test_there_is_no_such_route_by_default():
    async with TestClient(FinchApp()) as client:
        assert (await client.post("/publish", headers=RIGHT)).status == 404


async def test_the_options_of_an_application_make_the_route():
    app = FinchApp(publish_path="/in", publish_token=TOKEN, limits=Limits(max_message_size=100))
    async with TestClient(app) as client:
        body = b'{"to": "everyone", "data": 1}'
        assert (await client.post("/in", content=body, headers=RIGHT)).json()["seq"] is None
        assert (await client.post("/in", content=b" " * 101, headers=RIGHT)).status == 413
