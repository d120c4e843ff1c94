"""Birds: an API with a bit of everything that descriptions say."""

from typing import Annotated, Literal
from uuid import UUID, uuid4

import msgspec

from finch import (
    Body,
    Cookie,
    Description,
    FinchApp,
    Header,
    HTTPError,
    Query,
    RedirectResponse,
    named,
)

app = FinchApp(describe=Description(title="Birds", version="2.1", text="All about birds."))
birds = {}


class Bird(msgspec.Struct, forbid_unknown_fields=True):
    """A bird."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=20)]
    kind: Literal["finch", "wren"] = "finch"
    rings: list[Annotated[int, msgspec.Meta(ge=0, le=999)]] = []
    mother: UUID | None = None


class Filter(msgspec.Struct):
    kind: Literal["finch", "wren"] | None = None
    ring: list[Annotated[int, msgspec.Meta(ge=0, le=999)]] = []


@app.get("/birds")
async def find(
    which: Query[Filter],
    limit: Annotated[Query[int], msgspec.Meta(ge=1, le=100), named("per-page")] = 20,
    language: Header[str] = "en",
    theme: Cookie[Literal["light", "dark"]] = "light",
) -> list[Bird]:
    """Find birds."""
    found = [bird for bird in birds.values() if which.kind in (None, bird.kind)]
    return [bird for bird in found if not which.ring or set(which.ring) & set(bird.rings)][:limit]


@app.post("/birds")
async def add(request, bird: Body[Bird]) -> tuple[Bird, Literal[201], dict[str, str]]:
    """Add a bird."""
    key = uuid4()
    birds[key] = bird
    return bird, 201, {"location": request.url_for("bird", key=key)}


@app.get("/birds/{key}", key="bird")
async def get(request, key: UUID) -> Bird:
    """One bird."""
    if key not in birds:
        raise HTTPError(404, "no such bird")
    return birds[key]


@app.delete("/birds/{key}")
async def remove(request, key: UUID) -> None:
    """Let a bird go."""
    birds.pop(key, None)


@app.get("/weights/{gram:float}/{count:int}")
async def weigh(request, gram, count) -> dict[str, float]:
    """How much birds weigh."""
    return {"gram": gram * count}


@app.get("/first")
async def first(request) -> RedirectResponse:
    """Where the birds are."""
    return RedirectResponse("/birds")


@app.post("/songs/{name}")
async def sing(request, name, song: Body[bytes]) -> str:
    """Sing a song."""
    return f"{name} sang {len(song)} bytes"
