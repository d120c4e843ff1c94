"""Autobahn's cases, driven by kosoku, against a raw echo socket with compression."""

import asyncio
import collections

import pytest
import trio
from kosoku import FailureError, run_fuzzingclient

from finch import FinchApp

# 12 and 13, compression, have hundreds of alike cases: one of each kind here.
# Groups, so that several processes can share them.
GROUPS = {
    "protocol": [f"{group}.*" for group in (1, 2, 3, 4, 5, 6, 7, 10)],
    "large": ["9.*"],
    "compressed": [
        *("12.1.1", "12.1.10", "12.2.5", "12.3.3", "12.4.7", "12.5.11"),
        *("13.1.1", "13.2.5", "13.3.7", "13.4.10", "13.5.13", "13.6.16", "13.7.12"),
    ],
}
COUNTS = {"protocol": 247, "large": 54, "compressed": 13}
UNDEFINED = {"7.1.6", "7.13.1", "7.13.2"}  # cases whose outcome the RFC leaves open


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.filterwarnings("ignore")  # the case files of the suite leave their data files open
async def test_every_case_passes_strictly(serve, group):
    app = FinchApp(compression=True, max_message_size=16 * 1024 * 1024 + 1)

    @app.websocket("/")
    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    def drive(url):
        try:
            return asyncio.run(run_fuzzingclient(url, GROUPS[group], concurrency=4))
        except FailureError as failure:
            return failure.results

    async with serve(app) as running:
        results = await trio.to_thread.run_sync(drive, f"{running.ws}/")
    assert len(results) == COUNTS[group]
    outcomes = collections.defaultdict(set)
    for result in results:
        outcomes[result.behavior.value, result.behavior_close.value].add(result.case_id)
    assert outcomes.pop(("INFORMATIONAL", "INFORMATIONAL"), set()) <= UNDEFINED
    assert set(outcomes) == {("OK", "OK")}, dict(outcomes)
