"""Sessions: what the browser keeps, when it is written, and what caches and sockets see of it."""

import time

import pytest
import trio

from finch import ConfigurationError, FinchApp, HTTPError, RedirectResponse
from finch.sessions import Sessions
from finch.testing import TestClient
from tests.sockets.posting import stream_of

KEY = "k" * 32


def session_app(*secrets, **options):
    app = FinchApp()
    app.middleware(Sessions(list(secrets) or KEY, **options))

    @app.get("/")
    async def index(request):
        return dict(request.session)

    @app.get("/plain")
    async def plain(request):
        return "plain"

    @app.post("/")
    async def change(request):
        request.session.update(await request.json())
        return "changed"

    @app.delete("/")
    async def forget(request):
        request.session.clear()
        return "forgotten"

    @app.post("/inside")
    async def inside(request):
        request.session["list"].append(1)
        return "changed"

    @app.get("/error")
    async def error(request):
        request.session["seen"] = True
        raise HTTPError(404)

    @app.get("/bug")
    async def bug(request):
        request.session["seen"] = True
        raise ValueError

    return app


async def test_it_is_remembered():
    async with TestClient(session_app()) as client:
        assert (await client.get("/")).json() == {}
        await client.post("/", json={"a": 1, "b": ["x"]})
        assert (await client.get("/")).json() == {"a": 1, "b": ["x"]}
        await client.delete("/")
        assert "session" not in client.cookies
        assert (await client.get("/")).json() == {}


async def test_the_cookie_is_one_that_no_script_reads_and_no_other_site_sends():
    async with TestClient(session_app()) as client:
        response = await client.post("/", json={"a": 1})
        [cookie] = response.headers.getlist("set-cookie")
        value, *attributes = cookie.split("; ")
        assert value.startswith("session=")
        assert sorted(attributes) == ["HttpOnly", "Max-Age=1209600", "Path=/", "SameSite=Lax"]


async def test_over_tls_it_is_secure():
    app = session_app()
    proxied = {"x-forwarded-proto": "https"}
    async with TestClient(app, forwarded_allow_ips="*", headers=proxied) as client:
        response = await client.post("/", json={"a": 1})
        assert "Secure" in response.headers["set-cookie"].split("; ")
        gone = await client.delete("/")
        assert {"Secure", "Max-Age=0"} < set(gone.headers["set-cookie"].split("; "))


async def test_each_option_of_the_cookie():
    app = session_app(
        cookie="__Secure-s", max_age=60, same_site="none", path="/", domain="example.org"
    )
    async with TestClient(app) as client:
        response = await client.post("/", json={"a": 1})
        value, *attributes = response.headers["set-cookie"].split("; ")
        assert value.startswith("__Secure-s=")
        assert sorted(attributes) == [
            "Domain=example.org",
            "HttpOnly",
            "Max-Age=60",
            "Path=/",
            "SameSite=None",
            "Secure",
        ]


async def test_what_nobody_uses_costs_nothing_and_says_nothing():
    async with TestClient(session_app()) as client:
        await client.post("/", json={"a": 1})
        response = await client.get("/plain")
        assert "set-cookie" not in response.headers
        assert "vary" not in response.headers
        assert "cache-control" not in response.headers


async def test_caches_are_told():
    app = session_app()

    @app.get("/public")
    async def public(request):
        request.session["n"] = request.session.get("n", 0) + 1
        return "x", 200, {"cache-control": "public, max-age=60", "vary": "Accept"}

    @app.get("/own")
    async def own(request):
        request.session["n"] = 1
        return "x", 200, {"cache-control": "private, max-age=60", "vary": "*"}

    async with TestClient(app) as client:
        assert (await client.get("/")).headers["vary"] == "Cookie"
        response = await client.get("/public")
        assert response.headers.getlist("vary") == ["Accept", "Cookie"]
        assert response.headers["cache-control"] == "no-store"
        client.cookies.clear()
        response = await client.get("/own")
        assert response.headers.getlist("vary") == ["*"]
        assert response.headers["cache-control"] == "private, max-age=60"


async def test_it_is_written_only_when_it_has_changed():
    async with TestClient(session_app()) as client:
        await client.post("/", json={"list": []})
        assert "set-cookie" not in (await client.get("/")).headers
        assert "set-cookie" not in (await client.post("/", json={"list": []})).headers
        assert "set-cookie" in (await client.post("/inside")).headers
        assert (await client.get("/")).json() == {"list": [1]}


async def test_half_of_its_time_over_it_is_renewed(monkeypatch):
    now = time.time()
    async with TestClient(session_app(max_age=100)) as client:
        await client.post("/", json={"a": 1})
        monkeypatch.setattr(time, "time", lambda: now + 60)
        assert "set-cookie" not in (await client.get("/plain")).headers
        assert "set-cookie" in (await client.get("/")).headers
        assert "set-cookie" not in (await client.get("/")).headers
        monkeypatch.setattr(time, "time", lambda: now + 140)
        assert (await client.get("/")).json() == {"a": 1}
        monkeypatch.setattr(time, "time", lambda: now + 300)
        assert (await client.get("/")).json() == {}


async def test_keys_are_changed_without_logging_anybody_out():
    old, new = "o" * 32, "n" * 32
    async with TestClient(session_app(old)) as client:
        await client.post("/", json={"a": 1})
        stolen = client.cookies["session"]
    async with TestClient(session_app(new, old)) as client:
        client.cookies["session"] = stolen
        assert (await client.get("/")).json() == {"a": 1}
        renewed = client.cookies["session"]
        assert renewed != stolen
    async with TestClient(session_app(new)) as client:
        client.cookies["session"] = renewed
        assert (await client.get("/")).json() == {"a": 1}
        client.cookies["session"] = stolen
        assert (await client.get("/")).json() == {}


@pytest.mark.parametrize(
    "cookie",
    ["", "x", "a.b.c", '"quoted"', "x" * 3000, "%00", "e30.e30.e30", "\xff", "=;", "{}", "null"],
)
async def test_a_cookie_that_is_none_of_ours_is_an_empty_session(cookie):
    async with TestClient(session_app()) as client:
        response = await client.get("/", headers={"cookie": f"session={cookie}"})
        assert (response.status, response.json()) == (200, {})


async def test_the_answer_to_an_error_has_the_session_and_a_bug_does_not(caplog):
    async with TestClient(session_app()) as client:
        assert (await client.get("/bug")).status == 500
        assert (await client.get("/")).json() == {}
        assert (await client.get("/error")).status == 404
        assert (await client.get("/")).json() == {"seen": True}


async def test_what_is_too_long_says_which_value_it_is(caplog):
    import random

    long = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=8000))
    async with TestClient(session_app()) as client:
        assert (await client.post("/", json={"a": 1, "cart": long})).status == 500
        assert (await client.get("/")).json() == {}
    assert "session['cart'] with 8002 bytes" in caplog.text
    assert "keep ids in the session" in caplog.text


async def test_a_session_that_compresses_well_may_be_longer():
    async with TestClient(session_app()) as client:
        assert (await client.post("/", json={"a": "x" * 8000})).status == 200
        assert (await client.get("/")).json() == {"a": "x" * 8000}


# After the response


async def test_a_socket_has_the_session_of_its_handshake():
    app = session_app()

    @app.socket("who")
    async def who(socket, data):
        return dict(socket.request.session)

    @app.socket("write")
    async def write(socket, data):
        try:
            socket.request.session["a"] = 2
        except RuntimeError as error:
            return str(error)

    async with TestClient(app) as client:
        await client.post("/", json={"a": 1})
        async with client.socket("/ws") as socket:
            await client.post("/", json={"a": 2})
            await socket.send("who")
            assert (await socket.receive()).data == {"a": 1}
            await socket.send("write")
            assert "what it was at the handshake" in (await socket.receive()).data
        stream = await stream_of(client)
        assert "what it was at the handshake" in await stream.call("write")
        await stream.cut()


async def test_a_handshake_may_change_the_session():
    app = session_app()

    @app.authorize
    async def authorize(request):
        request.session["sockets"] = request.session.get("sockets", 0) + 1

    app.on_connect(lambda socket: None)
    async with TestClient(app) as client:
        for _ in range(2):
            async with client.socket("/ws"):
                pass
        assert (await client.get("/")).json() == {"sockets": 2}


async def test_what_is_changed_too_late_says_so(caplog):
    app = session_app()

    @app.get("/stream")
    async def stream(request):
        yield "first"
        assert request.session.get("a") == 1
        request.session["a"] = 2

    async with TestClient(app) as client:
        await client.post("/", json={"a": 1})
        stream = client.connect()
        await stream.send_all(
            b"GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            b"Cookie: session=%s\r\n\r\n" % client.cookies["session"].encode()
        )
        with trio.fail_after(5):
            while await stream.receive_some():
                pass
    assert "change the session before the handler returns" in caplog.text


async def test_without_sessions_the_error_says_what_to_write(caplog):
    app = FinchApp()

    @app.get("/")
    async def index(request):
        return request.session["a"]

    async with TestClient(app) as client:
        assert (await client.get("/")).status == 500
    assert "write app.middleware(Sessions(secret))" in caplog.text


async def test_two_of_them_are_one_too_many(caplog):
    app = session_app()
    app.middleware(Sessions(KEY))
    async with TestClient(app) as client:
        assert (await client.get("/")).status == 500
    assert "registered twice" in caplog.text


async def test_two_applications_do_not_share_sessions():
    async with TestClient(session_app()) as client, TestClient(session_app("o" * 32)) as other:
        await client.post("/", json={"a": 1})
        other.cookies["session"] = client.cookies["session"]
        assert (await other.get("/")).json() == {}


async def test_it_survives_redirects_and_middleware():
    app = session_app()

    @app.get("/go")
    async def go(request):
        request.session["went"] = True
        return RedirectResponse("/", 303)

    @app.middleware
    async def count(request, call_next):
        request.session["count"] = request.session.get("count", 0) + 1
        return await call_next(request)

    async with TestClient(app) as client:
        await client.get("/go")
        assert (await client.get("/")).json() == {"count": 2, "went": True}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cookie": "a b"}, "not a valid cookie name"),
        ({"cookie": 7}, "a cookie's name is text"),
        ({"cookie": "__Host-s", "path": "/a"}, "needs path='/'"),
        ({"cookie": "__Host-s", "domain": "a.example"}, "and no domain"),
        ({"cookie": "__Secure-s", "secure": False}, "needs secure=True"),
        ({"same_site": "none"}, "need secure=True"),
        ({"same_site": "none", "secure": False}, "needs secure=True"),
        ({"same_site": "some"}, "'lax', 'strict', 'none'"),
        ({"path": "a"}, "begin with a slash"),
        ({"domain": "https://a.example"}, "not a valid cookie domain"),
        ({"max_age": 0}, "a whole number of seconds"),
        ({"max_age": "1 day"}, "a whole number of seconds"),
        ({"secure": 1}, "True, False or None, not an int"),
    ],
)
def test_what_no_browser_would_keep_is_refused_when_it_is_written(options, says):
    with pytest.raises(ConfigurationError, match=says):
        Sessions(KEY, **options)


def test_a_time_is_given_in_seconds():
    from datetime import timedelta

    with pytest.raises(ConfigurationError, match=r"write int\(max_age.total_seconds\(\)\)"):
        Sessions(KEY, max_age=timedelta(days=1))
