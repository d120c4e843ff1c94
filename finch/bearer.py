"""Bearer: the tokens that other programs show to routes of Finch's own, such as ``/metrics``.

Source: RFC 6750, sections 2.1 and 3.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from finch.errors import ConfigurationError, HTTPError
from finch.explain import kind
from finch.http.request import Request


def check_token(name: str, token: object) -> bytes:
    """A token as it is compared.

    Parameters:
        name: the option that it was given as.

    Raises:
        ConfigurationError: if a header could not carry it, or it is empty.
    """
    if not isinstance(token, str):
        raise ConfigurationError(f"{name} is text, not {kind(token)}")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(
            f"{name} is printable ASCII without spaces, and not empty; write "
            f"{name}=os.environ['{name.upper()}']"
        )
    return token.encode()


def check_access(request: Request, tokens: Iterable[bytes]) -> None:
    """Refuse a program that shows none of these tokens. How long that takes tells nothing about
    them: each is compared, and to its end.

    Raises:
        HTTPError: 401.
    """
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    shown = given.strip().encode("utf-8", "replace")
    right = [hmac.compare_digest(shown, token) for token in tokens]
    if scheme.lower() != "bearer" or not any(right):
        raise HTTPError(401, "a token is needed", {"www-authenticate": "Bearer"})
