"""Connections: sockets that listen, bytes in and out, and the tasks that read.

address.py     the address of a client
transport.py   a connection's bytes, with an outbox for all kinds of connections
plain.py       connections that are plain sockets
streams.py     connections that are trio streams: TLS, and the streams of tests
listeners.py   sockets that listen, and the TLS settings
acceptor.py    accepts connections
proxies.py     which proxies are believed, and what they say about a client
readers.py     reads from upgraded connections, with a task for each
hub.py         reads from all plain sockets at once

Nothing here depends on HTTP requests or on an application.
"""
