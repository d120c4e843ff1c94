"""The gallery and its examples in a real browser; the chat is in ``test_browser.py``."""

import json
from contextlib import ExitStack, contextmanager
from urllib.request import Request, urlopen

import pytest
import websockets.sync.client
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.e2e.browsing import complaints, look, tabs, texts, wait_for


def click(tab, text):
    tab.find_element(By.XPATH, f"//*[self::a or self::button][normalize-space()='{text}']").click()


def test_the_gallery_leads_to_every_example(gallery, browser):
    with tabs(browser, 1) as (tab,):
        tab.get(gallery.url)
        names = texts(tab, "h2")
        assert names == ["Chat", "Notifications", "Dashboard", "Game"]
        for name in names:
            click(tab, name)
            wait_for(tab, lambda it, name=name: it.title.endswith(f"Finch {name.lower()}"))
            assert complaints(tab) == []
            tab.back()
        click(tab, "read chat.py")
        assert "app = FinchApp()" in tab.page_source


# Notifications


def inbox(tab):
    """The texts of the notices, the newest first; with a * if it is unread."""
    script = (
        "return [...document.querySelectorAll('#inbox li')].map((item) => "
        "item.querySelector('p').innerText + (item.className === 'unread' ? '*' : ''))"
    )
    return tab.execute_script(script)


def badge(tab):
    return "".join(texts(tab, "#badge:not([hidden])"))


def open_inbox(tab, gallery, user):
    tab.get(f"{gallery.url}/notifications/?user={user}")
    wait_for(tab, lambda it: texts(it, "#state") == ["Online"])


def post(gallery, user, text):
    """Send a notice as any program may."""
    body = json.dumps({"text": text}).encode()
    url = f"{gallery.url}/notifications/notify/{user}"
    request = Request(url, body, {"content-type": "application/json"})
    with urlopen(request) as response:
        return json.load(response)


def test_the_tabs_of_a_user_agree_about_what_is_unread(gallery, browser):
    with tabs(browser, 3) as (one, two, bob):
        for tab, user in ((one, "ann"), (two, "ann"), (bob, "bob")):
            open_inbox(tab, gallery, user)
        bob.find_element(By.CSS_SELECTOR, "#to option[value=ann]").click()
        bob.find_element(By.ID, "text").send_keys("Lunch <i>now</i>\n")
        wait_for(bob, lambda it: texts(it, "#done") == ["Sent. Ann has 2 open tabs."])
        assert post(gallery, "ann", "The kettle boils") == {"tabs": 2}

        unread = ["The kettle boils*", "Lunch <i>now</i>*"]
        for tab in (one, two):
            wait_for(tab, lambda it: inbox(it) == unread)
            assert (badge(tab), tab.title) == ("2", "(2) Finch notifications")
        assert inbox(bob) == []

        click(one, "Mark as read")  # the first of them
        for tab in (one, two):
            wait_for(tab, lambda it: inbox(it) == ["The kettle boils", "Lunch <i>now</i>*"])
            assert badge(tab) == "1"
        click(two, "Mark all as read")
        wait_for(one, lambda it: badge(it) == "")
        two.refresh()
        wait_for(two, lambda it: inbox(it) == ["The kettle boils", "Lunch <i>now</i>"])
        assert complaints(one) == complaints(bob) == []


def test_what_a_user_has_missed_comes_when_they_are_back(gallery, browser):
    with tabs(browser, 2) as (cleo, bob):
        open_inbox(cleo, gallery, "cleo")
        open_inbox(bob, gallery, "bob")
        post(gallery, "cleo", "before")
        wait_for(cleo, lambda it: inbox(it) == ["before*"])
        click(cleo, "Go offline")
        bob.find_element(By.CSS_SELECTOR, "#to option[value=cleo]").click()
        bob.find_element(By.ID, "text").send_keys("meanwhile\n")
        wait_for(bob, lambda it: texts(it, "#done") == ["Sent. Cleo is away, and gets it later."])
        assert inbox(cleo) == ["before*"]
        click(cleo, "Go online")
        wait_for(cleo, lambda it: inbox(it) == ["meanwhile*", "before*"])
        assert texts(cleo, "#inbox em") == ["while you were away"]


# The dashboard


def test_the_dashboard_shows_a_hundred_series(gallery, browser):
    with tabs(browser, 1) as (tab,):
        tab.get(f"{gallery.url}/dashboard/")
        wait_for(tab, lambda it: texts(it, "#value") != [""])
        assert texts(tab, "#name") == ["A0"]
        board = tab.find_element(By.ID, "board")
        board.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        assert texts(tab, "#name") == ["A2"]
        ActionChains(tab).move_to_element_with_offset(
            board, board.size["width"] // 2 - 20, board.size["height"] // 2 - 20
        ).perform()
        wait_for(tab, lambda it: texts(it, "#name") == ["J9"])

        picture = "return document.getElementById('board').toDataURL()"
        before = tab.execute_script(picture)
        wait_for(tab, lambda it: it.execute_script(picture) != before)
        click(tab, "Pause")
        still = tab.execute_script(picture)
        wait_for(tab, lambda it: "frames a second" in texts(it, "#rates")[0])
        assert tab.execute_script(picture) == still
        click(tab, "Go on")
        wait_for(tab, lambda it: it.execute_script(picture) != still)
        print(f"the dashboard: {texts(tab, '#rates')[0]}")  # noqa: T201
        assert complaints(tab) == []


# The game

WREN = 1  # the kind of the second player


@contextmanager
def watching(gallery, garden):
    """A player who does nothing, and sees every picture."""
    # nobody reads the last pictures, so the closing handshake would take its time
    with websockets.sync.client.connect(f"{gallery.ws}/game/ws", close_timeout=0.1) as ws:
        ws.send(json.dumps({"path": "finch.join", "room": f"garden/{garden}"}))

        def sees(kind, condition):
            """Wait for a picture in which the bird of this kind is as the condition says."""
            while True:
                message = json.loads(ws.recv(timeout=10))
                if message["path"] == "picture":
                    birds = {bird[0]: bird[1:5] for bird in message["data"]["birds"].values()}
                    if kind in birds and condition(*birds[kind]):
                        return

        yield sees


def test_the_game_is_steered_by_keys_and_by_fingers(gallery, browser):
    with watching(gallery, "oak") as sees, tabs(browser, 1) as (tab,):
        tab.get(f"{gallery.url}/game/#oak")
        wait_for(tab, lambda it: "Wren (you)" in " ".join(texts(it, "#birds li")))
        assert len(texts(tab, "#birds li")) == 3  # the magpie, a robin and this wren

        ActionChains(tab).key_down(Keys.ARROW_RIGHT).perform()
        sees(WREN, lambda x, y, vx, vy: x > 900)
        ActionChains(tab).key_up(Keys.ARROW_RIGHT).key_down("w").perform()
        sees(WREN, lambda x, y, vx, vy: y < 100)
        ActionChains(tab).key_up("w").perform()

        help_ = tab.find_element(By.ID, "help")
        ActionChains(tab).click_and_hold(help_).move_by_offset(-60, 60).perform()
        assert tab.find_element(By.ID, "stick").is_displayed()
        sees(WREN, lambda x, y, vx, vy: vx < 0 < vy)
        ActionChains(tab).release().perform()
        assert not tab.find_element(By.ID, "stick").is_displayed()
        wait_for(tab, lambda it: "ms from input to screen" in texts(it, "#delay")[0])
        assert complaints(tab) == []


@pytest.mark.parametrize("size", [(844, 390), (1024, 1366), (360, 640)])
def test_the_garden_is_a_square_on_every_screen(gallery, browser, size):
    with tabs(browser, 1) as (tab,):
        look(tab, size, "light")
        tab.get(f"{gallery.url}/game/#square")
        sides = (
            "const it = document.getElementById('garden');"
            "return [it.width, it.height, it.clientWidth, it.clientHeight]"
        )
        wait_for(tab, lambda it: len(set(it.execute_script(sides))) == 1)
        assert 290 < tab.execute_script(sides)[0] < min(size)


def test_the_game_tells_the_ninth_player_that_there_is_no_room(gallery, browser):
    with tabs(browser, 1) as (tab,), ExitStack() as stack:
        for kind in range(8):
            sees = stack.enter_context(watching(gallery, "elm"))
            sees(kind, lambda *_: True)
        tab.get(f"{gallery.url}/game/#elm")
        full = "eight birds are in this garden already"
        wait_for(tab, lambda it: texts(it, "#banner") == [full])


def test_the_delay_from_input_to_screen(gallery, browser):
    """No assertion on time: it prints what the page has measured."""
    with tabs(browser, 1) as (tab,):
        tab.get(f"{gallery.url}/game/#ash")
        wait_for(tab, lambda it: "(you)" in " ".join(texts(it, "#birds li")))
        for key in (Keys.ARROW_LEFT, Keys.ARROW_UP) * 10:
            ActionChains(tab, duration=0).key_down(key).key_up(key).perform()
        wait_for(tab, lambda it: "ms from input to screen" in texts(it, "#delay")[0])
        print(f"the game: {texts(tab, '#delay')[0]}, at the median")  # noqa: T201
