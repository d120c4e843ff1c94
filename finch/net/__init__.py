"""Connections: sockets that listen, bytes in and out, who feeds what reads them.

address.py     where a client connects from
transport.py   a connection's bytes, and the outbox of all kinds
streams.py     connections that are trio streams: TLS, and the tests'
listeners.py   sockets that listen, and the TLS settings
acceptor.py    takes connections in
proxies.py     what proxies in front say, and who is believed
readers.py     what feeds upgraded connections: a hub for all, or a task each

Nothing here knows HTTP's requests or an application.
"""
