/** The two files that are shipped: what is true of the sources is true of them. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { runInNewContext } from "node:vm";

import * as shipped from "../../finch/static/finch.js";
import { FakeWebSocket, settled } from "./fakes.js";

const SCRIPT = readFileSync(new URL("../../finch/static/finch.global.js", import.meta.url), "utf-8");

/** What a classic script gets: no modules, and the globals of a page. */
function globalBuild() {
  const page = { EventTarget, CustomEvent, AbortController, URL, crypto, setTimeout, clearTimeout, console };
  runInNewContext(SCRIPT, page);
  return page.Finch;
}

for (const [name, Finch] of [["the module", shipped], ["the classic script", globalBuild()]]) {
  test(`${name} has the public names, and no others`, () => {
    assert.deepEqual(Object.keys(Finch).sort(), ["FinchError", "connect"]);
    assert.equal(Finch.FinchError.name, "FinchError");
  });

  test(`${name} calls, joins, hears, and comes back`, async (t) => {
    class Socket extends FakeWebSocket {
      static all = [];
    }
    const finch = Finch.connect("ws://finch/ws", { WebSocket: Socket });
    t.after(() => finch.close());
    const socket = Socket.all[0].accept();
    const sum = finch.call("sum", [1, 2]);
    socket.answers(socket.hears(), 3);
    assert.equal(await sum, 3);
    const error = finch.call("teapot").catch((error) => error);
    socket.refuses(socket.hears(), 418, "no");
    assert.ok((await error) instanceof Finch.FinchError);
    assert.equal(String(await error), "FinchError: no");

    const room = finch.join("chat/lobby");
    const said = [];
    room.on("said", (data) => said.push(data));
    room.presence.on("change", (people) => said.push(people.length));
    socket.admits(socket.hears(), { presence: [{ user: "ann" }], count: 1 }, { seq: 0, epoch: "E" });
    socket.says("said", "hello", { room: "chat/lobby", seq: 1 });
    assert.deepEqual(said, [1, "hello"]);
    const stream = finch.stream("endless");
    const first = stream.next();
    socket.cut();
    await assert.rejects(first, { code: "disconnected" });
    finch.open();
    assert.equal(Socket.all[1].accept().hears().since, "E:1");
    await settled();
  });
}

test("both begin with a line that says what they are", () => {
  const module = readFileSync(new URL("../../finch/static/finch.js", import.meta.url), "utf-8");
  for (const text of [module, SCRIPT]) assert.match(text, /^\/\*! finch\.js \d+\.\d+\.\d+ \| MIT license \*\/\n/);
});
