"""Pages, servers and networks that sleep or are slow: nobody says that the connection is dead."""

import signal
from contextlib import contextmanager

import pytest

from tests.e2e.finch_js.page import BOTH
from tests.e2e.finch_js.story import FASTER, LISTEN, NEVER, comes_back, hears, senders, up_to


@contextmanager
def hidden(page, *, frozen=False):
    """Another tab is in front of the page in the block, and the page may be frozen."""
    page.run("""
      window.shown = [];
      for (const name of ["visibilitychange", "freeze", "resume"])
        document.addEventListener(name, () => shown.push(
          name === "visibilitychange" ? document.visibilityState : name));
    """)
    driver = page.driver
    first = driver.current_window_handle
    if frozen:
        driver.execute_cdp_cmd("Page.setWebLifecycleState", {"state": "frozen"})
    driver.switch_to.new_window("tab")
    yield
    driver.close()
    driver.switch_to.window(first)
    page.until("document.visibilityState === 'visible'")


def set_network(page, *, offline):
    """What the browser believes about the network. It does not touch WebSockets."""
    conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.driver.execute_cdp_cmd(
        "Network.emulateNetworkConditions", {"offline": offline, **conditions}
    )
    page.until("navigator.onLine === arguments[0]", not offline)


@contextmanager
def stopped(server):
    server.process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.signal(signal.SIGCONT)


@pytest.mark.parametrize("what", ["lives", "is cut", "is dead"])
def test_a_page_that_is_shown_again_looks_after_its_connection(page, server, relay, what):
    """A dead one looks like one that lives; only a page that asks finds out."""
    # what comes back comes back at once, or never
    page.open(relay.url, pause=NEVER, faster=FASTER if what == "is dead" else 1)
    name = what.replace(" ", "-")
    page.run(LISTEN, f"numbers/{name}")
    with senders(page, server, name):
        hears(page)
        with hidden(page):
            if what == "is cut":
                relay.cut()
            elif what == "is dead":
                relay.stall()
        if what != "lives":
            comes_back(page)
        hears(page)
    assert page.run("return shown") == ["hidden", "visible"]
    assert page.run("return joins.length") == (1 if what == "lives" else 2)


@BOTH
def test_a_page_that_is_frozen(page, server, relay, transport):
    """Chromium closes its WebSocket, which comes back as soon as the page is shown. Of a stream of
    events it brings nothing more, but does not close it: the page must ask."""
    page.open(relay.url, pause=NEVER, faster=FASTER if transport == "sse" else 1)
    page.run(LISTEN, "numbers/frozen")
    with senders(page, server, "frozen"):
        hears(page)
        page.run("window.again = finch.call('hold', 'frozen', { retry: true })")
        with hidden(page, frozen=True):
            server.post("/release/frozen")
        comes_back(page)
        hears(page)
        assert page.run("return await again") == "frozen held"
    assert page.run("return shown") == ["hidden", "freeze", "resume", "visible"]
    assert server.report()["runs"]["frozen"] == 1


def test_a_page_that_was_left_and_comes_from_the_browsers_cache(page, server, relay):
    page.open(relay.url, pause=NEVER)
    page.run(LISTEN, "numbers/cache")
    page.run("addEventListener('pageshow', ({ persisted }) => { window.persisted = persisted; })")
    with senders(page, server, "cache"):
        hears(page)
        page.driver.get(server.url)
        page.driver.back()
        page.until("window.persisted")
        comes_back(page)
        hears(page)


@pytest.mark.parametrize("what", ["cut", "dead"])
def test_a_page_that_is_offline_and_online(page, server, relay, what):
    page.open(relay.url, pause=NEVER, faster=FASTER if what == "dead" else 1)
    page.run(LISTEN, f"numbers/offline-{what}")
    with senders(page, server, f"offline-{what}"):
        hears(page)
        set_network(page, offline=True)
        relay.down = True
        (relay.cut if what == "cut" else relay.stall)()
        page.until("finch.state === arguments[0]", "waiting" if what == "cut" else "open")
        relay.down = False
        set_network(page, offline=False)
        comes_back(page)
        hears(page)


def test_a_server_that_is_frozen_for_a_moment(page, server):
    """Whoever waits goes on waiting; a call may have a timeout."""
    page.run(LISTEN, "numbers/stopped")
    with senders(page, server, "stopped"):
        hears(page)
        with stopped(server):
            said = page.run("""
              window.patient = finch.call("sum", [1, 2]);
              return await finch.call("me", null, { timeout: 50 }).catch((error) => error.code);
            """)
            assert said == "timeout"
        hears(page)
        assert page.run("return await patient") == 3
    assert page.run("return joins.length") == 1


def test_a_server_that_is_frozen_while_the_page_comes_back(page, server, relay):
    """A handshake that is not answered is given up, and tried again."""
    page.open(relay.url, faster=2 * FASTER)
    page.run(LISTEN, "numbers/handshake")
    with senders(page, server, "handshake"):
        hears(page)
        with stopped(server):
            relay.cut()
            page.until("states.filter(([state]) => state === 'waiting').length === 2")
        comes_back(page)
        hears(page)


@BOTH
def test_a_slow_network_brings_everything_in_small_pieces(page, server, relay):
    relay.slow = True
    page.open(relay.url)
    page.run(LISTEN, "numbers/slow")
    server.post("/send/numbers/slow/200")
    assert up_to(page, "numbers/slow", [200]) == [(0, number) for number in range(1, 201)]
    assert page.run("return joins.length") == 1


@BOTH
def test_a_page_that_is_too_slow_is_cut_off_and_gets_the_rest_later(page, server, relay):
    relay.slow = True
    page.open(relay.url)
    page.run(LISTEN, "numbers/behind")
    server.post("/send/numbers/behind/3000", size=2000)
    relay.slow = False
    heard = up_to(page, "numbers/behind", [3000])
    assert heard == [(0, number) for number in range(1, 3001)]
    joins = page.run("return joins.slice(1)")
    assert joins
    assert all(one["recovered"] for one in joins)
