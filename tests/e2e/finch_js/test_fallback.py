"""A network that lets no WebSocket through: the page finds out by itself, and does without."""

import pytest

from tests.e2e.finch_js.page import Page


@pytest.fixture
def page(driver, relay):
    """A page that is told nothing, behind a network that cuts upgrades."""
    relay.cuts_upgrades = True
    page = Page(driver)
    page.open(relay.url)
    yield page
    driver.execute_script("window.finch?.close()")


def test_it_connects_without_a_websocket_after_two_attempts(page, relay):
    said = page.run("""
      window.finch = connect("/ws", { token: () => "behind" });
      const states = [];
      for (const state of ["waiting", "open"])
        finch.addEventListener(state, ({ detail }) => states.push([state, detail.transport]));
      const room = finch.join("chat/fallback");
      await room.joined;
      return [await room.call("say", "hello"), finch.transport, states];
    """)
    assert said == [1, "sse", [["waiting", None], ["waiting", None], ["open", "sse"]]]
    assert relay.upgrades == 2


def test_the_page_remembers_it(page, server, relay):
    page.run("""
      window.finch = connect("/ws", { token: () => "remembers" });
      await finch.call("me");
    """)
    assert relay.upgrades == 2
    server.post("/close/remembers/1012")
    said = page.run("""
      await new Promise((done) => finch.addEventListener("open", done));
      const other = connect("/ws", { token: () => "other" });
      const me = await other.call("me");
      other.close();
      return [me.user, other.transport, (await finch.call("me")).user];
    """)
    assert said == ["other", "sse", "remembers"]
    assert relay.upgrades == 2


def test_a_server_that_was_away_is_no_reason_to_do_without(page, relay):
    relay.cuts_upgrades = False
    relay.down = True
    relay.cut()
    page.run("""
      window.tried = [];
      window.finch = connect("/ws");
      finch.addEventListener("waiting", () => tried.push(finch.transport));
    """)
    page.until("tried.length >= 4")
    assert page.run("return tried.slice(0, 4)") == ["websocket", "websocket", "sse", "websocket"]
    relay.down = False
    page.until("finch.state === 'open'")
    page.run("""
      finch.close();
      finch.open();
      await finch.call("me");
    """)
    assert page.run("return finch.transport") == "websocket"
