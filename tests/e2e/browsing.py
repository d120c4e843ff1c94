"""What tests with a real browser share: Chromium itself, and a network that a test can cut."""

import json
import shutil
import socket
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

from tests.conftest import need

AXE = Path(__file__).parent.parent / "js/node_modules/axe-core/axe.min.js"
PHONE, DESKTOP = (390, 844), (1280, 800)  # CSS pixels


@contextmanager
def chromium(folder, *arguments):
    """A headless Chromium with a profile of its own."""
    how = "apt-get install chromium chromium-driver"
    need("chromium", how)
    need("chromedriver", how)
    options = webdriver.ChromeOptions()
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=900,700",
        f"--user-data-dir={folder}/profile",
        *arguments,
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


class Tab:
    """One window of a browser: whatever is asked of it is asked of this window."""

    def __init__(self, driver):
        driver.switch_to.new_window("window")
        self._driver = driver
        self._handle = driver.current_window_handle

    def __getattr__(self, name):
        self._driver.switch_to.window(self._handle)
        return getattr(self._driver, name)


@contextmanager
def tabs(driver, count):
    """Windows of their own, closed at the end."""
    first = driver.current_window_handle
    opened = [Tab(driver) for _ in range(count)]
    try:
        yield opened
    finally:
        for handle in driver.window_handles:
            if handle != first:
                driver.switch_to.window(handle)
                driver.close()
        driver.switch_to.window(first)


def wait_for(driver, what):
    """Wait until a condition of the page holds, and return what it gives."""
    return WebDriverWait(driver, 20, poll_frequency=0.05).until(what)


def texts(driver, selector):
    """The texts of all elements that a selector finds, read in one moment."""
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)"
    return driver.execute_script(script, selector)


def complaints(driver):
    """What the console has said that is wrong, since the last time it was asked. Pages of plain
    text have no icon of their own, and that is not wrong."""
    return [
        entry["message"]
        for entry in driver.get_log("browser")
        if entry["level"] == "SEVERE" and "favicon.ico" not in entry["message"]
    ]


def network_returns(driver):
    """Tell the page what a browser tells it when the network is back, so that it does not wait."""
    driver.execute_script("dispatchEvent(new Event('online'))")


def run_script(driver, text):
    """Run a script as a page's own <script>, whose names the next one sees."""
    driver.execute_script(
        "const it = document.createElement('script'); it.textContent = arguments[0];"
        "document.head.append(it)",
        text,
    )


def look(driver, size, theme):
    """Show pages on a screen of this size, ``light`` or ``dark``, to people who like no motion."""
    width, height = size
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE},
    )
    features = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": name, "value": value} for name, value in features.items()]},
    )


def axe(driver):
    """What axe-core finds on the page that is serious or critical."""
    if not AXE.exists():
        need("axe-core", "make client-tools")
    driver.execute_script(AXE.read_text(encoding="utf-8"))
    found = driver.execute_async_script(
        "axe.run({ resultTypes: ['violations'] }).then(arguments[0])"
    )
    return [
        f"{one['impact']}: {one['help']}: {json.dumps([node['html'] for node in one['nodes']])}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


class Relay:
    """A network between a browser and a server, which a test cuts and mends."""

    def __init__(self, url):
        self.target = ("127.0.0.1", int(url.rpartition(":")[2]))
        self.down = False
        self.lost = set()  # the directions in which everything is lost: "up" and "down"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self):
        """End every connection, and accept none."""
        self.down = True
        for one in self._pairs:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self):
        self.lost.clear()
        self.down = False

    def close(self):
        self.cut()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in (self._listener, *self._pairs):
            one.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.down:
                client.close()
                continue
            server = socket.create_connection(self.target)
            self._pairs += [client, server]
            for pump in ((client, server, "up"), (server, client, "down")):
                thread = Thread(target=self._pump, args=pump)
                self._threads.append(thread)
                thread.start()

    def _pump(self, source, sink, direction):
        with suppress(OSError):
            while data := source.recv(65536):
                if direction not in self.lost:
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)
