"""Sockets: who is connected, which messages they send, and which handlers get them.

states.py       the lives of a link and of a client, as tables: plain data
upgrade.py      accepts or refuses upgrade requests
outlet.py       what a client is written to through, and who gets what it says: interfaces
link.py         the outlet of a WebSocket: messages, keep-alive, closing
lag.py          how far behind a client is: plain data
workers.py      the tasks that run handlers
event.py        SocketEvent: the application's callbacks
annotations.py  converts a message to what a handler's annotation asks for
table.py        which event handles a path: plain data
members.py      who is connected, as whom, in which groups: plain data
outgoing.py     packs what an application sends into envelopes
dispatch.py     gives a message to its handler, and sends the answer
inbox.py        what waits for a client's handlers, and when they run
client.py       SocketClient: what handlers get as ``socket``
delivery.py     sends one message to many clients
manager.py      SocketManager: registers handlers, accepts clients, names whom to send to
controller.py   SocketController: a manager's HTTP side
raw.py          WebSocket: a connection without envelopes
"""
