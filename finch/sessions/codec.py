"""Signs a dict to the text of a cookie, and reads it back; what is forged or too old is not read.

The text is JSON, signed with HMAC-SHA256 by ``itsdangerous``, with the time. It is not encrypted:
the visitor can read it, and cannot change it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from finch.encoding import encode
from finch.errors import ConfigurationError
from finch.explain import kind, why_no_json

SHORTEST_KEY: Final = 32
"""Characters of a key. 32 of ``secrets.token_urlsafe`` have 192 bits, which nobody guesses."""

_HOW: Final = (
    "make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))', and keep it in "
    "the environment, not in the code"
)
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class Kept(NamedTuple):
    """What a cookie holds.

    Attributes:
        values: the session.
        text: the same, as it was signed.
        stale: whether it should be signed anew: half of its time is over, or its key is an old one.
    """

    values: dict[str, Any]
    text: bytes
    stale: bool


class _AsItIs:
    """The serializer of ``itsdangerous`` for what is bytes already."""

    def dumps(self, value: Any) -> Any:
        return value

    def loads(self, payload: bytes) -> bytes:
        return payload


class Codec:
    """Signs and reads the sessions of one cookie.

    Parameters:
        secret: the key, or several: the first one signs, all of them are accepted.
        name: the cookie's name. What is signed for one cookie is not accepted in another.
        max_age: seconds for which a signature is valid.

    Raises:
        ConfigurationError: if a key is too short, or ``itsdangerous`` is not installed.
    """

    def __init__(self, secret: Any, name: str, max_age: int) -> None:
        keys = _keys(secret)
        try:
            from itsdangerous import BadData, URLSafeTimedSerializer
        except ImportError:
            raise ConfigurationError(
                "sessions need itsdangerous: pip install 'finch-trio[sessions]'"
            ) from None

        def serializer(keys: Sequence[bytes]) -> Any:
            return URLSafeTimedSerializer(
                list(keys),
                salt=f"finch.session.{name}",
                serializer=_AsItIs(),
                signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
            )

        self._max_age = max_age
        self._bad = BadData
        self._newest = serializer(keys[:1])
        self._older = serializer(keys[:0:-1]) if len(keys) > 1 else None

    def __repr__(self) -> str:
        return "<Codec>"  # never a key

    def sign(self, values: dict[str, Any]) -> str:
        """The text of the cookie."""
        signed: bytes = self._newest.dumps(encode_session(values))
        return signed.decode("ascii")

    def read(self, text: str | None) -> Kept:
        """What a cookie holds: nothing if it is forged, cut off or too old."""
        if text is not None:
            for serializer in filter(None, (self._newest, self._older)):
                kept = self._read_with(serializer, text)
                if kept is not None:
                    return kept
        return Kept({}, b"{}", False)

    def _read_with(self, serializer: Any, text: str) -> Kept | None:
        try:
            payload, signed_at = serializer.loads(
                text, max_age=self._max_age, return_timestamp=True
            )
            values = _decode(payload)
        except (self._bad, msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        age = time.time() - signed_at.timestamp()
        return Kept(values, payload, age > self._max_age / 2 or serializer is not self._newest)


def encode_session(values: dict[str, Any]) -> bytes:
    """The session as JSON.

    Raises:
        TypeError: if JSON cannot hold a part of it; the message says which part.
    """
    try:
        return encode(values)
    except Exception as error:
        raise TypeError(f"a session holds what JSON can hold: {why_no_json(values)}") from error


def _keys(secret: Any) -> list[bytes]:
    if secret is None:
        raise ConfigurationError(
            f"the secret of Sessions is None: is the environment variable set? {_HOW}"
        )
    if isinstance(secret, str | bytes):
        listed = [secret]
    elif isinstance(secret, Iterable):
        listed = list(secret)
    else:
        raise ConfigurationError(f"the secret of Sessions is text, not {kind(secret)}; {_HOW}")
    if not listed:
        raise ConfigurationError(f"Sessions needs at least one secret; {_HOW}")
    for key in listed:
        if not isinstance(key, str | bytes):
            raise ConfigurationError(f"a secret of Sessions is text, not {kind(key)}; {_HOW}")
        if len(key) < SHORTEST_KEY:
            raise ConfigurationError(
                f"a secret of Sessions has {len(key)} characters, and needs {SHORTEST_KEY} or "
                f"more; {_HOW}"
            )
    return [key.encode() if isinstance(key, str) else key for key in listed]
