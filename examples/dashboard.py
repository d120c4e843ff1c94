"""A dashboard: a hundred live series, twenty values a second each, on any network.

Run it with: python -m finch dashboard:app

Values are volatile, with the series as their key: a browser that cannot keep up gets the newest
value of each series, instead of a queue of old ones.
"""

from pathlib import Path
from random import Random

import trio

from finch import FinchApp, HTMLResponse

SERIES = [f"{row}{column}" for row in "ABCDEFGHIJ" for column in range(10)]
PER_SECOND = 20  # values of each series
GROUPS = 5  # a fifth of the series changes at a time, so that the load is even

page = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
app = FinchApp()
board = app.rooms("board")


@app.get("/")
async def index(request):
    return HTMLResponse(page)


@board.socket("series")
async def series(socket, data):
    return SERIES


@board.task  # it runs as long as somebody looks
async def measure(room):
    walks = [walk(Random(name)) for name in SERIES]
    pause = 1 / (PER_SECOND * GROUPS)
    due = trio.current_time()
    while True:
        for group in range(GROUPS):
            for number in range(group, len(SERIES), GROUPS):
                value = [number, next(walks[number])]
                await room.send(value, path="value", volatile=True, key=str(number))
            due = max(due + pause, trio.current_time())  # after a hiccup, no rush to catch up
            await trio.sleep_until(due)


def walk(random):
    """A value between 0 and 100 that wanders about its home, which moves now and then."""
    value = home = random.uniform(15, 85)
    speed = 0.0
    while True:
        yield round(value, 1)
        if random.random() < 0.005:
            home = random.uniform(15, 85)
        speed = 0.85 * speed + 0.02 * (home - value) + random.gauss(0, 0.9)
        value = min(max(value + speed, 0), 100)
