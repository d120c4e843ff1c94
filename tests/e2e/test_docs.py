"""The programs of the documentation in a real browser: those of the README and of docs/browser.md,
and those of the tutorials, put together as a reader does it."""

from contextlib import contextmanager
from functools import partial
from urllib.request import Request, urlopen

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.e2e.browsing import chromium, complaints, tabs, wait_for
from tests.pages import blocks, read, section, tutorial
from tests.processes import finch


@pytest.fixture(scope="module")
def one_browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture
def browser(one_browser):
    """A browser in which nothing is left of other tests."""
    one_browser.get("about:blank")
    one_browser.get_log("browser")
    return one_browser


@contextmanager
def running(folder, app, page=None):
    """What a reader has saved, served."""
    (folder / "app.py").write_text(app, encoding="utf-8")
    if page is not None:
        (folder / "page.html").write_text(page, encoding="utf-8")
    with finch("app:app", "--port", 0, cwd=folder) as process:
        yield process


def text(driver, id):
    return driver.find_element(By.ID, id).text


def items(driver):
    return driver.execute_script(
        "return [...document.querySelectorAll('li')].map((item) => item.textContent)"
    )


def wrong(driver):
    """What the console has complained of. The small pages of tutorials have no icon."""
    return [said for said in complaints(driver) if "favicon" not in said]


def say(driver, words):
    driver.find_element(By.ID, "text").send_keys(f"{words}{Keys.ENTER}")


def click(driver, id):
    driver.find_element(By.ID, id).click()


def test_the_taste_of_the_readme(browser, tmp_path):
    taste = section(read("README.md"), "A taste")
    [app], [page] = blocks(taste, "python"), blocks(taste, "html")
    script = page.partition('<script type="module">')[2].partition("</script>")[0]
    assert len([line for line in app.splitlines() if line]) <= 20
    assert len(script.strip().splitlines()) <= 10
    with running(tmp_path, app, page) as process, tabs(browser, 2) as (ann, bob):
        ann.get(f"{process.url}/?name=Ann#garden")
        bob.get(f"{process.url}/?name=Bob#garden")
        wait_for(ann, lambda it: text(it, "here") == "Ann, Bob")
        ann.find_element(By.ID, "field").send_keys(f"Hello{Keys.ENTER}")
        wait_for(bob, lambda it: text(it, "log") == "Ann: Hello")
        for tab in (ann, bob):  # come back without a pause
            tab.execute_script("Math.random = () => 0")
        process.popen.kill()
        bob.find_element(By.ID, "field").send_keys(f"Still there?{Keys.ENTER}")
        port = process.url.rpartition(":")[2]
        with finch("app:app", "--port", port, cwd=tmp_path):
            wait_for(ann, lambda it: text(it, "log") == "Bob: Still there?")


def test_the_page_of_the_quickstart(browser, tmp_path):
    [app] = [code for code in blocks(read("docs/quickstart.md"), "python") if "<script" in code]
    with running(tmp_path, app) as process:
        browser.get(process.url)
        wait_for(browser, lambda it: "Server says: Successfully connected" in str(items(it)))
        click(browser, "ask")
        wait_for(browser, lambda it: items(it)[-1].startswith("Output: 20"))
        wait_for(browser, lambda it: text(it, "uptime").startswith("Up for"))
        assert wrong(browser) == []


PAGE = """
@app.get("/")
async def index(request):
    return finch.HTMLResponse(
        '<!doctype html><script src="/finch.global.js"></script>'
        '<script type="module" src="/page.js"></script>'
    )


@app.get("/page.js")
async def script(request):
    text = pathlib.Path("page.js").read_text()
    return finch.Response(text.encode(), 200, {}, "text/javascript")


@app.get("/token")
async def token(request):
    return "Bob"
"""


def test_the_javascript_about_the_client(browser, tmp_path):
    """All of docs/browser.md, from its first line to its last one, as one module."""
    markdown = read("docs/browser.md")
    [app] = blocks(markdown, "python")
    script = "\n".join(blocks(markdown, "js"))
    script = script.replace('"ws://127.0.0.1:8080', "location.origin.replace('http', 'ws') + \"")
    ended = "\nwindow.it = { finch, member, lobby, ws, old: Finch.connect('/ws') };"
    (tmp_path / "page.js").write_text(script + ended, encoding="utf-8")
    with running(tmp_path, f"import pathlib\nimport finch\n{app}{PAGE}") as process:
        browser.get(process.url)
        state = "const { finch, member, lobby, ws, old } = window.it ?? {}; return "
        states = "[finch?.state, member?.state, lobby?.state, ws?.readyState, old?.state]"
        good = ["open", "open", "joined", 1, "open"]
        wait_for(browser, lambda it: it.execute_script(state + states) == good)
        browser.execute_script(f"{state} window.confirm = () => true")
        asked = "window.it.finch.call('delete', 'all').then(arguments[0])"
        assert browser.execute_async_script(asked) is True
        assert wrong(browser) == []


def test_the_chat(browser, tmp_path):
    with running(tmp_path, *tutorial("chat")) as process, tabs(browser, 2) as (ann, bob):
        ann.get(f"{process.url}/?name=Ann")
        bob.get(f"{process.url}/?name=Bob")
        wait_for(ann, lambda it: text(it, "people") == "Ann, Bob")
        say(ann, "Hello <b>Bob</b>")
        wait_for(bob, lambda it: items(it) == ["Ann: Hello <b>Bob</b>"])
        bob.find_element(By.ID, "text").send_keys("Hi")
        wait_for(ann, lambda it: text(it, "typing") == "Bob is typing")
        click(ann, "cut")
        wait_for(ann, lambda it: text(it, "state") == "closed")
        say(bob, "!")
        wait_for(bob, lambda it: items(it)[1:] == ["Bob: Hi!"])
        click(ann, "cut")
        wait_for(ann, lambda it: items(it) == ["Ann: Hello <b>Bob</b>", "Bob: Hi!"])
        assert text(ann, "state") == "open"

        # another life of the server: what was shown is gone there, and so the page empties its list
        ann.execute_script("Math.random = () => 0.05")
        process.popen.kill()
        wait_for(ann, lambda it: text(it, "state") in ("waiting", "connecting"))
        say(ann, "Will you come back?")
        port = process.url.rpartition(":")[2]
        with finch("app:app", "--port", port, cwd=tmp_path):
            wait_for(ann, lambda it: items(it) == ["Ann: Will you come back?"])


def test_notifications(browser, tmp_path):
    with running(tmp_path, *tutorial("notifications")) as process, tabs(browser, 2) as (one, two):

        def notify(words):
            with urlopen(Request(f"{process.url}/notify/ann", words.encode())) as response:
                return response.read().decode()

        for tab in (one, two):
            tab.get(f"{process.url}/?user=ann")
            wait_for(tab, lambda it: it.execute_script("return document.readyState") == "complete")
        wait_for(one, lambda _: notify("The kettle boils") == '{"tabs":2}')
        for tab in (one, two):
            wait_for(tab, lambda it: items(it)[-1:] == ["The kettle boils (new)"])
        click(one, "cut")
        wait_for(two, lambda _: notify("Lunch") == '{"tabs":1}')
        click(one, "cut")
        for tab in (one, two):
            wait_for(tab, lambda it: items(it)[-1:] == ["Lunch (new)"])
        click(one, "all")
        for tab in (one, two):
            wait_for(tab, lambda it: text(it, "unread") == "0")
        assert items(one) == items(two)
        two.refresh()
        wait_for(two, lambda it: items(it)[-1:] == ["Lunch"])
        assert wrong(browser) == []


def test_the_dashboard(browser, tmp_path):
    with running(tmp_path, *tutorial("dashboard")) as process:
        browser.get(process.url)
        wait_for(browser, lambda it: len(it.find_elements(By.TAG_NAME, "meter")) == 4)
        assert text(browser, "state") == "live"
        meter = browser.find_element(By.TAG_NAME, "meter")
        before = meter.get_property("value")
        wait_for(browser, lambda it: meter.get_property("value") != before)
        with urlopen(f"{process.url}/behind") as response:
            assert b"values replaced" in response.read()
        process.popen.kill()
        wait_for(browser, lambda it: "these values are old" in text(it, "state"))


def where(driver):
    """Where the page's own dot is, by its colour."""
    return driver.execute_script(
        "const { data } = canvas.getContext('2d').getImageData(0, 0, 520, 520);"
        "for (let at = 0; at < data.length; at += 4) if (data[at] === 220)"
        " return [at / 4 % 520, Math.floor(at / 4 / 520)];"
    )


def has_moved(driver, before):
    x, y = where(driver)
    return x + y >= before + 50 or 500 in (x, y)


def test_the_game(browser, tmp_path):
    with running(tmp_path, *tutorial("game")) as process:
        browser.get(process.url)
        wait_for(browser, where)
        for key in ("ArrowRight", "ArrowDown"):
            before = sum(wait_for(browser, where))
            browser.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": "keyDown", "key": key})
            # to the right and down, or it is at the edge already
            wait_for(browser, partial(has_moved, before=before))
            browser.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": "keyUp", "key": key})
        assert text(browser, "state") == "Steer with the arrow keys."
        assert wrong(browser) == []
