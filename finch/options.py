"""Checks the options for serving an application, before anything starts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from finch.app import FinchApp
from finch.errors import ConfigurationError
from finch.net.proxies import Trust


def check_app(app: object, taker: str) -> None:
    """Refuse a value that is not an application.

    Parameters:
        taker: the function or class that got the value, for the message.

    Raises:
        ConfigurationError: if ``app`` is not a FinchApp. It says what to write instead.
    """
    if isinstance(app, FinchApp):
        return
    if isinstance(app, type) and issubclass(app, FinchApp):
        raise ConfigurationError(
            f"{taker} takes an application, not its class; write app = {app.__name__}(), "
            f"and {taker}(app)"
        )
    if isinstance(app, str):
        raise ConfigurationError(
            f"{taker} takes the application itself, not its name {app!r}; import it, and write "
            f"{taker}(app)"
        )
    call = callable(app) and not isinstance(app, type)
    hint = f"; if it makes one, write {taker}({getattr(app, '__name__', 'it')}())" * call
    raise ConfigurationError(f"{taker} takes a FinchApp, not {_a_value(app)}{hint}")


def trust_in(believed: object) -> Trust:
    """The trusted proxies, from ``forwarded_allow_ips``.

    Raises:
        ConfigurationError: if it is neither a text nor a list of texts, or has an invalid entry.
    """
    entries = believed if isinstance(believed, str) else _listed(believed)
    return Trust(entries)


def _listed(believed: object) -> list[str]:
    wrong = believed
    if isinstance(believed, Iterable) and not isinstance(believed, bytes | Mapping):
        entries = list(believed)
        if all(isinstance(entry, str) for entry in entries):
            return entries
        wrong = next(entry for entry in entries if not isinstance(entry, str))
    raise ConfigurationError(
        "forwarded_allow_ips is a text or a list of texts, such as ['10.0.0.5', '10.1.0.0/16'], "
        f"not {_a_value(wrong)}"
    )


def check_address(host: object, port: object, fd: object) -> None:
    """Refuse an address that cannot be listened on.

    Raises:
        ConfigurationError: for a wrong type, an empty host or a URL, a port that does not exist.
    """
    if not isinstance(host, str):
        raise ConfigurationError(
            "host is a name or an address as text, such as '127.0.0.1' ('0.0.0.0' for every "
            f"address), not {_a_value(host)}"
        )
    if not host.strip():  # getaddrinfo would return every address
        raise ConfigurationError(
            f"host is {host!r}; write '127.0.0.1' for this machine alone, or '0.0.0.0' for every "
            "address"
        )
    if "/" in host or host.count(":") == 1:
        alone = host.rpartition("://")[2].partition("/")[0].partition(":")[0]
        raise ConfigurationError(
            f"host is {host!r}; write host={alone!r}, and the port as a number: port=8080"
        )
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        hint = f"; write port={int(port)}" if isinstance(port, str) and port.isdecimal() else ""
        raise ConfigurationError(
            f"port is a number from 0 to 65535 (0 for any), not {_a_value(port)}{hint}"
        )
    if fd is not None and (isinstance(fd, bool) or not isinstance(fd, int)):
        raise ConfigurationError(f"fd is the number of a descriptor, such as 3, not {_a_value(fd)}")


def check_switch(name: str, value: object) -> None:
    """Refuse a value that is neither True nor False. The text ``"false"`` would count as True.

    Raises:
        ConfigurationError: if it is neither.
    """
    if not isinstance(value, int):  # True and False are ints
        raise ConfigurationError(f"{name} is True or False, not {_a_value(value)}")


def as_path(name: str, path: object) -> str | None:
    """A path option as text.

    Raises:
        ConfigurationError: if it is neither text nor a ``pathlib.Path``.
    """
    if path is None:
        return None
    try:
        found = os.fspath(path)  # type: ignore[call-overload]
    except TypeError:
        found = path
    if not isinstance(found, str):
        raise ConfigurationError(f"{name} is a path as text, not {_a_value(path)}")
    return found


def _a_value(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"a value of type {type(value).__name__}"
