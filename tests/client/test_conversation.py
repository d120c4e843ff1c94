"""What a client and its server say over all connections, told without sockets and without time."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finch.client.conversation import Conversation
from finch.client.events import (
    Arrived,
    Asked,
    Dropped,
    Ended,
    Gap,
    Item,
    Joined,
    Refused,
)
from finch.cluster.history import Position
from finch.errors import CallFailed, ConnectionClosed, ConnectionLost, NotSent


class Talk:
    """A conversation, and a clock that its tests move."""

    def __init__(self, **options):
        self.talk = Conversation(**options)
        self.now = 0.0

    def open(self):
        return self.talk.opened(self.now)

    def cut(self):
        return self.talk.cut(self.now)

    def said(self):
        """What the client says, as values."""
        texts = []
        while (text := self.talk.take()) is not None:
            texts.append(json.loads(text))
        return texts

    def hear(self, path="", data=None, **fields):
        """What a message of the server brings about."""
        return list(self.talk.receive(json.dumps({"path": path, "data": data, **fields})))

    def send(self, path="say", data=None, **options):
        return self.talk.send(path, data, self.now, **options)

    def call(self, path="sum", data=None, **options):
        return self.talk.call(path, data, self.now, **options)

    def join(self, name="lobby", last=0, meta=None, since=None):
        self.talk.join(name, last, meta, since, self.now)

    def joined(self, recovered=False, missed=0, room="lobby", **fields):
        """The server answers the last join."""
        data = {"recovered": recovered, "missed": missed}
        reply = self.talk.rooms[room].asked
        return self.hear("finch.join", data, room=room, reply=reply, **fields)


@pytest.fixture
def talk():
    return Talk()


@pytest.fixture
def open_talk(talk):
    talk.open()
    return talk


# What is sent


def test_a_message_is_said_as_the_wire_wants_it(open_talk):
    assert open_talk.send("say", {"a": 1}, room="lobby")
    assert open_talk.talk.take() == '{"path":"say","data":{"a":1},"room":"lobby"}'
    assert open_talk.talk.take() is None


def test_what_is_no_json_is_refused_with_its_place(open_talk):
    with pytest.raises(TypeError, match=r"message to 'say': \$\.a is an object"):
        open_talk.send("say", {"a": object()})
    with pytest.raises(TypeError, match="message to 'sum'"):
        open_talk.call("sum", object())
    with pytest.raises(TypeError, match=r"message to 'finch\.join'"):
        open_talk.join(meta=object())
    assert open_talk.said() == []
    open_talk.cut()
    open_talk.open()
    assert open_talk.said() == []


def test_what_is_sent_while_away_waits_for_a_connection(talk):
    assert talk.send(data=1)
    assert talk.send(data=2)
    assert talk.talk.take() is None
    talk.open()
    assert [one["data"] for one in talk.said()] == [1, 2]


def test_volatile_messages_do_not_wait(talk):
    assert not talk.send(volatile=True)
    talk.open()
    assert talk.said() == []
    assert talk.send(volatile=True)
    talk.cut()  # before it was taken
    talk.open()
    assert talk.said() == []


def test_a_full_queue_refuses_the_newest():
    talk = Talk(queue_size=2)
    assert [talk.send(data=number) for number in range(3)] == [True, True, False]
    with pytest.raises(NotSent, match="2 messages wait"):
        talk.call()
    talk.open()
    assert [one["data"] for one in talk.said()] == [0, 1]


def test_what_has_waited_too_long_is_dropped(talk):
    assert talk.talk.deadline == float("inf")
    talk.send("old", room="lobby")
    talk.now = 20.0
    talk.send("new")
    assert talk.talk.deadline == 30.0
    talk.now = 29.9
    assert talk.talk.expire(talk.now) == []
    talk.now = 30.0
    assert talk.talk.expire(talk.now) == [Dropped("old", "lobby")]
    assert talk.open() == []
    assert [one["path"] for one in talk.said()] == ["new"]


def test_a_call_that_has_waited_too_long_fails(talk):
    call = talk.call()
    talk.now = 30.0
    [ended] = talk.open()
    assert ended.call is call
    assert isinstance(ended.error, NotSent)
    assert talk.said() == []


def test_what_no_connection_has_taken_waits_for_the_next(open_talk):
    open_talk.send("taken")
    assert [one["path"] for one in open_talk.said()] == ["taken"]
    open_talk.send("not taken")
    call = open_talk.call("not taken either")
    assert open_talk.cut() == []
    open_talk.open()
    assert [one["path"] for one in open_talk.said()] == ["not taken", "not taken either"]
    assert open_talk.hear(reply=call.id)[0].call is call


def test_more_than_the_queue_holds_is_dropped_at_a_cut():
    talk = Talk(queue_size=1)
    talk.open()
    talk.send("first")
    talk.send("second")
    call = talk.call()
    dropped, ended = talk.cut()
    assert dropped == Dropped("second")
    assert (ended.call, type(ended.error)) == (call, NotSent)


# Calls


def test_an_answer_ends_its_call(open_talk):
    call = open_talk.call("sum", [1, 2])
    assert open_talk.said() == [{"path": "sum", "data": [1, 2], "id": call.id}]
    [ended] = open_talk.hear("sum", 3, reply=call.id)
    assert (ended.call, bytes(ended.data), ended.error) == (call, b"3", None)
    assert open_talk.hear("sum", 3, reply=call.id) == []  # once


def test_an_error_fails_its_call(open_talk):
    call = open_talk.call()
    [ended] = open_talk.hear("error", {"message": "no"}, status=404, reply=call.id)
    assert isinstance(ended.error, CallFailed)
    assert (ended.error.status, ended.error.data) == (404, {"message": "no"})


def test_the_parts_of_an_answer_come_before_its_end(open_talk):
    call = open_talk.call()
    happened = [
        *open_talk.hear("n", 1, reply=call.id, more=True),
        *open_talk.hear("n", 2, reply=call.id, more=True),
        *open_talk.hear("n", None, reply=call.id),
    ]
    assert [type(one) for one in happened] == [Item, Item, Ended]


@pytest.mark.parametrize("reply", [99, "1", 1.0, True, [1], {"a": 1}])
def test_an_answer_that_nobody_waits_for_is_nothing(open_talk, reply):
    open_talk.call()
    assert open_talk.hear("sum", 3, reply=reply) == []


def test_a_cut_fails_the_calls_that_were_sent(open_talk):
    call = open_talk.call("first")
    open_talk.said()
    [ended] = open_talk.cut()
    assert ended.call is call
    assert isinstance(ended.error, ConnectionLost)
    open_talk.open()
    assert open_talk.said() == []


def test_a_call_with_retry_is_sent_again_as_it_was(open_talk):
    open_talk.join()
    call = open_talk.call("pay", 5, retry=True)
    other = open_talk.call("pay", 6, retry=True)
    first = open_talk.said()[1:]
    assert open_talk.cut() == []
    open_talk.send("queued")
    open_talk.open()
    join, *again, queued = open_talk.said()
    assert again == first
    assert (join["path"], queued["path"]) == ("finch.join", "queued")
    session, number = again[0]["once"].split(":")
    assert 16 <= len(session) <= 64
    assert number == "1"
    assert again[1]["once"] == f"{session}:2"
    assert [one.call for one in open_talk.hear(reply=call.id)] == [call]
    assert [one.call for one in open_talk.hear(reply=other.id)] == [other]


def test_two_clients_never_have_the_same_session():
    sessions = set()
    for _ in range(2):
        talk = Talk()
        talk.open()
        talk.call(retry=True)
        sessions.add(talk.said()[0]["once"])
    assert len(sessions) == 2


def test_a_call_is_sent_again_for_as_long_as_the_server_remembers(open_talk):
    open_talk.call("kept", retry=True)
    open_talk.said()
    open_talk.now = 100.0
    open_talk.cut()
    assert open_talk.talk.deadline == 160.0
    open_talk.now = 159.9
    assert open_talk.open() == []
    assert [one["path"] for one in open_talk.said()] == ["kept"]
    open_talk.cut()  # this cut counts: the server has heard of the call again since the first
    assert open_talk.talk.deadline == 219.9
    open_talk.now = 219.9
    [ended] = open_talk.talk.expire(219.9)
    assert isinstance(ended.error, ConnectionLost)
    open_talk.open()
    assert open_talk.said() == []


def test_while_there_is_a_connection_nothing_expires(open_talk):
    open_talk.call(retry=True)
    open_talk.said()
    open_talk.cut()
    open_talk.open()
    open_talk.now = 1000.0
    assert open_talk.talk.deadline == float("inf")
    assert open_talk.talk.expire(1000.0) == []


@pytest.mark.parametrize("reply", [[1], {"a": 1}, True, 1.0, "1"])
def test_an_answer_to_what_was_never_asked_is_nothing(open_talk, reply):
    open_talk.join()
    open_talk.talk.leave("lobby", 0.0)
    open_talk.call()
    assert open_talk.hear("finch.leave", reply=reply) == []


def test_a_call_ends_though_its_error_cannot_be_read(open_talk):
    call = open_talk.call()
    [ended] = open_talk.talk.receive(f'{{"status":500,"data":1e999,"reply":{call.id}}}')
    assert (ended.error.status, ended.error.data) == (500, None)


def test_a_cancelled_call_is_cancelled_on_the_server(open_talk):
    call = open_talk.call()
    open_talk.said()
    open_talk.talk.cancel(call, 0.0)
    assert open_talk.said() == [{"path": "finch.cancel", "id": call.id}]
    open_talk.talk.cancel(call, 0.0)
    assert open_talk.said() == []
    assert open_talk.hear("error", {}, status=499, reply=call.id) == []


def test_a_cancelled_call_that_nobody_has_seen_is_taken_back(talk):
    talk.talk.cancel(talk.call(), 0.0)
    talk.open()
    talk.talk.cancel(talk.call(), 0.0)
    assert talk.said() == []
    assert talk.talk.unsent == 0


def test_a_cancelled_call_is_not_sent_again(open_talk):
    call = open_talk.call(retry=True)
    open_talk.said()
    open_talk.cut()
    open_talk.open()
    open_talk.talk.cancel(call, 0.0)
    assert open_talk.said() == [{"path": "finch.cancel", "id": call.id}]


# Calls of the server


def test_the_server_is_answered_on_the_connection_that_it_asked_on(open_talk):
    [asked] = open_talk.hear("confirm", "sure?", id="s1")
    assert isinstance(asked, Asked)
    open_talk.talk.answer(asked, True, 200, 0.0)
    open_talk.talk.answer(asked, "busy", 503, 0.0)
    assert open_talk.said() == [
        {"path": "confirm", "data": True, "reply": "s1"},
        {"path": "confirm", "data": "busy", "reply": "s1", "status": 503},
    ]
    open_talk.talk.answer(asked, "not taken", 200, 0.0)
    open_talk.cut()
    open_talk.talk.answer(asked, "away", 200, 0.0)
    open_talk.open()
    open_talk.talk.answer(asked, "to another s1", 200, 0.0)
    assert open_talk.said() == []


# Rooms


def test_a_join_asks_for_what_was_wanted(open_talk):
    open_talk.join(last=50, meta={"name": "Ann"}, since=Position("e", 3))
    [join] = open_talk.said()
    assert join.pop("id")
    assert join == {
        "path": "finch.join",
        "data": {"name": "Ann"},
        "room": "lobby",
        "since": "e:3",
        "last": 50,
    }


def test_a_room_is_joined_on_every_connection_until_it_is_left(talk):
    talk.join()
    talk.open()
    assert [one["path"] for one in talk.said()] == ["finch.join"]
    assert [type(one) for one in talk.joined()] == [Joined]
    talk.cut()
    talk.open()
    assert [one["path"] for one in talk.said()] == ["finch.join"]
    talk.talk.leave("lobby", 0.0)
    assert [one["path"] for one in talk.said()] == ["finch.leave"]
    talk.talk.leave("lobby", 0.0)
    talk.cut()
    talk.open()
    assert talk.said() == []


def test_each_message_of_a_room_comes_once(open_talk):
    open_talk.join()
    open_talk.said()
    open_talk.joined(seq=17, epoch="e")
    assert open_talk.hear("said", "old", room="lobby", seq=17) == []
    [new] = open_talk.hear("said", "new", room="lobby", seq=18)
    assert (new.message.data, new.message.seq) == ("new", 18)
    assert open_talk.hear("said", "new", room="lobby", seq=18) == []
    assert open_talk.hear("typing", room="lobby") != []  # volatile
    assert open_talk.hear("said", "other", room="other", seq=1) != []


def test_a_client_that_comes_back_says_up_to_where_it_knows(open_talk):
    open_talk.join()
    open_talk.said()
    open_talk.joined(seq=17, epoch="e")
    open_talk.hear("said", room="lobby", seq=18)
    open_talk.cut()
    open_talk.open()
    assert open_talk.said()[0]["since"] == "e:18"
    assert [type(one) for one in open_talk.joined(True, 2, seq=20, epoch="e")] == [Joined]
    assert open_talk.hear("said", room="lobby", seq=18) == []
    assert len(open_talk.hear("said", room="lobby", seq=19)) == 1
    assert open_talk.talk.rooms["lobby"].position == Position("e", 19)


def test_the_last_messages_of_a_newcomer_come_though_they_are_older(open_talk):
    open_talk.join(last=2)
    open_talk.said()
    assert [type(one) for one in open_talk.joined(missed=2, seq=17, epoch="e")] == [Joined]
    assert [len(open_talk.hear(room="lobby", seq=seq)) for seq in (15, 16, 17, 18)] == [0, 1, 1, 1]


@pytest.mark.parametrize("history", [{"seq": 2, "epoch": "f"}, {}])
def test_a_gap_is_told_before_the_messages_that_follow(open_talk, history):
    open_talk.join()
    open_talk.said()
    open_talk.joined(**({"seq": 17, "epoch": "e"} if history else {}))
    open_talk.cut()
    open_talk.open()
    gap, message, joined = open_talk.joined(**history)
    assert gap == Gap("lobby")
    assert (message.message.path, message.message.room) == ("finch.gap", "lobby")
    assert isinstance(joined, Joined)
    assert len(open_talk.hear(room="lobby", seq=3)) == 1


def test_a_newcomer_has_missed_nothing_unless_it_has_a_position(open_talk):
    open_talk.join("a")
    open_talk.join("b", since=Position("e", 1))
    open_talk.said()
    assert [type(one) for one in open_talk.joined(room="a")] == [Joined]
    assert [type(one) for one in open_talk.joined(room="b")] == [Gap, Arrived, Joined]


def test_a_refused_join_is_not_tried_again(open_talk):
    open_talk.join()
    [join] = open_talk.said()
    [refused] = open_talk.hear("error", {"message": "no"}, status=403, reply=join["id"])
    assert isinstance(refused, Refused)
    assert refused.error.status == 403
    open_talk.cut()
    open_talk.open()
    assert open_talk.said() == []


def test_a_room_that_has_a_trouble_of_its_own_is_asked_again_on_the_next_connection(open_talk):
    open_talk.join()
    open_talk.said()
    open_talk.joined(epoch="e", seq=3)
    open_talk.cut()
    open_talk.open()
    [join] = open_talk.said()
    assert open_talk.hear("error", {"message": "broken"}, status=500, reply=join["id"]) == []
    open_talk.cut()
    open_talk.open()
    assert [one["since"] for one in open_talk.said()] == ["e:3"]


def test_what_comes_of_a_room_that_was_left_is_dropped(open_talk):
    open_talk.join()
    open_talk.said()
    open_talk.joined()
    open_talk.talk.leave("lobby", 0.0)
    [leave] = open_talk.said()
    open_talk.join()
    assert open_talk.hear("said", room="lobby") == []
    assert open_talk.hear("finch.leave", room="lobby", reply=leave["id"]) == []
    open_talk.joined()
    assert len(open_talk.hear("said", room="lobby")) == 1


def test_a_cut_is_the_end_of_a_leave(open_talk):
    open_talk.join()
    open_talk.said()
    open_talk.joined()
    open_talk.talk.leave("lobby", 0.0)
    open_talk.cut()
    open_talk.join()
    open_talk.open()
    open_talk.said()
    open_talk.joined()
    assert len(open_talk.hear("said", room="lobby")) == 1


def test_a_server_that_has_let_the_client_in_itself_numbers_from_there(open_talk):
    """Its messages may come before the answer to the client's own join."""
    open_talk.join()
    open_talk.said()
    open_talk.joined(seq=40, epoch="e")
    open_talk.cut()
    open_talk.open()
    data = {"recovered": False, "missed": 0}
    assert [type(one) for one in open_talk.hear("finch.join", data, room="lobby", seq=1, epoch="f")]
    assert len(open_talk.hear("said", room="lobby", seq=2)) == 1
    assert [type(one) for one in open_talk.joined(seq=2, epoch="f")] == [Gap, Arrived, Joined]
    assert open_talk.hear("said", room="lobby", seq=2) == []


def test_a_server_that_lets_a_member_in_again_may_have_left_a_gap(open_talk):
    open_talk.join()
    open_talk.said()
    open_talk.joined(seq=4, epoch="e")
    data = {"recovered": False, "missed": 0}
    same = open_talk.hear("finch.join", data, room="lobby", seq=4, epoch="e")
    later = open_talk.hear("finch.join", data, room="lobby", seq=9, epoch="e")
    assert [type(one) for one in same] == [Arrived]
    assert [type(one) for one in later] == [Gap, Arrived, Arrived]


# Everyone and users


def test_the_positions_of_the_audiences_go_into_the_handshake(talk):
    assert talk.talk.query() == []
    talk.open()
    data = {"recovered": False, "missed": 0}
    talk.hear("finch.join", data, room="finch.everyone", seq=3, epoch="e")
    talk.hear("finch.join", data, room="finch.user", seq=0, epoch="e")
    talk.hear("news", room="finch.everyone", seq=4)
    assert talk.talk.query() == ["everyone:e:4", "user:e:0"]
    talk.cut()
    talk.open()
    assert talk.said() == []
    recovered = talk.hear("finch.join", {"recovered": True}, room="finch.everyone", seq=4)
    gap = talk.hear("finch.join", data, room="finch.user", seq=7, epoch="f")
    assert [type(one) for one in recovered] == [Arrived]
    assert gap[0] == Gap("finch.user")
    assert talk.hear("news", room="finch.everyone", seq=4) == []
    assert talk.talk.query() == ["everyone:e:4", "user:f:7"]


# The end


def test_everything_that_waits_fails_when_it_is_closed(open_talk):
    sent = open_talk.call("sent", retry=True)
    open_talk.said()
    open_talk.cut()
    queued = open_talk.call("queued")
    open_talk.send("say")
    open_talk.join()
    happened = open_talk.talk.end(ConnectionClosed(4500, "stay away"))
    assert [one.call for one in happened[:2]] == [sent, queued]
    assert happened[2] == Dropped("say")
    assert isinstance(happened[3], Refused)
    assert {str(one.error) for one in (*happened[:2], happened[3])} == {
        "the WebSocket is closed with code 4500: stay away"
    }
    for late in (open_talk.send, open_talk.call, open_talk.join):
        with pytest.raises(ConnectionClosed):
            late()
    assert open_talk.talk.end(ConnectionClosed(1000)) == []


@pytest.mark.parametrize("text", ["", "hello", "[]", '{"path": 5}', '{"seq": "1"}', "[" * 100_000])
def test_a_text_that_is_no_message_is_an_error_that_changes_nothing(open_talk, text):
    with pytest.raises(ValueError, match="not a message of Finch"):
        list(open_talk.talk.receive(text))


def test_data_that_nobody_can_read_is_an_error(open_talk):
    deep = "[" * 100_000 + "]" * 100_000
    with pytest.raises(ValueError, match=r"not a message|cannot be read"):
        list(open_talk.talk.receive(f'{{"path":"x","data":{deep}}}'))


# Any story


class FakeServer:
    """A room with a history of three messages. It forgets who has left."""

    def __init__(self):
        self.epoch = "e0"
        self.messages = []  # of this epoch
        self.number = 0  # of the last message in any epoch
        self.sending = []  # on the way to the client

    def say(self, connected):
        self.number += 1
        self.messages.append(self.number)
        if connected:
            self.sending.append(self._text(len(self.messages)))

    def restart(self):
        self.epoch = f"e{self.number}-{len(self.messages)}"
        self.messages = []

    def join(self, join):
        epoch, _, seq = join.get("since", "none:0").partition(":")
        seq, newest = int(seq), len(self.messages)
        recovered = epoch == self.epoch and newest - seq <= 3
        missed = newest - seq if recovered else min(newest, 3, join.get("last", 0))
        data = {"recovered": recovered, "missed": missed}
        answer = {"path": "finch.join", "data": data, "reply": join["id"], "room": "lobby"}
        self.sending = [json.dumps({**answer, "seq": newest, "epoch": self.epoch})]
        self.sending += [self._text(number) for number in range(newest - missed + 1, newest + 1)]

    def _text(self, seq):
        said = {"path": "said", "data": self.messages[seq - 1], "room": "lobby", "seq": seq}
        return json.dumps(said)


STEPS = st.lists(st.sampled_from(["say", "say", "hear", "hear", "cut", "restart"]), max_size=60)


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers(0, 3))
def test_whatever_happens_each_message_comes_once_or_a_gap_is_told(steps, last):
    server, talk = FakeServer(), Talk()
    talk.join(last=last)
    heard = []

    def connect():
        talk.open()
        [join] = talk.said()
        server.join(join)

    def hear():
        for happening in talk.talk.receive(server.sending.pop(0)):
            if isinstance(happening, Gap):
                heard.append("gap")
            elif isinstance(happening, Arrived) and happening.message.path == "said":
                heard.append(happening.message.data)

    connect()
    for step in [*steps, "cut"]:
        if step == "say":
            server.say(True)
        elif step == "hear" and server.sending:
            hear()
        elif step in ("cut", "restart"):
            talk.cut()
            if step == "restart":
                server.restart()
            connect()
    while server.sending:
        hear()
    for before, after in pairwise(heard):
        if "gap" not in (before, after):
            assert after == before + 1
    if "gap" in heard:
        assert heard[-1] == "gap" or heard[-1] == server.number
    elif heard:
        assert heard[-1] == server.number
