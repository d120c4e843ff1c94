"""What all these tests share: one browser, one server, and a page in it."""

from contextlib import closing
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.e2e.browsing import chromium
from tests.e2e.finch_js.page import Page, serving
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


@pytest.fixture(scope="package")
def server(elsewhere):
    with serving(ORIGINS=elsewhere) as process:
        yield process


@pytest.fixture(scope="package")
def driver(server, tmp_path_factory):
    port = server.url.rpartition(":")[2]
    rule = f"--host-resolver-rules=MAP localhost:8080 127.0.0.1:{port}"  # the seed has another port
    with chromium(tmp_path_factory.mktemp("chromium"), rule) as driver:
        yield driver


@pytest.fixture
def relay(server):
    """A network that the test may make a bad one."""
    with closing(Relay(server.url)) as relay:
        yield relay


@pytest.fixture
def page(driver, relay):
    """The application's page, behind this network."""
    page = Page(driver)
    page.open(relay.url)
    yield page
    driver.execute_script("window.finch?.close()")
