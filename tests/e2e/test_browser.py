"""A real browser: the chat's page on a good and on a bad network, and the seed's own JavaScript."""

import json
import shutil
import socket
from contextlib import closing, contextmanager, suppress
from threading import Thread

import websockets.sync.client
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.conftest import need
from tests.processes import finch

# The seed's client, to the letter. Its last line is for when the socket is open.
SEED = """
const ws = new WebSocket('ws://localhost:8080/ws');
ws.onopen = () => console.log('Connected');
// Listen for messages on the 'connected' path
ws.onmessage = (event) => {
const msg = JSON.parse(event.data);
if (msg.path === 'connected') {
console.log('Server says:', msg.data.message);
}
if (msg.path === 'output') {
console.log('Output:', msg.data);
}
};
"""
SEED_SEND = """
// Send a message to the 'time' route on the server
ws.send(JSON.stringify({ path: 'time', data: {} }));
"""


@contextmanager
def chromium(folder, *arguments):
    """A headless Chromium with a profile of its own."""
    how = "apt-get install chromium chromium-driver"
    need("chromium", how)
    need("chromedriver", how)
    options = webdriver.ChromeOptions()
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


def wait_for(driver, what):
    return WebDriverWait(driver, 20, poll_frequency=0.05).until(what)


def log(driver):
    """What the page has heard in the room that is open."""
    return driver.execute_script(
        "return [...document.querySelectorAll('.log:not([hidden]) li:not(.waits)')]"
        ".map((item) => item.innerText)"
    )


def shows(element, text):
    """A condition: the chat's element with this id has this text."""
    return lambda driver: driver.find_element(By.ID, element).text == text


def enter(driver, url, name):
    """Open the chat as somebody, and wait until the room is joined."""
    driver.get(url)
    driver.find_element(By.ID, "name").send_keys(f"{name}\n")
    wait_for(driver, lambda it: name in it.find_element(By.ID, "here").text)


def say(driver, text):
    driver.find_element(By.ID, "text").send_keys(f"{text}\n")


def complaints(driver):
    return [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def run_script(driver, text):
    """Run a script as a page's own <script>, whose names the next one sees."""
    driver.execute_script(
        "const it = document.createElement('script'); it.textContent = arguments[0];"
        "document.head.append(it)",
        text,
    )


def test_two_browsers_see_each_other_come_type_talk_and_go(tmp_path):
    with (
        finch("chat", "--port", 0) as process,
        chromium(tmp_path / "ann") as ann,
        chromium(tmp_path / "bob") as bob,
    ):
        enter(ann, process.url, "Ann")
        say(ann, "Is anybody here?")
        wait_for(ann, lambda it: log(it) == ["Ann\nIs anybody here?"])

        enter(bob, process.url, "Bob")
        wait_for(bob, lambda it: log(it) == ["Ann\nIs anybody here?"])
        assert shows("here", "here: Ann, Bob")(bob)
        wait_for(ann, shows("here", "here: Ann, Bob"))
        bob.find_element(By.ID, "text").send_keys("Hello <b>Ann</b>")
        wait_for(ann, shows("typing", "Bob is typing"))
        say(bob, "")
        seen = ["Ann\nIs anybody here?", "Bob has come", "Bob\nHello <b>Ann</b>"]
        wait_for(ann, lambda it: log(it) == seen)
        assert shows("typing", "")(ann)

        # a reload is no leave: within the grace, nobody hears of it
        bob.refresh()
        wait_for(bob, lambda it: log(it) == ["Ann\nIs anybody here?", "Bob\nHello <b>Ann</b>"])
        say(bob, "Back again")
        wait_for(ann, lambda it: log(it) == [*seen, "Bob\nBack again"])

        # another tab of the same user is nobody new, and sees what the first one says
        bob.switch_to.new_window("tab")
        enter(bob, process.url, "Bob")
        assert shows("here", "here: Ann, Bob")(bob)
        say(ann, "Two of you?")
        wait_for(bob, lambda it: log(it)[-1] == "Ann\nTwo of you?")
        assert log(ann)[3:] == ["Bob\nBack again", "Ann\nTwo of you?"]

        # each room is for itself
        bob.find_element(By.XPATH, "//nav/button[text()='garden']").click()
        wait_for(bob, lambda it: log(it) == [])
        say(bob, "Here are flowers")
        wait_for(ann, lambda it: it.find_elements(By.CSS_SELECTOR, "nav .news"))
        assert "Bob\nHere are flowers" not in log(ann)
        ann.find_element(By.CSS_SELECTOR, "nav .news").click()
        wait_for(ann, lambda it: log(it) == ["Bob has come", "Bob\nHere are flowers"])

        assert complaints(ann) == complaints(bob) == []
        bob.quit()
        wait_for(ann, lambda it: log(it)[-1] == "Bob has gone")
        assert shows("here", "here: Ann")(ann)


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


@contextmanager
def in_lobby(process, name):
    """Somebody without a browser: a WebSocket that has joined the lobby."""
    with websockets.sync.client.connect(f"{process.ws}/ws?name={name}") as ws:
        ws.send(json.dumps({"path": "finch.join", "room": "chat/lobby"}))
        yield ws


def say_by(ws, text):
    ws.send(json.dumps({"path": "say", "room": "chat/lobby", "data": {"text": text}}))


def heard(ws, until):
    """What is said, up to this text."""
    texts = []
    while until not in texts:
        message = json.loads(ws.recv(timeout=20))
        if message["path"] == "said":
            texts.append(message["data"]["text"])
    return texts


def test_after_a_cut_everything_comes_once_and_in_order_both_ways(tmp_path):
    with (
        finch("chat", "--port", 0) as process,
        closing(Relay(process.url)) as relay,
        chromium(tmp_path) as ann,
        in_lobby(process, "Bob") as bob,
    ):
        enter(ann, relay.url, "Ann")
        say_by(bob, "1")
        wait_for(ann, lambda it: log(it) == ["Bob\n1"])

        relay.lost.add("down")
        say(ann, "2")  # arrives, but Ann does not hear it
        assert heard(bob, "2") == ["1", "2"]
        relay.lost.add("up")
        say(ann, "5")  # is lost with the connection
        say_by(bob, "3")
        assert heard(bob, "3") == ["3"]
        relay.cut()
        wait_for(ann, shows("state", "reconnecting"))
        say(ann, "6")  # waits for a connection
        say_by(bob, "4")
        assert heard(bob, "4") == ["4"]
        relay.mend()

        wait_for(ann, shows("state", "Ann"))
        assert heard(bob, "6") == ["5", "6"]
        said = ["Bob\n1", "Ann\n2", "Bob\n3", "Bob\n4", "Ann\n5", "Ann\n6"]
        wait_for(ann, lambda it: log(it) == said)
        assert ann.find_elements(By.CLASS_NAME, "waits") == []

        # and the next cut begins where this one has ended
        relay.cut()
        wait_for(ann, shows("state", "reconnecting"))
        say_by(bob, "7")
        assert heard(bob, "7") == ["7"]
        relay.mend()
        wait_for(ann, lambda it: log(it) == [*said, "Bob\n7"])


def test_after_a_restart_of_the_server_the_page_says_what_it_does_not_know(tmp_path):
    with finch("chat", "--port", 0) as process, closing(Relay(process.url)) as relay:
        with chromium(tmp_path) as ann:
            enter(ann, relay.url, "Ann")
            say(ann, "before")
            wait_for(ann, lambda it: log(it) == ["Ann\nbefore"])
            relay.down = True
            process.signal()
            process.wait()
            wait_for(ann, shows("state", "reconnecting"))
            say(ann, "meanwhile")
            with finch("chat", "--port", 0) as another, in_lobby(another, "Bob") as bob:
                say_by(bob, "new here")
                assert heard(bob, "new here") == ["new here"]
                relay.target = ("127.0.0.1", int(another.url.rpartition(":")[2]))
                relay.mend()
                assert heard(bob, "meanwhile") == ["meanwhile"]
                wait_for(ann, lambda it: log(it)[-1] == "Ann\nmeanwhile")
                assert log(ann) == [
                    "Ann\nbefore",
                    "Some messages are missing here.",
                    "Bob has come",
                    "Bob\nnew here",
                    "Ann\nmeanwhile",
                ]


def test_the_seeds_javascript_runs_as_it_is_written(tmp_path):
    with finch("chat_classes", "--port", 0) as process:
        port = process.url.rpartition(":")[2]
        rule = f"--host-resolver-rules=MAP localhost 127.0.0.1:{port}"
        with chromium(tmp_path, rule) as browser:
            browser.get("http://localhost:8080/ws")
            assert "Socket is requested!" in browser.page_source
            run_script(
                browser,
                "const said = []; console.log = (...words) => said.push(words.join(' '));",
            )
            run_script(browser, SEED)
            wait_for(browser, lambda it: len(it.execute_script("return said")) == 3)
            run_script(browser, SEED_SEND)
            wait_for(browser, lambda it: len(it.execute_script("return said")) == 4)
            said = browser.execute_script("return said")
    assert said[:3] == [
        "Connected",
        "Output: A user connected. Total: 1",
        "Server says: Successfully connected to socket!",
    ]
    assert said[3].startswith("Output: 20")
