"""SecurityHeaders: tells browsers what to refuse. What a handler has set itself stays.

Source: WHATWG Fetch (X-Content-Type-Options), RFC 7034 (X-Frame-Options), RFC 6797
(Strict-Transport-Security), W3C Referrer Policy and Content Security Policy Level 3, WHATWG HTML
(Cross-Origin-Opener-Policy).
"""

from __future__ import annotations

import re
import secrets
from typing import Any, Final

from finch.errors import ConfigurationError
from finch.explain import shown
from finch.guards.around import Next, answered, switch
from finch.headers import check_header
from finch.http.request import Request
from finch.http.response import Response
from finch.http.takeover import TakeOver

_FRAMES: Final = {"deny": "'none'", "sameorigin": "'self'"}
_REFERRERS: Final = (
    "no-referrer",
    "no-referrer-when-downgrade",
    "origin",
    "origin-when-cross-origin",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
)
_OPENERS: Final = (
    "same-origin",
    "same-origin-allow-popups",
    "noopener-allow-popups",
    "unsafe-none",
)
_NONCE: Final = "{nonce}"
_YEAR: Final = 31_536_000  # seconds; what the preload lists of browsers ask for
_PRELOAD: Final = 31_536_000


class SecurityHeaders:
    """Adds the headers that every response of a website should have.

    None leaves a header out. A header that the handler has set stays as it is.

    Parameters:
        csp: the ``Content-Security-Policy``, such as ``"default-src 'self'"``. If it has
            ``'nonce-{nonce}'``, each request gets a nonce of its own, in
            ``request.state["csp_nonce"]``. Browsers refuse what it does not allow; so there is no
            default.
        frames: ``"deny"`` or ``"sameorigin"``: which pages may show this one in a frame. It is sent
            as ``X-Frame-Options``, and in the ``csp`` as ``frame-ancestors``.
        referrer: the ``Referrer-Policy``.
        opener: the ``Cross-Origin-Opener-Policy``; with logins in a popup window, write
            ``"same-origin-allow-popups"``.
        permissions: the ``Permissions-Policy``, such as ``"camera=(), geolocation=()"``.
        hsts: seconds for which browsers use only HTTPS for this host. Sent only over HTTPS.
        hsts_subdomains: whether this holds for all hosts below, too.
        hsts_preload: whether browsers may have the host in a list that they come with.

    ``X-Content-Type-Options: nosniff`` is always sent.

    Raises:
        ConfigurationError: if a value is none that browsers know.

    Example::

        app.middleware(SecurityHeaders(csp="default-src 'self'; script-src 'nonce-{nonce}'"))
    """

    def __init__(
        self,
        *,
        csp: str | None = None,
        frames: str | None = "deny",
        referrer: str | None = "strict-origin-when-cross-origin",
        opener: str | None = "same-origin",
        permissions: str | None = None,
        hsts: int | None = _YEAR,
        hsts_subdomains: bool = False,
        hsts_preload: bool = False,
    ) -> None:
        _one_of(frames, "frames", tuple(_FRAMES))
        _one_of(referrer, "referrer", _REFERRERS)
        _one_of(opener, "opener", _OPENERS)
        _sendable(permissions, "permissions", "permissions-policy")
        self._csp = _policy(csp, frames)
        self._hsts = _strict_transport(hsts, hsts_subdomains, hsts_preload)
        sent = {
            "x-content-type-options": "nosniff",
            "x-frame-options": None if frames is None else frames.upper(),
            "referrer-policy": referrer,
            "cross-origin-opener-policy": opener,
            "permissions-policy": permissions,
        }
        self._sent = [(name, value) for name, value in sent.items() if value is not None]

    async def __call__(self, request: Request, call_next: Next) -> Response:
        csp = self._csp
        if csp is not None and _NONCE in csp:
            nonce = secrets.token_urlsafe(16)  # 128 bits, as CSP asks for
            request.state["csp_nonce"] = nonce
            csp = csp.replace(_NONCE, nonce)
        response = await answered(request, call_next)
        if isinstance(response, TakeOver):
            return response  # a browser shows no 101
        known = set(response.headers)
        for name, value in self._sent:
            if name not in known:
                response.set_header(name, value)
        if csp is not None and "content-security-policy" not in known:
            response.set_header("content-security-policy", csp)
        secure = request.scheme == "https"  # else browsers must ignore it (RFC 6797, section 8.1)
        if secure and self._hsts is not None and "strict-transport-security" not in known:
            response.set_header("strict-transport-security", self._hsts)
        return response


def _one_of(value: Any, option: str, known: tuple[str, ...]) -> None:
    if value is not None and (not isinstance(value, str) or value not in known):
        raise ConfigurationError(
            f"{option} is one of {', '.join(known)}, or None, not {shown(value)}"
        )


def _sendable(value: Any, option: str, header: str) -> None:
    if value is None:
        return
    if not isinstance(value, str) or not value.isascii():
        raise ConfigurationError(f"{option} is ASCII text, not {shown(value)}")
    try:
        check_header(header, value)
    except ValueError as error:
        raise ConfigurationError(f"{option} cannot be sent: {error}") from None


def _policy(csp: Any, frames: str | None) -> str | None:
    """The Content-Security-Policy, with the pages that may show this one in a frame."""
    _sendable(csp, "csp", "content-security-policy")
    if csp is None:
        return None
    policy = str(csp).strip().rstrip(";")
    if not policy:
        raise ConfigurationError("csp is empty; write csp=\"default-src 'self'\", or leave it out")
    if policy.count(_NONCE) != policy.count(f"'nonce-{_NONCE}'"):
        raise ConfigurationError(
            "csp has {nonce} outside of 'nonce-{nonce}'; write script-src 'nonce-{nonce}', with "
            "the quotation marks"
        )
    if frames is not None and not re.search(r"(?:^|;)\s*frame-ancestors\b", policy, re.IGNORECASE):
        policy = f"{policy}; frame-ancestors {_FRAMES[frames]}"
    return policy


def _strict_transport(seconds: Any, subdomains: bool, preload: bool) -> str | None:
    switch(subdomains, "hsts_subdomains")
    switch(preload, "hsts_preload")
    if seconds is None:
        if subdomains or preload:
            raise ConfigurationError("hsts_subdomains and hsts_preload need hsts, in seconds")
        return None
    if type(seconds) is not int or seconds < 0:
        raise ConfigurationError(f"hsts is whole seconds, or None, not {shown(seconds)}")
    if preload and not (subdomains and seconds >= _PRELOAD):
        raise ConfigurationError(
            f"hsts_preload needs hsts_subdomains=True, and hsts of at least {_PRELOAD} seconds: "
            "else no browser takes the host into its list"
        )
    ends = ("; includeSubDomains" if subdomains else "") + ("; preload" if preload else "")
    return f"max-age={seconds}{ends}"
