"""Forms of a test's client: they are sent as httpx sends them, and as browsers do."""

import io

import httpx
import pytest

from finch import FinchApp
from finch.testing import TestClient
from finch.testing.forms import multipart, urlencoded

DATA = {"name": 'Ada "ä" & co', "tag": ["a", "b"], "n": 1, "yes": True}
FILES = {
    "bytes": b"\0\xff",
    "text": "ä",
    "named": ("a.png", b"png"),
    "typed": ("a.bin", b"x", "image/jpeg"),
    "file": io.BytesIO(b"file"),
}


def test_fields_are_sent_as_httpx_sends_them():
    assert urlencoded(DATA) == httpx.Request("POST", "http://a", data=DATA).content


async def test_files_come_as_those_of_httpx():
    app = FinchApp()

    @app.post("/")
    async def index(request):
        return [
            [name, value]
            if isinstance(value, str)
            else [name, value.content_type, list(await value.read())]
            for name, value in (await request.form()).multi_items()
        ]

    async with TestClient(app) as client:
        files = {name: file for name, file in FILES.items() if name != "file"}
        ours = await client.post("/", data=DATA, files=files)
        theirs = httpx.Request("POST", "http://a", data=DATA, files=files)
        content_type = theirs.headers["content-type"]
        body = theirs.read()
        answer = await client.post("/", content=body, headers={"content-type": content_type})
        assert len(ours.json()) == 9
        assert ours.json() == answer.json()


def test_a_file_may_be_a_file_object_or_a_list():
    body, _ = multipart({}, {"a": [("1.txt", b"one"), FILES["file"]]})
    assert body.count(b'; name="a"') == 2
    assert b"one" in body
    assert b"file\r\n" in body


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"data": {"a": b"x"}}, "give a file in files="),
        ({"data": {"a": None}}, "a field of a form is text"),
        ({"files": {"a": 1}}, "write bytes, or"),
        ({"data": {"a": "b"}, "json": 1}, "a request has one body"),
        ({"files": {}, "content": b"x"}, "a request has one body"),
    ],
)
async def test_what_cannot_be_sent_says_what_to_write(options, says):
    async with TestClient(FinchApp()) as client:
        with pytest.raises(TypeError, match=says):
            await client.post("/", **options)
