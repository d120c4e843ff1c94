"""The programs of docs/first-hour.md do what they say."""

import pytest
import trio
import trio.testing

from finch.testing import HandshakeRefused, TestClient
from tests.first_hour.page import TITLES, commands, run

TRIED = set()


@pytest.fixture
def first(request, tmp_path, monkeypatch):
    """Begins a program in a folder of its own, in which its files are."""
    monkeypatch.chdir(tmp_path)
    for path, text in (
        ("assets/site.css", "p { color: green }"),
        ("templates/bird.html", "<h1>{{ name }}</h1>"),
        ("photos/.keep", ""),
    ):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(text, encoding="utf-8")
    return lambda title: TestClient(run(title).app)


async def test_a_static_file(first):
    async with first("Static file") as client:
        response = await client.get("/assets/site.css")
    assert response.text == "p { color: green }"
    assert response.headers["content-type"] == "text/css; charset=utf-8"


async def test_a_template_shows_what_it_is_given_and_escapes_it(first):
    async with first("Template") as client:
        response = await client.get("/birds/<b>tit")
    assert response.text == "<h1>&lt;b&gt;tit</h1>"
    assert response.headers["content-type"] == "text/html; charset=utf-8"


async def test_a_form(first):
    async with first("Form") as client:
        assert (await client.post("/birds", data={"name": "tit"})).text == "added tit"
        response = await client.post("/birds", data={"nam": "tit"})
    assert response.status == 422
    assert "name" in response.text


async def test_an_upload_is_on_disk(first, tmp_path):
    async with first("Upload") as client:
        response = await client.post("/photos", files={"photo": ("../a.png", b"png")})
    answer = response.json()
    assert answer["name"] == "a.png"
    assert (tmp_path / "photos" / answer["saved"]).read_bytes() == b"png"


async def test_a_login(first):
    async with first("Login") as client:
        assert (await client.get("/me")).status == 401
        wrong = await client.post("/login", data={"name": "ann", "password": "guess"})
        assert (wrong.status, wrong.text) == (401, "wrong name or password")
        assert (await client.get("/me")).status == 401
        right = await client.post("/login", data={"name": "ann", "password": "swordfish"})
        assert (right.status, right.headers["location"]) == (303, "/me")
        assert (await client.get("/me")).text == "hello ann"


async def test_a_redirect(first):
    async with first("Redirect") as client:
        response = await client.get("/old")
    assert (response.status, response.headers["location"]) == (301, "/new")


async def test_a_404_page(first):
    async with first("404 page") as client:
        response = await client.get("/nothing")
    assert (response.status, response.text) == (404, "<h1>No such bird</h1>")
    assert response.headers["content-type"] == "text/html; charset=utf-8"


async def test_a_named_url_leads_to_its_handler(first):
    async with first("Named URL") as client:
        url = (await client.get("/first")).text
        assert url == "http://testserver/birds/1"
        assert (await client.get(url)).text == "bird 1"


async def test_validated_json(first):
    async with first("Validated JSON") as client:
        response = await client.post("/birds", json={"name": "tit", "rings": [1, 2]})
        assert response.json() == {"name": "tit", "rings": 2}
        response = await client.post("/birds", json={"name": "tit", "rings": ["one"]})
    assert response.status == 422
    assert "rings[0]" in response.text


async def test_cors(first):
    async with first("CORS") as client:
        for origin, allowed in (("https://example.org", "https://example.org"), ("null", None)):
            response = await client.get("/birds", headers={"origin": origin})
            assert response.headers.get("access-control-allow-origin") == allowed


async def test_middleware_for_requests_and_sockets(first):
    async with first("Middleware for both") as client:
        assert (await client.get("/")).status == 401
        with pytest.raises(HandshakeRefused) as refused:
            async with client.socket("/echo"):
                pass
        assert refused.value.response.status == 401
        token = {"x-token": "secret"}
        assert (await client.get("/", headers=token)).text == "hello"
        async with client.socket("/echo", headers=token) as socket:
            await socket.send_raw("hello")
            assert await socket.receive_raw() == "hello"


async def test_a_background_job(first, capsys):
    async with first("Background job") as client:
        assert (await client.post("/mail/ann")).status == 202
        await trio.testing.wait_all_tasks_blocked()
        assert capsys.readouterr().out == "to ann\n"


async def test_a_job_every_minute(first, capsys, autojump_clock):
    async with first("Job every minute"):
        await trio.sleep(181)
    assert capsys.readouterr().out.count("cleaned up\n") == 3


async def test_a_test_with_a_clock(autojump_clock):
    module = run("Test with a clock")
    began = trio.current_time()
    await module.test_a_code_is_good_for_ten_minutes(autojump_clock)
    assert trio.current_time() - began >= 600
    module.made.update({"7": 0})  # the same test fails, if nothing is ever too old
    module.trio = type("Stopped", (), {"current_time": lambda: 0, "sleep": trio.sleep})
    with pytest.raises(AssertionError):
        await module.test_a_code_is_good_for_ten_minutes(autojump_clock)


def test_each_program_has_its_test():
    from pathlib import Path

    text = Path(__file__).read_text(encoding="utf-8")
    tested = {title for title in TITLES if f'first("{title}")' in text or f'run("{title}")' in text}
    assert tested == set(TITLES) - set(commands())
