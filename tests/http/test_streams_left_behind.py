"""A generator whose response is not sent is closed, and what it raises then is logged."""

import pytest

from finch import FinchApp
from finch.testing import TestClient


def app_with_streams(count, closed):
    """Its middleware asks the handler several times, and then answers by itself."""
    app = FinchApp()

    @app.middleware
    async def instead(request, call_next):
        for _ in range(count):
            await call_next(request)
        return "instead"

    @app.get("/stream")
    async def stream(request):
        number = len(closed)
        closed.append(False)
        try:
            yield "never sent"
        finally:
            closed[number] = True
            raise LookupError(f"stream {number} does not want to end")

    return app


@pytest.mark.parametrize("count", [1, 2])
async def test_what_they_raise_is_logged_and_the_client_has_its_answer(count, caplog):
    closed = []
    async with TestClient(app_with_streams(count, closed)) as client:
        for _ in range(2):
            response = await client.get("/stream")
            assert (response.status, response.text) == (200, "instead")
    assert closed == [True] * 2 * count
    said = [r for r in caplog.records if "raised when it was closed" in r.getMessage()]
    assert [r.getMessage().splitlines()[0] for r in said] == [
        "the generator of GET /stream raised when it was closed"
    ] * 2
    for number in range(2 * count):
        assert f"stream {number} does not want to end" in caplog.text
