"""Sent: what an application declares that it sends, by path. It is a description: messages are not
checked against it."""

from __future__ import annotations

from typing import Any

import msgspec

from finch.declaring import check_parentheses
from finch.errors import ConfigurationError
from finch.explain import kind
from finch.sockets.event import check_path


def declare_sent(declared: dict[str, Any], path: object, type: Any) -> None:
    """Add a declaration.

    Parameters:
        declared: the earlier ones.
        path: the channel on the clients' side.
        type: the type of the data.

    Raises:
        ConfigurationError: if the path is wrong or already declared, or if ``type`` is not a type
            that JSON can describe.
    """
    check_parentheses("sends", path, "'path', Type")
    if not isinstance(path, str):
        raise ConfigurationError(f"sends takes the path of messages, not {kind(path)}")
    check_path(path)
    if path in declared:
        raise ConfigurationError(f"what is sent to {path!r} is already declared")
    try:
        msgspec.json.schema_components([type], schema_hook=lambda _: {})
    except Exception as error:
        raise ConfigurationError(
            f"sends({path!r}, ...) takes the type of the data, such as a dataclass, not "
            f"{kind(type)}: {error}"
        ) from None
    declared[path] = type
