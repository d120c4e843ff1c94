"""Templates: pages made by Jinja2, with everything that is put into them escaped.

Needs ``finch-trio[templates]``.

Source: https://jinja.palletsprojects.com/en/stable/api.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio

from finch.config import KIB
from finch.encoding import encode
from finch.errors import ConfigurationError
from finch.explain import closest, kind, shown
from finch.http.request import SESSION, Request
from finch.http.response import HTMLResponse, Response
from finch.http.streaming import StreamingResponse
from finch.turns import account

if TYPE_CHECKING:
    from jinja2 import BaseLoader, Environment, Template
    from jinja2.runtime import Context

_PIECE: Final = 8 * KIB
"""Characters of a streamed page that are sent at a time."""

# What is not HTML, by the ending of a template's name. Only plain text is not escaped.
_TYPES: Final = {
    "txt": "text/plain; charset=utf-8",
    "xml": "application/xml",
    "svg": "image/svg+xml",
}
_HTML: Final = "text/html; charset=utf-8"
_WRAPPERS: Final = (".j2", ".jinja", ".jinja2")


class Templates:
    """Pages made by Jinja2.

    All that a page shows is escaped, in templates of any name but ``*.txt``. A variable that is not
    there is an error, which names it and the line (``StrictUndefined``). Each page has ``request``,
    ``user``, ``session``, ``path_for``, ``url_for``, ``csrf_token()``, ``csrf_field()`` and
    ``flashes()``.

    Parameters:
        source: the folder of the templates, several folders, or a loader of Jinja2.
        auto_reload: whether a changed template is loaded again; None: if the application is in
            debug mode.
        filters, globals: more for the templates, by name.
        options: more options of ``jinja2.Environment``, such as ``trim_blocks=True``.

    Attributes:
        environment: Jinja2's environment, for what is not said here.

    Raises:
        ConfigurationError: if there is no such folder, or ``finch-trio[templates]`` is not
            installed.

    Example::

        templates = Templates(Path(__file__).parent / "templates")

        @app.get("/birds")
        async def birds(request):
            return templates.render("birds.html", request, birds=await all_birds())
    """

    environment: Environment

    def __init__(
        self,
        source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | BaseLoader,
        *,
        auto_reload: bool | None = None,
        filters: Mapping[str, Any] | None = None,
        globals: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        try:
            import jinja2
        except ImportError:
            raise ConfigurationError(
                "templates need jinja2: pip install 'finch-trio[templates]'"
            ) from None
        for name, why in _OWN_OPTIONS.items():
            if name in options:
                raise ConfigurationError(f"Templates takes no {name}: {why}")
        options.setdefault("undefined", jinja2.StrictUndefined)
        try:
            self.environment = jinja2.Environment(
                loader=_loader(source),
                autoescape=_escapes,
                auto_reload=bool(auto_reload),
                **options,
            )
        except TypeError as error:
            raise ConfigurationError(f"Templates: {error}") from None
        self.environment.context_class = _page_context()
        # |tojson: what Finch sends as JSON everywhere else; Jinja escapes it for scripts
        self.environment.policies["json.dumps_function"] = _to_json
        self.environment.filters.update(filters or {})
        self.environment.globals.update(globals or {})
        self._follows_debug = auto_reload is None

    def render(self, name: str, request: Request, /, **context: Any) -> Response:
        """A page.

        The template runs on the event loop: it takes time from all others, and must not block.
        Fetch what it shows before; stream a page of more than about 100 KiB by :meth:`stream`.

        Parameters:
            name: the template's name, below its folder.
            request: the request that is answered.
            context: what the template shows.

        Raises:
            jinja2.TemplateError: if there is no such template, or it is wrong.
            BaseException: whatever the template's own code raises. The traceback has the lines of
                the template.

        Example::

            return templates.render("birds.html", request, birds=birds), 404
        """
        text = self._template(name, request).render(self._context(request, context))
        return _response(name, text)

    def block(self, name: str, block: str, request: Request, /, **context: Any) -> Response:
        """One block of a page, for pages that replace a part of themselves, as those of htmx do.

        What stands outside of the block, such as ``{% set %}`` and ``{% import %}``, does not run.

        Parameters:
            name, request, context: as in :meth:`render`.
            block: the name of the block, in this template itself.

        Raises:
            LookupError: if the template has no such block.
            BaseException: as in :meth:`render`.

        Example::

            if "hx-request" in request.headers:
                return templates.block("birds.html", "list", request, birds=birds)
        """
        template = self._template(name, request)
        made = template.blocks.get(block)
        if made is None:
            meant = closest(block, list(template.blocks))
            advice = f"did you mean {meant!r}?" if meant else f"it has {', '.join(template.blocks)}"
            raise LookupError(f"the template {name!r} has no block {shown(block)}; {advice}")
        variables = template.new_context(self._context(request, context))
        try:
            text = "".join(made(variables))
        except Exception:
            self.environment.handle_exception()  # its traceback then has the template's lines
        return _response(name, text)

    def stream(self, name: str, request: Request, /, **context: Any) -> StreamingResponse:
        """A page that is sent while it is made, in pieces of 8 KiB. The others have their turns
        between them.

        The first piece is made at once: an error in it is a 500. After an error in a later one, the
        connection is cut off. By then, the session can only be read: so use ``flashes()`` and
        ``csrf_field()`` at the beginning of the page.

        Parameters, Raises: as in :meth:`render`.
        """
        parts = self._template(name, request).generate(self._context(request, context))
        pieces = _pieces(parts)
        first = next(pieces, "")
        return StreamingResponse(_Stream(first, pieces), content_type=_type_of(name))

    def _template(self, name: str, request: Request) -> Template:
        if not isinstance(name, str):
            raise TypeError(f"the name of a template is text, not {kind(name)}")
        if not isinstance(request, Request):
            raise TypeError(
                f"templates take the handler's request after the name, not {kind(request)}: write "
                "render(name, request, birds=birds)"
            )
        if self._follows_debug:
            self.environment.auto_reload = bool(getattr(request.app, "debug", False))
        return self.environment.get_template(name)

    def _context(self, request: Request, context: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {
            "request": request,
            "csrf_token": partial(_csrf_token, request),
            "csrf_field": partial(_csrf_field, request),
            "flashes": partial(_flashes, request),
        }
        if SESSION in request.state:
            made["session"] = request.session
        if request.app is not None:
            made["url_for"] = request.url_for
            made["path_for"] = request.app.path_for
        made.update(context)
        return made


@cache
def _page_context() -> type[Context]:
    from jinja2.runtime import Context
    from jinja2.utils import missing

    class PageContext(Context):
        """What a page sees. ``user`` is asked for only if the page names it: it may be read from
        the session, and the response is then one for this visitor."""

        def resolve_or_missing(self, key: str) -> Any:
            found = super().resolve_or_missing(key)
            if found is missing and key == "user" and "request" in self.parent:
                return self.parent["request"].user
            return found

    return PageContext


_OWN_OPTIONS: Final = {
    "autoescape": "all but *.txt is escaped; write {{ text|safe }} for HTML that you have checked",
    "enable_async": "a template only shows what a handler has fetched before",
    "loader": "it is the first argument: Templates(loader)",
    "context": "give it to render",
}


class _Stream:
    """The pieces of a page. Unlike a generator, it needs no closing."""

    def __init__(self, first: str, pieces: Iterator[str]) -> None:
        self._first = first
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        piece, self._first = self._first, ""
        if not piece:
            await trio.lowlevel.checkpoint()
            piece = next(self._pieces, "")
        if not piece:
            raise StopAsyncIteration
        account.spend(len(piece))
        return piece


def _pieces(parts: Iterator[str]) -> Iterator[str]:
    """The same text in larger pieces."""
    waiting: list[str] = []
    length = 0
    for part in parts:
        waiting.append(part)
        length += len(part)
        if length >= _PIECE:
            yield "".join(waiting)
            waiting, length = [], 0
    if length:
        yield "".join(waiting)


def _loader(source: Any) -> BaseLoader:
    from jinja2 import BaseLoader, FileSystemLoader

    if isinstance(source, BaseLoader):
        return source
    folders = [source] if isinstance(source, str | os.PathLike) else list(source)
    for folder in folders:
        if not Path(folder).is_dir():
            raise ConfigurationError(
                f"there is no folder {Path(folder).absolute()} for templates; write "
                "Templates(Path(__file__).parent / 'templates')"
            )
    return FileSystemLoader(folders)


def _ending(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.removesuffix(wrapper)
    return name.rpartition(".")[2].lower()


def _escapes(name: str | None) -> bool:
    return name is None or _ending(name) != "txt"


def _type_of(name: str) -> str:
    return _TYPES.get(_ending(name), _HTML)


def _response(name: str, text: str) -> Response:
    content_type = _type_of(name)
    return (
        HTMLResponse(text) if content_type == _HTML else Response(text, content_type=content_type)
    )


def _to_json(value: Any, **_: Any) -> str:
    return encode(value).decode()


def _csrf_token(request: Request) -> str:
    from finch.sessions.csrf import csrf_token

    return csrf_token(request)


def _csrf_field(request: Request) -> Any:
    """A hidden input with the token."""
    from markupsafe import Markup

    from finch.sessions.csrf import FIELD

    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, _csrf_token(request))


def _flashes(request: Request) -> Any:
    from finch.sessions.flash import flashes

    return flashes(request)
