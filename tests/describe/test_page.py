"""Where descriptions are served, who may read them, and what the page says."""

import html
import re
from pathlib import Path
from threading import Event, get_ident

import pytest
import trio
import trio.testing
from httplint.note import levels

from finch import ConfigurationError, Description, FinchApp
from finch.testing import TestClient
from tests.describe.official import asyncapi_schema
from tests.linting import findings

PATHS = ["/docs", "/docs/page.js", "/docs/page.css", "/openapi.json", "/asyncapi.json"]


async def statuses(app, paths=PATHS, **options):
    async with TestClient(app) as client:
        return [(await client.get(path, **options)).status for path in paths]


async def test_descriptions_are_served_only_if_they_are_asked_for():
    assert await statuses(FinchApp(debug=True)) == [404] * 5
    assert await statuses(FinchApp(describe=False)) == [404] * 5
    assert await statuses(FinchApp(describe=True)) == [200] * 5


async def test_their_paths_are_the_applications_choice():
    about = Description(docs="/", openapi="/api.json", asyncapi=None)
    paths = ["/", "/page.js", "/page.css", "/api.json", *PATHS]
    assert await statuses(FinchApp(describe=about), paths) == [200] * 4 + [404] * 5
    about = Description(docs=None)
    assert await statuses(FinchApp(describe=about)) == [404] * 3 + [200] * 2


async def test_who_may_read_them_is_decided_as_for_any_route():
    async def who(request):
        return request.headers.get("x-user")

    for options in ({"describe": Description(auth=who)}, {"describe": True, "auth": who}):
        assert await statuses(FinchApp(**options)) == [401] * 5
        assert await statuses(FinchApp(**options), headers={"x-user": "ann"}) == [200] * 5
    app = FinchApp(describe=Description(auth=False), auth=who)
    assert await statuses(app) == [200] * 5


def test_a_path_that_the_application_has_already_is_an_error_that_names_both():
    app = FinchApp(describe=True)
    with pytest.raises(ConfigurationError, match=r"GET /docs already has a handler: .*show"):
        app.get("/docs")(lambda request: None)


async def test_a_description_is_made_once_in_a_thread_when_somebody_asks(monkeypatch):
    made, all_wait = [], Event()
    make = FinchApp.openapi

    def openapi(app):
        made.append(get_ident())
        all_wait.wait(5)
        return make(app)

    monkeypatch.setattr(FinchApp, "openapi", openapi)
    app = FinchApp(describe=True)
    app.get("/late")(lambda request: None)  # it is described, though it is registered later
    async with TestClient(app) as client:
        assert made == []
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(client.get, "/openapi.json")
            await trio.testing.wait_all_tasks_blocked()
            all_wait.set()
        answer = await client.get("/openapi.json")
    assert list(answer.json()["paths"]) == ["/late"]
    assert len(made) == 1
    assert made[0] != get_ident()


async def test_a_description_that_cannot_be_made_is_the_trouble_of_who_asks(caplog):
    class Broken:
        @classmethod
        def model_json_schema(cls, ref_template):
            raise SystemExit("a library gave up")

    app = FinchApp(describe=True, dec_hook=lambda cls, value: cls())

    async def index(request) -> dict[str, Broken]: ...

    index.__annotations__["return"] = dict[str, Broken]
    app.get("/")(index)
    assert await statuses(app) == [200, 200, 200, 500, 200]
    assert "a library gave up" in caplog.text


async def test_sockets_are_where_they_were_asked_for():
    app = FinchApp(describe=True)
    app.socket("say")(lambda socket, data: None)
    async with TestClient(app) as client:
        document = (await client.get("/asyncapi.json", headers={"host": "birds.test:81"})).json()
    assert document["servers"] == {"birds.test_81": {"host": "birds.test:81", "protocol": "ws"}}
    asyncapi_schema().validate(document)


async def test_the_page_runs_only_its_own_script_and_makes_no_markup_of_what_it_shows():
    app = FinchApp(describe=Description(title='<script>alert("1")</script>'))
    async with TestClient(app) as client:
        page = await client.get("/docs")
        script = await client.get("/docs/page.js")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert re.findall("<script[^>]*>", page.text) == ['<script type="module" src="/docs/page.js">']
    assert html.escape('<script>alert("1")</script>') in page.text
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|https?:", script.text
    )


@pytest.mark.parametrize("name", ["docs.html", "docs.css", "docs.js"])
def test_the_page_takes_nothing_from_elsewhere(name):
    import finch

    text = (Path(finch.__file__).parent / "static" / name).read_text(encoding="utf-8")
    assert "//" not in re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"title": ""}, "title of a Description is text"),
        ({"version": 2}, "version of a Description is text"),
        ({"docs": "docs"}, "write '/docs'"),
        ({"openapi": "/{x}.json"}, "has a parameter"),
        ({"servers": "https://a.example.org"}, r"write servers=\['https://a.example.org'\]"),
        ({"servers": ["a.example.org"]}, "a server is a URL"),
    ],
)
def test_a_wrong_description_is_an_error(options, said):
    with pytest.raises(ConfigurationError, match=said):
        Description(**options)


@pytest.mark.parametrize("wrong", ["yes", 1, None, Description])
def test_describe_is_a_switch_or_a_description(wrong):
    with pytest.raises(ConfigurationError, match="describe is True, False or a Description"):
        FinchApp(describe=wrong)


@pytest.mark.parametrize("path", PATHS)
async def test_what_a_browser_has_already_is_not_sent_again(path):
    async with TestClient(FinchApp(describe=True)) as client:
        first = await client.get(path)
        again = await client.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("path", PATHS)
async def test_httplint_finds_nothing_wrong(path):
    async with TestClient(FinchApp(describe=True)) as client:
        stream = client.connect()
        asked = f"GET {path} HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n".encode()
        await stream.send_all(asked)
        answered = b""
        while data := await stream.receive_some():
            answered += data
    assert findings(asked, answered) == []  # what is bad
    assert findings(asked, answered, level=levels.WARN) == []
