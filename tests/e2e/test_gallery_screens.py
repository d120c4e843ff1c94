"""How the examples look, by day and by night, on a phone and on a desktop; and what axe-core says.

The pictures go to a folder of the test. With FINCH_SCREENS=1 they go to ``docs/screens/``, to be
looked at and committed.
"""

import json
import os
import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import websockets.sync.client
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.e2e.browsing import (
    DESKTOP,
    PHONE,
    axe,
    complaints,
    look,
    tabs,
    texts,
    wait_for,
)
from tests.e2e.pictures import small

FOR_THE_DOCS = os.environ.get("FINCH_SCREENS") == "1"
SCREENS = Path(__file__).parent.parent.parent / "docs/screens"
BLANK = 10_000  # bytes: the picture of a page without anything has fewer

# Every day is Friday, it is always the same time, and who types in the chat goes on typing
CLOCK = """
const wait = setTimeout;
window.setTimeout = (run, delay, ...args) => wait(run, delay === 3000 ? 1e6 : delay, ...args);
Date.prototype.toLocaleTimeString = () => "14:03";
Date.prototype.toLocaleString = () => "Fri 14:03";
"""


@pytest.fixture
def tab(browser):
    with tabs(browser, 1) as (tab,):
        tab.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": CLOCK})
        yield tab
        assert complaints(tab) == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if not FOR_THE_DOCS:
        return tmp_path_factory.mktemp("screens")
    shutil.rmtree(SCREENS, ignore_errors=True)
    SCREENS.mkdir()
    return SCREENS


def look_at(tab, name, folder):
    """Take the four pictures of a page, and let axe-core look at it each time."""
    for theme in ("light", "dark"):
        for kind, size in (("phone", PHONE), ("desktop", DESKTOP)):
            look(tab, size, theme)
            assert axe(tab) == [], (theme, kind)
            two_frames = "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))"
            tab.execute_async_script(two_frames)
            picture = tab.get_screenshot_as_png()
            assert len(picture) > BLANK, (theme, kind)
            wide = tab.execute_script("return document.documentElement.scrollWidth")
            assert wide <= size[0], (theme, kind)  # nothing is cut off at the side
            file = folder / f"{name}-{kind}-{theme}.png"
            file.write_bytes(small(picture) if FOR_THE_DOCS else picture)


@contextmanager
def joined(url, room):
    """Somebody in a room. Gives a function that sends messages to it."""
    # nobody reads what comes later, so the closing handshake would take its time
    with websockets.sync.client.connect(url, close_timeout=0.1) as ws:

        def send(path, data=None):
            ws.send(json.dumps({"path": path, "room": room, "data": data, "id": 1}))
            while json.loads(ws.recv(timeout=10)).get("reply") != 1:
                pass

        send("finch.join")
        yield send


def test_the_gallery(gallery, tab, folder):
    tab.get(gallery.url)
    look_at(tab, "gallery", folder)


def test_the_chat(gallery, tab, folder):
    chat = f"{gallery.ws}/chat/ws?name="
    with (
        joined(f"{chat}Bob", "chat/lobby") as bob,
        joined(f"{chat}Cleo", "chat/lobby") as cleo,
        joined(f"{chat}Cleo", "chat/garden") as cleo_in_the_garden,
    ):
        tab.get(f"{gallery.url}/chat/")
        assert axe(tab) == []
        tab.find_element(By.ID, "name").send_keys("Ann\n")
        wait_for(tab, lambda it: len(texts(it, "#people li")) == 3)

        def ann(text):
            tab.find_element(By.ID, "text").send_keys(f"{text}\n")
            wait_for(tab, lambda it: text in texts(it, ".mine:not(.waits) p"))

        bob("say", {"text": "Has anybody seen the goldfinches at the feeder?"})
        bob("say", {"text": "There were five of them yesterday."})
        wait_for(tab, lambda it: len(texts(it, ".log:not([hidden]) p")) == 2)
        ann("Seven today!")
        ann(
            "They are fond of the sunflower seeds. I have put up a second feeder, by the old "
            "apple tree, where the cat does not come."
        )
        cleo("say", {"text": "I have a photo from this morning, I will bring it along"})
        bob("say", {"text": "Lovely."})
        cleo_in_the_garden("say", {"text": "The roses need water"})
        cleo("typing")
        wait_for(tab, lambda it: texts(it, "#typing") == ["Cleo is typing…"])
        wait_for(tab, lambda it: texts(it, ".news:not([hidden])") == ["1"])
        look_at(tab, "chat", folder)


def test_the_notifications(gallery, tab, folder):
    page = f"{gallery.url}/notifications/"
    with websockets.sync.client.connect(f"{gallery.ws}/notifications/ws?user=bob") as bob:

        def notify(text):
            data = {"to": "ann", "text": text}
            bob.send(json.dumps({"path": "notify", "id": 1, "data": data}))
            while json.loads(bob.recv(timeout=10)).get("reply") != 1:
                pass

        notify("The post has come")
        tab.get(page)
        wait_for(tab, lambda it: texts(it, "#badge:not([hidden])") == ["1"])
        tab.find_element(By.ID, "all").click()
        notify("Lunch is ready")
        wait_for(tab, lambda it: texts(it, "#badge:not([hidden])") == ["1"])
        tab.find_element(By.ID, "switch").click()
        notify("Your soup is getting cold, and Cleo has begun to look at it in a certain way")
        tab.find_element(By.ID, "switch").click()
        wait_for(tab, lambda it: texts(it, "#badge:not([hidden])") == ["2"])
    tab.execute_script(
        "const it = document.getElementById('curl');"
        "it.innerHTML = it.innerHTML.replace(/127.0.0.1:[0-9]+/, 'localhost:8080');"
    )
    look_at(tab, "notifications", folder)


def test_the_dashboard(gallery, tab, folder):
    look(tab, DESKTOP, "light")
    tab.get(f"{gallery.url}/dashboard/")
    wait_for(tab, lambda it: "frames a second" in texts(it, "#rates")[0])
    if FOR_THE_DOCS:  # the lines need a while until they are as long as they can be
        wait_for(tab, lambda it: it.execute_script("return performance.now() > 12000"))
    look_at(tab, "dashboard", folder)


def test_the_game(gallery, tab, folder):
    url = f"{gallery.ws}/game/ws"
    with ExitStack() as stack:
        for x, y in ((0.5, 0.2), (-0.3, 0.4), (0.2, -0.5)):
            player = stack.enter_context(joined(url, "garden/screens"))
            player("steer", {"x": x, "y": y})
        tab.get(f"{gallery.url}/game/#screens")
        wait_for(tab, lambda it: len(texts(it, "#birds li")) == 5)
        most = 4 if FOR_THE_DOCS else 1
        wait_for(tab, lambda it: max(map(int, texts(it, "#birds span"))) >= most)
        for key in (Keys.ARROW_RIGHT, Keys.ARROW_UP, Keys.ARROW_LEFT, Keys.ARROW_DOWN):
            ActionChains(tab).key_down(key).pause(0.2).key_up(key).perform()
        look_at(tab, "game", folder)
