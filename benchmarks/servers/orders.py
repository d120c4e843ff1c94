"""A typed JSON body: the order that clients post, and what the servers make of it.

All but FastAPI convert it with msgspec; FastAPI's users have pydantic.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Item(msgspec.Struct):
    """One line of an order."""

    name: str
    count: int
    cents: int


class Order(msgspec.Struct):
    """What is posted."""

    customer: str
    email: str
    address: str
    express: bool
    items: list[Item]


ORDER: Final = (
    b'{"customer":"Ada Lovelace","email":"ada@example.com","address":"12 St James\'s Square, '
    b'London","express":true,"items":[{"name":"Goldfinch, hand-painted","count":2,"cents":1250},'
    b'{"name":"Bullfinch, hand-painted","count":1,"cents":1475},{"name":"Perch, oak, 60 cm",'
    b'"count":4,"cents":390}]}'
)
TOTAL: Final = b"5535"
"""What it costs, in cents: the answer has it."""
