"""FileResponse: a file that a handler, a middleware or an error handler answers with."""

import os
from pathlib import Path

import pytest
import trio

from finch import FileResponse, FinchApp, Response, StreamingResponse
from finch.testing import TestClient
from tests.http.test_connection import talk

LONG_AGO = 1_700_000_000
LARGE = os.urandom(300_000)


@pytest.fixture
def folder(tmp_path):
    for name, content in {
        "a.txt": b"hello, birds",
        "large.bin": LARGE,
        "404.html": b"lost",
    }.items():
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (LONG_AGO, LONG_AGO))
    return tmp_path


def app_that_returns(make):
    app = FinchApp()

    @app.get("/file")
    async def file(request):
        return make(request)

    return app


@pytest.mark.parametrize("path_type", [str, Path])
async def test_a_file_with_its_type_and_validators(folder, path_type):
    app = app_that_returns(lambda request: FileResponse(path_type(folder / "a.txt")))
    async with TestClient(app) as client:
        response = await client.get("/file")
        assert (response.status, response.body) == (200, b"hello, birds")
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["accept-ranges"] == "bytes"
        assert "content-disposition" not in response.headers
        known = {"if-none-match": response.headers["etag"]}
        assert (await client.get("/file", headers=known)).status == 304


async def test_a_file_to_be_saved_has_a_name(folder):
    app = app_that_returns(lambda request: FileResponse(folder / "a.txt", filename="Spätzle.txt"))
    async with TestClient(app) as client:
        said = (await client.get("/file")).headers["content-disposition"]
        assert said == "attachment; filename=\"Sp_tzle.txt\"; filename*=UTF-8''Sp%C3%A4tzle.txt"


async def test_headers_and_type_that_are_given_count(folder):
    given = {"ETag": '"mine"', "Cache-Control": "private", "Content-Disposition": "inline"}
    app = app_that_returns(
        lambda request: FileResponse(
            folder / "a.txt", headers=given, content_type="text/x-bird", filename="b", max_age=9
        )
    )
    async with TestClient(app) as client:
        headers = (await client.get("/file")).headers
        assert headers.getlist("etag") == ['"mine"']
        assert headers.getlist("cache-control") == ["private"]
        assert headers.getlist("content-disposition") == ["inline"]
        assert headers.getlist("content-type") == ["text/x-bird"]


async def test_a_tag_that_is_given_is_what_conditions_are_about(folder):
    app = app_that_returns(lambda request: FileResponse(folder / "a.txt", headers={"etag": '"v7"'}))
    async with TestClient(app) as client:
        response = await client.get("/file", headers={"if-none-match": '"v7"'})
        assert (response.status, response.headers["etag"]) == (304, '"v7"')
        part = {"range": "bytes=0-4", "if-range": '"v7"'}
        assert (await client.get("/file", headers=part)).body == b"hello"


async def test_cookies_and_headers_that_are_set_later_are_sent(folder):
    def make(request):
        response = FileResponse(folder / "large.bin")
        response.set_cookie("seen", "yes")
        response.add_header("x-a", "b")
        return response

    async with TestClient(app_that_returns(make)) as client:
        response = await client.get("/file")
        assert response.body == LARGE
        assert response.headers["set-cookie"].startswith("seen=yes")
        assert response.headers["x-a"] == "b"


@pytest.mark.parametrize("name", ["a.txt", "large.bin"])
@pytest.mark.parametrize(
    ("headers", "status", "part"),
    [
        ({"range": "bytes=2-5"}, 206, slice(2, 6)),
        ({"range": "bytes=3-"}, 206, slice(3, None)),
        ({"range": "bytes=-4"}, 206, slice(-4, None)),
        ({"range": "bytes=0-1,3-4"}, 200, slice(None)),
        ({"range": "bytes=nonsense"}, 200, slice(None)),
        ({"range": "bytes=2-5", "if-range": '"other"'}, 200, slice(None)),
        ({"range": "bytes=2-5", "if-range": "Tue, 14 Nov 2023 22:13:20 GMT"}, 206, slice(2, 6)),
        ({"range": "bytes=2-5", "if-unmodified-since": "Tue, 14 Nov 2023 22:13:19 GMT"}, 412, None),
        ({"range": "bytes=2-5", "if-match": '"other"'}, 412, None),
        ({"range": "bytes=2-5", "if-none-match": "*"}, 304, None),
        ({"range": "bytes=300000-"}, 416, None),
    ],
)
async def test_parts_of_a_file(folder, name, headers, status, part):
    app = app_that_returns(lambda request: FileResponse(folder / name))
    whole = (folder / name).read_bytes()
    async with TestClient(app) as client:
        response = await client.get("/file", headers=headers)
        assert response.status == status
        if part is not None:
            assert response.body == whole[part]
            assert int(response.headers["content-length"]) == len(whole[part])
        assert ("content-range" in response.headers) == (status in (206, 416))


@pytest.mark.parametrize("name", ["a.txt", "large.bin"])
async def test_head_says_what_get_would_send_and_knows_no_parts(folder, name):
    app = app_that_returns(lambda request: FileResponse(folder / name))
    async with TestClient(app) as client:
        get = await client.get("/file")
        head = await client.request("HEAD", "/file", headers={"range": "bytes=0-1"})
        assert (head.status, head.body) == (200, b"")
        assert {**head.headers, "date": ""} == {**get.headers, "date": ""}


async def test_two_ranges_in_two_headers_are_several(folder):
    app = app_that_returns(lambda request: FileResponse(folder / "a.txt"))
    two = b"Range: bytes=0-1\r\nRange: bytes=3-4\r\n"
    answer = await talk(app, b"GET /file HTTP/1.1\r\nHost: a\r\n%b\r\n" % two)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"hello, birds")


async def test_with_another_status_a_file_is_sent_whole(folder):
    app = app_that_returns(lambda request: (FileResponse(folder / "a.txt"), 202))
    async with TestClient(app) as client:
        wanted = {"range": "bytes=0-1", "if-none-match": "*"}
        response = await client.get("/file", headers=wanted)
        assert (response.status, response.body) == (202, b"hello, birds")
        assert "etag" not in response.headers
        assert "accept-ranges" not in response.headers


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_file_answers_any_method(folder, method):
    app = FinchApp()

    @app.route("/file", methods=["GET", "POST"])
    async def file(request):
        return FileResponse(folder / "a.txt")

    async with TestClient(app) as client:
        response = await client.request(method, "/file", headers={"if-none-match": "*"})
        assert response.status == (304 if method == "GET" else 200)


# Names from outside


async def test_a_name_from_outside_stays_below_its_directory(folder):
    (folder / "uploads").mkdir()
    (folder / "uploads" / "b.txt").write_bytes(b"uploaded")
    app = FinchApp()

    @app.get("/uploads/{name:path}")
    async def upload(request, name):
        return FileResponse(name, directory=folder / "uploads", filename=name)

    async with TestClient(app) as client:
        assert (await client.get("/uploads/b.txt")).body == b"uploaded"
        for name in ("..%2fa.txt", "no.txt", "%2fetc%2fpasswd", "%00"):
            assert (await client.get(f"/uploads/{name}")).status in (400, 404)


# What goes wrong


@pytest.mark.parametrize("name", ["missing.txt", "", "a\0b"])
async def test_a_file_that_the_handler_named_wrongly_is_its_error(folder, name, caplog):
    app = app_that_returns(lambda request: FileResponse(folder / name if name else folder))
    async with TestClient(app) as client:
        assert (await client.get("/file")).status == 500
    assert "GET /file raised" in caplog.text


async def test_a_missing_file_may_have_an_error_handler(folder):
    app = app_that_returns(lambda request: FileResponse(folder / "missing.txt"))

    @app.error_handler(FileNotFoundError)
    async def missing(request, error):
        return FileResponse(folder / "404.html"), 404

    async with TestClient(app) as client:
        response = await client.get("/file", headers={"range": "bytes=0-1"})
        assert (response.status, response.body) == (404, b"lost")
        assert response.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("name", ["404.html", "large.bin"])
async def test_the_page_of_an_error_may_be_a_file(folder, name):
    app = FinchApp()

    @app.error_handler(404)
    async def missing(request, error):
        return FileResponse(folder / name), 404

    async with TestClient(app) as client:
        response = await client.get("/nowhere")
        assert (response.status, response.body) == (404, (folder / name).read_bytes())


async def test_an_error_page_that_is_missing_is_500_and_logged(folder, caplog):
    app = FinchApp()

    @app.error_handler(404)
    async def missing(request, error):
        return FileResponse(folder / "nothing.html"), 404

    async with TestClient(app) as client:
        for _ in range(2):
            assert (await client.get("/nowhere")).status == 500
    assert "nothing.html" in caplog.text
    assert "a bug in Finch" not in caplog.text


@pytest.mark.parametrize(
    ("arguments", "options", "error", "said"),
    [
        ((None,), {}, TypeError, "a path, not None"),
        ((b"a",), {}, TypeError, "write .decode()"),
        (("a",), {"directory": 3}, TypeError, "a path, not an int"),
        (("a",), {"filename": b"a"}, TypeError, "filename is a text, not a bytes"),
        (("a",), {"max_age": 1.5}, TypeError, "whole number"),
        (("a",), {"max_age": True}, TypeError, "whole number"),
        (("a",), {"max_age": -1}, ValueError, "0 seconds or more"),
        (("a",), {"status": 99}, ValueError, "200 to 599"),
        (("a",), {"content_type": "a\nb"}, ValueError, "line break"),
    ],
)
def test_wrong_arguments_are_told_at_once(arguments, options, error, said):
    with pytest.raises(error) as caught:
        FileResponse(*arguments, **options)
    assert said in str(caught.value)


# Middleware


@pytest.mark.parametrize(("name", "kind"), [("a.txt", Response), ("large.bin", StreamingResponse)])
async def test_middleware_sees_what_will_be_sent(folder, name, kind):
    app = app_that_returns(lambda request: FileResponse(folder / name))
    seen = []

    @app.middleware
    async def look(request, call_next):
        response = await call_next(request)
        seen.append((type(response), response.status, response.headers["content-type"]))
        response.set_header("x-seen", "yes")
        return response

    async with TestClient(app) as client:
        response = await client.get("/file", headers={"range": "bytes=0-99999"})
        assert response.headers["x-seen"] == "yes"
        assert response.status == 206
    assert [(status, of[:4]) for _, status, of in seen] in ([(206, "text")], [(206, "appl")])
    if name == "large.bin":
        assert seen[0][0] is kind


async def test_a_middleware_may_answer_with_a_file(folder):
    app = app_that_returns(lambda request: "from the handler")

    @app.middleware
    async def instead(request, call_next):
        return FileResponse(folder / "large.bin")

    async with TestClient(app) as client:
        assert (await client.get("/file")).body == LARGE
        assert (await client.get("/file", headers={"if-none-match": "*"})).status == 304
        assert (await client.get("/file", headers={"range": "bytes=0-"})).status == 206
        assert (await client.get("/file", headers={"range": "bytes=900000-"})).status == 416


async def test_a_middleware_may_change_the_chunks(folder):
    app = app_that_returns(lambda request: FileResponse(folder / "large.bin"))

    @app.middleware
    async def twice(request, call_next):
        response = await call_next(request)

        async def doubled(chunks):
            async for chunk in chunks:
                yield chunk
                yield chunk

        response.chunks = doubled(response.chunks)
        response.remove_header("content-length")
        return response

    async with TestClient(app) as client:
        assert len((await client.get("/file")).body) == 2 * len(LARGE)


async def test_one_response_may_answer_many_requests(folder):
    kept = FileResponse(folder / "large.bin")
    app = app_that_returns(lambda request: kept)
    async with TestClient(app) as client:
        for _ in range(3):
            assert (await client.get("/file")).body == LARGE
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(client.get, "/file")
