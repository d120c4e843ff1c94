"""Guards: what most applications put around all their handlers. Each is used as middleware.

around.py       what all of them need: the response to an error, too; Vary
cors.py         CORS: which pages of other origins may read responses
hosts.py        TrustedHosts: the names under which the application is served
headers.py      SecurityHeaders: what browsers should refuse
request_ids.py  RequestID: a name for each request, in responses and in the log
compress.py     Compress: whole responses in gzip
credentials.py  Basic and Bearer: who sends a request
rate.py         RateLimit: how many requests a client may send

Example::

    from finch.guards import CORS, SecurityHeaders

    app.middleware(SecurityHeaders())
    app.middleware(CORS(["https://app.example.org"]))

Each module is imported when its name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from finch.guards.compress import Compress as Compress
    from finch.guards.cors import CORS as CORS
    from finch.guards.credentials import Basic as Basic
    from finch.guards.credentials import Bearer as Bearer
    from finch.guards.credentials import same_secret as same_secret
    from finch.guards.headers import SecurityHeaders as SecurityHeaders
    from finch.guards.hosts import TrustedHosts as TrustedHosts
    from finch.guards.rate import RateLimit as RateLimit
    from finch.guards.request_ids import RequestID as RequestID
    from finch.guards.request_ids import RequestIDFilter as RequestIDFilter
    from finch.guards.request_ids import request_id as request_id

_WHERE: Final = {
    "Basic": "credentials",
    "Bearer": "credentials",
    "CORS": "cors",
    "Compress": "compress",
    "RateLimit": "rate",
    "RequestID": "request_ids",
    "RequestIDFilter": "request_ids",
    "SecurityHeaders": "headers",
    "TrustedHosts": "hosts",
    "request_id": "request_ids",
    "same_secret": "credentials",
}

__all__ = [
    "CORS",
    "Basic",
    "Bearer",
    "Compress",
    "RateLimit",
    "RequestID",
    "RequestIDFilter",
    "SecurityHeaders",
    "TrustedHosts",
    "request_id",
    "same_secret",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'finch.guards' has no attribute {name!r}")
    value = getattr(import_module(f"finch.guards.{_WHERE[name]}"), name)
    globals()[name] = value
    return value
