"""finch.serve and finch.run: what they take, and what they say to anything else."""

import ipaddress
import os
from functools import partial

import pytest
import trio

from finch import ConfigurationError, FinchApp, run, serve


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"host": None}, "host is a name or an address as text"),
        ({"host": b"::"}, "not b'::'"),
        ({"host": "a..b"}, "cannot listen on a..b:8080: "),
        ({"host": "no\0where"}, "cannot listen on no"),
        ({"port": "8080"}, "not '8080'; write port=8080"),
        ({"port": "http"}, "port is a number from 0 to 65535 (0 for any), not 'http'"),
        ({"port": 70000}, "not 70000"),
        ({"port": -1}, "not -1"),
        ({"port": True}, "not True"),
        ({"port": 80.0}, "not 80.0"),
        ({"unix": 5}, "unix is a path as text, not 5"),
        ({"unix": b"s"}, "unix is a path as text, not b's'"),
        ({"unix": ""}, "unix is the path of a socket file, not ''"),
        ({"fd": "3"}, "fd is the number of a descriptor, such as 3, not '3'"),
        ({"fd": True}, "not True"),
        ({"fd": 2**80}, f"descriptor {2**80} is not open"),
        ({"certfile": 5}, "certfile is a path as text, not 5"),
        ({"certfile": "c", "keyfile": ["k"]}, "keyfile is a path as text, not ['k']"),
        ({"keyfile": "k"}, "a keyfile without a certfile"),
        ({"forwarded_allow_ips": None}, "not None"),
        ({"forwarded_allow_ips": 5}, "forwarded_allow_ips is a text or a list of texts"),
        ({"forwarded_allow_ips": b"*"}, "not b'*'"),
        ({"forwarded_allow_ips": [ipaddress.ip_address("::1")]}, "not IPv6Address('::1')"),
        ({"proxy_protocol": "no"}, "proxy_protocol is True or False, not 'no'"),
        ({"access_log": "false"}, "access_log is True or False, not 'false'"),
        ({"access_log": None}, "access_log is True or False, not None"),
    ],
)
async def test_an_option_of_the_wrong_kind_is_named(options, says):
    with pytest.raises(ConfigurationError) as mistake:
        await serve(FinchApp(), **options)
    assert says in str(mistake.value)


@pytest.mark.parametrize("thing", [None, object(), [FinchApp()], int, print])
async def test_only_an_application_is_served(thing):
    with pytest.raises(ConfigurationError, match=r"finch\.serve takes a"):
        await serve(thing)


async def test_a_path_may_be_a_path(tmp_path):
    path = tmp_path / "finch.sock"
    async with trio.open_nursery() as nursery:
        assert await nursery.start(partial(serve, FinchApp(), unix=path)) == [f"unix:{path}"]
        nursery.cancel_scope.cancel()
    with pytest.raises(FileNotFoundError):
        os.stat(path)


def test_run_says_how_several_workers_serve():
    with pytest.raises(ConfigurationError, match=r"python -m finch app:app --workers 4, so that"):
        run(FinchApp(), workers=4)
