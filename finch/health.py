"""The routes for probes: ``/healthz`` says that the process lives, ``/readyz`` that it takes work.

Source: https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from finch.http.request import Request
from finch.http.response import TextResponse
from finch.http.routing import FinchRoute

_NEVER_KEPT = {"cache-control": "no-store"}


def health_routes(
    serving: Callable[[], bool], states: Callable[[], Iterable[str]]
) -> list[FinchRoute]:
    """The routes of both.

    Parameters:
        serving: whether the application has started, and does not end.
        states: the states of its backplanes: see :class:`finch.cluster.backplane.Backplane`.

    The answer is 200, or 503 with the reason. A backplane that was never reached is such a reason:
    if its address is wrong, a rolling update stops at the first process. One that was reached and
    is away is none, and the answer only says so: it is away for all processes alike, and if all
    were taken out of a load balancer, nobody would serve what works without it. They are routes as
    any other: what an application's middleware refuses is refused here too.
    """

    async def live(request: Request) -> TextResponse:
        return TextResponse("ok", headers=_NEVER_KEPT)

    async def ready(request: Request) -> TextResponse:
        troubles = [state for state in states() if state != "connected"]
        said = f"backplane: {troubles[0]}" if troubles else "ok"
        if not serving():
            return TextResponse("draining", 503, headers=_NEVER_KEPT)
        status = 503 if "connecting" in troubles else 200
        return TextResponse(said, status, headers=_NEVER_KEPT)

    return [
        FinchRoute("/healthz", live, key="finch.health.live"),
        FinchRoute("/readyz", ready, key="finch.health.ready"),
    ]
