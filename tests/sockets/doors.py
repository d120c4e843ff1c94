"""How the tests of slow clients connect: so that the server notices at once that nobody reads."""

import socket

import trio
import trio.testing

from finch.net.streams import StreamTransport

_BUFFER = 4096  # bytes that the system takes for a client that reads nothing; it makes more of it


def narrow(client, reader):
    """A connection to the server of a ``TestClient`` that holds next to nothing on its way there
    from the server.

    Parameters:
        reader: ``task`` for a stream in memory, ``hub`` for a pair of sockets.
    """
    server = client._server
    if reader == "hub":
        ours, theirs = socket.socketpair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        transport = server.transport_of(theirs)
    else:
        to_server, from_client = trio.testing.memory_stream_one_way_pair()
        to_client, from_server = trio.testing.lockstep_stream_one_way_pair()
        stream = trio.StapledStream(to_server, from_server)
        transport = StreamTransport(
            trio.StapledStream(to_client, from_client), server.spawn, server.limits.close_timeout
        )

    async def serve():
        await server.serve(transport, client._client)

    server.spawn(serve)
    return stream
