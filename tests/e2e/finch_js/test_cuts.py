"""Connections that end, servers that die, and histories that are too short."""

import random
import signal
from contextlib import closing

from tests.e2e.browsing import wait_for
from tests.e2e.finch_js.page import BOTH, serving
from tests.e2e.finch_js.relay import Relay
from tests.e2e.finch_js.story import LISTEN, away, comes_back, heard_in, hears, senders, up_to

pytestmark = BOTH


def test_connections_cut_at_any_byte(page, server, relay):
    """In the middle of a message, of a handshake, of the answer to a join."""
    page.run(LISTEN, "numbers/cut")
    with senders(page, server, "cut"):
        for seed in range(12):
            relay.cut_after("down", random.Random(seed).randrange(1500))
            wait_for(relay, lambda it, cuts=seed + 1: it.cuts == cuts)
        comes_back(page)
        hears(page)
    assert {code for state, code in page.run("return states") if state == "waiting"} == {1006}


def test_a_cut_in_the_middle_of_a_long_message(page, relay):
    """Half a message is no message: the call fails, and with ``retry`` it is answered in full."""
    page.run(LISTEN, "numbers/long")
    relay.cut_after("down", 50_000)
    said = page.run("""
      const call = finch.call("large", 100_000);
      const again = finch.call("large", 100_001, { retry: true });
      return [await call.catch((error) => error.code), (await again).length];
    """)
    assert said == ["disconnected", 100_001]
    assert relay.cuts == 1


def test_a_server_that_is_killed_and_started_again(page):
    """It has forgotten everything: the page hears of a gap, and then each new number once."""
    with serving() as first, closing(Relay(first.url)) as relay:
        page.open(relay.url)
        page.run(LISTEN, "numbers/killed")
        first.post("/start/killed")
        hears(page)
        page.run("""
          window.plain = finch.call("hold", "plain").catch((error) => error.code);
          window.again = finch.call("hold", "again", { retry: true });
        """)
        wait_for(first, lambda it: it.report()["runs"] == {"plain": 1, "again": 1})
        first.process.signal(signal.SIGKILL)
        assert page.run("return await plain") == "disconnected"
        page.run("finch.send('note', 'meanwhile')")
        before = heard_in(page, "numbers/killed")

        with serving() as second:
            second.post("/send/numbers/killed/3")  # nobody hears these
            relay.lead_to(second.url)
            comes_back(page)
            second.post("/start/killed")
            hears(page)
            last = second.post("/stop/killed")
            heard = up_to(page, "numbers/killed", last)
            second.post("/release/again")
            assert page.run("return await again") == "again held"
            assert second.report()["seen"] == ["meanwhile"]
            assert second.report()["runs"] == {"again": 1}
            page.run("finch.close()")

    for sender, number in enumerate(last):
        old = [one[1] for one in before if one[0] == sender]
        assert old == list(range(1, len(old) + 1))
        new = [one[1] for one in heard[len(before) + 1 :] if one[0] == sender]
        assert new == list(range(4 if sender == 0 else 1, number + 1))
    assert heard[: len(before) + 1] == [*before, "gap"]
    assert heard.count("gap") == 1
    gaps = {one[1] for one in page.run("return heard") if one[0] == "gap"}
    assert gaps == {"numbers/killed", "finch.everyone", "finch.user"}
    assert page.run("return joins.map(({ recovered }) => recovered)") == [False, False]


def test_a_history_that_is_long_enough_and_one_that_is_not(page, server, relay):
    page.run(LISTEN, "short/edge")
    server.post("/send/short/edge/1")
    with away(page, relay):
        server.post("/send/short/edge/5")  # as many as are kept
    with away(page, relay):
        server.post("/send/short/edge/6")
    server.post("/send/short/edge/1")
    heard = up_to(page, "short/edge", [13])
    assert heard == [*((0, number) for number in range(1, 7)), "gap", (0, 13)]
    assert page.run("return joins.slice(1)") == [
        {"recovered": True, "missed": 5},
        {"recovered": False, "missed": 0},
    ]


def test_a_room_without_history_has_a_gap_after_each_cut(page, server, relay):
    page.run(LISTEN, "plain/room")
    server.post("/send/plain/room/1")
    page.until("heard.length")
    with away(page, relay):
        server.post("/send/plain/room/1")
    server.post("/send/plain/room/1")
    assert up_to(page, "plain/room", [3]) == [(0, 1), "gap", (0, 3)]


def test_messages_to_everyone_and_to_a_user_are_not_missed_either(page, server, relay):
    page.run(LISTEN, "numbers/people")
    for audience in ("everyone/people", "user/reader"):
        server.post(f"/send/{audience}/1")
    with away(page, relay):
        server.post("/send/user/reader/20")  # as many as are kept
        server.post("/send/everyone/people/21")
    for audience in ("everyone/people", "user/reader"):
        server.post(f"/send/{audience}/1")
    assert up_to(page, "finch.user", [22]) == [(0, number) for number in range(1, 23)]
    assert up_to(page, "finch.everyone", [23]) == [(0, 1), "gap", (0, 23)]
