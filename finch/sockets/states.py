"""The states of a link and of a client, and which event moves each to which. Plain data.

An event that a state's row does not name changes nothing: the link or the client ignores it. All of
Finch ends things with these five verbs:

    close    begin the closing handshake: send a Close frame, and wait for the peer's
    leave    the peer has ended; what it sent before is still handled
    finish   everything is handled: send what waits, then end our side
    drop     end at once; nothing more is sent
    release  it is needed no longer: let whoever held it forget it

Source: RFC 6455, section 7.1. The form is that of h11's state machine.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final


class State(enum.Enum):
    """How far a link is."""

    OPEN = "open"  # messages go both ways
    CLOSING = "closing"  # we have sent a Close and wait for the peer's; its messages are discarded
    ANSWERING = "answering"  # the peer has ended first; its earlier messages still get answers
    LEAVING = "leaving"  # both have ended; the owner handles earlier messages, nothing is sent
    LOST = "lost"  # as LEAVING, and the TCP stream has ended too
    FINISHED = "finished"  # the owner has handled everything; we wait for the end of the stream
    OVER = "over"  # nothing will come, and nothing will be sent but what waits already
    GONE = "gone"  # the server has forgotten it


class Event(enum.Enum):
    """What moves a link on."""

    CLOSE = "close"  # we end the conversation
    LEAVE = "leave"  # the peer has sent a Close, has broken the protocol, or has fallen silent
    LOSE = "lose"  # the TCP stream has ended
    FINISH = "finish"  # the owner has handled every message
    RELEASE = "release"  # the owner needs it no longer, and everything is sent


LINK: Final[Mapping[State, Mapping[Event, State]]] = {
    State.OPEN: {
        Event.CLOSE: State.CLOSING,
        Event.LEAVE: State.ANSWERING,
        Event.LOSE: State.LOST,
    },
    State.CLOSING: {
        Event.LEAVE: State.LEAVING,
        Event.LOSE: State.LOST,
    },
    State.ANSWERING: {
        Event.LOSE: State.LOST,
        Event.FINISH: State.FINISHED,
    },
    State.LEAVING: {
        Event.LOSE: State.LOST,
        Event.FINISH: State.FINISHED,
    },
    State.LOST: {
        Event.FINISH: State.OVER,
    },
    State.FINISHED: {
        Event.LOSE: State.OVER,
    },
    State.OVER: {
        Event.RELEASE: State.GONE,
    },
    State.GONE: {},
}


class Life(enum.Enum):
    """How far a client is with its handlers."""

    WAITING = "waiting"  # it has connected; its on_connect has not begun
    GREETING = "greeting"  # its on_connect runs
    SERVING = "serving"  # its messages are handled
    LEAVING = "leaving"  # the peer has left; its earlier messages are handled
    CANCELLED = "cancelled"  # the time for that is over; its handlers are being cancelled
    GONE = "gone"  # nothing is left but its on_disconnect


class Step(enum.Enum):
    """What moves a client on."""

    GREET = "greet"  # a worker begins its on_connect
    GREETED = "greeted"  # on_connect has ended
    LEAVE = "leave"  # the peer has left
    CANCEL = "cancel"  # Limits.leave_grace after that has passed
    DONE = "done"  # every message is handled


LIFE: Final[Mapping[Life, Mapping[Step, Life]]] = {
    # A peer that leaves before its turn came is greeted all the same: its messages may count on it.
    Life.WAITING: {
        Step.GREET: Life.GREETING,
        Step.CANCEL: Life.CANCELLED,
    },
    # LEAVE is told again after GREETED.
    Life.GREETING: {
        Step.GREETED: Life.SERVING,
        Step.CANCEL: Life.CANCELLED,
    },
    Life.SERVING: {
        Step.LEAVE: Life.LEAVING,
        Step.CANCEL: Life.CANCELLED,
    },
    Life.LEAVING: {
        Step.CANCEL: Life.CANCELLED,
        Step.DONE: Life.GONE,
    },
    Life.CANCELLED: {
        Step.DONE: Life.GONE,
    },
    Life.GONE: {},
}
