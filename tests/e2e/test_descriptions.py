"""The page of descriptions in a real browser: what it shows and tries, and what axe-core says."""

import pytest
from selenium.webdriver.common.by import By

from tests.e2e.browsing import DESKTOP, PHONE, axe, complaints, look, tabs, texts, wait_for
from tests.processes import finch

APP = '''
from typing import Annotated
from finch import Body, Description, FinchApp, Query
import msgspec

class Bird(msgspec.Struct):
    """A bird."""
    name: Annotated[str, msgspec.Meta(min_length=1)]
    rings: list[int] = []

app = FinchApp(describe=Description(title="<b>Birds</b>", version="2.1", text="All of them."))
api = app.group("/api")

@api.get("/birds/{key:int}")
async def bird(request, key, wings: Query[list[int]] = ()) -> dict[str, str]:
    """One <i>bird</i>.

    With its wings.
    """
    return {"says": f"{key} {wings}"}

@api.post("/birds")
async def add(bird: Body[Bird]) -> Bird:
    return bird

@app.socket("say")
async def say(socket, data: Bird) -> str:
    """Say it."""

chat = app.rooms("chat/{name}", presence=True)
chat.sends("said", Bird)
'''


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    folder = tmp_path_factory.mktemp("described")
    (folder / "app.py").write_text(APP, encoding="utf-8")
    with finch("app:app", "--port", 0, cwd=folder) as server:
        yield f"{server.url}/docs"


def shown(tab):
    wait_for(tab, lambda it: it.execute_script("return !document.querySelector('[aria-busy]')"))
    return texts(tab, "summary")


def open_all(tab):
    tab.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")


def test_routes_sockets_and_types_are_shown(described, browser):
    with tabs(browser, 1) as (tab,):
        tab.get(described)
        lines = shown(tab)
        assert texts(tab, "h1") == ["<b>Birds</b>"]
        assert texts(tab, "#about") == ["Version 2.1. All of them."]
        assert "GET /api/birds/{key} One <i>bird</i>." in lines
        assert "SEND say Say it." in lines
        assert "RECEIVE said" in lines
        assert "Bird" in lines
        open_all(tab)
        assert "name string, length at least 1" in texts(tab, "#routes-Bird li")
        assert "wings list of integer, in the query, optional" in texts(tab, "#bird li")
        assert complaints(tab) == []


def test_a_route_can_be_tried(described, browser):
    with tabs(browser, 1) as (tab,):
        tab.get(f"{described}#bird")
        shown(tab)
        form = tab.find_element(By.CSS_SELECTOR, "#bird form")
        form.find_element(By.NAME, "p0").send_keys("7")
        form.find_element(By.NAME, "p1").send_keys("1,2\n")
        answer = wait_for(tab, lambda it: "".join(texts(it, "#bird pre:not([hidden])")))
        assert answer.startswith("200 OK")
        assert answer.endswith('{"says":"7 [1, 2]"}')

        open_all(tab)
        form = tab.find_element(By.CSS_SELECTOR, "#add form")
        body = form.find_element(By.NAME, "body")
        body.clear()
        body.send_keys('{"name": ""}')
        form.find_element(By.TAG_NAME, "button").click()
        answer = wait_for(tab, lambda it: "".join(texts(it, "#add pre:not([hidden])")))
        assert answer.startswith("422")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_read_it(described, browser, theme):
    with tabs(browser, 1) as (tab,):
        for size in (PHONE, DESKTOP):
            look(tab, size, theme)
            tab.get(described)
            shown(tab)
            assert axe(tab) == []
            open_all(tab)
            assert axe(tab) == []
            wide = "return document.documentElement.scrollWidth <= innerWidth"
            assert tab.execute_script(wide)
