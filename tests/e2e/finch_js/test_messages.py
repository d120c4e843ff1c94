"""Messages, calls and streamed answers, both ways; and pages that use finch.js in other ways."""

from tests.e2e.browsing import run_script, wait_for
from tests.e2e.finch_js.page import BOTH
from tests.e2e.test_browser import SEED, SEED_SEND

pytestmark = BOTH


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
      await new Promise((done) => finch.on("asleep", done));
      taken.abort(new RangeError("no longer needed"));
      const late = await outcome(finch.call("sleep", "late", { timeout: 100 }));
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
    wait_for(server, lambda it: it.report()["asleep"] == [])


def test_a_stream_comes_item_by_item_and_to_leave_it_cancels_its_handler(page, server):
    said = page.run("""
      window.finch = connect("/ws");
      const all = [], some = [], plain = [];
      for await (const item of finch.stream("count", 4)) all.push(item);
      for await (const item of finch.stream("sum", [1, 2])) plain.push(item);
      for await (const item of finch.stream("count", -1)) {
        some.push(item);
        if (item === 2) break;  // or else it would wait for ever
      }
      const control = new AbortController();
      const left = (async () => {
        for await (const item of finch.stream("count", -2, { signal: control.signal }))
          if (item === 2) control.abort();
      })();
      return { all, plain, some, left: await outcome(left) };
    """)
    assert said["all"] == [0, 1, 2, 3]
    assert said["plain"] == [3]
    assert said["some"] == [0, 1, 2]
    assert said["left"]["name"] == "AbortError"
    wait_for(server, lambda it: {-1, -2} <= set(it.report()["ended"]))


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


def test_the_classic_script_is_the_same_client(page):
    said = page.run("""
      const script = Object.assign(document.createElement("script"), { src: "/finch.global.js" });
      await new Promise((done) => { script.onload = done; document.head.append(script); });
      window.finch = Finch.connect("/ws");
      return [await finch.call("sum", [1, 2]), typeof Finch.FinchError];
    """)
    assert said == [3, "function"]


def test_a_page_of_another_origin_imports_it_and_connects(page, server, elsewhere, transport):
    use = """
      const { connect } = await import(`${args[0]}/finch.js`);
      const transport = args[1];
      window.finch = connect(`${args[0]}/ws`, { transport });  // http, as the page knows it
      return await Promise.race([
        finch.call("sum", [1, 2]),
        new Promise((done) => finch.addEventListener("waiting", ({ detail }) => done(detail.code))),
      ]);
    """
    page.open(elsewhere)
    assert page.run("return location.origin") == elsewhere
    assert page.run(use, server.url, transport) == 3
    # localhost is another origin than 127.0.0.1, and one that the application does not allow
    page.open(elsewhere.replace("127.0.0.1", "localhost"))
    assert page.run(use, server.url, transport) == 1006


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
