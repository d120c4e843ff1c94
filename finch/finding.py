"""Finds the application that ``module:attribute`` names, and explains why if there is none."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from finch.app import FinchApp
from finch.blame import innermost, where
from finch.errors import ConfigurationError
from finch.serving import imported_by


class Mistake(Exception):
    """What is wrong with the command line, in one line."""


def find_app(name: str) -> FinchApp:
    """Import the application that ``module:attribute`` names. Modules in the current folder can be
    imported.

    Raises:
        Mistake: if there is no such application. It says what to write instead.
        KeyboardInterrupt: if it comes while the module is imported.
    """
    module_name, _, expression = name.partition(":")
    expression = expression or "app"
    if "/" in module_name or os.sep in module_name or module_name.endswith(".py"):
        raise Mistake(_a_path(module_name, expression))
    if not all(module_name.split(".")):
        raise Mistake(f"{name!r} names no module; write module:attribute, for instance app:app")
    if not all(part.isidentifier() for part in expression.removesuffix("()").split(".")):
        raise Mistake(
            f"{expression!r} is neither an attribute nor a call without arguments; write "
            f"{module_name}:app or {module_name}:create_app()"
        )
    sys.path.insert(0, os.getcwd())
    with imported_by(f"finch {name}"):
        module = _import(module_name)
        found = _resolve(module, module_name, expression)
    if not isinstance(found, FinchApp):
        raise Mistake(_not_an_app(found, module, module_name, expression))
    return found


def _a_path(path: str, expression: str) -> str:
    """What to write instead of a file: its module, and the folder where it can be imported."""
    file = Path(path)
    folder = ""
    try:
        parts = file.absolute().resolve().relative_to(Path.cwd().resolve()).parts
    except ValueError:  # not below the current folder
        folder, parts = f", in the folder {file.parent}", (file.name,)
    module = ".".join((*parts[:-1], parts[-1].removesuffix(".py"))) if parts else "app"
    kind = "file" if path.endswith(".py") else "path"
    return f"{path} is a {kind}; name the module: {module}:{expression}{folder}"


# The module


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name is not None and f"{name}.".startswith(f"{error.name}.")
        if missing and innermost(error, own=False) is None:
            raise Mistake(_no_module(name)) from None
        raise Mistake(_failed(name, error) + _why_missing(error)) from None
    except ConfigurationError as error:
        raise Mistake(f"{name}: {error}{where(error, own=False)}") from None
    except SystemExit as error:
        raise Mistake(
            f"module {name!r} ends the program when it is imported: {_one_line(error)}"
            f"{where(error, own=False)}; put the code that Finch does not need under "
            'if __name__ == "__main__"'
        ) from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise Mistake(_failed(name, error)) from None


def _failed(name: str, error: BaseException) -> str:
    text, place = _one_line(error), where(error, own=False)
    if isinstance(error, SyntaxError) and error.filename and os.path.exists(error.filename):
        text = f"{type(error).__name__}: {error.msg}"
        place = f" ({error.filename}, line {error.lineno})"
    hint = ""
    if isinstance(error, ImportError) and str(error).startswith("attempted relative import"):
        folder = Path.cwd()
        hint = f"; run finch in {folder.parent}: finch {folder.name}.{name}"
    return f"module {name!r} cannot be imported: {text}{place}{hint}"


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def _no_module(name: str) -> str:
    text = f"there is no module {name!r} in {os.getcwd()} or on Python's path"
    parent, _, last = name.rpartition(".")
    if hasattr(sys.modules.get(parent), last):
        return f"{text}; write {parent}:{last}"
    here = Path.cwd()
    if parent and name.split(".")[0] == here.name:
        return f"{text}; you are inside {here.name}: run finch in {here.parent}"
    near = difflib.get_close_matches(name, [file.stem for file in here.glob("*.py")], n=1)
    return f"{text}; did you mean {near[0]}?" if near else text


def _why_missing(error: ModuleNotFoundError) -> str:
    """Why a module that the application imports is missing: three common reasons."""
    frame, name = innermost(error), error.name or ""
    if frame is None or not name.isidentifier():
        return ""
    folder = Path(frame.filename).absolute().parent
    if not (folder / f"{name}.py").exists() and not (folder / name).is_dir():
        return f"; is it installed for {sys.executable}?"
    try:
        package = ".".join(folder.relative_to(Path.cwd()).parts)
    except ValueError:
        package = ""
    if not package:
        return ""
    return f"; it is in the same folder: import {package}.{name}, or run finch in {folder}"


# What the module has


def _resolve(module: ModuleType, module_name: str, expression: str) -> Any:
    call = expression.endswith("()")
    found: Any = module
    for part in expression.removesuffix("()").split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            hint = _apps_in(module, module_name) or _another_module(module, module_name)
            raise Mistake(f"module {module_name!r} has no {part!r}{hint}") from None
    return _call(found, f"{module_name}:{expression}") if call else found


def _call(factory: Callable[[], Any], what: str) -> Any:
    if isinstance(factory, FinchApp):
        raise Mistake(f"{what} calls an application; write {what.removesuffix('()')}")
    if inspect.iscoroutinefunction(factory):
        raise Mistake(_async_factory(what))
    if callable(factory) and (needed := _needed_arguments(factory)):
        raise Mistake(
            f"{what} needs arguments: {needed}. Finch calls it without arguments; give them "
            "defaults, or create the application in the module and name that"
        )
    try:
        return factory()
    except SystemExit as error:
        raise Mistake(
            f"{what} ends the program: {_one_line(error)}{where(error, own=False)}"
        ) from None
    except Exception as error:
        raise Mistake(f"{what} raised {_one_line(error)}{where(error, own=False)}") from None


def _async_factory(what: str) -> str:
    return (
        f"{what} is async, and Finch calls it before there is an event loop; make it a plain def, "
        "and move the code that awaits into an @app.on_startup function"
    )


def _needed_arguments(factory: Callable[..., Any]) -> str:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # some builtins have no signature
        return ""
    return ", ".join(
        one.name
        for one in parameters
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    )


def _not_an_app(found: Any, module: ModuleType, module_name: str, expression: str) -> str:
    what = f"{module_name}:{expression}"
    others = _apps_in(module, module_name)
    if isinstance(found, ModuleType):
        return f"{what} is a module, not a FinchApp{_apps_in(found, found.__name__) or others}"
    if inspect.isclass(found):
        hint = others or f"; write {what}() for an instance" * issubclass(found, FinchApp)
        return f"{what} is a class, not a FinchApp{hint}"
    if inspect.iscoroutinefunction(found):
        return _async_factory(f"{what}()")
    if inspect.iscoroutine(found):
        found.close()  # otherwise Python warns that it was never awaited
        return _async_factory(what)
    hint = others
    if callable(found) and inspect.isroutine(found):
        hint = f"; if it makes one, write {what}()"
    return f"{what} is a {type(found).__name__}, not a FinchApp{hint}"


def _apps_in(module: ModuleType, name: str) -> str:
    apps = [key for key, value in vars(module).items() if isinstance(value, FinchApp)]
    return f"; it has {' and '.join(f'{name}:{app}' for app in apps)}" if apps else ""


def _another_module(module: ModuleType, name: str) -> str:
    """The hint if the user's file has the same name as a module of Python or of a library."""
    file = Path.cwd() / f"{name}.py"
    loaded = getattr(module, "__file__", None)
    if not file.exists() or (loaded and Path(loaded).resolve() == file.resolve()):
        return ""
    return f"; {name!r} is {loaded or 'built into Python'}, not your {file.name}: rename that"
