"""The routes for probes: ``/healthz`` says that the process lives, ``/readyz`` that it takes work.

Source: https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes.
"""

from __future__ import annotations

from collections.abc import Callable

from finch.http.request import Request
from finch.http.response import TextResponse
from finch.http.routing import FinchRoute

_NEVER_KEPT = {"cache-control": "no-store"}


def health_routes(why_not_ready: Callable[[], str]) -> list[FinchRoute]:
    """The routes of both.

    Parameters:
        why_not_ready: why the application takes no work now, such as ``draining``; empty if it
            does.

    The answer is 200 with ``ok``, or 503 with the reason. They are routes as any other: what an
    application's middleware refuses is refused here too.
    """

    async def live(request: Request) -> TextResponse:
        return TextResponse("ok", headers=_NEVER_KEPT)

    async def ready(request: Request) -> TextResponse:
        reason = why_not_ready()
        return TextResponse(reason or "ok", 503 if reason else 200, headers=_NEVER_KEPT)

    return [
        FinchRoute("/healthz", live, key="finch.health.live"),
        FinchRoute("/readyz", ready, key="finch.health.ready"),
    ]
