"""What the tests of several processes share: a Redis server, and worlds of nodes that it joins."""

import itertools

import pytest

from tests.cluster.server import RedisCluster, RedisServer

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """A Redis server that no test harms."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path):
    """A Redis server that belongs to one test."""
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def url(redis_server):
    """A backplane that nobody else has."""
    return redis_server.url(prefix=f"test{next(_numbers)}")


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory):
    """A Redis Cluster that no test harms."""
    with RedisCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster_url(redis_cluster):
    """A backplane in it that nobody else has."""
    return redis_cluster.url(prefix=f"test{next(_numbers)}")
