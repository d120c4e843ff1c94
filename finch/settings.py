"""The settings of a server, as one table: name, kind, default, help. Plain data.

The words of the command line, the variables of the environment, the keys of a TOML file and the
table in ``docs/settings.md`` are all made from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from finch.explain import shown

Value = str | int | bool | tuple[str, ...]

_MOST: Final = 999  # workers; more is a mistake of writing
_YES: Final = ("1", "true", "yes", "on")
_NO: Final = ("0", "false", "no", "off")


class Kind(NamedTuple):
    """What values a setting can have.

    Attributes:
        about: the values in words, for documentation and errors.
        read: makes a value from a text. It raises ValueError, which says what to write.
        types: the types of TOML that are taken.
    """

    about: str
    read: Callable[[str], Value]
    types: tuple[type, ...] = (str,)


class Setting(NamedTuple):
    """One setting.

    Attributes:
        name: of the keyword and of the key in a file. ``--name`` and ``FINCH_NAME`` are made of it.
        kind: what values it can have.
        default: None if it is not set.
        help: what it does, for ``--help`` and the documentation.
        metavar: what stands for the value in ``--help``.
        choices: the only values, if there are few.
        keyword: whether ``finch.run`` has it as a keyword.
    """

    name: str
    kind: Kind
    default: Value | None
    help: str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    keyword: bool = True

    @property
    def option(self) -> str:
        """Its word on the command line."""
        return "--" + self.name.replace("_", "-") if self.name != "app" else "the command line"

    @property
    def variable(self) -> str:
        """Its variable of the environment."""
        return f"FINCH_{self.name.upper()}"


def _text(text: str) -> str:
    if not text:
        raise ValueError("it is empty; leave it out")
    return text


def _whole(text: str, most: int) -> int | None:
    """A number from 0 to ``most``, written with digits only; else None."""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        return None
    return int(text) if int(text) <= most else None


def _port(text: str) -> int:
    number = _whole(text, 65535)
    if number is None:
        raise ValueError(f"{text!r} is not a port; write a number from 0 to 65535")
    return number


def _descriptor(text: str) -> int:
    number = _whole(text, 999_999_999)
    if number is None:
        raise ValueError(f"{text!r} is not a descriptor; write a number from 0 on")
    return number


def _workers(text: str) -> int:
    """How many workers; 0 for one for each core."""
    number = 0 if text == "auto" else _whole(text, _MOST) or None
    if number is None:
        raise ValueError(
            f"{text!r} is no number of workers; write a number from 1 to {_MOST}, or auto"
        )
    return number


def _switch(text: str) -> bool:
    if text.lower() not in (*_YES, *_NO):
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() in _YES


def _listed(text: str) -> tuple[str, ...]:
    return tuple(entry for part in text.split(",") if (entry := part.strip()))


TEXT: Final = Kind("a text", _text)
PATH: Final = Kind("a path", _text)
PORT: Final = Kind("a number from 0 to 65535", _port, (int,))
DESCRIPTOR: Final = Kind("a number from 0 on", _descriptor, (int,))
WORKERS: Final = Kind(f"a number from 1 to {_MOST}, or auto", _workers, (int, str))
SWITCH: Final = Kind("true or false", _switch, (bool,))
LIST: Final = Kind("a list, or a text with commas", _listed, (str, list))
WORD: Final = Kind("a word", _text)

SETTINGS: Final = (
    Setting(
        "app",
        TEXT,
        None,
        "the application, as module:attribute; the default attribute is 'app'; it may be a call: "
        "app:create_app()",
        keyword=False,
    ),
    Setting("host", TEXT, "127.0.0.1", "address to listen on"),
    Setting("port", PORT, 8080, "port to listen on; 0 for any"),
    Setting("unix", PATH, None, "listen on a unix socket instead", "PATH"),
    Setting(
        "fd",
        DESCRIPTOR,
        None,
        "listen on an inherited descriptor instead; 3 for systemd's socket activation",
        "N",
    ),
    Setting(
        "workers",
        WORKERS,
        None,
        "serve in N processes, or 'auto': one for each core; the default is this process alone",
        "N",
        keyword=False,
    ),
    Setting(
        "reload",
        SWITCH,
        False,
        "restart the server whenever code in the current folder changes, for development",
        keyword=False,
    ),
    Setting(
        "reload_dir",
        LIST,
        (),
        "more folders to watch for --reload; may be given several times",
        "DIR",
        keyword=False,
    ),
    Setting("certfile", PATH, None, "certificate, for https and wss", "PEM"),
    Setting("keyfile", PATH, None, "its key, if that is in another file", "PEM"),
    Setting(
        "forwarded_allow_ips",
        LIST,
        (),
        "proxies whose Forwarded and X-Forwarded-* are believed: IP addresses, networks, 'unix' "
        "for proxies on a unix socket, '*' for all; separated by commas",
        "LIST",
    ),
    Setting(
        "proxy_protocol",
        SWITCH,
        False,
        "require a PROXY header, version 1 or 2, at the beginning of every connection",
    ),
    Setting(
        "backplane",
        TEXT,
        None,
        "the Redis that joins several processes into one application, such as "
        "redis://localhost:6379/0?prefix=shop",
        "URL",
        keyword=False,
    ),
    Setting(
        "debug",
        SWITCH,
        False,
        "for development: serve the types of this application as finch.d.ts, and show clients "
        "what went wrong in it",
        keyword=False,
    ),
    Setting("access_log", SWITCH, True, "log each request"),
    Setting(
        "log_level",
        WORD,
        "info",
        "what to log",
        choices=("debug", "info", "warning", "error", "critical"),
        keyword=False,
    ),
    Setting(
        "log_format",
        WORD,
        "text",
        "how to log: text, which is coloured on a terminal, or json, one object a line",
        choices=("text", "json"),
        keyword=False,
    ),
)
"""All settings. The order is that of ``--help`` and of the documentation."""

BY_NAME: Final = {setting.name: setting for setting in SETTINGS}


def read(setting: Setting, text: str) -> Value:
    """The value that a text stands for.

    Raises:
        ValueError: if it stands for none. It says what to write.
    """
    value = setting.kind.read(text)
    if setting.choices and value not in setting.choices:
        raise ValueError(f"{text!r} is not one of {', '.join(setting.choices)}")
    return value


def read_typed(setting: Setting, value: object) -> Value:
    """The value that a value of TOML stands for.

    Raises:
        ValueError: if it has the wrong type, or stands for nothing. It says what to write.
    """
    kind = setting.kind
    if type(value) not in kind.types:
        hint = f"; write {setting.name} = {value}" if _would_do(setting, value) else ""
        raise ValueError(f"{shown(value)} is not {kind.about}{hint}")
    if isinstance(value, bool):
        return value
    if isinstance(value, list):
        wrong = [entry for entry in value if not isinstance(entry, str)]
        if wrong:
            raise ValueError(f"{shown(wrong[0])} is not a text; write {kind.about}")
        return tuple(value)
    return read(setting, str(value))


def _would_do(setting: Setting, value: object) -> bool:
    """Whether a text says what the value should be, so that only its quotes are wrong."""
    if not isinstance(value, str):
        return False
    try:
        return setting.kind.read(value) is not None
    except ValueError:
        return False
