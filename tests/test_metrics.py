"""What Prometheus is told, and who may ask."""

import sys

import prometheus_client
import pytest
from prometheus_client.parser import text_string_to_metric_families

from finch import ConfigurationError, FinchApp, SocketManager
from finch.testing import TestClient


def make_app(**options):
    app = FinchApp(metrics="/metrics", **options)

    @app.socket("echo")
    async def echo(socket, data):
        return data

    return app


async def told(client, worker="1", **options):
    """What is told: values by name and labels."""
    answer = await client.get("/metrics", **options)
    assert answer.status == 200, answer
    assert answer.headers["connection"] == "close"  # so that another worker answers next
    values = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("worker") == worker
            if "path" in labels or not labels:
                values[sample.name, *labels.values()] = sample.value
    return values


async def test_the_figures_of_each_manager_are_told_by_its_path():
    app = make_app()
    admin = SocketManager(app, path="/admin")
    admin.socket("fail")(lambda socket, data: 1 / 0)
    async with TestClient(app) as client:
        async with client.socket("/ws") as ann, client.socket("/admin") as root:
            await ann.call("echo", 1)
            await root.send("fail")
            await root.receive()
            values = await told(client)
        assert values["finch_clients", "/ws"] == values["finch_clients", "/admin"] == 1
        assert values["finch_received_messages_total", "/ws"] == 1
        assert values["finch_failed_callbacks_total", "/ws"] == 0
        assert values["finch_failed_callbacks_total", "/admin"] == 1
        assert values["finch_backplane_state", "/ws", "connected"] == 1
        assert values["finch_backplane_state", "/ws", "degraded"] == 0


async def test_every_figure_says_which_worker_it_is_of():
    app = make_app()
    app.worker = 3
    async with TestClient(app) as client:
        values = await told(client, worker="3")
        assert {"finch_clients", "process_start_time_seconds"} <= {name for name, *_ in values}


async def test_a_label_of_the_application_is_its_own():
    counted = prometheus_client.Counter("jobs", "Jobs of the test.", ["worker"])
    try:
        counted.labels("importer").inc()
        async with TestClient(make_app()) as client:
            assert 'jobs_total{worker="importer"} 1.0' in (await client.get("/metrics")).text
    finally:
        prometheus_client.REGISTRY.unregister(counted)


async def test_every_figure_is_told():
    app = make_app()
    async with TestClient(app) as client:
        names = {name for name, *_ in await told(client) if name.startswith("finch_")}
    assert len(names) == len(app.socket_manager.stats().__struct_fields__)


async def test_what_the_application_counts_itself_is_told_too():
    counted = prometheus_client.Counter("orders", "Orders of the test.")
    try:
        counted.inc(3)
        async with TestClient(make_app()) as client:
            assert (await told(client))["orders_total",] == 3
    finally:
        prometheus_client.REGISTRY.unregister(counted)


async def test_the_format_is_what_was_asked_for():
    async with TestClient(make_app()) as client:
        plain = await client.get("/metrics")
        assert plain.headers["content-type"].startswith("text/plain; version=")
        accept = "application/openmetrics-text; version=1.0.0"
        modern = await client.get("/metrics", headers={"accept": accept})
        assert modern.headers["content-type"].startswith("application/openmetrics-text")
        assert modern.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", "Basic secret", "secret", "Bearer é"]
)
async def test_who_has_no_token_is_refused(given):
    async with TestClient(make_app(metrics_token="secret")) as client:
        answer = await client.get("/metrics", headers={"authorization": given} if given else {})
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "finch_" not in answer.text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_who_has_the_token_is_told(scheme):
    async with TestClient(make_app(metrics_token="secret")) as client:
        assert await told(client, headers={"authorization": f"{scheme} secret"})


@pytest.mark.parametrize("token", ["", "two words", "ümlaut", "line\n", 5])
def test_what_is_no_token_is_refused_at_once(token):
    with pytest.raises(ConfigurationError, match="metrics_token"):
        make_app(metrics_token=token)


def test_a_token_without_metrics_is_a_mistake():
    with pytest.raises(ConfigurationError, match="metrics='/metrics'"):
        FinchApp(metrics_token="secret")


def test_a_path_that_is_none_is_refused():
    with pytest.raises(ConfigurationError):
        FinchApp(metrics="metrics")


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'finch-trio\[metrics\]'"):
        make_app()


async def test_there_are_no_metrics_by_default():
    async with TestClient(FinchApp()) as client:
        assert (await client.get("/metrics")).status == 404
