"""The application that the browser tests of finch.js are about, and its page.

    python -m finch tests.e2e.finch_js.app:app

What the tests steer is HTTP (``/start``, ``/stop``, ``/release``, ...), so that it goes on working
if the sockets of the page do not.
"""

import os
from collections import Counter, defaultdict

import trio

from finch import (
    CallFailed,
    EventStream,
    FinchApp,
    History,
    HTTPError,
    Identity,
    Limits,
    Response,
    ServerEvent,
    SocketManager,
)

SENDERS = 4
SHORT = 5  # messages that a room short/... keeps

# pause: a factor for the pauses before reconnects, which are random; faster: so much faster do the
# page's timers run. They are set before the client begins. transport: what it connects with.
PAGE = """<!doctype html>
<html lang="en">
<title>finch.js</title>
<link rel="icon" href="data:,">
<script>
  const query = new URLSearchParams(location.search);
  const later = setTimeout;
  Math.random = () => Number(query.get("pause") ?? 0.002);
  window.setTimeout = (run, delay) => later(run, delay / Number(query.get("faster") ?? 1));

  // what a call came to: its data, or what is known of its error
  window.outcome = (call) => call.then(
    (data) => ({ data }),
    ({ name, code, status, message }) => ({ name, code, status, message }),
  );
</script>
<script type="module">
  import * as Finch from "/finch.js";
  const transport = query.get("transport") ?? "auto";
  const connect = (url, options) => Finch.connect(url, { transport, ...options });
  Object.assign(window, Finch, { connect });
</script>
"""

app = FinchApp(
    allowed_origins=os.environ.get("ORIGINS", "").split(),
    limits=Limits(max_outbox=64 * 1024),
)
manager = SocketManager(app, history=History(messages=20), user_history=History(messages=20))

tokens = []  # of all handshakes, in order
asleep = []  # data of the calls of "sleep" that have not ended
ended = []  # data of the calls of "count" that have ended
seen = []  # data of the messages on path "note"
runs = Counter()  # how often a call was handled, by its data
held = defaultdict(trio.Event)  # what calls of "hold" wait for
sending = set()  # rooms that are being sent to
sent = defaultdict(lambda: [0] * SENDERS)  # the last number of each sender, by room


# Who is there


@app.authorize
async def authorize(request):
    token = request.query.get("token")
    tokens.append(token)
    if token == "unknown":
        raise HTTPError(401, "log in first")
    return token and token.partition("-")[0]


@app.renew
async def renew(socket, data):
    if data != "good":
        raise HTTPError(401, "log in first")
    return Identity(socket.user_id, expires_at=4102444800.0)


@app.on_connect
async def on_connect(socket):
    if socket.request.query.get("token") == "banned":
        raise HTTPError(403, "you are banned")
    await socket.send({"message": "welcome"}, path="connected")


@app.post("/close/{user}/{code:int}")
async def close(request, user, code):
    return {"closed": await app.user(user).close(code, f"by the test: {code}")}


# Messages and calls


@app.socket("time")
async def tell_time(socket, data):
    await socket.send("noon", path="output")


@app.socket("echo")
async def echo(socket, data):
    await socket.send(data, path="echoed")


@app.socket("sum")
async def add(socket, data: list[int]):
    return sum(data)


@app.socket("note")
async def note(socket, data):
    seen.append(data)


@app.socket("me")
async def me(socket, data):
    return {"user": socket.user_id, "token": socket.request.query.get("token")}


@app.socket("count", concurrent=True)
async def count(socket, data: int):
    """So many items. Below zero there is no end, and nothing after the third."""
    try:
        for number in range(data if data >= 0 else 3):
            yield number
        if data < 0:
            await trio.sleep_forever()
    finally:
        ended.append(data)


@app.socket("sleep", concurrent=True)
async def sleep(socket, data):
    asleep.append(data)
    try:
        await socket.send(data, path="asleep")
        await trio.sleep_forever()
    finally:
        asleep.remove(data)


@app.socket("hold", concurrent=True)
async def hold(socket, data):
    """A call that the test lets go."""
    runs[data] += 1
    await held[data].wait()
    return f"{data} held"


@app.socket("pay")
async def pay(socket, data: int):
    runs[data] += 1
    return 2 * data


@app.socket("large")
async def large(socket, data: int):
    return "x" * data


@app.socket("ask")
async def ask(socket, data):
    """What the client answers to this question."""
    try:
        return await socket.call(data, path="question")
    except CallFailed as error:
        return {"status": error.status, "data": error.data}


# Rooms

numbers = app.rooms("numbers/{name}", history=History(messages=20_000))
short = app.rooms("short/{name}", history=History(messages=SHORT))
app.rooms("plain/{name}")
chat = app.rooms("chat/{name}", history=History(messages=100), presence=True, grace=0.1)


@chat.on_join
async def may_join(socket, name, meta):
    if name == "staff":
        raise HTTPError(403, "staff only")
    return meta


@chat.socket("say")
async def say(socket, data, room):
    sent = await room.send({"from": socket.user_id, "text": data}, path="said")
    return sent.seq


@chat.socket("spell")
async def spell(socket, data: str, room):
    for letter in data:
        yield letter


@chat.socket("typing")
async def typing(socket, data, room):
    await room.send(socket.user_id, path="typing", volatile=True, skip=socket)


# What the test asks for


@app.get("/")
async def page(request):
    return Response(PAGE, content_type="text/html; charset=utf-8")


@app.get("/events")
async def events(request):
    """Two events, each with the id that follows the last one; then the stream ends."""

    async def two():
        number = int(request.last_event_id or 0)
        for id in (number + 1, number + 2):
            yield ServerEvent(f"event\n{id}", event="tick", id=id, retry=1)

    return EventStream(two())


@app.get("/report")
async def report(request):
    return {"tokens": tokens, "asleep": asleep, "ended": ended, "seen": seen, "runs": runs}


@app.post("/release/{name}")
async def release(request, name):
    held[name].set()


@app.post("/send/{kind}/{name}/{count:int}")
async def send(request, kind, name, count):
    """Send so many numbers to a room, a user or everyone, at once."""
    audiences = {"user": lambda: app.user(name), "everyone": lambda: app.everyone}
    audience = audiences.get(kind, lambda: app.room(f"{kind}/{name}"))()
    size = int(request.query.get("size", "0"))
    for _ in range(count):
        sent[kind, name][0] += 1
        await audience.send([0, sent[kind, name][0], "x" * size], path="number")


@app.post("/start/{name}")
async def start(request, name):
    """Begin to send numbers to numbers/NAME."""
    sending.add(name)
    for sender in range(SENDERS):
        app.background_task(number, name, sender)


async def number(name, sender):
    room, counts = app.room(f"numbers/{name}"), sent["numbers", name]
    while name in sending:
        counts[sender] += 1
        await room.send([sender, counts[sender]], path="number")
        await trio.sleep(0.008)


@app.post("/stop/{name}")
async def stop(request, name):
    """Stop it; the last number of each sender."""
    sending.discard(name)
    return sent["numbers", name]
