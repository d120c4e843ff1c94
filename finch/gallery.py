"""The gallery: serves all examples as one application, each under a prefix of its own.

An example is a complete application, so that it can be read and copied alone. Its sockets and its
``finch.js`` are routes as well. So the gallery needs only their routes, with the prefix in front,
and their lifespans. The pages use relative URLs, and do not notice.
"""

from __future__ import annotations

import html
import importlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from string import Template
from types import ModuleType
from typing import Final

from finch.app import FinchApp
from finch.errors import HTTPError
from finch.http.request import Request
from finch.http.response import HTMLResponse, RedirectResponse, TextResponse
from finch.http.routing import FinchRoute

EXAMPLES: Final = "finch.examples"
"""The package of the examples: the folder ``examples`` of the repository."""

WITH_PAGE: Final = ("chat", "notifications", "dashboard", "game")
WITHOUT_PAGE: Final = ("hello", "chat_classes")


class Gallery(FinchApp):
    """An application that serves other applications, each under a prefix.

    It has their routes, and runs their startup, background tasks and shutdown. Their middleware and
    error handlers are left out: no example has any.

    Example::

        app = Gallery()
        app.mount("/chat", chat.app)
    """

    def __init__(self) -> None:
        super().__init__()
        self._mounted: list[FinchApp] = []

    def mount(self, prefix: str, app: FinchApp) -> None:
        """Serve an application under a prefix.

        Parameters:
            prefix: the path in front of the application's own, such as ``/chat``.
            app: the application. Routes that it gets later are not served.

        Raises:
            ConfigurationError: if one of the paths is already registered.
        """
        routes = [
            FinchRoute(prefix + route.path, route.index, methods=route.methods, key=route.key)
            for route in app.routes
        ]

        async def add_slash(request: Request) -> RedirectResponse:
            return RedirectResponse(prefix.rpartition("/")[2] + "/")  # relative, as all URLs here

        self.add_routes([*routes, FinchRoute(prefix, add_slash)])
        self._mounted.append(app)

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """As that of any application, with those of the mounted ones inside."""
        return self._all_lifespans()

    @asynccontextmanager
    async def _all_lifespans(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(super().lifespan())
            for app in self._mounted:
                await stack.enter_async_context(app.lifespan())
            yield

    def hurry(self, seconds: float) -> None:
        """As in any application, for the mounted ones too."""
        super().hurry(seconds)
        for app in self._mounted:
            app.hurry(seconds)


def gallery() -> FinchApp:
    """All examples in one application, with a page that shows what there is.

    Example::

        finch.run(gallery())
    """
    app = Gallery()
    modules = {name: _load(name) for name in (*WITH_PAGE, *WITHOUT_PAGE)}
    for name, module in modules.items():
        app.mount(f"/{name}", module.app)
    page = _page(modules)

    @app.get("/")
    async def index(request: Request) -> HTMLResponse:
        return HTMLResponse(page)

    @app.get("/source/{name}.py")
    async def source(request: Request, name: str) -> TextResponse:
        if name not in modules:
            raise HTTPError(404, f"there is no example {name}")
        return TextResponse(_source(modules[name]))

    return app


def _load(name: str) -> ModuleType:
    return importlib.import_module(f"{EXAMPLES}.{name}")


def _source(module: ModuleType) -> str:
    return Path(str(module.__file__)).read_text(encoding="utf-8")


def _page(modules: dict[str, ModuleType]) -> str:
    """The page, with what each example says about itself, and how long it is."""
    facts = {}
    for name, module in modules.items():
        facts[f"{name}_about"] = html.escape(_about(module))
        facts[f"{name}_lines"] = str(sum(map(bool, map(str.strip, _source(module).splitlines()))))
    template = Path(str(modules["chat"].__file__)).with_name("gallery.html")
    return Template(template.read_text(encoding="utf-8")).substitute(facts)


def _about(module: ModuleType) -> str:
    """What comes behind the colon in the first line of its docstring, as a sentence."""
    first = " ".join(str(module.__doc__).partition("\n\n")[0].split())
    about = first.partition(": ")[2]
    return about[:1].upper() + about[1:]
