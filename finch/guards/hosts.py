"""TrustedHosts: the names under which an application is served.

``Host`` is what the client wrote. Whoever builds links of it (``request.url``) sends mails with
links to the attacker's host; and a page can make a browser ask a server of the house under the
page's own name (DNS rebinding). So a request for a host that is not listed gets 421.

It is 421 (Misdirected Request), and not 400 as in other frameworks: the request is well-formed,
but "directed at a server that is unable or unwilling to produce an authoritative response for the
target URI".

Source: RFC 9110, sections 7.4 and 15.5.20.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NamedTuple

from finch.errors import ConfigurationError, HTTPError
from finch.guards.around import Next, texts
from finch.http.request import Request
from finch.http.response import Response
from finch.logs import Seldom

_log: Final = logging.getLogger("finch.app")

_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/@?#\\\s]+))(?::([0-9]{0,5}))?")
_LABELS: Final = re.compile(
    r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*"
)
_PORTS: Final = {"http": 80, "https": 443}
_SHOWN: Final = 200  # characters of a host in the log


class _Host(NamedTuple):
    """A host as it is compared: in lower case, without a dot at its end."""

    name: str
    port: int | None


class TrustedHosts:
    """Refuses requests for any other host, upgrades included.

    Parameters:
        hosts: such as ``"example.org"``; ``"*.example.org"`` for all hosts below it, not itself;
            ``"[::1]"``. With a port, only that port; without one, any. One text, or several.

    Behind proxies, the host is that which a trusted proxy reports (``forwarded_allow_ips``). Probes
    that ask by address, as those of Kubernetes, must send a ``Host`` that is listed.

    Raises:
        ConfigurationError: if a host is not one.

    Example::

        app.middleware(TrustedHosts(["example.org", "*.example.org"]))
    """

    def __init__(self, hosts: Iterable[str] | str) -> None:
        listed = texts(hosts, "hosts", "['example.org']")
        if not listed:
            raise ConfigurationError("hosts is empty, so nobody could send a request; list them")
        self._exact: set[_Host] = set()
        self._below: list[_Host] = []
        for one in listed:
            if one.startswith("*."):
                name, port = _listed(one[2:], one)
                self._below.append(_Host(f".{name}", port))
            else:
                self._exact.add(_listed(one, one))
        self._seldom = Seldom(_log)

    async def __call__(self, request: Request, call_next: Next) -> Response:
        if not self.trusts(request.host, request.scheme):
            self._seldom.warning(
                "a request for the host %s was refused: it is not among those of TrustedHosts",
                ascii(request.host[:_SHOWN]),
            )
            raise HTTPError(421, "this server does not answer for that host")
        return await call_next(request)

    def trusts(self, host: str, scheme: str = "http") -> bool:
        """Whether a host is one of those.

        Parameters:
            host: as in ``Host``, with or without a port.
            scheme: says which port is meant if there is none.
        """
        asked = _read(host)
        if asked is None:
            return False
        name, port = asked
        number = _PORTS.get(scheme, 0) if port is None else port
        if _Host(name, None) in self._exact or _Host(name, number) in self._exact:
            return True
        return any(
            name.endswith(one.name) and len(name) > len(one.name) and one.port in (None, number)
            for one in self._below
        )


def _read(host: str) -> _Host | None:
    """A host of a request, or of the list; None if it is not one."""
    found = _HOST.fullmatch(host)
    if found is None:
        return None
    port = int(found[3]) if found[3] else None
    if found[1] is not None:
        try:
            return _Host(IPv6Address(found[1]).compressed, port)
        except AddressValueError:
            return None
    # "example.org." is the same name, written in full (RFC 1034, section 3.1)
    return _Host(found[2].lower().removesuffix("."), port)


def _listed(host: str, written: str) -> _Host:
    """A host as an application writes it, in Unicode or ASCII.

    Raises:
        ConfigurationError: if it is not a host. The message says what to write.
    """
    if host == "*":
        raise ConfigurationError("hosts has '*', which trusts every host; leave TrustedHosts out")
    name = host
    if not host.isascii():
        try:
            name = host.encode("idna").decode("ascii")
        except UnicodeError:
            name = ""
    read = _read(name)
    if read is None or (read.name.count(":") < 2 and not _LABELS.fullmatch(read.name)):
        meant = re.sub(r"^[a-z]+://|/.*$", "", written, flags=re.IGNORECASE)
        address = f"[{host}]" if host.count(":") > 1 else ""
        instead = address or (meant if meant not in (written, "") else "example.org")
        raise ConfigurationError(f"hosts has {written!r}, which is not a host; write {instead!r}")
    return read
