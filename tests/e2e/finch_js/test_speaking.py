"""What a page says while its network is bad: it is handled once, later, or the page is told."""

import random

from tests.e2e.browsing import wait_for
from tests.e2e.finch_js.page import BOTH
from tests.e2e.finch_js.story import FASTER, LISTEN, away

pytestmark = BOTH


def test_a_call_that_is_cut_in_the_middle_is_answered_and_handled_once(page, server, relay):
    page.run(LISTEN, "numbers/once")
    page.run("window.held = finch.call('hold', 'once', { retry: true })")
    wait_for(server, lambda it: it.report()["runs"].get("once"))
    for _ in range(2):
        with away(page, relay):
            pass
    server.post("/release/once")
    assert page.run("return await held") == "once held"
    assert server.report()["runs"]["once"] == 1


def test_calls_with_retry_are_handled_once_wherever_they_are_cut(page, server, relay):
    page.run(LISTEN, "numbers/paid")
    page.run("""
      window.answers = [];
      let last = 0;
      const payer = async () => {
        while (!window.enough) {
          const number = ++last;
          answers.push([number, await finch.call("pay", number, { retry: true })]);
        }
      };
      window.payers = Promise.all([payer(), payer(), payer(), payer()]);
    """)
    for seed in range(12):
        dice = random.Random(seed)
        relay.cut_after(dice.choice(["up", "down"]), dice.randrange(1500))
        wait_for(relay, lambda it, cuts=seed + 1: it.cuts == cuts)
    answers = page.run("window.enough = true; await payers; return answers")
    assert sorted(answers) == [[number, 2 * number] for number in range(1, len(answers) + 1)]
    runs = server.report()["runs"]
    assert {runs[str(number)] for number, _ in answers} == {1}


def test_what_is_sent_while_away_is_sent_later_and_in_order(page, server, relay):
    page.run(LISTEN, "chat/away")
    with away(page, relay):
        said = page.run("""
          window.dropped = [];
          finch.addEventListener("dropped", ({ detail }) => dropped.push(detail));
          window.sum = finch.call("sum", [1, 2]);
          window.said = room.call("say", "I was away");
          const sent = [];
          for (let number = 1; number <= 63; number++) sent.push(finch.send("note", ["q", number]));
          return {
            sent,
            volatile: finch.send("note", "volatile", { volatile: true }),
            call: await finch.call("sum", [1]).catch((error) => error.code),
            dropped,
          };
        """)
    assert said["sent"] == [True] * 62 + [False]
    assert not said["volatile"]
    assert said["call"] == "unsent"
    assert said["dropped"] == [
        {"path": "note", "data": ["q", 63], "reason": "full", "room": None},
        {"path": "sum", "data": [1], "reason": "full", "room": None},
    ]
    assert page.run("return [await sum, await said]") == [3, 1]
    page.run("await finch.call('me')")  # now the server has handled all that came before
    seen = [data for data in server.report()["seen"] if data[0] == "q" or data == "volatile"]
    assert seen == [["q", number] for number in range(1, 63)]


def test_what_waits_too_long_is_dropped(page, server, relay):
    page.open(relay.url, faster=40 * FASTER)
    page.run(LISTEN, "numbers/old")
    with away(page, relay):
        said = page.run("""
          const dropped = new Promise((done) =>
            finch.addEventListener("dropped", ({ detail }) => done(detail)));
          const sent = finch.send("note", "too old");
          const call = finch.call("note", "old").catch((error) => error.code);
          return [sent, await dropped, await call];
        """)
    assert said == [
        True,
        {"path": "note", "data": "too old", "reason": "old", "room": None},
        "unsent",
    ]
    page.run("await finch.call('note', 'new')")
    assert [data for data in server.report()["seen"] if data in ("old", "old call", "new")] == [
        "new"
    ]
