"""A TCP proxy of the tests: it passes bytes on until it is told to cut."""

from functools import partial

import trio


class Proxy:
    """Between the nodes and Redis."""

    def __init__(self, port):
        self._to = port
        self._streams = set()
        self.port = None
        self.refuses = False

    def url(self, prefix):
        return f"redis://127.0.0.1:{self.port}/0?prefix={prefix}"

    async def run(self, *, task_status):
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        await trio.serve_listeners(self._serve, listeners, task_status=task_status)

    async def _serve(self, stream):
        if self.refuses:
            await trio.aclose_forcefully(stream)
            return
        try:
            other = await trio.open_tcp_stream("127.0.0.1", self._to)
        except OSError:
            await trio.aclose_forcefully(stream)
            return
        self._streams |= {stream, other}
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(self._pass_on, stream, other, nursery))
                nursery.start_soon(partial(self._pass_on, other, stream, nursery))
        finally:
            self._streams -= {stream, other}
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)
                await trio.aclose_forcefully(other)

    async def _pass_on(self, one, other, nursery):
        try:
            while data := await one.receive_some(65536):
                await other.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        nursery.cancel_scope.cancel()

    async def cut(self):
        """End all connections, with what is on the way."""
        for stream in list(self._streams):
            await trio.aclose_forcefully(stream)
