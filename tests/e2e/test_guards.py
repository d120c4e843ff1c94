"""Guards and the pages of errors in Chromium: what it lets pages do, and what it refuses."""

from urllib.parse import urlsplit

import pytest
import trio

from finch import FinchApp, HTMLResponse, Limits
from finch.guards import CORS, SecurityHeaders
from finch.net.listeners import open_listeners
from tests.conftest import serving
from tests.e2e.browsing import complaints

QUICK = Limits(close_timeout=0.1)  # a browser keeps its connections open when the server stops

FETCH = """
const [url, options, done] = arguments;
fetch(url, options).then(
  async (answer) => done([answer.status, await answer.text(), answer.headers.get('x-total')]),
  (error) => done([error.name]),
);
"""
OPEN = """
const [url, done] = arguments;
const socket = new WebSocket(url);
socket.onopen = () => { socket.close(); done('open'); };
socket.onerror = () => done('refused');
"""
PAGE = """<!doctype html><title>before</title>
<script nonce="%s">document.title = 'ran'</script>
<script>document.title = 'injected'</script>"""


def api(origin):
    app = FinchApp(limits=QUICK)
    app.middleware(CORS(origin, headers=["x-token"], expose=["x-total"], credentials=True))

    @app.put("/birds")
    async def put(request):
        return request.headers["x-token"] + request.cookies.get("who", ""), 200, {"x-total": "5"}

    @app.get("/bug")
    async def bug(request):
        raise ValueError

    @app.socket("hello")
    async def hello(socket, data):
        return "hello"

    return app


def site():
    app = FinchApp(debug=True, limits=QUICK)
    app.middleware(SecurityHeaders(csp="script-src 'nonce-{nonce}'"))

    @app.get("/")
    async def index(request):
        return HTMLResponse(PAGE % request.state["csp_nonce"])

    @app.get("/bug")
    async def bug(request):
        raise ValueError("<script>document.title = 'injected'</script>")

    return app


@pytest.fixture
async def two_servers():
    """A site, and the interface that its pages use, on two ports: two origins."""
    listeners = open_listeners("127.0.0.1", 0)
    port = listeners[0].getsockname()[1]
    origin = f"http://127.0.0.1:{port}"
    async with serving(site(), listeners=listeners), serving(api(origin)) as running:
        yield origin, running.http


def fetched(browser, url, **options):
    return browser.execute_async_script(FETCH, url, options)


async def test_pages_of_the_listed_origin_may_read_and_no_others(browser, two_servers):
    origin, interface = two_servers
    put = {"method": "PUT", "headers": {"x-token": "abc"}, "credentials": "include"}
    socket = interface.replace("http", "ws") + "/ws"
    elsewhere = f"http://localhost:{urlsplit(origin).port}"

    def drive():
        browser.get(f"{origin}/")
        assert fetched(browser, f"{interface}/birds", **put) == [200, "abc", "5"]
        assert fetched(browser, f"{interface}/nothing")[:2] == [404, "Not Found"]
        assert fetched(browser, f"{interface}/bug")[:2] == [500, "Internal Server Error"]
        refused = {**put, "headers": {"x-other": "abc"}}
        assert fetched(browser, f"{interface}/birds", **refused) == ["TypeError"]
        assert browser.execute_async_script(OPEN, socket) == "open"
        browser.get(f"{elsewhere}/")
        assert fetched(browser, f"{interface}/birds", **put) == ["TypeError"]
        assert fetched(browser, f"{interface}/nothing") == ["TypeError"]
        assert browser.execute_async_script(OPEN, socket) == "refused"
        complaints(browser)

    await trio.to_thread.run_sync(drive)


async def test_only_scripts_with_the_nonce_run(browser, two_servers):
    origin, _ = two_servers

    def drive():
        browser.get(f"{origin}/")
        assert browser.title == "ran"
        assert any("Content Security Policy" in said for said in complaints(browser))

    await trio.to_thread.run_sync(drive)


async def test_the_pages_of_errors_are_shown_and_nothing_runs_in_them(browser, two_servers):
    origin, _ = two_servers

    def drive():
        complaints(browser)
        browser.get(f"{origin}/<script>document.title='injected'</script>")
        assert browser.title == "404 Not Found"
        browser.get(f"{origin}/bug")
        assert browser.title == "500 Internal Server Error"
        shown = browser.find_element("tag name", "body").text
        assert "ValueError: <script>document.title = 'injected'</script>" in shown
        assert "raise ValueError(" in shown
        assert not [said for said in complaints(browser) if "Content Security" in said]

    await trio.to_thread.run_sync(drive)
