"""A game: up to eight birds and a magpie race for seeds. A garden is a room with a task of its own.

Run it with: python -m finch game:app
Then open the page twice. The address with #oak at its end is another garden.
"""

from itertools import combinations
from pathlib import Path
from random import random, uniform
from typing import Annotated

import trio
from msgspec import Meta, Struct

from finch import FinchApp, HTMLResponse, HTTPError

TICK = 1 / 30  # seconds between two pictures
PLAYERS, SEEDS, GOAL = 8, 10, 20  # at most; in a garden, which is 1000 by 1000; to win

page = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
app = FinchApp()
gardens = app.rooms("garden/{name}")


class Steer(Struct):
    x: Annotated[float, Meta(ge=-1, le=1)] = 0
    y: Annotated[float, Meta(ge=-1, le=1)] = 0
    number: int = 0  # comes back in the picture, so that the page can tell its delay


class Bird:
    def __init__(self, kind):
        self.kind, self.score, self.steer = kind, 0, Steer()
        self.at, self.speed = somewhere(), 0j  # complex numbers: x + yj

    def fly(self):
        self.speed = 0.93 * self.speed + 50 * complex(self.steer.x, self.steer.y)
        ahead = self.at + self.speed * TICK
        self.at = inside(ahead)
        if self.at != ahead:  # it has flown into the hedge
            self.speed *= -0.5

    def shown(self):
        return [self.kind, *xy(self.at), *xy(self.speed), self.score, self.steer.number]


def xy(place):
    return round(place.real), round(place.imag)


def inside(place):
    return complex(*(min(max(at, 30), 970) for at in (place.real, place.imag)))


def somewhere():
    return complex(uniform(60, 940), uniform(60, 940))


def chase(bird, seeds):
    """How the magpie steers: to the nearest seed, without haste."""
    way = min((place - bird.at for place in seeds), key=abs)
    way *= 0.22 / max(abs(way), 1)
    return Steer(way.real, way.imag)


def collide(one, other, seeds):
    """Birds that fly into each other swap their speeds, and the slower one drops a seed."""
    away, closing = other.at - one.at, other.speed - one.speed
    if abs(away) > 54 or (away * closing.conjugate()).real >= 0:
        return  # they are too far from each other, or they part already
    slower = min(one, other, key=lambda bird: abs(bird.speed))
    if slower.score:
        slower.score -= 1
        seeds[inside(slower.at + complex(uniform(-160, 160), uniform(-160, 160)))] = 1
    one.speed, other.speed = other.speed, one.speed


@app.get("/")
async def index(request):
    return HTMLResponse(page)


@gardens.on_join
async def may_join(socket, room):
    kinds = set(range(PLAYERS)) - {player.state["bird"].kind for player in room}
    if not kinds:
        raise HTTPError(409, "eight birds are in this garden already")
    socket.state["bird"] = Bird(min(kinds))


@gardens.socket("steer")
async def steer(socket, data: Steer):
    socket.state["bird"].steer = data


@gardens.task
async def referee(room):
    """A garden, from its first player to its last. Its state is in these variables."""
    magpie, seeds = Bird(PLAYERS), {}
    while True:
        while len(seeds) < SEEDS:
            seeds[somewhere()] = 3 if random() < 0.12 else 1  # what it is worth
        magpie.steer = chase(magpie, seeds)
        birds = {"": magpie} | {socket.id: socket.state["bird"] for socket in room}
        for bird in birds.values():
            bird.fly()
            for place in [place for place in seeds if abs(place - bird.at) < 46]:
                bird.score += seeds.pop(place)
        for pair in combinations(birds.values(), 2):
            collide(*pair, seeds)
        shown = {id: bird.shown() for id, bird in birds.items()}
        picture = {"birds": shown, "seeds": [[*xy(at), worth] for at, worth in seeds.items()]}
        await room.send(picture, path="picture", volatile=True)  # the newest is what counts
        await trio.sleep(TICK)
        winner = max(birds.values(), key=lambda bird: bird.score)
        if winner.score >= GOAL:
            await room.send(winner.kind, path="won")
            for bird in birds.values():
                bird.score = 0
