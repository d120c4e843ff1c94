"""FastAPI: ``uvicorn benchmarks.servers.fastapi_app:app``."""

from __future__ import annotations

from fastapi import FastAPI  # type: ignore[import-not-found,unused-ignore]
from fastapi.responses import PlainTextResponse  # type: ignore[import-not-found,unused-ignore]
from pydantic import BaseModel  # type: ignore[import-not-found,unused-ignore]


class Item(BaseModel):  # type: ignore[misc,unused-ignore]
    """One line of an order."""

    name: str
    count: int
    cents: int


class Order(BaseModel):  # type: ignore[misc,unused-ignore]
    """What is posted."""

    customer: str
    email: str
    address: str
    express: bool
    items: list[Item]


async def index() -> str:
    return "hello"


async def user(id: str) -> dict[str, str]:
    return {"id": id, "name": "finch"}


async def order(order: Order) -> dict[str, int]:
    return {"total": sum(item.count * item.cents for item in order.items)}


app = FastAPI()
app.get("/", response_class=PlainTextResponse)(index)
app.get("/users/{id}")(user)
app.post("/orders")(order)
