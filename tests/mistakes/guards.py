"""Mistakes in the guards that come with Finch."""

from finch import FinchApp
from finch.guards import CORS, Basic, Bearer, RateLimit, SecurityHeaders, TrustedHosts
from tests.mistakes.book import mistake

AREA = "Guards"


@mistake(AREA, 'CORS("*", credentials=True)', "origins=['https://example.org']")
def everybody_with_cookies():
    CORS("*", credentials=True)


@mistake(AREA, 'CORS("null")', "sandbox")
def pages_without_an_origin():
    CORS("null")


@mistake(AREA, 'CORS("*.example.org")', "https://*.example.org")
def a_wildcard_without_its_scheme():
    CORS("*.example.org")


@mistake(AREA, 'TrustedHosts(["https://example.org"])', "'example.org'")
def a_url_for_a_host():
    TrustedHosts(["https://example.org"])


@mistake(AREA, 'SecurityHeaders(csp="script-src {nonce}")', "'nonce-{nonce}'")
def a_nonce_without_its_name():
    SecurityHeaders(csp="script-src {nonce}")


@mistake(AREA, 'SecurityHeaders(frames="none")', "deny, sameorigin")
def a_value_that_no_browser_knows():
    SecurityHeaders(frames="none")


@mistake(AREA, 'RateLimit("100/minute")', "a whole number")
def a_rate_as_text():
    RateLimit("100/minute")


@mistake(AREA, "Basic(lambda token: ...)", "(user, password)")
def a_check_of_tokens_for_passwords():
    Basic(lambda token: None)


@mistake(AREA, 'Bearer("")', "token_urlsafe")
def a_token_that_is_not_set():
    Bearer("")


@mistake(AREA, "auth=Bearer", "auth=Bearer(...)")
def a_class_that_is_no_guard_yet():
    FinchApp(auth=Bearer)
