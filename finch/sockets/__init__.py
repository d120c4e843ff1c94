"""Sockets: who is connected, which messages they send, and which handlers get them.

One connection:
states.py       the lives of a link and of a client, as tables: plain data
upgrade.py      accepts or refuses upgrade requests; options.py says what a path accepts
outlet.py       what a client is written to through, and who gets what it says: interfaces
link.py         the outlet of a WebSocket: messages, keep-alive, closing
lag.py          how far behind a client is: plain data
workers.py      the tasks that run handlers
raw.py          WebSocket: a connection without envelopes

What an application declares:
event.py        SocketEvent: the callbacks of a path
rooms.py        Rooms and SocketRooms: what happens in the rooms of a pattern
annotations.py  converts a message to what a handler's annotation asks for
binding.py      gives callbacks of rooms what they name
table.py        which event handles a path: plain data
identity.py     Identity: who a client is, and for how long
identities.py   finds that out before a client is connected, and ends what has expired
registry.py     the decorators of a manager

A client:
dispatch.py     gives a message to its handler, and sends the answer
inbox.py        what waits for a client's handlers, and when they run
membership.py   how a client comes into rooms; asked.py reads what it asks for
refusals.py     what a callback returned that meant to refuse a client
asks.py         the calls that wait for a client's answer: plain data
conflation.py   the volatile messages that wait for a client: plain data
spawned.py      the tasks that end with a client or a room
client.py       SocketClient: what handlers get as ``socket``

Many clients:
members.py      who is connected, as whom, in which groups: plain data
presence.py     who is here in a room: plain data
outgoing.py     packs what an application sends into envelopes
delivery.py     sends one message to many clients; fanout.py is its loop
audience.py     Everyone and User: whom a message goes to
room.py         Room: one more audience, and what is kept while somebody is in it
manager.py      SocketManager: accepts clients, and names whom to send to
controller.py   SocketController: a manager's HTTP side
"""
