"""RateLimit: how many requests a client may send in a time.

Each client has a bucket of tokens: a request takes one, and they come back evenly. So a client may
send all of them at once, and then one whenever a token has come back. A bucket is one number: the
time at which it will be full again (the generic cell rate algorithm).

The table of buckets is bounded. A full bucket is the same as none, so those are dropped first. If
there are still too many, those go that are nearest to being full. So nobody can get rid of a bucket
that is empty by making many others: each of these would have to be as empty.

Each process counts for itself: with four workers, a client may send up to four times as much.

Source: RFC 6585, section 4 (429); draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from ipaddress import AddressValueError, IPv6Address
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

import trio

from finch.declaring import check_takes
from finch.errors import ConfigurationError, HTTPError
from finch.explain import kind, shown
from finch.guards.around import Next, answered
from finch.http.request import Request
from finch.http.response import Response
from finch.logs import Seldom

_log: Final = logging.getLogger("finch.app")

_LONGEST: Final = 64  # characters of a key that is kept as it is; of a longer one, a hash is kept
_NAME: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_ROUNDING: Final = 1e-6  # of a token: sums of floats are not exact

Key = tuple[str, object]


class RateLimit:
    """Answers 429 to a client that sends too many requests. Upgrades count, too.

    Parameters:
        limit: how many requests a client may send ...
        per: ... in so many seconds.
        by: who counts as one client. ``"address"``: an IPv4 address, or the 64 bits of an IPv6
            address that stand for a household. ``"user"``: ``request.user``, or the address if
            there is none. Or a function that takes the request and returns a str or int; None is
            not limited. It runs on the event loop, so it must not block.
        only: the statuses of responses that count, such as ``[401, 403]`` to limit guesses of
            passwords. All count if it is empty.
        name: what the headers call this limit, if there are several.
        keys: how many clients are remembered at most.

    Behind proxies, the address is that which a trusted one reports: without
    ``forwarded_allow_ips``, all clients have the address of the proxy, and share its tokens.

    Raises:
        ConfigurationError: if a value is invalid.

    Example::

        app.middleware(RateLimit(100, per=60))
        app.middleware(RateLimit(5, per=300, only=[401]))
    """

    def __init__(
        self,
        limit: int,
        *,
        per: float = 60,
        by: str | Callable[[Request], Any] = "address",
        only: Iterable[int] = (),
        name: str = "default",
        keys: int = 10_000,
    ) -> None:
        for value, option, least in ((limit, "limit", 1), (keys, "keys", 10)):
            if type(value) is not int or value < least:
                raise ConfigurationError(
                    f"{option} is a whole number, {least} or more, not {shown(value)}"
                )
        if type(per) not in (int, float) or not 0 < per < math.inf:
            raise ConfigurationError(f"per is seconds, above 0, not {shown(per)}")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError(f"name is letters, digits and ._- only, not {shown(name)}")
        self._by = _key_function(by)
        self._only = _statuses(only)
        self._new_buckets = partial(Buckets, limit, per, keys)
        self._buckets = self._new_buckets()
        self._run: trio.lowlevel.TrioToken | None = None
        self._name = name
        self._policy = f'"{name}";q={limit};w={math.ceil(per)}'
        self._seldom = Seldom(_log)

    async def __call__(self, request: Request, call_next: Next) -> Response:
        key = self._key(request)
        if key is None:
            return await call_next(request)
        run = trio.lowlevel.current_trio_token()
        if run is not self._run:  # a test has served the application before, with another clock
            self._run, self._buckets = run, self._new_buckets()
        wait = self._buckets.take(key, trio.current_time())
        if wait > 0:
            seconds = max(1, math.ceil(wait))
            raise HTTPError(
                429,
                f"too many requests; try again in {seconds} s",
                {"retry-after": str(seconds), **self._headers(0, seconds)},
            )
        response = await answered(request, call_next)
        if not self._only:
            left, full = self._buckets.state(key, trio.current_time())
            for header, value in self._headers(left, math.ceil(full)).items():
                response.add_header(header, value)
        elif response.status not in self._only:
            # taken before, and given back now: else many guesses at a time would all get through
            self._buckets.give_back(key)
        return response

    def _headers(self, left: int, seconds: int) -> dict[str, str]:
        return {
            "ratelimit-policy": self._policy,
            "ratelimit": f'"{self._name}";r={left};t={seconds}',
        }

    def _key(self, request: Request) -> Key | None:
        if callable(self._by):
            return _kept(self._by(request), "by")
        if self._by == "user":
            user = request.user
            if user is not None:
                return _kept(user, "user")
        host = request.client.host
        if not host:
            self._seldom.warning(
                "RateLimit counts all clients of a unix socket as one: their addresses are not "
                "known. forwarded_allow_ips='unix' believes the proxy that sends them"
            )
        return ("address", _household(host))


class Buckets:
    """The buckets of all clients. It reads no clock: every caller says what time it is.

    Parameters:
        limit: tokens of a full bucket.
        per: seconds in which an empty bucket becomes full.
        most: how many buckets are kept.
    """

    def __init__(self, limit: int, per: float, most: int) -> None:
        self._each = per / limit  # seconds in which a token comes back
        self._per = per
        self._most = most
        self._full_at: dict[Key, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: Key, now: float) -> float:
        """Take a token. Returns 0; or the seconds until there is one, if there is none."""
        before = self._full_at.get(key)
        full_at = max(now, now if before is None else before) + self._each
        wait = full_at - now - self._per
        if wait > self._each * _ROUNDING:
            return wait
        if before is None and len(self._full_at) >= self._most:
            self._make_room(now)
        self._full_at[key] = full_at
        return 0.0

    def give_back(self, key: Key) -> None:
        """Undo a :meth:`take`."""
        if key in self._full_at:
            self._full_at[key] -= self._each

    def state(self, key: Key, now: float) -> tuple[int, float]:
        """How many tokens there are, and in how many seconds there are all."""
        full = max(0.0, self._full_at.get(key, now) - now)
        return max(0, int((self._per - full) / self._each + _ROUNDING)), full

    def _make_room(self, now: float) -> None:
        """Drop full buckets; and the quarter that is nearest to full, if too many are left. So one
        of so many new clients pays for all of it."""
        self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        spare = self._most - self._most // 4
        if len(self._full_at) > spare:
            by_need = sorted(self._full_at.items(), key=itemgetter(1))
            self._full_at = dict(by_need[-spare:])


def _key_function(by: Any) -> str | Callable[[Request], Any]:
    if isinstance(by, str) and by in ("address", "user"):
        return by
    if not callable(by):
        raise ConfigurationError(
            f"by is 'address', 'user', or a function that takes the request, not {shown(by)}"
        )
    check_takes(by, "by of RateLimit", "(request)")
    return by  # type: ignore[no-any-return]  # checked above


def _statuses(only: Any) -> frozenset[int]:
    listed = [only] if isinstance(only, int) else only
    if not isinstance(listed, Iterable):
        raise ConfigurationError(f"only is a list of statuses, such as [401], not {shown(only)}")
    statuses = frozenset(listed)
    for one in statuses:
        if type(one) is not int or not 200 <= one <= 599:
            raise ConfigurationError(
                f"only has {shown(one)}, which is not the status of a response; write only=[401]"
            )
    return statuses


def _kept(value: Any, what: str) -> Key | None:
    """A key as it is kept: bounded, and without a reference to an object of the application.

    Raises:
        TypeError: if the value is no key.
    """
    if value is None:
        return None
    if isinstance(value, UUID):
        value = value.hex
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if type(value) is int and value.bit_length() > 256:
        value = hex(value)
    if isinstance(value, str):
        if len(value) > _LONGEST:
            data = value.encode("utf-8", "surrogatepass")
            return (what, hashlib.blake2b(data, digest_size=16).digest())
        return (what, str.__str__(value))
    if type(value) is not int:
        coroutine = getattr(value, "close", None) if hasattr(value, "__await__") else None
        if coroutine is not None:
            coroutine()
        raise TypeError(
            f"RateLimit counts by a str or int, not {kind(value)}; write "
            "by=lambda request: request.user.id"
        )
    return (what, value)


@lru_cache(maxsize=1024)
def _household(host: str) -> object:
    """What stands for one client: a provider gives each at least 64 bits of IPv6 addresses."""
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host.partition("%")[0])
    except AddressValueError:
        return host
    mapped = address.ipv4_mapped
    return int(address) >> 64 if mapped is None else str(mapped)
