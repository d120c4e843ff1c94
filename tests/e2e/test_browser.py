"""A real browser: the chat's page on a good and on a bad network, and the seed's own JavaScript."""

import json
from contextlib import closing, contextmanager

import pytest
import trustme
import websockets.sync.client
from selenium.webdriver.common.by import By

from tests.e2e.browsing import (
    PHONE,
    Relay,
    chromium,
    complaints,
    look,
    network_returns,
    run_script,
    tabs,
    texts,
    wait_for,
)
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

# What the open room shows, one text a line: "Ann: hello" if the name is there
LOG = """
return [...document.querySelectorAll('.log:not([hidden]) > :not(.waits)')].map((item) => {
  const name = item.querySelector('b');
  return (name ? name.innerText + ': ' : '') + (item.querySelector('p') ?? item).innerText;
});
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chromium")
    with chromium(folder, "--ignore-certificate-errors") as driver:
        yield driver


def log(tab):
    return tab.execute_script(LOG)


def waiting(tab):
    """What the page has not sent yet, and what it says about that."""
    return [text.replace("\n\n", ": ") for text in texts(tab, ".waits")]


def shows(element, text):
    """A condition: the chat's element with this id has this text."""
    return lambda tab: tab.find_element(By.ID, element).text == text


def enter(tab, url, name):
    """Open the chat as somebody, and wait until the room is joined."""
    tab.get(url)
    tab.find_element(By.ID, "name").send_keys(f"{name}\n")
    wait_for(tab, lambda it: name in people(it))


def people(tab):
    return [text.split("\n")[-1] for text in texts(tab, "#people li")]


def say(tab, text):
    tab.find_element(By.ID, "text").send_keys(f"{text}\n")


def test_two_people_see_each_other_come_type_talk_and_go(browser):
    with finch("chat", "--port", 0) as process, tabs(browser, 2) as (ann, bob):
        enter(ann, process.url, "Ann")
        say(ann, "Is anybody here?")
        wait_for(ann, lambda it: log(it) == ["Today", "Is anybody here?"])

        enter(bob, process.url, "Bob")
        wait_for(bob, lambda it: log(it) == ["Today", "Ann: Is anybody here?"])
        assert people(bob) == ["Ann", "Bob"]
        wait_for(ann, lambda it: people(it) == ["Ann", "Bob"])
        bob.find_element(By.ID, "text").send_keys("Hello <b>Ann</b>")
        wait_for(ann, shows("typing", "Bob is typing…"))
        say(bob, "")
        say(bob, "How are you?")
        # what others write is text and no HTML; a name is shown once a group, and never one's own
        seen = ["Today", "Is anybody here?", "Bob: Hello <b>Ann</b>", "How are you?"]
        wait_for(ann, lambda it: log(it) == seen)
        assert shows("typing", "")(ann)
        assert waiting(bob) == []

        # a reload shows all again, in the same room
        bob.refresh()
        theirs = ["Today", "Ann: Is anybody here?", "Hello <b>Ann</b>", "How are you?"]
        wait_for(bob, lambda it: log(it) == theirs)
        say(bob, "Back again")
        wait_for(ann, lambda it: log(it) == [*seen, "Back again"])

        assert complaints(ann) == complaints(bob) == []
        bob.close()
        wait_for(ann, lambda it: people(it) == ["Ann"])
        assert log(ann) == [*seen, "Back again"]  # nobody's coming and going is a note in the log


def test_two_tabs_of_one_person_are_one_and_rooms_count_what_is_unread(browser):
    with finch("chat", "--port", 0) as process, tabs(browser, 3) as (ann, bob, again):
        enter(ann, process.url, "Ann")
        enter(bob, process.url, "Bob")
        enter(again, process.url, "Bob")
        assert people(again) == ["Ann", "Bob"]
        say(bob, "From my phone")
        wait_for(again, lambda it: log(it) == ["Today", "From my phone"])

        bob.find_element(By.XPATH, "//nav/button[contains(., 'garden')]").click()
        wait_for(bob, lambda it: log(it) == [])
        say(bob, "Here are flowers")
        say(bob, "And bees")
        garden = ann.find_element(By.XPATH, "//nav/button[contains(., 'garden')]")
        wait_for(ann, lambda it: garden.text.split() == ["garden", "2"])
        assert ann.title == "(2) Finch chat"
        assert "Here are flowers" not in log(ann)
        garden.click()
        wait_for(ann, lambda it: log(it) == ["Today", "Bob: Here are flowers", "And bees"])
        assert (garden.text, ann.title) == ("garden", "Finch chat")
        ann.refresh()  # what was said before is old, and not unread
        count = "return document.querySelectorAll('.log p').length"
        wait_for(ann, lambda it: it.execute_script(count) == 3)
        garden = ann.find_element(By.XPATH, "//nav/button[contains(., 'garden')]")
        assert (garden.text, ann.title) == ("garden", "Finch chat")


def test_on_a_phone_the_title_has_one_line_and_the_field_most_of_the_width(browser):
    with finch("chat", "--port", 0) as process, tabs(browser, 1) as (ann,):
        look(ann, PHONE, "light")
        enter(ann, process.url, "Ann")
        title, field = (
            ann.find_element(By.CSS_SELECTOR, "#chat h1"),
            ann.find_element(By.ID, "text"),
        )
        assert title.size["height"] < 35
        assert field.size["width"] > 250
        assert ann.execute_script("return document.documentElement.scrollWidth") == 390


def test_the_chat_works_over_https_too(browser, tmp_path):
    certificate = str(tmp_path / "cert.pem")
    trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    with (
        finch("chat", "--port", 0, "--certfile", certificate) as process,
        tabs(browser, 1) as (ann,),
    ):
        assert process.url.startswith("https:")
        enter(ann, process.url, "Ann")
        say(ann, "Safe and sound")
        wait_for(ann, lambda it: log(it) == ["Today", "Safe and sound"])


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


def test_after_a_cut_everything_comes_once_and_in_order_both_ways(browser):
    with (
        finch("chat", "--port", 0) as process,
        closing(Relay(process.url)) as relay,
        tabs(browser, 1) as (ann,),
        in_lobby(process, "Bob") as bob,
    ):
        enter(ann, relay.url, "Ann")
        say_by(bob, "1")
        wait_for(ann, lambda it: log(it) == ["Today", "Bob: 1"])

        relay.lost.add("down")
        say(ann, "2")  # arrives, but Ann does not hear it
        assert heard(bob, "2") == ["1", "2"]
        relay.lost.add("up")
        say(ann, "5")  # is lost with the connection
        say_by(bob, "3")
        assert heard(bob, "3") == ["3"]
        relay.cut()
        wait_for(ann, shows("state", "Connecting…"))
        assert shows("send", "Send later")(ann)
        say(ann, "6")  # waits for a connection, and the page says so
        assert waiting(ann) == [f"{text}: Will be sent when you are online" for text in "256"]
        say_by(bob, "4")
        assert heard(bob, "4") == ["4"]
        relay.mend()
        network_returns(ann)

        wait_for(ann, shows("state", "Ann"))
        assert heard(bob, "6") == ["5", "6"]
        said = ["Today", "Bob: 1", "2", "Bob: 3", "4", "5", "6"]
        wait_for(ann, lambda it: log(it) == said)
        assert waiting(ann) == []

        # and the next cut begins where this one has ended
        relay.cut()
        wait_for(ann, shows("state", "Connecting…"))
        say_by(bob, "7")
        assert heard(bob, "7") == ["7"]
        relay.mend()
        network_returns(ann)
        wait_for(ann, lambda it: log(it) == [*said, "Bob: 7"])


def test_after_a_restart_of_the_server_the_page_says_what_it_does_not_know(browser):
    with finch("chat", "--port", 0) as process, closing(Relay(process.url)) as relay:
        with tabs(browser, 1) as (ann,):
            enter(ann, relay.url, "Ann")
            say(ann, "before")
            wait_for(ann, lambda it: log(it) == ["Today", "before"])
            relay.down = True
            process.signal()
            process.wait()
            wait_for(ann, shows("state", "Connecting…"))
            say(ann, "meanwhile")
            with finch("chat", "--port", 0) as another, in_lobby(another, "Bob") as bob:
                say_by(bob, "new here")
                assert heard(bob, "new here") == ["new here"]
                relay.target = ("127.0.0.1", int(another.url.rpartition(":")[2]))
                relay.mend()
                network_returns(ann)
                assert heard(bob, "meanwhile") == ["meanwhile"]
                missing = "Some messages are missing here."
                now = ["Today", "before", missing, "Bob: new here", "meanwhile"]
                wait_for(ann, lambda it: log(it) == now)
                assert waiting(ann) == []


def test_what_the_server_refuses_can_be_sent_again(browser):
    with finch("chat", "--port", 0) as process, tabs(browser, 1) as (ann,):
        enter(ann, process.url, "Ann")
        # the page itself allows no message that is too long
        ann.execute_script("document.getElementById('text').value = 'x'.repeat(2001)")
        say(ann, "")
        wait_for(ann, lambda it: waiting(it) and "Not sent: " in waiting(it)[0])
        ann.find_element(By.XPATH, "//button[text()='Try again']").click()
        wait_for(ann, lambda it: "Not sent: " in waiting(it)[0])
        assert log(ann) == []


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
