"""Rooms, who is in them, and where a page begins to read them."""

from tests.e2e.finch_js.page import BOTH

pytestmark = BOTH


def test_a_room_is_joined_spoken_to_and_left(page):
    said = page.run("""
      window.ann = connect("/ws", { token: () => "ann" });
      window.bob = connect("/ws", { token: async () => "bob" });
      const heard = [], changes = [], misc = {};
      const hers = ann.join("chat/one", { meta: { mood: "good" } });
      misc.state = hers.state;
      misc.joined = await hers.joined;
      misc.numbers = [await hers.call("say", "one"), await hers.call("say", "two")];

      const his = bob.join("chat/one", { last: 1, meta: "Bob" });
      misc.same = his === bob.join("chat/one");
      his.on("said", ({ from, text }, { seq }) => heard.push([from, text, seq]));
      bob.on("said", () => heard.push("the room has a handler of its own"));
      misc.late = await his.joined;
      misc.here = [...his.presence].map(({ user, meta }) => [user, meta]);
      misc.count = his.presence.count;
      misc.letters = await Array.fromAsync(his.stream("spell", "abc"));

      const typed = new Promise((done) => his.on("typing", (user, { seq }) => done([user, seq])));
      misc.volatile = hers.send("typing", null, { volatile: true });
      misc.typing = await typed;

      await Promise.all([
        new Promise((done) => his.on("said", ({ text }) => text === "bye" && done())),
        new Promise((done) => hers.on("said", ({ text }) => text === "bye" && done())),
        hers.send("say", "bye"),
      ]);
      misc.position = his.position.split(":")[1];
      const left = new Promise((done) => his.addEventListener("left", done));
      his.leave();
      await left;
      misc.outside = await outcome(his.call("say", "not in it"));
      await hers.call("say", "he does not hear it");
      await bob.call("me");
      return { heard, ...misc, left: his.state };
    """)
    assert said["state"] == "joining"
    assert said["joined"] == {"recovered": False, "missed": 0}
    assert said["numbers"] == [1, 2]
    assert said["same"]
    assert said["late"] == {"recovered": False, "missed": 1}
    assert said["here"] == [["ann", {"mood": "good"}], ["bob", "Bob"]]
    assert said["count"] == 2
    assert said["letters"] == ["a", "b", "c"]
    assert said["volatile"]
    assert said["typing"] == ["ann", None]
    assert said["heard"] == [["ann", "two", 2], ["ann", "bye", 3]]
    assert said["position"] == "3"
    assert said["outside"]["status"] == 403
    assert said["left"] == "left"


def test_presence_tells_who_comes_and_who_goes(page):
    said = page.run("""
      window.ann = connect("/ws", { token: () => "ann" });
      const here = ann.join("chat/presence").presence;
      const users = (people) => [...people].map(({ user }) => user);
      const told = [];
      // his coming may be told together with hers, so only he is looked for
      const until = (count) => new Promise((done) => {
        const off = here.on("change", (people, { joins, leaves }) => {
          if (here.count !== count) return;
          told.push([users(people), ...[joins, leaves].map((list) => users(list).includes("bob"))]);
          done(off());
        });
      });
      await until(1);
      const two = until(2);
      window.bob = connect("/ws", { token: () => "bob" });
      const his = bob.join("chat/presence");
      await two;
      const one = until(1);
      his.leave();
      await one;
      return { told, at_last: users(here) };
    """)
    assert said["told"] == [
        [["ann"], False, False],
        [["ann", "bob"], True, False],
        [["ann"], False, True],
    ]
    assert said["at_last"] == ["ann"]


def test_a_room_that_refuses_says_why(page):
    said = page.run("""
      window.finch = connect("/ws");
      const staff = finch.join("chat/staff");
      const refused = new Promise((done) =>
        staff.addEventListener("refused", ({ detail }) => done(detail.status)));
      return {
        staff: await outcome(staff.joined),
        event: await refused,
        state: staff.state,
        none: await outcome(finch.join("no/such/room").joined),
      };
    """)
    assert (said["staff"]["status"], said["staff"]["message"]) == (403, "staff only")
    assert said["event"] == 403
    assert said["state"] == "refused"
    assert said["none"]["status"] == 404


def test_after_a_reload_a_session_goes_on_where_it_was(page, server, relay):
    """Nothing is shown twice, nothing is left out; without ``since: "session"``, it begins anew."""
    join = """
      window.heard = [];
      window.finch = connect("/ws", { since: args[0], token: () => "reload" });
      window.room = finch.join("numbers/reload", { last: 1 });
      for (const it of [room, finch]) {
        it.on("number", ([, number], { room }) => heard.push(`${room} ${number}`));
        it.addEventListener("gap", () => heard.push("gap"));
      }
      return await room.joined;
    """

    def send(count):
        for audience in ("numbers/reload", "user/reload", "everyone/reload"):
            server.post(f"/send/{audience}/{count}")

    def lines(*numbers):
        audiences = ("numbers/reload", "finch.user", "finch.everyone")
        return sorted(f"{name} {number}" for name in audiences for number in numbers)

    page.run(join, "session")
    send(2)
    page.until("heard.length === 6")
    page.open("data:text/html,elsewhere")
    send(2)
    page.open(relay.url)
    assert page.run(join, "session") == {"recovered": True, "missed": 2}
    send(1)
    page.until("heard.length >= 9")
    assert sorted(page.run("return heard")) == lines(3, 4, 5)

    page.open(relay.url)
    assert page.run(join, "memory") == {"recovered": False, "missed": 1}
    send(1)
    page.until("heard.length >= 4")
    assert sorted(page.run("return heard")) == sorted([*lines(6), "numbers/reload 5"])


def test_a_position_that_the_page_was_rendered_with_is_where_a_room_begins(page, server):
    server.post("/send/numbers/rendered/3")
    said = page.run("""
      window.finch = connect("/ws");
      const all = finch.join("numbers/rendered");
      await all.joined;
      const { position } = all;
      all.leave();
      const heard = [];
      const since = position.replace(/\\d+$/, "1");
      const room = finch.join("numbers/rendered", { since });
      room.on("number", ([, number]) => heard.push(number));
      room.addEventListener("gap", () => heard.push("gap"));
      const known = await room.joined;
      await finch.call("me");
      return { known, heard };
    """)
    assert said == {"known": {"recovered": True, "missed": 2}, "heard": [2, 3]}
