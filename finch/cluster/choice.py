"""Which backplane an application has: that of one process, or the one that a URL names."""

from __future__ import annotations

from typing import Final

from finch.cluster.backplane import Backplane, Local
from finch.cluster.inprocess import InProcess
from finch.errors import ConfigurationError
from finch.explain import kind, shown

_SCHEMES: Final = ("redis://", "rediss://", "unix://")


def check_url(url: object) -> str | None:
    """The URL of a backplane; None for none.

    Raises:
        ConfigurationError: if it is none of a kind that is known, or coredis is not installed.
    """
    if url is None:
        return None
    if not isinstance(url, str):
        raise ConfigurationError(
            f"backplane is a URL, not {kind(url)}; write backplane='redis://localhost:6379/0'"
        )
    if not url.startswith(_SCHEMES):
        raise ConfigurationError(
            f"backplane={shown(url.rpartition('@')[2])} begins with none of "
            f"{', '.join(_SCHEMES)}; write backplane='redis://localhost:6379/0'"
        )
    try:
        import coredis  # noqa: F401  # only to know that it is there
    except ImportError:
        raise ConfigurationError(
            "a backplane over Redis needs coredis; write: pip install 'finch-trio[redis]'"
        ) from None
    from finch.cluster.address import Address

    Address(url)  # a mistake in it raises here
    return url


def make_backplane(url: str | None, local: Local, mount: str) -> Backplane:
    """The backplane of a manager.

    Parameters:
        url: from :func:`check_url`.
        local: the clients of this process.
        mount: the path of the manager; empty for the application's own one.
    """
    if url is None:
        return InProcess(local)
    from finch.cluster.address import Address
    from finch.cluster.redis import Redis

    return Redis(local, Address(url), mount)
