"""What goes wrong with one client or one handler, and that the others do not notice."""

import pytest
import trio
import trio.testing

from finch import FinchApp
from finch.errors import ConfigurationError
from finch.sockets.workers import Job, WorkerPool
from finch.testing import TestClient


async def test_a_handler_that_leaves_a_nursery_open_costs_its_client_the_connection(caplog):
    app = FinchApp()

    @app.socket("open")
    async def leave_open(socket, data):
        await trio.open_nursery().__aenter__()

    @app.socket("echo")
    async def echo(socket, data):
        return data

    async with TestClient(app) as client, client.socket() as other:
        async with client.socket() as socket:
            await socket.send("open")
            closed = await socket.wait_closed()
            assert (closed.code, closed.reason) == (1011, "internal error")
        await other.send("echo", 1)
        assert (await other.receive()).data == 1


async def test_a_job_that_fails_is_logged_and_the_next_is_done(caplog):
    done = []

    class Failing(Job):
        async def serve(self, worker):
            raise LookupError("not a handler's fault")

        def keep(self, context):
            raise AssertionError("it has set nothing")

        def left_open(self):
            raise AssertionError("it has opened nothing")

    class Working(Failing):
        async def serve(self, worker):
            done.append(self)

    async with trio.open_nursery() as nursery:
        pool = WorkerPool(nursery.start_soon)
        for job in (Failing(), Working(), Failing(), Working()):
            pool.submit(job)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert len(done) == 2
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert all("a bug in Finch" in text for text in said)
    assert "not a handler's fault" in caplog.text


@pytest.mark.parametrize(
    ("first", "fits"),
    [(str, False), (dict, False), ("str", False), ("bytes", False), ("Socket", True), (None, True)],
)
def test_a_handler_whose_first_parameter_is_data_is_refused(first, fits):
    async def handle(one, two):
        raise AssertionError("never called")

    if first is not None:
        handle.__annotations__["one"] = first
    app = FinchApp()
    if fits:
        app.socket("say")(handle)
        return
    with pytest.raises(ConfigurationError, match=r"is called with \(socket, data\), but is"):
        app.socket("say")(handle)
