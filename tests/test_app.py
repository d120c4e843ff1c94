"""The application: routes, middleware, errors, and what runs beside the handlers."""

import msgspec
import pytest
import trio
import trio.testing

from finch import (
    ConfigurationError,
    Controller,
    FinchApp,
    FinchRoute,
    HTTPError,
    JSONResponse,
    Response,
    SocketEvent,
    SocketManager,
    StreamingResponse,
)
from finch.testing import HandshakeRefused, TestClient


async def get(app, path="/", **options):
    async with TestClient(app) as client:
        return await client.get(path, **options)


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
async def test_each_method_has_its_decorator(method):
    app = FinchApp()

    @getattr(app, method)("/it/{name}")
    async def it(request, name):
        return f"{request.method} {name}"

    async with TestClient(app) as client:
        response = await getattr(client, method)("/it/finch")
        assert response.text == f"{method.upper()} finch"


async def test_a_wrong_method_is_405_with_allow_and_head_and_options_are_derived():
    app = FinchApp()

    @app.route("/it", methods=["GET", "POST"])
    async def it(request):
        return "body"

    async with TestClient(app) as client:
        response = await client.delete("/it")
        assert (response.status, response.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
        response = await client.options("/it")
        assert (response.status, response.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
        response = await client.head("/it")
        assert (response.status, response.headers["content-length"], response.body) == (
            200,
            "4",
            b"",
        )
        assert (await client.get("/other")).status == 404


class Bird(msgspec.Struct):
    name: str


async def stream():
    yield "one "
    yield b"two"


@pytest.mark.parametrize(
    ("value", "status", "body", "content_type"),
    [
        ("text", 200, b"text", "text/plain; charset=utf-8"),
        ({"a": 1}, 200, b'{"a":1}', "application/json"),
        ([1], 200, b"[1]", "application/json"),
        (Bird("finch"), 200, b'{"name":"finch"}', "application/json"),
        (b"\x00", 200, b"\x00", "application/octet-stream"),
        (None, 204, b"", None),
        (("made", 201), 201, b"made", "text/plain; charset=utf-8"),
        (("<p>", 200, {"Content-Type": "text/html"}), 200, b"<p>", "text/html"),
        (Response(b"raw", content_type="image/png"), 200, b"raw", "image/png"),
    ],
)
async def test_what_a_handler_returns_is_the_response(value, status, body, content_type):
    app = FinchApp()

    @app.get("/")
    async def index(request):
        return value

    response = await get(app)
    assert (response.status, response.body) == (status, body)
    assert response.headers.get("content-type") == content_type


async def test_an_async_generator_is_streamed():
    app = FinchApp()

    @app.get("/")
    async def index(request):
        async for chunk in stream():
            yield chunk

    @app.get("/events")
    async def events(request):
        return StreamingResponse(stream(), content_type="text/event-stream")

    response = await get(app)
    assert response.body == b"one two"
    assert response.headers["transfer-encoding"] == "chunked"
    assert (await get(app, "/events")).headers["content-type"] == "text/event-stream"


async def test_a_stream_that_raises_before_it_begins_is_500():
    app = FinchApp()

    @app.get("/")
    async def index(request):
        raise RuntimeError
        yield "never"

    assert (await get(app)).status == 500


async def test_a_def_handler_may_block():
    app = FinchApp()

    @app.get("/")
    def index(request):
        return trio.from_thread.run(thought)

    async def thought():
        return "thought about"

    assert (await get(app)).text == "thought about"


async def test_a_value_that_is_no_response_is_500_and_the_log_teaches(caplog):
    app = FinchApp()

    @app.get("/")
    async def index(request):
        return object()

    assert (await get(app)).status == 500
    assert " returned object, which is not a response" in caplog.text


async def test_middleware_stands_around_handlers_errors_and_unknown_paths():
    app = FinchApp()
    calls = []

    @app.middleware
    async def outer(request, call_next):
        calls.append("outer in")
        response = await call_next(request)
        calls.append(f"outer out {response.status}")
        response.set_header("x-outer", "yes")
        return response

    @app.middleware
    async def inner(request, call_next):
        calls.append("inner in")
        if request.path == "/short":
            return "cut short", 299
        return await call_next(request)

    @app.get("/")
    async def index(request):
        calls.append("handler")
        return "ok"

    async with TestClient(app) as client:
        assert (await client.get("/")).headers["x-outer"] == "yes"
        assert calls == ["outer in", "inner in", "handler", "outer out 200"]
        assert (await client.get("/short")).status == 299
        assert (await client.get("/nowhere")).headers["x-outer"] == "yes"


async def test_middleware_sees_an_upgrade_as_a_response_and_may_refuse_it():
    app = FinchApp()

    @app.middleware
    async def gate(request, call_next):
        if request.query.get("token") != "right":
            raise HTTPError(401, "show a token")
        response = await call_next(request)
        response.set_header("x-status", str(response.status))
        return response

    @app.on_connect
    async def hello(socket):
        await socket.send("hello")

    async with TestClient(app) as client:
        with pytest.raises(HandshakeRefused) as refused:
            async with client.socket("/ws"):
                pass
        assert refused.value.response.status == 401
        async with client.socket("/ws?token=right") as socket:
            assert socket.response.headers["x-status"] == "101"
            assert (await socket.receive()).data == "hello"


async def test_middleware_sees_what_a_handler_raises_unless_it_is_an_answer():
    app = FinchApp()
    seen = []

    @app.middleware
    async def watch(request, call_next):
        try:
            return await call_next(request)
        except Exception as error:
            seen.append(type(error))
            raise

    @app.get("/bug")
    async def bug(request):
        raise KeyError("secret")

    @app.get("/answer")
    async def answer(request):
        raise HTTPError(418)

    async with TestClient(app) as client:
        response = await client.get("/bug")
        assert (response.status, response.text) == (500, "Internal Server Error")
        response = await client.get("/answer")
        assert (response.status, response.text) == (418, "I'm a Teapot")
    assert seen == [KeyError]


async def test_error_handlers_by_status_and_by_type():
    app = FinchApp()

    @app.error_handler(404)
    async def not_found(request, error):
        return JSONResponse({"no": request.path}, status=404)

    @app.error_handler(LookupError)
    async def lookup(request, error):
        return f"looked for {error}"

    @app.error_handler(HTTPError)
    async def any_other(request, error):
        return {"status": error.status}

    @app.get("/key")
    async def key(request):
        raise KeyError("k")

    @app.get("/teapot")
    async def teapot(request):
        raise HTTPError(418, headers={"x-tea": "green"})

    async with TestClient(app) as client:
        assert (await client.get("/nowhere")).json() == {"no": "/nowhere"}
        response = await client.get("/key")
        assert (response.status, response.text) == (500, "looked for 'k'")
        response = await client.get("/teapot")
        assert (response.status, response.json()) == (418, {"status": 418})


async def test_an_error_handler_that_raises_is_500(caplog):
    app = FinchApp()

    @app.error_handler(404)
    async def not_found(request, error):
        raise RuntimeError("in the handler")

    assert (await get(app)).status == 500
    assert "in the handler" in caplog.text


async def test_startup_shutdown_and_background_tasks_frame_the_app():
    app = FinchApp()
    diary = []

    @app.on_startup
    async def open_up():
        diary.append("startup")

    @app.on_shutdown
    def close_down():
        diary.append("shutdown")

    @app.background_task
    async def tick():
        diary.append("tick")
        await trio.sleep_forever()

    @app.get("/later")
    async def later(request):
        app.background_task(note, "from a handler")
        return None

    async def note(text):
        diary.append(text)

    async with TestClient(app) as client:
        await client.get("/later")
        await trio.testing.wait_all_tasks_blocked()
    assert diary == ["startup", "tick", "from a handler", "shutdown"]


async def test_a_background_task_that_raises_ends_nothing_else(caplog):
    app = FinchApp()

    @app.background_task
    async def fail():
        raise RuntimeError("in the background")

    @app.get("/")
    async def index(request):
        return "ok"

    assert (await get(app)).text == "ok"
    assert "in the background" in caplog.text


async def test_a_startup_that_raises_stops_the_app_with_that_exception():
    app = FinchApp()

    @app.on_startup
    async def fail():
        raise RuntimeError("no database")

    with pytest.raises(RuntimeError, match="no database"):
        async with TestClient(app):
            pass


async def test_the_apps_sockets_are_mounted_with_the_first_handler_or_where_the_user_says():
    silent = FinchApp()
    assert (await get(silent, "/ws")).status == 404

    elsewhere = FinchApp(socket_path="/live")
    elsewhere.on_message(lambda socket, data: None)
    assert (await get(elsewhere, "/live")).status == 426

    own = FinchApp()
    own.on_message(lambda socket, data: None)

    @own.get("/ws")
    async def mine(request):
        return "mine"

    assert (await get(own, "/ws")).text == "mine"

    nowhere = FinchApp(socket_path=None)
    nowhere.on_message(lambda socket, data: None)
    assert (await get(nowhere, "/ws")).status == 404


async def test_several_managers_keep_their_clients_apart():
    app = FinchApp()
    admin = SocketManager(app, path="/admin")
    app.on_message(lambda socket, data: None)

    @admin.socket("say")
    async def say(socket, data):
        await admin.send_to_all(data, path="said")

    async with (
        TestClient(app) as client,
        client.socket("/ws"),
        client.socket("/admin") as boss,
    ):
        assert (app.socket_manager.count_clients, admin.count_clients) == (1, 1)
        await boss.send("say", "hi")
        assert (await boss.receive()).path == "said"


async def test_a_bound_method_and_an_object_that_is_called_are_handlers():
    class Birds(Controller):
        async def one(self, request, bird_id):
            return {"id": bird_id}

    class Called:
        async def __call__(self, request):
            return "called"

    app = FinchApp()
    app.add_routes([FinchRoute("/{bird_id:int}", Birds().one), FinchRoute("/called", Called())])
    assert (await get(app, "/7")).json() == {"id": 7}
    assert (await get(app, "/called")).text == "called"


async def test_cookies_are_set_sent_back_and_deleted():
    app = FinchApp()

    @app.get("/set")
    async def set_it(request):
        response = Response(b"")
        response.set_cookie("taste", "sweet; and sour", httponly=True)
        return response

    @app.get("/read")
    async def read(request):
        return dict(request.cookies)

    @app.get("/delete")
    async def delete(request):
        response = Response(b"")
        response.delete_cookie("taste")
        return response

    async with TestClient(app) as client:
        await client.get("/set")
        assert (await client.get("/read")).json() == {"taste": "sweet; and sour"}
        await client.get("/delete")
        assert (await client.get("/read")).json() == {}


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (lambda app: app.get("no-slash")(get), "begins with a slash"),
        (lambda app: [app.get("/")(get) for _ in range(2)], "already has a handler"),
        (lambda app: app.error_handler("404"), "status or a type of exception"),
        (lambda app: FinchApp(languages=()), "languages is empty"),
        (lambda app: app.route("/", methods="GET")(get), "methods=['GET']"),
    ],
)
def test_a_mistake_is_told_where_it_is_made(mistake, says):
    with pytest.raises(ConfigurationError) as error:
        mistake(FinchApp())
    assert says in str(error.value)


async def test_a_method_that_nobody_knows_is_501_and_one_of_another_route_405():
    app = FinchApp()

    @app.get("/")
    async def index(request):
        return "hello"

    @app.route("/files", methods=["PROPFIND"])
    async def find(request):
        return "found"

    async with TestClient(app) as client:
        assert (await client.request("JUGGLE", "/")).status == 501
        assert (await client.request("JUGGLE", "/nowhere")).status == 501
        assert (await client.request("PROPFIND", "/files")).status == 200
        assert (await client.request("PROPFIND", "/")).status == 405
        assert (await client.request("DELETE", "/")).status == 405
        assert (await client.request("DELETE", "/nowhere")).status == 404


# What a nursery's group counts as


async def raising(error):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)

        @nursery.start_soon
        async def fail():
            raise error


async def test_an_http_error_alone_in_a_group_is_that_error():
    app = FinchApp()

    @app.get("/")
    async def index(request):
        await raising(ExceptionGroup("inner", [HTTPError(404, "no bird", {"x-why": "gone"})]))

    @app.error_handler(404)
    async def missing(request, error):
        return {"said": error.message}

    async with TestClient(app) as client:
        response = await client.get("/")
    assert (response.status, response.json()) == (404, {"said": "no bird"})
    assert response.headers["x-why"] == "gone"


async def test_middleware_sees_the_answer_to_an_http_error_in_a_group():
    app = FinchApp()
    seen = []

    @app.get("/")
    async def index(request):
        await raising(HTTPError(404))

    @app.middleware
    async def look(request, call_next):
        response = await call_next(request)
        seen.append(response.status)
        return response

    async with TestClient(app) as client:
        await client.get("/")
    assert seen == [404]


@pytest.mark.parametrize("kind", [KeyError, ExceptionGroup])
async def test_an_error_handler_finds_what_it_was_registered_for_in_a_group(kind):
    app = FinchApp()
    found = []

    @app.get("/")
    async def index(request):
        await raising(KeyError("x"))

    @app.error_handler(kind)
    async def answer(request, error):
        found.append(type(error))
        return "answered"

    async with TestClient(app) as client:
        assert (await client.get("/")).text == "answered"
    assert found == [KeyError] if kind is KeyError else found == [ExceptionGroup]


async def test_several_errors_in_a_group_are_a_500(caplog):
    app = FinchApp()

    @app.get("/")
    async def index(request):
        raise ExceptionGroup("several", [HTTPError(404), HTTPError(403)])

    async with TestClient(app) as client:
        assert (await client.get("/")).status == 500
    assert "several" in caplog.text


async def test_only_finchs_own_errors_say_how_they_are_answered():
    class Foreign(Exception):
        headers = {"set-cookie": "upstream=secret"}  # noqa: RUF012
        status = 418

    app = FinchApp()

    @app.get("/")
    async def index(request):
        raise Foreign

    @app.error_handler(Foreign)
    async def answer(request, error):
        return {"error": "the service behind does not answer"}

    async with TestClient(app) as client:
        response = await client.get("/")
    assert response.status == 500
    assert "set-cookie" not in response.headers


async def test_a_wrapper_of_an_async_handler_stays_on_the_event_loop():
    import functools
    import threading

    app = FinchApp()
    threads = []

    def timed(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            threads.append(threading.get_ident())
            return function(*args, **kwargs)

        return wrapper

    @app.get("/")
    @timed
    async def index(request):
        return "hello"

    @app.socket("say")
    @timed
    async def say(socket, data):
        return "hello"

    async with TestClient(app) as client, client.socket() as socket:
        assert (await client.get("/")).text == "hello"
        await socket.send("say")
        assert (await socket.receive()).data == "hello"
    assert set(threads) == {threading.get_ident()}


async def test_an_upgrade_needs_no_await():
    app = FinchApp(socket_path=None)

    @app.get("/ws")
    async def upgrade(request):
        return app.socket_manager.request_handle(request, user_id=7)

    @app.get("/awaited")
    async def awaited(request):
        return await app.socket_manager.request_handle(request, user_id=7)

    async with TestClient(app) as client:
        async with client.socket(), client.socket("/awaited"):
            assert app.socket_manager.count_users == 1


async def test_a_background_task_may_be_begun_in_a_thread():
    app = FinchApp()
    done = trio.Event()

    async def mail(to):
        assert to == "ada"
        done.set()

    @app.post("/order")
    def order(request):
        app.background_task(mail, "ada")
        return "ok"

    async with TestClient(app) as client:
        assert (await client.post("/order")).status == 200
        with trio.fail_after(5):
            await done.wait()


async def test_a_root_event_stays_concurrent_behind_a_decorator():
    app = FinchApp()
    both = trio.Event()
    begun = []

    async def wait_for_both(socket, data):
        begun.append(data)
        if len(begun) == 2:
            both.set()
        await both.wait()
        return "done"

    manager = SocketManager(
        app, path="/m", event=SocketEvent(on_message=wait_for_both, concurrent=True)
    )

    @manager.on_connect
    async def greet(socket):
        pass

    async with TestClient(app) as client, client.socket("/m") as socket:
        await socket.send("a", 1)
        await socket.send("b", 2)
        assert (await socket.receive()).data == "done"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (({"type": "http"}, print, print), "neither an ASGI nor a WSGI application"),
        (({"wsgi.version": (1, 0)}, print), "finch app:app"),
        (({"type": "http"},), "finch.run(app)"),
        ((print,), "write @app.get('/path')"),
        (("/",), "write @app.get('/path')"),
    ],
)
def test_an_application_that_is_called_says_what_to_do_instead(arguments, says):
    with pytest.raises(ConfigurationError) as mistake:
        FinchApp()(*arguments)
    assert says in str(mistake.value)


async def test_a_hook_makes_what_a_request_is_asked_for():
    class Bird:
        def __init__(self, name):
            self.name = name

    def make(cls, value):
        if not isinstance(value, str):
            raise ValueError("a bird is a name")
        return cls(value)

    app = FinchApp(dec_hook=make)

    @app.post("/")
    async def add(request):
        return [bird.name for bird in await request.json(list[Bird])]

    async with TestClient(app) as client:
        assert (await client.post("/", json=["finch", "wren"])).json() == ["finch", "wren"]
        refused = await client.post("/", json=["finch", 7])
    assert refused.status == 422
    assert "a bird is a name" in refused.text
    assert "$[1]" in refused.text


async def test_a_handler_of_head_says_how_long_the_body_of_a_get_would_be():
    app = FinchApp()

    @app.route("/film", methods=["HEAD"])
    async def film(request):
        return "", 200, {"content-length": "7000000"}

    @app.get("/none")
    async def none(request):
        return "", 200, {"content-length": "7"}

    async with TestClient(app) as client:
        assert (await client.head("/film")).headers["content-length"] == "7000000"
        assert (await client.get("/none")).headers["content-length"] == "0"


async def test_sockets_may_be_mounted_at_a_path_with_parameters():
    app = FinchApp(socket_path="/rooms/{room}")

    @app.socket("where")
    async def where(socket, data):
        return socket.request.path_params["room"]

    @SocketManager(app, path="/halls/{hall:int}").socket("where")
    async def which(socket, data):
        return socket.request.path_params["hall"]

    async with TestClient(app) as client:
        for path, found in (("/rooms/blue", "blue"), ("/halls/7", 7)):
            async with client.socket(path) as socket:
                await socket.send("where")
                assert (await socket.receive()).data == found


async def test_all_except_somebody_who_is_no_client_goes_to_nobody():
    app = FinchApp()

    @app.socket("say")
    async def say(socket, data):
        try:
            await socket.manager.send_to_all_except(socket.id, data, path="said")
        except TypeError:
            return "refused"

    async with TestClient(app) as client, client.socket() as ada, client.socket() as bob:
        await ada.send("say", "secret")
        assert (await ada.receive()).data == "refused"
        await bob.send("say", "secret")
        assert (await bob.receive()).path == "say"  # and nothing before it


@pytest.mark.parametrize(
    "returned",
    [False, HTTPError(403), ValueError("no"), Response("no", 403), ("no", 401), ("no", 403, {})],
    ids=str,
)
async def test_an_on_connect_that_returns_a_refusal_refuses(returned):
    app = FinchApp()

    @app.on_connect
    async def gate(socket):
        return returned

    async with TestClient(app) as client, client.socket() as socket:
        assert (await socket.receive()).status == 403
        assert (await socket.wait_closed()).code == 1008


@pytest.mark.parametrize("returned", [None, True, 0, "", "hello", {"a": 1}, (1, 2), Response("ok")])
async def test_an_on_connect_that_returns_anything_else_accepts(returned):
    app = FinchApp()

    @app.on_connect
    async def gate(socket):
        return returned

    @app.socket("say")
    async def say(socket, data):
        return "said"

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("say")
        assert (await socket.receive()).data == "said"


async def test_an_application_may_be_served_twice_at_a_time():
    app = FinchApp()
    log = []

    @app.on_shutdown
    async def end():
        log.append("end")

    async def note():
        log.append("task")

    async with TestClient(app):
        async with TestClient(app):
            pass
        app.background_task(note)
        await trio.testing.wait_all_tasks_blocked()
    assert log == ["end", "task", "end"]


async def test_middleware_that_sets_the_status_of_an_upgrade_does_not_let_the_client_in():
    app = FinchApp()

    @app.middleware
    async def gate(request, call_next):
        response = await call_next(request)
        if request.path == "/ws":
            response.status = 403
        return response

    @app.socket("say")
    async def say(socket, data): ...

    async with TestClient(app) as client:
        with pytest.raises(HandshakeRefused) as refused:
            async with client.socket():
                pass
        assert refused.value.response.status == 500
        assert app.socket_manager.count_clients == 0


async def test_an_extension_that_was_not_agreed_on_is_not_sent():
    app = FinchApp()

    @app.middleware
    async def compressed(request, call_next):
        response = await call_next(request)
        response.set_header("sec-websocket-extensions", "permessage-deflate")
        return response

    @app.socket("say")
    async def say(socket, data):
        return "said"

    async with TestClient(app) as client, client.socket() as socket:
        assert "sec-websocket-extensions" not in socket.response.headers


async def test_a_kept_response_takes_no_cookie_after_it_was_returned():
    app = FinchApp()
    page = Response("hello")
    page.set_cookie("theme", "dark")

    @app.get("/")
    async def index(request):
        page.set_cookie("visitor", request.query["name"])
        return page

    @app.get("/page")
    async def same(request):
        return page

    async with TestClient(app) as client:
        for _ in range(2):
            assert (await client.get("/page")).headers["set-cookie"].startswith("theme=dark")
        assert (await client.get("/?name=ada")).status == 500
        lines = (await client.get("/page")).headers.getlist("set-cookie")
        assert [line.partition("=")[0] for line in lines] == ["theme"]
    with pytest.raises(RuntimeError, match="make a new one for each request"):
        page.set_header("Set-Cookie", "visitor=bob")
    page.set_header("x-version", "2")
    page.body = "hello again"


async def test_half_a_character_is_refused_by_name_and_the_socket_stays_open():
    app = FinchApp()

    @app.websocket("/raw")
    async def raw(ws):
        for act in (lambda: ws.send("\ud800"), lambda: ws.close(4000, "\ud800")):
            with pytest.raises(ValueError, match="lone surrogate"):
                await act()
        await ws.send("still here")

    async with TestClient(app) as client, client.socket("/raw") as socket:
        assert await socket.receive_raw() == "still here"
