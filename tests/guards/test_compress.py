"""Compress: whole responses in gzip."""

import gzip
import random
import threading

import httpx
import pytest
import trio

from finch import ConfigurationError, FinchApp, HTMLResponse, Response, StreamingResponse
from finch.guards import Compress
from finch.testing import TestClient
from tests.conftest import serving

TEXT = "a finch is a small bird. " * 200
GZIP = {"accept-encoding": "gzip, deflate, br"}
JSON = "application/json"


def application(answer, **options):
    app = FinchApp()
    app.middleware(Compress(**options))

    @app.get("/")
    async def index(request):
        return answer() if callable(answer) else answer

    @app.socket("hello")
    async def hello(socket, data):
        return "hello"

    return app


async def ask(answer, headers=GZIP, method="GET", **options):
    async with TestClient(application(answer, **options)) as client:
        return await client.request(method, "/", headers=headers)


def plain(response):
    if response.headers.get("content-encoding") == "gzip":
        return gzip.decompress(response.body)
    return response.body


@pytest.mark.parametrize(
    "answer",
    [
        TEXT,
        {"text": TEXT},
        lambda: HTMLResponse(TEXT),
        (TEXT, 404),
        lambda: Response(TEXT, content_type="image/svg+xml"),
        lambda: Response(TEXT, content_type="text/javascript; charset=utf-8"),
        lambda: Response(TEXT, content_type="application/problem+json"),
    ],
)
async def test_whole_responses_are_compressed(answer):
    response = await ask(answer)
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["vary"] == "Accept-Encoding"
    assert int(response.headers["content-length"]) == len(response.body) < 500
    assert TEXT.encode() in plain(response)


@pytest.mark.parametrize(
    "answer",
    [
        "short",
        "x" * 1023,
        lambda: Response(TEXT, content_type="image/png"),
        lambda: Response(TEXT, content_type="application/zip"),
        lambda: Response(TEXT, content_type="text/event-stream"),
        lambda: Response(TEXT.encode()),
        lambda: Response(gzip.compress(TEXT.encode() * 99), headers={"content-encoding": "gzip"}),
        (TEXT, 200, {"cache-control": "private, No-Transform"}),
        (TEXT, 206),
        (TEXT, 200, {"content-range": "bytes 0-4999/9999"}),
        (TEXT, 200, {"content-digest": "sha-256=:abc=:"}),
        (TEXT, 200, {"repr-digest": "sha-256=:abc=:"}),
    ],
)
async def test_what_is_not_worth_it_or_must_not_be_stays(answer):
    response = await ask(answer)
    assert response.headers.get("content-encoding") in (None, "gzip")
    assert response.body == (await ask(answer, {})).body
    assert "vary" not in response.headers


async def test_streams_are_left_alone():
    async def pieces():
        yield TEXT

    response = await ask(lambda: StreamingResponse(pieces()))
    assert "content-encoding" not in response.headers
    assert response.text == TEXT


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("*", True),
        ("gzip;q=0.001", True),
        ("br, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("br", False),
        ("identity", False),
        ("*;q=0", False),
        ("gzip;q=0.5, identity", False),
        ("gzip, identity;q=0.5", True),
        ("gzip;q=x", False),
        ("notgzip", False),
        (["br", "gzip"], True),
    ],
)
async def test_the_client_decides(accepted, compressed):
    response = await ask(TEXT, {} if accepted is None else {"accept-encoding": accepted})
    assert ("content-encoding" in response.headers) is compressed
    assert response.headers["vary"] == "Accept-Encoding"  # in both cases
    assert plain(response) == TEXT.encode()


async def test_what_does_not_become_smaller_stays():
    noise = random.Random(5).randbytes(5000)
    response = await ask(lambda: Response(noise, content_type="text/plain"))
    assert "content-encoding" not in response.headers
    assert response.body == noise


async def test_a_head_request_has_the_head_of_the_get():
    got, head = await ask(TEXT), await ask(TEXT, method="HEAD")
    assert head.body == b""
    names = ("content-encoding", "content-length", "vary", "content-type")
    assert [head.headers[name] for name in names] == [got.headers[name] for name in names]


async def test_the_same_content_gives_the_same_bytes():
    assert (await ask(TEXT)).body == (await ask(TEXT)).body


async def test_a_strong_etag_becomes_weak():
    answer = (TEXT, 200, {"etag": '"abc"', "accept-ranges": "bytes", "vary": "Cookie"})
    response = await ask(answer)
    assert response.headers["etag"] == 'W/"abc"'
    assert "accept-ranges" not in response.headers
    assert response.headers["vary"] == "Cookie, Accept-Encoding"
    assert (await ask(answer, {})).headers["etag"] == '"abc"'
    assert (await ask((TEXT, 200, {"etag": 'W/"abc"'}))).headers["etag"] == 'W/"abc"'


@pytest.mark.parametrize(("known", "said"), [('W/"abc"', 'W/"abc"'), ('"abc"', '"abc"')])
async def test_a_304_has_the_etag_that_the_client_knows(known, said):
    answer = (b"", 304, {"etag": '"abc"'})
    assert (await ask(answer, {**GZIP, "if-none-match": known})).headers["etag"] == said


async def test_a_large_body_is_compressed_in_a_thread(monkeypatch):
    threads = []
    pack = Compress._pack

    def spying(guard, content):
        threads.append(threading.get_ident())
        return pack(guard, content)

    monkeypatch.setattr(Compress, "_pack", spying)
    assert plain(await ask(TEXT)) == TEXT.encode()
    assert plain(await ask(TEXT * 20)) == TEXT.encode() * 20
    assert threads[0] == threading.get_ident() != threads[1]


async def test_a_body_that_an_application_makes_its_own_way_is_left_alone():
    class Own(Response):
        @property
        def body(self):
            return TEXT.encode()

    response = await ask(lambda: Own("", content_type="text/plain"))
    assert response.text == TEXT


async def test_a_kept_response_is_compressed_for_each_request_anew():
    kept = HTMLResponse(TEXT)
    async with TestClient(application(kept)) as client:
        for headers in (GZIP, {}, GZIP):
            response = await client.get("/", headers=headers)
            assert ("content-encoding" in response.headers) is bool(headers)
            assert plain(response) == TEXT.encode()


async def test_sockets_go_through():
    async with TestClient(application("x")) as client, client.socket(headers=GZIP) as socket:
        await socket.send("hello")
        assert (await socket.receive()).data == "hello"


async def test_httpx_reads_it():
    async with serving(application({"text": TEXT * 50})) as server, httpx.AsyncClient() as client:
        with trio.fail_after(10):
            response = await client.get(server.http)
    assert response.headers["content-encoding"] == "gzip"
    assert response.json() == {"text": TEXT * 50}


async def test_the_minimum_and_the_level_may_be_others():
    text = "x" * 100
    assert "content-encoding" in (await ask(text, minimum=100)).headers
    assert "content-encoding" not in (await ask(text, minimum=101)).headers
    assert len((await ask(TEXT, level=9)).body) <= len((await ask(TEXT, level=1)).body)


@pytest.mark.parametrize(
    "options", [{"minimum": 0}, {"minimum": "1k"}, {"level": 0}, {"level": 10}, {"level": True}]
)
def test_what_makes_no_sense_is_refused_where_it_is_written(options):
    with pytest.raises(ConfigurationError):
        Compress(**options)
