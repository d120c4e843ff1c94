"""Where settings come from: the command line, the environment, a TOML file; in that order.

Everything that begins with ``FINCH_``, and every key of the file, must be a setting. A misspelt one
would otherwise be ignored, and nobody would know.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from finch.errors import ConfigurationError
from finch.explain import closest
from finch.settings import BY_NAME, Setting, Value, read, read_typed

PREFIX: Final = "FINCH_"
FILES: Final = ("finch.toml", "pyproject.toml")  # the first that has settings is used
CONFIG: Final = "FINCH_CONFIG"

# Variables that tests of Finch itself use.
_OURS: Final = {
    "FINCH_MUTANTS_SHOW",
    "FINCH_SCREENS",
    "FINCH_SOAK_HURRY",
    "FINCH_STORIES",
    "FINCH_TEST_ALL",
    "FINCH_WITHOUT_HUB",
}
# What an address is given by. A setting of one way hides those of the others in weaker sources.
_WAYS: Final = {"host": "tcp", "port": "tcp", "unix": "unix", "fd": "fd"}


class Found(NamedTuple):
    """A value, and where it comes from.

    Attributes:
        source: such as ``--port``, ``FINCH_PORT`` or ``port in finch.toml``.
    """

    value: Value
    source: str


Layer = dict[str, Found]
"""What one source says: settings by name."""


def gather(
    given: Mapping[str, Value],
    config: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Layer:
    """All settings that anything says, each from the strongest source that says it.

    Parameters:
        given: those of the command line.
        config: the file; by default ``FINCH_CONFIG``, or ``finch.toml`` or ``pyproject.toml`` in
            the current folder.

    Raises:
        ConfigurationError: if a name is unknown, a value is wrong, or the file cannot be read.
    """
    found = {name: Found(value, BY_NAME[name].option) for name, value in given.items()}
    _add(found, from_environment(environment))
    _add(found, _of_file(config or environment.get(CONFIG)))
    return found


def gather_beside(taken: Iterable[str]) -> Layer:
    """What the environment and a file say about the settings that a program does not give itself.

    Parameters:
        taken: the names of those that it gives.

    Raises:
        ConfigurationError: as :func:`gather`.
    """
    taken = list(taken)
    found = gather(dict.fromkeys((name for name in taken if name in BY_NAME), ""))
    return {name: one for name, one in found.items() if name not in taken}


def _add(found: Layer, weaker: Layer) -> None:
    ways = {_WAYS[name] for name in found if name in _WAYS}
    for name, one in weaker.items():
        hidden = ways and name in _WAYS and _WAYS[name] not in ways
        if name not in found and not hidden:
            found[name] = one


def from_environment(environment: Mapping[str, str]) -> Layer:
    """The settings in the environment. A variable that is empty counts as not set.

    Raises:
        ConfigurationError: if a variable that begins with ``FINCH_`` is no setting, or is wrong.
    """
    known = {setting.variable: setting for setting in BY_NAME.values()}
    found: Layer = {}
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable in _OURS or variable == CONFIG:
            continue
        setting = known.get(variable)
        if setting is None:
            raise ConfigurationError(
                f"the variable {variable} of the environment is no setting of Finch"
                f"{_hint_for(variable)}"
            )
        text = environment[variable]
        if not text:
            continue
        try:
            found[setting.name] = Found(read(setting, text), variable)
        except ValueError as error:
            hint = _KUBERNETES if text.startswith("tcp://") else ""
            raise ConfigurationError(f"{variable}: {error}{hint}") from None
    return found


_KUBERNETES: Final = (
    "; Kubernetes sets it for a Service named finch: name that otherwise, or set "
    "enableServiceLinks: false in the Pod"
)


def _hint_for(variable: str) -> str:
    if variable.startswith(("FINCH_SERVICE_", "FINCH_PORT_")):
        return _KUBERNETES
    meant = closest(variable.removeprefix(PREFIX).lower(), BY_NAME)
    if meant:
        return f"; did you mean {BY_NAME[meant].variable}?"
    return f"; there are {', '.join(setting.variable for setting in BY_NAME.values())}"


def _of_file(config: str | None) -> Layer:
    if config is not None:
        return from_file(Path(config))
    for name in FILES:
        found = from_file(Path(name), needed=False)
        if found:
            return found
    return {}


def from_file(path: Path, needed: bool = True) -> Layer:
    """The settings in a TOML file: the table ``[tool.finch]`` of a pyproject.toml, else the file.

    Parameters:
        needed: whether it is an error if there is no such file.

    Raises:
        ConfigurationError: if it cannot be read or is not TOML, a key is no setting, or a value is
            wrong.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if not needed:
            return {}
        raise ConfigurationError(f"there is no file {path}") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    place = str(path)
    if path.name == "pyproject.toml":
        if b"finch" not in data:  # then TOML need not even be imported
            return {}
        table, place = (
            _parsed(path, data).get("tool", {}).get("finch", {}),
            f"[tool.finch] in {path}",
        )
        if not isinstance(table, dict):
            raise ConfigurationError(f"tool.finch in {path} is not a table; write [tool.finch]")
    else:
        table = _parsed(path, data)
    return {name: _of_key(name, value, place) for name, value in table.items()}


def _parsed(path: Path, data: bytes) -> dict[str, Any]:
    import tomllib  # most have no such file

    try:
        return tomllib.loads(data.decode())
    except ValueError as error:  # also if it is not UTF-8
        raise ConfigurationError(f"{path} is not TOML: {error}") from None


def _of_key(name: str, value: object, place: str) -> Found:
    setting: Setting | None = BY_NAME.get(name)
    if setting is None:
        meant = closest(name.replace("-", "_"), BY_NAME)
        hint = f"did you mean {meant}?" if meant else f"there are {', '.join(BY_NAME)}"
        raise ConfigurationError(f"{name} in {place} is no setting of Finch; {hint}")
    try:
        return Found(read_typed(setting, value), f"{name} in {place}")
    except ValueError as error:
        raise ConfigurationError(f"{name} in {place}: {error}") from None
