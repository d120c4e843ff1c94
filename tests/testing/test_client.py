"""finch.testing: what a test of an application can rely on."""

import asyncio
import time
from email.utils import formatdate

import pytest
import trio
import trio.testing

from finch import ConfigurationError, FinchApp, FinchError, Limits, Methods, StreamingResponse
from finch.testing import (
    HandshakeRefused,
    NotAnEnvelope,
    ResponseCut,
    SocketClosed,
    TestClient,
    WaitedTooLong,
)


@pytest.fixture
def app():
    app = FinchApp()

    @app.get("/hang")
    async def hang(request):
        await trio.sleep_forever()

    @app.get("/query")
    async def query(request):
        return {name: request.query.getlist(name) for name in request.query}

    @app.post("/json")
    async def json(request):
        return [await request.json(), request.headers["content-type"], request.client.host]

    @app.route("/echo", methods=Methods.ALL)
    @app.route("/echo/{rest:path}", methods=Methods.ALL)
    async def echo(request, rest=""):
        return {
            "path": request.path,
            "target": request.url.removeprefix(f"http://{request.host}"),
            "query": request.query.multi_items(),
            "headers": request.headers.multi_items(),
            "body": await request.text(),
        }

    @app.post("/set")
    @app.post("/set/{rest:path}")
    async def set_cookie(request, rest=""):
        return None, 204, {"set-cookie": await request.text()}

    @app.get("/ticks")
    async def ticks(request):
        yield "tick\n"
        yield b"\xff"
        await trio.sleep_forever()

    @app.get("/cut")
    async def cut(request):
        yield "half"
        raise ZeroDivisionError

    @app.get("/cut-at-once")
    async def cut_at_once(request):
        async def nothing():
            raise ZeroDivisionError
            yield b""

        return StreamingResponse(nothing())

    @app.websocket("/raw")
    async def raw(ws):
        await ws.send("hello")
        await ws.send(b"\xff\xfe")

    @app.socket("close")
    async def close(socket, data):
        await socket.close(4000, "why not")

    @app.socket("burst")
    async def burst(socket, data):
        for number in range(3):
            yield number

    return app


async def test_every_wait_has_a_deadline_and_says_what_it_waited_for(app, autojump_clock):
    async with TestClient(app) as client:
        with pytest.raises(WaitedTooLong, match="waited 5 s for the response to GET /hang"):
            await client.get("/hang")
        async with client.socket() as socket:
            with pytest.raises(WaitedTooLong, match="waited 5 s for a message at /ws"):
                await socket.receive()
            with pytest.raises(WaitedTooLong, match=r"waited 0\.5 s for the server to close /ws"):
                await socket.wait_closed(timeout=0.5)


async def test_queries_and_json_are_encoded(app):
    async with TestClient(app, headers={"x-all": "1"}) as client:
        response = await client.get("/query", params={"a": [1, 2], "b": "ü"})
        assert response.json() == {"a": ["1", "2"], "b": ["ü"]}
        response = await client.post("/json", json={"n": None})
        assert response.json() == [{"n": None}, "application/json", "testclient"]


@pytest.mark.parametrize(("believed", "host"), [((), "testclient"), ("*", "192.0.2.7")])
async def test_it_may_be_a_proxy(app, believed, host):
    async with TestClient(app, forwarded_allow_ips=believed) as client:
        response = await client.post("/json", json=1, headers={"x-forwarded-for": "192.0.2.7"})
        assert response.json()[2] == host


async def test_a_message_is_attributes_and_items(app):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("burst")
        message = await socket.receive()
        assert (message.data, message["data"], message["path"]) == (0, 0, "burst")
        with pytest.raises(KeyError):
            message["nonsense"]


async def test_a_socket_that_the_server_closed_says_how(app):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("close")
        for _ in range(2):
            with pytest.raises(SocketClosed) as closed:
                await socket.receive()
            assert (closed.value.code, closed.value.reason) == (4000, "why not")


async def test_a_failing_test_sees_its_own_exception(app):
    with pytest.raises(ZeroDivisionError):
        async with TestClient(app) as client, client.socket():
            1 / 0  # noqa: B018


async def test_leaving_the_client_ends_the_server_and_everything_in_it(app):
    async with TestClient(app) as client:
        opened = client.socket()
        socket = await opened.__aenter__()
    with pytest.raises((trio.ClosedResourceError, trio.BrokenResourceError)):
        await socket.stream.send_all(b"x")
    await opened.gen.aclose()


@pytest.mark.parametrize("path", ["/hang", "/ws"])
async def test_a_test_that_is_cancelled_ends_its_server(app, autojump_clock, path):
    @app.socket("hang")
    async def hang(socket, data):
        await trio.sleep_forever()

    with trio.move_on_after(5) as scope:
        async with TestClient(app) as client:
            if path == "/hang":
                stream = client.connect()
                await stream.send_all(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
                await trio.sleep_forever()
            async with client.socket() as socket:
                await socket.send("hang")
                await trio.testing.wait_all_tasks_blocked()
                await socket.stream.send_eof()  # which its handler outlives
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
                await trio.sleep_forever()
    assert scope.cancelled_caught


# What is sent


async def seen(client, path="/echo", method="GET", **options):
    response = await client.request(method, path, **options)
    assert response.status == 200, response.text
    return response.json()


@pytest.mark.parametrize(
    ("path", "arrives"),
    [
        ("/echo/a b", "/echo/a%20b"),
        ("/echo/ü/😀", "/echo/%C3%BC/%F0%9F%98%80"),
        ("/echo/%20%c3%bc", "/echo/%20%c3%bc"),
        ("/echo/100%", "/echo/100%25"),
        ("/echo/%zz", "/echo/%25zz"),
        ("/echo/a;b=c,d@e:f!$&'()*+~-._", "/echo/a;b=c,d@e:f!$&'()*+~-._"),
        ('/echo/"<>\\^`{|}', "/echo/%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("/echo/\r\n", "/echo/%0D%0A"),
        ("/echo/a?b=c d&e=ü&f=%26#part", "/echo/a?b=c%20d&e=%C3%BC&f=%26"),
        ("/echo/a#part?b", "/echo/a"),
    ],
)
async def test_a_path_is_encoded_once(app, path, arrives):
    async with TestClient(app) as client:
        assert (await seen(client, path))["target"] == arrives


@pytest.mark.parametrize(
    ("path", "params", "arrives"),
    [
        ("/echo", {"a": [1, 2]}, [["a", "1"], ["a", "2"]]),
        ("/echo?a=1", {"b": "ü &"}, [["a", "1"], ["b", "ü &"]]),
        ("/echo?", {"b": 2}, [["b", "2"]]),
        ("/echo?a=1#part", [("b", 2), ("b", 3)], [["a", "1"], ["b", "2"], ["b", "3"]]),
        ("/echo?a=1", {}, [["a", "1"]]),
    ],
)
async def test_params_join_the_query_that_is_there(app, path, params, arrives):
    async with TestClient(app) as client:
        assert (await seen(client, path, params=params))["query"] == arrives


def lines(answer, name):
    return [value for key, value in answer["headers"] if key == name]


async def test_a_header_replaces_the_same_name_in_any_case(app):
    async with TestClient(app, headers={"HOST": "[::1]:8080", "X-All": "client"}) as client:
        answer = await seen(client)
        assert lines(answer, "host") == ["[::1]:8080"]
        assert lines(answer, "x-all") == ["client"]
        answer = await seen(client, headers={"Host": "there", "x-ALL": ["a", "ü"]})
        assert lines(answer, "host") == ["there"]
        assert lines(answer, "x-all") == ["a", "ü"]
        async with client.socket("/raw", headers={"hOST": "there"}) as socket:
            assert await socket.receive_raw() == "hello"
    async with TestClient(app) as client:
        assert lines(await seen(client), "host") == ["testserver"]
        assert lines(await seen(client, "http://[::2]:80/echo"), "host") == ["[::2]:80"]


async def test_a_body_says_what_it_is_unless_the_test_does(app):
    async with TestClient(app, headers={"Content-Type": "text/x"}) as client:
        answer = await seen(client, method="POST", json={"a": "ü"})
        assert lines(answer, "content-type") == ["text/x"]
        assert answer["body"] == '{"a":"ü"}'
    async with TestClient(app) as client:
        answer = await seen(client, method="DELETE", json=None)
        assert (answer["body"], lines(answer, "content-length")) == ("null", ["4"])
        assert lines(answer, "content-type") == ["application/json"]
        answer = await seen(client, method="PATCH", json=1, headers={"CONTENT-TYPE": "a/b"})
        assert lines(answer, "content-type") == ["a/b"]
        answer = await seen(client, method="GET", content=bytearray(b"body"))
        assert answer["body"] == "body"
        answer = await seen(
            client, method="PUT", content="ab", headers={"Transfer-Encoding": "chunked"}
        )
        assert (answer["body"], lines(answer, "content-length")) == ("ab", [])


@pytest.mark.parametrize(
    ("path", "options", "says"),
    [
        ("echo/", {}, "a path begins with a slash: write '/echo/'"),
        ("", {}, "write '/'"),
        (5, {}, "a path is text, not 5"),
        ("/", {"headers": {"x": 5}}, "'x' is 5; write '5'"),
        ("/", {"headers": {"x": None}}, "'x' is None"),
        ("/", {"headers": {b"x": "a"}}, "b'x' is 'a'"),
        ("/", {"headers": [("x", "a")]}, "headers are a dict of names and values"),
        ("/", {"headers": {"x": "\u20ac"}}, "'\u20ac' cannot be sent in a header"),
        ("/", {"content": {"a": 1}}, "content is bytes or text, not dict; write json= for JSON"),
        ("/", {"content": "a", "json": 1}, "give content, or json, or data and files"),
    ],
)
async def test_what_cannot_be_sent_is_named(app, path, options, says):
    async with TestClient(app) as client:
        with pytest.raises((TypeError, ValueError)) as mistake:
            await client.post(path, **options)
        assert says in str(mistake.value)


async def test_an_answer_before_the_body_was_read_is_an_answer():
    app = FinchApp(limits=Limits(max_body=10))

    @app.post("/")
    async def index(request):
        await request.body()

    async with TestClient(app) as client:
        for size in (11, 10_000_000):
            assert (await client.post("/", content=b"x" * size)).status == 413


# Cookies


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("a=1", {"a": "1"}),
        ("a=1; Path=/; HttpOnly; Secure; SameSite=Lax; Domain=example.org", {"a": "1"}),
        ('a={"b":1}', {"a": '{"b":1}'}),
        ("a=b=c", {"a": "b=c"}),
        ("a=", {"a": ""}),
        ("=1", {}),
        ("a", {}),
        ("a=1; Max-Age=0", {}),
        ("a=1; max-age=-1", {}),
        ("a=1; Max-Age=soon", {"a": "1"}),
        ("a=1; Max-Age=" + "9" * 5000, {"a": "1"}),
        ("a=1; expires=Thu, 01 Jan 1970 00:00:00 GMT", {}),
        ("a=1; Expires=Thu, 01-Jan-1970 00:00:00 GMT", {}),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60", {"a": "1"}),
        ("a=1; Expires=never", {"a": "1"}),
    ],
)
async def test_a_cookie_is_kept_as_a_browser_keeps_it(app, line, kept):
    async with TestClient(app) as client:
        client.cookies = {"a": "old", "b": "2"}
        await client.post("/set", content=line)
        before = {"b": "2"} if line.partition("=")[0] == "a" and "=" in line else client.cookies
        assert client.cookies == {**before, **kept}
        sent = lines(await seen(client), "cookie")
        assert sent == ["; ".join(f"{name}={value}" for name, value in client.cookies.items())]


async def test_a_cookie_ends_by_the_clock_of_the_test(app, autojump_clock):
    async with TestClient(app) as client:
        await client.post("/set", content="a=1; Max-Age=60")
        await client.post("/set", content=f"b=1; Expires={formatdate(time.time() + 3600)}")
        await trio.sleep(59)
        assert client.cookies == {"a": "1", "b": "1"}
        await trio.sleep(2)
        assert lines(await seen(client), "cookie") == ["b=1"]
        await trio.sleep(3600)
        assert client.cookies == {}
        assert len(client.cookies) == 0
        assert lines(await seen(client), "cookie") == []


async def test_a_cookie_goes_to_its_path(app):
    async with TestClient(app) as client:
        await client.post("/set/deep/er", content="here=1")  # its path is /set/deep
        await client.post("/set", content="a=root")
        await client.post("/set", content="a=deep; Path=/echo/deep/")
        await client.post("/set", content="wrong=1; Path=nowhere")
        for path, sent in [
            ("/echo", "a=root; wrong=1"),
            ("/echo/deep", "a=root; wrong=1"),
            ("/echo/deeper", "a=root; wrong=1"),
            ("/echo/deep/er?x=/", "a=deep; a=root; wrong=1"),
            ("http://other/echo/deep/x", "a=deep; a=root; wrong=1"),
        ]:
            assert lines(await seen(client, path), "cookie") == [sent]
        assert client.cookies == {"here": "1", "a": "deep", "wrong": "1"}
        await client.post("/set", content="a=; Path=/echo/deep/; Max-Age=0")
        assert client.cookies["a"] == "root"
        del client.cookies["a"]
        assert "a" not in client.cookies
        with pytest.raises(KeyError):
            del client.cookies["a"]


async def test_cookies_are_for_a_test_to_change(app):
    async with TestClient(app) as client:
        client.cookies["a"] = "1"
        client.cookies.update(b="2")
        assert repr(client.cookies) == "{'a': '1', 'b': '2'}"
        assert lines(await seen(client), "cookie") == ["a=1; b=2"]
        assert lines(await seen(client, headers={"Cookie": "c=3"}), "cookie") == ["c=3"]
        with pytest.raises(TypeError, match="text, not 'a' and 5"):
            client.cookies["a"] = 5
        client.cookies.clear()
        assert lines(await seen(client), "cookie") == []
    assert client.cookies == {}


def test_cookies_can_be_looked_at_afterwards(app):
    client = TestClient(app)

    async def main():
        async with client:
            await client.post("/set", content="a=1; Max-Age=60")

    trio.run(main)
    assert client.cookies == {"a": "1"}


# What comes


async def test_a_response_without_an_end_says_how_far_it_came(app, autojump_clock):
    async with TestClient(app) as client:
        with pytest.raises(WaitedTooLong) as waited:
            await client.get("/ticks")
    said = str(waited.value)
    assert said.startswith("waited 5 s for the response to GET /ticks; its status is 200, and 6 ")
    assert r"b'tick\n\xff'" in said
    assert waited.value.response.body == b"tick\n\xff"


@pytest.mark.parametrize(("path", "body"), [("/cut", b"half"), ("/cut-at-once", b"")])
async def test_a_response_that_is_cut_says_how_far_it_came(app, path, body):
    async with TestClient(app) as client:
        with pytest.raises(ResponseCut, match=f"before the response to GET {path} was") as cut:
            await client.get(path)
    assert cut.value.response.body == body


async def test_a_connection_that_ends_without_an_answer_says_so(app, autojump_clock):
    async with TestClient(app) as client, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def drop():
            await trio.testing.wait_all_tasks_blocked()
            for item in list(client._server._watched):
                item.drop()

        with pytest.raises(ResponseCut, match="nothing has come"):
            await client.get("/hang")


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/echo/a b", 200, "; /echo/a%20b is not the path of a socket, but of an ordinary"),
        ("/nowhere", 404, "the server answered 404: Not Found; nothing is at /nowhere"),
        ("/ws", 403, "the server answered 403: "),
    ],
)
async def test_a_refused_handshake_says_what_is_there(app, path, status, says):
    async with TestClient(app) as client:
        with pytest.raises(HandshakeRefused) as refused:
            async with client.socket(path, headers={"origin": "http://elsewhere"}):
                pass
    assert says in str(refused.value)
    assert refused.value.response.status == status


async def test_a_message_that_is_no_envelope_is_shown(app):
    async with TestClient(app) as client, client.socket("/raw") as socket:
        with pytest.raises(NotAnEnvelope, match="at /raw is not an envelope: hello; read it with"):
            await socket.receive()
        with pytest.raises(NotAnEnvelope) as mistake:
            await socket.receive()
        assert mistake.value.message == b"\xff\xfe"


# How it is used


async def test_a_client_serves_within_its_block_only(app):
    client = TestClient(app)
    for _ in range(2):
        with pytest.raises(FinchError, match="only inside its block: async with TestClient"):
            await client.get("/query")
        with pytest.raises(FinchError, match="only inside its block"):
            async with client.socket():
                pass
        with pytest.raises(FinchError, match="only inside its block"):
            client.connect()
        async with client:
            assert (await client.get("/query")).status == 200
            with pytest.raises(FinchError, match="already serving"):
                async with client:
                    pass
            assert (await client.get("/query")).status == 200


def test_a_client_under_asyncio_says_what_to_install(app):
    async def main():
        async with TestClient(app):
            pass

    with pytest.raises(FinchError, match="pytest-trio and set trio_mode"):
        asyncio.run(main())


@pytest.mark.parametrize("thing", [None, FinchApp, "app:app", print])
def test_a_client_takes_an_application(thing):
    with pytest.raises(ConfigurationError, match="TestClient takes"):
        TestClient(thing)


def test_what_is_forgotten_of_async_with_is_said(app):
    with pytest.raises(TypeError, match="use TestClient with: async with TestClient"):
        with TestClient(app):
            pass


async def test_what_is_forgotten_of_a_sockets_async_with_is_said(app):
    async with TestClient(app) as client:
        with pytest.raises(AttributeError, match=r"open a socket with: async with client\.socket"):
            await client.socket().send("a")
        with pytest.raises(TypeError, match=r"open a socket with: async with client\.socket"):
            await client.socket()
        with pytest.raises(TypeError, match=r"open a socket with: async with client\.socket"):
            with client.socket():
                pass
        with pytest.raises(TypeError, match=r"write \['chat'\]"):
            client.socket("/raw", subprotocols="chat")
