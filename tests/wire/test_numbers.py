"""Numbers that take long to read are few, or nobody reads them."""

import pytest

from finch import FinchApp
from finch.testing import TestClient
from finch.wire.numbers import LONG, MOST, too_costly


@pytest.mark.parametrize("number", ["1e300", "-1.5E+30", "5e-324", "1e0300"])
@pytest.mark.parametrize("between", [",", ", ", ",\n"])
def test_too_many_exponents_cost_too_much(number, between):
    assert not too_costly(f"[{between.join([number] * MOST)}]")
    too_many = f"[{between.join([number] * (MOST + 1))}]"
    assert len(too_many) >= LONG
    assert too_costly(too_many)
    assert too_costly(too_many.encode())


@pytest.mark.parametrize("value", ["12.5", "1e9", '"8e34a"', '"where12"', '"a1e23"'])
def test_other_values_do_not_count(value):
    assert not too_costly(f"[{','.join([value] * 10 * MOST)}]")


async def test_they_are_refused_before_they_are_read():
    app = FinchApp()

    @app.post("/")
    async def index(request):
        await request.json()

    @app.socket("say")
    async def say(socket, data):
        raise AssertionError("never")

    many = f"[{','.join(['1e300'] * 10 * MOST)}]"
    async with TestClient(app) as client, client.socket() as socket:
        assert (await client.post("/", content=many)).status == 413
        await socket.send_raw(f'{{"path":"say","data":{many}}}')
        assert (await socket.receive()).status == 400
        await socket.send_raw(many)
        assert (await socket.receive()).status == 400
