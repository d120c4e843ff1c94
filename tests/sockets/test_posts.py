"""Which pages may connect without a WebSocket, and what their browsers are told (CORS)."""

import pytest
import trio

from finch import FinchApp, SocketManager
from finch.guards import CORS
from finch.testing import TestClient
from tests.linting import findings
from tests.sockets.posting import Refused, stream_of

ALLOWED = "https://pages.example"
FOREIGN = (
    "https://evil.example",
    "http://pages.example",
    "https://pages.example.evil.example",
    "https://evil-pages.example",
    "https://pages.example:8443",
    "https://pages.example.",
    "https://user@pages.example",
    "null",
    "",
    f"{ALLOWED}, https://evil.example",
)


def app_with(*origins):
    app = FinchApp(allowed_origins=origins or [ALLOWED])

    @app.socket("echo")
    async def echo(socket, data):
        return data

    return app


def of_page(origin, *more):
    return "".join(f"{line}\r\n" for line in (f"Origin: {origin}", *more))


async def refused(client, more):
    with pytest.raises(Refused) as raised:
        await stream_of(client, more=more)
    assert "access-control" not in raised.value.head.lower()
    return raised.value.status


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_foreign_page_gets_no_stream(origin):
    async with TestClient(app_with()) as client:
        assert await refused(client, of_page(origin)) == 403


async def test_two_origins_are_no_origin():
    async with TestClient(app_with()) as client:
        assert await refused(client, of_page(ALLOWED) + of_page(ALLOWED)) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "something-new"])
async def test_a_page_of_another_site_that_could_not_read_it_gets_no_stream(site):
    """As an image it would be asked for without an Origin, and with cookies."""
    async with TestClient(app_with()) as client:
        assert await refused(client, f"Sec-Fetch-Site: {site}\r\n") == 403


@pytest.mark.parametrize("site", ["none", "same-origin"])
async def test_the_page_itself_gets_it_without_an_origin(site):
    async with TestClient(app_with()) as client:
        await stream_of(client, more=f"Sec-Fetch-Site: {site}\r\n")


@pytest.mark.parametrize("origin", [ALLOWED, "http://testserver"])
async def test_a_page_that_is_allowed_may_read_it_with_cookies(origin):
    async with TestClient(app_with()) as client:
        stream = await stream_of(client, more=of_page(origin, "Sec-Fetch-Site: cross-site"))
        head = stream.head.lower()
        assert f"access-control-allow-origin: {origin}\r\n" in head
        assert "access-control-allow-credentials: true\r\n" in head
        assert "vary: origin\r\n" in head
        headers = {**stream.belongs(), "origin": origin}
        for content, number, status in (('{"path": "echo"}', 1, 204), ("", 1, 204), ("", 5, 409)):
            headers |= stream.belongs(number=number)
            response = await client.post("/ws", headers=headers, content=content)
            assert response.status == status
            assert response.headers["access-control-allow-origin"] == origin
            assert response.headers["access-control-allow-credentials"] == "true"
            assert "origin" in response.headers["vary"]


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_foreign_page_cannot_post_even_with_the_secret(origin):
    async with TestClient(app_with()) as client:
        stream = await stream_of(client)
        headers = {**stream.belongs(), "origin": origin}
        response = await client.post("/ws", headers=headers, content='{"path": "echo"}')
        assert response.status == 403
        assert "access-control-allow-origin" not in response.headers


async def test_any_origin_is_named_and_never_a_star():
    async with TestClient(app_with("*")) as client:
        stream = await stream_of(client, more=of_page("https://any.example"))
        assert "access-control-allow-origin: https://any.example\r\n" in stream.head.lower()


def preflight(client, origin, method="POST"):
    headers = {"origin": origin, "access-control-request-method": method}
    return client.options("/ws", headers=headers)


async def test_the_browser_of_an_allowed_page_is_told_what_it_may_send():
    async with TestClient(app_with()) as client:
        response = await preflight(client, ALLOWED)
        assert response.status == 204
        said = {name: value for name, value in response.headers.items() if "-" in name}
        assert said == {
            "access-control-allow-origin": ALLOWED,
            "access-control-allow-credentials": "true",
            "access-control-allow-methods": "GET, POST",
            "access-control-allow-headers": "finch-stream",
            "access-control-max-age": "600",
        }
        assert response.headers["vary"] == "origin"


@pytest.mark.parametrize("origin", FOREIGN)
async def test_the_browser_of_a_foreign_page_is_told_no(origin):
    async with TestClient(app_with()) as client:
        response = await preflight(client, origin)
        assert response.status == 403
        assert not [name for name in response.headers if name.startswith("access-control")]


async def test_options_without_a_page_says_which_methods_there_are():
    async with TestClient(app_with()) as client:
        response = await client.options("/ws")
        assert (response.status, response.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
        assert "content-type" not in response.headers


async def test_a_middleware_sees_the_stream_and_the_posts():
    app, seen = app_with(), []

    @app.middleware
    async def note(request, call_next):
        response = await call_next(request)
        seen.append((request.method, response.status))
        response.set_header("x-seen", "1")
        return response

    async with TestClient(app) as client:
        stream = await stream_of(client)
        assert "x-seen: 1" in stream.head.lower()
        assert await stream.call("echo", 1) == 1
        with trio.fail_after(5):
            assert (await stream.post("", number=9)).headers["x-seen"] == "1"
        assert seen == [("GET", 200), ("POST", 204), ("POST", 409)]


async def test_the_guards_of_a_manager_see_every_post_and_no_preflight():
    """They find the query of the handshake in a POST as well; a preflight has no cookies."""
    app, seen = FinchApp(), []

    async def auth(request):
        return request.query.get("token")

    async def note(request, call_next):
        seen.append(request.method)
        return await call_next(request)

    manager = SocketManager(
        app, path="/live", auth=auth, middleware=[note], allowed_origins=[ALLOWED]
    )

    @manager.socket("who")
    async def who(socket, data):
        return socket.user_id

    async with TestClient(app) as client:
        with pytest.raises(Refused):
            await stream_of(client, "/live")
        stream = await stream_of(client, "/live?token=ann")
        assert await stream.call("who") == "ann"
        assert (await client.post("/live", headers=stream.belongs())).status == 401
        headers = {"origin": ALLOWED, "access-control-request-method": "POST"}
        response = await client.options("/live", headers=headers)
        assert response.headers["access-control-allow-origin"] == ALLOWED
        assert seen == ["GET", "GET", "POST", "POST", "OPTIONS"]


async def test_a_manager_that_takes_the_place_of_the_first_one_has_its_own_options_and_guards():
    app = FinchApp(sse=False)

    @app.socket("echo")
    async def echo(socket, data):
        return data

    async def auth(request):
        return request.query.get("token")

    SocketManager(app, sse=True, allowed_origins=[ALLOWED], auth=auth)
    async with TestClient(app) as client:
        assert (await preflight(client, ALLOWED)).status == 204
        with pytest.raises(Refused) as raised:
            await stream_of(client)
        assert raised.value.status == 401
        stream = await stream_of(client, "/ws?token=ann", more=of_page(ALLOWED))
        assert await stream.call("echo", 1) == 1


async def test_the_guard_for_cors_opens_it_to_its_origins():
    app = FinchApp()
    app.middleware(CORS([ALLOWED]))

    @app.socket("echo")
    async def echo(socket, data):
        return data

    async with TestClient(app) as client:
        stream = await stream_of(client, more=of_page(ALLOWED))
        assert "access-control-allow-credentials: true" in stream.head.lower()
        for origin, allowed in ((ALLOWED, "finch-stream"), ("https://evil.example", None)):
            headers = {
                "origin": origin,
                "access-control-request-method": "POST",
                "access-control-request-headers": "finch-stream",
            }
            response = await client.options("/ws", headers=headers)
            assert response.headers.get("access-control-allow-headers") == allowed
            # no other path takes the header
            other = await client.options("/other", headers=headers)
            assert "finch-stream" not in other.headers.get("access-control-allow-headers", "")
        headers = {**stream.belongs(), "origin": ALLOWED}
        response = await client.post("/ws", headers=headers, content="")
        assert (response.status, response.headers["access-control-allow-origin"]) == (204, ALLOWED)


async def exchanged(client, request):
    """A request, and all that comes within a moment."""
    stream, answer = client.connect(), b""
    await stream.send_all(request)
    with trio.move_on_after(0.05):
        while piece := await stream.receive_some():
            answer += piece
    return request, answer


async def test_httplint_finds_nothing_bad(autojump_clock):
    async with TestClient(app_with()) as client:
        head = b"%b /ws HTTP/1.1\r\nHost: a\r\nOrigin: https://pages.example\r\n%b\r\n"
        secret = (await stream_of(client)).secret.encode()
        posted = b"Finch-Stream: " + secret + b" %d\r\nContent-Length: 0\r\n"
        for method, lines, status in (
            (b"GET", b"Accept: text/event-stream\r\n", b"200"),
            (b"OPTIONS", b"Access-Control-Request-Method: POST\r\n", b"204"),
            (b"POST", posted % 1, b"204"),
            (b"POST", posted % 7, b"409"),
        ):
            request, answer = await exchanged(client, head % (method, lines))
            assert answer[9:12] == status
            assert findings(request, answer) == []
