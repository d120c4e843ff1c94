"""finch.js in a real browser: everything that it can do, on a network without faults."""

from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.e2e.finch_js import Page, serving
from tests.e2e.test_browser import SEED, SEED_SEND, chromium, run_script, wait_for

# What a call came to: its data, or what is known of its error
OUTCOME = """
window.outcome = (call) => call.then(
  (data) => ({ data }),
  ({ name, code, status, message }) => ({ name, code, status, message }),
);
"""


class Elsewhere(SimpleHTTPRequestHandler):
    """A page of another framework: its server is not Finch."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b'<!doctype html><title>elsewhere</title><link rel="icon" href="data:,">')

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def elsewhere():
    """The origin of another site."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(elsewhere):
    with serving(ORIGINS=elsewhere) as process:
        yield process


@pytest.fixture(scope="module")
def driver(server, tmp_path_factory):
    port = server.url.rpartition(":")[2]
    rule = f"--host-resolver-rules=MAP localhost:8080 127.0.0.1:{port}"  # the seed has another port
    with chromium(tmp_path_factory.mktemp("chromium"), rule) as driver:
        yield driver


@pytest.fixture
def page(driver, server):
    page = Page(driver)
    page.open(server.url)
    page.run(OUTCOME)
    return page


def test_messages_go_both_ways_and_a_path_may_have_several_handlers(page):
    said = page.run("""
      window.finch = connect("/ws");
      const states = [finch.state];
      for (const state of ["connecting", "open", "waiting", "closed"])
        finch.addEventListener(state, () => states.push(state));
      const heard = [];
      await new Promise((done) => {
        const off = finch.on("echoed", (data) => heard.push(["first", data]));
        finch.on("echoed", () => { throw new Error("only the console hears of it"); });
        finch.on("echoed", (data, message) => {
          heard.push(["second", data, message.path, message.status]);
          off();
          if (data === "two") done();
        });
        finch.send("echo", { one: 1 });  // waits for the connection
        finch.addEventListener("open", () => finch.send("echo", "two"));
      });
      finch.close();
      return { heard, states, state: finch.state };
    """)
    assert said["heard"] == [
        ["first", {"one": 1}],
        ["second", {"one": 1}, "echoed", 200],
        ["second", "two", "echoed", 200],
    ]
    assert said["states"] == ["connecting", "open", "closed"]
    assert said["state"] == "closed"


def test_calls_are_answered_refused_late_or_taken_back(page, server):
    said = page.run("""
      window.finch = connect("/ws");
      const taken = new AbortController();
      const sleeps = finch.call("sleep", "aborted", { signal: taken.signal });
      const late = await outcome(finch.call("sleep", "late", { timeout: 20 }));
      taken.abort(new RangeError("no longer needed"));
      return {
        sum: await finch.call("sum", [1, 2, 3]),
        list: await finch.call("count", 3),
        wrong: await outcome(finch.call("sum", ["one"])),
        nobody: await outcome(finch.call("nobody")),
        late,
        aborted: await outcome(sleeps),
        at_once: await outcome(finch.call("sleep", "never", { signal: AbortSignal.abort() })),
        instance: await finch.call("nobody").catch((error) => error instanceof FinchError),
      };
    """)
    assert said["sum"] == 6
    assert said["list"] == [0, 1, 2]
    assert (said["wrong"]["name"], said["wrong"]["code"]) == ("FinchError", "refused")
    assert said["wrong"]["status"] == 422
    assert said["nobody"]["status"] == 404
    assert (said["late"]["code"], said["late"]["status"]) == ("timeout", 0)
    assert said["aborted"]["name"] == "RangeError"
    assert said["at_once"]["name"] == "AbortError"
    assert said["instance"]
    # on the server, too, nobody sleeps any longer
    wait_for(server, lambda it: {"late", "aborted"} <= set(it.report()["ended"]))
    assert "never" not in server.report()["ended"]


def test_a_stream_comes_item_by_item_and_to_leave_it_cancels_its_handler(page, server):
    said = page.run("""
      window.finch = connect("/ws");
      const all = [], some = [], plain = [];
      for await (const item of finch.stream("count", 4)) all.push(item);
      for await (const item of finch.stream("sum", [1, 2])) plain.push(item);
      for await (const item of finch.stream("count", 0)) {
        some.push(item);
        if (item === 2) break;  // or else it would wait for ever
      }
      const control = new AbortController();
      const left = (async () => {
        for await (const item of finch.stream("count", 0, { signal: control.signal }))
          if (item === 2) control.abort();
      })();
      return { all, plain, some, left: await outcome(left) };
    """)
    assert said["all"] == [0, 1, 2, 3]
    assert said["plain"] == [3]
    assert said["some"] == [0, 1, 2]
    assert said["left"]["name"] == "AbortError"
    # the counts of this test, and the one of the test before
    wait_for(server, lambda it: it.report()["ended"].count("count") >= 3)


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


def test_the_server_asks_and_the_page_answers(page):
    said = page.run("""
      window.finch = connect("/ws");
      const ask = (question) => finch.call("ask", question);
      const nobody = await ask("Who?");
      const off = finch.answer("question", async (data, { signal, message }) => {
        if (data === "Which error?") throw new FinchError(409, "busy");
        if (data === "Which fault?") throw new Error("a fault of this test");
        return [data, signal.aborted, message.path];
      });
      const answers = [];
      for (const question of ["Sure?", "Which error?", "Which fault?"])
        answers.push(await ask(question));
      off();
      return { nobody, answers, off: await ask("And now?") };
    """)
    assert said["nobody"]["status"] == said["off"]["status"] == 404
    assert said["answers"][0] == ["Sure?", False, "question"]
    assert said["answers"][1] == {"status": 409, "data": "busy"}
    assert said["answers"][2]["status"] == 500


def test_an_identity_is_renewed(page):
    said = page.run("""
      window.finch = connect("/ws", { token: () => "ann" });
      return {
        good: await outcome(finch.auth("good")),
        bad: await outcome(finch.auth("bad")),
        me: await finch.call("me"),
      };
    """)
    assert said["good"]["data"] == {"expires_at": 4102444800.0}
    assert said["bad"]["status"] == 401
    assert said["me"]["user"] == "ann"


def test_a_token_is_asked_for_again_before_each_attempt(page, server):
    page.run("""
      window.asked = 0;
      window.states = [];
      window.finch = connect("/ws", { token: async () => {
        asked++;
        if (asked === 2) throw new Error("the token's server is away");
        return asked === 3 ? "unknown" : `token${asked}-${asked}`;
      } });
      finch.addEventListener("waiting", ({ detail }) => states.push(detail.code));
      await finch.call("me");
    """)
    assert server.post("/close/token1/4401") == {"closed": 1}
    me = page.run("""
      await new Promise((done) => finch.addEventListener("open", done));
      return { ...(await finch.call("me")), asked, states };
    """)
    # after the 4401, the second attempt had no token, and the third was refused with a 401
    assert me == {
        "user": "token4",
        "token": "token4-4",
        "asked": 4,
        "states": [4401, 1006, 1006],
    }


@pytest.mark.parametrize(
    ("code", "state"),
    [(1000, "closed"), (1008, "closed"), (4500, "closed"), (1012, "open"), (4000, "open")],
)
def test_a_close_code_says_whether_to_come_back(page, server, code, state):
    page.run(
        """
        window.finch = connect("/ws", { token: () => args[0] });
        window.states = [];
        await finch.call("me");
        for (const state of ["waiting", "connecting", "open", "closed"])
          finch.addEventListener(state, ({ detail }) =>
            states.push(detail ? [state, detail.code, detail.reason] : [state]));
        """,
        f"closed{code}",
    )
    assert server.post(f"/close/closed{code}/{code}") == {"closed": 1}
    page.until("states.length && ['open', 'closed'].includes(states.at(-1)[0])")
    why = [code, f"by the test: {code}"]
    if state == "open":
        assert page.run("return states") == [["waiting", *why], ["connecting"], ["open"]]
        return
    assert page.run("return states") == [["closed", *why]]
    again = page.run("""
      const call = await outcome(finch.call("me"));
      const sent = finch.send("note", "not sent");
      finch.open();
      return [call.code, sent, (await finch.call("me")).user];
    """)
    assert again == ["closed", False, f"closed{code}"]


def test_who_is_refused_in_on_connect_stays_away(page, server):
    said = page.run("""
      window.finch = connect("/ws", { token: () => "banned" });
      const said = [];
      finch.on("error", (data) => said.push(data.message));
      await new Promise((done) => finch.addEventListener("closed", ({ detail }) => {
        said.push(detail.code);
        done();
      }));
      return said;
    """)
    assert said == ["you are banned", 1008]
    assert server.report()["tokens"].count("banned") == 1


def test_after_a_reload_a_session_goes_on_where_it_was(page, server):
    """Nothing is shown twice, nothing is left out; without ``since: "session"``, it begins anew."""
    join = """
      window.heard = [];
      window.finch = connect("/ws", { since: args[0], token: () => "reader" });
      window.room = finch.join("numbers/reload", { last: 1 });
      for (const it of [room, finch]) {
        it.on("number", ([, number], { room }) => heard.push(`${room} ${number}`));
        it.addEventListener("gap", () => heard.push("gap"));
      }
      return await room.joined;
    """

    def send(count):
        for audience in ("numbers/reload", "user/reader", "everyone/all"):
            server.post(f"/send/{audience}/{count}")

    def lines(*numbers):
        audiences = ("numbers/reload", "finch.user", "finch.everyone")
        return sorted(f"{name} {number}" for name in audiences for number in numbers)

    page.run(join, "session")
    send(2)
    page.until("heard.length === 6")
    page.open("data:text/html,elsewhere")
    send(2)
    page.open(server.url)
    assert page.run(join, "session") == {"recovered": True, "missed": 2}
    send(1)
    page.until("heard.length >= 9")
    assert sorted(page.run("return heard")) == lines(3, 4, 5)

    page.open(server.url)
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


def test_the_classic_script_is_the_same_client(page):
    said = page.run("""
      const script = Object.assign(document.createElement("script"), { src: "/finch.global.js" });
      await new Promise((done) => { script.onload = done; document.head.append(script); });
      window.finch = Finch.connect("/ws");
      return [await finch.call("sum", [1, 2]), typeof Finch.FinchError];
    """)
    assert said == [3, "function"]


def test_a_page_of_another_origin_imports_it_and_connects(page, server, elsewhere):
    use = """
      const { connect } = await import(`${args[0]}/finch.js`);
      window.finch = connect(`${args[0]}/ws`);  // http, as the page knows it
      return await Promise.race([
        finch.call("sum", [1, 2]),
        new Promise((done) => finch.addEventListener("waiting", ({ detail }) => done(detail.code))),
      ]);
    """
    page.open(elsewhere)
    assert page.run("return location.origin") == elsewhere
    assert page.run(use, server.url) == 3
    # localhost is another origin than 127.0.0.1, and one that the application does not allow
    page.open(elsewhere.replace("127.0.0.1", "localhost"))
    assert page.run(use, server.url) == 1006


def test_the_seeds_javascript_runs_on_the_same_page(page):
    page.open("http://localhost:8080")
    run_script(page.driver, "const said = []; console.log = (...all) => said.push(all.join(' '));")
    run_script(page.driver, SEED)
    page.until("said.length === 2")
    page.run("""
      window.finch = connect("/ws");
      finch.on("output", (data) => said.push(`finch.js: ${data}`));
      await finch.call("me");
    """)
    run_script(page.driver, SEED_SEND)
    page.until("said.length === 3")
    page.run("""
      finch.send("time");
      await finch.call("me");
    """)
    assert page.run("return said") == [
        "Connected",
        "Server says: welcome",
        "Output: noon",
        "finch.js: noon",
    ]
