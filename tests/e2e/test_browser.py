"""A real browser: the chat page in two tabs, and the seed's own JavaScript."""

import shutil
from contextlib import contextmanager

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
    return [item.text for item in driver.find_elements(By.CSS_SELECTOR, "#log li")]


def run_script(driver, text):
    """Run a script as a page's own <script>, whose names the next one sees."""
    driver.execute_script(
        "const it = document.createElement('script'); it.textContent = arguments[0];"
        "document.head.append(it)",
        text,
    )


def test_two_tabs_see_each_other_come_talk_and_go(tmp_path):
    with finch("chat", "--port", 0) as process, chromium(tmp_path) as browser:
        browser.get(process.url)
        ann = browser.current_window_handle
        wait_for(browser, lambda it: "Successfully connected to socket!" in log(it))
        browser.switch_to.new_window("tab")
        bob = browser.current_window_handle
        browser.get(process.url)
        wait_for(browser, lambda it: "A user connected. Total: 2" in log(it))
        browser.find_element(By.ID, "name").send_keys("Bob")
        browser.find_element(By.ID, "text").send_keys("Hello <b>Ann</b>\n")
        wait_for(browser, lambda it: "Bob\nHello <b>Ann</b>" in log(it))

        browser.switch_to.window(ann)
        assert "A user connected. Total: 2" in log(browser)
        wait_for(browser, lambda it: "Bob\nHello <b>Ann</b>" in log(it))
        browser.find_element(By.ID, "time").click()
        wait_for(browser, lambda it: log(it)[-1][:2] == "20")

        browser.switch_to.window(bob)
        browser.close()
        browser.switch_to.window(ann)
        wait_for(browser, lambda it: log(it)[-1] == "A user disconnected. Total: 1")
        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


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
