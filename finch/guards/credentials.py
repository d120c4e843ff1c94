"""Basic and Bearer: who sends a request, by its ``Authorization`` header.

Both are used as ``auth=`` or as middleware. The user is then ``request.user``.

Wrong credentials get 401, and malformed ones 400: a client that sends them would be wrong with any
password. Secrets are compared in a time that says nothing about them.

Source: RFC 9110, section 11; RFC 7617 (Basic); RFC 6750 (Bearer).
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final

from finch.calls import call
from finch.declaring import check_no_yield, check_takes
from finch.errors import ConfigurationError, HTTPError
from finch.explain import kind, shown
from finch.guards.around import Next
from finch.http.request import Request

_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # token68 of RFC 9110, section 11.2
_REALM: Final = re.compile(r"[ !#-\[\]-~]+")  # what needs no escaping in quotes
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")  # RFC 7617, section 2


def same_secret(given: str | bytes, secret: str | bytes) -> bool:
    """Whether two secrets are the same, in a time that does not depend on where they differ.

    ``==`` stops at the first difference; so an attacker who measures the time can guess a secret
    letter by letter. Both are hashed first, so that the time does not tell the length either.

    Example::

        if not same_secret(given, os.environ["TOKEN"]): ...
    """
    return hmac.compare_digest(_digest(given), _digest(secret))


class _Credentials(ABC):
    """What Basic and Bearer have in common.

    Parameters:
        check: the application's function, or an async one that stands for plain data.
        realm: what the client is told that it must log in to.
    """

    scheme: str

    def __init__(self, check: Callable[..., Any], realm: object) -> None:
        if not isinstance(realm, str) or not _REALM.fullmatch(realm):
            raise ConfigurationError(
                f"realm is printable ASCII without quotation marks, not {shown(realm)}"
            )
        self._check = check
        self._realm = realm

    async def __call__(self, request: Request, call_next: Next | None = None) -> Any:
        user = await self._user(request)
        if call_next is None:
            return user  # auth= keeps it
        request.user = user
        return await call_next(request)

    async def _user(self, request: Request) -> Any:
        lines = request.headers.getlist("authorization")
        if len(lines) > 1:
            raise self._malformed("more than one Authorization")
        scheme, _, given = (lines[0] if lines else "").partition(" ")
        if scheme.lower() != self.scheme.lower():
            raise self._refusal(401, f"this needs {self.scheme} credentials", "")
        given = given.strip(" ")
        if not _TOKEN.fullmatch(given):
            raise self._malformed(f"the {self.scheme} credentials are malformed")
        return await self._ask(given)

    @abstractmethod
    async def _ask(self, given: str) -> Any:
        """The user with these credentials, or an error."""

    def _malformed(self, why: str) -> HTTPError:
        return self._refusal(400, why, "invalid_request")

    @abstractmethod
    def _refusal(self, status: int, why: str, code: str) -> HTTPError:
        """The error, with the challenge that says how to log in."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"  # no secret goes into the log


class Basic(_Credentials):
    """Asks for a user's name and password; browsers show a window for them.

    Use it over TLS only: the password is sent with each request, merely encoded.

    Parameters:
        check: called with name and password; returns the user, whatever that is, or None. True
            stands for the name. It may be an ``async def``, or a ``def``, which runs in a thread,
            as slow hashes should. Or a dict of passwords by name.
        realm: what the browser's window shows.

    Raises:
        ConfigurationError: if ``check`` takes other arguments, or a password is empty.

    Example::

        app.middleware(Basic({"ann": os.environ["ANNS_PASSWORD"]}, realm="back office"))
    """

    scheme = "Basic"

    def __init__(
        self, check: Callable[[str, str], Any] | Mapping[str, str], *, realm: str = "login"
    ) -> None:
        if isinstance(check, Mapping):
            check = _by_password(check)
        else:
            _checked(check, "the check of Basic", "(user, password)", "{'ann': password}")
        super().__init__(check, realm)

    async def _ask(self, given: str) -> Any:
        try:
            text = binascii.a2b_base64(given, strict_mode=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            raise self._malformed("the Basic credentials are not UTF-8 in base64") from None
        user, colon, password = text.partition(":")
        if not colon or _CONTROL.search(text):
            raise self._malformed("the Basic credentials are not of the form name:password")
        found = await call(self._check, user, password)
        if found is None or found is False:
            raise self._refusal(401, "the name or the password is wrong", "")
        return user if found is True else found

    def _refusal(self, status: int, why: str, code: str) -> HTTPError:
        challenge = f'Basic realm="{self._realm}", charset="UTF-8"'
        return HTTPError(status, why, {"www-authenticate": challenge})


class Bearer(_Credentials):
    """Asks for a token, as APIs do.

    Parameters:
        check: called with the token; returns the user, whatever that is, or None. To refuse what
            the user may not do, it raises ``HTTPError(403)``. It may be an ``async def``, or a
            ``def``, which runs in a thread. Or the token itself, or a dict of users by token.
        realm: what the client is told.

    Raises:
        ConfigurationError: if ``check`` takes other arguments, or a token cannot be sent.

    Example::

        api = app.group("/api", auth=Bearer(os.environ["TOKEN"]))
    """

    scheme = "Bearer"

    def __init__(
        self, check: Callable[[str], Any] | Mapping[str, Any] | str, *, realm: str = "api"
    ) -> None:
        if isinstance(check, str):
            check = {check: True}
        if isinstance(check, Mapping):
            check = _by_token(check)
        else:
            _checked(check, "the check of Bearer", "(token)", "{token: user}")
        super().__init__(check, realm)

    async def _ask(self, given: str) -> Any:
        found = await call(self._check, given)
        if found is None or found is False:
            raise self._refusal(401, "the token is wrong, or is no longer valid", "invalid_token")
        return found

    def _refusal(self, status: int, why: str, code: str) -> HTTPError:
        # "If the request lacks any authentication information ..., the resource server SHOULD NOT
        # include an error code" (RFC 6750, section 3.1)
        said = f', error="{code}"' if code else ""
        challenge = f'Bearer realm="{self._realm}"{said}'
        return HTTPError(status, why, {"www-authenticate": challenge})


def _digest(secret: str | bytes) -> bytes:
    data = secret.encode("utf-8", "surrogatepass") if isinstance(secret, str) else bytes(secret)
    return hashlib.sha256(data).digest()


def _checked(check: Any, what: str, wanted: str, instead: str) -> None:
    if not callable(check):
        raise ConfigurationError(
            f"{what} is a function that takes {wanted}, or {instead}, not {kind(check)}"
        )
    check_takes(check, what, wanted)
    check_no_yield(check, what, "write 'return' and the user, or None")


def _by_password(passwords: Mapping[str, str]) -> Callable[[str, str], Any]:
    for name, password in passwords.items():
        if not isinstance(name, str) or not isinstance(password, str) or not password:
            raise ConfigurationError(
                "Basic takes a dict of passwords by name, as texts that are not empty; write "
                "Basic({'ann': os.environ['ANNS_PASSWORD']})"
            )
        if ":" in name:
            raise ConfigurationError(f"the name {shown(name)} has a colon, which Basic cannot send")
    digests = {name: _digest(password) for name, password in passwords.items()}
    nobody = bytes(32)  # compared for an unknown name: so the time does not tell which names exist

    async def check(user: str, password: str) -> str | None:
        same = hmac.compare_digest(_digest(password), digests.get(user, nobody))
        return user if same and user in digests else None

    return check


def _by_token(users: Mapping[str, Any]) -> Callable[[str], Any]:
    for token in users:
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise ConfigurationError(
                "a token of Bearer has letters, digits and -._~+/ only, and = at its end, and is "
                "not empty; write secrets.token_urlsafe() to make one"
            )
        if users[token] is None or users[token] is False:
            raise ConfigurationError("Bearer takes a dict of users by token; a user is not None")
    digests = [(_digest(token), user) for token, user in users.items()]

    async def check(token: str) -> Any:
        given, found = _digest(token), None
        for digest, user in digests:  # all of them: the time does not tell which one was near
            if hmac.compare_digest(given, digest):
                found = user
        return found

    return check
