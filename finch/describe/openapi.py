"""OpenAPI 3.1: the routes of an application, for people and programs.

Finch's own routes, sockets and routes with ``describe=False`` are not in it. What an annotation
does not say, the description does not say either.

Source: https://spec.openapis.org/oas/v3.1.0, RFC 9457 (problem details).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote

from finch.describe.answers import SUCCESS, Answer, answers
from finch.describe.description import Description
from finch.describe.parameters import arguments_of, body_of, parameters_of, types_in
from finch.describe.schemas import REFERENCE, Schemas
from finch.describe.words import Names, said_by
from finch.errors import status_phrase
from finch.http.arguments import Source
from finch.http.guarding import Middleware, asked
from finch.http.methods import Methods
from finch.http.routing import FinchRoute

_METHODS: Final = (
    Methods.GET, Methods.PUT, Methods.POST, Methods.DELETE, Methods.OPTIONS, Methods.HEAD,
    Methods.PATCH, Methods.TRACE,
)  # fmt: skip
"""What an operation of OpenAPI 3.1 may have (section 4.8.9.1). Others cannot be described."""

_SCHEMES: Final = ("Basic", "Bearer")
"""What a guard that asks for such credentials has as ``scheme``: see :mod:`finch.guards`."""

_PROBLEM: Final = "finch.Problem"
_PROBLEM_SCHEMA: Final = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
    },
}
_ERROR: Final = {
    "description": "An error",
    "content": {
        "application/problem+json": {"schema": {"$ref": REFERENCE.format(name=_PROBLEM)}},
        "text/plain": {"schema": {"type": "string"}},
        "text/html": {"schema": {"type": "string"}},
    },
}


def describe_routes(
    routes: Iterable[FinchRoute], about: Description, middleware: Sequence[Middleware] = ()
) -> dict[str, Any]:
    """The description of an application's routes.

    Parameters:
        routes: those of the application, in the order in which they are tried.
        about: the application as a whole.
        middleware: the application's own, outside of all routes.

    Example::

        describe_routes(app.routes, Description(title="Birds"))["paths"]["/birds/{bird_id}"]["get"]
    """
    return _Document(routes, about, middleware).made()


def is_described(route: FinchRoute) -> bool:
    """Whether a route is in descriptions: it is the application's own, and not hidden."""
    return route.describe and not _is_finchs(route.index)


def _is_finchs(handler: Callable[..., Any]) -> bool:
    """Whether Finch itself handles the requests: for sockets, files, and the like."""
    function = getattr(handler, "__func__", handler)
    module = getattr(function, "__module__", None)
    if not isinstance(module, str):
        return False
    return module.startswith("finch.") and not module.startswith("finch.examples.")


class _Document:
    """One description, while it is made."""

    def __init__(
        self, routes: Iterable[FinchRoute], about: Description, middleware: Sequence[Middleware]
    ) -> None:
        self._about = about
        self._middleware = middleware
        self._answers = {route: answers(route.index) for route in routes if is_described(route)}
        types = [one for route in self._answers for one in types_in(route)]
        types += [one.type for each in self._answers.values() for one in each]
        self._schemas = Schemas(types)
        self._names = Names()
        self._security: set[str] = set()
        self._paths: dict[str, dict[str, Any]] = {}
        self._first: dict[str, tuple[str, list[str]]] = {}

    def made(self) -> dict[str, Any]:
        for route in self._answers:
            self._add(route)
        info = {"title": self._about.title, "version": self._about.version}
        if self._about.text:
            info["description"] = self._about.text
        components: dict[str, Any] = {
            "schemas": {**self._schemas.components, _PROBLEM: _PROBLEM_SCHEMA},
            "responses": {"Error": _ERROR},
        }
        if self._security:
            components["securitySchemes"] = {
                name: {"type": "http", "scheme": name.lower()} for name in sorted(self._security)
            }
        document: dict[str, Any] = {"openapi": "3.1.0", "info": info}
        if self._about.servers:
            document["servers"] = [{"url": url} for url in self._about.servers]
        return {**document, "paths": self._paths, "components": components}

    def _add(self, route: FinchRoute) -> None:
        """Add the operations of a route.

        Paths that differ only in the names of parameters are one path to OpenAPI: then the names of
        the first route count, and of two operations with the same method the first one.
        """
        shape, path = _template(route)
        path, names = self._first.setdefault(shape, (path, route.pattern.names))
        methods = [one for one in _METHODS if one in route.methods]
        if not route.own_head and Methods.HEAD in methods:
            methods.remove(Methods.HEAD)
        for method in methods:
            item = self._paths.setdefault(path, {})
            other = item.get(method.lower())
            if other is None:
                more = method if len(methods) > 1 else ""
                item[method.lower()] = self._operation(route, names, more)
                continue
            also = f"The path {route.path} is tried after this one, and not described."
            other["description"] = f"{other.get('description', '')}\n\n{also}".strip()

    def _operation(self, route: FinchRoute, names: list[str], method: str) -> dict[str, Any]:
        name = route.key or str(getattr(route.index, "__name__", type(route.index).__name__))
        operation: dict[str, Any] = {
            "operationId": self._names.take(f"{name}_{method.lower()}" if method else name),
            **said_by(route.index),
        }
        tag = "/".join(
            part for part in route.prefix.strip("/").split("/") if part and "{" not in part
        )
        if tag:
            operation["tags"] = [tag]
        parameters = parameters_of(route, names, self._schemas)
        if parameters:
            operation["parameters"] = parameters
        body = body_of(route, self._schemas)
        if body is not None:
            operation["requestBody"] = body
        schemes, needs_login = self._who(route)
        if schemes:
            operation["security"] = [{name: [] for name in schemes}]
            self._security |= set(schemes)
        operation["responses"] = self._responses(route, needs_login)
        return operation

    def _who(self, route: FinchRoute) -> tuple[list[str], bool]:
        """The security schemes of a route, and whether it may answer with 401."""
        guards = list(asked(route.levels))
        around = [*self._middleware, *(one for each in route.levels for one in each.middleware)]
        said = [getattr(one, "scheme", None) for one in [*guards, *around]]
        schemes = sorted({one for one in said if isinstance(one, str) and one in _SCHEMES})
        return schemes, bool(guards or schemes)

    def _responses(self, route: FinchRoute, needs_login: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for answer in sorted(self._answers[route], key=lambda one: one.status):
            response = found.setdefault(answer.status, {"description": _phrase(answer.status)})
            if answer.media is not None:
                self._add_content(response.setdefault("content", {}), answer)
        for status in _errors(route, needs_login):
            found.setdefault(status, {"$ref": "#/components/responses/Error"})
        return found

    def _add_content(self, content: dict[str, Any], answer: Answer) -> None:
        assert answer.media is not None
        schema = self._schemas.of(answer.type)
        before = content.get(answer.media, {}).get("schema")
        if before is not None and before != schema:
            schema = {"anyOf": [*before.get("anyOf", [before]), schema]}
        content[answer.media] = {"schema": schema} if schema else {}


def _template(route: FinchRoute) -> tuple[str, str]:
    """The path as OpenAPI writes it, without the names of its parameters and with them."""
    names = iter(route.pattern.names)
    shape = path = ""
    for piece in route.pattern.shape:
        if isinstance(piece, str):
            literal = quote(piece, safe="/!$&'()*+,;=:@")  # RFC 3986, section 3.3
            shape, path = shape + literal, path + literal
        else:
            shape, path = f"{shape}{{}}", f"{path}{{{next(names)}}}"
    return shape, path


def _errors(route: FinchRoute, needs_login: bool) -> Iterator[str]:
    sources = {one.source for one in arguments_of(route)}
    if needs_login:
        yield "401"
    if sources & {Source.BODY, Source.FORM, Source.FILE}:
        yield from ("400", "413", "415")
    if sources:
        yield "422"
    yield "default"


def _phrase(status: str) -> str:
    if status == SUCCESS:
        return "Success"
    return "Redirect" if status == "3XX" else status_phrase(int(status)) or "Success"
