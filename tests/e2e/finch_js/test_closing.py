"""Who a client is, and whether it comes back after a close."""

import pytest

from tests.e2e.finch_js.page import BOTH

pytestmark = BOTH


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
            states.push(detail?.code ? [state, detail.code, detail.reason] : [state]));
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
