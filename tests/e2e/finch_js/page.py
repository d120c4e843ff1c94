"""What the browser tests of finch.js share: their server, and a page that runs scripts."""

import json
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from tests.e2e.browsing import wait_for
from tests.processes import finch

TRANSPORTS = ("websocket", "sse")
BOTH = pytest.mark.parametrize("transport", TRANSPORTS)
"""Tells a story over WebSockets, and without them."""

ROOT = Path(__file__).parent.parent.parent.parent

# The script of a test is the body of an async function.
RUN = """
const [script, args, done] = arguments;
const AsyncFunction = (async () => {}).constructor;
new AsyncFunction("...args", script)(...args).then(
  (value) => done({ value }),
  (error) => done({ error: String(error.stack ?? error) }),
);
"""


@contextmanager
def serving(port=0, **environment):
    """Serve the application of these tests."""
    arguments = ("tests.e2e.finch_js.app:app", "--port", port, "--no-access-log")
    with finch(*arguments, cwd=ROOT, **environment) as process:
        yield Server(process)


class Server:
    """The application in a process of its own, and what a test tells it over HTTP."""

    def __init__(self, process):
        self.process = process
        self.url = process.url

    def post(self, path, **query):
        request = Request(f"{self.url}{path}?{urlencode(query)}", method="POST")
        with urlopen(request, timeout=20) as response:
            return json.loads(response.read() or "null")

    def report(self):
        """What it has seen so far."""
        with urlopen(f"{self.url}/report", timeout=20) as response:
            return json.load(response)


class Page:
    """The page of the application in a browser, which runs the scripts of a test.

    Parameters:
        transport: what it connects with, unless it says otherwise.
    """

    def __init__(self, driver, transport="auto"):
        self.driver = driver
        self.transport = transport

    def open(self, url, **query):
        """Load the page: see ``PAGE`` for what the query means."""
        query.setdefault("transport", self.transport)
        self.driver.get(f"{url}/?{urlencode(query)}")

    def run(self, script, *args):
        """What a script returns; it may use ``await``, and has ``args``."""
        said = self.driver.execute_async_script(RUN, script, args)
        assert "error" not in said, said["error"]
        return said.get("value")

    def until(self, expression, *args):
        """Wait until an expression is true, and give its value."""
        return wait_for(self.driver, lambda it: it.execute_script(f"return {expression}", *args))
