"""The calls of the server that a client answers: any error is an answer, and there is a limit."""

import pytest
import trio

from finch.client.answers import MOST, Answers
from finch.client.said import Message
from finch.errors import HTTPError


@pytest.fixture
def answers():
    return Answers()


async def test_nobody_answers(answers):
    assert await answers.to(Message("who")) == (
        {"message": "this client does not answer 'who'"},
        404,
    )


async def test_whatever_a_function_does_there_is_an_answer(answers, caplog):
    async def answer(data):
        if isinstance(data, Exception):
            raise data
        return data

    answers.answerers["who"] = answer
    assert await answers.to(Message("who", [1])) == ([1], 200)
    refused = HTTPError(403, "you know too much")
    assert await answers.to(Message("who", refused)) == ({"message": "you know too much"}, 403)
    assert not caplog.text
    failed = {"message": "the client has failed"}, 500
    assert await answers.to(Message("who", ValueError("a bug"))) == failed
    assert await answers.to(Message("who", {"a": object()})) == failed
    assert "the answer to 'who' raised" in caplog.text
    assert "$.a is an object" in caplog.text


async def test_a_function_may_block(answers):
    answers.answerers["who"] = lambda data: data
    assert await answers.to(Message("who", 5)) == (5, 200)


async def test_only_so_many_are_answered_at_once(answers, autojump_clock):
    async def answer(data):
        await trio.sleep(1)

    answers.answerers["who"] = answer
    heard = []

    async def ask():
        heard.append((await answers.to(Message("who")))[1])

    async with trio.open_nursery() as nursery:
        for _ in range(MOST + 3):
            nursery.start_soon(ask)
    assert heard == [429] * 3 + [200] * MOST
    assert (await answers.to(Message("who")))[1] == 200
