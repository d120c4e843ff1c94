"""What all these tests share: one browser, one server, and a page in it."""

from contextlib import ExitStack, closing
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.e2e.browsing import chromium
from tests.e2e.finch_js.page import TRANSPORTS, Page, serving
from tests.e2e.finch_js.relay import Relay


class Elsewhere(SimpleHTTPRequestHandler):
    """A page of another framework: its server is not Finch."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b'<!doctype html><title>elsewhere</title><link rel="icon" href="data:,">')

    def log_message(self, *args):
        pass


@pytest.fixture(scope="package")
def elsewhere():
    """The origin of another site."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def transport():
    """What pages connect with. Whoever tells a story over both parametrises it by ``BOTH``."""
    return "websocket"


@pytest.fixture(scope="package")
def servers(elsewhere):
    """A server for each transport, so that a story begins anew over the other one."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(serving(ORIGINS=elsewhere)) for name in TRANSPORTS}


@pytest.fixture
def server(servers, transport):
    return servers[transport]


@pytest.fixture(scope="package")
def driver(servers, tmp_path_factory):
    port = servers["websocket"].url.rpartition(":")[2]
    rule = f"--host-resolver-rules=MAP localhost:8080 127.0.0.1:{port}"  # the seed has another port
    with chromium(tmp_path_factory.mktemp("chromium"), rule) as driver:
        yield driver


@pytest.fixture
def relay(server, transport):
    """A network that the test may make a bad one."""
    with closing(Relay(server.url)) as relay:
        relay.cuts_upgrades = transport == "sse"
        yield relay


@pytest.fixture
def page(driver, relay, transport):
    """The application's page, behind this network."""
    page = Page(driver, transport)
    page.open(relay.url)
    yield page
    driver.execute_script("window.finch?.close()")
