"""Metrics: the figures of an application's managers, for Prometheus.

Needs ``finch-trio[metrics]``. Nothing is counted for it: the figures are read from
:meth:`finch.SocketManager.stats` when Prometheus asks.

Source: https://prometheus.io/docs/instrumenting/exposition_formats,
https://prometheus.github.io/client_python/collector/custom.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, Final, Protocol

from finch.bearer import check_access, check_token
from finch.errors import ConfigurationError
from finch.explain import shown
from finch.http.paths import parse_path
from finch.http.request import Request
from finch.http.response import Response
from finch.http.routing import FinchRoute
from finch.sockets.stats import Stats

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector

_GAUGES: Final = {
    "clients": ("clients", "Connected clients."),
    "users": ("users", "Users with a client."),
    "rooms": ("rooms", "Rooms with a client."),
    "busy": ("busy_clients", "Clients whose handlers run, or wait for their turn."),
    "waiting": ("waiting_messages", "Messages that wait for handlers."),
    "paused": ("paused_clients", "Clients that are not read from: too many messages wait."),
    "pending": ("pending_bytes", "Bytes that wait for clients to read."),
    "lag": ("lag_seconds", "How far the slowest client is behind."),
    "channels": ("backplane_channels", "Audiences that are heard on the backplane."),
    "peers": ("backplane_peers", "Other processes that are known to live."),
    "unsent": ("backplane_unsent_messages", "Messages on their way to the backplane."),
}
_COUNTERS: Final = {
    "received": ("received_messages", "Messages of clients that were handled."),
    "delivered": ("delivered_messages", "Copies of messages to audiences given to clients."),
    "failed": ("failed_callbacks", "Exceptions of callbacks."),
    "replaced": ("replaced_messages", "Volatile messages that newer ones have replaced."),
    "dropped_answers": ("dropped_answers", "Answers that nobody waited for any longer."),
    "lost": ("backplane_lost_messages", "Messages that other processes may not have got."),
}
_STATES: Final = ("connected", "connecting", "degraded")


class Application(Protocol):
    """Whose figures are told."""

    worker: int

    def stats_by_path(self) -> Mapping[str, Stats]:
        """The figures of each manager by its path."""


def metrics_route(path: str | None, token: str | None, app: Application) -> FinchRoute:
    """The route that Prometheus asks.

    Parameters:
        path: its path.
        token: what must follow ``Authorization: Bearer``; None if anybody may ask.
        app: whose figures they are.

    What the application itself counts with ``prometheus_client``, in its default registry, is in
    the answer, too. Every figure has the label ``worker``: of several workers on one port, another
    one answers each time, and without it all would be taken for one whose counters jump. The
    connection is closed, or the same worker would answer always.

    Raises:
        ConfigurationError: if the path or the token is not one, or ``prometheus_client`` is not
            installed.
    """
    if path is None:
        raise ConfigurationError("metrics_token without a path; write metrics='/metrics', too")
    parse_path(path)
    tokens = None if token is None else [check_token("metrics_token", token)]
    try:
        import prometheus_client
        from prometheus_client.exposition import choose_encoder
    except ImportError:
        raise ConfigurationError(
            f"metrics={shown(path)} needs prometheus_client; write: "
            "pip install 'finch-trio[metrics]'"
        ) from None
    registry: Any = _Families(prometheus_client.REGISTRY, app)

    async def metrics(request: Request) -> Response:
        if tokens is not None:
            check_access(request, tokens)
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        headers = {"cache-control": "no-store", "connection": "close"}
        return Response(encode(registry), headers=headers, content_type=content_type)

    return FinchRoute(path, metrics, key="finch.metrics")


class _Families:
    """All that is told: the figures of the managers, and what is in another registry.

    The figures are not registered there: two applications in one process would collide.
    """

    def __init__(self, registry: Collector, app: Application) -> None:
        self._registry = registry
        self._app = app

    def collect(self) -> Iterable[Metric]:
        """Called by ``prometheus_client``."""
        worker = {"worker": str(self._app.worker)}
        for families in (_families(self._app.stats_by_path()), self._registry.collect()):
            for family in families:
                told = copy(family)  # the registry keeps its own
                told.samples = [
                    sample._replace(labels={**worker, **sample.labels}) for sample in family.samples
                ]
                yield told


def _families(stats: Mapping[str, Stats]) -> Iterable[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    figures: GaugeMetricFamily | CounterMetricFamily
    for cls, names in ((GaugeMetricFamily, _GAUGES), (CounterMetricFamily, _COUNTERS)):
        for attribute, (name, text) in names.items():
            figures = cls(f"finch_{name}", text, labels=["path"])
            for path, one in stats.items():
                figures.add_metric([path], getattr(one, attribute))
            yield figures
    states = GaugeMetricFamily(
        "finch_backplane_state", "1 for the state of the backplane.", labels=["path", "state"]
    )
    for path, one in stats.items():
        for state in _STATES:
            states.add_metric([path, state], one.backplane == state)
    yield states
