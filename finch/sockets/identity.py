"""Identity: who a client is, for how long, and the codes with which a client is sent away."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from finch.errors import HTTPError
from finch.explain import kind, shown
from finch.sockets.members import UserId

EXPIRED: Final = 4401
"""The close code of a client whose identity has expired: come back with a new one."""

STAY_AWAY: Final = 4500
"""The close code of a client that must not come back: 4500 to 4999 mean this."""


class AnotherUser(HTTPError):
    """A client has asked for an identity of another user. It is told so, and sent away."""

    def __init__(self) -> None:
        super().__init__(403, "the user cannot change")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a client is. A function of ``authorize`` returns it.

    Parameters:
        user_id: the user's id; ``manager.user(user_id)`` are all of the user's clients.
        expires_at: when the identity ends, in seconds since the epoch, or as a ``datetime`` with a
            time zone; None for never. The client is then closed with 4401.
        meta: anything about the user that others may see, such as a name: the ``meta`` of presence.

    Raises:
        TypeError: if ``user_id`` or ``expires_at`` has another type.
        ValueError: if ``expires_at`` is a datetime without a time zone, or not a finite number.

    Example::

        @app.authorize
        async def authorize(request):
            user = await user_of(request.cookies.get("session"))
            return Identity(user.id, expires_at=user.session_ends, meta={"name": user.name})
    """

    user_id: UserId | None
    expires_at: float | datetime | None = None
    meta: Any = None

    def __post_init__(self) -> None:
        check_user_id(self.user_id)
        object.__setattr__(self, "expires_at", _seconds(self.expires_at))

    def seconds_left(self) -> float:
        """Seconds until it expires; infinite if it never does."""
        if self.expires_at is None:
            return math.inf
        assert not isinstance(self.expires_at, datetime)
        return self.expires_at - time.time()


def check_user_id(user_id: object) -> None:
    """Refuse a user's id that is neither str, int nor None.

    Raises:
        TypeError: for anything else.
    """
    if user_id is None or (isinstance(user_id, str | int) and not isinstance(user_id, bool)):
        return
    raise TypeError(
        f"a user's id is str or int, not {type(user_id).__name__}; write user_id=user.id"
    )


def identity_of(value: object) -> Identity:
    """The identity that an application's function returned: an id, an Identity, or None.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(value, Identity):
        return value
    if value is None or (isinstance(value, str | int) and not isinstance(value, bool)):
        return Identity(value)
    raise TypeError(
        f"authorize returned {kind(value)}; return the user's id, an Identity, or None for a "
        "client without a user; raise HTTPError(401) to refuse it"
    )


def found_by_guard(user: object) -> Identity | None:
    """The identity of the user that a guard (``auth=``) has found; None if it is no identity."""
    if isinstance(user, Identity):
        return user
    if isinstance(user, str | int) and not isinstance(user, bool):
        return Identity(user)
    return None


def _seconds(expires_at: Any) -> float | None:
    if expires_at is None:
        return None
    if isinstance(expires_at, datetime):
        if expires_at.tzinfo is None:
            raise ValueError(
                "expires_at is a datetime without a time zone; write datetime.now(timezone.utc) + "
                "timedelta(...)"
            )
        return expires_at.timestamp()
    if isinstance(expires_at, bool) or not isinstance(expires_at, int | float):
        raise TypeError(
            f"expires_at is seconds since the epoch, not {kind(expires_at)}; write "
            "time.time() + 3600"
        )
    if not math.isfinite(expires_at):
        raise ValueError(f"expires_at is {shown(expires_at)}; leave it out for never")
    return float(expires_at)
