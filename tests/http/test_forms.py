"""Forms, from the client to the handler, and what is left of them when the request is answered."""

import os
import tracemalloc
from urllib.parse import unquote_to_bytes

import httpx
import msgspec
import pytest
import trio

from finch import ConfigurationError, File, FinchApp, Form, FormData, HTTPError, Limits, Upload
from finch.http.forms import urlencoded_pairs
from finch.http.spool import IN_MEMORY
from finch.testing import TestClient
from tests.conftest import need, serving

TYPE = {"content-type": "application/x-www-form-urlencoded"}
BIG = os.urandom(IN_MEMORY + 10)


def form_app(**limits):
    app = FinchApp(limits=Limits(**limits))
    app.state["kept"] = []

    @app.post("/")
    async def index(request):
        form = await request.form()
        app.state["kept"].append(form)
        return [
            [name, value if isinstance(value, str) else [value.filename, value.size]]
            for name, value in form.multi_items()
        ]

    return app


def descriptors():
    return len(os.listdir("/proc/self/fd"))


async def until_only(before):
    """Wait until no more descriptors are open: the files of a form are closed in a thread."""
    with trio.fail_after(5):
        while descriptors() > before:
            await trio.sleep(0.001)


async def test_a_request_has_one_content_type():
    forms = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"]
    async with TestClient(form_app()) as client:
        for types in (forms, forms[::-1], forms[:1] * 2):
            response = await client.post("/", content=b"a=1", headers={"content-type": types})
            assert (response.status, response.text) == (
                400,
                "the request has several Content-Types",
            )


# URL-encoded


URLENCODED = {
    b"": [],
    b"a=1": [["a", "1"]],
    b"a=1&b=2&a=3": [["a", "1"], ["b", "2"], ["a", "3"]],
    b"a=x+y%20z": [["a", "x y z"]],
    b"a=%2B%26%3D": [["a", "+&="]],
    b"a": [["a", ""]],
    b"a=": [["a", ""]],
    b"=1": [["", "1"]],
    b"a=b=c": [["a", "b=c"]],
    b"&&a=1&": [["a", "1"]],
    b"a;b=1": [["a;b", "1"]],
    b"a=%C3%A4": [["a", "ä"]],
    "a=ä".encode(): [["a", "ä"]],
    b"a=%zz%": [["a", "%zz%"]],
    b"a=%e4&_charset_=iso-8859-1": [["a", "ä"], ["_charset_", "iso-8859-1"]],
    b"a=" + b"%41" * 50_000: [["a", "A" * 50_000]],
}


@pytest.mark.parametrize("body", URLENCODED, ids=lambda body: repr(body[:30]))
async def test_an_urlencoded_form_is_read(body):
    async with TestClient(form_app()) as client:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        response = await client.post("/", content=body, headers=headers)
        assert response.json() == URLENCODED[body]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "says"),
    [
        (b"a=%ff", "application/x-www-form-urlencoded", 400, "'a' is not utf-8"),
        (b"%ff=a", "application/x-www-form-urlencoded", 400, "is not utf-8"),
        (b"a=1&_charset_=rot13", "application/x-www-form-urlencoded", 415, "unknown charset"),
        (b"a=1", "application/x-www-form-urlencoded; charset=utf-7", 415, "unknown charset"),
        (b"a&" * 10, "application/x-www-form-urlencoded", 413, "more than 10 fields"),
        (b"a=" + b"x" * 999, "application/x-www-form-urlencoded", 413, "longer than 1000 bytes"),
        (b"{}", "application/json", 415, "application/json, and must be a form"),
        (b"{}", None, 415, "of no type"),
        (b"--b--", "multipart/mixed; boundary=b", 415, "multipart/mixed, and must be a form"),
        (b"--b--", "multipart/form-data", 400, "no boundary"),
        (b"x" * 3001, "multipart/form-data; boundary=b", 413, "longer than 3000 bytes"),
    ],
)
async def test_what_is_no_form_is_refused(body, content_type, status, says):
    app = form_app(max_body=1000, max_uploads=2000, max_form_parts=10)
    async with TestClient(app) as client:
        headers = {} if content_type is None else {"content-type": content_type}
        response = await client.post("/", content=body, headers=headers)
        assert response.status == status
        assert says in response.text


@pytest.mark.parametrize("begin", [b"", b"a", b"aa"])
@pytest.mark.parametrize("escape", [b"%41", b"%", b"%4", b"%zz%41"])
async def test_a_large_field_is_decoded_piece_by_piece_with_the_same_result(begin, escape):
    text = begin + escape * 20_000
    async with TestClient(form_app()) as client:
        response = await client.post("/", content=b"a=" + text, headers=TYPE)
    assert response.json() == [["a", unquote_to_bytes(text).decode()]]


async def test_escapes_take_no_more_memory_than_the_body():
    """``unquote_to_bytes`` alone takes eighty times as much."""
    body = b"%41" * 300_000
    tracemalloc.start()
    try:
        pairs = urlencoded_pairs(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert pairs == [(b"A" * 300_000, b"")]
    assert peak < 4 * len(body)


async def test_no_body_is_an_empty_form():
    async with TestClient(form_app()) as client:
        assert (await client.post("/")).json() == []


# What the handler has


async def test_fields_and_files_are_in_one_mapping():
    app = FinchApp()
    seen = []

    @app.post("/")
    async def index(request):
        form = await request.form()
        assert form is await request.form()
        assert type(form) is FormData
        assert form["name"] == "Ada"
        assert form.getlist("tag") == ["a", "b"]
        assert isinstance(form["photo"], Upload)
        assert (form["photo"].filename, form["photo"].content_type) == ("ada.png", "image/png")
        assert form.get("missing") is None
        assert set(form) == {"name", "tag", "photo"}
        seen.append(await form["photo"].read())

    async with TestClient(app) as client:
        response = await client.post(
            "/",
            data={"name": "Ada", "tag": ["a", "b"]},
            files={"photo": ("ada.png", b"png", "image/png")},
        )
        assert response.status == 204
    assert seen == [b"png"]


async def test_a_form_may_be_larger_for_one_route():
    app = form_app(max_uploads=10)

    @app.post("/video")
    async def video(request):
        form = await request.form(max_uploads=1000)
        return {"size": form["video"].size}

    async with TestClient(app) as client:
        files = {"video": b"x" * 1000}
        assert (await client.post("/video", files=files)).json() == {"size": 1000}
        response = await client.post("/", files=files)
        assert (response.status, response.text) == (
            413,
            "the files of the form are larger than 10 bytes",
        )


async def test_a_whole_body_may_be_read_before():
    app = FinchApp()

    @app.post("/")
    async def index(request):
        body = await request.body()
        return {"bytes": len(body), "a": (await request.form())["a"]}

    @app.post("/both")
    async def both(request):
        await request.form()
        return (await request.body()).decode()

    async with TestClient(app) as client:
        assert (await client.post("/", data={"a": 1})).json() == {"bytes": 3, "a": "1"}
        response = await client.post("/", data={"a": 1}, files={})
        assert response.json()["a"] == "1"
        assert (await client.post("/both", data={"a": "x y"})).text == "a=x+y"


async def test_what_streams_the_body_after_its_form_is_told_why_it_cannot(caplog):
    app = FinchApp()

    @app.post("/")
    async def index(request):
        await request.form()
        return [len(piece) async for piece in request.stream()]

    async with TestClient(app) as client:
        assert (await client.post("/", files={"a": b"x"})).status == 500
    assert "read as a form with files" in caplog.text


async def test_without_the_extra_the_error_names_it(monkeypatch, caplog):
    import sys

    monkeypatch.setitem(sys.modules, "multipart", None)
    async with TestClient(form_app()) as client:
        assert (await client.post("/", data={"a": 1})).json() == [["a", "1"]]
        assert (await client.post("/", files={"a": b"x"})).status == 500
    assert "pip install 'finch-trio[forms]'" in caplog.text


# Typed handlers


class Bird(msgspec.Struct):
    name: str
    age: int
    tags: list[str] = msgspec.field(default_factory=list)


def typed_app():
    app = FinchApp()

    @app.post("/fields")
    async def fields(name: Form[str], age: Form[int] = 0):
        return {"name": name, "age": age}

    @app.post("/struct")
    async def struct(bird: Form[Bird]):
        return bird

    @app.post("/files")
    async def files(
        title: Form[str], photo: File[Upload], more: File[list[Upload]], rest: File[Upload | None]
    ):
        return [title, photo.filename, [one.size for one in more], rest is None]

    return app


async def test_a_handler_names_the_fields_and_files_it_takes():
    async with TestClient(typed_app()) as client:
        answer = await client.post("/fields", data={"name": "Ada", "age": "7"})
        assert answer.json() == {"name": "Ada", "age": 7}
        answer = await client.post("/struct", data={"name": "Ada", "age": 7, "tags": ["a", "b"]})
        assert answer.json() == {"name": "Ada", "age": 7, "tags": ["a", "b"]}
        answer = await client.post(
            "/files",
            data={"title": "x"},
            files={"photo": ("../a.png", b"1"), "more": [("b", b"22"), ("c", b"333")]},
        )
        assert answer.json() == ["x", "a.png", [2, 3], True]


@pytest.mark.parametrize(
    ("path", "form", "says"),
    [
        ("/fields", {"data": {"age": 1}}, "form field 'name' is missing"),
        ("/fields", {"data": {"name": "x", "age": "old"}}, "form field 'age' does not fit"),
        ("/fields", {"files": {"name": b"x"}}, "form field 'name' does not fit"),
        ("/files", {"data": {"title": "x"}}, "file 'photo' is missing"),
        ("/files", {"data": {"title": "x", "photo": "y"}}, "file 'photo' does not fit"),
        ("/struct", {"data": {"name": "x"}}, "missing required field `age`"),
    ],
)
async def test_what_does_not_fit_is_422_and_named(path, form, says):
    async with TestClient(typed_app()) as client:
        response = await client.post(path, **form)
        assert response.status == 422
        assert says in response.text


def test_a_route_with_files_says_at_once_that_the_extra_is_missing(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "multipart", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'finch-trio\[forms\]'"):
        typed_app()


# What is left


@pytest.mark.parametrize("size", [10, len(BIG)])
@pytest.mark.parametrize("end", ["returns", "raises", "is refused", "replaced"])
async def test_files_are_deleted_when_the_request_is_answered(size, end):
    app = form_app(max_uploads=len(BIG) + 5)

    if end == "replaced":

        @app.middleware
        async def replace(request, call_next):
            await call_next(request)
            return "another"

    @app.post("/raises")
    async def raises(request):
        app.state["kept"].append(await request.form())
        raise HTTPError(418)

    async with TestClient(app) as client:
        await client.get("/")  # whatever is opened once
        before = descriptors()
        files = {"a": BIG[:size]}
        if end == "is refused":
            files = {"a": BIG[:size], "b": BIG}
        await client.post("/raises" if end == "raises" else "/", files=files)
        await until_only(before)
        for form in app.state["kept"]:
            with pytest.raises(ValueError, match="already answered"):
                await form["a"].read()
        assert len(app.state["kept"]) == (end != "is refused")


@pytest.mark.parametrize("leave", ["in the body", "in the handler"])
async def test_files_are_deleted_when_the_client_leaves(leave):
    app = FinchApp()
    reading, done = trio.Event(), trio.Event()
    kept = []

    @app.post("/")
    async def index(request):
        reading.set()
        try:
            kept.append(await request.form())
            raise HTTPError(418)
        finally:
            done.set()

    async with TestClient(app) as client:
        await client.get("/")
        before = descriptors()
        body = b'--b\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n' + BIG
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        stream = client.connect()
        if leave == "in the handler":
            body += b"\r\n--b--\r\n"
        await stream.send_all(
            head + b"Content-Length: %d\r\n\r\n" % (len(body) + (leave == "in the body"))
        )
        await stream.send_all(body)
        await reading.wait()
        await trio.aclose_forcefully(stream)
        await done.wait()
        await until_only(before)
    for form in kept:
        with pytest.raises(ValueError, match="already answered"):
            await form["a"].read()


async def test_a_form_that_comes_too_slowly_is_408(autojump_clock):
    app = form_app(body_grace=2)
    async with TestClient(app) as client:
        stream = client.connect()
        await stream.send_all(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        )
        answer = b""
        while piece := await stream.receive_some():
            answer += piece
        assert answer.startswith(b"HTTP/1.1 408")
        await trio.aclose_forcefully(stream)


# Clients that were not written here


async def test_httpx_and_curl_send_forms_with_files(tmp_path):
    curl = need("curl", "apt-get install curl")
    path = tmp_path / 'a "photo".bin'
    path.write_bytes(BIG)
    async with serving(form_app()) as server:
        with trio.fail_after(20):
            async with httpx.AsyncClient() as client:
                files = {"photo": (path.name, BIG, "image/png")}
                answer = await client.post(server.http, data={"name": "Ada ä"}, files=files)
                said = [["name", "Ada ä"], ["photo", ["a _photo_.bin", len(BIG)]]]
                assert answer.json() == said
                answer = await client.post(server.http, data={"name": ["Ada ä", "x&y"]})
                assert answer.json() == [["name", "Ada ä"], ["name", "x&y"]]
            done = await trio.run_process(
                [
                    curl,
                    "-s",
                    "-F",
                    "name=Ada ä",
                    "-F",
                    f'photo=@"{str(path).replace(chr(34), chr(92) + chr(34))}"',
                    server.http,
                ],
                capture_stdout=True,
            )
            assert httpx.Response(200, content=done.stdout).json() == said
            done = await trio.run_process(
                [curl, "-s", "--data-urlencode", "name=Ada ä", server.http], capture_stdout=True
            )
            assert done.stdout.decode() == '[["name","Ada ä"]]'
