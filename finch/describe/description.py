"""What the descriptions of an application say about it as a whole, and where they are served."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from finch.errors import ConfigurationError
from finch.explain import kind, shown
from finch.http.guarding import Auth
from finch.http.paths import parse_path

_SCHEMES: Final = ("http://", "https://")


class Description:
    """What the descriptions of an application say about it as a whole, and where they are served.

    Parameters:
        title: the application's name, for people.
        version: the version of its interface, such as ``"2.1"``.
        text: what it is for.
        servers: the URLs where it is served, such as ``["https://birds.example.org"]``. Without
            any, it is the server that the description comes from.
        docs: the path of the page that shows the descriptions; None for no page.
        openapi: the path of the description of its routes; None for none.
        asyncapi: the path of the description of its sockets; None for none.
        auth: says who may read them, as ``auth`` of a route does.

    Raises:
        ConfigurationError: if one of these is wrong.

    Example::

        app = FinchApp(describe=Description(title="Birds", version="2.1"))
    """

    def __init__(
        self,
        *,
        title: str = "Application",
        version: str = "0.1.0",
        text: str = "",
        servers: Iterable[str] = (),
        docs: str | None = "/docs",
        openapi: str | None = "/openapi.json",
        asyncapi: str | None = "/asyncapi.json",
        auth: Auth | None = None,
    ) -> None:
        for name, said in (("title", title), ("version", version), ("text", text)):
            if not isinstance(said, str) or not (said or name == "text"):
                raise ConfigurationError(
                    f"{name} of a Description is text such as '2.1', not {shown(said)}"
                )
        for path in (docs, openapi, asyncapi):
            if path is not None:
                _check_path(path)
        self.title = title
        self.version = version
        self.text = text
        self.servers = _servers(servers)
        self.docs = docs
        self.openapi = openapi
        self.asyncapi = asyncapi
        self.auth = auth

    @classmethod
    def of(cls, described: Description | bool) -> Description | None:
        """The description that ``FinchApp(describe=...)`` asks for; None for none.

        Raises:
            ConfigurationError: if it is neither a Description nor True nor False.
        """
        if isinstance(described, Description):
            return described
        if not isinstance(described, bool):
            raise ConfigurationError(
                f"describe is True, False or a Description, not {kind(described)}; write "
                "describe=Description(title='Birds')"
            )
        return cls() if described else None


def _check_path(path: str) -> None:
    if any(not isinstance(element, str) for element in parse_path(path)):
        raise ConfigurationError(
            f"a description has a path of its own, and {path!r} has a parameter; write '/docs'"
        )


def _servers(servers: Iterable[str]) -> tuple[str, ...]:
    if isinstance(servers, str) or not isinstance(servers, Iterable):
        raise ConfigurationError(f"servers is a list of URLs: write servers=[{shown(servers)}]")
    found = tuple(servers)
    for url in found:
        if not isinstance(url, str) or not url.startswith(_SCHEMES) or " " in url:
            raise ConfigurationError(
                f"a server is a URL such as 'https://birds.example.org', not {shown(url)}"
            )
    return found
