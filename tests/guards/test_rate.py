"""RateLimit: how many requests a client may send."""

import logging
import random
import tracemalloc
import uuid

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from finch import Address, ConfigurationError, FinchApp, HTTPError
from finch.guards import Bearer, RateLimit
from finch.guards.rate import Buckets
from finch.testing import HandshakeRefused, TestClient


def application(*guards):
    app = FinchApp()
    for guard in guards:
        app.middleware(guard)

    @app.get("/")
    async def index(request):
        return "hello"

    @app.get("/login")
    async def login(request):
        if request.query.get("password") != "right":
            raise HTTPError(401, "wrong")
        return "welcome"

    @app.socket("hello")
    async def hello(socket, data):
        return "hello"

    return app


async def statuses(app, count, address="192.0.2.1", path="/", **options):
    client = Address(address, 5)
    async with TestClient(app, client=client) as tester:
        return [(await tester.get(path, **options)).status for _ in range(count)]


async def test_a_client_may_send_so_many_and_no_more(autojump_clock):
    app = application(RateLimit(3, per=60))
    assert await statuses(app, 5) == [200, 200, 200, 429, 429]
    assert await statuses(app, 1, "192.0.2.2") == [200]  # another client
    await trio.sleep(20)
    assert await statuses(app, 2) == [200, 429]  # one has come back
    await trio.sleep(600)
    assert await statuses(app, 4) == [200, 200, 200, 429]  # and never more than all


async def test_the_answers_say_how_many_are_left(autojump_clock):
    async with TestClient(application(RateLimit(3, per=60, name="api"))) as client:
        first = await client.get("/")
        assert first.headers["ratelimit-policy"] == '"api";q=3;w=60'
        assert first.headers["ratelimit"] == '"api";r=2;t=20'
        await client.get("/nothing")
        await client.get("/")
        refused = await client.get("/")
    assert refused.status == 429
    assert refused.text == "too many requests; try again in 20 s"
    assert refused.headers["retry-after"] == "20"
    assert refused.headers["ratelimit"] == '"api";r=0;t=20'


async def test_after_the_time_that_it_says_a_client_gets_through(autojump_clock):
    async with TestClient(application(RateLimit(7, per=10))) as client:
        for _ in range(50):
            response = await client.get("/")
            if response.status == 429:
                await trio.sleep(int(response.headers["retry-after"]))
                assert (await client.get("/")).status == 200


async def test_two_limits_say_both(autojump_clock):
    app = application(RateLimit(2, per=1, name="burst"), RateLimit(3, per=3600, name="hour"))
    async with TestClient(app) as client:
        response = await client.get("/")
        assert len(response.headers.getlist("ratelimit")) == 2
        assert (await client.get("/")).status == 200
        assert (await client.get("/")).status == 429
        await trio.sleep(1)
        assert (await client.get("/")).status == 200
        assert (await client.get("/")).status == 429  # the hour's


async def test_upgrades_count(autojump_clock):
    async with TestClient(application(RateLimit(2, per=60))) as client:
        for _ in range(2):
            async with client.socket():
                pass
        with pytest.raises(HandshakeRefused) as refused:
            async with client.socket():
                pass
    assert refused.value.response.status == 429


def test_each_run_begins_anew():
    """Tests serve one application again and again, and each has a clock of its own."""
    app = application(RateLimit(2, per=60))
    for _ in range(5):
        clock = trio.testing.MockClock(autojump_threshold=0)
        assert trio.run(statuses, app, 3, clock=clock) == [200, 200, 429]


# Who is one client


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:0:ffff:ffff:ffff:ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("odd:name", "odd:name", True),
    ],
)
async def test_an_address_is_a_household(one, other, same, autojump_clock):
    app = application(RateLimit(1, per=60))
    assert await statuses(app, 1, one) == [200]
    assert await statuses(app, 1, other) == [429 if same else 200]


async def test_a_user_is_one_client_from_wherever(autojump_clock):
    app = application(Bearer({"a": "ann", "b": "bob"}), RateLimit(1, per=60, by="user"))
    ann, bob = ({"authorization": f"Bearer {token}"} for token in "ab")
    assert await statuses(app, 1, "192.0.2.1", headers=ann) == [200]
    assert await statuses(app, 1, "192.0.2.2", headers=ann) == [429]
    assert await statuses(app, 1, "192.0.2.1", headers=bob) == [200]


async def test_nobody_is_counted_by_address(autojump_clock):
    app = application(RateLimit(1, per=60, by="user"))
    assert await statuses(app, 2, "192.0.2.1") == [200, 429]
    assert await statuses(app, 1, "192.0.2.2") == [200]


async def test_a_function_may_say_who(autojump_clock):
    app = application(RateLimit(1, per=60, by=lambda request: request.headers.get("x-key")))
    assert await statuses(app, 2, headers={"x-key": "a" * 5000}) == [200, 429]
    assert await statuses(app, 1, headers={"x-key": "a" * 5001}) == [200]
    assert await statuses(app, 3) == [200, 200, 200]  # None is not limited


@pytest.mark.parametrize(
    "key", [1, -1, "x", b"x", uuid.UUID(int=1), 10**1000, "\ud800" * 100, True]
)
async def test_these_say_who(key, autojump_clock):
    app = application(RateLimit(1, per=60, by=lambda request: key))
    assert await statuses(app, 2) == ([200, 429] if key is not True else [500, 500])


@pytest.mark.parametrize("key", [1.5, [], {}, object(), ("a",)])
async def test_anything_else_is_an_error_that_says_what_to_write(key, caplog, autojump_clock):
    app = application(RateLimit(1, per=60, by=lambda request: key))
    assert await statuses(app, 1) == [500]
    assert "by=lambda request:" in caplog.text


async def test_an_async_function_is_told(caplog, autojump_clock):
    async def who(request):
        return "x"

    assert await statuses(application(RateLimit(1, by=who)), 1) == [500]
    assert "not a coroutine" in caplog.text


async def test_clients_without_an_address_are_one_and_the_log_says_so(caplog, autojump_clock):
    caplog.set_level(logging.WARNING)
    app = application(RateLimit(1, per=60))
    async with TestClient(app, client=Address("", 0)) as client:
        assert [(await client.get("/")).status for _ in range(3)] == [200, 429, 429]
    assert caplog.text.count("forwarded_allow_ips='unix'") == 1


# Failures


async def test_only_failures_may_count(autojump_clock):
    app = application(RateLimit(3, per=300, only=[401]))
    right, wrong = "/login?password=right", "/login?password=wrong"
    assert await statuses(app, 20, path=right) == [200] * 20
    assert await statuses(app, 4, path=wrong) == [401, 401, 401, 429]
    assert await statuses(app, 1, path=right) == [429]
    await trio.sleep(100)
    assert await statuses(app, 1, path=right) == [200]


async def test_guesses_at_the_same_time_do_not_get_through_together(autojump_clock):
    """All are under way before the first has failed."""
    app = FinchApp()
    app.middleware(RateLimit(3, per=300, only=[401]))
    guesses = []

    @app.get("/login")
    async def login(request):
        guesses.append(request)
        await trio.sleep(5)
        raise HTTPError(401)

    async with TestClient(app) as client, trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(lambda: client.get("/login", timeout=60))
    assert len(guesses) == 3


# The table


def test_a_bucket_never_gives_more_than_the_limit():
    buckets = Buckets(10, 60.0, 100)
    taken = [now for now in range(600) for _ in range(5) if buckets.take(("a", 1), now) == 0]
    for begin in range(540):
        window = [now for now in taken if begin <= now < begin + 60]
        assert len(window) <= 20  # a full bucket, and what comes back meanwhile
    assert len(taken) == pytest.approx(110, abs=1)


@settings(max_examples=50)
@given(st.lists(st.floats(0, 50), max_size=60), st.integers(1, 20), st.floats(0.001, 1000))
def test_who_waits_as_long_as_is_said_gets_a_token(pauses, limit, per):
    buckets, now = Buckets(limit, per, 10), 12345.678
    for pause in pauses:
        now += pause
        wait = buckets.take(("a", 1), now)
        assert 0 <= wait <= per / limit * 1.001
        left, full = buckets.state(("a", 1), now)
        assert 0 <= left <= limit
        assert 0 <= full <= per * 1.001
        if wait:
            now += wait
            assert buckets.take(("a", 1), now) == 0


def test_the_table_is_bounded():
    buckets = Buckets(5, 60.0, 1000)
    for number in range(20_000):
        buckets.take(("address", number), number / 1e6)
        assert len(buckets) <= 1000


def test_full_buckets_go_first():
    buckets = Buckets(5, 60.0, 10)
    for number in range(9):
        buckets.take(("old", number), 0.0)
    buckets.take(("new", 0), 100.0)
    buckets.take(("new", 1), 100.0)
    assert len(buckets) == 2


def test_nobody_is_forgotten_by_making_others():
    """An attacker who has used up all tokens sends from many other addresses."""
    buckets = Buckets(5, 3600.0, 100)
    while buckets.take(("evil", 0), 0.0) == 0:
        pass
    for number in range(20_000):
        buckets.take(("other", number), 1.0)
    assert buckets.take(("evil", 0), 2.0) > 0


def test_giving_back_to_a_bucket_that_is_gone_makes_none():
    buckets = Buckets(5, 60.0, 10)
    buckets.give_back(("a", 1))
    assert len(buckets) == 0


def test_keys_take_little_memory():
    from finch.guards.rate import _kept

    buckets = Buckets(5, 60.0, 1000)
    tracemalloc.start()
    try:
        for _ in range(1500):
            key = _kept(random.randbytes(8000).hex(), "by")
            buckets.take(key, 0.0)
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"limit": 0}, "limit is a whole number"),
        ({"limit": 1.5}, "limit is a whole number"),
        ({"limit": True}, "limit is a whole number"),
        ({"limit": "100/minute"}, "limit is a whole number"),
        ({"per": 0}, "per is seconds"),
        ({"per": float("nan")}, "per is seconds"),
        ({"per": float("inf")}, "per is seconds"),
        ({"per": "minute"}, "per is seconds"),
        ({"by": "ip"}, "by is 'address'"),
        ({"by": lambda: 1}, "by of RateLimit is called with"),
        ({"only": "401"}, "which is not the status"),
        ({"only": [True]}, "which is not the status"),
        ({"only": [99]}, "which is not the status"),
        ({"only": 4.5}, "only is a list"),
        ({"name": 'a"b'}, "name is letters"),
        ({"keys": 1}, "keys is a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_written(options, says):
    with pytest.raises(ConfigurationError, match=says):
        RateLimit(**({"limit": 5} | options))


def test_one_status_may_be_written_alone():
    assert RateLimit(5, only=401)._only == {401}
