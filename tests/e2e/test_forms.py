"""Forms in a real browser: those of our pages come, with and without JavaScript, and those that a
page of another site sends do not."""

import os
from contextlib import contextmanager

import jinja2
import pytest
import trio
from selenium.webdriver.common.by import By

from finch import FinchApp, HTMLResponse, RedirectResponse
from finch.sessions import CSRF, Sessions, flash, login, session_user
from finch.templates import Templates
from tests.conftest import serving
from tests.e2e.browsing import chromium, texts, wait_for

PAGE = """<!doctype html><title>Birds</title><link rel="icon" href="data:,">
{% for one in flashes() %}<p class="flash">{{ one }}</p>{% endfor %}
<p id="user">{{ user }}</p>
<form method="post" enctype="multipart/form-data">
<input name="bird"><input type="file" name="photo"><input type="file" name="other">
<button>Add</button></form>
<button id="script" onclick="add()">Add by script</button>
<ul>{% for bird in birds %}<li>{{ bird }}</li>{% endfor %}</ul>
<script>
async function add() {
  await fetch("/", { method: "POST", body: new URLSearchParams({ bird: "by script" }) });
  location.reload();
}
</script>"""
EVIL = """<!doctype html><title>Evil</title><link rel="icon" href="data:,">
<form method="post" action="{{ url }}/"><input name="bird" value="evil"><button>Win</button></form>
<iframe sandbox="allow-forms" srcdoc='<form method="post" action="{{ url }}/">
<input name="bird" value="evil"><button>Win</button></form>'></iframe>"""


def bird_app():
    app = FinchApp()
    app.middleware(Sessions("k" * 32, same_site="none", secure=True))  # no help from the cookie
    app.middleware(CSRF())
    templates = Templates(jinja2.DictLoader({"page.html": PAGE, "evil.html": EVIL}))
    app.state["birds"], app.state["url"], app.state["refused"] = [], "", []

    @app.get("/")
    async def index(request):
        session_user(request)
        return templates.render("page.html", request, birds=app.state["birds"])

    @app.post("/")
    async def add(request):
        form = await request.form()
        bird, photo = form["bird"], form.get("photo")
        if photo is not None:
            bird += f": {photo.filename}, {photo.content_type}, {len(await photo.read())} bytes"
        assert "other" not in form
        app.state["birds"].append(bird)
        flash(request, "<added>")
        return RedirectResponse("/", 303)

    @app.get("/login")
    async def enter(request):
        login(request, "ada")
        return RedirectResponse("/", 303)

    @app.get("/evil")
    async def evil(request):
        return templates.render("evil.html", request, url=app.state["url"])

    @app.error_handler(403)
    async def refused(request, error):
        headers = request.headers
        app.state["refused"].append(
            (headers["sec-fetch-site"], headers["origin"], "session" in request.cookies)
        )
        return HTMLResponse(f"<p class=refused>{error.message}</p>")

    return app


@contextmanager
def without_scripts(browser):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def press(browser, selector="form button"):
    """Press a button, and wait until its page is gone."""
    button = browser.find_element(By.CSS_SELECTOR, selector)
    button.click()


def shows(browser, selector, said):
    wait_for(browser, lambda driver: texts(driver, selector) == said)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


async def test_forms_of_our_pages_come_and_those_of_others_do_not(browser, tmp_path):
    app = bird_app()
    photo = tmp_path / "größe.png"
    data = os.urandom(300_000)
    photo.write_bytes(data)

    def visit(port):
        ours = app.state["url"] = f"http://localhost:{port}"
        browser.get(f"{ours}/login")
        shows(browser, "#user", ["ada"])
        browser.find_element(By.NAME, "bird").send_keys("<finch>")
        press(browser)
        shows(browser, "li", ["<finch>"])
        shows(browser, ".flash", ["<added>"])
        browser.find_element(By.NAME, "bird").send_keys("tit")
        browser.find_element(By.NAME, "photo").send_keys(str(photo))
        press(browser)
        added = ["<finch>", "tit: größe.png, image/png, 300000 bytes"]
        shows(browser, "li", added)
        press(browser, "#script")
        added.append("by script")
        shows(browser, "li", added)
        with without_scripts(browser):
            browser.get(ours)
            browser.find_element(By.NAME, "bird").send_keys("without scripts")
            press(browser)
            wait_for(browser, lambda driver: len(app.state["birds"]) == 4)
        added.append("without scripts")
        browser.get(ours)
        shows(browser, "li", added)
        # another site, and a page of the same site on another port
        for evil in (f"http://127.0.0.1:{port}", f"http://localhost:{app.state['second']}"):
            browser.get(f"{evil}/evil")
            press(browser)
            shows(browser, ".refused", ["a page of another site may not send this"])
            browser.get(f"{evil}/evil")
            browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
            press(browser)
            shows(browser, ".refused", ["a page of another site may not send this"])
            browser.switch_to.default_content()
        browser.get(ours)
        shows(browser, "li", added)

    async with serving(app) as first, serving(app) as second:
        app.state["second"] = second.port
        await trio.to_thread.run_sync(visit, first.port)
    sites = [site for site, _, _ in app.state["refused"]]
    assert sites == ["cross-site", "cross-site", "same-site", "cross-site"]
    assert app.state["refused"][2][2]  # with the cookie: nothing but CSRF has refused it
