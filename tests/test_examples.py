"""The examples, each served in memory: what their pages rely on, and what they refuse."""

import importlib
import re
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from finch.examples import chat, chat_classes, dashboard, game, hello, notifications
from finch.gallery import WITH_PAGE, WITHOUT_PAGE, gallery
from finch.testing import HandshakeRefused, Refused, TestClient
from tests.processes import finch


async def receive(ws, path):
    """The next message to that path."""
    while True:
        message = await ws.receive()
        if message.path == path:
            return message


async def heard(ws, path, times=1):
    """The data of the next messages to that path."""
    return [(await receive(ws, path)).data for _ in range(times)]


async def test_hello():
    async with TestClient(hello.app) as client:
        assert (await client.get("/")).text == "Hello from Finch!"
        assert (await client.get("/birds/1")).json() == {"id": 1, "name": "goldfinch"}
        assert (await client.get("/birds/99")).status == 404
        response = await client.post("/birds", json={"name": "bullfinch"})
        assert (response.status, response.json()) == (201, {"id": 3, "name": "bullfinch"})
        assert (await client.post("/birds", json={"name": 5})).status == 422


async def test_the_chat_with_classes_does_what_the_seed_says():
    async with TestClient(chat_classes.app) as client:
        assert (await client.get("/ws")).text == "Socket is requested!"
        async with client.socket() as first:
            assert await heard(first, "output") == ["A user connected. Total: 1"]
            connected = (await receive(first, "connected")).data
            assert connected == {"message": "Successfully connected to socket!"}
            await first.send("time", {})
            (time,) = await heard(first, "output")
            assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", time)
            await first.send("test", {})
            assert "sec-websocket-key" in (await receive(first, "test")).data[0]
            async with client.socket():
                assert await heard(first, "output") == ["A user connected. Total: 2"]
            assert await heard(first, "output") == ["A user disconnected. Total: 1"]


# The chat


async def test_the_chat_shows_newcomers_what_was_said_and_who_is_here():
    async with (
        TestClient(chat.app) as client,
        client.socket("/ws?name=Ann") as ann,
    ):
        joined = await ann.join("chat/lobby")
        for text in ("one", "two", "three"):
            await ann.call("say", {"text": text}, room="chat/lobby")
        two = [await receive(ann, "said") for _ in range(3)][1]

        async with client.socket("/ws?name=Bob") as bob:
            here = (await bob.join("chat/lobby", last=2)).presence
            assert [one["user"] for one in here] == ["Ann", "Bob"]
            said = [{"from": "Ann", "text": text} for text in ("two", "three")]
            assert await heard(bob, "said", 2) == said
            assert [one["user"] for one in (await receive(ann, "finch.presence")).data["joins"]]
            await bob.send("typing", room="chat/lobby")
            assert await heard(ann, "typing") == ["Bob"]
            await bob.send("say", {"text": "four"}, room="chat/lobby")
            assert await heard(ann, "said") == [{"from": "Bob", "text": "four"}]

        async with client.socket("/ws?name=Bob") as bob:
            since = f"{joined.epoch}:{two.seq}"
            assert (await bob.join("chat/lobby", since=since)).recovered
            assert [one["text"] for one in await heard(bob, "said", 2)] == ["three", "four"]


async def test_what_the_chat_is_told_once_is_said_once():
    async with TestClient(chat.app) as client, client.socket("/ws?name=Cleo") as cleo:
        await cleo.join("chat/garden")
        once = "a-session-of-this-test:1"
        for _ in range(2):  # as after a cut, when nobody knows whether it has arrived
            await cleo.send("say", {"text": "hello"}, room="chat/garden", id=1, once=once)
        await cleo.send("say", {"text": "bye"}, room="chat/garden")
        assert [one["text"] for one in await heard(cleo, "said", 2)] == ["hello", "bye"]


@pytest.mark.parametrize("query", ["", "?name=%20", f"?name={'x' * 41}"])
async def test_the_chat_refuses_the_nameless(query):
    async with TestClient(chat.app) as client:
        with pytest.raises(HandshakeRefused, match="401"):
            async with client.socket(f"/ws{query}"):
                pass


async def test_the_chat_refuses_the_silent_the_talkative_and_strangers():
    async with TestClient(chat.app) as client, client.socket("/ws?name=Ann") as ann:
        await ann.join("chat/lobby")
        for text in ("", "x" * 2001):
            with pytest.raises(Refused, match="422"):
                await ann.call("say", {"text": text}, room="chat/lobby")
        with pytest.raises(Refused, match="403"):
            await ann.call("say", {"text": "hi"}, room="chat/garden")
        with pytest.raises(Refused, match="there is no room cellar"):
            await ann.join("chat/cellar")


# Notifications


async def test_a_notice_reaches_all_tabs_of_its_user_and_so_does_that_it_was_read():
    async with (
        TestClient(notifications.app) as client,
        client.socket("/ws?user=ann") as one,
        client.socket("/ws?user=ann") as two,
        client.socket("/ws?user=bob") as bob,
    ):
        assert await bob.call("notify", {"to": "ann", "text": "Lunch"}) == 2
        (notice,) = await heard(one, "notice")
        assert (notice["sender"], notice["text"], notice["read"]) == ("bob", "Lunch", False)
        assert await heard(two, "notice") == [notice]
        await one.send("read", [notice["id"], 12345])
        assert await heard(two, "read") == await heard(one, "read") == [[notice["id"]]]
        assert [it["read"] for it in await two.call("inbox") if it["id"] == notice["id"]] == [True]
        assert "Lunch" not in [it["text"] for it in await bob.call("inbox")]


async def test_a_notice_by_http_waits_for_a_user_who_is_away():
    async with TestClient(notifications.app) as client:
        async with client.socket("/ws?user=cleo") as cleo:
            joined = await receive(cleo, "finch.join")
            position = f"{joined.epoch}:{joined.seq}"
        response = await client.post("/notify/cleo", json={"text": "The kettle boils"})
        assert response.json() == {"tabs": 0}
        async with client.socket(f"/ws?user=cleo&since=user:{position}") as cleo:
            assert (await receive(cleo, "finch.join")).data["recovered"]
            assert [one["text"] for one in await heard(cleo, "notice")] == ["The kettle boils"]


async def test_notices_to_and_from_strangers_are_refused():
    async with TestClient(notifications.app) as client, client.socket("/ws?user=ann") as ann:
        with pytest.raises(HandshakeRefused, match="404"):
            async with client.socket("/ws?user=dan"):
                pass
        assert (await client.post("/notify/dan", json={"text": "hi"})).status == 404
        assert (await client.post("/notify/ann", json={"text": ""})).status == 422
        with pytest.raises(Refused, match="there is no user dan"):
            await ann.call("notify", {"to": "dan", "text": "hi"})


# The dashboard


async def test_the_dashboard_sends_twenty_values_a_second_of_each_series(autojump_clock):
    async with TestClient(dashboard.app) as client, client.socket() as ws:
        await ws.join("board")
        names = await ws.call("series", room="board")
        assert (len(names), len(set(names))) == (100, 100)
        seconds, values = 2, [[] for _ in names]
        begin = autojump_clock.current_time()
        while autojump_clock.current_time() < begin + seconds:
            number, value = (await receive(ws, "value")).data
            values[number].append(value)
    assert {len(one) for one in values} <= {39, 40, 41}
    assert all(0 <= value <= 100 for one in values for value in one)


# The game


async def test_in_the_game_everybody_gets_a_bird_and_the_magpie_is_there_already():
    async with TestClient(game.app) as client, client.socket() as one:
        await one.join("garden/green")
        assert (await receive(one, "picture")).data["seeds"]
        async with client.socket() as two:
            await two.join("garden/green")
            picture = (await receive(two, "picture")).data
            assert sorted(kind for kind, *_ in picture["birds"].values()) == [0, 1, game.PLAYERS]
        while len((await receive(one, "picture")).data["birds"]) > 2:
            pass  # a bird that has left is seen for a tick at the most


async def test_a_bird_flies_where_it_is_steered_up_to_the_hedge(monkeypatch, autojump_clock):
    monkeypatch.setattr(game, "collide", lambda *_: None)  # the magpie may be in the way
    async with TestClient(game.app) as client, client.socket() as ws:
        await ws.join("garden/east")
        await ws.send("steer", {"x": 1, "number": 7}, room="garden/east")
        while True:
            picture = await receive(ws, "picture")
            _, x, _, vx, _, _, number = picture.data["birds"][picture.client]
            if vx < 0:  # it has bounced
                break
        assert (x, number) == (970, 7)
        with pytest.raises(Refused, match="422"):
            await ws.call("steer", {"x": 2}, room="garden/east")


def bird(at, speed, score=0):
    it = game.Bird(0)
    it.at, it.speed, it.score = at, speed, score
    return it


def test_the_slower_of_two_birds_that_meet_drops_a_seed():
    fast, slow, seeds = bird(500 + 500j, 300 + 0j, 5), bird(540 + 500j, 10 + 0j, 5), {}
    game.collide(fast, slow, seeds)
    assert (fast.score, slow.score, list(seeds.values())) == (5, 4, [1])
    assert (fast.speed, slow.speed) == (10, 300)
    game.collide(fast, slow, seeds)  # they part already
    assert (slow.score, len(seeds)) == (4, 1)


async def test_whoever_has_enough_seeds_wins_and_a_new_round_begins(monkeypatch, autojump_clock):
    monkeypatch.setattr(game, "GOAL", 10)
    async with TestClient(game.app) as client, client.socket() as ws:
        await ws.join("garden/short")  # the magpie finds seeds, if nobody else does
        assert (await heard(ws, "won"))[0] in (0, game.PLAYERS)
        picture = (await receive(ws, "picture")).data
        assert max(score for *_, score, _ in picture["birds"].values()) < 10


async def test_a_garden_has_room_for_eight_players():
    async with TestClient(game.app) as client, AsyncExitStack() as stack:
        players = [await stack.enter_async_context(client.socket()) for _ in range(9)]
        for player in players[:8]:
            await player.join("garden/full")
        with pytest.raises(Refused, match="eight birds"):
            await players[8].join("garden/full")


# The gallery


async def test_the_gallery_serves_each_example_under_a_prefix():
    async with TestClient(gallery()) as client:
        index = (await client.get("/")).text
        for name in WITH_PAGE:
            redirect = await client.get(f"/{name}")
            assert (redirect.status, redirect.headers["location"]) == (302, f"{name}/")
            page = (await client.get(f"/{name}/")).text
            assert 'from "./finch.js"' in page
            script = await client.get(f"/{name}/finch.js")
            assert script.headers["content-type"].startswith("text/javascript")
            assert f'href="{name}/"' in index
        assert (await client.get("/hello/birds/1")).json()["name"] == "goldfinch"
        async with client.socket("/chat/ws?name=Ann") as ann:
            await ann.join("chat/workshop")
        async with client.socket("/game/ws") as player:
            await player.join("garden/green")
            await receive(player, "picture")


async def test_the_gallery_shows_the_source_of_each_example_and_counts_its_lines():
    async with TestClient(gallery()) as client:
        index = (await client.get("/")).text
        assert "$" not in index
        for name in (*WITH_PAGE, *WITHOUT_PAGE):
            assert f'href="source/{name}.py"' in index
            assert (await client.get(f"/source/{name}.py")).text == text_of(f"{name}.py")
        assert f"{len([one for one in text_of('chat.py').splitlines() if one])} lines" in index
        assert (await client.get("/source/secret.py")).status == 404


def test_an_installation_has_the_gallery_with_all_examples(tmp_path):
    """As a wheel has it: what setuptools would put into one, far from the repository."""
    pytest.importorskip("setuptools")
    build = [sys.executable, "-c", "import setuptools; setuptools.setup()", "-q", "build_py"]
    root = Path(chat.__file__).parent.parent.parent
    subprocess.run([*build, "--build-lib", tmp_path], cwd=root, check=True, capture_output=True)
    with finch("examples", "--port", 0, cwd=tmp_path, PYTHONPATH=str(tmp_path)) as process:
        assert "Finch examples" in httpx.get(process.url).text
        for name in WITH_PAGE:
            assert httpx.get(f"{process.url}/{name}/").status_code == 200


def text_of(name):
    return Path(chat.__file__).with_name(name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", WITH_PAGE)
def test_an_example_is_one_short_file_and_one_page_that_needs_nobody_else(name):
    code, page = text_of(f"{name}.py"), text_of(f"{name}.html")
    assert code.count("\n") <= 120
    assert f"Run it with: python -m finch {name}:app" in code
    assert "innerHTML" not in page
    # relative URLs work over https, and under a prefix
    urls = re.findall(
        r"""(?:src|href|url)\s*[=(]\s*["']?([^"'\s>)]*)|(?:https?|wss?)://\S*""", page
    )
    assert not [url for url in urls if url.startswith(("/", "http", "ws:"))]


# The to-do list


@pytest.fixture
def todo(tmp_path, monkeypatch):
    """The to-do list, with a folder of its own."""
    module = importlib.import_module("finch.examples.todo")
    monkeypatch.setattr(module, "DATA", tmp_path)
    return module.app


async def test_a_to_do_list_of_pages_and_its_api_are_one(todo, tmp_path):
    ours = {"sec-fetch-site": "same-origin"}
    async with TestClient(todo) as client:
        assert (await client.get("/")).headers["location"] == "/login"
        assert (await client.get("/api/todos")).status == 401
        foreign = {"sec-fetch-site": "cross-site"}
        login = {"name": "ann", "password": "swordfish"}
        assert (await client.post("/login", data=login, headers=foreign)).status == 403
        assert (await client.post("/login", data=login, headers=ours)).status == 303
        files = {"file": ("../milk.txt", b"two bottles", "text/plain")}
        await client.post("/todos", data={"title": "Milk"}, files=files, headers=ours)
        assert (await client.get("/api/todos")).json() == [
            {"id": 1, "title": "Milk", "done": False, "file": "milk.txt"}
        ]
        assert (await client.get("/todos/1/file")).body == b"two bottles"

        made = await client.post("/api/todos", json={"title": "Sleep"}, headers=ours)
        assert made.json()["id"] == 2
        changed = await client.patch("/api/todos/2", json={"done": True}, headers=ours)
        assert changed.json()["done"] is True
        assert (await client.get("/api/todos")).json()[1]["title"] == "Sleep"
        wrong = await client.patch("/api/todos/2", json={"title": ""}, headers=ours)
        assert (wrong.status, "`$.title`" in wrong.text) == (422, True)
        assert (await client.delete("/api/todos/1", headers=ours)).status == 204
        assert (await client.get("/todos/1/file")).status == 404
        assert [path.name for path in tmp_path.iterdir()] == ["todo.db"]

        await client.post("/logout", headers=ours)
        await client.post("/login", data={"name": "bob", "password": "x"}, headers=ours)
        assert (await client.get("/api/todos")).json() == []
        assert (await client.delete("/api/todos/2", headers=ours)).status == 404


async def test_a_change_of_the_list_is_an_event(todo):
    ours = {"sec-fetch-site": "same-origin"}
    async with TestClient(todo) as client:
        await client.post("/login", data={"name": "eve", "password": "x"}, headers=ours)
        async with client.stream("/changes") as events:
            await client.post("/api/todos", json={"title": "Dance"}, headers=ours)
            assert await events.receive() == b"data: changed\n\n"
