"""RequestID: a name for each request, in the response and in the log."""

import io
import logging
import re

import pytest
import trio

from finch import ConfigurationError, FinchApp
from finch.guards import RequestID, RequestIDFilter, request_id
from finch.testing import TestClient


def application(**options):
    app = FinchApp()
    app.middleware(RequestID(**options))

    @app.get("/")
    async def index(request):
        assert request.state["request_id"] == request_id.get()
        return request_id.get()

    @app.get("/thread")
    def thread(request):
        return request_id.get()

    @app.get("/bug")
    async def bug(request):
        raise ValueError

    @app.get("/stream")
    async def stream(request):
        yield request_id.get()

    @app.socket("hello")
    async def hello(socket, data):
        return socket.request.state["request_id"]

    return app


@pytest.mark.parametrize("path", ["/", "/thread", "/stream"])
async def test_handler_and_response_have_the_same_id(path):
    async with TestClient(application()) as client:
        responses = [await client.get(path) for _ in range(2)]
    for response in responses:
        assert re.fullmatch("[0-9a-f]{32}", response.text)
        assert response.headers.getlist("x-request-id") == [response.text]
    assert responses[0].text != responses[1].text


@pytest.mark.parametrize("path", ["/bug", "/nothing"])
async def test_errors_have_one_and_problems_say_it(path):
    async with TestClient(application()) as client:
        response = await client.get(path, headers={"accept": "application/json"})
    assert response.json()["request_id"] == response.headers["x-request-id"]


async def test_a_socket_knows_the_id_of_its_handshake():
    async with TestClient(application()) as client, client.socket() as socket:
        await socket.send("hello")
        assert (await socket.receive()).data == socket.response.headers["x-request-id"]


@pytest.mark.parametrize("given", ["abc", "Root=1-67891233-abcdef", "a" * 128, "A/b+c=="])
async def test_a_well_formed_id_is_taken_if_that_is_wanted(given):
    async with TestClient(application(incoming=True)) as client:
        assert (await client.get("/", headers={"x-request-id": given})).text == given
    async with TestClient(application()) as client:
        assert (await client.get("/", headers={"x-request-id": given})).text != given


@pytest.mark.parametrize(
    "given",
    ["", "a" * 129, "a b", "a,b", 'a"b', "<b>", "a\tb", "é", "a;b", "%0d%0a", ["one", "two"]],
)
async def test_any_other_is_replaced(given):
    async with TestClient(application(incoming=True)) as client:
        response = await client.get("/", headers={"x-request-id": given})
    assert re.fullmatch("[0-9a-f]{32}", response.text)


async def test_the_header_may_have_another_name():
    async with TestClient(application(header="X-Trace", incoming=True)) as client:
        response = await client.get("/", headers={"x-trace": "abc"})
    assert response.headers["x-trace"] == "abc"


async def test_lines_of_the_log_have_it():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RequestIDFilter())
    handler.setFormatter(logging.Formatter("%(request_id)s %(message)s"))
    log = logging.getLogger("finch.app")
    log.addHandler(handler)
    try:
        async with TestClient(application()) as client:
            response = await client.get("/bug")
        log.error("outside")
    finally:
        log.removeHandler(handler)
    lines = stream.getvalue().splitlines()
    assert lines[0] == f"{response.headers['x-request-id']} GET /bug raised"
    assert lines[-1] == "- outside"


async def test_requests_at_the_same_time_have_their_own():
    app = application()
    gate = trio.Event()
    waiting = []

    @app.get("/wait")
    async def wait(request):
        waiting.append(request)
        if len(waiting) == 5:
            gate.set()
        await gate.wait()
        return request_id.get()

    async def ask():
        response = await client.get("/wait")
        assert response.text == response.headers["x-request-id"]

    async with TestClient(app) as client, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
    assert len({request.state["request_id"] for request in waiting}) == 5


async def test_the_next_request_of_a_connection_does_not_see_it():
    seen = []

    async def outside(request, call_next):
        seen.append(request_id.get())
        return await call_next(request)

    app = FinchApp()
    app.middleware(outside)
    app.middleware(RequestID())
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    async with TestClient(app) as client:
        stream = client.connect()
        for _ in range(2):
            await stream.send_all(request)
            await stream.receive_some()
    assert seen == ["-", "-"]


@pytest.mark.parametrize("options", [{"header": "a b"}, {"header": 5}, {"incoming": "10.0.0.1"}])
def test_what_makes_no_sense_is_refused_where_it_is_written(options):
    with pytest.raises(ConfigurationError):
        RequestID(**options)
